//! The outcomes of a run become its Report: symbols finished, assertions evaluated.

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::common::ScalarValue;
use uuid::Uuid;
use veracity_processor::{
    AssertionResult, DatasetReport, Engine, Location, Report, Run, RunKey, Severity, Status,
    Summary, Symbol, SymbolStatus, Verdict,
};

use super::bind::{BoundAssertion, SymbolPlan};
use super::execute::{Cost, Origin, Outcomes};
use super::mask::{MASK, sensitivity, withheld};
use super::prepare::{Binding, Planned, Prepared};
use super::value;
use crate::error::Error;
use crate::source::OpenDataset;
use crate::suite::{Assertion, Predicate};

/// Identity and times of a run that the report repeats.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// Its identity.
    pub id: Uuid,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it ended early.
    pub interrupted: Option<String>,
}

/// Writes the report of a run, finished or interrupted.
pub fn report(prepared: &Prepared, outcomes: &Outcomes, facts: &RunFacts) -> Report {
    let settings = &prepared.settings;
    let date = settings.date.to_string();
    let key = RunKey::new(date.clone(), settings.run_tags.clone());
    let mut run = Run::new(facts.id, &prepared.suite.name, key, rfc3339(settings.now));
    run.finished_at = rfc3339(facts.finished_at);
    run.duration_ms = facts.duration_ms;
    run.engine = Engine::new(env!("CARGO_PKG_VERSION"), "local");
    run.interrupted = facts.interrupted.clone();

    let values: Vec<Finished> = prepared
        .symbols
        .iter()
        .map(|symbol| {
            let mut finished = finish(symbol, outcomes, facts.interrupted.is_some());
            if matches!(finished.state, State::Error(_)) && sensitivity(symbol, prepared).messages {
                finished.state = State::Error(withheld());
            }
            finished
        })
        .collect();
    let mut report = Report::new(run);
    report.symbols = prepared
        .symbols
        .iter()
        .zip(&values)
        .enumerate()
        .map(|(n, (plan, finished))| symbol(n, plan, finished, prepared, &date))
        .collect();
    report.results = prepared
        .assertions
        .iter()
        .map(|planned| result(planned, &values, prepared))
        .collect();
    report.datasets = datasets(prepared, outcomes);
    report.summary = Summary::of(&report.results);
    report.verdict = verdict(&report, prepared.suite.fail_on);
    report.warnings = prepared.warnings.clone();
    report
}

/// RFC 3339, UTC, to the millisecond.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A symbol's value, or why it has none.
struct Finished {
    state: State,
    origin: Option<Origin>,
}

enum State {
    Value(ScalarValue),
    Undefined(String),
    Error(String),
    /// The run ended before it was known.
    Unknown,
}

fn finish(symbol: &SymbolPlan, outcomes: &Outcomes, interrupted: bool) -> Finished {
    let mut origin = None;
    for input in &symbol.value.inputs {
        match outcomes.values.get(input) {
            None => {
                let state = if interrupted {
                    State::Unknown
                } else {
                    State::Error("it was not computed".to_owned())
                };
                return Finished { state, origin };
            }
            Some((Err(message), from)) => {
                return Finished {
                    state: State::Error(message.clone()),
                    origin: Some(*from),
                };
            }
            Some((Ok(_), from)) => origin = origin.max(Some(*from)),
        }
    }
    let input = |index: usize| match outcomes.values.get(&index) {
        Some((Ok(value), _)) => value.clone(),
        _ => ScalarValue::Null,
    };
    let state = match symbol.value.evaluate(input) {
        Err(error) => State::Error(error.to_string()),
        Ok(value) if is_nan(&value) => {
            State::Undefined("NaN or infinity is among the values".to_owned())
        }
        Ok(value) if value.is_null() => {
            let empty = symbol
                .value
                .inputs
                .iter()
                .any(|index| counts_nothing(&input(*index)));
            let all_null = symbol
                .value
                .inputs
                .iter()
                .all(|index| input(*index).is_null());
            State::Undefined(if empty || all_null {
                "no values in scope".to_owned()
            } else {
                "it has no value on this data".to_owned()
            })
        }
        Ok(value) => State::Value(value),
    };
    Finished { state, origin }
}

