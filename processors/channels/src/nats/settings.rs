//! What can be set, checked without a look at the server.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use veracity_processor::{ConfigError, FieldError, ProcessorError, Secret};

/// The most bytes of a subject.
const LONGEST_SUBJECT: usize = 1000;

/// Settings of the channel `nats`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsSettings {
    /// The server: `nats://host` or, with TLS in any case, `tls://host`; user and password,
    /// or a token, may stand before the host. The port is 4222 if there is none.
    pub url: Secret,
    /// The subject that messages are published on.
    pub subject: String,
    /// A token to log in with.
    #[serde(default)]
    pub token: Option<Secret>,
    /// File of credentials (`.creds`) to log in with.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub credentials: Option<PathBuf>,
    /// Whether a stream of JetStream must have stored a message before it counts as
    /// published.
    #[serde(default)]
    pub jetstream: bool,
    /// File with certificates (PEM) of the authorities that are trusted instead of those
    /// of the system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
}

/// Where messages go.
pub(super) struct Target {
    /// The URL without user and password.
    pub address: String,
    /// How people are told which server it is.
    pub place: String,
    pub login: Login,
    pub subject: String,
    pub jetstream: bool,
    pub ca_file: Option<PathBuf>,
    /// What must not be seen in a message.
    secrets: Vec<String>,
}

/// How to log in.
pub(super) enum Login {
    None,
    Password(String, Secret),
    Token(Secret),
    Credentials(PathBuf),
}

