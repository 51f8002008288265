//! The page about executable plugins, held against the host: its requests are those that the
//! host sends, its answers are those that the host takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use veracity_host::Registry;
use veracity_host::isolation::{Attempt, Call, Child, Isolated, Program, Task};
use veracity_processor::testing::{ReportBuilder, UpcomingBuilder, events};
use veracity_processor::{
    Action, DeadLetter, Delivery, DeliveryStatus, Message, Metric, MetricKind, Parcel, Severity,
    Stage,
};

/// Ample for everything that does not hang.
const AMPLE: Duration = Duration::from_secs(120);

/// Writes down what it is told, and answers as it should.
const RECORDER: &str = r#"
while IFS= read -r line; do
  printf '%s\n' "$line" >>requests
  case $line in
    '{"type":"start"'*) echo '{"type":"ready"}' ;;
    '{"type":"health"'*) echo '{"type":"health","status":"healthy"}' ;;
    '{"type":"stop"'*) exit 0 ;;
    *) echo '{"type":"outcome","status":"done"}' ;;
  esac
done
"#;

/// The blocks of the page that are fenced as `language`.
fn blocks(language: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/executable-plugins.md");
    let page = fs::read_to_string(page).unwrap();
    let fence = format!("```{language}\n");
    let blocks = page.split(&*fence).skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// The messages of the page: those of the host, or those of the plugin.
fn messages(of_host: bool) -> Vec<Value> {
    const ANSWERS: [&str; 3] = ["ready", "outcome", "error"];
    let read = |block: String| -> Value {
        let message = serde_json::from_str(&block);
        message.unwrap_or_else(|error| panic!("{error}: {block}"))
    };
    let messages = blocks("json").into_iter().map(read);
    messages
        .filter(|message| {
            let kind = message["type"].as_str().unwrap();
            let is_answer = ANSWERS.contains(&kind) || !message["status"].is_null();
            is_answer != of_host
        })
        .collect()
}

/// The plugin `command`, in `folder`.
fn child(command: &[&str], folder: &Path) -> Child {
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let config = json!({"to": "ops", "urgent": true});
    Child::new("oncall", Program::new(&command, folder), config, true)
}

/// Everything that a plugin of whatever kind can be asked.
fn tasks() -> Vec<(Task, Call)> {
    let report = ReportBuilder::new("orders")
        .run_tag("env", "prod")
        .failed("keys", "uniqueness(id) = 1")
        .severity(Severity::P0)
        .tag("daily")
        .actual(0.98)
        .expected("= 1")
        .symbol("uniqueness(id)", 0.98)
        .build();
    let upcoming = UpcomingBuilder::new("orders")
        .run_tag("env", "prod")
        .check("keys")
        .tag("daily")
        .assertions(1)
        .build();
    let mut message = Message::new("orders: 12 runs failed today", report.run.clone());
    message.lines = vec!["keys: uniqueness(id) = 1".to_owned()];
    message.more = 11;
    message.fields = [("since".to_owned(), "06:00".to_owned())].into();
    let mut delivery = Delivery::new("email", DeliveryStatus::Dead);
    delivery.attempts = 20;
    delivery.error = Some("connection to mail.example.org:465 refused".to_owned());
    let mut parcel = Parcel::new(json!({"state": "failed"}), "tally", "orders");
    parcel.key = Some("orders".to_owned());
    let failed = events(&report).into_iter();
    let failed = failed.filter(|event| event.name.to_string() == "assertion.end");
    let call = |stage| Call {
        instance: "oncall".to_owned(),
        idempotency_key: "6f1c02d7-3b6e-5a4c-8d2e-000000000001".to_owned(),
        stage,
        state: [("seen".to_owned(), json!(41))].into(),
        ..Call::default()
    };
    let of_hook = || Call {
        idempotency_key: String::new(),
        ..call(Stage::AfterRun)
    };
    let measured = Call {
        metrics: vec![Metric {
            name: "failed_assertions".to_owned(),
            value: 1.0,
            kind: MetricKind::Gauge,
            help: "Assertions that failed in this run.".to_owned(),
            labels: [("suite".to_owned(), "orders".to_owned())].into(),
        }],
        ..call(Stage::AfterRun)
    };
    vec![
        (Task::Report(report.clone().into()), measured),
        (Task::BeforeRun(upcoming.into()), call(Stage::BeforeRun)),
        (Task::Message(message.into()), call(Stage::AfterRun)),
        (
            // The same report would only make the page longer.
            Task::Letter(DeadLetter::new(delivery, ReportBuilder::new("orders").build()).into()),
            call(Stage::DeadLetter),
        ),
        (Task::Events(failed.collect::<Vec<_>>().into()), of_hook()),
        (Task::Flush, of_hook()),
        (Task::Publish(parcel.into()), call(Stage::AfterRun)),
    ]
}

/// What the host sends, with the time that is left told in round numbers.
fn sent() -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let recorder = child(&["sh", "-c", RECORDER], folder.path());
    for (task, call) in tasks() {
        let attempt = recorder.call(task, call, AMPLE);
        assert!(attempt.result.is_ok(), "{attempt:?}");
    }
    recorder.health(AMPLE).unwrap();
    recorder.shutdown(AMPLE).unwrap();
    let lines = fs::read_to_string(folder.path().join("requests")).unwrap();
    let read = |line| -> Value {
        let mut message: Value = serde_json::from_str(line).unwrap();
        if let Some(left) = message.pointer_mut("/context/time_limit_ms") {
            *left = 30_000.into();
        }
        message
    };
    lines.lines().map(read).collect()
}

