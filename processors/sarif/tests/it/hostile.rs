//! Names and values that mean something to some receiver, and many of them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{AssertionResult, Location, Severity, Status, is_deceptive};
use veracity_sarif::{MAX_RESULTS, Options, render};

use crate::{log, report, result, run, schema};

/// What GitHub takes.
const LIMIT: usize = 10_000_000;

fn compressed(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

#[test]
fn hostile_names_stay_text() {
    let mut report = hostile();
    report.results.retain(|result| result.check.len() < 1_000);
    report.run.interrupted = Some(HOSTILE.concat());
    for result in &mut report.results {
        let file = result.check.clone();
        (result.location, result.group) = (
            Some(Location {
                file,
                line: 1,
                column: 1,
            }),
            Some(result.check.clone().into()),
        );
    }
    for (at, status) in [Status::Error, Status::NotEvaluated]
        .into_iter()
        .enumerate()
    {
        report.results[at].status = status;
    }
    let log = log(&report, true);
    insta::assert_snapshot!("hostile", serde_json::to_string_pretty(&log).unwrap());
    let text = log.to_string();
    assert_eq!(text.chars().find(|c| is_deceptive(*c)), None);
    for link in ["](", "##vso["] {
        assert!(!text.contains(link), "{link}");
    }
    let results = run(&log)["results"].as_array().unwrap();
    assert_eq!(results.len(), report.results.len());
}

#[test]
fn long_names_are_cut() {
    let mut long = result(Status::Failed, Severity::P1);
    let name = "\u{1f600}".repeat(10_000);
    for text in [&mut long.check, &mut long.assertion, &mut long.expression] {
        *text = name.clone();
    }
    long.reason = Some(name.clone());
    long.tags = vec![name.clone(); 30];
    let mut report = report(vec![long]);
    report.run.suite = name;
    let bytes = render(&report, &Options::default());
    assert_eq!(
        schema::faults(&serde_json::from_slice(&bytes).unwrap()),
        Vec::<String>::new()
    );
    assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
}

#[test]
fn ten_thousand_failures_are_all_there() {
    let results = (0..10_000).map(|number| {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.assertion = format!("completeness(column_{number}) >= 0.95");
        failed.actual = Some(Value::from(f64::from(number) / 10_000.0));
        failed.location.as_mut().unwrap().line = number;
        failed
    });
    let report = report(results.collect());
    let bytes = render(&report, &Options::default());
    assert!(compressed(&bytes) < LIMIT / 2, "{}", compressed(&bytes));
    let log: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(schema::faults(&log), Vec::<String>::new());
    let run = run(&log);
    assert_eq!(run["results"].as_array().unwrap().len(), 10_000);
    assert!(run["invocations"][0]["toolExecutionNotifications"] == Value::Array(Vec::new()));
}

/// The number of results, and the first notification.
fn shown(bytes: &[u8]) -> (usize, String, Value) {
    let log: Value = serde_json::from_slice(bytes).unwrap();
    let run = run(&log);
    let results = run["results"].as_array().unwrap();
    let note = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    let first = results.first().cloned().unwrap_or_default();
    (
        results.len(),
        note.as_str().unwrap_or_default().to_owned(),
        first,
    )
}

#[test]
fn of_more_than_github_takes_the_most_severe_stay() {
    let mut results: Vec<AssertionResult> = (0..MAX_RESULTS + 10)
        .map(|number| {
            let mut failed = AssertionResult::new("k", number.to_string());
            (failed.status, failed.severity) = (Status::Failed, Severity::P2);
            failed
        })
        .collect();
    results.push(result(Status::Failed, Severity::P0));
    let bytes = render(&report(results), &Options::default());
    let (count, note, first) = shown(&bytes);
    assert_eq!(count, MAX_RESULTS);
    assert_eq!(note, "11 results are left out, the least severe ones");
    assert_eq!(first["properties"]["severity"], "P0");
    assert!(compressed(&bytes) < LIMIT);
}

#[test]
fn what_cannot_be_compressed_is_left_out_until_it_fits() {
    // Noise, but the same each time.
    let mut seed = 42_u64;
    let mut noise = |length: usize| -> String {
        let letters = (0..length).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from_u32(0x4e00 + (seed >> 40) as u32 % 0x5000).unwrap()
        });
        letters.collect()
    };
    let results = (0..4_000).map(|_| {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.check = noise(200);
        failed.assertion = noise(200);
        failed.expression = noise(600);
        failed.reason = Some(noise(600));
        failed
    });
    let bytes = render(&report(results.collect()), &Options::default());
    assert!(compressed(&bytes) < LIMIT, "{}", compressed(&bytes));
    let (count, note, _) = shown(&bytes);
    assert!((1_000..4_000).contains(&count), "{count}");
    let expected = format!(
        "{} results are left out, the least severe ones",
        4_000 - count
    );
    assert_eq!(note, expected);
}

#[test]
fn ten_thousand_errors_make_a_thousand_notifications() {
    let results = (0..10_000).map(|number| {
        let mut error = result(Status::Error, Severity::P1);
        error.assertion = format!("assertion {number}");
        error.reason = Some("no such column".into());
        error
    });
    let bytes = render(&report(results.collect()), &Options::default());
    let log: Value = serde_json::from_slice(&bytes).unwrap();
    let notes = &run(&log)["invocations"][0]["toolExecutionNotifications"];
    let notes = notes.as_array().unwrap();
    assert_eq!(notes.len(), 1_001);
    assert_eq!(
        notes[1_000]["message"]["text"],
        "+9000 more assertions could not be evaluated"
    );
    assert_eq!(run(&log)["results"].as_array().unwrap().len(), 10_000);
}
