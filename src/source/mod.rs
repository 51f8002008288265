//! Where rows come from: datasets opened as DataFusion tables.
//!
//! Opening reads metadata and the first rows of text files, never whole files. What is opened is
//! a fixed list of files; [`OpenDataset::changed`] tells whether one of them changed since.

pub(crate) mod checked;
mod csv;
mod csv_errors;
mod delimited;
mod explain;
mod files;
mod json;
mod kind;
mod locate;
mod partitions;
mod quotes;
mod schema;
mod sql;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod types;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::NaiveDate;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt, stream};
use parquet::file::metadata::ParquetMetaData;

pub use explain::explain;

use crate::error::{Error, Result};
use crate::suite::{Dataset, Integrity, Source};

/// What opening a dataset needs to know of the run.
#[derive(Debug, Clone)]
pub struct OpenContext {
    /// Where relative paths start.
    pub base: PathBuf,
    /// The `{date}` of paths.
    pub date: NaiveDate,
    /// What other `{name}` templates in paths stand for.
    pub variables: BTreeMap<String, String>,
}

/// A file as it was when its dataset was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIdentity {
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes it has.
    pub size: u64,
    /// When it was last written, if the system knows.
    pub modified: Option<SystemTime>,
}

impl FileIdentity {
    /// Its name without its folder.
    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// The footer of a Parquet file.
#[derive(Debug, Clone)]
pub struct ParquetFooter {
    /// The file, named as in the `PartitionedFile`s of a scan.
    pub location: object_store::path::Path,
    /// What the footer says, without the page index.
    pub metadata: Arc<ParquetMetaData>,
}

/// A dataset that can be scanned.
#[derive(Debug, Clone)]
pub struct OpenDataset {
    /// Its name in the assertions.
    pub name: String,
    /// Its rows. The scan of a dataset of files is a `DataSourceExec` over a `FileScanConfig`.
    pub provider: Arc<dyn TableProvider>,
    /// The schema of `provider`. All columns of files are nullable.
    pub schema: SchemaRef,
    /// IANA name or offset of the zone that zone-less timestamps are in.
    pub timezone: Option<String>,
    /// How much of a file has to be read before it counts as verified.
    pub integrity: Integrity,
    /// The files it consists of, sorted by path; none if it is not made of files.
    pub files: Vec<FileIdentity>,
    /// The footers of its files in their order, if they are Parquet files.
    pub parquet: Option<Vec<ParquetFooter>>,
    /// Whether its rows are dear to decode, as those of CSV and JSON are.
    pub dear: bool,
    /// What the reader of the report should know.
    pub warnings: Vec<String>,
}

/// Opens `datasets` and registers them in `session` under their names.
///
/// The outcomes are in the order of `datasets`, and one that fails does not stop the others. A
/// `sql:` dataset is opened after what it reads. In SQL an unquoted name is in lower case, so a
/// dataset is also registered in lower case where that can mean no other.
pub async fn open_all(
    datasets: &[Dataset],
    session: &SessionContext,
    context: &OpenContext,
) -> Vec<(String, Result<OpenDataset>)> {
    let names = sql::Names::new(datasets.iter().map(|dataset| dataset.name.as_str()));
    let outcomes: Vec<Option<Result<OpenDataset>>> = stream::iter(0..datasets.len())
        .map(|index| open_own(&datasets[index], session, context).boxed())
        .buffered(files::CONCURRENT)
        .collect()
        .await;
    let mut opened: BTreeMap<&str, Result<OpenDataset>> = BTreeMap::new();
    let mut queries: BTreeMap<&str, (&Dataset, sql::Query)> = BTreeMap::new();
    for (dataset, outcome) in datasets.iter().zip(outcomes) {
        let name = dataset.name.as_str();
        match (outcome, &dataset.source) {
            (Some(outcome), _) => {
                let outcome = outcome.and_then(|one| register(one, &names, session));
                opened.insert(name, outcome);
            }
            (None, Source::Sql(text)) => match sql::parse(text, name, &names) {
                Ok(query) => {
                    queries.insert(name, (dataset, query));
                }
                Err(error) => {
                    opened.insert(name, Err(error));
                }
            },
            (None, _) => {}
        }
    }
    open_queries(queries, &mut opened, &names, session)
        .boxed()
        .await;
    let take = |dataset: &Dataset| {
        let outcome = opened.get(dataset.name.as_str()).cloned();
        let missing = || {
            Err(Error::source(format!(
                "dataset `{}` was not opened",
                dataset.name
            )))
        };
        (dataset.name.clone(), outcome.unwrap_or_else(missing))
    };
    datasets.iter().map(take).collect()
}

/// Opens what reads no other dataset.
async fn open_own(
    dataset: &Dataset,
    session: &SessionContext,
    context: &OpenContext,
) -> Option<Result<OpenDataset>> {
    match &dataset.source {
        Source::Path {
            path,
            format,
            options,
        } => Some(files::open(dataset, path, *format, options, session, context).await),
        Source::Batches(batches) => Some(in_memory(dataset, batches)),
        Source::Table(table) => Some(given(dataset, table)),
        Source::Sql(_) => None,
    }
}

/// Opens `queries`, each after what it reads.
async fn open_queries<'a>(
    mut queries: BTreeMap<&'a str, (&'a Dataset, sql::Query)>,
    opened: &mut BTreeMap<&'a str, Result<OpenDataset>>,
    names: &sql::Names,
    session: &SessionContext,
) {
    while !queries.is_empty() {
        let is_ready = |query: &sql::Query| {
            query
                .reads
                .iter()
                .all(|read| opened.contains_key(read.as_str()))
        };
        let ready = queries
            .iter()
            .find(|(_, (_, query))| is_ready(query))
            .map(|(name, _)| *name);
        let Some(name) = ready else {
            for (name, error) in circles(&queries) {
                opened.insert(name, Err(error));
                queries.remove(name);
            }
            continue;
        };
        let Some((dataset, query)) = queries.remove(name) else {
            return;
        };
        let outcome = match failed(&query, opened) {
            Some((read, error)) => Err(Error::source(format!(
                "dataset `{name}` reads dataset `{read}`, which could not be opened: {error}"
            ))),
            None => sql::view(query, name, session)
                .await
                .map(|view| OpenDataset::new(dataset, view))
                .and_then(|one| register(one, names, session)),
        };
        opened.insert(name, outcome);
    }
}

