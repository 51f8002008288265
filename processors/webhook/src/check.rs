//! From settings to what a delivery needs; everything that is wrong is found at once.

use std::collections::BTreeMap;

use veracity_http::{Endpoint, HeaderMap, HeaderName, HeaderValue, Hints, Options, secret_value};
use veracity_processor::{ConfigError, FieldError, Secret};

use crate::format::Content;
use crate::settings::{Expect, Format, Method, Secrets, Settings};
use crate::signature::Key;
use crate::template::Template;

/// The least a body may be permitted to have; every summary fits.
const LEAST_BYTES: usize = 4096;

/// Headers that the request itself needs, or that would change how it is read.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const HINTS: Hints = Hints {
    denied: Some("the credentials in `url` or `headers` may be wrong"),
    not_found: Some("`url` or `method` may be wrong"),
    too_large: Some("`max_bytes` may be smaller"),
};

/// Settings that were checked.
pub(crate) struct Checked {
    pub endpoint: Endpoint,
    pub method: Method,
    pub headers: HeaderMap,
    pub content: Content,
    pub keys: Vec<Key>,
    pub max_bytes: usize,
    pub expect: Option<Expect>,
}

impl Checked {
    /// Checks `settings`, looking nothing up.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them; no secret is quoted.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let secrets = listed(settings.secret);
        let hidden = settings.headers.values();
        let options = Options {
            allow_private: settings.allow_private,
            ca_file: settings.tls_ca_file,
            secrets: hidden
                .chain(secrets.iter().map(|(_, secret)| secret))
                .cloned()
                .collect(),
            hints: HINTS,
            ..Options::default()
        };
        let endpoint = collect(&mut faults, Endpoint::new(&settings.url, options));
        let headers = check_headers(&settings.headers, &mut faults);
        let keys = check_keys(&secrets, &mut faults);
        let content = collect(
            &mut faults,
            check_content(settings.format, settings.template, settings.content_type),
        );
        if settings.max_bytes < LEAST_BYTES {
            let message = format!("must be at least {LEAST_BYTES}");
            faults.push(FieldError::new("/max_bytes", message));
        }
        let (Some(endpoint), Some(content), true) = (endpoint, content, faults.is_empty()) else {
            return Err(ConfigError(faults));
        };
        Ok(Self {
            endpoint,
            method: settings.method,
            headers,
            content,
            keys,
            max_bytes: settings.max_bytes,
            expect: settings.expect,
        })
    }
}

fn collect<T>(faults: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> Option<T> {
    checked.map_err(|fault| faults.push(fault)).ok()
}

fn check_headers(headers: &BTreeMap<String, Secret>, faults: &mut Vec<FieldError>) -> HeaderMap {
    let mut checked = HeaderMap::new();
    for (name, value) in headers {
        match check_header(name, value) {
            Ok((name, value)) => drop(checked.append(name, value)),
            Err(message) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                faults.push(FieldError::new(format!("/headers/{name}"), message));
            }
        }
    }
    checked
}

fn check_header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), String> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header".to_owned())?;
    if name == "content-type" {
        return Err("is said by `format` or `content_type`".to_owned());
    }
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
        return Err("is set by veracity".to_owned());
    }
    let value = secret_value(value.expose())
        .ok_or_else(|| "its value must be printable ASCII on one line".to_owned())?;
    Ok((name, value))
}

/// The secrets, each with its place.
fn listed(secrets: Option<Secrets>) -> Vec<(String, Secret)> {
    match secrets {
        None => Vec::new(),
        Some(Secrets::One(secret)) => vec![("/secret".to_owned(), secret)],
        Some(Secrets::Several(secrets)) => {
            let placed = secrets.into_iter().enumerate();
            placed
                .map(|(place, secret)| (format!("/secret/{place}"), secret))
                .collect()
        }
    }
}

fn check_keys(secrets: &[(String, Secret)], faults: &mut Vec<FieldError>) -> Vec<Key> {
    let mut keys = Vec::new();
    for (path, secret) in secrets {
        match Key::new(secret) {
            Ok(key) => keys.push(key),
            Err(message) => faults.push(FieldError::new(path, message)),
        }
    }
    keys
}

fn check_content(
    format: Format,
    template: Option<String>,
    content_type: Option<String>,
) -> Result<Content, FieldError> {
    let Some(source) = template else {
        return match content_type {
            Some(_) => Err(FieldError::new("/content_type", "needs a `template`")),
            None => Ok(Content::Format(format)),
        };
    };
    if format != Format::Report {
        return Err(FieldError::new(
            "/template",
            "replaces `format`: only one can be set",
        ));
    }
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    if HeaderValue::from_str(&content_type).is_err() || !content_type.contains('/') {
        return Err(FieldError::new(
            "/content_type",
            "is no content type, such as `text/plain`",
        ));
    }
    let template = Template::new(&source, content_type);
    template
        .map(|template| Content::Template(Box::new(template)))
        .map_err(|message| FieldError::new("/template", message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn errors(config: Value) -> String {
        let settings: Settings = serde_json::from_value(config).unwrap();
        match Checked::new(settings) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn everything_wrong_with_the_settings_is_said_at_once_without_a_secret() {
        let found = errors(json!({
            "url": "ftp://user:c4nary@hooks.example.org/c4nary",
            "headers": {
                "Host": "c4nary",
                "Webhook-Id": "c4nary",
                "content-type": "text/plain",
                "X Y/Z": "c4nary",
                "X-Token": "c4nary\r\nX-Other: 1",
            },
            "secret": ["whsec_c4nary", "c4nary"],
            "format": "standard",
            "template": "{}",
            "max_bytes": 10,
        }));
        insta::assert_snapshot!(found.replace("; ", "\n"), @r#"
        url: must begin with `https://` or `http://`
        headers.Host: is set by veracity
        headers.Webhook-Id: is set by veracity
        headers.X Y/Z: is no name of a header
        headers.X-Token: its value must be printable ASCII on one line
        headers.content-type: is said by `format` or `content_type`
        secret[0]: must be base64 after `whsec_`
        secret[1]: must begin with `whsec_`
        template: replaces `format`: only one can be set
        max_bytes: must be at least 4096
        "#);
    }

    #[test]
    fn urls_are_checked_without_looking_anything_up() {
        let cases = [
            ("public", json!({"url": "https://hooks.example.org/x"}), ""),
            (
                "no URL",
                json!({"url": "c4nary"}),
                "url: is no URL: relative URL without a base",
            ),
            (
                "no host",
                json!({"url": "https://"}),
                "url: is no URL: empty host",
            ),
            (
                "a file",
                json!({"url": "file:///etc/passwd"}),
                "url: must begin with `https://` or `http://`",
            ),
            (
                "private",
                json!({"url": "http://169.254.169.254/x"}),
                "url: `169.254.169.254` is 169.254.169.254, a link-local address; `allow_private: true` permits it",
            ),
            (
                "permitted",
                json!({"url": "http://[::1]:8080/", "allow_private": true}),
                "",
            ),
            (
                "content type alone",
                json!({"url": "https://a.org", "content_type": "text/plain"}),
                "content_type: needs a `template`",
            ),
        ];
        for (label, config, expected) in cases {
            assert_eq!(errors(config), expected, "{label}");
        }
    }
}
