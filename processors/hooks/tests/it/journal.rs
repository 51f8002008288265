//! The file of the log.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use veracity_processor::{
    Event, EventHook, Moment, Outcome, ProcessorError, StartContext, Subject,
};

use crate::{Story, block_on, context, handle, plugin};

fn log(path: &Path, more: Value) -> Box<dyn EventHook> {
    let mut config = json!({"path": path, "format": "json"});
    let settings = config.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    plugin("log").build_hook(config).unwrap()
}

fn start(hook: &dyn EventHook) -> Result<(), ProcessorError> {
    block_on(hook.startup(&StartContext::new("log", Duration::from_secs(60))))
}

fn numbered(number: usize) -> Arc<Event> {
    Story::new("orders", 1).event(Subject::Suite, Moment::End, |event| {
        event.with("number", number)
    })
}

fn write(hook: &dyn EventHook, number: usize) -> Result<Outcome, ProcessorError> {
    handle(hook, &[numbered(number)], &context())
}

/// The numbers of the lines in the file; every line is whole.
fn numbers(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let number = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["metadata"]["number"].as_u64().unwrap()
    };
    text.lines().map(number).collect()
}

#[test]
fn nothing_is_opened_before_it_starts_and_then_it_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/veracity.log");
    let first = log(&path, json!({}));
    assert!(!path.exists());
    start(&*first).unwrap();
    assert!(path.exists());
    write(&*first, 1).unwrap();
    let second = log(&path, json!({}));
    start(&*second).unwrap();
    write(&*second, 2).unwrap();
    write(&*first, 3).unwrap();
    assert_eq!(numbers(&path), [1, 2, 3]);
}

#[test]
fn a_full_file_is_moved_away_and_one_old_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.log");
    let hook = log(&path, json!({}));
    write(&*hook, 0).unwrap();
    let line = fs::metadata(&path).unwrap().len();
    fs::remove_file(&path).unwrap();

    let hook = log(&path, json!({"max_bytes": 3 * line}));
    for number in 0..8 {
        assert_eq!(write(&*hook, number).unwrap(), Outcome::done());
        assert!(fs::metadata(&path).unwrap().len() <= 3 * line);
    }
    assert_eq!(numbers(&path), [6, 7]);
    assert_eq!(numbers(&folder.path().join("veracity.log.1")), [3, 4, 5]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_batch_that_is_larger_than_a_file_may_be_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.log");
    let hook = log(&path, json!({"max_bytes": 1}));
    let events: Vec<_> = (0..5).map(numbered).collect();
    handle(&*hook, &events, &context()).unwrap();
    handle(&*hook, &events, &context()).unwrap();
    assert_eq!(numbers(&path), [0, 1, 2, 3, 4]);
    assert_eq!(
        numbers(&folder.path().join("veracity.log.1")),
        [0, 1, 2, 3, 4]
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_somebody_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.log");
    let away = folder.path().join("veracity.log-20261120");
    let hook = log(&path, json!({}));
    write(&*hook, 1).unwrap();
    fs::rename(&path, &away).unwrap();
    write(&*hook, 2).unwrap();
    fs::remove_file(&path).unwrap();
    write(&*hook, 3).unwrap();
    assert_eq!((numbers(&away), numbers(&path)), (vec![1], vec![3]));
}

#[test]
fn several_writers_lose_nothing_and_tear_nothing() {
    const EACH: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.log");
    // Four times nearly full, so that it is moved away at most three times.
    write(&*log(&path, json!({})), 0).unwrap();
    let line = fs::metadata(&path).unwrap().len();
    fs::remove_file(&path).unwrap();
    let most = line * (4 * EACH as u64) * 6 / 10;
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let hook = log(path, json!({"max_bytes": most}));
                for number in 0..EACH {
                    write(&*hook, writer * EACH + number).unwrap();
                }
            });
        }
    });
    // It was full once: all lines are in the old file and the new one.
    let old = numbers(&folder.path().join("veracity.log.1"));
    let mut all = [old, numbers(&path)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..4 * EACH as u64).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn a_link_stays_when_its_file_is_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.log");
    let link = folder.path().join("link.log");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let hook = log(&link, json!({"max_bytes": 1}));
    write(&*hook, 1).unwrap();
    write(&*hook, 2).unwrap();
    assert!(link.is_symlink());
    assert_eq!(numbers(&real), [2]);
    assert_eq!(numbers(&folder.path().join("real.log.1")), [1]);
}

#[test]
fn what_is_no_file_is_refused_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    let error = start(&*log(folder.path(), json!({}))).unwrap_err();
    assert!(error.message().contains("cannot be written: "), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = start(&*log(&file.join("below"), json!({}))).unwrap_err();
    assert!(below.message().contains("cannot be written: "), "{below}");
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let error = start(&*log(&pipe, json!({}))).unwrap_err();
    assert!(error.message().contains("a named pipe"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_the_log_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let hook = log(&path, json!({}));
    start(&*hook).unwrap();
    let error = write(&*hook, 1).unwrap_err();
    assert!(error.message().contains("cannot be written"), "{error}");
    fs::remove_file(&path).unwrap();
    write(&*hook, 2).unwrap();
    assert_eq!(numbers(&path), [2]);
}
