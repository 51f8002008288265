//! Opening datasets that are files.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::{FileReader, StreamReader};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::context::SessionState;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::explain::cleaned;
use super::kind::{Written, written};
use super::locate::{Located, locate};
use super::partitions::partitions;
use super::schema::{merged, nullable, refuse_twice};
use super::table::FileTable;
use super::{FileIdentity, OpenContext, OpenDataset, ParquetFooter, delimited};
use crate::error::{Error, Result};
use crate::suite::{Dataset, Format, FormatOptions, Integrity};

/// How many files are opened at a time.
pub(super) const CONCURRENT: usize = 16;

/// What opening the files of a format yields.
pub(super) struct Opened {
    /// The columns of the files, all nullable.
    pub schema: Schema,
    pub format: Arc<dyn FileFormat>,
    /// The files as scans see them, without partition values.
    pub files: Vec<PartitionedFile>,
    /// Their footers, for Parquet.
    pub footers: Option<Vec<Arc<ParquetMetaData>>>,
    pub warnings: Vec<String>,
}

/// Opens the files that `path` means.
pub(super) async fn open(
    dataset: &Dataset,
    path: &str,
    format: Option<Format>,
    options: &FormatOptions,
    session: &SessionContext,
    context: &OpenContext,
) -> Result<OpenDataset> {
    let located = {
        let (path, context) = (path.to_owned(), context.clone());
        blocking(move || locate(&path, &context)).await?
    };
    let mut written = written(located, format, options)?;
    let identities = written
        .files
        .iter()
        .map(|file| file.identity.clone())
        .collect();
    leave_out_empty(&mut written, options)?;
    if written.files.is_empty() {
        let provider = Arc::new(EmptyTable::new(Arc::new(Schema::empty())));
        let mut opened = OpenDataset::new(dataset, provider);
        opened.warnings =
            vec!["all files are empty: the dataset has no rows and no columns".to_owned()];
        opened.files = identities;
        return Ok(opened);
    }
    let located = written.files.clone();
    let is_text = matches!(written.format, Format::Csv | Format::Json);
    let opened = match written.format {
        Format::Parquet => parquet(&written.files, session).await?,
        Format::Arrow => arrow(&written.files).await?,
        Format::Csv | Format::Json => delimited::open(dataset, written, options, session).await?,
    };
    assembled(dataset, opened, &located, is_text).map(|mut opened| {
        opened.files = identities;
        opened
    })
}

fn assembled(
    dataset: &Dataset,
    opened: Opened,
    located: &[Located],
    dear: bool,
) -> Result<OpenDataset> {
    let mut warnings = opened.warnings;
    let (columns, values) = partitions(located, &opened.schema, &mut warnings)?;
    let schema = TableSchema::builder(Arc::new(opened.schema))
        .with_table_partition_cols(columns)
        .build();
    let files: Vec<PartitionedFile> = opened
        .files
        .into_iter()
        .zip(values)
        .map(|(file, values)| file.with_partition_values(values))
        .collect();
    let parquet = opened.footers.as_ref().map(|footers| {
        files
            .iter()
            .zip(footers)
            .map(|(file, metadata)| ParquetFooter {
                location: file.object_meta.location.clone(),
                metadata: Arc::clone(metadata),
            })
            .collect()
    });
    // DataFusion does not read columns that are constant by their statistics.
    let trusted = match dataset.integrity {
        Integrity::Metadata => opened.footers,
        Integrity::Full => None,
    };
    let table = FileTable::new(files, trusted, opened.format, schema);
    let mut opened = OpenDataset::new(dataset, Arc::new(table));
    opened.parquet = parquet;
    opened.dear = dear;
    opened.warnings = warnings;
    Ok(opened)
}

fn leave_out_empty(written: &mut Written, options: &FormatOptions) -> Result<()> {
    let empty = written.files.iter().find(|file| file.identity.size == 0);
    let Some(empty) = empty else {
        return Ok(());
    };
    if options.allow_empty_file != Some(true) {
        return Err(Error::source(format!(
            "`{}` is empty: it has not even columns; `allow_empty_file: true` takes it for a table without rows",
            empty.shown
        )));
    }
    let files = std::mem::take(&mut written.files);
    let both = files
        .into_iter()
        .zip(std::mem::take(&mut written.compression));
    (written.files, written.compression) = both.filter(|(file, _)| file.identity.size > 0).unzip();
    Ok(())
}

