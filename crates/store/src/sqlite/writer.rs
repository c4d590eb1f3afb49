//! The one writer: takes what is asked, several at a time, and makes it durable with one commit.
//!
//! Owns: the write connection, transactions, syncing the log, the news. Must not know: what the operations do.
//! Invariants: an answer is given only after the commit, and that of a lasting operation only after the log is on disk,
//! with everything before it; an operation that fails or panics leaves no trace and does not touch its neighbours; the
//! changes of a transaction are told before its answers.
//!
//! SQLite itself would sync at every commit or at none (`synchronous`); which operation is worth a sync is known here.

use crate::disk::Codec;
use crate::{Change, Result, StoreError};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Operations in one transaction at most, and how long it may grow: bounds what one commit can lose and how long
/// the first of them waits for its answer.
const BATCH_OPS: usize = 256;
const BATCH_TIME: Duration = Duration::from_millis(20);

/// What an operation works on.
pub(super) struct Tx<'w> {
    /// The connection, inside the transaction.
    pub(super) conn: &'w Connection,
    /// Inputs to bytes and back.
    pub(super) codec: &'w mut Codec,
    changes: &'w mut Vec<Change>,
}

impl Tx<'_> {
    /// Tells subscribers, if the transaction becomes durable.
    pub(super) fn tell(&mut self, change: Change) {
        self.changes.push(change);
    }
}

/// One thing asked.
pub(super) trait Op: Send {
    /// Does it; false if it must be undone.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Whether its answer promises that not even a power failure undoes it.
    fn lasting(&self) -> bool;
    /// Answers. `lost` says why the transaction did not become durable.
    fn answer(self: Box<Self>, lost: Option<&str>);
}

/// A closure and whom to answer.
pub(super) struct Call<T, F> {
    work: Option<F>,
    lasting: bool,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Call<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    /// The operation, and where its answer arrives.
    pub(super) fn make(lasting: bool, work: F) -> (Box<dyn Op>, oneshot::Receiver<Result<T>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { work: Some(work), lasting, result: None, reply }), answer)
    }
}

impl<T, F> Op for Call<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        // Unwind safety: the savepoint undoes the database, and the codec clears its memory before each use.
        let result = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|panic| {
            let why = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(panic = %why, "an operation of the store panicked");
            Err(StoreError::Invalid(format!("the operation panicked: {why}")))
        });
        let fine = result.is_ok();
        self.result = Some(result);
        fine
    }

    fn lasting(&self) -> bool {
        self.lasting
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let result = match (self.result, lost) {
            (Some(Err(e)), _) => Err(e),
            (_, Some(why)) => Err(StoreError::Unavailable(why.to_owned())),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Unavailable("not run".into())),
        };
        // Whoever asked may have gone; what was done stays done.
        let _ = self.reply.send(result);
    }
}

/// The write connection and what belongs to it.
pub(super) struct Writer {
    conn: Connection,
    codec: Codec,
    news: broadcast::Sender<Change>,
    log: Option<Log>,
}

/// The write-ahead log beside a database file. It is the same file as long as a connection is open.
enum Log {
    /// Not made before the first change.
    At(PathBuf),
    Open(File),
}

impl Log {
    fn sync(&mut self) -> std::io::Result<()> {
        if let Log::At(path) = self {
            *self = Log::Open(File::options().write(true).open(path)?);
        }
        match self {
            Log::Open(file) => file.sync_data(),
            Log::At(_) => Ok(()),
        }
    }
}

impl Writer {
    /// Over an open connection whose schema is current. `log` is the database's write-ahead log, if it has one.
    pub(super) fn new(
        conn: Connection,
        log: Option<PathBuf>,
        news: broadcast::Sender<Change>,
    ) -> Result<Self> {
        Ok(Self { conn, codec: Codec::new()?, news, log: log.map(Log::At) })
    }

    /// Works off a queue until every sender is gone and it is empty.
    pub(super) fn serve(mut self, mut queue: mpsc::Receiver<Box<dyn Op>>, ended: watch::Sender<()>) {
        while let Some(first) = queue.blocking_recv() {
            self.batch(first, || queue.try_recv().ok());
        }
        // Closing the last connection moves the log into the file; what fails there is made good at the next open.
        if let Err((_, e)) = self.conn.close() {
            tracing::warn!(error = %e, "the database was not closed cleanly");
        }
        drop(ended);
    }

