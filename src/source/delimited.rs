//! Opening CSV and JSON files: their columns are found in their first rows.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use regex::Regex;

use super::csv::Csv;
use super::explain::cleaned;
use super::files::{CONCURRENT, Opened, blocking, scanned};
use super::json::{self, Json};
use super::kind::Written;
use super::quotes::Marks;
use super::schema::{refuse_twice, warn_of_gaps, widened};
use super::text::{Dialect, TextFile, TextFormat, beginning, refuse_utf16};
use super::types;
use crate::error::{Error, Result};
use crate::suite::{Dataset, Format, FormatOptions};

/// Rows looked at to find the types, unless the options say otherwise.
const INFER_ROWS: usize = 10_000;
/// Rows looked at in each file, however many files there are.
const LEAST_ROWS: usize = 100;

/// Opens CSV or JSON files.
pub(super) async fn open(
    dataset: &Dataset,
    written: Written,
    options: &FormatOptions,
    session: &SessionContext,
) -> Result<Opened> {
    let wanted = options.infer_rows.unwrap_or(INFER_ROWS);
    let rows = wanted
        .div_ceil(written.files.len())
        .max(LEAST_ROWS)
        .min(wanted);
    let mut texts: Vec<Arc<TextFile>> = written
        .files
        .iter()
        .zip(&written.compression)
        .map(|(file, compression)| {
            Arc::new(TextFile::new(
                file.identity.path.clone(),
                file.shown.clone(),
                *compression,
            ))
        })
        .collect();
    each(&texts, encoded_right).await?;
    let mut warnings = Vec::new();
    let (dialect, schema): (Arc<dyn Dialect>, Schema) = match written.format {
        Format::Json => {
            let records: Vec<_> = each(&texts, move |text| Ok(json::sample(text, rows)?)).await?;
            let dialect = Json {
                sensitive: dataset.sensitive.clone(),
            };
            (Arc::new(dialect), json_schema(&records.concat(), dataset)?)
        }
        _ => {
            let dialect = csv(options, written.delimiter, dataset)?;
            let reader = dialect.clone();
            let samples: Vec<Schema> =
                each(&texts, move |text| Ok(reader.sample(text, rows)?)).await?;
            let schema = csv_schema(&dialect, &samples, &mut texts, &mut warnings)?;
            (Arc::new(dialect), schema)
        }
    };
    let schema = types::applied(&schema, options.types.as_ref(), &dataset.name, session)?;
    let files = written.files.iter().zip(&texts);
    Ok(Opened {
        schema,
        format: Arc::new(TextFormat {
            dialect,
            compressed: written
                .compression
                .iter()
                .any(|compression| compression.is_compressed()),
        }),
        files: files
            .map(|(file, text)| Ok(scanned(file)?.with_extension(Arc::clone(text))))
            .collect::<Result<_>>()?,
        footers: None,
        warnings,
    })
}

/// What `work` finds in each of `texts`, several at a time.
async fn each<T: Send + 'static>(
    texts: &[Arc<TextFile>],
    work: impl Fn(&Arc<TextFile>) -> Result<T> + Clone + Send + Sync + 'static,
) -> Result<Vec<T>> {
    stream::iter(texts.to_vec())
        .map(|text| {
            let work = work.clone();
            blocking(move || work(&text))
        })
        .buffered(CONCURRENT)
        .try_collect()
        .await
}

fn encoded_right(text: &Arc<TextFile>) -> Result<()> {
    let mut bytes = text.text(0, None)?;
    let beginning = beginning(&mut bytes).map_err(|error| text.unreadable(&error))?;
    Ok(refuse_utf16(&beginning, &text.shown)?)
}

fn json_schema(records: &[serde_json::Value], dataset: &Dataset) -> Result<Schema> {
    let schema = json::infer(records).map_err(|error| {
        Error::source(format!(
            "the columns of dataset `{}` cannot be found, its objects differ too much: {}",
            dataset.name,
            cleaned(&error.to_string())
        ))
    })?;
    if schema.fields().is_empty() {
        return Err(Error::source(format!(
            "dataset `{}` has no JSON object with a member, so no columns",
            dataset.name
        )));
    }
    Ok(schema)
}

