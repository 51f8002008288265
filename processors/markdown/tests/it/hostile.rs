//! Names and values that mean something to some receiver, and many of them.

use serde_json::json;
use veracity_markdown::{MAX_BYTES, Options, render};
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{
    DatasetReport, Location, Report, Severity, Status, is_deceptive, printable,
};

use crate::parsed::Parsed;
use crate::{report, result};

/// What means something to Markdown, GitHub and others.
const MARKDOWN: &[&str] = &[
    "a | b || c",
    r"a \| b \\| c",
    "a `code` b ``more`` c",
    "```",
    "`",
    "``x",
    "`````````````````````````",
    "\\",
    "a\\",
    "**bold** __bold__ *it* _it_ ~~no~~",
    "![image](https://example.org/x.png)",
    "[link](https://example.org)",
    "[link][1]\n\n[1]: https://example.org",
    "<https://example.org>",
    "https://example.org www.example.org a@example.org",
    "@someone @org/team #123 org/repo#1 GH-1",
    "</details></summary></table></code>",
    "<!-- comment",
    "--> end",
    "<img src=x onerror=alert(1)>",
    "&lt;script&gt; &#96; &amp;",
    "# heading",
    "- [ ] task",
    "> [!WARNING]",
    "| --- | --- |",
    "---",
    "$x^2$ $`x`$",
    ":smile:",
    "[^1] [^1]: note",
    "  spaces  ",
    " ",
    "\t",
    "\u{a0}",
    "::error::x",
    "::stop-commands::x",
    "##vso[task.complete]",
    "##[error]x",
    "\u{1b}]8;;https://example.org\u{7}x",
    "\u{202e}gpj.exe\u{2066}",
    "\r\n\r\n::error::x",
];

/// A report about `text`, wherever a text can stand.
fn about(text: &str) -> Report {
    let mut failed = result(Status::Failed, Severity::P0);
    let mut passed = result(Status::Passed, Severity::P0);
    for result in [&mut failed, &mut passed] {
        result.check = text.to_owned();
        result.assertion = format!("x{text}");
        result.expected = Some(text.to_owned());
        result.actual = Some(json!(text));
        result.reason = Some(text.to_owned());
        result.group = Some(json!({text: text}));
        result.location = Some(Location {
            file: text.to_owned(),
            line: 1,
            column: 1,
        });
    }
    let mut report = report(vec![failed, passed]);
    report.run.suite = text.to_owned();
    report.run.interrupted = Some(text.to_owned());
    report.run.gate = Some(text.to_owned());
    report.run.key.date = text.to_owned();
    report.run.finished_at = text.to_owned();
    report.run.key.tags.insert(text.to_owned(), text.to_owned());
    report.warnings = vec![text.to_owned()];
    let mut dataset = DatasetReport::new(text);
    dataset.error = Some(text.to_owned());
    report.datasets = vec![dataset];
    report.symbols = hostile().symbols;
    report.symbols[0].metric = text.to_owned();
    report.symbols[0].value = Some(json!(text));
    report.symbols[0].precision = Some(text.to_owned());
    report
}

#[test]
fn hostile_text_is_shown_and_nothing_else() {
    let options = Options {
        symbols: true,
        ..Options::default()
    };
    let texts = HOSTILE.iter().chain(MARKDOWN);
    for text in texts {
        let page = render(&about(text), &options);
        // Reading it panics at anything but headings, paragraphs, tables, text and code.
        let parsed = Parsed::read(&page);
        let html = &parsed.html;
        let folds = ["<details>\n<summary>1 passed</summary>", "</details>"];
        assert_eq!(html[..2], folds, "{text:?}: {page}");
        assert_eq!(html.len(), 4, "{text:?}: {html:?}");
        let metrics = parsed.rows.len() - 4;
        assert_eq!(parsed.rows[..4], [4, 2, 1, 4], "{text:?}: {page}");
        assert_eq!(metrics, HOSTILE.len(), "{text:?}");
        let plain = |c: char| c.is_ascii_alphanumeric() || " ,:+·()".contains(c);
        for said in &parsed.texts {
            assert!(said.chars().all(plain), "{said:?} for {text:?}: {page}");
        }
        let lines = page.lines();
        let command = |line: &&str| line.trim_start().starts_with("::") || line.contains("##vso[");
        assert_eq!(lines.clone().find(command), None, "{text:?}");
        let deceptive = page.chars().find(|&c| c != '\n' && is_deceptive(c));
        assert_eq!(deceptive, None, "{text:?}");
    }
}

