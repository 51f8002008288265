//! Columns made of `key=value` folders.

use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;

use super::locate::Located;
use crate::error::{Error, Result, listed};

/// What Hive calls a folder whose value is NULL.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of `files` and the values that each file has in them.
///
/// A column of the files themselves wins over a folder of the same name; `warnings` says so.
pub(super) fn partitions(
    files: &[Located],
    schema: &Schema,
    warnings: &mut Vec<String>,
) -> Result<(Vec<FieldRef>, Vec<Vec<ScalarValue>>)> {
    let keys = keys(files)?;
    let mut fields = Vec::new();
    let mut values = vec![Vec::new(); files.len()];
    for (place, key) in keys.iter().enumerate() {
        if schema.field_with_name(key).is_ok() {
            warnings.push(format!(
                "the files have a column `{key}`, which is used; the folders named `{key}=` are not"
            ));
            continue;
        }
        let texts = || files.iter().map(|file| file.partitions[place].1.as_str());
        let kind = kind(texts());
        for (text, values) in texts().zip(&mut values) {
            values.push(scalar(text, &kind));
        }
        fields.push(Arc::new(Field::new(*key, kind, true)));
    }
    Ok((fields, values))
}

fn keys(files: &[Located]) -> Result<Vec<&str>> {
    let of = |file: &Located| {
        file.partitions
            .iter()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };
    let Some(first) = files.first() else {
        return Ok(Vec::new());
    };
    let expected = of(first);
    let told = |keys: &[String]| match keys {
        [] => "none".to_owned(),
        keys => listed(keys.iter().map(String::as_str)),
    };
    for file in files {
        let keys = of(file);
        if keys != expected {
            return Err(Error::source(format!(
                "files have different `key=value` folders: `{}` has {}, `{}` has {}",
                first.shown,
                told(&expected),
                file.shown,
                told(&keys)
            )));
        }
    }
    if let Some(twice) = super::schema::twice(expected.iter().map(String::as_str)) {
        return Err(Error::source(format!(
            "`{}` has the folder `{twice}=` twice in its path",
            first.shown
        )));
    }
    Ok(first
        .partitions
        .iter()
        .map(|(key, _)| key.as_str())
        .collect())
}

/// The type that all of `values` are of.
fn kind<'a>(values: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let values = values.filter(|value| *value != NULL);
    if values.clone().next().is_none() {
        DataType::Utf8
    } else if values.clone().all(|value| value.parse::<i64>().is_ok()) {
        DataType::Int64
    } else if values.clone().all(|value| date(value).is_some()) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

fn date(value: &str) -> Option<NaiveDate> {
    // Chrono takes `2026-1-2` too, which would not be written the same way again.
    let date = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
    (value.len() == 10).then_some(date)
}

fn scalar(value: &str, kind: &DataType) -> ScalarValue {
    let text = (value != NULL).then_some(value);
    match kind {
        DataType::Int64 => ScalarValue::Int64(text.and_then(|text| text.parse().ok())),
        DataType::Date32 => {
            let days =
                |date: NaiveDate| i32::try_from((date - NaiveDate::default()).num_days()).ok();
            ScalarValue::Date32(text.and_then(date).and_then(days))
        }
        _ => ScalarValue::Utf8(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileIdentity;

    fn file(shown: &str) -> Located {
        let parts = shown.split('/').filter_map(|part| part.split_once('='));
        Located {
            identity: FileIdentity {
                path: shown.into(),
                size: 1,
                modified: None,
            },
            shown: shown.to_owned(),
            partitions: parts
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    #[test]
    fn values_have_the_narrowest_type_that_fits_all() {
        for (label, values, expected) in [
            ("dates", &["2026-11-20", "2026-11-21"][..], DataType::Date32),
            ("integers", &["1", "-20", "03"], DataType::Int64),
            ("mixed", &["1", "2026-11-20"], DataType::Utf8),
            ("null", &[NULL], DataType::Utf8),
            ("integer or null", &[NULL, "5"], DataType::Int64),
            ("no such day", &["2026-02-30"], DataType::Utf8),
        ] {
            assert_eq!(kind(values.iter().copied()), expected, "{label}");
        }
        assert_eq!(
            scalar("1970-01-03", &DataType::Date32),
            ScalarValue::Date32(Some(2))
        );
        assert_eq!(scalar(NULL, &DataType::Int64), ScalarValue::Int64(None));
    }

    #[test]
    fn a_column_of_the_file_wins() {
        let schema = Schema::new(vec![Field::new("date", DataType::Utf8, true)]);
        let mut warnings = Vec::new();
        let files = [file("date=2026-11-20/region=eu/a.csv")];
        let (fields, values) = partitions(&files, &schema, &mut warnings).unwrap();
        assert_eq!(fields.len(), 1);
        assert_eq!(values, [[ScalarValue::from("eu")]]);
        assert_eq!(
            warnings,
            ["the files have a column `date`, which is used; the folders named `date=` are not"]
        );
    }

    #[test]
    fn mixed_folders_are_explained() {
        let files = [file("date=2026-11-20/a.csv"), file("b.csv")];
        let error = partitions(&files, &Schema::empty(), &mut Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "files have different `key=value` folders: `date=2026-11-20/a.csv` has `date`, `b.csv` has none"
        );
    }
}
