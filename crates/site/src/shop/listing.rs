//! Pages that lead to products: categories, the home page, flat lists, sitemap; and robots.txt.

use super::parts::{foot, head, list_page, put};
use super::{CATEGORIES, PER_PAGE, Rng};
use std::fmt::Write as _;

fn products_in(category: u64, total: u64) -> u64 {
    (total + CATEGORIES - 1 - category) / CATEGORIES
}

/// Pages of a category (below [`CATEGORIES`]) in a shop of `total` products; at least one.
pub fn pages_of(category: u64, total: u64) -> u64 {
    products_in(category, total).div_ceil(PER_PAGE).max(1)
}

/// Page `page`, from 1, of a category: its products are `category`, `category + 40`, `category + 80`, …
pub fn category(category: u64, page: u64, total: u64) -> Option<String> {
    if category >= CATEGORIES || page == 0 || page > pages_of(category, total) {
        return None;
    }
    let (count, pages) = (products_in(category, total), pages_of(category, total));
    let ids = ((page - 1) * PER_PAGE..(page * PER_PAGE).min(count)).map(|i| category + i * CATEGORIES);
    let mut pagination = String::new();
    if page > 1 {
        put!(pagination, "<a rel=\"prev\" href=\"/c/{category}?page={}\">Previous</a>", page - 1);
    }
    put!(pagination, "<span>{page} / {pages}</span>");
    if page < pages {
        put!(pagination, "<a rel=\"next\" href=\"/c/{category}?page={}\">Next</a>", page + 1);
    }
    Some(list_page(category << 32 | page, &format!("Category {category}"), count, ids, &pagination))
}

/// The start page: only the navigation.
pub fn home() -> String {
    let mut out = String::new();
    let mut rng = Rng::new(1);
    head(&mut out, &mut rng, "Home", "Example Shop", &[]);
    foot(&mut out, &mut rng);
    out
}

/// One page that links to the first `n` products.
pub fn list(n: u64) -> String {
    let mut out = String::from("<!DOCTYPE html><html><head><title>list</title></head><body><ul>\n");
    for id in 0..n {
        put!(out, "<li><a href=\"/p/{id}\">product {id}</a></li>\n");
    }
    out.push_str("</ul></body></html>");
    out
}

/// `base` is scheme and host.
pub fn robots(base: &str) -> String {
    format!(
        "User-agent: *\nDisallow: /cart\nDisallow: /search\nCrawl-delay: 0\nSitemap: {base}/sitemap.xml\n"
    )
}

/// Every product.
pub fn sitemap(base: &str, total: u64) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for id in 0..total {
        put!(
            out,
            "<url><loc>{base}/p/{id}</loc><lastmod>2026-{:02}-{:02}</lastmod></url>\n",
            1 + id % 12,
            1 + id % 28
        );
    }
    out.push_str("</urlset>\n");
    out
}
