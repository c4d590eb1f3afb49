//! Breadcrumbs: the trail of an element (or of schema.org's `BreadcrumbList`) as names and addresses.
//!
//! Separators, labels in front of the trail ("You are here:") and what follows it are left out. A crumb may lack a name
//! (a house drawn as a picture) or an address (the page itself), never both.

use super::{text, url as address};
use crate::limit;
use html::Node;
use serde_json::{Map, Value};
use url::Url;

/// One step of a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// As shown.
    pub name: Option<String>,
    /// Absolute; none for the page itself.
    pub url: Option<Url>,
}

/// Crumbs of one trail: nobody nests shelves that deep.
const CRUMBS: usize = 64;
/// Bytes of a crumb's name.
const NAME_BYTES: usize = 4 * limit::SHORT_VALUE_BYTES;
/// Nodes of one trail that are looked at; menus opening from crumbs may be large.
const NODES: usize = 4_000;

/// Signs between crumbs.
const SEPARATORS: &[char] = &[
    '>', '»', '›', '/', '|', '→', '⟩', '❯', '▸', '▶', '►', '‣', '•', '·', '\\', '<', '«', '‹', '←', '⁄',
    '〉', '＞', '⇒', '➔', '➜', '➤', '…', ':', '-', '–', '—', '~', '\u{f105}', '\u{f054}', '◂', '◄',
];

/// Signs that part the crumbs of a text without links; a hyphen or slash may belong to a name.
const STRONG: &[char] = &['>', '»', '›', '→', '⟩', '❯', '▸', '►', '‣', '＞', '➔'];

/// A crumb being read.
struct Step {
    name: String,
    url: Option<Url>,
    linked: bool,
    /// A separator stood before it.
    parted: bool,
    /// The element that its text belongs to.
    block: usize,
}

/// The trail that an element shows. `base` is what its addresses are relative to.
pub fn of_node(node: Node<'_>, base: &Url) -> Vec<Crumb> {
    let mut steps: Vec<Step> = Vec::new();
    let mut parted = false;
    // Within a link nothing is read twice: its descendants are skipped by their id.
    let mut inside: Option<Node<'_>> = None;
    for at in std::iter::once(node).chain(node.descendants()).take(NODES) {
        if inside.is_some_and(|link| link.contains(at)) {
            continue;
        }
        inside = None;
        if steps.len() >= CRUMBS {
            break;
        }
        if at.name() == "a" {
            inside = Some(at);
            let name = clean(&shown(at));
            let url = link(at, base);
            if name.is_empty() && url.is_none() {
                continue;
            }
            steps.push(Step { name, url, linked: true, parted, block: at.id() });
            parted = false;
        } else if let Some(raw) = at.text_node() {
            if hidden(at, node) {
                continue;
            }
            let raw = text::one_line(text::head(raw, NAME_BYTES));
            if raw.is_empty() {
                continue;
            }
            let block = block_of(at, node);
            for (i, part) in split(&raw).into_iter().enumerate() {
                let starts = i > 0 || part.0;
                let name = part.1;
                parted |= starts;
                if name.is_empty() {
                    continue;
                }
                match steps.last_mut().filter(|last| !last.linked && !parted && last.block == block) {
                    // More of the same text, set in another face.
                    Some(last) if last.name.len() >= NAME_BYTES => {}
                    Some(last) => {
                        last.name.push(' ');
                        last.name.push_str(name);
                    }
                    None => {
                        steps.push(Step { name: name.to_owned(), url: None, linked: false, parted, block })
                    }
                }
                parted = false;
            }
            if raw.ends_with(SEPARATORS) {
                parted = true;
            }
        }
    }
    finish(steps)
}

/// The text of a link, else what its picture is called.
fn shown(link: Node<'_>) -> String {
    text::one_line(text::head(&link.visible_text(), NAME_BYTES))
}

fn link(node: Node<'_>, base: &Url) -> Option<Url> {
    let href = node.attr("href")?.trim();
    // The page itself, or a script.
    if href.is_empty() || href.starts_with('#') {
        return None;
    }
    address::resolve(base, href)
}

/// A name without the separators at its ends. What quotes a name stays.
fn clean(name: &str) -> String {
    let opens = name.contains(['«', '‹']);
    let closes = name.contains(['»', '›']);
    let is_sign = |c: char| match c {
        '»' | '›' => !opens,
        '«' | '‹' => !closes,
        c => c.is_whitespace() || STRONG.contains(&c) || matches!(c, '|' | '/' | '<'),
    };
    name.trim_matches(is_sign).to_owned()
}

