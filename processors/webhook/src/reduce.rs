//! Reports that are too large for a body are made smaller.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use veracity_processor::{AssertionResult, Report, Status};

/// The most characters a text of a summary may have.
const SUMMARY_TEXT: usize = 100;

/// The most bytes the labels of a summary may have.
const SUMMARY_LABELS: usize = 300;

/// A body, and what is not in it.
#[derive(Debug)]
pub(crate) struct Body {
    pub bytes: Vec<u8>,
    /// Results that were left out, if the report was too large.
    pub left_out: Option<usize>,
}

/// What `render` makes of as much of `report` as fits into `max_bytes`.
///
/// Left out are first passed results, then those skipped or not evaluated, then the less
/// severe; with them go the symbols that nothing uses then. If not even a report without
/// results fits, it is the summary.
pub(crate) fn fit(
    report: &Report,
    max_bytes: usize,
    render: impl Fn(&Value) -> Result<Vec<u8>, String>,
) -> Result<Body, String> {
    let whole = render(&to_value(report)?)?;
    if whole.len() <= max_bytes {
        return Ok(Body {
            bytes: whole,
            left_out: None,
        });
    }
    let mut ranked: Vec<usize> = (0..report.results.len()).collect();
    ranked.sort_by_key(|&index| rank(&report.results[index]));
    let (mut fits, mut too_many) = (None, ranked.len());
    let mut keep = 0;
    while keep < too_many {
        let bytes = render(&reduced(report, &ranked[..keep])?)?;
        if bytes.len() > max_bytes {
            too_many = keep;
        } else {
            fits = Some((keep, bytes));
        }
        let least = fits.as_ref().map_or(0, |(fits, _)| fits + 1);
        keep = usize::midpoint(least, too_many);
    }
    match fits {
        Some((kept, bytes)) => Ok(Body {
            bytes,
            left_out: Some(ranked.len() - kept),
        }),
        None => summary(report, render),
    }
}

/// What `render` makes of the summary of `report`: no results, symbols, datasets or
/// warnings, and no long text.
pub(crate) fn summary(
    report: &Report,
    render: impl Fn(&Value) -> Result<Vec<u8>, String>,
) -> Result<Body, String> {
    let mut run = report.run.clone();
    cut(&mut run.suite);
    if let Some(reason) = &mut run.interrupted {
        cut(reason);
    }
    // Many or long labels say less than a message that arrives.
    let labels = run.key.tags.iter();
    if labels
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>()
        > SUMMARY_LABELS
    {
        run.key.tags.clear();
    }
    let mut summary = Report::new(run);
    summary.verdict = report.verdict;
    summary.summary = report.summary;
    let left_out = report.results.len();
    Ok(Body {
        bytes: render(&truncated(&summary, left_out)?)?,
        left_out: Some(left_out),
    })
}

fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(SUMMARY_TEXT) {
        text.truncate(at);
        text.push('…');
    }
}

/// What matters most comes first; the rest is in the order of the suite.
fn rank(result: &AssertionResult) -> (u8, Reverse<veracity_processor::Severity>) {
    let status = match result.status {
        Status::Failed | Status::Error => 0,
        Status::NotEvaluated => 1,
        Status::Skipped => 2,
        _ => 3,
    };
    (status, Reverse(result.severity))
}

/// `report` with the results at `kept` alone, in the order of the suite.
fn reduced(report: &Report, kept: &[usize]) -> Result<Value, String> {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut reduced = Report::new(report.run.clone());
    reduced.verdict = report.verdict;
    reduced.summary = report.summary;
    reduced.datasets = report.datasets.clone();
    reduced.deliveries = report.deliveries.clone();
    reduced.warnings = report.warnings.clone();
    let results = kept.iter().map(|&index| report.results[index].clone());
    reduced.results = results.collect();
    let used: BTreeSet<&String> = reduced.results.iter().flat_map(|r| &r.symbols).collect();
    let symbols = report.symbols.iter().filter(|s| used.contains(&s.name));
    reduced.symbols = symbols.cloned().collect();
    truncated(&reduced, report.results.len() - kept.len())
}

fn truncated(report: &Report, left_out: usize) -> Result<Value, String> {
    let mut value = to_value(report)?;
    value["truncated"] = json!({"results_left_out": left_out});
    Ok(value)
}

