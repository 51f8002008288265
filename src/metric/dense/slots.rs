//! The slot of a row: its position among all tuples that its key can have.

use datafusion::arrow::array::{Array, ArrowPrimitiveType, AsArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, internal_err};

use super::DenseRange;

/// The least and the greatest raw integer of a type, if it is one of integers.
pub(super) fn domain(data_type: &DataType) -> Option<(i128, i128)> {
    macro_rules! of {
        ($t:ty) => {
            Some((i128::from(<$t>::MIN), i128::from(<$t>::MAX)))
        };
    }
    match data_type {
        DataType::Boolean => Some((0, 1)),
        DataType::Int8 => of!(i8),
        DataType::Int16 => of!(i16),
        DataType::Int32 | DataType::Date32 | DataType::Decimal32(..) => of!(i32),
        DataType::Int64
        | DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..=18, _) => of!(i64),
        DataType::UInt8 => of!(u8),
        DataType::UInt16 => of!(u16),
        DataType::UInt32 => of!(u32),
        DataType::UInt64 => of!(u64),
        _ => None,
    }
}

/// One column of the key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) range: DenseRange,
}

impl Column {
    pub(super) fn new(range: DenseRange) -> Self {
        Self { range }
    }

    /// Makes each slot of the columns before that of the columns up to this one.
    ///
    /// A value outside the range is returned, and the slots are then worthless.
    pub(super) fn add_to(&self, array: &dyn Array, slots: &mut [u32]) -> Result<Option<i128>> {
        macro_rules! primitive {
            ($t:ty) => {{
                let array = array.as_primitive::<$t>();
                self.add_values::<$t>(array.values(), array.nulls(), slots)
            }};
        }
        Ok(match array.data_type() {
            DataType::Boolean => {
                let values: Vec<u8> = array.as_boolean().values().iter().map(u8::from).collect();
                self.add_values::<UInt8Type>(&values, array.nulls(), slots)
            }
            DataType::Int8 => primitive!(Int8Type),
            DataType::Int16 => primitive!(Int16Type),
            DataType::Int32 => primitive!(Int32Type),
            DataType::Int64 => primitive!(Int64Type),
            DataType::UInt8 => primitive!(UInt8Type),
            DataType::UInt16 => primitive!(UInt16Type),
            DataType::UInt32 => primitive!(UInt32Type),
            DataType::UInt64 => primitive!(UInt64Type),
            DataType::Date32 => primitive!(Date32Type),
            DataType::Date64 => primitive!(Date64Type),
            DataType::Decimal32(..) => primitive!(Decimal32Type),
            DataType::Decimal64(..) => primitive!(Decimal64Type),
            DataType::Decimal128(..) => primitive!(Decimal128Type),
            DataType::Timestamp(TimeUnit::Second, _) => primitive!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => primitive!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => primitive!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => primitive!(TimestampNanosecondType),
            other => return internal_err!("a dense key column of type {other}"),
        })
    }

    fn add_values<T: ArrowPrimitiveType>(
        &self,
        values: &[T::Native],
        nulls: Option<&NullBuffer>,
        slots: &mut [u32],
    ) -> Option<i128>
    where
        T::Native: Raw,
    {
        let DenseRange { min, len } = self.range;
        let least = T::Native::narrow(min);
        let width = (len as u32).wrapping_add(1);
        let mut outside = false;
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => {
                for (slot, value) in slots.iter_mut().zip(values) {
                    let distance = value.distance_from(least);
                    outside |= distance >= len;
                    *slot = slot.wrapping_mul(width).wrapping_add(distance as u32);
                }
            }
            Some(nulls) => {
                for ((slot, value), valid) in slots.iter_mut().zip(values).zip(nulls.iter()) {
                    let distance = value.distance_from(least);
                    outside |= valid & (distance >= len);
                    let distance = if valid { distance } else { len };
                    *slot = slot.wrapping_mul(width).wrapping_add(distance as u32);
                }
            }
        }
        if !outside {
            return None;
        }
        let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        let mut present = (0..values.len()).filter(|row| valid(*row));
        present
            .find(|row| values[*row].distance_from(least) >= len)
            .map(|row| values[row].wide())
    }
}

/// An integer as it lies in an Arrow buffer.
trait Raw: Copy {
    /// What distances are taken from.
    type Least: Copy;

    /// `min`, which lies in the [`domain`] of the type unless the range is empty.
    fn narrow(min: i128) -> Self::Least;

    /// How far this is above `least`, or more than any range is long.
    fn distance_from(self, least: Self::Least) -> u64;

    fn wide(self) -> i128;
}

/// Below 2^64 a value under `least` wraps around to a distance that no range has, since the
/// ranges lie in the domain of the type.
macro_rules! raw {
    ($($native:ty as $signed:ty),*) => {$(
        impl Raw for $native {
            type Least = u64;

            fn narrow(min: i128) -> u64 {
                min as u64
            }

            fn distance_from(self, least: u64) -> u64 {
                (<$signed>::from(self) as u64).wrapping_sub(least)
            }

            fn wide(self) -> i128 {
                i128::from(self)
            }
        }
    )*};
}
raw!(
    i8 as i64, i16 as i64, i32 as i64, i64 as i64, u8 as u64, u16 as u64, u32 as u64, u64 as u64
);

impl Raw for i128 {
    type Least = i128;

    fn narrow(min: i128) -> i128 {
        min
    }

    fn distance_from(self, least: i128) -> u64 {
        // What does not fit has a high half, or is negative, and becomes the greatest distance.
        u64::try_from(self.wrapping_sub(least)).unwrap_or(u64::MAX)
    }

    fn wide(self) -> i128 {
        self
    }
}
