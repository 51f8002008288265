//! The report as a SARIF log.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use veracity_processor::{AssertionResult, Location as Place, Report, Severity, Status, Verdict};

use crate::identity::{fingerprint, rule_id};
use crate::model::{
    ArtifactLocation, AutomationDetails, Configuration, Descriptor, Driver, Finding, Invocation,
    Kind, Level, Location, Log, LogicalLocation, Notification, PhysicalLocation, Reference, Region,
    Rule, Run, Text, Tool, UriBase,
};
use crate::text::clip;
use crate::uri;

/// The most results of a run that GitHub takes; of these it shows the first 5,000.
pub const MAX_RESULTS: usize = 25_000;

/// The most bytes that GitHub takes, compressed; a little less than its 10 MB.
const MAX_COMPRESSED: usize = 9_500_000;

/// Notifications about assertions, and other lists.
const MAX_NOTIFICATIONS: usize = 1_000;
const ENTRIES: usize = 20;

/// Characters of a name, and of a longer text.
const NAME: usize = 200;
const TEXT: usize = 600;

/// What a notification can be about, in the order of their indices.
const NOTIFICATIONS: [(&str, &str); 5] = [
    ("error", "An assertion is in error: something needs repair"),
    (
        "not-evaluated",
        "A value that an assertion needs is undefined",
    ),
    ("interrupted", "The run ended early, or was not made"),
    ("left-out", "Something is left out of this file"),
    ("warning", "Something is worth knowing"),
];

/// How a report becomes SARIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether what passed or was skipped is there too.
    pub include_passed: bool,
}

/// `report` as a SARIF log: UTF-8, one line, with a line break at its end.
///
/// It holds at most [`MAX_RESULTS`] results, and fewer if it would have 10 MB compressed, the
/// most severe first; a notification says how many are left out.
pub fn render(report: &Report, options: &Options) -> Vec<u8> {
    let mut limit = MAX_RESULTS;
    loop {
        let log = Builder::new(report, options).log(limit);
        let shown = log.runs[0].results.len();
        let mut bytes = serde_json::to_vec(&log).expect("all keys are texts");
        bytes.push(b'\n');
        if shown == 0 || bytes.len() <= MAX_COMPRESSED {
            return bytes;
        }
        let size = compressed(&bytes);
        if size <= MAX_COMPRESSED {
            return bytes;
        }
        // Results are of different size, so this may not be the last round.
        limit = (shown - 1).min(shown * (MAX_COMPRESSED / 1_000) / (size / 1_000));
    }
}

/// The size of `bytes` as they are uploaded, or a little more: the fast way packs less well.
fn compressed(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Counter(0), Compression::fast());
    let written = encoder.write_all(bytes);
    written
        .and_then(|()| encoder.finish())
        .expect("counting does not fail")
        .0
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Builder<'r> {
    report: &'r Report,
    options: &'r Options,
    /// The place of the first assertion that has one.
    first: Option<&'r Place>,
    rules: Vec<Rule>,
    /// Indices of `rules` by check and assertion.
    indices: HashMap<(&'r str, &'r str), usize>,
    notifications: Vec<Notification>,
}

impl<'r> Builder<'r> {
    fn new(report: &'r Report, options: &'r Options) -> Self {
        let mut results = report.results.iter();
        Self {
            report,
            options,
            first: results.find_map(|result| result.location.as_ref().filter(is_somewhere)),
            rules: Vec::new(),
            indices: HashMap::new(),
            notifications: Vec::new(),
        }
    }

    /// The log with at most `limit` results.
    fn log(mut self, limit: usize) -> Log {
        let chosen = self.chosen();
        let results: Vec<Finding> = chosen
            .iter()
            .take(limit)
            .map(|one| self.finding(one))
            .collect();
        self.notify(chosen.len() - results.len());
        let run = &self.report.run;
        let descriptors = NOTIFICATIONS.map(|(id, text)| Descriptor {
            id,
            short_description: Text(text.to_owned()),
        });
        let base = "The folder in which veracity was run, usually the root of the repository";
        let base = UriBase {
            description: Text(base.to_owned()),
        };
        Log {
            schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            version: "2.1.0",
            runs: [Run {
                automation_details: AutomationDetails {
                    id: format!("veracity/{}/", clip(&run.suite, NAME)),
                },
                invocations: [Invocation {
                    execution_successful: successful(self.report),
                    start_time_utc: utc(&run.started_at),
                    end_time_utc: utc(&run.finished_at),
                    tool_execution_notifications: self.notifications,
                }],
                original_uri_base_ids: BTreeMap::from([(uri::BASE, base)]),
                column_kind: "unicodeCodePoints",
                results,
                properties: about(self.report),
                tool: Tool {
                    driver: Driver {
                        name: "veracity",
                        semantic_version: clip(&run.engine.version, NAME),
                        information_uri: "https://github.com/veracity-dq/veracity",
                        rules: self.rules,
                        notifications: descriptors.into(),
                    },
                },
            }],
        }
    }

