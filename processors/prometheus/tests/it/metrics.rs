//! What is shown of a run.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use veracity_processor::{
    Metric, MetricKind, OutcomeStatus, Report, Symbol, SymbolStatus, Verdict, sample_report,
};

use crate::Kept;
use crate::text::{Family, parse};

/// What is shown of `report`, after earlier runs that `kept` remembers.
async fn shown(kept: &mut Kept, report: &Report) -> Vec<Family> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.prom");
    kept.deliver(&json!({ "path": path }), report)
        .await
        .unwrap();
    parse(&fs::read_to_string(path).unwrap()).unwrap()
}

fn stated(name: &str, labels: &[(&str, &str)], value: f64) -> Metric {
    let labels = labels
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Metric {
        name: name.to_owned(),
        value,
        kind: MetricKind::Counter,
        help: "Processor deliveries in the last run by outcome.".to_owned(),
        labels: labels.collect(),
    }
}

/// The report that the vector is about.
fn orders() -> Report {
    let mut report = sample_report();
    report.run.suite = "orders.daily".into();
    report.run.finished_at = "2026-11-20T06:00:04Z".into();
    report.run.duration_ms = 4_210;
    report.summary.declared = 4;
    let summary = &mut report.summary;
    (summary.passed, summary.failed, summary.not_evaluated) = (1, 1, 0);
    (summary.error, summary.skipped) = (1, 1);
    let mut ratio = Symbol::new("x_1", "null_ratio()", "or\"ders\\x\ny");
    (ratio.value, ratio.status) = (Some(json!(0.25)), SymbolStatus::Ok);
    report.symbols = vec![ratio, Symbol::new("x_2", "max(amount)", "orders")];
    report
}

#[tokio::test]
async fn an_equal_run_gives_the_metrics_of_the_vector() {
    let mut kept = Kept::default();
    let mut yesterday = orders();
    yesterday.run.finished_at = "2026-11-19T06:00:04Z".into();
    yesterday.verdict = Verdict::Passed;
    shown(&mut kept, &yesterday).await;
    let name = "veracity_notifications_total";
    kept.metrics = vec![
        stated(
            name,
            &[("processor", "email"), ("outcome", "delivered")],
            1.0,
        ),
        stated(name, &[("processor", "slack"), ("outcome", "retried")], 2.0),
    ];
    let found = shown(&mut kept, &orders()).await;
    let expected = parse(include_str!("../vectors/metrics.prom")).unwrap();
    for family in expected {
        let found = found.iter().find(|found| found.name == family.name);
        let found = found.unwrap_or_else(|| panic!("no {}", family.name));
        assert_eq!(found.kind, family.kind, "{}", family.name);
        for (labels, value) in family.samples {
            // Every label of the vector is there; there are more.
            let same = |sample: &&(BTreeMap<String, String>, f64)| {
                labels
                    .iter()
                    .all(|(name, value)| sample.0.get(name) == Some(value))
            };
            let matching: Vec<f64> = found
                .samples
                .iter()
                .filter(same)
                .map(|sample| sample.1)
                .collect();
            let ok = matching.len() == 1
                && (matching[0] == value || (matching[0].is_nan() && value.is_nan()));
            assert!(ok, "{} {labels:?}: {value} is {matching:?}", family.name);
        }
    }
}

#[tokio::test]
async fn the_metrics_of_the_sample_report_read_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.prom");
    let mut kept = Kept::default();
    kept.deliver(&json!({ "path": path }), &sample_report())
        .await
        .unwrap();
    let text = fs::read_to_string(path).unwrap();
    parse(&text).unwrap();
    // A release must not change what this is about.
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    insta::assert_snapshot!(text.replace(&version, "version=\"0.1.0\""));
}

#[tokio::test]
async fn a_run_that_is_older_than_what_is_shown_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "path": folder.path().join("orders.prom") });
    let mut kept = Kept::default();
    let mut late = orders();
    late.run.finished_at = "2026-11-19T06:00:04Z".into();
    for (report, expected) in [
        (&orders(), OutcomeStatus::Done),
        (&orders(), OutcomeStatus::Done),
        (&late, OutcomeStatus::Skipped),
    ] {
        let outcome = kept.deliver(&config, report).await.unwrap();
        assert_eq!(outcome.status, expected, "{:?}", outcome.reason);
    }
}

#[tokio::test]
async fn the_last_value_that_was_stated_counts_and_every_one_has_the_suite() {
    let mut kept = Kept::default();
    kept.metrics.extend([
        stated("a_total", &[("k", "1")], 1.0),
        stated("b_total", &[], f64::INFINITY),
        stated("a_total", &[("k", "1")], 3.0),
        stated("no name", &[], 1.0),
    ]);
    let found = shown(&mut kept, &orders()).await;
    let family = |name: &str| found.iter().find(|family| family.name == name).unwrap();
    let labels = BTreeMap::from([
        ("k".to_owned(), "1".to_owned()),
        ("suite".to_owned(), "orders.daily".to_owned()),
    ]);
    assert_eq!(family("a_total").samples, [(labels, 3.0)]);
    assert_eq!(family("b_total").samples[0].1, f64::INFINITY);
    assert_eq!(family("veracity_metrics_dropped").samples[0].1, 1.0);
    for family in &found {
        for (labels, _) in &family.samples {
            assert_eq!(labels["suite"], "orders.daily", "{}", family.name);
        }
    }
}

#[tokio::test]
async fn there_are_no_more_series_than_asked_for_and_the_rest_is_counted() {
    let mut report = orders();
    report.symbols = (0..10_000)
        .map(|number| {
            let mut symbol =
                Symbol::new(format!("x_{number}"), format!("max(c{number})"), "orders");
            (symbol.value, symbol.status) = (Some(json!(number)), SymbolStatus::Ok);
            symbol
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.prom");
    for (max_series, expected) in [(None, 5_000), (Some(100), 100), (Some(20), 20)] {
        let mut config = json!({ "path": path });
        if let Some(max) = max_series {
            config["max_series"] = json!(max);
        }
        let outcome = Kept::default().deliver(&config, &report).await.unwrap();
        let families = parse(&fs::read_to_string(&path).unwrap()).unwrap();
        let series: usize = families.iter().map(|family| family.samples.len()).sum();
        assert_eq!(series, expected);
        let symbols = families
            .iter()
            .find(|family| family.name == "veracity_symbol_value");
        let symbols = symbols.map_or(0, |family| family.samples.len());
        let dropped = families
            .iter()
            .find(|family| family.name == "veracity_metrics_dropped");
        let dropped = dropped.unwrap().samples[0].1;
        assert_eq!(dropped, (10_000 - symbols) as f64);
        let note = outcome.note.unwrap();
        assert!(
            note.starts_with(&format!("{dropped} series were left out")),
            "{note}"
        );
    }
}
