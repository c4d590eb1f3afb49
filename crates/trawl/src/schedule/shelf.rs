//! Schedules in the store: a document each, and another with its inputs.
//!
//! Invariant: options and destination, in which credentials may stand, are sealed in the document as a whole.

use super::Schedule;
use crate::vault::{Vault, VaultError};
use model::Sealed;
use serde_json::{Map, Value};
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
pub(crate) struct Shelf {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<Vault>,
}

/// Fields of a schedule that are sealed, and the field that then stands for them.
const HIDDEN: [&str; 2] = ["options", "deliver"];
const SEALED: &str = "sealed";

impl Shelf {
    /// All of them, in the order of their ids. What cannot be read is left out and told in the log.
    pub(crate) async fn all(&self) -> Result<Vec<Kept>> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let documents = self.store.documents(KIND, &after, PAGE).await?;
            let Some(last) = documents.last() else { return Ok(all) };
            after.clone_from(&last.name);
            for document in &documents {
                match self.opened(&document.text) {
                    Ok(schedule) => all.push(Kept { schedule, version: document.version }),
                    Err(error) => tracing::error!(%error, id = document.name, "a schedule cannot be read"),
                }
            }
        }
    }

    /// One of them.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Kept>> {
        let Some((version, text)) = self.text(KIND, id).await? else { return Ok(None) };
        let schedule = self.opened(&text)?;
        Ok(Some(Kept { schedule, version }))
    }

    /// Its inputs: a JSON array.
    pub(crate) async fn inputs(&self, id: &str) -> Result<String> {
        Ok(self.text(INPUTS, id).await?.map_or_else(|| "[]".to_owned(), |(_, text)| text))
    }

    /// Puts it over the version that was read (0: it is new); says whether that was still the one.
    pub(crate) async fn put(&self, schedule: &Schedule, over: u64) -> Result<bool> {
        let text = self.sealed(schedule)?;
        self.store.put_document(KIND, &schedule.id, Some(text), Put::Over(over)).await
    }

    /// Puts its inputs.
    pub(crate) async fn put_inputs(&self, id: &str, inputs: String) -> Result<()> {
        self.store.put_document(INPUTS, id, Some(inputs), Put::Anyway).await.map(drop)
    }

    /// Takes it away, its inputs last: without the schedule they are nothing.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        self.store.put_document(KIND, id, None, Put::Anyway).await?;
        self.store.put_document(INPUTS, id, None, Put::Anyway).await.map(drop)
    }

    /// The document of a schedule.
    fn sealed(&self, schedule: &Schedule) -> Result<String> {
        let Value::Object(mut fields) = serde_json::to_value(schedule).map_err(invalid)? else {
            return Err(StoreError::Invalid("a schedule is an object".to_owned()));
        };
        let hidden: Map<String, Value> = HIDDEN
            .into_iter()
            .filter_map(|name| fields.shift_remove(name).map(|value| (name.to_owned(), value)))
            .collect();
        let mut secret = Sealed::plain(Value::Object(hidden).to_string());
        self.vault.seal([&mut secret]).map_err(locked)?;
        fields.insert(SEALED.to_owned(), serde_json::to_value(secret).map_err(invalid)?);
        Ok(Value::Object(fields).to_string())
    }

    /// The schedule of a document. One of an old version has nothing sealed.
    fn opened(&self, text: &str) -> Result<Schedule> {
        let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(invalid)?;
        if let Some(secret) = fields.shift_remove(SEALED) {
            let secret: Sealed = serde_json::from_value(secret).map_err(invalid)?;
            let hidden = self.vault.text(&secret).map_err(locked)?;
            fields.extend(serde_json::from_str::<Map<String, Value>>(&hidden).map_err(invalid)?);
        }
        serde_json::from_value(Value::Object(fields)).map_err(invalid)
    }

    async fn text(&self, kind: &str, id: &str) -> Result<Option<(u64, String)>> {
        // Names after the id without its last character are few: those that differ in it alone come first.
        let mut after = id.get(..id.len().saturating_sub(1)).unwrap_or_default().to_owned();
        loop {
            let Some(document) = self.store.documents(kind, &after, 1).await?.pop() else { return Ok(None) };
            match document.name.as_str().cmp(id) {
                std::cmp::Ordering::Less => after = document.name,
                std::cmp::Ordering::Equal => return Ok(Some((document.version, document.text))),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
    }
}

fn invalid(error: serde_json::Error) -> StoreError {
    StoreError::Invalid(error.to_string())
}

fn locked(error: VaultError) -> StoreError {
    StoreError::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Missed, Overlap, State};
    use model::Timestamp;
    use serde_json::json;
    use store::SqliteStore;

    #[tokio::test]
    async fn what_may_hold_credentials_is_sealed_in_the_store() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let vault = Arc::new(Vault::open(key, &[], true, std::path::Path::new("")).unwrap());
        let shelf = Shelf { store: store.clone(), vault };
        let at = Timestamp::from_ms(0);
        let schedule = Schedule {
            id: "sc_1".into(),
            name: "n".into(),
            dataset_id: "gd_x".into(),
            cron: "* * * * *".into(),
            time_zone: "UTC".into(),
            options: json!({ "auth_header": "hunter2" }).as_object().unwrap().clone(),
            deliver: Some(json!({ "type": "s3", "credentials": { "aws-secret-key": "hunter2" } })),
            inputs: 1,
            missed: Missed::Skip,
            overlap: Overlap::Allow,
            enabled: true,
            created_at: at,
            created_by: "t".into(),
            state: State::from(at),
        };
        assert!(shelf.put(&schedule, 0).await.unwrap());
        let document = store.documents(KIND, "", 9).await.unwrap().pop().unwrap();
        assert!(
            !document.text.contains("hunter2") && document.text.contains("sealed:v1:"),
            "{}",
            document.text
        );
        assert_eq!(shelf.find("sc_1").await.unwrap().unwrap().schedule, schedule);
        // As a version before this one kept it.
        let old = serde_json::to_string(&schedule).unwrap();
        store.put_document(KIND, "sc_1", Some(old), Put::Anyway).await.unwrap();
        assert_eq!(shelf.all().await.unwrap().pop().unwrap().schedule, schedule);
    }
}
