//! SIGINT and SIGTERM: the first ends the run with a partial report, the second ends
//! the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::exit::Exit;

/// What has been received. The thread that receives lives as long as the process.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the first signal; 0 until there is one.
    first: AtomicU8,
    at_once: AtomicBool,
}

impl Signals {
    /// Calls `interrupt`, with the reason, at the first signal and ends the process at the
    /// second.
    ///
    /// Where signals cannot be received they end the process, as they do by default.
    pub fn watch(interrupt: impl Fn(String) + Send + Sync + 'static) -> Self {
        let signals = Self::default();
        let watching = signals.clone();
        let receive = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                // An error means that there is nothing to wait for.
                let _ = runtime.block_on(watching.receive(&interrupt));
            }
        };
        // Without the thread a signal ends the process, which is the default.
        let _ = std::thread::Builder::new()
            .name("veracity-signals".to_owned())
            .spawn(receive);
        signals
    }

    /// Number of the first signal, if there was one.
    pub fn received(&self) -> Option<u8> {
        let number = self.state.first.load(Ordering::SeqCst);
        (number != 0).then_some(number)
    }

    /// From now on the first signal ends the process: the run is over.
    pub fn end_at_once(&self) {
        self.state.at_once.store(true, Ordering::SeqCst);
    }

    fn arrived(&self, number: u8, name: &str, interrupt: &(impl Fn(String) + Sync)) {
        let is_first = self.state.first.swap(number, Ordering::SeqCst) == 0;
        if !is_first || self.state.at_once.load(Ordering::SeqCst) {
            std::process::exit(i32::from(Exit::signal(number).0));
        }
        interrupt(format!("interrupted by {name}"));
    }

    #[cfg(unix)]
    async fn receive(&self, interrupt: &(impl Fn(String) + Sync)) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut int = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                _ = int.recv() => self.arrived(2, "SIGINT", interrupt),
                _ = term.recv() => self.arrived(15, "SIGTERM", interrupt),
            }
        }
    }

    #[cfg(not(unix))]
    async fn receive(&self, interrupt: &(impl Fn(String) + Sync)) -> std::io::Result<()> {
        loop {
            tokio::signal::ctrl_c().await?;
            self.arrived(2, "Ctrl-C", interrupt);
        }
    }
}
