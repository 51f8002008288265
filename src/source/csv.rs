//! The dialect of delimited text.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatchOptions, new_null_array};
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::csv::{self, ReaderBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use regex::Regex;

use super::csv_errors::{explain, misquoted, wrong_decimal};
use super::explain::ReadError;
use super::quotes::{Marks, Quotes};
use super::text::{Batches, Dialect, Piece, TextFile};

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
                .unwrap_or_else(|| explain(self, &error, &piece, &Fields::empty()))),
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

    /// Reads the columns of `layout` at `projection` from `piece`.
    fn reader(
        &self,
        piece: &Piece,
        layout: &Layout,
        projection: Vec<usize>,
        batch_size: usize,
    ) -> Result<csv::reader::BufReader<BufReader<Watched>>, ReadError> {
        let header = self.header && piece.start == 0;
        ReaderBuilder::new(Arc::clone(&layout.schema))
            .with_format(self.format(header).with_header_validation(header))
            .with_batch_size(batch_size)
            .with_projection(projection)
            .build_buffered(BufReader::with_capacity(BUFFER, self.watched(piece)?))
            .map_err(|error| explain(self, &error, piece, layout.schema.fields()))
    }

    /// `error` of reading `piece` as `layout` says.
    fn failure(&self, error: &ArrowError, piece: &Piece, layout: &Layout) -> ReadError {
        let culprit = match error {
            ArrowError::ParseError(text) if text.contains("decimal") => {
                self.no_decimal(piece, layout)
            }
            _ => None,
        };
        culprit.unwrap_or_else(|| explain(self, error, piece, layout.schema.fields()))
    }

    /// The first value that is no decimal, which Arrow's error does not locate: read again, one by
    /// one.
    fn no_decimal(&self, piece: &Piece, layout: &Layout) -> Option<ReadError> {
        let header = u64::from(self.header && piece.start == 0);
        let columns = layout.projection.iter().copied();
        let decimals =
            columns.filter(|column| layout.schema.field(*column).data_type().is_decimal());
        let first = decimals.filter_map(|column| {
            let reader = self.reader(piece, layout, vec![column], 1).ok()?;
            let mut rows = (1..).zip(reader);
            rows.find_map(|(row, batch)| Some((row + header, column, batch.err()?)))
        });
        let (record, column, error) = first.min_by_key(|(record, ..)| *record)?;
        Some(wrong_decimal(
            self,
            &error,
            piece,
            record,
            layout.schema.field(column),
        ))
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
        let reader = self.reader(&piece, &layout, layout.projection.clone(), batch_size)?;
        let csv = self.clone();
        let mut failed = false;
        Ok(Box::new(reader.map_while(move |batch| {
            // After an error the reader would go on somewhere inside of a record.
            if std::mem::replace(&mut failed, batch.is_err()) {
                return None;
            }
            Some(match batch {
                Ok(batch) => layout.arrange(batch),
                Err(error) => Err(csv.failure(&error, &piece, &layout).into()),
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
    schema: SchemaRef,
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
                schema: Arc::new(table.clone()),
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
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
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
