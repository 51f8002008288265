//! Types of columns by their SQL names.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result, did_you_mean, listed};

const NAMES: [&str; 17] = [
    "bigint",
    "boolean",
    "date",
    "decimal(10,2)",
    "double",
    "float",
    "int",
    "integer",
    "numeric(10,2)",
    "real",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "tinyint",
    "varchar",
];

/// `schema` with the types that `types` gives to columns; Null becomes text.
pub(super) fn applied(
    schema: &Schema,
    types: Option<&BTreeMap<String, String>>,
    dataset: &str,
    session: &SessionContext,
) -> Result<Schema> {
    let none = BTreeMap::new();
    let types = types.unwrap_or(&none);
    for name in types.keys() {
        if schema.field_with_name(name).is_err() {
            let columns = || schema.fields().iter().map(|field| field.name().as_str());
            return Err(Error::source(format!(
                "`types:` names the column `{name}`, which dataset `{dataset}` does not have{}; it has {}",
                did_you_mean(name, columns()),
                listed(columns())
            )));
        }
    }
    let fields = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = match types.get(field.name()) {
                Some(text) => named(text, field.name(), session)?,
                // Nothing but NULLs was seen; text can hold whatever comes later.
                None if field.data_type() == &DataType::Null => DataType::Utf8,
                None => field.data_type().clone(),
            };
            Ok(Arc::new(Field::new(field.name(), kind, true)))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Schema::new(fields))
}

/// The type that SQL calls `text`.
fn named(text: &str, column: &str, session: &SessionContext) -> Result<DataType> {
    let parsed = session
        .state()
        .create_logical_expr(&format!("cast(null as {text})"), &DFSchema::empty());
    let kind = match parsed {
        // `int) or (true` would parse too, but not to a cast.
        Ok(Expr::Cast(cast)) if matches!(*cast.expr, Expr::Literal(..)) => {
            cast.field.data_type().clone()
        }
        _ => {
            return Err(Error::source(format!(
                "`types:` gives column `{column}` the unknown type `{text}`{}; there are {}",
                did_you_mean(text, NAMES),
                NAMES.map(|name| format!("`{name}`")).join(", ")
            )));
        }
    };
    if is_readable(&kind) {
        Ok(kind)
    } else {
        Err(Error::source(format!(
            "`types:` gives column `{column}` the type `{text}`, which text cannot be read as"
        )))
    }
}

fn is_readable(kind: &DataType) -> bool {
    use DataType::{
        Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Time32, Time64,
        Timestamp, Utf8, Utf8View,
    };
    kind.is_integer()
        || kind.is_floating()
        || matches!(
            kind,
            Boolean
                | Date32
                | Date64
                | Decimal32(..)
                | Decimal64(..)
                | Decimal128(..)
                | Decimal256(..)
                | Time32(_)
                | Time64(_)
                | Timestamp(..)
                | Utf8
                | Utf8View
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::TimeUnit;

    #[test]
    fn sql_names_are_types() {
        let session = SessionContext::new();
        for (text, expected) in [
            ("int", DataType::Int32),
            ("BIGINT", DataType::Int64),
            ("varchar", DataType::Utf8View),
            ("date", DataType::Date32),
            ("timestamp", DataType::Timestamp(TimeUnit::Nanosecond, None)),
            ("decimal(10, 2)", DataType::Decimal128(10, 2)),
            ("double", DataType::Float64),
            ("boolean", DataType::Boolean),
        ] {
            assert_eq!(named(text, "x", &session).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn unknown_names_are_explained() {
        let session = SessionContext::new();
        for (text, expected) in [
            (
                "integr",
                "`types:` gives column `x` the unknown type `integr`, did you mean `integer`?; there are `bigint`",
            ),
            (
                "int) + (1",
                "`types:` gives column `x` the unknown type `int) + (1`; there are",
            ),
            (
                "interval",
                "`types:` gives column `x` the type `interval`, which text cannot be read as",
            ),
        ] {
            let error = named(text, "x", &session).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let schema = Schema::new(vec![Field::new("email", DataType::Null, true)]);
        let types = [("emial".to_owned(), "int".to_owned())].into();
        assert_eq!(
            applied(&schema, Some(&types), "users", &session)
                .unwrap_err()
                .to_string(),
            "`types:` names the column `emial`, which dataset `users` does not have, did you mean `email`?; it has `email`"
        );
        let text = applied(&schema, None, "users", &session).unwrap();
        assert_eq!(text.field(0).data_type(), &DataType::Utf8);
    }
}
