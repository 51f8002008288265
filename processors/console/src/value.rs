//! Values, counts, sizes and times as people read them.

use std::cmp::Ordering;

use serde_json::Value;
use veracity_processor::printable;

/// Digits a number keeps where it is only an overview.
const DIGITS: usize = 6;

/// `value` in full, on one line. Text is quoted as in SQL; numbers, dates and times
/// are not.
pub(crate) fn full(value: &Value) -> String {
    match value {
        Value::String(text) if is_number_or_time(text) => text.clone(),
        Value::String(text) => format!("'{}'", printable(&text.replace('\'', "''"))),
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, float),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(full).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(_) => fields(value),
        other => other.to_string(),
    }
}

/// The fields of a row or a group: `carrier = 'UA', flight = 51`.
pub(crate) fn fields(value: &Value) -> String {
    let Value::Object(fields) = value else {
        return full(value);
    };
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{} = {}", column(name), full(value)))
        .collect();
    fields.join(", ")
}

/// A column's name, quoted as in SQL unless it is a plain word.
fn column(name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        name.to_owned()
    } else {
        format!("\"{}\"", printable(&name.replace('"', "\"\"")))
    }
}

/// `value` with at most six digits if it is a float, unless the digits left out are
/// those that decide: 0.9999999 is not shown as 1 where `>= 1` was expected.
pub(crate) fn short(value: &Value, expected: Option<&str>) -> String {
    let Some(exact) = value.as_f64().filter(|_| value.is_f64()) else {
        return full(value);
    };
    let rounded = round(exact);
    let bounds = expected.map(numbers).unwrap_or_default();
    let order = |number: f64, bound: f64| number.partial_cmp(&bound).unwrap_or(Ordering::Equal);
    if bounds
        .iter()
        .all(|&bound| order(rounded, bound) == order(exact, bound))
    {
        float(rounded)
    } else {
        float(exact)
    }
}

/// 1234567 as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// `5.4 MB`, in powers of 1000.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut size = number as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // Not 1000: 999,950 would be printed as `1000.0 kB`.
        if size < 999.95 {
            break;
        }
        size /= 1000.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

/// `412 ms`, `4.12 s`, `3 min 05 s`, `2 h 07 min`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{:02} s", ms % 1000 / 10),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The shortest text that is read back as `number`.
fn float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// Six digits, but never fewer than stand before the point.
fn round(number: f64) -> f64 {
    let size = number.abs();
    let text = if !(1e-5..1e16).contains(&size) {
        format!("{number:.*e}", DIGITS - 1)
    } else {
        let before = size.log10().floor() as i32 + 1;
        let after = (DIGITS as i32 - before).max(0) as usize;
        format!("{number:.after$}")
    };
    text.parse().unwrap_or(number)
}

/// The numbers in a bound such as `between 0.95 and 1`.
fn numbers(bound: &str) -> Vec<f64> {
    bound
        .split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn is_number_or_time(text: &str) -> bool {
    text.trim_start_matches(['+', '-'])
        .starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.:TZeE".contains(c))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_in_full() {
        let cases: &[(&str, Value, &str)] = &[
            ("an integer as it is", json!(336776), "336776"),
            (
                "the largest integer",
                json!(u64::MAX),
                "18446744073709551615",
            ),
            (
                "all digits of a float",
                json!(0.9925411540026606),
                "0.9925411540026606",
            ),
            ("a float without a fraction", json!(1.0), "1"),
            ("a large float", json!(1.5e300), "1.5e300"),
            ("a small float", json!(-2e-9), "-2e-9"),
            ("a decimal", json!("2264733.00"), "2264733.00"),
            (
                "a timestamp",
                json!("2026-11-20T06:00:00.5Z"),
                "2026-11-20T06:00:00.5Z",
            ),
            ("text", json!("UA"), "'UA'"),
            ("text with a quote", json!("O'Hare"), "'O''Hare'"),
            (
                "text that looks like a verdict",
                json!("0.5, expected > 0"),
                "'0.5, expected > 0'",
            ),
            ("empty text", json!(""), "''"),
            ("a control character", json!("a\nb"), r"'a\nb'"),
            ("a list", json!([1, "a", null]), "[1, 'a', null]"),
            (
                "a row",
                json!({"carrier": "UA", "flight": 51}),
                "carrier = 'UA', flight = 51",
            ),
            (
                "a column's name that needs quotes",
                json!({"a = 1, b": 2}),
                r#""a = 1, b" = 2"#,
            ),
            ("true", json!(true), "true"),
        ];
        for (label, value, expected) in cases {
            assert_eq!(full(value), *expected, "{label}");
        }
    }

    #[test]
    fn floats_are_shortened_unless_the_digits_decide() {
        let cases: &[(&str, Value, Option<&str>, &str)] = &[
            (
                "six digits",
                json!(0.9925411540026606),
                Some(">= 0.999"),
                "0.992541",
            ),
            (
                "fewer where fewer are enough",
                json!(0.92),
                Some(">= 0.95"),
                "0.92",
            ),
            (
                "nothing before the point is lost",
                json!(123456789.5),
                None,
                "123456790",
            ),
            (
                "just below the bound",
                json!(0.9999999),
                Some(">= 1"),
                "0.9999999",
            ),
            (
                "just below one of two",
                json!(0.94999999),
                Some("between 0.95 and 1"),
                "0.94999999",
            ),
            (
                "rounding would cross it",
                json!(0.99949991),
                Some(">= 0.99949995"),
                "0.99949991",
            ),
            ("an exact hit", json!(0.95), Some(">= 0.95"), "0.95"),
            (
                "a bound with an exponent",
                json!(1.00000001e-7),
                Some("< 1e-7"),
                "1.00000001e-7",
            ),
            ("negative", json!(-12.639070254), None, "-12.6391"),
            ("zero", json!(0.0), Some("> 0"), "0"),
            ("very small", json!(1.23456789e-9), None, "1.23457e-9"),
            (
                "an integer keeps all digits",
                json!(123456789),
                None,
                "123456789",
            ),
            (
                "a decimal keeps all digits",
                json!("0.123456789"),
                None,
                "0.123456789",
            ),
        ];
        for (label, value, expected, text) in cases {
            assert_eq!(short(value, *expected), *text, "{label}");
        }
    }

    #[test]
    fn counts_sizes_and_times_are_readable() {
        assert_eq!(
            [0, 999, 1000, 336_776, 1_000_000].map(thousands),
            ["0", "999", "1,000", "336,776", "1,000,000"]
        );
        assert_eq!(
            [0, 1, 2].map(|n| count(n, "file")),
            ["0 files", "1 file", "2 files"]
        );
        assert_eq!(
            [0, 999, 1000, 999_949, 999_950, 5_412_733, u64::MAX].map(bytes),
            [
                "0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "5.4 MB", "18.4 EB"
            ]
        );
        assert_eq!(
            [0, 412, 4_129, 59_999, 185_000, 7_620_000].map(duration),
            [
                "0 ms",
                "412 ms",
                "4.12 s",
                "59.99 s",
                "3 min 05 s",
                "2 h 07 min"
            ]
        );
    }
}
