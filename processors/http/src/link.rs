//! A page about a run, for people.

use percent_encoding::utf8_percent_encode;
use url::Url;
use veracity_processor::{FieldError, Run};

use crate::endpoint::SEGMENT;

/// The most characters of a link; receivers refuse or cut longer ones.
const LONGEST: usize = 2048;

/// A template of links to pages about runs: `https://dq.example.org/runs/{run}`.
///
/// `{run}` stands for the id of the run, `{suite}` for the name of its suite and `{date}` for
/// the date of the data, percent-encoded. It is shown to people, so it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// The template `text`, from the setting `field` (a JSON pointer).
    ///
    /// # Errors
    ///
    /// If it has another placeholder, does not make an `http` or `https` URL, holds a
    /// character that no URL has, has a placeholder in its host, or holds a password.
    pub fn new(text: &str, field: &str) -> Result<Self, FieldError> {
        let fault = |message: &str| Err(FieldError::new(field, message));
        let link = Self(text.trim().to_owned());
        if !["https://", "http://"]
            .iter()
            .any(|scheme| link.0.starts_with(scheme))
        {
            return fault("must begin with `https://` or `http://`");
        }
        let (one, other) = (link.filled("a", "b", "c"), link.filled("d", "e", "f"));
        if one.contains(['{', '}']) {
            return fault("has a placeholder other than `{run}`, `{suite}` and `{date}`");
        }
        let odd = |c: &char| !c.is_ascii_graphic() || r#"<>"|\^`"#.contains(*c);
        if let Some(c) = one.chars().find(odd) {
            let c = c.escape_default();
            return fault(&format!("holds `{c}`, which no URL has: percent-encode it"));
        }
        let (one, other) = match (Url::parse(&one), Url::parse(&other)) {
            (Ok(one), Ok(other)) => (one, other),
            (Err(error), _) | (_, Err(error)) => return fault(&format!("is no URL: {error}")),
        };
        if one.origin() != other.origin() {
            return fault("must not have a placeholder in its host");
        }
        if !one.username().is_empty() || one.password().is_some() {
            return fault("is shown to people, so it must not hold a user or a password");
        }
        Ok(link)
    }

    /// The page about `run`; `None` if its address would be longer than 2048 characters.
    pub fn to(&self, run: &Run) -> Option<String> {
        let link = self.filled(&run.id.to_string(), &run.suite, &run.key.date);
        (link.len() <= LONGEST).then_some(link)
    }

    fn filled(&self, run: &str, suite: &str, date: &str) -> String {
        // What is encoded holds no brace, so nothing is filled in twice.
        let encoded = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        self.0
            .replace("{suite}", &encoded(suite))
            .replace("{date}", &encoded(date))
            .replace("{run}", run)
    }
}

#[cfg(test)]
mod tests {
    use veracity_processor::sample_report;

    use super::*;

    #[test]
    fn a_link_names_the_run_and_its_suite() {
        let mut run = sample_report().run;
        let id = run.id;
        let cases = [
            (
                "https://a.org/{run}",
                "orders",
                format!("https://a.org/{id}"),
            ),
            ("https://a.org/x", "orders", "https://a.org/x".to_owned()),
            (
                " http://a.org/s/{suite}?r={run}#{suite} ",
                "a/b ?&#\"><{run}\n",
                format!(
                    "http://a.org/s/a%2Fb%20%3F%26%23%22%3E%3C%7Brun%7D%0A?r={id}\
                     #a%2Fb%20%3F%26%23%22%3E%3C%7Brun%7D%0A"
                ),
            ),
        ];
        for (template, suite, expected) in cases {
            run.suite = suite.to_owned();
            let link = Link::new(template, "/link").unwrap();
            assert_eq!(link.to(&run), Some(expected), "{template}");
        }
        run.suite = "x".repeat(10_000);
        let link = Link::new("https://a.org/{suite}", "/link").unwrap();
        assert_eq!(link.to(&run), None);
    }

    #[test]
    fn a_template_that_makes_no_link_is_refused() {
        let cases = [
            ("runs/{run}", "must begin with `https://` or `http://`"),
            (
                "javascript:alert('{run}')",
                "must begin with `https://` or `http://`",
            ),
            (
                "https://a.org/{day}",
                "has a placeholder other than `{run}`, `{suite}` and `{date}`",
            ),
            (
                "https://a.org/x|y",
                "holds `|`, which no URL has: percent-encode it",
            ),
            (
                "https://{suite}.example.org/",
                "must not have a placeholder in its host",
            ),
            (
                "https://me:pw@a.org/{run}",
                "is shown to people, so it must not hold a user or a password",
            ),
        ];
        for (template, message) in cases {
            let expected = Err(FieldError::new("/link", message));
            assert_eq!(Link::new(template, "/link"), expected, "{template}");
        }
    }
}
