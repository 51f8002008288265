//! Values as databases take them.

use serde::Serialize;
use serde_json::Value;

/// The most bytes of a text in one column.
pub(crate) const TEXT_BYTES: usize = 64 * 1024;

/// `text` as every database can hold it: a NUL, which PostgreSQL refuses, is written
/// `\u{0}`; what is longer than [`TEXT_BYTES`] ends with how many bytes it had.
pub(crate) fn text(text: &str) -> String {
    bounded(text, TEXT_BYTES)
}

/// `text` for a column of 255 characters.
pub(crate) fn key(text: &str) -> String {
    let written = escaped(text);
    if written.chars().count() <= veracity_sql::Dialect::KEY_CHARS {
        return written;
    }
    let marker = marker(text);
    let kept = veracity_sql::Dialect::KEY_CHARS - marker.chars().count();
    written.chars().take(kept).chain(marker.chars()).collect()
}

fn bounded(text: &str, bytes: usize) -> String {
    // Escaping makes six bytes of one; a long text is not escaped as a whole.
    let head = &text[..text.floor_char_boundary(bytes + 1)];
    let written = escaped(head);
    if head.len() == text.len() && written.len() <= bytes {
        return written;
    }
    let marker = marker(text);
    let end = written.floor_char_boundary(bytes - marker.len());
    format!("{}{marker}", &written[..end])
}

fn escaped(text: &str) -> String {
    text.replace('\0', "\\u{0}")
}

fn marker(text: &str) -> String {
    format!(" … (truncated, {} bytes)", text.len())
}

/// A JSON value as people read it: a text without quotes, anything else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        value => text(&value.to_string()),
    }
}

/// `value` as JSON; where that would be too long, its beginning as a JSON text.
pub(crate) fn json(value: &impl Serialize) -> String {
    // Only maps whose keys are no texts fail, and reports have none.
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    if json.len() <= TEXT_BYTES {
        return json;
    }
    // Quotes and backslashes take two bytes in a text.
    Value::from(bounded(&json, TEXT_BYTES / 2 - 1)).to_string()
}

/// `items` as a JSON array; where that would be too long, its beginning and how many
/// items are left out.
pub(crate) fn list<T: Serialize>(items: &[T]) -> String {
    let mut array = "[".to_owned();
    for (number, item) in items.iter().enumerate() {
        let item = json(item);
        // Room for the rest, in words.
        if array.len() + item.len() + 64 > TEXT_BYTES {
            let left = items.len() - number;
            let comma = if number > 0 { "," } else { "" };
            array.push_str(&format!("{comma}\"… (truncated, {left} more)\""));
            break;
        }
        if number > 0 {
            array.push(',');
        }
        array.push_str(&item);
    }
    array.push(']');
    array
}

/// The word that stands for a variant of an enum in the report's JSON.
pub(crate) fn word(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(Value::String(word)) => key(&word),
        other => key(&format!("{other:?}")),
    }
}

/// `value` of the type `kind`, in DataFusion's words, as a number if it is one. Texts
/// hold decimals and large integers.
pub(crate) fn number(value: Option<&Value>, kind: Option<&str>) -> Option<f64> {
    let number = match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if is_numeric(kind?) => text.parse().ok(),
        _ => None,
    };
    number.and_then(finite)
}

fn is_numeric(kind: &str) -> bool {
    ["Int", "UInt", "Float", "Decimal"]
        .iter()
        .any(|numeric| kind.starts_with(numeric))
}

/// `number`, unless it is infinite or no number: MySQL has neither.
pub(crate) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

/// `number`, as far as 64 bits with a sign go.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `date` if it is one, `YYYY-MM-DD`.
pub(crate) fn date(date: &str) -> Option<String> {
    let b = date.as_bytes();
    if b.len() != 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&date[..4])?,
        digits(&date[5..7])?,
        digits(&date[8..])?,
    );
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    ((1..=9999).contains(&year) && (1..=days).contains(&day)).then(|| date.to_owned())
}

/// A moment of RFC 3339 in UTC as `YYYY-MM-DD HH:MM:SS.ffffff`, if it is one.
pub(crate) fn moment(text: &str) -> Option<String> {
    let text = text
        .strip_suffix(['Z', 'z'])
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (day, time) = text.split_once(['T', 't', ' '])?;
    let day = date(day)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Vec<u32> = clock.split(':').map(digits).collect::<Option<_>>()?;
    let [0..24, 0..60, second @ 0..=60] = parts[..] else {
        return None;
    };
    if clock.len() != 8 || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Databases know no leap seconds.
    let second = second.min(59);
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(format!("{day} {}:{second:02}.{fraction}", &clock[..5]))
}

