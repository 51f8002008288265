//! Metric calls checked and expanded.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};

use super::dataset::Columns;
use super::names::Datasets;
use super::value;
use crate::error::{Error, Result};
use crate::metric::expand::{Scope, expand};
use crate::metric::{catalogue, plain_message, predicates};

/// A metric call over primitives, and how inexact it is. `dataset` is the dataset of a call
/// without columns; a call that names another one changes it.
pub fn expand_call(
    mut call: AggregateFunction,
    datasets: &Datasets,
    dataset: &mut usize,
    now: DateTime<Utc>,
) -> Result<(Expr, Option<&'static str>)> {
    let name = call.func.name().to_owned();
    let default = *dataset;
    if matches!(name.as_str(), "has_column" | "column_type" | "column_count") {
        return from_schema(&name, &call, datasets.columns(*dataset)?)
            .map(|value| (lit(value), None));
    }
    if name == "row_count"
        && let [Expr::Literal(value, _)] = call.params.args.as_slice()
    {
        let named = value.try_as_str().flatten().unwrap_or_default();
        *dataset = datasets
            .find(named)
            .ok_or_else(|| Error::assertion(format!("there is no dataset `{named}`")))?;
        call.params.args.clear();
    }
    if matches!(name.as_str(), "unmatched" | "referential_integrity") {
        call.params.args = call.params.args.into_iter().flat_map(untuple).collect();
    }
    patterns_are_valid(&call)?;
    let used = datasets_used(&call, datasets);
    let named = name == "row_count" && *dataset != default;
    if let Some(&home) = used.first() {
        if named && home != *dataset {
            let (rows, filter) = (&datasets.all[*dataset].0, &datasets.all[home].0);
            return Err(Error::assertion(format!(
                "`row_count` counts rows of `{rows}`, but its filter is about `{filter}`; qualify the columns, such as `{rows}.x`"
            )));
        }
        // Counts of all rows have no column that says whose rows they are.
        *dataset = home;
    }
    let home = datasets.columns(*dataset)?;
    let schema = joined(used, datasets)?;
    let scope = Scope {
        schema: &schema,
        timezone: home.timezone.as_deref(),
        now,
    };
    let expansion = expand(&call, &scope)?;
    Ok((expansion.value, expansion.precision))
}

/// The datasets whose columns a call names, in the order of their first appearance.
fn datasets_used(call: &AggregateFunction, datasets: &Datasets) -> Vec<usize> {
    let mut used = Vec::new();
    for expr in call.params.args.iter().chain(call.params.filter.as_deref()) {
        // The closure never fails.
        let _ = expr.apply(|node| {
            if let Expr::Column(column) = node
                && let Some(relation) = &column.relation
                && let Some(dataset) = datasets.find(relation.table())
                && !used.contains(&dataset)
            {
                used.push(dataset);
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    used
}

/// The columns of several datasets; of none if there are none.
pub fn joined<'d>(
    used: impl IntoIterator<Item = usize>,
    datasets: &'d Datasets,
) -> Result<Cow<'d, DFSchema>> {
    let mut schema: Option<Cow<DFSchema>> = None;
    for dataset in used {
        let columns = &datasets.columns(dataset)?.qualified;
        schema = Some(match schema {
            None => Cow::Borrowed(columns),
            Some(schema) => Cow::Owned(
                schema
                    .join(columns)
                    .map_err(|error| Error::assertion(plain_message(&error)))?,
            ),
        });
    }
    Ok(schema.unwrap_or_else(|| Cow::Owned(DFSchema::empty())))
}

/// The members of a tuple `(a, b)`; anything else stays one.
fn untuple(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::ScalarFunction(call) if matches!(call.name(), "struct" | "row") => call.args,
        Expr::ScalarFunction(call) if call.name() == "named_struct" => {
            call.args.into_iter().skip(1).step_by(2).collect()
        }
        other => vec![other],
    }
}

fn from_schema(name: &str, call: &AggregateFunction, columns: &Columns) -> Result<ScalarValue> {
    let metric = catalogue::find(name).expect("the caller names a metric");
    let misused = || Error::assertion(format!("`{name}` is called as {}", metric.usage));
    if name == "column_count" {
        if !call.params.args.is_empty() {
            return Err(misused());
        }
        return Ok(ScalarValue::from(columns.schema.fields().len() as i64));
    }
    let [Expr::Literal(value, _)] = call.params.args.as_slice() else {
        return Err(misused());
    };
    let column = value.try_as_str().flatten().ok_or_else(misused)?;
    let found = columns.schema.field_with_name(column);
    if name == "has_column" {
        return Ok(ScalarValue::from(found.is_ok()));
    }
    match found {
        Ok(field) => Ok(ScalarValue::from(value::type_name(field.data_type()))),
        Err(_) => Err(Error::assertion(
            columns
                .resolve(column)
                .err()
                .unwrap_or_else(|| format!("`{}` has no column `{column}`", columns.dataset)),
        )),
    }
}

/// Checks the regular expressions and date formats that an expression holds.
fn patterns_are_valid(call: &AggregateFunction) -> Result<()> {
    let mut failure = None;
    for expr in call.params.args.iter().chain(call.params.filter.as_deref()) {
        // The closure never fails.
        let _ = expr.apply(|node| {
            let checked = match node {
                Expr::ScalarFunction(function) => match (function.name(), function.args.get(1)) {
                    ("is_date", Some(Expr::Literal(format, _))) => format
                        .try_as_str()
                        .flatten()
                        .map_or(Ok(()), predicates::check_date_format),
                    (name, Some(Expr::Literal(pattern, _)))
                        if name == "matches" || name.starts_with("regexp_") =>
                    {
                        valid_regex(pattern)
                    }
                    _ => Ok(()),
                },
                Expr::BinaryExpr(BinaryExpr {
                    op:
                        Operator::RegexMatch
                        | Operator::RegexIMatch
                        | Operator::RegexNotMatch
                        | Operator::RegexNotIMatch,
                    right,
                    ..
                }) => match right.as_ref() {
                    Expr::Literal(pattern, _) => valid_regex(pattern),
                    _ => Ok(()),
                },
                _ => Ok(()),
            };
            if let Err(message) = checked {
                failure.get_or_insert(Error::assertion(message));
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    failure.map_or(Ok(()), Err)
}

fn valid_regex(pattern: &ScalarValue) -> Result<(), String> {
    let pattern = pattern.try_as_str().flatten();
    pattern.map_or(Ok(()), predicates::check_regex)
}
