//! Mails the report of a run.
//!
//! One mail for each group of recipients who are to see the same results, in text and
//! HTML; all mails about one suite are one thread. See the README for the settings.

mod memory;
mod message;
mod offers;
mod recipients;
mod reply;
mod server;
mod session;
mod settings;
mod template;
mod tls;
mod view;

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use lettre::Address;
use lettre::message::Mailbox;
use veracity_processor::{
    Capability, ConfigError, Health, Message, Outcome, Plugin, ProcessContext, Processor,
    ProcessorError, Report, ResultProcessor, Stage, StartContext, register,
};

use crate::memory::Memory;
use crate::message::Headers;
use crate::recipients::Recipients;
use crate::server::{Server, Tls};
use crate::session::{Broken, Fate, Session};
pub use crate::settings::Settings;
use crate::template::{Templates, subject_line};
use crate::tls::Encryption;
use crate::view::View;

/// How long a health check may take; the host waits five seconds.
const HEALTH_LIMIT: Duration = Duration::from_millis(4_500);
/// Recipients of one transaction that every server takes (RFC 5321, 4.5.3.1.8).
const RECIPIENTS_AT_ONCE: usize = 100;

register!(
    Plugin::processor::<Email>("email", env!("CARGO_PKG_VERSION"))
        .description("Mails the report as text and HTML over SMTP")
        .author("the veracity authors")
        .capabilities(&[Capability::Messages])
        .stages(&[Stage::AfterRun, Stage::OnError, Stage::DeadLetter])
        .example(
            "email:
  smtp: smtps://dq%40example.org:${secret:SMTP_PASSWORD}@mail.example.org:465
  from: Data quality <dq@example.org>
  to:
    - ops@example.org
    - {address: oncall@example.org, severities: [P0]}
    - {address: alice@example.org, tags: ['owner:alice']}
  on: failure"
        )
);

/// Mails reports over SMTP.
pub struct Email {
    server: Server,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    recipients: Recipients,
    templates: Templates,
    max_results: usize,
    domain: String,
}

impl Processor for Email {
    type Config = Settings;

    fn build(config: Settings) -> Result<Self, ConfigError> {
        config.check()
    }
}

#[async_trait]
impl ResultProcessor for Email {
    /// Reads `tls_ca_file`, so that a wrong one is found before there is something to send.
    async fn startup(&self, _: &StartContext) -> Result<(), ProcessorError> {
        match self.server.ca_file {
            Some(_) => self.encryption().map(drop),
            None => Ok(()),
        }
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        self.mail(report, None, context).await
    }

    /// As a report whose results are the message's lines, under the message's title.
    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let title = Some(message.title.as_str());
        self.mail(&message.to_report(), title, context).await
    }

    /// Connects, encrypts, authenticates.
    async fn health(&self) -> Result<Health, ProcessorError> {
        let checked = async {
            let encryption = self.encryption()?;
            let deadline = Instant::now() + HEALTH_LIMIT;
            let mut session = Session::open(&self.server, encryption.as_ref(), deadline).await?;
            session.noop().await?;
            session.quit().await;
            Ok(())
        };
        let how = match self.server.tls {
            Tls::None => "not encrypted",
            Tls::Implicit => "TLS",
            Tls::Required => "STARTTLS",
        };
        Ok(match checked.await {
            Ok(()) => Health::healthy().with_detail(format!("{}, {how}", self.server)),
            Err(error) => Health::unhealthy(self.tell(error, "").message()),
        })
    }
}

impl Email {
    /// Mails `report`, under `subject` if there is one.
    async fn mail(
        &self,
        report: &Report,
        subject: Option<&str>,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let mut memory = Memory::load(&context.state, &context.idempotency_key);
        let mut delivery = Delivery::default();
        let mails = self.mails(report, subject, context, &memory, &mut delivery)?;
        if mails.is_empty() && delivery.is_empty() {
            return Ok(Outcome::skipped("no result concerns any of the recipients"));
        }
        let sent = match mails.is_empty() {
            true => Ok(()),
            false => {
                self.send(&mails, &mut memory, &mut delivery, deadline(context))
                    .await
            }
        };
        let ended = sent.and_then(|()| delivery.postponed());
        if let Err(error) = ended {
            if !memory.is_empty() {
                memory.keep(&context.state);
            }
            let served = match delivery.served {
                0 => String::new(),
                served => format!(
                    " ({served} of {} recipients have it)",
                    delivery.recipients()
                ),
            };
            return Err(self.tell(error, &served));
        }
        if memory.doubtful {
            delivery.notes.push(
                "an earlier attempt ended before the server confirmed the mail: it may have come twice"
                    .to_owned(),
            );
        }
        memory.forget(&context.state);
        let refused = delivery.refused.join("; ");
        if delivery.served == 0 {
            let error = ProcessorError::permanent(format!("every recipient is refused: {refused}"));
            return Err(self.tell(error, ""));
        }
        if !refused.is_empty() {
            delivery.notes.insert(0, format!("refused: {refused}"));
        }
        Ok(match delivery.notes.is_empty() {
            true => Outcome::done(),
            false => Outcome::done().with_note(self.server.conceal(&delivery.notes.join("; "))),
        })
    }
}

