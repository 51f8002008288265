//! `veracity init` writes suites that hold.

use super::harness::Folder;

/// Columns whose names need care, of every kind of value.
const ODD: &str = "\
order id,Ünï,\"a\"\"b\",count,order,none,day,$${x}: #
1,1.5,red,10,x,,2024-01-05,a
2,2.25,green,20,x,,2024-02-05,it's
3,,red,30,y,,2024-03-05,a
4,7,red,45,y,,2024-03-06,a
5,-3,green,150,y,,2024-03-07,a
6,0.001,red,-250,x,,2024-03-08,a
";

#[test]
fn a_suite_for_odd_columns_holds() {
    let folder = Folder::empty();
    folder.write("odd file.csv", ODD);
    let done = folder.veracity(&["init", "odd file.csv"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), ""),
        "{}",
        done.stderr
    );
    let today = chrono::Utc::now().date_naive().to_string();
    let suite = folder.read("suite.yaml");
    let run = folder.veracity(&["run", "suite.yaml", "--date", "2026-11-20"]);
    assert_eq!(run.code, Some(0), "{}", run.all());
    let all = format!(
        "{}\n{}\n{}",
        done.stderr,
        suite.replace(&today, "<today>"),
        run.stdout
    );
    insta::assert_snapshot!(all);
}

#[test]
fn a_suite_is_not_overwritten_unless_forced() {
    let folder = Folder::with_suite();
    let before = folder.read("suite.yaml");
    insta::assert_snapshot!(folder.veracity(&["init", "orders.csv"]).all());
    assert_eq!(folder.read("suite.yaml"), before);
    assert_eq!(
        folder.veracity(&["init", "orders.csv", "--force"]).code,
        Some(0)
    );
    assert_ne!(folder.read("suite.yaml"), before);
}

#[test]
fn a_suite_elsewhere_finds_the_data() {
    let folder = Folder::with_suite();
    folder.write("checks/empty", "");
    let done = folder.veracity(&["init", "orders.csv", "-o", "checks/orders.yaml"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let run = folder.veracity(&["run", "checks/orders.yaml"]);
    assert_eq!(run.code, Some(0), "{}", run.all());
    let nowhere = folder.veracity(&["init", "orders.csv", "-o", "nowhere/orders.yaml"]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}

#[test]
fn a_suite_goes_to_stdout_when_asked() {
    let folder = Folder::with_suite();
    let done = folder.veracity(&["init", "orders.csv", "-o", "-"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    folder.write("copy.yaml", &done.stdout);
    assert_eq!(folder.veracity(&["run", "copy.yaml", "-q"]).code, Some(0));
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let folder = Folder::empty();
    folder.write("none.csv", "a,b\n");
    let done = folder.veracity(&["init", "none.csv"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(folder.veracity(&["run", "suite.yaml"]).code, Some(0));
}

#[test]
fn data_that_cannot_be_read_ends_with_3() {
    let folder = Folder::with_suite();
    folder.write("ragged.csv", "a,b\n1,2\n3\n");
    let missing = folder.veracity(&["init", "order.csv", "-o", "new.yaml"]);
    let ragged = folder.veracity(&["init", "ragged.csv", "-o", "new.yaml"]);
    insta::assert_snapshot!(format!("{}\n{}", missing.all(), ragged.all()));
    assert!(!folder.path().join("new.yaml").exists());
}
