//! A compiled scraper file: what the compiler makes and extraction reads. Plain data, immutable, shared.
//!
//! Owns: the shapes. Must not know: TOML, pages.

use crate::file::render::How;
use crate::jsonpath::JsonPath;
use crate::login::secret::SecretText;
use crate::login::{Login, Session};
use crate::refused::Hint;
use crate::template::Template;
use model::{Column, ColumnKind};
use regex::Regex;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A whole file.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) dataset_id: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) sites: Vec<String>,
    pub(crate) carries_extra_inputs: bool,
    pub(crate) min_inputs: u64,
    pub(crate) needs: model::Needs,
    pub(crate) headers: Vec<(String, String)>,
    /// Header lines with places for secrets.
    pub(crate) secret_headers: Vec<(String, SecretText)>,
    pub(crate) session: Session,
    pub(crate) login: Option<Login>,
    /// The same order as `door_specs`.
    pub(crate) doors: Vec<DoorPlan>,
    pub(crate) door_specs: Vec<DoorSpec>,
    pub(crate) pages: Vec<PageKind>,
    pub(crate) fields: Vec<FieldSpec>,
    /// What a refusal of the site looks like, by the file.
    pub(crate) hints: Vec<Hint>,
    /// Are pages looked at for refusals in general?
    pub(crate) refusals: bool,
    /// Names of the fields by which a record is the same record in another run; none: its address.
    pub(crate) key: Vec<String>,
    /// Scripts that JSON is read from, each with a number below this.
    pub(crate) scripts: usize,
}

/// Type of an input (api.md 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// `http` or `https` with a host.
    Url,
    /// A string.
    Text,
    /// A number, or its text.
    Number,
    /// true or false, or their words.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
    /// Two letters, ISO 3166-1.
    Country,
}

impl InputType {
    /// Every type with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("url", Self::Url),
        ("text", Self::Text),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
        ("country", Self::Country),
    ];

    /// The word in the catalogue.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, t)| *t == self).map_or("text", |(word, _)| word)
    }
}

/// One input of a door.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// Key in the row.
    pub name: String,
    /// Other spellings of the key that clients send (`URL`).
    pub also: Vec<String>,
    /// Its type.
    pub kind: InputType,
    /// Must be there and not empty.
    pub required: bool,
    /// For people.
    pub description: String,
    /// The text must match.
    pub pattern: Option<Regex>,
    /// The value must be one of these.
    pub choices: Vec<Value>,
    /// Least number, or fewest elements of an array.
    pub minimum: Option<f64>,
    /// Greatest number, or most elements of an array.
    pub maximum: Option<f64>,
    /// Used where the row has none.
    pub default: Option<Value>,
}

/// One way in, as the catalogue shows it.
#[derive(Clone, Debug)]
pub struct DoorSpec {
    /// `collect_by_url`, `discover_by_<method>`.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its input schema.
    pub inputs: Vec<InputSpec>,
    /// Example rows.
    pub samples: Vec<Map<String, Value>>,
}

/// One field of the output schema: a column.
#[derive(Clone, Debug)]
pub struct FieldSpec {
    /// Key in the record.
    pub name: String,
    /// Type word: `text`, `price`, `list of image`, …
    pub type_word: String,
    /// What its values are as JSON.
    pub shape: ColumnKind,
    /// For people.
    pub description: String,
    /// A page without any required field is not read.
    pub required: bool,
}

/// How a door begins.
#[derive(Debug)]
pub(crate) struct DoorPlan {
    /// Method of a discovery; `None` for `collect_by_url`.
    pub(crate) method: Option<String>,
    /// Page kind of the first page.
    pub(crate) start: usize,
    pub(crate) target: Target,
}

/// Where the first page is.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// In the input of that index.
    Input(usize),
    /// Made from the inputs.
    Template(Template),
}

/// Format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Html,
    Json,
    /// A sitemap or feed, read as JSON.
    Feed,
}

/// One kind of page.
#[derive(Debug)]
pub(crate) struct PageKind {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// No source asks for an element of the body: no tree is built of it.
    pub(crate) is_brief: bool,
    pub(crate) yields: Yield,
    /// The output schema with the sources of this kind.
    pub(crate) fields: Vec<Field>,
    pub(crate) follow: Vec<FollowRule>,
    pub(crate) next: Option<Next>,
    pub(crate) max_pages: u32,
    /// How it is fetched, where the file says so for this kind alone.
    pub(crate) how: How,
    /// It reads the responses that fit, not the page that asked for them.
    pub(crate) capture: Option<String>,
}

