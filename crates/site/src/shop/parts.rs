//! What the shop's pages have in common: head, navigation, footer, cards, and the weight real pages carry.
//!
//! The markup is frozen: selectors of peers' scripts and of test scrapers are written against it.

use super::words::{DEPARTMENTS, NOUNS, WORDS};
use super::{Rng, title};
use serde_json::Value;
use std::fmt::Write as _;

/// Writes formatted text; writing to a `String` cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); }};
}
pub(super) use put;

/// Text as it stands in HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            c => out.push(c),
        }
    }
    out
}

fn styles(rng: &mut Rng, n: u64, out: &mut String) {
    for _ in 0..n {
        put!(
            out,
            ".{}-{}{{display:flex;padding:{}px {}px;color:#{:06x};border-radius:{}px;transition:opacity .2s ease}}",
            rng.pick(NOUNS).to_lowercase(),
            rng.below(99),
            rng.below(40),
            rng.below(40),
            rng.below(0xff_ffff),
            rng.below(12)
        );
    }
}

/// Script text that looks like markup to a careless parser.
fn scripts(rng: &mut Rng, n: u64, out: &mut String) {
    for i in 0..n {
        put!(
            out,
            "function f{i}(a,b){{if(a<b&&b>{}){{return a+\"<div class=\\\"x\\\">\"+b}}var q={{k:'{}',v:{}}};return q.k+a}}\n",
            rng.below(1000),
            rng.pick(WORDS),
            rng.below(1 << 30)
        );
    }
}

/// Everything up to `<main>`.
pub(super) fn head(out: &mut String, rng: &mut Rng, title: &str, description: &str, ld_json: &[Value]) {
    let title = escape(title);
    put!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title} | Example Shop</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"description\" content=\"{}\">\n<meta property=\"og:title\" content=\"{title}\">\n\
         <meta property=\"og:type\" content=\"product\">\n\
         <link rel=\"stylesheet\" href=\"/static/app.{:08x}.css\">\n\
         <link rel=\"preconnect\" href=\"https://cdn.example\">\n<style>",
        escape(description),
        rng.draw32()
    );
    styles(rng, 40, out);
    out.push_str("</style>\n");
    for block in ld_json {
        put!(out, "<script type=\"application/ld+json\">{block}</script>\n");
    }
    out.push_str("<script>");
    scripts(rng, 24, out);
    out.push_str(
        "</script>\n</head>\n<body class=\"page page--product theme-light\">\n\
         <header class=\"site-header\"><div class=\"wrap\"><a class=\"logo\" href=\"/\">\
         <svg width=\"24\" height=\"24\" viewBox=\"0 0 24 24\"><path d=\"M12 2l9 5v10l-9 5-9-5V7z\"/></svg> \
         Example Shop</a><form class=\"search\" action=\"/search\">\
         <input type=\"search\" name=\"q\" placeholder=\"Search&hellip;\">\
         <button type=\"submit\">Go</button></form></div>\n<nav class=\"mega\"><ul class=\"l1\">\n",
    );
    for (d, department) in DEPARTMENTS.iter().enumerate() {
        put!(out, "<li class=\"l1-item\"><a href=\"/c/{d}\">{}</a><ul class=\"l2\">", escape(department));
        for c in (0..5).map(|k| d + 8 * k) {
            put!(
                out,
                "<li class=\"l2-item\"><a class=\"l2-link\" href=\"/c/{c}?page=1\" data-track=\"nav:{c}\">\
                 <span>Category {c}</span></a></li>\n"
            );
        }
        out.push_str("</ul></li>\n");
    }
    out.push_str("</ul></nav></header>\n<main id=\"main\">\n");
}

/// Everything from `</main>`.
pub(super) fn foot(out: &mut String, rng: &mut Rng) {
    out.push_str("</main>\n<footer class=\"site-footer\">");
    for column in 0..4 {
        put!(out, "<div class=\"col\"><h4>Column {column}</h4><ul>");
        for _ in 0..6 {
            let word = rng.pick(WORDS);
            put!(out, "<li><a href=\"/help/{}\" rel=\"nofollow\">{word}</a></li>", rng.below(100));
        }
        out.push_str("</ul></div>\n");
    }
    out.push_str(
        "<p class=\"copy\">&copy; 2026 Example Shop &mdash; all prices incl.&nbsp;VAT</p></footer>\n<script>",
    );
    scripts(rng, 12, out);
    out.push_str("</script>\n</body>\n</html>\n");
}

/// A product as it stands in a listing.
pub(super) fn card(out: &mut String, id: u64) {
    let mut rng = Rng::new(id ^ 0xCA4D);
    let title = escape(&title(id));
    let image = rng.draw32();
    put!(
        out,
        "<article class=\"card\" data-id=\"{id}\">\n<a class=\"card__link\" href=\"/p/{id}\" title=\"{title}\">\n\
         <picture><source type=\"image/webp\" srcset=\"/img/{id}/t-{image:08x}.webp 1x, /img/{id}/t2-{image:08x}.webp 2x\">\
         <img class=\"card__img\" loading=\"lazy\" width=\"240\" height=\"240\" alt=\"{title}\" \
         src=\"/img/{id}/t-{image:08x}.jpg\"></picture>\n<h3 class=\"card__title\">{title}</h3>\n</a>\n\
         <div class=\"card__price\"><span class=\"amount\">{}.{:02}</span> <del>{}.00</del></div>\
         <button class=\"btn btn--ghost\" data-action=\"add\" data-id=\"{id}\">Add to cart</button>\n</article>\n",
        3 + rng.below(900),
        rng.below(100),
        1000 + rng.below(500)
    );
}

/// A listing page: heading, cards, links to the neighbours.
pub(crate) fn list_page(
    seed: u64,
    heading: &str,
    count: u64,
    ids: impl IntoIterator<Item = u64>,
    pagination: &str,
) -> String {
    let mut rng = Rng::new(seed);
    let mut out = String::with_capacity(64 * 1024);
    head(&mut out, &mut rng, heading, "All products", &[]);
    put!(out, "<h1>{heading}</h1><p class=\"count\">{count} products</p><div class=\"grid\">\n");
    for id in ids {
        card(&mut out, id);
    }
    put!(out, "</div>\n<nav class=\"pagination\">{pagination}</nav>\n");
    foot(&mut out, &mut rng);
    out
}
