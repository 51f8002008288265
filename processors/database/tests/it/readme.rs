//! The queries of the README.

use veracity_processor::sample_report;
use veracity_sql::sqlx::AssertSqlSafe;

use crate::place::{block_on, connect, deliver, everywhere};

#[test]
fn the_queries_of_the_readme_find_something_everywhere() {
    let readme = include_str!("../../README.md");
    let queries = readme.split("```sql\n").skip(1);
    let queries: Vec<&str> = queries
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    // Four results failed and two are in error; one row of the metric; four assertions that failed.
    let expected = [6, 1, 4];
    assert_eq!(queries.len(), expected.len());
    for place in everywhere() {
        deliver(&*place.processor(), &sample_report()).unwrap();
        block_on(async {
            let database = connect(&place.url).await;
            for (query, rows) in queries.iter().zip(expected) {
                // Moments and dates are no types of every database.
                let sql = format!(
                    "select count(*) from ({}) q",
                    query.trim().trim_end_matches(';')
                );
                let query = place.dialect.query(AssertSqlSafe(sql));
                let row = query.fetch_one(database.pool()).await.unwrap();
                let found: i64 = veracity_sql::sqlx::Row::get(&row, 0);
                assert_eq!(found, rows, "{}", place.dialect);
            }
            database.close().await;
        });
    }
}
