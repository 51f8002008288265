//! Names that a plugin can have.

use crate::{Lang, ScaffoldError};

/// The longest name, in characters.
const LONGEST: usize = 64;

/// Names that no crate can have: words of the language, names that cargo keeps to itself.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Crates that a new plugin depends on, or will.
const NEEDED: &[&str] = &[
    "schemars",
    "serde",
    "serde_json",
    "tempfile",
    "veracity",
    "veracity_processor",
];

/// Checks whether a plugin in `lang` can be called `name`: a lower-case letter followed by
/// lower-case letters, digits, `-` and `_`, 64 at most; a crate's name is no word of Rust and
/// not that of a crate it needs.
///
/// # Errors
///
/// [`ScaffoldError::Name`] with the nearest name that would do.
pub fn check_name(name: &str, lang: Lang) -> Result<(), ScaffoldError> {
    let Some(why) = wrong(name, lang) else {
        return Ok(());
    };
    Err(ScaffoldError::Name {
        name: name.chars().take(80).collect(),
        why: why.to_owned(),
        suggestion: nearest(name, lang),
    })
}

fn wrong(name: &str, lang: Lang) -> Option<&'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let is_fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= LONGEST
        && name.chars().all(legal);
    let own = crate_name(name);
    if !is_fine {
        return Some(
            "is not a lower-case letter followed by letters, digits, `-` and `_`, 64 at most",
        );
    }
    match lang {
        Lang::Rust if TAKEN.contains(&&*own) => Some("is taken by Rust or cargo"),
        Lang::Rust if NEEDED.contains(&&*own) => Some("is the name of a crate that it needs"),
        _ => None,
    }
}

/// The legal name that is most like `name`.
fn nearest(name: &str, lang: Lang) -> String {
    let mut near = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => near.push(c),
            // One for all that stands between two words.
            _ if near.ends_with('-') => {}
            _ => near.push('-'),
        }
    }
    let near = near.trim_matches(['-', '_']);
    let mut near = match near.chars().next() {
        None => "my-plugin".to_owned(),
        Some('0'..='9') => format!("plugin-{near}"),
        Some(_) => near.to_owned(),
    };
    near.truncate(LONGEST);
    let mut near = near.trim_end_matches(['-', '_']).to_owned();
    if wrong(&near, lang).is_some() {
        near.push_str("-plugin");
    }
    near
}

/// `name` as Rust writes it.
pub(crate) fn crate_name(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_plugin_can_have() {
        let long = "a".repeat(LONGEST);
        for name in ["ledger", "a", "sms-text_2", "ledger-", &long] {
            for lang in Lang::ALL {
                assert!(check_name(name, lang).is_ok(), "{name} {lang}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_name_that_would_do() {
        let long = "a".repeat(200);
        let cases = [
            ("Ledger", "ledger"),
            ("my ledger!", "my-ledger"),
            ("S  M  S", "s-m-s"),
            ("2fa", "plugin-2fa"),
            ("_x", "x"),
            ("größe", "gr-e"),
            ("", "my-plugin"),
            ("../../etc", "etc"),
            ("日本", "my-plugin"),
            ("fn", "fn-plugin"),
            ("Self", "self-plugin"),
            ("serde-json", "serde-json-plugin"),
            ("veracity-processor", "veracity-processor-plugin"),
            ("proc-macro", "proc-macro-plugin"),
            (&long, &long[..LONGEST]),
        ];
        for (name, expected) in cases {
            let Err(ScaffoldError::Name { suggestion, .. }) = check_name(name, Lang::Rust) else {
                panic!("{name} is taken for a name");
            };
            assert_eq!(suggestion, expected, "{name}");
            assert!(check_name(&suggestion, Lang::Rust).is_ok(), "{name}");
        }
        assert!(check_name("fn", Lang::Python).is_ok());
        let error = check_name("fn", Lang::Rust).unwrap_err().to_string();
        assert_eq!(
            error,
            "name `fn` is taken by Rust or cargo; `fn-plugin` would do"
        );
    }
}
