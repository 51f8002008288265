//! A table over a fixed list of local files.
//!
//! DataFusion's `ListingTable` lists again at every scan, drops empty files, takes hidden ones
//! and has no NULL among partition values. Here the list is made once, so that all scans of a run
//! read the same files.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, Statistics, project_schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::{PartitionedFile, helpers};
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use parquet::file::metadata::ParquetMetaData;

/// A table over a fixed list of local files; its scan is a `DataSourceExec` over a
/// `FileScanConfig`, as that of `ListingTable` is.
#[derive(Debug)]
pub(super) struct FileTable {
    files: Vec<PartitionedFile>,
    /// The footers of `files`, in their order; none for formats without.
    footers: Option<Vec<Arc<ParquetMetaData>>>,
    format: Arc<dyn FileFormat>,
    table_schema: TableSchema,
    /// `files` with what their footers say, from the first scan that asks.
    described: OnceLock<Vec<PartitionedFile>>,
}

impl FileTable {
    pub(super) fn new(
        files: Vec<PartitionedFile>,
        footers: Option<Vec<Arc<ParquetMetaData>>>,
        format: Arc<dyn FileFormat>,
        table_schema: TableSchema,
    ) -> Self {
        Self {
            files,
            footers,
            format,
            table_schema,
            described: OnceLock::new(),
        }
    }

    fn described(&self) -> &[PartitionedFile] {
        let Some(footers) = &self.footers else {
            return &self.files;
        };
        self.described.get_or_init(|| {
            let files = self.files.iter().zip(footers);
            files
                .map(|(file, footer)| self.describe(file.clone(), footer))
                .collect()
        })
    }

    fn describe(&self, mut file: PartitionedFile, footer: &ParquetMetaData) -> PartitionedFile {
        // `with_statistics` claims that partition values are never NULL.
        let null_partition = file.partition_values.iter().any(|value| value.is_null());
        let statistics = DFParquetMetadata::statistics_from_parquet_metadata(
            footer,
            self.table_schema.file_schema(),
        );
        match statistics {
            Ok(mut statistics) if !null_partition => {
                // A NaN is in no minimum or maximum: DataFusion would take a column of 0.1
                // and NaN for a constant 0.1 and not read it.
                let fields = self.table_schema.file_schema().fields();
                for (column, field) in statistics.column_statistics.iter_mut().zip(fields) {
                    if field.data_type().is_floating() {
                        column.min_value = Precision::Absent;
                        column.max_value = Precision::Absent;
                    }
                }
                file.with_statistics(Arc::new(statistics))
            }
            _ => {
                file.statistics = Some(Arc::new(Statistics::new_unknown(
                    self.table_schema.table_schema(),
                )));
                file
            }
        }
    }

    /// The files that can hold rows which satisfy `filters`, judged by partition values alone.
    fn matching(
        &self,
        files: &[PartitionedFile],
        filters: &[Expr],
    ) -> Result<Vec<PartitionedFile>> {
        let columns = self.table_schema.table_partition_cols();
        let names: Vec<&str> = columns.iter().map(|field| field.name().as_str()).collect();
        let filters: Vec<Expr> = filters
            .iter()
            .filter(|filter| !names.is_empty() && helpers::expr_applicable_for_cols(&names, filter))
            .cloned()
            .collect();
        if filters.is_empty() {
            return Ok(files.to_vec());
        }
        let schema = DFSchema::try_from(Schema::new(columns.clone()))?;
        files
            .iter()
            .filter_map(|file| {
                helpers::filter_partitioned_file(file.clone(), &filters, &schema).transpose()
            })
            .collect()
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.table_schema.table_schema();
        let collect = state.config().collect_statistics() && self.footers.is_some();
        let all = if collect {
            self.described()
        } else {
            &self.files
        };
        let files = self.matching(all, filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(
                schema, projection,
            )?)));
        }
        let statistics = if collect {
            let each = files.iter().filter_map(|file| file.statistics.as_deref());
            Statistics::try_merge_iter(each, schema)?
        } else {
            Statistics::new_unknown(schema)
        };
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let source = self.format.file_source(self.table_schema.clone());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        self.format.create_physical_plan(state, config).await
    }
}
