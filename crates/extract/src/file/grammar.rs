//! The scraper file as a JSON Schema, for editors that complete and check while a person types.
//!
//! Owns: nothing that the reader does not know better: words come from its own tables, and a test compares every table's
//! keys with those that the reader asks for. Draft 7, which every editor's TOML plugin understands.

use super::render_grammar;
use crate::login::{LOGIN_MODES, STEPS_MAX};
use crate::refused::Hint;
use crate::spec::{
    ArticleProperty, Content, InputType, ListingProperty, PageProperty, ProductProperty, RecipeProperty,
    Scalar,
};
use serde_json::{Map, Value, json};

/// The schema of `scraper.toml`.
pub fn json_schema() -> Value {
    let mut root = object(
        "A scraper: the ways in, the kinds of page, and where each field is found.",
        &[
            ("dataset_id", text("The id that callers send, such as `gd_my_shop`.")),
            ("aliases", texts("Other ids that mean this scraper.")),
            ("title", text("Its name for people.")),
            ("description", text("What it collects.")),
            ("sites", texts("The sites it is for, such as `books.example`.")),
            (
                "carries_extra_inputs",
                boolean("Keys of input rows that no door declares are carried to the records."),
            ),
            ("min_inputs", whole("Fewest inputs of a trigger.", 1, 1_000_000)),
            (
                "key",
                texts(
                    "Fields by which a record is the same record in another run; without them its address is.",
                ),
            ),
            ("fetch", render_grammar::fetch("fetch")),
            ("login", reference("login")),
            (
                "refusals",
                boolean(
                    "Pages are looked at for block pages, captchas, login and consent walls; true unless said.",
                ),
            ),
            ("refused", one_or_many("refused", "What a refusal of this site looks like.")),
            ("doors", named("The ways in: `collect_by_url`, `discover_by_<method>`.", "door")),
            ("pages", named("The kinds of page.", "page")),
            ("fields", named("The fields of a record, in the order of its columns.", "field")),
        ],
        &["dataset_id", "title", "doors", "pages", "fields"],
    );
    if let Some(doors) = root.pointer_mut("/properties/doors").and_then(Value::as_object_mut) {
        doors.insert("propertyNames".into(), json!({ "pattern": "^(collect_by_url|discover_by_.+)$" }));
    }
    let tables = [
        ("fetch", fetch()),
        ("login", login()),
        ("step", step()),
        ("signs", signs()),
        ("refused", refused()),
        ("door", door()),
        ("input", input()),
        ("page", page()),
        ("follow", follow()),
        ("next", next()),
        ("field", field()),
        ("source", source()),
        ("sources", one_or_many("source", "Places to look at, in order; the first that gives a value wins.")),
    ];
    let definitions: Map<String, Value> = tables
        .into_iter()
        .chain(render_grammar::tables())
        .map(|(name, table)| (name.to_owned(), table))
        .collect();
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
        root.insert("title".into(), json!("Trawl scraper file"));
        root.insert("definitions".into(), Value::Object(definitions));
    }
    root
}

fn fetch() -> Value {
    let [mode, browser] = render_grammar::shared();
    object(
        "How its pages want to be fetched.",
        &[
            mode,
            browser,
            ("host_concurrency", whole("Requests to a host at once, if lower than the server's.", 1, 1_000)),
            (
                "host_delay_ms",
                whole(
                    "Milliseconds between two requests to a host, if higher than the server's.",
                    0,
                    86_400_000,
                ),
            ),
            ("archive", boolean("Keep every page as it came: to be downloaded, read again and explained.")),
            (
                "robots",
                json!({ "enum": ["respect", "ignore"], "description": "What is done about robots.txt, whatever the server's setting." }),
            ),
            (
                "cache",
                text(
                    "A page fetched less than this ago is not fetched again: `30min`, `1h`, `7d`; `0` always asks.",
                ),
            ),
            ("revalidate", boolean("Ask sites only whether pages kept from earlier runs have changed.")),
            (
                "headers",
                json!({ "type": "object", "description": "Request headers; `{secret.NAME}` is a secret of the settings.", "additionalProperties": { "type": "string" } }),
            ),
            ("user_agent", text("How it names itself to sites.")),
            ("session", text("Whose cookies and proxy its pages share: `input`, `job`, or a name.")),
            ("proxy", text("The way out: `any`, `none`, or a label of proxies.")),
        ],
        &[],
    )
}

