//! The dialect of JSON lines.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::infer_json_schema_from_iterator;
use serde_json::Value;

use super::explain::{ReadError, cleaned, shortened};
use super::quotes::Marks;
use super::text::{Batches, Dialect, Piece, TextFile};

const BUFFER: usize = 256 * 1024;

/// How JSON lines are written.
#[derive(Debug, Clone)]
pub(super) struct Json {
    /// Columns whose values are not shown in messages.
    pub sensitive: Vec<String>,
}

/// The first `rows` records of `file`.
pub(super) fn sample(file: &TextFile, rows: usize) -> Result<Vec<Value>, ReadError> {
    let mut text = BufReader::new(file.text(0, None)?);
    let mut values = Vec::new();
    let mut line = Vec::new();
    let mut number = 0;
    while values.len() < rows {
        line.clear();
        number += 1;
        let count = text
            .read_until(b'\n', &mut line)
            .map_err(|error| file.unreadable(&error))?;
        if count == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let shown = &file.shown;
        match serde_json::from_slice(&line) {
            Ok(value @ Value::Object(_)) => values.push(value),
            Ok(Value::Array(_)) => return Err(array(shown)),
            Ok(_) => {
                return Err(ReadError(format!(
                    "line {number} of `{shown}` is no JSON object"
                )));
            }
            Err(_) if values.is_empty() && line.trim_ascii_start().starts_with(b"[") => {
                return Err(array(shown));
            }
            Err(error) => {
                return Err(ReadError(format!(
                    "line {number} of `{shown}` is not one JSON object: {}",
                    syntax(&error)
                )));
            }
        }
    }
    Ok(values)
}

fn array(shown: &str) -> ReadError {
    ReadError(format!(
        "`{shown}` is a JSON array; write one object a line, for instance with `jq -c '.[]'`"
    ))
}

/// What `error` says, without its line, which is that of the record and always one.
fn syntax(error: &serde_json::Error) -> String {
    error
        .to_string()
        .replace(" at line 1 column", " at column")
        .replace(" at line 2 column 0", "")
}

/// The columns of `records`, in the order of their first appearance.
pub(super) fn infer(records: &[Value]) -> Result<Schema, ArrowError> {
    let inferred = infer_json_schema_from_iterator(records.iter().map(Ok::<_, ArrowError>))?;
    let mut places: HashMap<&str, usize> = HashMap::new();
    for name in records
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|record| record.keys())
    {
        let next = places.len();
        places.entry(name).or_insert(next);
    }
    let mut fields: Vec<FieldRef> = inferred.fields().iter().map(sorted).collect();
    fields.sort_by_key(|field| places.get(field.name().as_str()).copied());
    Ok(Schema::new(fields))
}

/// `field` with the members of its structs sorted: inference has them in no order.
fn sorted(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Struct(members) => {
            let mut members: Vec<FieldRef> = members.iter().map(sorted).collect();
            members.sort_by(|a, b| a.name().cmp(b.name()));
            DataType::Struct(Fields::from(members))
        }
        DataType::List(item) => DataType::List(sorted(item)),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), kind, field.is_nullable()))
}

impl Dialect for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn marks(&self) -> Option<Marks> {
        None
    }

    fn read(
        &self,
        piece: Piece,
        schema: &Schema,
        projection: &[usize],
        batch_size: usize,
    ) -> Result<Batches, ReadError> {
        let schema = schema
            .project(projection)
            .map_err(|error| ReadError(error.to_string()))?;
        let schema = Arc::new(schema);
        let reader = ReaderBuilder::new(Arc::clone(&schema))
            .with_batch_size(batch_size)
            .with_coerce_primitive(true)
            .build(BufReader::with_capacity(BUFFER, piece.text()?))
            .map_err(|error| self.explain(error, &piece, &schema))?;
        let json = self.clone();
        let mut failed = false;
        Ok(Box::new(reader.map_while(move |batch| {
            // After an error the reader would go on somewhere inside of a record.
            if std::mem::replace(&mut failed, batch.is_err()) {
                return None;
            }
            Some(batch.map_err(|error| json.explain(error, &piece, &schema).into()))
        })))
    }
}

impl Json {
    fn explain(&self, error: ArrowError, piece: &Piece, schema: &Arc<Schema>) -> ReadError {
        if let ArrowError::IoError(_, cause) = &error {
            return piece.file.unreadable(cause);
        }
        let shown = &piece.file.shown;
        self.culprit(piece, schema).unwrap_or_else(|| {
            ReadError(format!(
                "cannot read `{shown}`: {}",
                cleaned(&error.to_string())
            ))
        })
    }

    /// The first line of `piece` that cannot be read, and why; read again, one by one.
    fn culprit(&self, piece: &Piece, schema: &Arc<Schema>) -> Option<ReadError> {
        let shown = &piece.file.shown;
        let mut text = BufReader::with_capacity(BUFFER, piece.text().ok()?);
        let mut number = piece.lines_before()?;
        let mut line = Vec::new();
        loop {
            line.clear();
            number += 1;
            if text.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            let Err(error) = decode(&line, schema) else {
                continue;
            };
            if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&line) {
                return Some(ReadError(format!(
                    "line {number} of `{shown}` is not one JSON object: {}",
                    syntax(&error)
                )));
            }
            let column = schema.fields().iter().find(|field| {
                let alone = Arc::new(Schema::new(vec![Arc::clone(field)]));
                decode(&line, &alone).is_err()
            });
            let name = column.map_or("", |field| field.name());
            let detail = if self.sensitive.iter().any(|sensitive| sensitive == name) {
                "the value is not of its type".to_owned()
            } else {
                let text = cleaned(&error.to_string());
                let prefix = format!("whilst decoding field '{name}': ");
                shortened(text.strip_prefix(&prefix).unwrap_or(&text), 160)
            };
            return Some(ReadError(format!(
                "line {number} of `{shown}`, column `{name}`: {detail}; correct it, or give the column's type with `types:`"
            )));
        }
    }
}

fn decode(line: &[u8], schema: &Arc<Schema>) -> Result<(), ArrowError> {
    let mut decoder = ReaderBuilder::new(Arc::clone(schema))
        .with_coerce_primitive(true)
        .build_decoder()?;
    decoder.decode(line)?;
    decoder.flush().map(|_| ())
}
