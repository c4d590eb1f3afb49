//! Bytes under keys: immutable objects, in a folder or in an object store.

mod cloud;
mod folder;
mod object;

pub use cloud::{BucketUrl, Cloud};
pub use folder::FolderBucket;
pub use object::ObjectBucket;

use async_trait::async_trait;
use bytes::Bytes;

/// What a bucket call can end in.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// There is no such object.
    #[error("no object `{0}`")]
    NotFound(String),
    /// Not now.
    #[error("bucket unavailable: {0}")]
    Unavailable(String),
}

/// Bytes of a key at most: the bound of the stores is 1,024, and a prefix may stand before it.
const KEY_BYTES: usize = 800;

/// Whether an object may have that key.
fn is_key(key: &str) -> bool {
    key.len() <= KEY_BYTES
        && key.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        })
}

/// Writes, reads and deletes a small object: whether a bucket can be worked with, told at once instead of job by job.
/// `key` is one that nobody else uses.
pub async fn probe(bucket: &dyn Bucket, key: &str) -> Result<(), BucketError> {
    let what = Bytes::from_static(b"trawl");
    bucket.put(key, what.clone()).await?;
    let read = bucket.get(key, 0, what.len() as u64).await?;
    bucket.delete(key).await?;
    if read == what {
        Ok(())
    } else {
        Err(BucketError::Unavailable("what was written does not come back".into()))
    }
}

/// Bytes under keys: written once, whole, durable when `put` returns.
#[async_trait]
pub trait Bucket: Send + Sync + 'static {
    /// Writes an object, durable on return. Keys are relative paths of `[a-z0-9._/-]`; an existing object is replaced
    /// as a whole, never seen half-written.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BucketError>;

    /// Bytes `from..from + len` of an object.
    async fn get(&self, key: &str, from: u64, len: u64) -> Result<Bytes, BucketError>;

    /// Deletes an object; one that is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), BucketError>;

    /// Keys under a prefix that sort after `after`, in order, at most `limit`, with the age of each in milliseconds.
    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, u64)>, BucketError>;

    /// The same, with the bytes of each. Buckets whose lists tell sizes do better than this.
    async fn weigh(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64, u64)>, BucketError> {
        /// More than any object has; half of what fits, as implementations add to it.
        const WHOLE: u64 = u64::MAX >> 1;
        let mut out = Vec::new();
        for (key, age_ms) in self.list(prefix, after, limit).await? {
            match self.get(&key, 0, WHOLE).await {
                Ok(bytes) => out.push((key, age_ms, bytes.len() as u64)),
                // Gone meanwhile.
                Err(BucketError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(out)
    }
}
