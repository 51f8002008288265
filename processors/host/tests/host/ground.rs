//! What the tests stand on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tempfile::TempDir;
use uuid::Uuid;
use veracity_host::store::{DeliveryFilter, DeliveryState, StoredDelivery};
use veracity_host::{Configuration, Delivered, Host};
use veracity_processor::{Delivery, DeliveryStatus, Report, Secret, sample_report};

/// Far more than a limit may be exceeded by, on a machine that is busy.
pub const SLACK: Duration = Duration::from_secs(20);
/// Ample for everything that does not hang.
pub const AMPLE: Duration = Duration::from_secs(120);

/// A folder with a suite in it, as it were.
pub struct Ground {
    pub folder: PathBuf,
    /// Removes the folder in the end.
    _own: Option<TempDir>,
}

impl Ground {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder: folder.path().to_owned(),
            _own: Some(folder),
        }
    }

    /// The ground in `folder`, which another process made.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            _own: None,
        }
    }

    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    pub fn make(&self, name: &str) {
        std::fs::write(self.folder.join(name), "").unwrap();
    }

    /// `player` with `part`, which writes down what it does.
    pub fn player(&self, part: Value) -> Value {
        let mut fields = Map::from_iter([
            ("use".to_owned(), "player".into()),
            ("record".to_owned(), self.file("record").into()),
        ]);
        let Value::Object(part) = part else {
            panic!("an object")
        };
        fields.extend(part);
        Value::Object(fields)
    }

    pub fn configuration(&self, processors: &[(&str, Value)]) -> Configuration {
        let mut configuration = Configuration::default();
        configuration.suite = "orders".to_owned();
        configuration.origin = self.file("orders.yaml");
        configuration.base = self.folder.clone();
        configuration.spool = self.folder.join("spool");
        configuration.processors = named(processors);
        configuration
    }

    /// A host without a store.
    pub fn host(&self, processors: &[(&str, Value)]) -> Host {
        let host = Host::prepare(self.configuration(processors)).unwrap();
        host.start();
        host
    }

    /// A host with the store of this ground.
    pub fn stored(&self, processors: &[(&str, Value)]) -> Host {
        self.stored_at("sqlite:store.db", processors)
    }

    /// A host with the store at `url`.
    pub fn stored_at(&self, url: &str, processors: &[(&str, Value)]) -> Host {
        let mut configuration = self.configuration(processors);
        configuration.store = Some(Secret::new(url));
        let mut host = Host::prepare(configuration).unwrap();
        host.open_store();
        host.start();
        host
    }

    /// `fields` with `file` of this ground under `name`.
    fn with_file(&self, fields: Value, name: &str, file: &str) -> Value {
        let mut fields = fields;
        fields[name] = self.file(file).into();
        fields
    }

    /// The plugin `stager`, or the one that `part` says, which writes down how it is called.
    pub fn stager(&self, part: Value) -> Value {
        let mut part = self.with_file(part, "calls", "calls");
        if part.get("use").is_none() {
            part["use"] = "stager".into();
        }
        part
    }

    /// The hook `watcher` with `part`, which writes down what it hears into `file`.
    pub fn watcher(&self, file: &str, part: Value) -> Value {
        let mut part = self.with_file(part, "heard", file);
        part["use"] = "watcher".into();
        part
    }

    /// The channel `carrier` with `part`, which writes down what it carries.
    pub fn carrier(&self, part: Value) -> Value {
        let mut part = self.with_file(part, "carried", "carried");
        part["use"] = "carrier".into();
        part
    }

    /// The lines of `file`, which are JSON.
    pub fn lines(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// How stagers were called, as `call`.
    pub fn calls(&self, call: &str) -> Vec<Value> {
        let mut calls = self.lines("calls");
        calls.retain(|one| one["call"] == call);
        calls
    }

    /// The events that hooks wrote down in `file`.
    pub fn heard(&self, file: &str) -> Vec<Value> {
        let lines = self.lines(file).into_iter();
        let events = lines.flat_map(|line| match &line["events"] {
            Value::Array(events) => events.clone(),
            _ => Vec::new(),
        });
        events.collect()
    }

    /// What players wrote down, word by word.
    pub fn record(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.folder.join("record")).unwrap_or_default();
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        text.lines().map(words).collect()
    }

    /// What they wrote down under `word`.
    pub fn recorded(&self, word: &str) -> Vec<Made> {
        let record = self.record();
        let lines = record.iter().filter(|line| line[0] == word);
        let made = lines.map(|line| Made {
            instance: line[1].clone(),
            run: line[2].parse().unwrap(),
            attempt: line[3].parse().unwrap(),
            key: line[4].clone(),
            digest: line[5].clone(),
        });
        made.collect()
    }

    /// The instances that finished `process`, in that order.
    pub fn done(&self) -> Vec<String> {
        let made = self.recorded("done").into_iter();
        made.map(|made| made.instance).collect()
    }
}

