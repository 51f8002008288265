//! What is sent: events of PagerDuty's Events API v2, within their limits.

use serde::Serialize;
use serde_json::{Map, Value, json};
use veracity_http::Link;
use veracity_processor::{
    AssertionResult, Finding, Message, Report, Run, Secret, Status, printable,
};

use crate::settings::{Level, SeverityMap};

/// The most characters of a summary, by PagerDuty.
const SUMMARY: usize = 1024;

/// The most characters of a name in a summary, so that what comes after it is seen.
const NAME: usize = 400;

/// The most characters of a reason in a summary.
const REASON: usize = 300;

/// The most characters of a field; PagerDuty says nothing of them.
const FIELD: usize = 255;

/// The most characters of a text among the details.
const DETAIL: usize = 1000;

/// The most entries of a list among the details. With the longest of texts an event stays
/// below the 512 KB it may have.
const ENTRIES: usize = 20;

/// An event. It holds the routing key, so it has no `Debug`.
#[derive(Serialize)]
pub(crate) struct Event<'e> {
    routing_key: &'e str,
    event_action: &'static str,
    dedup_key: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    severity: Level,
    source: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom_details: Map<String, Value>,
}

/// What all events have in common.
pub(crate) struct Form {
    pub routing_key: Secret,
    pub link: Option<Link>,
    pub group: Option<String>,
    pub severities: SeverityMap,
}

impl Form {
    /// `finding` of `report` triggers the alert `key`.
    pub fn trigger<'e>(&'e self, key: &'e str, finding: Finding, report: &Report) -> Event<'e> {
        let result = finding.result;
        let mut payload = self.payload(&report.run, summary(&report.run, finding));
        payload.severity = self.severities.of(result.severity);
        payload.component = field(&result.dataset);
        payload.class = metric(report, result).as_deref().and_then(field);
        payload.custom_details = details(result);
        self.event(key, &report.run, payload)
    }

    /// `rest`, which has no alerts of its own, triggers the alert `key` together.
    pub fn trigger_rest<'e>(&'e self, key: &'e str, rest: &[Finding], run: &Run) -> Event<'e> {
        let what = match rest.len() {
            1 => "1 more assertion".to_owned(),
            count => format!("{count} more assertions"),
        };
        let suite = cut(&run.suite, NAME);
        let mut payload = self.payload(run, format!("{suite}: {what} did not pass"));
        if let Some(worst) = rest.first() {
            payload.severity = self.severities.of(worst.result.severity);
        }
        let details = &mut payload.custom_details;
        for (status, name) in [
            (Status::Failed, "failed"),
            (Status::Error, "in error"),
            (Status::NotEvaluated, "not evaluated"),
        ] {
            let of = rest
                .iter()
                .filter(|finding| finding.result.status == status);
            let count = of.count();
            if count > 0 {
                details.insert(name.to_owned(), count.to_string().into());
            }
        }
        let names = rest.iter().map(Finding::name);
        details.insert("first".to_owned(), list(names, 0));
        self.event(key, run, payload)
    }

    /// `message` triggers the alert `key`.
    pub fn trigger_message<'e>(&'e self, key: &'e str, message: &Message) -> Event<'e> {
        let mut payload = self.payload(&message.run, cut(&message.title, SUMMARY));
        payload.severity = self.severities.of(message.severity);
        let details = &mut payload.custom_details;
        if !message.text.is_empty() {
            details.insert("text".to_owned(), cut(&message.text, DETAIL).into());
        }
        if !message.lines.is_empty() {
            let lines = message.lines.iter().cloned();
            details.insert("lines".to_owned(), list(lines, message.more));
        }
        for (name, value) in message.fields.iter().take(ENTRIES) {
            let name = field(name).unwrap_or_default();
            details
                .entry(name)
                .or_insert_with(|| cut(value, DETAIL).into());
        }
        self.event(key, &message.run, payload)
    }

