//! `is_close(a, b, tolerance)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IsClose {
    signature: Signature,
}

impl IsClose {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// Equal infinities are close to each other.
fn is_close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance || (a == b && tolerance >= 0.0)
}

impl ScalarUDFImpl for IsClose {
    fn name(&self) -> &str {
        "is_close"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.len() != 3 {
            return plan_err!("`is_close` takes 3 arguments, not {}", arg_types.len());
        }
        for arg in arg_types {
            let plain = match arg {
                DataType::Dictionary(_, values) => values,
                other => other,
            };
            if !plain.is_numeric() && !plain.is_null() {
                return plan_err!("`is_close` needs numbers, not {arg}");
            }
        }
        Ok(vec![DataType::Float64; 3])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(Some(tolerance)) = args.scalar_arguments.get(2)
            && let Ok(ScalarValue::Float64(Some(tolerance))) = tolerance.cast_to(&DataType::Float64)
            && (tolerance.is_nan() || tolerance < 0.0)
        {
            return plan_err!("the tolerance of `is_close` is 0 or more, not {tolerance}");
        }
        Ok(Field::new(self.name(), DataType::Boolean, true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_literal = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_literal { 1 } else { args.number_rows };
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let [a, b, tolerance]: [&Float64Array; 3] =
            std::array::from_fn(|index| columns[index].as_primitive::<Float64Type>());
        let close = BooleanBuffer::collect_bool(rows, |row| {
            is_close(a.value(row), b.value(row), tolerance.value(row))
        });
        let nulls = NullBuffer::union(
            NullBuffer::union(a.nulls(), b.nulls()).as_ref(),
            tolerance.nulls(),
        );
        let close = BooleanArray::new(close, nulls);
        if all_literal {
            let close = ScalarValue::try_from_array(&close, 0)?;
            return Ok(ColumnarValue::Scalar(close));
        }
        Ok(ColumnarValue::Array(Arc::new(close)))
    }
}
