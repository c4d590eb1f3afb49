//! Finds the article: paragraphs give points to the elements around them, the best element wins, and siblings that look
//! like parts of it join it.

use super::tree::{NONE, Sum, Tree};
use super::word::Names;
use super::{Strict, text};
use html::Node;

/// Fewest characters of a paragraph that counts.
const PARAGRAPH: u32 = 25;
/// Elements around a paragraph that get points for it.
const LEVELS: usize = 5;
/// Candidates that are compared.
const CANDIDATES: usize = 5;
/// Elements around a candidate that are looked at: pages nest a tenth as deep.
const MOST_LEVELS: usize = 256;

/// Brings the article together below a new item, and gives that.
pub(super) fn article(tree: &mut Tree<'_>, has_author: bool, strict: Strict) -> u32 {
    let paragraphs = prepare(tree, has_author, strict);
    let sums = tree.sweep(0, |_, _, _| false);
    let ranked = rank(tree, &paragraphs, &sums, strict);
    let top = match ranked.first() {
        Some(&top) if top != 0 => best(tree, top, &ranked, strict),
        _ => {
            let made = tree.add("div", None);
            let children: Vec<u32> = tree.children(0).collect();
            children.into_iter().for_each(|child| tree.append(made, child));
            tree.append(0, made);
            tree.items[made as usize].score = Some(5.0);
            made
        }
    };
    gather(tree, top, &sums)
}

/// Drops what cannot be content and makes paragraphs of what only looks like one. Gives what is worth points.
fn prepare(tree: &mut Tree<'_>, has_author: bool, strict: Strict) -> Vec<u32> {
    let sums = tree.sweep(0, |_, _, _| false);
    let sum = |item: u32| sums.get(item as usize).copied().unwrap_or_default();
    let mut out = Vec::new();
    let mut byline = has_author;
    let mut at = Some(0);
    while let Some(item) = at {
        let name = tree.name(item);
        let node = tree.at(item).node;
        if item != 0
            && let Some(node) = node
        {
            let names = Names::of(Some(node));
            let is_byline = !byline && is_byline(node, &names) && (1..100).contains(&sum(item).chars);
            byline |= is_byline;
            let unlikely = strict.names
                && (is_unlikely_role(node)
                    || name != "a"
                        && names.is_unlikely()
                        && !tree.is_within(item, "table")
                        && !tree.is_within(item, "code"));
            if is_byline || unlikely || !is_visible(node) || is_empty(name, &sum(item)) {
                at = tree.following(item, true);
                tree.unlink(item);
                continue;
            }
        }
        if matches!(name, "section" | "h2" | "h3" | "h4" | "h5" | "h6" | "p" | "td" | "pre") {
            out.push(item);
        }
        let mut item = item;
        if name == "div" {
            wrap(tree, item);
            let mut inside = tree.children(item).filter(|n| !tree.is_blank(*n));
            let only = match (inside.next(), inside.next()) {
                (Some(only), None) if tree.name(only) == "p" => Some(only),
                _ => None,
            };
            drop(inside);
            match only {
                Some(only) if sum(item).link_density() < 0.25 => {
                    tree.replace(item, only);
                    item = only;
                    out.push(item);
                }
                _ if !holds_block(tree, item) => {
                    tree.items[item as usize].name = "p";
                    out.push(item);
                }
                _ => {}
            }
        }
        at = tree.following(item, false);
    }
    out
}

/// Wraps runs of text within a block into paragraphs.
fn wrap(tree: &mut Tree<'_>, item: u32) {
    let mut made = None;
    let mut child = tree.at(item).first;
    while child != NONE {
        let next = tree.at(child).next;
        if tree.is_phrasing(child) {
            if let Some(made) = made {
                tree.append(made, child);
            } else if !tree.is_blank(child) && tree.name(child) != "br" {
                let paragraph = tree.add("p", None);
                tree.replace(child, paragraph);
                tree.append(paragraph, child);
                made = Some(paragraph);
            }
        } else if let Some(made) = made.take() {
            tree.trim(made);
        }
        child = next;
    }
    if let Some(made) = made {
        tree.trim(made);
    }
}

/// Is a block somewhere below? The search ends at the first one, so all searches together are linear.
fn holds_block(tree: &Tree<'_>, item: u32) -> bool {
    let mut open: Vec<u32> = tree.elements(item).collect();
    while let Some(item) = open.pop() {
        if matches!(
            tree.name(item),
            "blockquote" | "dl" | "div" | "img" | "ol" | "p" | "pre" | "table" | "ul"
        ) {
            return true;
        }
        open.extend(tree.elements(item));
    }
    false
}

fn is_visible(node: Node<'_>) -> bool {
    let hides = |style: &str| {
        let style: String = crate::value::text::head(style, 1_000)
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_ascii_lowercase())
            .collect();
        style.split(';').any(|rule| rule.starts_with("display:none") || rule.starts_with("visibility:hidden"))
    };
    let is = |name: &str, value: &str| node.attr(name) == Some(value);
    let fallback = || node.attr("class").is_some_and(|c| c.contains("fallback-image"));
    let styled = node.attr("style").is_some_and(hides);
    node.attr("hidden").is_none()
        && !styled
        && (!is("aria-hidden", "true") || fallback())
        && (!is("aria-modal", "true") || !is("role", "dialog"))
}

fn is_byline(node: Node<'_>, names: &Names<'_>) -> bool {
    node.attr("rel") == Some("author")
        || node.attr("itemprop").is_some_and(|p| p.contains("author"))
        || names.is_byline()
}

fn is_unlikely_role(node: Node<'_>) -> bool {
    matches!(
        node.attr("role"),
        Some("menu" | "menubar" | "complementary" | "navigation" | "alert" | "alertdialog" | "dialog")
    )
}

