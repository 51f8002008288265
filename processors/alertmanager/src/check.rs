//! From settings to what a delivery needs; everything that is wrong is found at once.

use std::collections::BTreeMap;
use std::time::Duration;

use veracity_http::{Endpoint, HeaderValue, Hints, Link, Options, Url, secret_value};
use veracity_processor::{ConfigError, FieldError, Secret};

use crate::alert::{Form, RESERVED, is_label_name};
use crate::settings::Settings;

/// The most Alertmanagers.
const MOST_URLS: usize = 32;

/// The most alerts of their own that can be asked for.
const MOST_ALERTS: usize = 1000;

/// How long an alert may fire without being repeated.
const EXPIRES_AFTER: (Duration, Duration) = (
    Duration::from_secs(60),
    Duration::from_secs(366 * 24 * 60 * 60),
);

const HINTS: Hints = Hints {
    denied: Some("`username` and `password`, or `bearer_token`, may be wrong"),
    not_found: Some(
        "the URL may lack the path that Alertmanager is served under, or be that of something \
         else",
    ),
    too_large: Some("`max_alerts` may be smaller"),
};

/// Settings that were checked.
pub(crate) struct Checked {
    /// Every Alertmanager.
    pub endpoints: Vec<Endpoint>,
    pub token: Option<HeaderValue>,
    pub form: Form,
    pub expires_after: Duration,
    pub max_alerts: usize,
}

impl Checked {
    /// Checks `settings`, looking nothing up.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them; no secret is quoted.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let token = token(&settings, &mut faults);
        let endpoints = endpoints(&settings, &mut faults);
        check_labels(&settings.labels, &mut faults);
        let expires_after = expires_after(&settings.expires_after);
        let expires_after = expires_after.map_err(|fault| faults.push(fault));
        if !(1..=MOST_ALERTS).contains(&settings.max_alerts) {
            let message = format!("must be 1 to {MOST_ALERTS}");
            faults.push(FieldError::new("/max_alerts", message));
        }
        let link = settings.link.map(|link| Link::new(&link, "/link"));
        let link = link.transpose().map_err(|fault| faults.push(fault));
        match (expires_after, link) {
            (Ok(expires_after), Ok(link)) if faults.is_empty() => Ok(Self {
                endpoints,
                token,
                form: Form {
                    labels: settings.labels,
                    severities: settings.severity_map,
                    link,
                },
                expires_after,
                max_alerts: settings.max_alerts,
            }),
            _ => Err(ConfigError(faults)),
        }
    }
}

fn token(settings: &Settings, faults: &mut Vec<FieldError>) -> Option<HeaderValue> {
    let mut fault = |field: &str, message: &str| faults.push(FieldError::new(field, message));
    match (&settings.username, &settings.password) {
        (Some(_), None) => fault("/username", "needs a `password`"),
        (None, Some(_)) => fault("/password", "needs a `username`"),
        _ => {}
    }
    let token = settings.bearer_token.as_ref()?;
    if settings.username.is_some() {
        fault("/bearer_token", "and `username` exclude each other");
    }
    let value = secret_value(&format!("Bearer {}", token.expose()));
    if value.is_none() || token.expose().is_empty() {
        fault("/bearer_token", "must be printable ASCII on one line");
    }
    value
}

fn endpoints(settings: &Settings, faults: &mut Vec<FieldError>) -> Vec<Endpoint> {
    if !(1..=MOST_URLS).contains(&settings.urls.len()) {
        let message = format!("must name 1 to {MOST_URLS} Alertmanagers");
        faults.push(FieldError::new("/urls", message));
    }
    let hidden = [&settings.password, &settings.bearer_token];
    let hidden: Vec<Secret> = hidden.into_iter().flatten().cloned().collect();
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (place, url) in settings.urls.iter().enumerate() {
        let field = format!("/urls/{place}");
        let options = Options {
            allow_private: settings.allow_private,
            ca_file: settings.tls_ca_file.clone(),
            secrets: hidden.clone(),
            field: field.clone(),
            hints: HINTS,
        };
        let endpoint = with_credentials(url, settings, &field)
            .and_then(|url| Endpoint::new(&url, options))
            .and_then(|endpoint| check_path(endpoint, &field));
        match endpoint {
            Ok(endpoint) if endpoints.iter().any(|other| other.url() == endpoint.url()) => {
                faults.push(FieldError::new(field, "stands there twice"));
            }
            Ok(endpoint) => endpoints.push(endpoint),
            Err(fault) => faults.push(fault),
        }
    }
    endpoints
}

/// `url` with the user of the settings in it.
fn with_credentials(url: &Secret, settings: &Settings, field: &str) -> Result<Secret, FieldError> {
    let (Some(user), Some(password), Ok(mut parsed)) = (
        &settings.username,
        &settings.password,
        Url::parse(url.expose().trim()),
    ) else {
        return Ok(url.clone());
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        let message = "holds a user, and so does `username`; leave out one of them";
        return Err(FieldError::new(field, message));
    }
    // Only a URL without a host takes none, and that one is refused as such.
    let _ = parsed.set_username(user);
    let _ = parsed.set_password(Some(password.expose()));
    Ok(Secret::new(parsed.as_str()))
}

fn check_path(endpoint: Endpoint, field: &str) -> Result<Endpoint, FieldError> {
    if endpoint.url().path().contains("/api/v") {
        let message = "must be the address of Alertmanager itself, without `/api/..`";
        return Err(FieldError::new(field, message));
    }
    Ok(endpoint)
}

fn check_labels(labels: &BTreeMap<String, String>, faults: &mut Vec<FieldError>) {
    for name in labels.keys() {
        let message = if !is_label_name(name) {
            "is no name of a label: letters, digits and `_`, and no digit first"
        } else if RESERVED.contains(&name.as_str()) {
            "is set by veracity"
        } else {
            continue;
        };
        let name = name.replace('~', "~0").replace('/', "~1");
        faults.push(FieldError::new(format!("/labels/{name}"), message));
    }
}

fn expires_after(text: &str) -> Result<Duration, FieldError> {
    let fault = |message: String| FieldError::new("/expires_after", message);
    let time = humantime::parse_duration(text)
        .map_err(|error| fault(format!("is no time such as `26h` or `45m`: {error}")))?;
    let (least, most) = EXPIRES_AFTER;
    if !(least..=most).contains(&time) {
        return Err(fault("must be one minute to 366 days".to_owned()));
    }
    Ok(time)
}
