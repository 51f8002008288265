//! The contract.

use serde_json::{Value, json};
use veracity_processor::Stage;
use veracity_processor::conformance::check;

use crate::{ROUTING_KEY, plugin, queued, to, with};
use veracity_http::testing::Server;

#[test]
fn it_keeps_to_the_contract() {
    let server = Server::start(vec![queued()]);
    let config = with(
        to(&server.url()),
        json!({"link": "https://dq.example.org/{run}", "max_events": 10}),
    );
    assert_eq!(check(plugin(), &config), Vec::<String>::new());
    for request in server.requests() {
        assert_eq!((request.method(), request.path()), ("POST", "/hook"));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.json()["routing_key"], ROUTING_KEY);
    }
}

#[test]
fn it_serves_reports_errors_and_dead_letters() {
    let stages = [Stage::AfterRun, Stage::OnError, Stage::DeadLetter];
    assert_eq!(plugin().info().stages, stages);
}

#[test]
fn the_regions_have_addresses_of_their_own() {
    for (region, host) in [
        (Value::Null, "events.pagerduty.com"),
        (json!("us"), "events.pagerduty.com"),
        (json!("eu"), "events.eu.pagerduty.com"),
    ] {
        let config = json!({"routing_key": ROUTING_KEY, "region": region});
        let settings = serde_json::from_value(config).unwrap();
        let built =
            <veracity_pagerduty::PagerDuty as veracity_processor::Processor>::build(settings);
        let shown = format!("{:?}", built.unwrap());
        assert!(shown.contains(&format!("{host:?}")), "{shown}");
    }
}
