//! What people are told, and how often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, from_value, json};
use veracity_hooks::{Clock, Notify};
use veracity_processor::{
    Action, Event, EventHook, Message, Moment, Outcome, ProcessContext, Severity, State, Subject,
    conformance,
};

use crate::{Story, block_on, context, handle, plugin, six};

/// A hook, its clock, and what it remembers between runs.
struct Scene {
    hook: Notify,
    config: Value,
    seconds: Arc<AtomicU64>,
    state: BTreeMap<String, Value>,
}

impl Scene {
    fn new(config: Value) -> Self {
        let seconds = Arc::new(AtomicU64::new(0));
        Self {
            hook: build(&config, &seconds),
            config,
            seconds,
            state: BTreeMap::new(),
        }
    }

    /// So many seconds pass.
    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The process ends and another one begins.
    fn restart(&mut self) {
        self.hook = build(&self.config, &self.seconds);
    }

    fn context(&self) -> ProcessContext {
        let mut context = context();
        context.state = State::new(self.state.clone());
        context
    }

    fn told(&mut self, outcome: Outcome, context: &ProcessContext) -> Vec<Message> {
        self.state = context.state.values();
        // As the host does.
        let json = serde_json::to_string(&self.state).unwrap();
        assert!(json.len() < State::MAX_BYTES, "{}", json.len());
        let message = |action| match action {
            Action::Notify { to, message } => {
                assert_eq!(to, "oncall");
                *message
            }
            other => panic!("{other:?}"),
        };
        outcome.actions.into_iter().map(message).collect()
    }

    fn handle(&mut self, events: &[Arc<Event>]) -> Vec<Message> {
        let context = self.context();
        let outcome = handle(&self.hook, events, &context).unwrap();
        self.told(outcome, &context)
    }

    fn flush(&mut self) -> Vec<Message> {
        let context = self.context();
        let outcome = block_on(self.hook.flush(&context)).unwrap();
        self.told(outcome, &context)
    }

    /// How many events are held back.
    fn held(&self) -> u64 {
        let events = self.state.get("notify");
        let events = events.and_then(|memory| memory["held"]["events"].as_object());
        let counts = events.into_iter().flatten();
        counts.map(|(_, count)| count.as_u64().unwrap()).sum()
    }
}

fn build(config: &Value, seconds: &Arc<AtomicU64>) -> Notify {
    let seconds = Arc::clone(seconds);
    let clock: Clock =
        Arc::new(move || six() + Duration::from_secs(seconds.load(Ordering::SeqCst)));
    Notify::with_clock(from_value(config.clone()).unwrap(), clock).unwrap()
}

/// Deliveries of a run that were given up, `count` of them.
fn dead(run: u128, count: usize) -> Vec<Arc<Event>> {
    let mut story = Story::new("orders", run);
    let mut event = |number| {
        story.event(Subject::Delivery, Moment::Dead, |event| {
            let event = event.processor(format!("p{number}"));
            event.with("reason", format!("550 no user {number}"))
        })
    };
    (0..count).map(&mut event).collect()
}

fn counted(message: &Message) -> u64 {
    message.lines.len() as u64 + message.more
}

/// What is chosen if the configuration does not say so.
fn chosen(events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
    let subscription = plugin("notify").info().subscription;
    let events = events.into_iter();
    events.filter(|event| subscription.takes(event)).collect()
}

#[test]
fn what_went_wrong_in_a_run_is_one_message() {
    let mut scene = Scene::new(json!({"to": "oncall", "max_lines": 4}));
    let mut story = Story::new("orders", 1);
    // Its deliveries are those of the processor that is to tell.
    let mut events = chosen(story.whole());
    events.retain(|event| event.processor.as_deref() != Some("oncall"));
    events.extend(dead(1, 2));
    assert_eq!(scene.handle(&events[..3]), []);
    assert_eq!(scene.handle(&events[3..]), []);
    let told = scene.flush();
    assert_eq!(told.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&told[0]).unwrap());
    assert_eq!(scene.flush(), []);
}

