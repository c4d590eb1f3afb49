//! What a product page says of its product: its data where it has some, else what is shown; without site code.
//!
//! Owns: which of the two is believed, and the number in a product's address. Its parts own reading what is shown (`shown`)
//! and the words of many languages (`word`). Must not know: scrapers, sites. Total: what is not found is none.

mod shown;
mod word;

use crate::value::price::Price;
use html::Node;
use shown::Shown;
use std::cell::OnceCell;
use url::Url;

/// A product page, read for what it shows; each part is looked for when it is asked for.
pub(crate) struct Product<'p> {
    shown: Shown<'p>,
    price: OnceCell<Option<Price>>,
}

impl<'p> Product<'p> {
    /// Reads the page below `root`.
    pub(crate) fn of(root: Node<'p>) -> Self {
        Self { shown: Shown::of(root), price: OnceCell::new() }
    }

    /// The price that is shown.
    pub(crate) fn price(&self) -> Option<&Price> {
        self.price.get_or_init(|| self.shown.price()).as_ref()
    }

    /// The shop's number of it, behind a label.
    pub(crate) fn sku(&self) -> Option<String> {
        self.shown.sku()
    }

    /// The maker's number of it.
    pub(crate) fn mpn(&self) -> Option<String> {
        self.shown.mpn()
    }

    /// Its trade item number, with a right check digit.
    pub(crate) fn gtin(&self) -> Option<String> {
        self.shown.gtin()
    }

    /// Its maker.
    pub(crate) fn brand(&self) -> Option<String> {
        self.shown.brand()
    }

    /// Whether it can be bought, in schema.org's words. A page that shows a price and says nothing else sells.
    pub(crate) fn availability(&self) -> Option<&'static str> {
        self.shown.availability().or_else(|| self.price().map(|_| "InStock"))
    }
}

/// The number that names the product in its address: the last long one of the path's last parts, else a short one that is a
/// part of its own.
pub(crate) fn number_in(url: &Url) -> Option<String> {
    const LONG: usize = 5;
    const PARTS: usize = 3;
    let parts: Vec<&str> = url.path_segments()?.filter(|p| !p.is_empty()).collect();
    for part in parts.iter().rev().take(PARTS) {
        let stem = part
            .rsplit_once('.')
            .filter(|(_, end)| end.len() <= 5 && !end.is_empty())
            .map_or(*part, |(s, _)| s);
        let last = stem.rsplit(['-', '_', ',', '.']).next().unwrap_or(stem);
        let digits = last.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let letters = last.len() - digits.len();
        if digits.len() >= LONG && letters <= 2 && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Some(digits.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_addresses() {
        let of = |path: &str| number_in(&Url::parse(&format!("https://shop.example/{path}")).unwrap());
        assert_eq!(of("code-anotado-1589482272.html").as_deref(), Some("1589482272"));
        assert_eq!(of("speaker/chalk/p4781720").as_deref(), Some("4781720"));
        assert_eq!(of("prod/crib-mattress/418295.htm").as_deref(), Some("418295"));
        assert_eq!(of("p/12345-67890/?x=1").as_deref(), Some("67890"));
        assert_eq!(of("category/chairs"), None);
        assert_eq!(of("blog/2020"), None);
    }
}
