use datafusion::arrow::array::Int32Array;
use proptest::prelude::*;

use super::*;
use crate::metric::aggregate_tests::{Aggregate, split};

fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn parts_of(value: &ScalarValue) -> (i64, Vec<Option<f64>>) {
    let ScalarValue::Struct(parts) = value else {
        panic!("{value:?}");
    };
    let count = parts.column(0).as_primitive::<Int64Type>().value(0);
    let moments = parts.columns()[1..].iter().map(|column| {
        let column = column.as_primitive::<Float64Type>();
        column.is_valid(0).then(|| column.value(0))
    });
    (count, moments.collect())
}

fn moments(values: &[Option<f64>]) -> (i64, Vec<Option<f64>>) {
    let whole = Aggregate::new(central_moments_udaf()).value(&[floats(values)]);
    parts_of(&whole.unwrap())
}

#[test]
fn moments_are_central_sums_of_powers() {
    type Case<'a> = (&'a str, &'a [Option<f64>], i64, [f64; 4]);
    let cases: &[Case] = &[
        ("one value", &[Some(7.0)], 1, [7.0, 0.0, 0.0, 0.0]),
        (
            "nulls are ignored",
            &[Some(1.0), None, Some(3.0)],
            2,
            [2.0, 2.0, 0.0, 2.0],
        ),
        (
            "skewed",
            &[Some(0.0), Some(0.0), Some(3.0)],
            3,
            [1.0, 6.0, 6.0, 18.0],
        ),
        (
            "a constant has no spread",
            &[Some(0.1); 30],
            30,
            [0.1, 0.0, 0.0, 0.0],
        ),
        (
            "far from zero",
            &[Some(1e15), Some(1e15 + 2.0)],
            2,
            [1e15 + 1.0, 2.0, 0.0, 2.0],
        ),
    ];
    for (label, values, count, expected) in cases {
        let expected: Vec<_> = expected.iter().copied().map(Some).collect();
        assert_eq!(moments(values), (*count, expected), "{label}");
    }
}

#[test]
fn the_moments_of_nothing_are_null() {
    for values in [&[][..], &[None, None]] {
        assert_eq!(moments(values), (0, vec![None; 4]));
    }
    let udaf = central_moments2_udaf();
    let default = udaf.default_value(&udaf.return_type(&[]).unwrap()).unwrap();
    assert_eq!(parts_of(&default), (0, vec![None; 2]));
}

#[test]
fn nan_and_infinity_propagate() {
    let nan = moments(&[Some(1.0), Some(f64::NAN)]).1;
    assert!(
        nan.iter().flatten().all(|moment| moment.is_nan()),
        "{nan:?}"
    );
    let infinite = moments(&[Some(1.0), Some(f64::INFINITY), Some(2.0)]).1;
    assert_eq!(infinite[0], Some(f64::INFINITY));
    assert!(infinite[1].unwrap().is_nan());
    assert_eq!(moments(&[Some(1e308), Some(-1e308)]).1[0], Some(0.0));
}

#[test]
fn infinity_has_the_same_mean_however_it_is_split() {
    let values = floats(&[Some(f64::INFINITY), Some(1.0), Some(2.0)]);
    let aggregate = Aggregate::new(central_moments2_udaf());
    let mut parts = split(&[values], &[1, 2]);
    for _ in 0..2 {
        let (_, moments) = parts_of(&aggregate.merged(&parts).unwrap());
        assert_eq!(moments[0], Some(f64::INFINITY));
        parts.reverse();
    }
}

#[test]
fn integers_are_read_as_floats_and_text_is_refused() {
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 3]));
    let value = Aggregate::new(central_moments2_udaf()).value(&[integers]);
    assert_eq!(parts_of(&value.unwrap()), (2, vec![Some(2.0), Some(2.0)]));
    let error = central_moments_udaf()
        .coerce_types(&[DataType::Utf8])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`__moments` needs numbers, not Utf8")
    );
}

proptest! {
    #[test]
    fn any_split_merged_in_any_order_is_the_whole(
        values in proptest::collection::vec(proptest::option::of(-1e3_f64..1e3), 0..60),
        cuts in proptest::collection::vec(0_usize..60, 0..5),
    ) {
        let (count, whole) = moments(&values);
        let aggregate = Aggregate::new(central_moments_udaf());
        let mut parts = split(&[floats(&values)], &cuts);
        for _ in 0..2 {
            let (merged_count, merged) = parts_of(&aggregate.merged(&parts).unwrap());
            prop_assert_eq!(merged_count, count);
            for (order, (merged, whole)) in merged.iter().zip(&whole).enumerate() {
                let scale = 1e3_f64.powi(order as i32 + 1) * count as f64;
                let close = match (merged, whole) {
                    (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * scale,
                    (a, b) => a == b,
                };
                prop_assert!(close, "m{}: {:?}, {:?}", order + 1, merged, whole);
            }
            parts.reverse();
        }
    }

    #[test]
    fn a_constant_has_no_spread_however_it_is_split(
        value in any::<f64>().prop_filter("finite", |value| value.is_finite()),
        cuts in proptest::collection::vec(0_usize..40, 0..6),
    ) {
        let parts = split(&[floats(&[Some(value); 40])], &cuts);
        let merged = Aggregate::new(central_moments_udaf()).merged(&parts).unwrap();
        let (_, moments) = parts_of(&merged);
        prop_assert_eq!(moments, vec![Some(value), Some(0.0), Some(0.0), Some(0.0)]);
    }
}
