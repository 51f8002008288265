//! `veracity processors`, and mistakes in the configuration of processors.

use insta::assert_snapshot;

use super::harness::{Folder, SUITE};

#[test]
fn the_processors_that_come_with_veracity_are_linked() {
    let folder = Folder::empty();
    assert_snapshot!(folder.veracity(&["processors", "list"]).all());
    let list = folder
        .veracity(&["processors", "list", "--format", "json"])
        .json();
    let names = list["processors"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "alertmanager",
            "calendar",
            "console",
            "database",
            "email",
            "json",
            "junit",
            "markdown",
            "openlineage",
            "pagerduty",
            "prometheus",
            "sarif",
            "slack",
            "teams",
            "webhook",
        ]
    );
}

#[test]
fn a_processor_tells_what_it_does_and_its_settings() {
    let folder = Folder::empty();
    assert_snapshot!(folder.veracity(&["processors", "info", "json"]).all());
    for name in ["console", "database", "email", "webhook"] {
        let info = folder
            .veracity(&["processors", "info", name, "--format", "json"])
            .json();
        assert!(info["config_schema"]["properties"].is_object(), "{name}");
    }
    let unknown = folder.veracity(&["processors", "info", "emial"]);
    assert_snapshot!(unknown.all());
}

#[test]
fn the_processors_of_a_suite_are_checked_without_being_started() {
    let folder = Folder::with_suite();
    let processors = "processors:\n  json: {path: out.json}\n  text: {use: console, path: out.txt, after: [json]}\n  off: {use: console, enabled: false, path: x}\n";
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    assert_snapshot!(
        folder
            .veracity(&["processors", "validate", "suite.yaml"])
            .all()
    );
    let json = folder.veracity(&["processors", "validate", "suite.yaml", "--format", "json"]);
    assert_eq!(json.json()["processors"][2]["wave"], 2);
    assert!(!folder.path().join("out.json").exists());
}

#[test]
fn every_mistake_in_a_configuration_is_told_where_it_stands_and_nothing_runs() {
    let folder = Folder::with_suite();
    let processors = "\
processors:
  emial: {to: [a@example.org]}
  hook: {use: webhook, url: ftp://example.org, tiem_limit: 5s, retries: many}
  mail:
    use: email
    smtp: smtp://127.0.0.1?tls=none
    from: nobody
    to: [a@example.org]
    severities: [P9]
  json: {path: out.json, time_limit: soon}
";
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    let done = folder.veracity(&["run", "suite.yaml"]);
    assert_eq!(done.code, Some(2));
    assert_snapshot!(done.all());
    assert!(!folder.path().join("out.json").exists());
}

#[test]
fn processors_that_wait_for_each_other_are_named() {
    let folder = Folder::with_suite();
    let processors = "processors:\n  a: {use: json, path: a, after: [b]}\n  b: {use: json, path: b, after: [c]}\n  c: {use: json, path: c, after: [a]}\n";
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    assert_snapshot!(folder.veracity(&["run", "suite.yaml"]).all());
    let missing = processors.replace("[a]", "[aa]");
    folder.write("suite.yaml", &format!("{SUITE}{missing}"));
    assert_snapshot!(folder.veracity(&["run", "suite.yaml"]).all());
}

#[test]
fn health_is_asked_and_what_could_not_deliver_ends_with_4() {
    let folder = Folder::with_suite();
    let processors = "processors:\n  json: {path: out.json}\n  hook: {use: webhook, url: 'http://127.0.0.1:9/', allow_private: true}\n";
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    assert_snapshot!(
        folder
            .veracity(&["processors", "health", "suite.yaml"])
            .all()
    );
}

#[test]
fn a_processor_can_be_switched_off_and_on_where_there_is_a_store() {
    let folder = Folder::with_suite();
    let processors = "processors:\n  text: {use: console, path: out.txt}\n";
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    let disable = ["processors", "disable", "text", "--suite", "suite.yaml"];
    assert_snapshot!(folder.veracity(&disable).all());
    folder.write(
        "suite.yaml",
        &format!("{SUITE}{processors}store: sqlite://v.db\n"),
    );
    assert_eq!(folder.veracity(&disable).code, Some(0));
    let run = folder.veracity(&["run", "suite.yaml"]);
    assert!(run.stdout.contains("- disabled  text"), "{}", run.stdout);
    assert!(!folder.path().join("out.txt").exists());
    let enable = ["processors", "enable", "text", "--suite", "suite.yaml"];
    assert_eq!(folder.veracity(&enable).code, Some(0));
    folder.veracity(&["run", "suite.yaml"]);
    assert!(folder.path().join("out.txt").exists());
    let unknown = ["processors", "disable", "txet", "--suite", "suite.yaml"];
    assert!(
        folder
            .veracity(&unknown)
            .stderr
            .contains("did you mean `text`?")
    );
}

#[test]
fn a_stored_report_can_be_delivered_to_one_processor() {
    let folder = Folder::with_suite();
    let processors = "processors:\n  text: {use: console, path: out.txt}\n  other: {use: console, path: other.txt}\n";
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    let run = folder
        .command(&["run", "suite.yaml", "--format", "json"])
        .output()
        .unwrap();
    folder.write("report.json", &String::from_utf8(run.stdout).unwrap());
    for name in ["out.txt", "other.txt"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let replay = [
        "processors",
        "run",
        "text",
        "--suite",
        "suite.yaml",
        "--report",
        "report.json",
    ];
    let done = folder.veracity(&replay);
    assert!(
        done.stdout.starts_with("delivered  text  1 attempt"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    assert!(folder.read("out.txt").contains("PASSED"));
    assert!(!folder.path().join("other.txt").exists());
    folder.write("report.json", "{}");
    let wrong = folder.veracity(&replay);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("it is no report"), "{}", wrong.stderr);
}

#[test]
fn plugins_that_are_programs_are_found_and_run() {
    let folder = Folder::with_suite();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plugins");
    let processors = format!(
        "processors:\n  python-logger: {{file: python.log}}\n  shell-logger: {{file: shell.log}}\nplugins: {{directories: ['{examples}']}}\n"
    );
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    folder.write("broken/one/plugin.yaml", "name: [");
    let list = [
        "processors",
        "list",
        "--suite",
        "suite.yaml",
        "--plugins",
        "broken",
    ];
    let list = folder.veracity(&list);
    assert!(
        list.stdout.contains("python-logger  1.0.0"),
        "{}",
        list.stdout
    );
    assert!(
        list.stdout.contains("broken: one (broken/one): "),
        "{}",
        list.stdout
    );
    let run = folder.veracity(&["run", "suite.yaml"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for name in ["python.log", "shell.log"] {
        assert!(
            folder.read(name).contains("shop"),
            "{name}: {}",
            folder.read(name)
        );
    }
}
