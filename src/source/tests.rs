//! Datasets opened from files written for the test.

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
async fn compressed_text_is_read() {
    use CompressionTypeVariant::{BZIP2, GZIP, XZ, ZSTD};
    let folder = Folder::new();
    for (extension, compression) in [("gz", GZIP), ("bz2", BZIP2), ("xz", XZ), ("zst", ZSTD)] {
        let name = format!("a.csv.{extension}");
        let rows = SessionContext::new()
            .sql("select 1 as id, 'x' as name union all select 2, null order by id")
            .await
            .unwrap();
        let options = CsvOptions {
            compression,
            has_header: Some(true),
            ..Default::default()
        };
        let single = DataFrameWriteOptions::new().with_single_file_output(true);
        rows.write_csv(&folder.text(&name), single, Some(options))
            .await
            .unwrap();
        assert_eq!(
            folder.rows(&name, none()).await.unwrap(),
            "1,x\n2,",
            "{name}"
        );
    }
    fs::copy(folder.path("a.csv.gz"), folder.path("plain.csv")).unwrap();
    let given = FormatOptions {
        compression: Some("gzip".to_owned()),
        ..none()
    };
    assert_eq!(folder.rows("plain.csv", given).await.unwrap(), "1,x\n2,");
    let bytes = fs::read(folder.path("a.csv.gz")).unwrap();
    folder.write("cut.csv.gz", &bytes[..bytes.len() - 12]);
    let problem = folder.problem("cut.csv.gz", none()).await;
    assert!(
        problem.contains(
            "cannot decompress `cut.csv.gz`, it is truncated, corrupt or compressed in another way"
        ),
        "{problem}"
    );
}

#[tokio::test]
async fn csv_options_are_obeyed() {
    let folder = Folder::of(&[
        (
            "a.csv",
            b"id,when,amount,note\n1,2026-11-20,1.50,NA\n2,NA,n/a,a.b\n",
        ),
        ("b.csv", b"1;'a;b'\n# a comment\n2;c\n"),
        ("c.csv", b"a,b\n\"x\ny\",\"say \"\"hi\"\"\"\n"),
        ("d.csv", b"a,b\n\"x \\\"y\\\"\",1\n"),
    ]);
    let options = FormatOptions {
        null_values: Some(vec!["NA".to_owned(), "n/a".to_owned()]),
        types: Some([("amount".to_owned(), "decimal(10,2)".to_owned())].into()),
        ..none()
    };
    let opened = folder
        .open_one(with_options(dataset("d", "a.csv"), options))
        .await
        .unwrap();
    assert_eq!(rows(&opened).await.unwrap(), "1,2026-11-20,1.50,\n2,,,a.b");
    assert_eq!(
        types(&opened),
        [
            "id Int64",
            "when Date32",
            "amount Decimal128(10, 2)",
            "note Utf8"
        ]
    );
    let options = FormatOptions {
        header: Some(false),
        delimiter: Some(';'),
        quote: Some('\''),
        comment: Some('#'),
        ..none()
    };
    let opened = folder
        .open_one(with_options(dataset("d", "b.csv"), options))
        .await
        .unwrap();
    assert_eq!(rows(&opened).await.unwrap(), "1,a;b\n2,c");
    assert_eq!(types(&opened), ["column_1 Int64", "column_2 Utf8"]);
    let opened = folder.open_one(dataset("d", "c.csv")).await.unwrap();
    let counted = SessionContext::new()
        .read_table(opened.provider)
        .unwrap()
        .count()
        .await
        .unwrap();
    assert_eq!(counted, 1);
    let options = FormatOptions {
        escape: Some('\\'),
        ..none()
    };
    assert_eq!(folder.rows("d.csv", options).await.unwrap(), "x \"y\",1");
}

