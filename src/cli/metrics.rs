//! `veracity metrics`

use std::fmt::Write;

use clap::Args;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::options::Format;
use super::terminal::Terminal;
use crate::metric::catalogue::{METRICS, other_aggregates};
use crate::metric::predicates;

/// Where the meanings begin.
const COLUMN: usize = 31;
/// How wide the list of DataFusion's functions may become.
const WIDTH: usize = 90;

/// Lists what can be asserted.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity metrics
  veracity metrics | grep unique
  veracity metrics --format json"
)]
pub struct MetricsArgs {
    /// How to print the list.
    #[arg(
        long,
        value_enum,
        value_name = "table|json",
        hide_possible_values = true,
        default_value = "table"
    )]
    format: Format,
}

/// A row predicate as it is listed.
struct RowPredicate {
    name: String,
    usage: String,
    meaning: &'static str,
}

/// Prints the list.
pub fn metrics(args: &MetricsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let output = match args.format {
        Format::Table => table(),
        Format::Json => json(),
    };
    Ok(terminal.print(output.as_bytes(), Exit::PASSED))
}

fn table() -> String {
    let mut out = String::new();
    let mut family = None;
    for metric in METRICS {
        if family.replace(metric.family) != Some(metric.family) {
            let gap = if out.is_empty() { "" } else { "\n" };
            push(&mut out, &format!("{gap}{}", metric.family.title()));
        }
        entry(&mut out, metric.usage, metric.meaning);
    }
    push(
        &mut out,
        "\nRows: in `rows:`, `violations`, `compliance` and `filter (where ..)`",
    );
    for predicate in row_predicates() {
        entry(&mut out, &predicate.usage, predicate.meaning);
    }
    push(
        &mut out,
        "\nAll of these take `filter (where ..)`, and so do all aggregate functions of DataFusion:",
    );
    let mut line = String::new();
    for name in other_aggregates() {
        if !line.is_empty() && line.len() + name.len() + 3 > WIDTH {
            push(&mut out, line.trim_end());
            line.clear();
        }
        let start = if line.is_empty() { "  " } else { "" };
        line.push_str(&format!("{start}{name} "));
    }
    push(&mut out, line.trim_end());
    push(
        &mut out,
        "\nc is a column or an expression of columns, q a number, predicate true or false for a row.",
    );
    out
}

/// Ways of calling, with the meaning beside the first or, if that is long, below.
fn entry(out: &mut String, usage: &str, meaning: &str) {
    let mut meaning = Some(meaning);
    for one in usage.replace("), ", ")\n").lines() {
        match meaning.take_if(|_| one.len() + 4 <= COLUMN) {
            Some(meaning) => push(
                out,
                &format!("  {one:<width$}{meaning}", width = COLUMN - 2),
            ),
            None => push(out, &format!("  {one}")),
        }
    }
    if let Some(meaning) = meaning {
        push(out, &format!("{:COLUMN$}{meaning}", ""));
    }
}

fn push(out: &mut String, line: &str) {
    // A String takes all there is memory for.
    let _ = writeln!(out, "{line}");
}

fn json() -> String {
    let metrics: Vec<_> = METRICS
        .iter()
        .map(|metric| {
            json!({
                "name": metric.name,
                "usage": metric.usage,
                "meaning": metric.meaning,
                "family": format!("{:?}", metric.family).to_lowercase(),
            })
        })
        .collect();
    let predicates: Vec<_> = row_predicates()
        .into_iter()
        .map(|one| json!({"name": one.name, "usage": one.usage, "meaning": one.meaning}))
        .collect();
    let listing = json!({
        "schema_version": 1,
        "metrics": metrics,
        "row_predicates": predicates,
        "aggregate_functions": other_aggregates(),
    });
    format!("{listing:#}\n")
}

fn row_predicates() -> Vec<RowPredicate> {
    let listed = predicates::row_predicates();
    let listed = listed.iter().map(|function| {
        let name = function.name().to_owned();
        let meaning = predicates::meaning(&name).unwrap_or_default();
        // Those that take more than a column say so: "`is_close(a, b, tolerance)`: ..".
        let told = meaning
            .strip_prefix('`')
            .and_then(|told| told.split_once("`: "));
        match told {
            Some((usage, meaning)) => RowPredicate {
                name,
                usage: usage.to_owned(),
                meaning,
            },
            None => RowPredicate {
                usage: format!("{name}(c)"),
                name,
                meaning,
            },
        }
    });
    listed.collect()
}
