//! Which keys an SFTP server may show: those that the caller names, else the one that it showed first.
//!
//! Invariant: a password or a signature is sent only after this has let the server's key pass and, the first time, after
//! it is remembered.

use super::{Courier, Fault};
use crate::documents;
use russh::keys::ssh_key::HashAlg;
use russh::keys::{Algorithm, PublicKey};
use store::Put;

/// Documents that remember keys: named by `host:port`, the text is the key's line.
const KIND: &str = "sftp_host";

/// The keys that a server may show, as lines of OpenSSH (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    lines: Vec<String>,
    /// Whether the caller named them.
    pinned: bool,
}

impl Known {
    /// Whether that key may be shown. Nothing known: any.
    pub(super) fn lets_pass(&self, key: &PublicKey) -> bool {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        self.lines.is_empty()
            || self.lines.iter().any(|line| {
                *line == fingerprint
                    || PublicKey::from_openssh(line).is_ok_and(|known| known.key_data() == key.key_data())
            })
    }

    /// The kinds of the known keys: a server with several keys is asked for one of these first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        self.lines
            .iter()
            .filter_map(|line| PublicKey::from_openssh(line).ok())
            .map(|key| key.algorithm())
            .collect()
    }

    /// What is said of a key that may not be shown.
    pub(super) fn refusal(&self, host: &str, key: &PublicKey) -> Fault {
        let shown = key.fingerprint(HashAlg::Sha256);
        Fault::never(if self.pinned {
            format!("`{host}` shows the key {shown}, which is none of `host_key`")
        } else {
            format!(
                "the key of `{host}` has changed: it now shows {shown}. If that is right, name it as `host_key`"
            )
        })
    }
}

impl Courier {
    /// The keys that a server may show.
    pub(super) async fn known_keys(&self, host: &str, port: u16, pinned: &[String]) -> Result<Known, Fault> {
        if !pinned.is_empty() {
            return Ok(Known { lines: pinned.to_vec(), pinned: true });
        }
        let found = documents::one(&*self.store, KIND, &place(host, port)).await;
        let found = found.map_err(|error| Fault::later(error.to_string()))?;
        Ok(Known { lines: found.map(|document| document.text).into_iter().collect(), pinned: false })
    }

    /// Remembers the key that a server showed first.
    pub(super) async fn remember_key(
        &self,
        host: &str,
        port: u16,
        pinned: &[String],
        key: &PublicKey,
    ) -> Result<(), Fault> {
        if !pinned.is_empty() {
            return Ok(());
        }
        let line = key.to_openssh().map_err(|error| Fault::never(error.to_string()))?;
        let put = self.store.put_document(KIND, &place(host, port), Some(line), Put::Over(0)).await;
        if put.map_err(|error| Fault::later(error.to_string()))? {
            return Ok(());
        }
        // Another was first, or it was known already.
        let known = self.known_keys(host, port, pinned).await?;
        if known.lets_pass(key) { Ok(()) } else { Err(known.refusal(host, key)) }
    }
}

fn place(host: &str, port: u16) -> String {
    format!("{}:{port}", host.to_ascii_lowercase())
}

/// A line that names a key: a fingerprint, a line of a public key file, or one of a `known_hosts` file (its hosts are not
/// looked at: the caller says whose key it is). `None` if it is none of these.
pub(crate) fn read_line(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let [word] = words[..]
        && let Some(digest) = word.strip_prefix("SHA256:")
    {
        let is_digest =
            digest.len() == 43 && digest.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
        return is_digest.then(|| word.to_owned());
    }
    words.windows(2).take(3).find_map(|pair| {
        let line = pair.join(" ");
        PublicKey::from_openssh(&line).is_ok().then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFiw7lKI+w8lzkYCJgsZ5HEuB6W1RHjbm2AWlVzgxnGZ";

    fn known(lines: &[&str]) -> Known {
        Known { lines: lines.iter().map(|line| (*line).to_owned()).collect(), pinned: true }
    }

    #[test]
    fn lines_of_every_usual_form_are_read() {
        assert_eq!(read_line(A).as_deref(), Some(A));
        assert_eq!(read_line(&format!(" {A} me@here ")).as_deref(), Some(A));
        assert_eq!(read_line(&format!("[h]:2222,10.0.0.1 {A}")).as_deref(), Some(A));
        let print = PublicKey::from_openssh(A).unwrap().fingerprint(HashAlg::Sha256).to_string();
        assert_eq!(read_line(&print).as_deref(), Some(print.as_str()));
        for bad in ["", "# a remark", "ssh-ed25519", "ssh-ed25519 AAAA", "SHA256:abc", "MD5:aa:bb"] {
            assert_eq!(read_line(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_known_keys_pass() {
        let (a, b) = (PublicKey::from_openssh(A).unwrap(), PublicKey::from_openssh(B).unwrap());
        assert!(known(&[]).lets_pass(&a));
        assert!(known(&[A]).lets_pass(&a) && !known(&[A]).lets_pass(&b));
        assert!(known(&[A, B]).lets_pass(&b));
        let print = a.fingerprint(HashAlg::Sha256).to_string();
        assert!(known(&[&print]).lets_pass(&a) && !known(&[&print]).lets_pass(&b));
        let refusal = known(&[A]).refusal("h", &b);
        assert!(!refusal.again && refusal.error.contains("SHA256:"), "{refusal:?}");
    }
}
