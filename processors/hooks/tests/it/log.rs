//! The lines of the log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Value, from_value, json};
use veracity_hooks::Log;
use veracity_processor::{Event, Moment, Subject, conformance};

use crate::{Story, context, handle, plugin};

/// Remembers every write.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.0.lock().unwrap().push(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(config: Value, events: &[Arc<Event>]) -> String {
    let writes = Writes::default();
    let log = Log::to(&from_value(config).unwrap(), Box::new(writes.clone()));
    handle(&log, events, &context()).unwrap();
    let writes = writes.0.lock().unwrap();
    assert!(writes.len() <= 1, "one write a batch");
    writes.concat()
}

#[test]
fn text_is_for_people() {
    let text = logged(json!({"level": "debug"}), &Story::new("orders", 1).whole());
    insta::assert_snapshot!(text);
}

#[test]
fn levels_choose() {
    let events = Story::new("orders", 1).whole();
    let lines = |level: &str| {
        let text = logged(json!({"level": level, "timestamps": false}), &events);
        let words = text.lines().map(|line| line.split(' ').next().unwrap());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let levels = ["debug", "info", "warn", "error"];
    assert_eq!(lines("debug").len(), events.len());
    for (number, level) in levels.iter().enumerate() {
        let expected: Vec<String> = lines("debug")
            .into_iter()
            .filter(|word| levels[number..].contains(&word.as_str()))
            .collect();
        assert_eq!(lines(level), expected, "{level}");
        assert!(expected.iter().any(|word| word == level), "{level}");
    }
    assert_eq!(logged(json!({"level": "error"}), &events[..2]), "");
}

#[test]
fn json_lines_are_the_events_with_their_level() {
    let events = Story::new("orders", 1).whole();
    let text = logged(json!({"format": "json", "level": "debug"}), &events);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(&events) {
        let mut line = line.clone();
        let level = line.as_object_mut().unwrap().shift_remove("level");
        assert!(level.unwrap().is_string());
        assert_eq!(line, serde_json::to_value(&**event).unwrap());
        from_value::<Event>(line).unwrap();
    }
    insta::assert_snapshot!(text.lines().nth(7).unwrap());
}

/// An event all of whose texts are `text`.
fn hostile(text: &str) -> Arc<Event> {
    Story::new(text, 1).event(Subject::Assertion, Moment::End, |event| {
        let event = event.dataset(text).check(text).assertion(text);
        let event = event.processor(text).outcome(text).with(text, text);
        event
            .with("reason", text)
            .with("nested", json!({text: [text]}))
    })
}

/// A line that a plugin asked for, all of whose texts are `text`.
fn hostile_line(text: &str) -> Arc<Event> {
    Story::new(text, 1).event(Subject::Action, Moment::End, |event| {
        let event = event.processor(text).with("type", "log");
        let event = event.with("level", text).with("message", text);
        event.with("fields", json!({text: text}))
    })
}

#[test]
fn hostile_texts_stay_within_their_line_and_their_quotes() {
    let long = "x".repeat(10_000);
    let more = [
        "a suite=evil",
        "a\" suite=\"evil",
        "a\\",
        "\\\" x=1",
        &long,
        "",
    ];
    for text in conformance::HOSTILE.iter().copied().chain(more) {
        for event in [hostile(text), hostile_line(text)] {
            for config in [
                json!({"level": "debug"}),
                json!({"level": "debug", "timestamps": false}),
                json!({"level": "debug", "format": "json"}),
            ] {
                let line = logged(config.clone(), &[Arc::clone(&event)]);
                let label = format!("{text:?} {config}: {line}");
                let line = line.strip_suffix('\n').unwrap();
                let is_harmless = |c: char| !veracity_processor::is_deceptive(c);
                assert!(line.chars().all(is_harmless), "{label}");
                assert!(!line.contains("##vso["), "{label}");
                assert!(!line.starts_with("::"), "{label}");
                if config["format"] == "json" {
                    let read: Value = serde_json::from_str(line).unwrap();
                    assert_eq!(read["suite"], text, "{label}");
                } else {
                    assert!(line.len() < 10_000, "{label}");
                    let suites = outside_of_quotes(line).matches(" suite=").count();
                    assert_eq!(suites, 1, "{label}");
                }
            }
        }
    }
}

/// What of `line` is not in quotes, as a reader of `name=value` would have it.
fn outside_of_quotes(line: &str) -> String {
    let (mut outside, mut quoted, mut chars) = (String::new(), false, line.chars());
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (true, '\\') => {
                chars.next();
            }
            (_, '"') => quoted = !quoted,
            (false, c) => outside.push(c),
            (true, _) => {}
        }
    }
    assert!(!quoted, "{line}");
    outside
}

#[test]
fn a_line_with_thousands_of_facts_ends() {
    let event = Story::new("orders", 1).event(Subject::Action, Moment::End, |event| {
        let fields = (0..5_000).map(|n| (format!("field{n}"), json!("some value")));
        let fields: serde_json::Map<String, Value> = fields.collect();
        let event = event.with("type", "log").with("message", "many");
        event.with("fields", fields)
    });
    let line = logged(json!({}), &[event]);
    assert!(
        line.len() < 10_000 && line.ends_with(" …\n"),
        "{}",
        line.len()
    );
}

#[test]
fn an_action_that_only_begins_is_no_line_somebody_asked_for() {
    let event = Story::new("orders", 1).event(Subject::Action, Moment::Start, |event| {
        let event = event.with("type", "log").with("level", "error");
        event.with("message", "twice?")
    });
    assert_eq!(logged(json!({}), &[event]), "");
}

#[test]
fn a_writer_that_fails_is_an_error_and_no_panic() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = Log::to(&from_value(json!({})).unwrap(), Box::new(Broken));
    let events = Story::new("orders", 1).whole();
    let error = handle(&log, &events, &context()).unwrap_err();
    assert_eq!(error.to_string(), "the log cannot be written: broken pipe");
}

#[test]
fn wrong_settings_are_refused() {
    for config in [
        json!({"level": "loud"}),
        json!({"format": "xml"}),
        json!({"max_bytes": 0}),
        json!({"max_bytes": -1}),
        json!({"timestamps": "yes"}),
    ] {
        assert!(
            plugin("log").build_hook(config.clone()).is_err(),
            "{config}"
        );
    }
}
