//! Whether a run may begin.

use chrono::{DateTime, Datelike, NaiveDate, Utc, Weekday};
use chrono_tz::Tz;
use veracity_processor::{
    ConfigError, FieldError, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, Stage, Upcoming, async_trait, register,
};

use crate::date::{self, Holiday, WEEK};
use crate::maintenance::{Maintenance, weekdays};
use crate::settings::{Basis, Settings};
use crate::span::Span;
use crate::zone;

register!(
    Plugin::processor::<Calendar>("calendar", env!("CARGO_PKG_VERSION"))
        .description("Ends runs in times that are closed: holidays, nights, maintenance windows")
        .author("the veracity authors")
        .stages(&[Stage::BeforeRun])
        .example(
            "calendar:
  timezone: Europe/Berlin
  weekdays: [mon, tue, wed, thu, fri]
  hours: {from: '06:00', until: '22:00'}
  holidays: ['12-25', '12-26', '2026-04-03']
  maintenance:
    - {from: '2026-12-01 22:00', until: '2026-12-02 04:00', reason: storage upgrade}
    - {weekdays: [sun], from: '02:00', until: '04:00', reason: backups}"
        )
);

/// Ends runs that begin in times that are closed.
#[derive(Debug)]
pub struct Calendar {
    zone: Tz,
    weekdays: Option<Vec<Weekday>>,
    hours: Option<Span>,
    holidays: Vec<Holiday>,
    maintenance: Vec<Maintenance>,
    date: Basis,
}

impl Processor for Calendar {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        let mut errors = Vec::new();
        let zone = zone::named(&settings.timezone).unwrap_or_else(|error| {
            errors.push(FieldError::new("/timezone", error));
            Tz::UTC
        });
        let weekdays = weekdays(settings.weekdays.as_deref(), "/weekdays");
        let weekdays = kept(weekdays, &mut errors).flatten();
        let hours = settings.hours.and_then(|hours| {
            let span = Span::read(&hours.from, &hours.until, "/hours");
            kept(span, &mut errors)
        });
        let mut holidays = Vec::new();
        for (number, day) in settings.holidays.iter().enumerate() {
            let at = |error| vec![FieldError::new(format!("/holidays/{number}"), error)];
            holidays.extend(kept(Holiday::read(day).map_err(at), &mut errors));
        }
        let mut maintenance = Vec::new();
        for (number, window) in settings.maintenance.iter().enumerate() {
            let window = Maintenance::read(window, zone, &format!("/maintenance/{number}"));
            maintenance.extend(kept(window, &mut errors));
        }
        if !errors.is_empty() {
            return Err(ConfigError(errors));
        }
        Ok(Self {
            zone,
            weekdays,
            hours,
            holidays,
            maintenance,
            date: settings.date,
        })
    }
}

fn kept<T>(read: Result<T, Vec<FieldError>>, errors: &mut Vec<FieldError>) -> Option<T> {
    read.map_err(|wrong| errors.extend(wrong)).ok()
}

impl Calendar {
    /// Why a run that begins at `now` and is about data of `date` (`YYYY-MM-DD`) must not
    /// begin; `None` if it may.
    ///
    /// # Errors
    ///
    /// `date` is none, and the settings are about it.
    pub fn closed(&self, now: DateTime<Utc>, date: &str) -> Result<Option<String>, String> {
        let today = now.with_timezone(&self.zone).date_naive();
        // Hours that pass midnight belong to the day on which they began.
        let hours = self
            .hours
            .map(|span| (span, span.around(now, self.zone).next()));
        let shift = hours.and_then(|(_, around)| around).map(|(day, _)| day);
        let (holiday, weekday, what) = match self.date {
            Basis::Run => (today, shift.unwrap_or(today), "closed on"),
            Basis::Data => {
                let date = date::date(date)
                    .map_err(|error| format!("the date of the data is not known: {error}"))?;
                (date, date, "closed for data of")
            }
        };
        let reason = self
            .by_holiday(holiday, what)
            .or_else(|| self.by_weekday(weekday, what))
            .or_else(|| match hours? {
                (_, Some(_)) => None,
                (span, None) => Some(self.by_hours(now, span)),
            })
            .or_else(|| self.by_maintenance(now));
        Ok(reason)
    }

    fn by_holiday(&self, day: NaiveDate, what: &str) -> Option<String> {
        let is = self.holidays.iter().any(|holiday| holiday.is(day));
        is.then(|| format!("{what} {day} (a holiday)"))
    }

    fn by_weekday(&self, day: NaiveDate, what: &str) -> Option<String> {
        let open = self.weekdays.as_ref()?;
        if open.contains(&day.weekday()) {
            return None;
        }
        let name = date::name(day.weekday());
        let week = WEEK.iter().filter(|(day, ..)| open.contains(day));
        let open: Vec<&str> = week.map(|(_, short, _)| *short).collect();
        Some(format!(
            "{what} {day} (a {name}; open: {})",
            open.join(", ")
        ))
    }

    fn by_hours(&self, now: DateTime<Utc>, span: Span) -> String {
        let now = now.with_timezone(&self.zone).format("%H:%M");
        let (Span { from, until }, zone) = (span, self.zone);
        format!("closed at {now}: open from {from} until {until} ({zone})")
    }

    fn by_maintenance(&self, now: DateTime<Utc>) -> Option<String> {
        let ends = self
            .maintenance
            .iter()
            .filter_map(|window| Some((window.end(now, self.zone)?, window)));
        let (end, window) = ends.max_by_key(|(end, _)| *end)?;
        let [end, now] = [end, now].map(|moment| moment.with_timezone(&self.zone));
        let form = match end.date_naive() == now.date_naive() {
            true => "%H:%M",
            false => "%Y-%m-%d %H:%M",
        };
        let mut reason = format!("maintenance until {}", end.format(form));
        if !window.reason.is_empty() {
            reason = format!("{reason}: {}", window.reason);
        }
        Some(reason)
    }
}

#[async_trait]
impl ResultProcessor for Calendar {
    async fn process(&self, _: &Report, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::skipped(
            "a calendar looks at runs before they begin, not at reports",
        ))
    }

    async fn before_run(
        &self,
        upcoming: &Upcoming,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let run = &upcoming.run;
        let now = DateTime::parse_from_rfc3339(&run.started_at).map_err(|error| {
            let message = format!("`{}` is no moment a run begins: {error}", run.started_at);
            ProcessorError::permanent(message)
        })?;
        let closed = self.closed(now.to_utc(), &run.key.date);
        Ok(match closed.map_err(ProcessorError::permanent)? {
            Some(reason) => Outcome::stop(reason),
            None => Outcome::done(),
        })
    }
}
