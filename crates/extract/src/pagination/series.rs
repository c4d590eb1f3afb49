//! Links with numbers that stand together, and addresses that differ from the page's own in a number.

use super::Link;
use html::Node;
use std::collections::HashMap;
use url::Url;

/// The numbered pages of a list.
#[derive(Default)]
pub(super) struct Series {
    pub(super) pages: Vec<Url>,
    pub(super) next: Option<Url>,
    pub(super) prev: Option<Url>,
    /// Nodes (as ranges of their numbers) that hold the numbers.
    holders: Vec<(usize, usize)>,
    /// The numbers say that this page is the last.
    pub(super) ends: bool,
}

/// Highest page number: longer digits are years' and items' numbers.
const HIGHEST: u32 = 100_000;
/// Levels from a link to the element that holds the whole series.
const LEVELS: usize = 4;

/// Page numbers and the links that bear them.
type Numbered = Vec<(u32, usize)>;

impl Series {
    pub(super) fn of(links: &[Link<'_>], own: &Url) -> Self {
        // Groups of numbered links by the elements around them, innermost first.
        let mut groups: HashMap<usize, Numbered> = HashMap::new();
        for (n, link) in links.iter().enumerate() {
            let Some(number) = number(&link.label) else { continue };
            for above in link.node.ancestors().take(LEVELS) {
                groups.entry(above.id()).or_default().push((number, n));
            }
        }
        let mut found: Vec<(i32, usize, Numbered)> = Vec::new();
        for (holder, group) in groups {
            let score = worth(&group, links, own);
            if score > 0 {
                found.push((score, holder, group));
            }
        }
        // The best; of equals the innermost, which is the later one in the page's order.
        found.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)));
        let Some((_, holder, group)) = found.into_iter().next() else { return Self::default() };
        let holder = group
            .iter()
            .find_map(|(_, n)| links[*n].node.ancestors().take(LEVELS).find(|a| a.id() == holder));
        let mut made =
            Self { pages: group.iter().map(|(_, n)| links[*n].url.clone()).collect(), ..Self::default() };
        let Some(holder) = holder else { return made };
        for around in std::iter::once(holder).chain(holder.ancestors()).take(2) {
            if around.name() != "body" {
                let end = around.descendants().next_back().map_or(around.id(), Node::id);
                made.holders.push((around.id(), end));
            }
        }
        if let Some(current) = current(holder, &group, links, own) {
            let of = |number: u32| {
                group
                    .iter()
                    .find(|(n, i)| *n == number && links[*i].url != *own)
                    .map(|(_, i)| links[*i].url.clone())
            };
            made.ends = group.len() > 1 && group.iter().all(|(n, _)| *n <= current);
            made.next = of(current + 1);
            made.prev = current.checked_sub(1).and_then(of);
        }
        made
    }

    /// Does the node stand among the numbers?
    pub(super) fn has(&self, node: Node<'_>) -> bool {
        self.holders.iter().any(|(from, to)| (*from..=*to).contains(&node.id()))
    }
}

/// The number that a label is.
fn number(label: &str) -> Option<u32> {
    let label = label.trim_matches(|c: char| !c.is_alphanumeric());
    let label =
        ["page ", "Page ", "Seite ", "página "].iter().find_map(|p| label.strip_prefix(p)).unwrap_or(label);
    let digits: String = label.chars().filter(|c| !matches!(c, ',' | '.' | '\u{a0}' | ' ')).collect();
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|n| (1..HIGHEST).contains(n))
}

