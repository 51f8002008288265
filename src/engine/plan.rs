//! What will be done for a suite: which answers come from metadata, what the fused scan
//! computes, which queries stand beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, lit};

use super::dataset::Columns;
use super::primitive::{Frequency, KeySet, Kind, Primitive, Relation};
use super::simplify::Simplify;
use super::statistics::RowGroups;
use crate::metric::dense::{DenseRange, dense_counts};
use crate::source::OpenDataset;
use crate::suite::Integrity;

/// The work on one dataset.
#[derive(Debug, Default)]
pub struct DatasetPlan {
    /// Primitives known from file metadata, with their values.
    pub metadata: Vec<(usize, ScalarValue)>,
    /// The one scan, if anything is left for it.
    pub fused: Option<FusedPlan>,
    /// Key sets that are counted by a query each.
    pub frequencies: Vec<FrequencyPlan>,
    /// Joins, each with its primitive.
    pub relations: Vec<(usize, Relation)>,
    /// Aggregates by a query of their own.
    pub alone: Vec<(usize, AggregateFunction)>,
    /// Rows, if metadata knows them.
    pub rows: Option<u64>,
    /// Joins of this and other datasets that look their rows up here.
    pub looked_up: usize,
    /// The dataset is dear to decode, read by several queries and small enough to be read
    /// into memory once.
    pub shared: bool,
}

/// The fused scan of a dataset.
#[derive(Debug)]
pub struct FusedPlan {
    /// What is computed over all rows: an aggregate and who wants it.
    pub calls: Vec<(Wanted, AggregateFunction)>,
    /// Counts of violations that are proved to be 0 in some row groups.
    pub rules: Vec<(Wanted, AggregateFunction)>,
    /// Per row group, whether a rule of `rules` has to be evaluated in it. Empty if there
    /// are no such rules.
    pub unproved: Vec<bool>,
}

/// Who wants the value of an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A primitive.
    Primitive(usize),
    /// Several primitives about one key set, from its dense counts.
    Keys(Vec<(usize, Frequency)>),
    /// The report, which says how many rows were read.
    Rows,
}

/// A query that counts equal keys.
#[derive(Debug)]
pub struct FrequencyPlan {
    /// What is counted.
    pub set: KeySet,
    /// What is asked, and which primitive asks it.
    pub asked: Vec<(usize, Frequency)>,
}

impl DatasetPlan {
    /// How often the data is read.
    pub fn scans(&self) -> u64 {
        let queries = self.fused.iter().len()
            + self.frequencies.len()
            + self.relations.len()
            + self.looked_up
            + self.alone.len();
        if self.shared && queries > 0 {
            1
        } else {
            queries as u64
        }
    }
}

/// Files dear to decode are kept in memory for several queries up to this size.
pub const MOST_SHARED_BYTES: u64 = 64 << 20;
/// Most slots of a table of dense counts: 2 bits each, 32 MiB a core.
const MOST_SLOTS: u64 = 1 << 27;

/// Plans the primitives of dataset `index`.
pub fn plan(
    index: usize,
    open: &OpenDataset,
    columns: &Columns,
    primitives: &[Primitive],
    simplify: &Simplify,
) -> DatasetPlan {
    let groups = row_groups(open);
    let mut plan = DatasetPlan {
        rows: groups.as_ref().map(RowGroups::rows),
        ..DatasetPlan::default()
    };
    let simplifier = simplify.over(&columns.plain);
    let mut calls = Vec::new();
    let mut rules = Vec::new();
    let mut unproved: Vec<bool> = Vec::new();
    let mut sets: BTreeMap<usize, FrequencyPlan> = BTreeMap::new();
    for (id, primitive) in primitives.iter().enumerate() {
        if primitive.dataset != index {
            continue;
        }
        match &primitive.kind {
            Kind::Scan(call) => {
                if let Some(value) = groups.as_ref().and_then(|groups| groups.answer(call)) {
                    plan.metadata.push((id, value));
                    continue;
                }
                let open_groups = groups
                    .as_ref()
                    .and_then(|groups| groups.unproved(call, columns, &simplifier));
                match open_groups {
                    Some(open) if !open.contains(&true) => {
                        plan.metadata.push((id, ScalarValue::from(0_i64)));
                    }
                    Some(open) if open.contains(&false) => {
                        unproved.resize(open.len(), false);
                        for (group, open) in unproved.iter_mut().zip(open) {
                            *group |= open;
                        }
                        rules.push((Wanted::Primitive(id), call.clone()));
                    }
                    _ => calls.push((Wanted::Primitive(id), call.clone())),
                }
            }
            Kind::Frequency(set, asked) => {
                let known = sets.values_mut().find(|known| known.set == *set);
                match known {
                    Some(known) => known.asked.push((id, *asked)),
                    None => {
                        let asked = vec![(id, *asked)];
                        let set = set.clone();
                        sets.insert(id, FrequencyPlan { set, asked });
                    }
                }
            }
            Kind::Relation(relation) => plan.relations.push((id, relation.clone())),
            Kind::Alone(call) => plan.alone.push((id, call.clone())),
        }
    }
    for mut set in sets.into_values() {
        set.asked.sort_by_key(|(_, asked)| *asked);
        match groups.as_ref().and_then(|groups| dense(&set, groups)) {
            Some(call) => calls.push((Wanted::Keys(set.asked), call)),
            None => plan.frequencies.push(set),
        }
    }
    // Where every row group has to be read for some rule, nothing is gained by the split.
    if !unproved.contains(&false) {
        calls.append(&mut rules);
        unproved.clear();
    }
    if !calls.is_empty() && plan.rows.is_none() {
        calls.push((Wanted::Rows, count_rows()));
    }
    if !calls.is_empty() || !rules.is_empty() {
        plan.fused = Some(FusedPlan {
            calls,
            rules,
            unproved,
        });
    }
    plan
}

