//! The processors of a suite, from their configuration to their end.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use veracity_processor::{
    ActionRecord, ConfigError, Delivery, EventSink, FieldError, Health, Report,
};

use crate::actions::{Actions, LogLine};
use crate::attempt::clean;
use crate::bus::Sink;
use crate::configuration::Configuration;
use crate::dispatch::{Dispatch, Resumed};
use crate::ground::Ground;
use crate::hooks::HookRecord;
use crate::instance::Instance;
use crate::isolation::Snapshot;
use crate::keep::Keep;
use crate::letters::Letters;
use crate::registry::Broken;
use crate::stop::Stop;
use crate::store::{Spool, Store};

/// The longest that startup or shutdown of a processor may take, unless its time limit is
/// shorter.
pub const LIFECYCLE_LIMIT: Duration = Duration::from_secs(30);
/// The longest that a health check may take.
pub const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// The processors of a suite.
///
/// [`Host::prepare`] checks everything and touches nothing, [`Host::start`] starts the
/// processors beside the run, [`Host::deliver`] carries the report to them,
/// [`Host::shutdown`] ends them. Nothing a processor does reaches the caller but as text in
/// a [`Delivery`].
#[derive(Debug)]
pub struct Host {
    configuration: Configuration,
    waves: Arc<Vec<Vec<Arc<Instance>>>>,
    broken: Vec<Broken>,
    pub(crate) ground: Arc<Ground>,
    /// Why the store cannot be used, if there should be one.
    store_error: Option<String>,
    /// Ends when all have been started, or could not be.
    starting: Mutex<Option<Receiver<()>>>,
    /// What the process was like before the first report was carried.
    pub(crate) before: OnceLock<Snapshot>,
    /// Whether what plugins asked for was waited for in vain.
    pub(crate) overdue: AtomicBool,
}

/// What became of a report.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// At each instance, in the order they got it.
    pub deliveries: Vec<Delivery>,
    /// What became of reports of earlier runs that were still to be delivered.
    pub resumed: Vec<Resumed>,
    /// What became of the events for each hook.
    pub hooks: Vec<HookRecord>,
    /// What hooks and processors before the run asked for, by who asked.
    pub actions: Vec<(String, ActionRecord)>,
    /// Lines that plugins asked to be logged.
    pub lines: Vec<LogLine>,
    /// What else is worth knowing.
    pub warnings: Vec<String>,
    /// Whether the store, which should be there, could not be used.
    pub store_failed: bool,
}

impl Delivered {
    /// Whether everything that was required was delivered and stored.
    pub fn is_complete(&self) -> bool {
        let lost = |delivery: &Delivery| delivery.required && !delivery.status.is_settled();
        !self.store_failed && !self.deliveries.iter().any(lost)
    }
}

/// How an instance is.
#[derive(Debug, Clone)]
pub struct InstanceHealth {
    /// The name it is configured under.
    pub instance: String,
    /// The name of its plugin.
    pub plugin: String,
    /// How it is; an error counts as unhealthy. `None` if it is disabled.
    pub health: Option<Health>,
}

impl Host {
    /// Checks `configuration` and makes its processors ready to be started. Nothing is
    /// opened but the plugin directories.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the processors' configuration; the first part of each
    /// path is the name of an instance.
    pub fn prepare(configuration: Configuration) -> Result<Self, ConfigError> {
        let wrong =
            |error: crate::PluginError| ConfigError(vec![FieldError::new("", error.to_string())]);
        let registry = configuration.registry().map_err(wrong)?;
        let prepared = configuration.prepare(&registry)?;
        let waves = prepared.waves.into_iter();
        let waves = waves.map(|wave| wave.into_iter().map(Arc::new).collect());
        let waves: Vec<Vec<Arc<Instance>>> = waves.collect();
        let actions = Actions {
            channels: prepared.channels,
            registry: Arc::new(registry),
            webhooks: configuration.webhooks.clone(),
            base: configuration.base.clone(),
            secrets: configuration.secrets.clone(),
            ..Actions::default()
        };
        let ground = Ground::new(&configuration.suite, prepared.hooks, actions);
        ground.set_processors(waves.iter().flatten().cloned().collect());
        Ok(Self {
            configuration,
            waves: Arc::new(waves),
            broken: prepared.broken,
            ground: Arc::new(ground),
            store_error: None,
            starting: Mutex::default(),
            before: OnceLock::new(),
            overdue: AtomicBool::new(false),
        })
    }

