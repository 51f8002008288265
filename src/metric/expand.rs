//! A metric call becomes an expression over primitives.
//!
//! `completeness(x)` becomes `count(x) / count(*)`, so that equal primitives are computed
//! once however many assertions need them. A filter goes to every primitive.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::functions::expr_fn as scalar;
use datafusion::functions_aggregate as df;
use datafusion::functions_nested::expr_fn::array_length;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{AggregateUDF, Cast, Expr, ExprSchemable, lit, when};

use super::catalogue::{self, Metric, primitive};
use super::{count_if, moments, quantile, sum};
use crate::error::{Error, Result};

/// What expanding a call needs to know of its surroundings.
pub struct Scope<'a> {
    /// The columns the call may use.
    pub schema: &'a DFSchema,
    /// The zone of zone-less timestamps, if the dataset has one.
    pub timezone: Option<&'a str>,
    /// The start of the run.
    pub now: DateTime<Utc>,
}

/// A metric call in terms of primitives.
#[derive(Debug, Clone)]
pub struct Expansion {
    /// The value of the call, over primitive aggregates.
    pub value: Expr,
    /// How inexact it is; `None` if it is exact.
    pub precision: Option<&'static str>,
}

/// Expands a call of one of our metrics, or of a DataFusion aggregate, which is a
/// primitive by itself unless it would be inexact, unsafe or slow.
pub fn expand(call: &AggregateFunction, scope: &Scope) -> Result<Expansion> {
    let name = call.func.name();
    if let Some(metric) = catalogue::find(name)
        && (catalogue::marker(name).is_some() || !is_plain(&call.params))
    {
        check_form(metric, &call.params, catalogue::marker(name).is_some())?;
    }
    let call = Call {
        call,
        scope,
        args: &call.params.args,
        filter: call.params.filter.as_deref(),
    };
    let value = call.value(name)?;
    Ok(Expansion {
        value,
        precision: precision(name),
    })
}

fn precision(name: &str) -> Option<&'static str> {
    match name {
        "approx_distinct_count" | "approx_distinct" => {
            Some("HyperLogLog, standard error about 0.8 %")
        }
        "approx_quantile"
        | "approx_percentile_cont"
        | "approx_percentile_cont_with_weight"
        | "approx_median" => {
            Some("t-digest of 100 centroids, error about 1 % of rank in the middle")
        }
        _ => None,
    }
}

fn is_plain(params: &AggregateFunctionParams) -> bool {
    !params.distinct && params.order_by.is_empty() && params.null_treatment.is_none()
}

fn check_form(metric: &Metric, params: &AggregateFunctionParams, ours: bool) -> Result<()> {
    if ours && !is_plain(params) {
        return Err(Error::assertion(format!(
            "`{}` takes no DISTINCT, ORDER BY or NULLS clause: {}",
            metric.name, metric.usage
        )));
    }
    let given = params.args.len();
    let (least, most) = metric.arity;
    if ours && (given < least || given > most) {
        let wanted = match (least, most) {
            (0, 0) => "no argument".to_owned(),
            (a, b) if a == b && a == 1 => "1 argument".to_owned(),
            (a, b) if a == b => format!("{a} arguments"),
            (0, b) => format!("at most {b} argument"),
            (a, _) => format!("at least {a} argument{}", if a == 1 { "" } else { "s" }),
        };
        return Err(Error::assertion(format!(
            "`{}` takes {wanted}, not {given}: {}",
            metric.name, metric.usage
        )));
    }
    Ok(())
}

struct Call<'a> {
    call: &'a AggregateFunction,
    scope: &'a Scope<'a>,
    args: &'a [Expr],
    filter: Option<&'a Expr>,
}

