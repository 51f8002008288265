//! Settings and environment put together.

use std::time::Duration;

use veracity_http::{Endpoint, HeaderMap, HeaderName, Hints, Options, header, secret_value};
use veracity_processor::{ConfigError, FieldError, ProcessorError, Secret};

use crate::environment::{self, Environment, Transport};
use crate::inputs::Names;
use crate::message::Messages;
use crate::receiver::{Http, Receiver};
use crate::settings::Settings;

const DEFAULT_ENDPOINT: &str = "api/v1/lineage";

/// What is sent, and where to.
#[derive(Debug)]
pub struct Route {
    /// What the events say.
    pub messages: Messages,
    /// Where they go.
    pub receivers: Vec<Receiver>,
    /// How long a run may wait for receivers.
    pub timeout: Duration,
}

impl Route {
    /// The way of events by `settings`, which go before `environment`; `None` if the
    /// environment switches it off.
    ///
    /// # Errors
    ///
    /// Permanent, if the environment makes no sense, or nobody says where events go.
    pub fn new(
        settings: &Settings,
        environment: Environment,
    ) -> Result<Option<Self>, ProcessorError> {
        if environment.disabled {
            return Ok(None);
        }
        let mut receivers = chosen(settings, &environment.http).map_err(refused)?;
        if receivers.is_empty() {
            for transport in &environment.transports {
                receivers.push(match transport {
                    Transport::Http(said) => {
                        let http = Origin::Environment.receiver(settings, said);
                        Receiver::Http(Box::new(http.map_err(refused)?))
                    }
                    Transport::File(path) => Receiver::File(path.clone()),
                    Transport::Console => Receiver::Console,
                });
            }
        }
        if receivers.is_empty() {
            return Err(ProcessorError::permanent(
                "nobody says where events go: set `url`, `path` or `console`, or the variable \
                 `OPENLINEAGE_URL`",
            ));
        }
        let namespace = settings.namespace.clone().or(environment.namespace);
        Ok(Some(Self {
            messages: Messages {
                namespace: namespace.unwrap_or_else(|| "veracity".to_owned()),
                parent: environment.parent,
                names: Names::new(settings),
                max_bytes: settings.max_bytes,
            },
            receivers,
            timeout: timeout(settings),
        }))
    }
}

fn refused(error: FieldError) -> ProcessorError {
    ProcessorError::permanent(error.to_string())
}

fn timeout(settings: &Settings) -> Duration {
    Duration::try_from_secs_f64(settings.timeout).unwrap_or_default()
}

/// Whether `settings` can be used, as far as that can be said without the environment.
pub fn check(settings: &Settings) -> Result<(), ConfigError> {
    let mut faults = Vec::new();
    if let Err(fault) = chosen(settings, &environment::Http::default()) {
        faults.push(fault);
    }
    if !(0.1..=60.0).contains(&settings.timeout) {
        faults.push(FieldError::new(
            "/timeout",
            "must be from 0.1 to 60 seconds",
        ));
    }
    if settings.max_bytes < 16 * 1024 {
        faults.push(FieldError::new("/max_bytes", "must be at least 16384"));
    }
    if settings.namespace.as_deref() == Some("") {
        faults.push(FieldError::new("/namespace", "must not be empty"));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(ConfigError(faults)),
    }
}

/// What `settings` choose by themselves. A key of the environment goes with the URL of the
/// settings only if the environment names no other.
fn chosen(settings: &Settings, said: &environment::Http) -> Result<Vec<Receiver>, FieldError> {
    let mut receivers = Vec::new();
    if let Some(url) = &settings.url {
        let mut http = environment::Http::default();
        if said.url.as_ref().is_none_or(|other| other == url) {
            http.clone_from(said);
        }
        http.url = Some(url.clone());
        receivers.push(Receiver::Http(Box::new(
            Origin::Settings.receiver(settings, &http)?,
        )));
    }
    receivers.extend(settings.path.clone().map(Receiver::File));
    receivers.extend(settings.console.then_some(Receiver::Console));
    Ok(receivers)
}

