//! When an article was published: data, meta tags, `<time>`, what is shown near the title, the address.

use super::Says;
use crate::limit;
use crate::value::date::{Moment, Reading, parse};
use crate::value::text;
use html::Node;
use model::Timestamp;
use url::Url;

const METAS: [&str; 22] = [
    "article:published_time",
    "datePublished",
    "og:published_time",
    "og:article:published_time",
    "article:published",
    "cxenseparse:recs:publishtime",
    "parsely-pub-date",
    "sailthru.date",
    "pubdate",
    "publishdate",
    "publish-date",
    "publish_date",
    "published_time",
    "dcterms.created",
    "dc.date.issued",
    "dcterms.issued",
    "dc.date",
    "dc.date.created",
    "dcterms.date",
    "datecreated",
    "date",
    "citation_publication_date",
];

/// Blocks near the title in which a date is looked for.
const NEAR: usize = 400;

/// The date, from the first place that gives one that can be read.
pub(super) fn of(says: &Says<'_>, url: &Url, now: Timestamp) -> Option<Moment> {
    let language = says.head.language_tag().unwrap_or_default().to_lowercase();
    let day_first = !(language.is_empty()
        || language == "en"
        || language.starts_with("en-us")
        || language.starts_with("en_us"));
    let tag = (!language.is_empty()).then_some(language.as_str());
    let read = |written: &str| parse(written, Reading { day_first, now, language: tag });
    let item = |key: &str| says.item(&[key]).into_iter().find_map(|v| read(v.as_str()?));
    item("datePublished")
        .or_else(|| METAS.iter().flat_map(|name| says.head.all(name)).find_map(read))
        .or_else(|| item("dateCreated"))
        .or_else(|| marked(says.root, &read))
        .or_else(|| shown(says.root, &read))
        .or_else(|| address(url))
        .or_else(|| item("dateModified"))
        .or_else(|| {
            says.meta(&["article:modified_time", "og:updated_time", "last-modified"]).and_then(|t| read(&t))
        })
}

/// `itemprop=datePublished`, else the first `<time>` behind the title, else the first.
fn marked(root: Node<'_>, read: &dyn Fn(&str) -> Option<Moment>) -> Option<Moment> {
    let said = |node: Node<'_>| {
        node.attr("datetime")
            .or_else(|| node.attr("content"))
            .and_then(read)
            .or_else(|| read(&node.visible_text()))
    };
    let mut first = None;
    let mut behind = false;
    for node in root.descendants() {
        if node.attr("itemprop").is_some_and(|p| p.split_ascii_whitespace().any(|w| w == "datePublished"))
            && let Some(found) = said(node)
        {
            return Some(found);
        }
        match node.name() {
            "h1" => {
                behind = true;
                first = None;
            }
            "time" if first.is_none() && (behind || first.is_none()) => first = said(node),
            _ => {}
        }
    }
    first
}

/// A short text with a date, in an element that is called a date or near the title.
fn shown(root: Node<'_>, read: &dyn Fn(&str) -> Option<Moment>) -> Option<Moment> {
    let called = |node: &Node<'_>| {
        node.attr("class").is_some_and(|class| {
            text::head(class, 200).split(|c: char| !c.is_ascii_alphabetic()).any(|w| {
                matches!(
                    w.to_ascii_lowercase().as_str(),
                    "date"
                        | "published"
                        | "publish"
                        | "time"
                        | "timestamp"
                        | "dateline"
                        | "datum"
                        | "fecha"
                        | "posted"
                        | "pubdate"
                )
            })
        })
    };
    let short = |node: Node<'_>| {
        let small = node.descendants().take(30).count() < 30;
        let said = if small { node.visible_text() } else { String::new() };
        (!said.is_empty() && said.len() < limit::SHORT_VALUE_BYTES).then_some(said).and_then(|t| read(&t))
    };
    let by_class = || root.descendants().filter(called).take(50).find_map(short);
    let near = || {
        let title = root.descendants().find(|n| n.name() == "h1")?;
        let nodes = root.descendants().skip_while(|n| *n != title).skip(1).take(NEAR);
        nodes
            .filter_map(Node::text_node)
            .filter(|t| (6..80).contains(&t.trim().len()) && t.contains(|c: char| c.is_ascii_digit()))
            .find_map(read)
    };
    by_class().or_else(near)
}

/// `/2026/01/05/` in the address.
fn address(url: &Url) -> Option<Moment> {
    let parts: Vec<&str> = url.path().split('/').collect();
    let date = parts.windows(3).find_map(|w| {
        let number = |at: usize, len: std::ops::RangeInclusive<usize>| {
            w[at].parse::<u32>().ok().filter(|_| len.contains(&w[at].len()))
        };
        let (year, month, day) = (number(0, 4..=4)?, number(1, 1..=2)?, number(2, 1..=2)?);
        let year = i32::try_from(year).ok().filter(|y| (1990..2100).contains(y))?;
        chrono::NaiveDate::from_ymd_opt(year, month, day)
    })?;
    Some(Moment { date, time: None, offset: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_dates() {
        let date = |u: &str| address(&Url::parse(u).unwrap()).map(|m| m.date_text());
        assert_eq!(date("https://a/2026/01/05/x").as_deref(), Some("2026-01-05"));
        assert_eq!(date("https://a/2026/13/05/x"), None);
    }
}
