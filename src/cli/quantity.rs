//! Quantities on the command line: bytes, times, dates, `NAME=VALUE`.

use std::time::Duration;

use chrono::NaiveDate;

/// Units of memory with their bytes.
const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Units of time with their milliseconds.
const MILLISECONDS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000)];

/// `256MiB`, `1.5 GB` or plain bytes.
pub fn bytes(text: &str) -> Result<usize, String> {
    let number = scaled(text, BYTES, 1)?;
    usize::try_from(number).map_err(|_| "that is more than there can be".to_owned())
}

/// `30s`, `500ms`, `1.5h` or plain seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    scaled(text, MILLISECONDS, 1000).map(Duration::from_millis)
}

/// `2026-11-20`.
pub fn date(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_err(|_| "a date that exists is written as in 2026-11-20".to_owned())
}

/// `NAME=VALUE`; the value may be empty, the name may not.
pub fn pair(text: &str) -> Result<(String, String), String> {
    parts(text, "NAME=VALUE")
}

/// `FIELD=VALUE`, likewise.
pub fn field(text: &str) -> Result<(String, String), String> {
    parts(text, "FIELD=VALUE")
}

/// `FORMAT=PATH`; neither may be empty, and the path is not standard output, which is the
/// report's.
pub fn output(text: &str) -> Result<(String, String), String> {
    match parts(text, "FORMAT=PATH")? {
        (_, path) if path.is_empty() => Err("it names no file".to_owned()),
        (_, path) if path == "-" => {
            Err("standard output is for the report itself; name a file".to_owned())
        }
        parts => Ok(parts),
    }
}

fn parts(text: &str, form: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!("it is written {form}")),
    }
}

/// A number above 0 with a unit, where one without has the unit of size `plain`.
fn scaled(text: &str, units: &[(&str, u64)], plain: u64) -> Result<u64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let known = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let size = match known {
        Some((_, size)) => *size,
        None if unit.is_empty() => plain,
        None => return Err(unknown(number, unit, units)),
    };
    let refused = || format!("it is a number with a unit, as in {}", example(units));
    let total = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(size),
        Err(_) => {
            let fraction: f64 = number.parse().map_err(|_| refused())?;
            let total = (fraction * size as f64).round();
            (total < u64::MAX as f64).then_some(total as u64)
        }
    };
    match total {
        Some(0) => Err("it must be more than 0".to_owned()),
        Some(total) => Ok(total),
        None => Err("that is more than there can be".to_owned()),
    }
}

/// Which units begin as `unit` does, else which there are.
fn unknown(number: &str, unit: &str, units: &[(&str, u64)]) -> String {
    let first = unit.chars().next().map(|c| c.to_ascii_lowercase());
    let begin_alike = |name: &&str| name.chars().next().map(|c| c.to_ascii_lowercase()) == first;
    let names = || units.iter().map(|(name, _)| *name);
    let near: Vec<String> = names()
        .filter(begin_alike)
        .map(|name| format!("`{number}{name}`"))
        .collect();
    if number.is_empty() || near.is_empty() {
        let names: Vec<&str> = names().collect();
        return format!(
            "it is a number with one of the units {}, as in {}",
            names.join(", "),
            example(units)
        );
    }
    format!("unknown unit `{unit}`, did you mean {}?", near.join(" or "))
}

fn example(units: &[(&str, u64)]) -> &'static str {
    if units == BYTES { "256MiB" } else { "30s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_number_of_bytes_or_has_a_unit() {
        let cases: &[(&str, Result<usize, &str>)] = &[
            ("1048576", Ok(1 << 20)),
            ("256MiB", Ok(256 << 20)),
            ("256 mib", Ok(256 << 20)),
            ("64KB", Ok(64_000)),
            ("1.5GiB", Ok(3 << 29)),
            ("2TB", Ok(2_000_000_000_000)),
            (
                "256M",
                Err("unknown unit `M`, did you mean `256MB` or `256MiB`?"),
            ),
            (
                "1Gigabyte",
                Err("unknown unit `Gigabyte`, did you mean `1GB` or `1GiB`?"),
            ),
            (
                "5 apples",
                Err(
                    "it is a number with one of the units B, KB, MB, GB, TB, KiB, MiB, GiB, TiB, as in 256MiB",
                ),
            ),
            (
                "lots",
                Err(
                    "it is a number with one of the units B, KB, MB, GB, TB, KiB, MiB, GiB, TiB, as in 256MiB",
                ),
            ),
            ("", Err("it is a number with a unit, as in 256MiB")),
            ("1.2.3MB", Err("it is a number with a unit, as in 256MiB")),
            ("0", Err("it must be more than 0")),
            ("99999999999TiB", Err("that is more than there can be")),
            ("99999999999.5TiB", Err("that is more than there can be")),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_number_of_seconds_or_has_a_unit() {
        let cases: &[(&str, Result<u64, &str>)] = &[
            ("30", Ok(30_000)),
            ("30s", Ok(30_000)),
            ("1.5h", Ok(5_400_000)),
            ("250 ms", Ok(250)),
            ("2min", Ok(120_000)),
            ("2m", Err("unknown unit `m`, did you mean `2ms` or `2min`?")),
            (
                "soon",
                Err("it is a number with one of the units ms, s, min, h, as in 30s"),
            ),
        ];
        for (text, expected) in cases {
            let expected = expected.map(Duration::from_millis).map_err(str::to_owned);
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_and_pairs_are_read_strictly() {
        assert!(date("2024-02-29").is_ok());
        assert!(date("2023-02-29").is_err());
        assert!(date("20240229").is_err());
        assert_eq!(pair("env=a=b"), Ok(("env".to_owned(), "a=b".to_owned())));
        assert_eq!(pair("env="), Ok(("env".to_owned(), String::new())));
        assert!(pair("env").is_err());
        assert!(pair("=x").is_err());
    }
}
