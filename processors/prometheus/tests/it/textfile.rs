//! The file for the textfile collector.

use std::fs;

use serde_json::json;
use veracity_processor::sample_report;

use crate::Kept;
use crate::text::parse;

#[tokio::test]
async fn the_file_is_replaced_as_a_whole_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/orders.prom");
    let config = json!({ "path": path });
    let mut kept = Kept::default();
    kept.deliver(&config, &sample_report()).await.unwrap();
    let first = fs::read_to_string(&path).unwrap();
    // Somebody who reads the old file goes on reading it.
    let mut old = fs::File::open(&path).unwrap();
    let mut next = sample_report();
    next.run.finished_at = "2026-11-21T06:00:00Z".into();
    kept.deliver(&config, &next).await.unwrap();
    let mut read = String::new();
    std::io::Read::read_to_string(&mut old, &mut read).unwrap();
    assert_eq!(read, first);
    assert_ne!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_may_be_read_by_others_and_an_old_one_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.prom");
    let config = json!({ "path": path });
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    Kept::default()
        .deliver(&config, &sample_report())
        .await
        .unwrap();
    assert_eq!(mode(), 0o644);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    Kept::default()
        .deliver(&config, &sample_report())
        .await
        .unwrap();
    assert_eq!(mode(), 0o640);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "path": folder.path() });
    let error = Kept::default()
        .deliver(&config, &sample_report())
        .await
        .unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(error.message().contains("cannot be written"), "{error}");
}

/// node_exporter reads all files of a folder as one.
#[tokio::test]
async fn files_of_several_suites_can_be_read_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut series = Vec::new();
    let mut helps = std::collections::BTreeMap::new();
    for suite in ["a", "b"] {
        let mut report = sample_report();
        report.run.suite = suite.to_owned();
        let path = folder.path().join(format!("{suite}.prom"));
        Kept::default()
            .deliver(&json!({ "path": path }), &report)
            .await
            .unwrap();
        for family in parse(&fs::read_to_string(path).unwrap()).unwrap() {
            let about = (family.help, family.kind);
            let known = helps
                .entry(family.name.clone())
                .or_insert_with(|| about.clone());
            assert_eq!(*known, about);
            series.extend(
                family
                    .samples
                    .into_iter()
                    .map(|(labels, _)| (family.name.clone(), labels)),
            );
        }
    }
    let count = series.len();
    series.sort();
    series.dedup();
    assert_eq!(series.len(), count, "no series is in two files");
}
