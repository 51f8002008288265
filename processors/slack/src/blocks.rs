//! The message: a line of text for notifications, and blocks.

use serde_json::{Value, json};
use veracity_http::Link;
use veracity_processor::{Finding, Headline, Message, Report, Run, Severity, Verdict, printable};

use crate::mrkdwn::{bold, code, escaped, length, plain};

/// The longest text of a header.
const HEADER: usize = 150;

/// All blocks of a message together, as JSON. Slack refuses those of about 13,000
/// characters with `msg_blocks_too_long`, and does not say how it counts.
const BUDGET: usize = 10_000;

/// The longest name and the longest single value that are shown whole.
const NAME: usize = 300;
const VALUE: usize = 400;

/// The longest link; longer ones are left out.
const LINK: usize = 1_000;

/// The most fields of a section.
const FIELDS: usize = 10;

/// How messages are worded.
#[derive(Debug)]
pub(crate) struct Wording {
    pub max_findings: usize,
    pub link: Option<Link>,
    /// In Slack's own form: `<@U..>`, `<!here>`.
    pub mentions: Vec<String>,
}

/// What is posted.
#[derive(Debug)]
pub(crate) struct Post {
    pub text: String,
    pub blocks: Vec<Value>,
    /// How many findings or lines there are, and how many are shown.
    pub found: usize,
    pub shown: usize,
}

impl Post {
    /// What there is to say about `report`, the first good one after bad ones if `recovered`.
    pub fn report(report: &Report, recovered: bool, wording: &Wording) -> Self {
        let headline = Headline::of(report);
        let suite = name_of(&report.run.suite);
        let (state, counts) = match recovered {
            true => ("recovered", format!("recovered, {}", headline.counts)),
            false => (&*headline.state, headline.counts.clone()),
        };
        let state = state.to_uppercase();
        let title = titled(&suite, &format!(": {counts}"));
        let text = format!(
            "veracity: {} {state} ({})",
            plain(&suite, HEADER),
            headline.counts
        );
        let mut head = vec![header(&title)];
        if report.verdict != Verdict::Passed {
            head.extend(mention(wording));
        }
        if let Some(reason) = &report.run.interrupted {
            let reason = plain(reason, VALUE);
            head.push(section(&format!("The run ended early: {reason}")));
        }
        let findings = Finding::all(report);
        let mut context = vec![plain(&report.run.label(), VALUE)];
        context.extend(about(&report.run));
        let shown = findings.iter().take(wording.max_findings);
        Parts {
            text,
            head,
            lines: shown.map(described).collect(),
            found: findings.len(),
            foot: Vec::new(),
            context,
        }
        .fit(&report.run, wording)
    }

    /// The few words of `message`.
    pub fn message(message: &Message, wording: &Wording) -> Self {
        let text = format!("veracity: {}", plain(&message.title, VALUE));
        let mut head = vec![header(&titled(&message.title, ""))];
        if message.severity >= Severity::P1 {
            head.extend(mention(wording));
        }
        let lines: Vec<String> = message
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(10)
            .map(|line| plain(line, 250))
            .collect();
        if !lines.is_empty() {
            head.push(section(&lines.join("\n")));
        }
        let fields: Vec<Value> = message
            .fields
            .iter()
            .take(FIELDS)
            .map(|(name, value)| mrkdwn(&format!("{}\n{}", bold(name, 80), plain(value, 200))))
            .collect();
        let facts = match fields.is_empty() {
            true => Vec::new(),
            false => vec![json!({"type": "section", "fields": fields})],
        };
        let more = usize::try_from(message.more).unwrap_or(usize::MAX);
        let lines = message.lines.iter().take(wording.max_findings);
        Parts {
            text,
            head,
            lines: lines.map(|line| plain(line, 2 * VALUE)).collect(),
            found: message.lines.len().saturating_add(more),
            foot: facts,
            context: vec![plain(&message.run.label(), VALUE)],
        }
        .fit(&message.run, wording)
    }
}

