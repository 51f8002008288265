//! A plan as people and programs read it.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use veracity_processor::Location;

use super::plan::{DatasetPlan, columns_read};
use super::prepare::{Binding, Prepared};
use super::report::place_of;

/// Most columns that the tree lists of a dataset; the JSON has them all.
const MOST_COLUMNS: usize = 30;

/// What a run of a suite would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Plan {
    /// Version of this JSON.
    pub schema_version: u32,
    /// Name of the suite.
    pub suite: String,
    /// The work on each dataset, sorted by name.
    pub datasets: Vec<DatasetWork>,
    /// Assertions that cannot be evaluated, with the reason.
    pub errors: Vec<PlanError>,
    /// Things worth knowing.
    pub warnings: Vec<String>,
    /// Number of assertions, of symbols they use, and of primitives computed for these.
    pub assertions: usize,
    /// Distinct metric calls.
    pub symbols: usize,
    /// Distinct primitives.
    pub primitives: usize,
}

/// The work on one dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DatasetWork {
    /// Its name.
    pub dataset: String,
    /// Why nothing can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Files it consists of.
    pub files: usize,
    /// Its columns.
    pub columns: usize,
    /// The columns whose data is read, sorted.
    pub columns_read: Vec<String>,
    /// How often its data is read.
    pub scans: u64,
    /// True if it is read into memory once for all the work below.
    pub read_into_memory: bool,
    /// The work, in the order it is done.
    pub steps: Vec<Step>,
}

/// One piece of work on a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Step {
    /// `metadata`, `fused scan`, `group by`, `join`, `query` or `look-up`.
    pub kind: String,
    /// What it is over: keys, the other dataset, row groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// What it computes, sorted.
    pub computes: Vec<Computes>,
}

/// A primitive with the assertions that need it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Computes {
    /// The metric calls that need it.
    pub metrics: Vec<String>,
    /// Numbers of the assertions that need it, from 1 in the order of the suite.
    pub assertions: Vec<usize>,
}

/// An assertion that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PlanError {
    /// Its check.
    pub check: String,
    /// What is asserted.
    pub assertion: String,
    /// Why it cannot be evaluated.
    pub reason: String,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// Describes what `prepared` would do.
pub(super) fn describe(prepared: &Prepared) -> Plan {
    let needs = Needs::of(prepared);
    let mut datasets: Vec<DatasetWork> = (0..prepared.columns.len())
        .map(|index| dataset(index, prepared, &needs))
        .collect();
    datasets.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    let errors = prepared
        .assertions
        .iter()
        .filter_map(|planned| {
            let Binding::Failed(error) = &planned.binding else {
                return None;
            };
            let check = &prepared.suite.checks[planned.check];
            let assertion = &check.assertions[planned.assertion];
            Some(PlanError {
                check: check.name.clone(),
                assertion: assertion.expression(),
                reason: error.to_string(),
                location: place_of(assertion, error).or_else(|| assertion.location.clone()),
            })
        })
        .collect();
    Plan {
        schema_version: 1,
        suite: prepared.suite.name.clone(),
        datasets,
        errors,
        warnings: prepared.warnings.clone(),
        assertions: prepared.assertions.len(),
        symbols: prepared.symbols.len(),
        primitives: prepared.primitives.len(),
    }
}

/// Who needs each primitive.
struct Needs(Vec<Computes>);

impl Needs {
    fn of(prepared: &Prepared) -> Self {
        let mut needs: Vec<Computes> = prepared
            .primitives
            .iter()
            .map(|_| Computes {
                metrics: Vec::new(),
                assertions: Vec::new(),
            })
            .collect();
        let mut used_by = vec![Vec::new(); prepared.symbols.len()];
        for (number, planned) in prepared.assertions.iter().enumerate() {
            if let Binding::Bound(bound) = &planned.binding {
                for &symbol in &bound.symbols {
                    used_by[symbol].push(number + 1);
                }
            }
        }
        for (symbol, assertions) in prepared.symbols.iter().zip(used_by) {
            for &primitive in &symbol.value.inputs {
                needs[primitive].metrics.push(symbol.text.clone());
                needs[primitive].assertions.extend(&assertions);
            }
        }
        for need in &mut needs {
            need.assertions.sort_unstable();
            need.assertions.dedup();
        }
        Self(needs)
    }

    /// What some primitives are for; those for the same metrics are listed once.
    fn list(&self, primitives: impl IntoIterator<Item = usize>) -> Vec<Computes> {
        let mut list: Vec<Computes> = primitives
            .into_iter()
            .map(|primitive| self.0[primitive].clone())
            .collect();
        list.sort();
        list.dedup();
        list
    }
}

