//! Datasets opened from files written for the test.

mod bad_text;
mod binary;
mod queries;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::config::CsvOptions;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::parquet::errors::ParquetError;
use datafusion::prelude::SessionConfig;

use super::*;
use crate::suite::{Format, FormatOptions};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn of(files: &[(&str, &[u8])]) -> Self {
        let folder = Self::new();
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes the outcome of `sql` as a Parquet file.
    async fn parquet(&self, name: &str, sql: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let rows = SessionContext::new().sql(sql).await.unwrap();
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        rows.write_parquet(&self.text(name), options, None)
            .await
            .unwrap();
    }

    async fn open(
        &self,
        datasets: Vec<Dataset>,
    ) -> (SessionContext, Vec<(String, Result<OpenDataset>)>) {
        let session = SessionContext::new();
        let opened = open_all(&datasets, &session, &context(self.0.path())).await;
        (session, opened)
    }

    async fn open_one(&self, dataset: Dataset) -> Result<OpenDataset> {
        let (_, mut opened) = self.open(vec![dataset]).await;
        opened.pop().unwrap().1
    }

    /// The rows of the dataset at `path`, or what is wrong with it.
    async fn rows(&self, path: &str, options: FormatOptions) -> Result<String> {
        let dataset = with_options(dataset("d", path), options);
        rows(&self.open_one(dataset).await?).await
    }

    async fn problem(&self, path: &str, options: FormatOptions) -> String {
        self.rows(path, options).await.unwrap_err().to_string()
    }
}

fn context(base: &Path) -> OpenContext {
    OpenContext {
        base: base.to_owned(),
        date: NaiveDate::from_ymd_opt(2026, 11, 20).unwrap(),
        variables: BTreeMap::new(),
    }
}

fn of(name: &str, source: Source) -> Dataset {
    Dataset {
        name: name.to_owned(),
        source,
        timezone: None,
        integrity: Integrity::Metadata,
        sensitive: Vec::new(),
        location: None,
    }
}

fn dataset(name: &str, path: &str) -> Dataset {
    let source = Source::Path {
        path: path.to_owned(),
        format: None,
        options: FormatOptions::default(),
    };
    of(name, source)
}

fn with_options(mut dataset: Dataset, given: FormatOptions) -> Dataset {
    if let Source::Path { options, .. } = &mut dataset.source {
        *options = given;
    }
    dataset
}

fn query(name: &str, sql: &str) -> Dataset {
    of(name, Source::Sql(sql.to_owned()))
}

fn none() -> FormatOptions {
    FormatOptions::default()
}

/// The rows of `opened`, one a line, or the explained error of reading them.
async fn rows(opened: &OpenDataset) -> Result<String> {
    rows_of(opened, &SessionContext::new()).await
}

async fn rows_of(opened: &OpenDataset, session: &SessionContext) -> Result<String> {
    let explained = |error| Error::execution(explain(&error, &opened.name));
    let frame = session
        .read_table(Arc::clone(&opened.provider))
        .map_err(explained)?;
    let batches = frame.collect().await.map_err(explained)?;
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let lines = table.lines().filter(|line| !line.starts_with('+')).skip(1);
    let cells = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.join(",")
    };
    Ok(lines.map(cells).collect::<Vec<_>>().join("\n"))
}

fn types(opened: &OpenDataset) -> Vec<String> {
    let fields = opened.schema.fields().iter();
    fields
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect()
}

