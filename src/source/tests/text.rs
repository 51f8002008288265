//! CSV and JSON files that are as they should be.

use super::*;

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