/// A mail that is still to be sent.
struct Unsent {
    to: Vec<Address>,
    message: Vec<u8>,
}

/// What became of a report.
#[derive(Default)]
struct Delivery {
    served: usize,
    /// `bob@example.org: 550 no such user`.
    refused: Vec<String>,
    /// The same for those the server did not take now, and how long it is to be left alone.
    later: Vec<String>,
    wait: Option<Duration>,
    notes: Vec<String>,
}

impl Delivery {
    fn is_empty(&self) -> bool {
        self.recipients() == 0
    }

    fn recipients(&self) -> usize {
        self.served + self.refused.len() + self.later.len()
    }

    fn record(&mut self, address: &str, fate: Fate, memory: &mut Memory) {
        match fate {
            Fate::Served => {
                self.served += 1;
                memory.serve(address);
            }
            Fate::Refused(why) => {
                self.refused.push(format!("{address}: {why}"));
                memory.refuse(address, &why);
            }
            Fate::Later { message, wait } => {
                self.later.push(format!("{address}: {message}"));
                self.wait = self.wait.max(wait);
            }
        }
    }

    /// An error if somebody has to wait.
    fn postponed(&self) -> Result<(), ProcessorError> {
        if self.later.is_empty() {
            return Ok(());
        }
        let error = ProcessorError::retryable(format!("not now: {}", self.later.join("; ")));
        Err(match self.wait {
            Some(wait) => error.after(wait),
            None => error,
        })
    }
}

impl Email {
    /// The mails that are not yet sent; `delivery` learns of the recipients that are
    /// settled.
    fn mails(
        &self,
        report: &Report,
        subject: Option<&str>,
        context: &ProcessContext,
        memory: &Memory,
        delivery: &mut Delivery,
    ) -> Result<Vec<Unsent>, ProcessorError> {
        let mut mails = Vec::new();
        for group in self.recipients.groups(report) {
            let mut to = Vec::new();
            for recipient in &group.recipients {
                let address: &str = recipient.email.as_ref();
                match memory.refusal(address) {
                    Some(why) => delivery.refused.push(format!("{address}: {why}")),
                    None if memory.is_served(address) => delivery.served += 1,
                    None => to.push(recipient.email.clone()),
                }
            }
            if to.is_empty() {
                continue;
            }
            let view = View::of(report, &group, self.max_results);
            let texts = self.templates.texts(&view);
            let mut texts = texts.map_err(ProcessorError::permanent)?;
            if let Some(subject) = subject {
                texts.subject = subject_line(subject);
            }
            for failure in texts.failures.drain(..) {
                let note = format!("{failure}; the built-in one was used");
                if !delivery.notes.contains(&note) {
                    delivery.notes.push(note);
                }
            }
            let headers = Headers {
                from: &self.from,
                reply_to: self.reply_to.as_ref(),
                to: &group.recipients,
                domain: &self.domain,
                idempotency_key: &context.idempotency_key,
                status: view.about.status,
                date: SystemTime::now(),
            };
            let message = message::message(&headers, report, texts)?;
            mails.push(Unsent { to, message });
        }
        Ok(mails)
    }

    async fn send(
        &self,
        mails: &[Unsent],
        memory: &mut Memory,
        delivery: &mut Delivery,
        deadline: Instant,
    ) -> Result<(), ProcessorError> {
        let encryption = self.encryption()?;
        let mut session = Session::open(&self.server, encryption.as_ref(), deadline).await?;
        for mail in mails {
            for to in mail.to.chunks(RECIPIENTS_AT_ONCE) {
                match session.send(&self.from.email, to, &mail.message).await {
                    Ok(fates) => {
                        for (address, fate) in to.iter().zip(fates) {
                            delivery.record(address.as_ref(), fate, memory);
                        }
                    }
                    Err(Broken { error, doubtful }) => {
                        memory.doubtful |= doubtful;
                        return Err(error);
                    }
                }
            }
        }
        session.quit().await;
        Ok(())
    }

    fn encryption(&self) -> Result<Option<Encryption>, ProcessorError> {
        match self.server.tls {
            Tls::None => Ok(None),
            Tls::Implicit | Tls::Required => Encryption::of(&self.server).map(Some),
        }
    }

    /// `error` with the server it is about before it and `more` after it, without the
    /// password.
    fn tell(&self, mut error: ProcessorError, more: &str) -> ProcessorError {
        if let ProcessorError::Retryable { message, .. } | ProcessorError::Permanent { message } =
            &mut error
        {
            *message = self
                .server
                .conceal(&format!("{}: {message}{more}", self.server));
        }
        error
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("server", &self.server.to_string())
            .field("recipients", &self.recipients)
            .finish_non_exhaustive()
    }
}

/// When to give up by oneself, a little before the host does: what is known about the
/// recipients is then not lost.
fn deadline(context: &ProcessContext) -> Instant {
    let remaining = context.remaining();
    let margin = (remaining / 10).min(Duration::from_millis(200));
    Instant::now() + remaining - margin
}