#[test]
fn titles_are_made_of_facts() {
    let cases = [
        (json!(null), "orders: 2 delivery.dead"),
        (
            json!("{count} on {date} in {suite}"),
            "2 on 2026-11-19 in orders",
        ),
        (
            json!("[{run}] {{{events}}}"),
            "[00000000-0000-0000-0000-000000000001] {2 delivery.dead}",
        ),
    ];
    for (title, expected) in cases {
        let mut scene = Scene::new(json!({"to": "oncall", "title": title}));
        scene.handle(&dead(1, 2));
        assert_eq!(scene.flush()[0].title, expected);
    }
}

#[test]
fn what_is_held_back_is_told_by_a_later_run() {
    let mut scene = Scene::new(json!({"to": "oncall", "every": "10m", "max_lines": 3}));
    scene.handle(&dead(1, 1));
    assert_eq!(scene.flush().len(), 1);

    scene.pass(300);
    scene.restart();
    scene.handle(&dead(2, 2));
    assert_eq!((scene.flush(), scene.held()), (vec![], 2));
    scene.pass(299);
    scene.restart();
    scene.handle(&dead(3, 5));
    assert_eq!((scene.flush(), scene.held()), (vec![], 7));

    scene.pass(1);
    scene.restart();
    scene.handle(&dead(4, 1));
    let told = scene.flush();
    assert_eq!((told.len(), scene.held()), (1, 0));
    assert_eq!(told[0].title, "orders: 8 delivery.dead");
    assert_eq!(
        told[0].text,
        "7 of them since 06:00 UTC, held back because there is at most one message in 10m"
    );
    assert_eq!(told[0].run.id, dead(4, 1)[0].run.id);
    let expected = [
        "delivery.dead p0: 550 no user 0",
        "delivery.dead p0: 550 no user 0",
        "delivery.dead p1: 550 no user 1",
    ];
    assert_eq!(
        (told[0].lines.as_slice(), told[0].more),
        (&expected.map(str::to_owned)[..], 5)
    );

    // It was told; the limit begins again.
    scene.pass(600);
    scene.handle(&dead(5, 1));
    let told = scene.flush();
    assert_eq!((told[0].text.as_str(), counted(&told[0])), ("", 1));
}

#[test]
fn what_was_held_back_on_another_day_is_told_with_its_date() {
    let mut scene = Scene::new(json!({"to": "oncall", "every": "1day"}));
    for run in [1, 2] {
        scene.handle(&dead(run, 1));
        scene.flush();
    }
    scene.pass(24 * 3600);
    scene.handle(&dead(3, 1));
    let text = &scene.flush()[0].text;
    assert!(
        text.starts_with("1 of them since 2026-11-20 06:00 UTC, "),
        "{text}"
    );
}

#[test]
fn a_run_that_told_something_tells_the_rest_at_its_end() {
    let digest = json!({"to": "oncall", "every": "10m"});
    let mut scene = Scene::new(digest);
    scene.handle(&dead(1, 1));
    assert_eq!(scene.flush().len(), 1, "before metrics are read");
    scene.handle(&dead(1, 2));
    let told = scene.flush();
    assert_eq!((told.len(), counted(&told[0]), scene.held()), (1, 2, 0));
}

#[test]
fn the_first_may_be_told_at_once() {
    let config = json!({"to": "oncall", "every": "10m", "immediate": true});
    let mut scene = Scene::new(config);
    let first = scene.handle(&dead(1, 3));
    assert_eq!((first.len(), counted(&first[0])), (1, 1));
    assert_eq!(scene.handle(&dead(1, 2)), []);
    let rest = scene.flush();
    assert_eq!((rest.len(), counted(&rest[0])), (1, 4));
    assert_ne!(
        first[0].id, rest[0].id,
        "receivers must not take them for the same"
    );
    // The next run is too early.
    assert_eq!(scene.handle(&dead(2, 3)), []);
    assert_eq!((scene.flush(), scene.held()), (vec![], 3));
}

