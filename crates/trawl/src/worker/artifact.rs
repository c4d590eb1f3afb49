//! What of the pages is delivered after the rows (`download_fields`): the archive, the text of the pages, their pictures.
//!
//! Owns: the form of each. Must not know: how often a delivery is tried (`deliver`), how pages are kept.

use super::Worker;
use super::deliver::{GZIP, Post, Sent, own_fault, with_grade};
use crate::archive::{Archive, ArchiveError};
use crate::deliver::{Body, name};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use format::{Shape, Writer};
use futures_util::{Stream, TryStreamExt};
use model::{Artifact, DeliveredFile, Delivery, Destination, Format, Promise, Snapshot, SnapshotId};
use serde_json::{Value, json};

/// Bytes that pieces of the stream grow to.
const PIECE: usize = 256 << 10;

impl Worker {
    /// Sends the artifact with this place among those asked for, as part `part` of the delivery; `None` if there are no
    /// more.
    pub(super) async fn send_artifact(
        &self,
        delivery: &Delivery,
        promise: &Promise,
        snapshot: &Snapshot,
        part: u64,
        at: u64,
    ) -> Option<(DeliveredFile, Sent)> {
        let wanted = &snapshot.trigger.wishes.artifacts;
        let artifact = *wanted.get(usize::try_from(at).ok()?)?;
        let gzip = promise.compress && artifact != Artifact::Warc;
        let (end, content_type) = match artifact {
            Artifact::Warc => ("warc.gz", GZIP),
            Artifact::Html | Artifact::Screenshot => ("ndjson", Format::Ndjson.content_type()),
        };
        let filename = match &promise.destination {
            Destination::Webhook { .. } => format!("{}.{}.{end}", snapshot.id, artifact.as_str()),
            _ => {
                let end = if gzip { "ndjson.gz" } else { end };
                name::of_pages(promise, snapshot, part, delivery.created_at, (artifact.as_str(), end))
            }
        };
        let file = DeliveredFile { filename, at: self.clock.now(), rows: 0 };
        let Destination::Webhook { endpoint, auth_header, headers } = &promise.destination else {
            let kind = if gzip { GZIP } else { content_type };
            let body: Body = match artifact {
                Artifact::Warc => {
                    Box::new(self.archive.stream(&snapshot.id).map_err(|error| own_fault(&error)))
                }
                Artifact::Html | Artifact::Screenshot => {
                    let lines = lines(self.archive.clone(), snapshot.id.clone(), artifact, gzip);
                    Box::new(lines.map_err(|error| own_fault(&error)))
                }
            };
            let sent = self.hand_over(delivery, promise, snapshot, part, (&file.filename, kind), body).await;
            return Some((file, sent));
        };
        let (auth_header, headers) = match self.opened(auth_header.as_ref(), headers) {
            Ok(opened) => opened,
            Err(fault) => return Some((file, fault.into())),
        };
        let mut headers = with_grade(&headers, snapshot);
        headers.push(("x-artifact".to_owned(), artifact.as_str().to_owned()));
        let post = Post {
            endpoint: endpoint.clone(),
            auth_header,
            headers,
            content_type,
            gzip,
            snapshot: snapshot.id.to_string(),
            delivery: delivery.id.clone(),
            part: part + 1,
        };
        let sent = match artifact {
            Artifact::Warc => self.post(&post, || self.archive.stream(&snapshot.id)).await,
            Artifact::Html | Artifact::Screenshot => {
                let lines = || lines(self.archive.clone(), snapshot.id.clone(), artifact, post.gzip);
                self.post(&post, lines).await
            }
        };
        Some((file, sent))
    }
}

/// One line for each page: where it was, its input, and its text (or its picture as base64).
fn lines(
    archive: Archive,
    id: SnapshotId,
    artifact: Artifact,
    gzip: bool,
) -> impl Stream<Item = Result<Bytes, ArchiveError>> + Send + Sync + Unpin + 'static {
    let (send, mut receive) = tokio::sync::mpsc::channel(2);
    tokio::spawn(async move {
        let mut out = Vec::new();
        let mut from = 0;
        let told = async {
            let mut writer =
                Writer::new(Shape::Ndjson, gzip).map_err(|e| ArchiveError::Damaged(e.to_string()))?;
            while let Some((next, pages)) = archive.pages_from(&id, from).await? {
                from = next;
                for entry in pages.iter().filter(|page| page.failed.is_none()) {
                    let mut line = json!({ "url": entry.url, "fetched_at": entry.at.to_string() });
                    line["input"] = serde_json::from_str(&entry.input.row).unwrap_or(Value::Null);
                    if artifact == Artifact::Screenshot {
                        let Some(picture) = archive.screenshot(entry).await? else { continue };
                        line["screenshot"] = STANDARD.encode(picture).into();
                    } else {
                        let page = archive.page(entry).await?;
                        line["html"] = html::decode(&page.body, page.header("content-type")).into();
                    }
                    let line = format!("{line}\n");
                    writer
                        .push(line.as_bytes(), &mut out)
                        .map_err(|e| ArchiveError::Damaged(e.to_string()))?;
                    if out.len() >= PIECE
                        && send.send(Ok(Bytes::from(std::mem::take(&mut out)))).await.is_err()
                    {
                        return Ok(());
                    }
                }
            }
            writer.finish(&mut out).map_err(|e| ArchiveError::Damaged(e.to_string()))?;
            Ok(())
        };
        let last = told.await.map(|()| Bytes::from(out));
        // If the reader has gone, nobody needs the rest.
        let _ = send.send(last).await;
    });
    futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx))
}
