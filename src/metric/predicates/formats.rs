//! The formats that one text has or has not.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::de::IgnoredAny;

/// Local part of 1 to 64, whole of at most 254 octets, dots within the local part neither
/// doubled nor at its ends. Quoted local parts, address literals (`[192.0.2.1]`) and
/// addresses beyond ASCII (RFC 6531) are legal but refused: hardly any of them is meant.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte))
        && is_domain(domain)
}

fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// Two labels or more, the last not a number.
fn is_domain(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once('.') else {
        return false;
    };
    text.len() <= 253
        && text.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// As browsers parse it, without what they repair: white space, control characters,
/// backslashes, missing or surplus slashes.
pub(super) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    ["http", "https", "ftp"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        && !rest.starts_with('/')
        && !rest
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
        && url::Url::parse(text).is_ok_and(|url| url.has_host())
}

pub(super) fn is_uuid(text: &str) -> bool {
    // Of the forms that are parsed, only the hyphenated one has this length.
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

pub(super) fn is_ipv4(text: &str) -> bool {
    Ipv4Addr::from_str(text).is_ok()
}

pub(super) fn is_ipv6(text: &str) -> bool {
    Ipv6Addr::from_str(text).is_ok()
}

/// A row of zeros passes Luhn's test, but is nobody's card.
pub(super) fn is_credit_card(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut digits, mut sum, mut separated) = (0, 0, true);
    for byte in bytes.iter().rev() {
        match byte {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0');
                let doubled = if digits % 2 == 1 { 2 * digit } else { digit };
                sum += doubled / 10 + doubled % 10;
                digits += 1;
                separated = false;
            }
            b' ' | b'-' if !separated => separated = true,
            _ => return false,
        }
    }
    (13..=19).contains(&digits) && !separated && sum > 0 && sum % 10 == 0
}

pub(super) fn is_iban(text: &str) -> bool {
    iban::Iban::from_str(text).is_ok()
}

pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
