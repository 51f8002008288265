//! Signatures as a receiver checks them: from what came over the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{ID, deliver, to, with};
use veracity_http::testing::{Answer, Request, Server};

/// HMAC-SHA256, written down from RFC 2104.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64, "keys are not longer than a block");
    let pad = |byte: u8| -> Vec<u8> {
        let mut pad = vec![byte; 64];
        pad.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        pad
    };
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn expected(request: &Request, key: &[u8]) -> String {
    let head = |name: &str| request.headers[name].as_bytes().to_vec();
    let signed = [
        head("webhook-id"),
        b".".to_vec(),
        head("webhook-timestamp"),
        b".".to_vec(),
        request.body.clone(),
    ];
    format!("v1,{}", STANDARD.encode(hmac(key, &signed.concat())))
}

#[tokio::test]
async fn every_key_signs_the_bytes_that_were_sent() {
    let keys = [vec![1; 24], (0..64).collect::<Vec<u8>>()];
    let secrets = keys
        .clone()
        .map(|key| format!("whsec_{}", STANDARD.encode(key)));
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    for format in ["report", "standard", "cloudevents"] {
        let server = Server::start(vec![Answer::new(200, "", "")]);
        let before = now();
        let settings = json!({"secret": secrets, "format": format});
        deliver(with(to(&server.url()), settings)).await.unwrap();
        let request = &server.requests()[0];
        let timestamp: u64 = request.headers["webhook-timestamp"].parse().unwrap();
        assert!(
            (before..=now()).contains(&timestamp),
            "the time of this attempt"
        );
        assert_eq!(request.headers["webhook-id"], ID);
        let both = format!(
            "{} {}",
            expected(request, &keys[0]),
            expected(request, &keys[1])
        );
        assert_eq!(request.headers["webhook-signature"], both, "{format}");
    }
}

#[tokio::test]
async fn one_key_needs_no_list_and_no_key_makes_no_signature() {
    let server = Server::start(vec![Answer::new(200, "", "")]);
    let secret = format!("whsec_{}", STANDARD.encode([9; 32]));
    deliver(with(to(&server.url()), json!({"secret": secret})))
        .await
        .unwrap();
    deliver(to(&server.url())).await.unwrap();
    let requests = server.requests();
    assert_eq!(
        requests[0].headers["webhook-signature"],
        expected(&requests[0], &[9; 32])
    );
    assert!(!requests[1].headers.contains_key("webhook-signature"));
    assert_eq!(
        requests[1].headers["webhook-id"], ID,
        "repetitions can be told all the same"
    );
}
