//! Schedules in the store: a document each, and another with its inputs.

use super::Schedule;
use std::sync::Arc;
use store::{Put, Result, Store, StoreError};

const KIND: &str = "schedule";
const INPUTS: &str = "schedule_input";
/// Documents read at once.
const PAGE: usize = 100;

/// A schedule as it was read.
pub(crate) struct Kept {
    pub(crate) schedule: Schedule,
    /// What a put must name to be over this.
    pub(crate) version: u64,
}

/// The shelf.
#[derive(Clone)]
pub(crate) struct Shelf(pub(crate) Arc<dyn Store>);

impl Shelf {
    /// All of them, in the order of their ids. What cannot be read is left out and told in the log.
    pub(crate) async fn all(&self) -> Result<Vec<Kept>> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let documents = self.0.documents(KIND, &after, PAGE).await?;
            let Some(last) = documents.last() else { return Ok(all) };
            after.clone_from(&last.name);
            for document in &documents {
                match serde_json::from_str(&document.text) {
                    Ok(schedule) => all.push(Kept { schedule, version: document.version }),
                    Err(error) => tracing::error!(%error, id = document.name, "a schedule cannot be read"),
                }
            }
        }
    }

    /// One of them.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Kept>> {
        let Some((version, text)) = self.text(KIND, id).await? else { return Ok(None) };
        let schedule = serde_json::from_str(&text).map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(Some(Kept { schedule, version }))
    }

    /// Its inputs: a JSON array.
    pub(crate) async fn inputs(&self, id: &str) -> Result<String> {
        Ok(self.text(INPUTS, id).await?.map_or_else(|| "[]".to_owned(), |(_, text)| text))
    }

    /// Puts it over the version that was read (0: it is new); says whether that was still the one.
    pub(crate) async fn put(&self, schedule: &Schedule, over: u64) -> Result<bool> {
        let text = serde_json::to_string(schedule).map_err(|e| StoreError::Invalid(e.to_string()))?;
        self.0.put_document(KIND, &schedule.id, Some(text), Put::Over(over)).await
    }

    /// Puts its inputs.
    pub(crate) async fn put_inputs(&self, id: &str, inputs: String) -> Result<()> {
        self.0.put_document(INPUTS, id, Some(inputs), Put::Anyway).await.map(drop)
    }

    /// Takes it away, its inputs last: without the schedule they are nothing.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        self.0.put_document(KIND, id, None, Put::Anyway).await?;
        self.0.put_document(INPUTS, id, None, Put::Anyway).await.map(drop)
    }

    async fn text(&self, kind: &str, id: &str) -> Result<Option<(u64, String)>> {
        // Names after the id without its last character are few: those that differ in it alone come first.
        let mut after = id.get(..id.len().saturating_sub(1)).unwrap_or_default().to_owned();
        loop {
            let Some(document) = self.0.documents(kind, &after, 1).await?.pop() else { return Ok(None) };
            match document.name.as_str().cmp(id) {
                std::cmp::Ordering::Less => after = document.name,
                std::cmp::Ordering::Equal => return Ok(Some((document.version, document.text))),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
    }
}
