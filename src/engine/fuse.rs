//! The fused scan: every aggregate of a dataset in one physical aggregation.
//!
//! It is built physically because planning many aggregates through the optimizer takes
//! more than linear time. What the optimizer would do beside is done here: unused columns
//! are not read, equal sub-expressions are computed once, the scan is spread over the cores.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::cse::{CSE, CSEController, FoundCommonNodes};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::{AggregateFunction, Case};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, collect};

use super::distinct_input::over_distinct_inputs;
use super::semantics::check_arithmetic;
use crate::metric::count_if::count_true_udaf;
use crate::metric::dense;

/// The columns, by index in the table, that `calls` read.
pub fn columns_read<'a>(
    calls: impl IntoIterator<Item = &'a AggregateFunction>,
    schema: &SchemaRef,
) -> Vec<usize> {
    let mut columns = BTreeSet::new();
    for call in calls {
        for expr in call.params.args.iter().chain(call.params.filter.as_deref()) {
            for column in expr.column_refs() {
                columns.extend(schema.index_of(&column.name).ok());
            }
        }
    }
    columns.into_iter().collect()
}

/// Which row groups of each file are read, by the file's path; all files if `None`.
pub type Selection<'a> = Option<&'a HashMap<String, Vec<bool>>>;

/// A scan of some columns, spread over the cores.
pub async fn scan(
    state: &SessionState,
    provider: &Arc<dyn TableProvider>,
    columns: &Vec<usize>,
    selection: Selection<'_>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut plan = provider.scan(state, Some(columns), &[], None).await?;
    if let Some(selection) = selection {
        plan = restrict(plan, selection)?;
    }
    let cores = state.config().target_partitions();
    if plan.output_partitioning().partition_count() >= cores {
        return Ok(plan);
    }
    let spread = plan.repartitioned(cores, state.config_options())?;
    if let Some(spread) = spread {
        return Ok(spread);
    }
    // Files decide themselves whether splitting them pays.
    if plan.is::<DataSourceExec>() || cores == 1 {
        return Ok(plan);
    }
    let spread = RepartitionExec::try_new(plan, Partitioning::RoundRobinBatch(cores))?;
    Ok(Arc::new(spread))
}

/// Leaves out the row groups that are not selected, and files without any.
fn restrict(
    plan: Arc<dyn ExecutionPlan>,
    selection: &HashMap<String, Vec<bool>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(exec) = plan.downcast_ref::<DataSourceExec>() else {
        return internal_err!("row groups can only be left out of files");
    };
    let Some(config) = exec.data_source().downcast_ref::<FileScanConfig>() else {
        return internal_err!("row groups can only be left out of files");
    };
    let mut config = config.clone();
    for group in &mut config.file_groups {
        let files = group.files().to_vec();
        let kept = files.into_iter().filter_map(|file| {
            let Some(groups) = selection.get(file.object_meta.location.as_ref()) else {
                return Some(file);
            };
            if !groups.contains(&true) {
                return None;
            }
            let mut access = ParquetAccessPlan::new_none(groups.len());
            for (index, _) in groups.iter().enumerate().filter(|(_, read)| **read) {
                access.scan(index);
            }
            Some(file.with_extension(access))
        });
        *group = kept.collect::<Vec<_>>().into();
    }
    config.file_groups.retain(|group| !group.is_empty());
    Ok(DataSourceExec::from_data_source(config))
}

/// Aggregates over a scan, ready to be run in two steps.
pub struct Aggregation {
    calls: Vec<Arc<AggregateFunctionExpr>>,
    partial: Arc<AggregateExec>,
}

