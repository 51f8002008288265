//! Before a run, after it, and when something went wrong: who is called, and how.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_host::{Before, Host};
use veracity_processor::DeliveryStatus::{Dead, Delivered, Skipped};
use veracity_processor::{Delivery, Report, Status, Summary, Upcoming, Verdict};

use crate::ground::{Ground, SLACK, assert_ended, deliver, listed, named, of, report, started};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    a_gate_ends_the_run_and_later_waves_are_not_asked,
    a_gate_that_fails_lets_the_run_go_on,
    gates_are_asked_under_conditions,
    executables_can_be_gates,
    what_a_gate_remembers_it_knows_after_the_run,
    a_gate_is_told_of_the_run_that_follows,
    who_serves_which_stage_is_called_there,
    conditions_on_verdict_and_suite_are_kept,
    only_the_results_of_some_datasets,
    who_serves_no_stage_after_the_run_is_in_no_delivery,
    stages_that_a_plugin_does_not_serve_are_refused,
    outputs_are_written_and_never_stored,
    what_is_no_output_is_refused,
];

fn ask(host: &Host, upcoming: &Upcoming) -> Before {
    let begun = Instant::now();
    host.announce(upcoming);
    let before = host.before_run(upcoming);
    assert!(begun.elapsed() < Duration::from_secs(10) + SLACK);
    before
}

fn upcoming() -> Upcoming {
    Upcoming::of(&report())
}

fn closed(before: &Before) -> Option<(&str, &str)> {
    let closed = before.closed.as_ref()?;
    Some((closed.by.as_str(), closed.reason.as_str()))
}

