//! What is wrong with arguments and suite files is told on stderr and ends with 2.

use super::harness::{Folder, SUITE};

fn told(arguments: &[&str]) -> String {
    let done = Folder::with_suite().veracity(arguments);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(2), ""),
        "{arguments:?}"
    );
    format!("$ veracity {}\n{}\n", arguments.join(" "), done.stderr)
}

#[test]
fn wrong_arguments_are_told_with_what_would_be_right() {
    let run = |option: &str, value: &str| told(&["run", "suite.yaml", option, value]);
    let all = [
        told(&["rum", "suite.yaml"]),
        told(&["run"]),
        told(&["run", "missing.yaml"]),
        told(&["run", "."]),
        told(&["run", "suite.yaml", "-q", "-v"]),
        told(&["run", "suite.yaml", "--fromat", "json"]),
        told(&["check", "orders.csv"]),
        told(&["completions", "cmd"]),
        run("--format", "xml"),
        run("--memory-limit", "256M"),
        run("--memory-limit", "lots"),
        run("--time-limit", "5m"),
        run("--date", "2026-02-30"),
        run("--tag", "prod"),
        run("--cores", "0"),
        run("--only", "dayly"),
    ];
    insta::assert_snapshot!(all.concat());
}

#[test]
fn mistakes_in_a_suite_are_shown_where_they_are() {
    let cases = [
        ("unknown key", "severity: P0", "sevrity: P0"),
        ("variable that is not set", "orders.csv", "${ORDERS_FILE}"),
        ("unknown dataset", "    tags: [daily]", "    dataset: order"),
        ("not YAML", "suite: shop", "suite: \"shop"),
        (
            "no assertion",
            "      - expect: uniqueness(id) = 1\n        tags: [keys]\n",
            "",
        ),
    ];
    let folder = Folder::empty();
    let mut all = String::new();
    for (label, from, to) in cases {
        let text = SUITE.replace(from, to);
        assert_ne!(text, SUITE, "{label}");
        folder.write("suite.yaml", &text);
        for command in ["run", "plan"] {
            let done = folder.veracity(&[command, "suite.yaml"]);
            assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{label}");
            if command == "run" {
                all.push_str(&format!("=== {label}\n{}\n", done.stderr));
            }
        }
    }
    insta::assert_snapshot!(all);
}
