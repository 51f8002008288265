use std::collections::HashMap;

use datafusion::arrow::array::{
    BooleanArray, Date32Array, Decimal128Array, Int8Array, Int32Array, Int64Array,
    TimestampSecondArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use proptest::prelude::*;

use super::*;
use crate::metric::aggregate_tests::{Aggregate, split};

fn range(min: i128, max: i128) -> DenseRange {
    DenseRange::between(min, max).unwrap()
}

const EMPTY: DenseRange = DenseRange { min: 0, len: 0 };

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn counts(ranges: &[DenseRange], columns: &[ArrayRef]) -> Result<ScalarValue> {
    Aggregate::new(dense_counts(ranges.to_vec())).value(columns)
}

#[test]
fn one_column_counts_its_values_and_leaves_out_nulls() {
    type Case<'a> = (&'a str, &'a [Option<i64>], (i64, i64, i64));
    let cases: &[Case] = &[
        ("no rows", &[], (0, 0, 0)),
        ("only nulls", &[None, None], (0, 0, 0)),
        ("all once", &[Some(-2), Some(70), Some(3)], (3, 3, 3)),
        ("seen twice", &[Some(1), Some(1), None, Some(2)], (3, 2, 1)),
        ("seen thrice", &[Some(1), Some(1), Some(1)], (3, 1, 0)),
    ];
    for (label, values, (rows, distinct, once)) in cases {
        let value = counts(&[range(-2, 70)], &[ints(values)]).unwrap();
        assert_eq!(value, finished(*rows, *distinct, *once), "{label}");
    }
    let nulls = counts(&[EMPTY], &[ints(&[None, None])]).unwrap();
    assert_eq!(nulls, finished(0, 0, 0));
}

#[test]
fn tuples_compare_null_with_null_and_need_one_value() {
    let a = ints(&[None, None, None, Some(1), Some(1), None]);
    let b = ints(&[None, Some(5), Some(5), None, Some(5), None]);
    let value = counts(&[range(1, 3), range(4, 5)], &[a, b]).unwrap();
    assert_eq!(value, finished(4, 3, 2));
    let a = ints(&[None, None]);
    let b = ints(&[Some(4), Some(4)]);
    assert_eq!(
        counts(&[EMPTY, range(4, 5)], &[a, b]).unwrap(),
        finished(2, 1, 0)
    );
}

#[test]
fn every_type_is_read_as_its_raw_integer() {
    let small = Int8Array::from(vec![Some(1), Some(2), None, Some(2)]);
    for data_type in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
    ] {
        let column = cast(&small, &data_type).unwrap();
        let value = counts(&[range(1, 2)], &[column]).unwrap();
        assert_eq!(value, finished(3, 2, 1), "{data_type}");
    }
    let big = u64::MAX - 1;
    let cents = Decimal128Array::from(vec![-5, 7, 7])
        .with_precision_and_scale(18, 2)
        .unwrap();
    let cases: Vec<(ArrayRef, DenseRange)> = vec![
        (Arc::new(Date32Array::from(vec![-1, 3, 3])), range(-1, 3)),
        (
            Arc::new(TimestampSecondArray::from(vec![10, 20, 20])),
            range(10, 20),
        ),
        (
            Arc::new(BooleanArray::from(vec![false, true, true])),
            range(0, 1),
        ),
        (
            Arc::new(UInt64Array::from(vec![big, u64::MAX, u64::MAX])),
            range(big.into(), u64::MAX.into()),
        ),
        (
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MIN + 1, i64::MIN + 1])),
            range(i64::MIN.into(), i128::from(i64::MIN) + 1),
        ),
        (Arc::new(cents), range(-5, 7)),
        (
            cast(
                &Int32Array::from(vec![1, 2, 2]),
                &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int32)),
            )
            .unwrap(),
            range(1, 2),
        ),
    ];
    for (column, range) in cases {
        let label = column.data_type().clone();
        assert_eq!(
            counts(&[range], &[column]).unwrap(),
            finished(3, 2, 1),
            "{label}"
        );
    }
}

#[test]
fn a_value_outside_its_range_contradicts_the_statistics() {
    let huge = Decimal128Array::from(vec![1 << 64])
        .with_precision_and_scale(18, 0)
        .unwrap();
    let cases: Vec<(ArrayRef, &str)> = vec![
        (
            ints(&[Some(1), Some(10), Some(11)]),
            "10 in key column 1 is not between 0 and 9",
        ),
        (
            ints(&[None, Some(-1)]),
            "-1 in key column 1 is not between 0 and 9",
        ),
        (ints(&[Some(i64::MIN)]), "is not between 0 and 9"),
        (Arc::new(huge), "18446744073709551616 in key column 1"),
    ];
    for (column, expected) in cases {
        let error = counts(&[range(0, 9)], &[column]).unwrap_err().to_string();
        assert!(error.contains("contradict"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_cannot_be_counted_fails_at_planning() {
    let types = |ranges: &[DenseRange], types: &[DataType]| {
        dense_counts(ranges.to_vec())
            .coerce_types(types)
            .unwrap_err()
            .to_string()
    };
    let cases = [
        (
            types(&[range(0, 1)], &[DataType::Utf8]),
            "cannot count values of Utf8",
        ),
        (
            types(&[range(0, 1)], &[DataType::Decimal128(19, 0)]),
            "cannot count values",
        ),
        (types(&[range(0, 1)], &[]), "1 ranges for 0 arguments"),
        (
            types(&[range(-1, 1)], &[DataType::UInt8]),
            "does not fit into UInt8",
        ),
        (
            types(&[range(0, 256)], &[DataType::UInt8]),
            "does not fit into UInt8",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
    let wide = range(0, 1 << 31);
    assert_eq!(slots(&[wide, wide]), None);
    assert!(counts(&[wide, wide], &[ints(&[]), ints(&[])]).is_err());
    assert_eq!(slots(&[range(1, 3), range(4, 5)]), Some(12));
    assert_eq!(DenseRange::between(1, 0), None);
    assert_eq!(DenseRange::between(i128::MIN, i128::MAX), None);
}

#[test]
fn functions_with_other_ranges_differ() {
    assert_eq!(
        dense_counts(vec![range(0, 1)]),
        dense_counts(vec![range(0, 1)])
    );
    assert_ne!(
        dense_counts(vec![range(0, 1)]),
        dense_counts(vec![range(0, 2)])
    );
}

proptest! {
    #[test]
    fn any_split_merged_in_any_order_counts_as_a_hash_map_does(
        keys in proptest::collection::vec(
            (proptest::option::of(-3_i64..6), proptest::option::of(0_i64..20)), 0..80),
        cuts in proptest::collection::vec(0_usize..80, 0..5),
    ) {
        let mut frequencies: HashMap<_, i64> = HashMap::new();
        for key in keys.iter().filter(|key| **key != (None, None)) {
            *frequencies.entry(*key).or_default() += 1;
        }
        let rows = frequencies.values().sum();
        let once = frequencies.values().filter(|count| **count == 1).count() as i64;
        let expected = finished(rows, frequencies.len() as i64, once);

        let (a, b): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let columns = [ints(&a), ints(&b)];
        let aggregate = Aggregate::new(dense_counts(vec![range(-3, 5), range(0, 19)]));
        prop_assert_eq!(&aggregate.value(&columns).unwrap(), &expected);
        let mut parts = split(&columns, &cuts);
        prop_assert_eq!(&aggregate.merged(&parts).unwrap(), &expected);
        parts.reverse();
        prop_assert_eq!(&aggregate.merged(&parts).unwrap(), &expected);
    }
}
