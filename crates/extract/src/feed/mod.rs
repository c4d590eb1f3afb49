//! Sitemaps and feeds as JSON: sitemaps (lists, indexes, plain text, gzip), RSS, Atom, JSON Feed.
//!
//! Owns: which of them a body is, unpacking it, and the one shape that scraper files read:
//! `{ "kind", "entries": [{ "url", "title", "published", "updated", "summary", "author" }], "sitemaps": [{ "url", "updated" }] }`.
//! Its part reads XML (`xml`). Must not know: scraper files, how bodies are fetched.
//! Bounded: [`crate::limit::FEED_BYTES`] unpacked, [`crate::limit::FEED_ENTRIES`] entries, and a length for each value. Total.

mod xml;

use crate::limit;
use crate::value::text;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::io::Read;

/// Reads a body; `None` if it is neither a sitemap nor a feed.
pub(crate) fn read(body: &[u8], content_type: Option<&str>) -> Option<Value> {
    let body = unpacked(body);
    let decoded = html::decode(&body, declared(&body).as_deref().or(content_type));
    let written = decoded.trim_start_matches('\u{feff}').trim_start();
    match written.as_bytes().first()? {
        b'<' => xml::read(written),
        b'{' => json_feed(&serde_json::from_str(written).ok()?),
        _ => plain(written),
    }
}

/// The body without its gzip, whatever it is called.
fn unpacked(body: &[u8]) -> Cow<'_, [u8]> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Cow::Borrowed(body);
    }
    let mut out = Vec::new();
    // A cut or broken archive gives what can be read of it.
    let _ = MultiGzDecoder::new(body).take(limit::FEED_BYTES).read_to_end(&mut out);
    Cow::Owned(out)
}

/// The encoding that an XML declaration names, as a content type.
fn declared(body: &[u8]) -> Option<String> {
    const DECLARATION: usize = 200;
    let head = std::str::from_utf8(&body[..body.len().min(DECLARATION)]).ok()?;
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let (declaration, _) = head.strip_prefix("<?xml")?.split_once("?>")?;
    let (_, behind) = declaration.split_once("encoding")?;
    let name = behind.trim_start_matches([' ', '=', '"', '\'']).split(['"', '\'']).next()?;
    Some(format!("text/xml; charset={name}"))
}

/// A sitemap that is a list of addresses, one a line.
fn plain(written: &str) -> Option<Value> {
    let addresses =
        written.lines().map(str::trim).filter(|l| l.starts_with("http://") || l.starts_with("https://"));
    let entries: Vec<Value> = addresses
        .take(limit::FEED_ENTRIES)
        .map(|url| json!({ "url": text::head(url, limit::URL_BYTES) }))
        .collect();
    (!entries.is_empty()).then(|| json!({ "kind": "text", "entries": entries, "sitemaps": [] }))
}