/// The parts of a text between strong separators, each with whether a separator stands before it.
fn split(raw: &str) -> Vec<(bool, &str)> {
    let mut out = Vec::new();
    for (i, part) in strong_parts(raw).into_iter().enumerate() {
        let trimmed = part.trim();
        let only_signs = trimmed.chars().all(|c| SEPARATORS.contains(&c) || c.is_whitespace());
        // `- Boots` begins with a separator, `-5 °C` with a minus.
        let minus = trimmed.starts_with('-') && !trimmed.starts_with("- ");
        let name = if only_signs {
            ""
        } else if minus {
            trimmed
        } else {
            trimmed.trim_start_matches(|c: char| SEPARATORS.contains(&c) || c.is_whitespace())
        };
        let is_end = |c: char| c.is_whitespace() || matches!(c, '|' | '/' | '\\' | '•' | '·' | '⁄');
        let name = name.trim_end_matches(is_end);
        let begins = i > 0 || name.len() < trimmed.len() && trimmed.starts_with(SEPARATORS);
        out.push((begins, name));
    }
    out
}

/// Cuts at strong separators. A guillemet that closes a quotation is none: `Boot «Red»`.
fn strong_parts(raw: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut from, mut quoted) = (0, false);
    for (at, c) in raw.char_indices() {
        match c {
            '«' | '‹' => quoted = true,
            '»' | '›' if quoted => quoted = false,
            c if STRONG.contains(&c) => {
                out.push(&raw[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    out.push(&raw[from..]);
    out
}

/// Elements that set a text in another face without parting it.
const FACES: &[&str] = &["b", "i", "em", "strong", "small", "font", "sup", "sub", "mark", "u", "bdi", "wbr"];

fn block_of(text: Node<'_>, root: Node<'_>) -> usize {
    let mut at = text.parent();
    while let Some(node) = at {
        if !FACES.contains(&node.name()) || node.id() == root.id() {
            return node.id();
        }
        at = node.parent();
    }
    root.id()
}

fn hidden(text: Node<'_>, root: Node<'_>) -> bool {
    text.ancestors().take_while(|n| n.id() != root.id()).any(|n| {
        matches!(n.name(), "script" | "style" | "noscript" | "template" | "svg" | "button" | "select")
    })
}

fn finish(mut steps: Vec<Step>) -> Vec<Crumb> {
    let first_link = steps.iter().position(|s| s.linked);
    if let Some(first) = first_link {
        // "You are here:" in front of the trail.
        steps.drain(..first);
    }
    // The page itself follows the last link; a trail that parts its crumbs ends where more follows unparted.
    let last_link = steps.iter().rposition(|s| s.url.is_some());
    let trail = last_link.map_or(0, |last| last + 1);
    let parts = trail > 1 && steps[1..trail].iter().all(|s| s.parted);
    if parts && let Some(end) = steps.iter().skip(trail + 1).position(|s| !s.parted) {
        steps.truncate(trail + 1 + end);
    }
    // The last crumb twice: as shown, and as a link for machines.
    steps.dedup_by(|later, earlier| {
        let same = later.name == earlier.name && (later.url.is_none() || earlier.url.is_none());
        if same && earlier.url.is_none() {
            earlier.url = later.url.take();
        }
        same
    });
    steps
        .into_iter()
        .map(|s| Crumb { name: Some(text::cut(s.name, NAME_BYTES)).filter(|n| !n.is_empty()), url: s.url })
        .collect()
}

/// The trail of a `BreadcrumbList` (or a plain list of items) as found in JSON-LD or microdata.
pub fn of_json(value: &Value, base: &Url) -> Vec<Crumb> {
    let list = match value {
        Value::Object(map) => map.get("itemListElement").unwrap_or(value),
        other => other,
    };
    let items: Vec<&Value> = match list {
        Value::Array(list) => list.iter().take(CRUMBS).collect(),
        one => vec![one],
    };
    let mut placed: Vec<(f64, Crumb)> = Vec::new();
    for item in items {
        let Value::Object(map) = item else { continue };
        let inner = map.get("item").filter(|v| v.is_object()).and_then(Value::as_object);
        let text_of = |map: &Map<String, Value>, keys: &[&str]| {
            keys.iter().find_map(|k| map.get(*k).and_then(Value::as_str)).map(text::one_line)
        };
        let name = text_of(map, &["name"]).or_else(|| text_of(inner?, &["name"]));
        let url = text_of(map, &["item", "url", "@id"]).or_else(|| text_of(inner?, &["@id", "url"]));
        let url = url.and_then(|u| address::resolve(base, &u));
        let name = name.filter(|n| !n.is_empty());
        if name.is_none() && url.is_none() {
            continue;
        }
        let position =
            map.get("position").and_then(|p| p.as_f64().or_else(|| p.as_str()?.trim().parse().ok()));
        placed.push((position.unwrap_or(f64::MAX), Crumb { name, url }));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    placed.into_iter().map(|(_, crumb)| crumb).collect()
}

/// The trail of a text: `Home > Shoes > Boots`.
pub fn of_text(input: &str) -> Vec<Crumb> {
    let input = text::head(input, NAME_BYTES);
    let parts: Vec<&str> = if input.contains(STRONG) {
        input.split(STRONG).collect()
    } else if input.contains(" / ") {
        input.split(" / ").collect()
    } else {
        input.split(" | ").collect()
    };
    let names = parts.into_iter().map(|p| clean(&text::one_line(p))).filter(|n| !n.is_empty());
    names.take(CRUMBS).map(|name| Crumb { name: Some(name), url: None }).collect()
}

/// Words for the first page of a site.
const HOME: &str = "home|homepage|home page|start|startseite|accueil|inicio|início|página inicial|página de inicio|portada|home \
    page|pagina iniziale|principale|strona główna|główna|главная|на главную|главная страница|головна|начало|anasayfa|ana sayfa|\
    hem|startsida|forside|hjem|etusivu|aloitussivu|kezdőlap|főoldal|kezdő oldal|acasă|prima pagină|úvod|domů|hlavní stránka|\
    domov|úvodná stránka|domovská stránka|naslovnica|početna|domača stran|αρχική|αρχική σελίδα|ホーム|トップ|トップページ|首页|\
    首頁|主页|홈|الرئيسية|الصفحة الرئيسية|בית|דף הבית|beranda|utama|trang chủ|หน้าแรก|होम|inici|avaleht|sākums|pagrindinis";

/// The trail without its first step, if that is the site's first page.
pub fn without_home(mut crumbs: Vec<Crumb>) -> Vec<Crumb> {
    let is_home = crumbs.first().is_some_and(|first| {
        let root = |u: &Url| u.path() == "/" && u.query().is_none();
        let word = |n: &String| HOME.split('|').any(|w| w == n.to_lowercase());
        first.url.as_ref().is_some_and(root) || first.name.as_ref().is_some_and(word)
    });
    if is_home {
        crumbs.remove(0);
    }
    crumbs
}

/// As JSON: `[{"name": …, "url": …}]`, without the keys that are not known.
pub fn to_json(crumbs: &[Crumb]) -> Value {
    let one = |crumb: &Crumb| {
        let mut map = Map::new();
        if let Some(name) = &crumb.name {
            map.insert("name".into(), Value::String(name.clone()));
        }
        if let Some(url) = &crumb.url {
            map.insert("url".into(), Value::String(url.to_string()));
        }
        Value::Object(map)
    };
    Value::Array(crumbs.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use html::Document;

    fn names(html: &str) -> Vec<String> {
        let doc = Document::parse(html);
        let base = Url::parse("https://a.example/x").unwrap();
        let body = doc.root().descendants().find(|n| n.name() == "body").unwrap();
        of_node(body, &base).into_iter().map(|c| c.name.unwrap_or_default()).collect()
    }

    #[test]
    fn trails() {
        assert_eq!(
            names("<a href=/>Home</a> &gt; <a href=/s>Shoes / Boots</a> &gt; <b>Red</b> boot"),
            ["Home", "Shoes / Boots", "Red boot"]
        );
        assert_eq!(names("You are here: <a href=/>Home</a> / <a href=/s>Shoes</a> /"), ["Home", "Shoes"]);
        assert_eq!(
            names("<ul><li><a href=/>Home</a><li>&raquo;<li><a href=/s>Shoes</a><li>Boot</ul>"),
            ["Home", "Shoes", "Boot"]
        );
        assert_eq!(
            names("<a href=/>Home</a> / <a href=/s>Shoes</a> / <i>Boot</i> <a href='#'>Questions?</a>"),
            ["Home", "Shoes", "Boot"]
        );
        assert_eq!(names("Home &gt; Shoes &gt; Boots"), ["Home", "Shoes", "Boots"]);
    }

    #[test]
    fn home_can_be_left_out() {
        let base = Url::parse("https://a.example/x").unwrap();
        let list = serde_json::json!({"itemListElement": [
            {"position": 2, "item": {"@id": "/s", "name": "Shoes"}},
            {"position": 1, "name": "Startseite", "item": "https://a.example/"},
        ]});
        let all = of_json(&list, &base);
        assert_eq!(all.len(), 2);
        assert_eq!(
            to_json(&without_home(all)),
            serde_json::json!([{"name": "Shoes", "url": "https://a.example/s"}])
        );
        assert_eq!(without_home(of_text("Главная » Обувь")).len(), 1);
    }
}
