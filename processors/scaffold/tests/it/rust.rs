//! New crates, built and tested with the cargo that runs this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use veracity_scaffold::{Contract, Kind, Lang, new};

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn contract() -> Contract {
    Contract::Path(workspace().join("processors/api"))
}

fn told(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(errors)
    )
}

/// Formatted as it is, and passes its own tests without a warning.
fn works(name: &str, kind: Kind, tests: usize) {
    let folder = tempfile::tempdir().unwrap();
    let created = new(name, Lang::Rust, kind, folder.path(), &contract()).unwrap();

    for file in ["src/lib.rs", "tests/plugin.rs"] {
        let formatted = Command::new("rustfmt")
            .args(["--check", "--edition", "2024", file])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{file}: {}", told(&formatted));
    }

    // The versions that are here already.
    let lock = workspace().join("Cargo.lock");
    fs::copy(lock, folder.path().join("Cargo.lock")).unwrap();
    let [_, test] = &created.next[..] else {
        panic!("{:?}", created.next);
    };
    let mut words = test.split(' ');
    assert_eq!(words.next(), Some("cargo"));
    let tested = Command::new(env!("CARGO"))
        .args(words)
        .arg("--offline")
        .current_dir(folder.path())
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("new"),
        )
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUSTFLAGS", "--deny warnings")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    let told = told(&tested);
    assert!(tested.status.success(), "{told}");
    assert!(
        told.contains(&format!("test result: ok. {tests} passed")),
        "{told}"
    );
    assert!(
        told.contains("test it_is_registered_and_keeps_to_the_contract ... ok"),
        "{told}"
    );
}

#[test]
fn a_new_processor_builds_and_passes_its_test() {
    works("ledger", Kind::Processor, 5);
}

#[test]
fn a_new_hook_builds_and_passes_its_test() {
    works("failure-count", Kind::Hook, 3);
}

#[test]
fn names_that_are_long_or_used_already_make_no_difference() {
    works(&"a".repeat(64), Kind::Processor, 5);
    works("conformance", Kind::Hook, 3);
}
