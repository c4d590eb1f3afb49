//! The views of one page, each made at most once and only when a field asks for it.

use crate::article::Article;
use crate::content::{MainContent, main_content};
use crate::feed;
use crate::limit;
use crate::product::Product;
use crate::recipe::{Recipe, recipe};
use crate::said::Said;
use crate::spec::{Format, Origin, Source, Within};
use crate::structured::head::Head;
use crate::structured::{self, Ids};
use crate::value::url as address;
use html::{Document, Node};
use model::Page;
use serde_json::{Map, Value};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use url::Url;

/// What is owned of a page while it is read.
pub(crate) struct Parts<'p> {
    pub(crate) page: &'p Page,
    /// The body as text.
    pub(crate) body: &'p str,
    format: Format,
    doc: OnceCell<Document>,
    /// The page without its body, for kinds that ask for no element.
    brief: OnceCell<Document>,
    view: View,
    json: OnceCell<Option<Value>>,
    ld: OnceCell<Vec<Value>>,
    microdata: OnceCell<Vec<Value>>,
    rdfa: OnceCell<Vec<Value>>,
    scripts: Vec<OnceCell<Option<Value>>>,
    /// The input's row, and the caller's row behind it.
    rows: [Option<&'p Map<String, Value>>; 2],
}

impl<'p> Parts<'p> {
    /// `scripts` is how many scripts the file reads JSON from; `view` how much of a tree is needed.
    pub(crate) fn new(
        page: &'p Page,
        body: &'p str,
        (format, view): (Format, View),
        scripts: usize,
        rows: [Option<&'p Map<String, Value>>; 2],
    ) -> Self {
        Self {
            page,
            body,
            format,
            doc: OnceCell::new(),
            brief: OnceCell::new(),
            view,
            json: OnceCell::new(),
            ld: OnceCell::new(),
            microdata: OnceCell::new(),
            rdfa: OnceCell::new(),
            scripts: (0..scripts).map(|_| OnceCell::new()).collect(),
            rows,
        }
    }

    fn doc(&self) -> &Document {
        self.doc.get_or_init(|| match self.format {
            Format::Html if self.view == View::Located => Document::parse_located(self.body),
            Format::Html => Document::parse(self.body),
            // No field finds an element on a JSON page.
            Format::Json | Format::Feed => Document::parse(""),
        })
    }

    /// The whole tree.
    pub(crate) fn document(&self) -> &Document {
        self.doc()
    }

    /// What the head is read from.
    fn brief_doc(&self) -> &Document {
        if self.view != View::Brief || self.format != Format::Html {
            return self.doc();
        }
        self.brief.get_or_init(|| Document::parse_brief(self.body))
    }

    /// The page as JSON; `None` if it is none.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.json
            .get_or_init(|| match self.format {
                // Some servers put a byte order mark or a guard before their JSON.
                Format::Json => serde_json::from_str(self.body.trim_start_matches('\u{feff}')).ok(),
                Format::Feed => feed::read(&self.page.body, self.page.header("content-type")),
                Format::Html => None,
            })
            .as_ref()
    }

    /// JSON-LD, if a source has asked for it.
    pub(crate) fn made_ld(&self) -> Option<&[Value]> {
        self.ld.get().map(Vec::as_slice)
    }

    /// Microdata, if a source has asked for it.
    pub(crate) fn made_microdata(&self) -> Option<&[Value]> {
        self.microdata.get().map(Vec::as_slice)
    }

    /// RDFa, if a source has asked for it.
    pub(crate) fn made_rdfa(&self) -> Option<&[Value]> {
        self.rdfa.get().map(Vec::as_slice)
    }

    /// JSON of the scripts that sources have asked for.
    pub(crate) fn made_scripts(&self) -> impl Iterator<Item = &Value> {
        self.scripts.iter().filter_map(|script| script.get()?.as_ref())
    }

    /// Every value of the input's row, and of the caller's behind it.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &'p Value> {
        self.rows.iter().flatten().flat_map(|row| row.values())
    }

    /// An input by its key.
    pub(crate) fn input(&self, key: &str) -> Option<&'p Value> {
        self.rows.iter().flatten().find_map(|row| row.get(key))
    }
}

/// How much of an HTML page is made a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// What the page says of itself: no source asks for an element of the body.
    Brief,
    /// Everything.
    Whole,
    /// Everything, with where it stands in the text.
    Located,
}

