//! A caller's private key: read only in forms whose cost is known before it is paid.
//!
//! Invariant: no key makes the server compute for long or reserve much: a passphrase is stretched at most [`ROUNDS_MAX`]
//! rounds, and forms that let a file ask for memory (PuTTY's, PKCS #8 with a passphrase) are refused.

use russh::keys::ssh_key::Kdf;
use russh::keys::{PrivateKey, decode_secret_key};

/// Bytes of a key: an RSA key of 16,384 bits has 13,000.
const KEY_BYTES: usize = 20_000;
/// Rounds of bcrypt: `ssh-keygen` makes 16 to 24, a careful person a few hundred; each takes some milliseconds.
const ROUNDS_MAX: u32 = 1_000;

const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// What is wrong with a key, as the end of a sentence. Does not stretch the passphrase: whether it fits shows later.
pub(crate) fn fault(text: &str, has_passphrase: bool) -> Option<&'static str> {
    const FORM: &str = "must be a private key of OpenSSH, or one in PEM form";
    let text = text.trim();
    if text.len() > KEY_BYTES {
        return Some("must not be longer than 20000 bytes");
    }
    if text.starts_with("PuTTY-User-Key-File-") {
        return Some("is a PuTTY key: export it as an OpenSSH key");
    }
    if text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Some("is a PKCS #8 key with a passphrase: convert it with `ssh-keygen -p`");
    }
    if text.starts_with(OPENSSH) {
        return match PrivateKey::from_openssh(text) {
            Ok(key) => match key.kdf() {
                Kdf::Bcrypt { rounds, .. } if *rounds > ROUNDS_MAX => {
                    Some("stretches its passphrase over more than 1000 rounds")
                }
                _ if key.is_encrypted() && !has_passphrase => Some("needs its passphrase"),
                _ => None,
            },
            Err(_) => Some(FORM),
        };
    }
    // The old form with a passphrase (`Proc-Type: 4,ENCRYPTED`) stretches it by one MD5.
    if text.contains("ENCRYPTED") {
        return if has_passphrase { None } else { Some("needs its passphrase") };
    }
    decode_secret_key(text, None).err().map(|_| FORM)
}

/// The key, ready to sign. May take a second or two: call it where that harms nobody.
pub(super) fn open(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, &'static str> {
    const WRONG: &str = "cannot be opened with this passphrase";
    if let Some(fault) = fault(text, passphrase.is_some()) {
        return Err(fault);
    }
    let text = text.trim();
    if !text.starts_with(OPENSSH) {
        return decode_secret_key(text, passphrase).map_err(|_| WRONG);
    }
    let key = PrivateKey::from_openssh(text).map_err(|_| WRONG)?;
    match passphrase {
        Some(passphrase) if key.is_encrypted() => key.decrypt(passphrase).map_err(|_| WRONG),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_cost_much_is_refused_unread() {
        for (text, word) in [
            ("", "private key of OpenSSH"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "of OpenSSH"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: aes256-cbc", "PuTTY"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIF\n-----END ENCRYPTED PRIVATE KEY-----", "PKCS #8"),
            ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "passphrase"),
            (&"a".repeat(30_000), "longer"),
        ] {
            assert!(fault(text, false).is_some_and(|fault| fault.contains(word)), "{text:.40}");
        }
    }
}
