//! The page of one product: 46 KB of markup around the eight fields of its truth.

use super::parts::{card, escape, foot, head, put};
use super::words::{NOUNS, WORDS};
use super::{Product, Rng, product};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The page of a product in a shop of `total` products (it links to others of them).
pub fn page(id: u64, total: u64) -> String {
    let product = product(id);
    let mut rng = Rng::new(id ^ 0xBEEF);
    let mut out = String::with_capacity(64 * 1024);
    head(&mut out, &mut rng, &product.title, &product.description[0], &ld_json(&product));
    breadcrumb(&product, &mut out);
    gallery(&product, &mut out);
    info(&product, &mut out);
    out.push_str("<section id=\"description\" class=\"tab\"><h2>Description</h2>\n");
    for paragraph in &product.description {
        put!(out, "<p>{}</p>\n", escape(paragraph));
    }
    out.push_str("</section>\n");
    specifications(&mut rng, &mut out);
    reviews(&mut rng, &mut out);
    out.push_str("<section class=\"related\"><h2>You may also like</h2><div class=\"grid\">\n");
    for _ in 0..10 + rng.below(14) {
        card(&mut out, rng.below(total.max(1)));
    }
    out.push_str("</div></section>\n<script id=\"state\" type=\"application/json\">");
    let state: Vec<Value> = (0..12)
        .map(|i| json!({"k": rng.pick(WORDS), "i": i, "v": rng.draw(), "html": "<b>x<\\/b>"}))
        .collect();
    put!(out, "{}</script>\n", Value::from(state));
    foot(&mut out, &mut rng);
    out
}

/// An organization, a breadcrumb list and the product, each a block of its own.
fn ld_json(product: &Product) -> [Value; 3] {
    let crumbs: Vec<Value> = product
        .breadcrumbs
        .iter()
        .enumerate()
        .map(|(i, name)| json!({"@type": "ListItem", "position": i + 1, "name": name}))
        .collect();
    [
        json!({
            "@context": "https://schema.org", "@type": "Organization", "name": "Example Shop",
            "url": "https://shop.example/", "logo": "https://shop.example/logo.png",
        }),
        json!({"@context": "https://schema.org", "@type": "BreadcrumbList", "itemListElement": crumbs}),
        json!({
            "@context": "https://schema.org", "@type": "Product", "name": product.title, "sku": product.sku,
            "image": product.images, "description": product.description[0],
            "brand": {"@type": "Brand", "name": NOUNS[(product.id % 24) as usize]},
            "offers": {
                "@type": "Offer", "price": product.price, "priceCurrency": product.currency,
                "availability": "https://schema.org/InStock",
            },
            "aggregateRating": {
                "@type": "AggregateRating", "ratingValue": product.rating, "reviewCount": product.reviews,
            },
        }),
    ]
}

fn breadcrumb(product: &Product, out: &mut String) {
    out.push_str("<nav class=\"breadcrumb\" aria-label=\"Breadcrumb\"><ol>\n");
    for (i, name) in product.breadcrumbs.iter().enumerate() {
        put!(
            out,
            "<li class=\"crumb\"><a href=\"/c/{}?l={i}\">{}</a></li>\n",
            product.category,
            escape(name)
        );
    }
    out.push_str("</ol></nav>\n");
}

fn gallery(product: &Product, out: &mut String) {
    let title = escape(&product.title);
    out.push_str("<div class=\"product\" itemscope>\n<div class=\"gallery\" data-zoom=\"1\">\n");
    for (i, image) in product.images.iter().enumerate() {
        put!(
            out,
            "<figure class=\"gallery__item{}\"><img src=\"{image}\" \
             srcset=\"{image}?w=480 480w, {image}?w=960 960w, {image}?w=1440 1440w\" \
             sizes=\"(max-width: 600px) 100vw, 50vw\" alt=\"{title} &ndash; view {i}\" width=\"960\" height=\"960\">\
             </figure>\n",
            if i == 0 { " is-active" } else { "" }
        );
    }
    out.push_str("</div>\n");
}

fn info(product: &Product, out: &mut String) {
    let Product { id, sku, rating, reviews, currency, price, .. } = product;
    put!(
        out,
        "<div class=\"info\">\n<h1 class=\"product-title\">\n  {}\n</h1>\n\
         <p class=\"sku\">Item no. <span>{sku}</span></p>\n\
         <div class=\"stars\" style=\"--v:{rating}\" aria-label=\"{rating} out of 5\"><span></span>\
         <a href=\"#reviews\">({reviews} reviews)</a></div>\n\
         <div class=\"price\"><span class=\"cur\">{currency}</span> <span class=\"amount\">{price}</span></div>\n\
         <form class=\"buy\" method=\"post\" action=\"/cart\"><input type=\"hidden\" name=\"id\" value=\"{id}\">\
         <label>Qty <select name=\"qty\">",
        escape(&product.title)
    );
    for quantity in 1..=10 {
        let selected = if quantity == 1 { " selected" } else { "" };
        put!(out, "<option value=\"{quantity}\"{selected}>{quantity}</option>");
    }
    out.push_str(
        "</select></label><button class=\"btn btn--primary\" type=\"submit\">Add to cart</button></form>\n\
         </div>\n</div>\n",
    );
}

fn specifications(rng: &mut Rng, out: &mut String) {
    out.push_str("<section class=\"specs\"><h2>Specifications</h2><table class=\"spec\"><tbody>\n");
    for _ in 0..18 + rng.below(10) {
        let mut name = String::new();
        rng.words(2, &mut name);
        put!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{} <abbr title=\"unit\">mm</abbr></td></tr>\n",
            rng.below(5000)
        );
    }
    out.push_str("</tbody></table></section>\n");
}

fn reviews(rng: &mut Rng, out: &mut String) {
    out.push_str("<section id=\"reviews\" class=\"reviews\"><h2>Reviews</h2>\n");
    for i in 0..6 + rng.below(20) {
        let n = 2 + rng.below(4);
        let text = rng.sentences(n);
        put!(
            out,
            "<article class=\"review\" id=\"r{i}\"><header><strong class=\"review__author\">{} {}.</strong> \
             <time datetime=\"2026-{:02}-{:02}\">{} days ago</time>\
             <span class=\"stars\" data-v=\"{}\"><i></i><i></i><i></i><i></i><i></i></span></header>\n\
             <p class=\"review__body\">{}</p>\n\
             <footer><button class=\"helpful\" data-id=\"{i}\">Helpful ({})</button></footer></article>\n",
            rng.pick(NOUNS),
            char::from(b'A' + (rng.below(26) & 0x1F) as u8),
            1 + rng.below(12),
            1 + rng.below(28),
            1 + rng.below(300),
            1 + rng.below(5),
            escape(&text),
            rng.below(80)
        );
    }
    out.push_str("</section>\n");
}
