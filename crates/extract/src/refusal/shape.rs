//! How a page looks to who asks whether it is a wall: what it is called, how much it shows, what it asks for.
//!
//! Owns: the rules that weigh words against how little else is there. Must not know: makers of walls.

use super::{RefusalKind, word};
use html::{Document, Node};

/// Headings looked at.
const HEADINGS: usize = 4;
/// Characters of a heading that names a page; more is a sentence of its content.
const HEADING_CHARS: usize = 120;
/// Characters that a block page shows at most, by its title or heading.
const DENIED_SHOWN: usize = 1_800;
/// Characters where a sentence alone is enough.
const BARE_SHOWN: usize = 500;
/// Characters beside a captcha that stands in the way.
const CAPTCHA_SHOWN: usize = 800;
/// Characters and links that a login wall shows at most: the shop's menu may stand around it.
const LOGIN_SHOWN: usize = 3_000;
const LOGIN_LINKS: usize = 80;
/// Characters and links of a consent wall: it may list what it asks for, and lead nowhere else.
const CONSENT_SHOWN: usize = 5_000;
const CONSENT_LINKS: usize = 30;
/// Characters of a page that says in a heading that it is not there.
const GONE_SHOWN: usize = 6_000;

/// What is looked at, made once.
pub(super) struct Shape {
    /// Parts of the title, plain.
    titles: Vec<String>,
    /// Headings, plain.
    headings: Vec<String>,
    /// The text shown, lower case.
    text: String,
    /// Its characters.
    pub(super) shown: usize,
    links: usize,
    asks_password: bool,
    buttons: Vec<String>,
    has_widget: bool,
    /// It says what it is in structured data: a wall does not.
    is_described: bool,
}

impl Shape {
    /// Of a page's source, in lower case.
    pub(super) fn of(source: &str) -> Self {
        let document = Document::parse(source);
        let mut shape = Self::bare("");
        let mut title = None;
        for node in document.root().descendants().filter(|node| node.is_element()) {
            match node.name() {
                "title" if title.is_none() && !node.is_foreign() => title = Some(node.text()),
                "h1" | "h2" if shape.headings.len() < HEADINGS => {
                    let text = node.visible_text();
                    if !text.is_empty() && text.chars().count() <= HEADING_CHARS {
                        shape.headings.push(word::plain(&text));
                    }
                }
                "a" if node.attr("href").is_some() => shape.links += 1,
                "input" => shape.input(node),
                "button" => shape.buttons.push(word::plain(&node.visible_text())),
                "script" => {
                    shape.is_described |=
                        node.attr("type").is_some_and(|t| t.contains("ld+json")) && says_what(&node.text());
                }
                _ => {}
            }
        }
        shape.titles = title.map(|title| parts(&title)).unwrap_or_default();
        shape.text = document.root().visible_text();
        shape.shown = shape.text.chars().count();
        shape.has_widget = word::WIDGETS.iter().any(|widget| source.contains(widget));
        shape
    }

    /// Of an answer that is no HTML: all of it is shown.
    pub(super) fn bare(source: &str) -> Self {
        Self {
            titles: Vec::new(),
            headings: Vec::new(),
            text: source.to_owned(),
            shown: source.chars().count(),
            links: 0,
            asks_password: false,
            buttons: Vec::new(),
            has_widget: false,
            is_described: false,
        }
    }

