//! What the flow answers, and what to do about it.

use serde::Deserialize;
use veracity_http::{Answer, Endpoint, StatusCode};
use veracity_processor::ProcessorError;

/// Why a card was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A smaller one may be.
    TooLarge(ProcessorError),
    /// Anything else.
    Other(ProcessorError),
}

impl From<Refusal> for ProcessorError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge(error) | Refusal::Other(error) => error,
        }
    }
}

/// What Power Automate says when it refuses.
#[derive(Deserialize)]
struct Reply {
    error: Fault,
}

#[derive(Deserialize)]
struct Fault {
    code: String,
}

/// Whether the flow took the card. It posts it later: whether it can is not known.
pub(crate) fn settle(answer: &Answer, endpoint: &Endpoint) -> Result<(), Refusal> {
    let Some(fault) = answer.fault(endpoint) else {
        return success(answer, endpoint);
    };
    if answer.status == StatusCode::PAYLOAD_TOO_LARGE {
        return Err(Refusal::TooLarge(fault));
    }
    let code = answer.json::<Reply>().ok().map(|reply| reply.error.code);
    let hint = code
        .as_deref()
        .and_then(hint)
        .or_else(|| (answer.status == StatusCode::BAD_REQUEST).then_some(BAD_REQUEST))
        .filter(|_| !fault.is_retryable());
    Err(Refusal::Other(match hint {
        Some(hint) => {
            let (status, said) = (answer.status, answer.excerpt(endpoint));
            let message = format!("answered {status}{said}; {hint}");
            endpoint.named(ProcessorError::permanent(message))
        }
        None => fault,
    }))
}

const BAD_REQUEST: &str = "the flow may be turned off or have no owner, or may not post there: in \
                           a private channel it must post as a user, not as the flow bot";

/// A 2xx. The old connectors, and what stands in for them, tell failures of Teams in it.
fn success(answer: &Answer, endpoint: &Endpoint) -> Result<(), Refusal> {
    let status = answer.status.as_u16();
    if answer.looks_like_html() {
        let message = format!(
            "answered {status} with a page for people, as proxies and gateways do, and not as a \
             flow does"
        );
        let error = ProcessorError::retryable(message);
        return Err(Refusal::Other(endpoint.named(error)));
    }
    let said = answer.text();
    if !said.contains("returned HTTP error") {
        return Ok(());
    }
    let said = answer.excerpt(endpoint);
    let message = format!("answered {status}, but did not deliver{said}");
    let too_large = said.contains("HTTP error 413");
    let refusal = match too_large {
        true => ProcessorError::permanent(message),
        false => ProcessorError::retryable(message),
    };
    let error = match answer.retry_after {
        Some(wait) => refusal.after(wait),
        None => refusal,
    };
    let error = endpoint.named(error);
    Err(match too_large {
        true => Refusal::TooLarge(error),
        false => Refusal::Other(error),
    })
}

/// What people may do about `code`.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "WorkflowTriggerIsNotEnabled" | "WorkflowNotEnabled" => {
            "the flow is turned off: turn it on; one whose owner has left needs a new owner"
        }
        "WorkflowNotFound" | "FlowNotFound" | "WorkflowTriggerNotFound" => {
            "the flow was deleted: make a new one and change `webhook_url`"
        }
        "DirectApiAuthorizationRequired" => {
            "the flow wants a sign-in: let anyone trigger it, and copy `webhook_url` again"
        }
        "DirectApiInvalidAuthorizationScheme" | "AuthorizationFailed" | "Unauthorized" => {
            "`webhook_url` may be incomplete or replaced: copy it again from the flow"
        }
        "TriggerInputSchemaMismatch" => {
            "the flow expects something else: make it from the template that sends webhook \
             alerts to a channel"
        }
        _ => return None,
    })
}
