//! What every channel carries.

use serde::Serialize;
use serde_json::Value;
use veracity_processor::{Parcel, ProcessContext, ProcessorError, Timestamp};

/// A message with what is known about it.
#[derive(Serialize)]
pub(crate) struct Envelope<'p> {
    time: Timestamp,
    suite: &'p str,
    from: &'p str,
    key: Option<&'p str>,
    id: &'p str,
    message: &'p Value,
}

impl<'p> Envelope<'p> {
    /// `parcel` as it is published at `time`.
    pub fn new(parcel: &'p Parcel, context: &'p ProcessContext, time: Timestamp) -> Self {
        Self {
            time,
            suite: &parcel.suite,
            from: &parcel.from,
            key: parcel.key.as_deref(),
            id: &context.idempotency_key,
            message: &parcel.message,
        }
    }

    /// It as JSON on one line, without the line's end.
    ///
    /// # Errors
    ///
    /// Permanent if it cannot be written as JSON.
    pub fn json(&self) -> Result<String, ProcessorError> {
        let json = serde_json::to_string(self).map_err(|error| {
            ProcessorError::permanent(format!("the message cannot be written as JSON: {error}"))
        })?;
        Ok(one_line(json))
    }

    /// It as a line of NDJSON.
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json).
    pub fn line(&self) -> Result<String, ProcessorError> {
        let mut line = self.json()?;
        line.push('\n');
        Ok(line)
    }
}

/// `json` without the characters at which some readers break lines; JSON escapes the
/// others. They can only stand in texts.
fn one_line(json: String) -> String {
    const BREAKS: [(char, &str); 3] = [
        ('\u{85}', "\\u0085"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    let breaks = |c: char| BREAKS.iter().any(|(one, _)| *one == c);
    if !json.contains(breaks) {
        return json;
    }
    BREAKS
        .iter()
        .fold(json, |json, (one, escaped)| json.replace(*one, escaped))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    fn line(message: Value, key: Option<&str>) -> String {
        let mut parcel = Parcel::new(message, "on-call", "orders");
        parcel.key = key.map(str::to_owned);
        let context = ProcessContext::new("audit", "id-1", Duration::from_secs(60));
        // Friday, 20 November 2026, 06:00:00 UTC
        let time = UNIX_EPOCH + Duration::from_micros(1_795_154_400_412_000);
        Envelope::new(&parcel, &context, time.into())
            .line()
            .unwrap()
    }

    #[test]
    fn a_message_comes_with_where_it_is_from() {
        assert_eq!(
            line(json!({"text": "2 of 3 failed"}), Some("orders/keys")),
            "{\"time\":\"2026-11-20T06:00:00.412000Z\",\"suite\":\"orders\",\"from\":\"on-call\",\
             \"key\":\"orders/keys\",\"id\":\"id-1\",\"message\":{\"text\":\"2 of 3 failed\"}}\n"
        );
        assert!(line(json!(null), None).contains("\"key\":null,"));
    }

    #[test]
    fn whatever_a_message_holds_it_stays_one_line_and_comes_back_as_it_was() {
        let large = "\u{0}\n\"".repeat(400_000);
        let texts = [
            "a\nb\r\nc",
            "nul \0",
            "\u{85}\u{2028}\u{2029}",
            "\u{feff}\u{202e}",
            &large,
        ];
        for text in texts {
            let message = json!({ text: [text] });
            let line = line(message.clone(), Some(text));
            let breaks = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
            assert_eq!(line.find(breaks), Some(line.len() - 1));
            let read: Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&read["message"], &read["key"]), (&message, &json!(text)));
        }
    }
}
