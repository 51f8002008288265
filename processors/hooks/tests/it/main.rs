//! The hooks, as the host calls them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod journal;
mod log;
mod metrics;
mod notify;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_hooks as _;
use veracity_processor::{
    Event, EventHook, EventRun, Kind, Moment, Outcome, Plugin, ProcessContext, ProcessorError,
    RunKey, Subject, conformance,
};

fn plugin(name: &str) -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.kind() == Kind::Hook && plugin.name() == name)
        .expect("the crate registers it")
}

fn context() -> ProcessContext {
    ProcessContext::new("watcher", Uuid::nil(), Duration::from_secs(60))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn handle(
    hook: &dyn EventHook,
    events: &[Arc<Event>],
    context: &ProcessContext,
) -> Result<Outcome, ProcessorError> {
    block_on(hook.handle(events, context))
}

/// 2026-11-20, 06:00 UTC.
fn six() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_154_400)
}

/// A run of `suite` that begins at six.
struct Story {
    run: Arc<EventRun>,
    number: u64,
}

impl Story {
    fn new(suite: &str, number: u128) -> Self {
        let key = RunKey::new("2026-11-19", [("env".into(), "prod".into())].into());
        Self {
            run: Arc::new(EventRun::new(Uuid::from_u128(number), suite, key)),
            number: 0,
        }
    }

    /// An event, a hundred milliseconds after the one before it.
    fn event(
        &mut self,
        subject: Subject,
        moment: Moment,
        more: impl FnOnce(Event) -> Event,
    ) -> Arc<Event> {
        let mut event = Event::new(&self.run, subject, moment);
        event.elapsed = Duration::from_millis(100 * self.number);
        event.time = (six() + event.elapsed).into();
        self.number += 1;
        Arc::new(more(event))
    }

    /// What happens in a run in which not all goes well.
    fn whole(&mut self) -> Vec<Arc<Event>> {
        use Moment::{Dead, End, Error, Retry, Skip, Start};
        use Subject::{Action, Assertion, Check, Dataset, Delivery, Processor, Suite};
        let unique = |event: Event| {
            let event = event.dataset("orders").check("keys");
            event.assertion("uniqueness(id) = 1").with("severity", "P0")
        };
        let mail = |event: Event| {
            let event = event.dataset("orders").check("contact");
            event.assertion("mail").with("severity", "P1")
        };
        let oncall = |event: Event| event.processor("oncall");
        vec![
            self.event(Suite, Start, |event| event.with("assertions", 4)),
            self.event(Processor, Start, oncall),
            self.event(Dataset, Start, |event| event.dataset("orders")),
            self.event(Dataset, End, |event| {
                let event = event.dataset("orders").with("rows", 1200);
                event.with("duration_ms", 1250.5)
            }),
            self.event(Dataset, Error, |event| {
                let event = event.dataset("customers").with("duration_ms", 40);
                event.with("reason", "cannot read csv source `customers.csv`")
            }),
            self.event(Check, Start, |event| event.check("keys")),
            self.event(Assertion, Start, unique),
            self.event(Assertion, End, |event| {
                let event = unique(event).outcome("failed").with("actual", 0.98);
                event.with("reason", "24 rows share their id")
            }),
            self.event(Assertion, End, |event| mail(event).outcome("passed")),
            self.event(Assertion, End, |event| {
                let event = mail(event).outcome("failed");
                event.with("actual", Value::Null)
            }),
            self.event(Assertion, Error, |event| {
                let event = mail(event).outcome("error");
                event.with("reason", "there is no column `mail`")
            }),
            self.event(Assertion, Skip, |event| {
                let event = mail(event).outcome("skipped");
                event.with("reason", "closed")
            }),
            self.event(Assertion, End, |event| {
                let event = mail(event).outcome("not_evaluated");
                event.with("reason", "the table is empty")
            }),
            self.event(Check, End, |event| {
                let event = event.check("keys").outcome("failed");
                event.with("duration_ms", 250)
            }),
            self.event(Suite, End, |event| {
                event.outcome("failed").with("duration_ms", 3500)
            }),
            self.event(Delivery, Start, oncall),
            self.event(Delivery, Retry, |event| {
                let event = oncall(event).with("attempt", 1);
                event.with("reason", "mx.example.org: connection refused")
            }),
            self.event(Delivery, Error, |event| {
                let event = oncall(event).outcome("dead").with("attempt", 2);
                let event = event.with("duration_ms", 1500);
                event.with("reason", "550 no such user")
            }),
            self.event(Delivery, Dead, |event| {
                oncall(event).with("reason", "550 no such user")
            }),
            self.event(Delivery, Start, |event| event.processor("slack")),
            self.event(Delivery, End, |event| {
                let event = event.processor("slack").outcome("delivered");
                event.with("duration_ms", 80)
            }),
            self.event(Delivery, Skip, |event| {
                let event = event.processor("json").outcome("skipped");
                event.with("reason", "it is not for this suite")
            }),
            self.event(Action, End, |event| {
                let event = event.processor("slack").with("type", "log");
                let event = event.with("attempts", 1).with("level", "warn");
                let event = event.with("message", "the channel is archived soon");
                event.with(
                    "fields",
                    json!({"channel": "#dq", "days": 3, "plan": {"a": [1]}}),
                )
            }),
            self.event(Action, Error, |event| {
                let event = event.processor("slack").with("type", "publish");
                event.with("target", "audit").with("reason", "disk full")
            }),
            self.event(Action, End, |event| {
                event.processor("watcher").with("type", "metric")
            }),
            self.event(Processor, Error, |event| {
                let event = event.processor("email");
                event.with("reason", "startup took longer than 30s")
            }),
        ]
    }
}

#[test]
fn the_hooks_describe_themselves_and_refuse_what_they_do_not_know() {
    let cases = [
        ("log", json!({}), vec!["*"]),
        ("metrics", json!({}), vec!["*"]),
        (
            "notify",
            json!({"to": "oncall"}),
            vec!["delivery.dead", "*.error"],
        ),
    ];
    for (name, config, events) in cases {
        let plugin = plugin(name);
        assert_eq!(conformance::check(plugin, &config), Vec::<String>::new());
        assert_eq!(plugin.info().subscription.events, events);
        assert!(plugin.build_hook(config.clone()).is_ok(), "{name}");
        let mut odd = config;
        odd["no_such_setting"] = json!(true);
        assert!(plugin.build_hook(odd).is_err(), "{name}");
        assert!(plugin.build_hook(json!("a text")).is_err(), "{name}");
    }
}
