//! Every metric on random tables, compared with plain Rust, however the rows are kept.

mod oracle;
mod table;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use veracity::metric::catalogue::METRICS;
use veracity::prelude::*;
use veracity_processor::Symbol;

use crate::block_on;
use oracle::{Expected, FILTERS, filtered, unfiltered};
use table::{Kept, NOW_MICROS, Parent, Row};

static ENGINES: LazyLock<[Engine; 3]> = LazyLock::new(|| {
    [1, 2, 5].map(|cores| {
        Engine::builder()
            .cores(cores)
            .now(DateTime::from_timestamp_micros(NOW_MICROS).unwrap())
            .build()
            .unwrap()
    })
});

/// The calls without a filter and with that one, and what each must give.
fn calls(rows: &[Row], parents: &[Parent], filter: usize) -> Vec<(String, Expected)> {
    let all: Vec<&Row> = rows.iter().collect();
    let mut calls = unfiltered(parents);
    calls.extend(filtered(&all, parents));
    let (text, holds) = FILTERS[filter];
    if !text.is_empty() {
        let some: Vec<&Row> = rows.iter().filter(|row| holds(row)).collect();
        calls.extend(
            filtered(&some, parents)
                .into_iter()
                .map(|(call, expected)| (format!("{call} filter (where {text})"), expected)),
        );
    }
    calls
}

fn agrees(symbol: &Symbol, expected: &Expected) -> bool {
    let number = symbol.value.as_ref().and_then(Value::as_f64);
    let text = match &symbol.value {
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
        None => None,
    };
    match expected {
        Expected::Exactly(value) => text.as_ref() == Some(value),
        Expected::Float { value, scale } => {
            number.is_some_and(|found| (found - value).abs() <= 1e-9 * scale.max(value.abs()))
        }
        Expected::Between(least, most) => {
            let margin = 1e-9 * least.abs().max(most.abs());
            number.is_some_and(|found| (least - margin..=most + margin).contains(&found))
        }
        Expected::Undefined => {
            text.is_none() && symbol.status == veracity_processor::SymbolStatus::Undefined
        }
    }
}

fn verify(
    rows: &[Row],
    parents: &[Parent],
    filter: usize,
    kept: Kept,
    engine: usize,
) -> Result<(), TestCaseError> {
    let calls = calls(rows, parents, filter);
    let folder = TempDir::new().unwrap();
    let check = calls
        .iter()
        .fold(Check::new("all").dataset("t"), |check, (call, _)| {
            check.assert(format!("{call} is not null"))
        });
    let suite = VerificationSuite::builder("properties")
        .dataset(table::dataset(
            "t",
            &table::batch(rows),
            kept,
            folder.path(),
        ))
        .dataset(Dataset::batches(
            "parents",
            vec![table::parent_batch(parents)],
        ))
        .check(check)
        .build()
        .unwrap();
    let report = block_on(suite.run(&ENGINES[engine]));
    let mut wrong = Vec::new();
    for ((call, expected), result) in calls.iter().zip(&report.results) {
        let symbol = result.symbols.first().and_then(|name| report.symbol(name));
        match symbol {
            Some(symbol) if agrees(symbol, expected) => {}
            Some(symbol) => wrong.push(format!(
                "{call}: {:?} ({:?} {:?}), expected {expected:?}",
                symbol.value, symbol.status, symbol.error
            )),
            None => wrong.push(format!("{call}: {:?}", result.reason)),
        }
    }
    prop_assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for dataset in &report.datasets {
        prop_assert_eq!(&dataset.error, &None);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_metric_is_what_its_definition_says_however_the_rows_are_kept(
        rows in table::rows(),
        parents in table::parents(),
        filter in 0..FILTERS.len(),
        kept in table::kept(),
        engine in 0_usize..3,
    ) {
        verify(&rows, &parents, filter, kept, engine)?;
    }
}

#[test]
fn the_oracle_knows_every_metric_of_the_catalogue() {
    let named: BTreeSet<String> = calls(&[], &[], 0)
        .into_iter()
        .map(|(call, _)| call.split('(').next().unwrap().to_owned())
        .collect();
    let missing: Vec<&str> = METRICS
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !named.contains(*name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
