//! What the text of a scalar means by the core rules of YAML 1.2.

/// A scalar with its text and what the text means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// The text, without quotes.
    pub text: String,
    /// What it means.
    pub meaning: Meaning,
}

impl Scalar {
    /// Whether the text may mean something else than itself: written without quotes.
    pub fn is_plain(&self) -> bool {
        self.meaning != Meaning::Quoted
    }
}

/// What the text of a scalar means by the core rules of YAML 1.2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number below zero.
    Negative(i64),
    /// A whole number from zero on.
    Whole(u64),
    /// Any other number.
    Float(f64),
    /// Itself, though written without quotes.
    Text,
    /// Itself, whatever it looks like: quoted, or a block of lines.
    Quoted,
}

impl Meaning {
    /// The meaning of text written without quotes.
    pub fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            _ => {}
        }
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
            let infinite = f64::INFINITY;
            return Self::Float(if text.starts_with('-') {
                -infinite
            } else {
                infinite
            });
        }
        for (prefix, radix) in [("0x", 16), ("0o", 8)] {
            if let Some(digits) = text.strip_prefix(prefix)
                && digits.chars().all(|digit| digit.is_digit(radix))
                && let Ok(number) = u64::from_str_radix(digits, radix)
            {
                return Self::Whole(number);
            }
        }
        // What Rust calls a float beside these characters (`inf`, `nan`) is text in YAML.
        let looks_numeric = unsigned
            .starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && unsigned
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
        if !looks_numeric {
            return Self::Text;
        }
        if let Ok(number) = text.parse() {
            return Self::Whole(number);
        }
        if let Ok(number) = text.parse() {
            return Self::Negative(number);
        }
        text.parse().map_or(Self::Text, Self::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_means_what_the_core_rules_of_yaml_1_2_say() {
        let cases = [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("null", Meaning::Null),
            ("true", Meaning::Bool(true)),
            ("yes", Meaning::Text),
            ("no", Meaning::Text),
            ("on", Meaning::Text),
            ("10", Meaning::Whole(10)),
            ("+10", Meaning::Whole(10)),
            ("010", Meaning::Whole(10)),
            ("0o10", Meaning::Whole(8)),
            ("0x1F", Meaning::Whole(31)),
            ("-3", Meaning::Negative(-3)),
            ("1e3", Meaning::Float(1000.0)),
            (".5", Meaning::Float(0.5)),
            ("0.99", Meaning::Float(0.99)),
            ("-.inf", Meaning::Float(f64::NEG_INFINITY)),
            ("inf", Meaning::Text),
            ("nan", Meaning::Text),
            ("e5", Meaning::Text),
            ("1_000", Meaning::Text),
            ("2026-11-20", Meaning::Text),
            ("12:30", Meaning::Text),
            ("0x", Meaning::Text),
        ];
        for (text, expected) in cases {
            assert_eq!(Meaning::of(text), expected, "{text:?}");
        }
    }
}