/// Where a source looks: a page or one row of it.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'p> {
    Html(Node<'p>),
    Json(&'p Value),
}

/// A page being read.
pub(crate) struct Reader<'p> {
    pub(crate) parts: &'p Parts<'p>,
    head: OnceCell<Head<'p>>,
    base: OnceCell<Url>,
    ids: OnceCell<Ids<'p>>,
    micro_ids: OnceCell<Ids<'p>>,
    rdfa_ids: OnceCell<Ids<'p>>,
    main: OnceCell<MainContent<'p>>,
    article: OnceCell<Article>,
    recipe: OnceCell<Recipe>,
    product: OnceCell<Product<'p>>,
    budget: Cell<usize>,
    /// What the page's XPaths may still cost.
    pub(crate) work: html::Work,
    warnings: RefCell<Vec<String>>,
    notes: Option<RefCell<Tried>>,
}

/// Selectors (CSS, XPath, JSON path) that were looked with, by their place in the file, and whether they ever found anything.
pub(crate) type Tried = BTreeMap<(usize, usize), bool>;

impl<'p> Reader<'p> {
    pub(crate) fn new(parts: &'p Parts<'p>) -> Self {
        Self {
            parts,
            head: OnceCell::new(),
            base: OnceCell::new(),
            ids: OnceCell::new(),
            micro_ids: OnceCell::new(),
            rdfa_ids: OnceCell::new(),
            main: OnceCell::new(),
            article: OnceCell::new(),
            recipe: OnceCell::new(),
            product: OnceCell::new(),
            work: html::Work::default(),
            budget: Cell::new(limit::PAGE_BUDGET_BYTES),
            warnings: RefCell::default(),
            notes: None,
        }
    }

    /// The same, noting which sources find something.
    pub(crate) fn noting(mut self) -> Self {
        self.notes = Some(RefCell::default());
        self
    }

    pub(crate) fn note(&self, source: &Source, has_found: bool) {
        // Data that a page may carry or not is no selector.
        let is_selector =
            matches!(source.origin, Origin::Css { .. } | Origin::XPath(_) | Origin::Json { .. });
        if let Some(notes) = self.notes.as_ref().filter(|_| is_selector) {
            *notes.borrow_mut().entry(source.at).or_default() |= has_found;
        }
    }

