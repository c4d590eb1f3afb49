//! A request's body as a stream of bounded pieces: size limit, slow senders, gzip; then rows out of it.
//!
//! Owns: how bytes become rows. Must not know: scrapers, the store.

pub(super) mod csv;
mod form;
pub(super) mod json;
mod source;

pub(super) use form::form_data;
pub(super) use json::Fault;
pub(super) use source::{Bounds, Source};

use super::error::ApiError;

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Empty => Self::empty_body(),
            Fault::Syntax(text, _) if text == "expected a value" => Self::parse(text),
            Fault::Syntax(text, index) => Self::parse(format!("{text} (input {index})")),
            Fault::RowTooLarge(index) => Self::row(
                "",
                index,
                &[("input".into(), format!("Must not be larger than {} bytes", model::limit::ROW_BYTES))],
            ),
        }
    }
}

/// What a body is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON, whose shape is told by its first bytes; also one object per line.
    Json,
    /// One object per line.
    Lines,
    /// A table.
    Csv,
    /// A form whose field `data` holds a table (or JSON).
    Form,
}

impl Shape {
    /// The shape of a media type. A body without a type is JSON, as is `application/x-www-form-urlencoded`, which is
    /// what `curl -d` says of any body. `None`: not known.
    pub(super) fn of(content_type: Option<&str>) -> Option<Self> {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            ""
            | "application/json"
            | "text/json"
            | "text/plain"
            | "application/octet-stream"
            | "application/x-www-form-urlencoded" => Some(Self::Json),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines" => Some(Self::Lines),
            "text/csv" | "application/csv" => Some(Self::Csv),
            "multipart/form-data" => Some(Self::Form),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_by_media_type() {
        assert_eq!(Shape::of(None), Some(Shape::Json));
        assert_eq!(Shape::of(Some("Application/JSON; charset=utf-8")), Some(Shape::Json));
        assert_eq!(Shape::of(Some("text/csv")), Some(Shape::Csv));
        assert_eq!(Shape::of(Some("multipart/form-data; boundary=x")), Some(Shape::Form));
        assert_eq!(Shape::of(Some("application/x-ndjson")), Some(Shape::Lines));
        assert_eq!(Shape::of(Some("image/png")), None);
    }
}
