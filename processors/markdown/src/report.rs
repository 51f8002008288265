//! The report as Markdown.

use veracity_processor::{AssertionResult, Finding, Headline, Report, Status};

use crate::code::{clip, code, fact};
use crate::page::Page;

/// The most bytes of a step summary of GitHub, which drops a larger one as a whole.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The fewest bytes in which a headline always finds room.
pub(crate) const LEAST_BYTES: usize = 8 * 1024;

/// Characters of a name, and of a longer text.
const NAME: usize = 150;
const TEXT: usize = 300;
/// Entries of lists that are not the findings.
const ENTRIES: usize = 20;
/// Rows of tables that are folded away.
const FOLDED: usize = 1_000;

/// How a report becomes Markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether metrics and their values are listed.
    pub symbols: bool,
    /// The most bytes it may have, at least 8 KiB; findings that do not fit are counted.
    pub max_bytes: usize,
}

impl Default for Options {
    /// Without metrics, at most [`MAX_BYTES`].
    fn default() -> Self {
        Self {
            symbols: false,
            max_bytes: MAX_BYTES,
        }
    }
}

/// `report` as GitHub flavoured Markdown: a headline, what did not pass with the most severe
/// first, and the rest folded away. Whatever comes from data is shown as code, or not at
/// all.
pub fn render(report: &Report, options: &Options) -> String {
    let mut page = Page::new(options.max_bytes.max(LEAST_BYTES));
    head(&mut page, report);
    let findings = Finding::all(report);
    page.table(
        "",
        &["Severity", "Assertion", "Result", "Where"],
        findings.iter().map(row),
        usize::MAX,
    );
    unreadable(&mut page, report);
    warnings(&mut page, report);
    others(&mut page, report);
    if options.symbols {
        symbols(&mut page, report);
    }
    page.finish()
}

fn head(page: &mut Page, report: &Report) {
    let (run, headline) = (&report.run, Headline::of(report));
    // A suite may have an empty name; a headline may not.
    let suite = match run.suite.is_empty() {
        true => "veracity".to_owned(),
        false => code(&run.suite, NAME),
    };
    page.paragraph(&format!("## {suite}: {}", headline.state));
    let tags = run.key.tags.iter().take(ENTRIES);
    let tags: Vec<String> = tags
        .map(|(name, value)| format!("{}: {}", clip(name, NAME), clip(value, NAME)))
        .collect();
    let facts = [
        format!("**{}**", headline.counts),
        code(&run.key.date, NAME),
        code(&tags.join(", "), TEXT),
        duration(run.duration_ms),
        code(&run.label(), NAME),
    ];
    let facts: Vec<&str> = facts.iter().map(String::as_str).collect();
    let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    page.paragraph(&facts.join(" · "));
    if let Some(reason) = &run.interrupted {
        let what = match &run.gate {
            Some(gate) => format!("The run was not made, because of {}", code(gate, NAME)),
            None => "The run ended early".to_owned(),
        };
        page.paragraph(&format!("{what}: {}", code(reason, TEXT)));
    }
}

/// `412 ms`, `4.1 s`, `3 min 5 s`.
fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

fn row(finding: &Finding<'_>) -> Vec<String> {
    let result = finding.result;
    let facts: Vec<String> = finding.facts().iter().map(|one| fact(one, TEXT)).collect();
    let place = result.location.as_ref();
    let place = place.map(|place| format!("{}:{}", place.file, place.line));
    vec![
        result.severity.to_string(),
        code(&finding.name(), NAME),
        facts.join(", "),
        place.map_or_else(String::new, |place| code(&place, NAME)),
    ]
}

/// Datasets that could not be read.
fn unreadable(page: &mut Page, report: &Report) {
    let unreadable = report.datasets.iter();
    let unreadable: Vec<Vec<String>> = unreadable
        .filter_map(|dataset| {
            let error = dataset.error.as_ref()?;
            Some(vec![code(&dataset.name, NAME), code(error, TEXT)])
        })
        .collect();
    page.table(
        "datasets",
        &["Dataset", "Error"],
        unreadable.into_iter(),
        ENTRIES,
    );
}

fn warnings(page: &mut Page, report: &Report) {
    let warnings = report.warnings.iter();
    let rows = warnings.map(|warning| vec![code(warning, TEXT)]);
    page.table("warnings", &["Warning"], rows, ENTRIES);
}

/// What passed and what was skipped.
fn others(page: &mut Page, report: &Report) {
    let with = |status| -> Vec<&AssertionResult> {
        let results = report.results.iter();
        results.filter(|result| result.status == status).collect()
    };
    let (passed, skipped) = (with(Status::Passed), with(Status::Skipped));
    let title: Vec<String> = [(passed.len(), "passed"), (skipped.len(), "skipped")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if title.is_empty() {
        return;
    }
    let others: Vec<&AssertionResult> = passed.into_iter().chain(skipped).collect();
    let rows = others.into_iter().map(|result| row(&Finding { result }));
    page.folded(&title.join(", "), |page| {
        let columns = ["Severity", "Assertion", "Result", "Where"];
        page.table("", &columns, rows, FOLDED);
    });
}

/// Metrics and their values.
fn symbols(page: &mut Page, report: &Report) {
    let count = report.symbols.len();
    if count == 0 {
        return;
    }
    let rows = report.symbols.iter().map(|symbol| {
        let value = match (&symbol.value, &symbol.error) {
            (Some(value), _) => {
                let text = value.as_str().map(str::to_owned);
                code(&text.unwrap_or_else(|| value.to_string()), NAME)
            }
            (None, Some(error)) => format!("none: {}", code(error, TEXT)),
            (None, None) => "none".to_owned(),
        };
        let precision = symbol.precision.as_ref();
        let precision = precision.map(|precision| format!(" {}", code(precision, NAME)));
        vec![
            code(&symbol.metric, NAME),
            code(&symbol.dataset, NAME),
            value + &precision.unwrap_or_default(),
        ]
    });
    let noun = if count == 1 { "metric" } else { "metrics" };
    page.folded(&format!("{count} {noun}"), |page| {
        page.table("", &["Metric", "Dataset", "Value"], rows, FOLDED);
    });
}
