//! What the symbols of a run say about columns.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Number, Value};
use veracity_processor::{Argument, DatasetReport, Symbol};

use crate::facets::is_zero;

/// The body of `DataQualityMetricsInputDatasetFacet`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataQualityMetrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    row_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_count: Option<u64>,
    column_metrics: BTreeMap<String, ColumnMetrics>,
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
}

/// Numbers of one column. What is no number (texts, dates) is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ColumnMetrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    null_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Number>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    quantiles: BTreeMap<String, Number>,
}

impl DataQualityMetrics {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.row_count.is_none()
            && self.file_count.is_none()
            && self.column_metrics.is_empty()
            && self.omitted == 0
    }

    /// Notes what the report says about the dataset as a whole.
    pub fn note_dataset(&mut self, dataset: &DatasetReport) {
        self.row_count = self.row_count.or(dataset.rows);
        self.file_count = self
            .file_count
            .or((dataset.files > 0).then_some(dataset.files));
    }

    /// Notes the exact value of `symbol`, if it is about the whole dataset or one column of
    /// it and there is a place for it. Takes what it needs of `room`, in bytes; a column
    /// for which there is none is left out.
    pub fn note(&mut self, symbol: &Symbol, room: &mut usize) {
        let Some((call, value)) = symbol.call().zip(number(symbol)) else {
            return;
        };
        if !symbol.exact {
            return;
        }
        if call.name == "row_count" && call.arguments.is_empty() {
            self.row_count = value.as_u64();
            return;
        }
        let (Some(column), Some(slot)) = (call.column(), Slot::of(&call.name, &call.arguments))
        else {
            return;
        };
        // A column costs its name and its braces, a number its own name and digits.
        let cost = 40
            + if self.column_metrics.contains_key(column) {
                0
            } else {
                8 + 2 * column.len()
            };
        let Some(left) = room.checked_sub(cost) else {
            self.omitted += usize::from(!self.column_metrics.contains_key(column));
            return;
        };
        *room = left;
        let metrics = self.column_metrics.entry(column.to_owned()).or_default();
        match slot {
            Slot::Nulls => metrics.null_count = value.as_u64(),
            Slot::Distinct => metrics.distinct_count = value.as_u64(),
            Slot::Count => metrics.count = value.as_u64(),
            Slot::Sum => metrics.sum = Some(value),
            Slot::Min => metrics.min = Some(value),
            Slot::Max => metrics.max = Some(value),
            Slot::Quantile(q) => {
                metrics.quantiles.insert(q, value);
            }
        }
    }
}

/// Where the facet has a place for a metric.
enum Slot {
    Nulls,
    Distinct,
    Count,
    Sum,
    Min,
    Max,
    Quantile(String),
}

impl Slot {
    fn of(metric: &str, arguments: &[Argument]) -> Option<Self> {
        Some(match (metric, arguments) {
            ("null_count", [_]) => Slot::Nulls,
            ("distinct_count", [_]) => Slot::Distinct,
            ("count", [_]) => Slot::Count,
            ("sum", [_]) => Slot::Sum,
            ("min", [_]) => Slot::Min,
            ("max", [_]) => Slot::Max,
            ("median", [_]) => Slot::Quantile("0.5".to_owned()),
            ("quantile", [_, Argument::Number(q)]) => {
                Slot::Quantile(q.parse::<f64>().ok()?.to_string())
            }
            _ => return None,
        })
    }
}

/// The value of `symbol` as a JSON number; as exact as that can be.
fn number(symbol: &Symbol) -> Option<Number> {
    let rounded = symbol.number()?;
    match symbol.value.as_ref()? {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => {
            let unsigned = text.parse::<u64>().ok().map(Number::from);
            let signed = || text.parse::<i64>().ok().map(Number::from);
            unsigned
                .or_else(signed)
                .or_else(|| Number::from_f64(rounded))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use veracity_processor::SymbolStatus;

    use super::*;

    fn symbol(metric: &str, value: Value, kind: &str) -> Symbol {
        let mut symbol = Symbol::new("x_1", metric, "t");
        symbol.value = Some(value);
        symbol.r#type = Some(kind.to_owned());
        symbol.status = SymbolStatus::Ok;
        symbol
    }

    #[test]
    fn numbers_of_columns_find_their_places_and_nothing_else_does() {
        let mut approximate = symbol("distinct_count(k)", json!(7), "UInt64");
        approximate.exact = false;
        let mut undefined = symbol("max(k)", json!(7), "Int64");
        undefined.status = SymbolStatus::Undefined;
        let symbols = [
            symbol("row_count()", json!(4), "Int64"),
            symbol("row_count(other)", json!(9), "Int64"),
            symbol("null_count(id)", json!(1), "Int64"),
            symbol("DISTINCT_COUNT(id)", json!(2), "Int64"),
            symbol("count(id)", json!(3), "Int64"),
            symbol("sum(id)", json!("9007199254740993"), "Decimal128(38, 0)"),
            symbol("sum(price)", json!("-12.50"), "Decimal128(38, 2)"),
            symbol("min(\"two words\")", json!(-1.5), "Float64"),
            symbol("max(t.id)", json!(2), "Int64"),
            symbol("median(id)", json!(2.0), "Float64"),
            symbol("quantile(id, 0.250)", json!(1.5), "Float64"),
            symbol("max(name)", json!("zoe"), "Utf8"),
            symbol("min(name)", json!("123"), "Utf8"),
            symbol("max(at)", json!("2026-11-20"), "Date32"),
            symbol("max(nan)", json!("NaN"), "Float64"),
            symbol("avg(id)", json!(1.5), "Float64"),
            symbol("distinct_count(a, b)", json!(3), "Int64"),
            symbol("null_count(id) FILTER (WHERE id > 2)", json!(99), "Int64"),
            approximate,
            undefined,
        ];
        let mut metrics = DataQualityMetrics::default();
        let mut dataset = DatasetReport::new("t");
        (dataset.rows, dataset.files) = (Some(5), 2);
        for symbol in &symbols {
            metrics.note(symbol, &mut 100_000);
        }
        metrics.note_dataset(&dataset);
        let expected = json!({
            "rowCount": 4,
            "fileCount": 2,
            "columnMetrics": {
                "id": {
                    "nullCount": 1, "distinctCount": 2, "sum": 9_007_199_254_740_993_u64,
                    "count": 3, "max": 2, "quantiles": {"0.25": 1.5, "0.5": 2.0}
                },
                "nan": {},
                "price": {"sum": -12.5},
                "two words": {"min": -1.5}
            }
        });
        let mut found = serde_json::to_value(&metrics).unwrap();
        // NaN is no number of JSON.
        assert_eq!(
            found["columnMetrics"]
                .as_object_mut()
                .unwrap()
                .remove("nan"),
            None
        );
        let mut expected = expected;
        expected["columnMetrics"]
            .as_object_mut()
            .unwrap()
            .remove("nan");
        assert_eq!(found, expected);
    }

    #[test]
    fn columns_without_room_are_left_out_and_counted() {
        let mut metrics = DataQualityMetrics::default();
        let mut room = 200;
        for number in 0..5 {
            let metric = format!("max(column_{number})");
            metrics.note(&symbol(&metric, json!(1), "Int64"), &mut room);
        }
        assert_eq!((metrics.column_metrics.len(), metrics.omitted), (3, 2));
    }
}
