//! Plugins in a directory, in other languages.

use std::path::{Path, PathBuf};

use serde_json::json;
use veracity_host::Host;
use veracity_processor::DeliveryStatus::{Crashed, Dead, Delivered};
use veracity_processor::HealthStatus;

use crate::ground::{AMPLE, Ground, assert_ended, deliver, deliver_within, of, report};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    the_examples_log_runs,
    the_examples_say_what_is_wrong_with_their_settings,
    the_examples_tell_that_they_cannot_write,
    broken_plugins_are_listed_and_the_others_run,
    a_plugin_cannot_take_the_name_of_another,
    executables_that_misbehave_hurt_nobody,
    an_executable_has_the_memory_that_it_is_given,
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins")
}

fn the_examples_log_runs() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[
        ("python-logger", json!({"file": "python.log"})),
        (
            "shell-logger",
            json!({"file": "shell.log", "after": ["python-logger"]}),
        ),
        ("p", ground.player(json!({}))),
    ]);
    configuration.directories = vec![examples()];
    let host = Host::prepare(configuration).unwrap();
    assert!(host.broken().is_empty(), "{:?}", host.broken());
    host.start();
    let reports = [report(), report()];
    for report in &reports {
        let delivered = deliver(&host, report);
        assert!(delivered.warnings.is_empty(), "{delivered:?}");
        for delivery in &delivered.deliveries {
            assert_ended(delivery, Delivered, "");
        }
    }
    for health in host.health() {
        let status = health.health.unwrap().status;
        assert_eq!(status, HealthStatus::Healthy, "{}", health.instance);
    }
    assert_eq!(host.shutdown(), Vec::<String>::new());
    let lines = |name: &str| -> Vec<String> {
        let text = std::fs::read_to_string(ground.folder.join(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines("shell.log"), ["orders failed"; 2]);
    let python = lines("python.log");
    for (line, report) in python.iter().zip(&reports) {
        let key = veracity_host::idempotency_key(report.run.id, "python-logger");
        let (failed, declared) = (report.summary.failed, report.summary.declared);
        assert_eq!(
            *line,
            format!("2026-11-20T06:00:00Z orders failed: {failed} of {declared} failed, key {key}")
        );
    }
    assert_eq!(python.len(), 2);
}

fn the_examples_say_what_is_wrong_with_their_settings() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[
        ("python-logger", json!({"fil": "python.log"})),
        ("shell-logger", json!({"file": 7})),
    ]);
    configuration.directories = vec![examples()];
    let error = Host::prepare(configuration).unwrap_err();
    let told: Vec<String> = error.0.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert_eq!(told[0], "python-logger: key `file` is missing");
    assert!(told[1].starts_with("python-logger.fil: unknown key, did you mean `file`?"));
    assert_eq!(told[2], "shell-logger.file: expected text, found a number");
}

fn the_examples_tell_that_they_cannot_write() {
    let ground = Ground::new();
    let file = json!({"file": "no/such/folder/log", "retries": 0});
    let mut configuration =
        ground.configuration(&[("python-logger", file.clone()), ("shell-logger", file)]);
    configuration.directories = vec![examples()];
    let host = Host::prepare(configuration).unwrap();
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "python-logger"), Dead, "No such file");
    let told = "the file cannot be written";
    assert_ended(of(&delivered, "shell-logger"), Dead, told);
}

/// A plugin in the directory `plugins` of `ground`.
fn plugin(ground: &Ground, name: &str, manifest: &str) {
    let folder = ground.folder.join("plugins").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plugin.yaml"), manifest).unwrap();
}

fn manifest(name: &str, more: &str) -> String {
    format!("name: {name}\nkind: processor\nversion: 1.0.0\ndescription: x\n{more}\n")
}

fn broken_plugins_are_listed_and_the_others_run() {
    let ground = Ground::new();
    let answers = r#"while read -r line; do case $line in *'"start"'*) echo '{"type":"ready"}';; *'"process"'*) echo '{"type":"outcome","status":"done"}';; *) exit;; esac; done"#;
    let quoted = serde_json::to_string(answers).unwrap();
    let good = format!("command: [sh, -c, {quoted}]");
    plugin(&ground, "good", &manifest("good", &good));
    plugin(
        &ground,
        "future",
        &manifest("future", &format!("{good}\nrequires_api: \"2.0\"")),
    );
    plugin(
        &ground,
        "missing",
        &manifest("missing", "command: [./no-such-program]"),
    );
    plugin(&ground, "torn", "name: [");
    plugin(&ground, "wrong", &manifest("wrong", "command: []"));
    plugin(
        &ground,
        "schema",
        &manifest("schema", "command: [x]\nconfig_schema: {type: 7}"),
    );
    std::fs::create_dir_all(ground.folder.join("plugins/empty")).unwrap();
    let names = ["good", "future", "missing", "torn", "wrong", "schema"];
    let processors = names.map(|name| (name, json!({"retries": 0})));
    let mut configuration = ground.configuration(&processors);
    configuration.directories = vec!["plugins".into(), "no-such-directory".into()];
    let host = Host::prepare(configuration).unwrap();
    host.start();
    let origins: Vec<&str> = host
        .broken()
        .iter()
        .map(|broken| broken.origin.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(origins, ["no-such-directory", "schema", "torn", "wrong"]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "good"), Delivered, "");
    assert_ended(of(&delivered, "future"), Dead, "needs version `2.0`");
    assert_ended(of(&delivered, "missing"), Dead, "no-such-program");
    assert_ended(of(&delivered, "torn"), Dead, "`torn` is broken: ");
    assert_ended(of(&delivered, "wrong"), Dead, "`command` names no program");
    assert_ended(of(&delivered, "schema"), Dead, "is no JSON Schema");
    assert_eq!(delivered.warnings.len(), 4, "{:#?}", delivered.warnings);
    assert!(
        delivered
            .warnings
            .iter()
            .all(|warning| warning.contains("is broken: "))
    );
}

