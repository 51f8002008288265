//! Which server takes the mail, and how it is spoken to.

use std::fmt;
use std::path::PathBuf;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use url::{Host, Url};
use veracity_processor::{ConfigError, Secret};

use crate::settings::is_domain;

/// An SMTP server.
pub(crate) struct Server {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) login: Option<Login>,
    /// Certificate authorities that are trusted beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) hello: ClientId,
}

/// When a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// From its first byte.
    Implicit,
    /// By STARTTLS, before anything else is said; without it there is no mail.
    Required,
    /// Never.
    None,
}

/// A user and a password.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

impl Login {
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(self.user.clone(), self.password.expose().to_owned())
    }

    /// The password as it is, and as it is sent.
    fn secrets(&self) -> impl Iterator<Item = String> {
        let sent = [
            (Mechanism::Plain, None),
            (Mechanism::Login, Some("Password".to_owned())),
        ]
        .into_iter()
        .filter_map(|(mechanism, asked)| {
            let auth = Auth::new(mechanism, self.credentials(), asked)
                .ok()?
                .to_string();
            auth.split_whitespace().last().map(str::to_owned)
        });
        [self.password.expose().to_owned()].into_iter().chain(sent)
    }
}

impl Server {
    /// Reads the URL `smtp`; what is wrong is said without citing it. `hello` is a name.
    pub(crate) fn parse(
        smtp: &Secret,
        ca_file: Option<PathBuf>,
        hello: Option<String>,
    ) -> Result<Self, ConfigError> {
        let wrong = |message: &str| ConfigError::field("/smtp", message);
        let url = Url::parse(smtp.expose()).map_err(|_| {
            wrong(
                "is no URL, expected `smtps://user:password@host:465` or \
                 `smtp://user:password@host:587`, special characters percent-encoded",
            )
        })?;
        let tls = tls(&url).map_err(wrong)?;
        let host = match url.host() {
            Some(Host::Domain(name)) if is_domain(name) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("names no host")),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong(
                "has a path; a `/`, `?` or `#` in a password is percent-encoded",
            ));
        }
        let port = match (url.port(), tls) {
            (Some(0), _) => return Err(wrong("has port 0")),
            (Some(port), _) => port,
            (None, Tls::Implicit) => 465,
            (None, Tls::Required) => 587,
            (None, Tls::None) => 25,
        };
        let hello = hello.map_or_else(own_name, ClientId::Domain);
        Ok(Self {
            host,
            port,
            tls,
            login: login(&url).map_err(wrong)?,
            ca_file,
            hello,
        })
    }

    /// `text` without the password, which a server may repeat in its replies.
    pub(crate) fn conceal(&self, text: &str) -> String {
        let secrets = self.login.iter().flat_map(Login::secrets);
        secrets
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(&secret, "***"))
    }
}

fn tls(url: &Url) -> Result<Tls, &'static str> {
    let implicit = match url.scheme() {
        "smtps" => true,
        "smtp" => false,
        _ => return Err("has another scheme than `smtps` and `smtp`"),
    };
    let mut tls = if implicit {
        Tls::Implicit
    } else {
        Tls::Required
    };
    for (name, value) in url.query_pairs() {
        tls = match (&*name, &*value) {
            ("tls", "implicit") => Tls::Implicit,
            ("tls", "required") if !implicit => Tls::Required,
            ("tls", "none") if !implicit => Tls::None,
            ("tls", "required" | "none") => {
                return Err("asks for TLS by `smtps` and for something else by `tls=`");
            }
            ("tls", _) => return Err("has an unknown `tls=`, expected required, implicit or none"),
            _ => return Err("has an unknown parameter, expected only `tls=`"),
        };
    }
    Ok(tls)
}

fn login(url: &Url) -> Result<Option<Login>, &'static str> {
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        let decoded = decoded.map_err(|_| "has a user or password that is not UTF-8")?;
        // NUL separates user and password on the wire.
        if decoded.contains('\0') {
            return Err("has a user or password with a NUL character");
        }
        Ok(decoded.into_owned())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err("has a password but no user"),
        (_, None) => Err("has a user but no password"),
        (user, Some(password)) => Ok(Some(Login {
            user: decode(user)?,
            password: decode(password)?.into(),
        })),
    }
}

/// The name of this host, if it has one that can be said.
fn own_name() -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if !is_domain(&name) => ClientId::Ipv4([127, 0, 0, 1].into()),
        id => id,
    }
}

impl fmt::Display for Server {
    /// `mail.example.org:465`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<String, String> {
        let server =
            Server::parse(&url.into(), None, Some("here".to_owned())).map_err(|e| e.to_string())?;
        let login = server.login.as_ref();
        let login = login.map(|login| format!(" {} {}", login.user, login.password.expose()));
        let login = login.unwrap_or_default();
        Ok(format!("{server} {:?}{login}", server.tls))
    }

    #[test]
    fn a_url_says_host_port_encryption_and_login() {
        let cases = [
            ("smtps://mail.example.org", "mail.example.org:465 Implicit"),
            ("smtp://mail.example.org", "mail.example.org:587 Required"),
            (
                "smtp://mail.example.org?tls=required",
                "mail.example.org:587 Required",
            ),
            (
                "smtp://mail.example.org/?tls=implicit",
                "mail.example.org:465 Implicit",
            ),
            ("smtp://127.0.0.1?tls=none", "127.0.0.1:25 None"),
            ("smtp://[::1]:2525?tls=none", "[::1]:2525 None"),
            (
                "smtps://dq%40example.org:p%2Fw%3A%C3%A4%20@mail:2465",
                "mail:2465 Implicit dq@example.org p/w:ä ",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(parse(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_citing_it() {
        let cases = [
            ("mail.example.org", "is no URL"),
            ("https://u:hunter2@mail", "another scheme"),
            (
                "smtps://u:hunter2@mail?tls=none",
                "something else by `tls=`",
            ),
            ("smtp://u:hunter2@mail?tls=maybe", "unknown `tls=`"),
            ("smtp://u:hunter2@mail?timeout=3", "unknown parameter"),
            ("smtp://u:hunter2@mail/x", "has a path"),
            ("smtp://u@mail", "a user but no password"),
            ("smtp://:hunter2@mail", "a password but no user"),
            ("smtp://u:hunter2%00@mail", "NUL"),
            ("smtp://u:hunter2%ff@mail", "not UTF-8"),
            ("smtp://u:hunter2@", "is no URL"),
            ("smtp:mail", "names no host"),
            ("smtp://a%0d%0ab", "names no host"),
        ];
        for (url, expected) in cases {
            let error = parse(url).unwrap_err();
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }
}
