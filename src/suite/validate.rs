//! What a suite must keep to before any data is looked at, whether it comes from a
//! file or from Rust.

use std::collections::HashMap;
use std::str::FromStr;

use datafusion::arrow::array::timezone::Tz;
use veracity_processor::Location;

use super::{Assertion, Check, Condition, Dataset, Predicate, Source, VerificationSuite};
use crate::error::{Error, Result, did_you_mean, listed};

/// The most assertions a suite may have.
pub const MAX_ASSERTIONS: usize = 100_000;

/// The longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 64 * 1024;

/// Places within a suite that its plain data has no room for; all may be unknown.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub suite: Option<Location>,
    pub datasets: Vec<DatasetPlaces>,
    pub checks: Vec<CheckPlaces>,
    /// Whether parts of the suite could not be read, so that what is absent from
    /// the data may well be in the file.
    pub incomplete: bool,
}

/// Places within a dataset.
#[derive(Debug, Default)]
pub(super) struct DatasetPlaces {
    pub source: Option<Location>,
    pub timezone: Option<Location>,
}

/// Places within a check.
#[derive(Debug, Default)]
pub(super) struct CheckPlaces {
    pub name: Option<Location>,
    pub dataset: Option<Location>,
    pub assertions: Vec<AssertionPlaces>,
}

/// Places within an assertion.
#[derive(Debug, Default)]
pub(super) struct AssertionPlaces {
    pub name: Option<Location>,
    pub mostly: Option<Location>,
}

impl VerificationSuite {
    /// Checks what can be checked without data: names, zones, shares, limits. Suites
    /// from files and builders have passed it.
    ///
    /// # Errors
    ///
    /// All that is wrong, as [`Error::Configuration`], several as [`Error::Many`].
    pub fn validate(&self) -> Result<()> {
        into_result(validate(self, &Places::default()))
    }
}

/// One error as itself, several as [`Error::Many`].
pub(super) fn into_result(mut errors: Vec<Error>) -> Result<()> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(Error::Many(errors)),
    }
}

/// Everything that is wrong with `suite`.
pub(super) fn validate(suite: &VerificationSuite, places: &Places) -> Vec<Error> {
    let mut errors = Vec::new();
    if suite.name.trim().is_empty() {
        errors.push(Error::configuration_at(
            "the suite's name is empty",
            places.suite.clone(),
        ));
    }
    datasets(suite, places, &mut errors);
    let assertions: usize = suite
        .checks
        .iter()
        .map(|check| check.assertions.len())
        .sum();
    if assertions > MAX_ASSERTIONS {
        errors.push(Error::configuration_at(
            format!("the suite has {assertions} assertions; it may have {MAX_ASSERTIONS}"),
            places.suite.clone(),
        ));
        return errors;
    }
    if suite.checks.is_empty() && !places.incomplete {
        errors.push(
            Error::configuration_at("the suite has no checks", places.suite.clone())
                .with_help("a suite that checks nothing would always pass"),
        );
    }
    let mut names = HashMap::new();
    for (index, check) in suite.checks.iter().enumerate() {
        let unknown = CheckPlaces::default();
        let here = places.checks.get(index).unwrap_or(&unknown);
        let at = here.name.clone().or_else(|| check.location.clone());
        if check.name.trim().is_empty() {
            errors.push(Error::configuration_at(
                "a check has an empty name",
                at.clone(),
            ));
        } else if let Some(first) = names.insert(check.name.as_str(), at.clone()) {
            errors.push(
                Error::configuration_at(
                    format!(
                        "check `{}` is defined twice{}",
                        check.name,
                        first_is(first.as_ref())
                    ),
                    at,
                )
                .with_help("give each check a name of its own"),
            );
            names.insert(&check.name, first);
        }
        dataset_of(suite, check, here, places.incomplete, &mut errors);
        assertions_of(check, here, places.incomplete, &mut errors);
    }
    errors
}

fn first_is(first: Option<&Location>) -> String {
    first.map_or_else(String::new, |place| format!("; the first is at {place}"))
}

