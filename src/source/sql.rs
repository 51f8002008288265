//! Datasets that are a query over other datasets.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use super::checked::checked_plan;
use super::explain::of_query;
use super::schema::refuse_twice;
use crate::error::{Error, Result, did_you_mean, listed};

/// The names that `sql:` datasets may use.
pub(super) struct Names {
    /// As they are written, and in lower case where that is clear.
    datasets: BTreeMap<String, String>,
    all: Vec<String>,
}

impl Names {
    /// The names of `datasets`; SQL turns unquoted names into lower case.
    pub(super) fn new<'a>(datasets: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        let all: Vec<String> = datasets.into_iter().map(str::to_owned).collect();
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for name in &all {
            let lower = name.to_lowercase();
            let alike = all
                .iter()
                .filter(|other| other.to_lowercase() == lower)
                .count();
            if alike == 1 {
                known.insert(lower, name.clone());
            }
        }
        known.extend(all.iter().map(|name| (name.clone(), name.clone())));
        Self {
            datasets: known,
            all,
        }
    }

    /// All names that mean the dataset `name`.
    pub(super) fn aliases<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let meant = self
            .datasets
            .iter()
            .filter(move |(_, dataset)| dataset.as_str() == name);
        meant.map(|(alias, _)| alias.as_str())
    }
}

/// A query that has been parsed but not planned.
#[derive(Debug)]
pub(super) struct Query {
    statement: Statement,
    /// The datasets it reads, sorted.
    pub reads: Vec<String>,
}

/// Parses `sql`, the text of `dataset`, which must be one query over datasets.
pub(super) fn parse(sql: &str, dataset: &str, names: &Names) -> Result<Query> {
    let mut statements =
        DFParser::parse_sql(sql).map_err(|error| refused(dataset, &of_query(&error)))?;
    if statements.len() > 1 {
        return Err(refused(
            dataset,
            "it must be one query, not several statements",
        ));
    }
    let Some(statement) = statements.pop_front() else {
        return Err(refused(dataset, "it is empty"));
    };
    match &statement {
        Statement::Statement(inner) if matches!(inner.as_ref(), SqlStatement::Query(_)) => {}
        other => {
            let text = other.to_string();
            let verb = text
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_uppercase();
            return Err(refused(
                dataset,
                &format!(
                    "it must be a query such as `select`, not `{verb}`: datasets are only read"
                ),
            ));
        }
    }
    let (references, _) = resolve_table_references(&statement, true)
        .map_err(|error| refused(dataset, &of_query(&error)))?;
    let mut reads = Vec::new();
    for reference in references {
        let known = match &reference {
            TableReference::Bare { table } => names.datasets.get(table.as_ref()),
            _ => None,
        };
        let Some(name) = known else {
            let written = reference.to_string();
            let candidates = || {
                names
                    .all
                    .iter()
                    .map(String::as_str)
                    .filter(|name| *name != dataset)
            };
            return Err(refused(
                dataset,
                &format!(
                    "there is no dataset `{written}`{}; there are {}",
                    did_you_mean(&written, candidates()),
                    listed(candidates())
                ),
            ));
        };
        reads.push(name.clone());
    }
    reads.sort();
    reads.dedup();
    Ok(Query { statement, reads })
}

/// `query` as a view; what it reads is registered in `session`.
pub(super) async fn view(
    query: Query,
    dataset: &str,
    session: &SessionContext,
) -> Result<Arc<dyn TableProvider>> {
    let explained = |error: datafusion::error::DataFusionError| refused(dataset, &of_query(&error));
    let state = session.state();
    let plan: LogicalPlan = state
        .statement_to_plan(query.statement)
        .await
        .map_err(explained)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(explained)?;
    let columns = plan
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().as_str());
    refuse_twice(columns, &format!("the query of dataset `{dataset}`"))?;
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .and_then(checked_plan)
        .map_err(explained)?;
    Ok(DataFrame::new(state, plan).into_view())
}

fn refused(dataset: &str, problem: &str) -> Error {
    Error::source(format!(
        "the `sql:` of dataset `{dataset}` cannot be used: {problem}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(["flights", "Planes", "late", "Twice", "twice"])
    }

    #[test]
    fn a_query_tells_what_it_reads() {
        for (sql, expected) in [
            ("select * from flights", &["flights"][..]),
            ("select * from Flights", &["flights"]),
            ("select * from planes", &["Planes"]),
            ("select * from \"Planes\"", &["Planes"]),
            (
                "select * from \"Twice\" join twice using (a)",
                &["Twice", "twice"],
            ),
            (
                "with x as (select * from flights) select * from x union all select * from planes",
                &["Planes", "flights"],
            ),
            ("values (1), (2)", &[]),
            (
                "select (select count(*) from flights) from planes",
                &["Planes", "flights"],
            ),
        ] {
            assert_eq!(
                parse(sql, "late", &names()).unwrap().reads,
                expected,
                "{sql}"
            );
        }
    }

    #[test]
    fn all_but_one_query_is_refused() {
        for (sql, expected) in [
            (
                "drop table flights",
                "it must be a query such as `select`, not `DROP`",
            ),
            (
                "insert into flights values (1)",
                "it must be a query such as `select`, not `INSERT`",
            ),
            (
                "copy flights to 'x.csv'",
                "it must be a query such as `select`, not `COPY`",
            ),
            (
                "set a.b = 1",
                "it must be a query such as `select`, not `SET`",
            ),
            (
                "explain select 1",
                "it must be a query such as `select`, not `EXPLAIN`",
            ),
            (
                "create external table x stored as csv location 'y'",
                "it must be a query such as `select`, not `CREATE`",
            ),
            (
                "select 1; select 2",
                "it must be one query, not several statements",
            ),
            ("", "it is empty"),
            ("selct 1", "Expected: an SQL statement, found: selct"),
            (
                "select * from fligths",
                "there is no dataset `fligths`, did you mean `flights`?; there are `Planes`, `Twice`, `flights`, `twice`",
            ),
            (
                "select * from 'x.csv'",
                "there is no dataset `x.csv`; there are",
            ),
            ("select * from a.flights", "there is no dataset `a.flights`"),
            (
                "select * from \"PLANES\"",
                "there is no dataset `PLANES`, did you mean `Planes`?",
            ),
        ] {
            let error = parse(sql, "late", &names()).unwrap_err().to_string();
            let start = format!("the `sql:` of dataset `late` cannot be used: {expected}");
            assert!(error.starts_with(&start), "{error}");
        }
    }
}
