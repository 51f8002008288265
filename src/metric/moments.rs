//! Central moments.
//!
//! Within a batch in two passes, the mean first; between batches and states by the formulas
//! of P. Pébay, *Formulas for Robust, One-Pass Parallel Computation of Covariances and
//! Arbitrary-Order Statistical Moments*, Sandia report SAND2008-6212 (2008), which for the
//! second order are those of Chan, Golub and LeVeque (1979). The values of a constant column
//! deviate from its mean by exactly 0, however they are split.

use std::mem::{size_of, size_of_val};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};

/// `__moments(x)`: count, mean and the central sums of order 2 to 4 of numbers.
///
/// `Struct{count: Int64, mean, m2, m3, m4: Float64}`, where `m3` is the sum of
/// `(x - mean)^3`, not divided by anything. Numbers are read as `Float64`. NULLs are ignored;
/// without values the count is 0 and the others are NULL. NaN and infinity propagate.
/// Arguments other than numbers are a plan error.
pub fn central_moments_udaf() -> Arc<AggregateUDF> {
    static MOMENTS: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| CentralMoments::udaf(4));
    Arc::clone(&MOMENTS)
}

/// `__moments2(x)`: as [`central_moments_udaf`] without `m3` and `m4`, and faster.
pub fn central_moments2_udaf() -> Arc<AggregateUDF> {
    static MOMENTS: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| CentralMoments::udaf(2));
    Arc::clone(&MOMENTS)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CentralMoments {
    order: usize,
    signature: Signature,
}

impl CentralMoments {
    fn udaf(order: usize) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Self {
            order,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }
}

/// `mean`, `m2`, ..; `order` of them.
fn names(order: usize) -> &'static [&'static str] {
    &["mean", "m2", "m3", "m4"][..order]
}

fn fields(order: usize) -> Fields {
    let count = Field::new("count", DataType::Int64, false);
    let moment = |name: &&str| Field::new(*name, DataType::Float64, true);
    let moments = names(order).iter().map(moment);
    std::iter::once(count).chain(moments).collect()
}

/// `count` and `moments` as one struct; the moments of nothing are NULL.
fn finished(count: i64, moments: &[f64]) -> ScalarValue {
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![count]))];
    columns.extend(moments.iter().map(|moment| {
        let moment = (count > 0).then_some(*moment);
        Arc::new(Float64Array::from(vec![moment])) as ArrayRef
    }));
    let fields = fields(moments.len());
    ScalarValue::Struct(Arc::new(StructArray::new(fields, columns, None)))
}

