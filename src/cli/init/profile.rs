//! What the engine finds out about the columns of a dataset.

use veracity_processor::Report;

use super::sql::quoted;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::suite::{Assertion, Check, Dataset, VerificationSuite};

/// Text columns with at most so many different values may be sets.
const FEW: u64 = 20;
/// What stands between the values of a set when they are asked for.
const SEPARATOR: char = '\u{1f}';

/// A dataset as the engine found it.
#[derive(Debug)]
pub struct Profile {
    /// Its rows.
    pub rows: u64,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The day it was looked at, `YYYY-MM-DD`.
    pub date: String,
}

/// A column as the engine found it.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are like.
    pub kind: Kind,
    /// Rows with NULL.
    pub nulls: u64,
    /// Its smallest and greatest value, if it has any and they were asked for.
    pub range: Option<(String, String)>,
    /// Whether no value occurs twice; only known where that seemed likely.
    pub is_unique: bool,
    /// All its values, sorted, if they are few.
    pub values: Option<Vec<String>>,
    /// Different values, about.
    distinct: u64,
}

/// What the values of a column are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Other numbers.
    Number,
    /// Days.
    Date,
    /// Moments.
    Timestamp,
    /// Text.
    Text,
    /// Something else.
    Other,
}

impl Kind {
    fn of(data_type: &str) -> Self {
        let is = |prefix: &str| data_type.starts_with(prefix);
        match data_type {
            "Utf8" => Kind::Text,
            _ if is("Int") && !is("Interval") || is("UInt") => Kind::Integer,
            _ if is("Float") || is("Decimal") => Kind::Number,
            _ if is("Date") => Kind::Date,
            _ if is("Timestamp") => Kind::Timestamp,
            _ => Kind::Other,
        }
    }

    fn has_range(self) -> bool {
        !matches!(self, Kind::Text | Kind::Other)
    }

    fn may_be_key(self) -> bool {
        matches!(self, Kind::Integer | Kind::Text)
    }
}

impl Profile {
    /// Reads `dataset`: once for everything, and then what is dear only of the columns
    /// where it may be worth it.
    pub async fn take(engine: &Engine, dataset: &Dataset) -> Result<Self> {
        let columns = engine.columns(dataset).await?;
        let mut questions = Questions::default();
        let rows = questions.ask("row_count()", "row_count() >= 0");
        let mut asked = Vec::new();
        for (name, data_type) in columns {
            let (kind, column) = (Kind::of(&data_type), quoted(&name));
            let nulls = questions.ask("nulls", &format!("null_count({column}) >= 0"));
            let range = kind.has_range().then(|| {
                let least = questions.ask("min", &format!("min({column}) is not null"));
                (
                    least,
                    questions.ask("max", &format!("max({column}) is not null")),
                )
            });
            let distinct = kind.may_be_key().then(|| {
                questions.ask("distinct", &format!("approx_distinct_count({column}) >= 0"))
            });
            asked.push((name, kind, nulls, range, distinct));
        }
        let answers = questions.answer(engine, dataset).await?;
        let mut profile = Self {
            rows: answers.count(rows)?,
            columns: Vec::with_capacity(asked.len()),
            date: answers.report.run.key.date.clone(),
        };
        for (name, kind, nulls, range, distinct) in asked {
            profile.columns.push(Column {
                name,
                kind,
                nulls: answers.count(nulls)?,
                range: range.and_then(|(min, max)| answers.text(min).zip(answers.text(max))),
                is_unique: false,
                values: None,
                distinct: distinct.map_or(Ok(0), |distinct| answers.count(distinct))?,
            });
        }
        profile.look_closer(engine, dataset).await?;
        Ok(profile)
    }

