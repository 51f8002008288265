//! Names and values that mean something to some receiver, and many of them.

use veracity_junit::{Options, render};
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{Severity, Status, is_deceptive};

use crate::format::faults;
use crate::xml::Element;
use crate::{report, result};

#[test]
fn hostile_names_stay_text() {
    let mut report = hostile();
    report.results.retain(|result| result.check.len() < 1_000);
    report.run.interrupted = Some(HOSTILE.concat());
    let document = render(&report, &Options::default());
    assert_eq!(faults(&document, false), Vec::<String>::new());
    insta::assert_snapshot!("hostile", document);
    let deceptive = |c: char| c != '\n' && is_deceptive(c);
    assert_eq!(document.chars().find(|c| deceptive(*c)), None);
    assert!(!document.contains("##vso["));
    let commands = document
        .lines()
        .filter(|line| line.trim_start().starts_with("::"));
    assert_eq!(
        commands.count(),
        0,
        "a command of GitHub at the start of a line"
    );
}

#[test]
fn what_is_read_back_is_what_was_written() {
    let texts = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "]]>&amp;&#1;'",
        "  two  spaces  ",
        "{{7*7}} %s",
        "数字 \u{1f600}",
    ];
    for text in texts {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.assertion = text.into();
        failed.check = text.into();
        failed.expression = text.into();
        failed.reason = Some(text.into());
        let root = Element::read(&render(&report(vec![failed]), &Options::default())).unwrap();
        let case = root.children[0].all("testcase").next().unwrap();
        assert_eq!(case.get("name"), text);
        assert_eq!(case.get("classname"), format!("nycflights.orders.{text}"));
        assert_eq!(case.children[0].get("message"), text);
        assert_eq!(case.children[0].text, text);
    }
}

#[test]
fn characters_that_xml_forbids_leave_the_document_readable() {
    let all: String = (0..=0xffff_u32).filter_map(char::from_u32).collect();
    for part in all.chars().collect::<Vec<char>>().chunks(400) {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.assertion = part.iter().collect();
        failed.reason = Some(failed.assertion.clone());
        let document = render(&report(vec![failed]), &Options::default());
        assert_eq!(faults(&document, false), Vec::<String>::new());
    }
}

#[test]
fn ten_thousand_failures_and_long_names_stay_within_bounds() {
    let results = |count, text: &str| {
        let results = (0..count).map(|number| {
            let mut failed = result(Status::Failed, Severity::P1);
            failed.assertion = format!("{number} {text}");
            failed.expression = text.to_owned();
            failed.reason = Some(text.to_owned());
            failed
        });
        report(results.collect())
    };
    let document = render(&results(10_000, ""), &Options::default());
    assert_eq!(faults(&document, false), Vec::<String>::new());
    assert!(document.contains(r#"tests="10000" failures="10000""#));
    assert!(document.len() < 5_000_000, "{} bytes", document.len());
    let document = render(&results(1_000, &"x".repeat(10_000)), &Options::default());
    assert!(document.len() < 6_000_000, "{} bytes", document.len());
    assert!(document.contains("xxx.."), "what is cut says so");
}
