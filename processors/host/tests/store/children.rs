//! Processes that use a store and can be killed: this test program itself, run again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use uuid::Uuid;
use veracity_host::store::{Filter, Settlement, Store, Time};

use crate::places::{Place, delivery, large_report, report};

/// The processors of the reports that children record.
pub const PROCESSORS: [&str; 3] = ["database", "email", "webhook"];

/// A process that does something with a store and writes down what is done.
pub struct Child {
    process: std::process::Child,
    journal: PathBuf,
}

pub struct Output {
    pub lines: Vec<String>,
    pub errors: String,
}

impl Child {
    pub fn start(what: &str, place: &Place) -> Self {
        Self::of(Command::new(program()), what, place)
    }

    /// Files that it writes can grow to about `kilobytes`.
    pub fn with_file_limit(what: &str, place: &Place, kilobytes: u32) -> Self {
        let mut shell = Command::new("sh");
        // Without the signal, the write itself fails. The unit is 512 bytes, or 1024.
        let limit = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
        shell.args(["-c", &limit, "sh"]).arg(program());
        Self::of(shell, what, place)
    }

    fn of(mut command: Command, what: &str, place: &Place) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let journal = place.folder.path().join(format!("journal-{number}"));
        let process = command
            .args(["--exact", "children::child", "--ignored", "--nocapture"])
            .env("STORE_TEST_CHILD", what)
            .env("STORE_TEST_URL", &place.url)
            .env("STORE_TEST_BASE", place.folder.path())
            .env("STORE_TEST_JOURNAL", &journal)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the child starts");
        Self { process, journal }
    }

    /// What it did until it ended.
    pub fn output(self) -> Output {
        let ended = self.process.wait_with_output().expect("the child ends");
        Output {
            lines: lines(&self.journal),
            errors: String::from_utf8_lossy(&ended.stderr).into_owned(),
        }
    }

    /// What it had done when it was killed.
    pub fn kill(mut self) -> Vec<String> {
        self.process.kill().expect("the child is killed");
        self.process.wait().expect("the child ends");
        lines(&self.journal)
    }

    /// Waits until it has written so many lines, so that kills do not all hit the start.
    pub fn wait_for(&mut self, count: usize) {
        for _ in 0..3000 {
            if lines(&self.journal).len() >= count {
                return;
            }
            if let Some(status) = self.process.try_wait().expect("the child can be asked") {
                panic!("the child ended early: {status}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the child does nothing");
    }
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this program has a path")
}

/// The lines that were written to their end.
fn lines(journal: &Path) -> Vec<String> {
    let text = fs::read_to_string(journal).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
#[ignore = "a process of the other tests"]
fn child() {
    let variable = |name: &str| std::env::var(name).expect("it is started by the other tests");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let path = PathBuf::from(variable("STORE_TEST_JOURNAL"));
    let mut journal = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let mut write = |line: String| journal.write_all(format!("{line}\n").as_bytes()).unwrap();
    runtime.block_on(async {
        let (url, base) = (variable("STORE_TEST_URL"), variable("STORE_TEST_BASE"));
        let store = Store::open(&url, Path::new(&base)).await.unwrap();
        match variable("STORE_TEST_CHILD").as_str() {
            "open" => write("opened".into()),
            "work" => work(&store, write).await,
            "fill" => {
                for number in 0.. {
                    let deliveries = PROCESSORS.map(|name| delivery(number, name));
                    let report = large_report(number, 20_000);
                    match store.record(&report, "", &deliveries, Time(0)).await {
                        Ok(()) => write(format!("recorded {}", report.run.id)),
                        Err(error) => return write(format!("{}: {error}", error.is_retryable())),
                    }
                }
            }
            other => panic!("a child cannot {other}"),
        }
    });
}

/// Records, claims and settles until it is killed; what is written down was done before.
async fn work(store: &Store, mut write: impl FnMut(String)) {
    let owner = Uuid::now_v7().to_string();
    let filter = Filter {
        limit: 2,
        ..Filter::default()
    };
    for round in 0_u32.. {
        let mut report = report(0);
        report.run.id = Uuid::now_v7();
        let id = report.run.id;
        let deliveries = PROCESSORS.map(|name| {
            let mut one = delivery(0, name);
            one.idempotency_key = format!("{id}-{name}");
            one
        });
        write(format!("recording {id}"));
        store
            .record(&report, "/suite.yaml", &deliveries, Time(0))
            .await
            .unwrap();
        write(format!("recorded {id}"));
        let claims = store
            .claim(&filter, &owner, Duration::from_secs(1), Time(1000))
            .await;
        for claim in claims.unwrap() {
            let (word, settlement) = match round % 3 {
                0 => ("delivered", Settlement::Delivered { note: None }),
                1 => (
                    "dead",
                    Settlement::Dead {
                        error: "refused".into(),
                    },
                ),
                _ => (
                    "pending",
                    Settlement::Retry {
                        at: Time(500_000),
                        error: "busy".into(),
                    },
                ),
            };
            if store
                .settle(&claim, settlement, 1, Time(1001))
                .await
                .unwrap()
            {
                write(format!("{word} {}", claim.idempotency_key));
            }
        }
    }
}
