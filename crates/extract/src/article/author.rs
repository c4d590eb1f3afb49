//! Who wrote an article: names out of data, meta tags and bylines.

use super::{MOST, Says, plain};
use crate::value::text;
use html::Node;
use serde_json::Value;

/// Longest name of a person or an agency.
const NAME_BYTES: usize = 80;
/// Longest byline that is cut into names.
const BYLINE_BYTES: usize = 300;

/// The authors, in the first place that names any.
pub(super) fn of(says: &Says<'_>) -> Vec<String> {
    let places: [&dyn Fn() -> Vec<String>; 4] = [
        &|| data(says),
        &|| {
            let names = [
                "author",
                "article:author",
                "parsely-author",
                "sailthru.author",
                "dc.creator",
                "dcterms.creator",
                "byl",
                "cxenseparse:author",
                "article:author_name",
                "twitter:data1",
            ];
            let of = |name: &&str| -> Vec<String> {
                let said: Vec<&str> = says.head.all(name).collect();
                // A card's label says what its data is.
                let is_name =
                    *name != "twitter:data1" || says.head.meta("twitter:label1").is_some_and(is_label);
                if is_name { said.into_iter().flat_map(names_of).collect() } else { Vec::new() }
            };
            names.iter().map(of).find(|found| !found.is_empty()).unwrap_or_default()
        },
        &|| marked(says.root),
        &|| bylines(says.root),
    ];
    for place in places {
        let mut found: Vec<String> = Vec::new();
        for name in place() {
            if found.len() < MOST && !found.iter().any(|f| f.to_lowercase() == name.to_lowercase()) {
                found.push(name);
            }
        }
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn is_label(label: &str) -> bool {
    ["written by", "verfasst von", "écrit par", "escrito por", "scritto da", "geschreven door", "author"]
        .contains(&label.to_lowercase().as_str())
}

fn data(says: &Says<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for author in says.item(&["author"]).into_iter().chain(says.item(&["creator"])) {
        match author {
            Value::String(name) => out.extend(names_of(name)),
            Value::Object(map) => match map.get("name") {
                Some(Value::String(name)) => out.extend(names_of(name)),
                Some(Value::Array(names)) => {
                    out.extend(names.iter().filter_map(Value::as_str).flat_map(names_of))
                }
                _ => {}
            },
            _ => {}
        }
    }
    out
}

/// `itemprop=author`, `rel=author`.
fn marked(root: Node<'_>) -> Vec<String> {
    let is = |value: Option<&str>| {
        value.is_some_and(|v| v.split_ascii_whitespace().any(|w| w.eq_ignore_ascii_case("author")))
    };
    let nodes = root.descendants().filter(|n| is(n.attr("itemprop")) || is(n.attr("rel")) && n.name() == "a");
    nodes
        .take(20)
        .flat_map(|node| {
            let name = node.descendants().find(|n| n.attr("itemprop") == Some("name")).unwrap_or(node);
            names_of(name.attr("content").unwrap_or(&name.visible_text()))
        })
        .collect()
}

/// Elements that are called a byline.
fn bylines(root: Node<'_>) -> Vec<String> {
    let called = |node: &Node<'_>| {
        let says = |value: &str| {
            value.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| {
                matches!(
                    w.to_ascii_lowercase().as_str(),
                    "byline"
                        | "author"
                        | "authors"
                        | "autor"
                        | "autoren"
                        | "auteur"
                        | "autore"
                        | "authorname"
                )
            })
        };
        node.attrs().any(|(n, v)| matches!(n, "class" | "data-testid" | "id") && says(text::head(v, 200)))
    };
    let mut tried = 0;
    for node in root.descendants().filter(called) {
        tried += 1;
        if tried > 40 {
            break;
        }
        // A part around the whole page is no byline, and not worth its text.
        if node.descendants().take(200).count() == 200 {
            continue;
        }
        let links: Vec<String> = node
            .descendants()
            .filter(|n| n.name() == "a")
            .flat_map(|n| names_of(&n.visible_text()))
            .filter(|n| is_person(n))
            .collect();
        if !links.is_empty() {
            return links;
        }
        let shown = node.visible_text();
        let names: Vec<String> = shown.lines().flat_map(names_of).filter(|n| is_person(n)).collect();
        if !names.is_empty() {
            return names;
        }
    }
    Vec::new()
}

/// Two to five words, most with a capital, none with a digit.
fn is_person(name: &str) -> bool {
    let words: Vec<&str> = name.split_whitespace().collect();
    let capitals = words.iter().filter(|w| w.starts_with(char::is_uppercase)).count();
    (2..=5).contains(&words.len())
        && capitals * 3 >= words.len() * 2
        && !name.contains(|c: char| c.is_ascii_digit())
}

/// Cuts a byline into names, without "By" and what follows a name.
fn names_of(written: &str) -> Vec<String> {
    let line = plain(text::head(written, BYLINE_BYTES));
    if line.contains("://") || line.starts_with('@') || line.starts_with("www.") {
        return Vec::new();
    }
    let mut rest = line.as_str();
    for word in [
        "written by",
        "posted by",
        "by",
        "von",
        "par",
        "por",
        "di",
        "da",
        "door",
        "av",
        "af",
        "text:",
        "text",
        "author:",
        "autor:",
        "opinion by",
        "oleh",
        "przez",
    ] {
        let cut = rest.get(..word.len()).filter(|b| b.eq_ignore_ascii_case(word)).map(|b| &rest[b.len()..]);
        if let Some(cut) = cut.filter(|c| c.starts_with([' ', ':'])) {
            rest = cut.trim_start_matches([' ', ':']);
            break;
        }
    }
    let mut out = Vec::new();
    let mut part = String::new();
    for word in rest.split_inclusive([' ', ',', ';', '|', '/', '·', '•']) {
        let bare = word.trim_end_matches([' ', ',', ';', '|', '/', '·', '•']);
        if matches!(
            bare.to_lowercase().as_str(),
            "and" | "und" | "et" | "y" | "e" | "en" | "og" | "och" | "&" | "i" | "with" | "mit"
        ) {
            out.push(std::mem::take(&mut part));
            continue;
        }
        part.push_str(bare);
        part.push(' ');
        if word.trim_end().ends_with([',', ';', '|', '/', '·', '•']) {
            out.push(std::mem::take(&mut part));
        }
    }
    out.push(part);
    out.into_iter()
        .map(|n| n.trim().trim_matches(['-', '–', '(', ')', '"', ':', '.']).trim().to_owned())
        .filter(|n| n.len() >= 2 && n.len() <= NAME_BYTES && n.contains(char::is_alphabetic))
        .filter(|n| {
            !matches!(
                n.to_lowercase().as_str(),
                "admin" | "author" | "staff" | "null" | "undefined" | "editor" | "by" | "jr" | "sr"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bylines_are_names() {
        for (line, names) in [
            ("By Ann Lee and Bob Day", vec!["Ann Lee", "Bob Day"]),
            ("Von Jörg Maß, Uwe Ax", vec!["Jörg Maß", "Uwe Ax"]),
            ("https://www.facebook.com/x", vec![]),
            ("Byron Smith", vec!["Byron Smith"]),
            ("dpa", vec!["dpa"]),
        ] {
            assert_eq!(names_of(line), names, "{line}");
        }
    }
}
