//! The keys that seal credentials before they reach the store (AES-256-GCM).
//!
//! Owns: where the key comes from, the sealed form. Must not know: what is sealed, the store.
//!
//! Invariants: the first key seals, all of them open; a sealed text says by which key it can be opened; no error shows
//! a key or a text. Texts of versions that did not seal are opened as they are.

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Sealed;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// What sealed texts begin with; the key's id and the base64 of nonce and ciphertext follow, between colons.
const MARK: &str = "sealed:v1:";
/// What a sealed text was made for: another use of the same key cannot take it for its own.
const PURPOSE: &[u8] = b"trawl credential v1";
/// The key of a single machine, in its data folder.
const KEY_FILE: &str = "secret.key";

/// Seals and opens credentials.
pub struct Vault {
    keys: Vec<Key>,
}

struct Key {
    /// The first half of a SHA-256 over it, in hex: says which key it is and nothing about it.
    id: String,
    aead: LessSafeKey,
}

/// Why a credential could not be opened, in words that may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Sealed by a key that this server does not have.
    #[error(
        "the credentials were sealed with a key (id {0}) that this server does not have: add it to `secret_keys_old`"
    )]
    NoKey(String),
    /// Not what was sealed.
    #[error("the sealed credentials are damaged")]
    Damaged,
    /// The machine gives no random numbers.
    #[error("credentials could not be sealed")]
    NotSealed,
}

impl Vault {
    /// With the operator's keys; without any, with the one in the data folder, which is made at the first start.
    ///
    /// `shared`: other machines use the same database, so a key in a folder of this one would not do.
    pub fn open(secret_key: &str, old: &[&str], shared: bool, data: &Path) -> Result<Self> {
        let own = match secret_key {
            "" if shared => bail!(
                "`secret_key` must be set with a PostgreSQL database: every node seals and opens credentials with it \
                 (32 random bytes as base64, such as `openssl rand -base64 32` prints)"
            ),
            "" => of_folder(data)?,
            text => read(text).context("`secret_key`")?,
        };
        let mut keys = vec![Key::new(&own)?];
        for (at, text) in old.iter().enumerate() {
            keys.push(Key::new(&read(text).with_context(|| format!("`secret_keys_old`, key {}", at + 1))?)?);
        }
        Ok(Self { keys })
    }

    /// Seals what is still plain; what is sealed stays as it is.
    pub fn seal<'a>(
        &self,
        credentials: impl IntoIterator<Item = &'a mut Sealed>,
    ) -> std::result::Result<(), VaultError> {
        for credential in credentials {
            if let Some(plain) = credential.as_plain() {
                *credential = self.seal_text(plain)?;
            }
        }
        Ok(())
    }

    fn seal_text(&self, plain: &str) -> std::result::Result<Sealed, VaultError> {
        let key = self.keys.first().ok_or(VaultError::NotSealed)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::NotSealed)?;
        let mut bytes = plain.as_bytes().to_vec();
        // A random nonce of 96 bits bears four thousand million credentials under one key.
        key.aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(PURPOSE), &mut bytes)
            .map_err(|_| VaultError::NotSealed)?;
        bytes.splice(0..0, nonce);
        Ok(Sealed::stored(format!("{MARK}{}:{}", key.id, STANDARD.encode(bytes))))
    }

    /// The text as the caller gave it.
    pub fn text(&self, credential: &Sealed) -> std::result::Result<String, VaultError> {
        let Some(stored) = credential.as_stored() else {
            return Ok(credential.as_plain().unwrap_or_default().to_owned());
        };
        let Some(rest) = stored.strip_prefix(MARK) else { return Ok(stored.to_owned()) };
        let (id, text) = rest.split_once(':').ok_or(VaultError::Damaged)?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| VaultError::NoKey(id.chars().take(32).collect()))?;
        let mut bytes = STANDARD.decode(text).map_err(|_| VaultError::Damaged)?;
        if bytes.len() < NONCE_LEN {
            return Err(VaultError::Damaged);
        }
        let mut sealed = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| VaultError::Damaged)?;
        let plain = key.aead.open_in_place(nonce, Aad::from(PURPOSE), &mut sealed);
        String::from_utf8(plain.map_err(|_| VaultError::Damaged)?.to_vec()).map_err(|_| VaultError::Damaged)
    }
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self> {
        let digest = Sha256::new().chain_update(PURPOSE).chain_update(bytes).finalize();
        let id = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let Ok(key) = UnboundKey::new(&AES_256_GCM, bytes) else { bail!("a key of the wrong length") };
        Ok(Self { id, aead: LessSafeKey::new(key) })
    }
}

/// Base64 of exactly 32 bytes. The error does not show it.
fn read(text: &str) -> Result<[u8; KEY_BYTES]> {
    let bytes = STANDARD.decode(text.trim()).ok();
    let key = bytes.and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
    key.context("should be 32 bytes as base64, such as `openssl rand -base64 32` prints")
}

