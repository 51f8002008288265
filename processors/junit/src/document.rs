//! The XML document.

use std::collections::HashMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::Value;
use veracity_processor::{AssertionResult, Finding, Report, Severity, Status, Symbol};

use crate::text::clip;

/// Characters of a name, and of a longer text.
const NAME: usize = 500;
const TEXT: usize = 2_000;
/// Metrics and warnings that are listed at most.
const ENTRIES: usize = 20;

/// How a report becomes JUnit XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Severities at which a failed assertion is a passed test case with a warning.
    pub warn_severities: Vec<Severity>,
    /// Only what the schema `junit-10.xsd` knows: test cases without file, line and
    /// properties.
    pub strict: bool,
}

impl Default for Options {
    /// Warnings at [`Severity::P3`], files and lines stated.
    fn default() -> Self {
        Self {
            warn_severities: vec![Severity::P3],
            strict: false,
        }
    }
}

type Xml = Writer<Vec<u8>>;

/// `report` as a JUnit XML document, in UTF-8, with a line break at its end. Names and
/// reasons are cut at a few hundred characters.
pub fn render(report: &Report, options: &Options) -> String {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    document(&mut xml, report, options).expect("memory can be written to");
    let mut text = String::from_utf8(xml.into_inner()).expect("only UTF-8 was written");
    text.push('\n');
    text
}

fn document(xml: &mut Xml, report: &Report, options: &Options) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let totals = totals(report, options);
    let timestamp = timestamp(&report.run.started_at);
    let mut suites = xml
        .create_element("testsuites")
        .with_attribute(("name", "veracity"));
    for (name, value) in &totals {
        if !(options.strict && *name == "skipped") {
            suites = suites.with_attribute((*name, value.as_str()));
        }
    }
    if let Some(timestamp) = timestamp.filter(|_| !options.strict) {
        suites = suites.with_attribute(("timestamp", timestamp));
    }
    suites.write_inner_content(|xml| {
        let name = clip(&report.run.suite, NAME);
        let mut suite = xml
            .create_element("testsuite")
            .with_attribute(("name", name.as_str()));
        for (name, value) in &totals {
            suite = suite.with_attribute((*name, value.as_str()));
        }
        if let Some(timestamp) = timestamp {
            suite = suite.with_attribute(("timestamp", timestamp));
        }
        let mut places = report
            .results
            .iter()
            .filter_map(|one| one.location.as_ref());
        if let Some(place) = places.next() {
            suite = suite.with_attribute(("file", clip(&place.file, NAME).as_str()));
        }
        suite.write_inner_content(|xml| content(xml, report, options))?;
        Ok(())
    })?;
    Ok(())
}

/// Everything inside of the `testsuite`.
fn content(xml: &mut Xml, report: &Report, options: &Options) -> io::Result<()> {
    let run = &report.run;
    let mut properties = vec![
        ("run_id".to_owned(), run.id.to_string()),
        ("date".to_owned(), clip(&run.key.date, NAME)),
        ("verdict".to_owned(), report.verdict.to_string()),
    ];
    for (name, value) in &run.key.tags {
        properties.push((format!("tag.{}", clip(name, NAME)), clip(value, NAME)));
    }
    if let Some(reason) = &run.interrupted {
        properties.push(("interrupted".to_owned(), clip(reason, TEXT)));
    }
    write_properties(xml, &properties)?;

    let symbols = report.symbols.iter();
    let symbols: HashMap<&str, &Symbol> = symbols.map(|one| (one.name.as_str(), one)).collect();
    for result in &report.results {
        let case = Case {
            suite: &run.suite,
            result,
            symbols: &symbols,
            options,
        };
        case.write(xml)?;
    }

    let interrupted = run.interrupted.iter();
    let interrupted = interrupted.map(|reason| match &run.gate {
        Some(gate) => format!("the run was not made, because of {gate}: {reason}"),
        None => format!("the run ended early: {reason}"),
    });
    // No line begins with what comes from data: `::` there is a command to GitHub.
    let warnings = report.warnings.iter();
    let warnings = warnings.map(|warning| format!("warning: {warning}"));
    let lines: Vec<String> = interrupted.chain(warnings).collect();
    if !lines.is_empty() {
        write_text(xml, "system-err", &listed(&lines))?;
    }
    Ok(())
}

/// What an assertion is in the words of JUnit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passed,
    Warning,
    Failure,
    Error,
    Skipped,
}

impl Fate {
    fn of(result: &AssertionResult, options: &Options) -> Self {
        match result.status {
            Status::Passed => Fate::Passed,
            Status::Failed if options.warn_severities.contains(&result.severity) => Fate::Warning,
            Status::Failed => Fate::Failure,
            Status::Skipped => Fate::Skipped,
            _ => Fate::Error,
        }
    }
}

/// Counts and time, as attributes. The counts are those of the test cases that follow, the
/// time is that of the run.
fn totals(report: &Report, options: &Options) -> [(&'static str, String); 5] {
    let fates = report
        .results
        .iter()
        .map(|result| Fate::of(result, options));
    let fates: Vec<Fate> = fates.collect();
    let count = |fate| fates.iter().filter(|one| **one == fate).count().to_string();
    let ms = report.run.duration_ms;
    [
        ("tests", fates.len().to_string()),
        ("failures", count(Fate::Failure)),
        ("errors", count(Fate::Error)),
        ("skipped", count(Fate::Skipped)),
        ("time", format!("{}.{:03}", ms / 1_000, ms % 1_000)),
    ]
}

/// `2026-11-20T06:00:00` of `2026-11-20T06:00:00.412Z`: JUnit knows no zones.
fn timestamp(time: &str) -> Option<&str> {
    let (start, rest) = time.split_at_checked(19)?;
    let fits = start.bytes().zip(b"dddd-dd-ddTdd:dd:dd").all(|(is, want)| {
        let digit = *want == b'd';
        (digit && is.is_ascii_digit()) || (!digit && is == *want)
    });
    (fits && rest.ends_with('Z')).then_some(start)
}

/// A `testcase`.
struct Case<'r> {
    suite: &'r str,
    result: &'r AssertionResult,
    symbols: &'r HashMap<&'r str, &'r Symbol>,
    options: &'r Options,
}

