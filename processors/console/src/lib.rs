//! A [`Report`] as text for people: in a terminal, a log, a mail.
//!
//! The text is stable and aligned. Colour is never needed to understand it, and
//! nothing in it can be forged by names or values: what comes from data passes
//! through [`veracity_processor::printable`] before it is printed.

mod fit;
mod line;
mod outcome;
mod processor;
mod sections;
mod table;
mod value;

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{Report, Status, Summary, Verdict};

use crate::fit::fit;
use crate::line::{Line, Tone};

pub use crate::processor::{ConsoleProcessor, Settings};

/// Renders reports as text.
#[derive(Debug, Clone, Default)]
pub struct Console {
    /// Whether words and symbols are coloured with ANSI codes.
    pub color: bool,
    /// How much is printed.
    pub verbosity: Verbosity,
    /// Columns of the terminal: longer names and reasons are cut in the middle. Nothing
    /// is cut when it is absent, as in a file or a pipe.
    pub width: Option<usize>,
}

/// How much of a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// What was evaluated and did not pass, and the verdict.
    Quiet,
    /// Every assertion, the datasets, warnings and deliveries.
    #[default]
    Normal,
    /// All that, and every symbol with its value and where it comes from.
    Verbose,
}

impl Console {
    /// Writes `report` to `out`, ending with the line of the verdict.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn render(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let quiet = self.verbosity == Verbosity::Quiet;
        let mut blocks = Vec::new();
        if !quiet {
            blocks.push(vec![headline(report, self.width)]);
        }
        blocks.extend(outcome::blocks(report, quiet, self.width));
        if self.verbosity == Verbosity::Verbose {
            blocks.push(sections::symbols(report, self.width));
        }
        if !quiet {
            blocks.push(sections::datasets(report, self.width));
            blocks.push(sections::warnings(report, self.width));
        }
        blocks.push(sections::deliveries(report, quiet, self.width));
        blocks.push(vec![verdict(report, quiet, self.width)]);

        blocks.retain(|block| !block.is_empty());
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            for line in block {
                line.write(out, self.color)?;
            }
        }
        Ok(())
    }
}

/// `nycflights  2026-11-20  env=prod`
fn headline(report: &Report, width: Option<usize>) -> Line {
    let key = &report.run.key;
    let mut about = key.date.clone();
    for (name, value) in &key.tags {
        about.push_str(&format!("  {name}={value}"));
    }
    let line = Line::new().add(Tone::Strong, &fit(&report.run.suite, width));
    let room = width.map(|width| width.saturating_sub(line.width() + 2));
    line.space(2)
        .add(Tone::Plain, &fit(about.trim_start(), room))
}

/// `✗ FAILED  25 assertions: 14 passed, 11 failed  in 210 ms`
fn verdict(report: &Report, name_suite: bool, width: Option<usize>) -> Line {
    let (symbol, tone) = match report.verdict {
        Verdict::Passed => ("✓", Tone::Good),
        Verdict::Failed => ("✗", Tone::Bad),
        _ => ("~", Tone::Open),
    };
    let word = report.verdict.to_string().to_uppercase();
    let mut line = Line::new().add(tone, &format!("{symbol} {word}"));
    if let Some(reason) = &report.run.interrupted {
        let why = match reason.as_str() {
            "" => "interrupted".to_owned(),
            // "interrupted by SIGINT" says it already.
            reason if reason.starts_with("interrupted") => reason.to_owned(),
            // So does what a processor ended before it began.
            reason if report.run.gate.is_some() => reason.to_owned(),
            reason => format!("interrupted: {reason}"),
        };
        line = line.add(Tone::Open, &format!(", {}", fit(&why, width)));
    }
    if name_suite {
        line = line
            .space(2)
            .add(Tone::Strong, &fit(&report.run.suite, width));
    }
    line.space(2)
        .add(Tone::Plain, &counts(&report.summary))
        .space(2)
        .add(
            Tone::Faint,
            &format!("in {}", value::duration(report.run.duration_ms)),
        )
}

fn counts(summary: &Summary) -> String {
    if summary.declared == 0 {
        return "no assertions".to_owned();
    }
    let by_status = [
        (summary.passed, Status::Passed),
        (summary.failed, Status::Failed),
        (summary.error, Status::Error),
        (summary.not_evaluated, Status::NotEvaluated),
        (summary.skipped, Status::Skipped),
    ];
    let parts: Vec<String> = by_status
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| match status {
            Status::Error => value::count(*count, "error"),
            status => format!("{} {status}", value::thousands(*count)),
        })
        .collect();
    format!(
        "{}: {}",
        value::count(summary.declared, "assertion"),
        parts.join(", ")
    )
}
