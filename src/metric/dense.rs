//! Exact distinct counts of keys from a small domain.

mod slots;

use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};

use slots::Column;

/// The values that a key column can have: `min`, `min + 1`, .., `len` of them.
///
/// They are the raw integers of the Arrow type: days or ticks since 1970 for dates and
/// timestamps, 0 and 1 for booleans, the unscaled integer for decimals. A column of NULLs
/// only has `len` 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DenseRange {
    /// The smallest value.
    pub min: i128,
    /// How many values there are from the smallest to the greatest, both included.
    pub len: u64,
}

impl DenseRange {
    /// The range from `min` to `max`, unless it is empty or too long for [`slots`].
    pub fn between(min: i128, max: i128) -> Option<Self> {
        let steps = u64::try_from(max.checked_sub(min)?).ok()?;
        let len = steps.checked_add(1).filter(|len| *len < MAX_SLOTS)?;
        Some(Self { min, len })
    }
}

/// The most key tuples that [`dense_counts`] can tell apart: 1 GiB of bitmaps.
pub const MAX_SLOTS: u64 = 1 << 32;

/// How many key tuples there are, NULL being one more value of each column.
///
/// `None` if there are more than [`MAX_SLOTS`]. Each takes 2 bits.
pub fn slots(ranges: &[DenseRange]) -> Option<u64> {
    ranges
        .iter()
        .try_fold(1_u64, |slots, range| {
            slots.checked_mul(range.len.checked_add(1)?)
        })
        .filter(|slots| *slots <= MAX_SLOTS)
}

/// Whether [`dense_counts`] reads columns of this type.
pub fn is_dense_type(data_type: &DataType) -> bool {
    slots::domain(data_type).is_some()
}

