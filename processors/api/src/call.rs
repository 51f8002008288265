//! What a symbol measures, where its metric is a simple call.

use serde_json::Value;

use crate::{Symbol, SymbolStatus};

/// A metric that is called with nothing but columns and constants:
/// `quantile(orders.amount, 0.5)`.
///
/// ```
/// use veracity_processor::{Argument, MetricCall};
///
/// let call = MetricCall::parse("Completeness(\"e-mail\")").unwrap();
/// assert_eq!((&*call.name, call.column()), ("completeness", Some("e-mail")));
/// assert_eq!(MetricCall::parse("sum(a + b)"), None);
/// assert_eq!(MetricCall::parse("sum(a) FILTER (WHERE a > 2)"), None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MetricCall {
    /// The metric's name in lower case.
    pub name: String,
    /// What it is called with.
    pub arguments: Vec<Argument>,
}

/// What a metric is called with.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Argument {
    /// A column, or for `row_count` a dataset.
    Column {
        /// The dataset it is qualified with.
        dataset: Option<String>,
        /// Its name, without quotes.
        name: String,
    },
    /// A number, as written.
    Number(String),
    /// A text, without quotes.
    Text(String),
}

impl MetricCall {
    /// The call that `text` is; `None` if it is anything else, such as a call with a filter
    /// or with an expression.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.trim());
        let name = rest.word()?.to_ascii_lowercase();
        rest.take("(")?;
        let mut arguments = Vec::new();
        while rest.take(")").is_none() {
            if !arguments.is_empty() {
                rest.take(",")?;
            }
            arguments.push(rest.argument()?);
        }
        rest.0.is_empty().then_some(Self { name, arguments })
    }

    /// The only column it is called with, beside constants.
    pub fn column(&self) -> Option<&str> {
        let mut columns = self.arguments.iter().filter_map(|argument| match argument {
            Argument::Column { name, .. } => Some(name.as_str()),
            _ => None,
        });
        columns.next().filter(|_| columns.next().is_none())
    }
}

impl Symbol {
    /// What it measures, where that is a simple call.
    pub fn call(&self) -> Option<MetricCall> {
        MetricCall::parse(&self.metric)
    }