fn dataset(index: usize, prepared: &Prepared, needs: &Needs) -> DatasetWork {
    let (name, columns) = &prepared.columns[index];
    let mut work = DatasetWork {
        dataset: name.clone(),
        ..DatasetWork::default()
    };
    if let Err(error) = columns {
        work.error = Some(error.to_string());
    }
    let (Some(open), Some(plan)) = (&prepared.open[index], &prepared.plans[index]) else {
        return work;
    };
    work.files = open.files.len();
    work.columns = open.schema.fields().len();
    work.columns_read = columns_read(index, plan, &prepared.plans)
        .into_iter()
        .collect();
    work.scans = plan.scans();
    work.read_into_memory = plan.shared;
    work.steps = steps(plan, prepared, needs);
    if plan.looked_up > 0 {
        work.steps.push(Step {
            kind: "look-up".to_owned(),
            over: Some(format!(
                "by {} join{}",
                plan.looked_up,
                plural(plan.looked_up)
            )),
            computes: Vec::new(),
        });
    }
    work
}

fn steps(plan: &DatasetPlan, prepared: &Prepared, needs: &Needs) -> Vec<Step> {
    let mut steps = Vec::new();
    if !plan.metadata.is_empty() {
        steps.push(Step {
            kind: "metadata".to_owned(),
            over: None,
            computes: needs.list(plan.metadata.iter().map(|(id, _)| *id)),
        });
    }
    if let Some(fused) = &plan.fused {
        let calls = fused.calls.iter().chain(&fused.rules);
        let primitives = calls.flat_map(|(wanted, _)| wanted.primitives());
        let open = fused.unproved.iter().filter(|open| **open).count();
        let rules = fused.rules.len();
        let over = (rules > 0).then(|| {
            format!(
                "{rules} rule{} in {open} of {} row groups only, proved in the others",
                plural(rules),
                fused.unproved.len()
            )
        });
        steps.push(Step {
            kind: "fused scan".to_owned(),
            over,
            computes: needs.list(primitives),
        });
    }
    for frequency in &plan.frequencies {
        let keys: Vec<String> = frequency.set.keys.iter().map(ToString::to_string).collect();
        let filter = frequency.set.filter.as_deref();
        let filter = filter.map_or_else(String::new, |filter| format!(" where {filter}"));
        steps.push(Step {
            kind: "group by".to_owned(),
            over: Some(format!("{}{filter}", keys.join(", "))),
            computes: needs.list(frequency.asked.iter().map(|(id, _)| *id)),
        });
    }
    for (id, relation) in &plan.relations {
        steps.push(Step {
            kind: "join".to_owned(),
            over: Some(format!("with {}", prepared.columns[relation.parent].0)),
            computes: needs.list([*id]),
        });
    }
    for (id, _) in &plan.alone {
        steps.push(Step {
            kind: "query".to_owned(),
            over: None,
            computes: needs.list([*id]),
        });
    }
    steps
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

impl Plan {
    /// The plan as an indented tree.
    pub fn tree(&self) -> String {
        let mut out = String::new();
        self.write_tree(&mut out)
            .expect("writing to a String cannot fail");
        out
    }

    fn write_tree(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "{}: {} assertion{} need {} metric value{}, from {} primitive{}",
            self.suite,
            self.assertions,
            plural(self.assertions),
            self.symbols,
            plural(self.symbols),
            self.primitives,
            plural(self.primitives)
        )?;
        for work in &self.datasets {
            writeln!(out)?;
            if let Some(error) = &work.error {
                writeln!(out, "{}: {error}", work.dataset)?;
                continue;
            }
            let memory = if work.read_into_memory {
                ", read into memory once"
            } else {
                ""
            };
            writeln!(
                out,
                "{}: {} scan{}{memory}, {} of {} columns{}",
                work.dataset,
                work.scans,
                plural(usize::try_from(work.scans).unwrap_or(usize::MAX)),
                work.columns_read.len(),
                work.columns,
                match work.files {
                    0 => String::new(),
                    files => format!(", {files} file{}", plural(files)),
                }
            )?;
            if !work.columns_read.is_empty() {
                let shown = work.columns_read.len().min(MOST_COLUMNS);
                let more = match work.columns_read.len() - shown {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                writeln!(
                    out,
                    "  reads {}{more}",
                    work.columns_read[..shown].join(", ")
                )?;
            }
            for step in &work.steps {
                let over = step
                    .over
                    .as_deref()
                    .map_or_else(String::new, |o| format!(" {o}"));
                writeln!(out, "  {}{over}", step.kind)?;
                for computes in &step.computes {
                    let numbers: Vec<String> = computes
                        .assertions
                        .iter()
                        .map(ToString::to_string)
                        .collect();
                    writeln!(
                        out,
                        "    {}  (assertion{} {})",
                        computes.metrics.join(", "),
                        plural(numbers.len()),
                        numbers.join(", ")
                    )?;
                }
            }
        }
        if !self.errors.is_empty() {
            writeln!(out, "\nerrors")?;
        }
        for error in &self.errors {
            writeln!(out, "  {}: {}", error.check, error.assertion)?;
            writeln!(out, "    {}", error.reason)?;
            if let Some(location) = &error.location {
                writeln!(out, "    {location}")?;
            }
        }
        if !self.warnings.is_empty() {
            writeln!(out, "\nwarnings")?;
        }
        for warning in &self.warnings {
            writeln!(out, "  {warning}")?;
        }
        Ok(())
    }
}
