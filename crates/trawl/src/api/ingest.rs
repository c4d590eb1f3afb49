//! Rows of a body → slices in the store, as a stream: parsed, believed, grouped and added in bounded batches.
//!
//! Invariants: the first bad row refuses the request and nothing of it is kept, also if the caller goes away;
//! memory follows the bounds of [`super::lanes`] and [`super::body`], never the size of the body.

use super::body::Shape;
use super::body::csv::CsvRows;
use super::body::json::{Ending, JsonRows};
use super::error::{ApiError, Result};
use super::lanes::{Batch, Lanes};
use super::options;
use crate::shards::Shards;
use extract::{FieldError, Scraper};
use model::{Door, Input, SnapshotId, Timestamp, Trigger};
use serde_json::{Map, Value};
use std::sync::Arc;
use store::{NewSnapshot, Store};
use tokio::task::JoinSet;

/// Calls of the store under way at once: one is written while the next is made ready.
const ADDS: usize = 2;
/// Names of fields that wait for `custom_input_fields` behind the rows.
const DEFERRED: usize = 100;

/// A body being taken in.
pub(super) struct Ingest {
    decoder: Option<Decoder>,
    rows: Rows,
    writer: Writer,
}

enum Decoder {
    Json(JsonRows),
    Csv(Box<CsvRows>),
}

impl Ingest {
    /// `shape` decides how bytes are read; [`Shape::Form`] lets the first piece of the file decide.
    pub(super) fn new(shape: Shape, rows: Rows, writer: Writer) -> Self {
        Self { decoder: Decoder::of(shape), rows, writer }
    }

    /// Takes a piece. `kind` is the content type of a form's file.
    pub(super) async fn piece(&mut self, kind: Option<&str>, bytes: &[u8]) -> Result<()> {
        if self.decoder.is_none() {
            self.decoder = Decoder::sniff(kind, bytes);
        }
        match &mut self.decoder {
            // White space so far.
            None => {}
            Some(Decoder::Json(json)) => json.feed(bytes, |json, row| self.rows.json(json, row))?,
            Some(Decoder::Csv(csv)) => csv.feed(bytes, |row| self.rows.object(row, None))?,
        }
        while let Some(batch) = self.rows.lanes.ready() {
            self.writer.add(batch).await?;
        }
        Ok(())
    }

    /// The request is refused: nothing of it is kept.
    pub(super) async fn abandon(self) {
        self.writer.discard().await;
    }

    /// The end of the body: its options, and what is left to be committed.
    pub(super) fn end(&mut self) -> Result<Option<Map<String, Value>>> {
        let ending = match &mut self.decoder {
            None => return Err(ApiError::empty_body()),
            Some(Decoder::Json(json)) => json.finish(|json, row| self.rows.json(json, row))?,
            Some(Decoder::Csv(csv)) => {
                csv.finish(|row| self.rows.object(row, None))?;
                Ending::default()
            }
        };
        Ok(ending.options)
    }

    /// The rows, to be settled with the options.
    pub(super) fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// Makes everything durable; see [`Writer::finish`].
    pub(super) async fn finish(&mut self, alone: bool, again: SnapshotId) -> Result<()> {
        self.writer.finish(&mut self.rows, alone, again).await
    }

    /// The run in the store.
    pub(super) fn into_writer(self) -> Writer {
        self.writer
    }
}

impl Decoder {
    fn of(shape: Shape) -> Option<Self> {
        match shape {
            Shape::Json => Some(Self::Json(JsonRows::sniffing())),
            Shape::Lines => Some(Self::Json(JsonRows::lines())),
            Shape::Csv => Some(Self::Csv(Box::default())),
            Shape::Form => None,
        }
    }

    /// A form's file: a table, unless its type or its first byte says otherwise.
    fn sniff(kind: Option<&str>, bytes: &[u8]) -> Option<Self> {
        let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        match Shape::of(Some(essence)) {
            Some(shape @ (Shape::Csv | Shape::Lines)) => return Self::of(shape),
            Some(Shape::Json) if essence.ends_with("/json") => return Self::of(Shape::Json),
            _ => {}
        }
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace())? {
            b'[' | b'{' => Self::of(Shape::Json),
            _ => Self::of(Shape::Csv),
        }
    }
}

/// Rows, believed one by one.
pub(super) struct Rows {
    shards: Arc<Shards>,
    scraper: Arc<Scraper>,
    door: Door,
    carried: Vec<String>,
    /// Fields that are refused unless `custom_input_fields` turns out to name them: the field, and the error then.
    deferred: Vec<(String, ApiError)>,
    lanes: Lanes,
    alone: bool,
    taken: u64,
    most: Option<u64>,
}

