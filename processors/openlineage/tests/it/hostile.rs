//! Names and values that mean something to some receiver, and very many of them.

use serde_json::{Value, json};
use veracity_processor::{AssertionResult, Severity, Status, Summary, conformance, sample_report};

use crate::{Place, report, shown};

#[tokio::test]
async fn hostile_names_arrive_as_they_are_except_for_nul() {
    let mut report = report(1);
    let long = "x".repeat(10_000);
    let names = [
        "a\r\nb",
        "nul\0",
        "quote\" and \\ back",
        "\u{202e}rtl",
        "\u{1b}[2J",
        "",
        long.as_str(),
    ];
    report.datasets.clear();
    report.results.clear();
    for name in names {
        report
            .datasets
            .push(veracity_processor::DatasetReport::new(name));
        let mut result = AssertionResult::new(name, name);
        (result.dataset, result.status) = (name.into(), Status::Failed);
        (result.expression, result.expected) = (name.into(), Some(name.into()));
        result.actual = Some(json!(name));
        report.results.push(result);
    }
    report.summary = Summary::of(&report.results);
    report.run.suite = names.concat();
    let mut place = Place::file();
    place.begin(&report).await.unwrap();
    place.end(&report).await.unwrap();
    let events = place.events();
    assert_eq!(shown(&events), "START 1; COMPLETE 1");
    let job = events[1]["job"]["name"].as_str().unwrap();
    assert_eq!(job, report.run.suite.replace('\0', "\u{fffd}"));
    for (input, name) in events[1]["inputs"].as_array().unwrap().iter().zip(names) {
        assert_eq!(input["name"], name.replace('\0', "\u{fffd}"));
    }
    let tests = events[1]["run"]["facets"]["test"]["tests"]
        .as_array()
        .unwrap();
    for (test, name) in tests.iter().zip(names) {
        let name = name.replace('\0', "\u{fffd}");
        let cut = match name.char_indices().nth(1_000) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name,
        };
        for field in ["name", "content", "expected", "actual"] {
            assert_eq!(test[field], cut, "{field}");
        }
    }
}

#[tokio::test]
async fn the_state_keeps_its_size_whatever_the_names_are() {
    let mut place = Place::file();
    for number in 0..20_u8 {
        let mut report = conformance::hostile();
        report.run.id = uuid::Uuid::from_u128(u128::from(number));
        report.run.suite = "\u{1}".repeat(10_000);
        place.begin(&report).await.unwrap();
        if number % 3 == 0 {
            place.end(&report).await.unwrap();
        }
        let bytes = serde_json::to_vec(&place.state).unwrap().len();
        assert!(bytes < veracity_processor::State::MAX_BYTES / 2, "{bytes}");
    }
    place.events();
}

#[tokio::test]
async fn ten_thousand_failures_fit_into_one_event_and_what_is_severe_comes_first() {
    let mut report = sample_report();
    report.results = (0..10_000)
        .map(|number| {
            let mut result = AssertionResult::new("many", format!("assertion {number}"));
            result.dataset = "flights".into();
            result.status = match number % 2 {
                0 => Status::Passed,
                _ => Status::Failed,
            };
            result.severity = match number {
                9_999 => Severity::P0,
                _ => Severity::P2,
            };
            result.expression = format!("max(column_{number}) < 3");
            (result.actual, result.expected) = (Some(json!(number)), Some("< 3".into()));
            result
        })
        .collect();
    report.summary = Summary::of(&report.results);
    let mut place = Place::file().with("max_bytes", json!(100_000));
    let outcome = place.end(&report).await.unwrap();
    let event = place.events().pop().unwrap();
    let size = event.to_string().len();
    assert!((80_000..110_000).contains(&size), "{size}");
    let facet = &event["run"]["facets"]["test"];
    let tests = facet["tests"].as_array().unwrap();
    let omitted = 10_000 - tests.len();
    assert_eq!(facet["omitted"], omitted);
    let note = outcome.note.unwrap();
    assert!(
        note.starts_with(&format!("{omitted} of 10000 results")),
        "{note}"
    );
    assert!(
        tests.iter().all(|test| test["status"] == "fail"),
        "what passed is left out first"
    );
    let names: Vec<&Value> = tests.iter().map(|test| &test["name"]).collect();
    assert_eq!(
        (names[0], names[names.len() - 1]),
        (
            &json!("many / assertion 1"),
            &json!("many / assertion 9999")
        )
    );
    let assertions = &event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"];
    assert_eq!(assertions.as_array().unwrap().len(), tests.len());
    // With the default they are more, and the event is still bounded.
    let mut place = Place::file();
    place.end(&report).await.unwrap();
    let size = place.events().pop().unwrap().to_string().len();
    assert!((900_000..1_100_000).contains(&size), "{size}");
}
