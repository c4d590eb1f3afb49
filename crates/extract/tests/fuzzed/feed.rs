//! Any bytes as a sitemap or feed, packed or not.

use super::read::read;
use extract::Scraper;
use model::Door;
use std::sync::{Arc, LazyLock};

static SCRAPER: LazyLock<Arc<Scraper>> = LazyLock::new(|| {
    let file = include_str!("../../../../scrapers/web_page/scraper.toml");
    Scraper::compile("web_page", file).expect("a shipped scraper")
});

/// Reads the bytes as a sitemap and as a feed.
pub(crate) fn all(body: &[u8]) {
    for method in ["sitemap", "feed"] {
        let door = Door::Discover(method.into());
        assert!(SCRAPER.has_door(&door));
        read(&SCRAPER, &door, "", body, "application/xml");
    }
}
