//! What a host remembers: in its store if there is one, else as long as it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use veracity_processor::State;

use crate::breaker::{Breaker, Permission};
use crate::instance::Instance;
use crate::store::{Store, StoreError, Time};

/// The longest that one operation of the store may take.
const LIMIT: Duration = Duration::from_secs(20);

/// What an instance remembers, by name.
pub type Values = BTreeMap<String, Value>;

/// What a host remembers. Its methods block; they may be called from any thread that is
/// not inside an asynchronous task.
#[derive(Debug)]
pub struct Keep {
    store: Option<Kept>,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Kept {
    store: Store,
    runtime: Background,
}

/// A runtime that may be dropped anywhere, also inside another one: it is not waited for.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl Deref for Background {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("the runtime leaves in drop alone")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug, Default)]
struct Memory {
    /// By suite and instance.
    states: BTreeMap<(String, String), BTreeMap<String, Value>>,
    /// By key.
    breakers: BTreeMap<String, Breaker>,
    /// What went wrong with the store meanwhile.
    complaints: Vec<String>,
}

impl Keep {
    /// A memory that lasts as long as it lives.
    pub fn in_memory() -> Self {
        Self {
            store: None,
            memory: Mutex::default(),
        }
    }

    /// Opens the store that `open` opens.
    ///
    /// # Errors
    ///
    /// If it cannot be opened within twenty seconds.
    pub fn open<F>(open: impl FnOnce() -> F) -> Result<Self, StoreError>
    where
        F: Future<Output = Result<Store, StoreError>>,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("veracity-store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::retryable(format!("no thread for the store: {error}")))?;
        let runtime = Background(Some(runtime));
        let store = bounded(&runtime, open())?;
        Ok(Self {
            store: Some(Kept { store, runtime }),
            memory: Mutex::default(),
        })
    }

    /// Whether it outlives the process.
    pub fn is_kept(&self) -> bool {
        self.store.is_some()
    }

    /// Milliseconds since the epoch.
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// What `operation` gives with the store; `None` without one.
    ///
    /// # Errors
    ///
    /// Those of the operation, and that it takes too long.
    pub fn with<'k, T, F>(
        &'k self,
        operation: impl FnOnce(&'k Store, Time) -> F,
    ) -> Option<Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let kept = self.store.as_ref()?;
        let now = Time(self.now());
        Some(bounded(&kept.runtime, operation(&kept.store, now)))
    }

    /// Closes the connections of the store, if there is one.
    pub fn close(&self) {
        if let Some(Kept { store, runtime }) = &self.store {
            // A connection that does not close in time ends with the process.
            let _ = runtime.block_on(async { tokio::time::timeout(LIMIT, store.close()).await });
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Its maps are whole even if a thread panicked while it held the lock.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what went wrong with the store since the last call.
    pub fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.memory().complaints)
    }

    fn complain(&self, error: &StoreError) {
        let text = format!("the store: {error}");
        let mut memory = self.memory();
        if !memory.complaints.contains(&text) {
            memory.complaints.push(text);
        }
    }

    /// What `instance` remembers of `suite`.
    pub fn state(&self, suite: &str, instance: &str) -> BTreeMap<String, Value> {
        match self.with(|store, _| store.state(suite, instance)) {
            Some(Ok((_, values))) => return values,
            Some(Err(error)) => self.complain(&error),
            None => {}
        }
        let key = (suite.to_owned(), instance.to_owned());
        self.memory().states.get(&key).cloned().unwrap_or_default()
    }