/// `file` as a scan sees it.
pub(super) fn scanned(file: &Located) -> Result<PartitionedFile> {
    let location =
        object_store::path::Path::from_absolute_path(&file.identity.path).map_err(|error| {
            Error::source(format!(
                "`{}` cannot be read by that name: {error}",
                file.shown
            ))
        })?;
    let modified = file
        .identity
        .modified
        .map_or_else(DateTime::<Utc>::default, DateTime::from);
    Ok(PartitionedFile::new_from_meta(ObjectMeta {
        location,
        last_modified: modified,
        size: file.identity.size,
        e_tag: None,
        version: None,
    }))
}

/// Runs `work`, which waits for files, where that disturbs nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::source(format!("opening was stopped: {error}"))),
    }
}

async fn parquet(located: &[Located], session: &SessionContext) -> Result<Opened> {
    let state = session.state();
    let format = ParquetFormat::new().with_options(state.default_table_options().parquet.clone());
    let store = state
        .runtime_env()
        .object_store(ObjectStoreUrl::local_filesystem())
        .map_err(|error| Error::source(cleaned(&error.to_string())))?;
    let files = located.iter().map(scanned).collect::<Result<Vec<_>>>()?;
    let footers: Vec<(Arc<ParquetMetaData>, SchemaRef)> = stream::iter(0..files.len())
        .map(|n| {
            checked_footer(&format, &state, &store, &files[n].object_meta, &located[n]).boxed()
        })
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let (footers, schemas): (Vec<_>, Vec<_>) = footers.into_iter().unzip();
    let named: Vec<(&str, SchemaRef)> = located
        .iter()
        .map(|file| file.shown.as_str())
        .zip(schemas)
        .collect();
    let mut warnings = Vec::new();
    let schema = merged(&named, &mut warnings)?;
    Ok(Opened {
        schema,
        format: Arc::new(format),
        files,
        footers: Some(footers),
        warnings,
    })
}

/// Fails unless the ends of `file` are those of a Parquet file: its decoder takes them for granted.
fn sound(file: &Located) -> Result<()> {
    let shown = &file.shown;
    let ends = || -> std::io::Result<([u8; 4], [u8; 8])> {
        let (mut head, mut tail) = ([0; 4], [0; 8]);
        let mut reader = File::open(&file.identity.path)?;
        reader.read_exact(&mut head)?;
        reader.seek(SeekFrom::End(-8))?;
        reader.read_exact(&mut tail)?;
        Ok((head, tail))
    };
    // Magic, length of the footer, magic.
    if file.identity.size < 12 {
        return Err(broken(shown, "it is too short"));
    }
    let (head, tail) = ends().map_err(|error| super::locate::cannot_read(shown, &error))?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic == *b"PARE" {
        return Err(Error::source(format!(
            "`{shown}` is encrypted, which cannot be read"
        )));
    }
    if magic != *b"PAR1" || head != *b"PAR1" {
        return Err(broken(shown, "it does not begin and end as one"));
    }
    if u64::from(u32::from_le_bytes([a, b, c, d])) > file.identity.size - 12 {
        return Err(broken(shown, "its footer would be longer than the file"));
    }
    Ok(())
}

/// Why the data of a Parquet file cannot be read, if it cannot.
pub(super) fn unreadable(file: &FileIdentity) -> Option<String> {
    let read = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path)?)?.build()?;
        for batch in reader {
            batch?;
        }
        Ok(())
    };
    // The decoder is not proof against every kind of garbage.
    let problem = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => cleaned(&error.to_string()),
        Err(_) => "its data makes no sense".to_owned(),
    };
    Some(format!(
        "`{}` cannot be read: {problem}",
        file.path.display()
    ))
}

fn broken(shown: &str, how: &str) -> Error {
    Error::source(format!(
        "`{shown}` is no Parquet file, or truncated or corrupt: {how}"
    ))
}

