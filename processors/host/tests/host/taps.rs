//! The program's own ear, and what it heard in words.

use std::sync::{Arc, Mutex};

use veracity_host::Host;
use veracity_processor::{Event, EventName, EventSink};

/// Keeps every event.
#[derive(Default)]
pub struct Tap(Mutex<Vec<Event>>);

impl Tap {
    /// One that listens to `host`.
    pub fn on(host: &Host) -> Arc<Self> {
        let tap = Arc::new(Self::default());
        host.tap(Arc::clone(&tap) as Arc<dyn EventSink>);
        tap
    }

    /// What it heard so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// What it heard so far, one line for each event whose name fits `pattern`: its name,
    /// what it is about, and the fields in `shown`.
    pub fn lines(&self, pattern: &str, shown: &[&str]) -> Vec<String> {
        let events = self.events().into_iter();
        let events = events.filter(|event| event.name.matches(pattern));
        events.map(|event| line(&event, shown)).collect()
    }
}

impl EventSink for Tap {
    fn wants(&self, _: EventName) -> bool {
        true
    }

    fn emit(&self, events: Vec<Event>) {
        self.0.lock().unwrap().extend(events);
    }
}

fn line(event: &Event, shown: &[&str]) -> String {
    let name = event.processor.as_deref().unwrap_or_default();
    let mut line = format!("{} {name}", event.name);
    for field in shown {
        if let Some(value) = event.field(field) {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            line.push_str(&format!(" {field}={value}"));
        }
    }
    line
}
