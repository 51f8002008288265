//! What is wrong with a CSV file, from Arrow's error and a second look at the file.

use std::io::Read;
use std::sync::LazyLock;

use datafusion::arrow::datatypes::{Field, Fields};
use datafusion::arrow::error::ArrowError;
use regex::Regex;

use super::csv::Csv;
use super::explain::{ReadError, cleaned, shortened};
use super::quotes::{Problem, line_of_record};
use super::text::{Piece, count_lines};

/// `error` of reading `piece`, a file whose columns are `columns`.
pub(super) fn explain(csv: &Csv, error: &ArrowError, piece: &Piece, columns: &Fields) -> ReadError {
    let text = match error {
        ArrowError::IoError(_, cause) => return piece.file.unreadable(cause),
        ArrowError::CsvError(text) | ArrowError::ParseError(text) => text.as_str(),
        other => &other.to_string(),
    };
    let shown = &piece.file.shown;
    let told = ragged(csv, text, piece)
        .or_else(|| not_utf8(csv, text, piece, columns))
        .or_else(|| wrong_value(csv, text, piece, columns))
        .or_else(|| wrong_time(csv, text, piece, columns));
    ReadError(told.unwrap_or_else(|| {
        if text.starts_with("CSV header does not match") {
            format!("the header of `{shown}` has changed since it was opened")
        } else {
            format!("cannot read `{shown}`: {}", cleaned(text))
        }
    }))
}

/// `error` of the decimal in `column` of record number `record`.
pub(super) fn wrong_decimal(
    csv: &Csv,
    error: &ArrowError,
    piece: &Piece,
    record: u64,
    column: &Field,
) -> ReadError {
    let detail = if csv.sensitive.contains(column.name()) {
        String::new()
    } else {
        format!(" ({})", shortened(&cleaned(&error.to_string()), 160))
    };
    ReadError(format!(
        "{} has a value in column `{}` that is no {}{detail}",
        place(csv, piece, record),
        column.name(),
        column.data_type()
    ))
}

/// What `problem` means to who wrote the file.
pub(super) fn misquoted(problem: Problem, piece: &Piece) -> ReadError {
    let line = || -> Option<u64> {
        let text = piece.text().ok()?;
        let before = count_lines(text.take(problem.offset())).ok()?;
        Some(piece.lines_before()? + before + 1)
    };
    let shown = &piece.file.shown;
    let place = line().map_or_else(
        || format!("`{shown}`"),
        |line| format!("line {line} of `{shown}`"),
    );
    ReadError(match problem {
        Problem::Unclosed(_) => {
            format!("{place} has an unclosed quote: all that follows would be one value")
        }
        Problem::Swallowed(_) => format!(
            "{place} most likely has an unclosed quote: the value goes on for lines, up to a quote that text follows"
        ),
        Problem::Broken(_) => format!(
            "{place} has a value with a line break; allow them with `newlines_in_values: true`"
        ),
    })
}

fn ragged(csv: &Csv, text: &str, piece: &Piece) -> Option<String> {
    let first = if csv.header {
        "the header"
    } else {
        "the first"
    };
    let (place, expected, found) =
        if let Some([_, record, expected, found]) = captured(&RAGGED, text) {
            (place(csv, piece, number(record)), expected, found)
        } else {
            let [_, expected, found, line] = captured(&UNEQUAL, text)?;
            (
                format!("line {line} of `{}`", piece.file.shown),
                expected,
                found,
            )
        };
    let fields = if found == "1" { "field" } else { "fields" };
    Some(format!(
        "{place} has {found} {fields}, {first} has {expected}"
    ))
}

fn not_utf8(csv: &Csv, text: &str, piece: &Piece, columns: &Fields) -> Option<String> {
    let place = if let Some([_, record, field]) = captured(&NOT_UTF8, text) {
        let column = number(field)
            .checked_sub(1)
            .and_then(|index| column(columns, index));
        let column = column.map_or_else(String::new, |column| {
            format!(", column `{}`,", column.name())
        });
        format!("{}{column}", place(csv, piece, number(record)))
    } else {
        let [_, line] = captured(&NOT_UTF8_LINE, text)?;
        format!("line {line} of `{}`", piece.file.shown)
    };
    Some(format!("{place} is not UTF-8; convert the file to UTF-8"))
}

fn wrong_value(csv: &Csv, text: &str, piece: &Piece, columns: &Fields) -> Option<String> {
    let [_, value, kind, index, row] = captured(&WRONG_VALUE, text)?;
    let name = column(columns, number(index))?.name();
    let value = if csv.sensitive.contains(name) {
        "a value".to_owned()
    } else {
        format!("`{}`", shortened(value, 80))
    };
    Some(format!(
        "{} has {value} in column `{name}`, which is no {}; correct it, or give the column's type \
         with `types:`, or add it to `null_values:`",
        place(csv, piece, number(row) + 1),
        type_name(kind)
    ))
}

fn wrong_time(csv: &Csv, text: &str, piece: &Piece, columns: &Fields) -> Option<String> {
    let [_, index, row, problem] = captured(&WRONG_TIME, text)?;
    let name = column(columns, number(index))?.name();
    let problem = if csv.sensitive.contains(name) {
        String::new()
    } else {
        format!(" ({})", shortened(&cleaned(problem), 160))
    };
    let place = place(csv, piece, number(row) + 1);
    Some(format!(
        "{place} has no valid timestamp in column `{name}`{problem}"
    ))
}

/// Where record number `record` of `piece` begins; records are counted from one.
fn place(csv: &Csv, piece: &Piece, record: u64) -> String {
    let shown = &piece.file.shown;
    let line = || -> Option<u64> {
        let line = line_of_record(piece.text().ok()?, record, csv.marks).ok()??;
        Some(piece.lines_before()? + line)
    };
    match line() {
        Some(line) => format!("line {line} of `{shown}`"),
        None => format!("record {record} of `{shown}`"),
    }
}

fn column(columns: &Fields, index: u64) -> Option<&Field> {
    let index = usize::try_from(index).ok()?;
    columns.get(index).map(|field| field.as_ref())
}

static RAGGED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^incorrect number of fields for line (\d+), expected (\d+) got ((?:more than )?\d+)")
});
static UNEQUAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"unequal lengths .*Expected (\d+) records, found (\d+) records at line (\d+)")
});
static NOT_UTF8: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"invalid UTF-8 data for line (\d+) and field (\d+)"));
static NOT_UTF8_LINE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?s)UTF-8 error .* at line (\d+)"));
static WRONG_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?s)^Error while parsing value '(.*?)' as type '([^']*)' for column (\d+) at line (\d+)\. Row data:",
    )
});
static WRONG_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?s)^Error parsing column (\d+) at line (\d+): (.*)$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is written here and valid")
}

fn captured<'a, const N: usize>(pattern: &Regex, text: &'a str) -> Option<[&'a str; N]> {
    let found = pattern.captures(text)?;
    let mut groups = [""; N];
    for (index, group) in groups.iter_mut().enumerate() {
        *group = found.get(index)?.as_str();
    }
    Some(groups)
}

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(0)
}

/// What people call the type that Arrow calls `kind`.
fn type_name(kind: &str) -> String {
    match kind {
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => {
            format!("integer ({kind})")
        }
        "Float16" | "Float32" | "Float64" => format!("number ({kind})"),
        "Boolean" => "boolean".to_owned(),
        "Date32" | "Date64" => "date".to_owned(),
        other => other.to_owned(),
    }
}
