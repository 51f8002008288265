//! Posts the report of a run to a URL, signed.
//!
//! The body is the Report's JSON, an envelope of Standard Webhooks or CloudEvents around
//! it, or whatever a template makes of it. Every request carries the headers of Standard
//! Webhooks. Redirects are not followed, and private addresses are refused unless the
//! settings permit them. `README.md` is the page for people.

mod check;
mod format;
mod reduce;
mod settings;
mod signature;
mod template;
mod webhook;

pub use settings::{Expect, ExpectedValue, Format, Method, Secrets, Settings};
pub use webhook::Webhook;