async fn checked_footer(
    format: &ParquetFormat,
    state: &SessionState,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    file: &Located,
) -> Result<(Arc<ParquetMetaData>, SchemaRef)> {
    let own = file.clone();
    blocking(move || sound(&own)).await?;
    // The decoder is not proof against every kind of garbage.
    AssertUnwindSafe(footer(format, state, store, meta, &file.shown))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(broken(&file.shown, "its footer makes no sense")))
}

async fn footer(
    format: &ParquetFormat,
    state: &SessionState,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    shown: &str,
) -> Result<(Arc<ParquetMetaData>, SchemaRef)> {
    let broken = |error: datafusion::error::DataFusionError| {
        broken(shown, &cleaned(&error.find_root().to_string()))
    };
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    // The page index is fetched by the scans that use it.
    let metadata = DFParquetMetadata::new(store.as_ref(), meta)
        .with_file_metadata_cache(Some(cache))
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .fetch_metadata()
        .await
        .map_err(broken)?;
    let columns = metadata
        .file_metadata()
        .schema_descr()
        .root_schema()
        .get_fields();
    refuse_twice(
        columns.iter().map(|column| column.name()),
        &format!("`{shown}`"),
    )?;
    let schema = format
        .infer_schema(state, store, std::slice::from_ref(meta))
        .await
        .map_err(broken)?;
    Ok((metadata, schema))
}

async fn arrow(located: &[Located]) -> Result<Opened> {
    let schemas: Vec<(SchemaRef, bool)> = stream::iter(located.to_vec())
        .map(|file| blocking(move || arrow_schema(&file)))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let (first, streamed) = schemas
        .first()
        .expect("a dataset of files has at least one");
    for ((schema, is_stream), file) in schemas.iter().zip(located) {
        // DataFusion reads Arrow files by the place of a column and does not adapt them.
        let same = schema.fields().len() == first.fields().len()
            && schema
                .fields()
                .iter()
                .zip(first.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        let (first, file) = (&located[0].shown, &file.shown);
        if !same {
            return Err(Error::source(format!(
                "Arrow files must have the same columns in the same order: `{first}` and `{file}` differ"
            )));
        }
        if is_stream != streamed {
            return Err(Error::source(format!(
                "`{first}` and `{file}` cannot be one dataset: one is an Arrow file, one an Arrow stream"
            )));
        }
    }
    Ok(Opened {
        schema: nullable(first),
        format: Arc::new(ArrowFormat),
        files: located.iter().map(scanned).collect::<Result<_>>()?,
        footers: None,
        warnings: Vec::new(),
    })
}

/// The schema of an Arrow file, and whether it is a stream.
fn arrow_schema(file: &Located) -> Result<(SchemaRef, bool)> {
    let shown = &file.shown;
    let unreadable = |error: std::io::Error| super::locate::cannot_read(shown, &error);
    let mut reader = File::open(&file.identity.path)
        .map(BufReader::new)
        .map_err(unreadable)?;
    let mut head = Vec::with_capacity(8);
    reader
        .by_ref()
        .take(8)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    reader.rewind().map_err(unreadable)?;
    let is_stream = !head.starts_with(b"ARROW1");
    // The reader of streams makes room for the first message, however long it claims to be.
    let claimed = match head.as_slice() {
        [0xFF, 0xFF, 0xFF, 0xFF, a, b, c, d] | [a, b, c, d, ..] => {
            u32::from_le_bytes([*a, *b, *c, *d])
        }
        _ => u32::MAX,
    };
    let schema = if !is_stream {
        FileReader::try_new(&mut reader, None).map(|file| file.schema())
    } else if u64::from(claimed) <= file.identity.size {
        StreamReader::try_new(&mut reader, None).map(|stream| stream.schema())
    } else {
        Err(ArrowError::IpcError("it does not begin as one".to_owned()))
    };
    let schema = schema.map_err(|error| {
        Error::source(format!(
            "`{shown}` is no Arrow file, or truncated or corrupt: {}",
            cleaned(&error.to_string())
        ))
    })?;
    refuse_twice(
        schema.fields().iter().map(|field| field.name().as_str()),
        &format!("`{shown}`"),
    )?;
    Ok((schema, is_stream))
}
