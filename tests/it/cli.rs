//! The command as people and programs see it: output, messages and exit codes.

mod delivery;
mod harness;
mod init;
mod mistakes;
mod plugins;
mod processors;
#[cfg(unix)]
mod signals;

use std::io::Read;
use std::process::Stdio;

use harness::Folder;

/// The date of every run here, so that outputs do not depend on the day.
const DATE: [&str; 2] = ["--date", "2026-11-20"];

fn run(arguments: &[&str]) -> String {
    let arguments = [&["run", "suite.yaml"], arguments, &DATE].concat();
    Folder::with_suite().veracity(&arguments).all()
}

#[test]
fn a_suite_that_holds_ends_with_0() {
    insta::assert_snapshot!(run(&[]));
}

#[test]
fn quiet_is_one_line_if_all_holds() {
    insta::assert_snapshot!(run(&["-q"]));
}

#[test]
fn verbose_shows_every_value() {
    insta::assert_snapshot!(run(&["-v"]));
}

#[test]
fn labels_and_selection_are_part_of_the_report() {
    insta::assert_snapshot!(run(&["--tag", "env=prod", "--only", "keys"]));
    let by_check = Folder::with_suite();
    let done = by_check.veracity(&["run", "suite.yaml", "--only", "Orders are complete", "-q"]);
    assert!(done.stdout.contains("1 skipped"), "{}", done.stdout);
}

#[test]
fn json_is_the_report_and_nothing_else() {
    let folder = Folder::with_suite();
    let arguments = ["run", "suite.yaml", "--format", "json", "--tag", "env=prod"];
    let done = folder.veracity(&[&arguments[..], &DATE].concat());
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let report = done.json();
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["verdict"], "passed");
    assert_eq!(report["summary"]["declared"], 4);
    assert_eq!(report["run"]["key"]["tags"]["env"], "prod");
}

#[test]
fn a_suite_that_names_the_json_processor_alone_prints_json() {
    let folder = Folder::with_suite();
    let suite = harness::SUITE.to_owned() + "processors: {json: }\n";
    folder.write("suite.yaml", &suite);
    assert_eq!(
        folder.veracity(&["run", "suite.yaml"]).json()["verdict"],
        "passed"
    );
    let done = folder.veracity(&["run", "suite.yaml", "--format", "table"]);
    assert!(done.stdout.contains("✓ PASSED"), "{}", done.stdout);
}

#[test]
fn a_failed_assertion_ends_with_1() {
    let folder = Folder::with_suite();
    folder.write("suite.yaml", &harness::SUITE.replace(">= 0.7", ">= 0.9"));
    insta::assert_snapshot!(
        folder
            .veracity(&[&["run", "suite.yaml"][..], &DATE].concat())
            .all()
    );
    folder.write(
        "suite.yaml",
        &harness::SUITE
            .replace(">= 0.7", ">= 0.9")
            .replace("P0", "P2"),
    );
    assert_eq!(folder.veracity(&["run", "suite.yaml"]).code, Some(0));
}

#[test]
fn what_cannot_be_evaluated_ends_with_3_and_the_rest_is_reported() {
    let folder = Folder::with_suite();
    let suite = harness::SUITE.replace("completeness(email)", "completeness(emial)");
    folder.write("suite.yaml", &suite);
    insta::assert_snapshot!(
        folder
            .veracity(&[&["run", "suite.yaml"][..], &DATE].concat())
            .all()
    );
}

