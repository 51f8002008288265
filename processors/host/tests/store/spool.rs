use std::fs;

use veracity_host::store::{DeliveryFilter, Drained, Spool, Time};

use crate::places::{Place, delivery, large_report, report, run};

#[tokio::test]
async fn what_waits_is_stored_once_however_often_it_is_given() {
    let place = Place::sqlite();
    let (store, spool) = (place.open().await, Spool::new(place.spool()));
    assert!(spool.is_empty());
    assert_eq!(
        spool.drain(&store, Time(0)).await.unwrap(),
        Drained::default()
    );
    let reports = [large_report(2, 100_000), report(1)];
    for number in 0..3 {
        for report in &reports {
            let deliveries = [delivery(u64::from(report.run.id == run(2)), "email")];
            let path = spool.write(report, "/suite.yaml", &deliveries).unwrap();
            assert_eq!(path, place.spool().join(format!("{}.json", report.run.id)));
        }
        let drained = spool.drain(&store, Time(number)).await.unwrap();
        assert_eq!(drained.imported, [run(1), run(2)], "the oldest first");
        assert_eq!(drained.problems, [""; 0]);
        assert_eq!(fs::read_dir(place.spool()).unwrap().count(), 0);
    }
    for report in reports {
        assert_eq!(store.report(report.run.id).await.unwrap(), Some(report));
    }
    let listed = store.list(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (listed[0].origin.as_str(), listed[0].recorded_at),
        ("/suite.yaml", Time(0))
    );
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_others_go_on() {
    let place = Place::sqlite();
    let (store, spool) = (place.open().await, Spool::new(place.spool()));
    let write = |number| {
        spool
            .write(&report(number), "", &[delivery(number, "email")])
            .unwrap()
    };
    let (cut, changed, empty, newer, whole) = (write(1), write(2), write(3), write(4), write(5));
    let text = fs::read_to_string(&cut).unwrap();
    fs::write(&cut, &text[..text.len() - 10]).unwrap();
    fs::write(
        &changed,
        fs::read_to_string(&changed)
            .unwrap()
            .replace("336776", "336777"),
    )
    .unwrap();
    fs::write(&empty, "").unwrap();
    let text = fs::read_to_string(&newer).unwrap();
    fs::write(
        &newer,
        text.replacen("\"veracity_spool\":1", "\"veracity_spool\":2", 1),
    )
    .unwrap();
    fs::write(
        place.spool().join("half.part-1"),
        "left by a killed process",
    )
    .unwrap();
    let drained = spool.drain(&store, Time(0)).await.unwrap();
    assert_eq!(drained.imported, [run(5)]);
    let aside = |path: &std::path::Path, why: &str| {
        let path = path.display();
        format!("`{path}` is damaged: {why}; it is kept as `{path}.damaged`")
    };
    assert_eq!(
        drained.problems,
        [
            aside(&cut, "its checksum is wrong"),
            aside(&changed, "its checksum is wrong"),
            aside(&empty, "it has no header"),
            format!(
                "`{}` has version 2, this program reads versions up to 1; use the newer program",
                newer.display()
            ),
        ]
    );
    assert!(newer.exists() && !whole.exists() && !cut.exists());
    let again = spool.drain(&store, Time(0)).await.unwrap();
    assert_eq!(
        (again.imported.len(), again.problems.len()),
        (0, 1),
        "told once, but the newer"
    );
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_told() {
    let place = Place::sqlite();
    let file = place.folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for folder in [file.as_path(), "/proc/veracity".as_ref()] {
        let error = Spool::new(folder)
            .write(&report(1), "", &[])
            .expect_err("no folder");
        assert!(error.is_retryable());
        let expected = format!("the report cannot be left at `{}/", folder.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