    /// The whole page as a scope; `None` for a JSON page that is not JSON.
    pub(crate) fn whole(&self) -> Option<Scope<'p>> {
        match self.parts.format {
            Format::Html if self.parts.view == View::Brief => {
                Some(Scope::Html(self.parts.brief_doc().root()))
            }
            Format::Html => Some(Scope::Html(self.root())),
            Format::Json | Format::Feed => self.parts.json().map(Scope::Json),
        }
    }

    pub(crate) fn root(&self) -> Node<'p> {
        self.parts.doc().root()
    }

    pub(crate) fn doc(&self) -> &'p Document {
        self.parts.doc()
    }

    pub(crate) fn head(&self) -> &Head<'p> {
        self.head.get_or_init(|| Head::of(self.parts.brief_doc().root()))
    }

    /// What relative addresses are relative to.
    pub(crate) fn base(&self) -> &Url {
        self.base.get_or_init(|| {
            let page = &self.parts.page.url;
            self.head().base.and_then(|href| address::resolve(page, href)).unwrap_or_else(|| page.clone())
        })
    }

    /// The page's JSON-LD, one value per script that could be read.
    pub(crate) fn ld(&self) -> &'p [Value] {
        let read = || self.head().ld.iter().filter_map(|node| structured::parse_json(&node.text())).collect();
        self.parts.ld.get_or_init(read)
    }

    pub(crate) fn ld_ids(&self) -> &Ids<'p> {
        self.ids.get_or_init(|| structured::ids(self.ld()))
    }

    pub(crate) fn microdata(&self) -> &'p [Value] {
        self.parts.microdata.get_or_init(|| structured::microdata(self.root(), self.base()))
    }

    pub(crate) fn microdata_ids(&self) -> &Ids<'p> {
        self.micro_ids.get_or_init(|| structured::ids(self.microdata()))
    }

    /// A page that never says `typeof` has no item of RDFa, and most do not.
    pub(crate) fn rdfa(&self) -> &'p [Value] {
        self.parts.rdfa.get_or_init(|| {
            let speaks = self.parts.body.contains("typeof=");
            if speaks { structured::rdfa(self.root(), self.base()) } else { Vec::new() }
        })
    }

    pub(crate) fn rdfa_ids(&self) -> &Ids<'p> {
        self.rdfa_ids.get_or_init(|| structured::ids(self.rdfa()))
    }

    /// The JSON that a source is applied to.
    pub(crate) fn json_within(&self, within: &Within, scope: Scope<'p>) -> Option<&'p Value> {
        match within {
            Within::Scope => match scope {
                Scope::Json(value) => Some(value),
                Scope::Html(_) => None,
            },
            Within::Element { selector, script } => self
                .parts
                .scripts
                .get(*script)?
                .get_or_init(|| structured::parse_json(&selector.first(self.root())?.text()))
                .as_ref(),
            Within::Variable { name, script } => {
                self.parts.scripts.get(*script)?.get_or_init(|| Some(self.variable(name)?.1)).as_ref()
            }
        }
    }

    /// The script that assigns something to `name`, and what: the JSON behind `name =` (or `name:`), also within
    /// `JSON.parse("…")`.
    fn variable(&self, name: &str) -> Option<(Node<'p>, Value)> {
        for script in self.root().descendants().filter(|n| n.name() == "script") {
            let text = script.text();
            for (at, _) in text.match_indices(name).take(20) {
                let behind = text[at + name.len()..].trim_start_matches(['"', '\'', ']']).trim_start();
                let Some(value) = behind.strip_prefix(['=', ':']) else { continue };
                let value = value.trim_start();
                let plain = value.strip_prefix("JSON.parse(").unwrap_or(value);
                let read = serde_json::Deserializer::from_str(plain).into_iter::<Value>().next();
                match read {
                    Some(Ok(Value::String(text))) => {
                        if let Ok(value) = serde_json::from_str(&text) {
                            return Some((script, value));
                        }
                    }
                    Some(Ok(value)) => return Some((script, value)),
                    _ => {}
                }
            }
        }
        None
    }

    /// The script that a source takes its JSON from.
    pub(crate) fn script_of(&self, within: &Within) -> Option<Node<'p>> {
        match within {
            Within::Scope => None,
            Within::Element { selector, .. } => selector.first(self.root()),
            Within::Variable { name, .. } => Some(self.variable(name)?.0),
        }
    }

    /// The main content, found once.
    pub(crate) fn main(&self) -> &MainContent<'p> {
        self.main.get_or_init(|| main_content(self.doc()))
    }

    pub(crate) fn article(&self) -> &Article {
        let page = self.parts.page;
        let text = || self.main().text();
        self.article.get_or_init(|| crate::article::read(self.doc(), text, &page.url, page.fetched_at))
    }

    pub(crate) fn recipe(&self) -> &Recipe {
        self.recipe.get_or_init(|| recipe(&self.said()))
    }

    pub(crate) fn product(&self) -> &Product<'p> {
        self.product.get_or_init(|| Product::of(self.root()))
    }

    /// The page with its data, for readers of a kind of thing.
    pub(crate) fn said(&self) -> Said<'_> {
        Said {
            root: self.root(),
            ld: self.ld(),
            ld_ids: self.ld_ids(),
            microdata: self.microdata(),
            microdata_ids: self.microdata_ids(),
            rdfa: self.rdfa(),
            rdfa_ids: self.rdfa_ids(),
        }
    }

    /// Takes bytes of text from the page's budget; false when it is used up.
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        let left = self.budget.get();
        if left == 0 {
            return false;
        }
        self.budget.set(left.saturating_sub(bytes));
        if left <= bytes {
            self.warn(|| "the page repeats its text too often; what followed was left out".into());
        }
        true
    }

    pub(crate) fn warn(&self, message: impl FnOnce() -> String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < limit::WARNINGS {
            let message = message();
            if !warnings.contains(&message) {
                warnings.push(message);
            }
        }
    }

    /// The warnings, and what was noted.
    pub(crate) fn into_warnings(self) -> (Vec<String>, Tried) {
        (self.warnings.into_inner(), self.notes.map(RefCell::into_inner).unwrap_or_default())
    }
}
