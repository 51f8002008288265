//! Secrets struck out of what plugins ask for.

use serde_json::Value;
use veracity_processor::Action;

use crate::redact::Redactor;

/// Strikes the secrets that `redactor` knows out of `action`, but for requests to URLs, which
/// need theirs, and lines for the log, which are cleaned as a whole.
pub fn strike(redactor: &Redactor, action: &mut Action) {
    let text = |text: &mut String| *text = redactor.redact(text);
    match action {
        Action::Publish { message, key, .. } => {
            value(redactor, message);
            key.iter_mut().for_each(text);
        }
        Action::Metric(metric) => {
            text(&mut metric.help);
            metric.labels.values_mut().for_each(text);
        }
        Action::Notify { message, .. } => {
            text(&mut message.title);
            text(&mut message.text);
            message.lines.iter_mut().for_each(text);
            message.fields.values_mut().for_each(text);
        }
        _ => {}
    }
}

fn value(redactor: &Redactor, json: &mut Value) {
    match json {
        Value::String(text) => *text = redactor.redact(text),
        Value::Array(items) => items.iter_mut().for_each(|item| value(redactor, item)),
        Value::Object(fields) => {
            let named = std::mem::take(fields).into_iter();
            *fields = named
                .map(|(name, mut field)| {
                    value(redactor, &mut field);
                    (redactor.redact(&name), field)
                })
                .collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_in_nothing_that_others_get() {
        let redactor = Redactor::new(["S3CRET".to_owned()]);
        let run = veracity_processor::sample_report().run;
        let mut message = serde_json::to_value(veracity_processor::Message::new("S3CRET", run));
        let message = message.as_mut().unwrap();
        message["lines"] = json!(["a S3CRET"]);
        message["fields"] = json!({"f": "S3CRET"});
        let actions = [
            json!({"type": "publish", "channel": "bus", "key": "S3CRET",
                   "message": {"a": ["S3CRET", {"S3CRET": 1}]}}),
            json!({"type": "metric", "name": "m", "value": 1.0, "help": "S3CRET",
                   "labels": {"l": "S3CRET"}}),
            json!({"type": "notify", "to": "oncall", "message": message}),
        ];
        for action in actions {
            let mut read: Action = serde_json::from_value(action.clone()).unwrap();
            strike(&redactor, &mut read);
            let struck = serde_json::to_string(&read).unwrap();
            assert!(!struck.contains("S3CRET"), "{struck}");
            assert!(struck.contains("***"), "{struck}");
        }
        let webhook = json!({"type": "webhook", "url": "https://x/S3CRET", "body": null});
        let mut read: Action = serde_json::from_value(webhook.clone()).unwrap();
        strike(&redactor, &mut read);
        assert_eq!(serde_json::to_value(&read).unwrap(), webhook);
    }
}
