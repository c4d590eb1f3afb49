//! The operator's own certificate authorities, for a browser: Chromium has no argument for a file of them, but on Linux it
//! reads those of an NSS database in its home folder, which is its profile here. Its checks of names, dates and chains
//! stay as they are.
//!
//! Owns: that database. Must not know: what is rendered.

use super::settings::find;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The program that writes such databases.
const TOOL: &str = "certutil";
/// Certificates of a file.
const CERTIFICATES_MAX: usize = 200;
/// For the program to do one thing; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A sentence that says what is missing to trust a file's authorities, if anything is.
pub(super) fn missing() -> Option<String> {
    match find(TOOL) {
        Some(_) => None,
        None => Some(format!(
            "the browser does not trust the authorities of `fetch.extra_ca` without `{TOOL}`: install it \
             (`apt-get install libnss3-tools`)"
        )),
    }
}

/// Makes a browser with that home trust the authorities of a PEM file. The reason, if it cannot.
pub(super) async fn lay(home: &Path, file: &Path) -> Result<(), String> {
    let tool = find(TOOL).ok_or_else(|| missing().unwrap_or_default())?;
    let pem = tokio::fs::read(file).await.map_err(|error| format!("`{}`: {error}", file.display()))?;
    let database = home.join(".pki/nssdb");
    tokio::fs::create_dir_all(&database)
        .await
        .map_err(|error| format!("`{}`: {error}", database.display()))?;
    let at = format!("sql:{}", std::path::absolute(&database).unwrap_or_else(|_| database.clone()).display());
    certutil(&tool, &["-N", "-d", &at, "--empty-password"]).await?;
    for (n, certificate) in CertificateDer::pem_slice_iter(&pem).take(CERTIFICATES_MAX).enumerate() {
        let certificate = certificate.map_err(|error| format!("`{}`: {error}", file.display()))?;
        let part = database.join("authority.der");
        tokio::fs::write(&part, &certificate)
            .await
            .map_err(|error| format!("`{}`: {error}", part.display()))?;
        let (name, part) = (format!("authority {n}"), part.to_string_lossy());
        // Trusted to sign for servers, and for nothing else.
        certutil(&tool, &["-A", "-d", &at, "-n", &name, "-t", "C,,", "-i", &part]).await?;
    }
    Ok(())
}

async fn certutil(tool: &PathBuf, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(tool);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(PATIENCE, command.output()).await {
        Err(_) => Err(format!("`{TOOL}` did not end in time")),
        Ok(Err(error)) => Err(format!("`{TOOL}`: {error}")),
        Ok(Ok(done)) if done.status.success() => Ok(()),
        Ok(Ok(done)) => {
            let said: String = String::from_utf8_lossy(&done.stderr).trim().chars().take(300).collect();
            Err(format!("`{TOOL}`: {said}"))
        }
    }
}
