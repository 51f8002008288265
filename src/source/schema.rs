//! One schema for many files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};

use crate::error::{Error, Result, listed};

/// The first of `names` that occurs before.
pub(super) fn twice<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// Fails if two of `names`, the columns of `owner`, are the same.
pub(super) fn refuse_twice<'a>(
    names: impl IntoIterator<Item = &'a str>,
    owner: &str,
) -> Result<()> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut repeated = Vec::new();
    for name in names {
        let count = seen.entry(name).or_default();
        *count += 1;
        if *count == 2 {
            repeated.push(name);
        }
    }
    match repeated.as_slice() {
        [] => Ok(()),
        [""] => Err(Error::source(format!(
            "{owner} has several columns without a name"
        ))),
        [one] => Err(Error::source(format!(
            "{owner} has {} columns named `{one}`; rename them",
            seen[one]
        ))),
        several => Err(Error::source(format!(
            "{owner} has several columns each named {}; rename them",
            listed(several.iter().copied())
        ))),
    }
}

/// `schema` with NULL allowed everywhere: what a file promises is what is to be verified.
pub(super) fn nullable(schema: &Schema) -> Schema {
    let relaxed = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
    let fields: Vec<FieldRef> = schema.fields().iter().map(relaxed).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// The columns of all `schemas`, each the schema of the file named with it.
///
/// A column must be of one type in all files; one that a file lacks is NULL there, with a warning.
pub(super) fn merged(
    schemas: &[(&str, Arc<Schema>)],
    warnings: &mut Vec<String>,
) -> Result<Schema> {
    let mut fields: Vec<(Field, &str)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (file, schema) in schemas {
        for field in schema.fields() {
            let Some(place) = places.get(field.name()) else {
                places.insert(field.name().clone(), fields.len());
                let relaxed = field
                    .as_ref()
                    .clone()
                    .with_nullable(true)
                    .with_metadata(HashMap::new());
                fields.push((relaxed, file));
                continue;
            };
            let (known, first) = &mut fields[*place];
            let here = field
                .as_ref()
                .clone()
                .with_nullable(true)
                .with_metadata(HashMap::new());
            let before = known.data_type().clone();
            if known.try_merge(&here).is_err() {
                return Err(Error::source(format!(
                    "column `{}` is {before} in `{first}` and {} in `{file}`; write the files with one type",
                    field.name(),
                    field.data_type()
                )));
            }
        }
    }
    warn_of_gaps(
        schemas,
        &fields
            .iter()
            .map(|(field, _)| field.name().as_str())
            .collect::<Vec<_>>(),
        warnings,
    );
    Ok(Schema::new(
        fields
            .into_iter()
            .map(|(field, _)| field)
            .collect::<Vec<_>>(),
    ))
}

/// Says which files lack some of `columns`.
pub(super) fn warn_of_gaps(
    schemas: &[(&str, Arc<Schema>)],
    columns: &[&str],
    warnings: &mut Vec<String>,
) {
    for column in columns {
        let mut lacking = schemas.iter().filter(|(_, schema)| {
            schema.fields().len() < columns.len() && schema.index_of(column).is_err()
        });
        let Some((file, _)) = lacking.next() else {
            continue;
        };
        let more = match lacking.count() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        warnings.push(format!(
            "`{file}`{more} has no column `{column}`: it is NULL there"
        ));
    }
}

/// The type that values seen as `a` in one text file and as `b` in another are read as.
pub(super) fn widened(a: &DataType, b: &DataType) -> DataType {
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => {
            DataType::Float64
        }
        (a, b) => match (fineness(a), fineness(b)) {
            (Some(a_fine), Some(b_fine)) => if a_fine > b_fine { a } else { b }.clone(),
            _ => DataType::Utf8,
        },
    }
}

fn fineness(kind: &DataType) -> Option<u8> {
    match kind {
        DataType::Date32 => Some(0),
        DataType::Timestamp(TimeUnit::Second, None) => Some(1),
        DataType::Timestamp(TimeUnit::Millisecond, None) => Some(2),
        DataType::Timestamp(TimeUnit::Microsecond, None) => Some(3),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Arc<Schema> {
        let fields = columns
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.clone(), false));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    #[test]
    fn schemas_of_several_files_are_united() {
        let mut warnings = Vec::new();
        let schemas = [
            ("a", schema(&[("x", DataType::Int64)])),
            (
                "b",
                schema(&[("y", DataType::Utf8), ("x", DataType::Int64)]),
            ),
            ("c", schema(&[("x", DataType::Int64)])),
        ];
        let merged = merged(&schemas, &mut warnings).unwrap();
        assert_eq!(
            merged,
            nullable(&schema(&[("x", DataType::Int64), ("y", DataType::Utf8)]))
        );
        assert_eq!(
            warnings,
            ["`a` and 1 more has no column `y`: it is NULL there"]
        );
    }

    #[test]
    fn a_conflict_names_both_files() {
        let schemas = [
            ("a", schema(&[("x", DataType::Int64)])),
            ("b", schema(&[("x", DataType::Utf8)])),
        ];
        assert_eq!(
            merged(&schemas, &mut Vec::new()).unwrap_err().to_string(),
            "column `x` is Int64 in `a` and Utf8 in `b`; write the files with one type"
        );
    }

    #[test]
    fn columns_of_the_same_name_are_refused() {
        for (names, expected) in [
            (
                &["a", "b", "a"][..],
                "`f` has 2 columns named `a`; rename them",
            ),
            (&["", "b", ""], "`f` has several columns without a name"),
            (
                &["a", "b", "a", "b", "b"],
                "`f` has several columns each named `a`, `b`; rename them",
            ),
        ] {
            let error = refuse_twice(names.iter().copied(), "`f`").unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        refuse_twice(["a", "A"], "`f`").unwrap();
    }

    #[test]
    fn types_of_text_widen() {
        use DataType::{Boolean, Date32, Float64, Int64, Null, Timestamp, Utf8};
        let second = Timestamp(TimeUnit::Second, None);
        for (a, b, expected) in [
            (Int64, Int64, Int64),
            (Null, Date32, Date32),
            (Int64, Float64, Float64),
            (Date32, second.clone(), second),
            (Boolean, Int64, Utf8),
            (Utf8, Null, Utf8),
        ] {
            assert_eq!(widened(&a, &b), expected, "{a} and {b}");
            assert_eq!(widened(&b, &a), expected, "{b} and {a}");
        }
    }
}