#[tokio::test]
async fn every_format_is_read() {
    let folder = Folder::of(&[
        ("a.csv", b"id,name\n1,x\n2,\n"),
        ("a.tsv", b"id\tname\n1\tx\n2\t\n"),
        ("a.jsonl", b"{\"id\": 1, \"name\": \"x\"}\n\n{\"id\": 2}\n"),
        ("bom.csv", b"\xEF\xBB\xBFid,name\n1,x\n2,\n"),
        (
            "bom.json",
            b"\xEF\xBB\xBF{\"id\": 1, \"name\": \"x\"}\n{\"id\": 2}\n",
        ),
    ]);
    folder
        .parquet(
            "a.parquet",
            "select * from (values (1, 'x'), (2, null)) t(id, name)",
        )
        .await;
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
    ]));
    let ids = Arc::new(Int64Array::from(vec![1, 2]));
    let names = Arc::new(StringArray::from(vec![Some("x"), None]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![ids, names]).unwrap();
    let mut writer =
        FileWriter::try_new(fs::File::create(folder.path("a.arrow")).unwrap(), &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut writer = StreamWriter::try_new(
        fs::File::create(folder.path("stream.ipc")).unwrap(),
        &schema,
    )
    .unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    for path in [
        "a.csv",
        "a.tsv",
        "a.jsonl",
        "bom.csv",
        "bom.json",
        "a.parquet",
        "a.arrow",
        "stream.ipc",
    ] {
        assert_eq!(
            folder.rows(path, none()).await.unwrap(),
            "1,x\n2,",
            "{path}"
        );
        let opened = folder.open_one(dataset("d", path)).await.unwrap();
        assert!(
            opened
                .schema
                .fields()
                .iter()
                .all(|field| field.is_nullable()),
            "{path}"
        );
        assert_eq!(opened.schema.field(0).name(), "id", "{path}");
        assert_eq!(opened.files.len(), 1, "{path}");
        assert_eq!(
            opened.dear,
            path.contains("sv") || path.contains("json"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn batches_and_tables_are_datasets() {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2]))]).unwrap();
    let other = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)]));
    let other = RecordBatch::new_empty(other);
    let double = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("a", DataType::Int64, true),
    ]);
    let double = RecordBatch::new_empty(Arc::new(double));
    let folder = Folder::new();
    let opened = folder
        .open_one(of("d", Source::Batches(vec![batch.clone(), batch.clone()])))
        .await
        .unwrap();
    assert_eq!(rows(&opened).await.unwrap(), "1\n2\n1\n2");
    let table = of("t", Source::Table(Arc::clone(&opened.provider)));
    assert_eq!(
        rows(&folder.open_one(table).await.unwrap()).await.unwrap(),
        "1\n2\n1\n2"
    );
    for (batches, expected) in [
        (
            vec![],
            "dataset `d` has no record batch; give at least one, which may have no rows",
        ),
        (
            vec![batch, other],
            "the record batches of dataset `d` have different schemas: number 2 is not like the first",
        ),
        (
            vec![double],
            "dataset `d` has 2 columns named `a`; rename them",
        ),
    ] {
        let error = folder
            .open_one(of("d", Source::Batches(batches)))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_changed_file_is_noticed() {
    let folder = Folder::of(&[("a.csv", b"id\n1\n")]);
    let opened = folder.open_one(dataset("d", "a.csv")).await.unwrap();
    assert_eq!(opened.changed(), None);
    opened.inspect().await.unwrap();
    folder.write("a.csv", b"id\n1\n2\n");
    let path = folder.text("a.csv");
    assert_eq!(
        opened.changed(),
        Some(format!("the file `{path}` has changed since it was opened"))
    );
    assert!(opened.inspect().await.is_err());
    fs::remove_file(folder.path("a.csv")).unwrap();
    assert_eq!(
        opened.changed(),
        Some(format!(
            "the file `{path}` has disappeared since it was opened"
        ))
    );
}

#[tokio::test]
async fn odd_names_are_read() {
    let folder = Folder::new();
    for name in [
        "a b.parquet",
        "50%.parquet",
        "a#b?.parquet",
        "é.parquet",
        "a%20b.parquet",
    ] {
        folder.parquet("x.parquet", "select 1 as id").await;
        fs::rename(folder.path("x.parquet"), folder.path(name)).unwrap();
        assert_eq!(folder.rows(name, none()).await.unwrap(), "1", "{name}");
    }
    folder.write("data.txt", b"id\n1\n");
    let mut given = dataset("d", "data.txt");
    if let Source::Path { format, .. } = &mut given.source {
        *format = Some(Format::Csv);
    }
    assert_eq!(
        rows(&folder.open_one(given).await.unwrap()).await.unwrap(),
        "1"
    );
}
