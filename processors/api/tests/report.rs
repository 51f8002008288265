//! The report is an interface between programs: its JSON and schema are pinned here.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, its helper functions too"
)]

use serde_json::{Value, json};
use veracity_processor::{
    AssertionResult, Report, Severity, Status, Summary, Verdict, report_schema, sample_report,
};

#[test]
fn the_json_of_a_report() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&sample_report()).unwrap());
}

#[test]
fn the_json_schema_of_a_report() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&report_schema()).unwrap());
}

#[test]
fn a_report_survives_its_json() {
    let mut report = sample_report();
    report.run.interrupted = Some("time limit of 5s reached".into());
    let text = serde_json::to_string(&report).unwrap();
    let back: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(back, report);
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}

#[test]
fn floats_survive_to_the_last_bit() {
    for number in [
        0.907_303_832_202_868_9,
        0.481_837_925_201_105_24,
        0.1 + 0.2,
        8.41e21,
        f64::MAX,
    ] {
        let mut report = sample_report();
        report.results[0].actual = Some(json!(number));
        report.symbols[0].availability = number;
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(
            serde_json::from_str::<Report>(&text).unwrap(),
            report,
            "{number}"
        );
    }
}

#[test]
fn fields_of_a_newer_version_are_ignored() {
    let report = sample_report();
    let mut json = serde_json::to_value(&report).unwrap();
    add_unknown_field(&mut json);
    assert_eq!(json["run"]["engine"]["from_the_future"], true);
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

/// Adds a field to every object the report's own types describe.
fn add_unknown_field(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(add_unknown_field),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                // These hold data; whatever is in them is part of the report.
                if !["tags", "group", "sample"].contains(&name.as_str()) {
                    add_unknown_field(value);
                }
            }
            fields.insert("from_the_future".into(), json!(true));
        }
        _ => {}
    }
}

#[test]
fn what_older_reports_lack_is_filled_in() {
    let mut json = serde_json::to_value(sample_report()).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.remove("deliveries");
    fields.remove("warnings");
    let report: Report = serde_json::from_value(json).unwrap();
    assert!(report.deliveries.is_empty() && report.warnings.is_empty());
    assert_eq!(report.run.interrupted, None);
}

#[test]
fn the_schema_and_the_json_name_the_same_properties() {
    let schema = report_schema();
    let mut json = serde_json::to_value(sample_report()).unwrap();
    json["run"]["interrupted"] = json!("interrupted");
    let mut objects = 0;
    compare(&json, &schema, &schema, "report", &mut objects);
    assert!(objects > 30, "only {objects} objects were compared");
}

/// Every property that `schema` requires is in `json`, and nothing that it does not know.
fn compare(json: &Value, schema: &Value, root: &Value, at: &str, objects: &mut usize) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return compare(json, target.expect(reference), root, at, objects);
    }
    if let Some(either) = schema["anyOf"].as_array()
        && !json.is_null()
    {
        return compare(json, &either[0], root, at, objects);
    }
    match json {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                compare(
                    item,
                    &schema["items"],
                    root,
                    &format!("{at}[{index}]"),
                    objects,
                );
            }
        }
        Value::Object(fields) if schema["properties"].is_object() => {
            *objects += 1;
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                assert!(
                    fields.contains_key(name),
                    "{at} lacks the required `{name}`"
                );
            }
            for (name, value) in fields {
                let property = &schema["properties"][name];
                assert!(
                    !property.is_null(),
                    "{at} has `{name}`, which the schema does not know"
                );
                compare(value, property, root, &format!("{at}.{name}"), objects);
            }
        }
        _ => {}
    }
}

#[test]
fn the_more_severe_is_the_greater() {
    let mut severities = [Severity::P2, Severity::P0, Severity::P3, Severity::P1];
    severities.sort_by(|a, b| b.cmp(a));
    assert_eq!(severities, Severity::ALL);
    assert!(Severity::P0 > Severity::P1 && Severity::P1 >= Severity::P1);
    assert_eq!(Severity::default(), Severity::P1);
}

#[test]
fn severities_are_read_as_they_are_written() {
    for severity in Severity::ALL {
        assert_eq!(severity.to_string().parse(), Ok(severity));
        assert_eq!(severity.to_string().to_lowercase().parse(), Ok(severity));
        assert_eq!(json!(severity), json!(severity.to_string()));
    }
    assert_eq!(
        "P4".parse::<Severity>(),
        Err("unknown severity `P4`, expected P0, P1, P2 or P3".into())
    );
}

#[test]
fn the_summary_counts_every_status_once() {
    let statuses = [
        Status::Passed,
        Status::Failed,
        Status::NotEvaluated,
        Status::Error,
        Status::Skipped,
    ];
    let results: Vec<AssertionResult> = statuses
        .iter()
        .enumerate()
        .flat_map(|(index, &status)| {
            let mut result = AssertionResult::new("check", "assertion");
            result.status = status;
            vec![result; index + 1]
        })
        .collect();
    let Summary {
        declared,
        passed,
        failed,
        not_evaluated,
        error,
        skipped,
        ..
    } = Summary::of(&results);
    assert_eq!(
        (passed, failed, not_evaluated, error, skipped),
        (1, 2, 3, 4, 5)
    );
    assert_eq!(declared, 15);
}

#[test]
fn a_report_without_results_has_not_passed() {
    let report = Report::new(sample_report().run);
    assert_eq!(report.verdict, Verdict::NotEvaluated);
    assert!(!report.passed());
}

#[test]
fn a_symbol_is_found_by_its_name() {
    let report = sample_report();
    assert_eq!(
        report.symbol("x_2").unwrap().metric,
        "completeness(tailnum)"
    );
    assert_eq!(report.symbol("x_99"), None);
}
