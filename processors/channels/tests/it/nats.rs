//! The channel `nats` with a real server, and somebody who listens.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::time::timeout;
use veracity_processor::{Channel, ProcessContext, ProcessorError, Publisher};
use veracity_servers::{Proxy, When};

use crate::nats_server::NatsServer;
use crate::{ID, LIMIT, assert_carries, build, hostile, megabyte, parcel, publish};

fn to(url: &str) -> Box<dyn Channel> {
    build("nats", json!({"url": url, "subject": "dq.messages"}))
}

fn streaming(url: &str) -> Box<dyn Channel> {
    let config = json!({"url": url, "subject": "dq.messages", "jetstream": true});
    build("nats", config)
}

async fn client(url: &str) -> Client {
    async_nats::connect(url).await.unwrap()
}

/// Somebody who listens to everything.
async fn listener(client: &Client) -> Subscriber {
    let subscriber = client.subscribe("dq.>").await.unwrap();
    // Until the server has answered, nothing tells that it knows.
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    timeout(LIMIT, echo.next()).await.unwrap().unwrap();
    subscriber
}

async fn heard(listener: &mut Subscriber) -> Message {
    timeout(LIMIT, listener.next())
        .await
        .expect("nothing was heard")
        .unwrap()
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

/// One attempt on `url`, which fails.
async fn failure(config: Value) -> ProcessorError {
    let channel = build("nats", config);
    publish(&*channel, ID, "x").await.unwrap_err()
}

#[tokio::test]
async fn whoever_listens_hears_messages_as_they_are() {
    let server = NatsServer::start("max_payload: 8MB");
    let client = client(&server.url("")).await;
    let mut listener = listener(&client).await;
    let channel = to(&server.url(""));
    let mut messages = hostile();
    messages.push(megabyte());
    for message in messages {
        publish(&*channel, ID, message.clone()).await.unwrap();
        let heard = heard(&mut listener).await;
        assert_eq!(heard.subject.as_str(), "dq.messages");
        assert_eq!(
            heard
                .headers
                .as_ref()
                .unwrap()
                .get("Nats-Msg-Id")
                .unwrap()
                .as_str(),
            ID
        );
        assert_carries(&body(&heard), ID, &message);
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_for_the_server_is_refused() {
    let server = NatsServer::start("max_payload: 4KB");
    for channel in [to(&server.url("")), streaming(&server.url(""))] {
        let error = publish(&*channel, ID, "x".repeat(5000)).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("limit of 4096"), "{error}");
    }
    let channel = to(&server.url(""));
    publish(&*channel, ID, "x".repeat(3000)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_can_be_tried_again() {
    let mut server = NatsServer::start("");
    let url = server.url("c4nary:c4nary@");
    for channel in [to(&url), streaming(&url)] {
        server.stop();
        let error = publish(&*channel, ID, "x").await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        let begin = format!("`{}`: no connection: ", server.address);
        assert!(error.message().starts_with(&begin), "{error}");
        assert!(!error.message().contains("c4nary"), "{error}");
    }
}

const USERS: &str = r#"
authorization: {
  users: [
    {user: writer, password: "c4nary word", permissions: {publish: "dq.>", subscribe: {deny: ">"}}}
    {user: other, password: "c4nary word", permissions: {publish: "other.>"}}
    {user: talker, password: "c4nary word", permissions: {publish: ["other.>", "_INBOX.>"]}}
    {user: reader, password: "c4nary word"}
  ]
}
"#;

#[tokio::test]
async fn users_are_refused_without_their_passwords() {
    let server = NatsServer::start(USERS);
    for login in ["", "writer:c4nary@", "nobody:c4nary@", "c4nary@"] {
        let error = failure(json!({"url": server.url(login), "subject": "dq"})).await;
        assert!(!error.is_retryable(), "{error}");
        assert!(
            error
                .message()
                .contains("the server refuses the credentials"),
            "{error}"
        );
        assert!(!error.message().contains("c4nary"), "{error}");
    }
    assert!(
        server.log().contains("authentication error"),
        "{}",
        server.log()
    );
}

/// Who may do nothing but publish cannot have the answer that others wait for; the refusal
/// tells as much.
#[tokio::test]
async fn a_user_who_may_only_publish_does() {
    let server = NatsServer::start(USERS);
    let options = async_nats::ConnectOptions::new();
    let options = options.user_and_password("reader".to_owned(), "c4nary word".to_owned());
    let reader = options.connect(server.url("")).await.unwrap();
    let mut listener = listener(&reader).await;
    let channel = to(&server.url("writer:c4nary%20word@"));
    for number in 0..20 {
        publish(&*channel, ID, number).await.unwrap();
        assert_eq!(body(&heard(&mut listener).await)["message"], number);
    }
}

#[tokio::test]
async fn a_user_who_may_not_publish_there_is_told_each_time() {
    let server = NatsServer::start(USERS);
    let users = ["other", "talker"].map(|user| server.url(&format!("{user}:c4nary%20word@")));
    let channels = users.iter().flat_map(|url| [to(url), streaming(url)]);
    for channel in channels {
        for _ in 0..20 {
            let error = publish(&*channel, ID, "x").await.unwrap_err();
            assert!(!error.is_retryable(), "{error}");
            assert_eq!(
                error.message(),
                format!(
                    "`{}`: the server says: Permissions Violation for Publish to \"dq.messages\"",
                    server.address
                )
            );
        }
    }
}

#[tokio::test]
async fn a_token_is_taken_from_the_url_or_its_setting() {
    let server = NatsServer::start("authorization: {token: \"c4nary-token\"}");
    let publishes = async |config: Value| publish(&*build("nats", config), ID, "x").await;
    let subject = "dq";
    publishes(json!({"url": server.url("c4nary-token@"), "subject": subject}))
        .await
        .unwrap();
    let token = "c4nary-token";
    publishes(json!({"url": server.url(""), "subject": subject, "token": token}))
        .await
        .unwrap();
    let config = json!({"url": server.url(""), "subject": subject, "token": "c4nary"});
    let error = publishes(config).await.unwrap_err();
    assert!(
        !error.is_retryable() && !error.message().contains("c4nary"),
        "{error}"
    );
}

const JETSTREAM: &str = "jetstream: {store_dir: \"FOLDER/js\"}";

/// Calls JetStream's own interface.
async fn api(client: &Client, call: &str, body: Value) -> Value {
    let subject = format!("$JS.API.{call}");
    let asked = client.request(subject, body.to_string().into());
    let answer = timeout(LIMIT, asked).await.unwrap().unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer.get("error"), None, "{answer}");
    answer
}

#[tokio::test]
async fn a_stream_stores_a_message_once_however_often_it_is_published() {
    let server = NatsServer::start(JETSTREAM);
    let client = client(&server.url("")).await;
    let stream = json!({"name": "DQ", "subjects": ["dq.>"], "storage": "file"});
    api(&client, "STREAM.CREATE.DQ", stream).await;
    // The second is published without waiting for the stream.
    for channel in [streaming(&server.url("")), to(&server.url(""))] {
        for id in ["first", "first", "second", "second"] {
            publish(&*channel, id, id).await.unwrap();
        }
    }
    let mut stored = Vec::new();
    for number in 1..=2 {
        let found = api(&client, "STREAM.MSG.GET.DQ", json!({"seq": number})).await;
        let data = found["message"]["data"].as_str().unwrap();
        let data = base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap();
        stored.push(serde_json::from_slice::<Value>(&data).unwrap()["id"].clone());
    }
    assert_eq!(stored, ["first", "second"]);
    let info = api(&client, "STREAM.INFO.DQ", json!({})).await;
    assert_eq!(info["state"]["messages"], 2, "{info}");
}

#[tokio::test]
async fn without_a_stream_nothing_counts_as_stored() {
    let server = NatsServer::start(JETSTREAM);
    let channel = streaming(&server.url(""));
    let error = publish(&*channel, ID, "x").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error
            .message()
            .ends_with("no stream of JetStream takes the subject `dq.messages`")
    );
    // Somebody answers who is no stream.
    let client = client(&server.url("")).await;
    let mut listener = listener(&client).await;
    tokio::spawn(async move {
        let asked = listener.next().await.unwrap();
        client
            .publish(asked.reply.unwrap(), "hello".into())
            .await
            .unwrap();
        client.flush().await.unwrap();
        listener.next().await
    });
    let error = publish(&*channel, ID, "x").await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(
        error.message().contains("what answered is no stream"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stream_that_is_full_can_be_tried_again() {
    let server = NatsServer::start(JETSTREAM);
    let client = client(&server.url("")).await;
    let stream = json!({
        "name": "DQ", "subjects": ["dq.>"], "storage": "memory", "max_msgs": 1, "discard": "new"
    });
    api(&client, "STREAM.CREATE.DQ", stream).await;
    let channel = streaming(&server.url(""));
    publish(&*channel, "first", 1).await.unwrap();
    let error = publish(&*channel, "second", 2).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("maximum messages exceeded"),
        "{error}"
    );
    api(&client, "STREAM.PURGE.DQ", json!({})).await;
    publish(&*channel, "second", 2).await.unwrap();
}

/// A certificate for 127.0.0.1 that signs itself, in the folder of a server.
fn certificate() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(
        folder.path().join("key.pem"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    folder
}

const TLS: &str = "tls: {cert_file: \"FOLDER/cert.pem\", key_file: \"FOLDER/key.pem\"}\n\
                   authorization: {token: \"c4nary-token\"}";

#[tokio::test]
async fn a_certificate_is_trusted_if_its_authority_is() {
    let server = NatsServer::start_in(certificate(), TLS);
    let ca_file = server.folder.path().join("cert.pem");
    for scheme in ["nats", "tls"] {
        let url = format!("{scheme}://c4nary-token@{}", server.address);
        let config = json!({"url": url, "subject": "dq", "tls_ca_file": ca_file});
        publish(&*build("nats", config), ID, "x").await.unwrap();
        let error = failure(json!({"url": url, "subject": "dq"})).await;
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("no TLS connection: "), "{error}");
        assert!(!error.message().contains("c4nary"), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_token_from_who_asks_for_tls() {
    let server = NatsServer::start("debug: true\ntrace: true");
    let url = format!("tls://c4nary-token@{}", server.address);
    let error = failure(json!({"url": url, "subject": "dq"})).await;
    assert!(!error.message().contains("c4nary"), "{error}");
    assert!(!server.log().contains("CONNECT"), "{}", server.log());
}

/// A signed JWT, as nats-server knows them: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
fn jwt(signer: &KeyPair, about: &KeyPair, nats: Value) -> String {
    let claims = json!({
        "jti": about.public_key(), "iat": 1_600_000_000, "iss": signer.public_key(),
        "sub": about.public_key(), "name": "test", "nats": nats,
    });
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = signer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_file_of_credentials_signs_who_we_are() {
    let (operator, account, user) = (
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_user(),
    );
    let no_limit = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    let of_account = json!({"type": "account", "version": 2, "limits": no_limit});
    let of_user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let server = NatsServer::start(&format!(
        "operator: \"{}\"\nresolver: MEMORY\nresolver_preload: {{ {}: \"{}\" }}",
        jwt(
            &operator,
            &operator,
            json!({"type": "operator", "version": 2})
        ),
        account.public_key(),
        jwt(&operator, &account, of_account),
    ));
    let credentials = |seed: &str| {
        let token = jwt(&account, &user, of_user.clone());
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    };
    let seed = user.seed().unwrap();
    let path = server.folder.path().join("user.creds");
    let config = json!({"url": server.url(""), "subject": "dq", "credentials": path});
    fs::write(&path, credentials(&seed)).unwrap();
    publish(&*build("nats", config.clone()), ID, "x")
        .await
        .unwrap();

    let another = KeyPair::new_user().seed().unwrap();
    fs::write(&path, credentials(&another)).unwrap();
    let refused = failure(config.clone()).await;
    fs::write(&path, "S3CRET").unwrap();
    let unreadable = failure(config.clone()).await;
    fs::remove_file(&path).unwrap();
    let missing = failure(config).await;
    let parts = [
        "refuses the credentials",
        "no file of credentials",
        "o such file",
    ];
    for (error, part) in [refused, unreadable, missing].iter().zip(parts) {
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains(part), "{error}");
        let secret = [&seed, &another, "S3CRET"].map(|one| error.message().contains(one));
        assert_eq!(secret, [false; 3], "{error}");
    }
}

/// A server that greets, takes a connection for good, and leaves at the text `at`.
fn leaving_at(at: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let info = "INFO {\"server_id\":\"x\",\"version\":\"2.9.0\",\"headers\":true,\
                        \"max_payload\":1048576}\r\n";
            stream.write_all(info.as_bytes()).unwrap();
            let (mut heard, mut buffer, mut greeted) = (Vec::new(), [0; 4096], false);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                heard.extend_from_slice(&buffer[..count]);
                let says = |text: &[u8]| heard.windows(text.len()).any(|part| part == text);
                if says(at) {
                    break;
                }
                if says(b"PING") && !greeted {
                    greeted = true;
                    stream.write_all(b"PONG\r\n").unwrap();
                }
            }
        }
    });
    format!("nats://c4nary@{address}")
}

/// A connection that is mended behind our back must not pass for a message that arrived.
#[tokio::test]
async fn a_connection_that_breaks_before_the_message_is_taken_can_be_tried_again() {
    for at in [
        b"CONNECT".as_slice(),
        b"HPUB",
        b"Nats-Msg-Id",
        b"SUB _INBOX",
    ] {
        let url = leaving_at(at);
        for channel in [to(&url), streaming(&url)] {
            let context = ProcessContext::new("bus", ID, Duration::from_secs(3));
            let error = channel.publish(&parcel("x"), &context).await.unwrap_err();
            assert!(error.is_retryable(), "{error}");
            let reason = error.message().contains("no connection: ")
                || error.message().contains("the connection was lost");
            assert!(reason && !error.message().contains("c4nary"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_message_whose_fate_is_unknown_is_published_again_under_its_id() {
    for (when, times) in [(When::Before, 1), (When::Answered, 2)] {
        let server = NatsServer::start("");
        let client = client(&server.url("")).await;
        let mut listener = listener(&client).await;
        let proxy = Proxy::to(server.address.parse().unwrap()).unwrap();
        let channel = to(&proxy.url(&server.url("")));
        proxy.cut_at("Nats-Msg-Id", when);
        let error = publish(&*channel, ID, "x").await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(
            error.message().contains("the connection was lost"),
            "{error}"
        );
        assert_eq!(proxy.cuts(), 1);
        publish(&*channel, ID, "x").await.unwrap();
        publish(&*channel, "last", "y").await.unwrap();
        for _ in 0..times {
            assert_carries(&body(&heard(&mut listener).await), ID, &json!("x"));
        }
        assert_eq!(body(&heard(&mut listener).await)["id"], "last", "{when:?}");
    }
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_there_is_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let context = ProcessContext::new("bus", ID, Duration::from_millis(800));
    let error = to(&url).publish(&parcel("x"), &context).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("no complete answer within"),
        "{error}"
    );
}

#[tokio::test]
async fn a_key_cannot_be_another_command() {
    let server = NatsServer::start("");
    let client = client(&server.url("")).await;
    let mut listener = listener(&client).await;
    let channel = to(&server.url(""));
    let error = publish(&*channel, "a\r\nPUB dq.other 1\r\nx", "x")
        .await
        .unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    publish(&*channel, ID, "the only one").await.unwrap();
    assert_eq!(body(&heard(&mut listener).await)["message"], "the only one");
}

#[test]
fn the_channel_shows_no_password() {
    let config = json!({"url": "nats://u:c4nary@h", "subject": "dq"});
    let settings: veracity_channels::NatsSettings = serde_json::from_value(config).unwrap();
    let said = format!("{settings:?}");
    let channel = veracity_channels::Nats::build(settings).unwrap();
    let said = format!("{said} {channel:?}");
    assert!(!said.contains("c4nary"), "{said}");
}