#[test]
fn without_a_digest_things_are_told_as_they_happen() {
    let mut scene = Scene::new(json!({"to": "oncall", "every": "10s", "digest": false}));
    assert_eq!(counted(&scene.handle(&dead(1, 2))[0]), 2);
    scene.pass(9);
    assert_eq!(scene.handle(&dead(1, 3)), []);
    scene.pass(1);
    assert_eq!(counted(&scene.handle(&dead(1, 1))[0]), 4);
    assert_eq!(scene.flush(), []);
    let mut scene = Scene::new(json!({"to": "oncall", "every": "0s", "digest": false}));
    for run in 1..5 {
        assert_eq!(scene.handle(&dead(run, 1)).len(), 1);
    }
}

#[test]
fn messages_about_its_own_messages_are_never_told() {
    let mut scene = Scene::new(json!({"to": "oncall", "every": "0s", "digest": false}));
    let mut story = Story::new("orders", 1);
    let mut event = |subject, processor: &str, kind: &str, target: &str| {
        story.event(subject, Moment::Error, |event| {
            let event = event.processor(processor.to_owned()).with("type", kind);
            event.with("target", target)
        })
    };
    let own = [
        event(Subject::Delivery, "oncall", "", ""),
        event(Subject::Processor, "oncall", "", ""),
        event(Subject::Processor, "watcher", "", ""),
        event(Subject::Action, "watcher", "notify", "oncall"),
        event(Subject::Action, "another", "notify", "oncall"),
    ];
    let others = [
        event(Subject::Delivery, "slack", "", ""),
        event(Subject::Processor, "slack", "", ""),
        event(Subject::Action, "watcher", "notify", "slack"),
        event(Subject::Action, "slack", "publish", "oncall"),
        event(Subject::Action, "oncall", "publish", "audit"),
    ];
    assert_eq!(scene.handle(&own), []);
    assert_eq!(scene.flush(), []);
    for event in others {
        let label = format!("{event:?}");
        assert_eq!(scene.handle(&[event]).len(), 1, "{label}");
    }
}

#[test]
fn the_worst_says_how_much_a_message_matters() {
    let mut story = Story::new("orders", 1);
    let mut event = |subject, moment, outcome: &str, severity: &str| {
        story.event(subject, moment, |event| {
            event.outcome(outcome).with("severity", severity)
        })
    };
    use Moment::{Dead, End, Error, Retry};
    use Subject::{Assertion, Dataset, Delivery};
    let cases = [
        (vec![event(Assertion, End, "passed", "P0")], Severity::P3),
        (vec![event(Assertion, End, "failed", "P2")], Severity::P2),
        (vec![event(Assertion, Error, "error", "P0")], Severity::P0),
        (vec![event(Dataset, Error, "", "")], Severity::P1),
        (vec![event(Delivery, Retry, "", "")], Severity::P2),
        (
            vec![event(Dataset, Error, "", ""), event(Delivery, Dead, "", "")],
            Severity::P0,
        ),
    ];
    for (events, expected) in cases {
        let mut scene = Scene::new(json!({"to": "oncall"}));
        scene.handle(&events);
        assert_eq!(scene.flush()[0].severity, expected, "{events:?}");
    }
}

#[test]
fn hostile_texts_are_lines_of_limited_length() {
    let long = "x".repeat(10_000);
    let names = conformance::HOSTILE.iter().copied();
    for text in names.chain([long.as_str(), ""]) {
        let event = Story::new(text, 1).event(Subject::Assertion, Moment::Error, |event| {
            let event = event
                .dataset(text)
                .check(text)
                .assertion(text)
                .processor(text);
            event.outcome(text).with("reason", text)
        });
        let mut scene = Scene::new(json!({"to": "oncall"}));
        scene.handle(&[event]);
        let message = scene.flush().remove(0);
        let fields = message.fields.keys().chain(message.fields.values());
        for shown in message.lines.iter().chain([&message.title]).chain(fields) {
            assert!(shown.chars().count() <= 301, "{shown}");
            assert!(
                !shown.chars().any(veracity_processor::is_deceptive),
                "{shown}"
            );
            assert!(!shown.contains("##vso["), "{shown}");
        }
    }
}

