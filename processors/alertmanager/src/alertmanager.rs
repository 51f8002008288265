//! The processor.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use serde_json::Value;
use tokio::time::timeout;
use veracity_http::header::AUTHORIZATION;
use veracity_http::{Answer, Endpoint, Method, Request, within};
use veracity_processor::{
    Capability, ConfigError, Health, Message, Outcome, Plugin, ProcessContext, Processor,
    ProcessorError, Report, ResultProcessor, Stage, StartContext, async_trait, printable, register,
};

use crate::alert::{Alert, Times};
use crate::check::Checked;
use crate::firing::Firing;
use crate::plan::Plan;
use crate::settings::Settings;

/// How long an answer may take that shows whether an Alertmanager is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

/// The most alerts in a request, so that no proxy finds it too large.
const BATCH: usize = 100;

register!(
    Plugin::processor::<Alertmanager>("alertmanager", env!("CARGO_PKG_VERSION"))
        .description("Sends alerts to Alertmanager, and ends them when assertions pass again")
        .author("the veracity authors")
        .capabilities(&[Capability::Messages])
        .stages(&[Stage::AfterRun, Stage::OnError, Stage::DeadLetter])
        .example(
            "alertmanager: {urls: [\"https://alertmanager.example.org\"], expires_after: 25h, on: always}"
        )
);

/// Sends alerts to every Alertmanager.
pub struct Alertmanager {
    checked: Checked,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

impl fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alertmanager")
            .field(&self.checked.endpoints)
            .finish()
    }
}

impl Processor for Alertmanager {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            checked: Checked::new(settings)?,
            clock: Box::new(SystemTime::now),
        })
    }
}

#[async_trait]
impl ResultProcessor for Alertmanager {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.checked
            .endpoints
            .iter()
            .try_for_each(Endpoint::prepare)
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let times = self.times();
        let firing = Firing::new(&context.state, &context.idempotency_key, times.now());
        if firing.is_overtaken(&report.run) {
            return Ok(Outcome::skipped(
                "a newer run of the suite has been told already",
            ));
        }
        let plan = Plan::of(
            report,
            &firing.fingerprints(),
            firing.skipped(),
            self.checked.max_alerts,
            &self.checked.form,
            times,
        );
        if plan.alerts.is_empty() {
            return Ok(Outcome::skipped("nothing fires and nothing is over"));
        }
        for fingerprint in &plan.firing {
            firing.expect(fingerprint, times.expiry());
        }
        if plan.has_rest {
            firing.set_skipped(report.summary.skipped);
        }
        self.send_to_all(&plan.alerts, context, Some(&firing))
            .await?;
        for fingerprint in &plan.over {
            firing.forget(fingerprint);
        }
        let (fire, over) = (plan.firing.len(), plan.over.len());
        Ok(Outcome::done().with_note(format!("{fire} firing, {over} over")))
    }

    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let alert = self.checked.form.message(message, self.times());
        self.send_to_all(&[alert], context, None).await?;
        Ok(Outcome::done())
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        let endpoints = &self.checked.endpoints;
        let asked = endpoints.iter().map(|endpoint| async move {
            let answer = timeout(HEALTH_PATIENCE, self.status(endpoint)).await;
            answer.unwrap_or_else(|_| {
                let error =
                    ProcessorError::retryable(format!("no answer within {HEALTH_PATIENCE:?}"));
                Err(endpoint.named(error))
            })
        });
        let answers = join_all(asked).await;
        let well = answers.iter().filter(|answer| answer.is_ok()).count();
        let said = answers.into_iter().map(|answer| match answer {
            Ok(detail) => detail,
            Err(error) => error.to_string(),
        });
        let detail = said.collect::<Vec<String>>().join("; ");
        Ok(match well {
            0 => Health::unhealthy(detail),
            well if well < endpoints.len() => Health::degraded(detail),
            _ => Health::healthy().with_detail(detail),
        })
    }
}

impl Alertmanager {
    /// The same, with another clock.
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    fn times(&self) -> Times {
        Times::new((self.clock)(), self.checked.expires_after)
    }

