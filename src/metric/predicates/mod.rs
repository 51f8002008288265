//! Row predicates: scalar functions that say whether a value is as it should be.
//!
//! All are Boolean, and NULL where an argument is NULL.

mod close;
mod dates;
mod formats;
mod regexes;
mod text;

use std::sync::{Arc, LazyLock};

use datafusion::logical_expr::{ScalarUDF, ScalarUDFImpl};

pub use dates::check_date_format;
pub use regexes::check_regex;

type Test = fn(&str) -> bool;

/// Name, meaning, and the test for those that look at one text and nothing else.
const PREDICATES: &[(&str, &str, Option<Test>)] = &[
    (
        "is_close",
        "`is_close(a, b, tolerance)`: two numbers differ by at most the tolerance; NaN is close to nothing",
        None,
    ),
    (
        "is_credit_card",
        "13 to 19 digits with a valid check digit (Luhn), in groups joined by a space or a hyphen or in one",
        Some(formats::is_credit_card),
    ),
    (
        "is_date",
        "`is_date(c, format)`: a date that exists, written in the strftime format, by default `%Y-%m-%d`",
        None,
    ),
    (
        "is_email",
        "an e-mail address as mail servers accept it (RFC 5321), in ASCII, with a domain of two or more labels",
        Some(formats::is_email),
    ),
    (
        "is_iban",
        "an IBAN with valid country, length, structure and check digits; groups of four may be spaced",
        Some(formats::is_iban),
    ),
    (
        "is_ipv4",
        "an IPv4 address in dotted decimal, without leading zeros",
        Some(formats::is_ipv4),
    ),
    (
        "is_ipv6",
        "an IPv6 address, without zone",
        Some(formats::is_ipv6),
    ),
    (
        "is_json",
        "one JSON value and nothing after it",
        Some(formats::is_json),
    ),
    (
        "is_url",
        "an absolute http, https or ftp URL with a host",
        Some(formats::is_url),
    ),
    (
        "is_uuid",
        "a UUID of any version with its four hyphens",
        Some(formats::is_uuid),
    ),
    (
        "matches",
        "`matches(c, 'regex')`: the regular expression is found in the text; anchor it with ^ and $ for the whole",
        None,
    ),
];

/// The row predicates, sorted by name.
pub fn row_predicates() -> Vec<Arc<ScalarUDF>> {
    static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        PREDICATES
            .iter()
            .map(|(name, _, test)| match (test, *name) {
                (Some(test), name) => udf(text::TextPredicate::new(name, *test)),
                (None, "is_close") => udf(close::IsClose::new()),
                (None, "is_date") => udf(dates::IsDate::new()),
                (None, _) => udf(regexes::Matches::new()),
            })
            .collect()
    });
    FUNCTIONS.clone()
}

/// What the row predicate `name` says of a value, in one line.
pub fn meaning(name: &str) -> Option<&'static str> {
    PREDICATES
        .iter()
        .find(|(predicate, ..)| *predicate == name)
        .map(|(_, meaning, _)| *meaning)
}

fn udf(function: impl ScalarUDFImpl + 'static) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(function))
}

#[cfg(test)]
mod tests;
