//! Who gets a report, which part of it, and in which order.

use std::time::Duration;

use serde_json::{Value, json};
use veracity_processor::DeliveryStatus::{Dead, Delivered, Disabled, Skipped, SkippedDependency};
use veracity_processor::{Report, Severity, Status, Summary, Verdict};

use crate::ground::{Ground, assert_ended, deliver, of, report};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    waves_go_by_dependency_then_by_priority,
    a_wave_waits_for_the_one_before_and_runs_at_the_same_time,
    who_comes_after_one_that_failed_is_left_out_unless_it_always_wants,
    who_comes_after_one_that_was_skipped_or_disabled_is_not,
    stop_ends_the_waves_that_follow,
    filters_choose_results_and_verdict_and_summary_stay,
    a_processor_that_wants_failures_gets_failures,
    a_processor_that_wants_changes_gets_changes,
    sample_rows_are_for_those_who_may_see_them,
    switched_off_is_told_and_harms_nothing,
    required_decides_whether_a_run_is_complete,
    a_report_can_be_replayed_into_one_processor,
];

fn waves_go_by_dependency_then_by_priority() {
    let ground = Ground::new();
    let part = |settings: Value| ground.player(settings);
    let follower = json!({"use": "follower", "record": ground.file("record"), "priority": 6});
    let host = ground.host(&[
        ("last", part(json!({"priority": 300}))),
        ("first", part(json!({"priority": -5}))),
        (
            "waits",
            part(json!({"priority": 1, "after": ["last", "second"]})),
        ),
        ("follows", follower),
        ("second", part(json!({"priority": 7}))),
    ]);
    let waves: Vec<Vec<&str>> = host
        .waves()
        .iter()
        .map(|wave| wave.iter().map(|one| one.name.as_str()).collect())
        .collect();
    // `follower` comes after every instance of `player`.
    assert_eq!(
        waves,
        [["first"], ["second"], ["last"], ["waits"], ["follows"]]
    );
    let delivered = deliver(&host, &report());
    assert!(delivered.is_complete(), "{delivered:?}");
    let expected = ["first", "second", "last", "waits", "follows"];
    assert_eq!(ground.done(), expected);
    let told: Vec<&str> = delivered
        .deliveries
        .iter()
        .map(|delivery| delivery.processor.as_str())
        .collect();
    assert_eq!(told, expected);
}

fn a_wave_waits_for_the_one_before_and_runs_at_the_same_time() {
    let ground = Ground::new();
    // Eight who take three seconds each: one after another they would take 24.
    let slow = |number: i32| {
        let part = json!({"process": "be late", "millis": 3_000});
        (format!("slow{number}"), ground.player(part))
    };
    let mut parts: Vec<(String, Value)> = (0..8).map(slow).collect();
    parts.push(("after".to_owned(), ground.player(json!({"priority": 101}))));
    let parts: Vec<(&str, Value)> = parts.iter().map(|(n, p)| (n.as_str(), p.clone())).collect();
    let host = ground.host(&parts);
    let begun = std::time::Instant::now();
    assert!(deliver(&host, &report()).is_complete());
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ground.done().last().unwrap(), "after");
    let words: Vec<String> = ground.record().iter().map(|line| line[0].clone()).collect();
    let called = words.iter().position(|word| word == "done").unwrap();
    let before = words[..called].iter().filter(|word| *word == "called");
    assert_eq!(before.count(), 8, "all are called before one is done");
}

fn who_comes_after_one_that_failed_is_left_out_unless_it_always_wants() {
    let ground = Ground::new();
    for fault in ["permanent", "panic", "never be ready"] {
        let bad = json!({"process": fault, "time_limit": "300ms", "retries": 0});
        let host = ground.host(&[
            ("bad", ground.player(bad)),
            (
                "after",
                ground.player(json!({"after": ["bad"], "required": true})),
            ),
            ("after-after", ground.player(json!({"after": ["after"]}))),
            (
                "always",
                ground.player(json!({"after": ["bad"], "when": "always"})),
            ),
            ("other", ground.player(json!({"priority": 200}))),
        ]);
        let delivered = deliver(&host, &report());
        let text = "`bad`, which it comes after, did not deliver";
        assert_ended(of(&delivered, "after"), SkippedDependency, text);
        let text = "`after`, which it comes after, did not deliver";
        assert_ended(of(&delivered, "after-after"), SkippedDependency, text);
        assert_ended(of(&delivered, "always"), Delivered, "");
        assert_ended(of(&delivered, "other"), Delivered, "");
        assert!(!delivered.is_complete());
    }
}

