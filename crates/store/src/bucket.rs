//! Bytes on disk: immutable objects under keys. S3, GCS and Azure join as further implementations.

mod folder;

pub use folder::FolderBucket;

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
