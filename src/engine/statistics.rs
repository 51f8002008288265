//! What the footers of Parquet files prove without reading a row.
//!
//! Exact statistics answer `count`, `min` and `max`. A condition on rows is proved for
//! every row group whose extremes leave no room for a violation.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Accumulator, Expr, Operator};
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::dataset::Columns;
use super::simplify::Simplifier;
use super::value;

/// Statistics of all row groups of a dataset, file after file.
pub struct RowGroups {
    metadata: Vec<Arc<ParquetMetaData>>,
    schema: SchemaRef,
    file_schemas: Vec<Option<Schema>>,
    row_counts: UInt64Array,
    columns: RefCell<HashMap<String, Option<Arc<ColumnStatistics>>>>,
}

struct ColumnStatistics {
    min: ArrayRef,
    max: ArrayRef,
    min_exact: BooleanArray,
    max_exact: BooleanArray,
    null_counts: UInt64Array,
}

impl RowGroups {
    /// The row groups of the files with these footers, in the types of the table's `schema`.
    pub fn new(metadata: Vec<Arc<ParquetMetaData>>, schema: SchemaRef) -> Self {
        let file_schemas = metadata
            .iter()
            .map(|file| {
                let file = file.file_metadata();
                parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()
            })
            .collect();
        let row_counts = metadata
            .iter()
            .flat_map(|file| file.row_groups())
            .map(|group| u64::try_from(group.num_rows()).unwrap_or_default())
            .collect();
        Self {
            metadata,
            schema,
            file_schemas,
            row_counts,
            columns: RefCell::default(),
        }
    }

    /// Number of row groups.
    pub fn len(&self) -> usize {
        self.row_counts.len()
    }

    /// Rows of all row groups.
    pub fn rows(&self) -> u64 {
        self.row_counts.values().iter().sum()
    }

    /// The value of an unfiltered `count`, `min` or `max`, if the footers know it exactly.
    pub fn answer(&self, call: &AggregateFunction) -> Option<ScalarValue> {
        let params = &call.params;
        if params.filter.is_some() || params.distinct || !params.order_by.is_empty() {
            return None;
        }
        let [arg] = params.args.as_slice() else {
            return None;
        };
        match (call.func.name(), arg) {
            ("count", Expr::Literal(value, _)) if !value.is_null() => {
                Some(ScalarValue::from(self.rows() as i64))
            }
            ("count", Expr::Column(column)) => {
                let nulls = self.null_count(&column.name)?;
                Some(ScalarValue::from((self.rows() - nulls) as i64))
            }
            ("min", Expr::Column(column)) => {
                let statistics = self.column(&column.name)?;
                self.extreme(
                    &statistics,
                    &statistics.min,
                    &statistics.min_exact,
                    Operator::Lt,
                )
            }
            ("max", Expr::Column(column)) => {
                let statistics = self.column(&column.name)?;
                self.extreme(
                    &statistics,
                    &statistics.max,
                    &statistics.max_exact,
                    Operator::Gt,
                )
            }
            // Rows where some column of a key has a value: all, if one has no NULL.
            ("__count_true", arg) => {
                let columns = not_null_columns(arg)?;
                columns
                    .iter()
                    .any(|column| self.null_count(column) == Some(0))
                    .then(|| ScalarValue::from(self.rows() as i64))
            }
            _ => None,
        }
    }

    /// For a count of rows that violate a condition: which row groups may hold some.
    /// `None` if the footers cannot tell.
    pub fn unproved(
        &self,
        call: &AggregateFunction,
        columns: &Columns,
        simplifier: &Simplifier,
    ) -> Option<Vec<bool>> {
        if call.func.name() != "__count_false" {
            return None;
        }
        let [condition] = call.params.args.as_slice() else {
            return None;
        };
        // Parquet's extremes leave NaNs out.
        let floats = |name: &str| {
            self.schema
                .field_with_name(name)
                .is_ok_and(|field| field.data_type().is_floating())
        };
        if condition
            .column_refs()
            .iter()
            .any(|column| floats(&column.name))
        {
            return None;
        }
        let violated = Expr::Not(Box::new(condition.clone()));
        let violated = simplifier.simplify(violated).ok()?;
        if let Expr::Literal(ScalarValue::Boolean(Some(false)), _) = violated {
            return Some(vec![false; self.len()]);
        }
        let violated = create_physical_expr(
            &violated,
            &columns.plain,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )
        .ok()?;
        let pruning = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(violated)
            .ok()?;
        if pruning.always_true() {
            return None;
        }
        pruning.prune(self).ok()
    }

    /// Smallest and greatest value of a column as raw integers, if the footers know them
    /// exactly and the column is stored as integers.
    pub fn range(&self, column: &str) -> Option<(i128, i128)> {
        let statistics = self.column(column)?;
        let min = self.extreme(
            &statistics,
            &statistics.min,
            &statistics.min_exact,
            Operator::Lt,
        )?;
        let max = self.extreme(
            &statistics,
            &statistics.max,
            &statistics.max_exact,
            Operator::Gt,
        )?;
        Some((raw_integer(&min)?, raw_integer(&max)?))
    }

    fn null_count(&self, column: &str) -> Option<u64> {
        let statistics = self.column(column)?;
        if statistics.null_counts.null_count() > 0 {
            return None;
        }
        Some(statistics.null_counts.values().iter().sum())
    }