fn csv(options: &FormatOptions, delimiter: u8, dataset: &Dataset) -> Result<Csv> {
    let given = |name: &str, character: Option<char>| -> Result<Option<u8>> {
        let Some(character) = character else {
            return Ok(None);
        };
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(Some(byte)),
            _ => Err(Error::source(format!(
                "`{name}` must be an ASCII character and no line break, not {character:?}"
            ))),
        }
    };
    let marks = Marks {
        delimiter: given("delimiter", options.delimiter)?.unwrap_or(delimiter),
        quote: given("quote", options.quote)?.unwrap_or(b'"'),
        escape: given("escape", options.escape)?,
        comment: given("comment", options.comment)?,
    };
    if marks.delimiter == marks.quote {
        return Err(Error::source("`delimiter` and `quote` must differ"));
    }
    let null = match &options.null_values {
        None => None,
        Some(texts) => Some(null_pattern(texts)?),
    };
    Ok(Csv {
        marks,
        header: options.header.unwrap_or(true),
        newlines: options.newlines_in_values.unwrap_or(true),
        null,
        sensitive: dataset.sensitive.clone(),
    })
}

/// What matches each of `texts` and nothing else.
fn null_pattern(texts: &[String]) -> Result<Regex> {
    let escaped: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
    // Without any text nothing is NULL: a pattern that never matches.
    let pattern = match escaped.as_slice() {
        [] => r"[^\s\S]".to_owned(),
        texts => format!(r"\A(?:{})\z", texts.join("|")),
    };
    Regex::new(&pattern)
        .map_err(|error| Error::source(format!("`null_values` cannot be used: {error}")))
}

/// The columns of all `samples`; files whose columns are not in that order are told theirs.
fn csv_schema(
    dialect: &Csv,
    samples: &[Schema],
    texts: &mut [Arc<TextFile>],
    warnings: &mut Vec<String>,
) -> Result<Schema> {
    let mut columns: Vec<(String, DataType, usize)> = Vec::new();
    for (place, (sample, text)) in samples.iter().zip(texts.iter()).enumerate() {
        let shown = &text.shown;
        let names: Vec<&str> = sample
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        if names.is_empty() {
            let what = if dialect.header { "header" } else { "row" };
            return Err(Error::source(format!(
                "`{shown}` has no {what}, so no columns"
            )));
        }
        refuse_twice(names.iter().copied(), &format!("the header of `{shown}`"))?;
        if !dialect.header && names.len() != samples[0].fields().len() {
            return Err(Error::source(format!(
                "`{}` has {} columns, `{shown}` has {}, and without a header none can be told from another",
                texts[0].shown,
                samples[0].fields().len(),
                names.len()
            )));
        }
        unite(&mut columns, sample, place, texts, warnings);
    }
    let names: Vec<String> = columns.iter().map(|(name, ..)| name.clone()).collect();
    let named: Vec<(&str, Arc<Schema>)> = texts
        .iter()
        .map(|text| text.shown.as_str())
        .zip(samples.iter().map(|sample| Arc::new(sample.clone())))
        .collect();
    warn_of_gaps(
        &named,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
        warnings,
    );
    if names.len() == 1 {
        warnings.push(format!(
            "`{}` is the only column: blank lines are passed over, they are no rows with NULL",
            names[0]
        ));
    }
    for (text, sample) in texts.iter_mut().zip(samples) {
        let own: Vec<String> = sample
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        if own != names {
            let mut told = TextFile::new(text.path.clone(), text.shown.clone(), text.compression);
            told.columns = Some(own);
            *text = Arc::new(told);
        }
    }
    let fields = columns
        .into_iter()
        .map(|(name, kind, _)| Field::new(name, kind, true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// Adds the columns of `sample`, that of the file at `place`, to `columns`, each with the first
/// file that shows its type.
fn unite(
    columns: &mut Vec<(String, DataType, usize)>,
    sample: &Schema,
    place: usize,
    texts: &[Arc<TextFile>],
    warnings: &mut Vec<String>,
) {
    for (index, field) in sample.fields().iter().enumerate() {
        // Files mostly agree on the order, which saves a search.
        let known = match columns.get(index) {
            Some((name, ..)) if name == field.name() => Some(index),
            _ => columns.iter().position(|(name, ..)| name == field.name()),
        };
        let Some(known) = known else {
            columns.push((field.name().clone(), field.data_type().clone(), place));
            continue;
        };
        let (name, kind, first) = &mut columns[known];
        let both = widened(kind, field.data_type());
        if both == *kind {
            continue;
        }
        if both == DataType::Utf8 && *kind != DataType::Null {
            warnings.push(format!(
                "column `{name}` is {kind} in `{}` and {} in `{}`; it is read as text",
                texts[*first].shown,
                field.data_type(),
                texts[place].shown
            ));
        }
        (*kind, *first) = (both, place);
    }
}
