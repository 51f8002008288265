//! Where people find more about a run.

use crate::Run;

/// A URL for people with places for what a run is: `{run}` for its id, `{suite}` for the
/// name of the suite, `{date}` for the date of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// The link `template`: `https://dq.example.org/runs/{run}`.
    ///
    /// # Errors
    ///
    /// If it does not begin with `https://` or `http://`, holds characters that no URL has,
    /// or a place that is not known.
    pub fn new(template: &str) -> Result<Self, String> {
        if !template.starts_with("https://") && !template.starts_with("http://") {
            return Err("must begin with `https://` or `http://`".to_owned());
        }
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            let Some(end) = rest[at..].find('}') else {
                break;
            };
            let place = &rest[at + 1..at + end];
            if !matches!(place, "run" | "suite" | "date") {
                return Err(format!(
                    "has no place `{{{place}}}`; it has `{{run}}`, `{{suite}}`, `{{date}}`"
                ));
            }
            rest = &rest[at + end + 1..];
        }
        let bare = ["{run}", "{suite}", "{date}"]
            .iter()
            .fold(template.to_owned(), |text, place| text.replace(place, ""));
        let odd = |c: char| !c.is_ascii_graphic() || r#"<>"{}|\^`"#.contains(c);
        if let Some(c) = bare.chars().find(|&c| odd(c)) {
            let c = c.escape_default();
            return Err(format!("holds `{c}`, which no URL has: percent-encode it"));
        }
        Ok(Self(template.to_owned()))
    }

    /// The link to `run`; what comes from it is percent-encoded.
    pub fn to(&self, run: &Run) -> String {
        // None of the values holds a brace once it is encoded.
        self.0
            .replace("{run}", &run.id.to_string())
            .replace("{suite}", &encode(&run.suite))
            .replace("{date}", &encode(&run.key.date))
    }
}

/// `text` with everything but the unreserved characters of RFC 3986 percent-encoded.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_report;

    #[test]
    fn a_link_leads_to_a_run_whatever_its_suite_is_called() {
        let mut run = sample_report().run;
        let link = Link::new("https://dq.example.org/{suite}/{run}?date={date}&x=%20").unwrap();
        assert_eq!(
            link.to(&run),
            "https://dq.example.org/nycflights/019a9f3b-5c00-7000-8000-00000000002a\
             ?date=2026-11-20&x=%20"
        );
        run.suite = "a/../\"><|{run} \u{e9}\r\n".to_owned();
        assert_eq!(
            Link::new("http://h/{suite}").unwrap().to(&run),
            "http://h/a%2F..%2F%22%3E%3C%7C%7Brun%7D%20%C3%A9%0D%0A"
        );
    }

    #[test]
    fn a_template_that_makes_no_url_is_refused() {
        let cases = [
            (
                "dq.example.org/{run}",
                "must begin with `https://` or `http://`",
            ),
            (
                "javascript:alert(1)",
                "must begin with `https://` or `http://`",
            ),
            (
                "https://a.org/{id}",
                "has no place `{id}`; it has `{run}`, `{suite}`, `{date}`",
            ),
            (
                "https://a.org/{run",
                "holds `{`, which no URL has: percent-encode it",
            ),
            (
                "https://a.org/a b",
                "holds ` `, which no URL has: percent-encode it",
            ),
            (
                "https://a.org/>x",
                "holds `>`, which no URL has: percent-encode it",
            ),
            (
                "https://a.org/\u{e9}",
                r"holds `\u{e9}`, which no URL has: percent-encode it",
            ),
        ];
        for (template, expected) in cases {
            assert_eq!(Link::new(template), Err(expected.to_owned()), "{template}");
        }
    }
}
