//! The title of an article, without the name of the site.

use super::{Says, plain};
use crate::value::text;
use html::Node;

/// Longest title: more is a paragraph.
const MOST_BYTES: usize = 400;
/// What parts a title from the name of its site.
const BARS: [&str; 10] = [" | ", " - ", " – ", " — ", " · ", " • ", " » ", " :: ", " / ", " ‹ "];

/// The headline that the page shows and names; where these differ, the one it gives to others.
pub(super) fn of(says: &Says<'_>) -> Option<String> {
    let site =
        says.meta(&["og:site_name", "application-name"]).or_else(|| says.item_text(&["publisher", "name"]));
    let shown = headings(says.root);
    let data = says
        .item_text(&["headline"])
        .filter(|t| t.len() <= MOST_BYTES && !t.ends_with(['…']) && !t.ends_with("..."));
    let given = says.meta(&["og:title", "twitter:title", "dc.title", "dcterms.title"]);
    let window = says.head.title_text().map(|t| plain(&t));
    let clean = |title: &String| without_site(title, site.as_deref(), &shown);
    // A heading that one of the others begins with is what the page shows as its title.
    let agreed = |title: &String| shown.iter().find(|h| same(h, title)).cloned();
    given
        .as_ref()
        .map(clean)
        .or_else(|| data.as_ref().map(clean))
        .map(|title| agreed(&title).unwrap_or(title))
        .or_else(|| {
            let window = window.as_ref().map(clean);
            let begins = |h: &&String| window.as_ref().is_some_and(|w| overlaps(h, w));
            shown
                .iter()
                .find(begins)
                .cloned()
                .or_else(|| (shown.len() == 1).then(|| shown[0].clone()))
                .or(window)
        })
        .filter(|t| !t.is_empty())
}

/// The first headings of the first level.
fn headings(root: Node<'_>) -> Vec<String> {
    let headings = root.descendants().filter(|n| n.name() == "h1").take(10);
    headings
        .map(|n| text::one_line(&n.visible_text()))
        .filter(|t| (3..=MOST_BYTES).contains(&t.len()))
        .collect()
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn same(a: &str, b: &str) -> bool {
    letters(a) == letters(b)
}

/// Is most of the shorter in the longer?
fn overlaps(a: &str, b: &str) -> bool {
    let (a, b) = (letters(a), letters(b));
    let (short, long) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
    short.len() > 8 && long.contains(short.as_str())
}

/// Without `| Site` at the end or `Site |` at the beginning: what is the site's name, and what stands beside a heading.
pub(super) fn without_site(title: &str, site: Option<&str>, shown: &[String]) -> String {
    let is_site = |part: &str| {
        let (part, site) = (letters(part), letters(site.unwrap_or_default()));
        !site.is_empty()
            && !part.is_empty()
            && (part.contains(&site) || site.contains(&part) && part.len() > 2)
    };
    let is_shown = |part: &str| shown.iter().any(|h| same(h, part));
    if is_shown(title) {
        return title.to_owned();
    }
    for bar in BARS {
        if let Some((before, after)) = title.rsplit_once(bar) {
            if is_shown(before) || is_site(after) {
                return without_site(before.trim(), site, shown);
            }
            // A short last part with few words is a site's name even where it is not said.
            if matches!(bar, " | " | " – " | " - " | " — ")
                && after.split_whitespace().count() <= 3
                && before.split_whitespace().count() >= 4
                && site.is_none()
            {
                return before.trim().to_owned();
            }
        }
        if let Some((before, after)) = title.split_once(bar)
            && (is_shown(after) || is_site(before))
        {
            return after.trim().to_owned();
        }
    }
    title.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_no_part_of_it() {
        let shown = ["A big day".to_owned()];
        for (title, site) in [
            ("A big day - The Daily", None),
            ("The Daily | A big day", None),
            ("A big day – News – The Daily", Some("The Daily")),
        ] {
            assert_eq!(without_site(title, site, &shown), "A big day", "{title}");
        }
        assert_eq!(without_site("War - and peace", Some("Daily"), &[]), "War - and peace");
        assert_eq!(without_site("What a long day it was | Daily", None, &[]), "What a long day it was");
    }
}
