//! A process that is spoken to in lines, and that ends with its group.

use std::future::poll_fn;
use std::pin::pin;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{interval, sleep_until, timeout};

use super::capture::{Capture, end_of};
use super::protocol::LONGEST_LINE;

/// How often it is looked whether a process ended whose output is still held open.
const GLANCE: Duration = Duration::from_millis(50);

/// How long a process that closed its output may take to end by itself.
const LINGER: Duration = Duration::from_secs(1);

/// How long a killed process is waited for. Only one that hangs in the kernel takes longer.
const REAP: Duration = Duration::from_secs(2);

/// A running process and the thread that speaks with it.
///
/// The thread starts the process and lives until it ended, because some systems take the
/// end of the thread that started it for the end of the parent. Dropping this kills the
/// process and all of its group, and waits until that is done.
pub(super) struct Process {
    asks: Option<UnboundedSender<Ask>>,
    over: Receiver<()>,
    linger_ms: Arc<AtomicU64>,
}

struct Ask {
    line: Vec<u8>,
    deadline: Instant,
    reply: Sender<Reply>,
}

/// What came of a line that was sent to a process.
pub(super) struct Reply {
    pub(super) said: Said,
    /// What was written to standard error meanwhile.
    pub(super) stderr: Option<String>,
}

/// What a process said to a line; anything but a line is its end.
#[derive(Debug)]
pub(super) enum Said {
    Line(Vec<u8>),
    /// Nothing in time.
    Nothing,
    /// It was not asked, because it had ended before.
    Gone,
    /// It broke off.
    Ended {
        message: String,
        /// With exit status 0.
        cleanly: bool,
    },
}

impl Process {
    /// Starts `command`, on a thread called `name`.
    pub(super) fn start(name: &str, command: Command, limit: Duration) -> Result<Self, String> {
        let (asks, asked) = unbounded_channel();
        let (started, start) = mpsc::channel();
        let (ends, over) = mpsc::channel();
        let linger_ms = Arc::new(AtomicU64::new(0));
        let linger = Arc::clone(&linger_ms);
        let thread = std::thread::Builder::new().name(name.replace('\0', ""));
        let spawned = thread.spawn(move || {
            supervise(command, asked, &started, &linger);
            drop(ends);
        });
        spawned.map_err(|error| format!("cannot start a thread: {error}"))?;
        match start.recv_timeout(limit) {
            Ok(Ok(())) => Ok(Self {
                asks: Some(asks),
                over,
                linger_ms,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("it did not start within {limit:?}")),
        }
    }

    /// Whether the process is there to be asked.
    pub(super) fn is_alive(&self) -> bool {
        matches!(&self.asks, Some(asks) if !asks.is_closed())
    }

    /// Sends `line` and waits for a line.
    pub(super) fn ask(&self, line: Vec<u8>, deadline: Instant) -> Reply {
        let (reply, replied) = mpsc::channel();
        let ask = Ask {
            line,
            deadline,
            reply,
        };
        let sent = self
            .asks
            .as_ref()
            .is_some_and(|asks| asks.send(ask).is_ok());
        // The thread keeps to the deadline, and then needs time to end the process.
        let patience = deadline.saturating_duration_since(Instant::now()) + LINGER + 2 * REAP;
        let said = match replied.recv_timeout(patience) {
            Ok(reply) => return reply,
            Err(RecvTimeoutError::Timeout) if sent => Said::Nothing,
            Err(_) => Said::Gone,
        };
        Reply { said, stderr: None }
    }

    /// Closes the input of the process, which may take `limit` to end before it is killed.
    pub(super) fn finish(self, limit: Duration) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.linger_ms.store(limit, Ordering::Relaxed);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.asks = None;
        let linger = Duration::from_millis(self.linger_ms.load(Ordering::Relaxed));
        let _ = self.over.recv_timeout(linger + 2 * REAP);
    }
}

