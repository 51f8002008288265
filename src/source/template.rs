//! `{date}` and other `{..}` templates in paths.

use chrono::format::{Item, StrftimeItems};
use std::fmt::Write;

use super::OpenContext;
use crate::error::{Error, Result, did_you_mean, listed};

/// `text` with its templates filled in; `{{` and `}}` stand for braces.
pub(super) fn fill(text: &str, context: &OpenContext) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        let brace = &rest[at..];
        if brace.starts_with("{{") || brace.starts_with("}}") {
            filled.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        let end = brace.find('}').filter(|_| brace.starts_with('{'));
        let Some(end) = end else {
            return Err(Error::source(format!(
                "path `{text}` has an unmatched brace; `{{{{` and `}}}}` stand for braces"
            )));
        };
        filled.push_str(&value(&brace[1..end], text, context)?);
        rest = &brace[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value(template: &str, path: &str, context: &OpenContext) -> Result<String> {
    let (name, format) = match template.split_once(':') {
        Some((name, format)) => (name, Some(format)),
        None => (template, None),
    };
    match (name, format) {
        ("date", format) => date(format.unwrap_or("%Y-%m-%d"), path, context),
        (_, None) if context.variables.contains_key(name) => Ok(context.variables[name].clone()),
        _ => {
            let names = || context.variables.keys().map(String::as_str).chain(["date"]);
            let hint = did_you_mean(name, names());
            Err(Error::source(format!(
                "path `{path}` has an unknown template `{{{template}}}`{hint}; there are {}",
                listed(names())
            )))
        }
    }
}

fn date(format: &str, path: &str, context: &OpenContext) -> Result<String> {
    let refused = || {
        Error::source(format!(
            "path `{path}` has the date format `{format}`, which is no date; `%Y/%m/%d` is one"
        ))
    };
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(refused());
    }
    let mut text = String::new();
    // A time of day in the format fails here: a date has none.
    write!(text, "{}", context.date.format_with_items(items.iter())).map_err(|_| refused())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn context() -> OpenContext {
        OpenContext {
            base: "/data".into(),
            date: NaiveDate::from_ymd_opt(2026, 11, 20).unwrap(),
            variables: [("region".to_owned(), "eu".to_owned())].into(),
        }
    }

    #[test]
    fn templates_are_filled_in() {
        for (label, text, expected) in [
            ("no template", "orders.csv", "orders.csv"),
            (
                "date",
                "orders/date={date}/*.parquet",
                "orders/date=2026-11-20/*.parquet",
            ),
            ("format", "{date:%Y/%m/%d}/x.csv", "2026/11/20/x.csv"),
            ("variable", "{region}/{date}.csv", "eu/2026-11-20.csv"),
            ("braces", "{{date}}.csv", "{date}.csv"),
        ] {
            assert_eq!(fill(text, &context()).unwrap(), expected, "{label}");
        }
    }

    #[test]
    fn a_wrong_template_is_explained() {
        for (text, expected) in [
            (
                "{regoin}.csv",
                "path `{regoin}.csv` has an unknown template `{regoin}`, did you mean `region`?; there are `date`, `region`",
            ),
            (
                "{date:%Q}.csv",
                "path `{date:%Q}.csv` has the date format `%Q`, which is no date; `%Y/%m/%d` is one",
            ),
            (
                "{date:%H}.csv",
                "path `{date:%H}.csv` has the date format `%H`, which is no date; `%Y/%m/%d` is one",
            ),
            (
                "{date.csv",
                "path `{date.csv` has an unmatched brace; `{{` and `}}` stand for braces",
            ),
            (
                "date}.csv",
                "path `date}.csv` has an unmatched brace; `{{` and `}}` stand for braces",
            ),
        ] {
            assert_eq!(fill(text, &context()).unwrap_err().to_string(), expected);
        }
    }
}
