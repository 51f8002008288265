//! The results, grouped by check.

use unicode_width::UnicodeWidthStr;
use veracity_processor::{AssertionResult, Report, Status};

use crate::fit::fit;
use crate::line::{Line, Tone};
use crate::value;

/// Names up to this width are aligned; a longer one pushes its own value aside.
const WIDEST_NAME: usize = 52;
/// Below this width of the terminal there is no column of values, and details start
/// further left.
const NARROW: usize = 72;

/// One block of lines per check, in the order of the suite.
pub(crate) fn blocks(report: &Report, quiet: bool, width: Option<usize>) -> Vec<Vec<Line>> {
    let shown: Vec<&AssertionResult> = report
        .results
        .iter()
        .filter(|result| !quiet || !matches!(result.status, Status::Passed | Status::Skipped))
        .collect();
    let columns = Columns::of(&shown, width);
    shown
        .chunk_by(|a, b| a.check == b.check && a.dataset == b.dataset)
        .map(|check| {
            let mut lines = vec![heading(check[0], width)];
            for result in check {
                lines.push(columns.outcome(result));
                lines.extend(columns.details(result, report));
            }
            lines
        })
        .collect()
}

/// `Flights are complete  (flights)`
fn heading(result: &AssertionResult, width: Option<usize>) -> Line {
    let line = Line::new().add(Tone::Strong, &fit(&result.check, width));
    if result.dataset.is_empty() {
        return line;
    }
    let dataset = format!("({})", result.dataset);
    let room = width.map(|width| width.saturating_sub(line.width() + 2));
    line.space(2).add(Tone::Faint, &fit(&dataset, room))
}

/// Where the columns of all results stand.
struct Columns {
    severity: usize,
    name: usize,
    detail: usize,
    name_width: usize,
    narrow: bool,
    width: Option<usize>,
}

impl Columns {
    fn of(results: &[&AssertionResult], width: Option<usize>) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = String>| {
            texts
                .map(|text| fit(&text, None).width())
                .max()
                .unwrap_or(0)
        };
        let words = widest(&mut results.iter().map(|result| result.status.to_string()));
        let names = widest(&mut results.iter().map(|result| name(result)));
        let values = widest(&mut results.iter().filter_map(|result| outcome(result)));