    /// The results that have a place in the log, the most severe first.
    fn chosen(&self) -> Vec<&'r AssertionResult> {
        let report = self.report;
        let findings = veracity_processor::Finding::all(report).into_iter();
        let mut chosen: Vec<&AssertionResult> = findings.map(|one| one.result).collect();
        if self.options.include_passed {
            let others = report.results.iter();
            chosen.extend(
                others.filter(|one| matches!(one.status, Status::Passed | Status::Skipped)),
            );
        }
        chosen
    }

    fn finding(&mut self, result: &'r AssertionResult) -> Finding {
        let (rule_id, rule_index) = self.rule(result);
        let (kind, level) = match result.status {
            Status::Failed => (Kind::Fail, level(result.severity)),
            Status::Passed => (Kind::Pass, Level::None),
            Status::Skipped => (Kind::NotApplicable, Level::None),
            // It cannot be told. Without it, an alert about it would be taken for settled.
            _ => (Kind::Open, Level::None),
        };
        let fingerprint = fingerprint(&self.report.run.suite, result);
        Finding {
            rule_id,
            rule_index,
            kind,
            level,
            message: message(result),
            locations: self.locations(result),
            partial_fingerprints: BTreeMap::from([
                // The only one that GitHub looks at.
                ("primaryLocationLineHash", fingerprint.clone()),
                ("veracity/v1", fingerprint),
            ]),
            properties: properties(result),
        }
    }

    fn rule(&mut self, result: &'r AssertionResult) -> (String, usize) {
        let key = (result.check.as_str(), result.assertion.as_str());
        if let Some(&index) = self.indices.get(&key) {
            return (self.rules[index].id.clone(), index);
        }
        let index = self.rules.len();
        let id = rule_id(result);
        self.indices.insert(key, index);
        self.rules.push(Rule {
            id: id.clone(),
            name: clip(&result.assertion, NAME),
            short_description: Text(clip(&result.assertion, NAME)),
            full_description: Text(format!(
                "Check `{}` on dataset `{}`",
                clip(&result.check, NAME),
                clip(&result.dataset, NAME)
            )),
            help: Text(format!(
                "`{}` is asserted, at severity {}",
                clip(&result.expression, TEXT),
                result.severity
            )),
            default_configuration: Configuration {
                level: level(result.severity),
            },
            properties: tags(&result.tags),
        });
        (id, index)
    }

    /// The assertion in the suite file, and the dataset it is about. A result without a place
    /// of its own has that of the first one, because GitHub takes none without.
    fn locations(&self, result: &AssertionResult) -> Vec<Location> {
        let own = result.location.as_ref().filter(is_somewhere);
        let physical_location = own.or(self.first).map(|place| {
            let (uri, relative) = uri::of(&place.file);
            let number = |number: u32| if own.is_some() { number.max(1) } else { 1 };
            PhysicalLocation {
                artifact_location: ArtifactLocation {
                    uri,
                    uri_base_id: relative.then_some(uri::BASE),
                },
                region: Region {
                    start_line: number(place.line),
                    start_column: number(place.column),
                },
            }
        });
        let name = clip(&result.dataset, NAME);
        let dataset = (!name.is_empty()).then(|| LogicalLocation {
            fully_qualified_name: name.clone(),
            name,
            kind: "dataset",
        });
        if physical_location.is_none() && dataset.is_none() {
            return Vec::new();
        }
        vec![Location {
            physical_location,
            logical_locations: dataset.into_iter().collect(),
        }]
    }

    /// Adds what the run has to say beside its results, `left_out` of which are not there.
    fn notify(&mut self, left_out: usize) {
        let report = self.report;
        if let Some(reason) = &report.run.interrupted {
            let (level, what) = match &report.run.gate {
                Some(_) => (Level::Note, "the run was not made"),
                None => (Level::Error, "the run ended early"),
            };
            self.note(
                "interrupted",
                level,
                format!("{what}: {}", clip(reason, TEXT)),
            );
        }
        if left_out > 0 {
            let text = format!("{left_out} results are left out, the least severe ones");
            self.note("left-out", Level::Warning, text);
        }
        let open = veracity_processor::Finding::all(report).into_iter();
        let open = open.map(|finding| finding.result);
        let open: Vec<&AssertionResult> = open
            .filter(|result| result.status != Status::Failed)
            .collect();
        for result in open.iter().take(MAX_NOTIFICATIONS) {
            let id = match result.status {
                Status::NotEvaluated => "not-evaluated",
                _ => "error",
            };
            let key = (result.check.as_str(), result.assertion.as_str());
            let rule = self.indices.get(&key).map(|&index| Reference {
                id: self.rules[index].id.clone(),
                index,
            });
            self.notifications.push(Notification {
                descriptor: descriptor(id),
                level: level(result.severity),
                message: message(result),
                associated_rule: rule,
                locations: self.locations(result),
            });
        }
        if open.len() > MAX_NOTIFICATIONS {
            let more = open.len() - MAX_NOTIFICATIONS;
            let text = format!("+{more} more assertions could not be evaluated");
            self.note("left-out", Level::Warning, text);
        }
        for warning in report.warnings.iter().take(ENTRIES) {
            self.note("warning", Level::Note, clip(warning, TEXT));
        }
        if report.warnings.len() > ENTRIES {
            let text = format!("+{} more warnings", report.warnings.len() - ENTRIES);
            self.note("left-out", Level::Note, text);
        }
    }

    fn note(&mut self, id: &str, level: Level, text: String) {
        self.notifications.push(Notification {
            descriptor: descriptor(id),
            level,
            message: Text(text),
            associated_rule: None,
            locations: Vec::new(),
        });
    }
}

