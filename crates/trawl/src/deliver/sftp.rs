//! Files to an SFTP server: under `name.part` first, then renamed, so that nobody sees half of one.
//!
//! Invariants: the connection is to an address that the guard let pass; credentials are sent only after the server's key
//! was let pass (`host_key`); a few pieces of the file are on their way at once.

use super::host_key::Known;
use super::{Body, CourierSettings, Fault, name, ssh_key, within, word};
use bytes::Bytes;
use fetch::Outbound;
use futures_util::stream::{FuturesUnordered, StreamExt};
use russh::client::{self, AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Disconnect, MethodKind};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::{Config as SftpConfig, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of one write: what every server takes.
const WRITE_BYTES: usize = 32 << 10;
/// Writes on their way at once.
const IN_FLIGHT: usize = 16;
/// A line without an answer for so long is asked whether it still stands, and given up after three times.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Questions of a server that asks for the password in a dialogue.
const PROMPTS_MAX: usize = 4;
/// What a file's name ends with while it is written.
const UNFINISHED: &str = ".part";
/// Extensions of OpenSSH: a rename that replaces, and a wait until the file is on the disk.
const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";

/// Whom to log in as, where.
pub(super) struct Login<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) known: &'a Known,
    pub(super) words: &'a Map<String, Value>,
}

/// Looks at the server's key.
struct Gate {
    known: Known,
    seen: Arc<Mutex<Option<PublicKey>>>,
}

impl client::Handler for Gate {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // Certificates are not asked for, so none should come.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        Ok(self.known.lets_pass(key))
    }
}

/// A connection whose server is known, before the login.
pub(super) struct Session {
    line: client::Handle<Gate>,
    seen: PublicKey,
    settings: CourierSettings,
}

impl Session {
    /// Connects, and lets the server's key pass or not.
    pub(super) async fn open(
        login: &Login<'_>,
        outbound: &Outbound,
        settings: CourierSettings,
    ) -> Result<Self, Fault> {
        let stream = outbound.dial(login.host, login.port).await?;
        let mut config = client::Config {
            inactivity_timeout: Some(settings.still * 2),
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..client::Config::default()
        };
        let mut order = login.known.algorithms();
        order.extend(
            config.preferred.key.iter().filter(|key| !order.contains(key)).cloned().collect::<Vec<_>>(),
        );
        config.preferred.key = order.into();
        let seen = Arc::new(Mutex::new(None));
        let gate = Gate { known: login.known.clone(), seen: seen.clone() };
        let shake = async {
            client::connect_stream(Arc::new(config), stream, gate).await.map_err(|error| {
                let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match (error, seen) {
                    (russh::Error::UnknownKey, Some(key)) => login.known.refusal(login.host, &key),
                    (error, _) => Fault::later(format!("no SSH connection with `{}`: {error}", login.host)),
                }
            })
        };
        let line = within(settings.timeout, "the SSH handshake", shake).await?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seen = seen.ok_or_else(|| Fault::later("the SSH server showed no key"))?;
        Ok(Self { line, seen, settings })
    }

    /// The key that the server showed.
    pub(super) fn seen(&self) -> &PublicKey {
        &self.seen
    }

    /// Logs in and opens the file part of the connection.
    pub(super) async fn log_in(mut self, login: &Login<'_>) -> Result<Files, Fault> {
        let settings = self.settings;
        let work = async {
            self.authenticate(login).await?;
            let channel = self.line.channel_open_session().await.map_err(|error| broken(&error))?;
            channel.request_subsystem(true, "sftp").await.map_err(|error| broken(&error))?;
            let config =
                SftpConfig { request_timeout_secs: settings.still.as_secs().max(1), ..SftpConfig::default() };
            let files = RawSftpSession::new_with_config(channel.into_stream(), config);
            let version = files.init().await.map_err(|error| fault("the SFTP session", &error))?;
            let extends = |name: &str| version.extensions.contains_key(name);
            let (renames, syncs) = (extends(POSIX_RENAME), extends(FSYNC));
            Ok(Files { files, line: self.line, renames, syncs, settings })
        };
        within(settings.timeout, "the SFTP login", work).await
    }

    async fn authenticate(&mut self, login: &Login<'_>) -> Result<(), Fault> {
        let user = word(login.words, "username");
        let result = match word(login.words, "ssh_key") {
            "" => self.by_password(user, word(login.words, "password")).await?,
            key => {
                let (key, passphrase) = (key.to_owned(), word(login.words, "passphrase").to_owned());
                let passphrase = Some(passphrase).filter(|text| !text.is_empty());
                let open = move || ssh_key::open(&key, passphrase.as_deref());
                let key = tokio::task::spawn_blocking(open).await.map_err(|e| Fault::later(e.to_string()))?;
                let key = key.map_err(|why| Fault::never(format!("`ssh_key` {why}")))?;
                // Asking waits a second for servers that do not say it.
                let hash = match key.algorithm().is_rsa() {
                    true => self.line.best_supported_rsa_hash().await.map_err(|error| broken(&error))?,
                    false => None,
                };
                // A server that does not say what it takes takes what is not broken.
                let hash = hash.unwrap_or(Some(russh::keys::HashAlg::Sha256));
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                self.line.authenticate_publickey(user, key).await.map_err(|error| broken(&error))?.success()
            }
        };
        if result {
            return Ok(());
        }
        Err(Fault::never(format!("`{}` refused the login of `{user}`", login.host)))
    }

