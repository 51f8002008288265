//! A suite as the text of a file, with names of any kind.

use super::profile::Profile;
use super::proposal::{Proposal, Section};

/// Evidence stands behind the assertions, in one column unless they are longer than this.
const WIDEST: usize = 60;

/// What the suite is about.
#[derive(Debug)]
pub struct Heading<'a> {
    /// Name of the suite and its dataset.
    pub name: &'a str,
    /// Where the data is.
    pub path: &'a str,
    /// What was found.
    pub profile: &'a Profile,
}

/// The text of the suite file.
pub fn suite(heading: &Heading<'_>, sections: &[Section]) -> String {
    let Heading {
        name,
        path,
        profile,
    } = heading;
    let mut text = format!(
        "# What `veracity init` found to hold on {}. Its evidence stands behind each.
# Loosen what may change, delete what does not matter, add what must hold;
# `veracity metrics` lists what can be asserted.
version: 1
suite: {}
datasets:
  {}: {}
checks:
",
        profile.date,
        scalar(name),
        scalar(name),
        scalar(path),
    );
    for section in sections {
        text.push_str(&format!(
            "  - check: {}\n    assertions:\n",
            scalar(section.title)
        ));
        let lines: Vec<String> = section.proposals.iter().map(item).collect();
        let width = |line: &String| line.chars().count();
        let aligned = lines
            .iter()
            .map(width)
            .filter(|width| *width <= WIDEST)
            .max();
        for (line, proposal) in lines.iter().zip(&section.proposals) {
            let gap = (aligned.unwrap_or(0) + 2)
                .saturating_sub(width(line))
                .max(2);
            let evidence = veracity_processor::printable(&proposal.evidence);
            text.push_str(&format!("{line}{:gap$}# {evidence}\n", ""));
        }
    }
    for column in &profile.columns {
        if profile.rows > 0 && column.nulls == profile.rows {
            let name = veracity_processor::printable(&column.name);
            text.push_str(&format!(
                "# Column `{name}` is always NULL: nothing is asserted of it.\n"
            ));
        }
    }
    text
}

fn item(proposal: &Proposal) -> String {
    let key = if proposal.about_rows { "rows: " } else { "" };
    format!("      - {key}{}", scalar(&proposal.sql))
}

/// `text` as a YAML value: plain where that is what it says, else quoted.
fn scalar(text: &str) -> String {
    // `${NAME}` would be filled in, and `$$` stands for `$`.
    let text = match text.contains("${") || text.contains("$$") {
        true => text.replace('$', "$$"),
        false => text.to_owned(),
    };
    let begins_plainly = text
        .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        || text.starts_with("./")
        || text.starts_with("../");
    let is_plain = begins_plainly
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !is_word_of_yaml(&text);
    let has_odd = text
        .chars()
        .any(|c| c.is_control() || veracity_processor::is_deceptive(c));
    if has_odd {
        escaped(&text)
    } else if is_plain {
        text
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// `text` in double quotes, with escapes for what cannot or should not be seen.
fn escaped(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || veracity_processor::is_deceptive(c) => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Whether YAML takes the word for something else than text.
fn is_word_of_yaml(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_yaml_reads_them_back() {
        let cases = [
            ("row_count() > 0", "row_count() > 0"),
            ("\"a b\" > 0", "'\"a b\" > 0'"),
            ("x in ('a', 'b')", "x in ('a', 'b')"),
            ("x = 'a: b'", "'x = ''a: b'''"),
            ("x = ' #1'", "'x = '' #1'''"),
            ("data/a.csv", "data/a.csv"),
            ("*.csv", "'*.csv'"),
            ("null", "'null'"),
            ("x = '${A}'", "x = '$${A}'"),
            ("x = '$A'", "x = '$A'"),
            ("a\n\"b", "\"a\\U0000000a\\\"b\""),
            ("x\u{202e}y", "\"x\\U0000202ey\""),
            ("", "''"),
        ];
        for (text, expected) in cases {
            assert_eq!(scalar(text), expected, "{text}");
        }
    }
}
