//! A bucket of S3, Google Cloud Storage or Azure.
//!
//! Owns: objects below a prefix of a bucket that others may use, too; nothing outside the prefix is listed or touched.
//! Must not know: which of the stores it is, nor how HTTP is spoken to it.
//!
//! Invariants: an object is visible when all of it is there, and durable then; of several written at once the last one
//! stays, whole; an error's text holds no credentials and nothing of what the store says beyond its code and message.

use super::{Bucket, BucketError, is_key};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Larger objects go in parts of this size: one that breaks is sent again alone. The stores take parts of 5 MiB and more.
const PART: usize = 8 << 20;
/// Parts of one object on their way at once.
const PARTS_AT_ONCE: usize = 3;
/// Ranges longer than any object are asked for without an end: some servers cannot read such numbers.
const NO_END: u64 = 1 << 42;
/// Characters of a store's own words in an error.
const WORDS: usize = 300;

/// Objects below a prefix of a bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ObjectBucket {
    store: Arc<dyn ObjectStore>,
    /// Empty, or ends with a slash.
    prefix: Arc<str>,
}

impl ObjectBucket {
    /// Objects of this store whose names begin with `prefix` and a slash; all of them if it is empty.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { store, prefix: prefix.into() }
    }

    /// The name of an object; `None` for a key that no object can have.
    fn path(&self, key: &str) -> Option<Path> {
        if is_key(key) { Path::parse(format!("{}{key}", self.prefix)).ok() } else { None }
    }

    async fn head(&self, key: &str, path: &Path) -> Result<ObjectMeta, BucketError> {
        self.store.head(path).await.map_err(|error| fault(key, &error))
    }

    async fn put_parts(&self, path: &Path, bytes: &Bytes) -> object_store::Result<()> {
        let mut upload = self.store.put_multipart(path).await?;
        if let Err(error) = send_parts(&mut *upload, bytes).await {
            // Parts cost money as long as they lie there. If they cannot be removed now, the bucket's own rule for
            // unfinished uploads does it.
            if let Err(error) = upload.abort().await {
                tracing::warn!(error = why(&error), "could not remove the parts of a failed upload");
            }
            return Err(error);
        }
        Ok(())
    }
}

