//! What is sent: equal to the vector, within bounds, harmless.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{
    AssertionResult, DeadLetter, Delivery, DeliveryStatus, Message, ProcessContext,
    ResultProcessor, Severity, Status, Symbol, is_deceptive, printable, sample_report,
};

use crate::{Cluster, LIMIT, after, build, many, report, taken};

#[tokio::test]
async fn the_alert_of_a_failure_is_that_of_the_vector() {
    let mut failed = report(1, &[]);
    failed.run.suite = "orders.daily".into();
    let mut result = AssertionResult::new("", "orders.id is unique");
    result.dataset = "orders".into();
    result.expression = "orders.id is unique".into();
    result.status = Status::Failed;
    result.actual = Some(json!(2));
    result.expected = Some("= 0".into());
    result.symbols = vec!["x_1".into()];
    failed.results = vec![result];
    failed.symbols = vec![Symbol::new("x_1", "uniqueness(id)", "orders")];
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let settings = json!({
        "link": "https://example.com/runs/0197a2f0",
        "expires_after": "24h 5m",
    });
    cluster.tell(settings, &failed, "1").await.unwrap();
    let request = &cluster.requests(0)[0];
    let vector = include_str!("../vectors/alertmanager-v2-alerts.json");
    assert_eq!(
        request.json(),
        serde_json::from_str::<Value>(vector).unwrap()
    );
    assert_eq!(
        (request.method(), request.path()),
        ("POST", "/am/api/v2/alerts")
    );
    assert_eq!(request.headers["content-type"], "application/json");
}

