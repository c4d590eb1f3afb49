//! Small words over tokio-postgres: numbers, rows and errors turned into ours.
//!
//! Must not know: what the statements mean.

use crate::disk::Codec;
pub(super) use crate::number::{damaged, int, len, len_u64, uint};
use crate::{Result, StoreError};
use model::Timestamp;
use std::cell::RefCell;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::FromSql;

/// A row's value; [`StoreError::Damaged`] if it is of another type.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(damaged)
}

/// A row's count.
pub(super) fn count(row: &Row, at: usize) -> Result<u64> {
    get::<i64>(row, at).map(uint)
}

/// A row's moment, if it has one.
pub(super) fn moment(row: &Row, at: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, at)?.map(Timestamp::from_ms))
}

/// What a statement failed with, by what the caller can do about it. The words are the server's own: it repeats
/// neither passwords nor parameters in them.
impl From<tokio_postgres::Error> for StoreError {
    fn from(e: tokio_postgres::Error) -> Self {
        let Some(db) = e.as_db_error() else { return Self::Unavailable(told(&e)) };
        let class = db.code().code().get(..2).unwrap_or_default();
        match class {
            // Constraints, and values that do not fit.
            "23" | "22" => Self::Invalid(db.message().to_owned()),
            // Data corrupted, index corrupted.
            "XX" => Self::Damaged(db.message().to_owned()),
            _ => Self::Unavailable(format!("{} ({})", db.message(), db.code().code())),
        }
    }
}

/// An error with its cause: the outermost words alone say little.
fn told(e: &tokio_postgres::Error) -> String {
    match std::error::Error::source(e) {
        Some(cause) => format!("{e}: {cause}"),
        None => e.to_string(),
    }
}

/// What a transaction's failure means for trying it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It got in another's way and was undone.
    Collided,
    /// Its connection is gone.
    Cut,
    /// Anything else.
    Final,
}

/// Judges a failure.
pub(super) fn judge(e: &tokio_postgres::Error) -> Failure {
    let Some(code) = e.code() else {
        return if e.is_closed() || std::error::Error::source(e).is_some_and(|s| s.is::<std::io::Error>()) {
            Failure::Cut
        } else {
            Failure::Final
        };
    };
    match code {
        c if *c == SqlState::T_R_SERIALIZATION_FAILURE || *c == SqlState::T_R_DEADLOCK_DETECTED => {
            Failure::Collided
        }
        c if *c == SqlState::ADMIN_SHUTDOWN
            || *c == SqlState::CRASH_SHUTDOWN
            || *c == SqlState::CANNOT_CONNECT_NOW =>
        {
            Failure::Cut
        }
        _ => Failure::Final,
    }
}

/// A row that may not exist twice: the given conflict instead of a constraint's words.
pub(super) fn taken<T>(result: Result<T>, what: &'static str) -> Result<T> {
    match result {
        Err(StoreError::Invalid(_)) => Err(StoreError::Conflict(what)),
        other => other,
    }
}

/// Works with this thread's encoder and decoder, which keep their memory.
pub(super) fn with_codec<T>(work: impl FnOnce(&mut Codec) -> Result<T>) -> Result<T> {
    thread_local! {
        static CODEC: RefCell<Option<Codec>> = const { RefCell::new(None) };
    }
    CODEC.with_borrow_mut(|kept| match kept {
        Some(codec) => work(codec),
        None => work(kept.insert(Codec::new()?)),
    })
}
