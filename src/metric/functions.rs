//! The metrics as functions of DataFusion expressions, for suites written in Rust.
//!
//! What DataFusion has by itself (`sum`, `avg`, `min`, `max`, `median`, `stddev`) comes
//! from `datafusion::functions_aggregate::expr_fn` and is equally exact here.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, lit};

use super::{catalogue, predicates};

fn call(name: &'static str, args: Vec<Expr>) -> Expr {
    let marker = catalogue::marker(name).expect("every function here names a catalogue entry");
    Arc::unwrap_or_clone(marker).call(args)
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*);)*) => {
        $($(#[$doc])* pub fn $name($($arg: Expr),*) -> Expr { call(stringify!($name), vec![$($arg),*]) })*
    };
}

macro_rules! column_set_metrics {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* pub fn $name(columns: impl IntoIterator<Item = Expr>) -> Expr {
            call(stringify!($name), columns.into_iter().collect())
        })*
    };
}

metrics! {
    /// Rows of the dataset; 0 if there are none.
    row_count();
    /// Rows where the column is NULL. NaN and the empty text are values.
    null_count(column);
    /// Distinct non-NULL values, estimated by HyperLogLog; 0 without rows.
    approx_distinct_count(column);
    /// Share of rows where the predicate is true; unknown is not true. Undefined without rows.
    compliance(predicate);
    /// Rows where the predicate is false; unknown is no violation. 0 without rows.
    violations(predicate);
    /// Smallest length in characters, or elements of a list. Undefined without values.
    min_length(column);
    /// Greatest length in characters, or elements of a list. Undefined without values.
    max_length(column);
    /// Mean length in characters, or elements of a list. Undefined without values.
    avg_length(column);
    /// Pearson's correlation over the rows where both are non-NULL. Undefined if one of
    /// them is constant there.
    correlation(a, b);
    /// Skewness of the population; 0 where the variance is 0. Undefined without values.
    skewness(column);
    /// Excess kurtosis of the population; 0 where the variance is 0. Undefined without values.
    kurtosis(column);
    /// Seconds from the newest value to the start of the run. Undefined without values. A
    /// timestamp without a zone needs the dataset's `timezone`.
    freshness(column);
    /// Number of columns.
    column_count();
}

column_set_metrics! {
    /// Share of rows where all columns are non-NULL. Undefined without rows.
    completeness;
    /// Distinct values (tuples); a tuple of NULLs is none. 0 without rows.
    distinct_count;
    /// Values seen exactly once / rows with a value. Undefined without values.
    uniqueness;
    /// Distinct values / rows with a value. Undefined without values.
    distinctness;
    /// Values seen exactly once / distinct values. Undefined without values.
    unique_value_ratio;
    /// Rows with a value - distinct values. 0 without rows.
    duplicate_count;
    /// Rows whose value occurs more than once. 0 without rows.
    duplicate_row_count;
    /// Shannon entropy of the values in nats. Undefined without values.
    entropy;
}

/// Rows equal to any of `values`.
pub fn count_values(column: Expr, values: impl IntoIterator<Item = Expr>) -> Expr {
    call(
        "count_values",
        std::iter::once(column).chain(values).collect(),
    )
}

/// The exact `q`-quantile (0 to 1), interpolated. Undefined without values.
pub fn quantile(column: Expr, q: f64) -> Expr {
    call("quantile", vec![column, lit(q)])
}

/// The `q`-quantile (0 to 1) by t-digest. Undefined without values.
pub fn approx_quantile(column: Expr, q: f64) -> Expr {
    call("approx_quantile", vec![column, lit(q)])
}

/// Whether the dataset has a column of exactly this name.
pub fn has_column(name: &str) -> Expr {
    call("has_column", vec![lit(name)])
}

/// The type of a column as text.
pub fn column_type(name: &str) -> Expr {
    call("column_type", vec![lit(name)])
}

/// Rows whose `columns` are not in the `parents` of another dataset; as many parents as
/// columns, qualified by their dataset. NULL needs no parent.
pub fn unmatched(
    columns: impl IntoIterator<Item = Expr>,
    parents: impl IntoIterator<Item = Expr>,
) -> Expr {
    call("unmatched", columns.into_iter().chain(parents).collect())
}

/// 1 - [`unmatched`] / rows whose `columns` are all non-NULL. Undefined without such rows.
pub fn referential_integrity(
    columns: impl IntoIterator<Item = Expr>,
    parents: impl IntoIterator<Item = Expr>,
) -> Expr {
    call(
        "referential_integrity",
        columns.into_iter().chain(parents).collect(),
    )
}

fn predicate(name: &str, args: Vec<Expr>) -> Expr {
    let function = predicates::row_predicates()
        .into_iter()
        .find(|function| function.name() == name)
        .expect("every function here names a row predicate");
    function.call(args)
}

macro_rules! row_predicates {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* pub fn $name(text: Expr) -> Expr { predicate(stringify!($name), vec![text]) })*
    };
}

row_predicates! {
    /// For each row: 13 to 19 digits with a valid check digit. NULL is unknown.
    is_credit_card;
    /// For each row: an e-mail address. NULL is unknown.
    is_email;
    /// For each row: an IBAN with valid check digits. NULL is unknown.
    is_iban;
    /// For each row: an IPv4 address. NULL is unknown.
    is_ipv4;
    /// For each row: an IPv6 address. NULL is unknown.
    is_ipv6;
    /// For each row: one JSON value. NULL is unknown.
    is_json;
    /// For each row: an absolute http, https or ftp URL. NULL is unknown.
    is_url;
    /// For each row: a UUID. NULL is unknown.
    is_uuid;
}

/// For each row: the regular expression is found in the text. NULL is unknown.
pub fn matches(text: Expr, pattern: &str) -> Expr {
    predicate("matches", vec![text, lit(pattern)])
}

/// For each row: a date in this strftime format. NULL is unknown.
pub fn is_date(text: Expr, format: &str) -> Expr {
    predicate("is_date", vec![text, lit(format)])
}

/// For each row: two numbers differ by at most `tolerance`; NaN is close to nothing. NULL
/// is unknown.
pub fn is_close(a: Expr, b: Expr, tolerance: f64) -> Expr {
    predicate("is_close", vec![a, b, lit(tolerance)])
}