/// A call that a player wrote down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    pub instance: String,
    pub run: Uuid,
    pub attempt: u32,
    pub key: String,
    pub digest: String,
}

/// A host of `configuration`, started.
pub fn started(configuration: Configuration) -> Host {
    let mut host = Host::prepare(configuration).unwrap();
    host.open_store();
    host.start();
    host
}

/// `instances` by name, as they stand in a configuration.
pub fn named(instances: &[(&str, Value)]) -> Vec<(String, Value)> {
    let own = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
    instances.iter().map(own).collect()
}

/// A report of a new run.
pub fn report() -> Report {
    let mut report = sample_report();
    report.run.id = Uuid::now_v7();
    report.run.suite = "orders".to_owned();
    report
}

/// Delivers `report`, which stays as it is, and returns within `limit` and some slack.
pub fn deliver_within(host: &Host, report: &Report, limit: Duration) -> Delivered {
    let before = serde_json::to_vec(report).unwrap();
    let begun = Instant::now();
    let delivered = host.deliver(report);
    let taken = begun.elapsed();
    assert!(taken < limit + SLACK, "it took {taken:?}: {delivered:?}");
    let after = serde_json::to_vec(report).unwrap();
    assert!(before == after, "the report has changed");
    delivered
}

pub fn deliver(host: &Host, report: &Report) -> Delivered {
    deliver_within(host, report, AMPLE)
}

/// What became of the report at `instance`.
#[track_caller]
pub fn of<'d>(delivered: &'d Delivered, instance: &str) -> &'d Delivery {
    let mut all = delivered.deliveries.iter();
    all.find(|delivery| delivery.processor == instance)
        .unwrap_or_else(|| panic!("nothing about `{instance}`: {delivered:?}"))
}

/// Status and error of `delivery`, which is `status`, with an error that contains `text`.
#[track_caller]
pub fn assert_ended(delivery: &Delivery, status: DeliveryStatus, text: &str) {
    assert_eq!(delivery.status, status, "{delivery:?}");
    let error = delivery.error.as_deref().unwrap_or_default();
    assert!(error.contains(text), "no `{text}` in `{error}`");
}

/// The deliveries in the store of `host`.
pub fn listed(host: &Host, states: &[DeliveryState]) -> Vec<StoredDelivery> {
    let filter = DeliveryFilter {
        states: states.to_vec(),
        ..DeliveryFilter::default()
    };
    let listed = host.keep().with(|store, _| store.list(&filter));
    listed.expect("there is a store").unwrap()
}

pub fn pending(host: &Host) -> Vec<StoredDelivery> {
    listed(host, &[DeliveryState::Pending])
}

/// Resumes until something came of it.
pub fn resumed(host: &Host) -> Delivered {
    let begun = Instant::now();
    loop {
        let delivered = host.resume();
        if !delivered.resumed.is_empty() {
            return delivered;
        }
        assert!(
            begun.elapsed() < AMPLE,
            "never: {delivered:?}, {:?}",
            pending(host)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}
