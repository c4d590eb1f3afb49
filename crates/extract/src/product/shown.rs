//! A product as a page shows it: the price after its title, the number behind "SKU:", the button that buys.
//!
//! Candidates are weighed by what their elements are called and where they stand; the heaviest is taken. Must not know:
//! data.

use super::word;
use crate::line::{Line, lines};
use crate::value::price::{self, Price};
use crate::value::{text, word as words};
use html::Node;
use regex::Regex;
use std::collections::HashMap;
use std::sync::LazyLock;

type Labels = Option<Regex>;

/// Any of the labels; longer ones first, so that `isbn-13` is not read as `isbn`.
fn labels(words: &[&str]) -> Labels {
    let mut words: Vec<String> = words.iter().map(|w| regex::escape(w)).collect();
    words.sort_by_key(|w| std::cmp::Reverse(w.len()));
    Regex::new(&words.join("|")).ok()
}

static SKU: LazyLock<Labels> = LazyLock::new(|| labels(word::SKU));
static MPN: LazyLock<Labels> = LazyLock::new(|| labels(word::MPN));
static GTIN: LazyLock<Labels> = LazyLock::new(|| labels(word::GTIN));
static BRAND: LazyLock<Labels> = LazyLock::new(|| labels(word::BRAND));

const APART: u32 = 1;
const WITHIN: u32 = 2;
const OLD: u32 = 4;
const ITEM: u32 = 8;
const STOCK: u32 = 16;

/// Bytes of a text that may be a price.
const PRICE_BYTES: usize = 80;
/// Elements that are looked at as prices.
const CANDIDATES: usize = 2_000;
/// Characters of a product's number.
const CODE_CHARS: std::ops::RangeInclusive<usize> = 2..=40;

/// What is shown of a product.
pub(super) struct Shown<'d> {
    root: Node<'d>,
    lines: Vec<Line<'d>>,
    /// The lines in lower case; empty where that is of another length and would not tell where a value begins.
    low: Vec<String>,
    /// Marks of each element and those around it, by the number of the node from `root`'s.
    around: Vec<u32>,
    /// Where the title stands.
    title: Option<usize>,
}

