//! What a host remembers: in its store if there is one, else as long as it lives.

use std::collections::BTreeMap;
use std::future::Future;
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
    runtime: Runtime,
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

    /// Remembers `values` for `instance` of `suite`. What another process kept meanwhile is
    /// overwritten: calls to one instance are serialized by the claims on its deliveries.
    ///
    /// # Errors
    ///
    /// If it is too much, or the store fails.
    pub fn save_state(
        &self,
        suite: &str,
        instance: &str,
        values: BTreeMap<String, Value>,
    ) -> Result<(), String> {
        let bytes = serde_json::to_string(&values).map_or(usize::MAX, |json| json.len());
        if bytes > State::MAX_BYTES {
            let most = State::MAX_BYTES;
            return Err(format!("it is {bytes} bytes of JSON; it may be {most}"));
        }
        for _ in 0..3 {
            let saved = self.with(|store, now| {
                let values = &values;
                async move {
                    let (version, _) = store.state(suite, instance).await?;
                    store
                        .save_state(suite, instance, version, values, now)
                        .await
                }
            });
            match saved {
                Some(Ok(true)) => return Ok(()),
                Some(Ok(false)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => {
                    let key = (suite.to_owned(), instance.to_owned());
                    self.memory().states.insert(key, values);
                    return Ok(());
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
