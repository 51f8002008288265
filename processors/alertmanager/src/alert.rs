//! What is sent: alerts of Alertmanager's API v2.
//!
//! Labels say which alert it is. They hold names of the suite alone: a value from the data
//! would make every run's alert another one, and show data to everybody who may see alerts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use sha2::{Digest, Sha256};
use veracity_http::Link;
use veracity_processor::{AssertionResult, Finding, Message, Report, Run, Severity, printable};

use crate::settings::SeverityMap;

/// Labels that are set here.
pub(crate) const RESERVED: &[&str] = &[
    "alertname",
    "suite",
    "assertion",
    "check",
    "dataset",
    "column",
    "severity",
    "message",
];

/// The most characters of a label's value; a longer one ends in a digest.
const LABEL: usize = 200;

/// The most characters of a name or a reason in an annotation.
const TEXT: usize = 500;

/// The most lines of a description.
const LINES: usize = 20;

/// Labels or annotations, by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alert {
    /// Which alert it is.
    pub labels: Labels,
    /// What people are told about it.
    pub annotations: Labels,
    #[serde(serialize_with = "rfc3339")]
    pub starts_at: SystemTime,
    #[serde(serialize_with = "rfc3339")]
    pub ends_at: SystemTime,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
}

fn rfc3339<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}

/// From when to when alerts fire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    now: SystemTime,
    expires_after: Duration,
}

impl Times {
    /// Alerts that are sent at `now` and fire for `expires_after`.
    pub fn new(now: SystemTime, expires_after: Duration) -> Self {
        Self { now, expires_after }
    }

    /// When it is.
    pub fn now(self) -> SystemTime {
        self.now
    }

    /// When alerts that fire now end by themselves.
    pub fn expiry(self) -> SystemTime {
        self.now + self.expires_after
    }

    /// When `run` ended, which is never after now: an alert must not begin after its end.
    fn began(self, run: &Run) -> SystemTime {
        let finished = humantime::parse_rfc3339(&run.finished_at);
        finished.map_or(self.now, |finished| finished.min(self.now))
    }

    /// When an alert ended that is over: half a minute ago. An end that is still to come by
    /// the clock of an Alertmanager would not end it.
    fn ended(self) -> SystemTime {
        self.now - Duration::from_secs(30)
    }
}

/// What all alerts have in common.
pub(crate) struct Form {
    pub labels: Labels,
    pub severities: SeverityMap,
    pub link: Option<Link>,
}

impl Form {
    /// The labels of the alert for the assertion of `result`, whatever became of it.
    pub fn labels(&self, report: &Report, result: &AssertionResult) -> Labels {
        let mut labels = self.basic("VeracityAssertionFailed", &report.run, result.severity);
        put(&mut labels, "assertion", &result.assertion);
        put(&mut labels, "check", &result.check);
        put(&mut labels, "dataset", &result.dataset);
        if let Some(column) = column_of(report, result) {
            put(&mut labels, "column", column);
        }
        labels
    }

    /// The labels of the alert for all that has none of its own, the worst of which is
    /// `severity`.
    pub fn rest_labels(&self, run: &Run, severity: Severity) -> Labels {
        self.basic("VeracityMoreAssertionsFailed", run, severity)
    }

    fn basic(&self, name: &str, run: &Run, severity: Severity) -> Labels {
        let mut labels = Labels::new();
        for (name, value) in &run.key.tags {
            put(&mut labels, &label_name(name), value);
        }
        for (name, value) in &self.labels {
            put(&mut labels, name, value);
        }
        put(&mut labels, "alertname", name);
        put(&mut labels, "suite", &run.suite);
        put(&mut labels, "severity", self.severities.of(severity));
        labels
    }

    /// The alert with `labels`, of one assertion that has these `findings`, one for each
    /// group.
    pub fn firing(
        &self,
        labels: Labels,
        findings: &[Finding],
        report: &Report,
        times: Times,
    ) -> Alert {
        let mut annotations = Labels::new();
        if let [finding, others @ ..] = findings {
            let result = finding.result;
            let mut summary = format!("{}: {}", cut(&finding.name()), cut(&finding.detail()));
            if !others.is_empty() {
                summary.push_str(&format!(" (+{} more)", others.len()));
            }
            annotations.insert("summary".to_owned(), summary);
            if result.expression != result.assertion {
                annotate(&mut annotations, "expression", cut(&result.expression));
            }
            annotate(&mut annotations, "description", describe(findings));
        }
        self.alert(labels, annotations, &report.run, times)
    }

