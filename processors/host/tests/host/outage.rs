//! Without the store that should be there: nothing is lost.

use serde_json::json;
use veracity_host::idempotency_key;
use veracity_host::store::Spool;
use veracity_processor::DeliveryStatus::{self, Delivered};

use crate::ground::{Ground, assert_ended, deliver, listed, of, pending, report, resumed};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    what_was_delivered_while_the_store_was_away_is_only_recorded_later,
    what_failed_while_the_store_was_away_is_delivered_later,
    what_is_given_up_while_the_store_is_away_stays_given_up,
    a_store_that_goes_away_in_a_run_loses_nothing,
    nothing_can_be_resumed_without_the_store,
];

/// Where no store can be, as long as `file` is a file.
const AWAY: &str = "sqlite:file/store.db";

fn come_back(ground: &Ground) {
    std::fs::remove_file(ground.folder.join("file")).unwrap();
    std::fs::create_dir(ground.folder.join("file")).unwrap();
}

fn what_was_delivered_while_the_store_was_away_is_only_recorded_later() {
    let ground = Ground::new();
    ground.make("file");
    let processors = [("p", ground.player(json!({})))];
    let host = ground.stored_at(AWAY, &processors);
    assert!(host.store_error().is_some());
    let first = report();
    let delivered = deliver(&host, &first);
    assert_ended(of(&delivered, "p"), Delivered, "");
    assert!(delivered.store_failed && !delivered.is_complete());
    let warning = &delivered.warnings[0];
    assert!(
        warning.contains("the report could not be stored: "),
        "{warning}"
    );
    let spool = Spool::of_suite(ground.folder.join("spool"), &first.run.suite);
    let kept = spool.folder().join(format!("{}.json", first.run.id));
    let kept = kept.display();
    assert!(
        warning.contains(&format!("is kept in `{kept}`")),
        "{warning}"
    );
    assert!(!spool.is_empty());
    host.shutdown();

    come_back(&ground);
    let host = ground.stored_at(AWAY, &processors);
    assert_eq!(host.store_error(), None);
    let delivered = deliver(&host, &report());
    assert!(delivered.is_complete(), "{delivered:?}");
    assert!(delivered.resumed.is_empty(), "it was delivered");
    let stored = host.keep().with(|store, _| store.report(first.run.id));
    assert_eq!(stored.unwrap().unwrap(), Some(first));
    assert!(spool.is_empty());
    assert_eq!(ground.done().len(), 2);
}

fn what_failed_while_the_store_was_away_is_delivered_later() {
    let faults = [
        json!({"needs": "up", "retries": 1}),
        json!({"process": "never be ready", "time_limit": "200ms"}),
        json!({"process": "abort", "isolation": "process", "retries": 0, "time_limit": "60s"}),
        json!({"startup": "retryable"}),
    ];
    for fault in faults {
        let ground = Ground::new();
        ground.make("file");
        let mut part = fault.clone();
        if part.get("needs").is_some() {
            part["needs"] = ground.file("up").into();
        }
        let processors = [
            ("bad", ground.player(part)),
            ("good", ground.player(json!({}))),
            ("after", ground.player(json!({"after": ["bad"]}))),
        ];
        let host = ground.stored_at(AWAY, &processors);
        let first = report();
        let delivered = deliver(&host, &first);
        assert!(delivered.store_failed);
        assert_ended(of(&delivered, "good"), Delivered, "");
        for name in ["bad", "after"] {
            let delivery = of(&delivered, name);
            assert!(
                delivery.pending && !delivery.status.is_settled(),
                "{fault}: {delivery:?}"
            );
            assert_ne!(delivery.status, DeliveryStatus::Dead, "{fault}");
        }
        host.shutdown();
        drop(host);

        come_back(&ground);
        ground.make("up");
        let good = ["bad", "good", "after"].map(|name| (name, ground.player(json!({}))));
        let host = ground.stored_at(AWAY, &good);
        let delivered = resumed(&host);
        let mut names: Vec<&str> = delivered
            .resumed
            .iter()
            .map(|one| one.delivery.processor.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["after", "bad"], "{fault}: {delivered:?}");
        for one in &delivered.resumed {
            assert_ended(&one.delivery, Delivered, "");
            let key = idempotency_key(first.run.id, &one.delivery.processor);
            assert_eq!(one.delivery.idempotency_key, Some(key));
        }
        assert_eq!(pending(&host), []);
    }
}

fn what_is_given_up_while_the_store_is_away_stays_given_up() {
    for process in ["permanent", "panic"] {
        let ground = Ground::new();
        ground.make("file");
        let processors = [("bad", ground.player(json!({"process": process})))];
        let host = ground.stored_at(AWAY, &processors);
        let delivered = deliver(&host, &report());
        let delivery = of(&delivered, "bad");
        assert!(
            !delivery.pending && !delivery.status.is_settled(),
            "{delivery:?}"
        );
        host.shutdown();
        drop(host);
        come_back(&ground);
        let host = ground.stored_at(AWAY, &processors);
        assert!(host.resume().resumed.is_empty());
        assert_eq!(ground.recorded("called").len(), 1);
    }
}

fn a_store_that_goes_away_in_a_run_loses_nothing() {
    let ground = Ground::new();
    let processors = [(
        "p",
        ground.player(json!({"process": "be late", "millis": 2_000})),
    )];
    let host = ground.stored(&processors);
    deliver(&host, &report());
    let second = report();
    let delivered = std::thread::scope(|scope| {
        let delivering = scope.spawn(|| host.deliver(&second));
        // Everything but the settlement happens before.
        while ground.recorded("called").len() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let told = host.keep().with(|store, _| async {
            store.close().await;
            Ok(())
        });
        told.unwrap().unwrap();
        delivering.join().unwrap()
    });
    assert_ended(of(&delivered, "p"), Delivered, "");
    let warnings = delivered.warnings.join("\n");
    assert!(warnings.contains("could not be stored"), "{warnings}");
    drop(host);
    let host = ground.stored(&processors);
    let left = pending(&host);
    assert_eq!(
        left.len(),
        1,
        "how it ended is not known, so it is made again"
    );
    assert_eq!(left[0].run_id, second.run.id);
    assert_eq!(listed(&host, &[]).len(), 2);
}

fn nothing_can_be_resumed_without_the_store() {
    let ground = Ground::new();
    ground.make("file");
    let host = ground.stored_at(AWAY, &[("p", ground.player(json!({})))]);
    let delivered = host.resume();
    assert!(delivered.store_failed && !delivered.is_complete());
    assert!(delivered.warnings[0].starts_with("the store cannot be opened: "));
    // Without one that should be there, there is nothing to resume.
    let host = ground.host(&[("p", ground.player(json!({})))]);
    assert!(host.resume().is_complete());
}
