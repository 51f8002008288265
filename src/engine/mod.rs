//! Plans a suite, scans once, evaluates, reports.
//!
//! The way of the data: [`prepare`] opens the datasets, binds each assertion and plans the
//! work; [`execute`] runs it; [`report`] finishes symbols and evaluates assertions.

mod bind;
mod calls;
mod columns;
mod computed;
mod culprit;
mod dataset;
pub mod describe;
mod distinct_input;
mod execute;
mod fuse;
mod mask;
mod names;
mod plan;
mod prepare;
mod primitive;
mod progress;
mod queries;
mod report;
mod semantics;
mod session;
mod simplify;
mod statistics;
mod text;
mod value;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use uuid::Uuid;
use veracity_processor::{
    AssertionResult, DatasetReport, EventSink, Report, Run, RunKey, Status, Summary, Upcoming,
    Verdict,
};

use crate::error::{Error, Result};
use crate::suite::VerificationSuite;
use describe::Plan;
use execute::{Outcomes, Work};
use prepare::{Prepared, Settings, prepare};
pub use progress::{DatasetProgress, Progress};
use report::RunFacts;
use watch::Watch;

/// Stack of the threads that plan and run: deep expressions are planned by recursion.
const STACK_BYTES: usize = 64 << 20;

/// Verifies suites, on threads of its own.
///
/// One engine can run many suites, one after the other or at once; every run has its own
/// session, memory pool and settings.
#[derive(Debug, Clone)]
pub struct Engine {
    options: Options,
    runtime: Arc<OwnRuntime>,
    progress: Progress,
    interrupt: Interrupt,
}

#[derive(Debug, Clone, Default)]
struct Options {
    cores: Option<usize>,
    memory_limit: Option<usize>,
    base: Option<PathBuf>,
    date: Option<NaiveDate>,
    now: Option<DateTime<Utc>>,
    variables: BTreeMap<String, String>,
    run_tags: BTreeMap<String, String>,
    only: Vec<String>,
    time_limit: Option<Duration>,
}

/// Threads that end without being waited for: a query may be stuck in one of them.
#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends the runs of an engine early, from any thread. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    reason: Arc<OnceLock<String>>,
    notify: Arc<Notify>,
}

impl Interrupt {
    /// Ends the runs; the report says `reason` and what was known by then. Only the first
    /// call counts.
    pub fn interrupt(&self, reason: impl Into<String>) {
        if self.reason.set(reason.into()).is_ok() {
            self.notify.notify_waiters();
        }
    }

    async fn wait(&self) -> String {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(reason) = self.reason.get() {
                return reason.clone();
            }
            notified.await;
        }
    }
}

/// Settings of an [`Engine`], all of them optional.
#[derive(Debug, Default)]
pub struct EngineBuilder {
    options: Options,
}

impl EngineBuilder {
    /// Threads and partitions of every query. Default: the cores of the machine.
    pub fn cores(mut self, cores: usize) -> Self {
        self.options.cores = Some(cores.max(1));
        self
    }

    /// Most bytes for sorting, grouping and joining of a run; beyond it, these spill to
    /// temporary files. Buffers of the readers come on top. Default: no limit.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.options.memory_limit = Some(bytes);
        self
    }

    /// Where relative paths of datasets start. Default: the current directory.
    pub fn base(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.base = Some(folder.into());
        self
    }

    /// The date of the data: `{date}` in paths and the run's key. Default: today, in UTC.
    pub fn date(mut self, date: NaiveDate) -> Self {
        self.options.date = Some(date);
        self
    }

    /// The moment that `now()` and `freshness` speak of. Default: the start of the run.
    pub fn now(mut self, now: DateTime<Utc>) -> Self {
        self.options.now = Some(now);
        self
    }

    /// The value of `{name}` in paths.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.variables.insert(name.into(), value.into());
        self
    }

    /// A label of the runs, carried in their key.
    pub fn run_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.run_tags.insert(name.into(), value.into());
        self
    }

    /// Runs only assertions with this tag, or of the check of this name; may be repeated.
    pub fn only(mut self, tag_or_check: impl Into<String>) -> Self {
        self.options.only.push(tag_or_check.into());
        self
    }

    /// Longest time of a run; after it the report says what was known by then.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.options.time_limit = Some(limit);
        self
    }

    /// Starts the engine's threads.
    ///
    /// # Errors
    ///
    /// If the system gives no threads.
    pub fn build(self) -> Result<Engine> {
        let cores = self.options.cores.unwrap_or_else(default_cores);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("veracity-engine")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| Error::execution(format!("cannot start threads: {error}")))?;
        Ok(Engine {
            options: self.options,
            runtime: Arc::new(OwnRuntime(Some(runtime))),
            progress: Progress::default(),
            interrupt: Interrupt::default(),
        })
    }
}

fn default_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a run has found out so far, seen by whoever reports.
#[derive(Default)]
struct Findings {
    prepared: OnceLock<Prepared>,
    outcomes: Mutex<Outcomes>,
}

