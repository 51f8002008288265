//! Values as the Report shows them.

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use serde_json::{Number, Value};

/// The greatest integer that every reader of JSON keeps exactly, 2^53.
const MAX_SAFE: i128 = 1 << 53;

/// A value as JSON: integers beyond 2^53 and decimals are strings, dates and timestamps
/// ISO 8601, infinities the strings `Infinity` and `-Infinity`. `None` is NULL.
pub fn json(value: &ScalarValue) -> Option<Value> {
    if value.is_null() {
        return None;
    }
    Some(match value {
        ScalarValue::Boolean(Some(value)) => Value::Bool(*value),
        ScalarValue::Float64(Some(value)) => float(*value),
        ScalarValue::Float32(Some(value)) => float(f64::from(*value)),
        ScalarValue::Float16(Some(value)) => float(value.to_f64()),
        other => match integer(other) {
            Some(value) if value.abs() <= MAX_SAFE => {
                i64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::from)
            }
            Some(value) => Value::String(value.to_string()),
            None => Value::String(text(other)),
        },
    })
}

fn float(value: f64) -> Value {
    // -0.0 equals 0.0 and is shown as it.
    let value = if value == 0.0 { 0.0 } else { value };
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::String("NaN".to_owned()),
        None if value > 0.0 => Value::String("Infinity".to_owned()),
        None => Value::String("-Infinity".to_owned()),
    }
}

/// The value if it is a whole number by its type.
pub fn integer(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Int8(value) => value.map(i128::from),
        ScalarValue::Int16(value) => value.map(i128::from),
        ScalarValue::Int32(value) => value.map(i128::from),
        ScalarValue::Int64(value) => value.map(i128::from),
        ScalarValue::UInt8(value) => value.map(i128::from),
        ScalarValue::UInt16(value) => value.map(i128::from),
        ScalarValue::UInt32(value) => value.map(i128::from),
        ScalarValue::UInt64(value) => value.map(i128::from),
        ScalarValue::Decimal128(value, _, 0) => *value,
        _ => None,
    }
}

fn text(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => text.clone(),
        other => other
            .to_array()
            .and_then(|array| Ok(array_value_to_string(&array, 0)?))
            .unwrap_or_else(|_| other.to_string()),
    }
}

/// A number, truth value or text as it is written in SQL; `None` for other types.
pub fn literal(value: &ScalarValue) -> Option<String> {
    match json(value)? {
        Value::String(_) if value.data_type().is_string() => {
            Some(format!("'{}'", text(value).replace('\'', "''")))
        }
        Value::String(text) if value.data_type().is_numeric() => Some(text),
        Value::String(_) => None,
        other => Some(other.to_string()),
    }
}

/// The name of a type; the ways of laying out text are one type to the reader.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8.to_string(),
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary.to_string(),
        DataType::Dictionary(_, values) => type_name(values),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_json_without_losing_a_digit() {
        let cases = [
            ("null", ScalarValue::Int64(None), None),
            ("small integers", ScalarValue::from(7_i64), Some(json!(7))),
            (
                "integers beyond 2^53",
                ScalarValue::from(i64::MAX),
                Some(json!("9223372036854775807")),
            ),
            (
                "integer sums",
                ScalarValue::Decimal128(Some(12), 38, 0),
                Some(json!(12)),
            ),
            (
                "decimals",
                ScalarValue::Decimal128(Some(1250), 15, 2),
                Some(json!("12.50")),
            ),
            ("negative zero", ScalarValue::from(-0.0), Some(json!(0.0))),
            (
                "infinity",
                ScalarValue::from(f64::INFINITY),
                Some(json!("Infinity")),
            ),
            (
                "dates",
                ScalarValue::Date32(Some(1)),
                Some(json!("1970-01-02")),
            ),
            (
                "timestamps",
                ScalarValue::TimestampMillisecond(Some(1500), None),
                Some(json!("1970-01-01T00:00:01.500")),
            ),
        ];
        for (label, value, expected) in cases {
            assert_eq!(json(&value), expected, "{label}");
        }
    }
}
