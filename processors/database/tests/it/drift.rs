//! Tables that somebody changed.

use serde_json::json;
use veracity_processor::sample_report;
use veracity_sql::Dialect;

use crate::place::{Place, block_on, build, deliver, everywhere, process, start};

/// A change, in the words of PostgreSQL and MariaDB and of SQLite (`None`: it cannot), and
/// what is told.
const CHANGES: &[(&str, &str, Option<&str>, &str)] = &[
    (
        "a column is missing",
        "alter table veracity_results drop column reason",
        Some("alter table veracity_results drop column reason"),
        "table `veracity_results` has no column `reason`",
    ),
    (
        "a column was renamed",
        "alter table veracity_symbols rename column metric to measure",
        Some("alter table veracity_symbols rename column metric to measure"),
        "table `veracity_symbols` has no column `metric`, column `measure` of table \
         `veracity_symbols` is not known to this program and has to be filled",
    ),
    (
        "a table is gone",
        "drop table veracity_symbols",
        Some("drop table veracity_symbols"),
        "table `veracity_symbols` is missing",
    ),
    (
        "a column must be filled",
        "alter table veracity_runs add column owner varchar(9) not null",
        None,
        "column `owner` of table `veracity_runs` is not known to this program and has to be \
         filled",
    ),
];

fn refused(place: &Place, label: &str, expected: &str) {
    let processor = place.processor();
    block_on(async {
        let starting = start(&*processor).await.unwrap_err();
        let processing = process(&*processor, &sample_report()).await.unwrap_err();
        for error in [starting, processing] {
            assert!(!error.is_retryable(), "{label}: {error}");
            assert!(error.message().contains(expected), "{label}: {error}");
        }
        let health = processor.health().await.unwrap();
        assert!(health.detail.unwrap().contains(expected), "{label}");
    });
    let runs = place.texts("select run_id from veracity_runs");
    assert!(runs.is_empty(), "{label}: nothing is written");
}

fn create(place: &Place) {
    let processor = place.processor();
    block_on(async {
        start(&*processor).await.unwrap();
        processor.shutdown().await.unwrap();
    });
}

#[test]
fn changes_are_told_with_table_and_column_and_nothing_is_written() {
    for &(label, elsewhere, in_sqlite, expected) in CHANGES {
        for place in everywhere() {
            let sql = match place.dialect {
                Dialect::Sqlite => in_sqlite,
                Dialect::Postgres | Dialect::MySql => Some(elsewhere),
            };
            let Some(sql) = sql else { continue };
            create(&place);
            place.execute(sql);
            refused(&place, label, expected);
        }
    }
}

#[test]
fn a_type_that_changed_is_told_with_both_types() {
    for place in everywhere() {
        create(&place);
        let expected = match place.dialect {
            Dialect::Postgres => {
                place.execute("alter table veracity_results alter column actual type varchar(20)");
                place.execute("alter table veracity_results alter column reason set not null");
                "column `actual` of table `veracity_results` is `character varying(20)` instead \
                 of `text`, column `reason` of table `veracity_results` takes no nulls"
            }
            Dialect::MySql => {
                place.execute("alter table veracity_results modify actual varchar(20)");
                "column `actual` of table `veracity_results` is `varchar(20)` instead of \
                 `longtext`"
            }
            Dialect::Sqlite => {
                place.execute(
                    "alter table veracity_results drop column actual; \
                     alter table veracity_results add column actual integer",
                );
                "column `actual` of table `veracity_results` is `INTEGER` instead of `text`"
            }
        };
        refused(&place, "type", expected);
    }
}

#[test]
fn columns_that_others_added_with_a_default_are_left_alone() {
    for place in everywhere() {
        create(&place);
        place.execute(
            "alter table veracity_runs add column owner varchar(9)"
                .replace(
                    "varchar(9)",
                    if place.dialect == Dialect::Sqlite {
                        "text"
                    } else {
                        "varchar(9)"
                    },
                )
                .as_str(),
        );
        place.execute("alter table veracity_runs add column weight int not null default 7");
        deliver(&*place.processor(), &sample_report()).unwrap();
        assert_eq!(place.counts(), [1, 13, 8], "{}", place.dialect);
    }
}

#[test]
fn tables_of_a_newer_program_are_refused() {
    for place in everywhere() {
        create(&place);
        place.execute(
            "insert into veracity_migrations (version, name, finished) values (99, 'later', 1)",
        );
        for create in [true, false] {
            let processor = build(json!({"url": place.url, "create": create})).unwrap();
            let error = deliver(&*processor, &sample_report()).unwrap_err();
            assert!(!error.is_retryable(), "{error}");
            assert!(
                error
                    .message()
                    .contains("have version 99, this program knows versions up to 1"),
                "{error}"
            );
        }
        assert_eq!(place.counts(), [0, 0, 0], "{}", place.dialect);
    }
}

#[test]
fn without_create_nothing_is_created() {
    for place in everywhere() {
        let processor = build(json!({"url": place.url, "create": false})).unwrap();
        let error = deliver(&*processor, &sample_report()).unwrap_err();
        let expected = "table `veracity_runs` is missing, table `veracity_results` is missing";
        assert!(error.message().contains(expected), "{error}");
        create(&place);
        deliver(&*processor, &sample_report()).unwrap();
        assert_eq!(place.counts(), [1, 13, 8], "{}", place.dialect);
    }
}

#[test]
fn a_table_dropped_while_running_leaves_nothing_half_written() {
    for place in everywhere() {
        let processor = place.processor();
        block_on(async { start(&*processor).await.unwrap() });
        let processor = place.processor();
        block_on(async {
            start(&*processor).await.unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| place.execute("drop table veracity_symbols"));
            });
            let error = process(&*processor, &sample_report()).await.unwrap_err();
            assert!(!error.is_retryable(), "{error}");
            assert!(error.message().contains("veracity_symbols"), "{error}");
        });
        assert_eq!(place.count("veracity_runs"), 0, "{}", place.dialect);
        assert_eq!(place.count("veracity_results"), 0, "{}", place.dialect);
    }
}