impl Call<'_> {
    fn value(&self, name: &str) -> Result<Expr> {
        let arg = |index: usize| self.args[index].clone();
        if !is_plain(&self.call.params) {
            return Ok(self.unchanged());
        }
        Ok(match name {
            "row_count" | "size" => self.rows(),
            "null_count" => self.rows() - self.count(arg(0)),
            "completeness" => ratio(self.count_all_present(), self.rows()),
            "compliance" => ratio(self.count_true(self.predicate(0)?), self.rows()),
            "violations" => self.aggregate(count_if::count_false_udaf(), vec![self.predicate(0)?]),
            "count_values" => {
                let values = self.args[1..].to_vec();
                self.count_true(arg(0).in_list(values, false))
            }
            "min_length" => self.extreme(df::min_max::min_udaf(), self.length(0)?),
            "max_length" => self.extreme(df::min_max::max_udaf(), self.length(0)?),
            "avg_length" => {
                let length = self.length(0)?;
                ratio(self.sum(length.clone()), self.count(length))
            }
            "sum" => self.numeric_or_unchanged(0, |call| call.sum(arg(0)))?,
            "avg" | "mean" => {
                self.numeric_or_unchanged(0, |call| ratio(call.sum(arg(0)), call.count(arg(0))))?
            }
            "min" => self.extreme_of(df::min_max::min_udaf())?,
            "max" => self.extreme_of(df::min_max::max_udaf())?,
            "median" => self.numeric_or_unchanged(0, |call| call.quantile(arg(0), lit(0.5)))?,
            "quantile" => {
                self.number(0)?;
                self.quantile(arg(0), self.share(1)?)
            }
            "approx_quantile" => {
                let value = self.approx_quantile(arg(0), self.share(1)?);
                if self.number(0)?.is_floating() {
                    self.unless_nan(arg(0), value)
                } else {
                    value
                }
            }
            "approx_distinct_count" => self.approx_distinct()?,
            "stddev" | "stddev_samp" => scalar::sqrt(self.variance(1)?),
            "stddev_pop" => scalar::sqrt(self.variance(0)?),
            "var" | "var_samp" | "var_sample" | "variance" | "variance_samp" => self.variance(1)?,
            "var_pop" | "var_population" | "variance_pop" => self.variance(0)?,
            "skewness" => self.skewness()?,
            "kurtosis" => self.kurtosis()?,
            "correlation" => self.correlation()?,
            "freshness" => self.freshness()?,
            "distinct_count" => self.frequency(primitive::DISTINCT),
            "uniqueness" => ratio(self.frequency(primitive::ONCE), self.rows_with_value()),
            "distinctness" => ratio(self.frequency(primitive::DISTINCT), self.rows_with_value()),
            "unique_value_ratio" => ratio(
                self.frequency(primitive::ONCE),
                self.frequency(primitive::DISTINCT),
            ),
            "duplicate_count" => self.rows_with_value() - self.frequency(primitive::DISTINCT),
            "duplicate_row_count" => self.rows_with_value() - self.frequency(primitive::ONCE),
            "entropy" => self.frequency(primitive::ENTROPY),
            "unmatched" => self.frequency(primitive::UNMATCHED),
            "referential_integrity" => {
                let keys = &self.args[..self.args.len() / 2];
                let rows = self.count_true(all_present(keys));
                // One rounding only: 1 - 9 / 10 would be less than 0.1.
                ratio(rows.clone() - self.frequency(primitive::UNMATCHED), rows)
            }
            _ => self.unchanged(),
        })
    }

    fn unchanged(&self) -> Expr {
        let params = &self.call.params;
        let lone_distinct = params.distinct
            && params.order_by.is_empty()
            && params.args.len() == 1
            && self.call.func.name() == "count";
        if lone_distinct {
            return self.frequency(primitive::DISTINCT);
        }
        Expr::AggregateFunction(self.call.clone())
    }

    fn aggregate(&self, func: Arc<AggregateUDF>, args: Vec<Expr>) -> Expr {
        let filter = self.filter.cloned().map(Box::new);
        Expr::AggregateFunction(AggregateFunction::new_udf(
            func,
            args,
            false,
            filter,
            Vec::new(),
            None,
        ))
    }

    fn rows(&self) -> Expr {
        self.count(lit(1_i64))
    }

    fn count(&self, arg: Expr) -> Expr {
        self.aggregate(df::count::count_udaf(), vec![arg])
    }

    fn count_true(&self, predicate: Expr) -> Expr {
        self.aggregate(count_if::count_true_udaf(), vec![predicate])
    }

    fn count_all_present(&self) -> Expr {
        match self.args {
            [one] => self.count(one.clone()),
            many => self.count_true(all_present(many)),
        }
    }

    /// Rows where not all key columns are NULL.
    fn rows_with_value(&self) -> Expr {
        match self.args {
            [one] => self.count(one.clone()),
            many => {
                let any = many
                    .iter()
                    .map(|arg| arg.clone().is_not_null())
                    .reduce(Expr::or)
                    .expect("the arity of frequency metrics is at least 1");
                self.count_true(any)
            }
        }
    }

    fn frequency(&self, name: &'static str) -> Expr {
        let marker = catalogue::marker(name).expect("every frequency primitive has a marker");
        self.aggregate(marker, self.args.to_vec())
    }

    fn sum(&self, arg: Expr) -> Expr {
        self.aggregate(sum::exact_sum_udaf(), vec![arg])
    }

    fn type_of(&self, index: usize) -> Result<DataType> {
        let data_type = self.args[index]
            .get_type(self.scope.schema)
            .map_err(|error| Error::assertion(super::plain_message(&error)))?;
        Ok(match data_type {
            DataType::Dictionary(_, values) => *values,
            other => other,
        })
    }

    /// The argument's type if it is a number; an error otherwise.
    fn number(&self, index: usize) -> Result<DataType> {
        let data_type = self.type_of(index)?;
        if data_type.is_numeric() || data_type.is_null() {
            return Ok(data_type);
        }
        Err(Error::assertion(format!(
            "`{}` needs a number, but {} is {data_type}",
            self.call.func.name(),
            super::column_text(&self.args[index]),
        )))
    }

    fn numeric_or_unchanged(&self, index: usize, value: impl Fn(&Self) -> Expr) -> Result<Expr> {
        if self.args.len() != 1 {
            return Err(Error::assertion(format!(
                "`{}` takes 1 argument, not {}",
                self.call.func.name(),
                self.args.len()
            )));
        }
        let data_type = self.type_of(index)?;
        let interval = matches!(data_type, DataType::Duration(_) | DataType::Interval(_));
        if interval {
            return Ok(self.unchanged());
        }
        self.number(index)?;
        Ok(value(self))
    }

    fn predicate(&self, index: usize) -> Result<Expr> {
        let data_type = self.type_of(index)?;
        if matches!(data_type, DataType::Boolean | DataType::Null) {
            return Ok(self.args[index].clone());
        }
        Err(Error::assertion(format!(
            "`{}` needs a condition, but {} is {data_type}",
            self.call.func.name(),
            super::column_text(&self.args[index]),
        )))
    }

    /// A literal share in [0, 1].
    fn share(&self, index: usize) -> Result<Expr> {
        let value = match &self.args[index] {
            Expr::Literal(value, _) => value.cast_to(&DataType::Float64).ok(),
            _ => None,
        };
        match value {
            Some(ScalarValue::Float64(Some(q))) if (0.0..=1.0).contains(&q) => Ok(lit(q)),
            _ => Err(Error::assertion(format!(
                "`{}` needs a number from 0 to 1 as its second argument: {}",
                self.call.func.name(),
                catalogue::find(self.call.func.name()).map_or("", |metric| metric.usage),
            ))),
        }
    }

    fn length(&self, index: usize) -> Result<Expr> {
        let arg = self.args[index].clone();
        match self.type_of(index)? {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Ok(to(scalar::character_length(arg), DataType::Int64))
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
                Ok(to(array_length(arg), DataType::Int64))
            }
            other => Err(Error::assertion(format!(
                "`{}` needs a text or a list, but {} is {other}",
                self.call.func.name(),
                super::column_text(&self.args[index]),
            ))),
        }
    }

    fn extreme(&self, func: Arc<AggregateUDF>, arg: Expr) -> Expr {
        self.aggregate(func, vec![arg])
    }

    /// `min` or `max`; of floats undefined if a NaN is among them.
    ///
    /// DataFusion orders floats totally: a positive NaN is the greatest value, a negative
    /// one the smallest, so the two extremes tell whether there is any.
    fn extreme_of(&self, func: Arc<AggregateUDF>) -> Result<Expr> {
        if self.args.len() != 1 {
            return Err(Error::assertion(format!(
                "`{}` takes 1 argument, not {}",
                func.name(),
                self.args.len()
            )));
        }
        let arg = self.args[0].clone();
        if !self.type_of(0)?.is_floating() {
            return Ok(self.extreme(func, arg));
        }
        Ok(self.unless_nan(arg.clone(), self.extreme(func, arg)))
    }

    /// `value`, or NaN if there is one among the floats `arg`.
    fn unless_nan(&self, arg: Expr, value: Expr) -> Expr {
        let least = self.extreme(df::min_max::min_udaf(), arg.clone());
        let greatest = self.extreme(df::min_max::max_udaf(), arg);
        let any_nan = scalar::isnan(least).or(scalar::isnan(greatest));
        built(when(any_nan, lit(f64::NAN)).otherwise(value))
    }

    /// DataFusion's sketch knows neither floats nor dictionaries. Floats are told apart as
    /// texts; adding 0.0 makes -0.0 the same as 0.0.
    fn approx_distinct(&self) -> Result<Expr> {
        let data_type = self.type_of(0)?;
        let arg = self.args[0].clone();
        let arg = if data_type.is_floating() {
            to(arg + lit(0.0), DataType::Utf8)
        } else {
            to(arg, data_type)
        };
        let sketch = df::approx_distinct::approx_distinct_udaf();
        Ok(to(self.aggregate(sketch, vec![arg]), DataType::Int64))
    }

    fn quantile(&self, arg: Expr, q: Expr) -> Expr {
        self.aggregate(quantile::quantile_udaf(), vec![arg, q])
    }

    fn approx_quantile(&self, arg: Expr, q: Expr) -> Expr {
        self.aggregate(
            df::approx_percentile_cont::approx_percentile_cont_udaf(),
            // Adding 0 makes -0.0 the other zero: DataFusion asserts by their total order
            // that the least value is not above the greatest.
            vec![to(arg, DataType::Float64) + lit(0.0), q],
        )
    }

    /// Moments of one argument; `pairs_with` leaves out rows where that one is NULL.
    fn moments(&self, index: usize, func: Arc<AggregateUDF>, pairs_with: Option<usize>) -> Expr {
        let mut arg = to(self.args[index].clone(), DataType::Float64);
        if let Some(other) = pairs_with {
            let present = self.args[other].clone().is_not_null();
            arg = built(when(present, arg).end());
        }
        self.aggregate(func, vec![arg])
    }

    fn variance(&self, less: i64) -> Result<Expr> {
        self.number(0)?;
        let moments = self.moments(0, moments::central_moments2_udaf(), None);
        let degrees = part(&moments, "count") - lit(less);
        Ok(ratio(part(&moments, "m2"), degrees))
    }

    fn skewness(&self) -> Result<Expr> {
        self.number(0)?;
        let moments = self.moments(0, moments::central_moments_udaf(), None);
        let m2 = part(&moments, "m2");
        let skewness = scalar::sqrt(to(part(&moments, "count"), DataType::Float64))
            * part(&moments, "m3")
            / scalar::power(m2.clone(), lit(1.5));
        Ok(unless_constant(&moments, m2, skewness))
    }

    fn kurtosis(&self) -> Result<Expr> {
        self.number(0)?;
        let moments = self.moments(0, moments::central_moments_udaf(), None);
        let m2 = part(&moments, "m2");
        let kurtosis = to(part(&moments, "count"), DataType::Float64) * part(&moments, "m4")
            / (m2.clone() * m2.clone())
            - lit(3.0);
        Ok(unless_constant(&moments, m2, kurtosis))
    }

    fn correlation(&self) -> Result<Expr> {
        self.number(0)?;
        self.number(1)?;
        let spread = |index: usize, other: usize| {
            part(
                &self.moments(index, moments::central_moments2_udaf(), Some(other)),
                "m2",
            )
        };
        let args = self
            .args
            .iter()
            .map(|arg| to(arg.clone(), DataType::Float64))
            .collect();
        let correlation = self.aggregate(df::correlation::corr_udaf(), args);
        let constant = spread(0, 1).eq(lit(0.0)).or(spread(1, 0).eq(lit(0.0)));
        Ok(built(when(constant, null()).otherwise(correlation)))
    }

    fn freshness(&self) -> Result<Expr> {
        let zone = match self.type_of(0)? {
            DataType::Timestamp(_, Some(zone)) => zone.to_string(),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => self
                .scope
                .timezone
                .ok_or_else(|| {
                    Error::assertion(format!(
                        "{} has no time zone: give the dataset a `timezone`, such as `timezone: UTC`",
                        super::column_text(&self.args[0])
                    ))
                })?
                .to_owned(),
            other => {
                return Err(Error::assertion(format!(
                    "`freshness` needs a timestamp or a date, but {} is {other}",
                    super::column_text(&self.args[0])
                )));
            }
        };
        let newest = self.extreme(df::min_max::max_udaf(), self.args[0].clone());
        let local = to(newest, DataType::Timestamp(TimeUnit::Microsecond, None));
        let newest = match self.type_of(0)? {
            DataType::Timestamp(_, Some(_)) => {
                self.extreme(df::min_max::max_udaf(), self.args[0].clone())
            }
            _ => local,
        };
        let instant = to(
            newest,
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into())),
        );
        let micros = to(to(instant, DataType::Int64), DataType::Float64);
        let now = self.scope.now.timestamp_micros() as f64;
        Ok((lit(now) - micros) / lit(1e6))
    }
}

/// `numerator / denominator` as Float64; NULL if the denominator is 0.
fn ratio(numerator: Expr, denominator: Expr) -> Expr {
    let denominator = to(denominator, DataType::Float64);
    to(numerator, DataType::Float64) / scalar::nullif(denominator, lit(0.0))
}

fn all_present(columns: &[Expr]) -> Expr {
    columns
        .iter()
        .map(|column| column.clone().is_not_null())
        .reduce(Expr::and)
        .expect("the arity of metrics over columns is at least 1")
}

/// 0 where the variance is 0, NULL without values.
fn unless_constant(moments: &Expr, m2: Expr, value: Expr) -> Expr {
    built(
        when(part(moments, "count").eq(lit(0_i64)), null())
            .when(m2.eq(lit(0.0)), lit(0.0))
            .otherwise(value),
    )
}

fn null() -> Expr {
    lit(ScalarValue::Float64(None))
}

fn part(of: &Expr, name: &str) -> Expr {
    datafusion::functions::core::expr_fn::get_field(of.clone(), name)
}

fn to(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), data_type))
}

fn built(case: datafusion::common::Result<Expr>) -> Expr {
    case.expect("the branches of the case are of one type")
}
