//! How a run ends: hooks have heard everything, what plugins asked for is done, everything
//! that was started is ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use veracity_processor::ActionRecord;

use crate::actions::{Origin, Recorded};
use crate::attempt::clean;
use crate::host::{Delivered, Host, each};
use crate::instance::Instance;
use crate::isolation::{Fault, Snapshot};

/// How long threads that were told to end may take for it.
const ENDING: Duration = Duration::from_secs(1);
/// The longest that a run waits for what plugins asked for.
const ACTIONS_LIMIT: Duration = Duration::from_secs(120);

impl Host {
    /// Has the hooks handle what happened and waits for what plugins asked for; what became
    /// of that goes to `delivered`.
    pub(crate) fn settle(&self, delivered: &mut Delivered) {
        self.ground.flush();
        delivered.warnings.extend(self.finish_actions());
        for Recorded { origin, record } in self.ground.actions.desk.records() {
            delivered.warnings.extend(failure(&origin, &record));
            let earlier = delivered.resumed.iter_mut().map(|one| &mut one.delivery);
            let mut deliveries = delivered.deliveries.iter_mut().chain(earlier);
            let of_delivery = deliveries.find(|delivery| {
                origin.idempotency_key.is_some()
                    && delivery.idempotency_key == origin.idempotency_key
            });
            match of_delivery {
                Some(delivery) => delivery.actions.push(record),
                None => {
                    let name = origin.name().to_owned();
                    delivered.actions.push((name, record));
                }
            }
        }
        delivered.lines.extend(self.ground.actions.desk.lines());
        delivered.hooks = self.ground.hook_records();
        delivered.warnings.extend(self.ground.news_of_hooks());
    }

    /// Waits for what plugins asked for. Returns what is to be told, if that takes too long.
    fn finish_actions(&self) -> Option<String> {
        let limit = match self.overdue.load(Ordering::Relaxed) {
            // They were waited for in vain.
            true => ENDING,
            false => ACTIONS_LIMIT,
        };
        let finished = self.ground.finish_actions(limit);
        self.overdue.store(!finished, Ordering::Relaxed);
        if finished {
            return None;
        }
        let pending = self.ground.actions.desk.pending();
        let plural = if pending == 1 { "" } else { "s" };
        Some(format!(
            "{pending} action{plural} that plugins asked for took too long"
        ))
    }

    /// Ends the processors, the last ones first, then channels and hooks, and closes the
    /// store. Returns what did not end well, and what failed since the last report was
    /// carried.
    pub fn shutdown(&self) -> Vec<String> {
        self.wait_for_start();
        let mut warnings = Vec::new();
        // What hooks ask for may need the processors.
        self.ground.flush();
        warnings.extend(self.finish_actions());
        for wave in self.waves().iter().rev() {
            let ended = each(wave, |instance| {
                let limit = self.ground.stop.cut(instance.lifecycle_limit());
                let ended = self.ground.end(instance, limit);
                ended.err().map(|fault: Fault| {
                    let fault = clean(instance, &fault.to_string());
                    format!("processor `{}` did not end well: {fault}", instance.name)
                })
            });
            warnings.extend(ended.into_iter().flatten());
        }
        self.ground.flush();
        warnings.extend(self.finish_actions());
        self.ground.actions.desk.close();
        let channels: Vec<&Arc<Instance>> = self.channels().collect();
        let ended = each(&channels, |channel| {
            let ended = channel.end(self.ground.stop.cut(channel.lifecycle_limit()));
            ended.err().map(|fault| {
                let fault = clean(channel, &fault.to_string());
                format!("channel `{}` did not end well: {fault}", channel.name)
            })
        });
        warnings.extend(ended.into_iter().flatten());
        warnings.extend(self.ground.end_hooks());
        for Recorded { origin, record } in self.ground.actions.desk.records() {
            warnings.extend(failure(&origin, &record));
        }
        warnings.extend(self.ground.news_of_hooks());
        let keep = self.ground.keep();
        warnings.extend(keep.complaints());
        keep.close();
        let left = |change| format!("a processor left something behind: {change}");
        warnings.extend(self.left_behind().into_iter().map(left));
        warnings
    }

    /// What is different from how it was before the first report.
    fn left_behind(&self) -> Vec<String> {
        let Some(before) = self.before.get() else {
            return Vec::new();
        };
        let begun = Instant::now();
        let mut pause = Duration::from_micros(100);
        loop {
            let changes = Snapshot::take().changes_since(before);
            if changes.is_empty() || begun.elapsed() > ENDING {
                return changes;
            }
            // Threads that have done their work are often gone a moment later.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}

impl Drop for Host {
    /// The threads that feed the hooks, and those that do what plugins asked for, end, also
    /// when it was not shut down.
    fn drop(&mut self) {
        self.ground.stop.within(Duration::ZERO);
        for hook in &self.ground.hooks {
            hook.queue.abandon();
        }
        self.ground.actions.desk.close();
    }
}

/// What people are told of an action that failed.
fn failure(origin: &Origin, record: &ActionRecord) -> Option<String> {
    let error = record.error.as_ref()?;
    let target = record.target.as_deref();
    let target = target.map(|target| format!(" to `{target}`"));
    Some(format!(
        "`{}` asked for an action, {}{}, which failed: {error}",
        origin.name(),
        record.kind,
        target.unwrap_or_default()
    ))
}
