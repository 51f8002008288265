//! veracity: a suite of SQL assertions, verified in one scan.
//!
//! The modules stand in the order the data flows.

pub mod cli;
pub mod delivery;
pub mod engine;
pub mod error;
pub mod metric;
pub mod source;
pub mod suite;

// The processors that come with veracity. A crate that is named nowhere is not linked.
use veracity_alertmanager as _;
use veracity_calendar as _;
use veracity_channels as _;
use veracity_console as _;
use veracity_database as _;
use veracity_email as _;
use veracity_hooks as _;
use veracity_json as _;
use veracity_junit as _;
use veracity_markdown as _;
use veracity_openlineage as _;
use veracity_pagerduty as _;
use veracity_prometheus as _;
use veracity_sarif as _;
use veracity_slack as _;
use veracity_teams as _;
use veracity_webhook as _;

pub use veracity_host::isolation::serve_if_worker;

/// What a program that verifies data needs.
///
/// The metrics are functions of [`metrics`](crate::metric::functions): `metrics::row_count()`.
pub mod prelude {
    pub use crate::engine::Engine;
    pub use crate::metric::functions as metrics;
    pub use crate::suite::{Assertion, Check, Dataset, OnNull, Severity, VerificationSuite};
    pub use datafusion::prelude::{col, lit};
    pub use veracity_processor::{Report, Status, Verdict};
}

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