    /// Runs an operation, and more of them while there are, in one transaction; then answers all.
    pub(super) fn batch(&mut self, first: Box<dyn Op>, mut more: impl FnMut() -> Option<Box<dyn Op>>) {
        if let Err(e) = self.conn.execute_batch("BEGIN IMMEDIATE") {
            first.answer(Some(&e.to_string()));
            return;
        }
        let started = Instant::now();
        let mut changes = Vec::new();
        let mut done: Vec<Box<dyn Op>> = Vec::new();
        let mut next = Some(first);
        let mut lost = None;
        while let Some(mut op) = next.take() {
            let result = self.run_one(op.as_mut(), &mut changes);
            done.push(op);
            // Out of space, memory or luck: SQLite has undone the whole transaction by itself, neighbours included.
            if self.conn.is_autocommit() {
                lost = Some(result.err().unwrap_or_else(|| "the transaction was undone".into()));
            } else if let Err(why) = result {
                lost = Some(why);
            } else if done.len() < BATCH_OPS && started.elapsed() < BATCH_TIME {
                next = more();
            }
        }
        if lost.is_none() {
            lost = self.conn.execute_batch("COMMIT").err().map(|e| e.to_string());
        }
        if lost.is_none()
            && done.iter().any(|op| op.lasting())
            && let Some(log) = &mut self.log
        {
            lost = log.sync().err().map(|e| format!("the database's log: {e}"));
        }
        if let Some(why) = &lost {
            tracing::error!(error = %why, "a transaction was lost");
            if !self.conn.is_autocommit()
                && let Err(e) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(error = %e, "and could not be undone");
            }
        } else {
            self.tell(changes);
        }
        for op in done {
            op.answer(lost.as_deref());
        }
    }

    /// One operation in a savepoint. An error means that the transaction as a whole cannot go on.
    fn run_one(&mut self, op: &mut dyn Op, changes: &mut Vec<Change>) -> std::result::Result<(), String> {
        let sql = |conn: &Connection, sql: &str| {
            conn.prepare_cached(sql).and_then(|mut s| s.execute([])).map(drop).map_err(|e| e.to_string())
        };
        sql(&self.conn, "SAVEPOINT op")?;
        let before = changes.len();
        let mut tx = Tx { conn: &self.conn, codec: &mut self.codec, changes };
        let fine = op.run(&mut tx);
        if !fine {
            changes.truncate(before);
            if self.conn.is_autocommit() {
                return Err("the transaction was undone with a neighbour".into());
            }
            sql(&self.conn, "ROLLBACK TO op")?;
        }
        sql(&self.conn, "RELEASE op")
    }

    fn tell(&self, changes: Vec<Change>) {
        let mut told: Vec<Change> = Vec::with_capacity(changes.len().min(64));
        for change in changes {
            // A batch repeats itself a lot; a few look-backs spare subscribers most of it.
            if !told.iter().rev().take(64).any(|t| *t == change) {
                told.push(change);
            }
        }
        for change in told {
            // No subscriber is no trouble.
            let _ = self.news.send(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> (Writer, broadcast::Receiver<Change>) {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)").unwrap();
        let (news, seen) = broadcast::channel(16);
        (Writer::new(conn, None, news).unwrap(), seen)
    }

    fn insert(n: i64, bytes: usize) -> (Box<dyn Op>, oneshot::Receiver<Result<()>>) {
        Call::make(true, move |tx: &mut Tx<'_>| {
            tx.conn.execute("INSERT INTO t VALUES (?1, zeroblob(?2))", (n, i64::try_from(bytes).unwrap()))?;
            tx.tell(Change::Work);
            Ok(())
        })
    }

    fn rows(writer: &Writer) -> i64 {
        writer.conn.query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap()
    }

    fn run(writer: &mut Writer, ops: Vec<Box<dyn Op>>) {
        let mut ops = ops.into_iter();
        let first = ops.next().unwrap();
        writer.batch(first, || ops.next());
    }

    #[test]
    fn a_failure_and_a_panic_do_not_undo_neighbours() {
        let (mut writer, mut news) = writer();
        let (a, mut ra) = insert(1, 1);
        let (twice, mut rt) = insert(1, 1);
        let (panics, mut rp) = Call::make(true, |tx: &mut Tx<'_>| -> Result<()> {
            tx.conn.execute("INSERT INTO t VALUES (7, NULL)", [])?;
            panic!("on purpose")
        });
        let (b, mut rb) = insert(2, 1);
        // The panic comes last: printing it may take longer than a batch may last.
        run(&mut writer, vec![a, twice, b, panics]);
        assert!(ra.try_recv().unwrap().is_ok());
        assert!(matches!(rt.try_recv().unwrap(), Err(StoreError::Invalid(_))));
        let Err(StoreError::Invalid(why)) = rp.try_recv().unwrap() else { panic!("not told") };
        assert!(why.contains("on purpose"));
        assert!(rb.try_recv().unwrap().is_ok());
        assert_eq!(rows(&writer), 2);
        assert_eq!(news.try_recv(), Ok(Change::Work));
        assert!(news.try_recv().is_err(), "told once per transaction");
    }

    #[test]
    fn a_full_disk_loses_the_transaction_for_all_and_says_so() {
        let (mut writer, mut news) = writer();
        writer.conn.execute_batch("PRAGMA max_page_count = 20").unwrap();
        let (a, mut ra) = insert(1, 1);
        let (big, mut rb) = insert(2, 1 << 20);
        let (c, mut rc) = insert(3, 1);
        run(&mut writer, vec![a, big, c]);
        let full = rb.try_recv().unwrap();
        assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
        // Whether SQLite undid only the statement or all of it, answers and table agree.
        let kept = [ra.try_recv(), rc.try_recv()].into_iter().flatten().filter(Result::is_ok).count();
        assert_eq!(rows(&writer), i64::try_from(kept).unwrap());
        assert_eq!(news.try_recv().is_ok(), kept > 0);
        let (d, mut rd) = insert(4, 1);
        run(&mut writer, vec![d]);
        assert!(rd.try_recv().unwrap().is_ok(), "the writer goes on");
    }

    #[test]
    fn a_transaction_undone_beneath_fails_every_operation_in_it() {
        let (mut writer, mut news) = writer();
        let (a, mut ra) = insert(1, 1);
        let (breaks, mut rb) = Call::make(true, |tx: &mut Tx<'_>| -> Result<()> {
            tx.conn.execute_batch("ROLLBACK")?;
            Err(StoreError::Unavailable("disk".into()))
        });
        let (c, mut rc) = insert(3, 1);
        run(&mut writer, vec![a, breaks]);
        assert!(matches!(ra.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
        assert!(matches!(rb.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
        assert_eq!(rows(&writer), 0);
        assert!(news.try_recv().is_err());
        run(&mut writer, vec![c]);
        assert!(rc.try_recv().unwrap().is_ok());
    }
}
