//! This program, run once more as the process of one processor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;
use veracity_processor::{Config, Kind, Plugin};

use super::protocol::{Answer, Context, Request, Start, answer_of, line_of};
use super::resident::Resident;
use super::{Attempt, Built, Call, Child, Fault, LONGEST};

/// The first argument of a worker.
const ARGUMENT: &str = "__veracity-worker";

/// The second argument of what only becomes another program.
const LAUNCH: &str = "launch";

/// Set for workers, so that the argument alone makes none.
const VARIABLE: &str = "VERACITY_WORKER";

static AVAILABLE: AtomicBool = AtomicBool::new(false);

/// Serves as worker if this process was started as one, and then ends it; otherwise does
/// nothing but note that this program can be started as one.
///
/// For the very beginning of `main` of every program that runs suites: `isolation: process`
/// runs the program once more, and what stands before this call would be run too.
pub fn serve_if_worker() {
    let mut arguments = std::env::args_os().skip(1);
    let is_worker = std::env::var_os(VARIABLE).is_some_and(|value| value == "1")
        && arguments.next().is_some_and(|first| first == ARGUMENT);
    if !is_worker {
        AVAILABLE.store(true, Ordering::Relaxed);
        return;
    }
    harden();
    let code = match arguments.next() {
        Some(second) if second == LAUNCH => become_another(arguments),
        _ => serve(),
    };
    std::process::exit(code);
}

/// Whether this program can be started as a worker: whether [`serve_if_worker`] was called.
pub fn is_available() -> bool {
    AVAILABLE.load(Ordering::Relaxed)
}

/// The linked `plugin` of `kind`, configured by `config` under the name `instance`, in a
/// process of its own, which may take `memory_bytes` beyond what it has when it starts.
///
/// # Errors
///
/// If this program cannot be started as a worker.
pub fn worker(
    instance: &str,
    kind: Kind,
    plugin: &str,
    config: Value,
    memory_bytes: u64,
) -> Result<Child, String> {
    if !is_available() {
        return Err(UNABLE.to_owned());
    }
    Ok(Child::worker(instance, kind, plugin, config).with_memory_limit(memory_bytes))
}

const UNABLE: &str = "this program cannot be started as a worker: its `main` does not begin \
     with `veracity_host::isolation::serve_if_worker()`";

/// This program as a worker.
pub(super) fn command() -> Result<Command, Fault> {
    if !is_available() {
        return Err(Fault::unavailable(UNABLE));
    }
    let program = this_program()
        .map_err(|error| Fault::unavailable(format!("cannot find this program: {error}")))?;
    let mut command = Command::new(program);
    command.arg(ARGUMENT).env(VARIABLE, "1");
    Ok(command)
}

/// `program`, to which arguments can be added. Where this program can be started as a
/// worker, that becomes `program` after it has limited itself to `memory_bytes` and bound
/// its life to this process's.
pub(super) fn launch(program: &Path, memory_bytes: Option<u64>) -> Command {
    match command() {
        Ok(mut launcher) if cfg!(unix) => {
            let memory = memory_bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
            launcher.arg(LAUNCH).arg(memory).arg(program);
            launcher
        }
        _ => Command::new(program),
    }
}

fn this_program() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    // Replaced by a newer one, perhaps; the file itself is still there.
    let itself = Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && !path.exists() {
        return Ok(itself.to_owned());
    }
    Ok(path)
}

#[cfg(unix)]
fn become_another(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    use std::os::unix::process::CommandExt;
    let memory = arguments.next().unwrap_or_default();
    let program = arguments.next().unwrap_or_default();
    if let Some(bytes) = memory.to_str().and_then(|bytes| bytes.parse().ok()) {
        limit_memory(bytes, 0);
    }
    let error = Command::new(&program)
        .args(arguments)
        .env_remove(VARIABLE)
        .exec();
    cannot_run(&program, &error)
}

#[cfg(not(unix))]
fn become_another(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let program = arguments.nth(1).unwrap_or_default();
    cannot_run(&program, &std::io::ErrorKind::Unsupported.into())
}

fn cannot_run(program: &OsStr, error: &std::io::Error) -> i32 {
    let program = program.to_string_lossy();
    say(
        &mut std::io::stdout(),
        &Answer::Unavailable {
            message: format!("cannot run `{program}`: {error}"),
        },
    );
    127
}

/// Leaves no dump of memory, which may hold secrets, and does not outlive the host.
fn harden() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, setrlimit};
        // Neither can fail for lack of rights; if it does, the work is done all the same.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        #[cfg(target_os = "linux")]
        let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    }
}

