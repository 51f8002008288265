//! A password is in no text that leaves the host.

use std::path::Path;

use serde_json::{Value, json};
use veracity_host::Host;
use veracity_processor::DeliveryStatus::{Crashed, Dead, Delivered};

use crate::ground::{Ground, assert_ended, deliver, of, report};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    what_processors_say_is_without_passwords,
    errors_in_the_configuration_are_without_passwords,
    debug_output_is_without_passwords,
    a_password_that_a_quote_would_cut_is_not_told_in_part,
    a_password_in_an_answer_that_is_quoted_is_not_told_in_part,
    what_is_stored_or_spooled_is_without_passwords,
];

const CANARY: &str = "canary-7f3a9c2e51d04b68";

/// Every text that holds the password, or most of it.
fn leaks(text: &str) -> Option<&str> {
    (0..=CANARY.len() - 12)
        .map(|start| &CANARY[start..start + 12])
        .find(|part| text.contains(part))
}

#[track_caller]
fn assert_clean(text: &str) {
    assert_eq!(leaks(text), None, "{text}");
}

/// Processors that say their password in every way there is.
fn tellers(ground: &Ground) -> Vec<(String, Value)> {
    let acts = [
        ("startup", "fail with the password"),
        ("startup", "panic with the password"),
        ("build", "panic with the password"),
        ("process", "panic with the password"),
        ("process", "fail with the password"),
        ("process", "be busy with the password"),
        ("process", "note the password"),
        ("process", "skip and tell the password"),
        ("process", "print the password and exit"),
        ("health", "note the password"),
        ("health", "fail with the password"),
        ("health", "tell the password"),
        ("shutdown", "fail with the password"),
        ("shutdown", "panic with the password"),
    ];
    let mut parts = Vec::new();
    for (number, (call, act)) in acts.iter().enumerate() {
        for isolation in ["thread", "process"] {
            if isolation == "thread" && act.ends_with("exit") {
                continue;
            }
            let part = json!({*call: act, "password": CANARY, "isolation": isolation,
                "retries": 0, "label": number.to_string()});
            parts.push((format!("{isolation}{number}"), ground.player(part)));
        }
    }
    let stop = json!({"process": "stop and tell the password", "password": CANARY,
        "priority": 101});
    parts.push(("stops".to_owned(), ground.player(stop)));
    parts.push((
        "stopped".to_owned(),
        ground.player(json!({"priority": 102})),
    ));
    parts
}

fn borrowed(parts: &[(String, Value)]) -> Vec<(&str, Value)> {
    let parts = parts.iter();
    parts
        .map(|(name, part)| (name.as_str(), part.clone()))
        .collect()
}

fn what_processors_say_is_without_passwords() {
    let ground = Ground::new();
    let parts = tellers(&ground);
    let host = ground.host(&borrowed(&parts));
    let delivered = deliver(&host, &report());
    assert_eq!(delivered.deliveries.len(), parts.len());
    let struck = delivered
        .deliveries
        .iter()
        .filter(|delivery| format!("{delivery:?}").contains("***"));
    assert!(struck.count() >= 16, "they do tell: {delivered:#?}");
    assert_clean(&format!("{delivered:?}"));
    assert_clean(&serde_json::to_string(&delivered.deliveries).unwrap());
    let health = format!("{:?}", host.health());
    assert!(health.contains("***"), "{health}");
    assert_clean(&health);
    let warnings = host.shutdown().join("\n");
    assert!(warnings.contains("***"), "{warnings}");
    assert_clean(&warnings);
}

fn errors_in_the_configuration_are_without_passwords() {
    let ground = Ground::new();
    let cases = [
        json!({"build": "tell the password", "password": CANARY}),
        json!({"password": [CANARY]}),
        json!({"password": {"deep": CANARY}}),
        json!({"millis": "soon", "password": CANARY}),
        json!({"time_limit": "soon", "password": CANARY}),
    ];
    for part in cases {
        let label = part.to_string();
        let configuration = ground.configuration(&[("p", ground.player(part))]);
        let error = Host::prepare(configuration).unwrap_err();
        assert!(!error.0.is_empty(), "{label}");
        assert_clean(&error.to_string());
        assert_clean(&format!("{error:?}"));
    }
    // Secrets of the whole suite, too, wherever they stand.
    let part = json!({"process": "permanent", "label": CANARY, "build": "tell the password",
        "password": CANARY});
    let mut configuration = ground.configuration(&[("p", ground.player(part))]);
    configuration.secrets = vec![CANARY.to_owned()];
    assert_clean(&Host::prepare(configuration).unwrap_err().to_string());
}