#[tokio::test]
async fn columns_of_csv_files_are_found_by_name() {
    let folder = Folder::of(&[
        ("t/a.csv", b"id,name\n1,x\n"),
        ("t/b.csv", b"name,id,extra\ny,2,true\n"),
        ("t/c.csv", b"id\n3.5\n"),
    ]);
    let opened = folder.open_one(dataset("d", "t")).await.unwrap();
    assert_eq!(types(&opened), ["id Float64", "name Utf8", "extra Boolean"]);
    assert_eq!(rows(&opened).await.unwrap(), "1.0,x,\n2.0,y,true\n3.5,,");
    assert_eq!(
        opened.warnings,
        [
            "`t/c.csv` has no column `name`: it is NULL there",
            "`t/a.csv` and 1 more has no column `extra`: it is NULL there",
        ]
    );
    let projected = SessionContext::new().read_table(opened.provider).unwrap();
    let projected = projected
        .select_columns(&["extra", "id"])
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(
        projected.iter().map(|batch| batch.num_columns()).max(),
        Some(2)
    );
}

#[tokio::test]
async fn a_split_file_has_the_same_rows() {
    let folder = Folder::new();
    let mut csv = "id,text\n".to_owned();
    let mut json = String::new();
    for id in 0..500 {
        let text = if id % 3 == 0 {
            "\"line\nbreak, \"\"quoted\"\"\""
        } else {
            "plain"
        };
        csv.push_str(&format!("{id},{text}\n"));
        json.push_str(&format!("{{\"id\": {id}, \"text\": \"plain\"}}\n"));
    }
    folder.write("a.csv", csv);
    folder.write("a.json", json);
    for path in ["a.csv", "a.json"] {
        for partitions in [1, 2, 7, 16] {
            let mut config = SessionConfig::new().with_target_partitions(partitions);
            config.options_mut().optimizer.repartition_file_min_size = 0;
            let session = SessionContext::new_with_config(config);
            let opened = folder.open_one(dataset("d", path)).await.unwrap();
            let sql = "select count(*), sum(id), count(distinct id) from d";
            session
                .register_table("d", Arc::clone(&opened.provider))
                .unwrap();
            let frame = session.sql(sql).await.unwrap();
            let plan = frame.clone().create_physical_plan().await.unwrap();
            let pieces = groups_of(&plan);
            assert_eq!(pieces, partitions, "{path}");
            let batches = frame.collect().await.unwrap();
            let table = pretty_format_batches(&batches).unwrap().to_string();
            assert!(
                table.contains("| 500      | 124750    | 500"),
                "{path} {partitions}\n{table}"
            );
        }
    }
}

