//! Signatures of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use veracity_processor::Secret;

/// A key that signs.
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// The key that `secret` holds: `whsec_` and base64 of 24 to 64 bytes.
    pub fn new(secret: &Secret) -> Result<Self, String> {
        // Some tools leave the padding out.
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text = secret
            .expose()
            .strip_prefix("whsec_")
            .ok_or("must begin with `whsec_`")?;
        // The decoder's own message would quote a part of the secret.
        let key = GeneralPurpose::new(&ALPHABET, config)
            .decode(text)
            .map_err(|_| "must be base64 after `whsec_`")?;
        if !(24..=64).contains(&key.len()) {
            return Err(format!(
                "must hold 24 to 64 bytes after `whsec_`, not {}",
                key.len()
            ));
        }
        Ok(Self(key))
    }

    /// The signature of `body`, sent under `id` at `timestamp` (Unix seconds):
    /// `v1,<base64>`.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const VECTORS: &str = include_str!("../tests/vectors/standard-webhooks.json");

    #[test]
    fn signatures_are_those_of_the_test_vectors() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 2);
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            let key = Key::new(&text("secret").into()).ok().unwrap();
            let timestamp = text("webhook-timestamp").parse().unwrap();
            let signature = key.sign(text("webhook-id"), timestamp, text("body").as_bytes());
            assert_eq!(signature, text("webhook-signature"), "{}", text("note"));
        }
    }

    #[test]
    fn a_key_must_be_of_the_standards_form() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        let cases = [
            ("24 bytes", of(24), ""),
            ("64 bytes", of(64), ""),
            ("no padding", of(25).trim_end_matches('=').to_owned(), ""),
            (
                "23 bytes",
                of(23),
                "must hold 24 to 64 bytes after `whsec_`, not 23",
            ),
            (
                "65 bytes",
                of(65),
                "must hold 24 to 64 bytes after `whsec_`, not 65",
            ),
            (
                "no prefix",
                STANDARD.encode([7; 24]),
                "must begin with `whsec_`",
            ),
            (
                "no base64",
                "whsec_hunter2!".to_owned(),
                "must be base64 after `whsec_`",
            ),
        ];
        for (label, secret, expected) in cases {
            let error = Key::new(&secret.into()).err().unwrap_or_default();
            assert_eq!(error, expected, "{label}");
        }
    }
}
