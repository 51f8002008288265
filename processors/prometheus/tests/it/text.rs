//! A strict reader of the text format, version 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// The metrics of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub help: String,
    pub samples: Vec<(Labels, f64)>,
}

/// The families of `text`; everything that a reader may refuse is refused.
pub fn parse(text: &str) -> Result<Vec<Family>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    if text.contains(['\r', '\0']) {
        return Err("there is a CR or a NUL".to_owned());
    }
    let mut families: Vec<Family> = Vec::new();
    let mut series = BTreeSet::new();
    let mut lines = text[..text.len() - 1].split('\n').peekable();
    while let Some(line) = lines.next() {
        let fault = |what: &str| Err(format!("{what}: `{line:.200}`"));
        let help = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '));
        let Some((name, help)) = help else {
            return fault("a family begins with its help");
        };
        if !is_name(name, ':') || families.iter().any(|family| family.name == name) {
            return fault("a name that is none, or there twice");
        }
        let help = unescape(help, false)?;
        let kind = lines
            .next()
            .and_then(|line| line.strip_prefix(&*format!("# TYPE {name} ")));
        let Some(kind @ ("gauge" | "counter")) = kind else {
            return fault("no type");
        };
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (labels, value) =
                sample(line, name).map_err(|what| format!("{what}: `{line:.200}`"))?;
            if !series.insert((name.to_owned(), labels.clone())) {
                return Err(format!("a series is there twice: `{line:.200}`"));
            }
            samples.push((labels, value));
        }
        if samples.is_empty() {
            return fault("no samples");
        }
        families.push(Family {
            name: name.to_owned(),
            kind: kind.to_owned(),
            help,
            samples,
        });
    }
    Ok(families)
}

fn sample(line: &str, name: &str) -> Result<(Labels, f64), String> {
    let mut rest = line.strip_prefix(name).ok_or("a sample of another name")?;
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("no label")?;
            if !is_name(label, '_') || label.starts_with("__") {
                return Err(format!("no name of a label: {label}"));
            }
            let end = closing(after).ok_or("no end of a value")?;
            let value = unescape(&after[..end], true)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("a label twice: {label}"));
            }
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').ok_or("no closing brace")?;
    }
    let value = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let number = match value {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        // That refuses timestamps as well.
        text if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            text.parse().map_err(|_| "no number")?
        }
        _ => return Err("no number".to_owned()),
    };
    Ok((labels, number))
}

/// Where the quote is that ends a value.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn unescape(text: &str, in_quotes: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if in_quotes => '"',
                other => return Err(format!("an escape that is none: {other:?}")),
            },
            c => c,
        });
    }
    Ok(plain)
}

fn is_name(name: &str, more: char) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == more)
}

#[test]
fn the_reader_refuses_what_is_wrong() {
    let good = "# HELP a A\\\\b \"c\".\n# TYPE a gauge\na 1\na{l=\"x\\\"\\\\\\n}, \"} -2.5e-9\n";
    let families = parse(good).unwrap();
    assert_eq!(families[0].help, "A\\b \"c\".");
    assert_eq!(families[0].samples[1].0["l"], "x\"\\\n}, ");
    let head = "# HELP a A\n# TYPE a gauge\n";
    let broken = [
        good.trim_end().to_owned(),
        "a 1\n".to_owned(),
        "# TYPE a gauge\na 1\n".to_owned(),
        "# HELP a A\na 1\n".to_owned(),
        format!("{head}a 1\n{head}a{{l=\"1\"}} 1\n"),
        head.to_owned(),
        format!("{head}a 1\n\n"),
        format!("{head}a 1\r\n"),
        format!("{head}b 1\n"),
        format!("{head}a 1\na 2\n"),
        format!("{head}a 1 1795154404000\n"),
        format!("{head}a x\n"),
        format!("{head}a inf\n"),
        format!("{head}a nan\n"),
        format!("{head}a  1\n"),
        format!("{head}a{{l=\"1\",l=\"2\"}} 1\n"),
        format!("{head}a{{l=\"\\t\"}} 1\n"),
        format!("{head}a{{l=\"1\"}}1\n"),
        format!("{head}a{{l=\"1\" 1\n"),
        format!("{head}a{{ö=\"1\"}} 1\n"),
        format!("{head}a{{__l=\"1\"}} 1\n"),
    ];
    for text in broken {
        assert!(parse(&text).is_err(), "{text}");
    }
}
