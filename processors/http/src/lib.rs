//! One careful way to HTTP receivers, for processors.
//!
//! An [`Endpoint`] is where requests go: it follows no redirect, goes to no address that
//! is not public unless it may, and says nothing that holds a secret. [`Endpoint::send`]
//! makes one attempt; [`Answer::fault`] tells what the answer means, [`within`] ends in
//! time, and [`pace`] keeps to what a receiver takes.
//!
//! ```no_run
//! # use veracity_processor::{ProcessContext, ProcessorError, Report, Secret};
//! use veracity_http::{Endpoint, Options, Request, within};
//!
//! # async fn process(report: &Report, context: &ProcessContext) -> Result<(), ProcessorError> {
//! let url = Secret::new("https://hooks.example.org/services/T0/B0");
//! let endpoint = Endpoint::new(&url, Options::default()).unwrap(); // in `Processor::build`
//!
//! let request = Request::post_json(report)?; // in `ResultProcessor::process`
//! let answer = within(context, endpoint.send(request)).await?;
//! if let Some(fault) = answer.fault(&endpoint) {
//!     return Err(fault);
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod deadline;
mod endpoint;
mod guard;
mod link;
pub mod pace;
mod redact;
mod request;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;

pub use answer::Answer;
pub use deadline::within;
pub use endpoint::{Endpoint, Hints, Options};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use link::Link;
pub use request::{Request, secret_value};
pub use url::Url;
