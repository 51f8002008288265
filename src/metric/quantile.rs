//! Exact quantiles.

use std::mem::{size_of, size_of_val};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, LargeListArray, RecordBatch,
};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ReversedUDAF, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;

/// `__quantile(x, q)`: the exact `q`-quantile of numbers, as `Float64`.
///
/// `q` is a literal from 0 to 1, else planning fails. Between the two closest ranks it is
/// interpolated linearly, as `percentile_cont` of the SQL standard does. NULLs are ignored;
/// without values it is NULL. NaN counts as greater than every number. Integers and decimals
/// are ranked as `Float64`. All values are held in memory.
///
/// DataFusion's own `percentile_cont` is not used: given several states in one batch it
/// merges the first only, and it cuts the weight of the interpolation after six digits.
pub fn quantile_udaf() -> Arc<AggregateUDF> {
    static QUANTILE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        Arc::new(AggregateUDF::new_from_impl(Quantile {
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    });
    Arc::clone(&QUANTILE)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantile {
    signature: Signature,
}

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &str {
        "__quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [values, rank] = arg_types else {
            return plan_err!("`quantile` takes 2 arguments, not {}", arg_types.len());
        };
        for (data_type, role) in [(values, "numbers"), (rank, "a number from 0 to 1")] {
            let plain = match data_type {
                DataType::Dictionary(_, values) => values,
                other => other,
            };
            if !plain.is_numeric() && !plain.is_null() {
                return plan_err!("`quantile` needs {role}, not {data_type}");
            }
        }
        Ok(vec![DataType::Float64, DataType::Float64])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "values");
        let list = DataType::LargeList(item());
        Ok(vec![Arc::new(Field::new(name, list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Values {
            values: Vec::new(),
            q: fraction(&args.exprs[1])?,
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Float64, true))
}

/// The literal `q`.
fn fraction(expr: &Arc<dyn PhysicalExpr>) -> Result<f64> {
    let no_columns = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match expr.evaluate(&no_columns) {
        Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(q)))) if (0.0..=1.0).contains(&q) => {
            Ok(q)
        }
        _ => plan_err!("the second argument of `quantile` is a literal from 0 to 1, not {expr}"),
    }
}

#[derive(Debug)]
struct Values {
    values: Vec<f64>,
    q: f64,
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Float64Type>();
        let count = values.len() - values.null_count();
        self.values
            .try_reserve(count)
            .map_err(|error| exec_datafusion_err!("`quantile` cannot hold its values: {error}"))?;
        if count == values.len() {
            self.values.extend_from_slice(values.values());
        } else {
            self.values.extend(values.iter().flatten());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = Float64Array::from(std::mem::take(&mut self.values));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, values.len() as i64]));
        let list = LargeListArray::new(item(), offsets, Arc::new(values), None);
        Ok(vec![ScalarValue::LargeList(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i64>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(quantile(&mut self.values, self.q)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }
}

/// The `q`-quantile of `values`, which are reordered.
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    for value in values.iter_mut().filter(|value| value.is_nan()) {
        *value = f64::NAN;
    }
    let rank = q * last as f64;
    let below = (rank.floor() as usize).min(last);
    let weight = rank - below as f64;
    let (_, lower, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let lower = *lower;
    if weight <= 0.0 {
        return Some(lower);
    }
    let upper = above.iter().copied().min_by(f64::total_cmp)?;
    Some(between(lower, upper, weight))
}

fn between(lower: f64, upper: f64, weight: f64) -> f64 {
    let step = upper - lower;
    if lower == upper {
        lower
    } else if step.is_finite() {
        lower + step * weight
    } else {
        lower * (1.0 - weight) + upper * weight
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Decimal128Array, Int64Array};
    use proptest::prelude::*;

    use super::*;
    use crate::metric::aggregate_tests::{Aggregate, split};

    fn at(q: f64) -> Aggregate {
        Aggregate::new(quantile_udaf()).with_literal(ScalarValue::from(q))
    }

    fn floats(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    #[test]
    fn quantiles_are_interpolated_between_the_closest_ranks() {
        let inf = f64::INFINITY;
        type Case<'a> = (&'a str, &'a [Option<f64>], f64, Option<f64>);
        let cases: &[Case] = &[
            ("no rows", &[], 0.5, None),
            ("only nulls", &[None], 0.5, None),
            ("one value", &[Some(3.0)], 0.9, Some(3.0)),
            (
                "the least",
                &[Some(3.0), Some(1.0), Some(2.0)],
                0.0,
                Some(1.0),
            ),
            (
                "the greatest",
                &[Some(3.0), Some(1.0), Some(2.0)],
                1.0,
                Some(3.0),
            ),
            (
                "median of an odd number",
                &[Some(3.0), None, Some(1.0), Some(2.0)],
                0.5,
                Some(2.0),
            ),
            (
                "median of an even number",
                &[Some(4.0), Some(1.0)],
                0.5,
                Some(2.5),
            ),
            (
                "a quarter",
                &[Some(10.0), Some(20.0), Some(30.0), Some(40.0)],
                0.25,
                Some(17.5),
            ),
            ("equal infinities", &[Some(inf), Some(inf)], 0.5, Some(inf)),
            ("towards infinity", &[Some(1.0), Some(inf)], 0.5, Some(inf)),
            ("from infinity", &[Some(-inf), Some(1.0)], 0.5, Some(-inf)),
            (
                "beyond f64",
                &[Some(-f64::MAX), Some(f64::MAX)],
                0.5,
                Some(0.0),
            ),
            (
                "NaN is the greatest",
                &[Some(-f64::NAN), Some(1.0), Some(2.0)],
                0.5,
                Some(2.0),
            ),
        ];
        for (label, values, q, expected) in cases {
            let value = at(*q).value(&[floats(values)]).unwrap();
            assert_eq!(value, ScalarValue::Float64(*expected), "{label}");
        }
        let nan = at(1.0)
            .value(&[floats(&[Some(1.0), Some(f64::NAN)])])
            .unwrap();
        assert!(matches!(nan, ScalarValue::Float64(Some(nan)) if nan.is_nan()));
    }

    #[test]
    fn integers_and_decimals_are_not_truncated() {
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        assert_eq!(at(0.5).value(&[integers]).unwrap(), ScalarValue::from(1.5));
        let cents = Decimal128Array::from(vec![100, 101]);
        let cents: ArrayRef = Arc::new(cents.with_precision_and_scale(10, 2).unwrap());
        assert_eq!(at(0.5).value(&[cents]).unwrap(), ScalarValue::from(1.005));
    }

    #[test]
    fn a_fraction_outside_0_to_1_is_an_error() {
        for q in [-0.1, 1.1, f64::NAN] {
            let error = at(q).value(&[floats(&[])]).unwrap_err().to_string();
            assert!(error.contains("literal from 0 to 1"), "{error}");
        }
        let text = [DataType::Utf8, DataType::Float64];
        assert!(quantile_udaf().coerce_types(&text).is_err());
    }

    proptest! {
        #[test]
        fn any_split_merged_in_any_order_is_the_quantile_of_the_whole(
            values in proptest::collection::vec(proptest::option::of(-1e9_f64..1e9), 0..60),
            cuts in proptest::collection::vec(0_usize..60, 0..5),
            q in 0.0_f64..=1.0,
        ) {
            let expected = at(q).value(&[floats(&values)]).unwrap();
            let mut parts = split(&[floats(&values)], &cuts);
            prop_assert_eq!(&at(q).merged(&parts).unwrap(), &expected);
            parts.reverse();
            prop_assert_eq!(&at(q).merged(&parts).unwrap(), &expected);
        }
    }
}
