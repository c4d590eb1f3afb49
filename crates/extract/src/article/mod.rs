//! What an article says of itself: title, authors, date, topics, picture, and its text; without site code.
//!
//! Owns: which statement is believed where several are made (JSON-LD, meta tags, what is shown). Its parts own titles
//! (`title`), names (`author`) and dates (`published`). Must not know: scrapers, sites. Total: what is not found is empty.

mod author;
mod published;
mod title;

use crate::limit;
use crate::spec::ItemPath;
use crate::structured::head::Head;
use crate::structured::{self, Ids};
use crate::value::date::Moment;
use crate::value::{image, text, url as address};
use html::{Document, Node};
use model::Timestamp;
use serde_json::Value;
use url::Url;

/// An article.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Article {
    /// Its headline, without the name of the site.
    pub title: Option<String>,
    /// Names of those who wrote it, in order, each once.
    pub authors: Vec<String>,
    /// When it was published first.
    pub published: Option<Moment>,
    /// Keywords that the page gives, in order, each once.
    pub topics: Vec<String>,
    /// Address of its main picture.
    pub cover_image: Option<Url>,
    /// Its text, without title and captions; `""` for a page without any.
    pub body: String,
}

/// Types of schema.org that are articles.
const TYPES: [&str; 11] = [
    "NewsArticle",
    "Article",
    "BlogPosting",
    "ReportageNewsArticle",
    "AnalysisNewsArticle",
    "OpinionNewsArticle",
    "ReviewNewsArticle",
    "LiveBlogPosting",
    "TechArticle",
    "ScholarlyArticle",
    "Report",
];
/// The most names and topics of one article.
const MOST: usize = 100;

/// Reads a page as an article. `url` is where it came from; a date that counts from now ("2 hours ago") counts from `now`.
pub fn article(doc: &Document, url: &Url, now: Timestamp) -> Article {
    read(doc, || crate::main_content(doc).text(), url, now)
}

/// The same, with the text of the main content of who may have found it before.
pub(crate) fn read(doc: &Document, main: impl FnOnce() -> String, url: &Url, now: Timestamp) -> Article {
    let root = doc.root();
    let head = Head::of(root);
    let base = head.base.and_then(|href| address::resolve(url, href)).unwrap_or_else(|| url.clone());
    let scripts: Vec<Value> =
        head.ld.iter().filter_map(|node| structured::parse_json(&node.text())).collect();
    let says = Says { root, ids: structured::ids(&scripts), scripts: &scripts, head };
    let title = title::of(&says);
    let body = body(main(), &says, title.as_deref());
    Article {
        authors: author::of(&says),
        published: published::of(&says, url, now),
        topics: topics(&says),
        cover_image: cover(&says, &base),
        title,
        body,
    }
}

/// Everything that a page says of itself.
struct Says<'p> {
    root: Node<'p>,
    head: Head<'p>,
    scripts: &'p [Value],
    ids: Ids<'p>,
}

impl<'p> Says<'p> {
    /// Values of a property path of the page's article.
    fn item(&self, path: &[&str]) -> Vec<&'p Value> {
        let path = ItemPath {
            types: TYPES.iter().map(|t| (*t).to_owned()).collect(),
            path: path.iter().map(|p| (*p).to_owned()).collect(),
        };
        structured::values(self.scripts, &|| &self.ids, &path, true)
    }

    /// The first text at a property path.
    fn item_text(&self, path: &[&str]) -> Option<String> {
        self.item(path).into_iter().find_map(Value::as_str).map(plain).filter(|t| !t.is_empty())
    }

    /// The first content of these meta tags.
    fn meta(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.head.meta(name)).map(plain).filter(|t| !t.is_empty())
    }
}

/// One line, without the tags and entities that data often carries.
fn plain(written: &str) -> String {
    let written = text::head(written, limit::TEXT_BYTES);
    if written.contains(['<', '&']) {
        return text::one_line(&Document::parse(written).root().visible_text());
    }
    text::one_line(written)
}

/// The main content's text; what the data says it is where the page shows only a piece of it.
fn body(shown: String, says: &Says<'_>, title: Option<&str>) -> String {
    let shown = title.and_then(|t| shown.strip_prefix(t)).map(|s| s.trim_start().to_owned()).unwrap_or(shown);
    let written = says.item(&["articleBody"]).into_iter().find_map(Value::as_str).unwrap_or_default();
    if written.len() > 4 * shown.len() && written.len() > 500 {
        return Document::parse(text::head(written, limit::TEXT_BYTES)).root().visible_text();
    }
    shown
}

/// What the first of these places gives: the data, the tags, the keywords.
fn topics(says: &Says<'_>) -> Vec<String> {
    let data = says.item(&["keywords"]).into_iter().filter_map(Value::as_str).collect();
    let metas = ["article:tag", "news_keywords", "keywords"].map(|name| says.head.all(name).collect());
    let places: [Vec<&str>; 4] = {
        let [tags, news, plain] = metas;
        [data, tags, news, plain]
    };
    for place in places {
        let mut found: Vec<String> = Vec::new();
        for word in place.iter().flat_map(|p| p.split([',', ';', '|'])).map(plain) {
            let known = |f: &String| f.to_lowercase() == word.to_lowercase();
            if !word.is_empty() && word.len() < 100 && found.len() < MOST && !found.iter().any(known) {
                found.push(word);
            }
        }
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn cover(says: &Says<'_>, base: &Url) -> Option<Url> {
    let meta = says.head.meta("og:image").or_else(|| says.head.meta("twitter:image"));
    let item = || {
        ["image", "thumbnailUrl"].iter().find_map(|key| {
            says.item(&[key]).into_iter().find_map(|v| v.as_str().or_else(|| v.get("url")?.as_str()))
        })
    };
    let shown = || {
        let nodes = says.root.descendants().filter(|n| n.name() == "figure");
        nodes
            .flat_map(Node::descendants)
            .find(|n| n.name() == "img")
            .and_then(|n| image::source(|a| n.attr(a)))
    };
    meta.or_else(item).or_else(shown).and_then(|found| address::resolve(base, found))
}