fn debug_output_is_without_passwords() {
    let ground = Ground::new();
    let mut configuration =
        ground.configuration(&[("p", ground.player(json!({"password": CANARY})))]);
    configuration.secrets = vec![CANARY.to_owned()];
    configuration.store = Some(format!("postgres://dq:{CANARY}@127.0.0.1:1/dq").into());
    assert_clean(&format!("{configuration:?}"));
    let mut host = Host::prepare(configuration).unwrap();
    assert_clean(&format!("{host:?}"));
    host.open_store();
    assert_clean(host.store_error().expect("nobody is there"));
    assert_clean(&format!("{host:?}"));
    let delivered = deliver(&host, &report());
    assert!(delivered.store_failed);
    assert_clean(&format!("{delivered:?}"));
}

fn a_password_that_a_quote_would_cut_is_not_told_in_part() {
    let ground = Ground::new();
    // Of a line of n bytes and the password, the last bytes are quoted.
    for bytes in [380, 385, 395, 3_990, 4_085] {
        let part = json!({"process": "print the password in a long line and exit",
            "millis": bytes, "password": CANARY, "isolation": "process", "retries": 0,
            "label": bytes.to_string()});
        let host = ground.host(&[("p", ground.player(part))]);
        let delivered = deliver(&host, &report());
        let error = of(&delivered, "p").error.as_deref().unwrap();
        assert_eq!(leaks(error), None, "{bytes}: {error}");
    }
}

fn a_password_in_an_answer_that_is_quoted_is_not_told_in_part() {
    let ground = Ground::new();
    let folder = ground.folder.join("plugins/chatty");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = "name: chatty\nkind: processor\nversion: 1.0.0\ndescription: x\n\
        command: [sh, chatty.sh]\nconfig_schema: {properties: {password: {writeOnly: true}}}\n";
    std::fs::write(folder.join("plugin.yaml"), manifest).unwrap();
    // The beginning of what it says instead of an answer is quoted.
    for before in [0, 40, 60, 65, 70, 79] {
        let said = format!("{}{CANARY} and more {}", "x".repeat(before), "y".repeat(90));
        let script = format!("read -r line; echo '{said}'; read -r line");
        std::fs::write(folder.join("chatty.sh"), script).unwrap();
        let settings = json!({"password": CANARY, "retries": 0});
        let mut configuration = ground.configuration(&[("chatty", settings)]);
        configuration.directories = vec!["plugins".into()];
        let host = Host::prepare(configuration).unwrap();
        let delivered = deliver(&host, &report());
        assert_ended(of(&delivered, "chatty"), Crashed, "cannot be read");
        assert_clean(&format!("{delivered:?}"));
    }
}

fn what_is_stored_or_spooled_is_without_passwords() {
    let ground = Ground::new();
    let parts = tellers(&ground);
    let host = ground.stored(&borrowed(&parts));
    deliver(&host, &report());
    host.shutdown();
    drop(host);
    // Where the store cannot be.
    ground.make("file");
    let host = ground.stored_at("sqlite:file/store.db", &borrowed(&parts));
    let delivered = deliver(&host, &report());
    assert!(delivered.store_failed && delivered.warnings[0].contains("is kept in"));
    host.shutdown();
    let files = files(&ground.folder);
    assert!(files.len() >= 3, "{files:?}");
    let mut texts = 0;
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(leaks(&text), None, "{}", file.display());
        texts += text.matches("***").count();
    }
    assert!(texts > 0, "struck out where it was");

    let ground = Ground::new();
    let part = ground.player(json!({"process": "", "password": CANARY}));
    let delivered = deliver(&ground.stored(&[("p", part)]), &report());
    assert_ended(of(&delivered, "p"), Delivered, "");
    let part = ground.player(json!({"process": "fail with the password", "password": CANARY}));
    let delivered = deliver(&ground.host(&[("p", part)]), &report());
    assert_ended(of(&delivered, "p"), Dead, "***");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}