impl Aggregation {
    /// Plans `calls`, whose columns are those of `scan`, over it.
    pub fn plan(scan: Arc<dyn ExecutionPlan>, calls: &[AggregateFunction]) -> Result<Self> {
        let calls: Vec<AggregateFunction> = calls.iter().cloned().map(fold_filter).collect();
        let (input, calls) = compute_common(scan, &calls)?;
        let schema = input.schema();
        let columns = DFSchema::try_from(Arc::clone(&schema))?;
        let mut aggregates = Vec::with_capacity(calls.len());
        let mut filters = Vec::with_capacity(calls.len());
        for (index, call) in calls.into_iter().enumerate() {
            let args = call
                .params
                .args
                .iter()
                .map(|arg| physical(arg, &columns))
                .collect::<Result<Vec<_>>>()?;
            let aggregate = AggregateExprBuilder::new(call.func, args)
                .schema(Arc::clone(&schema))
                .alias(format!("a{index}"))
                .build()?;
            aggregates.push(Arc::new(aggregate));
            let filter = call.params.filter.as_deref();
            filters.push(
                filter
                    .map(|filter| physical(filter, &columns))
                    .transpose()?,
            );
        }
        // An aggregation takes one batch after the other without a pause; only a pause lets
        // an interrupted run end.
        let input = Arc::new(CooperativeExec::new(input));
        let partial = AggregateExec::try_new(
            AggregateMode::Partial,
            PhysicalGroupBy::default(),
            aggregates.clone(),
            filters,
            input,
            schema,
        )?;
        Ok(Self {
            calls: aggregates,
            partial: Arc::new(partial),
        })
    }

    /// The plan that makes the partial states.
    pub fn partial(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.partial) as _
    }

    /// The first `count` aggregates alone, to be finished from the states of several scans.
    pub fn first(&self, count: usize) -> Result<Finish> {
        Finish::new(&self.calls[..count], &self.partial, 0)
    }

    /// The aggregates from `start` on, to be finished.
    pub fn rest(&self, start: usize) -> Result<Finish> {
        let before = self.calls[..start]
            .iter()
            .map(|call| Ok(call.state_fields()?.len()))
            .sum::<Result<usize>>()?;
        Finish::new(&self.calls[start..], &self.partial, before)
    }
}

/// Turns partial states into values.
pub struct Finish {
    calls: Vec<Arc<AggregateFunctionExpr>>,
    input_schema: SchemaRef,
    state_columns: Vec<usize>,
    state_schema: SchemaRef,
}

impl Finish {
    fn new(
        calls: &[Arc<AggregateFunctionExpr>],
        partial: &AggregateExec,
        first_column: usize,
    ) -> Result<Self> {
        let width = calls
            .iter()
            .map(|call| Ok(call.state_fields()?.len()))
            .sum::<Result<usize>>()?;
        let state_columns: Vec<usize> = (first_column..first_column + width).collect();
        let state_schema = partial.schema().project(&state_columns)?;
        Ok(Self {
            calls: calls.to_vec(),
            input_schema: partial.input_schema(),
            state_columns,
            state_schema: Arc::new(state_schema),
        })
    }

    /// The values of the aggregates over everything the states were made from.
    pub async fn values(
        &self,
        states: &[&[RecordBatch]],
        context: Arc<TaskContext>,
    ) -> Result<Vec<ScalarValue>> {
        if self.calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for batch in states.iter().flat_map(|part| part.iter()) {
            let row = batch.project(&self.state_columns)?;
            rows.push(RecordBatch::try_new(
                Arc::clone(&self.state_schema),
                row.columns().to_vec(),
            )?);
        }
        let input =
            MemorySourceConfig::try_new_exec(&[rows], Arc::clone(&self.state_schema), None)?;
        let merged = AggregateExec::try_new(
            AggregateMode::Final,
            PhysicalGroupBy::default(),
            self.calls.clone(),
            vec![None; self.calls.len()],
            input,
            Arc::clone(&self.input_schema),
        )?;
        let values = collect(Arc::new(merged), context).await?;
        let Some(row) = values.iter().find(|batch| batch.num_rows() > 0) else {
            return internal_err!("an aggregation without groups has one row");
        };
        row.columns()
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }
}

