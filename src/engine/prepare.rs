//! From a suite to a plan: datasets opened, assertions bound, work planned. No table data
//! is read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;

use super::bind::{Binder, BoundAssertion, SymbolPlan};
use super::dataset::Columns;
use super::plan::{self, DatasetPlan};
use super::primitive::Primitive;
use super::session::session;
use super::simplify::Simplify;
use crate::error::{Error, Result};
use crate::metric::plain_message;
use crate::source::{OpenContext, OpenDataset, open_all};
use crate::suite::{Check, VerificationSuite};

/// What a run is told beside its suite.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Partitions of every query.
    pub cores: usize,
    /// Bytes for sorting, grouping and joining.
    pub memory_limit: Option<usize>,
    /// Where relative paths start.
    pub base: PathBuf,
    /// The date of the data.
    pub date: NaiveDate,
    /// Values of `{name}` in paths.
    pub variables: BTreeMap<String, String>,
    /// Labels of the run.
    pub run_tags: BTreeMap<String, String>,
    /// Tags and check names to be run; all if empty.
    pub only: Vec<String>,
    /// The start of the run: `now()`.
    pub now: DateTime<Utc>,
}

/// A suite ready to be run.
pub struct Prepared {
    /// The suite.
    pub suite: Arc<VerificationSuite>,
    /// What the run is told.
    pub settings: Settings,
    /// The session everything is planned in.
    pub session: SessionContext,
    /// Its state.
    pub state: SessionState,
    /// The datasets, in the order of the suite; `None` if one could not be opened.
    pub open: Vec<Option<Arc<OpenDataset>>>,
    /// Their columns, or why they could not be opened.
    pub columns: Vec<(String, Result<Columns>)>,
    /// The assertions, in the order of the suite.
    pub assertions: Vec<Planned>,
    /// The symbols they use.
    pub symbols: Vec<SymbolPlan>,
    /// What is computed for these.
    pub primitives: Vec<Primitive>,
    /// How it is computed, by dataset.
    pub plans: Vec<Option<DatasetPlan>>,
    /// Things worth knowing.
    pub warnings: Vec<String>,
}

/// An assertion of the suite with what binding made of it.
pub struct Planned {
    /// Index of its check.
    pub check: usize,
    /// Index in its check.
    pub assertion: usize,
    /// Index of its dataset, if that exists.
    pub dataset: Option<usize>,
    /// What it means, why it means nothing, or why it is left out.
    pub binding: Binding,
}

/// What binding made of an assertion.
pub enum Binding {
    /// It can be evaluated.
    Bound(Box<BoundAssertion>),
    /// It cannot be understood, or its dataset not be opened.
    Failed(Error),
    /// It is left out by choice.
    Skipped(String),
}

/// Opens the datasets, binds the assertions and plans the work.
pub async fn prepare(suite: Arc<VerificationSuite>, settings: Settings) -> Result<Prepared> {
    let failed = |error| Error::execution(plain_message(&error));
    let session = session(settings.cores, settings.memory_limit).map_err(failed)?;
    let context = OpenContext {
        base: settings.base.clone(),
        date: settings.date,
        variables: settings.variables.clone(),
    };
    let opened = open_all(&suite.datasets, &session, &context).await;
    let mut open = Vec::with_capacity(opened.len());
    let mut columns = Vec::with_capacity(opened.len());
    let mut warnings = Vec::new();
    for (name, dataset) in opened {
        let known = dataset.and_then(|dataset| {
            let columns = Columns::new(&name, dataset.schema.clone(), dataset.timezone.clone())?;
            check_sensitive(&suite, &columns)?;
            Ok((dataset, columns))
        });
        match known {
            Ok((dataset, of)) => {
                warnings.extend(
                    dataset
                        .warnings
                        .iter()
                        .map(|text| format!("{name}: {text}")),
                );
                open.push(Some(Arc::new(dataset)));
                columns.push((name, Ok(of)));
            }
            Err(error) => {
                open.push(None);
                columns.push((name, Err(error)));
            }
        }
    }
    let state = session.state();
    let mut binder = Binder::new(&state, &columns, settings.now);
    let assertions = bind_all(&suite, &settings, &mut binder);
    let Binder {
        symbols,
        primitives,
        warnings: names,
        ..
    } = binder;
    warnings.extend(names);
    let simplify = Simplify::new(&state, settings.now);
    let mut plans = Vec::with_capacity(open.len());
    for (index, dataset) in open.iter().enumerate() {
        plans.push(match (dataset, &columns[index].1) {
            (Some(dataset), Ok(columns)) => Some(plan::plan(
                index,
                dataset,
                columns,
                &primitives.all,
                &simplify,
            )),
            _ => None,
        });
    }
    plan::connect(&mut plans, &open);
    Ok(Prepared {
        suite,
        settings,
        session,
        state,
        open,
        columns,
        assertions,
        symbols,
        primitives: primitives.all,
        plans,
        warnings,
    })
}

/// A misspelled sensitive column would be shown to everyone.
fn check_sensitive(suite: &VerificationSuite, columns: &Columns) -> Result<()> {
    let dataset = suite
        .datasets
        .iter()
        .find(|dataset| dataset.name == columns.dataset);
    for column in dataset.iter().flat_map(|dataset| &dataset.sensitive) {
        match columns.resolve(column) {
            Ok((_, false)) => {}
            Ok((found, true)) => {
                return Err(Error::source(format!(
                    "`sensitive` names the column `{column}`, which is written `{found}`"
                )));
            }
            Err(message) => return Err(Error::source(format!("`sensitive`: {message}"))),
        }
    }
    Ok(())
}

fn bind_all(
    suite: &VerificationSuite,
    settings: &Settings,
    binder: &mut Binder<'_>,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (check_index, check) in suite.checks.iter().enumerate() {
        let dataset = dataset_of(suite, check);
        for (index, assertion) in check.assertions.iter().enumerate() {
            let tags = check.tags.iter().chain(&assertion.tags);
            let binding = if let Some(reason) = left_out(settings, check, tags) {
                Binding::Skipped(reason)
            } else {
                let bound = dataset
                    .ok_or_else(|| Error::assertion("the check names no dataset of the suite"))
                    .and_then(|dataset| binder.bind(&assertion.condition, dataset));
                match bound {
                    Ok(bound) => Binding::Bound(Box::new(bound)),
                    Err(error) => Binding::Failed(error),
                }
            };
            planned.push(Planned {
                check: check_index,
                assertion: index,
                dataset,
                binding,
            });
        }
    }
    planned
}

/// The dataset a check speaks of; the suite's only one if it names none.
fn dataset_of(suite: &VerificationSuite, check: &Check) -> Option<usize> {
    match &check.dataset {
        Some(name) => suite
            .datasets
            .iter()
            .position(|dataset| dataset.name == *name),
        None => (suite.datasets.len() == 1).then_some(0),
    }
}

fn left_out<'a>(
    settings: &Settings,
    check: &Check,
    mut tags: impl Iterator<Item = &'a String>,
) -> Option<String> {
    let wanted = &settings.only;
    if wanted.is_empty() || wanted.contains(&check.name) || tags.any(|tag| wanted.contains(tag)) {
        return None;
    }
    Some(format!("not selected by `{}`", wanted.join("`, `")))
}