#[test]
fn the_requests_of_the_page_are_those_that_the_host_sends() {
    let (page, sent) = (messages(true), sent());
    for (number, sent) in sent.iter().enumerate() {
        let pretty = serde_json::to_string_pretty(sent).unwrap();
        assert_eq!(page.get(number), Some(sent), "the host sends {pretty}");
    }
    assert_eq!(page.len(), sent.len(), "and nothing else");
}

/// What comes of a plugin that answers a report, or a question for its health, with
/// `answer`.
fn answered(answer: &Value) -> Attempt {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("answer"), answer.to_string() + "\n").unwrap();
    let script = r#"read -r line; echo '{"type":"ready"}'; read -r line; cat answer; read -r line"#;
    let plugin = child(&["sh", "-c", script], folder.path());
    let (task, call) = tasks().swap_remove(0);
    if answer["type"] == "health" {
        let health = plugin.health(AMPLE).unwrap();
        assert_eq!(json!(health.status), answer["status"]);
        return plugin.call(task, call, Duration::ZERO);
    }
    plugin.call(task, call, AMPLE)
}

#[test]
fn the_answers_of_the_page_are_taken_whole() {
    let mut kinds = BTreeSet::new();
    let mut actions = BTreeSet::new();
    for answer in messages(false) {
        let kind = answer["type"].as_str().unwrap().to_owned();
        let attempt = match &*kind {
            "ready" | "health" => {
                if kind == "health" {
                    answered(&answer);
                }
                kinds.insert(kind);
                continue;
            }
            _ => answered(&answer),
        };
        if let Some(state) = answer.get("state") {
            assert_eq!(
                attempt.state.as_ref().map(|state| json!(state)),
                Some(state.clone())
            );
        }
        match attempt.result {
            Ok(outcome) => {
                assert_eq!(json!(outcome.status), answer["status"]);
                assert_eq!(json!(outcome.reason), answer["reason"]);
                // What cannot be read would be told in the note.
                assert_eq!(json!(outcome.note), answer["note"]);
                let asked = outcome.actions.iter();
                actions.extend(asked.clone().map(|action| action.kind().to_string()));
                let asked: Vec<Value> = asked.map(|action| json!(action)).collect();
                assert_eq!(
                    asked.len(),
                    answer["actions"].as_array().map_or(0, Vec::len)
                );
                for (asked, told) in asked
                    .iter()
                    .zip(answer["actions"].as_array().into_iter().flatten())
                {
                    assert_eq!(asked, told, "every field is known");
                }
            }
            Err(fault) => {
                assert_eq!(kind, "error", "{fault}");
                assert_eq!(fault.to_string(), answer["message"].as_str().unwrap());
            }
        }
        kinds.insert(kind);
    }
    let told: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(told, ["error", "health", "outcome", "ready"]);
    let told: Vec<&str> = actions.iter().map(String::as_str).collect();
    assert_eq!(told, ["log", "metric", "notify", "publish", "webhook"]);
    // The page would have to be told of another kind.
    let _: fn(&Action) = |action| match action {
        Action::Publish { .. } | Action::Webhook(_) | Action::Log { .. } => {}
        Action::Metric(_) | Action::Notify { .. } => {}
        _ => {}
    };
}

#[test]
fn the_manifests_of_the_page_are_read() {
    let plugins = tempfile::tempdir().unwrap();
    let manifests = blocks("yaml");
    let manifests: Vec<&String> = manifests
        .iter()
        .filter(|block| block.starts_with("name: "))
        .collect();
    assert!(!manifests.is_empty());
    for (number, manifest) in manifests.iter().enumerate() {
        let folder: PathBuf = plugins.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plugin.yaml"), manifest).unwrap();
    }
    let registry = Registry::default();
    registry.add_directory(plugins.path());
    assert_eq!(registry.broken(), []);
    assert_eq!(registry.list_all().len(), manifests.len());
    for entry in registry.list_all() {
        let info = entry.info().unwrap();
        assert!(!info.description.is_empty() && !info.example_config.is_empty());
    }
}