fn login() -> Value {
    object(
        "How it logs in.",
        &[
            (
                "steps",
                json!({ "type": "array", "items": reference("step"), "minItems": 1, "maxItems": STEPS_MAX, "description": "What is done, in order." }),
            ),
            ("logged_out", reference("signs")),
            (
                "mode",
                word(
                    "How the pages of its `get` steps are fetched; `plain` unless said. Forms are sent plainly.",
                    LOGIN_MODES.iter().map(|(word, _)| *word),
                ),
            ),
        ],
        &["steps"],
    )
}

fn step() -> Value {
    let mut step = object(
        "A step of a login, and what must be true of its answer.",
        &[
            ("get", text("The address of a page.")),
            ("submit", text("The selector of a form of the page before; empty for the one with a password.")),
            ("post", text("An address to send `fields` or `json` to.")),
            (
                "fields",
                json!({ "type": "object", "description": "Fields of the form; `{secret.NAME}` is a secret of the settings.", "additionalProperties": { "type": "string" } }),
            ),
            ("json", json!({ "description": "What is posted, as JSON." })),
            ("expect", reference("signs")),
        ],
        &[],
    );
    if let Some(step) = step.as_object_mut() {
        step.insert(
            "oneOf".into(),
            json!([{ "required": ["get"] }, { "required": ["submit"] }, { "required": ["post"] }]),
        );
    }
    step
}

fn signs() -> Value {
    object(
        "What can be seen of a page.",
        &[
            ("css", text("A selector that finds something.")),
            ("cookie", text("A cookie that the session has.")),
            ("url", text("A regular expression that matches the address.")),
            (
                "status",
                json!({ "type": ["integer", "array"], "items": { "type": "integer" }, "description": "HTTP statuses." }),
            ),
        ],
        &[],
    )
}

fn refused() -> Value {
    let mut refused = object(
        "A page with all of this is a refusal, whatever its status.",
        &[
            ("css", text("A selector of an element that only refused pages have.")),
            ("text", text("A text that only refused pages show; letters' case does not matter.")),
            (
                "code",
                word(
                    "What the input comes to; blocked unless said.",
                    Hint::CODES.iter().map(|(word, _)| *word),
                ),
            ),
        ],
        &[],
    );
    if let Some(refused) = refused.as_object_mut() {
        refused.insert("anyOf".into(), json!([{ "required": ["css"] }, { "required": ["text"] }]));
    }
    refused
}

fn door() -> Value {
    let mut door = object(
        "A way in: what an input row has, and the page that it leads to.",
        &[
            ("same_as", text("An earlier door that takes the same inputs to the same pages.")),
            ("description", text("For people.")),
            ("start", text("Kind of the first page.")),
            ("url", text("Address of the first page, made of inputs: `https://site/search?q={keyword}`.")),
            ("inputs", named("What a row has.", "input")),
            (
                "sample",
                json!({ "type": "array", "items": { "type": "object" }, "description": "Example rows." }),
            ),
        ],
        &[],
    );
    if let Some(door) = door.as_object_mut() {
        door.insert(
            "anyOf".into(),
            json!([{ "required": ["same_as"] }, { "required": ["start", "inputs"] }]),
        );
    }
    door
}

fn input() -> Value {
    object(
        "One value of an input row.",
        &[
            ("type", word("What it must be.", InputType::WORDS.iter().map(|(word, _)| *word))),
            ("required", boolean("A row without it is refused.")),
            ("description", text("For people.")),
            ("also", texts("Other spellings of the key that clients send.")),
            ("pattern", text("A regular expression that the text must match.")),
            ("enum", json!({ "type": "array", "description": "The values that it may have." })),
            ("minimum", number("Least number, or fewest elements.")),
            ("maximum", number("Greatest number, or most elements.")),
            ("default", json!({ "description": "Used where the row has none." })),
        ],
        &["type"],
    )
}

fn page() -> Value {
    let mut page = object(
        "A kind of page: what it yields and where it leads.",
        &[
            ("format", word("What the answer is; html unless said.", ["html", "json", "feed"].into_iter())),
            ("record", boolean("The page is one record.")),
            ("records", reference("sources")),
            ("fields", overrides("Where this kind has a field, in place of the field's own places.")),
            ("follow", one_or_many("follow", "Links into other kinds of page.")),
            ("next", reference("next")),
            ("fetch", render_grammar::fetch("page_fetch")),
            ("capture", render_grammar::capture()),
            (
                "max_pages",
                whole(
                    "Pages of a list that are followed from one input.",
                    1,
                    i64::from(model::limit::LISTING_PAGES_MAX),
                ),
            ),
        ],
        &[],
    );
    if let Some(page) = page.as_object_mut() {
        page.insert(
            "anyOf".into(),
            json!([{ "required": ["record"] }, { "required": ["records"] }, { "required": ["follow"] }]),
        );
    }
    page
}