#[tokio::test]
async fn an_alert_says_what_is_wrong_and_where() {
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let settings = json!({
        "labels": {"team": "flights", "env": "ours"},
        "link": "https://dq.example.org/{suite}/{run}",
    });
    let mut report = sample_report();
    report
        .run
        .key
        .tags
        .insert("data.centre".into(), "north".into());
    let mut other = report.results[9].clone();
    (other.status, other.group) = (Status::Failed, Some(json!({"carrier": "HA"})));
    report.results.push(other);
    cluster.tell(settings, &report, "1").await.unwrap();
    let alerts = cluster.alerts(0);
    let summaries: Vec<&str> = alerts
        .iter()
        .map(|alert| alert["annotations"]["summary"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(summaries.join("\n"), @r#"
    Flights are complete / tail numbers known: actual 0.9925411540026606, expected >= 0.999
    Carriers report their planes / completeness(tailnum) >= 0.99 [{"carrier":"MQ"}]: actual 0.9534, expected >= 0.99 (+1 more)
    Flights are complete / completeness(tailnm) >= 0.9: error, flights has no column `tailnm`, did you mean `tailnum`?
    Flights are complete / unmatched(tailnum, planes.tailnum) = 0: error, cannot read csv source `data/planes.csv`: no such file
    Weather is known / avg(temp) between -30 and 45: not evaluated, `avg(temp)` is undefined: no rows in scope
    Delays are plausible / dep_delay < 600: 153 rows violate it
    Delays are plausible / delays at departure and arrival go together: failed
    "#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&alerts[1]).unwrap(), @r#"
    {
      "labels": {
        "alertname": "VeracityAssertionFailed",
        "assertion": "completeness(tailnum) >= 0.99",
        "check": "Carriers report their planes",
        "column": "tailnum",
        "data_centre": "north",
        "dataset": "flights",
        "env": "ours",
        "severity": "error",
        "suite": "nycflights",
        "team": "flights"
      },
      "annotations": {
        "description": "{\"carrier\":\"MQ\"}: actual 0.9534, expected >= 0.99\n{\"carrier\":\"HA\"}: actual 0.997, expected >= 0.99\nasserted at nycflights.yaml:32:9",
        "summary": "Carriers report their planes / completeness(tailnum) >= 0.99 [{\"carrier\":\"MQ\"}]: actual 0.9534, expected >= 0.99 (+1 more)"
      },
      "startsAt": "2026-11-20T06:00:00Z",
      "endsAt": "2026-11-21T07:00:04Z",
      "generatorURL": "https://dq.example.org/nycflights/019a9f3b-5c00-7000-8000-00000000002a"
    }
    "#);
}

/// Labels are who an alert is; data among them would be another alert in every run.
#[tokio::test]
async fn no_value_becomes_a_label() {
    let canary = "c4nary";
    let mut report = many(1, 2, "a", Status::Failed);
    for result in &mut report.results {
        result.actual = Some(json!(canary));
        result.expected = Some(canary.into());
        result.reason = Some(canary.into());
        result.group = Some(json!({canary: canary}));
        result.violations = Some(424_242);
        result.sample = vec![json!({canary: canary})];
    }
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let settings = json!({"max_alerts": 1});
    cluster.tell(settings, &report, "1").await.unwrap();
    let alerts = cluster.alerts(0);
    assert_eq!(alerts.len(), 2);
    for alert in alerts {
        let labels = alert["labels"].to_string();
        assert!(
            !labels.contains(canary) && !labels.contains("424242"),
            "{labels}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_failures_are_a_thousand_alerts_and_one_for_the_rest() {
    let mut report = many(1, 10_000, "assertion", Status::Failed);
    report.results[9_999].severity = Severity::P0;
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let outcome = cluster.tell(json!({}), &report, "1").await.unwrap();
    assert_eq!(outcome.note.as_deref(), Some("1001 firing, 0 over"));
    let requests = cluster.requests(0);
    let counts: Vec<usize> = requests
        .iter()
        .map(|request| request.json().as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [vec![100; 10], vec![1]].concat());
    let first = requests[0].json();
    assert_eq!(first[0]["labels"]["assertion"], "assertion 9999");
    let rest = &requests[10].json()[0];
    assert_eq!(
        rest["labels"],
        json!({"alertname": "VeracityMoreAssertionsFailed", "suite": "orders", "severity": "error"})
    );
    assert_eq!(
        rest["annotations"]["summary"],
        "orders: 9000 more assertions did not pass"
    );
    let description = rest["annotations"]["description"].as_str().unwrap();
    assert_eq!(description.lines().count(), 21);
    assert!(description.ends_with("(+8980 more)"), "{description}");
}

#[tokio::test]
async fn requests_stay_small_however_long_the_names_are() {
    let long = "\u{1f600}".repeat(10_000);
    let mut report = many(1, 100, &long, Status::Failed);
    report.run.suite = long.clone();
    report.run.key.tags = BTreeMap::from([(long.clone(), long.clone())]);
    for result in &mut report.results {
        result.check = long.clone();
        result.dataset = long.clone();
        result.expression = long.clone() + "!";
        result.reason = Some(long.clone());
        result.tags = vec![long.clone(); 10];
    }
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let settings = json!({"link": "https://dq.example.org/{suite}"});
    cluster.tell(settings, &report, "1").await.unwrap();
    let requests = cluster.requests(0);
    assert!(
        requests[0].body.len() < 2_000_000,
        "{}",
        requests[0].body.len()
    );
    let alerts = requests[0].json();
    let names: Vec<&Value> = alerts
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| &alert["labels"]["assertion"])
        .collect();
    assert!(names[0] != names[1], "they stay apart");
    for (name, value) in alerts[0]["labels"].as_object().unwrap() {
        assert!(
            name.len() <= 204 && value.as_str().unwrap().chars().count() <= 200,
            "{name}"
        );
    }
    assert_eq!(alerts[0].get("generatorURL"), None, "it would be too long");
}

#[tokio::test]
async fn hostile_names_are_text_and_nothing_else() {
    let report = hostile();
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    cluster.tell(json!({}), &report, "1").await.unwrap();
    let requests = cluster.requests(0);
    for request in &requests {
        let names: Vec<&str> = request.headers.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "accept",
                "content-length",
                "content-type",
                "host",
                "user-agent"
            ]
        );
    }
    let alerts = requests[0].json();
    let alerts = alerts.as_array().unwrap();
    assert_eq!(alerts.len(), report.results.len());
    let ours = [
        "alertname",
        "assertion",
        "check",
        "column",
        "dataset",
        "severity",
        "suite",
    ];
    let mut seen = Vec::new();
    for alert in alerts {
        for (name, value) in alert["labels"].as_object().unwrap() {
            assert!(
                ours.contains(&&**name) || name == "_script_alert_1___script_",
                "{name}"
            );
            let value = value.as_str().unwrap();
            assert!(
                !value.is_empty() && !value.chars().any(is_deceptive),
                "{value:?}"
            );
        }
        for value in alert["annotations"].as_object().unwrap().values() {
            let lines = value.as_str().unwrap().lines();
            assert!(
                !lines.clone().flat_map(str::chars).any(is_deceptive),
                "{value:?}"
            );
        }
        seen.push(alert["labels"]["assertion"].clone());
    }
    for name in HOSTILE {
        assert!(seen.contains(&json!(printable(name))), "{name:?}");
    }
}

#[tokio::test]
async fn a_message_is_an_alert_of_its_own() {
    let mut message = Message::new("3 processors failed <!channel>", sample_report().run);
    message.text = "since 06:00".into();
    message.lines = vec!["email".into(), "slack\nteams".into()];
    message.more = 1;
    message.severity = Severity::P0;
    message.fields.insert("attempts".into(), "5".into());
    let mut cluster = Cluster::new(vec![vec![taken()], vec![taken()]]);
    let processor = build(cluster.config(json!({}))).with_clock(|| after(0));
    let context = ProcessContext::new("alertmanager", "1", LIMIT);
    processor.notify(&message, &context).await.unwrap();
    let alert = cluster.alerts(0).remove(0);
    assert_eq!(cluster.alerts(1), std::slice::from_ref(&alert));
    assert_eq!(alert["labels"]["message"], message.id.to_string());
    insta::assert_snapshot!(serde_json::to_string_pretty(&alert["annotations"]).unwrap(), @r#"
    {
      "description": "since 06:00\nemail\nslack\\nteams\n(+1 more)\nattempts: 5",
      "summary": "3 processors failed <!channel>"
    }
    "#);

    let mut delivery = Delivery::new("email", DeliveryStatus::Dead);
    delivery.error = Some("554 refused".into());
    let letter = DeadLetter::new(delivery, sample_report());
    processor.dead_letter(&letter, &context).await.unwrap();
    let alert = cluster.alerts(0).remove(0);
    assert_eq!(
        alert["annotations"]["summary"],
        "nycflights: the report could not be delivered to `email`"
    );
}

#[tokio::test]
async fn an_alert_never_begins_after_it_ends() {
    let finished = [
        "2026-11-20T07:00:00Z",
        "2026-11-20T06:00:04.9+00:00",
        "soon \u{1f600}",
        "",
    ];
    for finished in finished {
        let mut cluster = Cluster::new(vec![vec![taken()]]);
        let mut failed = report(1, &[("a", Status::Failed)]);
        failed.run.finished_at = finished.into();
        cluster
            .tell(json!({"expires_after": "1m"}), &failed, "1")
            .await
            .unwrap();
        let mut passed = report(2, &[("a", Status::Passed)]);
        passed.run.finished_at = finished.into();
        cluster.tell(json!({}), &passed, "2").await.unwrap();
        let times: Vec<(Value, Value)> = cluster
            .alerts(0)
            .into_iter()
            .map(|alert| (alert["startsAt"].clone(), alert["endsAt"].clone()))
            .collect();
        let expected = [
            (json!("2026-11-20T06:00:04Z"), json!("2026-11-20T06:01:04Z")),
            (json!("2026-11-20T05:59:34Z"), json!("2026-11-20T05:59:34Z")),
        ];
        assert_eq!(times, expected, "{finished}");
    }
}