impl NatsSettings {
    /// Everything that is wrong, or where messages go.
    pub(super) fn check(self) -> Result<Target, ConfigError> {
        let mut faults = Vec::new();
        let server = match server(self.url.expose().trim()) {
            Ok(server) => Some(server),
            Err(message) => {
                faults.push(FieldError::new("/url", message));
                None
            }
        };
        if let Err(message) = check_subject(&self.subject) {
            faults.push(FieldError::new("/subject", message));
        }
        let in_url = server
            .as_ref()
            .is_some_and(|(_, login)| !matches!(login, Login::None));
        let mut ways = vec![("/url", in_url)];
        ways.push(("/token", self.token.is_some()));
        ways.push(("/credentials", self.credentials.is_some()));
        for (path, _) in ways.iter().filter(|(_, used)| *used).skip(1) {
            faults.push(FieldError::new(
                *path,
                "there is another way to log in already; only one can be set",
            ));
        }
        if self
            .token
            .as_ref()
            .is_some_and(|token| token.expose().is_empty())
        {
            faults.push(FieldError::new("/token", "is empty"));
        }
        let (Some((url, login)), true) = (server, faults.is_empty()) else {
            return Err(ConfigError(faults));
        };
        let login = match (self.token, self.credentials) {
            (Some(token), _) => Login::Token(token),
            (_, Some(path)) => Login::Credentials(path),
            _ => login,
        };
        let mut secrets = Vec::new();
        let written = Url::parse(self.url.expose().trim()).ok();
        secrets.extend(
            written
                .iter()
                .filter_map(|url| url.password().map(str::to_owned)),
        );
        match &login {
            Login::Password(_, password) => secrets.push(password.expose().to_owned()),
            Login::Token(token) => {
                secrets.push(token.expose().to_owned());
                secrets.extend(written.map(|url| url.username().to_owned()));
            }
            Login::None | Login::Credentials(_) => {}
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let host = url.host_str().unwrap_or_default();
        Ok(Target {
            place: format!("{host}:{}", url.port().unwrap_or(4222)),
            address: url.to_string(),
            login,
            subject: self.subject,
            jetstream: self.jetstream,
            ca_file: self.tls_ca_file,
            secrets,
        })
    }
}

impl Target {
    /// `error` with the server before its message, and without secrets.
    pub fn named(&self, error: ProcessorError) -> ProcessorError {
        let mut message = error.message().to_owned();
        for secret in &self.secrets {
            message = message.replace(secret, "***");
        }
        let clean = if error.is_retryable() {
            ProcessorError::retryable(message)
        } else {
            ProcessorError::permanent(message)
        };
        clean.context(format!("`{}`", self.place))
    }
}

/// The URL of a server without user and password, and what these are.
fn server(text: &str) -> Result<(Url, Login), String> {
    const FORMS: &str = "a server is written `nats://host` or `tls://host`";
    let mut url = Url::parse(text).map_err(|error| format!("is no URL: {error}; {FORMS}"))?;
    if !matches!(url.scheme(), "nats" | "tls") {
        return Err(format!("must begin with `nats://` or `tls://`; {FORMS}"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("the host is missing; {FORMS}"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("nothing can follow the host and the port; {FORMS}"));
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let login = match url.password() {
        Some(password) => Login::Password(user, decoded(password).into()),
        None if user.is_empty() => Login::None,
        None => Login::Token(user.into()),
    };
    let without = url.set_username("").and_then(|()| url.set_password(None));
    without.map_err(|()| format!("the host is missing; {FORMS}"))?;
    Ok((url, login))
}

fn check_subject(subject: &str) -> Result<(), String> {
    if subject.is_empty() {
        return Err("is empty".to_owned());
    }
    if subject.len() > LONGEST_SUBJECT {
        let length = subject.len();
        return Err(format!(
            "takes {length} bytes, there is room for {LONGEST_SUBJECT}"
        ));
    }
    if let Some(c) = subject
        .chars()
        .find(|c| c.is_whitespace() || c.is_control())
    {
        return Err(format!("cannot hold `{}`", c.escape_default()));
    }
    if subject.split('.').any(str::is_empty) {
        return Err("has an empty part: dots stand between parts".to_owned());
    }
    if subject.split('.').any(|part| matches!(part, "*" | ">")) {
        return Err("a message goes to one subject: `*` and `>` are for who listens".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, subject: &str) -> NatsSettings {
        NatsSettings {
            url: url.into(),
            subject: subject.to_owned(),
            token: None,
            credentials: None,
            jetstream: false,
            tls_ca_file: None,
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_no_password() {
        let mut several = settings("nats://u:c4nary@h", "a");
        several.token = Some("c4nary".into());
        several.credentials = Some("user.creds".into());
        let long = "x".repeat(1001);
        let cases = [
            (settings("nats://h", "dq.messages"), ""),
            (settings("tls://u:c4nary@h:4443/", "$a.b-c_d/é"), ""),
            (
                settings("c4nary", ""),
                "url: is no URL: relative URL without a base; a server is written \
                 `nats://host` or `tls://host`; subject: is empty",
            ),
            (
                settings("http://c4nary@h", "a b"),
                "url: must begin with `nats://` or `tls://`; a server is written `nats://host` \
                 or `tls://host`; subject: cannot hold ` `",
            ),
            (
                settings("nats://c4nary@h/c4nary", "a\r\nPUB b"),
                "url: nothing can follow the host and the port; a server is written \
                 `nats://host` or `tls://host`; subject: cannot hold `\\r`",
            ),
            (
                settings("nats:h", "a..b"),
                "url: the host is missing; a server is written `nats://host` or `tls://host`; \
                 subject: has an empty part: dots stand between parts",
            ),
            (
                settings("nats://h", "a.>"),
                "subject: a message goes to one subject: `*` and `>` are for who listens",
            ),
            (
                settings("nats://h", &long),
                "subject: takes 1001 bytes, there is room for 1000",
            ),
            (
                several,
                "token: there is another way to log in already; only one can be set; \
                 credentials: there is another way to log in already; only one can be set",
            ),
        ];
        for (settings, expected) in cases {
            let said = format!("{settings:?}");
            let error = settings.check().err();
            let error = error.map_or(String::new(), |error| error.to_string());
            assert_eq!(error, expected);
            assert!(
                !said.contains("c4nary") && !error.contains("c4nary"),
                "{said} {error}"
            );
        }
    }

    #[test]
    fn the_login_leaves_the_url() {
        let target = settings("nats://me:p%40ss@h", "a").check().unwrap();
        assert_eq!((&*target.address, &*target.place), ("nats://h", "h:4222"));
        assert!(matches!(&target.login, Login::Password(user, word)
            if user == "me" && word.expose() == "p@ss"));
        let error = target.named(ProcessorError::retryable("p@ss p%40ss"));
        assert_eq!(error, ProcessorError::retryable("`h:4222`: *** ***"));

        let target = settings("tls://t0ken@h:1", "a").check().unwrap();
        assert_eq!((&*target.address, &*target.place), ("tls://h:1", "h:1"));
        assert!(matches!(&target.login, Login::Token(token) if token.expose() == "t0ken"));
        let error = target.named(ProcessorError::permanent("t0ken"));
        assert_eq!(error, ProcessorError::permanent("`h:1`: ***"));
    }
}
