//! `veracity check FILE 'ASSERTION'...`

use std::path::Path;

use clap::Args;

use super::exit::{Exit, Failure};
use super::options::{About, Limits, Patience, Showing};
use super::terminal::Terminal;
use super::verify::verify;
use crate::delivery;
use crate::suite::{Assertion, Check, Dataset, VerificationSuite};

/// Verifies assertions about a data file, without a suite file.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity check orders.csv 'row_count() > 0' 'uniqueness(id) = 1'
  veracity check orders.parquet --rows 'shipped_at >= ordered_at'
  veracity check 'orders/*.parquet' 'max(\"Order Date\") >= current_date()'

The dataset is called as the file is: orders.csv is `orders`.
`veracity metrics` lists what can be asserted."
)]
pub struct CheckArgs {
    /// The data: a file, a folder or a glob.
    #[arg(value_name = "FILE")]
    path: String,
    /// SQL expressions over aggregates that must be true.
    #[arg(value_name = "ASSERTION", required_unless_present = "rows")]
    assertions: Vec<String>,
    /// A SQL expression that must be true for each row; repeatable.
    #[arg(long, value_name = "PREDICATE")]
    rows: Vec<String>,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    showing: Showing,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    limits: Limits,
}

/// Checks the file.
pub fn check(args: CheckArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let name = dataset_name(&args.path);
    let mut check = Check::new(&args.path);
    for assertion in args.assertions {
        check = check.assert(assertion);
    }
    for predicate in args.rows {
        let rule = Assertion::rows(predicate.as_str());
        check = check.assert(rule.named(format!("rows: {}", predicate.trim())));
    }
    let mut suite = VerificationSuite::builder("check")
        .dataset(Dataset::path(name, literal(&args.path)))
        .check(check)
        .build()?;
    let engine = args.patience.apply(args.about.engine());
    let engine = args.limits.apply(engine);
    suite.processing.outputs = args.showing.outputs(false)?;
    let host = delivery::host(&suite, Path::new(""), "")?;
    verify(&suite, engine, host, &args.showing, terminal)
}

/// The name of the file without extensions, as a word of SQL; `data` if there is none.
pub fn dataset_name(path: &str) -> String {
    let stem = Path::new(path)
        .file_name()
        .map(|name| name.to_string_lossy());
    let stem = stem.unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default().to_lowercase();
    let words: Vec<&str> = stem
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name
    } else {
        "data".to_owned()
    }
}

/// `path` as a dataset has it: braces of a file's name are no template.
pub fn literal(path: &str) -> String {
    if path.contains(['{', '}']) && Path::new(path).exists() {
        path.replace('{', "{{").replace('}', "}}")
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_is_named_after_its_file() {
        let cases = [
            ("orders.csv", "orders"),
            ("data/orders.csv.gz", "orders"),
            ("data/orders/", "orders"),
            ("Order Lines (2024).parquet", "order_lines_2024"),
            ("2024.csv", "data"),
            ("data/*.parquet", "data"),
            ("orders-*.parquet", "orders"),
            ("Größe.csv", "gr_e"),
            ("数据.csv", "data"),
            (".hidden", "data"),
            ("", "data"),
        ];
        for (path, name) in cases {
            assert_eq!(dataset_name(path), name, "{path}");
        }
    }
}
