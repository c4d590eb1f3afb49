//! Files into S3, Google Cloud Storage and Azure Blob Storage, by parts.
//!
//! Invariants: a file is there whole or not at all: parts become a file only at the end, and an upload that fails is
//! aborted; memory is [`IN_FLIGHT`] + 1 parts.

use super::{Body, Fault, name, within, word};
use bytes::Bytes;
use fetch::{BucketConnector, FetchError, FetchErrorKind};
use futures_util::stream::StreamExt;
use model::Destination;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, MultipartUpload, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, RetryConfig,
};
use serde_json::{Map, Value, json};
use std::error::Error as _;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};

/// Bytes of every part but the last: some stores that speak S3's protocol want them equal. Ten thousand of them are
/// 78 GiB.
const PART_BYTES: usize = 8 << 20;
/// Parts of one upload that S3 and Google take.
const PARTS_MAX: usize = 10_000;
/// Parts on their way at once.
const IN_FLIGHT: usize = 2;
/// Requests that a store fails are asked again so often at once; after that the delivery's own pauses begin.
const RETRIES: usize = 3;
const RETRY_SECS: u64 = 30;
/// The region of a bucket that names none: Amazon's own default.
const REGION: &str = "us-east-1";

/// The store of a destination. Asks nothing yet.
pub(super) fn open(
    destination: &Destination,
    words: &Map<String, Value>,
    connector: &BucketConnector,
) -> Result<Box<dyn ObjectStore>, Fault> {
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(RETRY_SECS),
    };
    // Plain HTTP only to an endpoint that was named so.
    let options = |endpoint: &Option<String>| {
        let plain = endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        ClientOptions::new().with_allow_http(plain)
    };
    let opened: object_store::Result<Box<dyn ObjectStore>> = match destination {
        Destination::S3 { bucket, region, endpoint_url, .. } => {
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(region.as_deref().unwrap_or(REGION))
                .with_access_key_id(word(words, "aws-access-key"))
                .with_secret_access_key(word(words, "aws-secret-key"))
                .with_client_options(options(endpoint_url))
                .with_retry(retry)
                .with_http_connector(connector.clone());
            if let Some(url) = endpoint_url {
                builder = builder.with_endpoint(url.trim_end_matches('/'));
            }
            builder.build().map(|store| Box::new(store) as _)
        }
        Destination::Gcs { bucket, endpoint_url, .. } => {
            let key = json!({
                "client_email": word(words, "client_email"), "private_key": word(words, "private_key"),
                "private_key_id": "",
            });
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_bucket_name(bucket)
                .with_service_account_key(key.to_string())
                .with_client_options(options(endpoint_url))
                .with_retry(retry)
                .with_http_connector(connector.clone());
            if let Some(url) = endpoint_url {
                builder = builder.with_base_url(url.trim_end_matches('/'));
            }
            builder.build().map(|store| Box::new(store) as _)
        }
        Destination::Azure { container, endpoint_url, .. } => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_account(word(words, "account"))
                .with_container_name(container)
                .with_client_options(options(endpoint_url))
                .with_retry(retry)
                .with_http_connector(connector.clone());
            builder = match word(words, "key") {
                "" => builder.with_config(AzureConfigKey::SasKey, word(words, "sas_token")),
                key => builder.with_access_key(key),
            };
            if let Some(url) = endpoint_url {
                builder = builder.with_endpoint(url.trim_end_matches('/').to_owned());
            }
            builder.build().map(|store| Box::new(store) as _)
        }
        other => return Err(Fault::never(format!("{} is no object store", other.kind()))),
    };
    // What cannot even be built is a key that is none, or the like.
    opened.map_err(|error| Fault::never(format!("the credentials cannot be used: {}", said(&error))))
}

/// Where a file lies in its bucket.
pub(super) fn path(directory: Option<&str>, file: &str) -> Result<Path, Fault> {
    Path::parse(name::join(directory, file))
        .map_err(|error| Fault::never(format!("the file's name is not possible there: {error}")))
}

/// Puts a file, replacing one of the same name. `still`: for one part.
pub(super) async fn upload(
    store: &dyn ObjectStore,
    path: &Path,
    content_type: &'static str,
    body: Body,
    still: Duration,
) -> Result<(), Fault> {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, content_type.into());
    let mut upload = Upload { store, path, attributes, still, begun: None, parts: 0 };
    match upload.run(body).await {
        Ok(()) => {
            upload.begun = None;
            Ok(())
        }
        Err(fault) => {
            if let Some(mut begun) = upload.begun.take() {
                // What is left of it is the store's to clean up if this fails, too.
                if let Ok(Err(error)) = tokio::time::timeout(still, begun.abort()).await {
                    tracing::debug!(error = said(&error), "an upload could not be aborted");
                }
            }
            Err(fault)
        }
    }
}

