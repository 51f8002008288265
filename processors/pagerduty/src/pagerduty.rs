//! The processor.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use veracity_http::{Answer, Endpoint, Hints, Link, Options, Request, StatusCode, within};
use veracity_processor::{
    Capability, ConfigError, FieldError, Health, Message, Outcome, Plugin, ProcessContext,
    Processor, ProcessorError, Report, ResultProcessor, Secret, Stage, StartContext, async_trait,
    printable, register,
};

use crate::event::{Event, Form};
use crate::key;
use crate::open::Open;
use crate::plan::Plan;
use crate::settings::{Region, Settings};

/// How long a connection may take that shows whether PagerDuty is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

/// How many events PagerDuty may refuse before no more are sent: a key that is wrong makes
/// it refuse all of them.
const MOST_REFUSED: usize = 3;

/// The most alerts of their own that can be asked for.
const MOST_EVENTS: usize = 100;

/// The most characters of what PagerDuty says that are shown.
const EXCERPT: usize = 300;

const KEY_HINT: &str =
    "`routing_key` must be the integration key of a service, of the integration \"Events API v2\"";

const HINTS: Hints = Hints {
    denied: Some("`routing_key` may be wrong"),
    not_found: None,
    too_large: None,
};

register!(
    Plugin::processor::<PagerDuty>("pagerduty", env!("CARGO_PKG_VERSION"))
        .description("Triggers alerts of PagerDuty, and resolves them when assertions pass again")
        .author("the veracity authors")
        .capabilities(&[Capability::Messages])
        .stages(&[Stage::AfterRun, Stage::OnError, Stage::DeadLetter])
        .example("pagerduty: {routing_key: \"${secret:PAGERDUTY_KEY}\", on: always}")
);

/// Triggers and resolves alerts of PagerDuty.
pub struct PagerDuty {
    endpoint: Endpoint,
    form: Form,
    max_events: usize,
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PagerDuty").field(&self.endpoint).finish()
    }
}

impl Processor for PagerDuty {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let key = settings.routing_key.expose();
        if key.len() != 32 || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            faults.push(FieldError::new(
                "/routing_key",
                "must be 32 letters and digits",
            ));
        }
        if !(1..=MOST_EVENTS).contains(&settings.max_events) {
            let message = format!("must be 1 to {MOST_EVENTS}");
            faults.push(FieldError::new("/max_events", message));
        }
        if settings.region.is_some() && settings.url.is_some() {
            let message = "says where events go, and so does `url`; leave out one of them";
            faults.push(FieldError::new("/region", message));
        }
        let link = settings
            .link
            .map(|link| Link::new(&link, "/link"))
            .transpose();
        let link = link.map_err(|fault| faults.push(fault)).unwrap_or_default();
        let region = settings.region.unwrap_or(Region::Us);
        let url = settings.url.unwrap_or_else(|| Secret::new(region.url()));
        let options = Options {
            allow_private: settings.allow_private,
            ca_file: settings.tls_ca_file,
            secrets: vec![settings.routing_key.clone()],
            hints: HINTS,
            ..Options::default()
        };
        let endpoint = Endpoint::new(&url, options).map_err(|fault| faults.push(fault));
        match endpoint {
            Ok(endpoint) if faults.is_empty() => Ok(Self {
                endpoint,
                form: Form {
                    routing_key: settings.routing_key,
                    link,
                    group: settings.group,
                    severities: settings.severity_map,
                },
                max_events: settings.max_events,
            }),
            _ => Err(ConfigError(faults)),
        }
    }
}

#[async_trait]
impl ResultProcessor for PagerDuty {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.endpoint.prepare()
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let open = Open::new(&context.state, &context.idempotency_key);
        let plan = Plan::of(report, &open.notes(), self.max_events);
        if open.is_overtaken(&report.run) {
            // An attempt that nobody knows of may have triggered them.
            for (key, _) in &plan.alerts {
                open.expect(&key.text, &key.assertion);
            }
            return Ok(Outcome::skipped(
                "a newer run of the suite has been told already",
            ));
        }
        let told = within(context, self.tell(report, &plan, &open)).await;
        told.map_err(|error| self.endpoint.named(error))
    }

    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let key = message.id.to_string();
        let sent = within(context, async {
            let event = self.form.trigger_message(&key, message);
            self.send(&event).await.map_err(Fault::into_error)
        });
        sent.await.map_err(|error| self.endpoint.named(error))?;
        Ok(Outcome::done())
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        self.endpoint.health(HEALTH_PATIENCE).await
    }
}

