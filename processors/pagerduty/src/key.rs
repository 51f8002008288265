//! By what PagerDuty knows an alert again.

use serde_json::Value;
use sha2::{Digest, Sha256};
use veracity_processor::{AssertionResult, is_deceptive};

/// The most bytes of a dedup key. PagerDuty counts characters, of which there are never
/// more.
pub(crate) const LONGEST: usize = 255;

/// The dedup key of what one assertion found, for one group where it has groups. It is the
/// same in every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// `veracity/<suite>/<dataset>/<check>/<assertion>[<group>]`, without a part for a
    /// dataset that has no name; of a longer one the beginning and a digest. It holds
    /// neither quotes, backslashes nor control characters.
    pub text: String,
    /// A digest of the assertion, the same for all its groups: eight characters.
    pub assertion: String,
}

impl Key {
    /// That of `result` of `suite`.
    pub fn of(suite: &str, result: &AssertionResult) -> Self {
        let dataset = (!result.dataset.is_empty()).then_some(&result.dataset);
        let mut text = beginning(suite);
        for name in dataset
            .into_iter()
            .chain([&result.check, &result.assertion])
        {
            text.push('/');
            write(&mut text, name, "/%[]");
        }
        let assertion = digest(&text, 4);
        if let Some(group) = &result.group {
            text.push('[');
            write_group(&mut text, group);
            text.push(']');
        }
        Self {
            text: fit(text),
            assertion,
        }
    }
}

/// The dedup key of the alert for all that has none of its own in `suite`.
pub(crate) fn more(suite: &str) -> String {
    // That of an assertion has at least one part more.
    fit(beginning(suite) + "/more")
}

/// The first `bytes` bytes of the digest of `text`, in hexadecimal digits.
pub(crate) fn digest(text: &str, bytes: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(bytes)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn beginning(suite: &str) -> String {
    let mut text = "veracity/".to_owned();
    write(&mut text, suite, "/%[]");
    text
}

/// Appends `name`, with `reserved` and what does not belong into a key percent-encoded.
fn write(text: &mut String, name: &str, reserved: &str) {
    for c in name.chars() {
        if is_deceptive(c) || matches!(c, '"' | '\\') || reserved.contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                text.push_str(&format!("%{byte:02X}"));
            }
        } else {
            text.push(c);
        }
    }
}

/// Appends `group` as `country=SE,year=2026`, sorted by column.
fn write_group(text: &mut String, group: &Value) {
    let write = |text: &mut String, value: &Value| match value {
        Value::String(value) => write(text, value, "/%[],="),
        value => write(text, &value.to_string(), "/%[],="),
    };
    let Value::Object(columns) = group else {
        return write(text, group);
    };
    let mut columns: Vec<_> = columns.iter().collect();
    columns.sort_by_key(|(name, _)| *name);
    for (place, (name, value)) in columns.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write(text, &Value::String(name.clone()));
        // NULL is not the text `null`.
        if !value.is_null() {
            text.push('=');
            write(text, value);
        }
    }
}

/// `text`, or its beginning and a digest of all of it.
fn fit(mut text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let digest = digest(&text, 8);
    text.truncate(text.floor_char_boundary(LONGEST - 1 - digest.len()));
    text + "~" + &digest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use veracity_processor::conformance::HOSTILE;

    use super::*;

    fn key(dataset: &str, check: &str, assertion: &str, group: Option<Value>) -> String {
        let mut result = AssertionResult::new(check, assertion);
        (result.dataset, result.group) = (dataset.to_owned(), group);
        Key::of("s", &result).text
    }

    #[test]
    fn a_key_names_the_assertion_and_nothing_that_changes() {
        let cases = [
            (
                key("orders", "keys", "uniqueness(id) = 1", None),
                "veracity/s/orders/keys/uniqueness(id) = 1",
            ),
            (key("", "keys", "a", None), "veracity/s/keys/a"),
            (key("d", "", "a", None), "veracity/s/d//a"),
            (
                key("d", "c", "a", Some(json!({"y": 2026, "x": "S,E=/"}))),
                "veracity/s/d/c/a[x=S%2CE%3D%2F,y=2026]",
            ),
            (
                key("d", "c", "a", Some(json!({"x": null, "y": "null"}))),
                "veracity/s/d/c/a[x,y=null]",
            ),
            (key("d", "c", "a", Some(json!("b"))), "veracity/s/d/c/a[b]"),
            (
                key("d", "c", "a/b [x] 5%", None),
                "veracity/s/d/c/a%2Fb %5Bx%5D 5%25",
            ),
            (
                key("d", "c", "\"\\\n\0\u{202e}é", None),
                "veracity/s/d/c/%22%5C%0A%00%E2%80%AEé",
            ),
            (more("a/more"), "veracity/a%2Fmore/more"),
        ];
        for (key, expected) in cases {
            assert_eq!(key, expected);
        }
        let mut result = AssertionResult::new("c", "a");
        let before = Key::of("s", &result);
        (result.actual, result.violations) = (Some(json!(7)), Some(7));
        result.reason = Some("7".into());
        assert_eq!(Key::of("s", &result), before);
        result.group = Some(json!({"g": 1}));
        assert_eq!(Key::of("s", &result).assertion, before.assertion);
    }

    #[test]
    fn a_long_key_ends_in_a_digest_and_stays_apart_from_others() {
        let mut keys = BTreeSet::new();
        for length in [100, 250, 255, 256, 1000, 10_000] {
            for letter in ["x", "\u{1f600}", "\n"] {
                let key = key("d", "c", &letter.repeat(length), None);
                assert!(key.len() <= LONGEST, "{}", key.len());
                assert!(keys.insert(key));
            }
        }
        let digested = key("d", "c", &"x".repeat(10_000), None);
        assert_eq!((digested.len(), digested.rfind('~')), (255, Some(238)));
        assert!(more(&"s".repeat(300)).len() == LONGEST);
    }

    #[test]
    fn no_name_makes_a_key_that_json_must_escape() {
        let groups = HOSTILE
            .iter()
            .map(|name| key(name, name, name, Some(json!({*name: name}))));
        for key in groups {
            assert_eq!(
                serde_json::to_string(&key).unwrap().len(),
                key.len() + 2,
                "{key}"
            );
        }
    }
}