    /// Opens the store, if the suite names one, and takes up what was spooled when it could
    /// not be reached. If it cannot be opened, reports are spooled.
    pub fn open_store(&mut self) {
        let Some(url) = self.configuration.store.clone() else {
            return;
        };
        let base = self.configuration.base.clone();
        match Keep::open(|| async move { Store::open(url.expose(), &base).await }) {
            Ok(keep) => {
                self.ground.set_keep(keep);
                self.disable_by_store();
            }
            Err(error) => self.store_error = Some(error.to_string()),
        }
    }

    fn disable_by_store(&mut self) {
        match self.ground.keep().with(|store, _| store.disabled()) {
            Some(Ok(names)) => {
                let hooks = self.ground.hooks.iter().map(|hook| &hook.instance);
                let others = hooks.chain(self.ground.actions.channels.values());
                for instance in self.instances().chain(others) {
                    let names = names.iter();
                    for name in
                        names.filter(|name| [&instance.name, &instance.plugin].contains(name))
                    {
                        instance.disable(format!("`{name}` was disabled by a command"));
                    }
                }
            }
            Some(Err(error)) => self.store_error = Some(error.to_string()),
            None => {}
        }
    }

    /// Whether reports wait in files because the store could not be reached.
    pub fn has_spooled(&self) -> bool {
        let configuration = &self.configuration;
        !Spool::of_suite(&configuration.spool, &configuration.suite).is_empty()
    }

    /// Why the store cannot be used, if there should be one.
    pub fn store_error(&self) -> Option<&str> {
        self.store_error.as_deref()
    }

    /// Leaves out the instances that `unwanted` takes, as if they were not configured.
    pub fn leave_out(&mut self, unwanted: impl Fn(&Instance) -> bool) {
        let waves = self.waves.iter().map(|wave| {
            let wave = wave.iter().filter(|instance| !unwanted(instance));
            wave.cloned().collect()
        });
        self.waves = Arc::new(waves.collect());
        self.ground
            .set_processors(self.instances().cloned().collect());
    }

    /// Whether there are no processors, no hooks and no store, so that there is nothing to
    /// be done.
    pub fn is_idle(&self) -> bool {
        self.instances().next().is_none()
            && self.ground.hooks.is_empty()
            && self.configuration.store.is_none()
    }

    /// The hooks, in the order they get events.
    pub fn hooks(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.ground.hooks.iter().map(|hook| &hook.instance)
    }

