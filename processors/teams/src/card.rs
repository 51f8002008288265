//! The Adaptive Card, and what of it fits.

use serde_json::{Value, json};
use veracity_processor::{Finding, Headline, Message, Report, Run, Severity, Verdict, printable};

use crate::markdown::{escaped, line};
use crate::settings::Wording;

/// The most bytes of a payload. Teams refuses what is larger than 28 KB, and the flow adds
/// something of its own.
pub(crate) const BUDGET: usize = 27 * 1024;

/// The most bytes of a name and of other single texts.
const NAME: usize = 500;
const TEXT: usize = 1_000;

/// The longest link; longer ones are left out.
const LINK: usize = 2_000;

/// The most facts of a message.
const FACTS: usize = 10;

/// What a card is made of, before it is known what fits.
#[derive(Debug)]
pub(crate) struct Card {
    heading: Value,
    head: Vec<Value>,
    /// A block each, as many as fit.
    lines: Vec<Value>,
    /// How many lines there would be.
    found: usize,
    foot: Vec<Value>,
    context: Value,
    actions: Vec<Value>,
}

/// A payload.
#[derive(Debug)]
pub(crate) struct Body {
    pub bytes: Vec<u8>,
    /// How many lines are not in it.
    pub left_out: usize,
}

impl Card {
    /// What there is to say about `report`, the first good one after bad ones if `recovered`.
    pub fn report(report: &Report, recovered: bool, wording: &Wording) -> Self {
        let headline = Headline::of(report);
        let recovery = if recovered { "recovered, " } else { "" };
        let suite = escaped(&name_of(&report.run.suite), NAME);
        let color = match report.verdict {
            Verdict::Passed => "Good",
            Verdict::Failed => "Attention",
            _ => "Warning",
        };
        let findings = Finding::all(report);
        let interrupted = report.run.interrupted.as_deref();
        Self {
            heading: heading(&format!("{suite}: {recovery}{}", headline.counts), color),
            head: interrupted
                .map(|reason| text(&format!("The run ended early: {}", escaped(reason, TEXT))))
                .into_iter()
                .collect(),
            found: findings.len(),
            lines: findings
                .iter()
                .take(wording.max_findings)
                .map(|finding| text(&described(finding)))
                .collect(),
            foot: Vec::new(),
            context: subtle(&context(&report.run)),
            actions: actions(&report.run, wording),
        }
    }

    /// The few words of `message`.
    pub fn message(message: &Message, wording: &Wording) -> Self {
        let color = match message.severity {
            Severity::P0 | Severity::P1 => "Attention",
            Severity::P2 => "Warning",
            Severity::P3 => "Default",
        };
        let words = message
            .text
            .lines()
            .filter(|words| !words.trim().is_empty());
        let facts: Vec<Value> = message
            .fields
            .iter()
            .take(FACTS)
            .map(|(name, value)| json!({"title": escaped(name, 100), "value": escaped(value, 300)}))
            .collect();
        let more = usize::try_from(message.more).unwrap_or(usize::MAX);
        let lines = message.lines.iter().take(wording.max_findings);
        Self {
            heading: heading(&escaped(&name_of(&message.title), NAME), color),
            head: words
                .take(5)
                .map(|words| text(&escaped(words, 500)))
                .collect(),
            lines: lines.map(|words| text(&escaped(words, TEXT))).collect(),
            found: message.lines.len().saturating_add(more),
            foot: match facts.is_empty() {
                true => Vec::new(),
                false => vec![json!({"type": "FactSet", "facts": facts})],
            },
            context: subtle(&escaped(&message.run.label(), TEXT)),
            actions: actions(&message.run, wording),
        }
    }

    /// The card with as many lines as fit; without anything but the heading, how much is
    /// missing, the run and the link if even the rest does not.
    pub fn fit(&self) -> Body {
        let without = self.body(0, &self.more(self.found, true));
        let Some(mut room) = BUDGET.checked_sub(without.bytes.len()) else {
            return self.minimal();
        };
        let mut shown = 0;
        for block in &self.lines {
            // And the comma.
            let Some(left) = room.checked_sub(block.to_string().len() + 1) else {
                break;
            };
            (room, shown) = (left, shown + 1);
        }
        self.body(
            shown,
            &self.more(self.found - shown, shown < self.lines.len()),
        )
    }

    /// The least that says what happened.
    pub fn minimal(&self) -> Body {
        let mut body = vec![self.heading.clone()];
        body.extend(self.more(self.found, self.found > 0));
        body.push(self.context.clone());
        Body {
            bytes: payload(&body, &self.actions),
            left_out: self.found,
        }
    }

    fn body(&self, shown: usize, more: &Option<Value>) -> Body {
        let mut body = vec![self.heading.clone()];
        body.extend(self.head.iter().cloned());
        body.extend(self.lines[..shown].iter().cloned());
        body.extend(more.clone());
        body.extend(self.foot.iter().cloned());
        body.push(self.context.clone());
        Body {
            bytes: payload(&body, &self.actions),
            left_out: self.found - shown,
        }
    }

    /// That there are `count` more lines, `too_large` for the card.
    fn more(&self, count: usize, too_large: bool) -> Option<Value> {
        let why = if too_large {
            ": a card holds no more"
        } else {
            ""
        };
        (count > 0).then(|| subtle(&format!("+{count} more{why}")))
    }
}

/// The body of the request, as a flow that posts cards expects it.
fn payload(body: &[Value], actions: &[Value]) -> Vec<u8> {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "full"},
        "body": body,
    });
    if !actions.is_empty() {
        card["actions"] = actions.into();
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
    .to_string()
    .into_bytes()
}

/// A name that is there: some are empty.
fn name_of(text: &str) -> String {
    match text.trim().is_empty() {
        true => "(unnamed)".to_owned(),
        false => text.to_owned(),
    }
}

/// `orders.id is unique: actual 2, expected = 0`, with the severity where it is not the
/// usual one.
fn described(finding: &Finding<'_>) -> String {
    let severity = finding.result.severity;
    let severity = match severity == Severity::default() {
        true => String::new(),
        false => format!("{severity} "),
    };
    let name = escaped(&name_of(&finding.name()), NAME);
    format!("{severity}{name}: {}", escaped(&finding.detail(), TEXT))
}

/// Which run it was, and what it was about.
fn context(run: &Run) -> String {
    let mut parts = vec![run.label()];
    if !run.finished_at.starts_with(&run.key.date) {
        parts.push(format!("data of {}", printable(&run.key.date)));
    }
    let tags = run.key.tags.iter().take(10);
    parts.extend(tags.map(|(name, value)| format!("{name}: {value}")));
    escaped(&parts.join(" · "), TEXT)
}

fn actions(run: &Run, wording: &Wording) -> Vec<Value> {
    let url = wording.link.as_ref().and_then(|link| link.to(run));
    url.filter(|url| url.len() <= LINK)
        .map(|url| json!({"type": "Action.OpenUrl", "title": "Report", "url": url}))
        .into_iter()
        .collect()
}

fn heading(text: &str, color: &str) -> Value {
    json!({
        "type": "TextBlock",
        "size": "Medium",
        "weight": "Bolder",
        "wrap": true,
        "style": "heading",
        "color": color,
        "text": line(text),
    })
}

fn text(text: &str) -> Value {
    json!({"type": "TextBlock", "wrap": true, "text": line(text)})
}

/// Text beside the point.
fn subtle(text: &str) -> Value {
    json!({"type": "TextBlock", "wrap": true, "isSubtle": true, "size": "Small", "text": text})
}
