//! The fused scan, run; and the search for the culprit when it fails.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;

use super::execute::{Origin, Outcome, Work, bytes_scanned, caught, why};
use super::fuse::{self, Aggregation};
use super::plan::{DatasetPlan, FusedPlan, Wanted};
use super::primitive::Frequency;
use super::value;
use crate::source::OpenDataset;
use crate::suite::Integrity;

impl Work<'_> {
    /// Runs the fused scan; if it fails, looks for the aggregates whose fault it is.
    pub(super) async fn fused(
        &self,
        index: usize,
        open: &Arc<OpenDataset>,
        plan: &DatasetPlan,
        fused: &FusedPlan,
        table: &Arc<dyn TableProvider>,
    ) {
        let whole = Part {
            calls: &fused.calls,
            rules: &fused.rules,
        };
        // Each failure costs a scan, so the search for culprits is bounded.
        let total = fused.calls.len() + fused.rules.len();
        let mut scans_left = 8 + 4 * (usize::BITS - total.leading_zeros()) as usize;
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            let failure = match caught(self.part(index, open, plan, fused, &part, table)).await {
                Ok(values) => {
                    for (wanted, value) in values {
                        self.keep(index, wanted, value);
                    }
                    continue;
                }
                Err(error) => error,
            };
            scans_left = scans_left.saturating_sub(1);
            let halves = part.halves();
            if halves.is_empty() || scans_left == 0 || !can_be_isolated(&failure, open) {
                let message = why(&failure, open).await;
                for (wanted, _) in part.calls.iter().chain(part.rules) {
                    for primitive in wanted.primitives() {
                        self.record(primitive, Err(message.clone()), Origin::Scan);
                    }
                }
                continue;
            }
            parts.extend(halves);
        }
    }

    fn keep(&self, index: usize, wanted: &Wanted, value: ScalarValue) {
        match wanted {
            Wanted::Rows => self.cost(index, |cost| {
                cost.rows = value::integer(&value).and_then(|n| u64::try_from(n).ok());
            }),
            Wanted::Primitive(primitive) => self.record(*primitive, Ok(value), Origin::Scan),
            Wanted::Keys(asked) => {
                for (primitive, asked) in asked {
                    let outcome = dense_part(&value, *asked);
                    self.record(*primitive, outcome, Origin::Scan);
                }
            }
        }
    }

    /// Runs some of the fused aggregates: one reading of each row group.
    async fn part<'p>(
        &self,
        index: usize,
        open: &OpenDataset,
        plan: &DatasetPlan,
        fused: &FusedPlan,
        part: &Part<'p>,
        table: &Arc<dyn TableProvider>,
    ) -> datafusion::common::Result<Vec<(&'p Wanted, ScalarValue)>> {
        if !plan.shared {
            self.cost(index, |cost| cost.scans += 1);
        }
        let calls: Vec<AggregateFunction> =
            part.calls.iter().map(|(_, call)| call.clone()).collect();
        let mut everything = calls.clone();
        everything.extend(part.rules.iter().map(|(_, call)| call.clone()));
        let split = !part.rules.is_empty() && fused.unproved.contains(&false);

        // The row groups where a rule is open are read for all aggregates, the others only
        // for those that are no rules.
        let in_groups = |open_groups: bool| row_groups_by_file(open, &fused.unproved, open_groups);
        let (first, first_states) = {
            let chosen = in_groups(true);
            let selection: fuse::Selection = if split { Some(&chosen) } else { None };
            self.states(index, open, plan, &everything, table, selection)
                .await?
        };
        let mut other_states = Vec::new();
        if split && !calls.is_empty() {
            let chosen = in_groups(false);
            let (_, states) = self
                .states(index, open, plan, &calls, table, Some(&chosen))
                .await?;
            other_states = states;
        }
        let context = self.state.task_ctx();
        let mut values = first
            .first(calls.len())?
            .values(&[&first_states, &other_states], Arc::clone(&context))
            .await?;
        let rules = first.rest(calls.len())?;
        values.extend(rules.values(&[&first_states], context).await?);
        let wanted = part
            .calls
            .iter()
            .chain(part.rules)
            .map(|(wanted, _)| wanted);
        Ok(wanted.zip(values).collect())
    }

    async fn states(
        &self,
        index: usize,
        open: &OpenDataset,
        plan: &DatasetPlan,
        calls: &[AggregateFunction],
        table: &Arc<dyn TableProvider>,
        selection: fuse::Selection<'_>,
    ) -> datafusion::common::Result<(Aggregation, Vec<RecordBatch>)> {
        let mut columns = fuse::columns_read(calls, &open.schema);
        if columns.is_empty() && open.integrity == Integrity::Full {
            columns.extend((!open.schema.fields().is_empty()).then_some(0));
        }
        let scan = fuse::scan(self.state, table, &columns, selection).await?;
        let aggregation = Aggregation::plan(Arc::clone(&scan), calls)?;
        let states = self.collect(&open.name, aggregation.partial()).await?;
        if !plan.shared {
            self.cost(index, |cost| cost.bytes += bytes_scanned(scan.as_ref()));
        }
        Ok((aggregation, states))
    }
}

