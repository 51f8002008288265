use datafusion::arrow::array::{
    Decimal128Array, Decimal256Array, DurationSecondArray, Int64Array, StringArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::i256;
use proptest::prelude::*;

use super::*;
use crate::metric::aggregate_tests::{Aggregate, split};

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn decimals(values: &[Option<i128>], precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(values.to_vec());
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

fn sum(values: ArrayRef) -> Result<ScalarValue> {
    Aggregate::new(exact_sum_udaf()).value(&[values])
}

#[test]
fn sums_are_exact() {
    let max = 10_i128.pow(38) - 1;
    let cases: Vec<(&str, ArrayRef, Option<i128>)> = vec![
        ("no rows", ints(&[]), None),
        ("only nulls", ints(&[None, None]), None),
        (
            "nulls are ignored",
            ints(&[Some(1), None, Some(2)]),
            Some(3),
        ),
        (
            "beyond i64",
            ints(&[Some(i64::MAX), Some(1)]),
            Some(i128::from(i64::MAX) + 1),
        ),
        (
            "beyond i64, downwards, with a null",
            ints(&[Some(i64::MIN), None, Some(-1)]),
            Some(i128::from(i64::MIN) - 1),
        ),
        (
            "beyond u64",
            Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX])),
            Some(2 * i128::from(u64::MAX)),
        ),
        (
            "decimals keep their scale",
            decimals(&[Some(105), None, Some(-5)], 10, 2),
            Some(100),
        ),
        (
            "exceeded on the way only",
            decimals(
                &[Some(max), Some(max), Some(max), Some(-max), Some(-max)],
                38,
                0,
            ),
            Some(max),
        ),
    ];
    for (label, values, expected) in cases {
        let sum = sum(values).unwrap();
        let ScalarValue::Decimal128(sum, ..) = sum else {
            panic!("{label}: {sum:?}");
        };
        assert_eq!(sum, expected, "{label}");
    }
}

#[test]
fn every_integer_width_and_a_dictionary_give_the_same_sum() {
    let values = ints(&[Some(100), None, Some(27)]);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int16));
    for data_type in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        dictionary,
    ] {
        let sum = sum(cast(&values, &data_type).unwrap()).unwrap();
        assert_eq!(
            sum,
            ScalarValue::Decimal128(Some(127), 38, 0),
            "{data_type}"
        );
    }
}

#[test]
fn the_result_type_follows_the_argument() {
    let cases = [
        (DataType::Decimal32(9, 2), DataType::Decimal128(19, 2)),
        (DataType::Decimal64(18, 2), DataType::Decimal128(28, 2)),
        (DataType::Decimal128(30, 2), DataType::Decimal128(38, 2)),
        (DataType::Decimal256(70, 2), DataType::Decimal256(76, 2)),
        (DataType::Float32, DataType::Float64),
        (
            DataType::Duration(TimeUnit::Second),
            DataType::Duration(TimeUnit::Second),
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(exact_sum_udaf().return_type(&[input]).unwrap(), expected);
    }
}

#[test]
fn overflow_of_the_result_is_an_error() {
    let max = 10_i128.pow(38) - 1;
    let big = i256::from_string(&"9".repeat(76)).unwrap();
    let wide = Decimal256Array::from(vec![big; 12])
        .with_precision_and_scale(76, 0)
        .unwrap();
    let cases: Vec<(ArrayRef, &str)> = vec![
        (
            decimals(&[Some(max), Some(1)], 38, 2),
            "`sum` overflows Decimal128(38, 2)",
        ),
        (Arc::new(wide), "`sum` overflows Decimal256(76, 0)"),
        (
            Arc::new(DurationSecondArray::from(vec![i64::MAX, 1])),
            "`sum` overflows Duration(s)",
        ),
    ];
    for (values, expected) in cases {
        let error = sum(values).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn wide_decimals_cancel_in_any_order() {
    let big = i256::from_string(&"9".repeat(76)).unwrap();
    let mut values = vec![big; 12];
    values.extend(vec![big.wrapping_neg(); 12]);
    values.push(i256::from_i128(7));
    let array: ArrayRef = Arc::new(
        Decimal256Array::from(values)
            .with_precision_and_scale(76, 0)
            .unwrap(),
    );
    let expected = ScalarValue::Decimal256(Some(i256::from_i128(7)), 76, 0);
    assert_eq!(sum(Arc::clone(&array)).unwrap(), expected);
    let aggregate = Aggregate::new(exact_sum_udaf());
    let parts = split(&[array], &[3, 15]);
    assert_eq!(aggregate.merged(&parts).unwrap(), expected);
}

#[test]
fn text_is_a_plan_error_that_says_what_is_needed() {
    let error = exact_sum_udaf()
        .coerce_types(&[DataType::Utf8])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`sum` needs a number or a duration, not Utf8")
    );
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    assert!(sum(text).is_err());
}

#[test]
fn distinct_sums_count_each_value_once() {
    let values = ints(&[Some(i64::MAX), Some(i64::MAX), None, Some(1)]);
    let expected = ScalarValue::Decimal128(Some(1 << 63), 38, 0);
    let aggregate = Aggregate::new(exact_sum_udaf()).distinct();
    assert_eq!(aggregate.value(&[Arc::clone(&values)]).unwrap(), expected);
    let parts = split(&[values], &[1, 3]);
    assert_eq!(aggregate.merged(&parts).unwrap(), expected);
    let none = aggregate.value(&[ints(&[None])]).unwrap();
    assert_eq!(none, ScalarValue::Decimal128(None, 38, 0));
}

#[test]
fn floats_and_intervals_are_left_to_datafusion() {
    let halves = cast(&ints(&[Some(1), Some(2), None]), &DataType::Float32).unwrap();
    assert_eq!(sum(halves).unwrap(), ScalarValue::Float64(Some(3.0)));
}

#[test]
fn a_window_gives_back_what_left_it() {
    let mut sum = Sum {
        total: Total::default(),
        count: 0,
        add: kernel::total::<Int64Type>,
        scale: 0,
        result: DataType::Decimal128(38, 0),
    };
    sum.update_batch(&[ints(&[Some(i64::MAX), Some(i64::MAX)])])
        .unwrap();
    sum.update_batch(&[ints(&[Some(-3), None])]).unwrap();
    sum.retract_batch(&[ints(&[Some(i64::MAX), Some(i64::MAX)])])
        .unwrap();
    assert_eq!(
        sum.evaluate().unwrap(),
        ScalarValue::Decimal128(Some(-3), 38, 0)
    );
    sum.retract_batch(&[ints(&[Some(-3), None])]).unwrap();
    assert_eq!(
        sum.evaluate().unwrap(),
        ScalarValue::Decimal128(None, 38, 0)
    );
}

proptest! {
    #[test]
    fn any_split_merged_in_any_order_is_the_sum_of_the_whole(
        values in proptest::collection::vec(proptest::option::of(any::<i64>()), 0..60),
        cuts in proptest::collection::vec(0_usize..60, 0..5),
    ) {
        let expected = values.iter().flatten().map(|x| i128::from(*x)).reduce(|a, b| a + b);
        let expected = ScalarValue::Decimal128(expected, 38, 0);
        let aggregate = Aggregate::new(exact_sum_udaf());
        let mut parts = split(&[ints(&values)], &cuts);
        prop_assert_eq!(aggregate.merged(&parts).unwrap(), expected.clone());
        parts.reverse();
        prop_assert_eq!(aggregate.merged(&parts).unwrap(), expected);
    }
}