fn digits(text: &str) -> Option<u32> {
    let all = text.bytes().all(|b| b.is_ascii_digit());
    (all && !text.is_empty()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_does_not_fit_says_how_long_it_was() {
        assert_eq!(text("a\0b"), "a\\u{0}b");
        assert_eq!(text("é".repeat(TEXT_BYTES / 2).as_str()).len(), TEXT_BYTES);
        for long in [
            "é".repeat(5_000_000),
            "\0".repeat(10_000_000),
            "x".repeat(10_000_000),
        ] {
            let cut = text(&long);
            assert!(cut.len() <= TEXT_BYTES && cut.len() > TEXT_BYTES - 10);
            assert!(
                cut.ends_with(" … (truncated, 10000000 bytes)"),
                "{}",
                cut.len()
            );
        }
        let cut = key(&"数".repeat(300));
        assert_eq!(cut.chars().count(), 255);
        assert!(cut.ends_with("数 … (truncated, 900 bytes)"), "{cut}");
        assert_eq!(key(&"数".repeat(255)), "数".repeat(255));
    }

    #[test]
    fn json_stays_json_when_it_is_cut() {
        assert_eq!(list(&["a", "b\0"]), r#"["a","b\u0000"]"#);
        assert_eq!(list::<String>(&[]), "[]");
        let long = vec!["\"".repeat(1000); 100];
        let cut: Vec<String> = serde_json::from_str(&list(&long)).unwrap();
        assert_eq!(cut.last().unwrap(), "… (truncated, 68 more)");
        assert_eq!(cut.len(), 33);
        let huge = ["\"".repeat(10_000_000)];
        for written in [list(&huge), json(&json!({"a": huge[0]}))] {
            assert!(written.len() <= TEXT_BYTES);
            assert!(serde_json::from_str::<Value>(&written).is_ok());
        }
    }

    #[test]
    fn numbers_are_found_in_texts_of_numeric_types() {
        let cases = [
            (json!(1.5), Some("Float64"), Some(1.5)),
            (
                json!("2264733.00"),
                Some("Decimal128(38, 2)"),
                Some(2264733.0),
            ),
            (
                json!("18446744073709551615"),
                Some("UInt64"),
                Some(1.8446744073709552e19),
            ),
            (json!("12"), Some("Utf8"), None),
            (json!("12"), None, None),
            (json!("NaN"), Some("Float64"), None),
            (json!("inf"), Some("Float64"), None),
            (json!(true), Some("Boolean"), None),
            (json!(null), Some("Int64"), None),
        ];
        for (value, kind, expected) in cases {
            assert_eq!(number(Some(&value), kind), expected, "{value}");
        }
    }

    #[test]
    fn moments_and_dates_are_checked() {
        let cases = [
            (
                "2026-11-20T06:00:00.412Z",
                Some("2026-11-20 06:00:00.412000"),
            ),
            (
                "2026-11-20T06:00:00+00:00",
                Some("2026-11-20 06:00:00.000000"),
            ),
            ("2026-12-31T23:59:60Z", Some("2026-12-31 23:59:59.000000")),
            (
                "2026-11-20T06:00:00.1234567Z",
                Some("2026-11-20 06:00:00.123456"),
            ),
            ("2026-11-20T06:00:00+01:00", None),
            ("2026-02-29T06:00:00Z", None),
            ("2026-11-20T24:00:00Z", None),
            ("2026-11-20T6:00:00Z", None),
            ("2026-11-20T06:00:00.Z", None),
            ("2026-11-20", None),
            ("", None),
        ];
        for (written, expected) in cases {
            assert_eq!(moment(written).as_deref(), expected, "{written}");
        }
        for (written, is_one) in [
            ("2024-02-29", true),
            ("1900-02-29", false),
            ("2026-13-01", false),
            ("2026-00-10", false),
            ("2026-01-00", false),
            ("0000-01-01", false),
            ("2026-1-100", false),
            ("дата-01-0", false),
            ("'; drop --", false),
        ] {
            assert_eq!(date(written).is_some(), is_one, "{written}");
        }
    }
}
