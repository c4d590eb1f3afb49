//! `/trap/…`: addresses and lists without end, which crawlers must leave by themselves; and `/maps/…`, which do end.
//!
//! Owns: the traps, and sitemaps of any size made when asked for. Must not know: how crawlers notice.

use crate::charset;
use crate::http::{HTML, Head, ok, response};
use crate::route::{Answer, World};
use crate::shop;
use std::fmt::Write as _;
use std::io;

/// Most addresses in one sitemap, and sitemaps in one index (sitemaps.org).
const MAP_MAX: u64 = 50_000;
/// Products that lists of traps lead to.
const PRODUCTS: u64 = 5;

/// The answer to `/trap/{path}`.
pub(crate) fn trap(world: &World, path: &str, request: &Head) -> Option<Answer> {
    let total = world.pages.max(1);
    let number = request.query("page").and_then(|p| p.parse::<u64>().ok()).unwrap_or(1);
    let mut parts = path.split('/');
    let name = parts.next().unwrap_or_default();
    let next = |url: &str| format!("<a rel=\"next\" href=\"{url}\">Next</a>");
    let list = |ids: &[u64], more: &str| {
        shop::list_page(0x7A9 ^ number, "No end", total, ids.iter().map(|id| id % total), more)
    };
    let html = match name {
        // Months without an event, for ever; the first has some.
        "calendar" => {
            let month: u64 = parts.next().and_then(|m| m.parse().ok()).unwrap_or(0);
            let ids: &[u64] = if month == 0 { &[0, 1, 2] } else { &[] };
            list(ids, &next(&format!("/trap/calendar/{}", month + 1)))
        }
        // Each page says that there is a next, and is the same.
        "same" => list(&[0, 1, 2], &next(&format!("/trap/same?page={}", number + 1))),
        // The same few products under new sessions, in the path and in the query; the next page, too.
        "session" => {
            let session = format!(
                "{:08x}a1b2c3d4e5f60718{number:08x}",
                number.wrapping_mul(2_654_435_761) & 0xffff_ffff
            );
            let mut links = String::new();
            for id in 0..PRODUCTS {
                let _ = write!(
                    links,
                    "<a class=\"card__link\" href=\"/p/{id};jsessionid={session}\">a</a>\
                     <a class=\"card__link\" href=\"/p/{id}?sid={session}\">b</a>\
                     <a class=\"card__link\" href=\"/p/{id}?utm_source=trap&amp;utm_campaign={number}\">c</a>"
                );
            }
            let links = links + &next(&format!("/trap/session?page={}&amp;sid={session}", number + 1));
            list(&[], &links)
        }
        // A relative link that grows by what it stands on.
        "deeper" => {
            let path = request.path().trim_end_matches('/');
            list(&[0, 1], &next(&format!("{path}/more/pages")))
        }
        _ => return None,
    };
    Some(Answer::Whole(ok(HTML, html)))
}

/// The answer to `/maps/{files}/{entries}/index.xml` and `/maps/{files}/{entries}/{number}.xml[.gz]`: an index of sitemaps,
/// and each of them. Together they list `files × entries` products, each once.
///
/// # Errors
/// Only if the compressor fails.
pub(crate) fn maps(path: &str, base: &str) -> io::Result<Option<Answer>> {
    let mut parts = path.split('/');
    let mut number = || parts.next()?.parse::<u64>().ok().filter(|n| (1..=MAP_MAX).contains(n));
    let (Some(files), Some(entries)) = (number(), number()) else { return Ok(None) };
    let Some(name) = parts.next() else { return Ok(None) };
    if name == "index.xml" {
        let mut xml = String::from(
            "<?xml version=\"1.0\"?><sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">",
        );
        for file in 0..files {
            // Every other one is packed.
            let end = if file % 2 == 0 { ".gz" } else { "" };
            let _ =
                write!(xml, "<sitemap><loc>{base}/maps/{files}/{entries}/{file}.xml{end}</loc></sitemap>");
        }
        xml.push_str("</sitemapindex>");
        return Ok(Some(Answer::Whole(ok("application/xml", xml))));
    }
    let (stem, is_packed) = match name.strip_suffix(".xml.gz") {
        Some(stem) => (stem, true),
        None => (name.strip_suffix(".xml").unwrap_or_default(), false),
    };
    let Some(file) = stem.parse::<u64>().ok().filter(|file| *file < files) else { return Ok(None) };
    let mut xml = String::from(
        "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for id in file * entries..(file + 1) * entries {
        let _ = writeln!(
            xml,
            "<url><loc>{base}/p/{id}</loc><lastmod>2026-01-02</lastmod><priority>0.5</priority></url>"
        );
    }
    xml.push_str("</urlset>");
    Ok(Some(Answer::Whole(if is_packed {
        response(200, &[("Content-Type", "application/gzip")], &charset::gzip(xml.as_bytes())?)
    } else {
        ok("application/xml", xml)
    })))
}
