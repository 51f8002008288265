//! Queries beside the fused scan: counts of equal keys, joins, and aggregates that need a
//! query of their own. They go through DataFusion's optimizer, and spill.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{JoinType, Result, ScalarValue, internal_err};
use datafusion::dataframe::DataFrame;
use datafusion::functions::expr_fn as scalar;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, SortExpr, ident, lit};
use datafusion::prelude::SessionContext;

use super::primitive::{Frequency, KeySet, Relation};
use super::progress::Progress;
use crate::source::checked::checked;

/// Columns of the numbers that [`frequencies`] returns.
const GROUPS: &str = "groups";
const ONCE: &str = "once";
const ENTROPY: &str = "entropy";

/// Counts the distinct keys of a set, and what else is `asked` of their counts.
///
/// The result has one row: the answers in the order of `asked`.
pub fn frequencies(
    session: &SessionContext,
    table: &Arc<dyn TableProvider>,
    set: &KeySet,
    asked: &[Frequency],
) -> Result<DataFrame> {
    let rows = rows_of(session, table, set.filter.as_deref())?;
    let keys = checked_all(&set.keys, &rows)?;
    let any = keys
        .iter()
        .map(|key| key.clone().is_not_null())
        .reduce(Expr::or);
    let Some(any) = any else {
        return internal_err!("a key set has at least one key");
    };
    let keys: Vec<Expr> = named_keys(&keys);
    let rows = rows.filter(any)?;
    if asked == [Frequency::Distinct] {
        let distinct = rows.select(keys)?.distinct()?;
        return distinct.aggregate(vec![], vec![count(lit(1_i64)).alias(GROUPS)]);
    }
    let size = "\u{1}size";
    let groups = rows.aggregate(keys, vec![count(lit(1_i64)).alias(size)])?;
    let size = ident(size);
    let mut answers = vec![count(lit(1_i64)).alias(GROUPS)];
    if asked.contains(&Frequency::Once) {
        let once = datafusion::logical_expr::when(size.clone().eq(lit(1_i64)), lit(1_i64)).end()?;
        answers.push(count(once).alias(ONCE));
    }
    if asked.contains(&Frequency::Entropy) {
        // With n rows in groups of c: -sum(c/n ln(c/n)) = ln n - sum(c ln c) / n.
        let c =
            datafusion::logical_expr::cast(size, datafusion::arrow::datatypes::DataType::Float64);
        answers.push(sum(c.clone() * scalar::ln(c.clone())).alias("\u{1}weighted"));
        answers.push(sum(c).alias("\u{1}rows"));
    }
    let answers = groups.aggregate(vec![], answers)?;
    let columns: Vec<Expr> = asked
        .iter()
        .map(|asked| match asked {
            Frequency::Distinct => ident(GROUPS),
            Frequency::Once => ident(ONCE),
            Frequency::Entropy => {
                let n = ident("\u{1}rows");
                (scalar::ln(n.clone()) - ident("\u{1}weighted") / n).alias(ENTROPY)
            }
        })
        .collect();
    answers.select(columns)
}

/// Counts the rows whose keys are all present and have no equal among the parents.
pub fn unmatched(
    session: &SessionContext,
    table: &Arc<dyn TableProvider>,
    parents: &Arc<dyn TableProvider>,
    relation: &Relation,
) -> Result<DataFrame> {
    let all = |keys: &[Expr]| {
        keys.iter()
            .map(|key| key.clone().is_not_null())
            .reduce(Expr::and)
            .unwrap_or_else(|| lit(true))
    };
    let set = &relation.keys;
    const CHILD: &str = "\u{1}child";
    const PARENT: &str = "\u{1}parent";
    let name = |side: &str, n: usize| format!("{side}{n}");
    let select = |keys: &[Expr], side: &str| -> Vec<Expr> {
        keys.iter()
            .enumerate()
            .map(|(n, key)| key.clone().alias(name(side, n)))
            .collect()
    };
    let children = rows_of(session, table, set.filter.as_deref())?;
    let keys = checked_all(&set.keys, &children)?;
    let children = children.filter(all(&keys))?.select(select(&keys, CHILD))?;
    let parents = rows_of(session, parents, None)?;
    let keys = checked_all(&relation.parent_keys, &parents)?;
    let parents = parents.filter(all(&keys))?.select(select(&keys, PARENT))?;
    let equal = (0..set.keys.len()).map(|n| ident(name(CHILD, n)).eq(ident(name(PARENT, n))));
    // Building on the parents instead was measured on nycflights: no gain.
    children
        .join_on(parents, JoinType::LeftAnti, equal)?
        .aggregate(vec![], vec![count(lit(1_i64))])
}

/// One aggregate as a query of its own.
pub fn alone(
    session: &SessionContext,
    table: &Arc<dyn TableProvider>,
    call: &AggregateFunction,
) -> Result<DataFrame> {
    let mut call = call.clone();
    let rows = rows_of(session, table, call.params.filter.take().as_deref())?;
    call.params.args = checked_all(&call.params.args, &rows)?;
    let order_by = std::mem::take(&mut call.params.order_by);
    call.params.order_by = order_by
        .into_iter()
        .map(|sort| {
            let by = checked(sort.expr, rows.schema())?;
            Ok(SortExpr::new(by, sort.asc, sort.nulls_first))
        })
        .collect::<Result<_>>()?;
    rows.aggregate(vec![], vec![Expr::AggregateFunction(call)])
}

/// The only row of a query's result, and the bytes it read.
pub async fn single_row(
    query: DataFrame,
    dataset: &str,
    progress: &Progress,
) -> Result<(Vec<ScalarValue>, u64)> {
    let context = Arc::new(query.task_ctx());
    let plan = query.create_physical_plan().await?;
    let watched = progress.watch(dataset, Arc::clone(&plan));
    let batches = datafusion::physical_plan::collect(Arc::clone(&plan), context).await?;
    drop(watched);
    let bytes = super::execute::bytes_scanned(plan.as_ref());
    let Some(row) = batches.iter().find(|batch| batch.num_rows() > 0) else {
        return internal_err!("an aggregation without groups has one row");
    };
    let values = row
        .columns()
        .iter()
        .map(|column| ScalarValue::try_from_array(column, 0))
        .collect::<Result<Vec<_>>>()?;
    Ok((values, bytes))
}

fn rows_of(
    session: &SessionContext,
    table: &Arc<dyn TableProvider>,
    filter: Option<&Expr>,
) -> Result<DataFrame> {
    let rows = session.read_table(Arc::clone(table))?;
    match filter {
        Some(filter) => {
            let filter = checked(filter.clone(), rows.schema())?;
            rows.filter(filter)
        }
        None => Ok(rows),
    }
}

fn checked_all(exprs: &[Expr], rows: &DataFrame) -> Result<Vec<Expr>> {
    exprs
        .iter()
        .map(|expr| checked(expr.clone(), rows.schema()))
        .collect()
}

fn named_keys(keys: &[Expr]) -> Vec<Expr> {
    keys.iter()
        .enumerate()
        .map(|(n, key)| key.clone().alias(format!("\u{1}key{n}")))
        .collect()
}
