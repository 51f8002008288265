//! Events against the schemas, without a network.

use std::sync::LazyLock;

use jsonschema::Registry;
use serde_json::{Value, json};
use veracity_processor::{AssertionResult, Status, Summary, Verdict, conformance, sample_report};

use crate::{Place, report, shown};

const SPEC: &str = include_str!("../schemas/OpenLineage.json");

const FACETS: &[&str] = &[
    include_str!("../schemas/DataQualityAssertionsDatasetFacet.json"),
    include_str!("../schemas/DataQualityMetricsInputDatasetFacet.json"),
    include_str!("../schemas/ErrorMessageRunFacet.json"),
    include_str!("../schemas/JobTypeJobFacet.json"),
    include_str!("../schemas/NominalTimeRunFacet.json"),
    include_str!("../schemas/ParentRunFacet.json"),
    include_str!("../schemas/ProcessingEngineRunFacet.json"),
    include_str!("../schemas/TestRunFacet.json"),
];

/// The schemas by their ids.
static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let mut registry = Registry::new();
    for text in [SPEC].iter().chain(FACETS) {
        let schema: Value = serde_json::from_str(text).unwrap();
        let id = schema["$id"].as_str().unwrap().to_owned();
        registry = registry.add(id, schema).unwrap();
    }
    registry.prepare().unwrap()
});

/// Everything in which `event` breaks its schema, or one of its facets theirs.
pub fn faults(event: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    against(
        event["schemaURL"].as_str().unwrap_or_default(),
        event,
        &mut faults,
    );
    let mut open = vec![event];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => {
                for (key, value) in fields {
                    if let Some(url) = value["_schemaURL"].as_str() {
                        // Where a facet stands is in its schema as well.
                        let file = url.split('#').next().unwrap_or_default();
                        let whole = json!({ key.as_str(): value });
                        against(file, &whole, &mut faults);
                        if !known(file, key) {
                            faults.push(format!("{file} knows no facet `{key}`"));
                        }
                    }
                    open.push(value);
                }
            }
            _ => {}
        }
    }
    faults
}

fn against(url: &str, value: &Value, faults: &mut Vec<String>) {
    let options = jsonschema::options();
    let options = options
        .with_registry(&REGISTRY)
        .should_validate_formats(true);
    match options.build(&json!({ "$ref": url })) {
        Ok(schema) => {
            let found = schema.iter_errors(value);
            faults.extend(found.map(|error| format!("{}: {error:.200}", error.instance_path())));
        }
        Err(error) => faults.push(format!("{url}: {error}")),
    }
}

fn known(url: &str, key: &str) -> bool {
    FACETS.iter().any(|text| {
        let schema: Value = serde_json::from_str(text).unwrap();
        schema["$id"] == url && !schema["properties"][key].is_null()
    })
}

pub fn check(event: &Value) {
    assert_eq!(faults(event), Vec::<String>::new());
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let good: Value =
        serde_json::from_str(include_str!("../vectors/openlineage-complete.json")).unwrap();
    check(&good);
    let broken: &[(&str, Value)] = &[
        ("/eventType", json!("DONE")),
        ("/eventTime", json!("yesterday")),
        ("/run/runId", json!("7")),
        ("/run/facets/test/tests/0/status", json!(1)),
        (
            "/run/facets/test/_schemaURL",
            json!("https://openlineage.io/spec/facets/0/X.json"),
        ),
        (
            "/inputs/0/inputFacets/dataQualityMetrics/rowCount",
            json!("4"),
        ),
        (
            "/inputs/0/inputFacets/dataQualityAssertions/assertions/0/success",
            json!("no"),
        ),
    ];
    for (pointer, value) in broken {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = value.clone();
        assert!(!faults(&event).is_empty(), "{pointer}");
    }
}

#[tokio::test]
async fn events_of_every_kind_of_report_keep_to_their_schemas() {
    let with = |status: Status| {
        let mut report = report(1);
        for result in &mut report.results {
            result.status = status;
        }
        report.summary = Summary::of(&report.results);
        report
    };
    let mut empty = report(1);
    (empty.results, empty.symbols, empty.datasets) = (Vec::new(), Vec::new(), Vec::new());
    empty.summary = Summary::default();
    empty.verdict = Verdict::NotEvaluated;
    let mut interrupted = sample_report();
    interrupted.run.interrupted = Some("time limit of 5s reached".into());
    let mut hostile = conformance::hostile();
    hostile.run.id = report(1).run.id;
    hostile.run.interrupted = Some(conformance::HOSTILE[1].into());
    let mut large = report(1);
    let many = (0..10_000).map(|number| {
        let mut result = AssertionResult::new("many", format!("assertion {number}"));
        (result.dataset, result.status) = ("flights".into(), Status::Failed);
        result
    });
    large.results.extend(many);
    let cases = [
        ("sample", report(1), "START 1; COMPLETE 1"),
        ("passed", with(Status::Passed), "START 1; COMPLETE 1"),
        ("failed", with(Status::Failed), "START 1; COMPLETE 1"),
        ("in error", with(Status::Error), "START 1; FAIL 1"),
        (
            "not evaluated",
            with(Status::NotEvaluated),
            "START 1; FAIL 1",
        ),
        ("skipped", with(Status::Skipped), "START 1; FAIL 1"),
        ("empty", empty, "START 1; COMPLETE 1"),
        ("interrupted", interrupted, "START a; ABORT a"),
        ("hostile", hostile, "START 1; ABORT 1"),
        ("large", large, "START 1; COMPLETE 1"),
    ];
    for (label, report, expected) in cases {
        let mut place = Place::file();
        place.variables.insert(
            "OPENLINEAGE_PARENT_ID".into(),
            "airflow/dag.task/0197a2f0-7c3e-7a51-9d3e-3b1f0a9c1e55".into(),
        );
        place.begin(&report).await.unwrap();
        place.end(&report).await.unwrap();
        let events = place.events();
        assert_eq!(shown(&events), expected, "{label}");
        for event in &events {
            assert_eq!(
                event["run"]["facets"]["parent"]["job"]["name"], "dag.task",
                "{label}"
            );
        }
    }
}
