//! Names that mean something in SQL.

use serde_json::json;
use veracity_processor::sample_report;
use veracity_servers::postgres;
use veracity_sql::Dialect;

use crate::place::{build, deliver, everywhere, on};

const PREFIXES: &[&str] = &[
    "",
    "a.b.",
    "dq\"; drop table other; --",
    "dq`; drop table other; --",
    "'; drop table other; --",
    "größe 数 ",
    "select ",
    "%s?$1:x",
    "\\",
    "123456789012345678901234567890123456789012345",
];

#[test]
fn any_prefix_makes_tables_of_just_that_name() {
    for place in everywhere() {
        place.execute("create table other (a int)");
        for &prefix in PREFIXES {
            let processor = build(json!({"url": place.url, "table_prefix": prefix})).unwrap();
            for _ in 0..2 {
                deliver(&*processor, &sample_report())
                    .unwrap_or_else(|error| panic!("{} {prefix}: {error}", place.dialect));
            }
            let counts = ["runs", "results", "symbols", "migrations"]
                .map(|table| place.count(&format!("{prefix}{table}")));
            assert_eq!(counts, [1, 13, 8, 1], "{} {prefix}", place.dialect);
        }
        assert_eq!(place.count("other"), 0, "{}", place.dialect);
    }
}

#[test]
fn prefixes_that_differ_in_case_are_different_or_the_same_or_refused() {
    for place in everywhere() {
        let delivered = ["dq_", "DQ_"].map(|prefix| {
            let processor = build(json!({"url": place.url, "table_prefix": prefix})).unwrap();
            deliver(&*processor, &sample_report())
        });
        assert!(delivered[0].is_ok(), "{}", place.dialect);
        match place.dialect {
            Dialect::Postgres | Dialect::Sqlite => {
                assert!(delivered[1].is_ok(), "{}", place.dialect);
                assert_eq!(place.count("DQ_runs"), 1);
            }
            // The names of foreign keys are told apart without case.
            Dialect::MySql => {
                let error = delivered[1].as_ref().unwrap_err();
                assert!(error.message().contains("DQ_results"), "{error}");
            }
        }
        assert_eq!(place.count("dq_runs"), 1, "{}", place.dialect);
    }
}

#[test]
fn tables_are_made_in_the_schema_that_is_named() {
    let place = on(postgres());
    for schema in ["dq", "a\"b.c; drop schema public", "mixed Case"] {
        let config = json!({"url": place.url, "schema": schema});
        let mut closed = config.clone();
        closed["create"] = json!(false);
        let error = deliver(&*build(closed.clone()).unwrap(), &sample_report()).unwrap_err();
        assert!(error.to_string().contains("there is no schema"), "{error}");
        deliver(&*build(config).unwrap(), &sample_report()).unwrap();
        deliver(&*build(closed).unwrap(), &sample_report()).unwrap();
        let sql = format!(
            "select run_id from {}.veracity_runs",
            place.dialect.quote(schema)
        );
        assert_eq!(place.texts(&sql).len(), 1);
    }
    let visible = "select to_regclass('public.veracity_runs')::text";
    assert_eq!(place.texts(visible), [[None]]);
}