/// What a page kind gives.
#[derive(Debug)]
pub(crate) enum Yield {
    /// Links only.
    Nothing,
    /// The page is one record.
    Record,
    /// Each of these places is a record.
    Rows(Vec<Source>),
}

/// Links into another page kind.
#[derive(Debug)]
pub(crate) struct FollowRule {
    /// Places that hold one link each; the page itself if there are none.
    pub(crate) each: Option<Vec<Source>>,
    pub(crate) link: Vec<Source>,
    pub(crate) to: usize,
    pub(crate) found: bool,
    /// Fields read here for the record there.
    pub(crate) begin: Vec<Field>,
}

/// The next page of a list.
#[derive(Debug)]
pub(crate) enum Next {
    /// A link.
    Link(Vec<Source>),
    /// A query parameter counts.
    Count { parameter: String, start: i64, step: i64 },
    /// A query parameter takes a value of the page.
    Cursor { parameter: String, cursor: Vec<Source> },
    /// A template with `{page}` or `{cursor}` and the inputs.
    Template { template: Template, start: i64, step: i64, cursor: Vec<Source> },
}

/// A field: a name, a type, and where to look.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) from: Arc<[Source]>,
    /// The values of every source, each once; not only those of the first that has any.
    pub(crate) merge: bool,
    /// `03/04/2026` is 3 April.
    pub(crate) day_first: bool,
}

/// Type of a value.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    One(Scalar),
    List(Box<Kind>),
    Object(Arc<[Field]>),
}

/// Types without parts. A value that does not fit its type is none.
///
/// Numbers: `number` (`1,234.5`), `integer`, `price` (in units of the currency), `rating` (on its own scale),
/// `best_rating` (that scale's end), `duration` (seconds), `minutes` (whole ones), `grams`, `metres`, `litres`.
/// Words: `boolean`, `currency` (ISO 4217), `currency_sign` (as written), `availability` and `condition` (schema.org's).
/// Moments, ISO 8601: `date`, `datetime` (with a time and an offset where they were said).
/// Addresses: `url` and `image` (absolute), `email`, `phone` (E.164 if the number names its country).
/// Trails: `breadcrumbs` (objects of name and url, as shown), `categories` (names, without the site's first page).
/// Texts: `text`, `html`, `markdown`, `json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text,
    Html,
    Markdown,
    Number,
    Integer,
    Boolean,
    Price,
    Currency,
    CurrencySign,
    Rating,
    BestRating,
    Availability,
    Condition,
    Date,
    Datetime,
    Duration,
    Minutes,
    Grams,
    Metres,
    Litres,
    Phone,
    Email,
    Breadcrumbs,
    Categories,
    Url,
    Image,
    Json,
}

impl Scalar {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("text", Self::Text),
        ("html", Self::Html),
        ("markdown", Self::Markdown),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("price", Self::Price),
        ("currency", Self::Currency),
        ("currency_sign", Self::CurrencySign),
        ("rating", Self::Rating),
        ("best_rating", Self::BestRating),
        ("availability", Self::Availability),
        ("condition", Self::Condition),
        ("date", Self::Date),
        ("datetime", Self::Datetime),
        ("duration", Self::Duration),
        ("minutes", Self::Minutes),
        ("grams", Self::Grams),
        ("metres", Self::Metres),
        ("litres", Self::Litres),
        ("phone", Self::Phone),
        ("email", Self::Email),
        ("breadcrumbs", Self::Breadcrumbs),
        ("categories", Self::Categories),
        ("url", Self::Url),
        ("image", Self::Image),
        ("json", Self::Json),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, t)| *t == self).map_or("text", |(word, _)| word)
    }
}

