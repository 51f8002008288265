//! The text of an assertion, parsed within limits; and expressions as text.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, ExactNumberInfo, Expr as SqlExpr, Value as SqlValue,
    visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::{names, value};
use crate::error::{Error, Result};
use crate::metric::plain_message;
use crate::suite::sql_of;

/// Longest expression, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Most operators in one expression; deeper trees would endanger the stack.
const MAX_OPERATORS: usize = 1_000;
/// Digits of a decimal number that survive in a Float64.
const KEPT_BY_FLOATS: usize = 15;

/// Parses an expression: SQL as DataFusion reads it, and nothing but an expression.
pub fn parse(sql: &str, state: &SessionState) -> Result<SqlExpr> {
    if sql.trim().is_empty() {
        return Err(Error::assertion("the assertion is empty"));
    }
    if sql.len() > MAX_TEXT {
        return Err(Error::assertion(format!(
            "the assertion is {} bytes long; {MAX_TEXT} are the most",
            sql.len()
        )));
    }
    let operators = count_operators(sql);
    if operators > MAX_OPERATORS {
        return Err(Error::assertion(format!(
            "the assertion has {operators} operators; {MAX_OPERATORS} are the most. Lists are written `x in (..)`"
        )));
    }
    let dialect = state.config_options().sql_parser.dialect;
    let parsed = state
        .sql_to_expr_with_alias(sql, &dialect)
        .map_err(|error| syntax_error(sql, &plain_message(&error)))?;
    if let Some(alias) = parsed.alias {
        return Err(Error::Assertion {
            message: format!("unexpected `{alias}` after the expression"),
            offset: names::offset(sql, alias.span.start),
        });
    }
    let mut expr = parsed.expr;
    // The closure never breaks.
    let _ = visit_expressions_mut(&mut expr, |node| {
        if let SqlExpr::Value(value) = node
            && let SqlValue::Number(number, _) = &value.value
            && let Some(decimal) = long_number(number)
        {
            *node = decimal;
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(expr)
}

/// A number of more digits than a float keeps, as a decimal.
fn long_number(number: &str) -> Option<SqlExpr> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = whole.trim_start_matches('0');
    let precision = whole.len() + fraction.len();
    let is_integer = !number.contains('.') && number.parse::<u64>().is_ok();
    if !digits(whole) || !digits(fraction) || is_integer || precision <= KEPT_BY_FLOATS {
        return None;
    }
    if precision > usize::from(DECIMAL256_MAX_PRECISION) {
        return None;
    }
    let info = ExactNumberInfo::PrecisionAndScale(precision as u64, fraction.len() as i64);
    Some(SqlExpr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(SqlExpr::value(SqlValue::SingleQuotedString(
            number.to_owned(),
        ))),
        data_type: SqlType::Decimal(info),
        array: false,
        format: None,
    })
}

/// The bound of a comparison whose left side alone depends on the data, as written.
pub fn bound_as_written(expr: &SqlExpr) -> Option<String> {
    match expr {
        SqlExpr::BinaryOp { op, right, .. } if is_constant(right) => Some(format!("{op} {right}")),
        SqlExpr::Between {
            negated, low, high, ..
        } if is_constant(low) && is_constant(high) => {
            let not = if *negated { "not " } else { "" };
            Some(format!("{not}between {low} and {high}"))
        }
        SqlExpr::Nested(inner) => bound_as_written(inner),
        _ => None,
    }
}

fn is_constant(expr: &SqlExpr) -> bool {
    visit_expressions(expr, |node| match node {
        SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_continue()
}

/// An expression as SQL.
pub fn text_of(expr: &Expr) -> String {
    if let Expr::Literal(value, _) = expr
        && !matches!(value.data_type(), DataType::Interval(_))
        && let Some(text) = value::literal(value)
    {
        return text;
    }
    // What `long_number` has made.
    if let Expr::Cast(cast) = expr
        && let Expr::Literal(value, _) = cast.expr.as_ref()
        && let Some(number) = value.try_as_str().flatten()
        && matches!(
            cast.field.data_type(),
            DataType::Decimal128(_, _) | DataType::Decimal256(_, _)
        )
    {
        return number.to_owned();
    }
    sql_of(expr)
}

fn syntax_error(sql: &str, message: &str) -> Error {
    let mut message = message.to_owned();
    let mut offset = None;
    if let Some(at) = message.find(" at Line: ") {
        let place: Vec<u64> = message[at..]
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .filter_map(|digits| digits.parse().ok())
            .collect();
        if let [line, column, ..] = place[..] {
            let place = Location { line, column };
            offset = names::offset(sql, place);
        }
        message.truncate(at);
    }
    let message = message
        .trim_start_matches("sql parser error: ")
        .replace("EOF", "the end of the expression");
    Error::Assertion {
        message: format!("not an expression: {message}"),
        offset,
    }
}

/// Roughly how many operators an expression has: what makes its tree deep.
fn count_operators(sql: &str) -> usize {
    let mut quoted = None;
    let mut operators = 0;
    let mut word = String::new();
    for c in sql.chars().chain([' ']) {
        if let Some(quote) = quoted {
            if c == quote {
                quoted = None;
            }
            continue;
        }
        if c == '\'' || c == '"' {
            quoted = Some(c);
        }
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or") {
            operators += 1;
        }
        word.clear();
        if matches!(c, '+' | '-' | '*' | '/' | '%' | '|' | '&' | '^') {
            operators += 1;
        }
    }
    operators
}
