//! Where assertions differ from DataFusion's SQL, because green must mean checked:
//! `/` never truncates, division by zero is undefined, NaN satisfies no bound, and
//! integer arithmetic does not wrap.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ExprSchema, Result, ScalarValue, plan_err};
use datafusion::functions::expr_fn as scalar;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr as PhysicalBinaryExpr;

/// Rewrites what means something else to us than to DataFusion, where that depends on the
/// types as they are written.
pub fn before_coercion(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let operators = |node: &Expr| Ok(matches!(node, Expr::BinaryExpr(_) | Expr::Between(_)));
    if !expr.exists(operators)? {
        return Ok(expr);
    }
    let expr = divide_exactly(expr, schema)?;
    let expr = decimals_meet_floats(expr, schema)?;
    compare_by_length(expr, schema)
}

/// Divides integers as Float64, and makes division (and the remainder) by zero NULL.
fn divide_exactly(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    expr.transform_up(|node| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = node else {
            return Ok(Transformed::no(node));
        };
        if !matches!(op, Operator::Divide | Operator::Modulo) {
            return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr {
                left,
                op,
                right,
            })));
        }
        let whole = |side: &Expr| type_of(side, schema).is_some_and(|t| is_whole(&t));
        let (mut left, mut right) = (*left, *right);
        if op == Operator::Divide && whole(&left) && whole(&right) {
            left = to_float(left);
            right = to_float(right);
        }
        if can_be_zero(&right) && right.get_type(schema).is_ok_and(|t| t.is_numeric()) {
            let zero = lit(ScalarValue::new_zero(&right.get_type(schema)?)?);
            right = scalar::nullif(right, zero);
        }
        Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(left),
            op,
            Box::new(right),
        ))))
    })
    .map(|transformed| transformed.data)
}

/// Compares decimals with floats as floats, but with a number written in the assertion as
/// decimals.
///
/// DataFusion casts the float to a decimal of 15 places, which fails for great ones.
fn decimals_meet_floats(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let is = |side: &Expr, kind: fn(&DataType) -> bool| {
        type_of(side, schema).is_some_and(|data_type| kind(&data_type))
    };
    let digits = |number: f64| {
        (number.abs() as u128)
            .checked_ilog10()
            .map_or(1, |log| log as u8 + 1)
    };
    let places = |decimal: &Expr| match type_of(decimal, schema) {
        Some(DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) => {
            u8::try_from(scale).unwrap_or(0)
        }
        _ => 0,
    };
    let meet = |decimal: &mut Expr, other: &mut Expr| {
        if !is(decimal, DataType::is_decimal) || !is(other, DataType::is_floating) {
            return;
        }
        match other {
            Expr::Literal(ScalarValue::Float64(Some(number)), _) if number.abs() < 1e15 => {}
            // A float of this size has no fraction. What has no room beside the fraction of
            // the other side is compared as a float.
            Expr::Literal(ScalarValue::Float64(Some(number)), _)
                if number.abs() < 1e38 && digits(*number) + places(decimal) <= 38 =>
            {
                let whole = Some(*number as i128);
                *other = lit(ScalarValue::Decimal128(whole, digits(*number), 0));
            }
            _ => *decimal = to_float(decimal.clone()),
        }
    };
    expr.transform_up(|mut node| {
        match &mut node {
            Expr::BinaryExpr(binary) if is_bound(binary.op) => {
                meet(&mut binary.left, &mut binary.right);
                meet(&mut binary.right, &mut binary.left);
            }
            Expr::Between(between) => {
                // The expression itself is compared with both, so it stays as it is unless
                // it is the float.
                if is(&between.expr, DataType::is_floating) {
                    meet(&mut between.low, &mut between.expr);
                    meet(&mut between.high, &mut between.expr);
                } else {
                    for bound in [&mut between.low, &mut between.high] {
                        meet(&mut between.expr, bound);
                    }
                }
            }
            _ => return Ok(Transformed::no(node)),
        }
        Ok(Transformed::yes(node))
    })
    .map(|transformed| transformed.data)
}

