//! What is read of a page once it stands: its text, its picture, the header lines that tell what the text is.
//!
//! Must not know: how it came to stand.

use super::script;
use super::tab::Tab;
use crate::{FetchError, FetchErrorKind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;
use url::Url;

/// Highest page that is pictured whole, in pixels.
const PICTURE_HEIGHT_MAX: f64 = 12_000.0;
/// Widest.
const PICTURE_WIDTH_MAX: f64 = 4_000.0;

/// The header lines for what the body is now: text in UTF-8, with no coding. The cookies of a session are in its jar, not on
/// its pages.
pub(super) fn told(
    lines: Vec<(String, String)>,
    content_type: &str,
    in_session: bool,
) -> Vec<(String, String)> {
    let stale = ["content-type", "content-encoding", "content-length", "transfer-encoding"];
    let goes = |name: &str| stale.contains(&name) || (in_session && name == "set-cookie");
    let mut headers: Vec<(String, String)> = lines.into_iter().filter(|(name, _)| !goes(name)).collect();
    headers.push(("content-type".into(), format!("{content_type}; charset=utf-8")));
    headers
}

/// Text, type and address of a document.
pub(super) type Document = (String, String, Option<Url>);

/// The document as it stands.
pub(super) async fn document(tab: &mut Tab, bytes_max: u64) -> Result<Document, FetchError> {
    let mut answer = tab.within(script::DOCUMENT, &[bytes_max.into()], Duration::MAX).await?;
    let too_large = || {
        FetchError::new(
            FetchErrorKind::TooLarge,
            format!("the rendered page is larger than {bytes_max} bytes"),
        )
    };
    let serde_json::Value::String(text) = answer["text"].take() else {
        return Err(if answer.get("over").is_some() {
            too_large()
        } else {
            FetchError::new(FetchErrorKind::Protocol, "the browser gave no document")
        });
    };
    // Characters were counted in the page; here they are bytes.
    if text.len() as u64 > bytes_max {
        return Err(too_large());
    }
    let kind = answer["type"].as_str().unwrap_or("text/html").to_owned();
    let url = answer["url"].as_str().and_then(|url| Url::parse(url).ok());
    Ok((text, kind, url))
}

/// The whole page as a PNG, within bounds.
pub(super) async fn picture(tab: &mut Tab) -> Result<Bytes, FetchError> {
    let extent = tab.within(script::EXTENT, &[], Duration::MAX).await?;
    let side = |at: usize, most: f64| extent[at].as_f64().unwrap_or(1_280.0).clamp(1.0, most);
    let clip = json!({ "x": 0, "y": 0, "width": side(0, PICTURE_WIDTH_MAX),
        "height": side(1, PICTURE_HEIGHT_MAX), "scale": 1 });
    let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let answer = tab.call("Page.captureScreenshot", params).await?;
    let png = BASE64_STANDARD.decode(answer["data"].as_str().unwrap_or_default()).unwrap_or_default();
    if png.is_empty() {
        return Err(FetchError::new(FetchErrorKind::Protocol, "the browser took no picture"));
    }
    Ok(Bytes::from(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_what_the_body_is_now() {
        let sent = [
            ("content-type", "text/html; charset=iso-8859-1"),
            ("content-encoding", "br"),
            ("x-a", "b"),
            ("set-cookie", "a=b"),
        ];
        let sent = sent.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        let now = told(sent.clone(), "text/html", true);
        assert_eq!(now.len(), 2);
        assert_eq!(now[1], ("content-type".into(), "text/html; charset=utf-8".into()));
        assert_eq!(told(sent, "text/html", false).len(), 3);
    }
}
