//! Names and values that mean something to some reader.

use std::fs;

use serde_json::json;
use veracity_http::testing::{Answer, Server};
use veracity_processor::{
    AssertionResult, DatasetReport, Metric, MetricKind, Status, Symbol, SymbolStatus, conformance,
    sample_report,
};

use crate::Kept;
use crate::text::parse;

#[tokio::test]
async fn hostile_names_are_values_of_labels_and_nothing_more() {
    let long = "x".repeat(10_000);
    let names = [
        "a\nveracity_assertions{result=\"passed\"} 9",
        "quote\" and \\ back\\",
        "nul \0 and \r",
        "\u{202e}rtl",
        "#",
        "",
        "{}",
        long.as_str(),
    ];
    for suite in names {
        let mut report = sample_report();
        report.run.suite = suite.to_owned();
        for name in names {
            report.datasets.push(DatasetReport::new(name));
            let quoted = name.replace('"', "\"\"");
            let mut symbol = Symbol::new(name, format!("max(\"{quoted}\")"), name);
            (symbol.value, symbol.status) = (Some(json!(1)), SymbolStatus::Ok);
            report.symbols.push(symbol);
        }
        let mut kept = Kept::default();
        for name in names {
            kept.metrics.push(Metric {
                name: name.to_owned(),
                value: 1.0,
                kind: MetricKind::Gauge,
                help: name.to_owned(),
                labels: [(name.to_owned(), name.to_owned())].into(),
            });
            kept.metrics.push(Metric {
                name: format!("good_{}", kept.metrics.len()),
                value: 1.0,
                kind: MetricKind::Gauge,
                help: name.to_owned(),
                labels: [("k".to_owned(), name.to_owned())].into(),
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.prom");
        let server = Server::start(vec![Answer::new(202, "", "")]);
        let config = json!({
            "path": path, "pushgateway": {"url": server.at(""), "allow_private": true, "timeout": 30}
        });
        kept.deliver(&config, &report).await.unwrap();
        let text = fs::read_to_string(path).unwrap();
        let families = parse(&text).unwrap();
        assert_eq!(server.requests()[0].body, text.as_bytes());
        let line = &server.requests()[0].line;
        assert!(
            line.starts_with("PUT /metrics/job/veracity/suite"),
            "{line}"
        );
        assert!(
            line.ends_with(" HTTP/1.1") && line.split(' ').count() == 3,
            "{line}"
        );
        let family = |name: &str| families.iter().find(|family| family.name == name).unwrap();
        assert_eq!(family("veracity_assertions").samples.len(), 5);
        let expected = match suite {
            "nul \0 and \r" => "nul \u{fffd} and \u{fffd}".to_owned(),
            long if long.len() > 1_000 => format!("{}…", &long[..256]),
            other => other.to_owned(),
        };
        assert_eq!(
            family("veracity_build_info").samples[0].0["suite"],
            expected
        );
        assert_eq!(
            families
                .iter()
                .filter(|family| family.name.starts_with("good_"))
                .count(),
            names.len()
        );
    }
}

#[tokio::test]
async fn neither_rows_nor_sql_nor_groups_are_shown() {
    let mut report = conformance::hostile();
    let mut result = AssertionResult::new("c4nary", "name = 'c4nary'");
    result.expression = "name = 'c4nary'".into();
    result.group = Some(json!({"name": "c4nary"}));
    result.sample = vec![json!({"name": "c4nary"})];
    (result.status, result.actual) = (Status::Failed, Some(json!("c4nary")));
    report.results.push(result);
    for metric in [
        "violations(name = 'c4nary')",
        "max(name) FILTER (WHERE name = 'c4nary')",
        "count_values(name, 'c4nary')",
        "'c4nary'",
    ] {
        for value in [json!("c4nary"), json!(1)] {
            let mut symbol = Symbol::new("x_1", metric, "orders");
            (symbol.value, symbol.status) = (Some(value), SymbolStatus::Ok);
            symbol.error = Some("c4nary".into());
            report.symbols.push(symbol);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.prom");
    Kept::default()
        .deliver(&json!({ "path": path }), &report)
        .await
        .unwrap();
    let text = fs::read_to_string(path).unwrap();
    parse(&text).unwrap();
    assert!(!text.contains("c4nary"), "{text}");
    assert!(text.contains("metric=\"violations\""), "{text}");
}
