//! Writes the report of veracity as JUnit XML.
//!
//! One `testsuite` with a `testcase` for each assertion, in the order of the suite, as CI
//! systems read it.

mod document;
mod processor;
mod text;

pub use document::{Options, render};
pub use processor::{Junit, Settings};
