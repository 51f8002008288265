//! Primitives: the aggregates that are really computed, each once per dataset.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, HashMap, TableReference};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::dataset::Columns;
use super::names::Datasets;
use super::semantics;
use super::simplify::{Simplifier, Simplify};
use crate::error::{Error, Result};
use crate::metric::catalogue::primitive;
use crate::metric::{column_text, plain_message};

/// An aggregate that is computed.
#[derive(Debug, Clone)]
pub struct Primitive {
    /// The dataset it is computed on.
    pub dataset: usize,
    /// How it is computed.
    pub kind: Kind,
    /// The type of its value.
    pub data_type: DataType,
}

/// How a primitive is computed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// In the fused scan, or from metadata.
    Scan(AggregateFunction),
    /// By counting equal keys.
    Frequency(KeySet, Frequency),
    /// By a join with another dataset.
    Relation(Relation),
    /// By a query of its own: DISTINCT and ordered aggregates of DataFusion.
    Alone(AggregateFunction),
}

/// The expressions whose equal values are counted, and the rows that are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeySet {
    /// What makes two rows equal.
    pub keys: Vec<Expr>,
    /// Which rows count; all if not given.
    pub filter: Option<Box<Expr>>,
}

/// What is asked of a [`KeySet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frequency {
    /// Distinct keys.
    Distinct,
    /// Keys seen exactly once.
    Once,
    /// Entropy of the keys, in nats.
    Entropy,
}

/// Rows without a match in another dataset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Relation {
    /// Keys of the rows that need a parent.
    pub keys: KeySet,
    /// The dataset of the parents.
    pub parent: usize,
    /// Keys of the parents, as many as there are keys.
    pub parent_keys: Vec<Expr>,
}

impl Primitive {
    /// The columns it reads, of its own dataset.
    pub fn columns(&self) -> BTreeSet<String> {
        let call = |call: &AggregateFunction| {
            let parts = call.params.args.iter().chain(call.params.filter.as_deref());
            parts.flat_map(names_in).collect()
        };
        match &self.kind {
            Kind::Scan(scan) | Kind::Alone(scan) => call(scan),
            Kind::Frequency(set, _) | Kind::Relation(Relation { keys: set, .. }) => {
                let parts = set.keys.iter().chain(set.filter.as_deref());
                parts.flat_map(names_in).collect()
            }
        }
    }

    /// True if its value may be a value of the data, or tell one.
    pub fn tells_values(&self) -> bool {
        match &self.kind {
            Kind::Scan(call) => !matches!(
                call.func.name(),
                "count" | "approx_distinct" | "corr" | "__count_true" | "__count_false"
            ),
            Kind::Alone(call) => call.func.name() != "count",
            Kind::Frequency(..) | Kind::Relation(_) => false,
        }
    }
}

fn names_in(expr: &Expr) -> Vec<String> {
    let columns = expr.column_refs().into_iter();
    columns.map(|column| column.name.clone()).collect()
}

/// The distinct primitives of a suite.
#[derive(Debug, Default)]
pub struct Primitives {
    /// In the order of first appearance.
    pub all: Vec<Primitive>,
    /// By the dataset of calls without columns, and the call as it came.
    by_call: HashMap<usize, HashMap<AggregateFunction, usize>>,
    /// Those of one hash, so that no kind is kept twice.
    by_kind: HashMap<u64, Vec<usize>>,
    hasher: RandomState,
}

impl Primitives {
    /// The index of the primitive that computes `call`, whose columns are qualified;
    /// `default` is the dataset of a call without columns.
    pub fn intern(
        &mut self,
        call: AggregateFunction,
        default: usize,
        datasets: &Datasets,
        simplify: &Simplify,
    ) -> Result<usize> {
        let known = self.by_call.entry(default).or_default();
        if let Some(&index) = known.get(&call) {
            return Ok(index);
        }
        let primitive = prepare(call.clone(), default, datasets, simplify)?;
        let hash = self.hasher.hash_one((primitive.dataset, &primitive.kind));
        let same = self.by_kind.entry(hash).or_default();
        let equal = |index: &usize| {
            let known = &self.all[*index];
            known.dataset == primitive.dataset && known.kind == primitive.kind
        };
        let index = match same.iter().copied().find(|index| equal(index)) {
            Some(index) => index,
            None => {
                self.all.push(primitive);
                same.push(self.all.len() - 1);
                self.all.len() - 1
            }
        };
        known.insert(call, index);
        Ok(index)
    }

