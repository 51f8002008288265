//! Sums of one array, and their exact total.

use datafusion::arrow::array::{Array, ArrowPrimitiveType, AsArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

/// A sum in 320 bits: `low + wraps * 2^256`. No number of rows exceeds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Total {
    low: i256,
    wraps: i64,
}

impl Total {
    pub(super) fn from_parts(low: i256, wraps: i64) -> Self {
        Self { low, wraps }
    }

    pub(super) fn parts(self) -> (i256, i64) {
        (self.low, self.wraps)
    }

    /// The sum, unless it exceeds 256 bits.
    pub(super) fn value(self) -> Option<i256> {
        (self.wraps == 0).then_some(self.low)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.add_value(other.low);
        self.wraps += other.wraps;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        let sum = self.low.wrapping_sub(other.low);
        if self.low.is_negative() != other.low.is_negative()
            && sum.is_negative() != self.low.is_negative()
        {
            self.wraps += if self.low.is_negative() { -1 } else { 1 };
        }
        self.low = sum;
        self.wraps -= other.wraps;
    }

    fn add_value(&mut self, value: i256) {
        let sum = self.low.wrapping_add(value);
        if self.low.is_negative() == value.is_negative() && sum.is_negative() != value.is_negative()
        {
            self.wraps += if value.is_negative() { -1 } else { 1 };
        }
        self.low = sum;
    }
}

impl From<i128> for Total {
    fn from(value: i128) -> Self {
        Self::from_parts(i256::from_i128(value), 0)
    }
}

/// A type whose values are added exactly.
pub(super) trait Addend: ArrowPrimitiveType {
    /// The sum of all `values`.
    fn dense(values: &[Self::Native]) -> Total;

    /// The sum of the `values` that are not NULL.
    fn sparse(values: &[Self::Native], nulls: &NullBuffer) -> Total {
        let mut total = Total::default();
        for (start, end) in nulls.valid_slices() {
            total.add(Self::dense(&values[start..end]));
        }
        total
    }
}

/// The sum of the non-NULL values of an array of `T`.
pub(super) fn total<T: Addend>(array: &dyn Array) -> Total {
    let array = array.as_primitive::<T>();
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => T::dense(array.values()),
        Some(nulls) => T::sparse(array.values(), nulls),
    }
}

/// Rows summed in one go: 2^30 sums of 32-bit values stay within 62 bits.
const CHUNK: usize = 1 << 30;

/// 0 for NULL, all ones otherwise.
fn masks(nulls: &NullBuffer) -> impl Iterator<Item = i64> {
    nulls.iter().map(|valid| -i64::from(valid))
}

macro_rules! narrow {
    ($($t:ty),*) => {$(
        impl Addend for $t {
            fn dense(values: &[Self::Native]) -> Total {
                let chunks = values.chunks(CHUNK);
                chunks
                    .map(|chunk| i128::from(chunk.iter().map(|x| i64::from(*x)).sum::<i64>()))
                    .sum::<i128>()
                    .into()
            }

            fn sparse(values: &[Self::Native], nulls: &NullBuffer) -> Total {
                let present = values.iter().zip(masks(nulls));
                present
                    .fold(0_i128, |sum, (x, mask)| sum + i128::from(i64::from(*x) & mask))
                    .into()
            }
        }
    )*};
}
narrow!(
    Int8Type,
    Int16Type,
    Int32Type,
    UInt8Type,
    UInt16Type,
    UInt32Type,
    Decimal32Type
);

/// The sum of `values`, each seen as unsigned: both halves summed on their own, which the
/// compiler turns into vector instructions.
fn unsigned(values: impl Iterator<Item = u64>) -> i128 {
    let (mut low, mut high) = (0_u64, 0_u64);
    for value in values {
        low += value & u64::from(u32::MAX);
        high += value >> 32;
    }
    (i128::from(high) << 32) + i128::from(low)
}

const SIGN: u64 = 1 << 63;

macro_rules! wide {
    ($($t:ty),*) => {$(
        impl Addend for $t {
            fn dense(values: &[i64]) -> Total {
                // Adding 2^63 to each value makes it unsigned; it is taken back in one go.
                let chunks = values.chunks(CHUNK);
                let biased: i128 = chunks
                    .map(|chunk| unsigned(chunk.iter().map(|x| x.cast_unsigned() ^ SIGN)))
                    .sum();
                (biased - ((values.len() as i128) << 63)).into()
            }

            fn sparse(values: &[i64], nulls: &NullBuffer) -> Total {
                let present = values.iter().zip(masks(nulls));
                present
                    .fold(0_i128, |sum, (x, mask)| sum + i128::from(x & mask))
                    .into()
            }
        }
    )*};
}
wide!(
    Int64Type,
    Decimal64Type,
    DurationSecondType,
    DurationMillisecondType,
    DurationMicrosecondType,
    DurationNanosecondType
);

impl Addend for UInt64Type {
    fn dense(values: &[u64]) -> Total {
        let chunks = values.chunks(CHUNK);
        chunks
            .map(|chunk| unsigned(chunk.iter().copied()))
            .sum::<i128>()
            .into()
    }

    fn sparse(values: &[u64], nulls: &NullBuffer) -> Total {
        let present = values.iter().zip(masks(nulls));
        present
            .fold(0_i128, |sum, (x, mask)| {
                sum + i128::from(x & mask.cast_unsigned())
            })
            .into()
    }
}

/// The sum of `values`, which is moved into the wider total when 128 bits are exceeded.
fn spilling(values: impl Iterator<Item = i128>) -> Total {
    let mut total = Total::default();
    let mut small = 0_i128;
    for value in values {
        small = small.checked_add(value).unwrap_or_else(|| {
            total.add(small.into());
            value
        });
    }
    total.add(small.into());
    total
}

impl Addend for Decimal128Type {
    fn dense(values: &[i128]) -> Total {
        spilling(values.iter().copied())
    }

    fn sparse(values: &[i128], nulls: &NullBuffer) -> Total {
        let present = values.iter().zip(masks(nulls));
        spilling(present.map(|(x, mask)| x & i128::from(mask)))
    }
}

impl Addend for Decimal256Type {
    fn dense(values: &[i256]) -> Total {
        let mut total = Total::default();
        for value in values {
            total.add_value(*value);
        }
        total
    }
}