/// Who says the URL.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Settings,
    /// Whoever starts the program may send events into his own network.
    Environment,
}

impl Origin {
    /// The API that `said` leads to, with what `settings` say instead.
    fn receiver(self, settings: &Settings, said: &environment::Http) -> Result<Http, FieldError> {
        let named = |setting: &str, variable: &str| match self {
            Origin::Settings => format!("/{setting}"),
            Origin::Environment => format!("/{variable}"),
        };
        let field = named("url", "OPENLINEAGE_URL");
        let key = settings.api_key.as_ref().or(said.api_key.as_ref());
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        let fault = |field: &str, what: &str| {
            FieldError::new(field, format!("{what} must be printable ASCII on one line"))
        };
        for (name, value) in &said.headers {
            let header = name
                .parse::<HeaderName>()
                .ok()
                .zip(secret_value(value.expose()));
            let (name, sent) = header.ok_or_else(|| fault(&field, "the headers"))?;
            headers.insert(name, sent);
            secrets.push(value.clone());
        }
        if let Some(key) = key {
            let bearer = secret_value(&format!("Bearer {}", key.expose().trim()));
            let bearer = bearer.filter(|_| !key.expose().trim().is_empty());
            let field = named("api_key", "OPENLINEAGE_API_KEY");
            let bearer = bearer.ok_or_else(|| fault(&field, "the key"))?;
            headers.insert(header::AUTHORIZATION, bearer);
            secrets.push(Secret::new(key.expose().trim()));
        }
        let none = Secret::default();
        let options = Options {
            allow_private: settings.allow_private || self == Origin::Environment,
            ca_file: settings.tls_ca_file.clone(),
            secrets,
            field,
            hints: Hints {
                denied: Some("`api_key` may be wrong"),
                not_found: Some("`url` or `endpoint` may be wrong"),
                too_large: Some("`max_bytes` makes events smaller"),
            },
        };
        let endpoint = Endpoint::new(said.url.as_ref().unwrap_or(&none), options)?;
        let path = settings.endpoint.as_ref().or(said.endpoint.as_ref());
        let path = path.map_or(DEFAULT_ENDPOINT, String::as_str);
        let parts = path.split('/').filter(|part| !part.is_empty());
        let url = endpoint.at(parts).map_err(|error| {
            FieldError::new(named("endpoint", "OPENLINEAGE_ENDPOINT"), error.message())
        })?;
        Ok(Http {
            endpoint,
            url,
            headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    type Variables<'v> = [(&'v str, &'v str)];

    fn route(settings: Value, variables: &Variables<'_>) -> Result<Option<Route>, ProcessorError> {
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|&(name, text)| (name.into(), text.into()))
            .collect();
        Route::new(&settings, Environment::read(&variables).unwrap())
    }

    fn shown(receiver: &Receiver) -> String {
        match receiver {
            Receiver::Http(http) => {
                let key = http.headers.get(header::AUTHORIZATION);
                let key = key.map_or("-", |key| key.to_str().unwrap());
                format!("{} {key}", http.url)
            }
            other => other.to_string(),
        }
    }

    const URL: (&str, &str) = ("OPENLINEAGE_URL", "http://localhost:5000/ol");
    const KEY: (&str, &str) = ("OPENLINEAGE_API_KEY", "env");

    #[test]
    fn settings_go_before_the_environment() {
        let endpoint = ("OPENLINEAGE_ENDPOINT", "/api/x/");
        let cases: &[(&str, Value, &Variables<'_>, &str)] = &[
            (
                "the environment alone",
                json!({}),
                &[URL, KEY, endpoint],
                "http://localhost:5000/ol/api/x Bearer env",
            ),
            (
                "its endpoint by default",
                json!({}),
                &[URL],
                "http://localhost:5000/ol/api/v1/lineage -",
            ),
            (
                "a key of the settings",
                json!({"api_key": "own", "endpoint": "e"}),
                &[URL, KEY],
                "http://localhost:5000/ol/e Bearer own",
            ),
            (
                "a URL of the settings without a key",
                json!({"url": "https://a.org"}),
                &[URL, KEY],
                "https://a.org/api/v1/lineage -",
            ),
            (
                "the same URL",
                json!({"url": "http://localhost:5000/ol", "allow_private": true}),
                &[URL, KEY],
                "http://localhost:5000/ol/api/v1/lineage Bearer env",
            ),
            (
                "a key and no URL in the environment",
                json!({"url": "https://a.org"}),
                &[KEY],
                "https://a.org/api/v1/lineage Bearer env",
            ),
            (
                "a file alone",
                json!({"path": "/var/x"}),
                &[URL, KEY],
                "file /var/x",
            ),
            (
                "all at once",
                json!({"url": "https://a.org/", "path": "/var/x", "console": true}),
                &[],
                "https://a.org/api/v1/lineage -; file /var/x; console",
            ),
        ];
        for (label, settings, variables, expected) in cases {
            let route = route(settings.clone(), variables).unwrap().unwrap();
            let shown: Vec<String> = route.receivers.iter().map(shown).collect();
            assert_eq!(shown.join("; "), *expected, "{label}");
        }
    }

    #[test]
    fn nobody_or_nowhere_is_said() {
        assert!(
            route(
                json!({"path": "/var/x"}),
                &[("OPENLINEAGE_DISABLED", "true")]
            )
            .unwrap()
            .is_none()
        );
        let error = route(json!({}), &[]).unwrap_err();
        assert!(error.message().contains("`OPENLINEAGE_URL`"), "{error}");
        let error = route(json!({}), &[("OPENLINEAGE_URL", "c4nary")]).unwrap_err();
        assert_eq!(
            error.message(),
            "OPENLINEAGE_URL: is no URL: relative URL without a base"
        );
        let error = route(json!({}), &[URL, ("OPENLINEAGE_API_KEY", "c4nary\n\u{1}")]).unwrap_err();
        assert_eq!(
            error.message(),
            "OPENLINEAGE_API_KEY: the key must be printable ASCII on one line"
        );
    }

    #[test]
    fn namespaces_come_from_settings_environment_and_default() {
        let namespace = |settings: Value, variables: &Variables<'_>| {
            route(settings, variables)
                .unwrap()
                .unwrap()
                .messages
                .namespace
        };
        let variable = [("OPENLINEAGE_NAMESPACE", "env")];
        assert_eq!(namespace(json!({"console": true}), &[]), "veracity");
        assert_eq!(namespace(json!({"console": true}), &variable), "env");
        assert_eq!(
            namespace(json!({"console": true, "namespace": "own"}), &variable),
            "own"
        );
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_without_being_quoted() {
        let cases = [
            (
                json!({"url": "c4nary"}),
                "url: is no URL: relative URL without a base",
            ),
            (
                json!({"url": "http://127.0.0.1/c4nary"}),
                "url: `127.0.0.1` is 127.0.0.1, a loopback \
                address; `allow_private: true` permits it",
            ),
            (
                json!({"url": "https://a.org", "api_key": "c4n\u{1}ary"}),
                "api_key: the key must be printable ASCII on one line",
            ),
            (
                json!({"url": "https://a.org", "endpoint": "a/../b"}),
                "endpoint: `..` cannot be a part of a path",
            ),
            (
                json!({"timeout": 0.0, "max_bytes": 1, "namespace": ""}),
                "timeout: must be from 0.1 to 60 seconds; max_bytes: must be at least 16384; \
                 namespace: must not be empty",
            ),
            (
                json!({"timeout": -1.0}),
                "timeout: must be from 0.1 to 60 seconds",
            ),
        ];
        for (settings, expected) in cases {
            let settings: Settings = serde_json::from_value(settings).unwrap();
            assert_eq!(check(&settings).unwrap_err().to_string(), expected);
        }
    }
}