    fn input(&mut self, input: Node<'_>) {
        match input.attr("type") {
            // A drawer of the page's menu is no wall; it is not shown.
            Some("password") if !input.ancestors().any(Node::is_hidden) => self.asks_password = true,
            Some("submit" | "button") => {
                self.buttons.push(word::plain(input.attr("value").unwrap_or_default()));
            }
            _ => {}
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.titles.iter().chain(&self.headings)
    }

    fn is_named(&self, phrases: &[&str]) -> bool {
        self.names().any(|name| phrases.contains(&bare(name).as_str()) || phrases.contains(&name.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.text.contains(phrase))
    }

    /// A block page or a captcha of no known maker.
    pub(super) fn denies(&self) -> Option<RefusalKind> {
        if self.is_described || self.links > LOGIN_LINKS {
            return None;
        }
        if self.has_widget && self.shown <= CAPTCHA_SHOWN && self.says(word::HUMAN) {
            return Some(RefusalKind::Challenge);
        }
        if self.shown <= DENIED_SHOWN {
            if self.is_named(word::CHALLENGE) {
                return Some(RefusalKind::Challenge);
            }
            if self.is_named(word::DENIED) {
                return Some(RefusalKind::Block);
            }
        }
        (self.shown <= BARE_SHOWN && self.links <= 5 && self.says(word::DENYING))
            .then_some(RefusalKind::Block)
    }

    /// A login wall. `sent` is true if the request was led to an address where one logs in.
    pub(super) fn is_login(&self, sent: bool) -> bool {
        let is_small = self.shown <= LOGIN_SHOWN && self.links <= LOGIN_LINKS && !self.is_described;
        is_small && begins(self.names(), word::LOGIN) && (self.asks_password || sent)
            || (sent && self.asks_password)
    }

    /// A consent wall. `there` is true if the address says so.
    pub(super) fn is_consent(&self, there: bool) -> bool {
        let is_small = self.shown <= CONSENT_SHOWN && self.links <= CONSENT_LINKS && !self.is_described;
        let agrees =
            || self.buttons.iter().any(|button| word::AGREE.iter().any(|word| button.contains(word)));
        // A banner comes after the page's own heading; a wall has none beside its own.
        let names = self.titles.iter().chain(self.headings.first());
        is_small && agrees() && (there || begins(names, word::CONSENT))
    }

    /// A page that says that it is not there.
    pub(super) fn is_gone(&self) -> bool {
        if self.is_described {
            return false;
        }
        let is_gone = |name: &String| {
            let rest = bare(name);
            word::GONE.contains(&name.as_str())
                || word::GONE.contains(&rest.as_str())
                // A number alone may be the year of a chronicle's page: then more is said.
                || (rest.is_empty() && self.shown <= GONE_SHOWN && name.split(' ').any(|w| matches!(w, "404" | "410")))
        };
        self.titles.iter().any(is_gone)
            || (self.shown <= GONE_SHOWN && self.headings.first().is_some_and(is_gone))
    }
}

/// Does one of the names begin with one of the phrases, as whole words?
fn begins<'n>(mut names: impl Iterator<Item = &'n String>, phrases: &[&str]) -> bool {
    let is_so = |name: &String, phrase: &str| {
        name.strip_prefix(phrase).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    names.any(|name| phrases.iter().any(|phrase| is_so(name, phrase)))
}

/// The name without words that say nothing of their own.
fn bare(name: &str) -> String {
    let words = name.split(' ').filter(|word| !word::FILLING.contains(word));
    words.collect::<Vec<_>>().join(" ")
}

/// A title's parts: the page's name and the site's.
fn parts(title: &str) -> Vec<String> {
    let cut = title
        .replace(['|', '\u{b7}', '\u{bb}', '\u{2013}', '\u{2014}', '\u{2022}'], "\n")
        .replace(" - ", "\n");
    let parts = cut.split('\n').map(word::plain).filter(|part| !part.is_empty());
    parts.chain([word::plain(title)]).collect()
}

/// Does structured data name a thing that is content? Walls may carry their site's name and search.
fn says_what(data: &str) -> bool {
    const THINGS: &[&str] = &[
        "product",
        "article",
        "newsarticle",
        "recipe",
        "event",
        "jobposting",
        "blogposting",
        "itemlist",
        "videoobject",
        "book",
        "movie",
        "person",
        "localbusiness",
        "review",
        "offer",
        "faqpage",
        "discussionforumposting",
    ];
    let squeezed: String = data.chars().filter(|c| !c.is_whitespace()).collect();
    THINGS.iter().any(|thing| squeezed.contains(&format!("\"@type\":\"{thing}\"")))
}
