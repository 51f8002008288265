mod formats;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};
use datafusion::prelude::SessionContext;

use super::*;

/// The predicate `name` over arguments of equal length.
fn evaluate(name: &str, args: Vec<ColumnarValue>, rows: usize) -> Result<ColumnarValue> {
    let function = row_predicates()
        .into_iter()
        .find(|f| f.name() == name)
        .unwrap();
    let fields: Vec<_> = args
        .iter()
        .map(|arg| Arc::new(Field::new("x", arg.data_type(), true)))
        .collect();
    let scalars: Vec<Option<&ScalarValue>> = args
        .iter()
        .map(|arg| match arg {
            ColumnarValue::Scalar(scalar) => Some(scalar),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let return_field = function.return_field_from_args(ReturnFieldArgs {
        arg_fields: &fields,
        scalar_arguments: &scalars,
    })?;
    function.invoke_with_args(ScalarFunctionArgs {
        args,
        arg_fields: fields,
        number_rows: rows,
        return_field,
        config_options: Arc::new(ConfigOptions::default()),
    })
}

fn text(text: &str) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::from(text))
}

fn column(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

fn each(name: &str, texts: ArrayRef, others: &[&str]) -> Vec<Option<bool>> {
    let rows = texts.len();
    let mut args = vec![ColumnarValue::Array(texts)];
    args.extend(others.iter().map(|other| text(other)));
    let array = evaluate(name, args, rows).unwrap().to_array(rows).unwrap();
    array.as_boolean().iter().collect()
}

fn check(name: &str, others: &[&str], good: &[&str], bad: &[&str]) {
    for (texts, expected) in [(good, true), (bad, false)] {
        let column = column(&texts.iter().copied().map(Some).collect::<Vec<_>>());
        for (text, passed) in texts.iter().zip(each(name, column, others)) {
            assert_eq!(passed, Some(expected), "{name} {others:?} of {text:?}");
        }
    }
}

#[test]
fn dates() {
    check(
        "is_date",
        &[],
        &["2024-02-29", "0001-01-01", "9999-12-31"],
        &[
            "",
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-32",
            "2024-1-5",
            "24-01-05",
            " 2024-01-05",
            "2024-01-05 ",
            "2024-01-05T00:00:00",
            "2024/01/05",
            "2024-01-0５",
            "+024-01-05",
            "20240105",
        ],
    );
    check(
        "is_date",
        &["%d/%m/%Y"],
        &["29/02/2024"],
        &[
            "29/02/2023",
            "1/2/2024",
            "01/02/24",
            "2024-02-29",
            "01/02/2024\n",
        ],
    );
    check(
        "is_date",
        &["%d %b %Y"],
        &["05 Jan 2024", "05 JAN 2024"],
        &["05 January 2024", "5 Jan 2024"],
    );
    check(
        "is_date",
        &["%-d.%-m.%Y"],
        &["5.1.2024", "31.12.2024"],
        &["05.01.2024", "31.13.2024"],
    );
    check(
        "is_date",
        &["%Y-%m-%dT%H:%M:%S%.f"],
        &["2024-01-05T23:59:59", "2024-01-05T23:59:59.5"],
        &["2024-01-05", "2024-01-05T24:00:00", " 2024-01-05T23:59:59"],
    );
}

#[test]
fn date_formats_are_checked_before_the_scan() {
    for format in [
        "%Y-%m-%d",
        "%d.%m.%y",
        "%G-W%V-%u",
        "%Y-%j",
        "%Y-%m-%d %H:%M:%S %z",
        "%x",
    ] {
        assert_eq!(check_date_format(format), Ok(()), "{format}");
    }
    for format in ["", "%s", "%Y-%m", "%Q", "%Y-%m-%d %", "yyyy-mm-dd", "%H:%M"] {
        assert!(check_date_format(format).is_err(), "{format}");
    }
}

#[test]
fn regular_expressions_are_found_anywhere() {
    check("matches", &["b+"], &["abc", "b"], &["", "ac", "B"]);
    check("matches", &["^b+$"], &["bb"], &["abc", "b\n"]);
    check("matches", &["(?i)ü"], &["xÜ"], &["u"]);
    check("matches", &[""], &["", "x"], &[]);
}

#[test]
fn a_bad_pattern_says_why_on_one_line() {
    let cases = [
        ("(", "unclosed group"),
        ("a{2,1}", "invalid repetition count range"),
        ("(?=a)", "look-around"),
        (r"(a)\1", "backreferences are not supported"),
        (r"\w{10000000}", "bytes when compiled"),
    ];
    for (pattern, expected) in cases {
        let error = check_regex(pattern).unwrap_err();
        assert!(
            error.contains(expected) && !error.contains('\n'),
            "{pattern}: {error}"
        );
    }
    assert_eq!(check_regex("^[a-z]+$"), Ok(()));
}

#[test]
fn closeness() {
    let inf = f64::INFINITY;
    type Case = (Option<f64>, Option<f64>, f64, Option<bool>);
    let cases: &[Case] = &[
        (Some(1.0), Some(1.5), 0.5, Some(true)),
        (Some(1.5), Some(1.0), 0.5, Some(true)),
        (Some(1.0), Some(1.5), 0.4, Some(false)),
        (Some(0.0), Some(-0.0), 0.0, Some(true)),
        (Some(f64::NAN), Some(f64::NAN), 1.0, Some(false)),
        (Some(1.0), Some(f64::NAN), inf, Some(false)),
        (Some(inf), Some(inf), 0.0, Some(true)),
        (Some(inf), Some(-inf), 1.0, Some(false)),
        (None, Some(1.0), 1.0, None),
        (Some(1.0), None, 1.0, None),
    ];
    for (a, b, tolerance, expected) in cases {
        let [a, b, tolerance] = [*a, *b, Some(*tolerance)].map(ScalarValue::from);
        let array: ArrayRef = Arc::new(Float64Array::from(vec![match &a {
            ScalarValue::Float64(a) => *a,
            _ => None,
        }]));
        let scalars = [&a, &b, &tolerance].map(|s| ColumnarValue::Scalar(s.clone()));
        let close = evaluate("is_close", scalars.to_vec(), 1).unwrap();
        assert!(matches!(close, ColumnarValue::Scalar(ScalarValue::Boolean(c)) if c == *expected));
        let mut mixed = scalars.to_vec();
        mixed[0] = ColumnarValue::Array(array);
        let close = evaluate("is_close", mixed, 1).unwrap().to_array(1).unwrap();
        assert_eq!(
            close.as_boolean().iter().next(),
            Some(*expected),
            "{a} {b} {tolerance}"
        );
    }
}

#[test]
fn null_is_unknown_in_every_kind_of_text() {
    let texts = column(&[Some("::1"), None, Some("")]);
    for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        let texts = cast(&texts, &data_type).unwrap();
        assert_eq!(
            each("is_ipv6", texts, &[]),
            [Some(true), None, Some(false)],
            "{data_type}"
        );
    }
    let null = ColumnarValue::Scalar(ScalarValue::Utf8(None));
    for name in ["matches", "is_date"] {
        let value = evaluate(
            name,
            vec![ColumnarValue::Array(Arc::clone(&texts)), null.clone()],
            3,
        );
        assert!(matches!(
            value.unwrap(),
            ColumnarValue::Scalar(ScalarValue::Boolean(None))
        ));
    }
}

