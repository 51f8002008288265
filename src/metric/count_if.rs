//! Counts of true and of false.

use std::mem::size_of_val;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::sum;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};

/// `__count_true(p)`: rows where `p` is true, as `Int64`.
///
/// NULL is not true. Without rows it is 0, never NULL.
pub fn count_true_udaf() -> Arc<AggregateUDF> {
    static COUNT: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| CountIf::udaf(true));
    Arc::clone(&COUNT)
}

/// `__count_false(p)`: rows where `p` is false, as `Int64`.
///
/// NULL is not false. Without rows it is 0, never NULL.
pub fn count_false_udaf() -> Arc<AggregateUDF> {
    static COUNT: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| CountIf::udaf(false));
    Arc::clone(&COUNT)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CountIf {
    truth: bool,
    signature: Signature,
}

impl CountIf {
    fn udaf(truth: bool) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Self {
            truth,
            signature: Signature::exact(vec![DataType::Boolean], Volatility::Immutable),
        }))
    }
}

impl AggregateUDFImpl for CountIf {
    fn name(&self) -> &str {
        if self.truth {
            "__count_true"
        } else {
            "__count_false"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "count");
        Ok(vec![Arc::new(Field::new(name, DataType::Int64, false))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Count {
            matching: if self.truth {
                BooleanArray::true_count
            } else {
                BooleanArray::false_count
            },
            count: 0,
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

#[derive(Debug)]
struct Count {
    matching: fn(&BooleanArray) -> usize,
    count: i64,
}

impl Accumulator for Count {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count += (self.matching)(values[0].as_boolean()) as i64;
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.count += sum(states[0].as_primitive::<Int64Type>()).unwrap_or(0);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.count)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::aggregate_tests::{Aggregate, split};

    fn column(values: &[Option<bool>]) -> ArrayRef {
        Arc::new(BooleanArray::from(values.to_vec()))
    }

    #[test]
    fn null_is_neither_true_nor_false() {
        let cases: &[(&str, &[Option<bool>], i64, i64)] = &[
            ("no rows: zero, not undefined", &[], 0, 0),
            ("only nulls", &[None, None], 0, 0),
            ("all true", &[Some(true), Some(true)], 2, 0),
            ("mixed", &[Some(true), None, Some(false), Some(false)], 1, 2),
        ];
        for (label, values, yes, no) in cases {
            let count = |udaf| Aggregate::new(udaf).value(&[column(values)]).unwrap();
            assert_eq!(count(count_true_udaf()), ScalarValue::from(*yes), "{label}");
            assert_eq!(count(count_false_udaf()), ScalarValue::from(*no), "{label}");
        }
    }

    #[test]
    fn the_count_is_never_null() {
        assert!(!count_true_udaf().is_nullable());
        let default = count_false_udaf().default_value(&DataType::Int64).unwrap();
        assert_eq!(default, ScalarValue::Int64(Some(0)));
    }

    proptest! {
        #[test]
        fn any_split_merged_is_the_count_of_the_whole(
            values in proptest::collection::vec(any::<Option<bool>>(), 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..5),
        ) {
            let aggregate = Aggregate::new(count_false_udaf());
            let expected = values.iter().filter(|v| **v == Some(false)).count() as i64;
            let parts = split(&[column(&values)], &cuts);
            prop_assert_eq!(aggregate.merged(&parts).unwrap(), ScalarValue::from(expected));
        }
    }
}
