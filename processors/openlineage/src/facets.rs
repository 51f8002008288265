//! The facets of runs and jobs.

use serde::Serialize;
use serde_json::Value;
use veracity_processor::{Run, Timestamp};

use crate::environment::Parent;
use crate::event::PRODUCER;
use crate::results::TestExecution;

/// A facet: its body, and where its schema is.
#[derive(Debug, Clone, Serialize)]
pub struct Facet<T> {
    #[serde(rename = "_producer")]
    producer: &'static str,
    #[serde(rename = "_schemaURL")]
    schema_url: &'static str,
    /// What it says.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Facet<T> {
    /// A facet of the schema at `schema_url`.
    pub fn new(schema_url: &'static str, body: T) -> Self {
        Self {
            producer: PRODUCER,
            schema_url,
            body,
        }
    }
}

/// The URL of the facet `$name` of `$version`.
macro_rules! schema {
    ($version:literal, $name:literal) => {
        concat!(
            "https://openlineage.io/spec/facets/",
            $version,
            "/",
            $name,
            ".json#/$defs/",
            $name
        )
    };
}
pub(crate) use schema;

/// More about a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunFacets {
    #[serde(rename = "nominalTime", skip_serializing_if = "Option::is_none")]
    nominal_time: Option<Facet<NominalTime>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_engine: Option<Facet<ProcessingEngine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Facet<ParentRun>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Facet<Tests>>,
    #[serde(rename = "errorMessage", skip_serializing_if = "Option::is_none")]
    error_message: Option<Facet<ErrorMessage>>,
}

impl RunFacets {
    /// What is known of `run` before it begins.
    pub fn of(run: &Run, parent: Option<&Parent>) -> Self {
        let version = match run.engine.version.as_str() {
            "" => env!("CARGO_PKG_VERSION"),
            version => version,
        };
        let engine = ProcessingEngine {
            name: "veracity",
            version: version.to_owned(),
            openlineage_adapter_version: env!("CARGO_PKG_VERSION"),
        };
        let nominal = NominalTime {
            nominal_start_time: nominal_start(run),
        };
        Self {
            nominal_time: Some(Facet::new(schema!("1-0-1", "NominalTimeRunFacet"), nominal)),
            processing_engine: Some(Facet::new(
                schema!("1-1-1", "ProcessingEngineRunFacet"),
                engine,
            )),
            parent: parent.map(|parent| {
                let body = ParentRun {
                    run: ParentId {
                        run_id: parent.run.to_string(),
                    },
                    job: ParentJob {
                        namespace: parent.namespace.clone(),
                        name: parent.name.clone(),
                    },
                };
                Facet::new(schema!("1-2-0", "ParentRunFacet"), body)
            }),
            test: None,
            error_message: None,
        }
    }

    /// The same with the outcome of tests; `omitted` of them are left out.
    pub fn with_tests(mut self, tests: Vec<TestExecution>, omitted: usize) -> Self {
        let body = Tests { tests, omitted };
        self.test = Some(Facet::new(schema!("1-0-1", "TestRunFacet"), body));
        self
    }

    /// The same with the reason why it did not come to its end.
    pub fn with_error(mut self, message: &str) -> Self {
        let body = ErrorMessage {
            message: shortened(message),
            programming_language: "RUST",
        };
        self.error_message = Some(Facet::new(schema!("1-0-1", "ErrorMessageRunFacet"), body));
        self
    }
}

/// When the run was due: when it started, or the day of its data if that is another.
fn nominal_start(run: &Run) -> String {
    let date = run.key.date.as_str();
    let midnight = format!("{date}T00:00:00Z");
    let is_date = serde_json::from_value::<Timestamp>(Value::from(&*midnight)).is_ok();
    match is_date && !run.started_at.starts_with(date) {
        true => midnight,
        false => run.started_at.clone(),
    }
}

/// The most characters of a text from a report.
const LONGEST_TEXT: usize = 1_000;

/// The beginning of `text`, which may be very long.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// More about a job.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobFacets {
    job_type: Facet<JobType>,
}

impl Default for JobFacets {
    fn default() -> Self {
        let body = JobType {
            processing_type: "BATCH",
            integration: "VERACITY",
            job_type: "DATA_QUALITY",
        };
        Self {
            job_type: Facet::new(schema!("2-0-4", "JobTypeJobFacet"), body),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct NominalTime {
    nominal_start_time: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessingEngine {
    name: &'static str,
    version: String,
    openlineage_adapter_version: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct ParentRun {
    run: ParentId,
    job: ParentJob,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParentId {
    run_id: String,
}

#[derive(Debug, Clone, Serialize)]
struct ParentJob {
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, Serialize)]
struct Tests {
    tests: Vec<TestExecution>,
    /// Facets may have more fields than their schema names.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
}

/// Whether nothing was left out.
pub fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorMessage {
    message: String,
    programming_language: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct JobType {
    processing_type: &'static str,
    integration: &'static str,
    job_type: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;
    use veracity_processor::RunKey;

    use super::*;

    #[test]
    fn a_run_about_another_day_was_due_on_that_day() {
        let cases = [
            ("2026-11-20", "2026-11-20T06:00:00Z"),
            ("2026-11-19", "2026-11-19T00:00:00Z"),
            ("", "2026-11-20T06:00:00Z"),
            ("yesterday!", "2026-11-20T06:00:00Z"),
            ("2026-11-19\n", "2026-11-20T06:00:00Z"),
            ("2026-13-01", "2026-11-20T06:00:00Z"),
        ];
        for (date, expected) in cases {
            let key = RunKey::new(date, BTreeMap::new());
            let run = Run::new(Uuid::nil(), "s", key, "2026-11-20T06:00:00Z");
            assert_eq!(nominal_start(&run), expected, "{date:?}");
        }
    }
}
