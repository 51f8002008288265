//! Many plugins, many instances, many reports.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_host::Registry;
use veracity_processor::DeliveryStatus::Delivered;
use veracity_processor::{Kind, Plugin};

use crate::alone::note;
use crate::ground::{Ground, report};
use crate::player::Player;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    a_thousand_plugins_are_found,
    a_registry_can_be_used_by_many_threads,
    five_hundred_reports_go_through_fifty_instances_at_once,
];

fn a_thousand_plugins_are_found() {
    let ground = Ground::new();
    for number in 0..1_000 {
        let folder = ground.folder.join(format!("plugins/p{number:04}"));
        std::fs::create_dir_all(&folder).unwrap();
        let schema = "{type: object, properties: {to: {type: string}}}";
        let manifest = format!(
            "name: executable-{number}\nkind: processor\nversion: 1.0.0\ndescription: x\n\
             command: [sh, x.sh]\nconfig_schema: {schema}\n"
        );
        std::fs::write(folder.join("plugin.yaml"), manifest).unwrap();
    }
    let linked: Vec<&'static Plugin> = (0..1_000)
        .map(|number| {
            let name: &'static str = format!("linked-{number}").leak();
            let plugin = Plugin::processor::<Player>(name, "1.0.0").from_crate("many");
            &*Box::leak(Box::new(plugin))
        })
        .collect();

    let registry = Registry::default();
    let begun = Instant::now();
    for plugin in &linked {
        registry.register(plugin).unwrap();
    }
    let registered = begun.elapsed();
    let begun = Instant::now();
    registry.add_directory(&ground.folder.join("plugins"));
    let read = begun.elapsed();
    assert!(registry.broken().is_empty(), "{:?}", registry.broken());
    assert_eq!(registry.list(Kind::Processor).len(), 2_000);

    let names: Vec<String> = (0..1_000)
        .map(|number| format!("linked-{number}"))
        .collect();
    let begun = Instant::now();
    for name in &names {
        registry.get(Kind::Processor, name).unwrap();
    }
    let found = begun.elapsed() / 1_000;
    let begun = Instant::now();
    let error = registry
        .get(Kind::Processor, "executable-9999x")
        .unwrap_err();
    let missed = begun.elapsed();
    assert!(error.to_string().contains("and 1988 more"), "{error}");
    note(&format!(
        "1,000 linked plugins registered in {registered:?}, 1,000 manifests read in {read:?}, \
         a look-up takes {found:?}, one that finds nothing {missed:?}"
    ));
}

fn a_registry_can_be_used_by_many_threads() {
    let registry = Registry::linked().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let registry = &registry;
            scope.spawn(move || {
                for _ in 0..500 {
                    let entry = registry.get(Kind::Processor, "player").unwrap();
                    entry.info().unwrap();
                    entry.set_enabled(thread % 2 == 0);
                    assert!(!registry.list_all().is_empty());
                }
            });
        }
    });
}

fn five_hundred_reports_go_through_fifty_instances_at_once() {
    let ground = Ground::new();
    let instances: Vec<(String, Value)> = (0..50)
        .map(|number| {
            let part = ground.player(json!({"time_limit": "5min"}));
            (format!("p{number:02}"), part)
        })
        .collect();
    let instances: Vec<(&str, Value)> = instances
        .iter()
        .map(|(name, part)| (name.as_str(), part.clone()))
        .collect();
    let host = ground.host(&instances);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let deliveries: Vec<_> = (0..500)
            .map(|_| {
                scope.spawn(|| {
                    let report = report();
                    let before = serde_json::to_vec(&report).unwrap();
                    let delivered = host.deliver(&report);
                    assert!(before == serde_json::to_vec(&report).unwrap());
                    delivered
                })
            })
            .collect();
        for delivery in deliveries {
            let delivered = delivery.join().unwrap();
            assert_eq!(delivered.deliveries.len(), 50);
            for delivery in &delivered.deliveries {
                assert_eq!(delivery.status, Delivered, "{delivery:?}");
            }
        }
    });
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(240), "{taken:?}");
    note(&format!(
        "500 reports through 50 instances at once in {taken:?}"
    ));
    let keys: BTreeSet<String> = ground
        .recorded("done")
        .into_iter()
        .map(|made| made.key)
        .collect();
    assert_eq!(keys.len(), 25_000);
    assert_eq!(host.shutdown(), Vec::<String>::new());
}