/// Removes a file.
pub(super) async fn remove(store: &dyn ObjectStore, path: &Path) -> Result<(), Fault> {
    use object_store::ObjectStoreExt;
    store.delete(path).await.map_err(|error| fault(&error))
}

/// Asks for what a file is like.
pub(super) async fn look(store: &dyn ObjectStore, path: &Path) -> Result<u64, Fault> {
    use object_store::ObjectStoreExt;
    store.head(path).await.map(|meta| meta.size).map_err(|error| fault(&error))
}

struct Upload<'a> {
    store: &'a dyn ObjectStore,
    path: &'a Path,
    attributes: Attributes,
    still: Duration,
    /// The upload by parts, if the file is larger than one.
    begun: Option<Box<dyn MultipartUpload>>,
    parts: usize,
}

impl Upload<'_> {
    async fn run(&mut self, mut body: Body) -> Result<(), Fault> {
        let mut cutter = Cutter::default();
        // Dropping it ends what is under way.
        let mut sending = JoinSet::new();
        while let Some(piece) = body.next().await {
            cutter.push(piece.map_err(|error| Fault::later(error.to_string()))?);
            while let Some(part) = cutter.whole() {
                sending.spawn(self.part(part).await?);
                if sending.len() >= IN_FLIGHT {
                    sent(sending.join_next().await)?;
                }
            }
        }
        let rest = cutter.rest();
        if self.begun.is_none() {
            let options = PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
            let put = async {
                self.store.put_opts(self.path, rest, options).await.map(drop).map_err(|e| fault(&e))
            };
            return within(self.still, "the upload", put).await;
        }
        if rest.content_length() > 0 {
            sending.spawn(self.part(rest).await?);
        }
        while let Some(result) = sending.join_next().await {
            sent(Some(result))?;
        }
        let Some(begun) = &mut self.begun else { return Ok(()) };
        let end = async { begun.complete().await.map(drop).map_err(|error| fault(&error)) };
        within(self.still, "the end of the upload", end).await
    }

    /// Begins to send a part.
    async fn part(
        &mut self,
        part: PutPayload,
    ) -> Result<impl Future<Output = Result<(), Fault>> + use<>, Fault> {
        if self.parts == PARTS_MAX {
            let most = (PARTS_MAX * PART_BYTES) >> 30;
            return Err(Fault::never(format!("the file is larger than {most} GiB: use `batch_size`")));
        }
        self.parts += 1;
        let begun = match &mut self.begun {
            Some(begun) => begun,
            none => {
                let options = PutMultipartOptions {
                    attributes: self.attributes.clone(),
                    ..PutMultipartOptions::default()
                };
                let begin = async {
                    self.store.put_multipart_opts(self.path, options).await.map_err(|error| fault(&error))
                };
                none.insert(within(self.still, "the beginning of the upload", begin).await?)
            }
        };
        let sending = begun.put_part(part);
        let still = self.still;
        Ok(async move {
            let part = async { sending.await.map_err(|error| fault(&error)) };
            within(still, "a part of the upload", part).await
        })
    }
}

impl Drop for Upload<'_> {
    /// Cut off in the middle (a lost lease, a stop): aborted as far as there is time for it.
    fn drop(&mut self) {
        if let Some(mut begun) = self.begun.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { drop(begun.abort().await) });
        }
    }
}

fn sent(result: Option<Result<Result<(), Fault>, JoinError>>) -> Result<(), Fault> {
    match result {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Fault::later(format!("a part of the upload broke: {error}"))),
    }
}

/// Cuts a stream into parts of equal size, without copying it.
#[derive(Default)]
struct Cutter {
    pieces: Vec<Bytes>,
    bytes: usize,
}

impl Cutter {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push(piece);
    }

    /// A part of exactly [`PART_BYTES`], if there is more than that: what is there may be all there is, and a file of one
    /// part needs no upload by parts.
    fn whole(&mut self) -> Option<PutPayload> {
        if self.bytes <= PART_BYTES {
            return None;
        }
        let mut wanted = PART_BYTES;
        let mut part = Vec::new();
        let mut rest = Vec::new();
        for mut piece in self.pieces.drain(..) {
            let now = piece.split_to(wanted.min(piece.len()));
            wanted -= now.len();
            if !now.is_empty() {
                part.push(now);
            }
            if !piece.is_empty() {
                rest.push(piece);
            }
        }
        self.pieces = rest;
        self.bytes -= PART_BYTES;
        Some(part.into_iter().collect())
    }

    fn rest(self) -> PutPayload {
        self.pieces.into_iter().collect()
    }
}

/// What an error of a store means.
fn fault(error: &object_store::Error) -> Fault {
    use object_store::Error as E;
    let said = said(error);
    if refused(error) {
        return Fault::never(said);
    }
    match error {
        E::Unauthenticated { .. } => Fault::never(format!("the store refused the credentials: {said}")),
        E::PermissionDenied { .. } => Fault::never(format!("the credentials may not do this there: {said}")),
        E::NotFound { .. } => Fault::never(format!("there is no such bucket or container: {said}")),
        E::InvalidPath { .. } | E::NotSupported { .. } | E::NotImplemented { .. } => Fault::never(said),
        _ => Fault::later(said),
    }
}