fn is_empty(name: &str, sum: &Sum) -> bool {
    matches!(name, "div" | "section" | "header" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
        && sum.chars == 0
        && sum.elements == sum.breaks
}

/// What an element is worth before anything in it.
fn first_score(tree: &Tree<'_>, item: u32, strict: Strict) -> f64 {
    let by_name = match tree.name(item) {
        "div" => 5.0,
        "pre" | "td" | "blockquote" => 3.0,
        "address" | "ol" | "ul" | "dl" | "dd" | "dt" | "li" | "form" => -3.0,
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "th" => -5.0,
        _ => 0.0,
    };
    by_name + if strict.weights { Names::of(tree.at(item).node).weight() } else { 0.0 }
}

/// Gives points for each paragraph; the elements with the most, best first.
fn rank(tree: &mut Tree<'_>, paragraphs: &[u32], sums: &[Sum], strict: Strict) -> Vec<u32> {
    let mut candidates = Vec::new();
    for &paragraph in paragraphs {
        let sum = sums[paragraph as usize];
        if sum.chars < PARAGRAPH {
            continue;
        }
        let points = 2.0 + f64::from(sum.commas) + f64::from((sum.chars / 100).min(3));
        let around: Vec<u32> = tree.ancestors(paragraph).take(LEVELS).collect();
        for (level, above) in around.into_iter().enumerate() {
            let score = match tree.at(above).score {
                Some(score) => score,
                None => {
                    candidates.push(above);
                    first_score(tree, above, strict)
                }
            };
            let share = match level {
                0 => 1.0,
                1 => 2.0,
                2 => 6.0,
                3 => 9.0,
                _ => 12.0,
            };
            tree.items[above as usize].score = Some(score + points / share);
        }
    }
    let mut best: Vec<u32> = Vec::new();
    for item in candidates {
        let score = tree.at(item).score.unwrap_or(0.0) * (1.0 - sums[item as usize].link_density());
        tree.items[item as usize].score = Some(score);
        let less = best.iter().position(|b| score > tree.at(*b).score.unwrap_or(0.0));
        let place = less.unwrap_or(best.len());
        if place < CANDIDATES {
            best.insert(place, item);
            best.truncate(CANDIDATES);
        }
    }
    best
}

/// The element to take: one around several good candidates, or around the best where that is better still.
fn best(tree: &mut Tree<'_>, top: u32, ranked: &[u32], strict: Strict) -> u32 {
    let score = |tree: &Tree<'_>, item: u32| tree.at(item).score.unwrap_or(0.0);
    let mut top = top;
    let others: Vec<Vec<u32>> = ranked[1..]
        .iter()
        .filter(|other| score(tree, **other) / score(tree, top) >= 0.75)
        .map(|other| tree.ancestors(*other).take(MOST_LEVELS).collect())
        .collect();
    if others.len() >= 3 {
        let around = tree.ancestors(top).take(MOST_LEVELS).take_while(|n| *n != 0);
        let shared = around.into_iter().find(|n| others.iter().filter(|o| o.contains(n)).count() >= 3);
        top = shared.unwrap_or(top);
    }
    let from = match tree.at(top).score {
        Some(score) => score,
        None => first_score(tree, top, strict),
    };
    tree.items[top as usize].score = Some(from);
    let mut last = from;
    let around: Vec<u32> = tree.ancestors(top).take(MOST_LEVELS).take_while(|n| *n != 0).collect();
    for above in around {
        let Some(score) = tree.at(above).score else { continue };
        if score < from / 3.0 {
            break;
        }
        if score > last {
            top = above;
            break;
        }
        last = score;
    }
    loop {
        let parent = tree.at(top).parent;
        if parent == 0 || parent == NONE || tree.elements(parent).nth(1).is_some() {
            break;
        }
        top = parent;
    }
    if tree.at(top).score.is_none() {
        tree.items[top as usize].score = Some(first_score(tree, top, strict));
    }
    top
}

/// Joins the siblings that look like parts of the article to it.
fn gather(tree: &mut Tree<'_>, top: u32, sums: &[Sum]) -> u32 {
    let class = |tree: &Tree<'_>, item: u32| {
        tree.at(item).node.and_then(|n| n.attr("class")).unwrap_or_default().to_owned()
    };
    let score = tree.at(top).score.unwrap_or(0.0);
    let least = (score * 0.2).max(10.0);
    let top_class = class(tree, top);
    let parent = tree.at(top).parent;
    let article = tree.add("div", None);
    let siblings: Vec<u32> = tree.elements(parent).collect();
    for sibling in siblings {
        let bonus =
            if !top_class.is_empty() && class(tree, sibling) == top_class { score * 0.2 } else { 0.0 };
        let joins = sibling == top
            || tree.at(sibling).score.is_some_and(|s| s + bonus >= least)
            || tree.name(sibling) == "p" && is_prose(tree, sibling, sums);
        if !joins {
            continue;
        }
        if !matches!(tree.name(sibling), "div" | "article" | "section" | "p" | "ol" | "ul") {
            tree.items[sibling as usize].name = "div";
        }
        tree.append(article, sibling);
    }
    article
}

fn is_prose(tree: &Tree<'_>, item: u32, sums: &[Sum]) -> bool {
    let sum = sums.get(item as usize).copied().unwrap_or_default();
    if sum.chars > 80 {
        return sum.link_density() < 0.25;
    }
    let said = text(tree, item, 400);
    let said = said.trim_end();
    sum.chars > 0 && sum.linked == 0.0 && (said.ends_with('.') || said.contains(". "))
}