/// The first of what `query` reads that could not be opened, and why.
fn failed<'a>(
    query: &'a sql::Query,
    opened: &'a BTreeMap<&str, Result<OpenDataset>>,
) -> Option<(&'a str, &'a Error)> {
    query
        .reads
        .iter()
        .find_map(|read| match opened.get(read.as_str()) {
            Some(Err(error)) => Some((read.as_str(), error)),
            _ => None,
        })
}

/// The datasets that read each other in a circle, where none of `queries` is ready.
fn circles<'a>(queries: &BTreeMap<&'a str, (&'a Dataset, sql::Query)>) -> Vec<(&'a str, Error)> {
    let mut path: Vec<&str> = Vec::new();
    let mut next = queries.keys().next().copied();
    // Each of them waits for another of them, so following that comes back to one met before.
    while let Some(name) = next {
        if let Some(start) = path.iter().position(|met| *met == name) {
            let circle = &path[start..];
            let told: Vec<String> = circle
                .iter()
                .chain([&name])
                .map(|name| format!("`{name}`"))
                .collect();
            let message = format!(
                "datasets read each other in a circle: {}",
                told.join(" -> ")
            );
            return circle
                .iter()
                .map(|name| (*name, Error::source(message.clone())))
                .collect();
        }
        path.push(name);
        let reads = queries.get(name).map(|(_, query)| query.reads.iter());
        let waiting =
            reads.and_then(|mut reads| reads.find_map(|read| queries.get_key_value(read.as_str())));
        next = waiting.map(|(name, _)| *name);
    }
    Vec::new()
}