    /// The alert `key` is over.
    pub fn resolve<'e>(&'e self, key: &'e str) -> Event<'e> {
        Event {
            routing_key: self.routing_key.expose(),
            event_action: "resolve",
            dedup_key: key,
            client: None,
            client_url: None,
            payload: None,
        }
    }

    fn event<'e>(&'e self, key: &'e str, run: &Run, payload: Payload) -> Event<'e> {
        Event {
            routing_key: self.routing_key.expose(),
            event_action: "trigger",
            dedup_key: key,
            client: Some("veracity"),
            client_url: self.link.as_ref().and_then(|link| link.to(run)),
            payload: Some(payload),
        }
    }

    fn payload(&self, run: &Run, summary: String) -> Payload {
        Payload {
            summary,
            severity: Level::Error,
            // It must not be empty.
            source: field(&run.suite).unwrap_or_else(|| "veracity".to_owned()),
            timestamp: run.finished_at.clone(),
            component: None,
            group: self.group.as_deref().and_then(field),
            class: None,
            custom_details: Map::new(),
        }
    }
}

/// `orders.daily: keys / uniqueness(id) = 1 failed (actual 0.98, expected = 1)`
fn summary(run: &Run, finding: Finding) -> String {
    let status = finding.result.status;
    let became = match status {
        Status::Error => "is in error",
        Status::NotEvaluated => "was not evaluated",
        _ => "failed",
    };
    let suite = cut(&run.suite, FIELD);
    let mut text = format!("{suite}: {} {became}", cut(&finding.name(), NAME));
    let detail = finding.detail();
    let detail = detail.strip_prefix(&status.to_string()).unwrap_or(&detail);
    let detail = detail.trim_start_matches(", ");
    if !detail.is_empty() {
        text.push_str(&format!(" ({})", cut(detail, REASON)));
    }
    cut(&text, SUMMARY)
}

/// What there is to know about `result`, by name.
fn details(result: &AssertionResult) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let expression = (result.expression != result.assertion).then(|| result.expression.clone());
    let facts = [
        ("actual", result.actual.as_ref().map(text)),
        ("expected", result.expected.clone()),
        ("rows", result.violations.map(|rows| rows.to_string())),
        ("reason", result.reason.clone()),
        ("check", Some(result.check.clone())),
        ("expression", expression),
        ("group", result.group.as_ref().map(text)),
        ("tags", Some(result.tags.join(", "))),
        (
            "location",
            result.location.as_ref().map(ToString::to_string),
        ),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    let said = facts.filter(|(_, text)| !text.is_empty());
    said.map(|(name, text)| (name.to_owned(), cut(&text, DETAIL).into()))
        .collect()
}

/// The metric that `result` is about, if it is about one: `uniqueness`.
fn metric(report: &Report, result: &AssertionResult) -> Option<String> {
    let symbols = result.symbols.iter().filter_map(|name| report.symbol(name));
    let mut names = symbols.map(|symbol| symbol.metric.split('(').next().unwrap_or_default());
    let name = names.next()?;
    names.all(|other| other == name).then(|| name.to_owned())
}

/// The first of `texts`, and how many there are beside, `more` included.
fn list(texts: impl ExactSizeIterator<Item = String>, more: u64) -> Value {
    let left = (texts.len() as u64).saturating_sub(ENTRIES as u64) + more;
    let mut first: Vec<String> = texts.take(ENTRIES).map(|text| cut(&text, DETAIL)).collect();
    if left > 0 {
        first.push(format!("(+{left} more)"));
    }
    json!(first)
}

/// `text` as a field, if there is any.
fn field(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| cut(text, FIELD))
}

/// `text` on one line in which everything is seen, of at most `most` characters.
fn cut(text: &str, most: usize) -> String {
    // What is escaped gets longer, never shorter.
    let end = text
        .char_indices()
        .nth(most)
        .map_or(text.len(), |(at, _)| at);
    let shown = printable(&text[..end]);
    if end == text.len() && shown.chars().nth(most).is_none() {
        return shown.into_owned();
    }
    let mut short: String = shown.chars().take(most - 1).collect();
    short.push('…');
    short
}