fn who_comes_after_one_that_was_skipped_or_disabled_is_not() {
    let ground = Ground::new();
    let host = ground.host(&[
        ("off", ground.player(json!({"enabled": false}))),
        ("skips", ground.player(json!({"process": "skip"}))),
        ("filtered", ground.player(json!({"tags": ["no such"]}))),
        (
            "after",
            ground.player(json!({"after": ["off", "skips", "filtered"]})),
        ),
    ]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "after"), Delivered, "");
}

fn stop_ends_the_waves_that_follow() {
    let ground = Ground::new();
    let processors = [
        ("before", ground.player(json!({"priority": 1}))),
        ("beside", ground.player(json!({"priority": 2}))),
        (
            "gate",
            ground.player(json!({"priority": 2, "process": "stop"})),
        ),
        (
            "later",
            ground.player(json!({"priority": 3, "required": true})),
        ),
        (
            "much-later",
            ground.player(json!({"priority": 4, "when": "always"})),
        ),
    ];
    for host in [ground.host(&processors), ground.stored(&processors)] {
        let delivered = deliver(&host, &report());
        for name in ["before", "beside", "gate"] {
            assert_ended(of(&delivered, name), Delivered, "");
        }
        assert_eq!(of(&delivered, "gate").note.as_deref(), Some("enough"));
        for name in ["later", "much-later"] {
            assert_ended(of(&delivered, name), Skipped, "");
            let note = of(&delivered, name).note.as_deref();
            assert_eq!(note, Some("`gate` said stop: enough"));
        }
        assert!(delivered.is_complete());
        if host.keep().is_kept() {
            assert_eq!(
                crate::ground::pending(&host),
                [],
                "nothing is left for later"
            );
        }
    }
}

/// The digest of what `player` with `settings` gets of `report`.
fn given(settings: Value, report: &Report) -> Option<String> {
    let ground = Ground::new();
    let host = ground.host(&[("p", ground.player(settings))]);
    deliver(&host, report);
    ground.recorded("done").pop().map(|made| made.digest)
}

