//! Any bytes as an HTML page, read by the generic scrapers: every reader, every kind of structured data.

use super::read::read;
use extract::Scraper;
use model::Door;
use std::sync::{Arc, LazyLock};

static SCRAPERS: LazyLock<Vec<Arc<Scraper>>> = LazyLock::new(|| {
    let files = [
        include_str!("../../../../scrapers/web_page/scraper.toml"),
        include_str!("../../../../scrapers/article/scraper.toml"),
        include_str!("../../../../scrapers/product/scraper.toml"),
        include_str!("../../../../scrapers/recipe/scraper.toml"),
        include_str!("../../../../scrapers/job_posting/scraper.toml"),
        include_str!("../../../../scrapers/event/scraper.toml"),
        include_str!("../../../../scrapers/reviews/scraper.toml"),
    ];
    files.iter().map(|text| Scraper::compile("t", text).expect("a shipped scraper")).collect()
});

/// Reads the bytes as a page of each; and as a listing.
pub(crate) fn all(body: &[u8]) {
    for scraper in SCRAPERS.iter() {
        read(scraper, &Door::Collect, "", body, "text/html");
        for method in ["category_url", "keyword"] {
            let door = Door::Discover(method.into());
            if scraper.has_door(&door) {
                read(scraper, &door, "", body, "text/html; charset=utf-8");
            }
        }
    }
}
