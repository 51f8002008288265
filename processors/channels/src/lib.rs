//! Channels of veracity: they carry what plugins publish.
//!
//! | channel | carries a message to |
//! | --- | --- |
//! | `file` | a line of a file |
//! | `spool` | a file of its own in a folder |
//! | `webhook` | a URL |
//! | `postgres` | whoever listens to a channel of PostgreSQL |
//! | `nats` (cargo feature `nats`) | a subject of NATS, or a stream of JetStream |
//!
//! Each of them carries the same JSON object: `time`, `suite`, `from`, `key`, `id` and
//! `message`. `id` stays the same when a message is carried again, so that whoever reads
//! can tell. `README.md` is the page for people.

mod envelope;
mod file;
#[cfg(feature = "nats")]
mod nats;
mod postgres;
mod spool;
mod storage;
mod webhook;

pub use file::{FileChannel, FileSettings};
#[cfg(feature = "nats")]
pub use nats::{Nats, NatsSettings};
pub use postgres::{Oversize, Postgres, PostgresSettings};
pub use spool::{Spool, SpoolSettings};
pub use webhook::{Webhook, WebhookSettings};
