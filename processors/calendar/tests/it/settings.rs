//! What is wrong with settings is found before anything runs.

use serde_json::json;

use crate::plugin;

fn refused(config: serde_json::Value) -> String {
    let built = plugin().build_processor(config);
    let errors = built.err().expect("the settings are wrong").0;
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let error = refused(json!({
        "timezone": "Europe/Berlim",
        "weekdays": ["mon", "tuu", "weekend"],
        "hours": {"from": "24:00", "until": "25:00"},
        "holidays": ["12-25", "02-30", "2026-02-29", "christmas"],
        "maintenance": [
            {"from": "2026-12-01 22:00", "until": "2026-12-01 22:00"},
            {"from": "02:00", "until": "2026-12-01 04:00"},
            {"from": "tonight", "until": "2026-13-01 04:00", "weekdays": ["sun"]},
            {"from": "02:00", "until": "02:00", "weekdays": []},
        ],
    }));
    insta::assert_snapshot!(error, @r"
    timezone: there is no time zone `Europe/Berlim`, did you mean `Europe/Berlin`?
    weekdays[1]: `tuu` is no day of the week, did you mean `tue`?
    weekdays[2]: `weekend` is no day of the week, which are mon, tue, wed, thu, fri, sat and sun
    hours.from: a day ends at `24:00`, the next one begins at `00:00`
    hours.until: there is no time `25:00`, a day ends at `24:00`
    holidays[1]: there is no 02-30 (month-day) in any year
    holidays[2]: there is no 2026-02-29
    holidays[3]: `christmas` is no day such as `2026-12-25`, or `12-25` for every year
    maintenance[0].until: it is not after `from`
    maintenance[1].until: `from` and `until` are two moments (`2026-12-01 22:00`), or two times of the day (`22:00`) if it comes again
    maintenance[2].weekdays: only a window that comes again has them, with times of the day such as `22:00`
    maintenance[2].from: `tonight` is no moment such as `2026-12-01 22:00` or `2026-12-01T22:00:00+01:00`
    maintenance[2].until: `2026-13-01 04:00` is no moment such as `2026-12-01 22:00` or `2026-12-01T22:00:00+01:00`
    maintenance[3].weekdays: there is no day in it, leave it out for all days
    maintenance[3].until: it is the same as `from`, but a whole day is from `00:00` until `24:00`
    ");
}

#[test]
fn settings_that_do_not_exist_are_refused() {
    for config in [
        json!({"holiday": []}),
        json!({"hours": {"from": "06:00", "until": "22:00", "zone": "UTC"}}),
        json!({"hours": {"from": "06:00"}}),
        json!({"maintenance": [{"from": "02:00", "until": "04:00", "why": "x"}]}),
        json!({"date": "tomorrow"}),
    ] {
        assert!(
            plugin().build_processor(config.clone()).is_err(),
            "{config}"
        );
    }
}

#[test]
fn hostile_texts_are_refused_or_are_text() {
    for hostile in veracity_processor::conformance::HOSTILE {
        for config in [
            json!({"timezone": hostile}),
            json!({"weekdays": [hostile]}),
            json!({"holidays": [hostile]}),
            json!({"hours": {"from": hostile, "until": hostile}}),
            json!({"maintenance": [{"from": hostile, "until": hostile}]}),
        ] {
            assert!(
                plugin().build_processor(config.clone()).is_err(),
                "{config}"
            );
        }
    }
}