    /// Its value, if it is a number; exact decimals and large integers, which are texts,
    /// are rounded. A text that merely looks like a number is none.
    pub fn number(&self) -> Option<f64> {
        if self.status != SymbolStatus::Ok {
            return None;
        }
        match self.value.as_ref()? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if self.is_numeric() => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether its type is known to be one of numbers.
    pub fn is_numeric(&self) -> bool {
        let numbers = ["Int", "UInt", "Float", "Decimal"];
        let kind = self.r#type.as_deref().unwrap_or_default();
        numbers.iter().any(|prefix| kind.starts_with(prefix)) && !kind.starts_with("Interval")
    }
}

/// What is still to be read.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    fn skip(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest.trim_start();
        taken
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.0.starts_with(token).then(|| {
            self.skip(token.len());
        })
    }

    fn word(&mut self) -> Option<&'t str> {
        let first = self.0.chars().next()?;
        if !(first.is_alphabetic() || first == '_') {
            return None;
        }
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let end = self.0.find(|c| !inside(c)).unwrap_or(self.0.len());
        Some(self.skip(end))
    }

    /// A text between two `mark`s; a doubled one stands for itself.
    fn quoted(&mut self, mark: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.0.strip_prefix(mark)?.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != mark {
                text.push(c);
            } else if chars.next_if(|&(_, next)| next == mark).is_some() {
                text.push(mark);
            } else {
                self.skip(at + 2);
                return Some(text);
            }
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        match self.0.starts_with('"') {
            true => self.quoted('"'),
            false => self.word().map(str::to_owned),
        }
    }

    fn number(&mut self) -> Option<String> {
        let inside = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
        let end = self.0.find(|c| !inside(c)).unwrap_or(self.0.len());
        let number = &self.0[..end];
        number.parse::<f64>().ok()?;
        self.skip(end);
        Some(number.to_owned())
    }

    fn argument(&mut self) -> Option<Argument> {
        match self.0.chars().next()? {
            '\'' => self.quoted('\'').map(Argument::Text),
            '-' | '0'..='9' => self.number().map(Argument::Number),
            _ => {
                let first = self.name()?;
                let second = match self.take(".") {
                    Some(()) => Some(self.name()?),
                    None => None,
                };
                Some(match second {
                    Some(name) => Argument::Column {
                        dataset: Some(first),
                        name,
                    },
                    None => Argument::Column {
                        dataset: None,
                        name: first,
                    },
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(text: &str) -> Option<String> {
        let call = MetricCall::parse(text)?;
        let arguments = call.arguments.iter().map(|argument| match argument {
            Argument::Column {
                dataset: Some(dataset),
                name,
            } => format!("{dataset}|{name}"),
            Argument::Column { name, .. } => name.clone(),
            Argument::Number(number) => format!("#{number}"),
            Argument::Text(text) => format!("'{text}"),
        });
        let arguments: Vec<String> = arguments.collect();
        Some(format!("{}: {}", call.name, arguments.join(" ")))
    }

    #[test]
    fn only_a_simple_call_is_one() {
        let cases = [
            ("row_count()", Some("row_count: ")),
            ("MAX( Price )", Some("max: Price")),
            ("completeness(a, b)", Some("completeness: a b")),
            ("quantile(x, 0.25)", Some("quantile: x #0.25")),
            ("count_values(i, -2)", Some("count_values: i #-2")),
            ("has_column('Full ''Name')", Some("has_column: 'Full 'Name")),
            (
                r#"max("say ""hi"", (you)")"#,
                Some(r#"max: say "hi", (you)"#),
            ),
            (r#"max(t."a.b")"#, Some("max: t|a.b")),
            ("max(größe)", Some("max: größe")),
            ("sum(a + b)", None),
            ("sum(-a)", None),
            ("count(*)", None),
            ("count(DISTINCT x)", None),
            ("violations(id > 0)", None),
            ("max(x) FILTER (WHERE x < 3)", None),
            ("sum(cast(x as bigint))", None),
            ("max(x", None),
            ("max(x,)", None),
            ("max(,x)", None),
            ("max(\"x)", None),
            ("max(a.b.c)", None),
            ("max(1-)", None),
            ("<!channel> (x)", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_column_is_that_of_a_call_with_one() {
        let cases = [
            ("row_count()", None),
            ("sum(a)", Some("a")),
            ("quantile(a, 0.5)", Some("a")),
            ("uniqueness(a, b)", None),
            ("has_column('a')", None),
        ];
        for (text, expected) in cases {
            let call = MetricCall::parse(text).unwrap();
            assert_eq!(call.column(), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_a_value_of_a_numeric_type() {
        let cases = [
            ("a number", json!(2), None, Some(2.0)),
            (
                "a decimal",
                json!("1.50"),
                Some("Decimal128(15, 2)"),
                Some(1.5),
            ),
            ("beyond 2^53", json!("9007199254740993"), Some("Int64"), {
                Some(9_007_199_254_740_992.0)
            }),
            ("a text", json!("150"), Some("Utf8"), None),
            (
                "an interval",
                json!("2"),
                Some("Interval(MonthDayNano)"),
                None,
            ),
            ("of unknown type", json!("150"), None, None),
            ("a truth value", json!(true), Some("Boolean"), None),
        ];
        for (label, value, kind, expected) in cases {
            let mut symbol = Symbol::new("x_1", "max(x)", "t");
            (symbol.value, symbol.r#type) = (Some(value), kind.map(str::to_owned));
            assert_eq!(symbol.number(), None, "{label}, undefined");
            symbol.status = SymbolStatus::Ok;
            assert_eq!(symbol.number(), expected, "{label}");
        }
    }
}
