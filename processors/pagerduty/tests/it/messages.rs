//! What is sent: equal to the vectors, within the limits, harmless.

use serde_json::{Value, json};
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{
    AssertionResult, DeadLetter, Delivery, DeliveryStatus, Message, ProcessContext, Severity,
    Status, Symbol, printable, sample_report,
};

use crate::{LIMIT, Service, build, many, queued, report, to, with};
use veracity_http::testing::Server;

fn vector(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn the_events_of_a_failure_and_its_recovery_are_those_of_the_vectors() {
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
    failed.summary.declared = 1;
    let mut passed = failed.clone();
    passed.results[0].status = Status::Passed;

    let mut service = Service::new(vec![queued()]);
    let settings = json!({"link": "https://example.com/runs/0197a2f0", "group": "sales"});
    service.tell(settings.clone(), &failed, "1").await.unwrap();
    service.tell(settings, &passed, "2").await.unwrap();
    let mut trigger = vector(include_str!("../vectors/pagerduty-trigger.json"));
    let mut resolve = vector(include_str!("../vectors/pagerduty-resolve.json"));
    // The vectors have a short key; ours tells apart what has the same name elsewhere.
    let key = "veracity/orders.daily/orders//orders.id is unique";
    trigger["dedup_key"] = key.into();
    resolve["dedup_key"] = key.into();
    assert_eq!(service.events(), [trigger, resolve]);
}

#[tokio::test]
async fn an_alert_says_what_is_wrong_and_where() {
    let mut service = Service::new(vec![queued()]);
    let settings = json!({"link": "https://dq.example.org/{suite}/{run}"});
    service.tell(settings, &sample_report(), "1").await.unwrap();
    let events = service.events();
    let payloads = events.iter().map(|event| &event["payload"]);
    let lines: Vec<String> = payloads
        .map(|payload| format!("{} {}", payload["severity"], payload["summary"]))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    "critical" "nycflights: Flights are complete / tail numbers known failed (actual 0.9925411540026606, expected >= 0.999)"
    "error" "nycflights: Carriers report their planes / completeness(tailnum) >= 0.99 [{\"carrier\":\"MQ\"}] failed (actual 0.9534, expected >= 0.99)"
    "error" "nycflights: Flights are complete / completeness(tailnm) >= 0.9 is in error (flights has no column `tailnm`, did you mean `tailnum`?)"
    "error" "nycflights: Flights are complete / unmatched(tailnum, planes.tailnum) = 0 is in error (cannot read csv source `data/planes.csv`: no such file)"
    "error" "nycflights: Weather is known / avg(temp) between -30 and 45 was not evaluated (`avg(temp)` is undefined: no rows in scope)"
    "warning" "nycflights: Delays are plausible / dep_delay < 600 failed (153 rows violate it)"
    "info" "nycflights: Delays are plausible / delays at departure and arrival go together failed"
    "#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&events[0]).unwrap(), @r#"
    {
      "routing_key": "00000000000000000000000000000000",
      "event_action": "trigger",
      "dedup_key": "veracity/nycflights/flights/Flights are complete/tail numbers known",
      "client": "veracity",
      "client_url": "https://dq.example.org/nycflights/019a9f3b-5c00-7000-8000-00000000002a",
      "payload": {
        "summary": "nycflights: Flights are complete / tail numbers known failed (actual 0.9925411540026606, expected >= 0.999)",
        "severity": "critical",
        "source": "nycflights",
        "timestamp": "2026-11-20T06:00:00.412Z",
        "component": "flights",
        "class": "completeness",
        "custom_details": {
          "actual": "0.9925411540026606",
          "expected": ">= 0.999",
          "check": "Flights are complete",
          "expression": "completeness(tailnum) >= 0.999",
          "tags": "daily, fleet",
          "location": "nycflights.yaml:14:9"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn severities_can_be_changed() {
    let mut report = many(1, 4, "a");
    for (result, severity) in report.results.iter_mut().zip(Severity::ALL) {
        result.severity = severity;
    }
    let cases = [
        (json!({}), ["critical", "error", "warning", "info"]),
        (
            json!({"P1": "critical", "P3": "warning"}),
            ["critical", "critical", "warning", "warning"],
        ),
    ];
    for (map, expected) in cases {
        let mut service = Service::new(vec![queued()]);
        service
            .tell(json!({"severity_map": map}), &report, "1")
            .await
            .unwrap();
        let events = service.events();
        let severities: Vec<&Value> = events.iter().map(|e| &e["payload"]["severity"]).collect();
        assert_eq!(severities, expected);
    }
}

#[tokio::test]
async fn ten_thousand_failures_are_fifty_alerts_and_one_for_the_rest() {
    let mut report = many(1, 10_000, "assertion");
    report.results[9_999].severity = Severity::P0;
    for result in &mut report.results[..100] {
        result.status = Status::Error;
    }
    let mut service = Service::new(vec![queued()]);
    let outcome = service.tell(json!({}), &report, "1").await.unwrap();
    assert_eq!(outcome.note.as_deref(), Some("51 triggered, 0 resolved"));
    let events = service.events();
    assert_eq!(events.len(), 51);
    assert_eq!(
        events[0]["dedup_key"],
        "veracity/orders/orders/keys/assertion 9999"
    );
    let more = &events[50];
    assert_eq!(more["dedup_key"], "veracity/orders/more");
    assert_eq!(more["payload"]["severity"], "error");
    assert_eq!(
        more["payload"]["summary"],
        "orders: 9950 more assertions did not pass"
    );
    let details = &more["payload"]["custom_details"];
    assert_eq!(
        (&details["failed"], &details["in error"]),
        (&json!("9850"), &json!("100"))
    );
    let first = details["first"].as_array().unwrap();
    assert_eq!((first.len(), &first[20]), (21, &json!("(+9930 more)")));
}

/// The longest of everything, in characters that take the most bytes.
#[tokio::test]
async fn every_event_is_within_the_limits() {
    for letter in ["\u{1f600}", "\"", "\n", "x"] {
        let long = letter.repeat(10_000);
        let mut report = many(1, 2, &long);
        report.run.suite = long.clone();
        for result in &mut report.results {
            result.check = long.clone();
            result.dataset = long.clone();
            result.expression = long.clone() + "!";
            result.actual = Some(json!(long));
            result.expected = Some(long.clone());
            result.reason = Some(long.clone());
            result.group = Some(json!({long.clone(): long}));
            result.tags = vec![long.clone(); 100];
        }
        let mut message = Message::new(long.clone(), report.run.clone());
        message.text = long.clone();
        message.lines = vec![long.clone(); 1000];
        message.fields = (0..100)
            .map(|n| (format!("{n}{long}"), long.clone()))
            .collect();

        let mut service = Service::new(vec![queued()]);
        let settings = json!({"max_events": 1, "group": long, "link": "https://a.org/{suite}"});
        service.tell(settings.clone(), &report, "1").await.unwrap();
        let context = ProcessContext::new("pagerduty", "1", LIMIT);
        let processor = build(with(to(&service.server.url()), settings));
        processor.notify(&message, &context).await.unwrap();
        let requests = service.server.requests();
        assert_eq!(requests.len(), 3);
        for request in requests {
            assert!(request.body.len() <= 512_000, "{}", request.body.len());
            let event = request.json();
            let length = |value: &Value| value.as_str().unwrap_or_default().chars().count();
            assert!(length(&event["dedup_key"]) <= 255);
            let payload = &event["payload"];
            assert!(length(&payload["summary"]) <= 1024);
            for name in ["source", "component", "group", "class"] {
                assert!(length(&payload[name]) <= 255, "{name}");
            }
            assert_eq!(event.get("client_url"), None, "it would be too long");
        }
    }
}

#[tokio::test]
async fn hostile_names_are_text_and_nothing_else() {
    let server = Server::start(vec![queued()]);
    let mut context = ProcessContext::new("pagerduty", "1", LIMIT);
    context.config.0 = to(&server.url());
    let report = hostile();
    let processor = build(to(&server.url()));
    processor.process(&report, &context).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), report.results.len());
    let mut seen = Vec::new();
    for request in requests {
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
        let event = request.json();
        let fields: Vec<&String> = event.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            [
                "routing_key",
                "event_action",
                "dedup_key",
                "client",
                "payload"
            ]
        );
        let text = event.to_string();
        let deceptive = |c| veracity_processor::is_deceptive(c);
        assert!(!text.chars().any(deceptive), "{text}");
        seen.push(event["payload"]["custom_details"]["actual"].clone());
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
    message.fields.insert("text".into(), "another".into());
    message.fields.insert("attempts".into(), "5".into());
    let server = Server::start(vec![queued()]);
    let processor = build(to(&server.url()));
    let context = ProcessContext::new("pagerduty", "1", LIMIT);
    processor.notify(&message, &context).await.unwrap();
    processor.notify(&message, &context).await.unwrap();
    let sent = server.requests();
    assert_eq!(sent[0].json()["dedup_key"], message.id.to_string());
    assert_eq!(sent[0].json(), sent[1].json(), "it merges with itself");
    insta::assert_snapshot!(serde_json::to_string_pretty(&sent[0].json()["payload"]).unwrap(), @r#"
    {
      "summary": "3 processors failed <!channel>",
      "severity": "critical",
      "source": "nycflights",
      "timestamp": "2026-11-20T06:00:00.412Z",
      "custom_details": {
        "text": "since 06:00",
        "lines": [
          "email",
          "slack\\nteams",
          "(+1 more)"
        ],
        "attempts": "5"
      }
    }
    "#);

    let mut delivery = Delivery::new("email", DeliveryStatus::Dead);
    delivery.error = Some("554 refused".into());
    let letter = DeadLetter::new(delivery, sample_report());
    processor.dead_letter(&letter, &context).await.unwrap();
    let payload = &server.requests()[2].json()["payload"];
    assert_eq!(
        payload["summary"],
        "nycflights: the report could not be delivered to `email`"
    );
    assert_eq!(payload["custom_details"]["text"], "554 refused");
}
