//! The text format of Prometheus, version 0.0.4.

use veracity_processor::MetricKind;

use crate::series::{Family, Labels};

/// The type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `families` as text: for each name its help, its type and its samples, without
/// timestamps. Every line ends with LF.
pub fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let name = &family.name;
        let kind = match family.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        text.push_str(&format!("# HELP {name} {}\n", escaped(&family.help, false)));
        text.push_str(&format!("# TYPE {name} {kind}\n"));
        for (labels, value) in &family.samples {
            text.push_str(&format!("{name}{} {}\n", in_braces(labels), number(*value)));
        }
    }
    text
}

fn in_braces(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)));
    format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
}

/// `text` on one line. Quotes are escaped in the values of labels alone.
fn escaped(text: &str, in_quotes: bool) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '"' if in_quotes => line.push_str("\\\""),
            c if c.is_control() => line.push('\u{fffd}'),
            c => line.push(c),
        }
    }
    line
}

fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // Beyond that the digits are many and mean nothing.
    match value.abs() {
        size if size != 0.0 && !(1e-5..1e17).contains(&size) => format!("{value:e}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (4.21, "4.21"),
            (1_795_154_404.0, "1795154404"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e300, "1e300"),
            (-2.5e-9, "-2.5e-9"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
            let read: f64 = expected.parse().unwrap();
            assert!(read == value || value.is_nan());
        }
    }

    #[test]
    fn a_family_is_written_with_help_and_type_first() {
        let family = Family {
            name: "a_total".into(),
            help: "Back\\slash,\nbreak and \"quote\".".into(),
            kind: MetricKind::Counter,
            samples: vec![
                (Labels::new(), 1.0),
                (
                    Labels::from([
                        ("l".into(), "or\"ders\\x\ny".into()),
                        ("k".into(), "".into()),
                    ]),
                    2.5,
                ),
            ],
        };
        insta::assert_snapshot!(text(&[family]), @r##"
        # HELP a_total Back\\slash,\nbreak and "quote".
        # TYPE a_total counter
        a_total 1
        a_total{k="",l="or\"ders\\x\ny"} 2.5
        "##);
    }
}