impl<'d> Shown<'d> {
    pub(super) fn of(root: Node<'d>) -> Self {
        let len = root.descendants().next_back().map_or(root.id(), Node::id) - root.id() + 1;
        let (mut own, mut around) = (vec![0; len], vec![0; len]);
        for node in root.descendants().filter(|n| n.is_element()) {
            let above = node.parent().and_then(|p| around.get(p.id().checked_sub(root.id())?)).copied();
            let at = node.id() - root.id();
            own[at] = marks(node);
            around[at] = own[at] | above.unwrap_or(0);
        }
        let lines = lines(root, |node| own.get(node.id().checked_sub(root.id())?).copied());
        let low = |line: &Line<'_>| {
            let low = line.text.to_lowercase();
            if low.len() == line.text.len() { low } else { String::new() }
        };
        let low = lines.iter().map(low).collect();
        let title = lines.iter().find(|l| l.heading == 1).map(|l| l.owner.id());
        Self { root, lines, low, around, title }
    }

    /// The price and its currency.
    pub(super) fn price(&self) -> Option<Price> {
        let mut best: Option<(f32, Price)> = None;
        let mut offer = |weight: f32, price: Price| {
            if weight > 0.0 && best.as_ref().is_none_or(|(w, _)| weight > *w) {
                best = Some((weight, price));
            }
        };
        let called = self.root.descendants().filter(|n| n.is_element()).filter_map(|node| {
            let own = own_words(node)?;
            own.iter().any(|w| is_price_word(w)).then_some((node, own))
        });
        let called: Vec<(Node<'d>, Vec<String>)> = called.take(CANDIDATES).collect();
        let mut alike: HashMap<&[String], u32> = HashMap::new();
        for (_, own) in &called {
            *alike.entry(own).or_default() += 1;
        }
        for (node, own) in &called {
            let Some(found) = read(*node) else { continue };
            let mut weight = self.weigh_element(*node, own) + self.weigh_place(*node) + weigh_text(&found);
            // The prices of a list of products look alike.
            if alike.get(own.as_slice()).is_some_and(|count| *count > 3) {
                weight -= 1.0;
            }
            offer(weight, found.price);
        }
        for line in &self.lines {
            let is_short = line.text.len() <= PRICE_BYTES && line.text.contains(|c: char| c.is_numeric());
            if !is_short || line.marks & (APART | OLD) != 0 {
                continue;
            }
            // A line with a sign is a price too, if nothing better is.
            if let Some(price) = price::parse(&line.text)
                && price.currency.is_some()
            {
                let found = Found { price, len: line.text.len() };
                offer(self.weigh_place(line.owner) + weigh_text(&found) - 1.0, found.price);
            }
        }
        best.map(|(_, price)| price)
    }

    fn weigh_element(&self, node: Node<'d>, own: &[String]) -> f32 {
        let mut weight = 1.0;
        if node.attr("itemprop").is_some_and(|p| p.eq_ignore_ascii_case("price")) {
            weight += 3.0;
        }
        if own.iter().any(|w| word::THE_PRICE.contains(&w.as_str())) {
            weight += 1.0;
        }
        if own.iter().any(|w| word::NOT_THE_PRICE.contains(&w.as_str())) {
            weight -= 2.5;
        }
        weight
    }

    fn weigh_place(&self, node: Node<'d>) -> f32 {
        const FAR: f32 = 2_000.0;
        let around =
            node.id().checked_sub(self.root.id()).and_then(|at| self.around.get(at)).copied().unwrap_or(0);
        let mut weight = 0.0;
        if around & APART != 0 {
            weight -= 4.0;
        }
        if around & OLD != 0 {
            weight -= 4.0;
        }
        if around & ITEM != 0 {
            weight -= 1.0;
        }
        if around & WITHIN != 0 {
            weight += 1.0;
        }
        if let Some(title) = self.title {
            #[expect(
                clippy::cast_precision_loss,
                reason = "nodes of a page are fewer than a float tells apart"
            )]
            let distance = (node.id().abs_diff(title) as f32 / FAR).min(1.0);
            weight += if node.id() > title { 1.5 - distance } else { -distance };
        }
        weight
    }

    /// What stands behind one of these labels: `SKU: 1234`, or in the next line.
    fn labelled(&self, labels: &Labels, fits: impl Fn(&str) -> Option<String>) -> Option<String> {
        const LABEL_BYTES: usize = 160;
        let labels = labels.as_ref()?;
        for (n, line) in self.lines.iter().enumerate() {
            let low = self.low[n].as_str();
            if line.marks & APART != 0 || low.is_empty() || low.len() > LABEL_BYTES {
                continue;
            }
            for hit in labels.find_iter(low) {
                // Within a line of several (`Brand: X | SKU: Y`) a colon tells the label from a word.
                let rest = &low[hit.end()..];
                let is_label = hit.start() == 0
                    || low[..hit.start()].ends_with([' ', '|', '(', '/', '•', ','])
                        && rest.trim_start_matches(['.', ' ', '°', 'º']).starts_with(':');
                let Some(behind) = line.text.get(hit.end()..).filter(|_| is_label) else { continue };
                if behind.starts_with(char::is_alphanumeric) {
                    continue;
                }
                let behind = behind.trim_start_matches(|c: char| !c.is_alphanumeric());
                if let Some(value) = fits(behind) {
                    return Some(value);
                }
                let next =
                    || self.lines.get(n + 1).filter(|l| l.marks & APART == 0).and_then(|l| fits(&l.text));
                if behind.is_empty()
                    && let Some(value) = next()
                {
                    return Some(value);
                }
            }
        }
        None
    }

    pub(super) fn sku(&self) -> Option<String> {
        self.labelled(&SKU, code)
    }

    pub(super) fn mpn(&self) -> Option<String> {
        self.labelled(&MPN, code)
    }

    pub(super) fn gtin(&self) -> Option<String> {
        self.labelled(&GTIN, |t| code(t).filter(|c| is_gtin(c)))
    }

    pub(super) fn brand(&self) -> Option<String> {
        const NAME_CHARS: usize = 40;
        self.labelled(&BRAND, |t| {
            let name = t.split(['|', '•', ';', ',']).next().unwrap_or_default().trim();
            (!name.is_empty() && name.chars().count() <= NAME_CHARS && name.split(' ').count() <= 4)
                .then(|| name.to_owned())
        })
    }

    /// Whether it can be bought: what is said of the stock, else whether there is a button that buys.
    pub(super) fn availability(&self) -> Option<&'static str> {
        const SAID_CHARS: usize = 60;
        let short = |l: &&Line<'_>| l.marks & APART == 0 && l.text.chars().count() <= SAID_CHARS;
        let marked = self.lines.iter().filter(short).filter(|l| l.marks & STOCK != 0);
        if let Some(said) = marked.filter_map(|l| words::availability(&l.text)).next() {
            return Some(said);
        }
        let buys = self.root.descendants().any(|node| {
            let is_button = matches!(node.name(), "button" | "input" | "a")
                || node.attr("role") == Some("button")
                || node.attr("class").is_some_and(|c| c.contains("btn") || c.contains("button"));
            is_button && node.attr("disabled").is_none() && says_buy(node)
        });
        if buys {
            return Some("InStock");
        }
        // Without a button, what is said right after the title.
        let behind = self.lines.iter().skip_while(|l| self.title.is_some_and(|t| l.owner.id() < t));
        behind.filter(short).filter(|l| l.text.len() < 30).take(60).find_map(|l| words::availability(&l.text))
    }
}