fn follow() -> Value {
    object(
        "Links to follow.",
        &[
            ("each", reference("sources")),
            ("link", reference("sources")),
            ("to", text("Kind of the page behind the link.")),
            ("found", boolean("Each link is an input found: it counts, and it is collected once.")),
            ("begin", overrides("Fields read here for the record there.")),
        ],
        &["link", "to"],
    )
}

fn next() -> Value {
    let mut next = object(
        "The next page of a list: a link, a parameter that counts or takes a cursor, or a template.",
        &[
            ("link", reference("sources")),
            ("parameter", text("A query parameter that counts, or takes `cursor`.")),
            ("url", text("A template with {page} or {cursor}, and the inputs.")),
            ("cursor", reference("sources")),
            ("start", whole("Number of the first page; 1 unless said.", -1_000_000, 1_000_000)),
            ("step", whole("What is added for each page; 1 unless said.", -1_000_000, 1_000_000)),
        ],
        &[],
    );
    if let Some(next) = next.as_object_mut() {
        next.insert(
            "oneOf".into(),
            json!([{ "required": ["link"] }, { "required": ["parameter"] }, { "required": ["url"] }]),
        );
    }
    next
}

fn field() -> Value {
    let scalars = || Scalar::WORDS.iter().map(|(word, _)| *word);
    object(
        "A field: a type, and the places to look at.",
        &[
            ("type", word("What the value must be; text unless said.", scalars().chain(["object", "list"]))),
            ("of", word("What a list has; text unless said.", scalars().chain(["object"]))),
            ("description", text("For people.")),
            ("required", boolean("A page without it is not read.")),
            ("from", reference("sources")),
            ("merge", boolean("A list takes the values of all places, not only of the first that has any.")),
            ("day_first", boolean("`03/04/2026` is 3 April.")),
            ("fields", named("The fields of an object.", "field")),
        ],
        &[],
    )
}

fn source() -> Value {
    object(
        "One place to look for a value.",
        &[
            ("css", text("A CSS selector; `::text` and `::attr(name)` may end it.")),
            ("attr", text("The attribute that is taken.")),
            ("xpath", text("An XPath 1.0 expression.")),
            ("json", text("A JSON path (RFC 9535).")),
            ("script", text("A CSS selector of the script that the JSON path is for.")),
            ("variable", text("The variable that a script assigns the JSON to.")),
            ("json_ld", text("`Type.property.property` in JSON-LD.")),
            ("microdata", text("The same in microdata.")),
            ("rdfa", text("The same in RDFa.")),
            (
                "meta",
                json!({ "type": ["string", "array"], "items": { "type": "string" }, "description": "Names of meta tags." }),
            ),
            (
                "regex",
                text(
                    "A regular expression: over what was found, or alone over the whole answer. Group 1 is kept.",
                ),
            ),
            ("const", json!({ "description": "This very value." })),
            ("input", text("An input by its name.")),
            ("header", text("A header of the answer.")),
            ("page", word("A property of the answer.", PageProperty::WORDS.iter().map(|(w, _)| *w))),
            ("content", word("The page as a whole.", Content::WORDS.iter().map(|(w, _)| *w))),
            ("article", word("What is read of any article.", ArticleProperty::WORDS.iter().map(|(w, _)| *w))),
            ("product", word("What is read of any product.", ProductProperty::WORDS.iter().map(|(w, _)| *w))),
            ("recipe", word("What is read of any recipe.", RecipeProperty::WORDS.iter().map(|(w, _)| *w))),
            (
                "listing",
                word("What is found of any listing.", ListingProperty::WORDS.iter().map(|(w, _)| *w)),
            ),
            ("search", text("Results of the site's own search for the input of this name.")),
            ("all", boolean("Every match, not only the first.")),
            ("join", text("Join the texts of every match with this.")),
            ("split", text("Cut the text here into several values.")),
            (
                "scope",
                word(
                    "Where to look on pages of several records: in the row unless said.",
                    ["row", "page"].into_iter(),
                ),
            ),
        ],
        &[],
    )
}

