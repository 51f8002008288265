//! Who gets what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use veracity_processor::{OutcomeStatus, ProcessContext, Status, sample_report};

use crate::mime::Mail;
use crate::smtp::Server;
use crate::{KEY, LIMIT, attempt, config, deliver};

#[test]
fn recipients_by_severity_and_owner_get_their_own_results() {
    let server = Server::plain();
    let mut config = config(&server.url());
    config["to"] = json!([
        "ops@example.org",
        "Boss <boss@example.org>",
        {"address": "oncall@example.org", "severities": ["P0"]},
        {"address": "fleet@example.org", "tags": ["owner:nobody", "fleet"]},
        {"address": "weather@example.org", "checks": ["Weather is known"]},
        {"address": "weekly@example.org", "tags": ["weekly"]},
    ]);
    deliver(&config).unwrap();
    let mails = server.mails();
    let by_recipients: BTreeMap<String, Mail> = mails
        .iter()
        .map(|mail| (mail.to.join(" "), Mail::read(&mail.data)))
        .collect();
    let names: Vec<&str> = by_recipients.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "oncall@example.org fleet@example.org",
            "ops@example.org boss@example.org",
            "weather@example.org",
        ],
        "the only result of `weekly` was skipped"
    );
    let shown = |to: &str, text: &str| by_recipients[to].text.contains(text);
    for (to, carriers, weather, tail_numbers) in [
        ("ops@example.org boss@example.org", true, true, true),
        ("oncall@example.org fleet@example.org", false, false, true),
        ("weather@example.org", false, true, false),
    ] {
        assert_eq!(shown(to, "Carriers report their planes"), carriers, "{to}");
        assert_eq!(shown(to, "Weather is known"), weather, "{to}");
        assert_eq!(shown(to, "tail numbers known"), tail_numbers, "{to}");
    }
    let ids: BTreeSet<&str> = by_recipients
        .values()
        .map(|mail| mail.header("Message-ID"))
        .collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        by_recipients["ops@example.org boss@example.org"].header("To"),
        "ops@example.org, Boss <boss@example.org>"
    );
}

#[test]
fn a_report_that_concerns_nobody_is_skipped_without_a_connection() {
    let server = Server::plain();
    let mut config = config(&server.url());
    config["to"] = json!([{"address": "oncall@example.org", "severities": ["P0"]}]);
    let mut report = sample_report();
    report
        .results
        .retain(|result| result.status == Status::Passed);
    let context = ProcessContext::new("email", KEY, LIMIT);
    let outcome = attempt(&config, &report, &context).unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert_eq!(server.log().connections, 0);
}

#[test]
fn more_recipients_than_one_transaction_takes_are_all_served_once() {
    let server = Server::plain();
    let mut config = config(&server.url());
    let to: Vec<String> = (0..250)
        .map(|number| format!("r{number}@example.org"))
        .collect();
    config["to"] = json!(to);
    deliver(&config).unwrap();
    let mails = server.mails();
    let served: Vec<String> = mails.iter().flat_map(|mail| mail.to.clone()).collect();
    assert_eq!((mails.len(), served), (3, to));
}
