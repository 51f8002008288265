//! A processor in a process of its own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use veracity_processor::{Health, Kind};

use super::exclusive::Exclusive;
use super::process::{Process, Reply, Said};
use super::protocol::{API, Answer, Request, Start, line_of, outcome};
use super::{Attempt, Call, Fault, Isolated, LONGEST, Task, worker};

/// How long a process that answered `stop` may take to end.
const LINGER: Duration = Duration::from_secs(1);

/// What is run as a process, and where.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The executable: a name that is looked for in `PATH`, or a path from `folder`.
    pub program: OsString,
    /// Its arguments. Other users of the machine can see them.
    pub args: Vec<OsString>,
    /// The folder it runs in; that of this process if there is none.
    pub folder: Option<PathBuf>,
    /// What it finds in its environment beside `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ`,
    /// `TMPDIR`, `SSL_CERT_FILE`, `SSL_CERT_DIR` and the settings of proxies. Nothing else
    /// is passed on.
    pub env: BTreeMap<OsString, OsString>,
}

/// A processor in a process of its own, which speaks the protocol of executable plugins on
/// its standard input and output: whatever it does, this process survives it.
///
/// The process starts with the first call, gets its configuration on its standard input,
/// and is killed with its whole process group when it does not answer in time or answers
/// nonsense. The next call starts another; so it does when the process ended by itself
/// after an answer, but one that is just about to end then counts as crashed. A second
/// answer to one request ends the process too; if it is still under way when the next
/// request is sent, it is taken for the answer to that.
///
/// A descendant that makes itself a process group is not killed. When this process is
/// killed, the standard input of the other ends; if this program serves as worker, Linux
/// kills the other with it.
pub struct Child {
    instance: String,
    what: What,
    config: Value,
    answers_health: bool,
    memory_bytes: Option<u64>,
    stage: Exclusive<Stage>,
}

enum What {
    Executable(Program),
    /// The linked plugin of this kind and name.
    Worker(Kind, String),
}

enum Stage {
    Idle,
    Running(Process),
    Over,
}

impl Child {
    /// The processor that `program` is, configured by `config` under the name `instance`.
    /// It is asked for its health only if it `answers_health`.
    pub fn new(instance: &str, program: Program, config: Value, answers_health: bool) -> Self {
        Self::of(instance, What::Executable(program), config, answers_health)
    }

    /// The linked `plugin` of `kind` in a worker.
    pub(super) fn worker(instance: &str, kind: Kind, plugin: &str, config: Value) -> Self {
        Self::of(
            instance,
            What::Worker(kind, plugin.to_owned()),
            config,
            true,
        )
    }

    fn of(instance: &str, what: What, config: Value, answers_health: bool) -> Self {
        Self {
            instance: instance.to_owned(),
            what,
            config,
            answers_health,
            memory_bytes: None,
            stage: Exclusive::new(Stage::Idle),
        }
    }

    /// Lets the process take `bytes` of address space; a worker that much beyond what it has
    /// when it starts. On Linux and macOS, and for an executable only if this program serves
    /// as worker (see [`serve_if_worker`](super::serve_if_worker)).
    ///
    /// An executable has no limit otherwise: programs whose runtime reserves address space
    /// in advance (Go, Java, Node.js) do not start under a small one.
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    fn command(&self) -> Result<Command, Fault> {
        let mut command = match &self.what {
            What::Worker(..) => worker::command()?,
            What::Executable(program) => {
                let path = program.path();
                let mut command = worker::launch(&path, self.memory_bytes);
                command.args(&program.args);
                if let Some(folder) = &program.folder {
                    command.current_dir(folder);
                }
                command
            }
        };
        // What the command has set itself, among it that it is a worker, stays.
        let own: Vec<(OsString, OsString)> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command.env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)));
        if let What::Executable(program) = &self.what {
            command.envs(&program.env);
        }
        command.envs(own);
        Ok(command)
    }

    fn start_line(&self) -> Result<Vec<u8>, Fault> {
        let (plugin, kind, memory_limit_bytes) = match &self.what {
            What::Worker(kind, plugin) => {
                (Some(plugin.as_str().into()), Some(*kind), self.memory_bytes)
            }
            What::Executable(_) => (None, None, None),
        };
        written(&Request::Start(Start {
            api: API.into(),
            config: Cow::Borrowed(&self.config),
            instance: self.instance.as_str().into(),
            plugin,
            kind,
            memory_limit_bytes,
        }))
    }

    /// A process that answered `ready`.
    fn start(
        &self,
        limit: Duration,
        deadline: Instant,
    ) -> Result<Process, (Fault, Option<String>)> {
        let begin = || {
            let name = format!("vp:{}", self.instance);
            let (command, line) = (self.command()?, self.start_line()?);
            let process = Process::start(&name, command, remaining(deadline));
            Ok((process.map_err(Fault::unavailable)?, line))
        };
        let (process, line) = begin().map_err(|fault| (fault, None))?;
        let Reply { said, stderr } = process.ask(line, deadline);
        let fault = match heard(said, limit) {
            Ok(Answer::Ready) => return Ok(process),
            Ok(answer) => told(answer).0,
            Err(fault) => fault,
        };
        Err((fault, stderr))
    }

    /// Sends the request that `line` makes to a process that is ready, starting one if
    /// there is none.
    fn ask(
        &self,
        limit: Duration,
        line: impl Fn(Duration) -> Result<Vec<u8>, Fault>,
    ) -> (Result<Answer, Fault>, Option<String>) {
        let deadline = Instant::now() + limit;
        let Some(mut stage) = self.stage.take(limit) else {
            return (Err(busy(limit)), None);
        };
        if let Stage::Over = *stage {
            return (Err(Fault::unavailable("it was shut down")), None);
        }
        loop {
            if !matches!(&*stage, Stage::Running(process) if process.is_alive()) {
                *stage = Stage::Idle;
            }
            let started = matches!(*stage, Stage::Idle);
            if started {
                match self.start(limit, deadline) {
                    Ok(process) => *stage = Stage::Running(process),
                    Err((fault, stderr)) => return (Err(fault), stderr),
                }
            }
            let Stage::Running(process) = &*stage else {
                continue;
            };
            let line = match line(remaining(deadline)) {
                Ok(line) => line,
                Err(fault) => return (Err(fault), None),
            };
            let Reply { said, stderr } = process.ask(line, deadline);
            if let (Said::Gone, false) = (&said, started) {
                // It ended in peace since its last answer.
                continue;
            }
            let answer = heard(said, limit);
            if matches!(
                answer,
                Err(_) | Ok(Answer::Ready | Answer::Unavailable { .. })
            ) {
                *stage = Stage::Idle;
            }
            return (answer, stderr);
        }
    }
}

