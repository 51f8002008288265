//! Files of text records (CSV, JSON lines) as a DataFusion file source.
//!
//! DataFusion's own sources read a column by its place and not by its name, forget `null_regex`
//! when they read, do not say in which file or line a value is wrong, and either split a file
//! inside of quotes or do not split it at all.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::projection::ProjectionExprs;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr, apply_expression_roots};
use futures::StreamExt;
use object_store::{ObjectMeta, ObjectStore};

use super::explain::ReadError;
use super::quotes::{Marks, record_start};

/// Record batches, or why there is none.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// How records are written as text.
pub(super) trait Dialect: Debug + Send + Sync + 'static {
    /// Its name in plans.
    fn name(&self) -> &'static str;

    /// What tells where records begin; line breaks alone if none.
    fn marks(&self) -> Option<Marks>;

    /// Reads the columns at `projection` of `schema` from a piece of a file.
    fn read(
        &self,
        piece: Piece,
        schema: &Schema,
        projection: &[usize],
        batch_size: usize,
    ) -> Result<Batches, ReadError>;
}

/// A text file, as its scans need to know it. It travels as an extension of `PartitionedFile`.
#[derive(Debug)]
pub(super) struct TextFile {
    pub path: PathBuf,
    /// The path in messages.
    pub shown: String,
    pub compression: FileCompressionType,
    /// The columns in the order of the file, where that is not the order of the table.
    pub columns: Option<Vec<String>>,
    /// Where records begin: at or behind which byte, and where. Known from earlier cuts.
    cuts: Mutex<BTreeMap<u64, u64>>,
}

impl TextFile {
    pub(super) fn new(path: PathBuf, shown: String, compression: FileCompressionType) -> Self {
        Self {
            path,
            shown,
            compression,
            columns: None,
            cuts: Mutex::default(),
        }
    }

    /// The decompressed text from byte `start` to `end` of the file, without a byte order mark.
    pub(super) fn text(
        &self,
        start: u64,
        end: Option<u64>,
    ) -> Result<Box<dyn Read + Send>, ReadError> {
        let open = || -> io::Result<File> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(start))?;
            Ok(file)
        };
        let file = open().map_err(|error| self.unreadable(&error))?;
        let bytes: Box<dyn Read + Send> = match end {
            Some(end) => Box::new(file.take(end.saturating_sub(start))),
            None => Box::new(file),
        };
        let mut text = self
            .compression
            .convert_read(bytes)
            .map_err(|error| self.garbled(&error))?;
        if start > 0 {
            return Ok(text);
        }
        let beginning = beginning(&mut text).map_err(|error| self.unreadable(&error))?;
        let rest = beginning
            .strip_prefix(b"\xEF\xBB\xBF")
            .unwrap_or(&beginning)
            .to_vec();
        Ok(Box::new(Cursor::new(rest).chain(text)))
    }

    /// An error of reading this file.
    pub(super) fn unreadable(&self, error: &io::Error) -> ReadError {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ReadError>())
        {
            Some(known) => known.clone(),
            None if self.compression.is_compressed() => self.garbled(error),
            None => ReadError(format!("cannot read `{}`: {error}", self.shown)),
        }
    }

    fn garbled(&self, error: &dyn fmt::Display) -> ReadError {
        ReadError(format!(
            "cannot decompress `{}`, it is truncated, corrupt or compressed in another way: {error}",
            self.shown
        ))
    }

    /// The records that begin within `range` of the file.
    fn piece(
        self: &Arc<Self>,
        range: Option<FileRange>,
        size: u64,
        marks: Option<Marks>,
    ) -> Result<Piece, ReadError> {
        let Some(range) = range else {
            return Ok(Piece {
                file: Arc::clone(self),
                start: 0,
                end: None,
            });
        };
        if self.compression.is_compressed() {
            return Err(ReadError(format!(
                "`{}` is compressed and cannot be split",
                self.shown
            )));
        }
        let cut = |position: i64| self.cut(u64::try_from(position).unwrap_or(0), size, marks);
        Ok(Piece {
            file: Arc::clone(self),
            start: cut(range.start)?,
            end: Some(cut(range.end)?),
        })
    }

    fn cut(&self, position: u64, size: u64, marks: Option<Marks>) -> Result<u64, ReadError> {
        if position == 0 || position >= size {
            return Ok(position.min(size));
        }
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = cuts.get(&position) {
            return Ok(*start);
        }
        let from = match marks {
            // Whether a line break is within quotes depends on all that is before it.
            Some(_) => cuts
                .range(..position)
                .next_back()
                .map_or(0, |(_, start)| *start),
            None => position - 1,
        };
        let start = if from >= position && marks.is_some() {
            from
        } else {
            let find = || -> io::Result<u64> {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(from))?;
                record_start(file, from, position, marks)
            };
            find().map_err(|error| self.unreadable(&error))?
        };
        cuts.insert(position, start);
        Ok(start)
    }
}