#[test]
fn code_spans_say_what_the_text_says() {
    for text in HOSTILE.iter().chain(MARKDOWN) {
        let mut report = report(Vec::new());
        report.warnings = vec![(*text).to_owned()];
        let parsed = Parsed::read(&render(&report, &Options::default()));
        let shown = parsed.codes.last().unwrap();
        let mut expected = printable(text).into_owned();
        if text.contains("`````````") {
            expected = expected.replace('`', r"\u{60}");
        }
        // A renderer cannot be kept from trimming the cell's edges inside of a span of
        // spaces only; anything else is the same to the letter.
        if text.contains('\\') && text.contains('|') {
            expected = r"a \\u{7c} b \\\u{7c} c".to_owned();
        }
        assert_eq!(shown.trim(), expected.trim(), "{text:?}");
    }
}

#[test]
fn long_names_are_cut() {
    for text in ["x", "\u{1f600}", "|", "`", "``````` ", "\u{202e}", "\n"] {
        let page = render(&about(&text.repeat(10_000)), &Options::default());
        assert!(page.len() < 40_000, "{text:?}: {} bytes", page.len());
        assert!(page.contains(".."), "{text:?}: what is cut says so");
        Parsed::read(&page);
    }
}

#[test]
fn a_page_is_never_larger_than_it_may_be() {
    let name = "\u{1f600}|`".repeat(100);
    let results = (0..3_000).map(|number| {
        let status = [Status::Failed, Status::Passed][number % 2];
        let mut result = result(status, Severity::P1);
        result.assertion = format!("{number} {name}");
        result.reason = Some(name.clone());
        result
    });
    let mut report = report(results.collect());
    let dataset = about(&name).datasets[0].clone();
    report.datasets = vec![dataset; 100];
    report.warnings = vec![name.clone(); 100];
    report.symbols = hostile().symbols;
    report.run = about(&name).run;
    for max_bytes in [0, 8 * 1024, 10_000, 12_345, 65_536, 300_000, MAX_BYTES] {
        let options = Options {
            symbols: true,
            max_bytes,
        };
        let page = render(&report, &options);
        let most = max_bytes.max(8 * 1024);
        assert!(page.len() <= most, "{} of {most}", page.len());
        assert!(page.starts_with("## "), "there is always a headline");
        Parsed::read(&page);
    }
}

#[test]
fn ten_thousand_failures_are_counted() {
    let results = |name: &str| {
        let results = (0..10_000).map(|number| {
            let mut failed = result(Status::Failed, Severity::P1);
            failed.assertion = format!("{number} {name}");
            failed.actual = Some(json!(number));
            failed
        });
        report(results.collect())
    };
    let page = render(&results(""), &Options::default());
    assert!(page.len() <= MAX_BYTES, "{} bytes", page.len());
    assert_eq!(Parsed::read(&page).rows.len(), 10_000, "short ones all fit");
    let page = render(&results(&"x".repeat(10_000)), &Options::default());
    assert!(page.len() <= MAX_BYTES, "{} bytes", page.len());
    let shown = Parsed::read(&page).rows.len();
    assert!((1_000..10_000).contains(&shown), "{shown}");
    let more = format!("+{} more", 10_000 - shown);
    assert!(page.lines().any(|line| line == more), "{more}");
    assert!(page.contains("10000 of 10000 assertions failed"));
}
