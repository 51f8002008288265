//! The dialect of delimited text: reading records, and telling what is wrong with one.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{RecordBatchOptions, new_null_array};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use regex::Regex;

use super::explain::{ReadError, cleaned, shortened};
use super::quotes::{Marks, Problem, Quotes, line_of_record};
use super::text::{Batches, Dialect, Piece, TextFile, count_lines};

const BUFFER: usize = 256 * 1024;

/// How delimited text is written.
#[derive(Debug, Clone)]
pub(super) struct Csv {
    pub marks: Marks,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Whether a quoted field may hold line breaks.
    pub newlines: bool,
    /// What stands for NULL; the empty text if not given.
    pub null: Option<Regex>,
    /// Columns whose values are not shown in messages.
    pub sensitive: Vec<String>,
}

impl Csv {
    fn format(&self, header: bool) -> Format {
        let mut format = Format::default()
            .with_header(header)
            .with_delimiter(self.marks.delimiter)
            .with_quote(self.marks.quote);
        if let Some(escape) = self.marks.escape {
            format = format.with_escape(escape);
        }
        if let Some(comment) = self.marks.comment {
            format = format.with_comment(comment);
        }
        if let Some(null) = &self.null {
            format = format.with_null_regex(null.clone());
        }
        format
    }

    /// The columns of `file`, with the types of its first `rows` rows.
    pub(super) fn sample(&self, file: &Arc<TextFile>, rows: usize) -> Result<Schema, ReadError> {
        let piece = Piece {
            file: Arc::clone(file),
            start: 0,
            end: None,
        };
        let mut text = self.watched(&piece)?;
        match self.format(self.header).infer_schema(&mut text, Some(rows)) {
            Ok((schema, _)) => Ok(schema),
            Err(error) => Err(text
                .failure
                .unwrap_or_else(|| self.explain(error, &piece, &[]))),
        }
    }

    fn watched(&self, piece: &Piece) -> Result<Watched, ReadError> {
        Ok(Watched {
            text: piece.text()?,
            quotes: Quotes::new(self.marks, self.newlines),
            piece: piece.clone(),
            failure: None,
        })
    }

    /// `error` of reading `piece`, whose columns are `columns`.
    fn explain(&self, error: ArrowError, piece: &Piece, columns: &[String]) -> ReadError {
        let text = match &error {
            ArrowError::IoError(_, cause) => return piece.file.unreadable(cause),
            ArrowError::CsvError(text) | ArrowError::ParseError(text) => text.clone(),
            other => other.to_string(),
        };
        let shown = &piece.file.shown;
        let at = |record: u64| match self.line(piece, record) {
            Some(line) => format!("line {line} of `{shown}`"),
            None => format!("record {record} of `{shown}`"),
        };
        let header = if self.header {
            "the header"
        } else {
            "the first"
        };
        if let Some([_, record, expected, found]) = captured(&RAGGED, &text) {
            let place = at(number(record));
            return ReadError(format!(
                "{place} has {found} {}, {header} has {expected}",
                fields(found)
            ));
        }
        if let Some([_, expected, found, line]) = captured(&UNEQUAL, &text) {
            return ReadError(format!(
                "line {line} of `{shown}` has {found} {}, {header} has {expected}",
                fields(found)
            ));
        }
        let name = |index: usize| {
            columns
                .get(index)
                .map_or_else(String::new, |name| format!(" in column `{name}`"))
        };
        if let Some([_, record, field]) = captured(&NOT_UTF8, &text) {
            let place = at(number(record));
            let column = name(
                usize::try_from(number(field))
                    .unwrap_or(1)
                    .saturating_sub(1),
            );
            return ReadError(format!(
                "{place} is not UTF-8{column}; convert the file to UTF-8"
            ));
        }
        if let Some([_, line]) = captured(&NOT_UTF8_LINE, &text) {
            return ReadError(format!(
                "line {line} of `{shown}` is not UTF-8; convert the file to UTF-8"
            ));
        }
        if let Some([_, value, kind, column, row]) = captured(&WRONG_VALUE, &text) {
            let index = usize::try_from(number(column)).unwrap_or(usize::MAX);
            let place = at(number(row) + 1);
            let sensitive = columns
                .get(index)
                .is_some_and(|name| self.sensitive.contains(name));
            let value = if sensitive {
                "a value".to_owned()
            } else {
                format!("`{}`", shortened(value, 80))
            };
            return ReadError(format!(
                "{place} has {value}{}, which is no {}; correct it, or give the column's type with `types:`, or add it to `null_values:`",
                name(index),
                type_name(kind)
            ));
        }
        if let Some([_, column, row, problem]) = captured(&WRONG_TIME, &text) {
            let index = usize::try_from(number(column)).unwrap_or(usize::MAX);
            let place = at(number(row) + 1);
            let sensitive = columns
                .get(index)
                .is_some_and(|name| self.sensitive.contains(name));
            let problem = if sensitive {
                String::new()
            } else {
                format!(" ({})", cleaned(problem))
            };
            return ReadError(format!(
                "{place} has no valid timestamp{}{problem}",
                name(index)
            ));
        }
        if text.starts_with("CSV header does not match") {
            return ReadError(format!(
                "the header of `{shown}` has changed since it was opened"
            ));
        }
        ReadError(format!("cannot read `{shown}`: {}", cleaned(&text)))
    }

