//! What follows the results: symbols, datasets, warnings, deliveries.

use veracity_processor::{DatasetReport, Delivery, DeliveryStatus, Report, Symbol, SymbolStatus};

use crate::fit::fit;
use crate::line::{Line, Tone};
use crate::table::{Cell, table};
use crate::value;

/// Every symbol with its value, type and origin, and how exact it is.
pub(crate) fn symbols(report: &Report, width: Option<usize>) -> Vec<Line> {
    if report.symbols.is_empty() {
        return Vec::new();
    }
    let titles = [
        "name", "metric", "dataset", "value", "type", "origin", "note",
    ];
    let mut rows = vec![
        titles
            .iter()
            .map(|title| Cell::text(Tone::Faint, title))
            .collect(),
    ];
    rows.extend(report.symbols.iter().map(symbol));
    titled("Symbols", table(rows, width))
}

fn symbol(symbol: &Symbol) -> Vec<Cell> {
    let plain = |text: &str| Cell::text(Tone::Plain, text);
    let value = match (&symbol.value, symbol.status) {
        (Some(value), SymbolStatus::Ok) => plain(&value::full(value)),
        (_, SymbolStatus::Error) => Cell::text(Tone::Trouble, "! error"),
        _ => Cell::text(Tone::Open, "~ undefined"),
    };
    vec![
        plain(&symbol.name),
        plain(&symbol.metric),
        plain(&symbol.dataset),
        value,
        plain(symbol.r#type.as_deref().unwrap_or_default()),
        plain(symbol.origin.as_deref().unwrap_or_default()),
        plain(&note(symbol)),
    ]
}

/// How exact the value is, or why there is none.
fn note(symbol: &Symbol) -> String {
    if let Some(error) = &symbol.error {
        return error.clone();
    }
    let mut text = match &symbol.precision {
        Some(precision) => precision.clone(),
        None if symbol.exact => "exact".to_owned(),
        None => "approximate".to_owned(),
    };
    if symbol.availability < 1.0 {
        text.push_str(&format!(
            ", on {:.1} % of the data",
            symbol.availability * 100.0
        ));
    }
    text
}

/// Size and cost of each dataset, and why one could not be read.
pub(crate) fn datasets(report: &Report, width: Option<usize>) -> Vec<Line> {
    let lines = table(report.datasets.iter().map(dataset).collect(), width);
    let mut all = Vec::new();
    for (dataset, line) in report.datasets.iter().zip(lines) {
        all.push(line);
        if let Some(error) = &dataset.error {
            let room = width.map(|width| width.saturating_sub(13));
            let line = Line::new().space(4).add(Tone::Trouble, "! error");
            all.push(line.space(2).add(Tone::Plain, &fit(error, room)));
        }
    }
    titled("Datasets", all)
}

fn dataset(dataset: &DatasetReport) -> Vec<Cell> {
    let plain = |text: String| Cell::text(Tone::Plain, &text);
    let rows = match dataset.rows {
        Some(rows) => value::count(rows, "row"),
        None => "rows unknown".to_owned(),
    };
    let files = match (dataset.files, dataset.files_reused) {
        (0, _) => String::new(),
        (files, 0) => value::count(files, "file"),
        (files, reused) => format!("{}, {reused} reused", value::count(files, "file")),
    };
    let read = dataset
        .bytes_read
        .map(|bytes| format!("{} read", value::bytes(bytes)));
    vec![
        plain(dataset.name.clone()),
        Cell::number(&rows),
        plain(value::count(dataset.scans, "scan")),
        plain(files),
        Cell::number(&read.unwrap_or_default()),
    ]
}

/// What is worth knowing and changes no result.
pub(crate) fn warnings(report: &Report, width: Option<usize>) -> Vec<Line> {
    let room = width.map(|width| width.saturating_sub(4));
    let warning = |text: &String| {
        let line = Line::new().space(2).add(Tone::Open, "!").space(1);
        line.add(Tone::Plain, &fit(text, room))
    };
    titled("Warnings", report.warnings.iter().map(warning).collect())
}

/// What became of the report at each processor; only the failures if `quiet`.
pub(crate) fn deliveries(report: &Report, quiet: bool, width: Option<usize>) -> Vec<Line> {
    let shown = report
        .deliveries
        .iter()
        .filter(|delivery| !quiet || !delivery.status.is_settled());
    titled("Deliveries", table(shown.map(delivery).collect(), width))
}

fn delivery(delivery: &Delivery) -> Vec<Cell> {
    let (symbol, tone) = match delivery.status {
        DeliveryStatus::Delivered => ("✓", Tone::Good),
        DeliveryStatus::Skipped | DeliveryStatus::Disabled => ("-", Tone::Faint),
        _ if delivery.pending => ("~", Tone::Open),
        _ => ("✗", Tone::Bad),
    };
    let said = [&delivery.error, &delivery.note].into_iter().flatten();
    let said: Vec<&str> = said.map(String::as_str).collect();
    vec![
        Cell::text(tone, &format!("{symbol} {}", delivery.status)),
        Cell::text(Tone::Plain, &delivery.processor),
        Cell::number(&value::count(u64::from(delivery.attempts), "attempt")),
        Cell::number(&value::duration(delivery.duration_ms)),
        Cell::text(Tone::Plain, &said.join("; ")),
    ]
}

/// `lines` under a title; nothing if there are none.
fn titled(title: &str, lines: Vec<Line>) -> Vec<Line> {
    if lines.is_empty() {
        return lines;
    }
    let title = Line::new().add(Tone::Strong, title);
    std::iter::once(title).chain(lines).collect()
}
