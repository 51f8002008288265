//! The settings, and what they come to once they are checked.

use std::path::PathBuf;

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{ConfigError, FieldError, Secret, Severity, is_deceptive};

use crate::Email;
use crate::recipients::{Recipient, Recipients, Wanted};
use crate::server::Server;
use crate::template::Templates;

/// So many can be remembered between attempts.
pub(crate) const MAX_RECIPIENTS: usize = 400;

/// Settings of the `email` processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The SMTP server: `smtps://user:password@host:465` for TLS from the start,
    /// `smtp://user:password@host:587` for STARTTLS, which is then required. `?tls=none`
    /// sends everything in the clear, the password too. Special characters in user and
    /// password are percent-encoded.
    smtp: Secret,
    /// The sender: `dq@example.org` or `Data quality <dq@example.org>`. Bounces go there.
    from: String,
    /// Who gets the mail; at least one.
    #[schemars(length(min = 1))]
    to: Vec<To>,
    /// Where answers go, if not to the sender.
    reply_to: Option<String>,
    /// Template of the subject. Default: `[{{ state }}] {{ suite }}: {{ counts }}`.
    subject: Option<String>,
    /// Template of the text part, instead of the built-in one.
    text_template: Option<String>,
    /// Template of the HTML part, instead of the built-in one. Values are escaped.
    html_template: Option<String>,
    /// A PEM file of certificate authorities to trust beside those of the system.
    #[schemars(extend("format" = "path"))]
    tls_ca_file: Option<PathBuf>,
    /// The name by which the server is greeted. Default: that of this host.
    hello: Option<String>,
    /// How many results that did not pass are listed at most, the most severe first.
    #[serde(default = "default_max_results")]
    #[schemars(range(min = 1, max = 1000))]
    max_results: usize,
    /// The domain in message identifiers. Default: that of `from`.
    message_domain: Option<String>,
}

fn default_max_results() -> usize {
    50
}

/// A recipient.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a mailbox, or an object with `address`"
)]
enum To {
    /// A mailbox that gets every mail: `ops@example.org`, `Ops <ops@example.org>`.
    Everything(String),
    /// A mailbox that gets a mail only if one of its own results did not pass, with
    /// these results alone.
    Some(ToSome),
}

/// A recipient of some results.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToSome {
    /// The mailbox.
    address: String,
    /// Only results of these severities. Default: all.
    #[serde(default)]
    severities: Vec<Severity>,
    /// Only results of these checks. Default: all.
    #[serde(default)]
    checks: Vec<String>,
    /// Only results with one of these tags (`owner:alice`). Default: all.
    #[serde(default)]
    tags: Vec<String>,
}

impl Settings {
    /// The processor, or everything that is wrong.
    pub(crate) fn check(self) -> Result<Email, ConfigError> {
        let mut faults = Faults(Vec::new());
        if self.hello.as_deref().is_some_and(|name| !is_domain(name)) {
            faults.add("/hello", "is no host name");
        }
        let server = Server::parse(&self.smtp, self.tls_ca_file, self.hello);
        let server = faults.take(server);
        let from = faults.mailbox("/from", &self.from);
        let reply_to = self.reply_to.as_deref();
        let reply_to = reply_to.and_then(|text| faults.mailbox("/reply_to", text));
        if self.to.is_empty() {
            faults.add("/to", "is empty; name at least one recipient");
        }
        if self.to.len() > MAX_RECIPIENTS {
            faults.add(
                "/to",
                format!("has more than {MAX_RECIPIENTS} recipients; use a mailing list"),
            );
        }
        let mut recipients = Recipients::default();
        for (index, to) in self.to.into_iter().enumerate() {
            let (path, text, wanted) = match to {
                To::Everything(text) => (format!("/to/{index}"), text, None),
                To::Some(some) => {
                    let wanted = Wanted {
                        severities: some.severities,
                        checks: some.checks,
                        tags: some.tags,
                    };
                    (format!("/to/{index}/address"), some.address, Some(wanted))
                }
            };
            if let Some(mailbox) = faults.mailbox(&path, &text) {
                recipients.add(Recipient::new(mailbox, wanted));
            }
        }
        if !(1..=1000).contains(&self.max_results) {
            faults.add("/max_results", "must be between 1 and 1000");
        }
        let domain = match (&self.message_domain, &from) {
            (Some(domain), _) => domain.clone(),
            (None, Some(from)) => from.email.domain().to_owned(),
            (None, None) => String::new(),
        };
        if self.message_domain.is_some() && !is_domain(&domain) {
            faults.add("/message_domain", "is no domain name");
        }
        let templates = Templates::new(self.subject, self.text_template, self.html_template);
        let templates = faults.take(templates);
        match (server, from, templates) {
            (Some(server), Some(from), Some(templates)) if faults.0.is_empty() => Ok(Email {
                server,
                from,
                reply_to,
                recipients,
                templates,
                max_results: self.max_results,
                domain,
            }),
            _ => Err(ConfigError(faults.0)),
        }
    }
}

/// What is wrong with the settings.
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(path, message));
    }

    fn take<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.0.extend(error.0)).ok()
    }

    /// A mailbox that lettre can write: it panics on line breaks in a name.
    fn mailbox(&mut self, path: &str, text: &str) -> Option<Mailbox> {
        if text.chars().any(is_deceptive) {
            self.add(path, "has control or invisible characters");
            return None;
        }
        let mailbox: Mailbox = match text.parse() {
            Ok(mailbox) => mailbox,
            Err(_) => {
                self.add(
                    path,
                    format!("`{text}` is no mailbox, expected `name@example.org` or `Name <name@example.org>`"),
                );
                return None;
            }
        };
        let address: &str = mailbox.email.as_ref();
        if !address.is_ascii() || address.len() > 254 {
            self.add(
                path,
                "must be an ASCII address of at most 254 characters; write the domain as `xn--..`",
            );
            return None;
        }
        if mailbox.name.as_ref().is_some_and(|name| name.len() > 200) {
            self.add(path, "has a name of more than 200 bytes");
            return None;
        }
        Some(mailbox)
    }
}

/// Whether `text` can stand for a host in a header or a greeting.
pub(crate) fn is_domain(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.len() <= 253 && text.chars().all(legal)
}