fn asked(ground: &Ground) -> Vec<String> {
    let calls = ground.calls("before_run");
    let mut names: Vec<String> = calls
        .iter()
        .map(|call| call["instance"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn a_gate_ends_the_run_and_later_waves_are_not_asked() {
    let ground = Ground::new();
    let gate = |what: &str, priority: i64| {
        ground.stager(json!({"before_run": what, "priority": priority}))
    };
    /// Gates with what they do and their priority; who closes it and why; who is asked.
    type Case = (
        &'static [(&'static str, &'static str, i64)],
        Option<(&'static str, &'static str)>,
        &'static [&'static str],
    );
    let cases: &[Case] = &[
        (
            &[("a", "", 1), ("b", "skip", 2), ("c", "note: x", 3)],
            None,
            &["a", "b", "c"],
        ),
        (
            &[
                ("a", "", 1),
                ("b", "stop: holiday", 2),
                ("c", "", 3),
                ("d", "stop: night", 3),
            ],
            Some(("b", "holiday")),
            &["a", "b"],
        ),
        // Of one wave the first by name.
        (
            &[("b", "stop: b", 1), ("a", "stop: a", 1), ("c", "", 1)],
            Some(("a", "a")),
            &["a", "b", "c"],
        ),
    ];
    for (gates, expected, asks) in cases {
        let _ = std::fs::remove_file(ground.folder.join("calls"));
        let gates: Vec<(&str, Value)> = gates
            .iter()
            .map(|&(name, what, priority)| (name, gate(what, priority)))
            .collect();
        let host = started(ground.configuration(&gates));
        let before = ask(&host, &upcoming());
        assert_eq!(closed(&before), *expected);
        assert_eq!(asked(&ground), *asks);
        let notes: Vec<&str> = before.warnings.iter().map(String::as_str).collect();
        let expected: &[&str] = if asks.len() == 3 && expected.is_none() {
            &["`c`: x"]
        } else {
            &[]
        };
        assert_eq!(notes, expected);
        host.shutdown();
    }
    // A reason without secrets; and none at all.
    let part = json!({"before_run": "tell the password", "password": "hunter22"});
    let host = started(ground.configuration(&[("a", ground.stager(part))]));
    assert_eq!(closed(&ask(&host, &upcoming())), Some(("a", "***")));
    // Those that are switched off are not asked.
    let part = json!({"before_run": "stop", "enabled": false});
    let host = started(ground.configuration(&[("a", ground.stager(part))]));
    assert_eq!(closed(&ask(&host, &upcoming())), None);
}

fn a_gate_that_fails_lets_the_run_go_on() {
    let cases = [
        (json!({"before_run": "permanent"}), "refused"),
        (json!({"before_run": "retryable"}), "busy"),
        (json!({"before_run": "panic"}), "panicked: text at "),
        (
            json!({"before_run": "never be ready", "time_limit": "500ms"}),
            "no answer within 500ms",
        ),
        (
            json!({"before_run": "block", "millis": 600_000, "time_limit": "500ms"}),
            "no answer within 500ms",
        ),
        (
            json!({"before_run": "abort", "isolation": "process", "time_limit": "60s"}),
            "SIGABRT",
        ),
        (json!({"startup": "permanent"}), "refused"),
        (json!({"startup": "panic"}), "panicked: text at "),
        (
            json!({"startup": "never be ready", "time_limit": "500ms"}),
            "500ms",
        ),
    ];
    for (part, expected) in cases {
        let ground = Ground::new();
        let host = started(ground.configuration(&[
            ("bad", ground.stager(part.clone())),
            ("good", ground.stager(json!({"priority": 200}))),
        ]));
        let before = ask(&host, &upcoming());
        assert_eq!(closed(&before), None, "{part}");
        let begin = "`bad` could not say whether the run may begin: ";
        assert_eq!(before.warnings.len(), 1, "{part}: {before:?}");
        let warning = &before.warnings[0];
        assert!(
            warning.starts_with(begin) && warning.contains(expected),
            "{part}: {warning}"
        );
        let mut asks = asked(&ground);
        asks.dedup();
        assert_eq!(asks.last().unwrap(), "good", "{part}");
        let calls = ground.calls("before_run");
        let bad = calls.iter().filter(|call| call["instance"] == "bad");
        assert!(bad.count() <= 1, "{part}: it is not tried again");
        host.shutdown();
    }
}

fn gates_are_asked_under_conditions() {
    let mut run = upcoming();
    run.run.suite = "orders.daily".to_owned();
    run.datasets = vec!["orders".to_owned(), "customers".to_owned()];
    run.tags = vec!["daily".to_owned()];
    run.checks = vec!["keys".to_owned()];
    let cases = [
        (json!({}), true),
        (json!({"suites": ["orders.*"]}), true),
        (json!({"suites": ["customers.*"]}), false),
        (json!({"datasets": ["cust*"]}), true),
        (json!({"datasets": ["flights", "lines"]}), false),
        (json!({"tags": ["weekly", "daily"]}), true),
        (json!({"tags": ["weekly"]}), false),
        (json!({"checks": ["keys"]}), true),
        (json!({"checks": ["others"]}), false),
        // Nothing has a verdict yet, and no result a severity.
        (
            json!({"verdicts": ["passed"], "severities": ["P0"], "on": "failure"}),
            true,
        ),
        (json!({"use": "gatekeeper"}), true),
        (json!({"use": "gatekeeper", "suites": ["flights"]}), false),
        (json!({"stages": ["after_run"]}), false),
        (json!({"stages": ["after_run", "before_run"]}), true),
        (json!({"use": "undertaker"}), false),
    ];
    for (part, expected) in cases {
        let ground = Ground::new();
        let mut part = part.clone();
        part["before_run"] = "stop: asked".into();
        let host = started(ground.configuration(&[("gate", ground.stager(part.clone()))]));
        let before = ask(&host, &run);
        assert_eq!(before.closed.is_some(), expected, "{part}");
        host.shutdown();
    }
    // The plugin's own conditions, where the suite says nothing else.
    let ground = Ground::new();
    let part = json!({"use": "gatekeeper", "before_run": "stop"});
    let host = started(ground.configuration(&[("gate", ground.stager(part))]));
    run.run.suite = "flights".to_owned();
    assert_eq!(closed(&ask(&host, &run)), None);
}

fn executables_can_be_gates() {
    let ground = Ground::new();
    let folder = ground.folder.join("plugins/gate");
    std::fs::create_dir_all(&folder).unwrap();
    let script = r#"import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "start":
        print(json.dumps({"type": "ready"}), flush=True)
    elif request["type"] == "before_run":
        run, context = request["run"], request["context"]
        seen = context["state"].get("seen", 0) + 1
        reason = f"{run['run']['suite']}, {len(run['datasets'])} datasets, {context['stage']}, {seen}"
        print(json.dumps({"type": "outcome", "status": "stop", "reason": reason,
            "state": {"seen": seen}}), flush=True)
    else:
        break
"#;
    std::fs::write(folder.join("gate.py"), script).unwrap();
    std::fs::write(
        folder.join("plugin.yaml"),
        "name: gate\nkind: processor\nversion: 1.0.0\ndescription: x\n\
         command: [python3, gate.py]\nstages: [before_run]\nconditions: {suites: [orders]}\n",
    )
    .unwrap();
    let mut configuration = ground.configuration(&[("gate", json!({"time_limit": "60s"}))]);
    configuration.directories = vec!["plugins".into()];
    configuration.store = Some("sqlite:store.db".into());
    for seen in 1..=2 {
        let host = started(configuration.clone());
        let run = upcoming();
        let reason = format!(
            "orders, {} datasets, before_run, {seen}",
            run.datasets.len()
        );
        let before = ask(&host, &run);
        assert_eq!(closed(&before), Some(("gate", &*reason)), "{before:?}");
        let mut other = run.clone();
        other.run.suite = "flights".to_owned();
        assert_eq!(closed(&ask(&host, &other)), None);
        let delivered = deliver(&host, &report());
        assert!(delivered.deliveries.is_empty(), "{delivered:?}");
        assert_eq!(host.shutdown(), Vec::<String>::new());
    }
}

/// As a lineage needs it: what began is to be ended.
fn what_a_gate_remembers_it_knows_after_the_run() {
    for (isolation, store) in [
        ("thread", None),
        ("thread", Some("sqlite:store.db")),
        ("process", None),
        ("process", Some("sqlite:store.db")),
    ] {
        let ground = Ground::new();
        let part = json!({"set": {"began": 7}, "isolation": isolation, "time_limit": "60s"});
        let mut configuration = ground.configuration(&[("p", ground.stager(part))]);
        configuration.store = store.map(Into::into);
        let host = started(configuration);
        let report = report();
        let before = ask(&host, &Upcoming::of(&report));
        assert_eq!(before.warnings, Vec::<String>::new());
        assert_eq!(ground.calls("before_run")[0]["state"], json!({}));
        deliver(&host, &report);
        let call = &ground.calls("process")[0];
        assert_eq!(call["state"], json!({"began": 7}), "{isolation}, {store:?}");
        assert_eq!(call["run"], ground.calls("before_run")[0]["run"]);
        assert_ne!(call["key"], ground.calls("before_run")[0]["key"]);
        host.shutdown();
    }
    let ground = Ground::new();
    let part = json!({"set": {"much": "x".repeat(70_000)}});
    let host = started(ground.configuration(&[("p", ground.stager(part))]));
    let before = ask(&host, &upcoming());
    let told = "`p`: its state was not kept: it is 7";
    assert!(before.warnings[0].starts_with(told), "{before:?}");
}

fn a_gate_is_told_of_the_run_that_follows() {
    let ground = Ground::new();
    let host = started(ground.configuration(&[("p", ground.stager(json!({})))]));
    let report = report();
    let run = Upcoming::of(&report);
    ask(&host, &run);
    let call = &ground.calls("before_run")[0];
    assert_eq!(call["run"], json!(report.run.id));
    assert_eq!(call["datasets"], json!(run.datasets));
    assert_eq!(call["tags"], json!(run.tags));
    assert_eq!(
        (&call["stage"], &call["attempt"]),
        (&json!("before_run"), &json!(1))
    );
    assert!(!call["key"].as_str().unwrap().is_empty());
}

/// A report in which everything was evaluated.
fn sound() -> Report {
    let mut report = report();
    report
        .results
        .retain(|result| result.status == Status::Passed);
    for dataset in &mut report.datasets {
        dataset.error = None;
    }
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::Passed;
    report
}

fn who_serves_which_stage_is_called_there() {
    let unread = || {
        let mut report = sound();
        report.datasets[0].error = Some("it is not there".to_owned());
        report
    };
    let interrupted = || {
        let mut report = sound();
        report.run.interrupted = Some("SIGTERM".to_owned());
        report
    };
    let gated = || {
        let mut report = interrupted();
        report.run.gate = Some("calendar".to_owned());
        report
    };
    let reports: [(&str, Report, bool); 5] = [
        ("sound", sound(), false),
        ("with errors", report(), true),
        ("a dataset is not read", unread(), true),
        ("interrupted", interrupted(), true),
        ("a gate closed it", gated(), false),
    ];
    let stages = [
        (json!(["after_run"]), Some("after_run"), Some("after_run")),
        (json!(["on_error"]), None, Some("on_error")),
        (
            json!(["after_run", "on_error"]),
            Some("after_run"),
            Some("on_error"),
        ),
        (json!(["dead_letter"]), None, None),
    ];
    for (label, report, has_error) in reports {
        for (served, without, with) in &stages {
            let ground = Ground::new();
            let part = ground.stager(json!({"stages": served}));
            let host = ground.host(&[("p", part)]);
            let delivered = deliver(&host, &report);
            let expected = if has_error { with } else { without };
            let calls = ground.calls("process");
            let stage = calls.first().map(|call| call["stage"].as_str().unwrap());
            assert_eq!(stage, *expected, "{label}, {served}");
            let told = delivered.deliveries.first();
            match (stage, served == &json!(["dead_letter"])) {
                (Some(_), _) => assert_ended(told.unwrap(), Delivered, ""),
                (None, false) => {
                    let note = told.and_then(|delivery| delivery.note.as_deref());
                    assert_eq!(note, Some("the run had no error"), "{label}, {served}");
                }
                (None, true) => assert!(told.is_none(), "{label}"),
            }
        }
    }
}

fn conditions_on_verdict_and_suite_are_kept() {
    let cases = [
        (json!({"verdicts": ["failed"]}), None),
        (
            json!({"verdicts": ["passed", "not_evaluated"]}),
            Some("it is not for the verdict `failed`"),
        ),
        (json!({"suites": ["ord*"]}), None),
        (
            json!({"suites": ["flights"]}),
            Some("it is not for this suite"),
        ),
        (json!({"suites": ["orders"], "verdicts": ["failed"]}), None),
    ];
    for (part, expected) in cases {
        let ground = Ground::new();
        let host = ground.host(&[("p", ground.stager(part.clone()))]);
        let delivered = deliver(&host, &report());
        let delivery: &Delivery = of(&delivered, "p");
        match expected {
            None => assert_ended(delivery, Delivered, ""),
            Some(note) => {
                assert_ended(delivery, Skipped, "");
                assert_eq!(delivery.note.as_deref(), Some(note), "{part}");
            }
        }
    }
}

fn only_the_results_of_some_datasets() {
    let report = report();
    let mut all: Vec<&str> = report
        .results
        .iter()
        .map(|result| &*result.dataset)
        .collect();
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 1, "{all:?}");
    let first = all[0].to_owned();
    let beginning = format!("{}*", &first[..3]);
    for (datasets, expected) in [
        (json!([first]), Some(vec![first.clone()])),
        (
            json!([beginning, "none"]),
            Some(
                all.iter()
                    .filter(|name| name.starts_with(&first[..3]))
                    .map(|&name| name.to_owned())
                    .collect(),
            ),
        ),
        (
            json!(["*"]),
            Some(all.iter().map(|&name| name.to_owned()).collect()),
        ),
        (json!(["none"]), None),
    ] {
        let ground = Ground::new();
        let host = ground.host(&[("p", ground.stager(json!({"datasets": datasets})))]);
        let delivered = deliver(&host, &report);
        match expected {
            Some(expected) => assert_eq!(ground.calls("process")[0]["datasets"], json!(expected)),
            None => {
                assert_ended(of(&delivered, "p"), Skipped, "");
                let note = of(&delivered, "p").note.as_deref();
                assert_eq!(note, Some("no result it asks for"));
            }
        }
    }
}

fn who_serves_no_stage_after_the_run_is_in_no_delivery() {
    let ground = Ground::new();
    let host = ground.stored(&[
        (
            "gate",
            ground.stager(json!({"use": "gatekeeper", "required": true})),
        ),
        (
            "reader",
            ground.stager(json!({"use": "undertaker", "required": true})),
        ),
        (
            "off",
            ground.stager(json!({"use": "undertaker", "enabled": false})),
        ),
        ("p", ground.stager(json!({"after": ["gate"]}))),
    ]);
    let delivered = deliver(&host, &report());
    let names: Vec<&str> = delivered
        .deliveries
        .iter()
        .map(|one| &*one.processor)
        .collect();
    assert_eq!(names, ["p"]);
    assert!(delivered.is_complete());
    assert_eq!(listed(&host, &[]).len(), 1);
    host.shutdown();
}

fn stages_that_a_plugin_does_not_serve_are_refused() {
    let ground = Ground::new();
    let cases = [
        (
            json!({"use": "undertaker", "stages": ["after_run"]}),
            "p.stages[0]: `undertaker` does not serve `after_run`; it serves `dead_letter`",
        ),
        (
            json!({"use": "player", "stages": ["after_run", "before_run"]}),
            "p.stages[1]: `player` does not serve `before_run`; it serves `after_run`",
        ),
        (
            json!({"use": "stager", "stages": ["before"]}),
            "p.stages[0]: ",
        ),
    ];
    for (part, expected) in cases {
        let error = Host::prepare(ground.configuration(&[("p", part.clone())])).unwrap_err();
        let told = error.0[0].to_string();
        assert!(told.starts_with(expected), "{part}: {told}");
    }
}

fn outputs_are_written_and_never_stored() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[
        ("p", ground.stager(json!({}))),
        ("reader", ground.stager(json!({"use": "undertaker"}))),
    ]);
    configuration.store = Some("sqlite:store.db".into());
    configuration.outputs = named(&[
        (
            "good",
            json!({"use": "scribe", "path": ground.file("good")}),
        ),
        (
            "bad",
            json!({"use": "scribe", "path": ground.file("no/such/folder"), "required": true}),
        ),
    ]);
    let host = started(configuration.clone());
    let report = report();
    let delivered = deliver(&host, &report);
    assert_ended(of(&delivered, "good"), Delivered, "");
    assert_ended(of(&delivered, "bad"), Dead, "No such file");
    assert!(!of(&delivered, "bad").pending && !delivered.is_complete());
    let written = std::fs::read_to_string(ground.folder.join("good")).unwrap();
    assert_eq!(written, report.run.id.to_string());
    let stored: Vec<String> = listed(&host, &[])
        .into_iter()
        .map(|one| one.processor)
        .collect();
    assert!(
        !stored.iter().any(|name| name == "good" || name == "bad"),
        "{stored:?}"
    );
    // Somebody is told, all the same.
    let letters = ground.calls("dead_letter");
    assert_eq!(letters.len(), 1, "{delivered:?}");
    assert_eq!(letters[0]["dead"], "bad");
    host.shutdown();
    // A processor of earlier runs was called like an output.
    let needs = json!({"needs": ground.file("up"), "retries": 0});
    let mut earlier = configuration.clone();
    earlier.outputs.clear();
    earlier.processors = named(&[("good", ground.player(needs))]);
    let host = started(earlier);
    assert!(of(&deliver(&host, &report_of_now()), "good").pending);
    host.shutdown();
    std::thread::sleep(Duration::from_millis(700));
    let host = started(configuration);
    let last = report_of_now();
    let delivered = deliver(&host, &last);
    assert!(
        delivered
            .resumed
            .iter()
            .all(|one| one.delivery.processor != "good"),
        "{delivered:?}"
    );
    let written = std::fs::read_to_string(ground.folder.join("good")).unwrap();
    assert_eq!(written, last.run.id.to_string());
    host.shutdown();
}

fn report_of_now() -> Report {
    report()
}

fn what_is_no_output_is_refused() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[("p", ground.stager(json!({})))]);
    configuration.outputs = named(&[
        ("q", json!({"use": "stager"})),
        ("p", json!({"use": "scribe", "path": "x"})),
    ]);
    let error = Host::prepare(configuration).unwrap_err();
    let told: Vec<String> = error.0.iter().map(ToString::to_string).collect();
    assert!(
        told.iter()
            .any(|text| text
                == "q: `stager` writes no report into a file; those that do are `scribe`"),
        "{told:?}"
    );
    assert!(
        told.iter().any(|text| text == "p: `p` is configured twice"),
        "{told:?}"
    );
}
