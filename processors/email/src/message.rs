//! A mail: headers, a text part, an HTML part (RFC 5322, RFC 2046).

use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest, Sha256};
use veracity_processor::{ProcessorError, Report};

use crate::template::Texts;

/// What the headers of a mail say.
pub(crate) struct Headers<'a> {
    pub(crate) from: &'a Mailbox,
    pub(crate) reply_to: Option<&'a Mailbox>,
    pub(crate) to: &'a [&'a Mailbox],
    /// The domain of identifiers.
    pub(crate) domain: &'a str,
    pub(crate) idempotency_key: &'a str,
    /// `failed`.
    pub(crate) status: &'static str,
    pub(crate) date: SystemTime,
}

/// The mail as it is sent; nothing but ASCII, no line of more than 998 bytes.
///
/// Its Message-ID depends on the idempotency key and the recipients alone, so that a mail
/// that comes twice can be recognised. All mails about one suite are one thread: they
/// answer a message that never was.
///
/// # Errors
///
/// Permanent, if lettre refuses it.
pub(crate) fn message(
    headers: &Headers<'_>,
    report: &Report,
    texts: Texts,
) -> Result<Vec<u8>, ProcessorError> {
    let Headers { domain, .. } = headers;
    let suite = &report.run.suite;
    let mut identity = headers.idempotency_key.to_owned();
    for to in headers.to {
        identity.push('\n');
        identity.push_str(to.email.as_ref());
    }
    let identity = hash(&identity);
    let root = format!("<{}.thread@{domain}>", &hash(suite)[..32]);
    let mut builder = Message::builder()
        .from(headers.from.clone())
        .subject(texts.subject)
        .date(headers.date)
        .message_id(Some(format!("<{identity}@{domain}>")))
        .in_reply_to(root.clone())
        .references(root);
    for to in headers.to {
        builder = builder.to((*to).clone());
    }
    if let Some(reply_to) = headers.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    let plain = [
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Auto-Response-Suppress", "All".to_owned()),
        ("List-Id", format!("<{}.veracity.{domain}>", label(suite))),
        ("X-Veracity-Run", report.run.id.to_string()),
        ("X-Veracity-Status", headers.status.to_owned()),
    ];
    for (name, value) in plain {
        let name = HeaderName::new_from_ascii_str(name);
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    // Nobody who writes a suite knows the identity, so no text can hold the boundary.
    let parts = MultiPart::alternative()
        .boundary(format!("veracity-{}", &identity[..40]))
        .singlepart(part(ContentType::TEXT_PLAIN, texts.text))
        .singlepart(part(ContentType::TEXT_HTML, texts.html));
    let message = builder.multipart(parts);
    let message = message
        .map_err(|error| ProcessorError::permanent(format!("no mail can be made: {error}")))?;
    Ok(folded(message.formatted()))
}

/// `message` with a line for each recipient: lettre writes all of them on one.
fn folded(message: Vec<u8>) -> Vec<u8> {
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = message.split_at(end.unwrap_or(0));
    let head = String::from_utf8_lossy(head);
    let lines = head
        .split("\r\n")
        .map(|line| match line.starts_with("To: ") {
            // A break before white space is no part of the value, inside of a name neither.
            true => line.replace(", ", ",\r\n "),
            false => line.to_owned(),
        });
    let mut folded = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    folded.extend_from_slice(body);
    folded
}

fn part(content: ContentType, body: String) -> SinglePart {
    SinglePart::builder()
        .header(content)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(body)
}

/// `name` as a label of a List-Id; one that had to be changed ends with its hash.
fn label(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let label: String = name
        .chars()
        .take(40)
        .map(|c| if legal(c) { c } else { '-' })
        .collect();
    if label == name && !name.is_empty() {
        return label;
    }
    format!("{}-{}", label.trim_matches('-'), &hash(name)[..8])
        .trim_matches('-')
        .to_owned()
}

/// The SHA-256 of `text` in hexadecimal digits.
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_id_is_a_name_whatever_the_suite_is_called() {
        assert_eq!(label("orders-2"), "orders-2");
        let odd = [
            "orders.daily",
            "a\r\nBcc: x@example.org",
            "",
            "<>",
            &"x".repeat(300),
            "数字",
        ];
        let labels = odd.map(label);
        for (name, label) in odd.iter().zip(&labels) {
            assert!(
                label.len() <= 49 && !label.starts_with('-'),
                "{name:?}: {label}"
            );
            assert!(
                label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
                "{label}"
            );
        }
        assert_eq!(labels[0], "orders-daily-b5d473be");
    }
}
