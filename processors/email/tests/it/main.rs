//! The `email` processor against a real SMTP server.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod contract;
mod faults;
mod hostile;
mod mails;
mod mime;
mod recipients;
mod smtp;
mod tls;

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use veracity_email as _;
use veracity_processor::{
    Outcome, Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, State, sample_report,
};

use crate::mime::Mail;
use crate::smtp::Server;

/// Ample for one delivery to a server that answers.
const LIMIT: Duration = Duration::from_secs(20);
const KEY: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000002";

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "email")
        .expect("it is linked")
}

fn build(config: &Value) -> Box<dyn ResultProcessor> {
    plugin().build_processor(config.clone()).unwrap()
}

/// Everything to one recipient, by way of `smtp`.
fn config(smtp: &str) -> Value {
    json!({"smtp": smtp, "from": "Data quality <dq@example.org>", "to": ["ops@example.org"]})
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// One attempt.
fn attempt(
    config: &Value,
    report: &Report,
    context: &ProcessContext,
) -> Result<Outcome, ProcessorError> {
    run(build(config).process(report, context))
}

/// One attempt to deliver the sample report, without a memory of earlier ones.
fn deliver(config: &Value) -> Result<Outcome, ProcessorError> {
    attempt(
        config,
        &sample_report(),
        &ProcessContext::new("email", KEY, LIMIT),
    )
}

/// The context of another attempt that remembers what `before` left.
fn next(before: &ProcessContext) -> ProcessContext {
    let mut context = ProcessContext::new("email", KEY, LIMIT);
    context.attempt = before.attempt + 1;
    context.state = State::new(before.state.values());
    context
}

/// The only mail that `server` took.
fn only_mail(server: &Server) -> Mail {
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    Mail::read(&mails[0].data)
}
