//! The settings of the calendar.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the `calendar` processor. What is left out closes nothing.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The time zone of all dates and times, by its IANA name (`Europe/Berlin`).
    #[serde(default = "utc")]
    pub timezone: String,
    /// Runs are let through on these days of the week only: `mon`, `tue`, `wed`, `thu`,
    /// `fri`, `sat`, `sun`. Default: on all.
    #[serde(default)]
    pub weekdays: Option<Vec<String>>,
    /// Runs are let through at these times of the day only. Default: at all.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// Days that are closed: `2026-12-25` once, `12-25` every year.
    #[serde(default)]
    pub holidays: Vec<String>,
    /// Times that are closed, once or again and again.
    #[serde(default)]
    pub maintenance: Vec<Window>,
    /// What `weekdays` and `holidays` are about: `run`, the day on which the run begins, or
    /// `data`, the date of the data it is about.
    #[serde(default)]
    pub date: Basis,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Times of the day.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first minute, as `06:00`.
    pub from: String,
    /// The end, as `22:00`, at most `24:00`; if it is before `from`, it is on the next day.
    pub until: String,
}

/// A time in which nothing runs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its beginning: once, as `2026-12-01 22:00` or `2026-12-01T22:00:00+01:00`; again and
    /// again, as `22:00`.
    pub from: String,
    /// Its end, in the same form; a time of the day that is before `from` is on the next
    /// day.
    pub until: String,
    /// The days of the week on which it begins, if it comes again. Default: all.
    #[serde(default)]
    pub weekdays: Option<Vec<String>>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// What a date is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The day on which the run begins.
    #[default]
    Run,
    /// The date of the data the run is about, from its key.
    Data,
}
