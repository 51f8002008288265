//! The aggregates of the assertion language.
//!
//! [`catalogue`] lists them, [`expand`] writes each as an expression over primitives,
//! the other files hold the primitives that DataFusion does not have.

pub mod catalogue;
pub mod count_if;
pub mod dense;
pub mod expand;
pub mod functions;
pub mod moments;
pub mod predicates;
pub mod quantile;
pub mod sum;

#[cfg(test)]
mod aggregate_tests;

use datafusion::common::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

/// Adds the metrics and row predicates to what `session` knows by name.
pub fn register(session: &SessionContext) {
    for marker in catalogue::markers() {
        session.register_udaf((*marker).clone());
    }
    session.register_udaf((*sum::exact_sum_udaf()).clone());
    for predicate in predicates::row_predicates() {
        session.register_udf((*predicate).clone());
    }
}

/// A DataFusion error as one line without the phrases meant for its developers.
pub fn plain_message(error: &DataFusionError) -> String {
    let message = error.strip_backtrace();
    let mut message = message.as_str();
    loop {
        let before = message;
        for prefix in [
            "Error during planning: ",
            "SQL error: ",
            "ParserError(\"",
            "Schema error: ",
            "Execution error: ",
            "Arrow error: ",
            "Optimizer rule 'simplify_expressions' failed\ncaused by\n",
            "type_coercion\ncaused by\n",
            "External error: ",
            "This feature is not implemented: ",
            "Compute error: ",
            "Cast error: ",
            "Invalid argument error: ",
        ] {
            message = message.strip_prefix(prefix).unwrap_or(message);
        }
        if message == before {
            break;
        }
    }
    // What a function says of its arguments stands within what DataFusion says of functions.
    let message = message
        .split_once("user-defined coercion failed with: Error during planning: ")
        .map_or(message, |(_, of_function)| {
            of_function
                .split_once(" No function matches")
                .map_or(of_function, |(said, _)| said)
        });
    // Our own words, which DataFusion wraps in where it was when we said them.
    let message = match message.split_once("coercion failed with: ") {
        Some((_, ours)) => ours
            .trim_start_matches("Error during planning: ")
            .split(" No function matches")
            .next()
            .unwrap_or(ours),
        None => message,
    };
    let message = message
        .split("\nThis issue was likely caused by")
        .next()
        .unwrap_or(message)
        .trim_end_matches("\")")
        .trim()
        .trim_end_matches('.');
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An argument as people read it: a column by its name in backticks.
pub(crate) fn column_text(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => format!("`{}`", column.name),
        other => format!("`{other}`"),
    }
}
