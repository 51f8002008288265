//! What is refused, and that nothing is touched then.

use std::fs;
use std::path::Path;

use veracity_scaffold::{Contract, Kind, Lang, ScaffoldError, new};

fn refused(name: &str, folder: &Path, contract: &Contract) -> ScaffoldError {
    new(name, Lang::Rust, Kind::Processor, folder, contract).unwrap_err()
}

#[test]
fn nothing_is_written_over_anything() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("Cargo.toml");
    fs::write(&mine, "mine").unwrap();
    let error = refused("ledger", folder.path(), &Contract::Published);
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is not empty, it has `Cargo.toml`; choose another folder",
            folder.path().display()
        )
    );
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let error = refused("ledger", &mine, &Contract::Published);
    assert!(matches!(error, ScaffoldError::NotAFolder { .. }), "{error}");
    let below = refused("ledger", &mine.join("below"), &Contract::Published);
    assert!(below.to_string().contains("Cargo.toml"), "{below}");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
}

#[test]
fn a_wrong_name_makes_no_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let error = refused("My Ledger", &folder, &Contract::Published);
    assert_eq!(
        error.to_string(),
        "name `My Ledger` is not a lower-case letter followed by letters, digits, `-` and `_`, \
         64 at most; `my-ledger` would do"
    );
    assert!(!folder.exists());
}

#[test]
fn a_contract_that_is_not_there_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let empty = Contract::Path(parent.path().to_owned());
    let error = refused("ledger", &folder, &empty);
    assert!(
        error.to_string().contains("no crate `veracity-processor`"),
        "{error}"
    );
    let missing = Contract::Path(parent.path().join("missing"));
    let error = refused("ledger", &folder, &missing);
    assert!(matches!(error, ScaffoldError::Io { .. }), "{error}");
    assert!(!folder.exists());
}
