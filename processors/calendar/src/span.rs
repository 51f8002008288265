//! A part of each day.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use veracity_processor::FieldError;

use crate::date::Time;
use crate::zone::{Edge, moment};

/// From one time of the day until another, perhaps of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Time,
    pub(crate) until: Time,
}

impl Span {
    /// The span `from` and `until`, which stand at the JSON pointer `path`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub(crate) fn read(from: &str, until: &str, path: &str) -> Result<Self, Vec<FieldError>> {
        let at = |name: &'static str| move |error| FieldError::new(format!("{path}/{name}"), error);
        let (from, until) = (
            Time::begin(from).map_err(at("from")),
            Time::end(until).map_err(at("until")),
        );
        match (from, until) {
            (Ok(from), Ok(until)) if from == until => Err(vec![at("until")(
                "it is the same as `from`, but a whole day is from `00:00` until `24:00`"
                    .to_owned(),
            )]),
            (Ok(from), Ok(until)) => Ok(Self { from, until }),
            (from, until) => Err(from.err().into_iter().chain(until.err()).collect()),
        }
    }

    /// Its beginning and end, the end not included, when it begins on `day`.
    pub(crate) fn on(self, day: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let last = match self.until > self.from {
            true => day,
            false => day.succ_opt()?,
        };
        let begin = moment(zone, self.from.on(day)?, Edge::Begin)?;
        let end = moment(zone, self.until.on(last)?, Edge::End)?;
        Some((begin, end))
    }

    /// The day on which that of its occurrences began that `now` is in, and its end.
    pub(crate) fn around(
        self,
        now: DateTime<Utc>,
        zone: Tz,
    ) -> impl Iterator<Item = (NaiveDate, DateTime<Utc>)> {
        let today = now.with_timezone(&zone).date_naive();
        [Some(today), today.pred_opt()]
            .into_iter()
            .flatten()
            .filter_map(move |day| {
                let (begin, end) = self.on(day, zone)?;
                (begin <= now && now < end).then_some((day, end))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks through a day in steps of five minutes and tells when a span begins and ends.
    fn edges(zone: Tz, span: Span, from: &str, hours: i64) -> Vec<String> {
        let first: DateTime<Utc> = from.parse().unwrap();
        let mut inside = span.around(first, zone).next().is_some();
        let mut edges = Vec::new();
        for step in 1..=hours * 12 {
            let now = first + chrono::TimeDelta::minutes(5 * step);
            let is = span.around(now, zone).next().is_some();
            if is != inside {
                let word = if is { "in" } else { "out" };
                let local = now.with_timezone(&zone).format("%dT%H:%M%:z");
                edges.push(format!("{word} {local}"));
                inside = is;
            }
        }
        edges
    }

    #[test]
    fn a_span_is_kept_over_changes_of_the_clocks() {
        let cases: &[(&str, &str, &str, &str, &[&str])] = &[
            (
                "an ordinary day",
                "America/New_York",
                "02:30-04:00",
                "2026-03-10T05:00:00Z",
                &["in 10T02:30-04:00", "out 10T04:00-04:00"],
            ),
            (
                "its beginning is left out: it begins when clocks go forward",
                "America/New_York",
                "02:30-04:00",
                "2026-03-08T05:00:00Z",
                &["in 08T03:00-04:00", "out 08T04:00-04:00"],
            ),
            (
                "its end is left out: it ends when clocks go forward",
                "America/New_York",
                "01:00-02:30",
                "2026-03-08T05:00:00Z",
                &["in 08T01:00-05:00", "out 08T03:00-04:00"],
            ),
            (
                "all of it is left out",
                "America/New_York",
                "02:00-03:00",
                "2026-03-08T05:00:00Z",
                &[],
            ),
            (
                "both edges come twice: from the first to the last",
                "America/New_York",
                "01:15-01:45",
                "2026-11-01T04:00:00Z",
                &["in 01T01:15-04:00", "out 01T01:45-05:00"],
            ),
            (
                "half an hour twice",
                "Australia/Lord_Howe",
                "01:45-03:00",
                "2026-04-04T13:00:00Z",
                &["in 05T01:45+11:00", "out 05T03:00+10:30"],
            ),
            (
                "half an hour left out",
                "Australia/Lord_Howe",
                "02:15-03:00",
                "2026-10-03T13:00:00Z",
                &["in 04T02:30+11:00", "out 04T03:00+11:00"],
            ),
            (
                "back for Ramadan",
                "Africa/Casablanca",
                "02:30-04:00",
                "2026-02-15T00:00:00Z",
                &["in 15T02:30+01:00", "out 15T04:00+00:00"],
            ),
            (
                "and forward after it",
                "Africa/Casablanca",
                "02:30-04:00",
                "2026-03-22T00:00:00Z",
                &["in 22T03:00+01:00", "out 22T04:00+01:00"],
            ),
            (
                "over midnight, in the night of the change",
                "America/New_York",
                "22:00-06:00",
                "2026-03-08T00:00:00Z",
                &["in 07T22:00-05:00", "out 08T06:00-04:00"],
            ),
            (
                "until the end of the day",
                "UTC",
                "22:00-24:00",
                "2026-03-08T12:00:00Z",
                &["in 08T22:00+00:00", "out 09T00:00+00:00"],
            ),
            (
                "whole days follow each other without a gap",
                "America/New_York",
                "00:00-24:00",
                "2026-03-07T12:00:00Z",
                &[],
            ),
        ];
        for (label, zone, span, from, expected) in cases {
            let (begin, end) = span.split_once('-').unwrap();
            let span = Span::read(begin, end, "").unwrap();
            let found = edges(zone.parse().unwrap(), span, from, 18);
            assert_eq!(found, *expected, "{label}");
        }
    }

    /// In every zone, over all changes of the clocks of these years.
    #[test]
    fn whole_days_leave_no_moment_out_and_no_span_ends_before_it_begins() {
        let read = |from, until| Span::read(from, until, "").unwrap();
        let whole = read("00:00", "24:00");
        let parts = [
            read("00:10", "02:20"),
            read("01:30", "03:15"),
            read("23:30", "00:30"),
        ];
        let last = NaiveDate::from_ymd_opt(2030, 12, 31).unwrap();
        for zone in chrono_tz::TZ_VARIANTS {
            let mut day = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
            let mut before = None;
            while day <= last {
                let (begin, end) = whole.on(day, zone).unwrap();
                assert!(before.is_none_or(|before| begin <= before), "{zone} {day}");
                before = Some(end);
                // Clocks change at most a few times a year, and then a day is not 24 hours.
                if end - begin != chrono::TimeDelta::days(1) {
                    for part in parts {
                        let (begin, end) = part.on(day, zone).unwrap();
                        assert!(begin <= end, "{zone} {day} {part:?}");
                    }
                }
                day = day.succ_opt().unwrap();
            }
        }
    }
}
