//! Tables of case files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, StringArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use veracity::suite::Dataset;

/// A table and how it is kept.
pub struct Table {
    /// Its name.
    pub name: String,
    rows: RecordBatch,
    kept: Kept,
    timezone: Option<String>,
}

enum Kept {
    Batches(usize),
    Csv,
    Parquet(Option<usize>),
}

impl Table {
    /// Reads `head`, what follows the word `table`, and the lines of columns and rows.
    pub fn parse(head: &str, lines: &[&str]) -> Result<Self, String> {
        let mut words = head.split_whitespace().peekable();
        let name = words.next().ok_or("a table needs a name")?.to_owned();
        let mut kept = Kept::Batches(1);
        let mut timezone = None;
        while let Some(word) = words.next() {
            match word {
                "timezone" => timezone = words.next().map(str::to_owned),
                "as" => {
                    let how = words.next().unwrap_or_default();
                    let number = words.next_if(|word| word.parse::<usize>().is_ok());
                    let number = number.map(|number| number.parse().unwrap());
                    kept = match how {
                        "parquet" => Kept::Parquet(number),
                        "csv" => Kept::Csv,
                        "batches" => Kept::Batches(number.unwrap_or(1)),
                        _ => return Err(format!("no way to keep a table: {how}")),
                    };
                }
                _ => return Err(format!("no such option of a table: {word}")),
            }
        }
        let (columns, rows) = lines.split_first().ok_or("a table needs columns")?;
        let cells: Vec<Vec<Cell>> = rows.iter().map(|row| cells(row)).collect();
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (index, column) in cells_of_header(columns).into_iter().enumerate() {
            let (name, type_name) = column;
            let column: Vec<&Cell> = cells
                .iter()
                .map(|row| row.get(index).ok_or(format!("a row lacks `{name}`")))
                .collect::<Result<_, _>>()?;
            let array = array(&column, &type_name)?;
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        if let Some(row) = cells.iter().position(|row| row.len() != fields.len()) {
            return Err(format!("row {} has {} cells", row + 1, cells[row].len()));
        }
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            name,
            rows,
            kept,
            timezone,
        })
    }

    /// The table as a dataset; files are written into `folder`.
    pub fn dataset(&self, folder: &Path) -> std::io::Result<Dataset> {
        let path = |extension: &str| {
            let path = folder.join(format!("{}.{extension}", self.name));
            (path.to_string_lossy().into_owned(), File::create(&path))
        };
        let dataset: Dataset = match self.kept {
            Kept::Batches(n) => Dataset::batches(&self.name, split(&self.rows, n)),
            Kept::Csv => {
                let (path, file) = path("csv");
                let mut writer = WriterBuilder::new().with_header(true).build(file?);
                writer.write(&self.rows).unwrap();
                Dataset::path(&self.name, path).into()
            }
            Kept::Parquet(rows) => {
                let (path, file) = path("parquet");
                let properties = WriterProperties::builder()
                    .set_max_row_group_row_count(rows.or(Some(1 << 20)))
                    .build();
                let mut writer =
                    ArrowWriter::try_new(file?, self.rows.schema(), Some(properties)).unwrap();
                writer.write(&self.rows).unwrap();
                writer.close().unwrap();
                Dataset::path(&self.name, path).into()
            }
        };
        Ok(match &self.timezone {
            Some(zone) => dataset.timezone(zone),
            None => dataset,
        })
    }
}

fn split(rows: &RecordBatch, n: usize) -> Vec<RecordBatch> {
    let size = rows.num_rows().div_ceil(n).max(1);
    let batches: Vec<RecordBatch> = (0..rows.num_rows())
        .step_by(size)
        .map(|start| rows.slice(start, size.min(rows.num_rows() - start)))
        .collect();
    if batches.is_empty() {
        vec![rows.clone()]
    } else {
        batches
    }
}

/// A cell's text; `None` is NULL.
type Cell = Option<String>;

fn cells(line: &str) -> Vec<Cell> {
    fields(line)
        .into_iter()
        .map(|(text, quoted)| (quoted || text != "NULL").then_some(text))
        .collect()
}

fn cells_of_header(line: &str) -> Vec<(String, String)> {
    fields(line)
        .into_iter()
        .map(|(text, _)| match text.rsplit_once(':') {
            Some((name, type_name)) => (name.to_owned(), type_name.to_owned()),
            None => (text, "text".to_owned()),
        })
        .collect()
}

/// The fields of a line and whether they were quoted. Commas within quotes, parentheses
/// and brackets separate nothing.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = Vec::new();
    let mut text = String::new();
    let (mut in_quotes, mut quoted, mut depth) = (false, false, 0);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.next_if_eq(&'"').is_some() => text.push('"'),
            '"' => {
                in_quotes = !in_quotes;
                quoted = true;
            }
            ',' if !in_quotes && depth == 0 => {
                fields.push((std::mem::take(&mut text), quoted));
                quoted = false;
            }
            other => {
                match other {
                    '(' | '[' if !in_quotes => depth += 1,
                    ')' | ']' if !in_quotes => depth -= 1,
                    _ => {}
                }
                text.push(other);
            }
        }
    }
    fields.push((text, quoted));
    fields
}

fn array(cells: &[&Cell], type_name: &str) -> Result<ArrayRef, String> {
    if let Some(element) = type_name.strip_suffix("[]") {
        return list(cells, element);
    }
    let texts: StringArray = cells.iter().map(|cell| cell.as_deref()).collect();
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(&texts, &data_type(type_name)?, &options).map_err(|error| error.to_string())
}

/// Lists are written `[1 2 NULL]`.
fn list(cells: &[&Cell], element: &str) -> Result<ArrayRef, String> {
    let mut elements: Vec<Cell> = Vec::new();
    let mut lengths = Vec::new();
    for cell in cells {
        let text = cell.as_deref().unwrap_or_default();
        let members = text.trim_matches(['[', ']']).split_whitespace();
        let before = elements.len();
        elements.extend(members.map(|member| (member != "NULL").then(|| member.to_owned())));
        lengths.push(elements.len() - before);
    }
    let values = array(&elements.iter().collect::<Vec<_>>(), element)?;
    let field = Field::new("item", values.data_type().clone(), true);
    let nulls: NullBuffer = cells.iter().map(|cell| cell.is_some()).collect();
    let lists = ListArray::new(
        Arc::new(field),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(nulls),
    );
    Ok(Arc::new(lists))
}

fn data_type(name: &str) -> Result<DataType, String> {
    let zone = || Some("UTC".into());
    Ok(match name {
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::Int8,
        "smallint" => DataType::Int16,
        "int" => DataType::Int32,
        "bigint" => DataType::Int64,
        "utinyint" => DataType::UInt8,
        "usmallint" => DataType::UInt16,
        "uint" => DataType::UInt32,
        "ubigint" => DataType::UInt64,
        "real" => DataType::Float32,
        "double" => DataType::Float64,
        "text" => DataType::Utf8,
        "textview" => DataType::Utf8View,
        "largetext" => DataType::LargeUtf8,
        "dictionary" => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, zone()),
        decimal => {
            let digits = decimal
                .strip_prefix("decimal(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|rest| rest.split_once(','))
                .ok_or(format!("no such type: {decimal}"))?;
            let precision: u8 = digits.0.trim().parse().map_err(|_| "no precision")?;
            let scale: i8 = digits.1.trim().parse().map_err(|_| "no scale")?;
            if precision > 38 {
                DataType::Decimal256(precision, scale)
            } else {
                DataType::Decimal128(precision, scale)
            }
        }
    })
}