impl Case<'_> {
    fn write(&self, xml: &mut Xml) -> io::Result<()> {
        let fate = Fate::of(self.result, self.options);
        // The assertions of a suite share their scans: none has a time of its own.
        let mut case = xml
            .create_element("testcase")
            .with_attribute(("name", self.name().as_str()))
            .with_attribute(("classname", self.classname().as_str()))
            .with_attribute(("time", "0"));
        if let Some(place) = &self.result.location
            && !self.options.strict
        {
            case = case
                .with_attribute(("file", clip(&place.file, NAME).as_str()))
                .with_attribute(("line", place.line.to_string().as_str()));
        }
        if fate == Fate::Passed {
            case.write_empty()?;
        } else {
            case.write_inner_content(|xml| self.outcome(xml, fate))?;
        }
        Ok(())
    }

    fn outcome(&self, xml: &mut Xml, fate: Fate) -> io::Result<()> {
        let message = self.message();
        let severity = self.result.severity.to_string();
        match fate {
            Fate::Passed => {}
            Fate::Warning => {
                if !self.options.strict {
                    write_properties(xml, &[("severity".to_owned(), "warn".to_owned())])?;
                }
                let text = format!("{severity} warning: {message}\n{}", self.explanation());
                write_text(xml, "system-out", &text)?;
            }
            Fate::Failure | Fate::Error => {
                let (element, kind) = match (fate, self.result.status) {
                    (Fate::Failure, _) => ("failure", severity.as_str()),
                    (_, Status::NotEvaluated) => ("error", "not_evaluated"),
                    _ => ("error", "error"),
                };
                xml.create_element(element)
                    .with_attribute(("message", message.as_str()))
                    .with_attribute(("type", kind))
                    .write_text_content(BytesText::new(&self.explanation()))?;
            }
            Fate::Skipped => {
                xml.create_element("skipped")
                    .with_attribute(("message", message.as_str()))
                    .write_empty()?;
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        let mut name = self.result.assertion.clone();
        if let Some(group) = &self.result.group {
            name.push_str(&format!(" [{}]", plain(group)));
        }
        clip(&name, NAME)
    }

    /// `suite.dataset.check`.
    fn classname(&self) -> String {
        let AssertionResult { dataset, check, .. } = self.result;
        let parts = [self.suite, dataset, check].into_iter();
        let parts: Vec<String> = parts
            .filter(|part| !part.is_empty())
            .map(|part| clip(part, NAME))
            .collect();
        parts.join(".")
    }

    fn message(&self) -> String {
        let text = match &self.result.reason {
            // The element says that it was skipped, or that it is an error.
            Some(reason) if self.result.actual.is_none() => reason.clone(),
            _ => {
                let result = self.result;
                Finding { result }.detail()
            }
        };
        clip(&text, TEXT)
    }

    /// What was asserted, where that is written, and the metrics it was computed from.
    fn explanation(&self) -> String {
        let mut lines = vec![self.result.expression.clone()];
        lines.extend(
            self.result
                .location
                .iter()
                .map(|place| format!("at {place}")),
        );
        let symbols = self.result.symbols.iter();
        let symbols = symbols.filter_map(|name| self.symbols.get(name.as_str()));
        lines.extend(symbols.filter_map(|symbol| {
            let value = plain(symbol.value.as_ref()?);
            Some(format!("with {} = {value}", symbol.metric))
        }));
        listed(&lines)
    }
}

fn write_properties(xml: &mut Xml, properties: &[(String, String)]) -> io::Result<()> {
    xml.create_element("properties")
        .write_inner_content(|xml| {
            for (name, value) in properties {
                xml.create_element("property")
                    .with_attribute(("name", name.as_str()))
                    .with_attribute(("value", value.as_str()))
                    .write_empty()?;
            }
            Ok(())
        })?;
    Ok(())
}

fn write_text(xml: &mut Xml, element: &str, text: &str) -> io::Result<()> {
    let element = xml.create_element(element);
    element.write_text_content(BytesText::new(text))?;
    Ok(())
}

/// `lines`, one below the other; of many only the first.
fn listed(lines: &[String]) -> String {
    let shown = lines.iter().take(ENTRIES).map(|line| clip(line, TEXT));
    let mut shown: Vec<String> = shown.collect();
    if lines.len() > ENTRIES {
        shown.push(format!("+{} more", lines.len() - ENTRIES));
    }
    shown.join("\n")
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_no_zone() {
        let cases = [
            ("2026-11-20T06:00:00Z", Some("2026-11-20T06:00:00")),
            ("2026-11-20T06:00:00.412Z", Some("2026-11-20T06:00:00")),
            ("2026-11-20T06:00:00+01:00", None),
            ("2026-11-20 06:00:00Z", None),
            ("yesterday, before the ä\u{e4}Z", None),
            ("", None),
        ];
        for (time, expected) in cases {
            assert_eq!(timestamp(time), expected, "{time}");
        }
    }
}