/// Limits the address space to `bytes` beyond `present` ones, where that can be done.
fn limit_memory(bytes: u64, present: u64) {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use nix::sys::resource::{Resource, setrlimit};
        let bytes = present.saturating_add(bytes);
        let _ = setrlimit(Resource::RLIMIT_AS, bytes, bytes);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    let _ = (bytes, present);
}

/// The address space of this process: an allocator may have reserved a lot of it.
fn present_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// Answers requests until there are no more.
fn serve() -> i32 {
    let Ok((input, mut output)) = take_streams() else {
        return 1;
    };
    let requests = read(input);
    let mut served: Option<(Resident, Value)> = None;
    for request in requests {
        let ends = matches!(request, Request::Stop);
        let answer = match request.into_task() {
            Ok((task, context)) => match &served {
                // None of this waits with a limit: the host does, and kills.
                Some((resident, config)) => {
                    let limit = Duration::from_millis(context.time_limit_ms);
                    let call = call(context, config.clone());
                    answered(resident.does_until(&task, call, limit, LONGEST))
                }
                None => Err(not_started()),
            },
            Err(request) => match (*request, &mut served) {
                (Request::Start(start), None) => started(&start).map(|resident| {
                    served = Some((resident, start.config.into_owned()));
                    Answer::Ready
                }),
                (Request::Health, Some((resident, _))) => {
                    resident.health(LONGEST).map(Answer::Health)
                }
                (Request::Stop, Some((resident, _))) => {
                    resident.shutdown(LONGEST).map(|()| Answer::Ready)
                }
                (Request::Stop, None) => Ok(Answer::Ready),
                _ => Err(not_started()),
            },
        };
        let answer = answer.or_else(|fault| Answer::of_fault(fault, None).ok_or(()));
        // Whoever hangs has no answer, and is killed for it.
        if let Ok(answer) = answer {
            say(&mut output, &answer);
        }
        if ends {
            break;
        }
    }
    drop(served);
    0
}

fn not_started() -> Fault {
    Fault::unavailable("it was not started, or twice")
}

fn started(start: &Start<'_>) -> Result<Resident, Fault> {
    let name = start.plugin.as_deref().unwrap_or_default();
    let kind = start.kind.unwrap_or(Kind::Processor);
    let plugin = Plugin::linked()
        .find(|plugin| plugin.kind() == kind && plugin.name() == name)
        .ok_or_else(|| Fault::unavailable(format!("no {kind} `{name}` is linked")))?;
    if let Some(bytes) = start.memory_limit_bytes {
        limit_memory(bytes, present_bytes());
    }
    let config = start.config.clone().into_owned();
    let thread = format!("vp:{}", start.instance);
    let resident = Resident::build(&start.instance, &thread, || Built::of(plugin, config))?;
    resident.startup(LONGEST)?;
    Ok(resident)
}

fn call(context: Context<'_>, config: Value) -> Call {
    Call {
        instance: context.instance.into_owned(),
        config: Config(config),
        idempotency_key: context.idempotency_key.into_owned(),
        attempt: context.attempt,
        stage: context.stage,
        metrics: context.metrics.into_owned(),
        state: context.state.into_owned(),
    }
}

fn answered(attempt: Attempt) -> Result<Answer, Fault> {
    match attempt.result {
        Ok(outcome) => Ok(answer_of(outcome, attempt.state)),
        Err(fault) => Answer::of_fault(fault.clone(), attempt.state).ok_or(fault),
    }
}

fn say(output: &mut impl Write, answer: &Answer) {
    let Ok(line) = line_of(answer) else {
        return;
    };
    // If the host does not hear it any more, the input ends too.
    let _ = output.write_all(&line).and_then(|()| output.flush());
}

/// The streams of the protocol. Whatever else reads standard input finds it empty, and
/// whatever else is printed goes to standard error.
#[cfg(unix)]
fn take_streams() -> std::io::Result<(File, File)> {
    use std::os::fd::AsFd;
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let output = std::io::stdout().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    nix::unistd::dup2_stdout(std::io::stderr().as_fd())?;
    Ok((input.into(), output.into()))
}

#[cfg(not(unix))]
fn take_streams() -> std::io::Result<(std::io::Stdin, std::io::Stdout)> {
    Ok((std::io::stdin(), std::io::stdout()))
}

/// The requests of `input`, read on a thread of their own. When the host goes away while a
/// request is worked on, the process ends.
fn read(input: impl std::io::Read + Send + 'static) -> Receiver<Request<'static>> {
    let (requests, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(input).split(b'\n') {
            let request = line
                .ok()
                .and_then(|line| serde_json::from_slice(&line).ok());
            let Some(request) = request else { break };
            if requests.send(request).is_err() {
                return;
            }
        }
        drop(requests);
        // Enough for dropping what does not wait for anything.
        std::thread::sleep(Duration::from_secs(1));
        std::process::exit(1);
    });
    received
}