    fn extreme(
        &self,
        statistics: &ColumnStatistics,
        values: &ArrayRef,
        exact: &BooleanArray,
        order: Operator,
    ) -> Option<ScalarValue> {
        let data_type = values.data_type();
        if data_type.is_floating()
            || data_type.is_nested()
            || statistics.null_counts.null_count() > 0
        {
            return None;
        }
        for group in 0..self.len() {
            let all_null = statistics.null_counts.value(group) == self.row_counts.value(group);
            let known = values.is_valid(group) && exact.is_valid(group) && exact.value(group);
            if !all_null && !known {
                return None;
            }
        }
        let extreme = if order == Operator::Lt {
            let mut least = MinAccumulator::try_new(data_type).ok()?;
            least.update_batch(&[Arc::clone(values)]).ok()?;
            least.evaluate().ok()?
        } else {
            let mut greatest = MaxAccumulator::try_new(data_type).ok()?;
            greatest.update_batch(&[Arc::clone(values)]).ok()?;
            greatest.evaluate().ok()?
        };
        Some(extreme)
    }

    fn column(&self, name: &str) -> Option<Arc<ColumnStatistics>> {
        if let Some(known) = self.columns.borrow().get(name) {
            return known.clone();
        }
        let statistics = self.read_column(name).map(Arc::new);
        self.columns
            .borrow_mut()
            .insert(name.to_owned(), statistics.clone());
        statistics
    }

    fn read_column(&self, name: &str) -> Option<ColumnStatistics> {
        let field = self.schema.field_with_name(name).ok()?;
        let mut parts: [Vec<ArrayRef>; 5] = Default::default();
        for (file, file_schema) in self.metadata.iter().zip(&self.file_schemas) {
            let file_field = file_schema.as_ref()?.field_with_name(name).ok()?;
            if !same_type(file_field.data_type(), field.data_type()) {
                return None;
            }
            let groups = file.row_groups();
            let index = groups.first().and_then(|group| {
                group
                    .columns()
                    .iter()
                    .position(|c| is_root(c.column_path().parts(), name))
            });
            // Extremes written before the format defined their order are not to be trusted.
            let deprecated = index.is_some_and(|index| {
                groups.iter().any(|group| {
                    group.column(index).statistics().is_some_and(|s| {
                        s.is_min_max_deprecated() && !s.is_min_max_backwards_compatible()
                    })
                })
            });
            if deprecated {
                return None;
            }
            let converter = StatisticsConverter::try_new(
                name,
                &self.schema,
                file.file_metadata().schema_descr(),
            )
            .ok()?
            .with_missing_null_counts_as_zero(false);
            parts[0].push(converter.row_group_mins(groups).ok()?);
            parts[1].push(converter.row_group_maxes(groups).ok()?);
            parts[2].push(Arc::new(
                converter.row_group_is_min_value_exact(groups).ok()?,
            ));
            parts[3].push(Arc::new(
                converter.row_group_is_max_value_exact(groups).ok()?,
            ));
            parts[4].push(Arc::new(converter.row_group_null_counts(groups).ok()?));
        }
        let joined = |part: &[ArrayRef]| {
            let part: Vec<&dyn Array> = part.iter().map(AsRef::as_ref).collect();
            concat(&part).ok()
        };
        let flags = |part: &[ArrayRef]| {
            joined(part)?
                .as_any()
                .downcast_ref::<BooleanArray>()
                .cloned()
        };
        Some(ColumnStatistics {
            min: joined(&parts[0])?,
            max: joined(&parts[1])?,
            min_exact: flags(&parts[2])?,
            max_exact: flags(&parts[3])?,
            null_counts: joined(&parts[4])?
                .as_any()
                .downcast_ref::<UInt64Array>()
                .cloned()?,
        })
    }
}

impl PruningStatistics for RowGroups {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::clone(&self.column(&column.name)?.min))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::clone(&self.column(&column.name)?.max))
    }

    fn num_containers(&self) -> usize {
        self.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.column(&column.name)?.null_counts.clone()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.row_counts.clone()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The columns of `a is not null or b is not null or ..`.
fn not_null_columns(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::IsNotNull(inner) => match inner.as_ref() {
            Expr::Column(column) => Some(vec![column.name.clone()]),
            _ => None,
        },
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            let mut columns = not_null_columns(&binary.left)?;
            columns.extend(not_null_columns(&binary.right)?);
            Some(columns)
        }
        _ => None,
    }
}

fn is_root(path: &[String], name: &str) -> bool {
    matches!(path, [root] if root == name)
}

/// Types that read the same statistics.
fn same_type(file: &DataType, table: &DataType) -> bool {
    file == table
        || (file.is_string() && table.is_string())
        || (file.is_binary() && table.is_binary())
}

fn raw_integer(scalar: &ScalarValue) -> Option<i128> {
    match scalar {
        ScalarValue::Date32(value) => value.map(i128::from),
        ScalarValue::Date64(value)
        | ScalarValue::TimestampSecond(value, _)
        | ScalarValue::TimestampMillisecond(value, _)
        | ScalarValue::TimestampMicrosecond(value, _)
        | ScalarValue::TimestampNanosecond(value, _) => value.map(i128::from),
        ScalarValue::Decimal128(value, precision, _) if *precision <= 18 => *value,
        ScalarValue::Decimal128(..) => None,
        other => value::integer(other),
    }
}
