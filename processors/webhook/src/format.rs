//! What the body is.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::settings::Format;
use crate::template::Template;

/// Everything that is not unreserved in RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What makes a body of a report.
pub(crate) enum Content {
    Format(Format),
    Template(Box<Template>),
}

impl Content {
    /// The value of the header `Content-Type`.
    pub fn content_type(&self) -> &str {
        match self {
            Self::Format(Format::CloudEvents) => "application/cloudevents+json; charset=utf-8",
            Self::Format(_) => "application/json",
            Self::Template(template) => &template.content_type,
        }
    }

    /// The body for `report`, sent under `id`.
    pub fn render(&self, report: &Value, id: &str) -> Result<Vec<u8>, String> {
        let envelope = match self {
            Self::Format(Format::Report) => return to_bytes(report),
            Self::Format(Format::Standard) => standard(report),
            Self::Format(Format::CloudEvents) => event(report, id),
            Self::Template(template) => return template.render(report, id),
        };
        to_bytes(&envelope)
    }
}

fn to_bytes(value: &Value) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

/// The payload of Standard Webhooks.
fn standard(report: &Value) -> Value {
    let verdict = report["verdict"].as_str().unwrap_or_default();
    json!({
        "type": format!("veracity.run.{verdict}"),
        "timestamp": report["run"]["finished_at"],
        "data": report,
    })
}

/// A structured event of CloudEvents. `source` and `id` together name it, also when it
/// is sent again.
fn event(report: &Value, id: &str) -> Value {
    let suite = report["run"]["suite"].as_str().unwrap_or_default();
    json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("/veracity/{}", utf8_percent_encode(suite, SEGMENT)),
        "type": "io.veracity.run.completed.v1",
        "subject": report["run"]["id"],
        "time": report["run"]["finished_at"],
        "datacontenttype": "application/json",
        "data": report,
    })
}

#[cfg(test)]
mod tests {
    use veracity_processor::conformance::hostile;
    use veracity_processor::{Report, sample_report};

    use super::*;

    const SCHEMA: &str = include_str!("../tests/vectors/cloudevents-schema.json");
    const ID: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000001";

    fn rendered(format: Format, report: &Report) -> Value {
        let report = serde_json::to_value(report).unwrap();
        let body = Content::Format(format).render(&report, ID).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn every_format_carries_the_whole_report() {
        for report in [sample_report(), hostile()] {
            for (format, pointer) in [
                (Format::Report, ""),
                (Format::Standard, "/data"),
                (Format::CloudEvents, "/data"),
            ] {
                let body = rendered(format, &report);
                let carried = body.pointer(pointer).unwrap().clone();
                let read: Report = serde_json::from_value(carried).unwrap();
                assert_eq!(read, report, "{format:?}");
            }
        }
    }

    #[test]
    fn an_event_is_valid_by_the_schema_of_cloudevents() {
        let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
        let mut nameless = sample_report();
        nameless.run.suite.clear();
        for report in [sample_report(), hostile(), nameless] {
            let mut event = rendered(Format::CloudEvents, &report);
            let errors: Vec<String> = schema.iter_errors(&event).map(|e| e.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{}", report.run.suite);
            event["id"] = json!("");
            assert!(!schema.is_valid(&event), "the schema is looked at");
        }
    }

    #[test]
    fn envelopes_name_the_run() {
        let mut report = sample_report();
        report.run.suite = "orders / täglich?".into();
        let mut event = rendered(Format::CloudEvents, &report);
        event["data"] = json!("..");
        let mut payload = rendered(Format::Standard, &report);
        payload["data"] = json!("..");
        insta::assert_snapshot!(format!("{event:#}\n{payload:#}"), @r#"
        {
          "specversion": "1.0",
          "id": "6f1c02d7-3b6e-5a4c-8d2e-000000000001",
          "source": "/veracity/orders%20%2F%20t%C3%A4glich%3F",
          "type": "io.veracity.run.completed.v1",
          "subject": "019a9f3b-5c00-7000-8000-00000000002a",
          "time": "2026-11-20T06:00:00.412Z",
          "datacontenttype": "application/json",
          "data": ".."
        }
        {
          "type": "veracity.run.failed",
          "timestamp": "2026-11-20T06:00:00.412Z",
          "data": ".."
        }
        "#);
    }
}