impl Rows {
    /// `alone`: the run has a limit per input. `most`: rows at most.
    pub(super) fn new(
        scraper: Arc<Scraper>,
        door: Door,
        alone: bool,
        most: Option<u64>,
        shards: Arc<Shards>,
    ) -> Self {
        Self {
            shards,
            scraper,
            door,
            carried: Vec::new(),
            deferred: Vec::new(),
            lanes: Lanes::new(alone),
            alone,
            taken: 0,
            most,
        }
    }

    /// Rows taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Fields that had to wait for the options: refused unless they are carried.
    pub(super) fn settle_deferred(&mut self, carried: &[String]) -> Result<()> {
        match self.deferred.drain(..).find(|(field, _)| !carried.contains(field)) {
            Some((_, refusal)) => Err(refusal),
            None => Ok(()),
        }
    }

    fn json(&mut self, json: &JsonRows, raw: &[u8]) -> Result<()> {
        if self.taken == 0
            && json.is_wrapped()
            && let Some(before) = json.options_so_far()
        {
            self.carried = options::carried(&before).map_err(ApiError::option)?;
            let limits = before.get("limit_per_input").is_some_and(|limit| !limit.is_null());
            if limits && !self.alone {
                self.alone = true;
                self.lanes = Lanes::new(true);
            }
        }
        if raw.first() != Some(&b'{') {
            let error = ("input".to_owned(), "Must be an object".to_owned());
            return Err(ApiError::row(&String::from_utf8_lossy(raw), self.taken + 1, &[error]));
        }
        let row: Map<String, Value> = serde_json::from_slice(raw)
            .map_err(|error| ApiError::parse(format!("{error} (input {})", self.taken + 1)))?;
        // Kept as it was sent, unless that has line breaks: then as compact JSON.
        let verbatim = !raw.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let text = verbatim.then(|| std::str::from_utf8(raw).ok()).flatten();
        self.believe(row, text, json.is_wrapped())
    }

    fn object(&mut self, row: Map<String, Value>, text: Option<&str>) -> Result<()> {
        self.believe(row, text, false)
    }

    fn believe(&mut self, row: Map<String, Value>, text: Option<&str>, may_defer: bool) -> Result<()> {
        if self.most.is_some_and(|most| self.taken >= most) {
            let most = self.most.unwrap_or_default();
            return Err(ApiError::option(format!(
                "\"input\" must contain less than or equal to {most} items"
            )));
        }
        let believed = match self.scraper.believe(&self.door, &row, &self.carried) {
            Ok(believed) => believed,
            Err(errors) if may_defer => self.defer(&row, errors)?,
            Err(errors) => return Err(self.refusal(&row, &errors)),
        };
        let text = text.map_or_else(|| Value::Object(row).to_string(), str::to_owned);
        let mut input = Input::given(self.taken, text, believed.host);
        self.shards.place(&self.scraper, &self.door, &mut input);
        self.lanes.push(input);
        self.taken += 1;
        Ok(())
    }

    /// In a wrapped body `custom_input_fields` may stand behind the rows. A row that would be believed with its
    /// strange fields carried is taken for now, and they are remembered.
    fn defer(&mut self, row: &Map<String, Value>, errors: Vec<FieldError>) -> Result<extract::Believed> {
        let known = self.carried.len();
        let strange = errors.iter().map(|error| error.field.clone());
        self.carried.extend(strange.filter(|field| row.contains_key(field)));
        let refusal = self.refusal(row, &errors);
        match self.scraper.believe(&self.door, row, &self.carried) {
            Ok(believed) if self.carried.len() <= DEFERRED + known && self.deferred.len() < DEFERRED => {
                for field in &self.carried[known..] {
                    let errors: Vec<_> =
                        errors.iter().filter(|error| error.field == *field).cloned().collect();
                    self.deferred.push((field.clone(), self.refusal(row, &errors)));
                }
                Ok(believed)
            }
            _ => Err(refusal),
        }
    }

    fn refusal(&self, row: &Map<String, Value>, errors: &[FieldError]) -> ApiError {
        let errors: Vec<_> = errors.iter().map(|error| (error.field.clone(), error.reason.clone())).collect();
        let line = serde_json::to_string(row).unwrap_or_default();
        ApiError::row(&line, self.taken + 1, &errors)
    }
}

