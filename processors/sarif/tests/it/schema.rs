//! What SARIF 2.1.0 is: its schema, and rules that a schema cannot say.

use std::collections::HashSet;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = include_str!("../vectors/sarif-schema-2.1.0.json");
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .build(&serde_json::from_str(schema).unwrap())
        .unwrap()
});

/// Everything that is wrong with `log`.
pub fn faults(log: &Value) -> Vec<String> {
    let errors = SCHEMA.iter_errors(log);
    let mut faults: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    for run in log["runs"].as_array().into_iter().flatten() {
        check(run, &mut faults);
    }
    faults
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What the text of the standard, and GitHub, want beyond the schema.
fn check(run: &Value, faults: &mut Vec<String>) {
    let rules = list(&run["tool"]["driver"]["rules"]);
    let ids: HashSet<&Value> = rules.iter().map(|rule| &rule["id"]).collect();
    if ids.len() != rules.len() {
        faults.push("two rules have one id".to_owned());
    }
    let descriptors = list(&run["tool"]["driver"]["notifications"]);
    let mut refers = |list: &[Value], id: &Value, index: &Value| {
        let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
        let found = index.and_then(|index| list.get(index));
        if found.is_none_or(|found| found["id"] != *id) {
            faults.push(format!("{id} at {index:?} is not there"));
        }
    };
    for result in list(&run["results"]) {
        refers(rules, &result["ruleId"], &result["ruleIndex"]);
    }
    for invocation in list(&run["invocations"]) {
        for note in list(&invocation["toolExecutionNotifications"]) {
            let reference = &note["descriptor"];
            if !reference.is_null() {
                refers(descriptors, &reference["id"], &reference["index"]);
            }
            let rule = &note["associatedRule"];
            if !rule.is_null() {
                refers(rules, &rule["id"], &rule["index"]);
            }
        }
    }
    for result in list(&run["results"]) {
        if (result["kind"] == "fail") == (result["level"] == "none") {
            faults.push(format!("kind and level do not fit: {result}"));
        }
        for place in list(&result["locations"]) {
            let artifact = &place["physicalLocation"]["artifactLocation"];
            let Some(uri) = artifact["uri"].as_str() else {
                continue;
            };
            let legal = |c: char| c.is_ascii_alphanumeric() || "/-._~%:".contains(c);
            if !uri.chars().all(legal) || uri.is_empty() {
                faults.push(format!("`{uri}` is no URI"));
            }
            if artifact["uriBaseId"].is_null() != uri.starts_with("file:///") {
                faults.push(format!("`{uri}` is neither absolute nor has a base"));
            }
        }
    }
    let id = run["automationDetails"]["id"].as_str();
    if !id.is_some_and(|id| id.ends_with('/')) {
        faults.push("the id of the run does not end with `/`".to_owned());
    }
}

fn vector() -> Value {
    serde_json::from_str(include_str!("../vectors/sarif.json")).unwrap()
}

#[test]
fn the_vector_has_no_faults() {
    assert_eq!(faults(&vector()), Vec::<String>::new());
}

#[test]
fn faults_are_found() {
    let cases = [
        ("/version", Value::from("2.0")),
        ("/runs/0/results/0/level", "fatal".into()),
        ("/runs/0/results/0/kind", "pass".into()),
        ("/runs/0/results/0/ruleIndex", 7.into()),
        ("/runs/0/results/0/message", "text".into()),
        ("/runs/0/automationDetails/id", "veracity".into()),
        ("/runs/0/invocations/0/startTimeUtc", "yesterday".into()),
        (
            "/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri",
            "a b.yaml".into(),
        ),
        (
            "/runs/0/results/0/locations/0/physicalLocation/region/startLine",
            0.into(),
        ),
    ];
    for (path, value) in cases {
        let mut broken = vector();
        *broken.pointer_mut(path).unwrap() = value;
        assert_ne!(faults(&broken), Vec::<String>::new(), "{path}");
    }
}
