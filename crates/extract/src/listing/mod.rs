//! The items of a listing on any site, without selectors: of the links that look alike, those that carry the page.
//!
//! Links are grouped by the elements around them; a group weighs as much as its links say (text, headings, pictures), less
//! where it is navigation. Must not know: scrapers, sites. Linear in the page but for the sorting of its links.

mod search;

pub(crate) use search::search;

use crate::value::url as address;
use html::{Document, Node};
use std::collections::{HashMap, HashSet};
use url::Url;

/// Links that are looked at.
const MAX_LINKS: usize = 20_000;
/// Elements around a link that tell what it looks like.
const LEVELS: usize = 5;
/// Characters of a link's text that count.
const TEXT_CHARS: usize = 80;
/// Fewest links of a listing.
const FEWEST: usize = 3;

struct Group {
    weight: f32,
    links: Vec<Url>,
}

/// Addresses of the items that a page lists, in its order, each once; empty if it lists nothing. `url` is where it came
/// from, `base` what relative addresses are relative to.
pub fn listing(doc: &Document, url: &Url, base: &Url) -> Vec<Url> {
    let mut groups: HashMap<String, Group> = HashMap::new();
    let mut own = url.clone();
    own.set_fragment(None);
    let links = doc.root().descendants().filter(|n| n.name() == "a" && n.attr("href").is_some());
    for link in links.take(MAX_LINKS) {
        let Some(mut to) = link.attr("href").and_then(|href| address::page(base, href)) else { continue };
        to.set_fragment(None);
        let is_item = to != own && to.path() != "/" && !is_file(&to);
        if !is_item {
            continue;
        }
        let weight = weigh(link, &to, &own);
        let group = groups.entry(shape(link)).or_insert(Group { weight: 0.0, links: Vec::new() });
        group.weight += weight;
        group.links.push(to);
    }
    let mut best: Option<(f32, Vec<Url>)> = None;
    let mut all: Vec<Group> = groups.into_values().collect();
    // Equal weights are told apart by what they hold, so that one page always gives one answer.
    all.sort_by(|a, b| a.links.first().cmp(&b.links.first()));
    for group in all {
        let mut seen = HashSet::new();
        let repeated = group.links.len();
        let links: Vec<Url> = group.links.into_iter().filter(|u| seen.insert(u.clone())).collect();
        if links.len() < FEWEST {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of links are small")]
        let weight = group.weight * links.len() as f32 / repeated as f32;
        if best.as_ref().is_none_or(|(w, _)| weight > *w) {
            best = Some((weight, links));
        }
    }
    best.map(|(_, links)| links).unwrap_or_default()
}

/// What a link looks like: the elements around it with their classes.
fn shape(link: Node<'_>) -> String {
    let mut out = String::new();
    let mut named = 0;
    for node in std::iter::once(link).chain(link.ancestors()).take(LEVELS) {
        if matches!(node.name(), "body" | "html" | "main" | "") {
            break;
        }
        out.push_str(node.name());
        // The first class says what an element is; those behind it which one it is.
        if named < 2
            && let Some(class) = node.attr("class").and_then(|c| c.split_ascii_whitespace().next())
            && class.len() < 60
        {
            out.push('.');
            out.extend(class.chars().filter(|c| !c.is_ascii_digit()));
            named += 1;
        }
        out.push('<');
    }
    out
}

fn weigh(link: Node<'_>, to: &Url, own: &Url) -> f32 {
    let mut chars = 0;
    let mut has_picture = false;
    let mut has_heading = false;
    for node in link.descendants() {
        if let Some(text) = node.text_node() {
            chars += text.split_whitespace().map(|w| w.chars().count() + 1).sum::<usize>();
        }
        has_picture |= node.name() == "img";
        has_heading |= is_heading(node.name());
    }
    #[expect(clippy::cast_precision_loss, reason = "at most TEXT_CHARS")]
    let mut weight = chars.min(TEXT_CHARS) as f32;
    if has_picture {
        weight += 15.0;
    }
    let mut apart = false;
    for node in link.ancestors().take(12) {
        has_heading |= is_heading(node.name());
        apart |= is_apart(node);
    }
    if has_heading {
        weight *= 2.0;
    }
    // Items are usually below the page that lists them, and on its site.
    if to.host_str() != own.host_str() {
        weight *= 0.4;
    }
    if apart {
        weight *= 0.1;
    }
    weight
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5")
}

/// Navigation, and what stands at the edges of a page.
fn is_apart(node: Node<'_>) -> bool {
    const WORDS: [&str; 22] = [
        "nav",
        "navbar",
        "navigation",
        "menu",
        "footer",
        "header",
        "breadcrumb",
        "breadcrumbs",
        "sidebar",
        "pagination",
        "pager",
        "social",
        "share",
        "filter",
        "filters",
        "facet",
        "facets",
        "widget",
        "cookie",
        "related",
        "tags",
        "lang",
    ];
    if matches!(node.name(), "nav" | "footer" | "aside" | "header") {
        // The header of an item is a part of it.
        return node.name() != "header"
            || !node.ancestors().take(4).any(|a| matches!(a.name(), "article" | "li"));
    }
    if matches!(node.name(), "body" | "html" | "main") {
        return false;
    }
    ["class", "id", "role"].iter().filter_map(|key| node.attr(key)).filter(|w| w.len() < 300).any(|written| {
        written
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| WORDS.iter().any(|w| word.eq_ignore_ascii_case(w)))
    })
}

fn is_file(url: &Url) -> bool {
    const ENDS: [&str; 14] =
        ["jpg", "jpeg", "png", "gif", "svg", "webp", "css", "js", "zip", "mp3", "mp4", "ics", "xml", "ico"];
    let last = url.path().rsplit('/').next().unwrap_or_default();
    last.rsplit_once('.').is_some_and(|(_, end)| ENDS.iter().any(|e| end.eq_ignore_ascii_case(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(html: &str) -> Vec<String> {
        let url = Url::parse("https://shop.example/chairs?page=2").unwrap();
        listing(&Document::parse(html), &url, &url).iter().map(|u| u.path().to_owned()).collect()
    }

    #[test]
    fn the_items_and_not_the_menu() {
        let items: String = (1..8)
            .map(|n| {
                format!(
                    "<div class='card card-{n}'><a class=pic href=/p/{n}><img src=x></a><h3><a href=/p/{n}>A chair number {n}</a></h3>
                     <a href=/cart?add={n}>Buy</a></div>"
                )
            })
            .collect();
        let menu: String =
            (1..30).map(|n| format!("<li><a href=/c/{n}>A category of many things {n}</a></li>")).collect();
        let html = format!(
            "<nav><ul>{menu}</ul></nav><main>{items}</main><div class=pagination><a href=?page=3>3</a></div>"
        );
        assert_eq!(of(&html), (1..8).map(|n| format!("/p/{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn tables_and_nothing() {
        let rows: String = (1..5)
            .map(|n| format!("<tr><td>{n}<td><a href=/case/{n}>Smith against Jones, {n}</a></tr>"))
            .collect();
        assert_eq!(of(&format!("<table>{rows}</table>")).len(), 4);
        assert_eq!(of("<p>One <a href=/x>link</a> and <a href=/y>another</a>."), [""; 0]);
    }
}