/// The life of the thread.
fn supervise(
    command: Command,
    asked: UnboundedReceiver<Ask>,
    started: &Sender<Result<(), String>>,
    linger_ms: &AtomicU64,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(format!("cannot make a runtime: {error}")));
            return;
        }
    };
    runtime.block_on(async {
        match Conversation::begin(command) {
            Ok(conversation) => {
                let _ = started.send(Ok(()));
                conversation.hold(asked, linger_ms).await;
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    });
    runtime.shutdown_background();
}

struct Conversation {
    child: Child,
    group: u32,
    stdin: Option<ChildStdin>,
    lines: Lines,
    errors: Errors,
}

impl Conversation {
    fn begin(mut command: Command) -> Result<Self, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot run `{program}`: {error}"))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(group), Some(stdout), Some(stderr)) = (child.id(), stdout, stderr) else {
            return Err(format!("cannot speak with `{program}`"));
        };
        Ok(Self {
            child,
            group,
            stdin,
            lines: Lines::of(stdout),
            errors: Errors::of(stderr),
        })
    }

    async fn hold(mut self, mut asked: UnboundedReceiver<Ask>, linger_ms: &AtomicU64) {
        // What is said before the first line was sent is the answer to that: perhaps that
        // there is nothing to run.
        let mut was_asked = false;
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => {
                        if was_asked && self.is_gone().await {
                            break;
                        }
                        was_asked = true;
                        let (reply, goes_on) = self.answer(ask.line, ask.deadline).await;
                        if !goes_on {
                            // Closed before the reply, so that whoever gets it knows.
                            asked.close();
                            let _ = ask.reply.send(reply);
                            return;
                        }
                        let _ = ask.reply.send(reply);
                    }
                    None => break,
                },
                // It broke off, or speaks although it was not asked: then its next line
                // would be taken for the answer to something else.
                _ = self.lines.next(), if was_asked => break,
                () = self.errors.read() => {}
            }
        }
        asked.close();
        self.stdin = None;
        let linger = Duration::from_millis(linger_ms.load(Ordering::Relaxed));
        self.ended_within(linger).await;
        self.kill().await;
    }

    /// Whether it ended, or broke off, since it answered.
    async fn is_gone(&mut self) -> bool {
        // Lets the runtime see what is there to be read.
        tokio::task::yield_now().await;
        has_ended(&mut self.child, self.group) || at_once(self.lines.next()).await.is_some()
    }

    /// Sends `line` and waits for an answer; false if the conversation is over.
    async fn answer(&mut self, line: Vec<u8>, deadline: Instant) -> (Reply, bool) {
        let mut said = self.exchange(&line, deadline).await;
        let goes_on = matches!(said, Heard::Line { in_step: true, .. });
        let by_itself = matches!(said, Heard::End) && self.ended_within(LINGER).await;
        let status = if goes_on { None } else { self.kill().await };
        let status = status.filter(|_| by_itself);
        self.errors.catch_up(!goes_on).await;
        let stderr = self.errors.capture.take();
        let said = match &mut said {
            Heard::Line { line, .. } => Said::Line(std::mem::take(line)),
            Heard::Nothing => Said::Nothing,
            Heard::End => Said::Ended {
                message: quoting(format!("its process {}", ending(status)), stderr.as_deref()),
                cleanly: status.is_some_and(|status| status.success()),
            },
            Heard::TooLong => Said::Ended {
                message: quoting(
                    format!("its answer is longer than {LONGEST_LINE} bytes"),
                    stderr.as_deref(),
                ),
                cleanly: false,
            },
        };
        (Reply { said, stderr }, goes_on)
    }

    async fn exchange(&mut self, line: &[u8], deadline: Instant) -> Heard {
        let mut unsent = line;
        let mut glances = interval(GLANCE);
        let deadline = sleep_until(deadline.into());
        let mut deadline = pin!(deadline);
        loop {
            let stdin = self.stdin.as_mut();
            tokio::select! {
                heard = self.lines.next() => return match heard {
                    Heard::Line { line, in_step } => Heard::Line {
                        line,
                        in_step: in_step && unsent.is_empty(),
                    },
                    other => other,
                },
                written = write(stdin, unsent), if !unsent.is_empty() => match written {
                    Ok(written) => unsent = &unsent[written..],
                    // It may have answered without reading; its output will tell.
                    Err(_) => {
                        self.stdin = None;
                        unsent = &[];
                    }
                },
                () = self.errors.read() => {}
                () = deadline.as_mut() => return Heard::Nothing,
                _ = glances.tick() => {
                    if has_ended(&mut self.child, self.group) {
                        // What it said last is in the pipe.
                        let last = timeout(GLANCE, self.lines.next()).await;
                        return match last {
                            Ok(Heard::Line { line, .. }) => Heard::Line { line, in_step: false },
                            Ok(heard) => heard,
                            Err(_) => Heard::End,
                        };
                    }
                }
            }
        }
    }

    /// Waits until the process ended by itself, for `limit` at most.
    async fn ended_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while !has_ended(&mut self.child, self.group) {
            if Instant::now() >= until {
                return false;
            }
            let _ = timeout(Duration::from_millis(5), self.errors.read()).await;
        }
        true
    }

    /// Kills the group of the process and waits for the process.
    ///
    /// The group is killed before its leader is waited for: until then its number cannot
    /// be given to another.
    async fn kill(&mut self) -> Option<ExitStatus> {
        self.stdin = None;
        #[cfg(unix)]
        {
            use nix::sys::signal::{Signal, killpg};
            let group = i32::try_from(self.group).ok().filter(|&group| group > 1);
            if let Some(group) = group {
                // Fails if nobody is left.
                let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
            }
        }
        let _ = self.child.start_kill();
        timeout(REAP, self.child.wait()).await.ok()?.ok()
    }
}