/// Why an event was not taken.
enum Fault {
    /// PagerDuty does not want this event; it may want others.
    Refused(ProcessorError),
    /// It takes none now.
    Failed(ProcessorError),
}

impl Fault {
    fn into_error(self) -> ProcessorError {
        let (Self::Refused(error) | Self::Failed(error)) = self;
        error
    }
}

impl PagerDuty {
    /// Sends what `plan` says, the most severe first. What was taken stays remembered even
    /// if this ends in the middle.
    async fn tell(
        &self,
        report: &Report,
        plan: &Plan<'_>,
        open: &Open<'_>,
    ) -> Result<Outcome, ProcessorError> {
        let more = key::more(&report.run.suite);
        let skipped = report.summary.skipped.to_string();
        let mut triggers: Vec<(&str, &str, Event)> = Vec::new();
        for (key, finding) in &plan.alerts {
            let event = self.form.trigger(&key.text, *finding, report);
            triggers.push((&key.text, &key.assertion, event));
        }
        if !plan.rest.is_empty() {
            let event = self.form.trigger_rest(&more, &plan.rest, &report.run);
            triggers.push((&more, &skipped, event));
        }
        let (triggered, resolved) = (triggers.len(), plan.over.len());
        let mut refused = Refused::default();
        for (key, note, event) in triggers {
            if open.was_told(key) {
                continue;
            }
            let is_new = open.expect(key, note);
            match self.send(&event).await {
                Ok(()) => open.triggered(key, note),
                Err(fault) => {
                    if is_new && matches!(fault, Fault::Refused(_)) {
                        open.forget(key);
                    }
                    refused.count(fault)?;
                }
            }
        }
        for key in &plan.over {
            match self.send(&self.form.resolve(key)).await {
                Ok(()) => open.forget(key),
                Err(fault) => refused.count(fault)?,
            }
        }
        if let Some(error) = refused.0.into_iter().next() {
            return Err(error);
        }
        Ok(match (triggered, resolved) {
            (0, 0) => Outcome::skipped("nothing to trigger and nothing to resolve"),
            _ => Outcome::done().with_note(format!("{triggered} triggered, {resolved} resolved")),
        })
    }

    async fn send(&self, event: &Event<'_>) -> Result<(), Fault> {
        let request = Request::post_json(event).map_err(Fault::Refused)?;
        let answer = self.endpoint.send(request).await.map_err(Fault::Failed)?;
        if answer.status == StatusCode::BAD_REQUEST {
            return Err(Fault::Refused(self.refusal(&answer)));
        }
        if let Some(error) = answer.fault(&self.endpoint) {
            return Err(Fault::Failed(error));
        }
        if answer.looks_like_html() {
            let message = format!(
                "answered {} with a page for people, so it is not PagerDuty that answered",
                answer.status.as_u16()
            );
            return Err(Fault::Failed(ProcessorError::retryable(message)));
        }
        Ok(())
    }

    /// The error that a refusal means.
    fn refusal(&self, answer: &Answer) -> ProcessorError {
        #[derive(Deserialize)]
        struct Reason {
            message: String,
            #[serde(default)]
            errors: Vec<String>,
        }
        let said = match answer.json::<Reason>() {
            Ok(reason) => {
                let parts = std::iter::once(reason.message).chain(reason.errors);
                let text = parts.collect::<Vec<String>>().join("; ");
                let text = self.endpoint.redact(&text);
                let short: String = text.chars().take(EXCERPT).collect();
                format!(": {}", printable(&short))
            }
            Err(_) => answer.excerpt(&self.endpoint),
        };
        ProcessorError::permanent(format!("answered 400 Bad Request{said}; {KEY_HINT}"))
    }
}

/// Refusals so far. One event that is refused does not hold up the others.
#[derive(Default)]
struct Refused(Vec<ProcessorError>);

impl Refused {
    /// Counts `fault`.
    ///
    /// # Errors
    ///
    /// If no more events are to be sent.
    fn count(&mut self, fault: Fault) -> Result<(), ProcessorError> {
        match fault {
            Fault::Failed(error) => Err(error),
            Fault::Refused(error) => {
                self.0.push(error.clone());
                if self.0.len() < MOST_REFUSED {
                    return Ok(());
                }
                Err(error)
            }
        }
    }
}