impl Isolated for Child {
    fn startup(&self, limit: Duration) -> Result<(), Fault> {
        let limit = limit.min(LONGEST);
        let deadline = Instant::now() + limit;
        let mut stage = self.stage.take(limit).ok_or_else(|| busy(limit))?;
        match &*stage {
            Stage::Over => return Err(Fault::unavailable("it was shut down")),
            Stage::Running(process) if process.is_alive() => return Ok(()),
            _ => {}
        }
        *stage = Stage::Idle;
        let started = self.start(limit, deadline);
        *stage = Stage::Running(started.map_err(|(fault, _)| fault)?);
        Ok(())
    }

    fn call(&self, task: Task, call: Call, limit: Duration) -> Attempt {
        let (answer, stderr) = self.ask(limit.min(LONGEST), |left| {
            written(&Request::of(&task, &call, left))
        });
        let (result, state) = match answer {
            Ok(Answer::Outcome {
                status,
                reason,
                note,
                actions,
                state,
            }) => (Ok(outcome(status, reason, note, actions)), state),
            Ok(answer) => {
                let (fault, state) = told(answer);
                (Err(fault), state)
            }
            Err(fault) => (Err(fault), None),
        };
        Attempt {
            result,
            state,
            stderr,
        }
    }

    fn health(&self, limit: Duration) -> Result<Health, Fault> {
        if !self.answers_health {
            self.startup(limit)?;
            return Ok(Health::healthy().with_detail("it starts; it does not answer to health"));
        }
        match self
            .ask(limit.min(LONGEST), |_| written(&Request::Health))
            .0?
        {
            Answer::Health(health) => Ok(health),
            answer => Err(told(answer).0),
        }
    }

    fn shutdown(&self, limit: Duration) -> Result<(), Fault> {
        let limit = limit.min(LONGEST);
        let deadline = Instant::now() + limit;
        let mut stage = self.stage.take(limit).ok_or_else(|| busy(limit))?;
        let Stage::Running(process) = std::mem::replace(&mut *stage, Stage::Over) else {
            return Ok(());
        };
        match process.ask(written(&Request::Stop)?, deadline).said {
            Said::Gone | Said::Ended { cleanly: true, .. } => Ok(()),
            said => {
                let answer = heard(said, limit)?;
                process.finish(remaining(deadline).min(LINGER));
                match answer {
                    Answer::Ready => Ok(()),
                    answer => Err(told(answer).0),
                }
            }
        }
    }
}

impl Program {
    /// `command`, an executable and its arguments, run in `folder`.
    pub fn new(command: &[String], folder: &Path) -> Self {
        let mut words = command.iter().map(OsString::from);
        Self {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            folder: Some(folder.to_owned()),
            env: BTreeMap::new(),
        }
    }

    /// The path of the executable, or its name. A relative path would be looked for from
    /// the folder on some systems and from here on others.
    fn path(&self) -> PathBuf {
        let path = Path::new(&self.program);
        match &self.folder {
            Some(folder) if path.is_relative() && path.components().count() > 1 => {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                folder.join(path)
            }
            _ => path.to_owned(),
        }
    }
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn busy(limit: Duration) -> Fault {
    Fault::unavailable(format!("another call took more than {limit:?}"))
}

fn written(request: &Request<'_>) -> Result<Vec<u8>, Fault> {
    line_of(request).map_err(|error| Fault::unavailable(format!("cannot write JSON: {error}")))
}

fn heard(said: Said, limit: Duration) -> Result<Answer, Fault> {
    match said {
        Said::Line(line) => Answer::read(&line).map_err(|message| Fault::Crashed { message }),
        Said::Nothing => Err(Fault::Hung { limit }),
        Said::Gone => Err(Fault::Crashed {
            message: "its process ended before it was asked".to_owned(),
        }),
        Said::Ended { message, .. } => Err(Fault::Crashed { message }),
    }
}

/// The fault of an answer that is not the one that was asked for.
fn told(answer: Answer) -> (Fault, Option<BTreeMap<String, Value>>) {
    answer
        .into_fault()
        .unwrap_or_else(|answer| (answer.unexpected(), None))
}

fn is_passed_on(name: &OsStr) -> bool {
    const NAMES: [&str; 9] = [
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        // Windows finds nothing without it.
        "SYSTEMROOT",
    ];
    name.to_str()
        .is_some_and(|name| NAMES.contains(&name) || name.to_ascii_lowercase().ends_with("_proxy"))
}
