//! Where a page of a list goes on: the next page and its siblings, without selectors.
//!
//! A link says where it leads by its `rel`, its words in many languages (`word`), its class, its number among numbers, and
//! by how its address differs from the page's own (`series`). Must not know: scrapers, sites. Linear in the page.

mod series;
mod word;

use crate::value::{text, url as address};
use html::{Document, Node};
use series::Series;
use std::collections::{HashMap, HashSet};
use url::Url;
use word::Says;

/// The links of a page to the other pages of its list. Absolute, without fragment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pagination {
    /// The page behind this one.
    pub next: Option<Url>,
    /// The page before this one.
    pub prev: Option<Url>,
    /// The first page, where a link says so.
    pub first: Option<Url>,
    /// The last page, where a link says so.
    pub last: Option<Url>,
    /// Pages by their number, in the order of the page, each once.
    pub pages: Vec<Url>,
}

/// Links of a page that are looked at.
const LINKS: usize = 20_000;
/// Characters of a link's words.
const LABEL: usize = 60;

/// A link of this score is believed before the head: its words, its place and its address agree.
const SURE: i32 = 7;

/// One link.
struct Link<'p> {
    node: Node<'p>,
    url: Url,
    /// What it shows, one line, at most [`LABEL`] bytes.
    label: String,
    /// What it and the elements close around it say.
    says: Option<Says>,
    /// It stands in a part that is called pagination.
    in_pager: bool,
}

/// Finds them. `url` is the page's own address.
pub fn pagination(doc: &Document, url: &Url) -> Pagination {
    let base = doc.base_href().and_then(|href| address::resolve(url, href)).unwrap_or_else(|| url.clone());
    let mut own = url.clone();
    own.set_fragment(None);
    let mut out = Pagination::default();
    let mut links = Vec::new();
    for node in doc.root().descendants() {
        if !matches!(node.name(), "a" | "link") || links.len() >= LINKS {
            continue;
        }
        let Some(to) = node.attr("href").and_then(|href| address::page(&base, href)) else { continue };
        if node.name() == "link" {
            // The head's own words are the surest.
            let rel = node.attr("rel").unwrap_or_default().to_ascii_lowercase();
            let place = match word::rel(&rel) {
                Some(Says::Next) => &mut out.next,
                Some(Says::Prev) => &mut out.prev,
                _ => continue,
            };
            if to != own && place.is_none() {
                *place = Some(to);
            }
            continue;
        }
        if to.host_str() != url.host_str() {
            continue;
        }
        let label = label(node);
        let (says, in_pager) = word::of(node, &label);
        links.push(Link { node, url: to, label, says, in_pager });
    }
    let series = Series::of(&links, &own);
    let said = |says: Says| best(&links, says, &own, &series);
    let sure = |found: Option<(i32, Url)>| found.filter(|(score, _)| *score >= SURE).map(|(_, url)| url);
    let any = |found: Option<(i32, Url)>| found.map(|(_, url)| url);
    // The head names a next page even on the last one of some lists.
    let head = out.next.take().filter(|_| !series.ends);
    out.next =
        sure(said(Says::Next)).or(head).or_else(|| any(said(Says::Next))).or_else(|| series.next.clone());
    let head = out.prev.take();
    out.prev =
        sure(said(Says::Prev)).or(head).or_else(|| any(said(Says::Prev))).or_else(|| series.prev.clone());
    out.first = any(said(Says::First));
    out.last = any(said(Says::Last));
    let mut seen = HashSet::new();
    out.pages = series.pages.into_iter().filter(|u| seen.insert(u.clone())).collect();
    out
}

/// The best link that says so: within a pager, near the numbers, of an address like this page's.
fn best(links: &[Link<'_>], says: Says, own: &Url, series: &Series) -> Option<(i32, Url)> {
    let mut best: Option<(i32, &Link<'_>)> = None;
    let mut said: HashMap<&Url, u32> = HashMap::new();
    for link in links.iter().filter(|l| l.says == Some(says)) {
        *said.entry(&link.url).or_default() += 1;
    }
    let is_number = |l: &&Link<'_>| !l.label.is_empty() && l.label.bytes().all(|b| b.is_ascii_digit());
    let numbered: HashSet<&Url> = links.iter().filter(is_number).map(|l| &l.url).collect();
    for link in links.iter().filter(|l| l.says == Some(says) && l.url != *own) {
        let like = series::likeness(&link.url, own);
        let mut score = like;
        score += if link.in_pager { 3 } else { 0 };
        score += if series.has(link.node) { 3 } else { 0 };
        score += if word::rel(&link.node.attr("rel").unwrap_or_default().to_ascii_lowercase()) == Some(says) {
            3
        } else {
            0
        };
        // A pager above a list and one below it; the number behind this page's.
        score += if link.in_pager && said.get(&link.url).is_some_and(|n| *n > 1) { 3 } else { 0 };
        score += if link.in_pager && numbered.contains(&link.url) { 2 } else { 0 };
        if score >= 2 && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, link));
        }
    }
    best.map(|(score, link)| (score, link.url.clone()))
}

fn label(node: Node<'_>) -> String {
    let shown = text::one_line(text::head(node.visible_text().trim(), 4 * LABEL));
    let shown = if shown.is_empty() {
        let named = ["aria-label", "title"].iter().find_map(|a| node.attr(a));
        let picture = || node.descendants().find(|n| n.name() == "img").and_then(|n| n.attr("alt"));
        text::one_line(text::head(named.or_else(picture).unwrap_or_default(), 4 * LABEL))
    } else {
        shown
    };
    text::cut(shown, LABEL)
}
