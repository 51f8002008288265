//! The contract.

use serde_json::{Value, json};
use veracity_processor::Stage;
use veracity_processor::conformance::check;

use crate::{plugin, to, with};
use veracity_http::testing::{Answer, Server};

#[test]
fn it_keeps_to_the_contract() {
    let answer = Answer::json(200, &json!({"versionInfo": {"version": "0.34.0"}}));
    let servers = [
        Server::start(vec![answer.clone()]),
        Server::start(vec![answer]),
    ];
    let config = with(
        to(&[&servers[0].at(""), &servers[1].at("")]),
        json!({"link": "https://dq.example.org/{run}", "max_alerts": 150}),
    );
    assert_eq!(check(plugin(), &config), Vec::<String>::new());
    let counts = servers.map(|server| server.requests().len());
    assert!(counts[0] == counts[1] && counts[0] > 2, "{counts:?}");
}

#[test]
fn it_serves_reports_errors_and_dead_letters() {
    let stages = [Stage::AfterRun, Stage::OnError, Stage::DeadLetter];
    assert_eq!(plugin().info().stages, stages);
    assert_eq!(
        plugin().info().default_config["expires_after"],
        Value::from("25h")
    );
}
