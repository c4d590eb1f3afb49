//! Files to where people keep their data: object stores, SFTP servers, mailboxes.
//!
//! Owns: how a file is handed over to each, and what a failure means. Must not know: when and how often a delivery is
//! tried, which rows are in a file (`worker::deliver`), how callers describe a destination (`api::destination`).
//!
//! Invariants: addresses that callers name pass the guard of [`Outbound`]; memory is a few pieces of a file, whatever its
//! size; a file is there whole or not at all, and the same name is replaced; no error shows a credential.

mod blot;
pub(crate) mod host_key;
mod mail;
pub(crate) mod name;
mod object;
mod probe;
mod sftp;
pub(crate) mod ssh_key;

pub use mail::{MailSettings, Mailer};

use crate::vault::{Vault, VaultError};
use blot::Blot;
use bytes::Bytes;
use fetch::{BucketConnector, Outbound};
use futures_util::Stream;
use model::{Destination, Sealed};
use serde_json::{Map, Value};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// The bytes of a file, made as they are taken.
pub(crate) type Body = Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin>;

/// A file to be handed over.
pub(crate) struct Parcel<'a> {
    /// Its name; may have folders in it, never ones that lead upwards.
    pub(crate) name: &'a str,
    /// `Content-Type`.
    pub(crate) content_type: &'static str,
    /// Unique to this part of this delivery, the same over its attempts.
    pub(crate) id: String,
    /// What it is, for people.
    pub(crate) about: String,
    /// Path and query of the API's address at which the same can be got.
    pub(crate) download: String,
}

/// Why a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In words that may be shown.
    pub(crate) error: String,
    /// Whether it may get better by itself.
    pub(crate) again: bool,
}

impl Fault {
    fn later(error: impl Into<String>) -> Self {
        Self { error: error.into(), again: true }
    }

    fn never(error: impl Into<String>) -> Self {
        Self { error: error.into(), again: false }
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        // An operator may bring the key back.
        Self::later(error.to_string())
    }
}

impl From<fetch::FetchError> for Fault {
    fn from(error: fetch::FetchError) -> Self {
        // An address off limits does not get better.
        Self { again: error.kind != fetch::FetchErrorKind::Refused, error: error.message }
    }
}

/// Bounds of handing over.
#[derive(Clone, Copy, Debug)]
pub struct CourierSettings {
    /// For connecting, logging in, a small request.
    pub timeout: Duration,
    /// For one piece of a file.
    pub still: Duration,
}

/// Parts that a [`Courier`] is made of.
pub struct CourierParts {
    /// The keys of credentials.
    pub vault: Arc<Vault>,
    /// The way to addresses that callers name.
    pub outbound: Arc<Outbound>,
    /// The way to object stores that callers name.
    pub connector: BucketConnector,
    /// Where the keys of SFTP servers are remembered.
    pub store: Arc<dyn Store>,
    /// The operator's mail server, if there is one.
    pub mailer: Option<Mailer>,
}

/// Hands files over.
pub struct Courier {
    vault: Arc<Vault>,
    outbound: Arc<Outbound>,
    connector: BucketConnector,
    store: Arc<dyn Store>,
    mailer: Option<Mailer>,
    settings: CourierSettings,
    /// Tests of destinations under way.
    probes: tokio::sync::Semaphore,
}

impl Courier {
    /// Over these. Without a mailer no mail is sent.
    pub fn new(parts: CourierParts, settings: CourierSettings) -> Self {
        let CourierParts { vault, outbound, connector, store, mailer } = parts;
        let probes = tokio::sync::Semaphore::new(probe::AT_ONCE);
        Self { vault, outbound, connector, store, mailer, settings, probes }
    }

    /// The keys of credentials.
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Whether mail can be sent.
    pub(crate) fn sends_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// Hands a file over; it is there, whole, when this returns.
    pub(crate) async fn hand_over(
        &self,
        destination: &Destination,
        parcel: &Parcel<'_>,
        body: Body,
    ) -> Result<(), Fault> {
        match destination {
            // Posted with headers of its own, which a file has not.
            Destination::Webhook { .. } => Err(Fault::never("a webhook takes no files")),
            Destination::S3 { credentials, directory, .. }
            | Destination::Gcs { credentials, directory, .. }
            | Destination::Azure { credentials, directory, .. } => {
                let words = self.words(credentials)?;
                let blot = Blot::of(&words);
                let open = object::open(destination, &words, &self.connector);
                let store = open.map_err(|fault| blot.fault(fault))?;
                let path = object::path(directory.as_deref(), parcel.name)?;
                object::upload(&*store, &path, parcel.content_type, body, self.settings.still)
                    .await
                    .map_err(|fault| blot.fault(fault))
            }
            Destination::Sftp { host, port, directory, host_keys, credentials } => {
                let words = self.words(credentials)?;
                let blot = Blot::of(&words);
                let sent = async {
                    let known = self.known_keys(host, *port, host_keys).await?;
                    let login = sftp::Login { host, port: *port, known: &known, words: &words };
                    let session = sftp::Session::open(&login, &self.outbound, self.settings).await?;
                    self.remember_key(host, *port, host_keys, session.seen()).await?;
                    let mut session = session.log_in(&login).await?;
                    session.upload(directory.as_deref(), parcel.name, body).await?;
                    session.close().await;
                    Ok(())
                };
                sent.await.map_err(|fault: Fault| blot.fault(fault))
            }
            Destination::Email { address } => match &self.mailer {
                Some(mailer) => mailer.send(address, parcel, body).await,
                None => Err(Fault::never("this server sends no mail: `email.smtp_url` is not set")),
            },
        }
    }

    /// The words of credentials, opened.
    fn words(&self, credentials: &Sealed) -> Result<Map<String, Value>, Fault> {
        let text = self.vault.text(credentials)?;
        // The words are not shown, whatever is wrong with them.
        serde_json::from_str(&text).map_err(|_| Fault::never("the credentials cannot be read"))
    }
}

/// A word of credentials; empty if it is not there, which their reading at the edge has ruled out.
fn word<'a>(words: &'a Map<String, Value>, name: &str) -> &'a str {
    words.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Waits at most so long.
async fn within<T>(
    most: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(most, work).await {
        Ok(result) => result,
        Err(_) => Err(Fault::later(format!("{what} took longer than {} s", most.as_secs_f32()))),
    }
}
