//! What plugins of the tests do when they are told to, good or bad.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use veracity_processor::{Action, ProcessContext, ProcessorError};

use crate::player::write;

/// Does `what`.
pub async fn does(what: &str, millis: u64) -> Result<(), ProcessorError> {
    let time = Duration::from_millis(millis);
    match what {
        "" => {}
        "retryable" => return Err(ProcessorError::retryable("busy")),
        "permanent" => return Err(ProcessorError::permanent("refused")),
        "panic" => panic!("text"),
        "never be ready" => std::future::pending().await,
        "be late" => tokio::time::sleep(time).await,
        "block" => std::thread::sleep(time),
        "abort" => std::process::abort(),
        other => panic!("nobody knows how to `{other}`"),
    }
    Ok(())
}

/// Waits until `file` is there, if it is named.
pub async fn wait_for(file: &str) {
    while !file.is_empty() && !Path::new(file).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The actions that `written` are.
pub fn actions(written: &[Value]) -> Vec<Action> {
    let actions = written.iter().cloned();
    actions
        .map(|action| serde_json::from_value(action).unwrap())
        .collect()
}

/// Appends `value` to `file`, as a line.
pub fn jot(file: &str, value: &Value) {
    write(file, &value.to_string());
}

/// What every call is told beside its task.
pub fn told(call: &str, context: &ProcessContext) -> Value {
    let metrics = context.metrics.iter();
    let metrics = metrics.map(|metric| format!("{}={}", metric.name, metric.value));
    serde_json::json!({
        "call": call,
        "instance": context.instance,
        "attempt": context.attempt,
        "key": context.idempotency_key,
        "stage": context.stage,
        "state": context.state.values(),
        "metrics": metrics.collect::<Vec<String>>(),
    })
}
