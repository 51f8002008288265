//! What Slack answers, and what to do about it.

use serde::Deserialize;
use veracity_http::{Answer, Endpoint};
use veracity_processor::ProcessorError;

/// What a method of the API answers.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Reply {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    /// Where the message is.
    #[serde(default)]
    pub channel: Option<String>,
    /// Which one it is in its channel.
    #[serde(default)]
    pub ts: Option<String>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

/// Slack did not take a message.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Slack's word for why.
    pub reason: Option<String>,
    pub error: ProcessorError,
}

/// Whether a webhook took the message: it then answers `ok`.
pub(crate) fn of_webhook(answer: &Answer, endpoint: &Endpoint) -> Result<(), Refusal> {
    let said = answer.text();
    match answer.status.is_success() && said.trim() == "ok" {
        true => Ok(()),
        false => of_api(answer, endpoint).map(drop),
    }
}

/// Whether the API took the message: it answers 200 also if it did not.
pub(crate) fn of_api(answer: &Answer, endpoint: &Endpoint) -> Result<Reply, Refusal> {
    let refused = |reason, error| Refusal {
        reason,
        error: endpoint.named(error),
    };
    let reply = answer.json::<Reply>().ok();
    if let Some(fault) = answer.fault(endpoint) {
        let word = reply
            .and_then(|reply| reply.error)
            .or_else(|| word(&answer.text()));
        // Whoever is too busy may say why in any word.
        let hint = word
            .as_deref()
            .and_then(hint)
            .filter(|_| !fault.is_retryable());
        let error = match hint {
            Some(hint) => {
                let (status, said) = (answer.status, answer.excerpt(endpoint));
                ProcessorError::permanent(format!("answered {status}{said}; {hint}"))
            }
            None => fault,
        };
        return Err(refused(word, error));
    }
    match reply {
        Some(reply) if reply.ok => Ok(reply),
        Some(reply) => {
            let error = refusal(&reply, answer, endpoint);
            Err(refused(reply.error, error))
        }
        // It repeats the message, and may be longer than what is read of it.
        None if answer.body.starts_with(br#"{"ok":true,"#) => Ok(Reply::default()),
        None if answer.looks_like_html() => {
            let error = ProcessorError::retryable(
                "answered 200 with a page for people, as proxies and gateways do, and not as \
                 Slack does",
            );
            Err(refused(None, error))
        }
        None => {
            let said = answer.excerpt(endpoint);
            let error = format!("answered 200, but not as Slack does{said}");
            Err(refused(None, ProcessorError::permanent(error)))
        }
    }
}

/// What `reply` means, which is not ok.
fn refusal(reply: &Reply, answer: &Answer, endpoint: &Endpoint) -> ProcessorError {
    let Some(word) = reply.error.as_deref().and_then(word) else {
        let said = answer.excerpt(endpoint);
        return ProcessorError::permanent(format!("refused the message{said}"));
    };
    if matches!(
        &*word,
        "ratelimited"
            | "rate_limited"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
    ) {
        let error = ProcessorError::retryable(format!("did not take the message: `{word}`"));
        return match answer.retry_after {
            Some(wait) => error.after(wait),
            None => error,
        };
    }
    let mut message = format!("refused the message: `{word}`");
    if let Some(hint) = hint(&word) {
        message.push_str(&format!("; {hint}"));
    } else if reply
        .response_metadata
        .as_ref()
        .is_some_and(|data| !data.messages.is_empty())
    {
        message.push_str(&answer.excerpt(endpoint));
    }
    ProcessorError::permanent(message)
}

/// `text`, if it is one of the words by which Slack says why.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    ((1..=64).contains(&text.len()) && text.bytes().all(legal)).then(|| text.to_owned())
}

/// What people may do about `word`.
fn hint(word: &str) -> Option<&'static str> {
    Some(match word {
        "channel_not_found" => {
            "check `channel`, and invite the app if the channel is private; a webhook's channel \
             may have been deleted"
        }
        "not_in_channel" => "invite the app to the channel (`/invite @app`)",
        "is_archived" | "channel_is_archived" => {
            "the channel is archived: unarchive it or choose another one"
        }
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "`token` is not valid any more: install the app again and change it"
        }
        "missing_scope" | "not_allowed_token_type" => {
            "the app needs the scope `chat:write`, and `token` must be its bot token (`xoxb-..`)"
        }
        "invalid_token" | "no_service" | "no_service_id" | "no_active_hooks" | "no_team" => {
            "the webhook was removed or disabled: make a new one and change `webhook_url`"
        }
        "action_prohibited"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "posting_to_general_channel_denied"
        | "ekm_access_denied"
        | "access_denied" => "an administrator has restricted who may post there",
        "team_disabled" | "team_access_not_granted" | "org_login_required" => {
            "the workspace is closed to the app"
        }
        "user_not_found" | "user_disabled" => "check whom `channel` and `mention` name",
        "invalid_payload"
        | "no_text"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "too_many_attachments" => "this is a fault of veracity, please report it",
        "msg_too_long" | "msg_blocks_too_long" => "`max_findings` may be smaller",
        _ => return None,
    })
}
