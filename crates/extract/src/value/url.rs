//! Addresses on pages: made absolute, `http` and `https` only.

use crate::limit;
use url::Url;

/// An absolute `http` or `https` URL with a host, or nothing (`javascript:`, `mailto:`, over-long, broken).
pub fn resolve(base: &Url, reference: &str) -> Option<Url> {
    let reference = reference.trim();
    if reference.is_empty() || reference.len() > limit::URL_BYTES {
        return None;
    }
    let url = base.join(reference).ok()?;
    let fits =
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.as_str().len() <= limit::URL_BYTES;
    fits.then_some(url)
}

/// The same, as a page to be asked for: without fragment. A reference to a place on the same page is none.
pub fn page(base: &Url, reference: &str) -> Option<Url> {
    if reference.trim_start().starts_with('#') {
        return None;
    }
    let mut url = resolve(base, reference)?;
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let base = Url::parse("https://a.example/x/y?z#f").unwrap();
        let text = |r: &str| page(&base, r).map(|u| u.to_string());
        assert_eq!(text("../b#c").as_deref(), Some("https://a.example/b"));
        assert_eq!(text("//c.example").as_deref(), Some("https://c.example/"));
        assert_eq!(text("?q=1").as_deref(), Some("https://a.example/x/y?q=1"));
        for none in ["", "#top", "javascript:void(0)", "mailto:a@b", "data:,x", "http://"] {
            assert_eq!(text(none), None, "{none}");
        }
    }
}