#[test]
fn a_suite_is_read_from_stdin() {
    let folder = Folder::with_suite();
    let mut command = folder.command(&["run", "-", "-q"]);
    command.stdin(std::fs::File::open(folder.path().join("suite.yaml")).unwrap());
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn a_suite_in_another_folder_finds_its_data() {
    let folder = Folder::empty();
    folder.write("data/orders.csv", harness::ORDERS);
    let suite = harness::SUITE.replace("orders.csv", "../data/{region}*.csv");
    folder.write("checks/suite.yaml", &suite);
    let done = folder.veracity(&["run", "checks/suite.yaml", "--var", "region=ord"]);
    assert_eq!(done.code, Some(0), "{}", done.all());
}

#[test]
fn variables_outweigh_the_environment() {
    let folder = Folder::with_suite();
    folder.write(
        "suite.yaml",
        &harness::SUITE.replace("orders.csv", "${FILE}.csv"),
    );
    let with = |arguments: &[&str], value: Option<&str>| {
        let mut command = folder.command(&[&["run", "suite.yaml", "-q"], arguments].concat());
        command
            .env_remove("FILE")
            .envs(value.map(|value| ("FILE", value)));
        command.output().unwrap().status.code()
    };
    assert_eq!(with(&[], Some("orders")), Some(0));
    assert_eq!(with(&["--var", "FILE=orders"], Some("missing")), Some(0));
    assert_eq!(with(&[], Some("missing")), Some(3));
    assert_eq!(with(&[], None), Some(2));
}

#[test]
fn the_environment_stands_for_options() {
    let folder = Folder::with_suite();
    let mut command = folder.command(&["run", "suite.yaml"]);
    command.envs([
        ("VERACITY_FORMAT", "json"),
        ("VERACITY_MEMORY_LIMIT", "64MiB"),
    ]);
    command.envs([("VERACITY_DATE", "2001-02-03"), ("VERACITY_CORES", "1")]);
    let done = harness::Done::of(&command.output().unwrap());
    assert_eq!(done.json()["run"]["key"]["date"], "2001-02-03");
}

#[test]
fn colors_are_used_when_asked_for() {
    let folder = Folder::with_suite();
    let is_colored = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = folder.command(&[&["run", "suite.yaml"], arguments].concat());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!is_colored(&[], &[]));
    assert!(is_colored(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(is_colored(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_colored(
        &[],
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
    assert!(!is_colored(
        &["--color", "never"],
        &[("CLICOLOR_FORCE", "1")]
    ));
}

#[test]
fn a_reader_that_has_seen_enough_changes_nothing() {
    let folder = Folder::with_suite();
    let listing = folder.command(&["metrics"]).stdout(Stdio::piped()).spawn();
    let mut listing = listing.unwrap();
    drop(listing.stdout.take());
    assert_eq!(listing.wait().unwrap().code(), Some(0));

    folder.write("suite.yaml", &harness::SUITE.replace(">= 0.7", ">= 0.9"));
    let mut command = folder.command(&["run", "suite.yaml", "--format", "json"]);
    let mut run = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(run.stdout.take());
    let mut messages = String::new();
    run.stderr
        .take()
        .unwrap()
        .read_to_string(&mut messages)
        .unwrap();
    assert_eq!(
        (run.wait().unwrap().code(), messages.as_str()),
        (Some(1), "")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_ends_with_4_unless_the_verdict_is_worse() {
    let folder = Folder::with_suite();
    let code = || {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = folder.command(&["run", "suite.yaml"]);
        let output = command.stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("error: cannot write to stdout: "),
            "{said}"
        );
        output.status.code()
    };
    assert_eq!(code(), Some(4));
    folder.write("suite.yaml", &harness::SUITE.replace(">= 0.7", ">= 0.9"));
    assert_eq!(code(), Some(1));
}

#[test]
fn a_plan_tells_what_would_be_read() {
    let folder = Folder::with_suite();
    insta::assert_snapshot!(folder.veracity(&["plan", "suite.yaml"]).all());
    let done = folder.veracity(&["plan", "suite.yaml", "--format", "json"]);
    assert_eq!(done.code, Some(0));
    assert_eq!(done.json()["datasets"][0]["dataset"], "orders");
}

#[test]
fn a_plan_with_errors_ends_with_3() {
    let folder = Folder::with_suite();
    let suite = harness::SUITE.replace("completeness(email)", "completness(email)");
    folder.write("suite.yaml", &suite);
    insta::assert_snapshot!(folder.veracity(&["plan", "suite.yaml"]).all());
}

#[test]
fn a_file_is_checked_without_a_suite() {
    let folder = Folder::with_suite();
    let check = |arguments: &[&str]| {
        folder
            .veracity(&[&["check", "orders.csv"], arguments, &DATE].concat())
            .all()
    };
    let mut all = String::new();
    for arguments in [
        &["row_count() = 4", "completeness(orders.id) = 1"][..],
        &["uniqueness(day) = 1"],
        &["--rows", "amount > 2", "--rows", "id < 9"],
        &["completeness(emial) = 1", "row_count() > 0"],
    ] {
        all.push_str(&format!(
            "$ veracity check orders.csv {arguments:?}\n{}\n",
            check(arguments)
        ));
    }
    let missing =
        folder.veracity(&[&["check", "order.csv", "row_count() > 0"][..], &DATE].concat());
    all.push_str(&format!("$ veracity check order.csv\n{}", missing.all()));
    insta::assert_snapshot!(all);
}

#[test]
fn metrics_are_listed() {
    let folder = Folder::empty();
    insta::assert_snapshot!(folder.veracity(&["metrics"]).all());
    let listing = folder.veracity(&["metrics", "--format", "json"]).json();
    let names = listing["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"]);
    assert!(names.into_iter().any(|name| name == "completeness"));
}

#[test]
fn schemas_are_json_and_describe_themselves() {
    for of in ["suite", "report", "plan"] {
        let schema = Folder::empty().veracity(&["schema", of]).json();
        assert!(schema["$schema"].is_string(), "{of}");
        assert!(schema["properties"].is_object(), "{of}");
    }
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = Folder::empty().veracity(&["completions", shell]);
        assert_eq!(done.code, Some(0), "{shell}");
        assert!(done.stdout.contains("memory-limit"), "{shell}");
    }
}

#[test]
fn help_begins_with_usage_and_examples() {
    let folder = Folder::empty();
    let mut all = folder.veracity(&["--help"]).all();
    for command in [
        "run",
        "plan",
        "check",
        "init",
        "metrics",
        "schema",
        "completions",
    ] {
        let done = folder.veracity(&[command, "--help"]);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
        all.push_str(&format!("\n=== {command}\n{}", done.stdout));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn without_arguments_there_is_help_and_with_version_the_version() {
    let folder = Folder::empty();
    let done = folder.veracity(&[]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert!(done.stderr.contains("veracity init orders.parquet"));
    let done = folder.veracity(&["--version"]);
    assert_eq!(
        done.stdout,
        format!("veracity {}\n", env!("CARGO_PKG_VERSION"))
    );
}