/// The key of the data folder; made if there is none.
fn of_folder(data: &Path) -> Result<[u8; KEY_BYTES]> {
    let path = data.join(KEY_FILE);
    let place = || format!("the key of credentials, `{}`", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) => return read(&text).with_context(place),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(place),
    }
    let mut key = [0; KEY_BYTES];
    if getrandom::fill(&mut key).is_err() {
        bail!("the system gives no random numbers for {}", place());
    }
    // Under another name first: a crash leaves no half of a key, and a key that is there is never written over.
    let mut fresh = tempfile::NamedTempFile::new_in(data).with_context(place)?;
    // Only the owner can read such a file from the moment it is made.
    fresh.write_all(format!("{}\n", STANDARD.encode(key)).as_bytes()).with_context(place)?;
    fresh.as_file().sync_all().with_context(place)?;
    match fresh.persist_noclobber(&path) {
        Ok(_) => {
            std::fs::File::open(data).and_then(|folder| folder.sync_all()).with_context(place)?;
            Ok(key)
        }
        // Another process was first.
        Err(_) => read(&std::fs::read_to_string(&path).with_context(place)?).with_context(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn vault(key: &str, old: &[&str]) -> Vault {
        Vault::open(key, old, false, Path::new("/nowhere")).unwrap()
    }

    fn sealed(vault: &Vault, text: &str) -> Sealed {
        let mut credential = Sealed::plain(text);
        vault.seal([&mut credential]).unwrap();
        credential
    }

    #[test]
    fn what_is_sealed_is_opened_and_never_the_same_twice() {
        let vault = vault(A, &[]);
        let (one, two) = (sealed(&vault, "hunter2 ü"), sealed(&vault, "hunter2 ü"));
        assert_ne!(one, two);
        assert_eq!(vault.text(&one).unwrap(), "hunter2 ü");
        assert!(!one.as_stored().unwrap().contains("hunter2"));
        let mut again = one.clone();
        vault.seal([&mut again]).unwrap();
        assert_eq!(again, one, "what is sealed stays");
    }

    #[test]
    fn old_keys_open_and_the_new_one_seals() {
        let before = sealed(&vault(A, &[]), "hunter2");
        let turned = vault(B, &[A]);
        assert_eq!(turned.text(&before).unwrap(), "hunter2");
        let after = sealed(&turned, "hunter2");
        assert_eq!(vault(B, &[]).text(&after).unwrap(), "hunter2");
        let error = vault(B, &[]).text(&before).unwrap_err();
        assert!(error.to_string().contains("secret_keys_old"), "{error}");
    }

    #[test]
    fn rows_of_old_versions_are_read_and_damage_is_told() {
        let vault = vault(A, &[]);
        assert_eq!(vault.text(&Sealed::stored("Token abc")).unwrap(), "Token abc");
        let good = sealed(&vault, "hunter2").as_stored().unwrap().to_owned();
        let id = good.split(':').nth(2).unwrap();
        let mut other = good.clone();
        let digit = other.remove(other.len() - 12);
        other.insert(other.len() - 11, if digit == 'x' { 'y' } else { 'x' });
        for text in [
            good[..good.len() - 8].to_owned(),
            format!("{MARK}{id}"),
            format!("{MARK}{id}:AAAA"),
            format!("{MARK}{id}:ä"),
            other,
        ] {
            assert!(vault.text(&Sealed::stored(text.clone())).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_of_the_wrong_form_are_refused_without_showing_them() {
        for (key, old) in [("hunter2", vec![]), ("aHVudGVyMg==", vec![]), (A, vec!["hunter2"])] {
            let error = Vault::open(key, &old, false, Path::new("/nowhere")).err().map(|e| format!("{e:#}"));
            let error = error.unwrap_or_default();
            assert!(error.contains("secret_key") && error.contains("32 bytes"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("aHVudGVyMg"), "{error}");
        }
        let error = Vault::open("", &[], true, Path::new("/nowhere")).err().map(|e| e.to_string());
        assert!(error.unwrap_or_default().contains("`secret_key` must be set"));
    }

    #[cfg(unix)]
    #[test]
    fn a_single_machine_makes_its_key_once_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let first = Vault::open("", &[], false, data.path()).unwrap();
        let credential = sealed(&first, "hunter2");
        let second = Vault::open("", &[], false, data.path()).unwrap();
        assert_eq!(second.text(&credential).unwrap(), "hunter2");
        let mode = std::fs::metadata(data.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(data.path().join(KEY_FILE), "half a ke").unwrap();
        assert!(Vault::open("", &[], false, data.path()).is_err(), "a broken key is not replaced");
    }
}