impl Scalar {
    /// What its values are as JSON.
    fn shape(self) -> ColumnKind {
        let text = |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Text };
        match self {
            Self::Number
            | Self::Price
            | Self::Rating
            | Self::BestRating
            | Self::Duration
            | Self::Grams
            | Self::Metres
            | Self::Litres => ColumnKind::Number,
            Self::Integer | Self::Minutes => ColumnKind::Integer,
            Self::Boolean => ColumnKind::Boolean,
            Self::Date => ColumnKind::Date,
            Self::Datetime => ColumnKind::Moment,
            Self::Breadcrumbs => {
                ColumnKind::List(Box::new(ColumnKind::Object(vec![text("name"), text("url")])))
            }
            Self::Categories => ColumnKind::List(Box::new(ColumnKind::Text)),
            Self::Json => ColumnKind::Json,
            Self::Text
            | Self::Html
            | Self::Markdown
            | Self::Currency
            | Self::CurrencySign
            | Self::Availability
            | Self::Condition
            | Self::Phone
            | Self::Email
            | Self::Url
            | Self::Image => ColumnKind::Text,
        }
    }
}

impl Kind {
    /// The word in the catalogue.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::One(scalar) => scalar.as_str().to_owned(),
            Self::List(of) => format!("list of {}", of.word()),
            Self::Object(_) => "object".to_owned(),
        }
    }

    /// What its values are as JSON.
    pub(crate) fn shape(&self) -> ColumnKind {
        match self {
            Self::One(scalar) => scalar.shape(),
            Self::List(of) => ColumnKind::List(Box::new(of.shape())),
            Self::Object(fields) => {
                let column = |f: &Field| Column { name: f.name.clone(), kind: f.kind.shape() };
                ColumnKind::Object(fields.iter().map(column).collect())
            }
        }
    }
}

/// One place to look for a value.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// Take every match, not only the first.
    pub(crate) all: bool,
    /// Join the texts of every match with this.
    pub(crate) join: Option<String>,
    /// Keep group 1 (or the whole match) of the text.
    pub(crate) regex: Option<Regex>,
    /// Cut the text here into several values.
    pub(crate) split: Option<String>,
    /// Look in the whole page, not in the row.
    pub(crate) whole_page: bool,
    /// Line and column in the file, from 1.
    pub(crate) at: (usize, usize),
}

/// Kinds of places.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Css {
        selector: Option<html::Selector>,
        take: Take,
    },
    /// Relative to the page or the row.
    XPath(html::XPath),
    Json {
        path: JsonPath,
        within: Within,
    },
    JsonLd(ItemPath),
    Microdata(ItemPath),
    Rdfa(ItemPath),
    Meta(Vec<String>),
    /// The regular expression over the text of the whole answer.
    Body(Regex),
    Const(Value),
    Input(String),
    Page(PageProperty),
    Header(String),
    Content(Content),
    Recipe(RecipeProperty),
    Product(ProductProperty),
    Article(ArticleProperty),
    Listing(ListingProperty),
    /// The results of the site's own search for the input of this name.
    Search(String),
}

/// What is taken from an element.
#[derive(Clone, Debug)]
pub(crate) enum Take {
    /// What the type makes of the element.
    Element,
    /// Its own text nodes, `::text`.
    OwnText,
    /// An attribute, `::attr(x)`.
    Attr(String),
}

/// What a JSON path is applied to.
#[derive(Clone, Debug)]
pub(crate) enum Within {
    /// The JSON page, or the row of it.
    Scope,
    /// The text of an element, usually a script.
    Element { selector: html::Selector, script: usize },
    /// What a script assigns to a variable.
    Variable { name: String, script: usize },
}

/// `Product.offers.price`: types, then properties.
#[derive(Clone, Debug)]
pub(crate) struct ItemPath {
    pub(crate) types: Vec<String>,
    pub(crate) path: Vec<String>,
}

/// Properties of the answer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageProperty {
    Url,
    Host,
    Status,
    Title,
    Language,
    Canonical,
    FetchedAt,
    /// What the page tells search engines and other robots: `X-Robots-Tag` and meta robots together.
    Robots,
}

impl PageProperty {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("url", Self::Url),
        ("host", Self::Host),
        ("status", Self::Status),
        ("title", Self::Title),
        ("language", Self::Language),
        ("canonical", Self::Canonical),
        ("fetched_at", Self::FetchedAt),
        ("robots", Self::Robots),
    ];
}

/// What generic scrapers make of a whole page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Markdown,
    MainMarkdown,
    Text,
    MainText,
    Html,
    MainHtml,
    Links,
    Images,
    Metadata,
    LdJson,
    Microdata,
    OpenGraph,
}