    /// Remembers `new` for `instance` of `suite`, which read `base`: a value that it changed
    /// is kept only if it still is what was read. Returns the names of those that somebody
    /// else changed meanwhile, and which therefore stay as they are.
    ///
    /// # Errors
    ///
    /// If it is too much, or the store fails.
    pub fn save_state(
        &self,
        suite: &str,
        instance: &str,
        base: &Values,
        new: Values,
    ) -> Result<Vec<String>, String> {
        let bytes = serde_json::to_string(&new).map_or(usize::MAX, |json| json.len());
        if bytes > State::MAX_BYTES {
            let most = State::MAX_BYTES;
            return Err(format!("it is {bytes} bytes of JSON; it may be {most}"));
        }
        for _ in 0..20 {
            let saved = self.with(|store, now| {
                let new = &new;
                async move {
                    let (version, mut values) = store.state(suite, instance).await?;
                    let refused = compare_and_set(&mut values, base, new);
                    let saved = store
                        .save_state(suite, instance, version, &values, now)
                        .await?;
                    Ok(saved.then_some(refused))
                }
            });
            match saved {
                Some(Ok(Some(refused))) => return Ok(refused),
                Some(Ok(None)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => {
                    let key = (suite.to_owned(), instance.to_owned());
                    let mut memory = self.memory();
                    let values = memory.states.entry(key).or_default();
                    return Ok(compare_and_set(values, base, &new));
                }
            }
        }
        Err("another process changes it all the time".to_owned())
    }

    /// Asks the breaker of `instance` whether a call of at most `limit` may be made.
    pub fn ask_breaker(&self, instance: &Instance, limit: Duration) -> Permission {
        let now = self.now();
        let mut permission = Permission::Granted;
        self.change_breaker(instance, |breaker| permission = breaker.ask(now, limit));
        permission
    }

    /// Tells the breaker of `instance` how a call ended; an error that will not pass by
    /// itself is `Err(true)`.
    pub fn tell_breaker(&self, instance: &Instance, ended: Result<(), bool>) {
        let now = self.now();
        self.change_breaker(instance, |breaker| match ended {
            Ok(()) => breaker.succeeded(),
            // A permanent error is about this report or the settings; only repeated ones
            // mean that the other side is to be left alone.
            Err(_) => breaker.failed(now),
        });
    }

    fn change_breaker(&self, instance: &Instance, change: impl FnOnce(&mut Breaker)) {
        let key = breaker_key(instance);
        let stored = match self.with(|store, _| store.breaker(&key)) {
            Some(Ok(json)) => json.and_then(|json| serde_json::from_value(json).ok()),
            Some(Err(error)) => {
                self.complain(&error);
                None
            }
            None => None,
        };
        let remembered = || self.memory().breakers.get(&key).copied();
        let before = stored.or_else(remembered).unwrap_or_default();
        let mut breaker = before;
        change(&mut breaker);
        let untroubled =
            |breaker| matches!(breaker, Breaker::Closed { failures: 0 } | Breaker::Unknown);
        if breaker == before || (untroubled(breaker) && untroubled(before)) {
            return;
        }
        self.memory().breakers.insert(key.clone(), breaker);
        let json = serde_json::to_value(breaker).unwrap_or_default();
        if let Some(Err(error)) = self.with(|store, now| store.save_breaker(&key, &json, now)) {
            self.complain(&error);
        }
    }
}

/// Takes into `values` what is different in `new` from `base`, where `values` still is like
/// `base`; the names of what is not.
fn compare_and_set(values: &mut Values, base: &Values, new: &Values) -> Vec<String> {
    let mut refused = Vec::new();
    let names: BTreeSet<&String> = base.keys().chain(new.keys()).collect();
    for name in names {
        let (read, wanted) = (base.get(name), new.get(name));
        let present = values.get(name);
        if read == wanted || present == wanted {
            continue;
        }
        if present != read {
            refused.push(name.clone());
            continue;
        }
        match wanted {
            Some(value) => drop(values.insert(name.clone(), value.clone())),
            None => drop(values.remove(name)),
        }
    }
    refused
}

/// What people are told of values that were not kept.
pub fn refusal(names: &[String]) -> String {
    let names = names.iter().map(|name| format!("`{name}`"));
    let names: Vec<String> = names.collect();
    format!(
        "its state {} was not kept: somebody else changed it meanwhile",
        names.join(", ")
    )
}

/// The same for every instance of one plugin with one configuration, in every suite: what
/// is left alone is the other side.
fn breaker_key(instance: &Instance) -> String {
    let config = instance.config.to_string();
    let digest = Sha256::digest(config.as_bytes());
    let hex: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}:{hex}", instance.plugin)
}

fn bounded<T>(
    runtime: &Runtime,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    runtime.block_on(async {
        match tokio::time::timeout(LIMIT, operation).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::retryable(format!("no answer within {LIMIT:?}"))),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(pairs: &[(&str, u64)]) -> Values {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect()
    }

    #[test]
    fn a_value_is_kept_if_it_still_is_what_was_read() {
        type Pairs = &'static [(&'static str, u64)];
        /// What it is, what is there, read, wanted and expected, and what is refused.
        type Case = (
            &'static str,
            Pairs,
            Pairs,
            Pairs,
            Pairs,
            &'static [&'static str],
        );
        let cases: [Case; 7] = [
            ("new", &[], &[], &[("a", 1)], &[("a", 1)], &[]),
            (
                "changed",
                &[("a", 1)],
                &[("a", 1)],
                &[("a", 2)],
                &[("a", 2)],
                &[],
            ),
            ("removed", &[("a", 1)], &[("a", 1)], &[], &[], &[]),
            (
                "others'",
                &[("b", 9)],
                &[],
                &[("a", 1)],
                &[("a", 1), ("b", 9)],
                &[],
            ),
            (
                "both",
                &[("a", 3)],
                &[("a", 1)],
                &[("a", 2)],
                &[("a", 3)],
                &["a"],
            ),
            (
                "both, the same",
                &[("a", 2)],
                &[("a", 1)],
                &[("a", 2)],
                &[("a", 2)],
                &[],
            ),
            ("gone", &[], &[("a", 1)], &[("a", 2)], &[], &["a"]),
        ];
        for (label, present, base, new, expected, refused) in cases {
            let mut present = values(present);
            let told = compare_and_set(&mut present, &values(base), &values(new));
            assert_eq!(present, values(expected), "{label}");
            assert_eq!(told, refused, "{label}");
        }
    }
}