pub(super) fn object(description: &str, properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let mut object = json!({
        "type": "object", "description": description, "properties": properties, "additionalProperties": false,
    });
    if let (false, Some(object)) = (required.is_empty(), object.as_object_mut()) {
        object.insert("required".into(), json!(required));
    }
    object
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// A table of tables, each with a name of the author's own.
fn named(description: &str, of: &str) -> Value {
    json!({ "type": "object", "description": description, "additionalProperties": reference(of) })
}

fn overrides(description: &str) -> Value {
    named(description, "sources")
}

fn one_or_many(of: &str, description: &str) -> Value {
    json!({ "description": description, "anyOf": [reference(of), { "type": "array", "items": reference(of) }] })
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn texts(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

pub(super) fn boolean(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "number", "description": description })
}

pub(super) fn whole(description: &str, minimum: i64, maximum: i64) -> Value {
    json!({ "type": "integer", "description": description, "minimum": minimum, "maximum": maximum })
}

pub(super) fn word<'w>(description: &str, words: impl Iterator<Item = &'w str>) -> Value {
    json!({ "enum": words.collect::<Vec<_>>(), "description": description })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scraper;

    /// A file with an unknown key in each kind of table.
    const FILE: &str = r#"
        dataset_id = "x"
        title = "x"
        zzzzzzzzz = 1
        [fetch]
        zzzzzzzzz = 1
        [fetch.browser]
        zzzzzzzzz = 1
        wait = [{ selector = "a", zzzzzzzzz = 1 }]
        actions = [{ click = "a", zzzzzzzzz = 1 }]
        [login]
        zzzzzzzzz = 1
        steps = [{ get = "https://a.example/", zzzzzzzzz = 1, expect = { status = 200, zzzzzzzzz = 1 } }]
        [refused]
        css = "a"
        zzzzzzzzz = 1
        [doors.collect_by_url]
        start = "page"
        zzzzzzzzz = 1
        inputs.url = { type = "url", required = true, zzzzzzzzz = 1 }
        [pages.page]
        record = true
        zzzzzzzzz = 1
        fetch = { zzzzzzzzz = 1 }
        follow = [{ link = { css = "a" }, to = "page", zzzzzzzzz = 1 }]
        next = { link = { css = "a" }, zzzzzzzzz = 1 }
        [fields.a]
        zzzzzzzzz = 1
        from = [{ css = "a", attr = "x", zzzzzzzzz = 1 }, { json = "$.a", zzzzzzzzz = 1 }]
        [fields.b]
        type = "object"
        zzzzzzzzz = 1
        fields.c.from = [{ css = "b" }]
    "#;

    /// The reader's word on its own keys, against the schema's.
    #[test]
    fn the_schema_has_the_keys_that_the_reader_asks_for() {
        let errors = Scraper::compile("x", FILE).unwrap_err();
        let known = |what: &str| -> Vec<String> {
            let mut keys: Vec<String> = errors
                .iter()
                .filter_map(|error| {
                    let (_, rest) = error.message.split_once("unknown key `zzzzzzzzz` in ")?;
                    let (table, keys) = rest.split_once("; known here: ")?;
                    table.starts_with(what).then(|| keys.split(", ").map(str::to_owned).collect::<Vec<_>>())
                })
                .flatten()
                .collect();
            keys.sort();
            keys.dedup();
            keys
        };
        let schema = json_schema();
        let of = |pointer: &str| -> Vec<String> {
            let object = schema.pointer(pointer).and_then(Value::as_object).expect("a table");
            let mut keys: Vec<String> = object.keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(of("/properties"), known("the file"));
        for (table, what) in [
            ("fetch", "`[fetch]`"),
            ("login", "`[login]`"),
            ("step", "a step of the login"),
            ("signs", "`expect`"),
            ("refused", "`refused`"),
            ("door", "the door"),
            ("input", "the input"),
            ("page", "the page kind"),
            ("follow", "a `follow` rule"),
            ("next", "`next`"),
            ("field", "the field"),
            ("source", "a source"),
            ("page_fetch", "`fetch`"),
            ("browser", "`browser`"),
            ("condition", "a condition"),
            ("action", "an action"),
        ] {
            assert_eq!(of(&format!("/definitions/{table}/properties")), known(what), "{table}");
        }
    }
}