    /// Asks for exact uniqueness where most values differ, and for all values where few do.
    async fn look_closer(&mut self, engine: &Engine, dataset: &Dataset) -> Result<()> {
        let mut questions = Questions::default();
        let mut keys = Vec::new();
        let mut sets = Vec::new();
        for (index, one) in self.columns.iter().enumerate() {
            let column = quoted(&one.name);
            let values = self.rows.saturating_sub(one.nulls);
            if one.kind.may_be_key() && values > 1 && one.distinct * 10 >= values * 9 {
                keys.push((
                    index,
                    questions.ask("once", &format!("uniqueness({column}) = 1")),
                ));
            }
            if one.kind == Kind::Text && one.distinct <= FEW && one.distinct * 3 <= values {
                let list = format!("string_agg(distinct {column}, '{SEPARATOR}') is not null");
                let list = questions.ask("values", &list);
                let count = questions.ask("distinct", &format!("distinct_count({column}) >= 0"));
                sets.push((index, list, count));
            }
        }
        if keys.is_empty() && sets.is_empty() {
            return Ok(());
        }
        let answers = questions.answer(engine, dataset).await?;
        for (index, once) in keys {
            self.columns[index].is_unique = answers.text(once).is_some_and(|share| share == "1.0");
        }
        for (index, list, count) in sets {
            let Some(list) = answers.text(list) else {
                continue;
            };
            let mut values: Vec<String> = list.split(SEPARATOR).map(str::to_owned).collect();
            values.sort();
            // A value with the separator in it would look like two.
            let is_whole = answers.count(count).ok() == u64::try_from(values.len()).ok();
            self.columns[index].values = is_whole.then_some(values);
        }
        Ok(())
    }
}

/// Questions to the engine, all of which it answers in one run.
#[derive(Default)]
struct Questions {
    assertions: Vec<Assertion>,
}

/// A question, by which its answer is found.
#[derive(Debug, Clone, Copy)]
struct Question(usize);

impl Questions {
    /// Asks for the one metric in `assertion`.
    fn ask(&mut self, what: &str, assertion: &str) -> Question {
        let number = self.assertions.len();
        let named = Assertion::expect(assertion).named(format!("{what} {number}"));
        self.assertions.push(named);
        Question(number)
    }

    async fn answer(self, engine: &Engine, dataset: &Dataset) -> Result<Answers> {
        let mut check = Check::new("profile");
        check.assertions = self.assertions;
        let suite = VerificationSuite::builder("profile")
            .dataset(dataset.clone())
            .check(check)
            .build()?;
        let report = engine.run(&suite).await;
        if let Some(reason) = &report.run.interrupted {
            return Err(Error::execution(format!(
                "the profile is not complete: {reason}"
            )));
        }
        let failed = report
            .datasets
            .iter()
            .find_map(|dataset| dataset.error.clone());
        match failed {
            Some(error) => Err(Error::source(error)),
            None => Ok(Answers { report }),
        }
    }
}

struct Answers {
    report: Report,
}

impl Answers {
    /// The value as text; nothing if it is undefined.
    fn text(&self, question: Question) -> Option<String> {
        let result = self.report.results.get(question.0)?;
        let symbol = self.report.symbol(result.symbols.first()?)?;
        symbol.value.as_ref().map(|value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// The value as a count.
    fn count(&self, question: Question) -> Result<u64> {
        let count = self.text(question).and_then(|text| text.parse().ok());
        count.ok_or_else(|| {
            let result = self.report.results.get(question.0);
            let reason = result.and_then(|result| result.reason.clone());
            Error::source(reason.unwrap_or_else(|| "a count has no value".to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_the_type() {
        let cases = [
            ("Int64", Kind::Integer),
            ("UInt8", Kind::Integer),
            ("Interval(MonthDayNano)", Kind::Other),
            ("Float32", Kind::Number),
            ("Decimal128(15, 2)", Kind::Number),
            ("Date32", Kind::Date),
            ("Timestamp(µs, \"UTC\")", Kind::Timestamp),
            ("Utf8", Kind::Text),
            ("List(Utf8)", Kind::Other),
            ("Boolean", Kind::Other),
        ];
        for (data_type, kind) in cases {
            assert_eq!(Kind::of(data_type), kind, "{data_type}");
        }
    }
}