async fn send_parts(upload: &mut dyn MultipartUpload, bytes: &Bytes) -> object_store::Result<()> {
    // Parts are numbered in the order in which they are taken here.
    futures_util::stream::iter((0..bytes.len()).step_by(PART))
        .map(|at| upload.put_part(bytes.slice(at..bytes.len().min(at + PART)).into()))
        .buffer_unordered(PARTS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    upload.complete().await.map(drop)
}

#[async_trait]
impl Bucket for ObjectBucket {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BucketError> {
        let Some(path) = self.path(key) else {
            return Err(BucketError::Unavailable(format!("`{key}` cannot be a key")));
        };
        let put = if bytes.len() > PART {
            self.put_parts(&path, &bytes).await
        } else {
            self.store.put(&path, bytes.into()).await.map(drop)
        };
        // A bucket that is not there is no object that is not there.
        put.map_err(|error| BucketError::Unavailable(format!("`{key}` cannot be written: {}", why(&error))))
    }

    async fn get(&self, key: &str, from: u64, len: u64) -> Result<Bytes, BucketError> {
        let path = self.path(key).ok_or_else(|| BucketError::NotFound(key.to_owned()))?;
        if len == 0 {
            return self.head(key, &path).await.map(|_| Bytes::new());
        }
        let range = match from.checked_add(len) {
            Some(end) if end < NO_END => GetRange::Bounded(from..end),
            _ => GetRange::Offset(from),
        };
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let got = match self.store.get_opts(&path, options).await {
            Ok(got) => got,
            Err(error @ Error::NotFound { .. }) => return Err(fault(key, &error)),
            // Stores say in different ways that a range begins behind the end.
            Err(error) => {
                return match self.head(key, &path).await {
                    Ok(meta) if meta.size <= from => Ok(Bytes::new()),
                    _ => Err(fault(key, &error)),
                };
            }
        };
        let promised = got.range.end - got.range.start;
        let bytes = got.bytes().await.map_err(|error| fault(key, &error))?;
        if bytes.len() as u64 == promised {
            Ok(bytes)
        } else {
            let had = bytes.len();
            Err(BucketError::Unavailable(format!("`{key}` ended after {had} of {promised} bytes")))
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let Some(path) = self.path(key) else { return Ok(()) };
        match self.store.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(fault(key, &error)),
        }
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<(String, u64)>, BucketError> {
        let weighed = self.weigh(prefix, after, limit).await?;
        Ok(weighed.into_iter().map(|(key, age_ms, _)| (key, age_ms)).collect())
    }

    async fn weigh(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64, u64)>, BucketError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        // Stores list what lies below a slash; the rest of the prefix is looked at here.
        let folder = prefix.rfind('/').map_or("", |at| &prefix[..at]);
        let below = Path::parse(format!("{}{folder}", self.prefix)).ok().filter(|p| !p.as_ref().is_empty());
        let offset =
            if after.is_empty() { None } else { Path::parse(format!("{}{after}", self.prefix)).ok() };
        let mut listed = match &offset {
            Some(offset) => self.store.list_with_offset(below.as_ref(), offset),
            None => self.store.list(below.as_ref()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let mut last = String::new();
        while found.len() < limit {
            let Some(meta) = listed.next().await else { break };
            let meta = meta.map_err(|error| fault(prefix, &error))?;
            // Objects that are not ours have other names.
            let Some(key) = meta.location.as_ref().strip_prefix(&*self.prefix).filter(|key| is_key(key))
            else {
                continue;
            };
            if key <= last.as_str() {
                // Going on after a key would leave out some.
                return Err(BucketError::Unavailable("the store does not list names in their order".into()));
            }
            last = key.to_owned();
            if key.starts_with(prefix) && key > after {
                let written = u128::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0);
                let age_ms = u64::try_from(now.saturating_sub(written)).unwrap_or(u64::MAX);
                found.push((last.clone(), age_ms, meta.size));
            } else if key > prefix && key > after {
                break;
            }
        }
        Ok(found)
    }
}

/// What it means for the caller.
fn fault(key: &str, error: &Error) -> BucketError {
    match error {
        Error::NotFound { .. } => BucketError::NotFound(key.to_owned()),
        error => BucketError::Unavailable(format!("`{key}`: {}", why(error))),
    }
}

/// The reason, as far as it may be shown: requests, addresses and a store's whole answer may hold signatures.
fn why(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    let (head, body) = match text.split_once(": ") {
        // `Server returned non-2xx status code: 403 Forbidden: <?xml …`
        Some((start, rest)) if start.starts_with("Server returned") => {
            rest.split_once(": ").unwrap_or((rest, ""))
        }
        _ => (text.as_str(), ""),
    };
    let said: Vec<&str> = ["Code", "Message"].into_iter().filter_map(|tag| element(body, tag)).collect();
    let said = if said.is_empty() { head.to_owned() } else { format!("{head} ({})", said.join(": ")) };
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

/// The text of the first element of that name.
fn element<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once("</")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn what_lies_outside_the_prefix_is_not_ours() {
        let store = Arc::new(InMemory::new());
        let put =
            async |name: &str| store.put(&Path::from(name), Bytes::from_static(b"x").into()).await.unwrap();
        for name in ["top", "trawl", "trawl2/segments/a", "trawl/segments/a", "trawl/segments/NOT OURS", "z"]
        {
            put(name).await;
        }
        let bucket = ObjectBucket::new(store.clone(), "/trawl/");
        let keys: Vec<_> = bucket.list("", "", 9).await.unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["segments/a"]);
        assert!(matches!(bucket.get("../top", 0, 1).await, Err(BucketError::NotFound(_))));
        bucket.put("../top", Bytes::new()).await.unwrap_err();
        bucket.delete("segments/a").await.unwrap();
        assert!(store.head(&Path::from("trawl2/segments/a")).await.is_ok());
    }

    #[test]
    fn errors_say_what_the_store_said_and_nothing_of_its_answer_else() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Inner(&'static str);
        let shown = |text| why(&Error::Generic { store: "S3", source: Box::new(Inner(text)) });
        assert_eq!(
            shown(
                "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
                 <Code>SignatureDoesNotMatch</Code><Message>It does not match</Message>\
                 <AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>"
            ),
            "403 Forbidden (SignatureDoesNotMatch: It does not match)"
        );
        assert_eq!(
            shown("Server returned non-2xx status code: 500 Internal Server Error: {\"token\":1}"),
            "500 Internal Server Error"
        );
        assert_eq!(
            shown("no connection to `s3.test` within 10 ms"),
            "no connection to `s3.test` within 10 ms"
        );
        assert_eq!(shown(Box::leak("é\n".repeat(999).into_boxed_str())).chars().count(), WORDS);
    }
}