fn a_plugin_cannot_take_the_name_of_another() {
    let ground = Ground::new();
    plugin(&ground, "thief", &manifest("player", "command: [false]"));
    let mut configuration = ground.configuration(&[("p", ground.player(json!({})))]);
    configuration.directories = vec!["plugins".into()];
    let host = Host::prepare(configuration).unwrap();
    let broken = &host.broken()[0];
    assert!(
        broken
            .message
            .contains("two plugins are processor `player`"),
        "{broken:?}"
    );
    assert!(broken.message.contains("host::player"), "{broken:?}");
    assert!(broken.message.contains("plugins/thief"), "{broken:?}");
    assert_ended(of(&deliver(&host, &report()), "p"), Delivered, "");
}

fn executables_that_misbehave_hurt_nobody() {
    let ground = Ground::new();
    let ready = r#"read -r line; echo '{"type":"ready"}'; read -r line;"#;
    let cases = [
        ("silent", format!("{ready} sleep 600"), ""),
        (
            "nonsense",
            format!("{ready} echo hello; sleep 600"),
            "cannot be read",
        ),
        (
            "binary",
            format!("{ready} printf '\\377\\376\\n'; sleep 600"),
            "not UTF-8",
        ),
        (
            "leaves",
            format!("{ready} echo last words >&2; exit 7"),
            "last words",
        ),
        ("unready", "exit 0".to_owned(), ""),
        ("killed", format!("{ready} kill -SEGV $$"), "SIGSEGV"),
        (
            "endless",
            format!("{ready} while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"),
            "",
        ),
        ("floods", format!("{ready} yes >&2"), ""),
    ];
    let mut processors = vec![("p", ground.player(json!({})))];
    for (name, script, _) in &cases {
        let quoted = serde_json::to_string(script).unwrap();
        plugin(
            &ground,
            name,
            &manifest(name, &format!("command: [sh, -c, {quoted}]")),
        );
        processors.push((name, json!({"time_limit": "10s", "retries": 0})));
    }
    let mut configuration = ground.configuration(&processors);
    configuration.directories = vec!["plugins".into()];
    let host = Host::prepare(configuration).unwrap();
    let delivered = deliver_within(&host, &report(), AMPLE);
    assert_ended(of(&delivered, "p"), Delivered, "");
    for (name, _, text) in cases {
        let delivery = of(&delivered, name);
        let error = delivery.error.as_deref().unwrap_or_default();
        assert!(!delivery.status.is_settled(), "{delivery:?}");
        assert!(error.contains(text), "{name}: {error}");
        assert!(error.len() < 10_000, "{name}");
        if !text.is_empty() {
            assert_eq!(delivery.status, Crashed, "{name}: {error}");
        }
    }
    host.shutdown();
}

/// Tells how much address space it may have.
fn an_executable_has_the_memory_that_it_is_given() {
    let ground = Ground::new();
    let script = r#"while read -r line; do case $line in *'"process"'*) echo '{"type":"outcome","status":"done","note":"'$(ulimit -v)'"}';; *) echo '{"type":"ready"}';; esac; done"#;
    let quoted = serde_json::to_string(script).unwrap();
    let command = format!("command: [sh, -c, {quoted}]");
    plugin(&ground, "teller", &manifest("teller", &command));
    let mut configuration = ground.configuration(&[
        ("free", json!({"use": "teller"})),
        (
            "limited",
            json!({"use": "teller", "memory_limit": "512MiB"}),
        ),
    ]);
    configuration.directories = vec!["plugins".into()];
    let host = Host::prepare(configuration).unwrap();
    let delivered = deliver(&host, &report());
    for name in ["free", "limited"] {
        let delivery = of(&delivered, name);
        assert_ended(delivery, Delivered, "");
        let is_limited = delivery.note.as_deref() == Some("524288");
        assert_eq!(is_limited, name == "limited", "{delivery:?}");
    }
}
