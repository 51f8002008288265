//! The channel `file` on real files.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;
use veracity_processor::{Channel, ProcessContext, ProcessorError};

use crate::{ID, again, assert_carries, block_on, build, hostile, megabyte, parcel, publish};

fn at(path: &Path) -> Box<dyn Channel> {
    build("file", json!({ "path": path }))
}

fn sized(path: &Path, max_bytes: usize) -> Box<dyn Channel> {
    build("file", json!({"path": path, "max_bytes": max_bytes}))
}

fn put(channel: &dyn Channel, message: impl Into<Value>) -> Result<(), ProcessorError> {
    block_on(publish(channel, ID, message)).map(drop)
}

/// The lines of the file at `path`, each of them whole.
#[track_caller]
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line is cut"
    );
    let lines = text.split_terminator('\n');
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn messages_become_lines_whatever_they_hold() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("made/when needed/messages.ndjson");
    let channel = at(&path);
    let mut messages = hostile();
    messages.push(megabyte());
    for message in &messages {
        put(&*channel, message.clone()).unwrap();
    }
    let lines = lines(&path);
    assert_eq!(lines.len(), messages.len());
    for (line, message) in lines.iter().zip(&messages) {
        assert_carries(line, ID, message);
    }
}

/// Publishes `count` messages of many lengths, some of them longer than a page.
fn flood(channel: &dyn Channel, from: u32, count: usize) {
    block_on(async {
        for number in 0..count {
            let filler = "x".repeat((number * 997) % 40_000);
            let message = json!({"from": from, "number": number, "filler": filler});
            publish(channel, ID, message).await.unwrap();
        }
    });
}

/// Checks that `lines` hold `count` messages of each writer, in their order.
fn assert_complete(lines: &[Value], writers: usize, count: usize) {
    assert_eq!(lines.len(), writers * count);
    let mut seen = std::collections::BTreeMap::<u64, u64>::new();
    for line in lines {
        let message = &line["message"];
        let next = seen.entry(message["from"].as_u64().unwrap()).or_default();
        assert_eq!(message["number"].as_u64(), Some(*next));
        *next += 1;
    }
    assert_eq!(seen.len(), writers);
}

#[test]
fn several_processes_at_once_mix_no_lines() {
    if let Some(path) = again::path() {
        return flood(&*at(&path), std::process::id(), 150);
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    let name = "file::several_processes_at_once_mix_no_lines";
    let others = (0..4).map(|_| again::command(name, &path, "exec"));
    again::all_pass(others.collect());
    assert_complete(&lines(&path), 4, 150);
}

#[test]
fn several_threads_at_once_mix_no_lines_also_when_the_file_is_rotated() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    // Some 6 MB are written: it is rotated once.
    let max_bytes = 4_000_000;
    thread::scope(|scope| {
        for number in 0..4 {
            let path = &path;
            scope.spawn(move || flood(&*sized(path, max_bytes), number, 80));
        }
    });
    let old = folder.path().join("messages.ndjson.1");
    for path in [&old, &path] {
        assert!(fs::metadata(path).unwrap().len() <= max_bytes as u64);
    }
    let mut all = lines(&old);
    all.extend(lines(&path));
    assert_complete(&all, 4, 80);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_file_that_would_be_too_large_makes_room_for_a_new_one() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    let old = folder.path().join("messages.ndjson.1");
    let channel = sized(&path, 4096);
    let numbers = |path: &Path| -> Vec<Value> {
        lines(path)
            .iter()
            .map(|line| line["message"][0].clone())
            .collect()
    };
    // Two of them fit.
    for number in 0..5 {
        put(&*channel, json!([number, "x".repeat(1500)])).unwrap();
    }
    assert_eq!(
        (numbers(&old), numbers(&path)),
        (vec![json!(2), json!(3)], vec![json!(4)])
    );
    let error = put(&*channel, "x".repeat(4096)).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(
        error.message().ends_with("more than `max_bytes: 4096`"),
        "{error}"
    );
    assert_eq!(numbers(&path), [json!(4)]);
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_rotated() {
    let folder = tempdir().unwrap();
    let (link, real) = (folder.path().join("link"), folder.path().join("real/file"));
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink(&real, &link).unwrap();
    let channel = sized(&link, 4096);
    for _ in 0..2 {
        put(&*channel, "x".repeat(3000)).unwrap();
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let old = folder.path().join("real/file.1");
    assert_eq!((lines(&real).len(), lines(&old).len()), (1, 1));
}

#[test]
fn a_file_that_was_taken_away_is_made_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("logs/messages.ndjson");
    let channel = at(&path);
    put(&*channel, 1).unwrap();
    fs::rename(&path, folder.path().join("taken")).unwrap();
    put(&*channel, 2).unwrap();
    assert_eq!(lines(&path).len(), 1);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    put(&*channel, 3).unwrap();
    assert_eq!(lines(&path)[0]["message"], 3);
    assert_eq!(lines(&folder.path().join("taken")).len(), 1);
}

#[test]
fn a_line_that_a_crash_has_cut_spoils_no_other() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    fs::write(&path, "{\"time\":\"2026-11-20T06:0").unwrap();
    put(&*at(&path), "whole").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_carries(
        &serde_json::from_str(lines[1]).unwrap(),
        ID,
        &json!("whole"),
    );
}