fn to_value(report: &Report) -> Result<Value, String> {
    serde_json::to_value(report).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use veracity_processor::conformance::hostile;
    use veracity_processor::{Severity, Summary, Symbol, sample_report};

    use super::*;

    fn render(value: &Value) -> Result<Vec<u8>, String> {
        Ok(serde_json::to_vec(value).unwrap())
    }

    fn read(body: &Body) -> (Report, Value) {
        let value: Value = serde_json::from_slice(&body.bytes).unwrap();
        let truncated = value["truncated"].clone();
        (serde_json::from_value(value).unwrap(), truncated)
    }

    /// `count` results, each with a symbol of its own; every tenth failed, the failed
    /// ones with severities in turn.
    fn large(count: usize) -> Report {
        let mut report = Report::new(sample_report().run);
        for number in 0..count {
            let mut result = AssertionResult::new("check", format!("assertion {number}"));
            result.symbols = vec![format!("x_{number}")];
            result.status = match number % 10 {
                0 => Status::Failed,
                _ => Status::Passed,
            };
            result.severity = Severity::ALL[number / 10 % 4];
            report.results.push(result);
            let symbol = Symbol::new(format!("x_{number}"), "row_count()", "d");
            report.symbols.push(symbol);
        }
        report.summary = Summary::of(&report.results);
        report
    }

    #[test]
    fn a_report_that_fits_is_left_as_it_is() {
        let report = sample_report();
        let size = render(&to_value(&report).unwrap()).unwrap().len();
        let body = fit(&report, size, render).unwrap();
        let (read, truncated) = read(&body);
        assert_eq!(
            (read, truncated, body.left_out),
            (report, Value::Null, None)
        );
    }

    #[test]
    fn passed_results_are_left_out_first_and_the_most_severe_last() {
        let report = large(400);
        for max_bytes in [64 * 1024, 24 * 1024, 9 * 1024, 4 * 1024] {
            let body = fit(&report, max_bytes, render).unwrap();
            let room = max_bytes - body.bytes.len();
            assert!(room < 1000, "{room} of {max_bytes} bytes are left");
            let (read, truncated) = read(&body);
            let kept = read.results.len();
            assert_eq!(truncated, json!({"results_left_out": 400 - kept}));
            assert_eq!(read.summary, report.summary, "that of the whole run");
            assert_eq!(read.symbols.len(), kept, "those that are used");
            let failed = read.results.iter().filter(|r| r.status == Status::Failed);
            let failed: Vec<Severity> = failed.map(|result| result.severity).collect();
            assert_eq!(failed.len(), kept.min(40));
            for (more_severe, severity) in Severity::ALL.into_iter().enumerate() {
                let count = failed.iter().filter(|&&found| found == severity).count();
                let room = kept.saturating_sub(more_severe * 10);
                assert_eq!(count, room.min(10), "{severity} in {max_bytes}");
            }
            let place = |name: &str| name["assertion ".len()..].parse::<usize>().unwrap();
            let order = read.results.iter().map(|r| place(&r.assertion));
            assert!(order.is_sorted(), "in the order of the suite");
        }
    }

    #[test]
    fn ten_thousand_failures_fit_into_the_default_budget() {
        let mut report = large(10_000);
        for result in &mut report.results {
            result.status = Status::Failed;
        }
        let body = fit(&report, 256 * 1024, render).unwrap();
        assert!((255 * 1024..=256 * 1024).contains(&body.bytes.len()));
        let (read, _) = read(&body);
        assert!(read.results.len() > 300, "{}", read.results.len());
    }

    #[test]
    fn at_the_worst_there_is_a_summary() {
        let mut report = hostile();
        report.run.suite = "é".repeat(100_000);
        report.run.interrupted = Some("x".repeat(100_000));
        for number in 0..1000 {
            let tag = (format!("tag {number}"), "x".repeat(number));
            report.run.key.tags.extend([tag]);
        }
        let body = fit(&report, 4096, render).unwrap();
        assert!(body.bytes.len() <= 4096, "{}", body.bytes.len());
        let (read, truncated) = read(&body);
        assert_eq!(
            (read.verdict, read.summary),
            (report.verdict, report.summary)
        );
        assert_eq!(truncated["results_left_out"], report.results.len());
        assert_eq!(read.run.suite, format!("{}…", "é".repeat(100)));
    }
}
