//! Dates, days of the week and times of the day, as they are written in settings.

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta, Weekday};

/// Days of the week with their names.
pub(crate) const WEEK: [(Weekday, &str, &str); 7] = [
    (Weekday::Mon, "mon", "Monday"),
    (Weekday::Tue, "tue", "Tuesday"),
    (Weekday::Wed, "wed", "Wednesday"),
    (Weekday::Thu, "thu", "Thursday"),
    (Weekday::Fri, "fri", "Friday"),
    (Weekday::Sat, "sat", "Saturday"),
    (Weekday::Sun, "sun", "Sunday"),
];

/// `mon` or `Monday`.
///
/// # Errors
///
/// It is none; the nearest is told.
pub(crate) fn weekday(text: &str) -> Result<Weekday, String> {
    let lower = text.trim().to_lowercase();
    let is = |name: &str| lower == name.to_lowercase();
    if let Some((day, ..)) = WEEK.iter().find(|(_, short, long)| is(short) || is(long)) {
        return Ok(*day);
    }
    let distance = |name: &str| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    let limit = lower.chars().count().div_ceil(3);
    let near = WEEK
        .iter()
        .map(|(_, short, long)| (distance(short).min(distance(long)), *short))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance);
    Err(match near {
        Some((_, near)) => format!("`{text}` is no day of the week, did you mean `{near}`?"),
        None => {
            format!(
                "`{text}` is no day of the week, which are mon, tue, wed, thu, fri, sat and sun"
            )
        }
    })
}

/// A weekday's whole name.
pub(crate) fn name(day: Weekday) -> &'static str {
    WEEK[day.num_days_from_monday() as usize].2
}

/// The `count` numbers of as many digits as `widths` says, between `separator`s.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if part.len() != width || !digits {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// `2026-12-25`.
///
/// # Errors
///
/// It is no date, or none that exists.
pub(crate) fn date(text: &str) -> Result<NaiveDate, String> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])
        .ok_or_else(|| format!("`{text}` is no date such as `2026-12-25`"))?;
    NaiveDate::from_ymd_opt(year.cast_signed(), month, day)
        .ok_or_else(|| format!("there is no {text}"))
}

/// A day that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holiday {
    Once(NaiveDate),
    Yearly { month: u32, day: u32 },
}

impl Holiday {
    /// `2026-12-25` or `12-25`.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let Some([month, day]) = numbers(text, '-', [2, 2]) else {
            let wanted = |error| match numbers(text, '-', [4, 2, 2]) {
                Some(_) => error,
                None => {
                    format!("`{text}` is no day such as `2026-12-25`, or `12-25` for every year")
                }
            };
            return date(text).map(Self::Once).map_err(wanted);
        };
        // A year that has all days there are.
        let exists = NaiveDate::from_ymd_opt(2024, month, day).is_some();
        let unknown = || format!("there is no {text} (month-day) in any year");
        exists
            .then_some(Self::Yearly { month, day })
            .ok_or_else(unknown)
    }

    pub(crate) fn is(self, date: NaiveDate) -> bool {
        match self {
            Self::Once(day) => day == date,
            Self::Yearly { month, day } => (date.month(), date.day()) == (month, day),
        }
    }
}

/// A time of the day, in minutes since its beginning; `24:00` is its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u32);

impl Time {
    const END: Time = Time(24 * 60);

    /// `06:00`; `None` if it has not this form.
    fn shape(text: &str) -> Option<[u32; 2]> {
        numbers(text, ':', [2, 2]).or_else(|| numbers(text, ':', [1, 2]))
    }

    /// Whether `text` looks like a time of the day, right or wrong.
    pub(crate) fn is_meant(text: &str) -> bool {
        Self::shape(text).is_some()
    }