impl Engine {
    /// An engine with default settings.
    ///
    /// # Errors
    ///
    /// If the system gives no threads.
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Settings for an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// How far the runs of this engine are.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Ends the runs of this engine early.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// What a run of `suite` would do. Reads footers and the heads of text files to know
    /// the columns, but no table data.
    ///
    /// # Errors
    ///
    /// If no session can be made. What is wrong with the suite is part of the plan.
    pub async fn plan(&self, suite: &VerificationSuite) -> Result<Plan> {
        let suite = Arc::new(suite.clone());
        let settings = self.settings(Utc::now());
        let (send, receive) = tokio::sync::oneshot::channel();
        self.spawn(async move {
            let plan = prepare(suite, settings)
                .await
                .map(|prepared| describe::describe(&prepared));
            // Nobody may be waiting any more.
            let _ = send.send(plan);
        });
        receive.await.unwrap_or_else(|_| {
            Err(Error::execution(
                "planning panicked; this is a bug of veracity",
            ))
        })
    }

    /// A run of `suite` that is about to begin: its identity and what can be said of it
    /// before anything is read.
    pub fn upcoming(&self, suite: &VerificationSuite) -> Upcoming {
        let settings = self.settings(Utc::now());
        let key = RunKey::new(settings.date.to_string(), settings.run_tags.clone());
        let started_at = report::rfc3339(settings.now);
        let mut run = Run::new(Uuid::now_v7(), &suite.name, key, started_at);
        run.engine = veracity_processor::Engine::new(env!("CARGO_PKG_VERSION"), "local");
        let mut upcoming = Upcoming::new(run);
        let names = suite.datasets.iter().map(|dataset| dataset.name.clone());
        upcoming.datasets = names.collect();
        for check in &suite.checks {
            upcoming.checks.push(check.name.clone());
            let of_assertions = check.assertions.iter().flat_map(|one| &one.tags);
            upcoming
                .tags
                .extend(check.tags.iter().chain(of_assertions).cloned());
            upcoming.assertions += check.assertions.len() as u64;
        }
        upcoming.tags.sort();
        upcoming.tags.dedup();
        upcoming
    }

    /// The report of a run of `suite` that the processor `gate` ended before it began, for
    /// `reason`: every assertion is skipped. `sink` is told.
    pub fn skip(
        &self,
        suite: &VerificationSuite,
        upcoming: &Upcoming,
        (gate, reason): (&str, &str),
        sink: Option<Arc<dyn EventSink>>,
    ) -> Report {
        let settings = self.settings(begun_at(upcoming));
        let facts = RunFacts {
            id: upcoming.run.id,
            finished_at: Utc::now(),
            duration_ms: 0,
            interrupted: Some(reason.to_owned()),
        };
        let mut report = unprepared(suite, &settings, &facts, Status::Skipped, reason);
        report.run.gate = Some(gate.to_owned());
        Watch::new(&upcoming.run, sink).skipped(&report);
        report
    }

    /// Verifies `suite`. Whatever goes wrong is in the report.
    pub async fn run(&self, suite: &VerificationSuite) -> Report {
        self.run_upcoming(suite, &self.upcoming(suite), None).await
    }

    /// Verifies `suite` in the run that `upcoming` announced, and tells `sink` what happens.
    /// Whatever goes wrong is in the report.
    pub async fn run_upcoming(
        &self,
        suite: &VerificationSuite,
        upcoming: &Upcoming,
        sink: Option<Arc<dyn EventSink>>,
    ) -> Report {
        let started = Instant::now();
        let begun_at = begun_at(upcoming);
        let settings = self.settings(begun_at);
        let id = upcoming.run.id;
        let watch = Arc::new(Watch::new(&upcoming.run, sink));
        watch.begins(upcoming.assertions);
        let suite = Arc::new(suite.clone());
        let findings = Arc::new(Findings::default());
        let (send, receive) = tokio::sync::oneshot::channel::<Result<()>>();
        let task = self.spawn({
            let (suite, settings) = (Arc::clone(&suite), settings.clone());
            let (findings, progress) = (Arc::clone(&findings), self.progress.clone());
            let watch = Arc::clone(&watch);
            async move {
                let done = find_out(suite, settings, &findings, &progress, &watch).await;
                // The run may have been interrupted: then nobody waits.
                let _ = send.send(done);
            }
        });
        let watchdog = Watchdog::start(self.options.time_limit);
        let ended = tokio::select! {
            done = receive => match done {
                Ok(Ok(())) => Ended::Finished,
                Ok(Err(error)) => Ended::Failed(error.to_string()),
                Err(_) => Ended::Failed(
                    "the engine panicked; this is a bug of veracity".to_owned(),
                ),
            },
            reason = self.interrupt.wait() => Ended::Interrupted(reason),
            reason = watchdog.wait() => Ended::Interrupted(reason),
        };
        task.abort();
        let elapsed = started.elapsed();
        let facts = RunFacts {
            id,
            finished_at: begun_at + elapsed,
            duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            interrupted: match &ended {
                Ended::Interrupted(reason) => Some(reason.clone()),
                _ => None,
            },
        };
        let outcomes = match findings.outcomes.lock() {
            Ok(outcomes) => outcomes,
            Err(poisoned) => poisoned.into_inner(),
        };
        let report = match (findings.prepared.get(), ended) {
            (Some(prepared), _) => report::report(prepared, &outcomes, &facts),
            (None, Ended::Failed(reason)) => {
                unprepared(&suite, &settings, &facts, Status::Error, &reason)
            }
            (None, _) => unprepared(
                &suite,
                &settings,
                &facts,
                Status::Skipped,
                "the run ended before it was planned",
            ),
        };
        watch.ends(&report);
        report
    }

    fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let runtime = self.runtime.0.as_ref();
        runtime
            .expect("the runtime is there until the engine is dropped")
            .spawn(task)
    }

    fn settings(&self, now: DateTime<Utc>) -> Settings {
        let options = &self.options;
        let now = options.now.unwrap_or(now);
        Settings {
            cores: options.cores.unwrap_or_else(default_cores),
            memory_limit: options.memory_limit,
            base: absolute(options.base.as_deref().unwrap_or(Path::new(""))),
            date: options.date.unwrap_or_else(|| now.date_naive()),
            variables: options.variables.clone(),
            run_tags: options.run_tags.clone(),
            only: options.only.clone(),
            now,
        }
    }
}

/// `folder` from the root on; scans know no current directory.
fn absolute(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() {
        return std::env::current_dir().unwrap_or_default();
    }
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

enum Ended {
    Finished,
    Failed(String),
    Interrupted(String),
}

async fn find_out(
    suite: Arc<VerificationSuite>,
    settings: Settings,
    findings: &Findings,
    progress: &Progress,
    watch: &Watch,
) -> Result<()> {
    let concurrency = settings.cores;
    let prepared = prepare(suite, settings).await?;
    let prepared = findings.prepared.get_or_init(|| prepared);
    let work = Work {
        session: &prepared.session,
        state: &prepared.state,
        open: &prepared.open,
        plans: &prepared.plans,
        concurrency,
        outcomes: &findings.outcomes,
        progress,
        watch,
    };
    execute::run(&work).await;
    Ok(())
}

/// When the run that `upcoming` announced began.
fn begun_at(upcoming: &Upcoming) -> DateTime<Utc> {
    let started = DateTime::parse_from_rfc3339(&upcoming.run.started_at);
    started.map_or_else(|_| Utc::now(), |started| started.with_timezone(&Utc))
}

/// The report of a run that ended before its assertions were bound.
fn unprepared(
    suite: &VerificationSuite,
    settings: &Settings,
    facts: &RunFacts,
    status: Status,
    reason: &str,
) -> Report {
    let key = RunKey::new(settings.date.to_string(), settings.run_tags.clone());
    let mut run = Run::new(facts.id, &suite.name, key, report::rfc3339(settings.now));
    run.finished_at = report::rfc3339(facts.finished_at);
    run.duration_ms = facts.duration_ms;
    run.interrupted = facts.interrupted.clone();
    let mut report = Report::new(run);
    for check in &suite.checks {
        for assertion in &check.assertions {
            let expression = assertion.expression();
            let mut result = AssertionResult::new(&check.name, assertion.display_name());
            result.expression = expression;
            result.dataset = check.dataset.clone().unwrap_or_default();
            result.severity = assertion.severity.unwrap_or(check.severity);
            result.tags = check.tags.iter().chain(&assertion.tags).cloned().collect();
            result.tags.sort();
            result.tags.dedup();
            result.status = status;
            result.reason = Some(reason.to_owned());
            result.location = assertion.location.clone();
            report.results.push(result);
        }
    }
    let names = suite.datasets.iter().map(|dataset| &dataset.name);
    report.datasets = names.map(DatasetReport::new).collect();
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::NotEvaluated;
    report
}

/// A thread that waits for the end of the time limit: a timer inside a busy runtime fires
/// late.
struct Watchdog {
    limit: Option<Duration>,
    expired: Arc<(AtomicBool, Notify)>,
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    fn start(limit: Option<Duration>) -> Self {
        let (alive, ended) = mpsc::channel();
        let expired = Arc::new((AtomicBool::new(false), Notify::new()));
        if let Some(limit) = limit {
            let expired = Arc::clone(&expired);
            std::thread::spawn(move || {
                if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                    expired.0.store(true, Ordering::SeqCst);
                    expired.1.notify_waiters();
                    expired.1.notify_one();
                }
            });
        }
        Self {
            limit,
            expired,
            _alive: alive,
        }
    }

    async fn wait(&self) -> String {
        while !self.expired.0.load(Ordering::SeqCst) {
            self.expired.1.notified().await;
        }
        format!(
            "the time limit of {:?} was reached",
            self.limit.unwrap_or_default()
        )
    }
}

impl VerificationSuite {
    /// Verifies this suite with `engine`. Whatever goes wrong is in the report.
    pub async fn run(&self, engine: &Engine) -> Report {
        engine.run(self).await
    }
}
