//! One transaction on one connection of the pool: statements, what it tells, how it ends, and whether it is tried again.
//!
//! Invariants: a connection goes back to the pool only without an open transaction; news leave with the commit, so
//! nobody hears of what was undone; a transaction is tried again only while it is certain that it was not committed.

use super::news::{self, CHANNEL};
use super::sql::{Failure, judge};
use crate::{Change, Result, StoreError};
use deadpool_postgres::Object;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// How often a transaction is tried again that collided with others, or whose connection went before its commit.
pub(super) const TRIES: u32 = 8;
/// Before a transaction is tried again: this long for each try, and as much again by chance.
const PAUSE: Duration = Duration::from_millis(2);

/// What kind of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each statement sees what is committed when it begins; rows are locked.
    Write,
    /// Every statement sees the same moment; nothing is changed.
    Read,
    /// One statement alone, which needs no transaction around it.
    Alone,
}

/// A statement's parameters.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// An open transaction. Dropped without an end, it takes its connection with it.
pub(super) struct Tx {
    client: Option<Object>,
    kind: Kind,
    /// Begun with its first statement, in the same round trip.
    begun: AtomicBool,
    failure: Mutex<Option<Failure>>,
    changes: Vec<Change>,
}

impl Tx {
    pub(super) fn new(client: Object, kind: Kind) -> Self {
        Self {
            client: Some(client),
            kind,
            begun: AtomicBool::new(kind == Kind::Alone),
            failure: Mutex::new(None),
            changes: Vec::new(),
        }
    }

    /// Tells of a change once the transaction is durable; of the same one once.
    pub(super) fn tell(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Makes sure that these statements are prepared, so that what is sent together arrives in its order.
    pub(super) async fn prepare(&self, statements: &[&str]) -> Result<()> {
        let client = self.client()?;
        for sql in statements {
            client.prepare_cached(sql).await.map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    /// Every row of a statement.
    pub(super) async fn all(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(|e| self.failed(e))?;
        let rows = match self.begin() {
            None => client.query(&statement, params).await,
            Some(begin) => {
                let (begun, rows) =
                    futures_util::join!(client.batch_execute(begin), client.query(&statement, params));
                begun.and(rows)
            }
        };
        rows.map_err(|e| self.failed(e))
    }

    /// What must go before the first statement.
    fn begin(&self) -> Option<&'static str> {
        let begun = self.begun.swap(true, Ordering::Relaxed);
        (!begun).then_some(match self.kind {
            Kind::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Kind::Write | Kind::Alone => "BEGIN ISOLATION LEVEL READ COMMITTED",
        })
    }

    /// The first row, if there is one.
    pub(super) async fn one(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        Ok(self.all(sql, params).await?.into_iter().next())
    }

    /// Runs a statement; rows changed.
    pub(super) async fn exec(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(|e| self.failed(e))?;
        let changed = match self.begin() {
            None => client.execute(&statement, params).await,
            Some(begin) => {
                let (begun, changed) =
                    futures_util::join!(client.batch_execute(begin), client.execute(&statement, params));
                begun.and(changed)
            }
        };
        changed.map_err(|e| self.failed(e))
    }

    fn client(&self) -> Result<&Object> {
        self.client.as_ref().ok_or_else(|| StoreError::Unavailable("the transaction has ended".into()))
    }

    fn failed(&self, e: tokio_postgres::Error) -> StoreError {
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(judge(&e));
        e.into()
    }

    /// Ends it: commits, with its news, what went well, and undoes the rest. `None`: to be tried again.
    ///
    /// `told` are the changes to pass on within this process. [`StoreError::Unavailable`] if it is not known whether
    /// the commit arrived.
    pub(super) async fn end<T>(
        mut self,
        result: Result<T>,
        tag: &str,
        tries: &mut u32,
    ) -> Option<(Result<T>, Vec<Change>)> {
        let failure = *self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match (result, failure) {
            (Ok(value), None) => match self.commit(tag).await {
                Ok(()) => return Some((Ok(value), std::mem::take(&mut self.changes))),
                Err(e) => Err(e),
            },
            // An error that was not passed on has undone the transaction all the same.
            (Ok(_), Some(_)) => Err(StoreError::Unavailable("the transaction was undone".into())),
            (Err(e), _) => {
                self.undo().await;
                Err(e)
            }
        };
        let failure = *self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *tries += 1;
        if matches!(failure, Some(Failure::Collided | Failure::Cut)) && *tries < TRIES {
            let mut dice = [0];
            // Without dice all wait alike, which is no harm.
            let _ = getrandom::fill(&mut dice);
            tokio::time::sleep(PAUSE * *tries + PAUSE * *tries * u32::from(dice[0]) / 256).await;
            return None;
        }
        Some((result, Vec::new()))
    }

    /// Commits. A collision found at the commit has undone the transaction; a cut leaves that open.
    async fn commit(&mut self, tag: &str) -> Result<()> {
        let Some(client) = self.client.take() else { return Ok(()) };
        if self.kind == Kind::Alone || !self.begun.load(Ordering::Relaxed) {
            return Ok(());
        }
        let texts = news::write(&self.changes, tag);
        let sent = if texts.is_empty() {
            client.batch_execute("COMMIT").await
        } else {
            match client.prepare_cached("SELECT pg_notify($1, t) FROM unnest($2::text[]) t").await {
                Ok(statement) => {
                    let (told, committed) = futures_util::join!(
                        async { client.query(&statement, &[&CHANNEL, &texts]).await },
                        client.batch_execute("COMMIT")
                    );
                    // After a failed statement a commit undoes, and says that it went well.
                    told.map(drop).and(committed)
                }
                Err(e) => Err(e),
            }
        };
        match sent {
            Ok(()) => Ok(()),
            Err(e) => {
                drop(Object::take(client));
                let judged = judge(&e);
                if judged == Failure::Collided {
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
                }
                Err(match StoreError::from(e) {
                    StoreError::Unavailable(why) => StoreError::Unavailable(format!("at the commit: {why}")),
                    other => other,
                })
            }
        }
    }

    /// Undoes everything; a connection on which that fails is thrown away.
    async fn undo(&mut self) {
        let Some(client) = self.client.take() else { return };
        if self.kind != Kind::Alone
            && self.begun.load(Ordering::Relaxed)
            && client.batch_execute("ROLLBACK").await.is_err()
        {
            drop(Object::take(client));
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // Its future was dropped half-way: the server undoes it when the connection goes.
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