#[test]
fn a_lock_that_another_process_keeps_is_waited_for_and_then_told() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    let holder = File::create(&path).unwrap();
    holder.lock().unwrap();
    let channel = at(&path);
    let context = ProcessContext::new("audit", ID, Duration::from_millis(400));
    let error = block_on(channel.publish(&parcel(1), &context)).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error
            .message()
            .ends_with("another process holds a lock on it"),
        "{error}"
    );
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            holder.unlock().unwrap();
        });
        put(&*channel, 2).unwrap();
    });
    assert_eq!(lines(&path)[0]["message"], 2);
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let cases = [
        (pipe, "it is no regular file"),
        (folder.path().to_owned(), "is a directory"),
        (file.join("messages.ndjson"), "ot a directory"),
        ("/dev/null".into(), "it is no regular file"),
    ];
    for (path, reason) in cases {
        let error = put(&*at(&path), 1).unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains(reason), "{error}");
        let name = format!("`{}` cannot be written: ", path.display());
        assert!(error.message().starts_with(&name), "{error}");
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_told() {
    if let Some(folder) = again::path() {
        for name in ["new", "there"] {
            let error = put(&*at(&folder.join(name)), 1).unwrap_err();
            assert!(!error.is_retryable(), "{error}");
            assert!(error.message().contains("ermission denied"), "{error}");
        }
        return;
    }
    let folder = again::open_folder();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("there"), "").unwrap();
    fs::set_permissions(closed.join("there"), PermissionsExt::from_mode(0o444)).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    let name = "file::a_folder_that_may_not_be_written_to_is_told";
    again::all_pass(vec![again::unprivileged(name, &closed, folder.path())]);
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn when_there_is_no_room_no_line_is_cut_and_later_ones_are_written() {
    // In the process below, which may write but a few blocks.
    if let Some(path) = again::path() {
        let channel = at(&path);
        for number in 0.. {
            if let Err(error) = put(&*channel, json!([number, "x".repeat(1000)])) {
                assert!(number > 0, "{error}");
                assert!(error.is_retryable(), "{error}");
                return;
            }
        }
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    let name = "file::when_there_is_no_room_no_line_is_cut_and_later_ones_are_written";
    let limit = "trap \"\" XFSZ; ulimit -f 8; exec";
    again::all_pass(vec![again::command(name, &path, limit)]);
    let before = lines(&path).len();
    put(&*at(&path), "later").unwrap();
    let lines = lines(&path);
    assert_eq!(
        (lines.len(), &lines[before]["message"]),
        (before + 1, &json!("later"))
    );
}

#[test]
fn what_others_append_is_not_touched() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("messages.ndjson");
    let mut other = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    let channel = at(&path);
    for number in 0..3 {
        put(&*channel, number).unwrap();
        other.write_all(b"{\"message\":\"other\"}\n").unwrap();
    }
    let messages: Vec<Value> = lines(&path)
        .iter()
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(json!(messages), json!([0, "other", 1, "other", 2, "other"]));
}