/// Writes some of `bytes`; never done without somewhere to write to.
async fn write(stdin: Option<&mut ChildStdin>, bytes: &[u8]) -> std::io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.write(bytes).await,
        None => Err(std::io::ErrorKind::BrokenPipe.into()),
    }
}

/// Whether the process ended; where that can be had, without taking its number from it.
fn has_ended(child: &mut Child, id: u32) -> bool {
    #[cfg(any(
        all(target_os = "linux", not(target_env = "uclibc")),
        target_os = "android",
        target_os = "freebsd"
    ))]
    if let Ok(id) = i32::try_from(id) {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let seen = waitid(Id::Pid(nix::unistd::Pid::from_raw(id)), look);
        return !matches!(seen, Ok(WaitStatus::StillAlive));
    }
    let _ = id;
    !matches!(child.try_wait(), Ok(None))
}

/// What was read from standard output.
enum Heard {
    /// A line, and whether nothing else was said and everything asked was heard.
    Line {
        line: Vec<u8>,
        in_step: bool,
    },
    TooLong,
    /// Standard output was closed.
    End,
    Nothing,
}

struct Lines {
    stdout: ChildStdout,
    read: Vec<u8>,
}

impl Lines {
    fn of(stdout: ChildStdout) -> Self {
        Self {
            stdout,
            read: Vec::new(),
        }
    }

    /// The next line that is not blank. It may be cancelled.
    async fn next(&mut self) -> Heard {
        let mut seen = 0;
        loop {
            if let Some(end) = self.read[seen..].iter().position(|&byte| byte == b'\n') {
                let rest = self.read.split_off(seen + end + 1);
                let line = std::mem::replace(&mut self.read, rest);
                seen = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                if line.len() > LONGEST_LINE {
                    return Heard::TooLong;
                }
                return Heard::Line {
                    line,
                    in_step: self.read.trim_ascii().is_empty(),
                };
            }
            seen = self.read.len();
            if seen > LONGEST_LINE {
                return Heard::TooLong;
            }
            self.read.reserve(16 * 1024);
            match self.stdout.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return self.last(),
                Ok(_) => {}
            }
        }
    }

    /// What stood after the last line break.
    fn last(&mut self) -> Heard {
        let line = std::mem::take(&mut self.read);
        if line.trim_ascii().is_empty() {
            return Heard::End;
        }
        Heard::Line {
            line,
            in_step: false,
        }
    }
}

struct Errors {
    stderr: Option<ChildStderr>,
    capture: Capture,
}

impl Errors {
    fn of(stderr: ChildStderr) -> Self {
        Self {
            stderr: Some(stderr),
            capture: Capture::default(),
        }
    }

    /// Captures some more, when there is more. It may be cancelled.
    async fn read(&mut self) {
        let Some(stderr) = &mut self.stderr else {
            return std::future::pending().await;
        };
        let mut bytes = Vec::with_capacity(64 * 1024);
        match stderr.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => self.stderr = None,
            Ok(_) => self.capture.push(&bytes),
        }
    }

    /// Captures what has been written until now, and if the process `ended`, what is left
    /// in the pipe; a descendant in another group may hold it open.
    async fn catch_up(&mut self, ended: bool) {
        // Not for ever: it may write faster than this reads.
        for _ in 0..256 {
            // Lets the runtime see what is there to be read.
            tokio::task::yield_now().await;
            let read = match ended {
                true => timeout(GLANCE, self.read()).await.ok(),
                false => at_once(self.read()).await,
            };
            if read.is_none() || self.stderr.is_none() {
                return;
            }
        }
    }
}

/// What `future` gives without waiting, if it does. A time limit of nothing would wait for
/// the next tick.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn ending(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "closed its output before it answered".to_owned();
    };
    #[cfg(unix)]
    if let Some(number) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match nix::sys::signal::Signal::try_from(number) {
            Ok(signal) => format!("ended by signal {number} ({signal}) before it answered"),
            Err(_) => format!("ended by signal {number} before it answered"),
        };
    }
    match status.code() {
        Some(code) => format!("ended with exit status {code} before it answered"),
        None => format!("ended ({status}) before it answered"),
    }
}

fn quoting(message: String, stderr: Option<&str>) -> String {
    match stderr.map(end_of) {
        Some(end) if !end.is_empty() => format!("{message}; it wrote: {end}"),
        _ => message,
    }
}
