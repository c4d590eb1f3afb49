//! `multipart/form-data`: the file field `data`, as pieces again.

use super::Source;
use crate::api::error::{ApiError, Result};
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use std::sync::{Arc, Mutex, PoisonError};

/// Fields that may stand before `data`.
const FIELDS: usize = 100;

type Piece = (Option<String>, Bytes);
/// The source's own refusal, kept beside the form's reader, which takes any error for its own.
type Kept = Arc<Mutex<Option<ApiError>>>;

/// The pieces of the field `data`, each with the field's own content type.
///
/// Errors: `Invalid attachments` if the form is broken or has no such field; whatever the source says.
pub(in crate::api) struct FormData(BoxStream<'static, Result<Piece>>);

impl FormData {
    /// The next piece, `None` at the end of the field.
    pub(in crate::api) async fn next(&mut self) -> Result<Option<Piece>> {
        self.0.next().await.transpose()
    }
}

/// Opens a form. `content_type` holds its boundary.
pub(in crate::api) fn form_data(source: Source, content_type: HeaderValue) -> FormData {
    let kept = Kept::default();
    let mut request = Request::new(Body::from_stream(pieces(source, kept.clone())));
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    // A field borrows its form, so both live in one task of their own, which ends with whoever reads.
    let (send, receive) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = read(request, &send).await {
            let own = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Nobody waits for the error if the reader has gone.
            let _ = send.send(Err(own.unwrap_or(error))).await;
        }
    });
    let received =
        stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) });
    FormData(received.boxed())
}

fn invalid<E>(_: E) -> ApiError {
    ApiError::bad("Invalid attachments")
}

async fn read(request: Request, send: &tokio::sync::mpsc::Sender<Result<Piece>>) -> Result<()> {
    let mut form = Multipart::from_request(request, &()).await.map_err(invalid)?;
    for _ in 0..FIELDS {
        let Some(mut field) = form.next_field().await.map_err(invalid)? else { break };
        let found = field.name() == Some("data");
        let kind = field.content_type().map(str::to_owned);
        while let Some(bytes) = field.chunk().await.map_err(invalid)? {
            if found && send.send(Ok((kind.clone(), bytes))).await.is_err() {
                return Ok(());
            }
        }
        if found {
            return Ok(());
        }
    }
    Err(invalid(()))
}

fn pieces(source: Source, kept: Kept) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold(Some(source), move |source| {
        let kept = kept.clone();
        async move {
            let mut source = source?;
            match source.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(source))),
                Ok(None) => None,
                Err(error) => {
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Some((Err(std::io::Error::other("the body ended")), None))
                }
            }
        }
    })
}
