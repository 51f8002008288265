//! Processors that do what their configuration says, good or bad, and write down what they
//! got.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use veracity_processor::{
    ConfigError, Health, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, Secret, StartContext, async_trait, register,
};

/// What it does in each call; nothing unusual where nothing stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Part {
    build: String,
    startup: String,
    process: String,
    health: String,
    shutdown: String,
    drop: String,
    /// Where it writes down what it does.
    record: String,
    /// How long it blocks or waits, where it shall.
    millis: u64,
    /// It misbehaves only while this file is not there, and makes it.
    once: String,
    /// `process` fails for now while this file is not there.
    needs: String,
    /// Something that must not be seen.
    password: Option<Secret>,
    /// Tells configurations apart.
    label: String,
}

pub struct Player {
    part: Part,
}

register!(
    Plugin::processor::<Player>("player", "1.0.0")
        .description("Does what it is told, however bad")
        .author("the tests")
        .example("player: {process: panic}")
);

register!(
    Plugin::processor::<Player>("follower", "1.0.0")
        .description("Comes after `player`")
        .depends_on(&["player"])
);

register!(
    Plugin::processor::<Player>("narcissus", "1.0.0")
        .description("Comes after itself")
        .depends_on(&["narcissus"])
);

register!(
    Plugin::processor::<Player>("from-the-future", "3.2.1")
        .description("Needs another version of the contract")
        .requires_api("2.0")
);

register!(
    Plugin::processor::<Mute>("mute", "1.0.0").description("Panics when it is asked about itself")
);

impl Processor for Player {
    type Config = Part;

    fn build(part: Part) -> Result<Self, ConfigError> {
        if part.build == "error" {
            return Err(ConfigError::field("/build", "it shall fail"));
        }
        if part.build == "tell the password" {
            return Err(ConfigError::field("/password", secret(&part)));
        }
        act(&part.build, &part);
        Ok(Self { part })
    }
}

#[async_trait]
impl ResultProcessor for Player {
    async fn startup(&self, context: &StartContext) -> Result<(), ProcessorError> {
        write(&self.part.record, &format!("startup {}", context.instance));
        self.play(&self.part.startup).await.map(drop)
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let part = &self.part;
        let line = format!(
            "{} {} {} {} {}",
            context.instance,
            report.run.id,
            context.attempt,
            context.idempotency_key,
            digest(report)
        );
        write(&part.record, &format!("called {line}"));
        if !part.needs.is_empty() && !Path::new(&part.needs).exists() {
            return Err(ProcessorError::retryable("the other side is down"));
        }
        let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
        let seen = seen.unwrap_or(0) + 1;
        if let Some(times) = part.process.strip_prefix("count, and fail until ") {
            context.state.set("seen", seen);
            let times: u64 = times.parse().unwrap();
            if seen < times {
                return Err(ProcessorError::retryable(format!("seen {seen}")));
            }
            write(&part.record, &format!("done {line}"));
            return Ok(Outcome::done().with_note(format!("seen {seen}")));
        }
        if part.process == "remember too much" {
            context.state.set("much", "x".repeat(70_000));
        }
        let outcome = self.play(&part.process).await?;
        write(&part.record, &format!("done {line}"));
        Ok(outcome)
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        self.play(&self.part.health).await?;
        Ok(match self.part.health.as_str() {
            "tell the password" => Health::degraded(secret(&self.part)),
            "" => Health::healthy(),
            other => Health::degraded(other),
        })
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        let name = &self.part.label;
        write(&self.part.record, &format!("shutdown {name}"));
        self.play(&self.part.shutdown).await.map(drop)
    }
}

