//! A promise to hand a snapshot over, and its states.

use crate::{DeliveryId, Destination, Sealed, SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};

/// Formats of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One array.
    #[default]
    Json,
    /// One object per line.
    Ndjson,
    /// The same lines under their other name.
    Jsonl,
    /// Header line and rows, RFC 4180.
    Csv,
    /// Columns with types.
    Parquet,
    /// A spreadsheet with one sheet.
    Xlsx,
}

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[Self::Json, Self::Ndjson, Self::Jsonl, Self::Csv, Self::Parquet, Self::Xlsx];

    /// The word in `format=` and the file name's extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Xlsx => "xlsx",
        }
    }

    /// The format of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.as_str() == word)
    }

    /// Is a file of it packed by itself, so that gzip gains nothing?
    pub fn is_packed(self) -> bool {
        matches!(self, Self::Parquet | Self::Xlsx)
    }

    /// `Content-Type` (api.md 5.2: lines must not be typed `application/jsonl`).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Ndjson | Self::Jsonl => "application/x-ndjson; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// What is sent where, and how: one `endpoint`, one `deliver` object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Where to.
    pub destination: Destination,
    /// Format of the rows.
    #[serde(default)]
    pub format: Format,
    /// Gzip the body.
    #[serde(default)]
    pub compress: bool,
    /// Rows of a part; one part in all if absent.
    #[serde(default)]
    pub batch_size: Option<u64>,
    /// Send parts of `batch_size` rows while the snapshot still runs (`stream_max_lines`).
    #[serde(default)]
    pub stream: bool,
    /// File name template with `{[snapshot_id]}`, `{[datetime]}`, `{[dataset_id]}`, `{[part]}`.
    #[serde(default)]
    pub file_template: Option<String>,
    /// URL told when this delivery has ended (`notify` of `POST /deliver`).
    #[serde(default)]
    pub notify: Option<String>,
}

/// Who is told that a snapshot ended (`notify`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Receiver.
    pub endpoint: String,
    /// Value of `Authorization`, verbatim.
    #[serde(default)]
    pub auth_header: Option<Sealed>,
}

/// What one delivery carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cargo {
    /// The rows of the snapshot.
    Rows(Promise),
    /// The news that it ended.
    Notice(Notice),
    /// The news that another delivery ended.
    DeliveryNotice {
        /// Receiver.
        endpoint: String,
        /// The delivery that ended.
        about: DeliveryId,
    },
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not before its snapshot has something for it.
    Held,
    /// To be sent when due.
    Waiting,
    /// A worker sends it.
    Leased,
    /// Every part was accepted.
    Done,
    /// Attempts are used up, or the receiver said 410.
    Failed,
    /// Its snapshot was cancelled, failed or came to nothing.
    Canceled,
}

impl DeliveryState {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Held, Self::Waiting, Self::Leased, Self::Done, Self::Failed, Self::Canceled]
            .into_iter()
            .find(|s| s.as_str() == word)
    }

    /// It has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Canceled)
    }
}

/// One file (or POST) that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredFile {
    /// Its name.
    pub filename: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// Rows in it.
    pub rows: u64,
}

/// A promise being kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, stable over retries.
    pub id: DeliveryId,
    /// The snapshot it hands over.
    pub snapshot: SnapshotId,
    /// What it carries.
    pub cargo: Cargo,
    /// Where it stands.
    pub state: DeliveryState,
    /// Parts that were accepted; the next to send has this index.
    pub parts_done: u64,
    /// Failed attempts of the part being sent.
    pub failures: u32,
    /// When the part being sent failed first: the retry window runs from there.
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What was accepted.
    pub files: Vec<DeliveredFile>,
    /// When it was promised.
    pub created_at: Timestamp,
}

/// What became of one attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The next part was accepted; there may be more.
    PartDone(DeliveredFile),
    /// Nothing is left to send: the delivery is done.
    AllDone,
    /// Nothing to send until more rows are there (streaming).
    Idle,
    /// Try again then.
    Later {
        /// When.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// Never again.
    Never {
        /// Why.
        error: String,
    },
    /// Handed back untouched (shutdown).
    Untouched,
}
