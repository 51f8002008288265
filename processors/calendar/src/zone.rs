//! Time zones, and what a local time is in them.

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};

/// The zone called `name`.
///
/// # Errors
///
/// There is none; the nearest name is told.
pub(crate) fn named(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let hint = nearest(name).map_or_else(
            || "an IANA name such as `Europe/Berlin` is wanted".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        format!("there is no time zone `{name}`, {hint}")
    })
}

/// The zone whose name, or whose city, is spelled most like `name`.
fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.trim().to_lowercase().replace(' ', "_");
    let limit = wanted.chars().count().div_ceil(3);
    TZ_VARIANTS
        .iter()
        .map(|zone| {
            let full = zone.name().to_lowercase();
            let city = full.rsplit('/').next().unwrap_or_default();
            let whole = strsim::damerau_levenshtein(&wanted, &full);
            let city = strsim::damerau_levenshtein(&wanted, city);
            (whole.min(city), whole, zone.name())
        })
        .filter(|(distance, ..)| *distance <= limit)
        .min()
        .map(|(.., name)| name)
}

/// Which of two moments with the same local time is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The first: something begins.
    Begin,
    /// The last: something ends.
    End,
}

/// The moment at which clocks in `zone` show `local`. If they show it twice, `edge` says
/// which; if they leave it out, it is the moment at which they do. `None` beyond the years
/// that there are.
pub(crate) fn moment(zone: Tz, local: NaiveDateTime, edge: Edge) -> Option<DateTime<Utc>> {
    // Beyond these, zones overflow.
    let near = local
        .checked_sub_signed(Duration::days(2))
        .and(local.checked_add_signed(Duration::days(2)));
    near?;
    let found = match zone.from_local_datetime(&local) {
        LocalResult::Single(moment) => moment,
        LocalResult::Ambiguous(first, last) => match edge {
            Edge::Begin => first,
            Edge::End => last,
        },
        LocalResult::None => GapInfo::new(&local, &zone)?.end?,
    };
    Some(found.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_told_the_nearest() {
        let cases = [
            ("Europe/Berlim", "did you mean `Europe/Berlin`?"),
            ("europe/berlin", "did you mean `Europe/Berlin`?"),
            ("Berlin", "did you mean `Europe/Berlin`?"),
            ("New York", "did you mean `America/New_York`?"),
            ("utc", "did you mean `UTC`?"),
            ("Mars/Olympus_Mons", "an IANA name such as"),
            ("", "an IANA name such as"),
        ];
        for (name, hint) in cases {
            let error = named(name).unwrap_err();
            assert!(error.contains(hint), "{name}: {error}");
        }
        assert_eq!(named("America/New_York"), Ok(Tz::America__New_York));
    }

    #[test]
    fn times_that_clocks_leave_out_or_show_twice_are_moments() {
        let cases = [
            // One hour forward at 02:00 on 8 March, back at 02:00 on 1 November.
            (
                "America/New_York",
                "2026-03-08T02:30:00",
                "2026-03-08T07:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            (
                "America/New_York",
                "2026-11-01T01:30:00",
                "2026-11-01T05:30:00Z",
                "2026-11-01T06:30:00Z",
            ),
            // Half an hour only: forward on 4 October, back on 5 April, at 02:00.
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:15:00",
                "2026-10-03T15:30:00Z",
                "2026-10-03T15:30:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-04-05T01:45:00",
                "2026-04-04T14:45:00Z",
                "2026-04-04T15:15:00Z",
            ),
            // Back for Ramadan at 03:00 on 15 February, forward at 02:00 on 22 March.
            (
                "Africa/Casablanca",
                "2026-02-15T02:30:00",
                "2026-02-15T01:30:00Z",
                "2026-02-15T02:30:00Z",
            ),
            (
                "Africa/Casablanca",
                "2026-03-22T02:30:00",
                "2026-03-22T02:00:00Z",
                "2026-03-22T02:00:00Z",
            ),
            // A whole day that never was.
            (
                "Pacific/Apia",
                "2011-12-30T12:00:00",
                "2011-12-30T10:00:00Z",
                "2011-12-30T10:00:00Z",
            ),
            (
                "UTC",
                "2026-03-08T02:30:00",
                "2026-03-08T02:30:00Z",
                "2026-03-08T02:30:00Z",
            ),
        ];
        for (zone, local, begin, end) in cases {
            let (tz, time) = (named(zone).unwrap(), local.parse().unwrap());
            for (edge, expected) in [(Edge::Begin, begin), (Edge::End, end)] {
                let expected: DateTime<Utc> = expected.parse().unwrap();
                assert_eq!(moment(tz, time, edge), Some(expected), "{zone} {local}");
            }
        }
        assert_eq!(moment(Tz::UTC, NaiveDateTime::MAX, Edge::End), None);
    }
}