    /// When something begins.
    ///
    /// # Errors
    ///
    /// It is no time, or the end of the day.
    pub(crate) fn begin(text: &str) -> Result<Self, String> {
        match Self::end(text)? {
            Self::END => Err("a day ends at `24:00`, the next one begins at `00:00`".to_owned()),
            time => Ok(time),
        }
    }

    /// When something ends.
    ///
    /// # Errors
    ///
    /// It is no time.
    pub(crate) fn end(text: &str) -> Result<Self, String> {
        let [hour, minute] =
            Self::shape(text).ok_or_else(|| format!("`{text}` is no time such as `06:00`"))?;
        let time = Time(hour * 60 + minute);
        if minute > 59 || time > Self::END {
            return Err(format!("there is no time `{text}`, a day ends at `24:00`"));
        }
        Ok(time)
    }

    /// It, on `date`; `None` beyond the dates that there are.
    pub(crate) fn on(self, date: NaiveDate) -> Option<NaiveDateTime> {
        let minutes = TimeDelta::minutes(self.0.into());
        date.and_hms_opt(0, 0, 0)?.checked_add_signed(minutes)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_short_or_long_and_the_nearest_is_told() {
        let cases = [
            ("mon", Ok(Weekday::Mon)),
            ("Sunday", Ok(Weekday::Sun)),
            ("TUE", Ok(Weekday::Tue)),
            ("tuu", Err("did you mean `tue`?")),
            ("wendsday", Err("did you mean `wed`?")),
            ("funday", Err("did you mean `sun`?")),
            ("montag", Err("did you mean `mon`?")),
            ("weekend", Err("which are mon")),
            ("", Err("which are mon")),
        ];
        for (text, expected) in cases {
            match (weekday(text), expected) {
                (Ok(day), Ok(expected)) => assert_eq!(day, expected, "{text}"),
                (Err(error), Err(hint)) => assert!(error.contains(hint), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn holidays_are_a_date_or_a_day_of_every_year() {
        let cases = [
            ("2026-12-25", "2026-12-25", true),
            ("2026-12-25", "2027-12-25", false),
            ("12-25", "2027-12-25", true),
            ("12-25", "2027-12-24", false),
            ("02-29", "2028-02-29", true),
            ("02-29", "2027-02-28", false),
            ("02-29", "2027-03-01", false),
        ];
        for (holiday, day, expected) in cases {
            let holiday = Holiday::read(holiday).unwrap();
            assert_eq!(
                holiday.is(date(day).unwrap()),
                expected,
                "{holiday:?} {day}"
            );
        }
        let wrong = [
            ("2026-02-29", "there is no 2026-02-29"),
            ("02-30", "there is no 02-30 (month-day) in any year"),
            ("13-01", "there is no 13-01"),
            ("2026-13-01", "there is no 2026-13-01"),
            ("25.12.2026", "is no day such as `2026-12-25`"),
            ("2026-1-5", "is no day such as"),
            ("+026-01-05", "is no day such as"),
            ("christmas", "is no day such as"),
            ("٢٠٢٦-١٢-٢٥", "is no day such as"),
            ("", "is no day such as"),
        ];
        for (text, reason) in wrong {
            let error = Holiday::read(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_and_ends_at_24() {
        let cases = [
            ("06:00", true, true),
            ("6:00", true, true),
            ("00:00", true, true),
            ("23:59", true, true),
            ("24:00", false, true),
            ("24:01", false, false),
            ("12:60", false, false),
            ("99:99", false, false),
            ("6", false, false),
            ("06:00:00", false, false),
            ("06:0", false, false),
            ("-6:00", false, false),
            ("6 pm", false, false),
            ("", false, false),
        ];
        for (text, begins, ends) in cases {
            assert_eq!(Time::begin(text).is_ok(), begins, "{text}");
            assert_eq!(Time::end(text).is_ok(), ends, "{text}");
        }
        assert_eq!(Time::begin("6:05").unwrap().to_string(), "06:05");
        assert_eq!(Time::END.on(NaiveDate::MAX), None);
    }
}