    /// Forgets all but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if len == self.all.len() {
            return;
        }
        self.all.truncate(len);
        for known in self.by_call.values_mut() {
            known.retain(|_, index| *index < len);
        }
        for same in self.by_kind.values_mut() {
            same.retain(|index| *index < len);
        }
    }
}

fn prepare(
    call: AggregateFunction,
    default: usize,
    datasets: &Datasets,
    simplify: &Simplify,
) -> Result<Primitive> {
    let frequency = match call.func.name() {
        primitive::UNMATCHED => return relation(call, datasets, simplify),
        primitive::DISTINCT => Some(Frequency::Distinct),
        primitive::ONCE => Some(Frequency::Once),
        primitive::ENTROPY => Some(Frequency::Entropy),
        _ => None,
    };
    let name = call.func.name().trim_start_matches('_').to_owned();
    let parts = call.params.args.iter().chain(call.params.filter.as_deref());
    let dataset = dataset_of(parts, &name, datasets)?.unwrap_or(default);
    let columns = datasets.columns(dataset)?;
    if let Some(frequency) = frequency {
        let mut keys = key_set(call.params.args, call.params.filter, columns, simplify)?;
        // The order of the keys changes no count, and equal sets are counted once.
        keys.keys.sort_by_cached_key(ToString::to_string);
        let data_type = match frequency {
            Frequency::Distinct | Frequency::Once => DataType::Int64,
            Frequency::Entropy => DataType::Float64,
        };
        return Ok(Primitive {
            dataset,
            kind: Kind::Frequency(keys, frequency),
            data_type,
        });
    }
    // Before it is coerced: DataFusion takes a number for a condition.
    if let Some(filter) = &call.params.filter {
        check_condition(filter, &columns.qualified)?;
    }
    let planned = plan_call(call, columns, simplify);
    let (call, data_type) = planned.map_err(|error| Error::assertion(plain_message(&error)))?;
    // An ordered aggregate needs sorted input; a distinct one beside others cannot spill.
    let alone = call.params.distinct || !call.params.order_by.is_empty();
    let kind = if alone {
        Kind::Alone(call)
    } else {
        Kind::Scan(call)
    };
    Ok(Primitive {
        dataset,
        kind,
        data_type,
    })
}

/// Coerces and simplifies a call over the unqualified columns.
fn plan_call(
    call: AggregateFunction,
    columns: &Columns,
    simplify: &Simplify,
) -> datafusion::common::Result<(AggregateFunction, DataType)> {
    let schema = columns.plain.as_ref();
    let simplifier = simplify.over(&columns.plain);
    let expr = unqualify(Expr::AggregateFunction(call))?;
    let expr = simplifier.coerce(expr)?;
    let data_type = expr.get_type(schema)?;
    let Expr::AggregateFunction(mut call) = expr else {
        return datafusion::common::internal_err!("coercion keeps an aggregate an aggregate");
    };
    let params = &mut call.params;
    params.args = std::mem::take(&mut params.args)
        .into_iter()
        .map(|arg| finish_row(arg, &simplifier, schema))
        .collect::<datafusion::common::Result<_>>()?;
    if let Some(filter) = params.filter.take() {
        params.filter = Some(Box::new(finish_row(*filter, &simplifier, schema)?));
    }
    Ok((call, data_type))
}

fn finish_row(
    expr: Expr,
    simplifier: &Simplifier,
    schema: &DFSchema,
) -> datafusion::common::Result<Expr> {
    if matches!(expr, Expr::Column(_) | Expr::Literal(..)) {
        return Ok(expr);
    }
    semantics::nan_satisfies_no_bound(simplifier.simplify(expr)?, schema)
}