fn is_somewhere(place: &&Place) -> bool {
    !place.file.is_empty()
}

fn descriptor(id: &str) -> Reference {
    let mut ids = NOTIFICATIONS.iter();
    Reference {
        id: id.to_owned(),
        index: ids
            .position(|(known, _)| *known == id)
            .expect("every notification has a descriptor"),
    }
}

/// Whether the run did what it was asked to, whatever it found.
fn successful(report: &Report) -> bool {
    report.run.interrupted.is_none()
        && report.summary.error == 0
        && report.verdict != Verdict::NotEvaluated
}

fn level(severity: Severity) -> Level {
    match severity {
        Severity::P0 | Severity::P1 => Level::Error,
        Severity::P2 => Level::Warning,
        Severity::P3 => Level::Note,
    }
}

fn message(result: &AssertionResult) -> Text {
    let finding = veracity_processor::Finding { result };
    let text = format!(
        "{}: {}",
        clip(&finding.name(), NAME),
        clip(&finding.detail(), TEXT)
    );
    // Two parts that are none alone could be a link together.
    Text(clip(&text, NAME + TEXT + 2))
}

fn properties(result: &AssertionResult) -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert("severity".to_owned(), json!(result.severity));
    properties.insert("status".to_owned(), json!(result.status));
    if let Some(group) = &result.group {
        properties.insert("group".to_owned(), json!(clip(&group.to_string(), NAME)));
    }
    properties
}

/// Tags of an assertion; GitHub shows ten.
fn tags(tags: &[String]) -> Map<String, Value> {
    let mut shown: Vec<String> = Vec::new();
    for tag in tags {
        let tag = clip(tag, NAME);
        if shown.len() < 10 && !shown.contains(&tag) {
            shown.push(tag);
        }
    }
    match shown.is_empty() {
        true => Map::new(),
        false => Map::from_iter([("tags".to_owned(), json!(shown))]),
    }
}

/// Which run it was, and how it ended.
fn about(report: &Report) -> Map<String, Value> {
    let key = &report.run.key;
    let mut about = Map::new();
    about.insert("runId".to_owned(), json!(report.run.id));
    about.insert("date".to_owned(), json!(clip(&key.date, NAME)));
    about.insert("verdict".to_owned(), json!(report.verdict));
    about.insert("summary".to_owned(), json!(report.summary));
    for (name, value) in key.tags.iter().take(ENTRIES) {
        about.insert(
            format!("tag.{}", clip(name, NAME)),
            json!(clip(value, NAME)),
        );
    }
    about
}

/// `time` if it is a time in UTC.
fn utc(time: &str) -> Option<String> {
    let (start, rest) = time.split_at_checked(19)?;
    let fits = start.bytes().zip(b"dddd-dd-ddTdd:dd:dd").all(|(is, want)| {
        let digit = *want == b'd';
        (digit && is.is_ascii_digit()) || (!digit && is == *want)
    });
    let fraction = rest.strip_suffix('Z')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits);
    (fits && whole).then(|| time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_in_utc_are_times() {
        let cases = [
            ("2026-11-20T06:00:00Z", true),
            ("2026-11-20T06:00:00.412Z", true),
            ("2026-11-20T06:00:00.Z", false),
            ("2026-11-20T06:00:00+01:00", false),
            ("2026-11-20T06:00:00 Z", false),
            ("2026-11-20 06:00:00Z", false),
            ("", false),
        ];
        for (time, expected) in cases {
            assert_eq!(utc(time).is_some(), expected, "{time}");
        }
    }
}
