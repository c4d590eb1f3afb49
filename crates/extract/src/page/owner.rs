//! Which element carries a piece of the page's data: the script of JSON-LD, the property of microdata or RDFa.
//!
//! Owns: the way back from a pointer into data to the tree. Used by explanations only, so it may walk the page anew.

use super::parts::Reader;
use crate::explain::Within;
use crate::structured;
use html::Node;
use serde_json::Value;

impl<'p> Reader<'p> {
    /// The element that the value at `pointer` (RFC 6901) of the data `within` was read from.
    pub(super) fn owner(&self, within: Within, pointer: &str, value: &Value) -> Option<Node<'p>> {
        let steps: Vec<String> =
            pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        let (first, rest) = steps.split_first()?;
        match within {
            Within::JsonLd => {
                let scripts = self.head().ld.iter().copied();
                scripts.filter(|node| structured::parse_json(&node.text()).is_some()).nth(first.parse().ok()?)
            }
            Within::Microdata => {
                let mut items = self.root().descendants().filter(is_outer_item);
                Some(property_of(items.nth(first.parse().ok()?)?, rest))
            }
            Within::Rdfa => self.rdfa_owner(rest, value),
            Within::Html | Within::Body | Within::Json | Within::Script | Within::Input => None,
        }
    }

    /// The element that says `property` with that value; else the first that says it.
    fn rdfa_owner(&self, steps: &[String], value: &Value) -> Option<Node<'p>> {
        let name = steps.iter().rev().find(|step| step.parse::<usize>().is_err())?;
        let says = |node: &Node<'p>| {
            let words = [node.attr("property"), node.attr("rel")].into_iter().flatten();
            words.flat_map(str::split_ascii_whitespace).any(|word| local(word) == name)
        };
        let text = value.as_str().map(str::trim);
        let shows = |node: &Node<'p>| {
            let said = ["content", "resource", "href", "src"].iter().find_map(|name| node.attr(name));
            text.is_some_and(|text| {
                said.map_or_else(|| node.text().trim() == text, |said| said.trim() == text)
            })
        };
        let all = || self.root().descendants().filter(says);
        all().find(shows).or_else(|| all().next())
    }
}

fn is_outer_item(node: &Node<'_>) -> bool {
    node.is_element() && node.attr("itemscope").is_some() && node.attr("itemprop").is_none()
}

/// The property of an item that the steps of a pointer lead to, as far as it is found within the item.
fn property_of<'p>(item: Node<'p>, steps: &[String]) -> Node<'p> {
    let Some((name, rest)) = steps.split_first() else { return item };
    let (index, rest) = match rest.split_first().map(|(step, rest)| (step.parse::<usize>(), rest)) {
        Some((Ok(index), behind)) => (index, behind),
        _ => (0, rest),
    };
    let own = |node: &Node<'p>| {
        let mut between = std::iter::successors(node.parent(), |n| n.parent()).take_while(|n| *n != item);
        between.all(|n| n.attr("itemscope").is_none())
    };
    let says = |node: &Node<'p>| {
        node.attr("itemprop").is_some_and(|words| words.split_ascii_whitespace().any(|word| word == name))
    };
    let found = item.descendants().filter(|node| *node != item && says(node) && own(node)).nth(index);
    found.map_or(item, |node| property_of(node, rest))
}

/// A word without prefix or vocabulary.
fn local(word: &str) -> &str {
    word.rsplit([':', '/', '#']).next().unwrap_or(word)
}