    /// The line of the file on which a record of `piece` begins; records are counted from one.
    fn line(&self, piece: &Piece, record: u64) -> Option<u64> {
        let line = line_of_record(piece.text().ok()?, record, self.marks).ok()??;
        Some(piece.lines_before()? + line)
    }
}

impl Dialect for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn marks(&self) -> Option<Marks> {
        // Without line breaks in values every line break ends a record.
        self.newlines.then_some(self.marks)
    }

    fn read(
        &self,
        piece: Piece,
        schema: &Schema,
        projection: &[usize],
        batch_size: usize,
    ) -> Result<Batches, ReadError> {
        let layout = Layout::new(piece.file.columns.as_deref(), schema, projection);
        let columns: Vec<String> = layout
            .schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let header = self.header && piece.start == 0;
        let reader = ReaderBuilder::new(Arc::new(layout.schema.clone()))
            .with_format(self.format(header).with_header_validation(header))
            .with_batch_size(batch_size)
            .with_projection(layout.projection.clone())
            .build_buffered(BufReader::with_capacity(BUFFER, self.watched(&piece)?))
            .map_err(|error| self.explain(error, &piece, &columns))?;
        let csv = self.clone();
        let mut failed = false;
        Ok(Box::new(reader.map_while(move |batch| {
            // After an error the reader would go on somewhere inside of a record.
            if std::mem::replace(&mut failed, batch.is_err()) {
                return None;
            }
            Some(match batch {
                Ok(batch) => layout.arrange(batch),
                Err(error) => Err(csv.explain(error, &piece, &columns).into()),
            })
        })))
    }
}

/// A reader that fails where the quotes are wrong.
struct Watched {
    text: Box<dyn Read + Send>,
    quotes: Quotes,
    piece: Piece,
    /// Why reading failed.
    failure: Option<ReadError>,
}

impl Watched {
    fn checked(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let count = match self.text.read(buffer) {
            Ok(count) => count,
            Err(error) => return Err(self.piece.file.unreadable(&error)),
        };
        let problem = if count == 0 && !buffer.is_empty() {
            self.quotes.finish()
        } else {
            self.quotes.feed(&buffer[..count]);
            self.quotes.problem()
        };
        match problem {
            Some(problem) => Err(misquoted(problem, &self.piece)),
            None => Ok(count),
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.checked(buffer).map_err(|failure| {
            self.failure = Some(failure.clone());
            io::Error::other(failure)
        })
    }
}

/// Where the columns of a table are in a file.
struct Layout {
    /// The columns in the order of the file.
    schema: Schema,
    /// Which of them are read.
    projection: Vec<usize>,
    /// What the table wants, and which of the columns read it is; none is NULL throughout.
    wanted: Vec<(Arc<Field>, Option<usize>)>,
}

impl Layout {
    fn new(columns: Option<&[String]>, table: &Schema, projection: &[usize]) -> Self {
        let Some(columns) = columns else {
            let wanted = projection.iter().enumerate();
            let wanted =
                wanted.map(|(place, index)| (Arc::clone(&table.fields()[*index]), Some(place)));
            return Self {
                wanted: wanted.collect(),
                schema: table.clone(),
                projection: projection.to_vec(),
            };
        };
        let places: HashMap<&str, usize> = columns
            .iter()
            .enumerate()
            .map(|(place, name)| (name.as_str(), place))
            .collect();
        let field = |name: &String| {
            let known = table.field_with_name(name).cloned();
            known.unwrap_or_else(|_| Field::new(name, DataType::Utf8, true))
        };
        let mut read = Vec::new();
        let mut wanted = Vec::new();
        for index in projection {
            let field = Arc::clone(&table.fields()[*index]);
            let place = places.get(field.name().as_str()).map(|place| {
                read.push(*place);
                read.len() - 1
            });
            wanted.push((field, place));
        }
        Self {
            schema: Schema::new(columns.iter().map(field).collect::<Vec<_>>()),
            projection: read,
            wanted,
        }
    }

    fn arrange(&self, batch: RecordBatch) -> Result<RecordBatch, DataFusionError> {
        let rows = batch.num_rows();
        let columns = self.wanted.iter().map(|(field, place)| match place {
            Some(place) => Arc::clone(batch.column(*place)),
            None => new_null_array(field.data_type(), rows),
        });
        let fields: Vec<Arc<Field>> = self
            .wanted
            .iter()
            .map(|(field, _)| Arc::clone(field))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new_with_options(
            schema,
            columns.collect(),
            &options,
        )?)
    }
}

/// What `problem` means to who wrote the file.
fn misquoted(problem: Problem, piece: &Piece) -> ReadError {
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

fn fields(count: &str) -> &'static str {
    if count == "1" { "field" } else { "fields" }
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
