//! Findings as commands to a CI system, which shows them at the assertions' lines.

use veracity_processor::{Finding, Location, Report, Severity};

use crate::code::clip;

/// How many annotations of one type a step shows; more of them vanish silently. GitHub shows
/// 50 in all its steps together, which the three types of one step never reach.
pub const PER_TYPE: usize = 10;

/// Characters of a name, and of a longer text.
const NAME: usize = 200;
const TEXT: usize = 1_000;

/// The CI system that is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// GitHub Actions: `::error file=..,line=..::..`, with errors, warnings and notices.
    GitHub,
    /// Azure Pipelines: `##vso[task.logissue type=error;..]..`, with errors and warnings.
    Azure,
}

impl Dialect {
    fn kind(self, severity: Severity) -> &'static str {
        match (severity, self) {
            (Severity::P0 | Severity::P1, _) => "error",
            (Severity::P3, Dialect::GitHub) => "notice",
            _ => "warning",
        }
    }

    fn command(self, finding: &Finding<'_>) -> String {
        let kind = self.kind(finding.result.severity);
        let place = finding.result.location.as_ref();
        let place = place.filter(|place| !place.file.is_empty());
        let (name, detail) = (clip(&finding.name(), NAME), clip(&finding.detail(), TEXT));
        match self {
            Dialect::GitHub => {
                let mut properties = Vec::new();
                if let Some(Location { file, line, column }) = place {
                    properties.push(format!("file={}", github_property(&path(file))));
                    properties.push(format!("line={}", (*line).max(1)));
                    properties.push(format!("col={}", (*column).max(1)));
                }
                properties.push(format!("title={}", github_property(&name)));
                let properties = properties.join(",");
                format!("::{kind} {properties}::{}", github_data(&detail))
            }
            Dialect::Azure => {
                let mut properties = vec![format!("type={kind}")];
                if let Some(Location { file, line, column }) = place {
                    properties.push(format!("sourcepath={}", azure_property(&path(file))));
                    properties.push(format!("linenumber={}", (*line).max(1)));
                    properties.push(format!("columnnumber={}", (*column).max(1)));
                }
                let properties = properties.join(";");
                // Two parts that are no command alone could be one together.
                let message = clip(&format!("{name}: {detail}"), NAME + TEXT + 2);
                format!("##vso[task.logissue {properties}]{}", azure_data(&message))
            }
        }
    }
}

/// One command for each finding of `report`, the most severe first, at most [`PER_TYPE`] of
/// a type, and how many are left out. Every command is one line, without a line break.
pub fn annotations(report: &Report, dialect: Dialect) -> (Vec<String>, usize) {
    let findings = Finding::all(report);
    let mut commands = Vec::new();
    let mut counts = [0; 3];
    for finding in &findings {
        let count = match dialect.kind(finding.result.severity) {
            "error" => &mut counts[0],
            "warning" => &mut counts[1],
            _ => &mut counts[2],
        };
        if *count < PER_TYPE {
            *count += 1;
            commands.push(dialect.command(finding));
        }
    }
    let left_out = findings.len() - commands.len();
    (commands, left_out)
}

/// A path as both systems look for it: relative to the root of the repository.
fn path(file: &str) -> String {
    clip(file.trim_start_matches("./"), TEXT)
}

fn github_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn github_property(text: &str) -> String {
    github_data(text).replace(':', "%3A").replace(',', "%2C")
}

fn azure_data(text: &str) -> String {
    text.replace('%', "%AZP25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn azure_property(text: &str) -> String {
    azure_data(text).replace(']', "%5D").replace(';', "%3B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_each_system_unescapes_them() {
        let text = "100%, a:b;\r\nc]";
        assert_eq!(github_data(text), "100%25, a:b;%0D%0Ac]");
        assert_eq!(github_property(text), "100%25%2C a%3Ab;%0D%0Ac]");
        assert_eq!(azure_data(text), "100%AZP25, a:b;%0D%0Ac]");
        assert_eq!(azure_property(text), "100%AZP25, a:b%3B%0D%0Ac%5D");
        assert_eq!(github_data("%0A"), "%250A", "what looks escaped is not");
    }
}
