//! Datasets that are queries over others.

use super::*;

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
