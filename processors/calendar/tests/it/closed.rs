//! When runs are ended, and with which words.

use serde_json::{Value, json};

use crate::{ask, closed, whole};

fn table(config: Value, cases: &[(&str, Option<&str>)]) {
    for (moment, expected) in cases {
        let reason = closed(&config, moment);
        assert_eq!(reason.as_deref(), *expected, "{moment} {config}");
    }
}

#[test]
fn without_settings_everything_is_open() {
    table(json!({}), &[("2026-12-25T03:00:00Z", None)]);
}

#[test]
fn reasons_are_sentences() {
    let cases = [
        ("2026-11-20T08:00:00.123456Z", None),
        (
            "2026-12-25T08:00:00Z",
            Some("closed on 2026-12-25 (a holiday)"),
        ),
        (
            "2026-04-03T08:00:00Z",
            Some("closed on 2026-04-03 (a holiday)"),
        ),
        // The day is the day in Berlin.
        (
            "2026-12-24T23:30:00Z",
            Some("closed on 2026-12-25 (a holiday)"),
        ),
        (
            "2026-11-21T08:00:00Z",
            Some("closed on 2026-11-21 (a Saturday; open: mon, tue, wed, thu, fri)"),
        ),
        (
            "2026-11-20T04:59:59Z",
            Some("closed at 05:59: open from 06:00 until 22:00 (Europe/Berlin)"),
        ),
        ("2026-11-20T05:00:00Z", None),
        ("2026-11-20T20:59:59Z", None),
        (
            "2026-11-20T21:00:00Z",
            Some("closed at 22:00: open from 06:00 until 22:00 (Europe/Berlin)"),
        ),
        ("2026-12-01T18:59:59Z", None),
        (
            "2026-12-01T19:00:00Z",
            Some("maintenance until 2026-12-02 08:00: storage upgrade"),
        ),
        (
            "2026-12-02T06:59:59Z",
            Some("maintenance until 08:00: storage upgrade"),
        ),
        ("2026-12-02T07:00:00Z", None),
        (
            "2026-12-02T11:00:00Z",
            Some("maintenance until 13:30: backups"),
        ),
        ("2026-12-02T12:30:00Z", None),
        ("2026-12-03T11:00:00Z", None),
    ];
    table(whole(), &cases);
}

#[test]
fn a_moment_may_be_written_with_any_offset() {
    let config = json!({"holidays": ["12-25"], "timezone": "Asia/Tokyo"});
    let cases = [
        (
            "2026-12-24T10:00:00-05:00",
            Some("closed on 2026-12-25 (a holiday)"),
        ),
        (
            "2026-12-24T15:00:00Z",
            Some("closed on 2026-12-25 (a holiday)"),
        ),
        ("2026-12-24T14:59:59Z", None),
        ("2026-12-25T15:00:00Z", None),
    ];
    table(config, &cases);
}

#[test]
fn hours_that_pass_midnight_belong_to_the_day_on_which_they_begin() {
    let nights = json!({
        "weekdays": ["fri"],
        "hours": {"from": "22:00", "until": "06:00"},
        "holidays": ["2026-11-28"],
    });
    let friday = "open: fri)";
    let cases = [
        (
            "2026-11-20T21:59:00Z",
            Some("closed at 21:59: open from 22:00 until 06:00 (UTC)"),
        ),
        ("2026-11-20T22:00:00Z", None),
        ("2026-11-21T05:59:00Z", None),
        ("2026-11-21T06:00:00Z", Some(friday)),
        // The night of Thursday.
        ("2026-11-20T03:00:00Z", Some(friday)),
        // A holiday is a day of the calendar.
        ("2026-11-27T23:00:00Z", None),
        (
            "2026-11-28T01:00:00Z",
            Some("closed on 2026-11-28 (a holiday)"),
        ),
    ];
    for (moment, expected) in cases {
        let reason = closed(&nights, moment);
        let fits = match (&reason, expected) {
            (Some(reason), Some(expected)) => reason.ends_with(expected),
            (reason, expected) => reason.is_none() && expected.is_none(),
        };
        assert!(fits, "{moment}: {reason:?}");
    }
}

#[test]
fn maintenance_that_passes_midnight_belongs_to_the_day_on_which_it_begins() {
    let config = json!({"maintenance": [
        {"weekdays": ["Saturday"], "from": "22:00", "until": "04:00", "reason": "  "},
    ]});
    let cases = [
        ("2026-11-20T23:00:00Z", None),
        ("2026-11-21T03:00:00Z", None),
        (
            "2026-11-21T22:00:00Z",
            Some("maintenance until 2026-11-22 04:00"),
        ),
        ("2026-11-22T03:59:59Z", Some("maintenance until 04:00")),
        ("2026-11-22T04:00:00Z", None),
        ("2026-11-22T23:00:00Z", None),
    ];
    table(config, &cases);
}

