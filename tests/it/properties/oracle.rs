//! Every metric of the catalogue in plain Rust, written from its definition alone.

use std::collections::HashMap;
use std::hash::Hash;

use super::table::{NOW_MICROS, Parent, Row};

/// What a call must give.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Exactly this, as the report shows it.
    Exactly(String),
    /// This float, but for rounding; `scale` is the size of the numbers it is made of.
    Float { value: f64, scale: f64 },
    /// A sketch: somewhere in between.
    Between(f64, f64),
    /// No value.
    Undefined,
}

use Expected::{Between, Exactly, Undefined};

/// A condition on rows, as text and as code; unknown and false are both false.
type Filter = (&'static str, fn(&Row) -> bool);

pub const FILTERS: &[Filter] = &[
    ("", |_| true),
    ("i > 0", |row| row.i.is_some_and(|i| i > 0)),
    ("b", |row| row.b == Some(true)),
    ("s is not null", |row| row.s.is_some()),
    ("f < 1", |row| row.f.is_some_and(|f| f < 1.0)),
    ("i is null or d >= 0", |row| {
        row.i.is_none() || row.d.is_some_and(|d| d >= 0)
    }),
];

/// Calls about some rows, with what they must give on `rows`. Every metric of the catalogue
/// that takes a filter is among them.
pub fn filtered(rows: &[&Row], parents: &[Parent]) -> Vec<(String, Expected)> {
    let all = rows.len();
    let n = |count: usize| Exactly(count.to_string());
    let i: Vec<i64> = rows.iter().filter_map(|row| row.i).collect();
    let d: Vec<i128> = rows.iter().filter_map(|row| row.d).collect();
    let f: Vec<f64> = rows.iter().filter_map(|row| row.f).collect();
    let i_floats: Vec<f64> = i.iter().map(|&i| i as f64).collect();
    let d_floats: Vec<f64> = d.iter().map(|&d| d as f64 / 100.0).collect();
    let lengths: Vec<usize> = rows
        .iter()
        .filter_map(|row| row.s.map(|s| s.chars().count()))
        .collect();
    let sizes: Vec<usize> = rows
        .iter()
        .filter_map(|row| row.l.as_ref().map(Vec::len))
        .collect();
    let is = |holds: fn(&Row) -> Option<bool>, wanted: bool| {
        rows.iter().filter(|row| holds(row) == Some(wanted)).count()
    };
    let i_positive: fn(&Row) -> Option<bool> = |row| row.i.map(|i| i > 0);
    let f_positive: fn(&Row) -> Option<bool> = |row| row.f.map(|f| f > 0.0);

    let mut calls = vec![
        ("row_count()".to_owned(), n(all)),
        ("null_count(i)".to_owned(), n(all - i.len())),
        ("null_count(f)".to_owned(), n(all - f.len())),
        ("completeness(i)".to_owned(), ratio(i.len(), all)),
        (
            "completeness(i, s, b)".to_owned(),
            ratio(
                rows.iter()
                    .filter(|row| row.i.is_some() && row.s.is_some() && row.b.is_some())
                    .count(),
                all,
            ),
        ),
        (
            "sum(i)".to_owned(),
            optional(&i, || {
                i.iter().map(|&i| i128::from(i)).sum::<i128>().to_string()
            }),
        ),
        (
            "sum(d)".to_owned(),
            optional(&d, || hundredths(d.iter().sum())),
        ),
        ("sum(f)".to_owned(), float(&f, |f| f.iter().sum())),
        (
            "avg(i)".to_owned(),
            float(&i_floats, |_| {
                i.iter().map(|&i| i128::from(i)).sum::<i128>() as f64 / i.len() as f64
            }),
        ),
        (
            "avg(d)".to_owned(),
            float(&d_floats, |_| {
                d.iter().sum::<i128>() as f64 / 100.0 / d.len() as f64
            }),
        ),
        ("avg(f)".to_owned(), float(&f, mean)),
        (
            "min(i)".to_owned(),
            optional(&i, || i.iter().min().unwrap().to_string()),
        ),
        (
            "max(i)".to_owned(),
            optional(&i, || i.iter().max().unwrap().to_string()),
        ),
        (
            "min(d)".to_owned(),
            optional(&d, || hundredths(*d.iter().min().unwrap())),
        ),
        (
            "max(d)".to_owned(),
            optional(&d, || hundredths(*d.iter().max().unwrap())),
        ),
        (
            "min(f)".to_owned(),
            float(&f, |f| f.iter().copied().fold(f64::INFINITY, f64::min)),
        ),
        (
            "max(f)".to_owned(),
            float(&f, |f| f.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ),
        (
            "min(s)".to_owned(),
            text(rows.iter().filter_map(|row| row.s).min()),
        ),
        (
            "max(s)".to_owned(),
            text(rows.iter().filter_map(|row| row.s).max()),
        ),
        (
            "compliance(i > 0)".to_owned(),
            ratio(is(i_positive, true), all),
        ),
        (
            "compliance(f > 0)".to_owned(),
            ratio(is(f_positive, true), all),
        ),
        ("violations(i > 0)".to_owned(), n(is(i_positive, false))),
        ("violations(f > 0)".to_owned(), n(is(f_positive, false))),
        (
            "violations(s = 'a' or b)".to_owned(),
            n(rows
                .iter()
                .filter(|row| row.s.is_some_and(|s| s != "a") && row.b == Some(false))
                .count()),
        ),
        (
            "count_values(i, 1, 2)".to_owned(),
            n(i.iter().filter(|i| [1, 2].contains(*i)).count()),
        ),
        (
            "count_values(s, '', 'é')".to_owned(),
            n(rows
                .iter()
                .filter(|row| row.s.is_some_and(|s| s.is_empty() || s == "é"))
                .count()),
        ),
        (
            "min_length(s)".to_owned(),
            optional(&lengths, || lengths.iter().min().unwrap().to_string()),
        ),
        (
            "max_length(s)".to_owned(),
            optional(&lengths, || lengths.iter().max().unwrap().to_string()),
        ),
        (
            "avg_length(s)".to_owned(),
            ratio(lengths.iter().sum(), lengths.len()),
        ),
        (
            "max_length(l)".to_owned(),
            optional(&sizes, || sizes.iter().max().unwrap().to_string()),
        ),
        (
            "avg_length(l)".to_owned(),
            ratio(sizes.iter().sum(), sizes.len()),
        ),
        ("freshness(ts)".to_owned(), {
            let newest = rows.iter().filter_map(|row| row.ts).max();
            newest.map_or(Undefined, |ts| Expected::Float {
                value: (NOW_MICROS - ts) as f64 / 1e6,
                scale: 0.0,
            })
        }),
        ("correlation(i, f)".to_owned(), {
            let pairs = rows.iter().filter_map(|row| Some((row.i? as f64, row.f?)));
            correlation(&pairs.collect::<Vec<_>>())
        }),
        (
            "approx_distinct_count(s)".to_owned(),
            about_distinct(rows.iter().filter_map(|row| row.s)),
        ),
        (
            "approx_distinct_count(i)".to_owned(),
            about_distinct(i.iter().copied()),
        ),
    ];
    for (column, values) in [("i", &i_floats), ("d", &d_floats), ("f", &f)] {
        let call = |metric: &str| format!("{metric}({column})");
        calls.extend([
            (call("median"), ranked(values, 0.5)),
            (format!("quantile({column}, 0.3)"), ranked(values, 0.3)),
            (format!("quantile({column}, 1)"), ranked(values, 1.0)),
            (
                format!("approx_quantile({column}, 0.4)"),
                about_quantile(values, 0.4),
            ),
            (call("var_pop"), spread(values, 0, |variance| variance)),
            (call("var_samp"), spread(values, 1, |variance| variance)),
            (call("stddev_pop"), spread(values, 0, f64::sqrt)),
            (call("stddev"), spread(values, 1, f64::sqrt)),
            (
                call("skewness"),
                float(values, |values| standardized(values, 3)),
            ),
            (
                call("kurtosis"),
                float(values, |values| {
                    if is_constant(values) {
                        0.0
                    } else {
                        standardized(values, 4) - 3.0
                    }
                }),
            ),
        ]);
    }
    // NaN is one value, and so are the two zeros.
    let f_bits = |f: f64| {
        if f.is_nan() {
            u64::MAX
        } else {
            (f + 0.0).to_bits()
        }
    };
    calls.extend(frequencies("i", rows.iter().filter_map(|row| row.i)));
    calls.extend(frequencies("s", rows.iter().filter_map(|row| row.s)));
    calls.extend(frequencies(
        "f",
        rows.iter().filter_map(|row| row.f.map(f_bits)),
    ));
    calls.extend(frequencies("d", rows.iter().filter_map(|row| row.d)));
    let tuples = rows.iter().map(|row| (row.i, row.s, row.b));
    calls.extend(frequencies(
        "i, s, b",
        tuples.filter(|(i, s, b)| i.is_some() || s.is_some() || b.is_some()),
    ));
    let orphans = i
        .iter()
        .filter(|i| !parents.iter().any(|parent| parent.p == Some(**i)))
        .count();
    calls.push(("unmatched(i, parents.p)".to_owned(), n(orphans)));
    calls.push((
        "referential_integrity(i, parents.p)".to_owned(),
        ratio(i.len() - orphans, i.len()),
    ));
    let pairs: Vec<(i64, &str)> = rows
        .iter()
        .filter_map(|row| Some((row.i?, row.s?)))
        .collect();
    let orphans = pairs
        .iter()
        .filter(|(i, s)| {
            !parents
                .iter()
                .any(|parent| parent.p == Some(*i) && parent.q == Some(*s))
        })
        .count();
    calls.push((
        "unmatched(i, s, parents.p, parents.q)".to_owned(),
        n(orphans),
    ));
    calls.push((
        "referential_integrity(i, s, parents.p, parents.q)".to_owned(),
        ratio(pairs.len() - orphans, pairs.len()),
    ));
    calls
}

/// Calls that take no filter.
pub fn unfiltered(parents: &[Parent]) -> Vec<(String, Expected)> {
    let exactly = |text: &str| Exactly(text.to_owned());
    vec![
        (
            "row_count(parents)".to_owned(),
            Exactly(parents.len().to_string()),
        ),
        ("column_count()".to_owned(), exactly("7")),
        ("column_type('d')".to_owned(), exactly("Decimal128(12, 2)")),
        ("column_type('s')".to_owned(), exactly("Utf8")),
        ("has_column('ts')".to_owned(), exactly("true")),
        ("has_column('TS')".to_owned(), exactly("false")),
    ]
}

fn frequencies<T: Hash + Eq>(
    columns: &str,
    keys: impl Iterator<Item = T>,
) -> Vec<(String, Expected)> {
    let mut groups: HashMap<T, usize> = HashMap::new();
    for key in keys {
        *groups.entry(key).or_default() += 1;
    }
    let rows: usize = groups.values().sum();
    let distinct = groups.len();
    let once = groups.values().filter(|size| **size == 1).count();
    let entropy = groups
        .values()
        .map(|&size| size as f64 / rows as f64)
        .map(|share| -share * share.ln())
        .sum();
    let n = |count: usize| Exactly(count.to_string());
    let metrics = [
        ("distinct_count", n(distinct)),
        ("uniqueness", ratio(once, rows)),
        ("distinctness", ratio(distinct, rows)),
        ("unique_value_ratio", ratio(once, distinct)),
        ("duplicate_count", n(rows - distinct)),
        ("duplicate_row_count", n(rows - once)),
        (
            "entropy",
            if rows == 0 {
                Undefined
            } else {
                Expected::Float {
                    value: entropy,
                    scale: 1.0,
                }
            },
        ),
    ];
    metrics
        .into_iter()
        .map(|(metric, expected)| (format!("{metric}({columns})"), expected))
        .collect()
}

/// Exact: both are whole numbers, and there is one rounding.
fn ratio(numerator: usize, denominator: usize) -> Expected {
    if denominator == 0 {
        return Undefined;
    }
    let value = numerator as f64 / denominator as f64;
    Exactly(serde_json::json!(value).to_string())
}

fn optional<T>(values: &[T], value: impl Fn() -> String) -> Expected {
    if values.is_empty() {
        Undefined
    } else {
        Exactly(value())
    }
}

fn text(value: Option<&str>) -> Expected {
    value.map_or(Undefined, |text| Exactly(text.to_owned()))
}

fn hundredths(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let value = value.unsigned_abs();
    format!("{sign}{}.{:02}", value / 100, value % 100)
}

/// Undefined without values, and with a NaN among them.
fn float(values: &[f64], value: impl Fn(&[f64]) -> f64) -> Expected {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return Undefined;
    }
    let scale = values
        .iter()
        .fold(0.0_f64, |scale, value| scale.max(value.abs()));
    Expected::Float {
        value: value(values),
        scale,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|value| *value == values[0])
}

/// The mean of the deviations to a power.
fn moment(values: &[f64], power: i32) -> f64 {
    if is_constant(values) {
        return 0.0;
    }
    let mean = mean(values);
    values
        .iter()
        .map(|value| (value - mean).powi(power))
        .sum::<f64>()
        / values.len() as f64
}

/// The variance with `less` degrees of freedom fewer than values, or a function of it.
fn spread(values: &[f64], less: usize, of: fn(f64) -> f64) -> Expected {
    if values.len() <= less {
        return Undefined;
    }
    let n = values.len() as f64;
    let variance = float(values, |values| {
        of(moment(values, 2) * n / (n - less as f64))
    });
    match variance {
        // The variance is of the size of the squares.
        Expected::Float { value, .. } => Expected::Float {
            value,
            scale: value,
        },
        other => other,
    }
}

fn standardized(values: &[f64], power: i32) -> f64 {
    if is_constant(values) {
        return 0.0;
    }
    moment(values, power) / moment(values, 2).sqrt().powi(power)
}

fn correlation(pairs: &[(f64, f64)]) -> Expected {
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    if pairs.is_empty() || b.iter().any(|b| b.is_nan()) || is_constant(&a) || is_constant(&b) {
        return Undefined;
    }
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let product: f64 = pairs.iter().map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    let n = pairs.len() as f64;
    let value = product / (moment(&a, 2) * n).sqrt() / (moment(&b, 2) * n).sqrt();
    Expected::Float { value, scale: 1.0 }
}

/// Interpolated between the two neighbours of the place `q * (n - 1)`.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    if place.fract() == 0.0 {
        return below;
    }
    below + (above - below) * place.fract()
}

/// An exact quantile. A NaN is above all numbers, and has no value where it is hit.
fn ranked(values: &[f64], q: f64) -> Expected {
    if values.is_empty() {
        return Undefined;
    }
    let value = quantile(values, q);
    let numbers = values.iter().filter(|value| !value.is_nan());
    let scale = numbers.fold(0.0_f64, |scale, value| scale.max(value.abs()));
    if value.is_nan() {
        Undefined
    } else {
        Expected::Float { value, scale }
    }
}

fn about_quantile(values: &[f64], q: f64) -> Expected {
    if float(values, |_| 0.0) == Undefined {
        return Undefined;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = (sorted.len() - 1) as f64;
    let at = |q: f64| q.clamp(0.0, 1.0) * last;
    Between(
        sorted[at(q - 0.1).floor() as usize],
        sorted[at(q + 0.1).ceil() as usize],
    )
}

fn about_distinct<T: Hash + Eq>(values: impl Iterator<Item = T>) -> Expected {
    let distinct = values.collect::<std::collections::HashSet<T>>().len() as f64;
    if distinct == 0.0 {
        return Exactly("0".to_owned());
    }
    Between(distinct - 2.0, distinct + 2.0)
}
