//! A processor that does what its configuration says, however bad.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use veracity_processor::{
    ConfigError, Health, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, StartContext, async_trait, register,
};

use crate::ground::runs;

/// What it does in each call; nothing unusual where nothing stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acts {
    build: String,
    startup: String,
    process: String,
    health: String,
    shutdown: String,
    drop: String,
    /// What opens what blocks, see [`open`].
    gate: String,
    /// Left as it is.
    text: String,
}

struct Faulty(Acts);

register!(
    Plugin::processor::<Faulty>("faulty", "1.0.0")
        .description("Does what it is told, however bad")
        .author("the tests")
        .example("faulty: {process: panic}")
);

impl Processor for Faulty {
    type Config = Acts;

    fn build(acts: Acts) -> Result<Self, ConfigError> {
        if acts.build == "error" {
            return Err(ConfigError::field("/build", "it shall fail"));
        }
        act(&acts.build, &acts.gate);
        Ok(Self(acts))
    }
}

#[async_trait]
impl ResultProcessor for Faulty {
    async fn startup(&self, _: &StartContext) -> Result<(), ProcessorError> {
        self.act(&self.0.startup).await.map(|_| ())
    }

    /// Misbehaves in the first attempt only.
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        assert_eq!(report.run.suite, "nycflights");
        let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
        context.state.set("seen", seen.unwrap_or(0) + 1);
        if context.attempt > 1 {
            return Ok(Outcome::done());
        }
        let note = self.act(&self.0.process).await?;
        Ok(Outcome::done().with_note(note))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        let detail = self.act(&self.0.health).await?;
        Ok(Health::degraded(detail))
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        self.act(&self.0.shutdown).await.map(|_| ())
    }
}

impl Faulty {
    async fn act(&self, name: &str) -> Result<String, ProcessorError> {
        match name {
            "refuse" => return Err(ProcessorError::permanent("refused")),
            "be busy" => {
                let wait = Duration::from_secs(7);
                return Err(ProcessorError::retryable("busy").after(wait));
            }
            "never be ready" => std::future::pending().await,
            "never be ready, and panic when dropped" => {
                let _vicious = Vicious;
                std::future::pending().await
            }
            "spawn a task that panics" => {
                let task = tokio::spawn(async { panic!("in a task") });
                return Ok(task.await.unwrap_err().to_string());
            }
            _ => {}
        }
        Ok(act(name, &self.0.gate))
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        act(&self.0.drop, &self.0.gate);
    }
}

struct Vicious;

impl Drop for Vicious {
    fn drop(&mut self) {
        panic!("text");
    }
}

#[expect(clippy::zombie_processes, reason = "a plugin may leave one")]
fn act(name: &str, gate: &str) -> String {
    match name {
        "panic" => panic!("text"),
        "panic with a String" => panic!("{}", "text".to_owned()),
        "panic with a value" => std::panic::panic_any(17),
        "panic with a value that panics when dropped" => std::panic::panic_any(Vicious),
        "panic while a panic unwinds" => {
            let _vicious = Vicious;
            panic!("text")
        }
        "sleep" => {
            while !is_open(gate) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        "spin" => while !is_open(gate) {},
        "ignore signals and sleep" => {
            use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
            sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None).unwrap();
            act("sleep", gate);
        }
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "exit after a message" => {
            eprintln!("the last words");
            std::process::exit(3);
        }
        "overflow the stack" => {
            overflow(1);
        }
        "allocate 4 GiB" => {
            std::hint::black_box(vec![1_u8; 4 << 30]);
        }
        "allocate 256 MiB" => {
            std::hint::black_box(vec![1_u8; 256 << 20]);
        }
        "kill itself" => {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        "print 64 MiB" => write_much(std::io::stdout()),
        "print 64 MiB to standard error" => write_much(std::io::stderr()),
        "print what looks like an answer" => {
            println!("{}", json!({"type": "error", "message": "false"}));
        }
        "read standard input" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
            return text;
        }
        "leave a child" => {
            let mut sleep = std::process::Command::new("sleep");
            let child = sleep.arg("1000").spawn().unwrap();
            assert!(runs(child.id()));
            return child.id().to_string();
        }
        "tell its process" => return std::process::id().to_string(),
        "tell what others see of it" => {
            let variables = std::env::vars().map(|(name, value)| format!("{name}={value}"));
            let words = variables.chain(std::env::args());
            return words.collect::<Vec<_>>().join("\n");
        }
        "leave threads" => {
            for _ in 0..2 {
                let gate = gate.to_owned();
                std::thread::spawn(move || act("sleep", &gate));
            }
        }
        "leave files" => {
            for _ in 0..3 {
                std::mem::forget(std::fs::File::open("/dev/null").unwrap());
            }
        }
        "change the folder" => std::env::set_current_dir("/").unwrap(),
        "change the environment" => set_variable(),
        "replace the panic hook" => std::panic::set_hook(Box::new(|_| println!("oh no"))),
        "ignore a signal" => ignore_a_signal(),
        "change the mask" => {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o77));
        }
        _ => return name.to_owned(),
    }
    String::new()
}

#[expect(unsafe_code, reason = "a plugin may do it")]
fn set_variable() {
    // SAFETY: the test that asks for it has this process to itself.
    unsafe { std::env::set_var("SURPRISE", "private") };
}

#[expect(unsafe_code, reason = "a plugin may do it")]
fn ignore_a_signal() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: ignoring runs no code.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.unwrap();
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 128]);
    overflow(frame[0] + 1) + frame[1]
}

fn write_much(mut to: impl Write) {
    let line = format!("{}\n", "x".repeat(1023));
    for _ in 0..64 * 1024 {
        to.write_all(line.as_bytes()).unwrap();
    }
}

static OPEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn is_open(gate: &str) -> bool {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.contains(gate)
}

/// Lets everything end that blocks at `gate`, in this process.
pub fn open(gate: &str) {
    OPEN.lock().unwrap().insert(gate.to_owned());
}