impl Player {
    async fn play(&self, what: &str) -> Result<Outcome, ProcessorError> {
        let part = &self.part;
        let millis = Duration::from_millis(part.millis);
        match what {
            "retryable" => return Err(ProcessorError::retryable("busy")),
            "permanent" => return Err(ProcessorError::permanent("refused")),
            "retry later" => return Err(ProcessorError::retryable("slow down").after(millis)),
            "never be ready" => std::future::pending().await,
            "be late" => tokio::time::sleep(millis).await,
            "skip" => return Ok(Outcome::skipped("not my day")),
            "stop" => return Ok(Outcome::stop("enough")),
            "stop and tell the password" => return Ok(Outcome::stop(secret(part))),
            "skip and tell the password" => return Ok(Outcome::skipped(secret(part))),
            "note the password" => return Ok(Outcome::done().with_note(secret(part))),
            "fail with the password" => return Err(ProcessorError::permanent(secret(part))),
            "be busy with the password" => return Err(ProcessorError::retryable(secret(part))),
            "write a book" => return Ok(Outcome::done().with_note("lorem ".repeat(2 << 20))),
            "fail with a book" => {
                return Err(ProcessorError::permanent("lorem ".repeat(2 << 20)));
            }
            "send commands" => {
                return Err(ProcessorError::permanent(
                    "a\r\n::stop-commands::x\u{1b}]52;c;x\u{7} ##vso[task.complete]\0\u{202e}",
                ));
            }
            _ => act(what, part),
        }
        Ok(Outcome::done())
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        act(&self.part.drop, &self.part);
    }
}

struct Vicious;

impl Drop for Vicious {
    fn drop(&mut self) {
        panic!("text");
    }
}

fn act(what: &str, part: &Part) {
    if !part.once.is_empty() {
        if Path::new(&part.once).exists() {
            return;
        }
        if !what.is_empty() {
            std::fs::write(&part.once, "").unwrap();
        }
    }
    let millis = Duration::from_millis(part.millis);
    match what {
        "panic" => panic!("text"),
        "panic with a String" => panic!("{}", "text".to_owned()),
        "panic with a value" => std::panic::panic_any(17),
        "panic with a value that panics when dropped" => std::panic::panic_any(Vicious),
        "panic while a panic unwinds" => {
            let _vicious = Vicious;
            panic!("text")
        }
        "panic with the password" => panic!("{}", secret(part)),
        "block" => std::thread::sleep(millis),
        "spin" => {
            let begun = Instant::now();
            while begun.elapsed() < millis {
                std::hint::spin_loop();
            }
        }
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "overflow the stack" => {
            overflow(1);
        }
        "allocate 4 GiB" => {
            std::hint::black_box(vec![1_u8; 4 << 30]);
        }
        "print 64 MiB" => {
            let line = format!("{}\n", "x".repeat(1023));
            for _ in 0..64 * 1024 {
                std::io::stderr().write_all(line.as_bytes()).unwrap();
            }
        }
        "leave threads" => {
            for _ in 0..2 {
                std::thread::spawn(move || std::thread::sleep(millis));
            }
        }
        "leave files" => {
            for _ in 0..3 {
                std::mem::forget(std::fs::File::open("/dev/null").unwrap());
            }
        }
        "change the folder" => std::env::set_current_dir("/").unwrap(),
        "change the environment" => set_variable(),
        "replace the panic hook" => std::panic::set_hook(Box::new(|_| std::process::abort())),
        "print the password and exit" => {
            eprintln!("{}", secret(part));
            std::process::exit(3);
        }
        // Whoever quotes the end of a line may cut the secret in two.
        "print the password in a long line and exit" => {
            eprintln!("{}{}", secret(part), "x".repeat(part.millis as usize));
            std::process::exit(3);
        }
        _ => {}
    }
}

#[expect(unsafe_code, reason = "a plugin may do it")]
fn set_variable() {
    // SAFETY: nothing else in this process reads or writes the environment at that moment.
    unsafe { std::env::set_var("SURPRISE", "private") };
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 128]);
    overflow(frame[0] + 1) + frame[1]
}

fn secret(part: &Part) -> String {
    let password = part.password.as_ref().map(Secret::expose);
    password.unwrap_or_default().to_owned()
}

/// Tells reports apart.
pub fn digest(report: &Report) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(&serde_json::to_vec(report).unwrap());
    format!("{:016x}", hasher.finish())
}

/// Appends `line` to `file`, as a whole.
pub fn write(file: &str, line: &str) {
    if file.is_empty() {
        return;
    }
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Panics when it is asked about itself.
struct Mute;

#[derive(Deserialize)]
struct Silence {}

impl JsonSchema for Silence {
    fn schema_name() -> Cow<'static, str> {
        "Silence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        panic!("text")
    }
}

impl Processor for Mute {
    type Config = Silence;

    fn build(_: Silence) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

#[async_trait]
impl ResultProcessor for Mute {
    async fn process(&self, _: &Report, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::done())
    }
}