/// Some aggregates of the fused scan.
struct Part<'a> {
    calls: &'a [(Wanted, AggregateFunction)],
    rules: &'a [(Wanted, AggregateFunction)],
}

impl<'a> Part<'a> {
    fn halves(&self) -> Vec<Part<'a>> {
        if self.calls.len() + self.rules.len() < 2 {
            return Vec::new();
        }
        let (calls, rules) = if self.calls.is_empty() || self.rules.is_empty() {
            (
                self.calls.split_at(self.calls.len() / 2),
                self.rules.split_at(self.rules.len() / 2),
            )
        } else {
            (
                self.calls.split_at(self.calls.len()),
                self.rules.split_at(0),
            )
        };
        vec![
            Part {
                calls: calls.0,
                rules: rules.0,
            },
            Part {
                calls: calls.1,
                rules: rules.1,
            },
        ]
    }
}

/// A broken row of text breaks every column; anything else may be one aggregate's fault.
fn can_be_isolated(error: &DataFusionError, open: &OpenDataset) -> bool {
    let io = matches!(
        error.find_root(),
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_)
    );
    let text = open.dear
        && match error.find_root() {
            DataFusionError::ArrowError(error, _) => matches!(
                **error,
                ArrowError::CsvError(_)
                    | ArrowError::JsonError(_)
                    | ArrowError::ParseError(_)
                    | ArrowError::IoError(..)
                    | ArrowError::ExternalError(_)
            ),
            DataFusionError::External(_) => true,
            _ => false,
        };
    !io && !text
}

fn dense_part(value: &ScalarValue, asked: Frequency) -> Outcome {
    let column = match asked {
        Frequency::Distinct => "distinct",
        Frequency::Once => "once",
        Frequency::Entropy => return Err("entropy has no dense count".to_owned()),
    };
    match value {
        ScalarValue::Struct(parts) => parts
            .column_by_name(column)
            .and_then(|column| ScalarValue::try_from_array(column, 0).ok())
            .ok_or_else(|| format!("dense counts have no `{column}`")),
        _ => Err("dense counts are a struct".to_owned()),
    }
}

/// For each file the row groups whose flag in `unproved` equals `wanted`.
fn row_groups_by_file(
    open: &OpenDataset,
    unproved: &[bool],
    wanted: bool,
) -> HashMap<String, Vec<bool>> {
    let mut start = 0;
    let mut by_file = HashMap::new();
    for footer in open.parquet.iter().flatten() {
        let end = start + footer.metadata.num_row_groups();
        let groups = unproved.get(start..end).unwrap_or_default();
        let chosen = groups.iter().map(|open| *open == wanted).collect();
        by_file.insert(footer.location.to_string(), chosen);
        start = end;
    }
    by_file
}
