//! Reports carried to processors by the built command.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{Done, Folder, SUITE};

/// A receiver of webhooks: answers all requests with one status, and notes their ids.
struct Receiver {
    port: u16,
    /// How often each id came.
    ids: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Receiver {
    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ids = Arc::new(Mutex::new(BTreeMap::new()));
        let noted = Arc::clone(&ids);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), noted) = (stream, Arc::clone(&noted)) else {
                    return;
                };
                // A request that breaks off was not received.
                std::thread::spawn(move || request(&mut stream, status, &noted));
            }
        });
        Self { port, ids }
    }

    fn received(&self) -> BTreeMap<String, u32> {
        self.ids.lock().unwrap().clone()
    }
}

fn request(
    stream: &mut std::net::TcpStream,
    status: &str,
    noted: &Mutex<BTreeMap<String, u32>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = value.to_owned(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    *noted.lock().unwrap().entry(id).or_default() += 1;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn with(processors: &str) -> Folder {
    let folder = Folder::with_suite();
    folder.write("suite.yaml", &format!("{SUITE}{processors}"));
    folder
}

/// What a run found, without times and deliveries.
fn findings(done: &Done) -> Value {
    let mut report = done.json();
    for key in ["run", "deliveries", "warnings"] {
        report.as_object_mut().unwrap().remove(key);
    }
    report
}

#[test]
fn what_a_run_finds_is_the_same_whatever_becomes_of_the_report() {
    let plain = Folder::with_suite();
    let alone = findings(&plain.veracity(&["run", "suite.yaml", "--format", "json"]));
    let folder = with(
        "processors:\n  text: {use: console, path: out/report.txt}\n  file: {use: json, path: /proc/no/report.json}\n  hook: {use: webhook, url: 'http://127.0.0.1:9/', allow_private: true, retries: 0}\n",
    );
    let done = folder.veracity(&["run", "suite.yaml", "--format", "json"]);
    assert_eq!(findings(&done), alone);
    let deliveries = done.json()["deliveries"].clone();
    let status = |name: &str| {
        let deliveries = deliveries.as_array().unwrap().iter();
        let one = deliveries.clone().find(|one| one["processor"] == name);
        one.unwrap()["status"].clone()
    };
    assert_eq!(
        (status("text"), status("file"), status("hook")),
        ("delivered".into(), "dead".into(), "dead".into())
    );
    assert!(
        done.stderr
            .contains("warning: `hook` did not get the report (dead): "),
        "{}",
        done.stderr
    );
    assert!(folder.read("out/report.txt").contains("✓ PASSED"));
}

#[test]
fn only_what_is_required_and_not_delivered_changes_the_exit_code() {
    let hook = "hook: {use: webhook, url: 'http://127.0.0.1:9/', allow_private: true, retries: 0";
    let cases: &[(&str, &str, i32)] = &[
        ("not required", "row_count() = 4", 0),
        ("required, and it holds", "row_count() = 4", 4),
        ("required, and it fails", "row_count() = 5", 1),
        (
            "required, and it cannot be told",
            "row_count() = nonsense",
            3,
        ),
    ];
    for (label, assertion, code) in cases {
        let required = label.starts_with("required");
        let folder = Folder::with_suite();
        let suite = SUITE.replace("row_count() = 4", assertion);
        let suite = format!("{suite}processors:\n  {hook}, required: {required}}}\n");
        folder.write("suite.yaml", &suite);
        let done = folder.veracity(&["run", "suite.yaml"]);
        assert_eq!(done.code, Some(*code), "{label}: {}", done.stderr);
    }
}

#[test]
fn what_cannot_be_delivered_is_delivered_later() {
    let folder = Folder::with_suite();
    let broken = Receiver::answering("503 Busy");
    let suite = |port: u16| {
        format!(
            "{SUITE}processors:\n  hook: {{use: webhook, url: 'http://127.0.0.1:{port}/', allow_private: true, retries: 0}}\nstore: sqlite://state/veracity.db\n"
        )
    };
    folder.write("suite.yaml", &suite(broken.port));
    let run = folder.veracity(&["run", "suite.yaml"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("~ deferred  hook"), "{}", run.stdout);
    let list = folder.veracity(&["deliver", "suite.yaml", "--list", "--format", "json"]);
    let left = list.json()["left"].clone();
    assert_eq!(
        (left[0]["state"].clone(), left[0]["attempts"].clone()),
        ("pending".into(), 1.into())
    );

    let working = Receiver::answering("204 Fine");
    folder.write("suite.yaml", &suite(working.port));
    let deliver = folder.veracity(&["deliver", "suite.yaml", "--wait", "30s"]);
    assert_eq!(
        deliver.code,
        Some(0),
        "{}{}",
        deliver.stdout,
        deliver.stderr
    );
    assert!(
        deliver.stdout.contains("nothing is left to be delivered"),
        "{}",
        deliver.stdout
    );
    assert_eq!(
        working.received().keys().collect::<Vec<_>>(),
        broken.received().keys().collect::<Vec<_>>()
    );
}

#[test]
fn what_was_given_up_is_listed_and_can_be_tried_again() {
    let folder = Folder::with_suite();
    let suite = |port: u16| {
        format!(
            "{SUITE}processors:\n  hook: {{use: webhook, url: 'http://127.0.0.1:{port}/', allow_private: true}}\nstore: sqlite://veracity.db\n"
        )
    };
    folder.write("suite.yaml", &suite(Receiver::answering("404 Gone").port));
    let run = folder.veracity(&["run", "suite.yaml"]);
    assert!(run.stdout.contains("✗ dead  hook"), "{}", run.stdout);
    let list = folder.command(&["deliver", "suite.yaml", "--list", "--format", "json"]);
    let list: Value = serde_json::from_slice(&{ list }.output().unwrap().stdout).unwrap();
    let id = list["left"][0]["idempotency_key"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(list["left"][0]["state"], "dead");
    let unknown = folder.veracity(&["deliver", "suite.yaml", "--retry", "nonsense"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);

    let working = Receiver::answering("200 OK");
    folder.write("suite.yaml", &suite(working.port));
    let retried = folder.veracity(&["deliver", "suite.yaml", "--retry", &id]);
    assert_eq!(
        retried.code,
        Some(0),
        "{}{}",
        retried.stdout,
        retried.stderr
    );
    assert_eq!(working.received(), BTreeMap::from([(id, 1)]));
}

#[test]
fn what_comes_after_another_waits_for_it_later_too() {
    let folder = Folder::with_suite();
    let broken = Receiver::answering("503 Busy");
    let suite = |port: u16| {
        format!(
            "{SUITE}processors:\n  hook: {{use: webhook, url: 'http://127.0.0.1:{port}/', allow_private: true, retries: 0}}\n  late: {{use: json, path: late.json, after: [hook]}}\nstore: sqlite://veracity.db\n"
        )
    };
    folder.write("suite.yaml", &suite(broken.port));
    let run = folder.veracity(&["run", "suite.yaml"]);
    assert!(
        run.stdout.contains("skipped dependency  late"),
        "{}",
        run.stdout
    );
    let deliver = folder.veracity(&["deliver", "suite.yaml", "--wait", "13s"]);
    assert_eq!(
        deliver.code,
        Some(4),
        "{}{}",
        deliver.stdout,
        deliver.stderr
    );
    assert!(!folder.path().join("late.json").exists());
    let working = Receiver::answering("204 Fine");
    folder.write("suite.yaml", &suite(working.port));
    let deliver = folder.veracity(&["deliver", "suite.yaml", "--wait", "3min"]);
    assert_eq!(
        deliver.code,
        Some(0),
        "{}{}",
        deliver.stdout,
        deliver.stderr
    );
    assert!(folder.path().join("late.json").exists());
}

#[test]
fn what_waits_for_a_store_is_only_taken_by_its_own_suite() {
    let folder = Folder::with_suite();
    let receiver = Receiver::answering("204 Fine");
    let suite = |name: &str, port: u16, store: &str| {
        let suite = SUITE.replace("suite: shop", &format!("suite: {name}"));
        format!(
            "{suite}processors:\n  hook: {{use: webhook, url: 'http://127.0.0.1:{port}/', allow_private: true, retries: 0}}\nstore: {store}\n"
        )
    };
    folder.write("a.yaml", &suite("a", 9, "postgres://dq@127.0.0.1:1/x"));
    folder.write("b.yaml", &suite("b", receiver.port, "sqlite://b.db"));
    let run = folder.veracity(&["run", "a.yaml"]);
    assert!(run.stderr.contains("it is kept in"), "{}", run.stderr);
    assert_eq!(folder.veracity(&["run", "b.yaml"]).code, Some(0));
    assert_eq!(receiver.received().len(), 1, "only the report of b");
    folder.write("a.yaml", &suite("a", receiver.port, "sqlite://a.db"));
    let deliver = folder.veracity(&["deliver", "a.yaml", "--wait", "60s"]);
    assert_eq!(
        deliver.code,
        Some(0),
        "{}{}",
        deliver.stdout,
        deliver.stderr
    );
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn a_process_that_is_killed_at_any_moment_loses_no_report() {
    let folder = Folder::with_suite();
    let receiver = Receiver::answering("200 OK");
    folder.write(
        "suite.yaml",
        &format!(
            "{SUITE}processors:\n  hook: {{use: webhook, url: 'http://127.0.0.1:{}/', allow_private: true, retries: 0, time_limit: 1s}}\n  rows: {{use: database, url: 'sqlite://rows.db', retries: 0, time_limit: 5s}}\nstore: sqlite://veracity.db\n",
            receiver.port
        ),
    );
    let begun = Instant::now();
    assert_eq!(folder.veracity(&["run", "suite.yaml"]).code, Some(0));
    let whole = begun.elapsed();
    // Evenly over the time of a run, so that every step of it is met.
    let kills = 30;
    for number in 0..kills {
        let mut command = folder.command(&["run", "suite.yaml", "--quiet"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(number) / f64::from(kills) * 1.2));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
    }
    let last = folder.veracity(&[
        "deliver",
        "suite.yaml",
        "--wait",
        "2min",
        "--format",
        "json",
    ]);
    assert_eq!(last.code, Some(0), "{}{}", last.stdout, last.stderr);
    // Every report that was stored has arrived; none arrived that was not stored.
    let runs = folder.veracity(&["deliver", "suite.yaml", "--list", "--format", "json"]);
    assert_eq!(runs.json()["left"], serde_json::json!([]));
    let received = receiver.received();
    assert!(
        !received.is_empty() && !received.contains_key(""),
        "{received:?}"
    );
    assert!(received.values().all(|times| *times <= 3), "{received:?}");
}

/// Processors with secrets wherever there may be some, none of which can deliver.
const SECRETIVE: &str = "\
processors:
  hook:
    use: webhook
    url: http://127.0.0.1:9/${secret:CANARY}
    allow_private: true
    retries: 1
    headers: {authorization: 'Bearer ${secret:CANARY}'}
    secret: whsec_${secret:KEY}
  mail: &mail
    use: email
    smtp: smtp://u:${secret:CANARY}@127.0.0.1:9?tls=none
    from: a@example.org
    to: [b@example.org]
    retries: 0
  worker:
    <<: *mail
    isolation: process
  rows:
    use: database
    url: postgres://u:${file:canary.txt}@127.0.0.1:9/x
    retries: 0
store: sqlite://veracity.db
";

#[test]
fn a_secret_is_in_no_output_and_no_file() {
    const CANARY: &str = "canary-5ecre7-x9";
    let folder = with(SECRETIVE);
    folder.write("canary.txt", &format!("{CANARY}\n"));
    let commands: &[&[&str]] = &[
        &["run", "suite.yaml", "--verbose"],
        &["run", "suite.yaml", "--format", "json"],
        &["plan", "suite.yaml"],
        &["plan", "suite.yaml", "--format", "json"],
        &["processors", "validate", "suite.yaml"],
        &["processors", "validate", "suite.yaml", "--format", "json"],
        &["processors", "health", "suite.yaml"],
        &["processors", "health", "suite.yaml", "--format", "json"],
        &["deliver", "suite.yaml"],
        &["deliver", "suite.yaml", "--list", "--format", "json"],
    ];
    for arguments in commands {
        let mut command = folder.command(arguments);
        command.env("CANARY", CANARY).env("RUST_BACKTRACE", "1");
        command.env("KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let done = Done::of(&command.output().unwrap());
        assert_ne!(done.code, Some(101), "{arguments:?}: {}", done.stderr);
        assert_ne!(done.code, Some(2), "{arguments:?}: {}", done.stderr);
        for text in [&done.stdout, &done.stderr] {
            assert!(!text.contains(CANARY), "{arguments:?}: {text}");
            assert!(!text.contains("MDEyMzQ1Njc4"), "{arguments:?}: {text}");
        }
    }
    // A mistake beside a secret shows the line, but that holds only its name.
    let suite = folder
        .read("suite.yaml")
        .replace("retries: 1", "retries: many");
    folder.write("suite.yaml", &suite);
    let mut command = folder.command(&["run", "suite.yaml"]);
    command
        .env("CANARY", CANARY)
        .env("KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let done = Done::of(&command.output().unwrap());
    assert_eq!(done.code, Some(2));
    assert!(!done.stderr.contains(CANARY), "{}", done.stderr);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().is_some_and(|name| name != "canary.txt") {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(CANARY.len())
                .any(|part| part == CANARY.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[cfg(unix)]
#[test]
fn sigterm_ends_a_delivery_that_hangs_and_keeps_it() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let folder = with(&format!(
        "processors:\n  hook: {{use: webhook, url: 'http://127.0.0.1:{port}/', allow_private: true, time_limit: 10min}}\nstore: sqlite://veracity.db\n"
    ));
    let mut command = folder.command(&["run", "suite.yaml"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = silent.accept().unwrap();
    // The request has begun.
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    let begun = Instant::now();
    let id = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .unwrap();
    let done = Done::of(&child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(143), "{}{}", done.stdout, done.stderr);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    let list = folder.veracity(&["deliver", "suite.yaml", "--list", "--format", "json"]);
    assert_eq!(list.json()["left"][0]["state"], "pending");
}

#[test]
fn a_report_to_stdout_is_the_one_that_is_printed() {
    let json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    let cases: &[(&str, &[&str], bool)] = &[
        ("json: {path: '-'}", &[], true),
        ("json: {path: /dev/stdout}", &[], true),
        ("json: {path: '-'}", &["--format", "table"], false),
        ("console: {path: '-'}", &[], false),
        ("console: {path: '-'}", &["--format", "json"], true),
        ("json: {path: '-'}\n  console: {path: '-'}", &[], false),
        ("json: {enabled: false}", &[], false),
    ];
    for (processors, options, is_json) in cases {
        let folder = with(&format!("processors:\n  {processors}\n"));
        let done = folder.veracity(&[&["run", "suite.yaml"], *options].concat());
        assert_eq!(done.code, Some(0), "{processors}: {}", done.stderr);
        assert_eq!(
            json(&done.stdout),
            *is_json,
            "{processors}: {}",
            done.stdout
        );
        let verdicts = done.stdout.matches("✓ PASSED").count();
        assert_eq!(
            verdicts,
            usize::from(!is_json),
            "{processors}: {}",
            done.stdout
        );
    }
}

#[test]
fn the_suite_says_how_the_report_is_printed_unless_the_command_line_does() {
    // The settings, the options; whether assertions, symbols, colors are shown.
    let cases: &[(&str, &[&str], [bool; 3])] = &[
        ("{}", &[], [true, false, false]),
        ("{verbosity: quiet}", &[], [false, false, false]),
        ("{verbosity: quiet, path: '-'}", &[], [false, false, false]),
        ("{verbosity: quiet}", &["-v"], [true, true, false]),
        (
            "{verbosity: quiet, path: out.txt}",
            &[],
            [true, false, false],
        ),
        (
            "{verbosity: quiet, enabled: false}",
            &[],
            [true, false, false],
        ),
        ("{verbosity: verbose}", &[], [true, true, false]),
        ("{verbosity: verbose}", &["-q"], [false, false, false]),
        ("{color: true}", &[], [true, false, true]),
        ("{color: true}", &["--color", "never"], [true, false, false]),
        (
            "{color: false}",
            &["--color", "always"],
            [true, false, true],
        ),
    ];
    for (settings, options, expected) in cases {
        let folder = with(&format!("processors:\n  console: {settings}\n"));
        let done = folder.veracity(&[&["run", "suite.yaml"], *options].concat());
        assert_eq!(done.code, Some(0), "{settings}: {}", done.stderr);
        let text = &done.stdout;
        let shown = [
            text.contains("emails known"),
            text.contains("\nSymbols\n"),
            text.contains('\u{1b}'),
        ];
        assert_eq!(shown, *expected, "{settings} {options:?}: {text}");
    }
    let folder = with("processors:\n  console: {color: true}\n");
    let mut command = folder.command(&["run", "suite.yaml"]);
    let done = Done::of(&command.env("NO_COLOR", "1").output().unwrap());
    assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
    for (settings, lines) in [("{pretty: false}", 1..2), ("{}", 2..usize::MAX)] {
        let folder = with(&format!("processors:\n  json: {settings}\n"));
        let done = folder.veracity(&["run", "suite.yaml"]);
        assert!(lines.contains(&done.stdout.lines().count()), "{settings}");
        done.json();
    }
}
