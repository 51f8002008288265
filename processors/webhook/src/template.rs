//! A body that a template of the user makes.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::de::IgnoredAny;
use serde_json::Value;
use veracity_processor::{Report, printable, sample_report};

/// Steps of the template engine that one body may take; ten thousand results in a loop of
/// a few lines take about a million.
const FUEL: u64 = 20_000_000;

const NAME: &str = "template";

/// A template and what it makes.
pub(crate) struct Template {
    environment: Environment<'static>,
    pub content_type: String,
    json: bool,
}

impl Template {
    /// The template `source`, which makes `content_type`.
    ///
    /// It is tried with a report that holds everything and with one that holds nothing.
    pub fn new(source: &str, content_type: String) -> Result<Self, String> {
        let escape = escape_for(&content_type);
        let mut environment = Environment::new();
        let json = escape == AutoEscape::Json;
        environment.set_auto_escape_callback(move |_| escape.clone());
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("printable", |text: &str| printable(text).into_owned());
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| error.to_string())?;
        let template = Self {
            environment,
            json,
            content_type,
        };
        let sample = sample_report();
        let empty = Report::new(sample.run.clone());
        for (label, report) in [("the sample report", sample), ("an empty report", empty)] {
            let report = serde_json::to_value(report).map_err(|error| error.to_string())?;
            template
                .render(&report, "00000000-0000-0000-0000-000000000000")
                .map_err(|error| format!("fails on {label}: {error}"))?;
        }
        Ok(template)
    }

    /// The body for `report`, sent under `id`.
    pub fn render(&self, report: &Value, id: &str) -> Result<Vec<u8>, String> {
        let text = self
            .environment
            .get_template(NAME)
            .and_then(|template| template.render(context! {report => Serde(report), id}))
            .map_err(|error| error.to_string())?;
        if self.json
            && let Err(error) = serde_json::from_str::<IgnoredAny>(&text)
        {
            return Err(format!(
                "makes no JSON: {error}; `{{{{ value }}}}` writes its own quotes, so texts are \
                 joined inside: `{{{{ \"failed: \" ~ report.run.suite }}}}`"
            ));
        }
        Ok(text.into_bytes())
    }
}

fn escape_for(content_type: &str) -> AutoEscape {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    if kind.ends_with("/json") || kind.ends_with("+json") {
        AutoEscape::Json
    } else if kind.ends_with("html") || kind.ends_with("xml") {
        AutoEscape::Html
    } else {
        AutoEscape::None
    }
}

#[cfg(test)]
mod tests {
    use veracity_processor::conformance::{HOSTILE, hostile};

    use super::*;

    fn json_template(source: &str) -> Result<Template, String> {
        Template::new(source, "application/json".into())
    }

    #[test]
    fn a_template_that_cannot_work_is_refused() {
        let cases = [
            ("not closed", "{{ report.run", "syntax error: "),
            (
                "a misspelled field",
                "{{ report.run.siute }}",
                "fails on the sample report: undefined value",
            ),
            (
                "the first of none",
                "{{ report.results[0].check }}",
                "fails on an empty report: undefined value",
            ),
            (
                "quotes around quotes",
                r#""{{ report.run.suite }}""#,
                "fails on the sample report: makes no JSON",
            ),
            (
                "without end",
                "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                "fails on the sample report: engine ran out of fuel",
            ),
            (
                "a file",
                "{% include '/etc/passwd' %}",
                "syntax error: unknown statement include",
            ),
        ];
        for (label, source, expected) in cases {
            let error = json_template(source).err().unwrap_or_default();
            assert!(error.starts_with(expected), "{label}: {error}");
        }
    }

    #[test]
    fn hostile_names_stay_inside_json_strings() {
        let sources = [
            "{% set r = report %}[{% for x in r.results %}{{ x.check }}{% if not loop.last %},{% endif %}{% endfor %}]",
            "{{ report.results | map(attribute='check') | list }}",
            "{{ report.results | map(attribute='check') | list | tojson }}",
        ];
        let report = hostile();
        let names: Vec<&str> = report
            .results
            .iter()
            .map(|result| result.check.as_str())
            .collect();
        assert_eq!(&names[..HOSTILE.len()], HOSTILE);
        let value = serde_json::to_value(&report).unwrap();
        for source in sources {
            let body = json_template(source)
                .ok()
                .unwrap()
                .render(&value, "id")
                .unwrap();
            let read: Vec<String> = serde_json::from_slice(&body).unwrap();
            assert_eq!(read, names, "{source}");
        }
    }

    #[test]
    fn hostile_names_are_escaped_in_html_and_can_be_in_text() {
        let value = serde_json::to_value(hostile()).unwrap();
        let source = "{% for x in report.results %}{{ x.check|printable }}\n{% endfor %}";
        let of = |content_type: &str| {
            let template = Template::new(source, content_type.into()).ok().unwrap();
            String::from_utf8(template.render(&value, "id").unwrap()).unwrap()
        };
        let html = of("text/html; charset=utf-8");
        assert!(
            !html.contains("<script>") && !html.contains("<img"),
            "{html}"
        );
        let text = of("text/plain");
        assert_eq!(text.lines().count(), hostile().results.len());
        assert!(
            !text.contains('\u{1b}') && !text.contains("##vso["),
            "{text}"
        );
    }
}