fn says_buy(node: Node<'_>) -> bool {
    const LABEL_BYTES: usize = 60;
    let says = |label: &str| {
        let low = text::head(label, LABEL_BYTES).trim().to_lowercase();
        word::BUY.iter().any(|w| low.starts_with(w))
    };
    ["value", "title", "aria-label"].iter().any(|key| node.attr(key).is_some_and(says))
        || node.descendants().take(12).filter_map(Node::text_node).any(says)
}

struct Found {
    price: Price,
    len: usize,
}

fn weigh_text(found: &Found) -> f32 {
    let mut weight = 0.0;
    if found.price.currency.is_some() {
        weight += 1.0;
    }
    if found.len <= 24 {
        weight += 1.0;
    }
    if found.price.amount <= 0.0 {
        weight -= 10.0;
    }
    weight
}

/// The price that an element says, without old prices inside of it.
fn read(node: Node<'_>) -> Option<Found> {
    if let Some(content) = node.attr("content") {
        let price = price::parse(text::head(content, PRICE_BYTES))?;
        return Some(Found { price, len: content.len() });
    }
    let mut written = String::new();
    let mut skip = None;
    for inner in node.descendants() {
        if skip.is_some_and(|end: Node<'_>| end.contains(inner)) {
            continue;
        }
        skip = None;
        if let Some(part) = inner.text_node() {
            written.push_str(text::head(part, PRICE_BYTES));
            if written.trim().len() > 2 * PRICE_BYTES {
                return None;
            }
        } else if inner.is_element() {
            if marks(inner) & OLD != 0 || inner.is_hidden() || matches!(inner.name(), "script" | "style") {
                skip = Some(inner);
            } else {
                written.push(' ');
            }
        }
    }
    let written = text::one_line(&written);
    if written.len() > PRICE_BYTES {
        return None;
    }
    let price = price::parse(&written)?;
    Some(Found { price, len: written.len() })
}

/// The words that an element's class, id and such are made of, in lower case.
fn own_words(node: Node<'_>) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for key in ["class", "id", "itemprop", "data-testid", "data-test", "data-auto"] {
        if let Some(written) = node.attr(key).filter(|w| w.len() < 300) {
            let words = written.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
            out.extend(words.map(str::to_lowercase));
        }
    }
    (!out.is_empty()).then_some(out)
}

fn is_price_word(word: &str) -> bool {
    const PRICES: [&str; 14] = [
        "price", "prices", "prix", "preis", "precio", "prezzo", "preco", "prijs", "cena", "pris", "amount",
        "цена", "hinta", "fiyat",
    ];
    PRICES.contains(&word) || word.contains("price") || word.contains("preis")
}