/// `__dense_counts(c1, ..)`: rows, distinct keys and keys seen once, by two bitmaps.
///
/// `Struct{rows, distinct, once: Int64}` over the tuples of the arguments, each of which is
/// an integer, date, timestamp, boolean or decimal of at most 18 digits with values in its
/// range. A tuple of NULLs only is left out; partly NULL tuples compare NULL = NULL. Without
/// rows all three are 0.
///
/// # Errors
///
/// Planning fails for other types, another number of arguments than ranges, a range that its
/// type cannot hold, or more than [`MAX_SLOTS`] tuples. A value outside its range is an
/// execution error.
pub fn dense_counts(ranges: Vec<DenseRange>) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(DenseCounts {
        ranges,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DenseCounts {
    ranges: Vec<DenseRange>,
    signature: Signature,
}

/// Its name, whatever the ranges.
pub const NAME: &str = "__dense_counts";

fn fields() -> Fields {
    ["rows", "distinct", "once"]
        .map(|name| Field::new(name, DataType::Int64, false))
        .to_vec()
        .into()
}

fn finished(rows: i64, distinct: i64, once: i64) -> ScalarValue {
    let columns = [rows, distinct, once]
        .map(|count| Arc::new(Int64Array::from(vec![count])) as ArrayRef)
        .to_vec();
    ScalarValue::Struct(Arc::new(StructArray::new(fields(), columns, None)))
}

impl AggregateUDFImpl for DenseCounts {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.is_empty() || arg_types.len() != self.ranges.len() {
            return plan_err!(
                "`{NAME}` has {} ranges for {} arguments",
                self.ranges.len(),
                arg_types.len()
            );
        }
        let read = arg_types.iter().zip(&self.ranges).map(|(arg, range)| {
            let data_type = match arg {
                DataType::Dictionary(_, values) => values,
                other => other,
            };
            let Some((least, greatest)) = slots::domain(data_type) else {
                return plan_err!("`{NAME}` cannot count values of {arg}");
            };
            let max = range.min.checked_add(i128::from(range.len) - 1);
            if range.len > 0 && (range.min < least || max.is_none_or(|max| max > greatest)) {
                return plan_err!("`{NAME}`: {range:?} does not fit into {arg}");
            }
            Ok(data_type.clone())
        });
        read.collect()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        Ok(finished(0, 0, 0))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name, data_type| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, data_type, false))
        };
        Ok(vec![
            field("rows", DataType::Int64),
            field("seen", DataType::LargeBinary),
            field("seen_again", DataType::LargeBinary),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types: Vec<_> = args.expr_fields.iter().map(|f| f.data_type()).collect();
        let types: Vec<DataType> = types.into_iter().cloned().collect();
        self.coerce_types(&types)?;
        let Some(slots) = slots(&self.ranges) else {
            return plan_err!("`{NAME}` tells at most {MAX_SLOTS} tuples apart");
        };
        Ok(Box::new(Seen {
            columns: self
                .ranges
                .iter()
                .map(|range| Column::new(*range))
                .collect(),
            slots: Vec::new(),
            last: u32::try_from(slots - 1).expect("there are at most 2^32 slots"),
            rows: 0,
            seen: Vec::new(),
            again: Vec::new(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// One bit a slot in each bitmap, which are allocated with the first rows.
///
/// Two bitmaps were measured to be as fast as one with both bits of a slot side by side,
/// for sorted and random keys, in and out of the cache.
#[derive(Debug)]
struct Seen {
    columns: Vec<Column>,
    slots: Vec<u32>,
    /// The slot of the tuple of NULLs.
    last: u32,
    rows: i64,
    seen: Vec<u64>,
    again: Vec<u64>,
}

impl Seen {
    fn words(&self) -> usize {
        self.last as usize / 64 + 1
    }

    fn allocate(&mut self) {
        if self.seen.is_empty() {
            self.seen = vec![0; self.words()];
            self.again = vec![0; self.words()];
        }
    }

    /// Forgets the tuple of NULLs.
    fn clear_last(&mut self) {
        let keep = !(1 << (self.last % 64));
        for bits in [&mut self.seen, &mut self.again] {
            if let Some(word) = bits.last_mut() {
                *word &= keep;
            }
        }
    }
}

fn ones(words: impl Iterator<Item = u64>) -> i64 {
    words.map(|word| i64::from(word.count_ones())).sum()
}

fn bytes(words: &[u64]) -> ScalarValue {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    ScalarValue::LargeBinary(Some(bytes))
}

/// The words of a bitmap in a state.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
}

impl Accumulator for Seen {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values[0].len();
        if rows == 0 {
            return Ok(());
        }
        self.allocate();
        self.slots.clear();
        self.slots.resize(rows, 0);
        for (index, (column, values)) in self.columns.iter().zip(values).enumerate() {
            if let Some(value) = column.add_to(values, &mut self.slots)? {
                return exec_err!(
                    "the statistics of the file contradict its data: {value} in key column {} \
                     is not between {} and {}",
                    index + 1,
                    column.range.min,
                    column.range.min + i128::from(column.range.len) - 1
                );
            }
        }
        let mut nulls = 0;
        for slot in &self.slots {
            let word = *slot as usize / 64;
            let bit = 1 << (slot % 64);
            self.again[word] |= self.seen[word] & bit;
            self.seen[word] |= bit;
            nulls += usize::from(*slot == self.last);
        }
        self.rows += (rows - nulls) as i64;
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.clear_last();
        Ok(vec![
            ScalarValue::Int64(Some(self.rows)),
            bytes(&self.seen),
            bytes(&self.again),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states[0].as_primitive::<Int64Type>();
        let (seen, again) = (states[1].as_binary::<i64>(), states[2].as_binary::<i64>());
        for row in 0..rows.len() {
            let (seen, again) = (seen.value(row), again.value(row));
            if seen.is_empty() {
                continue;
            }
            self.allocate();
            if seen.len() != self.seen.len() * 8 || again.len() != seen.len() {
                return exec_err!("the states of `{NAME}` are of different key ranges");
            }
            self.rows += rows.value(row);
            let ours = self.seen.iter_mut().zip(&mut self.again);
            for ((seen, again), (other, other_again)) in ours.zip(words(seen).zip(words(again))) {
                *again |= other_again | (*seen & other);
                *seen |= other;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.clear_last();
        let distinct = ones(self.seen.iter().copied());
        let again = ones(self.again.iter().copied());
        Ok(finished(self.rows, distinct, distinct - again))
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.columns.capacity() * size_of::<Column>()
            + self.slots.capacity() * size_of::<u32>()
            + (self.seen.capacity() + self.again.capacity()) * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests;
