//! Proxies of the environment. The environment belongs to a whole process, so the request
//! is made in one of its own.

use std::process::Command;

use veracity_processor::HealthStatus;

use crate::{build, deliver, to};
use veracity_http::testing::{Answer, Server};

const URL: &str = "VERACITY_TEST_WEBHOOK_URL";

/// Delivers to `url` in a process with `variables`; what it says.
fn deliver_with(url: &str, variables: &[(&str, String)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "proxy::the_child", "--ignored", "--nocapture"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command
        .env(URL, url)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
#[ignore = "run by the tests below, in a process of its own"]
async fn the_child() {
    let mut config = to(&std::env::var(URL).unwrap());
    config["allow_private"] = serde_json::json!(false);
    let health = build(config.clone()).health().await.unwrap();
    if health.status == HealthStatus::Degraded {
        println!("degraded");
    }
    match deliver(config).await {
        Ok(_) => println!("delivered"),
        Err(error) => println!("retryable {}: {error}", error.is_retryable()),
    }
}

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let proxy = Server::start(vec![Answer::new(200, "", "ok")]);
    // The proxy itself may be private, and is known by a name here.
    let at = format!("http://localhost:{}", proxy.address.port());
    let said = deliver_with("http://hooks.example.org/dq", &[("http_proxy", at)]);
    assert!(
        said.contains("degraded") && said.contains("delivered"),
        "{said}"
    );
    let requests = proxy.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].line,
        "POST http://hooks.example.org/dq HTTP/1.1"
    );
}

#[test]
fn a_tunnel_that_a_proxy_refuses_is_asked_for_again() {
    let proxy = Server::start(vec![Answer::new(502, "", "")]);
    let at = format!("http://me:c4nary@{}", proxy.address);
    let said = deliver_with("https://hooks.example.org/dq", &[("HTTPS_PROXY", at)]);
    assert!(
        said.contains("retryable true: `hooks.example.org`: cannot connect"),
        "{said}"
    );
    assert!(!said.contains("c4nary"), "{said}");
    let requests = proxy.requests();
    assert_eq!(requests[0].line, "CONNECT hooks.example.org:443 HTTP/1.1");
    assert!(requests[0].body.is_empty(), "nothing else was said");
}

#[test]
fn hosts_without_a_proxy_are_guarded_as_ever() {
    let proxy = Server::start(vec![Answer::new(200, "", "ok")]);
    let at = format!("http://{}", proxy.address);
    let variables = [
        ("http_proxy", at),
        ("no_proxy", "no-such-host.invalid".to_owned()),
    ];
    let said = deliver_with("http://no-such-host.invalid/dq", &variables);
    assert!(
        said.contains("retryable true: `no-such-host.invalid`: cannot resolve"),
        "{said}"
    );
    assert_eq!(proxy.requests().len(), 0);
}