#[test]
fn of_several_windows_the_one_that_ends_last_is_told() {
    let config = json!({"maintenance": [
        {"from": "02:00", "until": "04:00", "reason": "backups"},
        {"from": "2026-11-20T01:00:00-05:00", "until": "2026-11-20T08:00:00+01:00"},
        {"from": "2026-11-20 03:00:00", "until": "2026-11-20T07:00", "reason": "upgrade"},
    ]});
    let cases = [
        (
            "2026-11-20T02:30:00Z",
            Some("maintenance until 04:00: backups"),
        ),
        (
            "2026-11-20T03:30:00Z",
            Some("maintenance until 07:00: upgrade"),
        ),
        (
            "2026-11-21T03:30:00Z",
            Some("maintenance until 04:00: backups"),
        ),
        ("2026-11-20T07:00:00Z", None),
    ];
    table(config, &cases);
}

#[test]
fn local_times_that_do_not_exist_or_exist_twice_close_as_long_as_may_be_meant() {
    // (zone, from, until, the last moment before, the first after)
    let cases = [
        // 02:00 becomes 03:00 on 8 March, and 01:00 on 1 November.
        (
            "America/New_York",
            "2026-03-08 02:30",
            "2026-03-08 03:30",
            "2026-03-08T06:59:59Z",
            "2026-03-08T07:30:00Z",
        ),
        (
            "America/New_York",
            "2026-11-01 01:30",
            "2026-11-01 01:45",
            "2026-11-01T05:29:59Z",
            "2026-11-01T06:45:00Z",
        ),
        // 02:00 becomes 02:30 on 4 October, and 01:30 on 5 April.
        (
            "Australia/Lord_Howe",
            "2026-10-04 02:15",
            "2026-10-04 03:00",
            "2026-10-03T15:29:59Z",
            "2026-10-03T16:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05 01:40",
            "2026-04-05 01:50",
            "2026-04-04T14:39:59Z",
            "2026-04-04T15:20:00Z",
        ),
        // 03:00 becomes 02:00 on 15 February, and 02:00 becomes 03:00 on 22 March.
        (
            "Africa/Casablanca",
            "2026-02-15 02:30",
            "2026-02-15 02:40",
            "2026-02-15T01:29:59Z",
            "2026-02-15T02:40:00Z",
        ),
        (
            "Africa/Casablanca",
            "2026-03-22 02:30",
            "2026-03-22 03:30",
            "2026-03-22T01:59:59Z",
            "2026-03-22T02:30:00Z",
        ),
    ];
    for (zone, from, until, before, after) in cases {
        let once = json!({"from": from, "until": until});
        let daily = json!({"from": &from[11..], "until": &until[11..]});
        for window in [once, daily] {
            let config = json!({"timezone": zone, "maintenance": [window]});
            let next = |moment: &str, seconds| {
                let moment = chrono::DateTime::parse_from_rfc3339(moment).unwrap();
                (moment + chrono::TimeDelta::seconds(seconds)).to_rfc3339()
            };
            let label = format!("{zone} {config}");
            assert_eq!(closed(&config, before), None, "{label}");
            assert!(closed(&config, &next(before, 1)).is_some(), "{label}");
            assert!(closed(&config, &next(after, -1)).is_some(), "{label}");
            assert_eq!(closed(&config, after), None, "{label}");
        }
    }
}

#[test]
fn weekdays_and_holidays_may_be_about_the_data() {
    let config = json!({
        "date": "data",
        "weekdays": ["mon", "tue", "wed", "thu", "fri"],
        "hours": {"from": "22:00", "until": "06:00"},
        "holidays": ["12-25"],
    });
    let now = "2026-11-21T03:00:00Z";
    let cases = [
        ("2026-11-20", None),
        (
            "2026-11-21",
            Some("closed for data of 2026-11-21 (a Saturday; open: mon, tue, wed, thu, fri)"),
        ),
        (
            "2025-12-25",
            Some("closed for data of 2025-12-25 (a holiday)"),
        ),
    ];
    for (date, expected) in cases {
        let outcome = ask(&config, now, date).unwrap();
        assert_eq!(outcome.reason.as_deref(), expected, "{date}");
    }
    let day = ask(&config, "2026-11-20T12:00:00Z", "2026-11-20").unwrap();
    let expected = "closed at 12:00: open from 22:00 until 06:00 (UTC)";
    assert_eq!(day.reason.as_deref(), Some(expected));
    let error = ask(&config, now, "yesterday").unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        "the date of the data is not known: `yesterday` is no date such as `2026-12-25`"
    );
}

#[test]
fn a_run_without_a_moment_is_an_error_and_no_panic() {
    for moment in ["", "soon", "2026-11-20", "2026-11-20T06:00:00"] {
        let error = ask(&whole(), moment, "2026-11-20").unwrap_err();
        assert!(!error.is_retryable(), "{moment}: {error}");
    }
    for moment in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        assert!(ask(&whole(), moment, "2026-11-20").is_ok(), "{moment}");
    }
}