fn count_rows() -> AggregateFunction {
    let one = vec![lit(1_i64)];
    AggregateFunction::new_udf(count_udaf(), one, false, None, Vec::new(), None)
}

/// Completes the plans with what they owe each other: look-ups in other datasets, and
/// whether a dataset is read into memory for all who need it.
pub fn connect(plans: &mut [Option<DatasetPlan>], open: &[Option<Arc<OpenDataset>>]) {
    let parents: Vec<usize> = plans
        .iter()
        .flatten()
        .flat_map(|plan| plan.relations.iter().map(|(_, relation)| relation.parent))
        .collect();
    for parent in parents {
        if let Some(plan) = &mut plans[parent] {
            plan.looked_up += 1;
        }
    }
    for (plan, open) in plans.iter_mut().zip(open) {
        if let (Some(plan), Some(open)) = (plan, open) {
            let bytes: u64 = open.files.iter().map(|file| file.size).sum();
            plan.shared = open.dear && plan.scans() > 1 && bytes <= MOST_SHARED_BYTES;
        }
    }
}

fn row_groups(open: &OpenDataset) -> Option<RowGroups> {
    if open.integrity == Integrity::Full {
        return None;
    }
    let footers = open.parquet.as_ref()?;
    let metadata = footers
        .iter()
        .map(|footer| Arc::clone(&footer.metadata))
        .collect();
    Some(RowGroups::new(metadata, Arc::clone(&open.schema)))
}

/// Keys whose values lie in a narrow range are counted in a table with a slot for each
/// possible key, within the fused scan.
fn dense(set: &FrequencyPlan, groups: &RowGroups) -> Option<AggregateFunction> {
    let counted = |asked: &(usize, Frequency)| asked.1 != Frequency::Entropy;
    if !set.asked.iter().all(counted) {
        return None;
    }
    let mut ranges = Vec::new();
    let mut slots: u64 = 1;
    for key in &set.set.keys {
        let Expr::Column(column) = key else {
            return None;
        };
        let (min, max) = groups.range(&column.name)?;
        let len = u64::try_from(max - min).ok()?.checked_add(1)?;
        ranges.push(DenseRange { min, len });
        slots = slots.checked_mul(len.checked_add(1)?)?;
    }
    // A sparse table would cost more to clear and merge than a hash table to fill.
    let worth = groups.rows().saturating_mul(64).max(1 << 16);
    if slots > MOST_SLOTS || slots > worth {
        return None;
    }
    Some(AggregateFunction::new_udf(
        dense_counts(ranges),
        set.set.keys.clone(),
        false,
        set.set.filter.clone(),
        Vec::new(),
        None,
    ))
}

/// The columns that the work on a dataset reads, sorted.
pub fn columns_read(
    index: usize,
    plan: &DatasetPlan,
    all_plans: &[Option<DatasetPlan>],
) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    let mut add = |expr: &Expr| {
        columns.extend(
            expr.column_refs()
                .into_iter()
                .map(|column| column.name.clone()),
        );
    };
    let call_parts = |call: &AggregateFunction| -> Vec<Expr> {
        let parts = call.params.args.iter().chain(call.params.filter.as_deref());
        parts.cloned().collect()
    };
    if let Some(fused) = &plan.fused {
        for (_, call) in fused.calls.iter().chain(&fused.rules) {
            call_parts(call).iter().for_each(&mut add);
        }
    }
    for set in &plan.frequencies {
        set.set
            .keys
            .iter()
            .chain(set.set.filter.as_deref())
            .for_each(&mut add);
    }
    for (_, relation) in &plan.relations {
        let keys = &relation.keys;
        keys.keys
            .iter()
            .chain(keys.filter.as_deref())
            .for_each(&mut add);
    }
    for (_, call) in &plan.alone {
        call_parts(call).iter().for_each(&mut add);
    }
    for other in all_plans.iter().flatten() {
        for (_, relation) in other.relations.iter().filter(|(_, r)| r.parent == index) {
            relation.parent_keys.iter().for_each(&mut add);
        }
    }
    columns
}