        // Two spaces, the symbol, one space, the word.
        let severity = 4 + words + 2;
        let name = severity + 4;
        let narrow = width.is_some_and(|width| width < NARROW);
        let name_width = match width {
            None => names.min(WIDEST_NAME),
            Some(_) if narrow => 0,
            Some(width) => {
                let room = width.saturating_sub(name + 2);
                names.min(room - values.min(room / 2))
            }
        };
        let detail = if narrow { 6 } else { name };
        Self {
            severity,
            name,
            detail,
            name_width,
            narrow,
            width,
        }
    }

    /// `  ✗ failed  P0  tail numbers known   0.992541, expected >= 0.999`
    fn outcome(&self, result: &AssertionResult) -> Line {
        let (symbol, tone) = mark(result.status);
        let severity = result.severity.to_string();
        let line = Line::new()
            .space(2)
            .add(tone, &format!("{symbol} {}", result.status))
            .column(self.severity)
            .add(Tone::Plain, &severity)
            .column(self.name);
        let Some(value) = outcome(result).filter(|_| !self.value_below(result)) else {
            let room = self.room(self.name);
            return line.add(Tone::Plain, &fit(&name(result), room));
        };
        let name_room = self.width.filter(|_| !self.narrow).map(|_| self.name_width);
        let line = line
            .add(Tone::Plain, &fit(&name(result), name_room))
            .column(self.name + self.name_width + 2);
        let room = self.room(line.width());
        line.add(value_tone(result), &fit(&value, room))
    }

    /// Whether name and value need a line each: what was found is not worth cutting.
    fn value_below(&self, result: &AssertionResult) -> bool {
        let texts = [name(result), outcome(result).unwrap_or_default()];
        let [name, value] = texts.map(|text| fit(&text, None).width());
        let room = self.room(self.name + name + 2);
        self.narrow && room.is_some_and(|room| room < value)
    }

    /// What a person needs to know beside the outcome, a line for each.
    fn details(&self, result: &AssertionResult, report: &Report) -> Vec<Line> {
        let mut texts = Vec::new();
        if let Some(value) = outcome(result).filter(|_| self.value_below(result)) {
            texts.push((value_tone(result), value));
        }
        // Nothing is to be done about what was left out.
        if result.status == Status::Skipped {
            return self.indented(texts);
        }
        if result.expression != result.assertion {
            texts.push((Tone::Faint, result.expression.clone()));
        }
        if let (Some(count @ 1..), Some(_)) = (result.violations, compared(result)) {
            texts.push((Tone::Plain, violations(count)));
        }
        if result.status == Status::Passed {
            return self.indented(texts);
        }
        if result.status == Status::Failed && outcome(result).is_none() {
            let symbols = result.symbols.iter().filter_map(|name| report.symbol(name));
            for symbol in symbols {
                let shown = symbol
                    .value
                    .as_ref()
                    .map_or("undefined".into(), value::full);
                let elsewhere = symbol.dataset != result.dataset;
                let on = if elsewhere {
                    format!("  ({})", symbol.dataset)
                } else {
                    String::new()
                };
                texts.push((Tone::Plain, format!("{} = {shown}{on}", symbol.metric)));
            }
        }
        if let Some(reason) = &result.reason {
            texts.push((Tone::Plain, reason.clone()));
        }
        for row in &result.sample {
            texts.push((Tone::Plain, format!("row: {}", value::fields(row))));
        }
        if let Some(location) = &result.location {
            texts.push((Tone::Faint, location.to_string()));
        }
        self.indented(texts)
    }

    fn indented(&self, texts: Vec<(Tone, String)>) -> Vec<Line> {
        let room = self.room(self.detail);
        let indented = |(tone, text): (Tone, String)| {
            Line::new().space(self.detail).add(tone, &fit(&text, room))
        };
        texts.into_iter().map(indented).collect()
    }

    fn room(&self, taken: usize) -> Option<usize> {
        self.width.map(|width| width.saturating_sub(taken))
    }
}

fn mark(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Passed => ("✓", Tone::Good),
        Status::Failed => ("✗", Tone::Bad),
        Status::Error => ("!", Tone::Trouble),
        Status::Skipped => ("-", Tone::Faint),
        _ => ("~", Tone::Open),
    }
}

fn value_tone(result: &AssertionResult) -> Tone {
    match result.status {
        Status::Failed => Tone::Bad,
        Status::Skipped => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// The assertion's name, with the group it was evaluated for.
fn name(result: &AssertionResult) -> String {
    match &result.group {
        Some(group) => format!("{}  for {}", result.assertion, value::fields(group)),
        None => result.assertion.clone(),
    }
}

/// What was found, in a few words, if it can be said so shortly.
fn outcome(result: &AssertionResult) -> Option<String> {
    match result.status {
        Status::Passed | Status::Failed => {}
        Status::Skipped => return result.reason.clone(),
        _ => return None,
    }
    compared(result).or(result.violations.map(violations))
}

/// `0.992541, expected >= 0.999`; nothing if it would only repeat the violations.
fn compared(result: &AssertionResult) -> Option<String> {
    let actual = result.actual.as_ref()?;
    if result.violations.is_some() && actual.as_u64() == result.violations {
        return None;
    }
    let expected = result.expected.as_deref();
    let shown = value::short(actual, expected);
    match expected {
        Some(expected) if result.status == Status::Failed => {
            Some(format!("{shown}, expected {expected}"))
        }
        _ => Some(shown),
    }
}

fn violations(count: u64) -> String {
    match count {
        0 => "no row violates it".into(),
        1 => "1 row violates it".into(),
        _ => format!("{} rows violate it", value::thousands(count)),
    }
}
