//! What holds for a dataset and may be meant to hold.

use super::profile::{Column, Kind, Profile};
use super::sql::{identifier, literal};

/// Values longer than this are no names of a set.
const LONGEST_NAME: usize = 40;

/// A check of the suite.
#[derive(Debug)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// Its assertions.
    pub proposals: Vec<Proposal>,
}

/// An assertion with what speaks for it.
#[derive(Debug)]
pub struct Proposal {
    /// What was seen.
    pub evidence: String,
    /// Whether it is about each row.
    pub about_rows: bool,
    /// What may be asserted.
    pub sql: String,
}

impl Proposal {
    fn expect(evidence: impl Into<String>, sql: String) -> Self {
        Self {
            evidence: evidence.into(),
            about_rows: false,
            sql,
        }
    }

    fn rows(evidence: String, sql: String) -> Self {
        Self {
            evidence,
            about_rows: true,
            sql,
        }
    }
}

/// What may be asserted of the dataset; sections without an assertion are left out.
pub fn propose(profile: &Profile) -> Vec<Section> {
    let of_columns = |propose: &dyn Fn(&Column, &Profile) -> Option<Proposal>| {
        profile
            .columns
            .iter()
            .filter_map(|column| propose(column, profile))
            .collect()
    };
    let mut sections = vec![
        Section {
            title: "The table has its size and shape",
            proposals: size(profile),
        },
        Section {
            title: "Columns are complete",
            proposals: of_columns(&complete),
        },
        Section {
            title: "Keys are unique",
            proposals: of_columns(&unique),
        },
        Section {
            title: "Values are in range",
            proposals: of_columns(&in_range),
        },
        Section {
            title: "Values are known",
            proposals: of_columns(&known),
        },
    ];
    sections.retain(|section| !section.proposals.is_empty());
    sections
}

fn size(profile: &Profile) -> Vec<Proposal> {
    let (rows, columns) = (profile.rows, profile.columns.len());
    let mut proposals = Vec::new();
    if rows > 0 {
        let (least, most) = ((rows / 2).max(1), rows.saturating_mul(2));
        proposals.push(Proposal::expect(
            format!("{}; half to double of that", counted(rows, "row")),
            format!("row_count() between {least} and {most}"),
        ));
    }
    proposals.push(Proposal::expect(
        counted(columns as u64, "column"),
        format!("column_count() = {columns}"),
    ));
    proposals
}

fn complete(column: &Column, profile: &Profile) -> Option<Proposal> {
    let name = identifier(&column.name);
    let rows = profile.rows;
    if rows == 0 || column.nulls == rows {
        return None;
    }
    if column.nulls == 0 {
        return Some(Proposal::expect(
            "no NULL",
            format!("completeness({name}) = 1"),
        ));
    }
    let share = (rows - column.nulls) as f64 / rows as f64;
    // Hundredths, rounded down: what was seen is just enough.
    let least = (share * 100.0).floor() / 100.0;
    let evidence = format!(
        "{} with NULL, {:.3} complete",
        counted(column.nulls, "row"),
        share
    );
    (least > 0.0).then(|| Proposal::expect(evidence, format!("completeness({name}) >= {least}")))
}

fn unique(column: &Column, profile: &Profile) -> Option<Proposal> {
    let values = profile.rows - column.nulls.min(profile.rows);
    let evidence = format!("{values} values, each once");
    column.is_unique.then(|| {
        Proposal::expect(
            evidence,
            format!("uniqueness({}) = 1", identifier(&column.name)),
        )
    })
}

fn in_range(column: &Column, profile: &Profile) -> Option<Proposal> {
    let (least, most) = column.range.as_ref()?;
    // A key goes on and on.
    if column.is_unique {
        return None;
    }
    let name = identifier(&column.name);
    let (low, high) = match column.kind {
        Kind::Integer | Kind::Number => {
            let is_whole = column.kind == Kind::Integer;
            (
                outward(least, is_whole, false)?,
                outward(most, is_whole, true)?,
            )
        }
        kind => {
            let word = if kind == Kind::Date {
                "date"
            } else {
                "timestamp"
            };
            let year = |text: &str| text.get(..4)?.parse::<u32>().ok();
            let low = format!("{word} '{:04}-01-01'", year(least)?);
            let high = if most.get(..10)? < profile.date.as_str() {
                if kind == Kind::Date {
                    "current_date()"
                } else {
                    "now()"
                }
                .to_owned()
            } else {
                format!("{word} '{:04}-01-01'", year(most)? + 1)
            };
            (low, high)
        }
    };
    let evidence = format!("{least} to {most}");
    Some(Proposal::rows(
        evidence,
        format!("{name} between {low} and {high}"),
    ))
}

fn known(column: &Column, profile: &Profile) -> Option<Proposal> {
    let values = column.values.as_ref()?;
    let is_name = |value: &String| {
        value.chars().count() <= LONGEST_NAME && !value.chars().any(char::is_control)
    };
    if values.is_empty() || column.is_unique || !values.iter().all(is_name) {
        return None;
    }
    let rows = profile.rows - column.nulls.min(profile.rows);
    let evidence = format!(
        "{} in {}",
        counted(values.len() as u64, "value"),
        counted(rows, "row")
    );
    let list: Vec<String> = values.iter().map(|value| literal(value)).collect();
    let name = identifier(&column.name);
    Some(Proposal::rows(
        evidence,
        format!("{name} in ({})", list.join(", ")),
    ))
}

/// A bound with two digits that lets `value` pass; small whole numbers stay as they are.
fn outward(value: &str, is_whole: bool, up: bool) -> Option<String> {
    let number: f64 = value
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    if number == 0.0 || (is_whole && number.abs() < 100.0) {
        return Some(number.to_string());
    }
    let digits = number.abs().log10().floor() as i32 - 1;
    let in_units = number / 10_f64.powi(digits);
    let nearest = in_units.round();
    let in_units = if (in_units - nearest).abs() < 1e-9 {
        nearest
    } else if up {
        in_units.ceil()
    } else {
        in_units.floor()
    };
    Some(match digits {
        -12..0 => {
            let decimals = digits.unsigned_abs() as usize;
            let text = format!("{:.decimals$}", in_units * 10_f64.powi(digits));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        0..16 => format!("{:.0}", in_units * 10_f64.powi(digits)),
        _ => format!("{in_units:.0}e{digits}"),
    })
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_have_two_digits_and_let_the_value_pass() {
        let cases: &[(&str, bool, &str, &str)] = &[
            ("0", true, "0", "0"),
            ("7", true, "7", "7"),
            ("-43", true, "-43", "-43"),
            ("1301", true, "1300", "1400"),
            ("2013", true, "2000", "2100"),
            ("-176", true, "-180", "-170"),
            ("5000", true, "5000", "5000"),
            ("0.15", false, "0.15", "0.15"),
            ("7.0", false, "7", "7"),
            ("19.72", false, "19", "20"),
            ("-176.646", false, "-180", "-170"),
            ("12.5", false, "12", "13"),
            ("0.00123", false, "0.0012", "0.0013"),
            ("1.234e300", false, "12e299", "13e299"),
            ("1.234e-30", false, "12e-31", "13e-31"),
        ];
        for (value, is_whole, low, high) in cases {
            assert_eq!(
                outward(value, *is_whole, false).as_deref(),
                Some(*low),
                "{value} low"
            );
            assert_eq!(
                outward(value, *is_whole, true).as_deref(),
                Some(*high),
                "{value} high"
            );
        }
        assert_eq!(outward("Infinity", false, true), None);
        assert_eq!(outward("NaN", false, true), None);
    }
}
