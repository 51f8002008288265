//! Runs an aggregate function by hand: whole, and in parts whose states are merged.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};

/// An aggregate call under test.
pub(super) struct Aggregate {
    function: Arc<AggregateUDF>,
    distinct: bool,
    literal: Option<ScalarValue>,
}

impl Aggregate {
    pub(super) fn new(function: Arc<AggregateUDF>) -> Self {
        Self {
            function,
            distinct: false,
            literal: None,
        }
    }

    pub(super) fn distinct(mut self) -> Self {
        self.distinct = true;
        self
    }

    /// Passes `literal` as a last argument.
    pub(super) fn with_literal(mut self, literal: ScalarValue) -> Self {
        self.literal = Some(literal);
        self
    }

    /// The value over `columns`.
    pub(super) fn value(&self, columns: &[ArrayRef]) -> Result<ScalarValue> {
        let (columns, mut accumulator) = self.accumulator(columns)?;
        accumulator.update_batch(&columns)?;
        accumulator.evaluate()
    }

    /// The value over `parts`, each aggregated on its own. All states arrive as one batch.
    pub(super) fn merged(&self, parts: &[Vec<ArrayRef>]) -> Result<ScalarValue> {
        let mut states: Vec<Vec<ArrayRef>> = Vec::new();
        for part in parts {
            let (columns, mut accumulator) = self.accumulator(part)?;
            accumulator.update_batch(&columns)?;
            assert!(accumulator.size() > 0);
            let fields = self.state_fields(&columns)?;
            let state = accumulator.state()?;
            assert_eq!(state.len(), fields.len());
            states.resize(state.len(), Vec::new());
            for ((value, field), column) in state.iter().zip(&fields).zip(&mut states) {
                assert_eq!(
                    &value.data_type(),
                    field.data_type(),
                    "state {}",
                    field.name()
                );
                column.push(value.to_array()?);
            }
        }
        let states = states
            .iter()
            .map(|column| concat(&column.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let (_, mut accumulator) = self.accumulator(&parts[0])?;
        accumulator.merge_batch(&states)?;
        accumulator.evaluate()
    }

    fn types(&self, columns: &[ArrayRef]) -> Result<Vec<DataType>> {
        let mut types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
        types.extend(self.literal.as_ref().map(ScalarValue::data_type));
        match self.function.coerce_types(&types) {
            Err(error) if error.to_string().contains("does not implement") => Ok(types),
            coerced => coerced,
        }
    }

    fn state_fields(&self, columns: &[ArrayRef]) -> Result<Vec<FieldRef>> {
        let inputs: Vec<FieldRef> = columns.iter().map(|c| field(c.data_type())).collect();
        let types = self.types(columns)?;
        self.function.state_fields(StateFieldsArgs {
            name: "x",
            input_fields: &inputs,
            return_field: field(&self.function.return_type(&types)?),
            ordering_fields: &[],
            is_distinct: self.distinct,
        })
    }

    fn accumulator(&self, columns: &[ArrayRef]) -> Result<(Vec<ArrayRef>, Box<dyn Accumulator>)> {
        let types = self.types(columns)?;
        let columns = columns
            .iter()
            .zip(&types)
            .map(|(column, data_type)| cast(column, data_type))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let mut exprs: Vec<Arc<dyn PhysicalExpr>> = (0..columns.len())
            .map(|index| Arc::new(Column::new("x", index)) as _)
            .collect();
        if let Some(literal) = &self.literal {
            exprs.push(Arc::new(Literal::new(literal.clone())));
        }
        let accumulator = self.function.accumulator(AccumulatorArgs {
            return_field: field(&self.function.return_type(&types)?),
            schema: &Schema::new(fields.clone()),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "x",
            is_distinct: self.distinct,
            exprs: &exprs,
            expr_fields: &fields,
        })?;
        Ok((columns, accumulator))
    }
}

fn field(data_type: &DataType) -> FieldRef {
    Arc::new(Field::new("x", data_type.clone(), true))
}

/// `columns` cut into row ranges at `cuts`, which may lie in any order and beyond the end.
pub(super) fn split(columns: &[ArrayRef], cuts: &[usize]) -> Vec<Vec<ArrayRef>> {
    let rows = columns[0].len();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(rows)).collect();
    cuts.extend([0, rows]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| {
            let slice = |column: &ArrayRef| column.slice(pair[0], pair[1] - pair[0]);
            columns.iter().map(slice).collect()
        })
        .collect()
}
