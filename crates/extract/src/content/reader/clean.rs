//! Takes out of an article what is no part of it: forms, lists of links, buttons to share, headings of other things.

use super::tree::{Sum, Tree};
use super::word::{self, Names};
use super::{ENOUGH, Strict, text};

/// Cleans what is below `article`; gives the characters that are left.
pub(super) fn clean(tree: &mut Tree<'_>, article: u32, strict: Strict) -> u32 {
    mark_data(tree, article);
    for name in ["form", "fieldset"] {
        by_shape(tree, article, name, strict);
    }
    let tops: Vec<u32> = tree.elements(article).collect();
    tree.sweep(article, |tree, item, sum| match tree.name(item) {
        "object" | "embed" | "iframe" => !tree.at(item).node.is_some_and(word::is_video),
        "footer" | "aside" | "input" | "textarea" | "select" | "button" => true,
        name => {
            let names = Names::of(tree.at(item).node);
            let shares = sum.chars < ENOUGH && names.is_share() && !tops.contains(&item);
            shares || matches!(name, "h1" | "h2") && strict.weights && names.weight() < 0.0
        }
    });
    for name in ["table", "ul", "div"] {
        by_shape(tree, article, name, strict);
    }
    tree.order(article).into_iter().fold(0, |sum: u32, item| sum.saturating_add(tree.text_chars(item)))
}

/// What tells a table of data from one of layout.
#[derive(Clone, Copy, Default)]
struct Cells {
    rows: u32,
    /// In the row being counted, and the most of a row.
    cells: u32,
    columns: u32,
    /// A header cell, column, head or foot.
    headed: bool,
    nested: bool,
    captioned: bool,
}

fn mark_data(tree: &mut Tree<'_>, article: u32) {
    let mut below = vec![Cells::default(); tree.items.len()];
    for item in tree.order(article).into_iter().rev() {
        let place = item as usize;
        let mut own = below[place];
        let name = tree.name(item);
        let attr = |name: &str| tree.at(item).node.and_then(|n| n.attr(name));
        let span = |name: &str| {
            attr(name).and_then(|v| v.trim().parse::<u32>().ok()).filter(|n| *n > 0).unwrap_or(1)
        };
        match name {
            "td" => own.cells = own.cells.saturating_add(span("colspan")),
            "tr" => {
                own.rows = own.rows.saturating_add(span("rowspan"));
                own.columns = own.columns.max(own.cells);
            }
            "th" | "col" | "colgroup" | "thead" | "tfoot" => own.headed = true,
            "caption" => own.captioned = tree.children(item).next().is_some(),
            "table" => {
                let is_data = attr("role") != Some("presentation")
                    && attr("datatable") != Some("0")
                    && (attr("summary").is_some_and(|s| !s.is_empty())
                        || own.captioned
                        || own.headed
                        || !own.nested
                            && own.columns != 1
                            && own.rows != 1
                            && (own.rows >= 10
                                || own.columns > 4
                                || own.rows.saturating_mul(own.columns) > 10));
                tree.items[place].is_data = is_data;
                own.nested = true;
            }
            _ => {}
        }
        let parent = tree.at(item).parent;
        if item != article
            && let Some(above) = below.get_mut(parent as usize)
        {
            above.rows = above.rows.saturating_add(own.rows);
            above.cells = above.cells.saturating_add(own.cells);
            above.columns = above.columns.max(own.columns);
            above.headed |= own.headed;
            above.nested |= own.nested;
            above.captioned |= own.captioned;
        }
    }
}

/// Drops elements of a name that look like anything but text.
fn by_shape(tree: &mut Tree<'_>, article: u32, name: &str, strict: Strict) {
    let order = tree.order(article);
    if !strict.shapes || !order.iter().any(|item| tree.name(*item) == name) {
        return;
    }
    let mut in_data = vec![false; tree.items.len()];
    for item in order {
        let parent = tree.at(item).parent;
        if item != article
            && let Some(above) = in_data.get(parent as usize)
        {
            in_data[item as usize] = *above || tree.at(parent).is_data;
        }
    }
    tree.sweep(article, |tree, item, sum| {
        tree.name(item) == name && !in_data[item as usize] && is_odd(tree, item, sum, strict)
    });
}

fn is_odd(tree: &Tree<'_>, item: u32, sum: &Sum, strict: Strict) -> bool {
    if tree.at(item).is_data || sum.has_data || tree.is_within(item, "code") {
        return false;
    }
    let weight = if strict.weights { Names::of(tree.at(item).node).weight() } else { 0.0 };
    if weight < 0.0 {
        return true;
    }
    if sum.plain_commas >= 10 || sum.has_video {
        return false;
    }
    if sum.chars < 20 && word::is_filler(&text(tree, item, 80)) {
        return true;
    }
    let share = |part: u32| if sum.chars == 0 { 0.0 } else { f64::from(part) / f64::from(sum.chars) };
    let is_list = tree.name(item) == "ul" || share(sum.lists) > 0.9;
    let in_figure = tree.is_within(item, "figure");
    let links = sum.link_density();
    let odd = !in_figure && sum.images > 1 && sum.paragraphs * 2 < sum.images
        || !is_list && sum.items > sum.paragraphs.saturating_add(100)
        || sum.inputs > sum.paragraphs / 3
        || !is_list
            && !in_figure
            && share(sum.headings) < 0.9
            && sum.chars < 25
            && (sum.images == 0 || sum.images > 2)
            && links > 0.0
        || !is_list && weight < 25.0 && links > 0.2
        || weight >= 25.0 && links > 0.5
        || sum.embeds == 1 && sum.chars < 75
        || sum.embeds > 1
        || sum.images == 0 && sum.textual == 0;
    // A simple list of pictures stays.
    let pictures = || {
        is_list
            && sum.images == sum.items
            && tree.elements(item).all(|child| tree.elements(child).nth(1).is_none())
    };
    odd && !pictures()
}
