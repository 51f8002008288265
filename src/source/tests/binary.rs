//! Parquet and Arrow files.

use super::*;

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
    let opened = folder.open_one(dataset("d", "a.parquet")).await.unwrap();
    let error = opened.explain(&ParquetError::General("odd".to_owned()).into());
    assert!(
        error.ends_with(&format!("odd); the file is `{}`", folder.text("a.parquet"))),
        "{error}"
    );
    let unreadable = opened.find_unreadable().await.unwrap();
    assert!(
        unreadable.contains("a.parquet` cannot be read: "),
        "{unreadable}"
    );
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