#[test]
fn what_is_held_back_always_has_room_in_the_state() {
    let config = json!({"to": "oncall", "every": "1h", "max_lines": 40});
    let mut scene = Scene::new(config);
    scene.handle(&dead(1, 1));
    scene.flush();
    let wide = "\u{1f600}\"\\".repeat(4_000);
    for run in 2..6 {
        let mut story = Story::new("orders", run);
        let mut event = |_| {
            story.event(Subject::Dataset, Moment::Error, |event| {
                event.dataset(wide.as_str()).with("reason", wide.as_str())
            })
        };
        let events: Vec<_> = (0..100).map(&mut event).collect();
        scene.handle(&events);
        // `told` looks at the size.
        assert_eq!(scene.flush(), []);
    }
    assert_eq!(scene.held(), 400);
}

#[test]
fn a_state_that_is_not_understood_and_a_wrong_clock_hold_nothing_back() {
    let odd = [
        json!("a text"),
        json!({"version": 2, "sent": "2026-11-20T06:00:00Z", "count": 1, "run": null, "held": null}),
        json!({"version": 1, "sent": "soon", "count": 1, "run": null, "held": null}),
        json!({"version": 1, "sent": "2036-11-20T06:00:00Z", "count": 1, "run": null, "held": null}),
    ];
    for state in odd {
        let mut scene = Scene::new(json!({"to": "oncall", "every": "10m"}));
        scene.state.insert("notify".to_owned(), state.clone());
        scene.handle(&dead(1, 1));
        assert_eq!(scene.flush().len(), 1, "{state}");
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn nothing_is_lost_and_no_two_runs_tell_too_soon_after_each_other() {
    for seed in 1..=300 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let every = dice.throw(120);
        let max_lines = 1 + dice.throw(8);
        let mut scene = Scene::new(json!({
            "to": "oncall",
            "every": format!("{every}s"),
            "max_lines": max_lines,
            "digest": dice.throw(3) > 0,
            "immediate": dice.throw(2) > 0,
        }));
        let (mut happened, mut told, mut ids) = (0, 0, Vec::new());
        let mut last: Option<(u64, uuid::Uuid)> = None;
        for run in 1..=12 {
            let mut messages = Vec::new();
            for _ in 0..dice.throw(5) {
                scene.pass(dice.throw(20));
                let count = dice.throw(6);
                happened += count;
                let now = scene.seconds.load(Ordering::SeqCst);
                let new = scene.handle(&dead(run, count as usize));
                messages.extend(new.into_iter().map(|message| (now, message)));
                if dice.throw(4) == 0 {
                    messages.extend(scene.flush().into_iter().map(|message| (now, message)));
                }
            }
            let now = scene.seconds.load(Ordering::SeqCst);
            messages.extend(scene.flush().into_iter().map(|message| (now, message)));
            for (now, message) in messages {
                assert!(message.lines.len() as u64 <= max_lines, "seed {seed}");
                told += counted(&message);
                if let Some((before, run)) = last
                    && run != message.run.id
                {
                    assert!(now - before >= every, "seed {seed}");
                }
                last = Some((now, message.run.id));
                ids.push(message.id);
            }
            // Between runs, all that is not told is in the state.
            assert_eq!(told + scene.held(), happened, "seed {seed}");
            scene.pass(dice.throw(90));
            if dice.throw(2) == 0 {
                scene.restart();
            }
        }
        ids.sort_unstable();
        let messages = ids.len();
        ids.dedup();
        assert_eq!(
            ids.len(),
            messages,
            "seed {seed}: every message is another one"
        );
    }
}

#[test]
fn everything_wrong_with_the_settings_is_told_at_once() {
    let config = json!({"to": "", "title": "{siute}", "every": "soon", "max_lines": 0});
    let error = plugin("notify").build_hook(config).err().unwrap();
    let errors: Vec<String> = error.0.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    to: the name of a processor is wanted
    max_lines: must be at least 1 and at most 40
    title: there is no `{siute}`, there are `{suite}`, `{date}`, `{run}`, `{count}`, `{events}`
    every: `soon` is no duration such as `10m`: expected number at 0
    ");
}
