//! `multipart/form-data`: the file field `data`, as a source of pieces again.

use super::Source;
use crate::api::error::{ApiError, Result};
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::HeaderValue;
use std::sync::{Arc, Mutex, PoisonError};

/// Fields that may stand before `data`.
const FIELDS: usize = 100;

/// Hands every piece of the field `data` to `piece`, with the field's own content type.
///
/// Errors: `Invalid attachments` if the form is broken or has no such field; whatever the source or `piece` says.
pub(in crate::api) async fn form_data<F>(source: Source, content_type: HeaderValue, mut piece: F) -> Result<()>
where
    F: AsyncFnMut(Option<&str>, Bytes) -> Result<()>,
{
    // The form's reader takes any error for its own; the source's is kept beside it, to be told as it is.
    let fault: Arc<Mutex<Option<ApiError>>> = Arc::default();
    let kept = Arc::clone(&fault);
    let pieces = stream::unfold(Some(source), move |source| {
        let kept = Arc::clone(&kept);
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
    });
    let broken = |_| {
        let fault = fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        fault.unwrap_or_else(|| ApiError::bad("Invalid attachments"))
    };
    let mut request = Request::new(Body::from_stream(pieces));
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| ApiError::bad("Invalid attachments"))?;
    for _ in 0..FIELDS {
        let Some(mut field) = form.next_field().await.map_err(broken)? else { break };
        let found = field.name() == Some("data");
        let kind = field.content_type().map(str::to_owned);
        while let Some(bytes) = field.chunk().await.map_err(broken)? {
            if found {
                piece(kind.as_deref(), bytes).await?;
            }
        }
        if found {
            return Ok(());
        }
    }
    Err(ApiError::bad("Invalid attachments"))
}
