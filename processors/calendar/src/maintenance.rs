//! Times in which nothing runs, once or again and again.

use chrono::Datelike;
use chrono::{DateTime, NaiveDateTime, Utc, Weekday};
use chrono_tz::Tz;
use veracity_processor::FieldError;

use crate::date::{Time, weekday};
use crate::settings::Window;
use crate::span::Span;
use crate::zone::{Edge, moment};

/// A window of maintenance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Maintenance {
    when: When,
    /// Why; may be empty.
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq)]
enum When {
    Once {
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    },
    Weekly {
        /// On which it begins.
        days: Option<Vec<Weekday>>,
        span: Span,
    },
}

impl Maintenance {
    /// The window that stands at the JSON pointer `path`, with local times of `zone`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn read(window: &Window, zone: Tz, path: &str) -> Result<Self, Vec<FieldError>> {
        let again = Time::is_meant(&window.from);
        let when = match (again, Time::is_meant(&window.until)) {
            (true, false) | (false, true) => Err(vec![FieldError::new(
                format!("{path}/until"),
                "`from` and `until` are two moments (`2026-12-01 22:00`), or two times of the \
                 day (`22:00`) if it comes again",
            )]),
            (true, true) => weekly(window, path),
            (false, false) => once(window, zone, path),
        };
        let reason = window.reason.trim().to_owned();
        Ok(Self {
            when: when?,
            reason,
        })
    }

    /// When it ends, if `now` is in it.
    pub(crate) fn end(&self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match &self.when {
            When::Once { from, until } => (*from <= now && now < *until).then_some(*until),
            When::Weekly { days, span } => {
                let begins = |day: Weekday| days.as_ref().is_none_or(|days| days.contains(&day));
                let around = span.around(now, zone);
                let ends = around.filter(|(day, _)| begins(day.weekday()));
                ends.map(|(_, end)| end).max()
            }
        }
    }
}

/// The days at the JSON pointer `path`, if there are any.
///
/// # Errors
///
/// Everything that is wrong with them.
pub(crate) fn weekdays(
    names: Option<&[String]>,
    path: &str,
) -> Result<Option<Vec<Weekday>>, Vec<FieldError>> {
    let Some(names) = names else {
        return Ok(None);
    };
    if names.is_empty() {
        let message = "there is no day in it, leave it out for all days";
        return Err(vec![FieldError::new(path, message)]);
    }
    let (mut days, mut errors) = (Vec::new(), Vec::new());
    for (number, name) in names.iter().enumerate() {
        match weekday(name) {
            Ok(day) => days.push(day),
            Err(error) => errors.push(FieldError::new(format!("{path}/{number}"), error)),
        }
    }
    match errors.is_empty() {
        true => Ok(Some(days)),
        false => Err(errors),
    }
}

fn weekly(window: &Window, path: &str) -> Result<When, Vec<FieldError>> {
    let days = weekdays(window.weekdays.as_deref(), &format!("{path}/weekdays"));
    let span = Span::read(&window.from, &window.until, path);
    match (days, span) {
        (Ok(days), Ok(span)) => Ok(When::Weekly { days, span }),
        (days, span) => {
            let errors = days.err().into_iter().chain(span.err());
            Err(errors.flatten().collect())
        }
    }
}

fn once(window: &Window, zone: Tz, path: &str) -> Result<When, Vec<FieldError>> {
    let at = |name: &'static str| move |error| FieldError::new(format!("{path}/{name}"), error);
    let mut errors = Vec::new();
    if window.weekdays.is_some() {
        errors.push(at("weekdays")(
            "only a window that comes again has them, with times of the day such as `22:00`"
                .to_owned(),
        ));
    }
    let from = instant(&window.from, zone, Edge::Begin).map_err(at("from"));
    let until = instant(&window.until, zone, Edge::End).map_err(at("until"));
    match (from, until) {
        (Ok(from), Ok(until)) if until <= from => {
            errors.push(at("until")("it is not after `from`".to_owned()));
        }
        (Ok(from), Ok(until)) if errors.is_empty() => return Ok(When::Once { from, until }),
        (from, until) => errors.extend(from.err().into_iter().chain(until.err())),
    }
    Err(errors)
}

/// A moment of RFC 3339, or a local one.
fn instant(text: &str, zone: Tz, edge: Edge) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let wrong = || {
        format!("`{text}` is no moment such as `2026-12-01 22:00` or `2026-12-01T22:00:00+01:00`")
    };
    let forms = [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
    ];
    let local = forms
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    moment(zone, local.ok_or_else(wrong)?, edge).ok_or_else(wrong)
}
