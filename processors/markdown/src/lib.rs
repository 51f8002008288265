//! Writes the report of veracity as Markdown, for people and for CI: into a file, into the
//! step summary of GitHub Actions, and as annotations at the assertions' lines.

mod annotation;
mod code;
mod environment;
mod page;
mod processor;
mod report;
mod summary;

pub use annotation::{Dialect, PER_TYPE, annotations};
pub use environment::Environment;
pub use processor::{Annotations, MarkdownProcessor, Settings, StepSummary};
pub use report::{MAX_BYTES, Options, render};
