//! Who a page is fetched as: header lines that are nobody else's business, and the way out to the web.
//!
//! Must not know: how a session or a proxy is found. Invariant: no `Debug` here shows a value.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Header lines whose values are not shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HiddenLines(pub Vec<(String, String)>);

impl HiddenLines {
    /// No line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// May any of them be a secret?
    pub fn has_secrets(&self) -> bool {
        self.0.iter().any(|(name, _)| is_secret_header(name))
    }

    /// Keeps those that cannot be.
    pub fn drop_secrets(&mut self) {
        self.0.retain(|(name, _)| !is_secret_header(name));
    }
}

impl fmt::Debug for HiddenLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The way out to the web.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Through the operator's proxies, if there are any.
    #[default]
    Any,
    /// Through none.
    Direct,
    /// Through proxies of this label only.
    Label(String),
}

/// Headers that tell nothing about who asks: they may follow a redirect to another site, and may stand in a log.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-language",
    "cache-control",
    "content-type",
    "dnt",
    "if-modified-since",
    "if-none-match",
    "pragma",
    "priority",
    "referer",
    "save-data",
    "upgrade-insecure-requests",
    "user-agent",
    "x-requested-with",
];

/// May the value of this header be a secret? Whatever is not known to be harmless.
pub fn is_secret_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    !HARMLESS.contains(&lower.as_str()) && !lower.starts_with("sec-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown() {
        let mut request = crate::Request::get("https://a.example/".parse().unwrap());
        request.headers.push(("authorization".into(), "Bearer hunter2".into()));
        request.body = Some("password=hunter2".into());
        request.needs.secret_headers = HiddenLines(vec![("x-key".into(), "hunter2".into())]);
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("authorization") && shown.contains("x-key"), "{shown}");
    }

    #[test]
    fn unknown_headers_are_taken_for_secrets() {
        for secret in ["Authorization", "cookie", "X-Api-Key", "x-anything"] {
            assert!(is_secret_header(secret), "{secret}");
        }
        for harmless in ["User-Agent", "accept-language", "Sec-Fetch-Mode"] {
            assert!(!is_secret_header(harmless), "{harmless}");
        }
    }
}
