//! More of the cheap checks of suites/s2.yaml, and many that have little in common.

use chrono::{Days, NaiveDate};
use veracity::suite::Check;

/// Numeric columns with bounds that all rows keep to.
const NUMBERS: [(&str, i64, i64); 8] = [
    ("l_orderkey", 1, 6_000_000),
    ("l_partkey", 1, 200_000),
    ("l_suppkey", 1, 10_000),
    ("l_linenumber", 1, 7),
    ("l_quantity", 1, 50),
    ("l_extendedprice", 900, 105_000),
    ("l_discount", 0, 1),
    ("l_tax", 0, 1),
];
const DATES: [&str; 3] = ["l_shipdate", "l_commitdate", "l_receiptdate"];
const TEXTS: [&str; 5] = [
    "l_returnflag",
    "l_linestatus",
    "l_shipinstruct",
    "l_shipmode",
    "l_comment",
];
const RULES_A_COLUMN: i64 = 4;

/// 100 checks like those of suites/s2.yaml with bounds of their own, for each `variant`
/// from 1 on. The values they need are the same, except for the range rules.
pub fn cheap_checks(variant: i64) -> Check {
    let mut check = Check::new(format!("Variant {variant}"));
    let numbers = NUMBERS.map(|(column, low, high)| {
        (
            column,
            (low - variant).to_string(),
            (high + variant).to_string(),
        )
    });
    let dates = DATES.map(|column| {
        let (low, high) = date_bounds(variant);
        (column, low, high)
    });
    let texts = TEXTS.map(|column| {
        let times = usize::try_from(variant).unwrap();
        (
            column,
            quoted(&" ".repeat(times)),
            quoted(&"~".repeat(times)),
        )
    });
    for (column, low, high) in numbers.iter().chain(&dates).chain(&texts) {
        let complete = 1.0 - variant as f64 / 100.0;
        check = check
            .assert(format!("completeness({column}) >= {complete}"))
            .assert(format!("min({column}) >= {low}"))
            .assert(format!("max({column}) <= {high}"));
    }
    for (column, low, high) in &numbers {
        check = check.assert(format!("avg({column}) between {low} and {high}"));
    }
    for rule in variant * RULES_A_COLUMN..(variant + 1) * RULES_A_COLUMN {
        for (column, low, high) in NUMBERS {
            let (low, high) = (low - rule, high + rule);
            check = check.assert(violations(column, &low.to_string(), &high.to_string()));
        }
        for column in DATES {
            let (low, high) = date_bounds(rule);
            check = check.assert(violations(column, &low, &high));
        }
    }
    check
}

/// `count` assertions, no two of which need the same value.
pub fn distinct_checks(count: usize) -> Check {
    let kinds: [fn(usize) -> String; 5] = [
        |n| format!("violations(l_quantity between -{n} and 50 + {n}) = 0"),
        |n| format!("compliance(l_extendedprice > {n}) >= 0.1"),
        |n| format!("sum(l_tax) filter (where l_suppkey > {n}) > 0"),
        |n| format!("avg(l_discount + {n}) < {n} + 1"),
        |n| format!("completeness(l_comment) filter (where l_partkey > {n}) = 1"),
    ];
    let mut check = Check::new("Much");
    for n in 0..count {
        check = check.assert(kinds[n % kinds.len()](n / kinds.len()));
    }
    check
}

fn violations(column: &str, low: &str, high: &str) -> String {
    format!("violations({column} between {low} and {high}) = 0")
}

/// A range wider than that of all dates in the table, by this many days.
fn date_bounds(wider: i64) -> (String, String) {
    let days = Days::new(wider.unsigned_abs());
    let low = NaiveDate::from_ymd_opt(1992, 1, 1).unwrap() - days;
    let high = NaiveDate::from_ymd_opt(1998, 12, 31).unwrap() + days;
    (format!("date '{low}'"), format!("date '{high}'"))
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}