/// How much a group looks like the pages of one list; 0 for none.
fn worth(group: &[(u32, usize)], links: &[Link<'_>], own: &Url) -> i32 {
    let rising = group.windows(2).filter(|w| w[1].0 > w[0].0).count();
    let steps = group.windows(2).filter(|w| w[1].0 == w[0].0 + 1 || w[1].0 == w[0].0 + 2).count();
    let alike = group.iter().filter(|(_, n)| likeness(&links[*n].url, own) >= 2).count();
    let pager = group.iter().filter(|(_, n)| links[*n].in_pager).count();
    if alike * 2 < group.len() || rising + 1 < group.len() {
        return 0;
    }
    if group.len() == 1 && pager == 0 {
        return 0;
    }
    // Days of a calendar are numbered too.
    let days = group.iter().filter(|(number, n)| is_day(&links[*n].url, *number)).count();
    if days * 2 > group.len() {
        return 0;
    }
    let count = |n: usize| i32::try_from(n.min(30)).unwrap_or(0);
    count(group.len()) + 2 * count(steps) + 3 * count(pager)
}

/// Does an address name the day of that number: `2016-03-02` for 2?
fn is_day(url: &Url, number: u32) -> bool {
    let day = format!("{number:02}");
    let written = url.as_str();
    written.match_indices(&day).any(|(at, _)| {
        let before: Vec<char> = written[..at].chars().rev().take(8).collect();
        let [mark, m2, m1, other, year @ ..] = before.as_slice() else { return false };
        matches!(mark, '-' | '/')
            && other == mark
            && [m1, m2].iter().all(|c| c.is_ascii_digit())
            && year.len() == 4
            && year.iter().all(char::is_ascii_digit)
    })
}

/// The number of this page: one that is shown without a link between the others, else the link that leads here.
fn current(holder: Node<'_>, group: &[(u32, usize)], links: &[Link<'_>], own: &Url) -> Option<u32> {
    let in_link = |node: Node<'_>| {
        node.ancestors().take_while(|a| *a != holder).any(|a| a.name() == "a" && a.attr("href").is_some())
    };
    let most = group.iter().map(|(n, _)| *n).max()?;
    let plain = holder
        .descendants()
        .take(2_000)
        .filter(|n| n.text_node().is_some() && !in_link(*n))
        .filter_map(|n| number(n.text_node().unwrap_or_default().trim()))
        .find(|n| *n <= most + 1 && !group.iter().any(|(g, _)| g == n));
    let active = || {
        group.iter().find_map(|(number, n)| {
            let node = links[*n].node;
            let says = |node: Node<'_>| {
                node.attr("aria-current").is_some_and(|v| v != "false")
                    || node.attr("class").is_some_and(|c| {
                        c.split(|c: char| !c.is_ascii_alphabetic())
                            .any(|w| matches!(w, "active" | "current" | "selected" | "on" | "cur"))
                    })
            };
            (says(node) || node.parent().is_some_and(says)).then_some(*number)
        })
    };
    let here = || group.iter().find(|(_, n)| links[*n].url == *own).map(|(number, _)| *number);
    plain.or_else(here).or_else(active)
}

/// How alike two addresses are: 4 the same path with another query, 3 the same but for numbers or a page part, 2 one
/// beneath the other, 0 others.
pub(super) fn likeness(a: &Url, b: &Url) -> i32 {
    if a.host_str() != b.host_str() {
        return 0;
    }
    let (pa, pb) = (a.path().trim_end_matches('/'), b.path().trim_end_matches('/'));
    if pa == pb {
        return 4;
    }
    let shape = |path: &str| -> String {
        let mut out = String::new();
        for c in path.chars() {
            if !c.is_ascii_digit() {
                out.push(c);
            } else if !out.ends_with('#') {
                out.push('#');
            }
        }
        out
    };
    if shape(pa) == shape(pb) {
        return 3;
    }
    if pa.starts_with(pb) || pb.starts_with(pa) {
        return 2;
    }
    // The same beginning, then a number.
    let same = pa.bytes().zip(pb.bytes()).take_while(|(x, y)| x == y).count();
    let longest = pa.len().max(pb.len());
    if same * 10 >= longest * 6 { 2 } else { i32::from(same * 3 >= longest) }
}

#[cfg(test)]
mod tests {
    use super::super::pagination;
    use super::*;
    use html::Document;

    #[test]
    fn numbers_lead_on() {
        let page = "<ul class=x><li><a href=/t?p=1>1</a><li><b>2</b><li><a href=/t?p=3>3</a><li><a href=/t?p=9>9</a></ul>";
        let own = Url::parse("https://a.example/t?p=2").unwrap();
        let made = pagination(&Document::parse(page), &own);
        assert_eq!(made.next.unwrap().as_str(), "https://a.example/t?p=3");
        assert_eq!(made.prev.unwrap().as_str(), "https://a.example/t?p=1");
        assert_eq!(made.pages.len(), 3);
    }

    #[test]
    fn years_and_votes_are_no_pages() {
        let page = "<p><a href=/u/7>12</a> <a href=/v/9>3</a></p><ul><li><a href=/y/2020>2020</a></ul>";
        let own = Url::parse("https://a.example/t").unwrap();
        assert_eq!(pagination(&Document::parse(page), &own), super::super::Pagination::default());
    }
}
