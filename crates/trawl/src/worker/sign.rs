//! Signatures of webhooks after Standard Webhooks 1.0: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A signature in the making: the body is fed as it streams.
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// `secret` is `whsec_` and base64, or any text (then its bytes).
    pub(super) fn new(secret: &str, id: &str, timestamp_secs: i64) -> Self {
        let key =
            secret.strip_prefix("whsec_").and_then(decode).unwrap_or_else(|| secret.as_bytes().to_vec());
        // HMAC takes keys of any length.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
        mac.update(format!("{id}.{timestamp_secs}.").as_bytes());
        Self(mac)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The value of `webhook-signature`.
    pub(super) fn finish(self) -> String {
        format!("v1,{}", encode(&self.0.finalize().into_bytes()))
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |acc, b| acc << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut group, mut bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = ALPHABET.iter().position(|c| *c == byte)?;
        group = group << 6 | u32::try_from(digit).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((group >> bits & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_own_example() {
        let mut signer = Signer::new(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
        );
        signer.update(br#"{"test": 2432232314}"#);
        assert_eq!(signer.finish(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn base64_both_ways() {
        for text in ["", "a", "ab", "abc", "abcd"] {
            assert_eq!(decode(&encode(text.as_bytes())), Some(text.as_bytes().to_vec()), "{text}");
        }
    }
}
