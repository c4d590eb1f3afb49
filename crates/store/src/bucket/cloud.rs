//! From `s3://bucket/prefix`, `gs://…` and `az://…` to a store: a pure reading of the address, and the credentials that
//! the machine has (environment, web identity, instance metadata), as `object_store` finds them.
//!
//! Must not know: how HTTP is spoken; that is the connector's.

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a prefix at most: with a key behind it a name stays below what the stores allow.
const PREFIX_BYTES: usize = 200;

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// `s3://`: Amazon S3 and what speaks like it.
    S3,
    /// `gs://`.
    Google,
    /// `az://`.
    Azure,
}

/// A bucket (Azure: a container) and a prefix in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketUrl {
    /// Which store.
    pub cloud: Cloud,
    /// The bucket's name.
    pub bucket: String,
    /// What the names of our objects begin with, without slashes at its ends; may be empty.
    pub prefix: String,
}

impl BucketUrl {
    /// Reads an address. The error is a sentence that does not repeat the address: it might hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (cloud, rest) = [("s3://", Cloud::S3), ("gs://", Cloud::Google), ("az://", Cloud::Azure)]
            .into_iter()
            .find_map(|(scheme, cloud)| Some((cloud, text.strip_prefix(scheme)?)))
            .ok_or("should begin with s3://, gs:// or az://")?;
        if rest.contains(['@', '?', '#']) {
            return Err("should be a bucket and a prefix only: credentials come from the environment");
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(named) {
            return Err("should name a bucket of 3 to 63 lower-case letters, digits, `-`, `.` or `_`");
        }
        let prefix = prefix.trim_end_matches('/');
        let fits = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        if prefix.len() > PREFIX_BYTES || (!prefix.is_empty() && !prefix.split('/').all(fits)) {
            return Err("should have a prefix of letters, digits, `-`, `.`, `_` and `/`, at most 200 bytes");
        }
        Ok(Self { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The store, with the credentials of the environment. Opens no connection.
    pub fn open(&self, connector: impl HttpConnector) -> Result<Arc<dyn ObjectStore>, String> {
        let store: Result<Arc<dyn ObjectStore>, object_store::Error> = match self.cloud {
            Cloud::S3 => {
                // One object at a time is deleted, and not everything that speaks S3 deletes by lists.
                let builder = AmazonS3Builder::from_env()
                    .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
                    .with_bucket_name(&self.bucket)
                    .with_retry(patience())
                    .with_http_connector(connector);
                builder.build().map(|store| Arc::new(store) as _)
            }
            Cloud::Google => {
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_bucket_name(&self.bucket)
                    .with_retry(patience())
                    .with_http_connector(connector);
                builder.build().map(|store| Arc::new(store) as _)
            }
            Cloud::Azure => {
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_container_name(&self.bucket)
                    .with_retry(patience())
                    .with_http_connector(connector);
                builder.build().map(|store| Arc::new(store) as _)
            }
        };
        store.map_err(|error| error.to_string())
    }
}

/// How often a request is sent again before its caller hears of it; callers that must not give up ask again by
/// themselves.
fn patience() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(3),
            base: 2.,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_a_prefix() {
        for (text, cloud, bucket, prefix) in [
            ("s3://rows", Cloud::S3, "rows", ""),
            ("s3://rows/", Cloud::S3, "rows", ""),
            ("gs://my.rows/Trawl/v1/", Cloud::Google, "my.rows", "Trawl/v1"),
            ("az://rows-1/a", Cloud::Azure, "rows-1", "a"),
        ] {
            let url = BucketUrl::parse(text).unwrap();
            assert_eq!(
                (url.cloud, url.bucket.as_str(), url.prefix.as_str()),
                (cloud, bucket, prefix),
                "{text}"
            );
        }
    }

    #[test]
    fn other_addresses_are_refused_without_repeating_them() {
        for text in [
            "",
            "rows",
            "http://rows/x",
            "s3://",
            "s3://ab",
            "s3://UPPER",
            "s3://key:secret@rows/x",
            "s3://rows/a//b",
            "s3://rows/../x",
            "s3://rows/x?sig=secret",
            "s3://rows/ü",
            &format!("s3://rows/{}", "a".repeat(201)),
        ] {
            let error = BucketUrl::parse(text).expect_err(text);
            assert!(error.starts_with("should ") && !error.contains("secret"), "{text}: {error}");
        }
    }
}