impl AggregateUDFImpl for CentralMoments {
    fn name(&self) -> &str {
        if self.order == 2 {
            "__moments2"
        } else {
            "__moments"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [arg] = arg_types else {
            return plan_err!(
                "`{}` takes 1 argument, not {}",
                self.name(),
                arg_types.len()
            );
        };
        let plain = match arg {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        if plain.is_numeric() || plain.is_null() {
            Ok(vec![DataType::Float64])
        } else {
            plan_err!("`{}` needs numbers, not {arg}", self.name())
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields(self.order)))
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        Ok(finished(0, &vec![0.0; self.order]))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = fields(self.order);
        let named = fields.iter().map(|field| {
            let name = format_state_name(args.name, field.name());
            Arc::new(Field::new(name, field.data_type().clone(), false))
        });
        Ok(named.collect())
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(if self.order == 2 {
            Box::<Accumulated<2>>::default()
        } else {
            Box::<Accumulated<4>>::default()
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// `N` moments, the mean first, and room for the values of a batch without its NULLs.
#[derive(Debug)]
struct Accumulated<const N: usize> {
    moments: Moments<N>,
    present: Vec<f64>,
}

impl<const N: usize> Default for Accumulated<N> {
    fn default() -> Self {
        Self {
            moments: Moments::EMPTY,
            present: Vec::new(),
        }
    }
}

impl<const N: usize> Accumulator for Accumulated<N> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Float64Type>();
        let batch = if values.null_count() == 0 {
            Moments::of(values.values())
        } else {
            self.present.clear();
            self.present.extend(values.iter().flatten());
            Moments::of(&self.present)
        };
        self.moments = self.moments.merge(&batch);
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let count = ScalarValue::Int64(Some(self.moments.count));
        let moments = self.moments.values.iter().copied().map(ScalarValue::from);
        Ok(std::iter::once(count).chain(moments).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let values: [&Float64Array; N] =
            std::array::from_fn(|index| states[index + 1].as_primitive::<Float64Type>());
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            self.moments = self.moments.merge(&Moments {
                count: counts.value(row),
                values: values.map(|column| column.value(row)),
            });
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(finished(self.moments.count, &self.moments.values))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.present.capacity() * size_of::<f64>()
    }
}

/// `values` holds the mean and the central sums of order 2 to `N`.
#[derive(Debug, Clone, Copy)]
struct Moments<const N: usize> {
    count: i64,
    values: [f64; N],
}

impl<const N: usize> Moments<N> {
    const EMPTY: Self = Self {
        count: 0,
        values: [0.0; N],
    };

    fn of(values: &[f64]) -> Self {
        let Some(mean) = mean(values) else {
            return Self::EMPTY;
        };
        let sums = sums(values, |value| {
            let deviation = value - mean;
            let mut power = deviation;
            let mut powers = [0.0; N];
            for slot in &mut powers[1..] {
                power *= deviation;
                *slot = power;
            }
            powers
        });
        let mut moments = sums;
        moments[0] = mean;
        Self {
            count: values.len() as i64,
            values: moments,
        }
    }

    fn merge(&self, other: &Self) -> Self {
        if self.count == 0 {
            return *other;
        }
        if other.count == 0 {
            return *self;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        let (x, y) = (&self.values, &other.values);
        let d = if x[0] == y[0] { 0.0 } else { y[0] - x[0] };
        let mut merged = [0.0; N];
        merged[0] = if d.is_finite() {
            x[0] + d * (b / n)
        } else {
            x[0] * (a / n) + y[0] * (b / n)
        };
        let d2 = d * d;
        merged[1] = x[1] + y[1] + d2 * (a * b / n);
        if N == 4 {
            let (a2, b2, n2) = (a * a, b * b, n * n);
            merged[2] =
                x[2] + y[2] + d2 * d * (a * b * (a - b) / n2) + 3.0 * d * (a * y[1] - b * x[1]) / n;
            merged[3] = x[3]
                + y[3]
                + d2 * d2 * (a * b * (a2 - a * b + b2) / (n2 * n))
                + 6.0 * d2 * (a2 * y[1] + b2 * x[1]) / n2
                + 4.0 * d * (a * y[2] - b * x[2]) / n;
        }
        Self {
            count: self.count + other.count,
            values: merged,
        }
    }
}

/// The mean, taken from the distances to the first value: exact for a constant, and precise
/// for values that are far from 0 and close together.
fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    let n = values.len() as f64;
    let mean = first + sums(values, |value| [value - first])[0] / n;
    if mean.is_finite() {
        return Some(mean);
    }
    // An infinity among the values, or distances that exceed f64.
    Some(sums(values, |value| [value / n])[0])
}

/// The sums of the `K` terms of all values, in independent lanes that become vectors.
fn sums<const K: usize>(values: &[f64], terms: impl Fn(f64) -> [f64; K]) -> [f64; K] {
    const LANES: usize = 8;
    let mut lanes = [[0.0; LANES]; K];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in chunk.iter().enumerate() {
            let terms = terms(*value);
            for k in 0..K {
                lanes[k][lane] += terms[k];
            }
        }
    }
    let mut sums = lanes.map(|lane| lane.iter().sum());
    for value in rest {
        let terms = terms(*value);
        for k in 0..K {
            sums[k] += terms[k];
        }
    }
    sums
}

#[cfg(test)]
mod tests;