/// True for a count of 0, also where it is the first of several numbers.
fn counts_nothing(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Struct(parts) => ScalarValue::try_from_array(parts.column(0), 0)
            .is_ok_and(|count| value::integer(&count) == Some(0)),
        other => value::integer(other) == Some(0),
    }
}

fn is_nan(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(value)) => value.is_nan(),
        ScalarValue::Float32(Some(value)) => value.is_nan(),
        ScalarValue::Float16(Some(value)) => value.is_nan(),
        _ => false,
    }
}

fn symbol_name(n: usize) -> String {
    format!("x_{}", n + 1)
}

fn symbol(
    n: usize,
    plan: &SymbolPlan,
    finished: &Finished,
    prepared: &Prepared,
    date: &str,
) -> Symbol {
    let dataset = &prepared.columns[plan.dataset].0;
    let mut symbol = Symbol::new(symbol_name(n), &plan.text, dataset);
    symbol.date = date.to_owned();
    symbol.exact = plan.precision.is_none();
    symbol.precision = plan.precision.map(str::to_owned);
    symbol.r#type = Some(value::type_name(&plan.value.data_type));
    symbol.origin = Some(match finished.origin {
        Some(origin) => origin.word().to_owned(),
        None if plan.value.inputs.is_empty() => "schema".to_owned(),
        None => "scan".to_owned(),
    });
    match &finished.state {
        State::Value(value) => {
            symbol.status = SymbolStatus::Ok;
            symbol.value = if sensitivity(plan, prepared).value {
                Some(MASK.into())
            } else {
                value::json(value)
            };
        }
        State::Undefined(reason) => {
            symbol.status = SymbolStatus::Undefined;
            symbol.error = Some(reason.clone());
        }
        State::Error(message) => {
            symbol.status = SymbolStatus::Error;
            symbol.error = Some(message.clone());
            symbol.availability = 0.0;
        }
        State::Unknown => {
            symbol.status = SymbolStatus::Error;
            symbol.error = Some("the run ended before it was known".to_owned());
            symbol.availability = 0.0;
        }
    }
    symbol
}

fn result(planned: &Planned, values: &[Finished], prepared: &Prepared) -> AssertionResult {
    let check = &prepared.suite.checks[planned.check];
    let assertion = &check.assertions[planned.assertion];
    let expression = assertion.expression();
    let mut result = AssertionResult::new(&check.name, assertion.display_name());
    result.dataset = match planned.dataset {
        Some(dataset) => prepared.columns[dataset].0.clone(),
        None => check.dataset.clone().unwrap_or_default(),
    };
    result.severity = assertion.severity.unwrap_or(check.severity);
    result.tags = check.tags.iter().chain(&assertion.tags).cloned().collect();
    result.tags.sort();
    result.tags.dedup();
    result.expression = expression;
    result.location = assertion.location.clone();
    match &planned.binding {
        Binding::Skipped(reason) => {
            result.status = Status::Skipped;
            result.reason = Some(reason.clone());
        }
        Binding::Failed(error) => {
            result.status = Status::Error;
            result.reason = Some(error.to_string());
            result.location = place_of(assertion, error).or(result.location);
        }
        Binding::Bound(bound) => evaluate(bound, values, prepared, &mut result),
    }
    result
}