fn groups_of(plan: &Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> usize {
    let scan = plan.downcast_ref::<DataSourceExec>();
    let config = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    match config {
        Some(config) => config.file_groups.len(),
        None => plan
            .children()
            .into_iter()
            .map(groups_of)
            .max()
            .unwrap_or(0),
    }
}

#[tokio::test]
async fn a_field_may_be_large() {
    let folder = Folder::new();
    let large = "x".repeat(10 * 1024 * 1024);
    folder.write("a.csv", format!("id,text\n1,\"{large}\"\n2,y\n"));
    folder.write(
        "a.json",
        format!("{{\"id\": 1, \"text\": \"{large}\"}}\n{{\"id\": 2, \"text\": \"y\"}}\n"),
    );
    for path in ["a.csv", "a.json"] {
        let opened = folder.open_one(dataset("d", path)).await.unwrap();
        let session = SessionContext::new();
        session.register_table("d", opened.provider).unwrap();
        let lengths = session
            .sql("select max(length(text)), count(*) from d")
            .await
            .unwrap();
        let table = pretty_format_batches(&lengths.collect().await.unwrap())
            .unwrap()
            .to_string();
        assert!(
            table.contains("10485760") && table.contains("| 2 "),
            "{path} {table}"
        );
    }
}

#[tokio::test]
async fn bad_text_is_explained() {
    let mut late = "a,b\n".to_owned();
    late.push_str(&"1,2\n".repeat(20));
    let narrow = FormatOptions {
        infer_rows: Some(5),
        ..none()
    };
    let single_line = FormatOptions {
        newlines_in_values: Some(false),
        ..none()
    };
    let json_type = FormatOptions {
        infer_rows: Some(1),
        ..none()
    };
    for (label, name, text, options, expected) in [
        (
            "ragged",
            "a.csv",
            "a,b\n1,2\n3\n".to_owned().into_bytes(),
            none(),
            "line 3 of `a.csv` has 1 field, the header has 2",
        ),
        (
            "ragged later",
            "a.csv",
            format!("{late}1,2,3\n").into_bytes(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` has 3 fields, the header has 2",
        ),
        (
            "ragged later, short",
            "a.csv",
            format!("{late}\"x\n\",2\n\n1\n").into_bytes(),
            FormatOptions {
                types: Some([("a".to_owned(), "text".to_owned())].into()),
                ..narrow.clone()
            },
            "cannot read dataset `d`: line 25 of `a.csv` has 1 field, the header has 2",
        ),
        (
            "a value of another type later",
            "a.csv",
            format!("{late}1,x\n").into_bytes(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` has `x` in column `b`, which is no integer (Int64); \
             correct it, or give the column's type with `types:`, or add it to `null_values:`",
        ),
        (
            "a bad timestamp",
            "a.csv",
            b"a,b\n1,2026-11-20T00:00:00\n2,2026-11-20T00:00:00\n3,soon\n".to_vec(),
            FormatOptions {
                infer_rows: Some(2),
                ..none()
            },
            "cannot read dataset `d`: line 4 of `a.csv` has no valid timestamp in column `b` \
             (Error parsing timestamp from 'soon': timestamp must contain at least 10 characters)",
        ),
        (
            "not UTF-8",
            "a.csv",
            b"a,b\n1,caf\xE9\n".to_vec(),
            none(),
            "line 2 of `a.csv` is not UTF-8; convert the file to UTF-8",
        ),
        (
            "not UTF-8 later",
            "a.csv",
            [late.as_bytes(), b"1,caf\xE9\n"].concat(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` is not UTF-8 in column `b`; convert the file to UTF-8",
        ),
        (
            "UTF-16",
            "a.csv",
            b"\xFF\xFEa\0,\0b\0\n\0".to_vec(),
            none(),
            "`a.csv` is UTF-16, convert it to UTF-8",
        ),
        (
            "UTF-16 without a mark",
            "a.json",
            b"{\0\"\0a\0".to_vec(),
            none(),
            "`a.json` is UTF-16, convert it to UTF-8",
        ),
        (
            "unclosed quote",
            "a.csv",
            b"a,b\n1,2\n3,\"4\n5,6\n".to_vec(),
            none(),
            "line 3 of `a.csv` has an unclosed quote: all that follows would be one value",
        ),
        (
            "unclosed quote later",
            "a.csv",
            format!("{late}1,\"x\n2,3\n").into_bytes(),
            narrow.clone(),
            "cannot read dataset `d`: line 22 of `a.csv` has an unclosed quote: all that follows would be one value",
        ),
        (
            "quotes that swallow rows",
            "a.csv",
            b"a,b\n1,\"x\n2,\"y\"\n3,z\n".to_vec(),
            none(),
            "line 2 of `a.csv` most likely has an unclosed quote: the value goes on for lines, \
             up to a quote that text follows",
        ),
        (
            "line break where none may be",
            "a.csv",
            b"a,b\n1,\"x\ny\"\n".to_vec(),
            single_line,
            "line 2 of `a.csv` has a value with a line break; allow them with `newlines_in_values: true`",
        ),
        (
            "duplicate header",
            "a.csv",
            b"a,b,a\n1,2,3\n".to_vec(),
            none(),
            "the header of `a.csv` has 2 columns named `a`; rename them",
        ),
        (
            "zero bytes",
            "a.csv",
            Vec::new(),
            none(),
            "`a.csv` is empty: it has not even columns; `allow_empty_file: true` takes it for a table without rows",
        ),
        (
            "blank lines only",
            "a.csv",
            b"\n\n".to_vec(),
            none(),
            "`a.csv` has no header, so no columns",
        ),
        (
            "unknown column in types",
            "a.csv",
            b"amount\n1\n".to_vec(),
            FormatOptions {
                types: Some([("amonut".to_owned(), "int".to_owned())].into()),
                ..none()
            },
            "`types:` names the column `amonut`, which dataset `d` does not have, did you mean `amount`?; it has `amount`",
        ),
        (
            "JSON array",
            "a.json",
            b"[\n{\"a\": 1}\n]\n".to_vec(),
            none(),
            "`a.json` is a JSON array; write one object a line, for instance with `jq -c '.[]'`",
        ),
        (
            "broken JSON",
            "a.json",
            b"{\"a\": 1}\n{\"a\": }\n".to_vec(),
            none(),
            "line 2 of `a.json` is not one JSON object: expected value at column 7",
        ),
        (
            "broken JSON later",
            "a.json",
            b"{\"a\": 1}\n{\"a\": 2}\n{\"a\": }\n".to_vec(),
            json_type.clone(),
            "cannot read dataset `d`: line 3 of `a.json` is not one JSON object: expected value at column 7",
        ),
        (
            "JSON of another type later",
            "a.json",
            b"{\"a\": 1}\n{\"a\": 2}\n{\"a\": \"x\"}\n".to_vec(),
            json_type,
            "cannot read dataset `d`: line 3 of `a.json`, column `a`: failed to parse \"x\" as Int64; \
             correct it, or give the column's type with `types:`",
        ),
        (
            "no JSON object",
            "a.json",
            b"1\n".to_vec(),
            none(),
            "line 1 of `a.json` is no JSON object",
        ),
    ] {
        let folder = Folder::of(&[(name, &text)]);
        assert_eq!(folder.problem(name, options).await, expected, "{label}");
    }
}

#[tokio::test]
async fn sensitive_values_are_not_shown() {
    let folder = Folder::of(&[
        ("a.csv", b"id,pin\n1,2\n2,secret\n"),
        ("a.json", b"{\"pin\": 1}\n{\"pin\": \"secret\"}\n"),
    ]);
    for path in ["a.csv", "a.json"] {
        let options = FormatOptions {
            infer_rows: Some(1),
            ..none()
        };
        let mut dataset = with_options(dataset("d", path), options);
        dataset.sensitive = vec!["pin".to_owned()];
        let opened = folder.open_one(dataset).await.unwrap();
        let problem = rows(&opened).await.unwrap_err().to_string();
        assert!(
            problem.contains("column `pin`") && !problem.contains("secret"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn few_rows_are_no_error() {
    let folder = Folder::of(&[
        ("header.csv", b"a,b\n"),
        ("t/empty.csv", b""),
        ("t/full.csv", b"a\n1\n"),
    ]);
    let opened = folder.open_one(dataset("d", "header.csv")).await.unwrap();
    assert_eq!(types(&opened), ["a Utf8", "b Utf8"]);
    assert_eq!(rows(&opened).await.unwrap(), "");
    let allowed = || FormatOptions {
        allow_empty_file: Some(true),
        ..none()
    };
    assert_eq!(folder.rows("t", allowed()).await.unwrap(), "1");
    let opened = folder
        .open_one(with_options(dataset("d", "t/empty.csv"), allowed()))
        .await
        .unwrap();
    assert_eq!(opened.schema.fields().len(), 0);
    assert!(
        folder
            .problem("t", none())
            .await
            .starts_with("`t/empty.csv` is empty")
    );
}

#[tokio::test]
async fn bad_parquet_is_explained() {
    let folder = Folder::new();
    folder
        .parquet("good.parquet", "select 1 as id, 'x' as name")
        .await;
    folder.parquet("t/a.parquet", "select 1 as id").await;
    folder.parquet("t/b.parquet", "select 'x' as id").await;
    let bytes = fs::read(folder.path("good.parquet")).unwrap();
    folder.write("half.parquet", &bytes[..bytes.len() / 2]);
    folder.write("magic.parquet", b"PAR1PAR1");
    folder.write("text.parquet", b"a,b\n1,2\n and more");
    folder.write("zero.parquet", b"");
    folder.write("long.parquet", b"PAR1 and \xFF\xFF\xFF\x7FPAR1");
    folder.write("garbage.parquet", b"PAR1garbage!\x08\0\0\0PAR1");
    for (path, expected) in [
        ("half.parquet", "it does not begin and end as one"),
        ("magic.parquet", "it is too short"),
        ("text.parquet", "it does not begin and end as one"),
        ("long.parquet", "its footer would be longer than the file"),
        ("garbage.parquet", ""),
    ] {
        let problem = folder.problem(path, none()).await;
        let expected = format!("`{path}` is no Parquet file, or truncated or corrupt: {expected}");
        assert!(problem.starts_with(&expected), "{problem}");
    }
    assert!(
        folder
            .problem("zero.parquet", none())
            .await
            .starts_with("`zero.parquet` is empty")
    );
    assert_eq!(
        folder.problem("t", none()).await,
        "column `id` is Int64 in `t/a.parquet` and Utf8View in `t/b.parquet`; write the files with one type"
    );
}

#[tokio::test]
async fn corrupt_pages_are_explained() {
    let folder = Folder::new();
    folder
        .parquet(
            "a.parquet",
            "select value as id from generate_series(1, 1000)",
        )
        .await;
    let mut bytes = fs::read(folder.path("a.parquet")).unwrap();
    for byte in &mut bytes[8..200] {
        *byte ^= 0xFF;
    }
    folder.write("a.parquet", &bytes);
    let problem = folder.problem("a.parquet", none()).await;
    assert!(
        problem.starts_with("cannot read dataset `d`: "),
        "{problem}"
    );
    assert!(!problem.contains("bug in DataFusion"), "{problem}");
}

#[tokio::test]
async fn parquet_footers_go_with_the_scan() {
    let folder = Folder::new();
    folder
        .parquet("t/date=2026-11-20/b.parquet", "select 1 as id")
        .await;
    folder
        .parquet(
            "t/date=2026-11-21/a.parquet",
            "select value as id from generate_series(1, 3)",
        )
        .await;
    folder
        .parquet(
            "t/date=__HIVE_DEFAULT_PARTITION__/c.parquet",
            "select 9 as id",
        )
        .await;
    let opened = folder.open_one(dataset("d", "t")).await.unwrap();
    assert_eq!(types(&opened), ["id Int64", "date Date32"]);
    let footers = opened.parquet.as_ref().unwrap();
    let rows_in_footers: Vec<i64> = footers
        .iter()
        .map(|one| one.metadata.file_metadata().num_rows())
        .collect();
    assert_eq!(rows_in_footers, [1, 3, 1]);
    let session = SessionContext::new();
    let plan = opened
        .provider
        .scan(&session.state(), None, &[], None)
        .await
        .unwrap();
    let scan = plan.downcast_ref::<DataSourceExec>().unwrap();
    let config = scan.data_source().downcast_ref::<FileScanConfig>().unwrap();
    let mut scanned: Vec<_> = config
        .file_groups
        .iter()
        .flat_map(|group| group.files())
        .collect();
    scanned.sort_by(|a, b| a.object_meta.location.cmp(&b.object_meta.location));
    let locations: Vec<_> = scanned
        .iter()
        .map(|file| &file.object_meta.location)
        .collect();
    assert_eq!(
        locations,
        footers.iter().map(|one| &one.location).collect::<Vec<_>>()
    );
    session.register_table("d", opened.provider).unwrap();
    for (sql, expected) in [
        ("select count(*) from d", "| 5 "),
        (
            "select count(*) from d where date = date '2026-11-21'",
            "| 3 ",
        ),
        ("select count(*) from d where date is null", "| 1 "),
        ("select count(date) from d", "| 4 "),
        ("select max(date) from d", "| 2026-11-21 "),
        (
            "select sum(id) from d where date >= date '2026-11-20' and id > 1",
            "| 5 ",
        ),
    ] {
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let table = pretty_format_batches(&batches).unwrap().to_string();
        assert!(table.contains(expected), "{sql}\n{table}");
    }
}

#[tokio::test]
async fn a_not_null_promise_is_not_believed() {
    let folder = Folder::new();
    folder.parquet("a.parquet", "select 1 as id").await;
    let opened = folder.open_one(dataset("d", "a.parquet")).await.unwrap();
    assert!(opened.schema.field(0).is_nullable());
}

#[tokio::test]
async fn queries_are_opened_after_what_they_read() {
    let folder = Folder::of(&[("f.csv", b"id,delay\n1,10\n2,90\n"), ("p.csv", b"id\n1\n")]);
    let (session, opened) = folder
        .open(vec![
            query("later", "select * from late"),
            query("late", "select * from Flights where delay > 60"),
            dataset("Flights", "f.csv"),
            dataset("planes", "p.csv"),
            query("both", "select * from \"Flights\" f join planes using (id)"),
            query("gone", "select * from missing"),
            dataset("missing", "missing.csv"),
            query("a", "select * from b"),
            query("b", "select * from c"),
            query("c", "select * from b"),
            query("twice", "select f.id, p.id from flights f, planes p"),
            query("wrong", "select dealy from flights"),
        ])
        .await;
    let names: Vec<&str> = opened.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "later", "late", "Flights", "planes", "both", "gone", "missing", "a", "b", "c",
            "twice", "wrong"
        ]
    );
    let outcome = |name: &str| &opened.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(
        rows(outcome("later").as_ref().unwrap()).await.unwrap(),
        "2,90"
    );
    assert_eq!(
        rows(outcome("both").as_ref().unwrap()).await.unwrap(),
        "1,10"
    );
    let direct = session.sql("select count(*) from flights").await.unwrap();
    assert_eq!(direct.count().await.unwrap(), 1);
    for (name, expected) in [
        (
            "gone",
            "dataset `gone` reads dataset `missing`, which could not be opened: file `missing.csv` does not exist",
        ),
        (
            "b",
            "datasets read each other in a circle: `b` -> `c` -> `b`",
        ),
        (
            "c",
            "datasets read each other in a circle: `b` -> `c` -> `b`",
        ),
        (
            "a",
            "dataset `a` reads dataset `b`, which could not be opened: \
             datasets read each other in a circle: `b` -> `c` -> `b`",
        ),
    ] {
        assert_eq!(
            outcome(name).as_ref().unwrap_err().to_string(),
            expected,
            "{name}"
        );
    }
    for (name, expected) in [
        (
            "twice",
            "the query of dataset `twice` has 2 columns named `id`; rename them",
        ),
        (
            "wrong",
            "the `sql:` of dataset `wrong` cannot be used: No field named dealy",
        ),
    ] {
        let problem = outcome(name).as_ref().unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[tokio::test]
async fn a_query_cannot_reach_files() {
    let folder = Folder::of(&[("f.csv", b"id\n1\n")]);
    let path = folder.text("f.csv");
    for sql in [
        format!("select * from '{path}'"),
        format!("select * from read_csv('{path}')"),
        format!("select * from read_parquet('{path}')"),
    ] {
        let (_, opened) = folder.open(vec![query("q", &sql)]).await;
        assert!(opened[0].1.is_err(), "{sql}");
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
async fn arrow_files_of_one_dataset_are_alike() {
    let folder = Folder::new();
    for (name, column) in [("t/a.arrow", "x"), ("t/b.arrow", "y")] {
        let schema = Schema::new(vec![Field::new(column, DataType::Int64, true)]);
        fs::create_dir_all(folder.path("t")).unwrap();
        FileWriter::try_new(fs::File::create(folder.path(name)).unwrap(), &schema)
            .unwrap()
            .finish()
            .unwrap();
    }
    folder.write("bad.arrow", b"ARROW1 but no more");
    folder.write("worse.ipc", b"no Arrow at all");
    assert_eq!(
        folder.problem("t", none()).await,
        "Arrow files must have the same columns in the same order: `t/a.arrow` and `t/b.arrow` differ"
    );
    for path in ["bad.arrow", "worse.ipc"] {
        let problem = folder.problem(path, none()).await;
        let expected = format!("`{path}` is no Arrow file, or truncated or corrupt: ");
        assert!(problem.starts_with(&expected), "{problem}");
    }
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