fn register(
    dataset: OpenDataset,
    names: &sql::Names,
    session: &SessionContext,
) -> Result<OpenDataset> {
    for alias in names.aliases(&dataset.name) {
        let table = TableReference::bare(alias);
        let registered = session
            .deregister_table(table.clone())
            .and_then(|_| session.register_table(table, Arc::clone(&dataset.provider)));
        if let Err(error) = registered {
            return Err(Error::source(format!(
                "dataset `{}` cannot be registered: {error}",
                dataset.name
            )));
        }
    }
    Ok(dataset)
}

fn in_memory(dataset: &Dataset, batches: &[RecordBatch]) -> Result<OpenDataset> {
    let Some(first) = batches.first() else {
        return Err(Error::source(format!(
            "dataset `{}` has no record batch; give at least one, which may have no rows",
            dataset.name
        )));
    };
    for (place, batch) in batches.iter().enumerate() {
        if batch.schema_ref().fields() != first.schema_ref().fields() {
            return Err(Error::source(format!(
                "the record batches of dataset `{}` have different schemas: number {} is not like the first",
                dataset.name,
                place + 1
            )));
        }
    }
    let table = MemTable::try_new(first.schema(), vec![batches.to_vec()]).map_err(|error| {
        Error::source(format!(
            "dataset `{}` cannot be used: {error}",
            dataset.name
        ))
    })?;
    let table: Arc<dyn TableProvider> = Arc::new(table);
    given(dataset, &table)
}

fn given(dataset: &Dataset, table: &Arc<dyn TableProvider>) -> Result<OpenDataset> {
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    schema::refuse_twice(columns, &format!("dataset `{}`", dataset.name))?;
    Ok(OpenDataset::new(dataset, Arc::clone(table)))
}

impl OpenDataset {
    fn new(dataset: &Dataset, provider: Arc<dyn TableProvider>) -> Self {
        Self {
            name: dataset.name.clone(),
            schema: provider.schema(),
            provider,
            timezone: dataset.timezone.clone(),
            integrity: dataset.integrity,
            files: Vec::new(),
            parquet: None,
            dear: false,
            warnings: Vec::new(),
        }
    }

    /// Checks, right before the first scan, that the files still are what was opened.
    ///
    /// Wrong quotes of CSV files are found by the scans themselves, which saves reading twice.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] if a file has changed or is gone.
    pub async fn inspect(&self) -> Result<()> {
        let dataset = self.clone();
        let changed = files::blocking(move || Ok(dataset.changed())).await?;
        match changed {
            Some(change) => Err(Error::source(format!(
                "cannot read dataset `{}`: {change}",
                self.name
            ))),
            None => Ok(()),
        }
    }

    /// `error`, which a query on this dataset ended with, in one sentence.
    ///
    /// It is that of [`explain`], with the file where there is no other it could be.
    pub fn explain(&self, error: &DataFusionError) -> String {
        let text = explain(error, &self.name);
        match self.files.as_slice() {
            [file] if text.starts_with("cannot read") && !text.contains(&file.name()) => {
                format!("{text}; the file is `{}`", file.path.display())
            }
            _ => text,
        }
    }

    /// The first of several Parquet files whose data cannot be read, and why.
    ///
    /// It reads all of them up to that one: it is meant for after a scan that failed, whose error
    /// does not say which file it was.
    pub async fn find_unreadable(&self) -> Option<String> {
        self.parquet.as_ref()?;
        let files = self.files.clone();
        let found = files::blocking(move || Ok(files.iter().find_map(files::unreadable)));
        found.await.ok().flatten()
    }

    /// What has happened to the files since they were opened, in a sentence; nothing if they
    /// have the same sizes and times.
    pub fn changed(&self) -> Option<String> {
        self.files.iter().find_map(|file| {
            let path = file.path.display();
            match std::fs::metadata(&file.path) {
                Err(_) => Some(format!(
                    "the file `{path}` has disappeared since it was opened"
                )),
                Ok(now) if now.len() != file.size || now.modified().ok() != file.modified => {
                    Some(format!("the file `{path}` has changed since it was opened"))
                }
                Ok(_) => None,
            }
        })
    }
}