/// The run in the store while it comes to be. Dropped before it is committed, it is discarded.
pub(super) struct Writer {
    store: Arc<dyn Store>,
    id: SnapshotId,
    /// What is known of the trigger before the body has ended.
    draft: Trigger,
    now: Timestamp,
    adds: JoinSet<store::Result<()>>,
    begun: bool,
}

impl Writer {
    /// Nothing is asked of the store before the first batch.
    pub(super) fn new(store: Arc<dyn Store>, id: SnapshotId, draft: Trigger, now: Timestamp) -> Self {
        Self { store, id, draft, now, adds: JoinSet::new(), begun: false }
    }

    /// The run.
    pub(super) fn id(&self) -> &SnapshotId {
        &self.id
    }

    /// Adds a batch; returns before it is durable.
    pub(super) async fn add(&mut self, batch: Batch) -> Result<()> {
        self.begin().await?;
        while self.adds.len() >= ADDS {
            self.settle_one().await?;
        }
        let (store, id, now) = (self.store.clone(), self.id.clone(), self.now);
        self.adds.spawn(async move { store.add(&id, batch, now).await });
        Ok(())
    }

    async fn begin(&mut self) -> Result<()> {
        if !self.begun {
            // Said before the call: one that is cut off in the middle may have been heard.
            self.begun = true;
            let new = NewSnapshot { id: self.id.clone(), trigger: self.draft.clone(), now: self.now };
            self.store.begin(new).await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<()> {
        match self.adds.join_next().await {
            None => Ok(()),
            Some(Ok(added)) => Ok(added?),
            Some(Err(error)) => Err(ApiError::internal(error)),
        }
    }

    /// Adds what is left and waits until everything is durable. The run is then ready to be committed.
    ///
    /// If `alone` was only learnt from options behind the rows, rows that are in the store already are grouped anew
    /// into a run of another id.
    async fn finish(&mut self, rows: &mut Rows, alone: bool, again: SnapshotId) -> Result<()> {
        let regroup = alone && !rows.alone;
        let in_store = self.begun;
        while let Some(batch) = rows.lanes.rest() {
            let batch = if regroup && !in_store { singly(batch) } else { batch };
            self.add(batch).await?;
        }
        while !self.adds.is_empty() {
            self.settle_one().await?;
        }
        if regroup && in_store {
            let mut other = Self::new(self.store.clone(), again, self.draft.clone(), self.now);
            other.copy(&self.id.clone(), true).await?;
            // The old one is discarded when it is dropped.
            std::mem::swap(self, &mut other);
        }
        Ok(())
    }

    /// Adds the caller's rows of another run; how many. Waits until they are durable.
    pub(super) async fn copy(&mut self, from: &SnapshotId, alone: bool) -> Result<u64> {
        let mut lanes = Lanes::new(alone);
        let (mut cursor, mut copied) = (Some(0), 0);
        while let Some(at) = cursor {
            let (inputs, next) = self.store.inputs(from, at).await?;
            for input in inputs {
                copied += 1;
                lanes.push(Input::given(input.root, input.row, input.host));
                while let Some(batch) = lanes.ready() {
                    self.add(batch).await?;
                }
            }
            cursor = next;
        }
        while let Some(batch) = lanes.rest() {
            self.add(batch).await?;
        }
        while !self.adds.is_empty() {
            self.settle_one().await?;
        }
        Ok(copied)
    }

    /// Forgets the run now.
    pub(super) async fn discard(mut self) {
        if !std::mem::take(&mut self.begun) {
            return;
        }
        while self.adds.join_next().await.is_some() {}
        if let Err(error) = self.store.discard(&self.id).await {
            tracing::warn!(%error, snapshot = %self.id, "a refused run was not discarded; it will be later");
        }
    }

    /// The run was committed, or refused by the store: it is not ours to discard any more.
    pub(super) fn release(mut self) {
        self.begun = false;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.begun {
            return;
        }
        let (store, id) = (self.store.clone(), self.id.clone());
        let mut adds = std::mem::take(&mut self.adds);
        // Outside of a runtime (a test's end) the store's own tick forgets it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while adds.join_next().await.is_some() {}
                if let Err(error) = store.discard(&id).await {
                    tracing::warn!(%error, snapshot = %id, "a refused run was not discarded; it will be later");
                }
            });
        }
    }
}

fn singly(batch: Batch) -> Batch {
    let mut rows: Vec<Input> = batch.into_iter().flatten().collect();
    rows.sort_unstable_by_key(|row| row.root);
    rows.into_iter().map(|row| vec![row]).collect()
}
