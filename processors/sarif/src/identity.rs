//! Names that stay the same from run to run.

use sha2::{Digest, Sha256};
use veracity_processor::AssertionResult;

/// The rule that `result` is about: readable, and its own for every check and assertion.
pub(crate) fn rule_id(result: &AssertionResult) -> String {
    let AssertionResult {
        check, assertion, ..
    } = result;
    let hash = digest(&[check, assertion], 6);
    let parts = [slug(check), slug(assertion)];
    let parts = parts.iter().filter(|part| !part.is_empty());
    let name: Vec<&str> = parts.map(String::as_str).collect();
    format!("{}-{hash}", name.join("/"))
        .trim_start_matches('-')
        .to_owned()
}

/// What tells the result apart from all others, in all runs of the suite: no value, and no
/// place, which may move.
pub(crate) fn fingerprint(suite: &str, result: &AssertionResult) -> String {
    let group = result.group.as_ref().map(ToString::to_string);
    let group = group.unwrap_or_default();
    digest(&[suite, &result.check, &result.assertion, &group], 8)
}

/// The first bytes of the SHA-256 of `parts`, in hexadecimal.
fn digest(parts: &[&str], bytes: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let bytes = digest.iter().take(bytes);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The words of `text`, in lower case, between hyphens; at most 60 characters.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().take(60) {
        if c.is_alphanumeric() {
            slug.extend(c.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(check: &str, assertion: &str) -> AssertionResult {
        AssertionResult::new(check, assertion)
    }

    #[test]
    fn a_rule_has_a_readable_name_of_its_own() {
        let cases = [
            (
                "Keys",
                "uniqueness(id) = 1",
                "keys/uniqueness-id-1-37736edb9a75",
            ),
            (
                "Keys",
                "uniqueness(id) < 1",
                "keys/uniqueness-id-1-4ddf0630ec21",
            ),
            ("数据", "Ä!", "数据/ä-62e8bf21f1f4"),
            ("::", "##[x]", "x-874a292da069"),
            ("", "", "374708fff771"),
        ];
        for (check, assertion, expected) in cases {
            assert_eq!(rule_id(&result(check, assertion)), expected);
        }
        assert_ne!(rule_id(&result("a", "bc")), rule_id(&result("ab", "c")));
    }

    #[test]
    fn a_fingerprint_knows_no_values_and_no_lines() {
        let mut one = result("keys", "uniqueness(id) = 1");
        let first = fingerprint("orders", &one);
        one.actual = Some(json!(0.5));
        one.violations = Some(3);
        one.reason = Some("x".into());
        one.location = Some(Default::default());
        one.severity = veracity_processor::Severity::P0;
        assert_eq!(fingerprint("orders", &one), first);
        assert_eq!(first.len(), 16);
        assert_ne!(fingerprint("customers", &one), first);
        one.group = Some(json!({"country": "SE"}));
        let grouped = fingerprint("orders", &one);
        assert_ne!(grouped, first);
        one.group = Some(json!({"country": "NL"}));
        assert_ne!(fingerprint("orders", &one), grouped);
    }
}