/// JSON Feed 1.1.
fn json_feed(feed: &Value) -> Option<Value> {
    let items = feed.get("items")?.as_array()?;
    let entries: Vec<Value> = items
        .iter()
        .take(limit::FEED_ENTRIES)
        .map(|item| {
            let author = || item.pointer("/authors/0/name").or_else(|| item.pointer("/author/name"));
            let said: [(&str, Option<&Value>); 6] = [
                ("url", item.get("url").or_else(|| item.get("external_url"))),
                ("title", item.get("title")),
                ("published", item.get("date_published")),
                ("updated", item.get("date_modified")),
                (
                    "summary",
                    item.get("summary")
                        .or_else(|| item.get("content_text"))
                        .or_else(|| item.get("content_html")),
                ),
                ("author", author()),
            ];
            let kept = said.into_iter().filter_map(|(key, value)| {
                let value = text::head(value?.as_str()?, limit::FEED_VALUE_BYTES);
                Some((key.to_owned(), Value::String(value.to_owned())))
            });
            Value::Object(kept.collect::<Map<String, Value>>())
        })
        .collect();
    Some(json!({ "kind": "json", "title": feed.get("title"), "entries": entries, "sitemaps": [] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn urls(feed: &Value) -> Vec<&str> {
        feed["entries"].as_array().unwrap().iter().filter_map(|e| e["url"].as_str()).collect()
    }

    #[test]
    fn every_kind() {
        let sitemap = br#"<?xml version="1.0"?><s:urlset xmlns:s="x"><s:url><s:loc> http://a.example/?x=1&amp;b=2 </s:loc>
            <s:lastmod>2026-01-02</s:lastmod><image:image><image:loc>http://a.example/i.png</image:loc></image:image></s:url></s:urlset>"#;
        let got = read(sitemap, None).unwrap();
        assert_eq!(got["kind"], "urlset");
        assert_eq!(urls(&got), ["http://a.example/?x=1&b=2"]);
        assert_eq!(got["entries"][0]["updated"], "2026-01-02");
        let index = b"<sitemapindex><sitemap><loc>/s1.xml.gz</loc></sitemap></sitemapindex>";
        assert_eq!(read(index, None).unwrap()["sitemaps"], json!([{ "url": "/s1.xml.gz" }]));
        let rss = b"<rss><channel><title>News</title><link>http://a.example/</link><item><title>A &amp; <![CDATA[<b>B</b>]]></title>
            <link>http://a.example/1</link><pubDate>Mon, 02 Mar 2026 07:30:00 GMT</pubDate><dc:creator>Ida</dc:creator></item>
            <item><guid>http://a.example/2</guid></item></channel></rss>";
        let got = read(rss, None).unwrap();
        assert_eq!(
            (urls(&got), &got["title"]),
            (vec!["http://a.example/1", "http://a.example/2"], &json!("News"))
        );
        assert_eq!(got["entries"][0]["title"], "A & <b>B</b>");
        assert_eq!(got["entries"][0]["author"], "Ida");
        let atom = br#"<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><link href="http://a.example/"/><entry><title>One</title>
            <link rel="self" href="http://a.example/self"/><link href="http://a.example/one"/><author><name>Tom</name></author><updated>2026-03-04T00:00:00Z</updated></entry></feed>"#;
        let got = read(atom, None).unwrap();
        assert_eq!(urls(&got), ["http://a.example/one"]);
        assert_eq!(got["entries"][0]["author"], "Tom");
        assert_eq!(urls(&read(br#"{"version":"https://jsonfeed.org/version/1.1","items":[{"url":"http://a.example/j"}]}"#, None).unwrap()), ["http://a.example/j"]);
        assert_eq!(
            urls(&read(b"\xEF\xBB\xBFhttp://a.example/1\r\nhttp://a.example/2\n", None).unwrap()).len(),
            2
        );
        for nothing in [&b""[..], b"<html><p>no", b"plain words", b"{}", b"\x1f\x8bbroken"] {
            assert!(read(nothing, None).is_none());
        }
    }

    #[test]
    fn packed_in_another_encoding() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"<?xml version='1.0' encoding='ISO-8859-1'?><rss><item><link>http://a.example/\xe9</link></item></rss>").unwrap();
        let packed = gz.finish().unwrap();
        assert_eq!(urls(&read(&packed, Some("application/gzip")).unwrap()), ["http://a.example/\u{e9}"]);
        assert!(read(&packed[..packed.len() - 12], None).is_some());
    }

    #[test]
    fn hostile_ones_are_bounded() {
        let laughs = format!(
            "<!DOCTYPE x [{}]><urlset><url><loc>http://a.example/&l9;</loc></url></urlset>",
            "<!ENTITY l9 \"&l8;&l8;&l8;\">".repeat(9)
        );
        assert_eq!(urls(&read(laughs.as_bytes(), None).unwrap()), ["http://a.example/"]);
        let many = format!(
            "<urlset>{}</urlset>",
            "<url><loc>http://a.example/x</loc></url>".repeat(limit::FEED_ENTRIES + 10)
        );
        assert_eq!(
            read(many.as_bytes(), None).unwrap()["entries"].as_array().unwrap().len(),
            limit::FEED_ENTRIES
        );
        let deep = format!("<urlset>{}", "<url>".repeat(200_000));
        let _ = read(deep.as_bytes(), None);
        let long = format!("<urlset><url><loc>http://a.example/{}</loc></url></urlset>", "x".repeat(1 << 20));
        assert!(read(long.as_bytes(), None).unwrap().to_string().len() < 2 * limit::FEED_VALUE_BYTES);
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..80 {
            bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        assert!(unpacked(&bomb.finish().unwrap()).len() as u64 <= limit::FEED_BYTES);
    }
}