/// The guard's refusal is somewhere among the causes.
fn refused(error: &object_store::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<FetchError>().is_some_and(|e| e.kind == FetchErrorKind::Refused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The kernel of an error: what the store itself said (`<Code>`, `<Message>`), if it said something, else the last cause.
fn said(error: &object_store::Error) -> String {
    let text = error.to_string();
    let inside = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside.to_owned())
    };
    match (inside("Code"), inside("Message")) {
        (Some(code), Some(message)) => return format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => return only,
        (None, None) => {}
    }
    let mut cause = error.source();
    let mut last = text.clone();
    while let Some(error) = cause {
        if let Some(fetch) = error.downcast_ref::<FetchError>() {
            return fetch.message.clone();
        }
        last = error.to_string();
        cause = error.source();
    }
    if last.is_empty() { text } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use object_store::{GetResult, ObjectStoreExt};

    /// S3's rules: at most ten thousand parts, each of 5 MiB to 5 GiB but the last, which may be smaller.
    fn fits_s3(bytes: u64) -> bool {
        let part = PART_BYTES as u64;
        let parts = bytes.div_ceil(part);
        parts <= PARTS_MAX as u64 && (5 << 20..=5 << 30).contains(&part)
    }

    #[test]
    fn files_of_more_than_five_gigabytes_fit_the_rules_of_parts() {
        for bytes in [5_000_000_001, 5 << 30, (5 << 30) + 1, 50 << 30, PARTS_MAX as u64 * PART_BYTES as u64] {
            assert!(fits_s3(bytes), "{bytes}");
        }
        assert!(!fits_s3(PARTS_MAX as u64 * PART_BYTES as u64 + 1));
        // And the cutter keeps to it: pieces of an odd size, cut as they come, six gigabytes of the same buffer.
        let piece = Bytes::from(vec![7; 1_000_003]);
        let (mut cutter, mut parts, mut fed) = (Cutter::default(), Vec::new(), 0_u64);
        while fed < 6 << 30 {
            cutter.push(piece.clone());
            fed += piece.len() as u64;
            while let Some(part) = cutter.whole() {
                parts.push(part.content_length());
            }
            assert!(cutter.bytes <= PART_BYTES);
        }
        let rest = cutter.rest().content_length();
        assert!(parts.iter().all(|length| *length == PART_BYTES) && (1..=PART_BYTES).contains(&rest));
        assert_eq!(parts.len() as u64 * PART_BYTES as u64 + rest as u64, fed);
        assert!(parts.len() < PARTS_MAX);
    }

    async fn put(store: &InMemory, bytes: &[u8], piece: usize, breaks: bool) -> Result<(), Fault> {
        let mut pieces: Vec<std::io::Result<Bytes>> =
            bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if breaks {
            pieces.push(Err(std::io::Error::other("the rows broke")));
        }
        let body = Box::new(futures_util::stream::iter(pieces));
        upload(store, &Path::from("d/f"), "text/csv", body, Duration::from_secs(9)).await
    }

    #[tokio::test]
    async fn what_is_put_is_what_was_given() {
        let store = InMemory::new();
        for length in [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 3 * PART_BYTES + 5] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            put(&store, &bytes, 777_777, false).await.unwrap();
            let got: GetResult = store.get(&Path::from("d/f")).await.unwrap();
            assert_eq!(got.attributes.get(&Attribute::ContentType).map(|v| v.as_ref()), Some("text/csv"));
            assert!(got.bytes().await.unwrap() == bytes, "{length}");
        }
    }

    #[tokio::test]
    async fn what_breaks_off_leaves_no_file() {
        let store = InMemory::new();
        for length in [5, 3 * PART_BYTES] {
            let fault = put(&store, &vec![0; length], 1 << 20, true).await.unwrap_err();
            assert_eq!(fault, Fault::later("the rows broke"));
            assert!(store.get(&Path::from("d/f")).await.is_err(), "{length}");
        }
    }

    #[test]
    fn a_store_s_own_words_are_what_is_told() {
        let generic =
            |text: &str| object_store::Error::Generic { store: "S3", source: text.to_owned().into() };
        let xml = "status 403: <Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message></Error>";
        assert_eq!(said(&generic(xml)), "SignatureDoesNotMatch: No.");
        assert_eq!(said(&generic("it broke")), "it broke");
        let off_limits = FetchError::new(FetchErrorKind::Refused, "`h` is refused");
        let error = object_store::Error::Generic { store: "S3", source: Box::new(off_limits) };
        assert_eq!(fault(&error), Fault::never("`h` is refused"));
    }
}
