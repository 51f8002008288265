//! What is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use veracity_processor::{
    Action, Event, EventHook, Metric, MetricKind, Moment, Subject, conformance,
};

use crate::{Story, block_on, context, handle, plugin};

fn hook() -> Box<dyn EventHook> {
    plugin("metrics").build_hook(json!({})).unwrap()
}

fn count(hook: &dyn EventHook, events: &[Arc<Event>]) {
    let outcome = handle(hook, events, &context()).unwrap();
    assert!(outcome.actions.is_empty());
}

fn flush(hook: &dyn EventHook) -> Vec<Metric> {
    let outcome = block_on(hook.flush(&context())).unwrap();
    let metric = |action| match action {
        Action::Metric(metric) => metric,
        other => panic!("{other:?}"),
    };
    outcome.actions.into_iter().map(metric).collect()
}

/// As Prometheus has it.
fn shown(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for Metric {
        name,
        value,
        labels,
        ..
    } in metrics
    {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        text += &format!("{name}{{{}}} {value}\n", labels.join(","));
    }
    text
}

#[test]
fn a_run_is_counted() {
    let hook = hook();
    assert_eq!(flush(&*hook), []);
    count(&*hook, &Story::new("orders", 1).whole());
    insta::assert_snapshot!(shown(&flush(&*hook)));
}

#[test]
fn names_and_kinds_are_those_of_prometheus() {
    let hook = hook();
    count(&*hook, &Story::new("orders", 1).whole());
    let mut families = BTreeMap::new();
    for metric in flush(&*hook) {
        let name = metric.name.as_str();
        let counts = metric.kind == MetricKind::Counter;
        assert!(name.starts_with("veracity_"), "{name}");
        assert_eq!(name.ends_with("_total"), counts, "{name}");
        assert!(metric.help.ends_with('.'), "{name}");
        assert_eq!(metric.labels["suite"], "orders");
        let labels: Vec<String> = metric.labels.keys().cloned().collect();
        let family = (metric.kind, metric.help.clone(), labels);
        let before = families
            .entry(metric.name.clone())
            .or_insert(family.clone());
        assert_eq!(*before, family, "a family is the same everywhere");
    }
    assert_eq!(families.len(), 11);
}

#[test]
fn values_are_absolute_and_only_those_that_changed_are_stated_again() {
    let hook = hook();
    let mut story = Story::new("orders", 1);
    let passed = |event: Event| event.outcome("passed").with("severity", "P1");
    let mut event = || story.event(Subject::Assertion, Moment::End, passed);
    count(&*hook, &[event(), event()]);
    let start = Story::new("orders", 1).event(Subject::Suite, Moment::Start, |event| event);
    count(&*hook, &[start]);
    let first = shown(&flush(&*hook));
    assert_eq!(
        first,
        r#"veracity_assertions_total{outcome="passed",severity="P1",suite="orders"} 2
veracity_events_total{event="assertion.end",suite="orders"} 2
veracity_events_total{event="suite.start",suite="orders"} 1
veracity_hook_metrics_dropped{suite="orders"} 0
"#
    );
    assert_eq!(flush(&*hook), []);
    count(&*hook, &[event()]);
    assert_eq!(
        shown(&flush(&*hook)),
        r#"veracity_assertions_total{outcome="passed",severity="P1",suite="orders"} 3
veracity_events_total{event="assertion.end",suite="orders"} 3
"#
    );
}

#[test]
fn another_run_is_counted_from_the_beginning() {
    let hook = hook();
    count(&*hook, &Story::new("orders", 1).whole());
    let first = flush(&*hook);
    count(&*hook, &Story::new("orders", 2).whole());
    assert_eq!(flush(&*hook), first);
}

#[test]
fn nothing_from_data_is_a_label() {
    let hook = hook();
    let mut story = Story::new("orders", 1);
    let long = "x".repeat(10_000);
    for text in conformance::HOSTILE
        .iter()
        .copied()
        .chain([long.as_str(), ""])
    {
        for subject in veracity_processor::event::SUBJECTS {
            for moment in veracity_processor::event::MOMENTS {
                let event = story.event(subject, moment, |event| {
                    let event = event.dataset(text).check(text).assertion(text);
                    let event = event.processor("p").outcome(text).with("severity", text);
                    let event = event.with("type", text).with("reason", text);
                    event.with("duration_ms", text).with(text, text)
                });
                count(&*hook, &[event]);
            }
        }
    }
    let metrics = flush(&*hook);
    assert!(metrics.len() < 100, "{}", metrics.len());
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    for metric in &metrics {
        assert!(
            metric.value >= 0.0 && metric.value.is_finite(),
            "{metric:?}"
        );
        for value in metric.labels.values() {
            assert!(value.len() < 20 && value.chars().all(plain), "{metric:?}");
        }
    }
}

#[test]
fn there_are_never_more_than_two_thousand_series_and_the_rest_is_counted() {
    let hook = hook();
    let mut story = Story::new("orders", 1);
    let mut error = |number: usize| {
        story.event(Subject::Processor, Moment::Error, |event| {
            event.processor(format!("p{number}"))
        })
    };
    let events: Vec<_> = (0..5_000).map(&mut error).collect();
    count(&*hook, &events);
    count(&*hook, &[error(0)]);
    let metrics = flush(&*hook);
    assert_eq!(metrics.len(), 2_001);
    let value = |name: &str| -> f64 {
        let of = metrics.iter().filter(|metric| metric.name == name);
        of.map(|metric| metric.value).sum()
    };
    // One series is that of all events.
    let dropped = value("veracity_hook_metrics_dropped");
    assert_eq!(dropped, 3_001.0);
    assert_eq!(value("veracity_plugin_errors_total") + dropped, 5_001.0);
    assert_eq!(value("veracity_events_total"), 5_001.0);
}

#[test]
fn numbers_that_make_no_sense_do_no_harm() {
    let hook = hook();
    let mut story = Story::new("orders", 1);
    for duration in [
        json!(-5),
        json!(null),
        json!("soon"),
        json!([1]),
        json!(2_500),
    ] {
        let event = story.event(Subject::Dataset, Moment::End, |event| {
            event.with("duration_ms", duration)
        });
        count(&*hook, &[event]);
    }
    let metrics = flush(&*hook);
    let stage = |metric: &&Metric| metric.name == "veracity_stage_seconds";
    assert_eq!(metrics.iter().find(stage).unwrap().value, 2.5);
}
