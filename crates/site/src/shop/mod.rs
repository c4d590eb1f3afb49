//! A shop in which everything is a pure function of an id: products, their pages, and the truth to measure against.

mod listing;
mod page;
mod parts;
mod words;

pub use listing::{category, home, list, pages_of, robots, sitemap};
pub use page::page;
pub(crate) use parts::{escape, list_page};
pub(crate) use words::Rng;

use serde_json::{Value, json};
use words::{DEPARTMENTS, NOUNS, TAILS};

/// Categories of the shop; a product's is its id modulo this.
pub const CATEGORIES: u64 = 40;
/// Products on one page of a category.
pub const PER_PAGE: u64 = 50;

/// One product.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Its id, from 0.
    pub id: u64,
    /// Title with everything HTML must escape.
    pub title: String,
    /// Decimal number with two digits after the point.
    pub price: String,
    /// ISO 4217.
    pub currency: &'static str,
    /// `SKU-<category>-<id>`.
    pub sku: String,
    /// 2.0 to 5.0.
    pub rating: f64,
    /// How many rated it.
    pub reviews: u64,
    /// From `Home` down.
    pub breadcrumbs: Vec<String>,
    /// Paths, 4 to 10 of them.
    pub images: Vec<String>,
    /// Paragraphs.
    pub description: Vec<String>,
    /// Category.
    pub category: u64,
}

/// The title of a product, without making the rest of it.
pub fn title(id: u64) -> String {
    let mut rng = Rng::new(id ^ 0x7171);
    let mut text = String::new();
    rng.words(3, &mut text);
    format!("{text} {}{} #{id}", rng.pick(NOUNS), rng.pick(TAILS))
}

/// The product with this id.
pub fn product(id: u64) -> Product {
    let mut rng = Rng::new(id);
    let category = id % CATEGORIES;
    let images = 4 + rng.below(7);
    // The order of the draws below is the identity of the shop: peers' measurements were made against it.
    Product {
        id,
        title: title(id),
        price: format!("{}.{:02}", 3 + rng.below(900), rng.below(100)),
        currency: ["EUR", "USD", "GBP"][rng.below(3) as usize],
        sku: format!("SKU-{category:03}-{id:07}"),
        rating: (20 + rng.below(31)) as f64 / 10.0,
        reviews: 3 + rng.below(400),
        breadcrumbs: vec![
            "Home".into(),
            DEPARTMENTS[(category % 8) as usize].into(),
            format!("Category {category}"),
            rng.pick(NOUNS).into(),
        ],
        images: (0..images).map(|i| format!("/img/{id}/{i}-{:08x}.webp", rng.draw32())).collect(),
        description: (0..3 + rng.below(4))
            .map(|_| {
                let n = 2 + rng.below(4);
                rng.sentences(n)
            })
            .collect(),
        category,
    }
}

/// The record every scraper has to find on the product's page; `url` is for the caller to add.
pub fn truth(id: u64) -> Value {
    let product = product(id);
    json!({
        "title": product.title,
        "price": product.price,
        "currency": product.currency,
        "sku": product.sku,
        "rating": product.rating,
        "breadcrumbs": product.breadcrumbs,
        "images": product.images,
        "description": product.description.join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a: enough to notice that a page is not the page it was.
    fn fingerprint(texts: impl IntoIterator<Item = String>) -> u64 {
        texts
            .into_iter()
            .flat_map(String::into_bytes)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    #[test]
    fn the_shop_is_the_one_that_peers_were_measured_on() {
        let ids = || (0..20u64).map(|i| i * 997);
        assert_eq!(fingerprint(ids().map(|id| truth(id).to_string())), 0x9283_0d41_e0cf_b0c1);
        assert_eq!(fingerprint(ids().map(|id| page(id, 20_000))), 0xcfe3_dd9a_a18c_d5f9);
        assert_eq!(
            fingerprint((0..CATEGORIES).filter_map(|c| category(c, 2, 20_000))),
            0xcd0e_2d02_e25a_54c4
        );
    }

    #[test]
    fn pages_are_as_large_as_shop_pages_are() {
        let sizes: Vec<usize> = (0..100).map(|id| page(id, 20_000).len()).collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((40_000..55_000).contains(&mean), "{mean}");
    }

    #[test]
    fn a_page_shows_its_truth() {
        for id in [0, 7, 41, 19_999] {
            let html = page(id, 20_000);
            let product = product(id);
            assert!(html.contains(&escape(&product.title)));
            assert!(html.contains(&product.sku));
            for text in product.images.iter().chain(&product.description) {
                assert!(html.contains(&escape(text)), "{text}");
            }
        }
    }

    #[test]
    fn every_product_is_in_its_category_once() {
        for total in [0, 1, 39, 40, 41, 4_050] {
            let found: u64 = (0..CATEGORIES)
                .flat_map(|c| (1..=pages_of(c, total)).map(move |n| (c, n)))
                .filter_map(|(c, n)| category(c, n, total))
                .map(|html| html.matches("<a class=\"card__link\"").count() as u64)
                .sum();
            assert_eq!(found, total);
        }
        assert_eq!(category(0, pages_of(0, 4_050) + 1, 4_050), None);
        assert_eq!(category(CATEGORIES, 1, 4_050), None);
        assert_eq!(category(0, 0, 4_050), None);
    }
}
