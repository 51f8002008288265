//! Expressions over values already computed: symbols over primitives, assertions over
//! symbols. DataFusion evaluates them on a table of one row.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatchOptions;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DFSchema, HashMap, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use super::semantics;
use super::simplify::Simplify;
use crate::error::{Error, Result};
use crate::metric::plain_message;

/// An expression over values that are known by their index.
#[derive(Debug, Clone)]
pub struct Computed {
    /// Which values it needs; its columns are these, in this order.
    pub inputs: Vec<usize>,
    /// The type of the result.
    pub data_type: DataType,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    /// The one input itself.
    Identity,
    /// A value known while planning.
    Constant(ScalarValue),
    Expression {
        expr: Arc<dyn PhysicalExpr>,
        schema: SchemaRef,
    },
}

/// Name and type of a value and its index.
pub type Input = (String, DataType, usize);

/// Expressions planned before. Thousands of assertions have few forms: a share of two
/// counts, a mean, a count that must be 0.
#[derive(Debug, Default)]
pub struct KnownForms(RefCell<HashMap<(Expr, Vec<DataType>), Computed>>);

impl Computed {
    /// Plans `expr`, whose columns are the names of `inputs`.
    ///
    /// The names are by position, so that equal expressions over equal types are `known`.
    pub fn plan(
        expr: Expr,
        inputs: &[Input],
        simplify: &Simplify,
        known: &KnownForms,
    ) -> Result<Self> {
        if let (Expr::Column(column), [(name, data_type, index)]) = (&expr, inputs)
            && column.name == *name
        {
            return Ok(Self {
                inputs: vec![*index],
                data_type: data_type.clone(),
                form: Form::Identity,
            });
        }
        let types = inputs.iter().map(|(_, data_type, _)| data_type.clone());
        let key = (expr, types.collect());
        let indices = inputs.iter().map(|(_, _, index)| *index).collect();
        if let Some(known) = known.0.borrow().get(&key) {
            return Ok(Self {
                inputs: indices,
                ..known.clone()
            });
        }
        let planned = Self::plan_expression(key.0.clone(), inputs, simplify)
            .map_err(|error| Error::assertion(plain_message(&error)))?;
        known.0.borrow_mut().insert(key, planned.clone());
        Ok(planned)
    }

    fn plan_expression(
        expr: Expr,
        inputs: &[Input],
        simplify: &Simplify,
    ) -> datafusion::common::Result<Self> {
        let fields: Vec<Field> = inputs
            .iter()
            .map(|(name, data_type, _)| Field::new(name, data_type.clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = Arc::new(DFSchema::try_from(Arc::clone(&schema))?);
        let simplifier = simplify.over(&columns);
        let expr = simplifier.coerce(expr)?;
        let data_type = expr.get_type(columns.as_ref())?;
        let expr = simplifier.prepare(expr)?;
        let expr = semantics::nan_is_undefined(expr, columns.as_ref())?;
        let inputs = inputs.iter().map(|(_, _, index)| *index).collect();
        if let Expr::Literal(value, _) = expr {
            return Ok(Self {
                inputs,
                data_type,
                form: Form::Constant(value),
            });
        }
        let expr = create_physical_expr(
            &expr,
            &columns,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )?;
        let expr = semantics::check_arithmetic(expr)?;
        Ok(Self {
            inputs,
            data_type,
            form: Form::Expression { expr, schema },
        })
    }

    /// The value of the expression, with `value_of` giving the inputs.
    pub fn evaluate(&self, value_of: impl Fn(usize) -> ScalarValue) -> Result<ScalarValue> {
        match &self.form {
            Form::Identity => Ok(value_of(self.inputs[0])),
            Form::Constant(value) => Ok(value.clone()),
            Form::Expression { expr, schema } => {
                let columns = self
                    .inputs
                    .iter()
                    .zip(schema.fields())
                    .map(|(index, field)| value_of(*index).cast_to(field.data_type())?.to_array())
                    .collect::<datafusion::common::Result<Vec<_>>>();
                let options = RecordBatchOptions::new().with_row_count(Some(1));
                let value = columns
                    .and_then(|columns| {
                        Ok(RecordBatch::try_new_with_options(
                            Arc::clone(schema),
                            columns,
                            &options,
                        )?)
                    })
                    .and_then(|row| expr.evaluate(&row))
                    .and_then(|value| match value {
                        ColumnarValue::Scalar(value) => Ok(value),
                        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
                    });
                value.map_err(|error| Error::execution(plain_message(&error)))
            }
        }
    }
}
