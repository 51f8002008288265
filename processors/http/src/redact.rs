//! Strikes secrets out of what others say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// Shorter texts are no secrets, and striking them out would leave nothing to read.
const SHORTEST: usize = 4;

/// Shorter parts of a URL are ordinary words, as a rule: `/hooks`, `?v=2`, `admin`.
const SHORTEST_PART: usize = 8;

/// The texts that must not be shown, the longest first.
pub(crate) struct Redaction(Vec<String>);

impl Redaction {
    /// What `url` and `secrets` hold: each as a whole and in the parts in which a receiver
    /// may quote it.
    pub fn new<'s>(url: &Url, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut texts = vec![
            url.username().to_owned(),
            url.query().unwrap_or_default().to_owned(),
            url.path().trim_matches('/').to_owned(),
        ];
        texts.extend(url.path().split('/').map(str::to_owned));
        texts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        texts.retain(|text| text.len() >= SHORTEST_PART);
        texts.push(url.to_string());
        texts.push(url.password().unwrap_or_default().to_owned());
        // The form in which user name and password are sent.
        let pair = [url.username(), url.password().unwrap_or_default()].map(decode);
        if pair != ["", ""] {
            texts.push(STANDARD.encode(pair.join(":")));
        }
        for secret in secrets {
            texts.push(secret.to_owned());
            // `Bearer <token>` may be quoted without its first word.
            texts.extend(secret.split_whitespace().map(str::to_owned));
            texts.extend(secret.strip_prefix("whsec_").map(str::to_owned));
        }
        let decoded: Vec<String> = texts.iter().map(|text| decode(text)).collect();
        texts.extend(decoded);
        texts.retain(|text| text.len() >= SHORTEST && !is_scheme_word(text));
        texts.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        texts.dedup();
        Self(texts)
    }

    /// `text` with `***` for each secret in it.
    pub fn apply(&self, text: &str) -> String {
        let strike = |text: String, secret: &String| text.replace(secret.as_str(), "***");
        self.0.iter().fold(text.to_owned(), strike)
    }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// The first word of an `Authorization` header tells nothing.
fn is_scheme_word(text: &str) -> bool {
    ["basic", "bearer", "token", "apikey"].contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_in_every_form_in_which_they_were_sent() {
        let url = "https://user:pa%24%24word@hooks.example.org/services/T0123/XyZ98765?key=c4nary77&v=2024#x";
        let redaction = Redaction::new(
            &Url::parse(url).unwrap(),
            [
                "Bearer tok_123456",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            ],
        );
        let cases = [
            ("the URL", format!("cannot POST {url}"), "cannot POST ***"),
            (
                "the path",
                "no route services/T0123/XyZ98765".to_owned(),
                "no route ***",
            ),
            (
                "a part of it",
                "unknown hook XyZ98765".to_owned(),
                "unknown hook ***",
            ),
            (
                "short parts of it",
                "T0123 of user is not known since 2024".to_owned(),
                "T0123 of user is not known since 2024",
            ),
            (
                "a parameter",
                "bad key `c4nary77`".to_owned(),
                "bad key `***`",
            ),
            (
                "the password, decoded",
                "pa$$word is wrong".to_owned(),
                "*** is wrong",
            ),
            (
                "a header",
                "got `Bearer tok_123456`".to_owned(),
                "got `***`",
            ),
            (
                "a token",
                "tok_123456 has expired".to_owned(),
                "*** has expired",
            ),
            (
                "a key",
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw?".to_owned(),
                "***?",
            ),
            (
                "nothing of them",
                "bearer of hooks.example.org".to_owned(),
                "bearer of hooks.example.org",
            ),
        ];
        for (label, text, expected) in cases {
            assert_eq!(redaction.apply(&text), expected, "{label}");
        }
    }

    #[test]
    fn what_is_secret_in_a_url_depends_on_the_part_and_its_length() {
        let cases = [
            ("https://h.example.org/redir", "a redirect", "a redirect"),
            ("https://h.example.org/1234567", "1234567", "1234567"),
            ("https://h.example.org/12345678", "12345678", "***"),
            ("https://h.example.org/?k=1234567", "1234567", "1234567"),
            ("https://h.example.org/?k=12345678", "12345678", "***"),
            ("https://userabc@h.example.org/", "userabc", "userabc"),
            ("https://userabcd@h.example.org/", "userabcd", "***"),
            ("https://u:p4ss@h.example.org/", "p4ss", "***"),
        ];
        for (url, text, expected) in cases {
            let redaction = Redaction::new(&Url::parse(url).unwrap(), []);
            assert_eq!(redaction.apply(text), expected, "{url}");
        }
    }
}