fn evaluate(
    bound: &BoundAssertion,
    values: &[Finished],
    prepared: &Prepared,
    result: &mut AssertionResult,
) {
    result.symbols = bound.symbols.iter().map(|&n| symbol_name(n)).collect();
    let mut undefined = None;
    for &symbol in &bound.symbols {
        let text = &prepared.symbols[symbol].text;
        match &values[symbol].state {
            State::Value(_) => {}
            State::Undefined(reason) => {
                undefined.get_or_insert_with(|| format!("`{text}` is undefined: {reason}"));
            }
            State::Error(message) => {
                result.status = Status::Error;
                result.reason = Some(message.clone());
                return;
            }
            State::Unknown => {
                result.status = Status::Skipped;
                result.reason = Some("the run ended before it was evaluated".to_owned());
                return;
            }
        }
    }
    let input = |symbol: usize| match &values[symbol].state {
        State::Value(value) => value.clone(),
        _ => ScalarValue::Null,
    };
    if let Some((value, limit)) = &bound.comparison {
        let masked = bound
            .symbols
            .iter()
            .any(|&symbol| sensitivity(&prepared.symbols[symbol], prepared).value);
        let value = value.evaluate(input).ok().filter(|value| !is_nan(value));
        result.actual = if masked {
            value.map(|_| MASK.into())
        } else {
            value.as_ref().and_then(value::json)
        };
        result.expected = Some(limit.clone());
    }
    if let Some(symbol) = bound.violations {
        result.violations = value::integer(&input(symbol)).and_then(|n| u64::try_from(n).ok());
    }
    match bound.condition.evaluate(input) {
        Ok(ScalarValue::Boolean(Some(true))) => result.status = Status::Passed,
        Ok(ScalarValue::Boolean(Some(false))) => result.status = Status::Failed,
        Ok(_) => {
            result.status = Status::NotEvaluated;
            result.reason = Some(undefined.unwrap_or_else(|| {
                let reason = match bound.violations {
                    Some(_) => "no rows in scope",
                    None => "a division by zero makes it undefined",
                };
                reason.to_owned()
            }));
        }
        Err(error) => {
            result.status = Status::Error;
            result.reason = Some(error.to_string());
        }
    }
}

/// Where exactly in the suite file an error about an assertion is.
pub(super) fn place_of(assertion: &Assertion, error: &Error) -> Option<Location> {
    let Error::Assertion {
        offset: Some(offset),
        ..
    } = error
    else {
        return None;
    };
    let Predicate::Text { sql, start } = assertion.condition.predicate() else {
        return None;
    };
    let start = start.as_ref()?;
    if sql.contains('\n') {
        return None;
    }
    let mut place = start.clone();
    place.column += u32::try_from(*offset).ok()?;
    Some(place)
}

fn datasets(prepared: &Prepared, outcomes: &Outcomes) -> Vec<DatasetReport> {
    let mut datasets: Vec<DatasetReport> = prepared
        .columns
        .iter()
        .enumerate()
        .map(|(index, (name, columns))| {
            let mut dataset = DatasetReport::new(name);
            if let Err(error) = columns {
                dataset.error = Some(error.to_string());
            }
            if let Some(open) = &prepared.open[index] {
                dataset.files = open.files.len() as u64;
            }
            if let Some(cost) = outcomes.costs.get(&index) {
                dataset.scans = cost.scans;
                dataset.rows = cost.rows;
                dataset.bytes_read = prepared.open[index]
                    .as_deref()
                    .and_then(|open| bytes_read(open, cost));
                if dataset.error.is_none() {
                    dataset.error.clone_from(&cost.error);
                }
            }
            dataset
        })
        .collect();
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    datasets
}

/// What the readers counted; text is read as a whole each time, and nobody counts.
fn bytes_read(open: &OpenDataset, cost: &Cost) -> Option<u64> {
    if open.files.is_empty() {
        return None;
    }
    if open.dear && cost.bytes == 0 {
        return Some(cost.scans * open.files.iter().map(|file| file.size).sum::<u64>());
    }
    Some(cost.bytes)
}

/// The outcome in one word. Failures count from `fail_on` on, and so do undefined values;
/// an error always counts, for it needs repair.
fn verdict(report: &Report, fail_on: Severity) -> Verdict {
    let counts = |result: &&AssertionResult| result.severity >= fail_on;
    let any = |status: Status| {
        report
            .results
            .iter()
            .filter(counts)
            .any(|result| result.status == status)
    };
    let summary = &report.summary;
    if any(Status::Failed) {
        Verdict::Failed
    } else if summary.error > 0
        || any(Status::NotEvaluated)
        || summary.passed + summary.failed == 0
        || report.run.interrupted.is_some()
    {
        Verdict::NotEvaluated
    } else {
        Verdict::Passed
    }
}