#[test]
fn predicates_are_listed_by_name_with_their_meaning() {
    let names: Vec<_> = row_predicates()
        .iter()
        .map(|f| f.name().to_owned())
        .collect();
    assert!(names.is_sorted());
    assert_eq!(names.len(), 11);
    for name in names {
        assert!(
            meaning(&name).is_some_and(|meaning| !meaning.is_empty()),
            "{name}"
        );
    }
    assert_eq!(meaning("is_nothing"), None);
}

#[tokio::test]
async fn mistakes_are_found_at_planning() {
    let session = SessionContext::new();
    for predicate in row_predicates() {
        session.register_udf((*predicate).clone());
    }
    let cases = [
        ("matches('a', '(')", "unclosed group"),
        ("matches(c, c)", "literal regular expression"),
        ("is_date(c, '%Q')", "unknown specifier"),
        ("is_date(c, c)", "literal format"),
        ("is_email(1)", "`is_email` needs text, not Int64"),
        ("is_close(1, 2, -1)", "0 or more"),
        ("is_close('a', 2, 1)", "needs numbers"),
    ];
    for (predicate, expected) in cases {
        let query = format!("select {predicate} from (values ('x')) as t(c)");
        let error = session.sql(&query).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{predicate}: {error}");
    }
    let good = "select is_close(1, 1.25, 0.5) and matches(arrow_cast(c, 'Dictionary(Int8, Utf8)'), '^x$') from (values ('x')) as t(c)";
    let rows = session.sql(good).await.unwrap().collect().await.unwrap();
    assert!(rows[0].column(0).as_boolean().value(0));
}