/// Compares durations with intervals by their length.
///
/// DataFusion compares months, then days, then the rest, so that 59 days of difference
/// between two timestamps would be less than `interval '1 day'`.
fn compare_by_length(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let duration =
        |side: &Expr| type_of(side, schema).is_some_and(|t| matches!(t, DataType::Duration(_)));
    expr.transform_up(|node| match node {
        Expr::BinaryExpr(mut binary) if is_bound(binary.op) => {
            if duration(&binary.left) {
                *binary.right = as_duration(*binary.right, schema)?;
            } else if duration(&binary.right) {
                *binary.left = as_duration(*binary.left, schema)?;
            }
            Ok(Transformed::yes(Expr::BinaryExpr(binary)))
        }
        Expr::Between(mut between) if duration(&between.expr) => {
            *between.low = as_duration(*between.low, schema)?;
            *between.high = as_duration(*between.high, schema)?;
            Ok(Transformed::yes(Expr::Between(between)))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// An interval as a duration of microseconds, a day having 24 hours.
fn as_duration(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    if !matches!(type_of(&expr, schema), Some(DataType::Interval(_))) {
        return Ok(expr);
    }
    let value = match &expr {
        Expr::Literal(value, _) => {
            value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano))?
        }
        _ => {
            return plan_err!(
                "a duration is compared with a fixed interval, such as `interval '2 days'`"
            );
        }
    };
    let ScalarValue::IntervalMonthDayNano(Some(interval)) = value else {
        return Ok(expr);
    };
    if interval.months != 0 {
        return plan_err!(
            "a month has no fixed length; compare a duration with an interval of days or less"
        );
    }
    let micros = i64::from(interval.days) * 86_400_000_000 + interval.nanoseconds / 1_000;
    Ok(lit(ScalarValue::DurationMicrosecond(Some(micros))))
}

/// The type of an expression, if it has one. DataFusion's own way to it is slow for columns.
fn type_of(expr: &Expr, schema: &dyn ExprSchema) -> Option<DataType> {
    match expr {
        Expr::Column(column) => schema.data_type(column).ok().cloned(),
        Expr::Literal(value, _) => Some(value.data_type()),
        other => other.get_type(schema).ok(),
    }
}

/// True for integers and for decimals without a fraction.
fn is_whole(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale == 0,
        other => other.is_integer(),
    }
}

fn to_float(expr: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), DataType::Float64))
}

fn can_be_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => can_be_zero(&cast.expr),
        Expr::Literal(value, _) => {
            ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| *value == zero)
        }
        _ => true,
    }
}

/// Makes comparisons of rows false where an operand is NaN.
///
/// To be applied to simplified expressions: negations stand at the comparisons then.
pub fn nan_satisfies_no_bound(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    expr.transform_up(|node| {
        let guards: Vec<Expr> = match &node {
            Expr::BinaryExpr(binary) if is_bound(binary.op) => [&binary.left, &binary.right]
                .into_iter()
                .filter(|side| can_be_nan(side, schema))
                .map(|side| is_number(side))
                .collect(),
            Expr::Between(between) if can_be_nan(&between.expr, schema) => {
                vec![is_number(&between.expr)]
            }
            _ => Vec::new(),
        };
        if guards.is_empty() {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(guards.into_iter().fold(node, Expr::and)))
    })
    .map(|transformed| transformed.data)
}

/// Makes comparisons of computed values undefined where an operand is NaN.
pub fn nan_is_undefined(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let number = |side: Expr| {
        if can_be_nan(&side, schema) && !matches!(side, Expr::Column(_)) {
            scalar::nanvl(side, lit(ScalarValue::Float64(None)))
        } else {
            side
        }
    };
    expr.transform_up(|node| match node {
        Expr::BinaryExpr(binary) if is_bound(binary.op) => {
            let left = number(*binary.left);
            let right = number(*binary.right);
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(left),
                binary.op,
                Box::new(right),
            ))))
        }
        Expr::Between(mut between) => {
            between.expr = Box::new(number(*between.expr));
            Ok(Transformed::yes(Expr::Between(between)))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// True for comparisons with a bound.
pub fn is_bound(op: Operator) -> bool {
    matches!(
        op,
        Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::Eq
            | Operator::NotEq
    )
}

fn can_be_nan(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => value.is_nan(),
        Expr::Literal(..) => false,
        // A number that was no float before its cast cannot be NaN after it.
        Expr::Cast(cast) => can_be_nan(&cast.expr, schema),
        other => type_of(other, schema).is_some_and(|t| t.is_floating()),
    }
}

fn is_number(expr: &Expr) -> Expr {
    Expr::Not(Box::new(scalar::isnan(expr.clone())))
}

/// Makes `+`, `-` and `*` fail on overflow instead of wrapping.
pub fn check_arithmetic(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform_up(|node| {
        let Some(binary) = node.downcast_ref::<PhysicalBinaryExpr>() else {
            return Ok(Transformed::no(node));
        };
        if !matches!(
            binary.op(),
            Operator::Plus | Operator::Minus | Operator::Multiply
        ) {
            return Ok(Transformed::no(node));
        }
        let checked = PhysicalBinaryExpr::new(
            Arc::clone(binary.left()),
            *binary.op(),
            Arc::clone(binary.right()),
        )
        .with_fail_on_overflow(true);
        Ok(Transformed::yes(Arc::new(checked) as _))
    })
    .map(|transformed| transformed.data)
}