    /// Sends `alerts` to every Alertmanager, at the same time, except to those that have
    /// them by `firing`, which remembers who took them.
    async fn send_to_all(
        &self,
        alerts: &[Alert],
        context: &ProcessContext,
        firing: Option<&Firing<'_>>,
    ) -> Result<(), ProcessorError> {
        let endpoints = &self.checked.endpoints;
        let is_told =
            |endpoint: &&Endpoint| firing.is_some_and(|firing| firing.is_told(endpoint.url()));
        let sent =
            endpoints
                .iter()
                .filter(|endpoint| !is_told(endpoint))
                .map(|endpoint| async move {
                    let taken = within(context, self.send(alerts, endpoint)).await;
                    (endpoint, taken)
                });
        let mut errors = Vec::new();
        for (endpoint, taken) in join_all(sent).await {
            match (taken, firing) {
                (Ok(()), Some(firing)) => firing.set_told(endpoint.url()),
                (Ok(()), None) => {}
                (Err(error), _) => errors.push(endpoint.named(error)),
            }
        }
        together(errors, endpoints.len())
    }

    async fn send(&self, alerts: &[Alert], endpoint: &Endpoint) -> Result<(), ProcessorError> {
        for batch in alerts.chunks(BATCH) {
            let request = Request::post_json(&batch)?.to(endpoint.at(["api", "v2", "alerts"])?);
            self.exchange(request, endpoint).await?;
        }
        Ok(())
    }

    /// What the Alertmanager at `endpoint` says about itself.
    async fn status(&self, endpoint: &Endpoint) -> Result<String, ProcessorError> {
        let request = Request::new(Method::GET).to(endpoint.at(["api", "v2", "status"])?);
        let answer = self.exchange(request.reading_answer(), endpoint).await?;
        let status: Value = answer.json().unwrap_or_default();
        let host = endpoint.host();
        Ok(match status["versionInfo"]["version"].as_str() {
            Some(version) => {
                let version: String = version.chars().take(40).collect();
                format!("`{host}` runs Alertmanager {}", printable(&version))
            }
            None => format!("`{host}` answers"),
        })
    }

    async fn exchange(
        &self,
        request: Request,
        endpoint: &Endpoint,
    ) -> Result<Answer, ProcessorError> {
        let request = match &self.checked.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        };
        let answer = endpoint.send(request).await?;
        if let Some(error) = answer.fault(endpoint) {
            return Err(error);
        }
        if answer.looks_like_html() {
            let message = format!(
                "answered {} with a page for people, so it is not Alertmanager that answered",
                answer.status.as_u16()
            );
            return Err(endpoint.named(ProcessorError::retryable(message)));
        }
        Ok(answer)
    }
}

/// One error for all those of `count` Alertmanagers that took nothing: retryable if one of
/// them is, after the longest time that one of them asks for.
fn together(errors: Vec<ProcessorError>, count: usize) -> Result<(), ProcessorError> {
    if errors.is_empty() {
        return Ok(());
    }
    let messages: Vec<&str> = errors.iter().map(ProcessorError::message).collect();
    let mut message = messages.join("; ");
    if count > 1 {
        let failed = errors.len();
        message = format!("{failed} of {count} Alertmanagers did not take the alerts: {message}");
    }
    if !errors.iter().any(ProcessorError::is_retryable) {
        return Err(ProcessorError::permanent(message));
    }
    let waits = errors.iter().filter_map(|error| match error {
        ProcessorError::Retryable { retry_after, .. } => *retry_after,
        _ => None,
    });
    let error = ProcessorError::retryable(message);
    Err(match waits.max() {
        Some(wait) => error.after(wait),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_errors_are_one_that_is_tried_again_if_one_of_them_is() {
        let never = ProcessorError::permanent("`a`: no");
        let again = ProcessorError::retryable("`b`: busy");
        let wait = |seconds| again.clone().after(Duration::from_secs(seconds));
        assert_eq!(together(Vec::new(), 2), Ok(()));
        assert_eq!(together(vec![never.clone()], 1), Err(never.clone()));
        let message = "1 of 2 Alertmanagers did not take the alerts: `a`: no";
        let expected = ProcessorError::permanent(message);
        assert_eq!(together(vec![never.clone()], 2), Err(expected));
        let message = "3 of 3 Alertmanagers did not take the alerts: `a`: no; `b`: busy; `b`: busy";
        let expected = ProcessorError::retryable(message).after(Duration::from_secs(9));
        assert_eq!(together(vec![never, wait(9), wait(2)], 3), Err(expected));
    }
}
