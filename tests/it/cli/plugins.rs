//! Hooks, stages, actions, outputs and new plugins, as people use them.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::Value;

use super::harness::{Folder, SUITE};

/// Nobody listens there, so that what goes there is given up at once.
const NOWHERE: &str =
    "{use: webhook, url: \"http://127.0.0.1:9/x\", allow_private: true, retries: 0}";

/// A program that people are told by: it writes down what it hears, in its folder.
#[cfg(unix)]
fn add_pager(folder: &Folder) {
    folder.write(
        "plugins/pager/plugin.yaml",
        "name: pager\nkind: processor\nversion: 1.0.0\ndescription: Tells people\ncommand: [sh, pager.sh]\nstages: [after_run, on_error, dead_letter]\ncapabilities: [messages]\n",
    );
    folder.write(
        "plugins/pager/pager.sh",
        r#"while read -r line; do
  case "$line" in
    *'"type":"start"'*|*'"type":"stop"'*) echo '{"type":"ready"}' ;;
    *) printf '%s\n' "$line" >> heard.ndjson; echo '{"type":"outcome","status":"done"}' ;;
  esac
done
"#,
    );
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    events.iter().map(name).collect()
}

#[test]
fn a_report_is_written_in_every_format_that_was_asked_for() {
    let folder = Folder::with_suite();
    let formats = [
        ("console", "Orders are complete"),
        ("json", "\"suite\": \"shop\""),
        ("junit", "<testsuite name=\"shop\" tests=\"4\""),
        ("markdown", "shop"),
        ("openlineage", "\"eventType\":\"COMPLETE\""),
        ("prometheus", "veracity_assertions{"),
        ("sarif", "\"version\": \"2.1.0\""),
    ];
    let mut arguments = vec!["run".to_owned(), "suite.yaml".to_owned()];
    for (format, _) in formats {
        arguments.extend([
            "--output".to_owned(),
            format!("{format}=out/report.{format}"),
        ]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = folder.veracity(&arguments);
    assert_eq!(done.code, Some(0), "{}", done.all());
    for (format, part) in formats {
        let written = folder.read(&format!("out/report.{format}"));
        let found = written.contains(part) || written.contains(&part.replace("\": ", "\":"));
        assert!(found, "{format}: {written}");
    }
}

#[test]
fn an_output_that_cannot_be_written_ends_with_4_and_one_without_a_format_with_2() {
    let folder = Folder::with_suite();
    folder.write("file", "");
    let done = folder.veracity(&["run", "suite.yaml", "--output", "junit=file/report.xml"]);
    assert_eq!(done.code, Some(4), "{}", done.all());
    assert!(done.stderr.contains("junit"), "{}", done.stderr);
    let done = folder.veracity(&["run", "suite.yaml", "--output", "junitt=x"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("did you mean `junit`?"),
        "{}",
        done.stderr
    );
    for (output, part) in [
        ("junit", "it is written FORMAT=PATH"),
        ("junit=", "it names no file"),
        ("junit=-", "standard output is for the report itself"),
    ] {
        let done = folder.veracity(&["run", "suite.yaml", "--output", output]);
        assert_eq!(done.code, Some(2), "{output}");
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    let twice = ["run", "suite.yaml", "-o", "junit=x", "-o", "sarif=x"];
    let done = folder.veracity(&twice);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr
            .contains("`--output sarif=x` would replace `junit=x`"),
        "{}",
        done.stderr
    );
    let done = folder.veracity(&[
        "check",
        "orders.csv",
        "row_count() = 4",
        "-o",
        "json=c.json",
    ]);
    assert_eq!(done.code, Some(0), "{}", done.all());
    assert!(folder.read("c.json").contains("row_count() = 4"));
}

#[test]
fn a_run_is_followed_as_json_lines() {
    let folder = Folder::with_suite();
    let done = folder.veracity(&["events", "suite.yaml"]);
    assert_eq!(done.code, Some(0), "{}", done.all());
    let events = names(&lines(&done.stdout));
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!(events.first().map(String::as_str), Some("suite.start"));
    assert_eq!(events.last().map(String::as_str), Some("suite.end"));
    assert_eq!((count("dataset.start"), count("dataset.end")), (1, 1));
    assert_eq!((count("check.start"), count("check.end")), (2, 2));
    assert_eq!((count("assertion.start"), count("assertion.end")), (4, 4));
    let some = ["--event", "assertion.*", "--where", "severity=P0"];
    let done = folder.veracity(&[&["events", "suite.yaml"][..], &some].concat());
    let events = lines(&done.stdout);
    assert_eq!(names(&events), ["assertion.start", "assertion.end"]);
    assert_eq!(events[1]["assertion"], "emails known");
    assert_eq!(events[1]["outcome"], "passed");
    let done = folder.veracity(&["events", "suite.yaml", "--where", "outcom=failed"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("did you mean `outcome`?"),
        "{}",
        done.stderr
    );
    let done = folder.veracity(&["events", "suite.yaml", "--event", "asertion.end"]);
    assert_eq!(done.code, Some(2));
    assert_snapshot!(done.stderr);
}

#[test]
fn who_stops_reading_events_does_not_disturb_the_run() {
    let folder = Folder::with_suite();
    let mut command = folder.command(&["events", "suite.yaml"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    drop(reader);
    assert!(line.contains("suite.start"), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn hooks_log_tell_people_and_measure() {
    let folder = Folder::with_suite();
    add_pager(&folder);
    let plugins = format!(
        "\
plugins: {{directories: [plugins]}}
processors:
  nowhere: {NOWHERE}
  pager: {{stages: [on_error]}}
  prometheus: {{path: metrics.prom, priority: 1000}}
hooks:
  log: {{format: json, path: log.ndjson, level: debug}}
  failures: {{use: log, path: failures.log, events: [\"*.dead\"]}}
  metrics: {{}}
  notify: {{to: pager, events: [delivery.dead]}}
"
    );
    folder.write("suite.yaml", &format!("{SUITE}{plugins}"));
    let done = folder.veracity(&["run", "suite.yaml"]);
    assert_eq!(done.code, Some(0), "{}", done.all());
    let log = names(&lines(&folder.read("log.ndjson")));
    for name in [
        "suite.start",
        "assertion.end",
        "delivery.dead",
        "processor.end",
    ] {
        assert!(log.iter().any(|event| event == name), "{name}: {log:?}");
    }
    let failures = folder.read("failures.log");
    assert_eq!(failures.lines().count(), 1, "{failures}");
    assert!(failures.contains("delivery.dead"), "{failures}");
    let heard = lines(&folder.read("plugins/pager/heard.ndjson"));
    assert_eq!((heard.len(), &heard[0]["type"]), (1, &"notify".into()));
    let title = heard[0]["message"]["title"].as_str().unwrap();
    assert!(title.contains("delivery.dead"), "{title}");
    let metrics = folder.read("metrics.prom");
    for name in [
        "veracity_assertions{",
        "veracity_deliveries_total{",
        "veracity_events_total{",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
}

#[test]
fn a_run_at_a_closed_time_is_skipped_with_the_reason() {
    let folder = Folder::with_suite();
    let plugins = "\
processors:
  calendar:
    maintenance:
      - {from: \"2000-01-01T00:00:00Z\", until: \"2999-01-01T00:00:00Z\", reason: storage upgrade}
  failures: {use: json, path: failures.json, on: failure}
  always: {use: json, path: always.json}
";
    folder.write("suite.yaml", &format!("{SUITE}{plugins}"));
    let done = folder.veracity(&["run", "suite.yaml"]);
    assert_eq!(done.code, Some(3), "{}", done.all());
    let reason = "`calendar` ended the run before it began: maintenance until 2999-01-01 00:00: storage upgrade";
    let skipped = format!("  - skipped  P0  emails known        {reason}\n");
    assert!(done.stdout.contains(&skipped), "{}", done.stdout);
    let last = done.stdout.lines().last().unwrap();
    let said = format!("~ NOT EVALUATED, {reason}  4 assertions: 4 skipped");
    assert!(last.starts_with(&said), "{last}");
    assert!(!folder.path().join("failures.json").exists());
    let report: Value = serde_json::from_str(&folder.read("always.json")).unwrap();
    assert_eq!(report["run"]["gate"], "calendar");
    assert_eq!(report["summary"]["skipped"], 4);
    let events = folder.veracity(&["events", "suite.yaml", "--event", "suite.*"]);
    assert_eq!(names(&lines(&events.stdout)), ["suite.skip"]);
}

#[cfg(unix)]
#[test]
fn what_is_given_up_reaches_who_reads_dead_letters() {
    let folder = Folder::with_suite();
    add_pager(&folder);
    let plugins = format!(
        "plugins: {{directories: [plugins]}}\nprocessors:\n  nowhere: {NOWHERE}\n  ops: {{use: pager, stages: [dead_letter]}}\n"
    );
    for store in ["", "store: sqlite://dq.db\n"] {
        let many = plugins.replace("retries: 0", "retries: 0, max_attempts: 1");
        folder.write("suite.yaml", &format!("{SUITE}{many}{store}"));
        let done = folder.veracity(&["run", "suite.yaml", "--format", "json"]);
        assert_eq!(done.code, Some(0), "{}", done.all());
        let report = done.json();
        let deliveries = report["deliveries"].as_array().unwrap();
        let ops: Vec<&Value> = deliveries
            .iter()
            .filter(|one| one["processor"] == "ops")
            .collect();
        assert_eq!(ops.len(), 1, "{deliveries:?}");
        assert_eq!(ops[0]["status"], "delivered", "{deliveries:?}");
        let heard = "plugins/pager/heard.ndjson";
        let letters = lines(&folder.read(heard));
        assert_eq!(
            (letters.len(), &letters[0]["type"]),
            (1, &"dead_letter".into())
        );
        let letter = &letters[0]["letter"];
        assert_eq!(letter["delivery"]["processor"], "nowhere");
        assert_eq!(letter["report"]["results"], report["results"]);
        std::fs::remove_file(folder.path().join(heard)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_program_asks_for_actions_and_they_are_done_or_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::with_suite();
    folder.write(
        "plugins/asks/plugin.yaml",
        "name: asks\nkind: processor\nversion: 1.0.0\ndescription: Asks for actions\ncommand: [./asks.sh]\n",
    );
    folder.write(
        "plugins/asks/asks.sh",
        r#"#!/bin/sh
while read -r line; do
  case "$line" in
    *'"type":"process"'*) echo '{"type":"outcome","status":"done","actions":[
      {"type":"publish","channel":"bus","message":{"hello":"world"},"key":"k"},
      {"type":"publish","channel":"buss","message":1},
      {"type":"log","level":"warn","message":"mind the gap"},
      {"type":"dance"}]}' | tr -d '\n'; echo ;;
    *) echo '{"type":"ready"}' ;;
  esac
done
"#,
    );
    let script = folder.path().join("plugins/asks/asks.sh");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let plugins = "\
plugins: {directories: [plugins]}
processors:
  asks: {}
channels:
  bus: {use: file, path: bus.ndjson}
";
    folder.write("suite.yaml", &format!("{SUITE}{plugins}"));
    let done = folder.veracity(&["run", "suite.yaml", "--format", "json"]);
    assert_eq!(done.code, Some(0), "{}", done.all());
    let published = lines(&folder.read("bus.ndjson"));
    assert_eq!(published.len(), 1);
    assert_eq!(published[0]["message"]["hello"], "world");
    assert_eq!(
        (&published[0]["key"], &published[0]["from"]),
        (&"k".into(), &"asks".into())
    );
    let report = done.json();
    let delivery = &report["deliveries"][0];
    let actions = delivery["actions"].as_array().unwrap();
    let of = |target: &str| {
        actions
            .iter()
            .find(|action| action["target"] == target)
            .unwrap()
    };
    assert_eq!(of("bus")["error"], Value::Null);
    let error = of("buss")["error"].as_str().unwrap();
    assert!(error.contains("did you mean `bus`?"), "{error}");
    let note = delivery["note"].as_str().unwrap();
    assert!(note.contains("cannot be read"), "{note}");
    assert!(
        done.stderr.contains("warn: `asks`: mind the gap"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_new_plugin_passes_its_own_test_and_is_listed() {
    let folder = Folder::empty();
    let made = folder.veracity(&[
        "processors",
        "new",
        "my-alerts",
        "--lang",
        "python",
        "--into",
        "plugins/my-alerts",
    ]);
    assert_eq!(made.code, Some(0), "{}", made.all());
    let mut test = std::process::Command::new("python3");
    test.args(["-m", "unittest"]);
    let tested = test
        .current_dir(folder.path().join("plugins/my-alerts"))
        .output();
    let tested = tested.expect("python3 is needed for this test");
    assert!(
        tested.status.success(),
        "{}",
        String::from_utf8_lossy(&tested.stderr)
    );
    let listed = folder.veracity(&["processors", "list", "--plugins", "plugins"]);
    assert!(listed.stdout.contains("my-alerts"), "{}", listed.stdout);
    let again = folder.veracity(&[
        "processors",
        "new",
        "my-alerts",
        "--lang",
        "python",
        "--into",
        "plugins/my-alerts",
    ]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
}

#[test]
fn mistakes_in_hooks_are_told_where_they_stand() {
    let folder = Folder::with_suite();
    let plugins = "\
processors:
  json: {path: report.json}
  oncall: {use: slack, webhook_url: \"https://hooks.example.org/services/T1\", enabled: false}
hooks:
  a: {use: notify, to: oncal}
  b: {use: notify, to: json}
  c: {use: log, where: {outcom: failed}}
  d: {use: log, where: {duration_ms: {mni: 3}}}
  e: {use: log, events: [asertion.end]}
  f: {use: notify, to: oncall}
";
    folder.write("suite.yaml", &format!("{SUITE}{plugins}"));
    let done = folder.veracity(&["processors", "validate", "suite.yaml"]);
    assert_eq!(done.code, Some(2));
    assert_snapshot!(done.stderr);
}

#[test]
fn the_reference_is_what_the_plugins_say_today() {
    let reference = Folder::empty()
        .veracity(&["processors", "reference"])
        .stdout;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/processors.md");
    let written = std::fs::read_to_string(page).unwrap();
    let different = written
        .lines()
        .zip(reference.lines())
        .find(|(old, new)| old != new);
    assert_eq!(
        different, None,
        "docs/processors.md is old; write it anew:\n  veracity processors reference > docs/processors.md"
    );
    assert_eq!(written.trim_end(), reference.trim_end());
}

#[test]
fn no_setting_of_a_plugin_hides_behind_one_that_all_have() {
    let folder = Folder::empty();
    let list = folder
        .veracity(&["processors", "list", "--format", "json"])
        .json();
    for (key, kind) in [
        ("processors", "processor"),
        ("hooks", "hook"),
        ("channels", "channel"),
    ] {
        for plugin in list[key].as_array().unwrap() {
            let name = plugin["name"].as_str().unwrap();
            let arguments = [
                "processors",
                "info",
                name,
                "--kind",
                kind,
                "--format",
                "json",
            ];
            let info = folder.veracity(&arguments).json();
            let shared = info["common_settings"]["properties"].as_object().unwrap();
            let own = info["config_schema"]["properties"].as_object();
            for setting in own.into_iter().flatten().map(|(setting, _)| setting) {
                assert!(!shared.contains_key(setting), "{kind} {name}: {setting}");
            }
        }
    }
}
