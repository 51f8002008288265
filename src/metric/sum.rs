//! `sum` that never wraps.

mod kernel;

use std::collections::HashSet;
use std::hash::Hash;
use std::mem::{size_of, size_of_val};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Field, FieldRef, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use kernel::{Addend, Total};

/// `sum(x)`: the exact sum, under the name of DataFusion's own `sum`, which wraps.
///
/// | argument | result |
/// | --- | --- |
/// | integer | `Decimal128(38, 0)` |
/// | `Decimal32`, `Decimal64`, `Decimal128(p, s)` | `Decimal128(min(38, p + 10), s)` |
/// | `Decimal256(p, s)` | `Decimal256(min(76, p + 10), s)` |
/// | duration | the same duration |
/// | float | `Float64`, as DataFusion adds |
/// | interval | the same interval, as DataFusion adds |
///
/// NULLs are ignored; without values the sum is NULL. Other arguments are a plan error; a
/// sum that the result cannot hold is an execution error. Only the final sum counts: what is
/// exceeded on the way, in any order, is not an overflow. `sum(distinct x)` is equally exact.
pub fn exact_sum_udaf() -> Arc<AggregateUDF> {
    static SUM: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        Arc::new(AggregateUDF::new_from_impl(ExactSum {
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    });
    Arc::clone(&SUM)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    signature: Signature,
}

/// Calls `$make!(ArrowType)` for the types that are summed exactly, else yields `$other`.
macro_rules! exact_types {
    ($data_type:expr, $make:ident, $other:expr) => {
        match $data_type {
            DataType::Int8 => $make!(Int8Type),
            DataType::Int16 => $make!(Int16Type),
            DataType::Int32 => $make!(Int32Type),
            DataType::Int64 => $make!(Int64Type),
            DataType::UInt8 => $make!(UInt8Type),
            DataType::UInt16 => $make!(UInt16Type),
            DataType::UInt32 => $make!(UInt32Type),
            DataType::UInt64 => $make!(UInt64Type),
            DataType::Decimal32(..) => $make!(Decimal32Type),
            DataType::Decimal64(..) => $make!(Decimal64Type),
            DataType::Decimal128(..) => $make!(Decimal128Type),
            DataType::Decimal256(..) => $make!(Decimal256Type),
            DataType::Duration(TimeUnit::Second) => $make!(DurationSecondType),
            DataType::Duration(TimeUnit::Millisecond) => $make!(DurationMillisecondType),
            DataType::Duration(TimeUnit::Microsecond) => $make!(DurationMicrosecondType),
            DataType::Duration(TimeUnit::Nanosecond) => $make!(DurationNanosecondType),
            _ => $other,
        }
    };
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [arg] = arg_types else {
            return plan_err!("`sum` takes 1 argument, not {}", arg_types.len());
        };
        Ok(vec![addable(arg)?])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [arg] = arg_types else {
            return plan_err!("`sum` takes 1 argument, not {}", arg_types.len());
        };
        Ok(match addable(arg)? {
            integer if integer.is_integer() => DataType::Decimal128(38, 0),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                DataType::Decimal128((precision + 10).min(38), scale)
            }
            DataType::Decimal256(precision, scale) => {
                DataType::Decimal256((precision + 10).min(76), scale)
            }
            other => other,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let input = args.input_fields[0].data_type();
        if !is_exact(input) {
            return sum_udaf().state_fields(args);
        }
        if args.is_distinct {
            let item = Field::new_list_field(input.clone(), true);
            let name = format_state_name(args.name, "distinct");
            return Ok(vec![Arc::new(Field::new_list(name, item, true))]);
        }
        let total = DataType::Decimal256(76, scale(input));
        Ok([
            ("total", total),
            ("wraps", DataType::Int64),
            ("count", DataType::Int64),
        ]
        .into_iter()
        .map(|(part, data_type)| {
            let name = format_state_name(args.name, part);
            Arc::new(Field::new(name, data_type, true))
        })
        .collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let input = args.expr_fields[0].data_type().clone();
        let result = args.return_field.data_type().clone();
        macro_rules! accumulator {
            ($t:ty) => {
                if args.is_distinct {
                    Ok(Box::new(DistinctSum::<$t> {
                        values: HashSet::new(),
                        input,
                        result,
                    }))
                } else {
                    Ok(Box::new(Sum {
                        total: Total::default(),
                        count: 0,
                        add: kernel::total::<$t>,
                        scale: scale(&input),
                        result,
                    }))
                }
            };
        }
        exact_types!(&input, accumulator, sum_udaf().accumulator(args))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !is_exact(args.expr_fields[0].data_type()) && sum_udaf().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        sum_udaf().create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_exact(args.expr_fields[0].data_type()) {
            self.accumulator(args)
        } else {
            sum_udaf().create_sliding_accumulator(args)
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The type that an argument is read as.
fn addable(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Dictionary(_, values) => addable(values)?,
        DataType::Null => DataType::Int64,
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        number if number.is_numeric() => number.clone(),
        DataType::Duration(_) | DataType::Interval(_) => data_type.clone(),
        other => return plan_err!("`sum` needs a number or a duration, not {other}"),
    })
}

fn is_exact(input: &DataType) -> bool {
    macro_rules! yes {
        ($t:ty) => {
            true
        };
    }
    exact_types!(input, yes, false)
}

fn scale(input: &DataType) -> i8 {
    match input {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

/// `total` as a value of the result type, or the overflow error.
fn finish(total: Option<Total>, result: &DataType) -> Result<ScalarValue> {
    let Some(total) = total else {
        return ScalarValue::try_from(result);
    };
    let overflow = || exec_datafusion_err!("`sum` overflows {result}");
    let sum = total.value().ok_or_else(overflow)?;
    match result {
        DataType::Decimal128(precision, scale) => sum
            .to_i128()
            .filter(|sum| Decimal128Type::is_valid_decimal_precision(*sum, *precision))
            .map(|sum| ScalarValue::Decimal128(Some(sum), *precision, *scale)),
        DataType::Decimal256(precision, scale) => Some(sum)
            .filter(|sum| Decimal256Type::is_valid_decimal_precision(*sum, *precision))
            .map(|sum| ScalarValue::Decimal256(Some(sum), *precision, *scale)),
        DataType::Duration(unit) => {
            let sum = sum.to_i128().and_then(|sum| i64::try_from(sum).ok());
            sum.map(|sum| match unit {
                TimeUnit::Second => ScalarValue::DurationSecond(Some(sum)),
                TimeUnit::Millisecond => ScalarValue::DurationMillisecond(Some(sum)),
                TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(Some(sum)),
                TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(Some(sum)),
            })
        }
        other => return internal_err!("`sum` has no result of type {other}"),
    }
    .ok_or_else(overflow)
}

struct Sum {
    total: Total,
    count: i64,
    add: fn(&dyn Array) -> Total,
    scale: i8,
    result: DataType,
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sum({})", self.result)
    }
}

fn present(array: &dyn Array) -> i64 {
    (array.len() - array.null_count()) as i64
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.total.add((self.add)(&values[0]));
        self.count += present(&values[0]);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.total.subtract((self.add)(&values[0]));
        self.count -= present(&values[0]);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (low, wraps) = self.total.parts();
        Ok(vec![
            ScalarValue::Decimal256(Some(low), 76, self.scale),
            ScalarValue::Int64(Some(wraps)),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lows = states[0].as_primitive::<Decimal256Type>();
        let wraps = states[1].as_primitive::<Int64Type>();
        let counts = states[2].as_primitive::<Int64Type>();
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            self.total
                .add(Total::from_parts(lows.value(row), wraps.value(row)));
            self.count += counts.value(row);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        finish((self.count != 0).then_some(self.total), &self.result)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

struct DistinctSum<T: Addend>
where
    T::Native: Eq + Hash,
{
    values: HashSet<T::Native>,
    input: DataType,
    result: DataType,
}

impl<T: Addend> DistinctSum<T>
where
    T::Native: Eq + Hash,
{
    fn array(&self) -> PrimitiveArray<T> {
        PrimitiveArray::<T>::from_iter_values(self.values.iter().copied())
            .with_data_type(self.input.clone())
    }
}

impl<T: Addend> std::fmt::Debug for DistinctSum<T>
where
    T::Native: Eq + Hash,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DistinctSum({})", self.result)
    }
}

impl<T: Addend> Accumulator for DistinctSum<T>
where
    T::Native: Eq + Hash,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values
            .extend(values[0].as_primitive::<T>().iter().flatten());
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = SingleRowListArrayBuilder::new(Arc::new(self.array()));
        Ok(vec![list.build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = (!self.values.is_empty()).then(|| kernel::total::<T>(&self.array()));
        finish(total, &self.result)
    }

    fn size(&self) -> usize {
        // One control byte a bucket, at most 7 of 8 buckets in use.
        size_of_val(self) + self.values.capacity() * 8 / 7 * (size_of::<T::Native>() + 1)
    }
}

#[cfg(test)]
mod tests;
