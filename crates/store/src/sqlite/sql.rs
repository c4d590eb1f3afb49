//! Small words over rusqlite: run a kept statement, read one row or all, turn numbers and errors into ours.
//!
//! Must not know: what the statements mean.

pub(super) use crate::number::{damaged, int, len, len_u64, uint};
use crate::{Result, StoreError};
use model::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row};

/// Kept statements: parsed once per connection.
pub(super) trait Sql {
    /// Runs a statement; rows changed.
    fn exec(&self, sql: &str, params: impl Params) -> Result<usize>;
    /// The first row, if there is one.
    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>>;
    /// Every row.
    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>>;
}

impl Sql for Connection {
    fn exec(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.prepare_cached(sql)?.execute(params)?)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<Vec<T>>>()?)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::{Error as E, ErrorCode as C};
        match &e {
            E::SqliteFailure(f, _) => match f.code {
                C::DatabaseCorrupt | C::NotADatabase | C::TypeMismatch => Self::Damaged(e.to_string()),
                C::ConstraintViolation => Self::Invalid(e.to_string()),
                _ => Self::Unavailable(e.to_string()),
            },
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::Utf8Error(..) => Self::Damaged(e.to_string()),
            _ => Self::Unavailable(e.to_string()),
        }
    }
}

/// A row that may not exist twice: the given conflict instead of a constraint's words.
pub(super) fn taken<T>(result: Result<T>, what: &'static str) -> Result<T> {
    match result {
        Err(StoreError::Invalid(_)) => Err(StoreError::Conflict(what)),
        other => other,
    }
}

/// The first moment of something: a statement that gives one moment or null.
pub(super) fn earliest(conn: &Connection, sql: &str) -> Result<Option<Timestamp>> {
    Ok(conn.one(sql, [], |r| r.get::<_, Option<i64>>(0))?.flatten().map(Timestamp::from_ms))
}
