//! A test of a destination: does for real, with a few bytes, what a delivery does, and says how far it came.

use super::host_key::Known;
use super::{Body, Courier, Fault, object, sftp, within};
use crate::deliver::blot::Blot;
use bytes::Bytes;
use fetch::Payload;
use model::{Destination, Sealed};
use serde_json::json;
use std::time::Duration;

/// Tests at once.
pub(super) const AT_ONCE: usize = 4;
/// For all steps of one together.
const TIME: Duration = Duration::from_secs(30);
/// What the file says.
const TEXT: &str = "A test of a delivery. This file may be removed.\n";

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What, in one word.
    pub(crate) name: &'static str,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// What is worth knowing although it worked, or why its failure does not matter.
    pub(crate) note: Option<String>,
}

impl Step {
    /// Whether deliveries can do without it.
    pub(crate) fn is_vital(&self) -> bool {
        self.name != "remove"
    }
}

/// The steps so far.
#[derive(Default)]
struct Log(Vec<Step>);

impl Log {
    /// Notes a step; an error ends the test.
    fn step<T>(&mut self, name: &'static str, result: Result<T, Fault>) -> Option<T> {
        let (value, error) = match result {
            Ok(value) => (Some(value), None),
            Err(fault) => (None, Some(fault.error)),
        };
        self.0.push(Step { name, error, note: None });
        value
    }

    fn note(&mut self, note: String) {
        if let Some(step) = self.0.last_mut() {
            step.note = Some(note);
        }
    }
}

impl Courier {
    /// Tries a destination; `None` if too many are being tried. `id` is new: it is in the name of what is written.
    pub(crate) async fn probe(&self, destination: &Destination, id: &str) -> Option<Vec<Step>> {
        let _turn = self.probes.try_acquire().ok()?;
        let mut log = Log::default();
        if tokio::time::timeout(TIME, self.try_out(destination, id, &mut log)).await.is_err() {
            let late = format!("not done within {} s", TIME.as_secs());
            log.step::<()>("time", Err(Fault::later(late)));
        }
        Some(log.0)
    }

    async fn try_out(&self, destination: &Destination, id: &str, log: &mut Log) -> Option<()> {
        let file = format!("trawl-test-{id}.txt");
        match destination {
            Destination::Webhook { endpoint, auth_header, headers } => {
                let post = self.post_test(endpoint, auth_header.as_ref(), headers, id).await;
                log.step("post", post)
            }
            Destination::Email { address } => {
                let mailer = self.mailer.as_ref().ok_or_else(|| Fault::never("`email.smtp_url` is not set"));
                let mailer = log.step("settings", mailer)?;
                log.step("send", mailer.test(address, id).await)
            }
            Destination::S3 { credentials, directory, .. }
            | Destination::Gcs { credentials, directory, .. }
            | Destination::Azure { credentials, directory, .. } => {
                let words = log.step("credentials", self.words(credentials))?;
                let blot = Blot::of(&words);
                let clean = |fault| blot.fault(fault);
                let opened = object::open(destination, &words, &self.connector).map_err(clean);
                let store = log.step("open", opened)?;
                let path = log.step("name", object::path(directory.as_deref(), &file))?;
                let put = object::upload(&*store, &path, "text/plain", body(), self.settings.timeout).await;
                log.step("write", put.map_err(clean))?;
                // Deliveries do not read; that writing worked can be seen all the same.
                let looked = within(self.settings.timeout, "the look", object::look(&*store, &path)).await;
                if let Err(fault) = looked.map_err(clean) {
                    log.note(format!("the file could not be looked at: {}", fault.error));
                }
                let removed =
                    within(self.settings.timeout, "the removal", object::remove(&*store, &path)).await;
                if log.step("remove", removed.map_err(clean)).is_none() {
                    log.note(format!(
                        "the file `{path}` was left there; deliveries need not remove anything"
                    ));
                }
                Some(())
            }
            Destination::Sftp { host, port, directory, host_keys, credentials } => {
                let words = log.step("credentials", self.words(credentials))?;
                let blot = Blot::of(&words);
                let clean = |fault| blot.fault(fault);
                let known: Known = log.step("host_key", self.known_keys(host, *port, host_keys).await)?;
                let login = sftp::Login { host, port: *port, known: &known, words: &words };
                let session = sftp::Session::open(&login, &self.outbound, self.settings).await;
                let session = log.step("connect", session.map_err(clean))?;
                if let Ok(line) = session.seen().to_openssh() {
                    log.note(format!("the server's key is {line}"));
                }
                log.step("remember", self.remember_key(host, *port, host_keys, session.seen()).await)?;
                let mut files = log.step("login", session.log_in(&login).await.map_err(clean))?;
                let put = files.upload(directory.as_deref(), &file, body()).await;
                log.step("write", put.map_err(clean))?;
                if log
                    .step("remove", files.remove(directory.as_deref(), &file).await.map_err(clean))
                    .is_none()
                {
                    log.note(format!(
                        "the file `{file}` was left there; deliveries need not remove anything"
                    ));
                }
                files.close().await;
                Some(())
            }
        }
    }

    async fn post_test(
        &self,
        endpoint: &str,
        auth_header: Option<&Sealed>,
        headers: &[(String, Sealed)],
        id: &str,
    ) -> Result<(), Fault> {
        let url = url::Url::parse(endpoint).map_err(|error| Fault::never(error.to_string()))?;
        let mut lines = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(auth) = auth_header {
            lines.push(("authorization".to_owned(), self.vault.text(auth)?));
        }
        for (name, value) in headers {
            lines.push((name.clone(), self.vault.text(value)?));
        }
        let news = Bytes::from(json!({ "test": true, "id": id }).to_string());
        let answer = self.outbound.post(&url, &lines, Payload::Whole(news), self.settings.timeout).await?;
        if answer.accepted() {
            return Ok(());
        }
        Err(Fault::later(format!("the receiver answered {}", answer.status)))
    }
}

fn body() -> Body {
    Box::new(futures_util::stream::iter([Ok(Bytes::from_static(TEXT.as_bytes()))]))
}