/// What a message is made of, before it is known what fits.
struct Parts {
    text: String,
    head: Vec<Value>,
    /// A section each, as many as fit.
    lines: Vec<String>,
    /// How many lines there would be.
    found: usize,
    foot: Vec<Value>,
    context: Vec<String>,
}

impl Parts {
    fn fit(mut self, run: &Run, wording: &Wording) -> Post {
        let link = wording.link.as_ref().and_then(|link| link_to(link, run));
        self.context.extend(link);
        let ending = context(&self.context);
        let more = |count: usize| context(&[format!("+{count} more")]);
        let fixed = self
            .head
            .iter()
            .chain(&self.foot)
            .map(weight)
            .sum::<usize>()
            + weight(&more(self.found))
            + weight(&ending);
        let mut room = BUDGET.saturating_sub(fixed);
        let mut blocks = self.head;
        let mut shown = 0;
        for block in self.lines.iter().map(|line| section(line)) {
            let Some(left) = room.checked_sub(weight(&block)) else {
                break;
            };
            room = left;
            shown += 1;
            blocks.push(block);
        }
        if self.found > shown {
            blocks.push(more(self.found - shown));
        }
        blocks.extend(self.foot);
        blocks.push(ending);
        Post {
            text: self.text,
            blocks,
            found: self.found,
            shown,
        }
    }
}

/// A name that is there: some are empty.
fn name_of(text: &str) -> String {
    match text.trim().is_empty() {
        true => "(unnamed)".to_owned(),
        false => text.to_owned(),
    }
}

/// `text` and `end` as the text of a header; `text` is cut if it is too long.
fn titled(text: &str, end: &str) -> String {
    let end = escaped(end, 120);
    let text = escaped(&name_of(text), HEADER - length(&end));
    format!("{text}{end}")
}

/// `*orders.id is unique* — actual `2`, expected `= 0``, with the severity where it is not
/// the usual one.
fn described(finding: &Finding<'_>) -> String {
    let facts: Vec<String> = finding
        .facts()
        .iter()
        .take(6)
        .map(|fact| match fact.label {
            "" => plain(&fact.text, VALUE),
            label => format!("{label} {}", code(&fact.text, VALUE)),
        })
        .collect();
    let name = bold(&name_of(&finding.name()), NAME);
    let severity = finding.result.severity;
    let severity = match severity == Severity::default() {
        true => String::new(),
        false => format!("{severity} "),
    };
    format!("{severity}{name} — {}", facts.join(", "))
}

/// What the run is about, where its label does not say so.
fn about(run: &Run) -> Option<String> {
    let date = (!run.finished_at.starts_with(&run.key.date))
        .then(|| format!("data of {}", printable(&run.key.date)));
    let tags = run.key.tags.iter().take(10);
    let tags = tags.map(|(name, value)| format!("{}: {}", printable(name), printable(value)));
    let parts: Vec<String> = date.into_iter().chain(tags).collect();
    (!parts.is_empty()).then(|| plain(&parts.join(" · "), VALUE))
}

fn link_to(link: &Link, run: &Run) -> Option<String> {
    // A link holds none of the characters that would end it but `&`.
    let url = link.to(run)?.replace('&', "&amp;");
    (length(&url) <= LINK).then(|| format!("<{url}|report>"))
}

fn mention(wording: &Wording) -> Option<Value> {
    (!wording.mentions.is_empty()).then(|| section(&wording.mentions.join(" ")))
}

/// What `block` counts of the budget.
fn weight(block: &Value) -> usize {
    length(&block.to_string()) + 1
}

fn header(text: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": text, "emoji": false}})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

fn context(texts: &[String]) -> Value {
    let elements: Vec<Value> = texts.iter().map(|text| mrkdwn(text)).collect();
    json!({"type": "context", "elements": elements})
}

/// Text with Slack's formatting, in which only what is written as a link or a mention is one.
fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}