fn marks(node: Node<'_>) -> u32 {
    let mut marks = match node.name() {
        "nav" | "footer" | "aside" => APART,
        "s" | "del" | "strike" => OLD,
        "li" => ITEM,
        "html" | "body" | "main" | "" => return 0,
        _ => 0,
    };
    for key in ["class", "id", "data-testid"] {
        let Some(written) = node.attr(key).filter(|w| w.len() < 300) else { continue };
        let low = written.to_lowercase();
        if low.split(|c: char| !c.is_alphanumeric()).any(|w| word::APART.contains(&w)) {
            marks |= APART;
        }
        if word::WITHIN.iter().any(|w| low.split([' ', '_']).any(|part| part.starts_with(w))) {
            marks |= WITHIN;
        }
        if low.contains("stock") || low.contains("availab") {
            marks |= STOCK;
        }
        let old = ["old", "was", "strike", "crossed", "rrp", "msrp"];
        if low.contains("price") && low.split(|c: char| !c.is_alphanumeric()).any(|w| old.contains(&w)) {
            marks |= OLD;
        }
    }
    marks
}

/// The number at the beginning of a text: letters, digits and what parts them, with a digit.
fn code(behind: &str) -> Option<String> {
    let behind = behind.trim();
    let end = behind
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/')))
        .unwrap_or(behind.len());
    let code = behind[..end].trim_end_matches(['.', '-', '/', '_']);
    let has_digit = code.contains(|c: char| c.is_ascii_digit());
    (has_digit && CODE_CHARS.contains(&code.len())).then(|| code.to_owned())
}

/// A trade item number with its right check digit (GS1 General Specifications 7.9).
pub(super) fn is_gtin(code: &str) -> bool {
    let digits: Vec<u32> = code.chars().filter(|c| *c != '-').filter_map(|c| c.to_digit(10)).collect();
    if digits.len() != code.chars().filter(|c| *c != '-').count() || !matches!(digits.len(), 8 | 12 | 13 | 14)
    {
        return false;
    }
    let sum: u32 = digits.iter().rev().enumerate().map(|(n, d)| if n % 2 == 0 { *d } else { 3 * d }).sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use html::Document;

    const PAGE: &str = "<body><div class=header><span class=price>$0.00</span></div><h1>Chair</h1>
        <div class=product-info><span class='price old'>$80.00</span> <span class='price'>$59.90</span>
        <p class=product-code>Product code: AB-1234</p><p>Brand: Acme</p><p>EAN: 4006381333931</p><button>Add to cart</button></div>
        <div class=related><span class='price current'>$5.00</span></div>";

    #[test]
    fn the_price_after_the_title() {
        let doc = Document::parse(PAGE);
        let shown = Shown::of(doc.root());
        let price = shown.price().expect("a price");
        assert!((price.amount - 59.9).abs() < 1e-9, "{}", price.amount);
        assert_eq!(shown.sku().as_deref(), Some("AB-1234"));
        assert_eq!(shown.brand().as_deref(), Some("Acme"));
        assert_eq!(shown.gtin().as_deref(), Some("4006381333931"));
        assert_eq!(shown.availability(), Some("InStock"));
    }

    #[test]
    fn sold_out_and_nothing() {
        let doc = Document::parse("<h1>Chair</h1><p>12 €<p class=stock>Ausverkauft");
        let shown = Shown::of(doc.root());
        assert_eq!(shown.availability(), Some("SoldOut"));
        assert_eq!(shown.price().map(|p| p.amount), Some(12.0));
        let none = Document::parse("<p>Nothing is for sale.");
        assert!(Shown::of(none.root()).price().is_none() && Shown::of(none.root()).sku().is_none());
    }

    #[test]
    fn check_digits() {
        assert!(is_gtin("9780552173742") && is_gtin("96385074"));
        assert!(!is_gtin("9780552173743") && !is_gtin("123") && !is_gtin("97805521737AB"));
    }
}
