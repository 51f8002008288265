//! The channel `spool` in real folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::tempdir;
use veracity_processor::{Channel, ProcessorError};

use crate::{again, assert_carries, block_on, build, hostile, megabyte, publish};

fn at(path: &Path) -> Box<dyn Channel> {
    build("spool", json!({ "path": path }))
}

fn put(channel: &dyn Channel, id: &str, message: Value) -> Result<(), ProcessorError> {
    block_on(publish(channel, id, message)).map(drop)
}

/// The names in the folder `path`, sorted.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What the file `name` in the folder `path` carries.
#[track_caller]
fn read(path: &Path, name: &str) -> Value {
    let text = fs::read_to_string(path.join(name)).unwrap();
    assert_eq!(
        text.find('\n'),
        Some(text.len() - 1),
        "one line, as NDJSON has it"
    );
    serde_json::from_str(&text).unwrap()
}

fn id(number: usize) -> String {
    format!("6f1c02d7-3b6e-5a4c-8d2e-{number:012}")
}

#[test]
fn a_consumer_that_sorts_by_name_gets_messages_in_order() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("made/outbox");
    let channel = at(&path);
    let mut messages = hostile();
    messages.push(megabyte());
    // Backwards, so that the order is not that of the keys.
    let count = messages.len();
    for (number, message) in messages.iter().enumerate() {
        put(&*channel, &id(count - number), message.clone()).unwrap();
    }
    let names = names(&path);
    assert_eq!(names.len(), count);
    for (number, (name, message)) in names.iter().zip(&messages).enumerate() {
        let id = id(count - number);
        assert_carries(&read(&path, name), &id, message);
        assert!(name.ends_with(&format!("Z-{id}.json")), "{name}");
    }
}

#[test]
fn a_repetition_replaces_the_message_until_it_is_taken() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let channel = at(path);
    put(&*channel, &id(1), json!("first")).unwrap();
    put(&*channel, &id(2), json!("second")).unwrap();
    let before = names(path);
    // Also by another process, and at another time.
    put(&*at(path), &id(1), json!("again")).unwrap();
    assert_eq!(names(path), before);
    assert_eq!(read(path, &before[0])["message"], "again");
    fs::remove_file(path.join(&before[0])).unwrap();
    put(&*channel, &id(1), json!("once more")).unwrap();
    let after = names(path);
    assert_eq!((after.len(), &after[0]), (2, &before[1]));
    assert_eq!(read(path, &after[1])["message"], "once more");
}

#[test]
fn hostile_keys_stay_in_the_folder() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("outbox");
    let channel = at(&path);
    let long = "x".repeat(10_000);
    let keys = [
        "../../escape",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        ".",
        "",
        &long,
    ];
    for key in keys {
        for _ in 0..2 {
            put(&*channel, key, json!(key)).unwrap();
        }
    }
    let names = names(&path);
    assert_eq!(names.len(), keys.len());
    for (name, key) in names.iter().zip(keys) {
        assert_eq!(read(&path, name)["id"], key);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_spool_that_nobody_empties_is_full_at_some_time() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let channel = build("spool", json!({"path": path, "max_files": 3}));
    // What is no message does not count.
    fs::write(path.join("README.txt"), "").unwrap();
    for number in 0..3 {
        put(&*channel, &id(number), json!(number)).unwrap();
    }
    let error = put(&*channel, &id(3), json!(3)).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let expected = format!(
        "3 messages wait in `{}`, and nobody takes them; `max_files: 3` permits no more",
        path.display()
    );
    assert_eq!(error.message(), expected);
    put(&*channel, &id(2), json!("a repetition needs no room")).unwrap();
    let first = names(path).remove(0);
    fs::remove_file(path.join(first)).unwrap();
    put(&*channel, &id(3), json!(3)).unwrap();
    assert_eq!(names(path).len(), 4);
}

#[test]
fn a_message_is_there_as_a_whole_or_not_at_all() {
    let folder = tempdir().unwrap();
    let path = folder.path();
    let done = AtomicBool::new(false);
    let writers = 3;
    thread::scope(|scope| {
        let taken = scope.spawn(|| {
            let mut taken = 0;
            loop {
                let over = done.load(Ordering::SeqCst);
                for name in names(path).iter().filter(|name| name.ends_with(".json")) {
                    assert_eq!(read(path, name)["message"].as_str().unwrap().len(), 100_000);
                    fs::remove_file(path.join(name)).unwrap();
                    taken += 1;
                }
                if over {
                    return taken;
                }
            }
        });
        let writing: Vec<_> = (0..writers)
            .map(|writer| {
                scope.spawn(move || {
                    let channel = at(path);
                    for number in 0..30 {
                        let message = json!("x".repeat(100_000));
                        put(&*channel, &id(1000 * writer + number), message).unwrap();
                    }
                })
            })
            .collect();
        let ended: Vec<_> = writing.into_iter().map(|one| one.join()).collect();
        done.store(true, Ordering::SeqCst);
        let taken = taken.join().unwrap();
        assert!(ended.iter().all(Result::is_ok));
        assert_eq!(taken, writers * 30);
    });
    assert_eq!(names(path), Vec::<String>::new());
}

#[test]
fn a_path_that_is_no_folder_is_refused() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("outbox")] {
        let error = put(&*at(&path), &id(1), json!(1)).unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("ot a directory"), "{error}");
        assert!(
            error.message().contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_told() {
    if let Some(path) = again::path() {
        let error = put(&*at(&path), &id(1), json!(1)).unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("ermission denied"), "{error}");
        return;
    }
    let folder = again::open_folder();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    let name = "spool::a_folder_that_may_not_be_written_to_is_told";
    again::all_pass(vec![again::unprivileged(name, &closed, folder.path())]);
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn when_there_is_no_room_nothing_is_left_behind() {
    // In the process below, which may write but a few blocks.
    if let Some(path) = again::path() {
        let channel = at(&path);
        let error = put(&*channel, &id(1), megabyte()).unwrap_err();
        assert!(error.is_retryable(), "{error}");
        put(&*channel, &id(2), json!("small")).unwrap();
        return;
    }
    let folder = tempdir().unwrap();
    let name = "spool::when_there_is_no_room_nothing_is_left_behind";
    let limit = "trap \"\" XFSZ; ulimit -f 8; exec";
    again::all_pass(vec![again::command(name, folder.path(), limit)]);
    let names = names(folder.path());
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(read(folder.path(), &names[0])["message"], "small");
}
