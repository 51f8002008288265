//! The whole text, as a person sees it, compared with what it was.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, its helper functions too"
)]

use serde_json::json;
use veracity_console::{Console, Verbosity};
use veracity_processor::{
    AssertionResult, DatasetReport, Delivery, DeliveryStatus, Location, Report, Run, RunKey,
    Status, Summary, Symbol, SymbolStatus, Verdict, is_deceptive, sample_report,
};

fn render(console: &Console, report: &Report) -> String {
    let mut out = Vec::new();
    console.render(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn at(verbosity: Verbosity) -> Console {
    Console {
        verbosity,
        ..Console::default()
    }
}

#[test]
fn normal_shows_every_assertion() {
    insta::assert_snapshot!(render(&at(Verbosity::Normal), &sample_report()));
}

#[test]
fn quiet_shows_what_did_not_pass() {
    insta::assert_snapshot!(render(&at(Verbosity::Quiet), &sample_report()));
}

#[test]
fn verbose_shows_the_symbols_too() {
    insta::assert_snapshot!(render(&at(Verbosity::Verbose), &sample_report()));
}

#[test]
fn colour_marks_what_the_words_say() {
    for (name, verbosity) in [
        ("quiet_in_colour", Verbosity::Quiet),
        ("normal_in_colour", Verbosity::Normal),
        ("verbose_in_colour", Verbosity::Verbose),
    ] {
        let coloured = render(
            &Console {
                color: true,
                ..at(verbosity)
            },
            &sample_report(),
        );
        insta::assert_snapshot!(name, coloured.replace('\u{1b}', "␛"));

        let mut plain = coloured;
        for code in ["0", "1", "2", "32", "1;31", "1;35", "33"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, render(&at(verbosity), &sample_report()), "{name}");
    }
}

#[test]
fn a_narrow_terminal_cuts_in_the_middle() {
    for width in [60, 100] {
        let console = Console {
            width: Some(width),
            ..at(Verbosity::Verbose)
        };
        insta::assert_snapshot!(
            format!("{width}_columns"),
            render(&console, &sample_report())
        );
    }
}

#[test]
fn no_width_is_too_narrow() {
    for width in 0..200 {
        let console = Console {
            width: Some(width),
            ..at(Verbosity::Verbose)
        };
        let text = render(&console, &sample_report());
        assert!(
            text.lines().last().unwrap().starts_with("✗ FAILED"),
            "{width}"
        );
        // The verdict is never cut, nor a column below a readable minimum.
        if width >= 70 {
            for line in text.lines().rev().skip(1) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn an_empty_report_says_so() {
    let report = Report::new(sample_report().run);
    insta::assert_snapshot!(render(&at(Verbosity::Verbose), &report));
    insta::assert_snapshot!("empty_and_quiet", render(&at(Verbosity::Quiet), &report));
}

#[test]
fn when_all_passed_quiet_is_one_line() {
    let mut report = sample_report();
    report
        .results
        .retain(|result| result.status == Status::Passed);
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::Passed;
    report.deliveries.clear();
    insta::assert_snapshot!(render(&at(Verbosity::Quiet), &report));
}

#[test]
fn an_interrupted_run_says_so_in_its_verdict() {
    for (name, reason) in [
        ("interrupted", "interrupted"),
        ("out_of_time", "time limit of 5s reached"),
    ] {
        let mut report = sample_report();
        report.run.interrupted = Some(reason.into());
        report.verdict = Verdict::NotEvaluated;
        report.results.truncate(1);
        report
            .results
            .extend(sample_report().results.pop().map(|mut result| {
                result.reason = Some(format!("not reached: {reason}"));
                result
            }));
        report.summary = Summary::of(&report.results);
        report.deliveries.clear();
        report.warnings.clear();
        insta::assert_snapshot!(name, render(&at(Verbosity::Normal), &report));
    }
}

/// A report in which every text tries to be something else.
fn hostile_report() -> Report {
    let evil = [
        "::error file=x::forged",
        "##vso[task.complete result=Succeeded]",
        "done\r\n✓ PASSED  1 assertion: 1 passed",
        "\u{1b}[2K\u{1b}[1A\u{1b}[32mPASSED\u{1b}[0m",
        "\u{1b}]52;c;Zm9yZ2Vk\u{7}",
        "admin\u{202e}gnp.exe\u{2066}",
        "  ::stop-commands::x",
        "line\u{2028}break\u{85}two",
        "##[add-mask]\u{9b}31m",
    ];
    let key = RunKey::new(
        "::debug::",
        [("e\nnv".into(), "p\u{1b}[1mrod".into())].into(),
    );
    let mut report = Report::new(Run::new(sample_report().run.id, evil[0], key, ""));
    report.verdict = Verdict::Failed;
    for (index, text) in evil.iter().enumerate() {
        let mut result = AssertionResult::new(*text, *text);
        result.dataset = text.to_string();
        result.expression = format!("{text} > 0");
        result.status = [Status::Failed, Status::Error, Status::NotEvaluated][index % 3];
        result.reason = Some(text.to_string());
        result.expected = Some(text.to_string());
        result.actual = (index % 2 == 0).then(|| json!(text));
        result.group = Some(json!({*text: text}));
        result.sample = vec![json!({*text: [text, {*text: text}]}), json!(text)];
        result.violations = Some(2);
        result.symbols = vec![text.to_string()];
        result.location = Some(Location {
            file: text.to_string(),
            line: 1,
            column: 1,
        });
        report.results.push(result);

        let mut symbol = Symbol::new(*text, *text, *text);
        symbol.value = Some(json!(text));
        symbol.status = SymbolStatus::Ok;
        symbol.r#type = Some(text.to_string());
        symbol.origin = Some(text.to_string());
        symbol.precision = Some(text.to_string());
        report.symbols.push(symbol);

        let mut dataset = DatasetReport::new(*text);
        dataset.error = Some(text.to_string());
        report.datasets.push(dataset);

        let mut delivery = Delivery::default();
        delivery.processor = text.to_string();
        delivery.status = DeliveryStatus::Crashed;
        delivery.note = Some(text.to_string());
        delivery.error = Some(text.to_string());
        report.deliveries.push(delivery);
        report.warnings.push(text.to_string());
    }
    report.summary = Summary::of(&report.results);
    report.run.interrupted = Some("\r::warning::x".into());
    report
}

#[test]
fn hostile_names_are_shown_for_what_they_are() {
    insta::assert_snapshot!(render(&at(Verbosity::Verbose), &hostile_report()));
}

#[test]
fn no_text_can_forge_output() {
    for width in [None, Some(10), Some(40), Some(80), Some(120)] {
        for color in [false, true] {
            for verbosity in [Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose] {
                let text = render(
                    &Console {
                        color,
                        verbosity,
                        width,
                    },
                    &hostile_report(),
                );
                assert_harmless(&text);
            }
        }
    }
}

fn assert_harmless(text: &str) {
    let mut plain = text.to_owned();
    for code in ["0", "1", "2", "32", "1;31", "1;35", "33"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    for line in plain.lines() {
        assert!(
            !line.trim_start().starts_with("::"),
            "a workflow command: {line}"
        );
        assert!(
            !line.contains("##vso[") && !line.contains("##["),
            "a command: {line}"
        );
        assert!(
            !line.contains(is_deceptive),
            "a character not seen: {line:?}"
        );
        assert!(!line.starts_with("✓ PASSED"), "a forged verdict: {line}");
    }
}

#[test]
fn rows_may_violate_an_assertion_that_mostly_holds() {
    let mut report = Report::new(sample_report().run);
    for (actual, violations, status) in [
        (json!(0.9995), 168, Status::Passed),
        (json!(0.99899999999), 337, Status::Failed),
        (json!(1), 1, Status::Failed),
        (json!(0), 0, Status::Passed),
    ] {
        let mut result = AssertionResult::new("Delays are plausible", "dep_delay < 600");
        result.status = status;
        result.expression = "dep_delay < 600".into();
        result.expected = Some(if actual.is_f64() { ">= 0.999" } else { "= 0" }.into());
        result.actual = Some(actual);
        result.violations = Some(violations);
        report.results.push(result);
    }
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::Failed;
    insta::assert_snapshot!(render(&at(Verbosity::Normal), &report));
}

#[test]
fn wide_letters_are_aligned_by_what_they_take() {
    let mut report = Report::new(sample_report().run);
    for (name, actual) in [
        ("邮箱完整", 0.92),
        ("e-mails", 0.5),
        ("correos electrónicos", 1.0),
    ] {
        let mut result = AssertionResult::new("完整性", name);
        result.status = Status::Passed;
        result.expression = name.into();
        result.actual = Some(json!(actual));
        report.results.push(result);
    }
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::Passed;
    insta::assert_snapshot!(render(&at(Verbosity::Normal), &report));
}