fn datasets(suite: &VerificationSuite, places: &Places, errors: &mut Vec<Error>) {
    if suite.datasets.is_empty() && !places.incomplete {
        errors.push(Error::configuration_at(
            "the suite has no datasets",
            places.suite.clone(),
        ));
    }
    let mut names = HashMap::new();
    for (index, dataset) in suite.datasets.iter().enumerate() {
        let unknown = DatasetPlaces::default();
        let here = places.datasets.get(index).unwrap_or(&unknown);
        let Dataset { name, location, .. } = dataset;
        if name.trim().is_empty() {
            errors.push(Error::configuration_at(
                "a dataset has an empty name",
                location.clone(),
            ));
        } else if let Some(first) = names.insert(name.as_str(), location) {
            errors.push(Error::configuration_at(
                format!(
                    "dataset `{name}` is defined twice{}",
                    first_is(first.as_ref())
                ),
                location.clone(),
            ));
        }
        let empty = match &dataset.source {
            Source::Path { path, .. } if path.trim().is_empty() => Some("path"),
            Source::Sql(sql) if sql.trim().is_empty() => Some("query"),
            _ => None,
        };
        if let Some(what) = empty {
            errors.push(Error::configuration_at(
                format!("the {what} of dataset `{name}` is empty"),
                here.source.clone().or_else(|| location.clone()),
            ));
        }
        if let Some(zone) = &dataset.timezone
            && Tz::from_str(zone).is_err()
        {
            errors.push(
                Error::configuration_at(
                    format!("unknown timezone `{zone}` of dataset `{name}`"),
                    here.timezone.clone().or_else(|| location.clone()),
                )
                .with_help("a timezone is an IANA name such as `Europe/Amsterdam`, or an offset such as `+02:00`"),
            );
        }
    }
}

/// Whether it is clear which dataset the check is about.
fn dataset_of(
    suite: &VerificationSuite,
    check: &Check,
    here: &CheckPlaces,
    incomplete: bool,
    errors: &mut Vec<Error>,
) {
    let names = || suite.datasets.iter().map(|dataset| dataset.name.as_str());
    let error = match &check.dataset {
        _ if incomplete || suite.datasets.is_empty() => return,
        Some(name) if names().any(|known| known == name) => return,
        None if suite.datasets.len() == 1 => return,
        Some(name) => Error::configuration_at(
            format!("unknown dataset `{name}`{}", did_you_mean(name, names())),
            here.dataset.clone().or_else(|| check.location.clone()),
        )
        .with_help(format!("the suite has {}", listed(names()))),
        None => Error::configuration_at(
            format!(
                "check `{}` does not say which dataset it is about",
                check.name
            ),
            check.location.clone(),
        )
        .with_help(format!("add `dataset:`; the suite has {}", listed(names()))),
    };
    errors.push(error);
}

fn assertions_of(check: &Check, here: &CheckPlaces, incomplete: bool, errors: &mut Vec<Error>) {
    if check.assertions.is_empty() && !incomplete {
        errors.push(
            Error::configuration_at(
                format!("check `{}` has no assertions", check.name),
                check.location.clone(),
            )
            .with_help("a check that asserts nothing would always pass"),
        );
    }
    let mut names = HashMap::new();
    for (index, assertion) in check.assertions.iter().enumerate() {
        let unknown = AssertionPlaces::default();
        let here = here.assertions.get(index).unwrap_or(&unknown);
        if !expression(check, assertion, errors) {
            continue;
        }
        if let Condition::Rows {
            mostly: Some(share),
            ..
        } = assertion.condition
            && !(share > 0.0 && share <= 1.0)
        {
            errors.push(
                Error::configuration_at(
                    format!("`mostly` is a share above 0 and at most 1, not {share}"),
                    here.mostly.clone().or_else(|| assertion.location.clone()),
                )
                .with_help("`mostly: 0.99` lets one row in a hundred break the rule"),
            );
        }
        let name = assertion.display_name();
        let at = here.name.clone().or_else(|| assertion.location.clone());
        if name.trim().is_empty() {
            errors.push(Error::configuration_at(
                format!("an assertion of check `{}` has an empty name", check.name),
                at,
            ));
        } else if let Some(first) = names.get(&name) {
            let first = first_is(Option::as_ref(first));
            errors.push(
                Error::configuration_at(
                    format!(
                        "assertion `{}` is stated twice in check `{}`{first}",
                        short(&name),
                        check.name
                    ),
                    at,
                )
                .with_help("remove one of them, or give it a `name` of its own"),
            );
        } else {
            names.insert(name, at);
        }
    }
}

/// Whether the expression is one that is worth looking at further.
fn expression(check: &Check, assertion: &Assertion, errors: &mut Vec<Error>) -> bool {
    let Predicate::Text { sql, .. } = assertion.condition.predicate() else {
        return true;
    };
    let message = if sql.trim().is_empty() {
        format!("an assertion of check `{}` is empty", check.name)
    } else if sql.len() > MAX_EXPRESSION_BYTES {
        format!(
            "an assertion of check `{}` is {} bytes long; it may be {MAX_EXPRESSION_BYTES}",
            check.name,
            sql.len()
        )
    } else {
        return true;
    };
    errors.push(Error::configuration_at(message, assertion.location.clone()));
    false
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}
