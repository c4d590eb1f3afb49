//! A few read-only connections, so that questions do not queue behind the writer.
//!
//! Invariant: each question sees one moment (a read transaction), and at most [`READERS`] run at once.

use crate::{Result, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Connections at most; each holds its own page cache.
const READERS: usize = 4;

/// The pool. Connections are opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Of that database file, which exists.
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::default(), permits: Arc::new(Semaphore::new(READERS)) })
    }

    /// Asks on a blocking thread.
    pub(super) async fn ask<T, F>(self: &Arc<Self>, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let closed = |e: tokio::sync::AcquireError| StoreError::Unavailable(e.to_string());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let pool = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let conn = match pool.take() {
                Some(conn) => conn,
                None => pool.open()?,
            };
            let moment = conn.unchecked_transaction()?;
            let answer = question(&conn);
            // Ends the read transaction; there is nothing to write.
            drop(moment);
            if answer.is_ok() || !matches!(answer, Err(StoreError::Unavailable(_))) {
                pool.give_back(conn);
            }
            answer
        })
        .await
        .unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))
    }

    /// Lets go of the connections and answers nothing more.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, conn: Connection) {
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }

    fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        super::schema::tune(&conn)?;
        Ok(conn)
    }
}