/// Whole records of a text file.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub file: Arc<TextFile>,
    pub start: u64,
    /// The end of the file if not given.
    pub end: Option<u64>,
}

impl Piece {
    pub(super) fn text(&self) -> Result<Box<dyn Read + Send>, ReadError> {
        self.file.text(self.start, self.end)
    }

    /// How many lines of the file are before this piece.
    pub(super) fn lines_before(&self) -> Option<u64> {
        match self.start {
            0 => Some(0),
            start => count_lines(self.file.text(0, Some(start)).ok()?).ok(),
        }
    }
}

/// How many line breaks `text` has.
pub(super) fn count_lines(mut text: impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut lines = 0;
    loop {
        let count = text.read(&mut buffer)?;
        if count == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64;
    }
}

/// The first four bytes of `text`, fewer if it is shorter.
pub(super) fn beginning(text: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4);
    text.take(4).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fails if text that begins with `bytes` is not UTF-8 but one of its relatives.
pub(super) fn refuse_utf16(bytes: &[u8], shown: &str) -> Result<(), ReadError> {
    let wide = match bytes {
        [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] => "UTF-32",
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "UTF-16",
        // Without a mark: Latin letters with a zero beside each.
        [a, 0, b, 0] | [0, a, 0, b] if *a > 0 && *b > 0 => "UTF-16",
        _ => return Ok(()),
    };
    Err(ReadError(format!(
        "`{shown}` is {wide}, convert it to UTF-8"
    )))
}

/// A dialect as a DataFusion file format.
#[derive(Debug)]
pub(super) struct TextFormat {
    pub dialect: Arc<dyn Dialect>,
    /// Whether any of the files is compressed.
    pub compressed: bool,
}

impl TextFormat {
    fn compression(&self) -> FileCompressionType {
        // Which one does not matter, each file knows its own: it only keeps files whole.
        if self.compressed {
            FileCompressionType::GZIP
        } else {
            FileCompressionType::UNCOMPRESSED
        }
    }
}

#[async_trait]
impl FileFormat for TextFormat {
    fn get_ext(&self) -> String {
        self.dialect.name().to_owned()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        Ok(format!("{}.{}", self.get_ext(), compression.get_variant()))
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        Some(self.compression())
    }

    async fn infer_schema(
        &self,
        _: &dyn Session,
        _: &Arc<dyn ObjectStore>,
        _: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        internal_err!("the schema of text files is known before they are scanned")
    }

    async fn infer_stats(
        &self,
        _: &dyn Session,
        _: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        _: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&schema))
    }

    async fn create_physical_plan(
        &self,
        _: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let config = FileScanConfigBuilder::from(config)
            .with_file_compression_type(self.compression())
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn file_source(&self, table_schema: TableSchema) -> Arc<dyn FileSource> {
        Arc::new(TextSource {
            dialect: Arc::clone(&self.dialect),
            projection: SplitProjection::unprojected(&table_schema),
            table_schema,
            batch_size: 8192,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

/// Readers of text make room for every field of a batch beforehand, so a batch of a wide
/// table has fewer rows.
fn rows_per_batch(wanted: usize, schema: &Schema) -> usize {
    const MOST_FIELDS: usize = 1 << 19;
    let rows = MOST_FIELDS / schema.fields().len().max(1);
    wanted.min(rows.max(16))
}

#[derive(Clone)]
struct TextSource {
    dialect: Arc<dyn Dialect>,
    table_schema: TableSchema,
    projection: SplitProjection,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let opener = TextOpener {
            dialect: Arc::clone(&self.dialect),
            schema: Arc::clone(self.table_schema.file_schema()),
            projection: self.projection.file_indices.clone().into(),
            batch_size: rows_per_batch(self.batch_size, self.table_schema.file_schema()),
        };
        ProjectionOpener::try_new(
            self.projection.clone(),
            Arc::new(opener),
            self.table_schema.file_schema(),
        )
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            batch_size,
            ..self.clone()
        })
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        Ok(Some(Arc::new(Self {
            projection: SplitProjection::new(self.table_schema.file_schema(), &merged),
            ..self.clone()
        })))
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        self.dialect.name()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

struct TextOpener {
    dialect: Arc<dyn Dialect>,
    schema: SchemaRef,
    projection: Arc<[usize]>,
    batch_size: usize,
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let Some(text) = file.extension::<Arc<TextFile>>().map(Arc::clone) else {
            return internal_err!("a text file was scanned that was not opened");
        };
        let dialect = Arc::clone(&self.dialect);
        let schema = Arc::clone(&self.schema);
        let projection = Arc::clone(&self.projection);
        let batch_size = self.batch_size;
        Ok(Box::pin(async move {
            let batches = text
                .piece(file.range, file.object_meta.size, dialect.marks())
                .and_then(|piece| dialect.read(piece, &schema, &projection, batch_size))
                .map_err(DataFusionError::from)?;
            Ok(futures::stream::iter(batches).boxed())
        }))
    }
}