fn physical(expr: &Expr, columns: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = create_physical_expr(
        expr,
        columns,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    over_distinct_inputs(check_arithmetic(expr)?, columns.as_arrow())
}

/// Aggregates that leave out rows where their first argument is NULL.
const LEAVE_OUT_NULLS: &[&str] = &[
    "__count_false",
    "__count_true",
    "__moments",
    "__moments2",
    "__quantile",
    "approx_distinct",
    "approx_percentile_cont",
    "avg",
    "corr",
    "count",
    "max",
    "min",
    "sum",
];

/// Moves the filter into the argument, where that is the same.
///
/// An aggregation filters all columns of a batch for each filtered aggregate, also those
/// that only others need; many filters together would take quadratic time.
fn fold_filter(mut call: AggregateFunction) -> AggregateFunction {
    let name = call.func.name();
    let keys = name == dense::NAME;
    if !keys && !LEAVE_OUT_NULLS.contains(&name) {
        return call;
    }
    let Some(filter) = call.params.filter.take() else {
        return call;
    };
    if let ("count", [Expr::Literal(value, _)]) = (name, call.params.args.as_slice())
        && !value.is_null()
    {
        call.func = count_true_udaf();
        call.params.args = vec![*filter];
        return call;
    }
    let folded = if keys { call.params.args.len() } else { 1 };
    for arg in call.params.args.iter_mut().take(folded) {
        let value = std::mem::replace(arg, Expr::Literal(ScalarValue::Null, None));
        let branches = vec![(filter.clone(), Box::new(value))];
        *arg = Expr::Case(Case::new(None, branches, None));
    }
    call
}

/// Computes sub-expressions that several calls share in a projection below them.
fn compute_common(
    scan: Arc<dyn ExecutionPlan>,
    calls: &[AggregateFunction],
) -> Result<(Arc<dyn ExecutionPlan>, Vec<AggregateFunction>)> {
    let exprs: Vec<Vec<Expr>> = calls
        .iter()
        .map(|call| {
            let parts = call.params.args.iter().chain(call.params.filter.as_deref());
            parts.cloned().collect()
        })
        .collect();
    let found = CSE::new(Shared::default()).extract_common_nodes(exprs)?;
    let FoundCommonNodes::Yes {
        common_nodes,
        new_nodes_list,
        ..
    } = found
    else {
        return Ok((scan, calls.to_vec()));
    };
    let columns = DFSchema::try_from(scan.schema())?;
    let mut needed = BTreeSet::new();
    for expr in new_nodes_list.iter().flatten() {
        for column in expr.column_refs() {
            needed.extend(columns.as_arrow().index_of(&column.name).ok());
        }
    }
    let mut projection: Vec<(Arc<dyn PhysicalExpr>, String)> = needed
        .into_iter()
        .map(|index| {
            let name = columns.field(index).name().clone();
            let column: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new(&name, index));
            (column, name)
        })
        .collect();
    for (expr, name) in common_nodes {
        projection.push((physical(&expr, &columns)?, name));
    }
    let input = ProjectionExec::try_new(projection, scan)?;
    let calls = calls
        .iter()
        .zip(new_nodes_list)
        .map(|(call, mut exprs)| {
            let mut call = call.clone();
            if call.params.filter.is_some() {
                call.params.filter = exprs.pop().map(Box::new);
            }
            call.params.args = exprs;
            call
        })
        .collect();
    Ok((Arc::new(input), calls))
}

/// Which expressions may be shared: the same rules as DataFusion's optimizer has.
#[derive(Default)]
struct Shared {
    names: std::cell::Cell<usize>,
}

impl CSEController for Shared {
    type Node = Expr;

    fn conditional_children(node: &Expr) -> Option<(Vec<&Expr>, Vec<&Expr>)> {
        match node {
            Expr::ScalarFunction(call) => call.func.conditional_arguments(&call.args),
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And | Operator::Or,
                right,
            }) => Some((vec![left], vec![right])),
            Expr::Case(Case {
                expr,
                when_then_expr,
                else_expr,
            }) => {
                let mut branches = when_then_expr.iter();
                let first = branches.next();
                let certain = expr.as_deref().into_iter();
                let certain = certain.chain(first.map(|(when, _)| when.as_ref()));
                let perhaps = first.map(|(_, then)| then.as_ref()).into_iter();
                let perhaps = perhaps
                    .chain(branches.flat_map(|(when, then)| [when.as_ref(), then.as_ref()]))
                    .chain(else_expr.as_deref());
                Some((certain.collect(), perhaps.collect()))
            }
            _ => None,
        }
    }

    fn is_valid(node: &Expr) -> bool {
        !node.is_volatile_node()
    }

    fn is_ignored(&self, node: &Expr) -> bool {
        matches!(node, Expr::Column(_) | Expr::Literal(..) | Expr::Alias(_))
    }

    fn generate_alias(&self) -> String {
        let next = self.names.get() + 1;
        self.names.set(next);
        // No column of a table can be called that: it holds a control character.
        format!("\u{1}{next}")
    }

    fn rewrite(&mut self, _: &Expr, alias: &str) -> Expr {
        Expr::Column(Column::new_unqualified(alias))
    }
}
