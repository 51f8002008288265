//! What a new plugin consists of, word for word.

use std::fs;
use std::path::Path;

use veracity_scaffold::{Contract, Created, Kind, Lang, new};

/// The files of a new plugin, one after the other.
fn text_of(created: &Created) -> String {
    let mut all = String::new();
    for file in &created.files {
        let text = fs::read_to_string(created.folder.join(file)).unwrap();
        all.push_str(&format!("==== {}\n{text}", file.display()));
    }
    all
}

fn created(lang: Lang, kind: Kind) -> String {
    let folder = tempfile::tempdir().unwrap();
    // Empty folders may be there already.
    let created = new("ledger", lang, kind, folder.path(), &Contract::Published).unwrap();
    text_of(&created)
}

#[test]
fn a_processor_in_rust() {
    insta::assert_snapshot!(created(Lang::Rust, Kind::Processor));
}

#[test]
fn a_hook_in_rust() {
    insta::assert_snapshot!(created(Lang::Rust, Kind::Hook));
}

#[test]
fn a_processor_in_python() {
    insta::assert_snapshot!(created(Lang::Python, Kind::Processor));
}

#[test]
fn a_hook_in_python() {
    insta::assert_snapshot!(created(Lang::Python, Kind::Hook));
}

#[test]
fn the_next_commands_can_be_pasted_into_a_shell() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("my plugins/it's");
    let created = new("x", Lang::Python, Kind::Hook, &folder, &Contract::Published);
    let created = created.unwrap();
    let shell = std::process::Command::new("sh")
        .args(["-c", &format!("{} && pwd", created.next[0])])
        .output()
        .unwrap();
    let there = String::from_utf8(shell.stdout).unwrap();
    assert_eq!(
        Path::new(there.trim_end()).canonicalize().unwrap(),
        folder.canonicalize().unwrap()
    );
    assert_eq!(created.next[1], "python3 -m unittest");
}