    /// By password; in a dialogue where the server wants it so.
    async fn by_password(&mut self, user: &str, password: &str) -> Result<bool, Fault> {
        let tried = self.line.authenticate_password(user, password).await.map_err(|error| broken(&error))?;
        let asks = match &tried {
            AuthResult::Success => return Ok(true),
            AuthResult::Failure { remaining_methods, .. } => {
                remaining_methods.contains(&MethodKind::KeyboardInteractive)
            }
        };
        if !asks {
            return Ok(false);
        }
        let begun = self.line.authenticate_keyboard_interactive_start(user, None::<String>).await;
        let mut said = begun.map_err(|error| broken(&error))?;
        for _ in 0..PROMPTS_MAX {
            let prompts = match said {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts.len(),
            };
            let answers = vec![password.to_owned(); prompts.min(PROMPTS_MAX)];
            let answered = self.line.authenticate_keyboard_interactive_respond(answers).await;
            said = answered.map_err(|error| broken(&error))?;
        }
        Ok(false)
    }
}

/// A login's files.
pub(super) struct Files {
    files: RawSftpSession,
    line: client::Handle<Gate>,
    renames: bool,
    syncs: bool,
    settings: CourierSettings,
}

impl Files {
    /// Writes a file, replacing one of the same name. Folders that are not there are made.
    pub(super) async fn upload(
        &mut self,
        directory: Option<&str>,
        file: &str,
        body: Body,
    ) -> Result<(), Fault> {
        let path = name::join(directory, file);
        let unfinished = format!("{path}{UNFINISHED}");
        let result = match self.create(&unfinished).await {
            Ok(handle) => self.fill(&handle, &unfinished, body).await,
            Err(fault) => return Err(fault),
        };
        match result {
            Ok(()) => self.rename(&unfinished, &path).await,
            Err(fault) => {
                // What cannot be removed is written over by the next attempt.
                let removed =
                    tokio::time::timeout(self.settings.timeout, self.files.remove(&*unfinished)).await;
                tracing::debug!(?removed, "an unfinished file was to be removed");
                Err(fault)
            }
        }
    }

    /// Removes a file.
    pub(super) async fn remove(&self, directory: Option<&str>, file: &str) -> Result<(), Fault> {
        let path = name::join(directory, file);
        self.files.remove(&*path).await.map(drop).map_err(|error| fault("removing the file", &error))
    }

    /// Says goodbye; the server need not hear it.
    pub(super) async fn close(self) {
        let bye = self.line.disconnect(Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_secs(1), bye).await;
    }

    async fn create(&self, path: &str) -> Result<String, Fault> {
        let open = || {
            let flags = OpenFlags::CREATE | OpenFlags::WRITE | OpenFlags::TRUNCATE;
            self.files.open(path, flags, FileAttributes::empty())
        };
        match open().await {
            Ok(handle) => return Ok(handle.handle),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => {}
            Err(error) => return Err(fault("creating the file", &error)),
        }
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            // That it is there already is no error; whether it can be used shows at once.
            let made = self.files.mkdir(&path[..at], FileAttributes::empty()).await;
            tracing::trace!(?made, "a folder");
        }
        open().await.map(|handle| handle.handle).map_err(|error| fault("creating the file", &error))
    }

    async fn fill(&self, handle: &str, path: &str, mut body: Body) -> Result<(), Fault> {
        let mut writing = FuturesUnordered::new();
        let mut at = 0_u64;
        while let Some(piece) = body.next().await {
            let mut piece: Bytes = piece.map_err(|error| Fault::later(error.to_string()))?;
            while !piece.is_empty() {
                let now = piece.split_to(piece.len().min(WRITE_BYTES));
                let length = now.len() as u64;
                writing.push(self.files.write(handle, at, now.to_vec()));
                at += length;
                if writing.len() >= IN_FLIGHT
                    && let Some(written) = writing.next().await
                {
                    written.map_err(|error| fault("writing the file", &error))?;
                }
            }
        }
        while let Some(written) = writing.next().await {
            written.map_err(|error| fault("writing the file", &error))?;
        }
        if self.syncs {
            self.files.fsync(handle).await.map_err(|error| fault("writing the file", &error))?;
        }
        self.files.close(handle).await.map_err(|error| fault("closing the file", &error))?;
        let there = self.files.stat(path).await.map_err(|error| fault("looking at the file", &error))?;
        match there.attrs.size {
            Some(size) if size != at => {
                Err(Fault::later(format!("the file has {size} bytes there, not the {at} that were written")))
            }
            _ => Ok(()),
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let failed = |error: SftpError| fault("renaming the file", &error);
        if !self.renames {
            // A plain rename does not replace. The file of an earlier attempt goes first; there may be none.
            let removed = self.files.remove(to).await;
            tracing::trace!(?removed, "the file of an earlier attempt");
            return self.files.rename(from, to).await.map(drop).map_err(failed);
        }
        let mut words = Vec::with_capacity(8 + from.len() + to.len());
        for word in [from, to] {
            // Cast: names have at most a thousand bytes.
            words.extend_from_slice(&(word.len() as u32).to_be_bytes());
            words.extend_from_slice(word.as_bytes());
        }
        match self.files.extended(POSIX_RENAME, words).await.map_err(failed)? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(failed(SftpError::Status(status))),
            _ => Err(failed(SftpError::UnexpectedPacket)),
        }
    }
}

fn broken(error: &russh::Error) -> Fault {
    Fault::later(format!("the SSH connection broke: {error}"))
}

/// What an answer of the server means.
fn fault(doing: &str, error: &SftpError) -> Fault {
    let text = format!("{doing} failed: {error}");
    match error {
        SftpError::Status(status)
            if matches!(
                status.status_code,
                StatusCode::PermissionDenied | StatusCode::NoSuchFile | StatusCode::OpUnsupported
            ) =>
        {
            Fault::never(text)
        }
        _ => Fault::later(text),
    }
}