    /// The channels, by name.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.ground.actions.channels.values()
    }

    /// What became of the events for each hook so far; nothing more comes after
    /// [`Host::shutdown`].
    pub fn hook_records(&self) -> Vec<HookRecord> {
        self.ground.hook_records()
    }

    /// Where events of the run go, for the engine; `None` if nobody watches.
    pub fn sink(&self) -> Option<Arc<dyn EventSink>> {
        let watched = self.ground.is_watched();
        watched.then(|| Arc::new(Sink(Arc::clone(&self.ground))) as Arc<dyn EventSink>)
    }

    /// Has `tap` told of all events it wants. It is trusted: it is called where they happen,
    /// and what happens waits for it.
    pub fn tap(&self, tap: Arc<dyn EventSink>) {
        self.ground.tap(tap);
    }

    /// What can be used to ask it to come to an end.
    pub fn stop(&self) -> Stop {
        self.ground.stop.clone()
    }

    /// What it remembers.
    pub fn keep(&self) -> Arc<Keep> {
        self.ground.keep()
    }

    /// The instances, in the order they get reports.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.waves.iter().flatten()
    }

    /// The instances by wave.
    pub fn waves(&self) -> &[Vec<Arc<Instance>>] {
        &self.waves
    }

    /// Plugins that were found but cannot be used.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Starts hooks and processors, wave by wave, without waiting for them. A processor that
    /// cannot be started is tried again when it gets a report.
    pub fn start(&self) {
        self.ground.start_hooks();
        let (waves, ground) = (Arc::clone(&self.waves), Arc::clone(&self.ground));
        let (started, starting) = mpsc::channel();
        let start = move || {
            let _started: mpsc::Sender<()> = started;
            for wave in waves.iter() {
                each(wave, |instance| {
                    if let Some(reason) = instance.disabled() {
                        ground.leave_out(instance, reason);
                    } else if ground.stop.remaining().is_none() {
                        // What went wrong is told when a report is to be delivered.
                        let limit = ground.stop.cut(instance.lifecycle_limit());
                        let _ = ground.start(instance, limit);
                    }
                });
            }
        };
        let thread = std::thread::Builder::new().name("veracity-host".to_owned());
        // Without the thread they are started when they get a report.
        let starting = thread.spawn(start).ok().map(|_| starting);
        *self.starting.lock().unwrap_or_else(PoisonError::into_inner) = starting;
    }

    /// Ready for a report: hooks get their events, and what starts has started.
    fn ready(&self) {
        self.ground.start_hooks();
        self.wait_for_start();
    }

    pub(crate) fn wait_for_start(&self) {
        let starting = self
            .starting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(starting) = starting else { return };
        // Short, so that being asked to end is noticed; what still starts then is left.
        let moment = Duration::from_millis(50);
        while starting.recv_timeout(moment) == Err(RecvTimeoutError::Timeout) {
            if self
                .ground
                .stop
                .remaining()
                .is_some_and(|left| left.is_zero())
            {
                return;
            }
        }
    }

    /// Carries `report` to the processors and returns what became of it. Blocks until each
    /// has it or has failed; results and verdict of `report` stay as they are.
    ///
    /// With a store, the report and what is to be delivered are stored first, and what is
    /// left of earlier runs of the suite is delivered too.
    pub fn deliver(&self, report: &Report) -> Delivered {
        self.ready();
        let before = self.before.get_or_init(|| {
            let all = self.instances().chain(self.hooks()).chain(self.channels());
            Snapshot::take().without_threads_of(all.map(|instance| &*instance.name))
        });
        let dispatch = self.dispatch(Some(report));
        let mut delivered = dispatch.deliver(report, self.store_error.as_deref());
        self.settle(&mut delivered);
        // What comes after the processors must find its files.
        before.restore_folder();
        for broken in &self.broken {
            let warning = format!(
                "plugin `{}` of `{}` is broken: {}",
                broken.name, broken.origin, broken.message
            );
            delivered.warnings.push(warning);
        }
        delivered
    }

    /// Carries `report`, of whatever run, to the only instance there is, as if it were new:
    /// it is not stored, and `on:` does not matter. `None` if there is not one instance.
    pub fn replay(&self, report: &Report) -> Option<Delivery> {
        self.ready();
        let mut instances = self.instances();
        let instance = instances.next().filter(|_| instances.next().is_none())?;
        let mut delivered = Delivered::default();
        let delivery = self.dispatch(Some(report)).replay(instance, report);
        delivered.deliveries.push(delivery);
        self.settle(&mut delivered);
        delivered.deliveries.pop()
    }

    /// Delivers what is left of earlier runs of the suite, if it is due.
    pub fn resume(&self) -> Delivered {
        self.ready();
        let mut delivered = self.dispatch(None).resume(self.store_error.as_deref());
        self.settle(&mut delivered);
        delivered
    }

    fn dispatch(&self, report: Option<&Report>) -> Dispatch {
        Dispatch {
            suite: self.configuration.suite.clone(),
            origin: self.configuration.origin.clone(),
            waves: Arc::clone(&self.waves),
            ground: Arc::clone(&self.ground),
            keep: self.ground.keep(),
            run: match report {
                Some(report) => self.ground.run_of(report),
                None => self.ground.run(),
            },
            letters: Arc::new(Letters::new(
                &self.configuration.origin,
                self.instances().cloned(),
            )),
            spool: self
                .configuration
                .store
                .is_some()
                .then(|| Spool::of_suite(&self.configuration.spool, &self.configuration.suite)),
        }
    }

    /// How each instance is; all are asked at the same time.
    pub fn health(&self) -> Vec<InstanceHealth> {
        self.wait_for_start();
        let all: Vec<Arc<Instance>> = self.instances().cloned().collect();
        each(&all, |instance| {
            let asked = || {
                instance.start(HEALTH_LIMIT)?;
                instance.health(HEALTH_LIMIT)
            };
            let health = instance.disabled().is_none().then(|| match asked() {
                Ok(mut health) => {
                    health.detail = health.detail.map(|text| clean(instance, &text));
                    health
                }
                Err(fault) => Health::unhealthy(clean(instance, &fault.to_string())),
            });
            InstanceHealth {
                instance: instance.name.clone(),
                plugin: instance.plugin.clone(),
                health,
            }
        })
    }
}

/// What `work` gives for each of `all`, each on a thread of its own, if there is one.
pub(crate) fn each<A: Sync, T: Send>(all: &[A], work: impl Fn(&A) -> T + Sync) -> Vec<T> {
    if let [one] = all {
        return vec![work(one)];
    }
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = all
            .iter()
            .map(|one| {
                let thread = std::thread::Builder::new();
                let spawned = thread.spawn_scoped(scope, move || work(one));
                spawned.map_err(|_| work(one))
            })
            .collect();
        let done = threads.into_iter().filter_map(|thread| match thread {
            Ok(thread) => thread.join().ok(),
            Err(done) => Some(done),
        });
        done.collect()
    })
}
