//! The channels against the real thing: files, processes, servers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod again;
mod contract;
mod file;
mod nats;
mod nats_server;
mod postgres;
mod readme;
mod spool;
mod webhook;

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use veracity_channels as _;
use veracity_processor::{
    Channel, Kind, Outcome, Parcel, Plugin, ProcessContext, ProcessorError, conformance,
};

const ID: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000001";

/// Ample for a loaded machine; tests of time limits have their own.
const LIMIT: Duration = Duration::from_secs(60);

fn plugins() -> impl Iterator<Item = &'static Plugin> {
    Plugin::linked().filter(|plugin| plugin.kind() == Kind::Channel)
}

fn try_build(name: &str, config: Value) -> Result<Box<dyn Channel>, String> {
    let plugin = plugins().find(|plugin| plugin.name() == name);
    let built = plugin.unwrap().build_channel(config);
    built.map_err(|error| error.to_string())
}

fn build(name: &str, config: Value) -> Box<dyn Channel> {
    try_build(name, config).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// `message` from `on-call`, about a run of `orders`.
fn parcel(message: impl Into<Value>) -> Parcel {
    let mut parcel = Parcel::new(message.into(), "on-call", "orders");
    parcel.key = Some("orders/keys".to_owned());
    parcel
}

/// Publishes `message` once under `id`.
async fn publish(
    channel: &dyn Channel,
    id: &str,
    message: impl Into<Value>,
) -> Result<Outcome, ProcessorError> {
    let context = ProcessContext::new("audit", id, LIMIT);
    channel.publish(&parcel(message), &context).await
}

/// Checks that `read` is what `parcel(message)` becomes under `id`.
#[track_caller]
fn assert_carries(read: &Value, id: &str, message: &Value) {
    let names: Vec<&String> = read.as_object().unwrap().keys().collect();
    assert_eq!(names, ["time", "suite", "from", "key", "id", "message"]);
    assert_eq!(read["suite"], "orders");
    assert_eq!(read["from"], "on-call");
    assert_eq!(read["key"], "orders/keys");
    assert_eq!(read["id"], id);
    assert!(read["message"] == *message, "the message is another one");
    let time = humantime::parse_rfc3339(read["time"].as_str().unwrap()).unwrap();
    let age = time.elapsed().unwrap_or_default();
    assert!(age < Duration::from_secs(3600), "{age:?}");
}

/// Messages that mean something to some receiver, small ones and a large one.
fn hostile() -> Vec<Value> {
    let texts = conformance::HOSTILE.iter().map(|&text| json!(text));
    let others = [
        json!("a\nb\r\nc\u{85}d\u{2028}e"),
        json!({"nul \0": ["\0", {"\"": "\\"}]}),
        json!(null),
        json!([]),
        json!(-0.1),
        json!(18_446_744_073_709_551_615_u64),
    ];
    texts.chain(others).collect()
}

/// A message of a megabyte, whose every character JSON escapes.
fn megabyte() -> Value {
    json!("\n\"".repeat(250_000))
}
