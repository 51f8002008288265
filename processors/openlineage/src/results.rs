//! What became of assertions.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use veracity_processor::{AssertionResult, Finding, MetricCall, Report, Severity, Status, Symbol};

use crate::facets::shortened;

/// An assertion as a test of the run: an item of `TestRunFacet`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestExecution {
    name: String,
    status: &'static str,
    severity: &'static str,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<String>,
    content: String,
    content_type: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    params: Map<String, Value>,
}

/// An assertion about a dataset: an item of `DataQualityAssertionsDatasetFacet`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assertion {
    assertion: String,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    severity: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<String>,
    content: String,
    content_type: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    params: Map<String, Value>,
}

/// The symbols of a report by name.
#[derive(Debug)]
pub struct Symbols<'r>(BTreeMap<&'r str, &'r Symbol>);

impl<'r> Symbols<'r> {
    /// Those of `report`.
    pub fn of(report: &'r Report) -> Self {
        let symbols = report.symbols.iter();
        Self(
            symbols
                .map(|symbol| (symbol.name.as_str(), symbol))
                .collect(),
        )
    }
}

/// `result` as a test, and as an assertion about its dataset. What was skipped is no
/// assertion, which has no word for it.
///
/// What could not be evaluated has no word either: it did not pass, so it is a failure,
/// with `errored` among its parameters.
pub fn told(result: &AssertionResult, symbols: &Symbols<'_>) -> (TestExecution, Option<Assertion>) {
    let call = call(result, symbols);
    let kind = call
        .as_ref()
        .map_or("custom_sql".to_owned(), |call| classified(&call.name));
    let severity = match result.severity {
        Severity::P0 | Severity::P1 => "error",
        Severity::P2 | Severity::P3 => "warn",
    };
    let status = match result.status {
        Status::Passed => "pass",
        Status::Skipped => "skip",
        _ => "fail",
    };
    let test = TestExecution {
        name: shortened(&Finding { result }.name()),
        status,
        severity,
        kind,
        expected: result.expected.as_deref().map(shortened),
        actual: result.actual.as_ref().map(|actual| match actual {
            Value::String(text) => shortened(text),
            actual => shortened(&actual.to_string()),
        }),
        content: shortened(&result.expression),
        content_type: "expression",
        params: params(result),
    };
    let assertion = (result.status != Status::Skipped).then(|| Assertion {
        assertion: test.kind.clone(),
        success: result.status == Status::Passed,
        column: call
            .as_ref()
            .and_then(MetricCall::column)
            .map(str::to_owned),
        severity,
        name: test.name.clone(),
        expected: test.expected.clone(),
        actual: test.actual.clone(),
        content: test.content.clone(),
        content_type: test.content_type,
        params: test.params.clone(),
    });
    (test, assertion)
}

fn params(result: &AssertionResult) -> Map<String, Value> {
    let mut params = Map::new();
    let mut put = |name: &str, value: Value| params.insert(name.to_owned(), value);
    match &*result.symbols {
        [] => {}
        [symbol] => {
            put("symbol", symbol.as_str().into());
        }
        // Ten tell enough, and a suite may name thousands.
        symbols => {
            put("symbols", symbols.iter().take(10).cloned().collect());
        }
    }
    if let Some(violations) = result.violations {
        put("violations", violations.into());
    }
    if matches!(result.status, Status::NotEvaluated | Status::Error) {
        put("errored", true.into());
    }
    if let Some(reason) = &result.reason {
        put("reason", shortened(reason).into());
    }
    params
}

/// The metric that `result` is about, if it is about a single one.
fn call(result: &AssertionResult, symbols: &Symbols<'_>) -> Option<MetricCall> {
    match &*result.symbols {
        [symbol] => symbols.0.get(symbol.as_str())?.call(),
        // A predicate on rows may begin with a function that is no metric.
        [] if result.violations.is_none() => compared(&result.expression),
        _ => None,
    }
}

/// The call that `expression` compares with something: values of groups have no symbols.
fn compared(expression: &str) -> Option<MetricCall> {
    let ends = expression.match_indices(')').take(4);
    let mut found = ends.filter_map(|(end, _)| {
        let rest = expression[end + 1..].trim_start();
        let compares = rest.starts_with(['=', '<', '>', '!'])
            || rest
                .get(..8)
                .is_some_and(|word| word.eq_ignore_ascii_case("between "));
        compares.then(|| MetricCall::parse(&expression[..=end]))?
    });
    found.next()
}

/// The kind of test that `metric` is, in the words that others use.
fn classified(metric: &str) -> String {
    match metric {
        "completeness" | "null_count" => "not_null".to_owned(),
        "uniqueness"
        | "distinctness"
        | "unique_value_ratio"
        | "duplicate_count"
        | "duplicate_row_count" => "unique".to_owned(),
        metric => shortened(metric),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_metric_of_an_assertion_is_found_if_there_is_one() {
        let symbol = Symbol::new("x_1", "max(\"a b\")", "t");
        let symbols = Symbols(BTreeMap::from([("x_1", &symbol)]));
        let cases: &[(&str, &[&str], Option<u64>, &str)] = &[
            ("max(\"a b\") < 3", &["x_1"], None, "max"),
            ("max(a) < max(b)", &["x_1", "x_2"], None, "-"),
            ("max(a) < 3", &["x_9"], None, "-"),
            ("completeness(tailnum) >= 0.99", &[], None, "completeness"),
            ("max(a) BETWEEN 1 and 2", &[], None, "max"),
            ("max(a) + 1 = 2", &[], None, "-"),
            ("length(a) > 3", &[], Some(1), "-"),
            ("a < 600", &[], None, "-"),
            (")\u{1f600}", &[], None, "-"),
        ];
        for (expression, names, violations, expected) in cases {
            let mut result = AssertionResult::new("c", "a");
            result.expression = (*expression).to_owned();
            result.symbols = names.iter().map(|&name| name.to_owned()).collect();
            result.violations = *violations;
            let found = call(&result, &symbols).map_or("-".to_owned(), |call| call.name);
            assert_eq!(found, *expected, "{expression}");
        }
    }

    #[test]
    fn statuses_and_severities_have_their_words() {
        let symbols = Symbols(BTreeMap::new());
        let cases = [
            (
                Status::Passed,
                Severity::P0,
                json!(["pass", "error", null, true]),
            ),
            (
                Status::Failed,
                Severity::P1,
                json!(["fail", "error", null, false]),
            ),
            (
                Status::NotEvaluated,
                Severity::P2,
                json!(["fail", "warn", true, false]),
            ),
            (
                Status::Error,
                Severity::P3,
                json!(["fail", "warn", true, false]),
            ),
            (
                Status::Skipped,
                Severity::P3,
                json!(["skip", "warn", null, null]),
            ),
        ];
        for (status, severity, expected) in cases {
            let mut result = AssertionResult::new("c", "a");
            (result.status, result.severity) = (status, severity);
            let (test, assertion) = told(&result, &symbols);
            let test = serde_json::to_value(test).unwrap();
            let assertion = serde_json::to_value(assertion).unwrap();
            let found = json!([
                test["status"],
                test["severity"],
                test["params"]["errored"],
                assertion["success"]
            ]);
            assert_eq!(found, expected, "{status}");
        }
    }
}