impl Content {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("markdown", Self::Markdown),
        ("main_markdown", Self::MainMarkdown),
        ("text", Self::Text),
        ("main_text", Self::MainText),
        ("html", Self::Html),
        ("main_html", Self::MainHtml),
        ("links", Self::Links),
        ("images", Self::Images),
        ("metadata", Self::Metadata),
        ("ld_json", Self::LdJson),
        ("microdata", Self::Microdata),
        ("opengraph", Self::OpenGraph),
    ];
}

/// What is read of a recipe, from its data and from what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecipeProperty {
    Ingredients,
    Instructions,
    Yields,
    PrepMinutes,
    CookMinutes,
    TotalMinutes,
}

impl RecipeProperty {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("ingredients", Self::Ingredients),
        ("instructions", Self::Instructions),
        ("yields", Self::Yields),
        ("prep_minutes", Self::PrepMinutes),
        ("cook_minutes", Self::CookMinutes),
        ("total_minutes", Self::TotalMinutes),
    ];
}

/// What is read of a product, from what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProductProperty {
    Price,
    Currency,
    Sku,
    NumberInUrl,
    Mpn,
    Gtin,
    Brand,
    Availability,
}

impl ProductProperty {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("price", Self::Price),
        ("currency", Self::Currency),
        ("sku", Self::Sku),
        ("number_in_url", Self::NumberInUrl),
        ("mpn", Self::Mpn),
        ("gtin", Self::Gtin),
        ("brand", Self::Brand),
        ("availability", Self::Availability),
    ];
}

/// What is read of an article, from its data and from what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArticleProperty {
    Title,
    Authors,
    Published,
    Topics,
    CoverImage,
    Body,
}

impl ArticleProperty {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[
        ("title", Self::Title),
        ("authors", Self::Authors),
        ("published", Self::Published),
        ("topics", Self::Topics),
        ("cover_image", Self::CoverImage),
        ("body", Self::Body),
    ];
}

/// What is found of a listing without selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListingProperty {
    /// Addresses of its items.
    Links,
    /// The address of its next page.
    Next,
}

impl ListingProperty {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[("links", Self::Links), ("next", Self::Next)];
}

impl Origin {
    /// Is it found in what a page says of itself, without a tree of its body?
    pub(crate) fn is_brief(&self) -> bool {
        match self {
            Self::JsonLd(_)
            | Self::Meta(_)
            | Self::Body(_)
            | Self::Const(_)
            | Self::Input(_)
            | Self::Page(_)
            | Self::Header(_) => true,
            Self::Json { within, .. } => matches!(within, Within::Scope),
            Self::Content(content) => {
                matches!(content, Content::Html | Content::LdJson | Content::OpenGraph | Content::Metadata)
            }
            Self::Css { .. }
            | Self::XPath(_)
            | Self::Microdata(_)
            | Self::Rdfa(_)
            | Self::Recipe(_)
            | Self::Product(_)
            | Self::Article(_)
            | Self::Listing(_)
            | Self::Search(_) => false,
        }
    }
}

impl Field {
    fn is_brief(&self) -> bool {
        let inner = match &self.kind {
            Kind::Object(fields) => fields.iter().all(Field::is_brief),
            Kind::List(of) => match of.as_ref() {
                Kind::Object(fields) => fields.iter().all(Field::is_brief),
                Kind::One(_) | Kind::List(_) => true,
            },
            Kind::One(_) => true,
        };
        inner && self.from.iter().all(|source| source.origin.is_brief())
    }
}

impl PageKind {
    /// Does no source ask for an element of the body?
    pub(crate) fn asks_for_no_element(&self) -> bool {
        let all = |sources: &[Source]| sources.iter().all(|s| s.origin.is_brief());
        let rows = match &self.yields {
            Yield::Rows(sources) => all(sources),
            Yield::Record | Yield::Nothing => true,
        };
        let follow = self.follow.iter().all(|rule| {
            rule.each.as_deref().is_none_or(all) && all(&rule.link) && rule.begin.iter().all(Field::is_brief)
        });
        let next = match &self.next {
            None | Some(Next::Count { .. }) => true,
            Some(
                Next::Link(sources)
                | Next::Cursor { cursor: sources, .. }
                | Next::Template { cursor: sources, .. },
            ) => all(sources),
        };
        rows && follow && next && self.fields.iter().all(Field::is_brief)
    }
}
