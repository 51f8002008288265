//! The events of OpenLineage, as far as they are sent.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::facets::{JobFacets, RunFacets};
use crate::inputs::Input;

/// Who says it.
pub const PRODUCER: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/tree/v",
    env!("CARGO_PKG_VERSION")
);

/// Something that happened to a run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// What.
    pub event_type: EventType,
    /// When; RFC 3339. It is a time of the run, so that an event that is sent again is the
    /// same.
    pub event_time: String,
    /// The run.
    pub run: Run,
    /// What ran.
    pub job: Job,
    /// What it read.
    pub inputs: Vec<Input>,
    outputs: [(); 0],
    producer: &'static str,
    #[serde(rename = "schemaURL")]
    schema_url: &'static str,
}

impl RunEvent {
    /// That `event_type` happened to `run` of `job` at `event_time`.
    pub fn new(event_type: EventType, event_time: &str, run: Run, job: Job) -> Self {
        Self {
            event_type,
            event_time: event_time.to_owned(),
            run,
            job,
            inputs: Vec::new(),
            outputs: [],
            producer: PRODUCER,
            schema_url: "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        }
    }

    /// Its JSON. A NUL, which databases behind receivers cannot hold, becomes U+FFFD.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut value = serde_json::to_value(self)?;
        without_nul(&mut value);
        serde_json::to_string(&value)
    }
}

fn without_nul(value: &mut Value) {
    let replaced = |text: &str| text.replace('\0', "\u{fffd}");
    match value {
        Value::String(text) if text.contains('\0') => *text = replaced(text),
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(fields) => {
            fields.values_mut().for_each(without_nul);
            if fields.keys().any(|name| name.contains('\0')) {
                let old = std::mem::take(fields);
                *fields = old
                    .into_iter()
                    .map(|(name, value)| (replaced(&name), value))
                    .collect();
            }
        }
        _ => {}
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// It began.
    Start,
    /// It came to its end, whatever it found.
    Complete,
    /// It could not do its work.
    Fail,
    /// It was ended before.
    Abort,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id, the same as veracity's.
    pub run_id: Uuid,
    /// More about it.
    pub facets: RunFacets,
}

/// What ran.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// The namespace of the instance.
    pub namespace: String,
    /// The name of the suite.
    pub name: String,
    facets: JobFacets,
}

impl Job {
    /// The suite `name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            facets: JobFacets::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_replaced_and_nothing_else() {
        let mut value = json!({"a\0": ["x\0y", 1, null, "\\u0000 \u{202e}\n"], "b": {"c\0": "d"}});
        without_nul(&mut value);
        let expected = json!({
            "a\u{fffd}": ["x\u{fffd}y", 1, null, "\\u0000 \u{202e}\n"], "b": {"c\u{fffd}": "d"}
        });
        assert_eq!(value, expected);
    }
}
