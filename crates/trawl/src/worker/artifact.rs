//! What of the pages is delivered after the rows (`download_fields`): the archive, the text of the pages, their pictures.
//!
//! Owns: the form of each. Must not know: how often a delivery is tried (`deliver`), how pages are kept.

use super::Worker;
use super::deliver::{Post, Sent, with_grade};
use crate::archive::{Archive, ArchiveError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use format::{Shape, Writer};
use futures_util::Stream;
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
        let Destination::Webhook { endpoint, auth_header, headers } = &promise.destination;
        let mut headers = with_grade(headers, snapshot);
        headers.push(("x-artifact".to_owned(), artifact.as_str().to_owned()));
        let post = Post {
            endpoint: endpoint.clone(),
            auth_header: auth_header.clone(),
            headers,
            content_type: match artifact {
                Artifact::Warc => "application/gzip",
                Artifact::Html | Artifact::Screenshot => Format::Ndjson.content_type(),
            },
            gzip: promise.compress && artifact != Artifact::Warc,
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
        let end = match artifact {
            Artifact::Warc => "warc.gz",
            Artifact::Html | Artifact::Screenshot => "ndjson",
        };
        let filename = format!("{}.{}.{end}", snapshot.id, artifact.as_str());
        Some((DeliveredFile { filename, at: self.clock.now(), rows: 0 }, sent))
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