fn row_expression(
    expr: Expr,
    columns: &Columns,
    simplify: &Simplify,
) -> datafusion::common::Result<Expr> {
    let schema = columns.plain.as_ref();
    let simplifier = simplify.over(&columns.plain);
    let expr = simplifier.coerce(unqualify(expr)?)?;
    finish_row(expr, &simplifier, schema)
}

fn key_set(
    keys: Vec<Expr>,
    filter: Option<Box<Expr>>,
    columns: &Columns,
    simplify: &Simplify,
) -> Result<KeySet> {
    let row = |expr| {
        row_expression(expr, columns, simplify)
            .map_err(|error| Error::assertion(plain_message(&error)))
    };
    let keys = keys.into_iter().map(row).collect::<Result<Vec<_>>>()?;
    let filter = filter.map(|filter| row(*filter)).transpose()?;
    if let Some(filter) = &filter {
        check_condition(filter, &columns.plain)?;
    }
    Ok(KeySet {
        keys,
        filter: filter.map(Box::new),
    })
}

fn check_condition(filter: &Expr, schema: &DFSchema) -> Result<()> {
    match filter.get_type(schema) {
        Ok(DataType::Boolean | DataType::Null) => Ok(()),
        Ok(other) => Err(Error::assertion(format!(
            "a filter needs a condition, but {} is {other}",
            column_text(filter)
        ))),
        Err(error) => Err(Error::assertion(plain_message(&error))),
    }
}

fn relation(
    call: AggregateFunction,
    datasets: &Datasets,
    simplify: &Simplify,
) -> Result<Primitive> {
    let usage = "unmatched(c, other.d) or unmatched(a, b, other.a, other.b)";
    let mut children = call.params.args;
    if !children.len().is_multiple_of(2) {
        return Err(Error::assertion(format!(
            "a reference needs as many columns of the other dataset as of this one: {usage}"
        )));
    }
    let parents = children.split_off(children.len() / 2);
    let of = |exprs: &[Expr]| {
        dataset_of(exprs.iter(), "unmatched", datasets)?
            .ok_or_else(|| Error::assertion(format!("a reference is between columns: {usage}")))
    };
    let (child, parent) = (of(&children)?, of(&parents)?);
    let child_columns = datasets.columns(child)?;
    let parent_columns = datasets.columns(parent)?;
    let keys = key_set(children, call.params.filter, child_columns, simplify)?;
    let parent_keys = key_set(parents, None, parent_columns, simplify)?.keys;
    for (key, parent_key) in keys.keys.iter().zip(&parent_keys) {
        let types = (
            key.get_type(child_columns.plain.as_ref()),
            parent_key.get_type(parent_columns.plain.as_ref()),
        );
        if let (Ok(left), Ok(right)) = types
            && comparison_coercion(&left, &right).is_none()
        {
            return Err(Error::assertion(format!(
                "{} is {left} and {} is {right}: they cannot be compared",
                column_text(key),
                column_text(parent_key)
            )));
        }
    }
    Ok(Primitive {
        dataset: child,
        kind: Kind::Relation(Relation {
            keys,
            parent,
            parent_keys,
        }),
        data_type: DataType::Int64,
    })
}

/// The one dataset whose columns the expressions use; `None` if they use no column.
fn dataset_of<'a>(
    exprs: impl Iterator<Item = &'a Expr>,
    name: &str,
    datasets: &Datasets,
) -> Result<Option<usize>> {
    let mut used = BTreeSet::new();
    for expr in exprs {
        // The closure never fails.
        let _ = expr.apply(|node| {
            if let Expr::Column(Column {
                relation: Some(TableReference::Bare { table }),
                ..
            }) = node
            {
                used.insert(Arc::clone(table));
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    match used.iter().collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [one] => Ok(datasets.find(one)),
        [one, other, ..] => Err(Error::assertion(format!(
            "`{name}` mixes columns of `{one}` and `{other}`; an aggregate is over one dataset"
        ))),
    }
}

fn unqualify(expr: Expr) -> datafusion::common::Result<Expr> {
    expr.transform_up(|node| match node {
        Expr::Column(column) if column.relation.is_some() => Ok(Transformed::yes(Expr::Column(
            Column::new_unqualified(column.name),
        ))),
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}
