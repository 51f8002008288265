//! How far a run is, on a terminal, once it takes longer than a moment.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use crate::engine::{DatasetProgress, Progress};

/// Runs that are shorter than this are not worth a look.
const PATIENCE: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);

/// What is shown until this is dropped; then it is gone from the screen.
pub struct Shown {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Whatever became of the thread, it shows nothing any more.
            let _ = thread.join();
        }
    }
}

/// Shows on stderr what `progress` knows.
///
/// It is a plain thread: the engine's own have other things to do.
pub fn show(progress: Progress) -> Shown {
    let (stop, stopped) = mpsc::channel();
    let watch = move || {
        let has_ended = |wait| stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
        if has_ended(PATIENCE) {
            return;
        }
        let mut screen = Screen::default();
        while !has_ended(INTERVAL) {
            screen.update(&progress.now());
        }
        screen.clear();
    };
    let thread = thread::Builder::new()
        .name("veracity-progress".to_owned())
        .spawn(watch);
    Shown {
        stop: Some(stop),
        thread: thread.ok(),
    }
}

/// A line for each dataset that is read.
#[derive(Default)]
struct Screen {
    lines: MultiProgress,
    by_dataset: HashMap<String, ProgressBar>,
}

impl Screen {
    fn update(&mut self, running: &[DatasetProgress]) {
        self.by_dataset.retain(|name, line| {
            let runs = running.iter().any(|one| one.dataset == *name);
            if !runs {
                line.finish_and_clear();
                self.lines.remove(line);
            }
            runs
        });
        for one in running {
            let line = self
                .by_dataset
                .entry(one.dataset.clone())
                .or_insert_with(|| self.lines.add(spinner(&one.dataset)));
            line.set_message(told(one));
            line.tick();
        }
    }

    fn clear(&self) {
        for line in self.by_dataset.values() {
            line.finish_and_clear();
        }
    }
}

fn spinner(dataset: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner()
        .with_style(style)
        .with_prefix(veracity_processor::printable(dataset).into_owned())
}

/// `1,234,567 rows, 12.3 MB read`
fn told(one: &DatasetProgress) -> String {
    let rows = format!("{} rows", HumanCount(one.rows));
    match one.bytes {
        0 => rows,
        bytes => format!("{rows}, {} read", DecimalBytes(bytes)),
    }
}