    /// The alert for `rest`, the worst first.
    pub fn firing_rest(&self, rest: &[Finding], report: &Report, times: Times) -> Alert {
        let worst = rest.first().map(|finding| finding.result.severity);
        let labels = self.rest_labels(&report.run, worst.unwrap_or_default());
        let what = match rest.len() {
            1 => "1 more assertion".to_owned(),
            count => format!("{count} more assertions"),
        };
        let mut annotations = Labels::new();
        let summary = format!("{}: {what} did not pass", cut(&report.run.suite));
        annotations.insert("summary".to_owned(), summary);
        let names = rest.iter().map(Finding::name);
        annotate(&mut annotations, "description", lines(names, 0));
        self.alert(labels, annotations, &report.run, times)
    }

    /// The alert that tells people `message`.
    pub fn message(&self, message: &Message, times: Times) -> Alert {
        let mut labels = self.basic("VeracityMessage", &message.run, message.severity);
        put(&mut labels, "message", &message.id.to_string());
        let mut annotations = Labels::new();
        annotations.insert("summary".to_owned(), cut(&message.title));
        let fields = message.fields.iter();
        let fields = fields.map(|(name, value)| format!("{name}: {value}"));
        let text = (!message.text.is_empty()).then(|| message.text.clone());
        let all: Vec<String> = text
            .into_iter()
            .chain(message.lines.iter().cloned())
            .collect();
        let parts = [
            lines(all.into_iter(), message.more),
            lines(fields.collect::<Vec<_>>().into_iter(), 0),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        annotate(&mut annotations, "description", parts.join("\n"));
        self.alert(labels, annotations, &message.run, times)
    }

    /// The alert with `labels`, which is over.
    pub fn over(&self, labels: Labels, run: &Run, times: Times) -> Alert {
        let ended = times.ended();
        Alert {
            starts_at: times.began(run).min(ended),
            ends_at: ended,
            ..self.alert(labels, Labels::new(), run, times)
        }
    }

    fn alert(&self, labels: Labels, annotations: Labels, run: &Run, times: Times) -> Alert {
        Alert {
            labels,
            annotations,
            starts_at: times.began(run),
            ends_at: times.expiry(),
            generator_url: self.link.as_ref().and_then(|link| link.to(run)),
        }
    }
}

/// By what an alert with `labels` is remembered.
pub(crate) fn fingerprint(labels: &Labels) -> String {
    let mut digest = Sha256::new();
    for (name, value) in labels {
        for text in [name, value] {
            digest.update(text.as_bytes());
            digest.update([0]);
        }
    }
    hex(&digest.finalize(), 6)
}

/// Whether every Alertmanager takes `name` as the name of a label.
pub(crate) fn is_label_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

/// The label for a tag of the run: what does not belong into a name becomes `_`.
fn label_name(tag: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = tag.chars().map(legal).take(LABEL).collect();
    let taken = RESERVED.contains(&name.as_str());
    if taken || !is_label_name(&name) {
        return format!("tag_{name}");
    }
    name
}

/// Sets a label, unless `value` is empty: Alertmanager knows no empty ones.
fn put(labels: &mut Labels, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let mut shown = printable(value).into_owned();
    if shown.chars().nth(LABEL).is_some() {
        let digest = digest(value, 8);
        shown = shown.chars().take(LABEL - 1 - digest.len()).collect();
        shown = format!("{shown}~{digest}");
    }
    labels.insert(name.to_owned(), shown);
}

/// The first `bytes` bytes of the digest of `text`, in hexadecimal digits.
pub(crate) fn digest(text: &str, bytes: usize) -> String {
    hex(&Sha256::digest(text.as_bytes()), bytes)
}

fn hex(digest: &[u8], bytes: usize) -> String {
    let bytes = digest.iter().take(bytes);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The column that `result` is about, if it is about one metric of one column. The same
/// whether it passed or could not be evaluated: it is part of the alert's identity.
fn column_of<'r>(report: &'r Report, result: &'r AssertionResult) -> Option<&'r str> {
    match &result.symbols[..] {
        [] => column(&result.expression),
        [name] => column(&report.symbol(name)?.metric),
        _ => None,
    }
}

/// The only argument of the only call in `metric`, if it is a name: `id` of
/// `uniqueness(id) = 1`.
fn column(metric: &str) -> Option<&str> {
    let (name, rest) = metric.split_once('(')?;
    let (argument, after) = rest.split_once(')')?;
    let is_name = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
            && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    };
    let argument = argument.trim();
    (is_name(name.trim()) && is_name(argument) && !after.contains('(')).then_some(argument)
}

/// What there is to say beside the summary: the groups, the place in the suite, the tags.
fn describe(findings: &[Finding]) -> String {
    let mut parts = Vec::new();
    if findings.len() > 1 {
        let groups = findings.iter().map(|finding| {
            let group = finding.result.group.as_ref();
            let group = group.map(ToString::to_string).unwrap_or_default();
            format!("{group}: {}", finding.detail())
        });
        parts.push(lines(groups.collect::<Vec<_>>().into_iter(), 0));
    }
    if let Some(finding) = findings.first() {
        let result = finding.result;
        let location = result.location.as_ref();
        parts
            .extend(location.map(|location| format!("asserted at {}", cut(&location.to_string()))));
        if !result.tags.is_empty() {
            parts.push(format!("tags: {}", cut(&result.tags.join(", "))));
        }
    }
    parts.join("\n")
}

/// The first of `texts`, each on a line, and how many there are beside, `more` included.
fn lines(texts: impl ExactSizeIterator<Item = String>, more: u64) -> String {
    let left = (texts.len() as u64).saturating_sub(LINES as u64) + more;
    let mut lines: Vec<String> = texts.take(LINES).map(|text| cut(&text)).collect();
    if left > 0 {
        lines.push(format!("(+{left} more)"));
    }
    lines.join("\n")
}

fn annotate(annotations: &mut Labels, name: &str, text: String) {
    if !text.is_empty() {
        annotations.insert(name.to_owned(), text);
    }
}

/// `text` on one line in which everything is seen, of at most [`TEXT`] characters.
fn cut(text: &str) -> String {
    // What is escaped gets longer, never shorter.
    let end = text
        .char_indices()
        .nth(TEXT)
        .map_or(text.len(), |(at, _)| at);
    let shown = printable(&text[..end]);
    if end == text.len() && shown.chars().nth(TEXT).is_none() {
        return shown.into_owned();
    }
    let mut short: String = shown.chars().take(TEXT - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_the_only_argument_of_the_only_call() {
        let cases = [
            ("uniqueness(id)", Some("id")),
            ("uniqueness( orders.id ) = 1", Some("orders.id")),
            ("completeness(größe) >= 0.9", Some("größe")),
            ("row_count() > 0", None),
            ("dep_delay < 600", None),
            ("unmatched(tailnum, planes.tailnum) = 0", None),
            ("avg(a) < avg(b)", None),
            ("sum(a + b) > 0", None),
            ("sum(a) filter (where b > 0)", None),
            ("quantile(0.5)", None),
            ("mean('<script>')", None),
            ("(a) > 1", None),
            ("f(", None),
            ("", None),
        ];
        for (metric, expected) in cases {
            assert_eq!(column(metric), expected, "{metric}");
        }
    }

    #[test]
    fn tags_become_labels_that_every_alertmanager_takes() {
        let cases = [
            ("env", "env"),
            ("data.centre-1", "data_centre_1"),
            ("1st", "tag_1st"),
            ("", "tag_"),
            ("severity", "tag_severity"),
            ("<script>\n", "_script__"),
            ("größe", "gr__e"),
        ];
        for (tag, expected) in cases {
            let name = label_name(tag);
            assert_eq!(name, expected);
            assert!(is_label_name(&name), "{name}");
        }
    }

    #[test]
    fn long_values_stay_apart_and_empty_ones_are_left_out() {
        let mut labels = Labels::new();
        put(&mut labels, "a", &"x".repeat(200));
        put(&mut labels, "b", &"x".repeat(201));
        put(&mut labels, "c", &"x".repeat(10_000));
        put(&mut labels, "d", "");
        put(&mut labels, "e", "a\n\0\u{202e}");
        assert_eq!(labels["a"], "x".repeat(200));
        for name in ["b", "c"] {
            assert_eq!(labels[name].chars().count(), 200);
        }
        assert_ne!(labels["b"], labels["c"]);
        assert_eq!(
            (labels.get("d"), &*labels["e"]),
            (None, r"a\n\u{0}\u{202e}")
        );
    }

    #[test]
    fn a_fingerprint_tells_label_sets_apart() {
        let set = |pairs: &[(&str, &str)]| -> Labels {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect()
        };
        let one = fingerprint(&set(&[("a", "b"), ("c", "d")]));
        assert_eq!(one.len(), 12);
        assert_eq!(one, fingerprint(&set(&[("c", "d"), ("a", "b")])));
        for other in [
            &[("a", "bc"), ("c", "d")][..],
            &[("a", "b")],
            &[("ab", ""), ("c", "d")],
        ] {
            assert_ne!(one, fingerprint(&set(other)));
        }
    }
}
