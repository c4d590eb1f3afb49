//! Why a request is refused: one constructor per documented case, a status, a public JSON body, a private cause.
//!
//! Invariants: every body is a JSON object with an `error` key (api.md 14); a cause is logged exactly once, when the
//! answer is made, and never shown.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use std::fmt::Display;
use store::StoreError;

/// What a handler gives back.
pub(super) type Result<T> = std::result::Result<T, ApiError>;

/// Seconds to wait before asking again when the store cannot be reached.
const UNAVAILABLE_RETRY_SECS: u64 = 2;
/// Seconds to wait before triggering again when too many runs are unfinished.
const BUSY_RETRY_SECS: u64 = 10;
/// Characters of an offending row that are shown in `line`.
const LINE_CHARS: usize = 2_000;

/// A refusal. Boxed, because it is the rare end of every `Result`.
#[derive(Debug)]
pub(super) struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    body: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl ApiError {
    /// `{"error": text}`.
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self::with_body(status, json!({ "error": text.into() }))
    }

    fn with_body(status: StatusCode, body: Value) -> Self {
        Self(Box::new(Inner { status, body, headers: Vec::new(), cause: None }))
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    fn with_cause(mut self, cause: impl Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// 400 with a sentence.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404 with a sentence.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 404 of a snapshot.
    pub(super) fn no_snapshot() -> Self {
        Self::missing("Snapshot does not exist")
    }

    /// 401 with one of the documented sentences.
    pub(super) fn unauthorized(message: &str) -> Self {
        Self::with_body(StatusCode::UNAUTHORIZED, json!({ "error": "Unauthorized", "message": message }))
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the token lacks rights.
    pub(super) fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Access denied.")
    }

    /// 403, and why.
    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 400: sentences about the query or the options.
    pub(super) fn options(sentences: Vec<String>) -> Self {
        let error = sentences.join("; ");
        Self::with_body(StatusCode::BAD_REQUEST, json!({ "validation_errors": sentences, "error": error }))
    }

    /// 400: one sentence about the query or the options.
    pub(super) fn option(sentence: impl Into<String>) -> Self {
        Self::options(vec![sentence.into()])
    }

    /// 400: a row of the input is refused. `index` counts from 1.
    pub(super) fn row(line: &str, index: u64, errors: &[(String, String)]) -> Self {
        let line = match line.char_indices().nth(LINE_CHARS) {
            Some((cut, _)) => &line[..cut],
            None => line,
        };
        Self::with_body(
            StatusCode::BAD_REQUEST,
            json!({
                "error": "Invalid input provided", "code": "validation_error", "type": "validation",
                "line": line, "index": index, "errors": errors,
            }),
        )
    }

    /// 400: the body is not what its type says.
    pub(super) fn parse(detail: impl Display) -> Self {
        Self::with_body(
            StatusCode::BAD_REQUEST,
            json!({ "error": format!("Parser cannot parse input: {detail}"), "code": "parse_error" }),
        )
    }

    /// 400: the body is empty.
    pub(super) fn empty_body() -> Self {
        Self::with_body(
            StatusCode::BAD_REQUEST,
            json!({ "error": "Parser has expected a value", "code": "parse_error" }),
        )
    }

    /// 408: the sender paused for too long.
    pub(super) fn slow_sender() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "The body was sent too slowly")
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 413: the body is larger than allowed.
    pub(super) fn too_large(most: u64) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("The body is larger than {most} bytes"))
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 415: the body's type or encoding is not known.
    pub(super) fn unsupported(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    /// 429: too many unfinished runs of a dataset (the documented text).
    pub(super) fn busy(running: u64, most: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "You have too many running jobs for this dataset. Please wait until some of them finish or \
                 consider combining multiple inputs into a single request. Running jobs: {running}>={most}"
            ),
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from(BUSY_RETRY_SECS))
    }

    /// 429: too many requests of one token.
    pub(super) fn too_fast(retry_secs: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests, slow down")
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_secs))
    }

    /// 500, flat; the cause is logged.
    pub(super) fn internal(cause: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").with_cause(cause)
    }

    /// 503: a part of ours cannot be reached; the cause is logged.
    pub(super) fn unavailable(cause: impl Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service is temporarily unavailable")
            .with_header(header::RETRY_AFTER, HeaderValue::from(UNAVAILABLE_RETRY_SECS))
            .with_cause(cause)
    }

    /// The same refusal in the words of another endpoint, if it is a 404.
    pub(super) fn renamed(mut self, text: &str) -> Self {
        if self.0.status == StatusCode::NOT_FOUND {
            self.0.body = json!({ "error": text });
        }
        self
    }

    /// The sentence in `error`.
    pub(super) fn text(&self) -> String {
        self.0.body["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Was an idempotency key used with another request?
    pub(super) fn is_conflict(&self) -> bool {
        self.0.status == StatusCode::CONFLICT
    }

    /// May the same request be taken a little later?
    pub(super) fn may_pass(&self) -> bool {
        let status = self.0.status;
        status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
    }

    /// The status.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The public body.
    #[cfg(test)]
    pub(super) fn body(&self) -> &Value {
        &self.0.body
    }
}

impl From<StoreError> for ApiError {
    /// Handlers turn "does not exist" and "the state does not allow it" into their documented sentences themselves;
    /// what is left here is trouble of ours.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::missing(error.to_string()),
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Conflict(_)
            | StoreError::LeaseLost
            | StoreError::Invalid(_)
            | StoreError::Damaged(_) => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Inner { status, body, headers, cause } = *self.0;
        if let Some(cause) = cause {
            tracing::error!(status = status.as_u16(), %cause, "request failed");
        }
        let mut response = (status, axum::Json(body)).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Answers for paths that do not exist.
pub(super) async fn no_such_path() -> ApiError {
    ApiError::missing("No such path")
}

/// Answers for methods that a path does not have; the router adds `Allow`.
pub(super) async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}

/// A JSON object in the order given.
pub(super) fn object<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_an_error_and_keeps_its_documented_keys() {
        let row = ApiError::row("{}", 1, &[("url".into(), "Required field".into())]);
        let text = row.body().to_string();
        assert_eq!(
            text,
            r#"{"error":"Invalid input provided","code":"validation_error","type":"validation","line":"{}","index":1,"errors":[["url","Required field"]]}"#
        );
        let options = ApiError::option("\"x\" is wrong");
        assert_eq!(options.body()["validation_errors"][0], "\"x\" is wrong");
        assert_eq!(options.body()["error"], "\"x\" is wrong");
        assert_eq!(ApiError::unauthorized("no").body()["error"], "Unauthorized");
    }

    #[test]
    fn our_own_trouble_is_not_shown() {
        let error = ApiError::from(StoreError::Damaged("page 7".into()));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(error.body().to_string(), r#"{"error":"Internal server error"}"#);
        assert_eq!(ApiError::from(StoreError::Unavailable("disk".into())).status(), 503);
    }

    #[test]
    fn a_huge_line_is_cut_at_a_character() {
        let error = ApiError::row(&"é".repeat(5_000), 1, &[]);
        assert_eq!(error.body()["line"].as_str().map(|l| l.chars().count()), Some(LINE_CHARS));
    }
}