fn filters_choose_results_and_verdict_and_summary_stay() {
    let report = report();
    type Wanted<'w> = &'w dyn Fn(&veracity_processor::AssertionResult) -> bool;
    let cases: &[(Value, Wanted<'_>)] = &[
        (json!({}), &|_| true),
        (json!({"severities": ["P0", "P2"]}), &|one| {
            matches!(one.severity, Severity::P0 | Severity::P2)
        }),
        (json!({"statuses": ["failed", "error"]}), &|one| {
            matches!(one.status, Status::Failed | Status::Error)
        }),
        (json!({"tags": ["fleet", "weekly"]}), &|one| {
            one.tags.iter().any(|tag| tag == "fleet" || tag == "weekly")
        }),
        (json!({"checks": ["Weather is known"]}), &|one| {
            one.check == "Weather is known"
        }),
        (
            json!({"severities": ["P1"], "statuses": ["passed"]}),
            &|one| one.severity == Severity::P1 && one.status == Status::Passed,
        ),
    ];
    for (settings, wanted) in cases {
        let mut expected = report.clone();
        expected.results.retain(|one| wanted(one));
        assert!(!expected.results.is_empty(), "{settings}");
        let all = expected.results.len() == report.results.len();
        let used = |name: &String| {
            let mut results = expected.results.iter();
            all || results.any(|one| one.symbols.contains(name))
        };
        let symbols = report.symbols.iter().filter(|symbol| used(&symbol.name));
        expected.symbols = symbols.cloned().collect();
        expected.deliveries.clear();
        for result in &mut expected.results {
            result.sample.clear();
        }
        let digest = crate::player::digest(&expected);
        assert_eq!(given(settings.clone(), &report), Some(digest), "{settings}");
    }
    for settings in [json!({"tags": ["no such"]}), json!({"checks": ["no such"]})] {
        assert_eq!(given(settings, &report), None);
    }
}

fn a_processor_that_wants_failures_gets_failures() {
    let failed = report();
    let mut passed = report();
    passed.results.retain(|one| one.status == Status::Passed);
    passed.summary = Summary::of(&passed.results);
    passed.verdict = Verdict::Passed;
    let mut nothing = report();
    nothing.results.clear();
    nothing.summary = Summary::default();
    let cases = [
        (&failed, json!({"on": "failure"}), true),
        (
            &failed,
            json!({"on": "failure", "statuses": ["passed"]}),
            false,
        ),
        (
            &failed,
            json!({"on": "failure", "severities": ["P0"]}),
            true,
        ),
        (&passed, json!({"on": "failure"}), false),
        (&passed, json!({"on": "always"}), true),
        (&nothing, json!({"on": "failure"}), true),
    ];
    for (report, settings, expected) in cases {
        let label = settings.to_string();
        assert_eq!(given(settings, report).is_some(), expected, "{label}");
    }
}

fn a_processor_that_wants_changes_gets_changes() {
    let ground = Ground::new();
    let processors = [
        ("all", ground.player(json!({"on": "change"}))),
        (
            "p0",
            ground.player(json!({"on": "change", "severities": ["P0"]})),
        ),
    ];
    let delivered = |change: &dyn Fn(&mut Report)| {
        let host = ground.stored(&processors);
        let mut report = report();
        change(&mut report);
        let delivered = deliver(&host, &report);
        ["all", "p0"].map(|name| of(&delivered, name).status)
    };
    let p3_fails = |report: &mut Report| {
        let mut results = report.results.iter_mut();
        let one = results.find(|one| one.severity == Severity::P3).unwrap();
        one.status = Status::Error;
    };
    assert_eq!(
        delivered(&|_| {}),
        [Delivered, Delivered],
        "it is the first"
    );
    assert_eq!(delivered(&|_| {}), [Skipped, Skipped]);
    assert_eq!(delivered(&p3_fails), [Delivered, Skipped]);
    assert_eq!(delivered(&p3_fails), [Skipped, Skipped]);
    assert_eq!(delivered(&|_| {}), [Delivered, Skipped], "and back");
}

fn sample_rows_are_for_those_who_may_see_them() {
    let report = report();
    assert!(report.results.iter().any(|one| !one.sample.is_empty()));
    let mut without = report.clone();
    without.deliveries.clear();
    for result in &mut without.results {
        result.sample.clear();
    }
    let digest = crate::player::digest(&without);
    assert_eq!(given(json!({}), &report), Some(digest));
}

fn switched_off_is_told_and_harms_nothing() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[
        (
            "by-setting",
            ground.player(json!({"enabled": false, "required": true})),
        ),
        ("by-name", ground.player(json!({"required": true}))),
        (
            "follower",
            json!({"required": true, "record": ground.file("record")}),
        ),
        (
            "future",
            json!({"use": "from-the-future", "enabled": false, "required": true}),
        ),
        ("on", ground.player(json!({}))),
    ]);
    configuration.disabled = vec!["by-name".to_owned(), "follower".to_owned()];
    let host = veracity_host::Host::prepare(configuration).unwrap();
    host.start();
    let delivered = deliver(&host, &report());
    let cases = [
        ("by-setting", "`enabled` is false"),
        ("by-name", "`by-name` is disabled"),
        ("follower", "processor `follower` is disabled"),
        ("future", "`enabled` is false"),
    ];
    for (name, note) in cases {
        let delivery = of(&delivered, name);
        assert_ended(delivery, Disabled, "");
        assert_eq!(delivery.note.as_deref(), Some(note));
    }
    assert_eq!(ground.done(), ["on"]);
    assert!(delivered.is_complete(), "{delivered:?}");
    let started = ground.record();
    let started: Vec<&str> = started
        .iter()
        .filter(|line| line[0] == "startup")
        .map(|line| line[1].as_str())
        .collect();
    assert_eq!(started, ["on"]);
}

fn required_decides_whether_a_run_is_complete() {
    for (required, complete) in [(true, false), (false, true)] {
        let ground = Ground::new();
        let part = ground.player(json!({"process": "permanent", "required": required}));
        let delivered = deliver(&ground.host(&[("p", part)]), &report());
        assert_ended(of(&delivered, "p"), Dead, "refused");
        assert_eq!(of(&delivered, "p").required, required);
        assert_eq!(delivered.is_complete(), complete);
    }
    let ground = Ground::new();
    let part = ground.player(json!({"required": true}));
    assert!(deliver(&ground.host(&[("p", part)]), &report()).is_complete());
    assert!(deliver(&ground.host(&[]), &report()).is_complete());
}

fn a_report_can_be_replayed_into_one_processor() {
    let ground = Ground::new();
    let processors = [
        ("p", ground.player(json!({"on": "change"}))),
        ("q", ground.player(json!({}))),
    ];
    let report = report();
    let mut host = ground.stored(&processors);
    assert_eq!(host.replay(&report), None, "there are two");
    host.leave_out(|instance| instance.name != "p");
    for _ in 0..2 {
        let delivery = host.replay(&report).unwrap();
        assert_ended(&delivery, Delivered, "");
    }
    assert_eq!(ground.done(), ["p", "p"]);
    assert_eq!(crate::ground::listed(&host, &[]), [], "nothing is stored");
}
