//! Explanations: the rule that gave a value, its place on the page, and the rules before it.

use extract::{ExplainError, Explanation, Outcome, Scraper, Within};
use model::{Door, Input, Page, Timestamp};
use serde_json::json;
use std::sync::Arc;

const FILE: &str = r#"
dataset_id = "gd_t"
title = "T"
description = "T"
[doors.collect_by_url]
start = "item"
inputs.url = { type = "url", required = true }
[pages.item]
record = true
[pages.list]
records = { css = "li" }
fields.title = { css = "a" }
[pages.data]
format = "json"
records = { json = "$.items[*]", all = true }
[fields]
title = { required = true, from = [{ json = "$.name" }, { css = "h1" }] }
price = { type = "price", from = [
    { json_ld = "Product.offers.price" },
    { css = ".was" },
    { css = ".none", regex = "x" },
    { css = "b", regex = "only (.*)" },
] }
link = { type = "url", from = [{ css = "a", attr = "href" }] }
brand = { from = [{ json_ld = "Product.brand.name" }] }
size = { from = [{ microdata = "Product.size.name" }] }
shade = { from = [{ rdfa = "Thing.color" }] }
code = { from = [{ regex = "sku=(\\w+)" }] }
state = { from = [{ json = "$.deep[1].x", variable = "state" }] }
offers = { type = "list", of = "object", from = [{ css = "tr", all = true }], fields.seller = { from = [{ css = "td" }] } }
"#;

const ITEM: &str = "<!doctype html>\r\n<title>x</title><h1>Tea <i>pot</i></h1><p class=was>sold out</p><b>now $5</b>\r\n\
    <a href='/more?sku=A1'>more</a><script>var state = {\"deep\": [0, {\"x\": \"s\"}]}</script>\
    <table><tr><td>Ann<tr><td>Bob</table><script type=application/ld+json>{\"@type\": \"Product\", \"name\": \"P\"}</script>\
    <script type=application/ld+json>{no json}</script>\
    <script type=application/ld+json>{\"@type\": \"Product\", \"brand\": {\"name\": \"B\"}}</script>\
    <div itemscope itemtype=http://schema.org/Product><i itemprop=size itemscope><u itemprop=name>L</u></i></div>\
    <div vocab=http://schema.org/ typeof=Thing><s property=color>red</s></div>";

fn explain(kind: &str, body: &str, record: usize, field: Option<&str>) -> Result<Explanation, ExplainError> {
    let scraper: Arc<Scraper> = Scraper::compile("t", FILE).expect("a scraper");
    let url: url::Url = "https://a.example/p".parse().expect("a URL");
    let row = json!({ "url": url }).to_string();
    let begun = Some(json!({ "code": "begun" }).to_string());
    let input = Input { kind: kind.into(), begun, ..Input::given(0, row, "a.example".into()) };
    let page = Page {
        url,
        status: 200,
        headers: Vec::new(),
        body: body.as_bytes().to_vec().into(),
        fetched_at: Timestamp::from_ms(0),
        wire_bytes: 0,
        extras: model::Extras::default(),
    };
    scraper.explain(&Door::Collect, &input, &page, record, field)
}

fn field(name: &str) -> extract::Trace {
    let mut told = explain("", ITEM, 0, Some(name)).expect("an explanation");
    assert_eq!(told.fields.len(), 1);
    told.fields.remove(0)
}

fn part(place: &extract::Place) -> &'static str {
    let (start, end) = place.bytes.expect("bytes");
    &ITEM[start..end]
}

#[test]
fn the_rules_before_are_told_with_what_they_found() {
    let told = field("price");
    assert_eq!(told.value, json!(null));
    let tried: Vec<_> = told.tried.iter().map(|t| (t.rule.line, t.outcome)).collect();
    let expected = [
        (19, Outcome::FoundNothing),
        (20, Outcome::Misfit),
        (21, Outcome::FoundNothing),
        (22, Outcome::Empty),
    ];
    assert_eq!(tried, expected);
    assert_eq!(told.tried[1].rule.source, "{ css = \".was\" }");
    assert_eq!(told.tried[1].reason.as_deref(), Some("`sold out` is not a price"));
    assert_eq!(told.tried[1].places[0].path.as_deref(), Some("/html/body/p"));
    assert_eq!(part(&told.tried[3].places[0]), "<b>now $5</b>");
}

#[test]
fn places_are_paths_pointers_and_bytes() {
    let title = field("title");
    assert_eq!(title.tried.len(), 2);
    let gave = title.tried.last().expect("a source");
    assert_eq!((gave.outcome, gave.text.as_deref()), (Outcome::Gave, Some("Tea pot")));
    assert_eq!(gave.places[0].path.as_deref(), Some("/html/body/h1"));
    assert_eq!(part(&gave.places[0]), "<h1>Tea <i>pot</i></h1>");

    let link = field("link");
    assert_eq!(link.value, json!("https://a.example/more?sku=A1"));
    assert_eq!(link.tried[0].places[0].path.as_deref(), Some("/html/body/a/@href"));
    assert_eq!(part(&link.tried[0].places[0]), "<a href='/more?sku=A1'>more</a>");

    let code = field("code");
    assert_eq!(code.tried[0].places[0].within, Within::Body);
    assert_eq!(part(&code.tried[0].places[0]), "A1");

    let state = field("state");
    assert_eq!(state.tried[0].places[0].within, Within::Script);
    assert_eq!(state.tried[0].places[0].path.as_deref(), Some("/deep/1/x"));
    assert_eq!(part(&state.tried[0].places[0]), r#"<script>var state = {"deep": [0, {"x": "s"}]}</script>"#);
}

#[test]
fn data_of_the_page_has_elements_that_carry_it() {
    let place = |name: &str| {
        let told = field(name);
        assert_eq!(told.tried[0].outcome, Outcome::Gave, "{name}");
        told.tried[0].places[0].clone()
    };
    let brand = place("brand");
    assert_eq!((brand.within, brand.path.as_deref()), (Within::JsonLd, Some("/1/brand/name")));
    assert_eq!(brand.element.as_deref(), Some("/html/body/script[4]"));
    assert!(part(&brand).contains(r#"{"name": "B"}"#));
    let size = place("size");
    assert_eq!((size.within, part(&size)), (Within::Microdata, "<u itemprop=name>L</u>"));
    let shade = place("shade");
    assert_eq!((shade.within, part(&shade)), (Within::Rdfa, "<s property=color>red</s>"));
}

#[test]
fn fields_within_fields_have_names() {
    let offers = field("offers");
    assert_eq!(offers.value, json!([{ "seller": "Ann" }, { "seller": "Bob" }]));
    assert_eq!(offers.tried[0].places.len(), 2);
    assert_eq!(offers.fields[0].field, "offers[0].seller");
    let second = field("offers[1].seller");
    assert_eq!((second.field.as_str(), &second.value), ("offers[1].seller", &json!("Bob")));
    assert_eq!(second.tried[0].places[0].path.as_deref(), Some("/html/body/table/tbody/tr[2]/td"));
}

#[test]
fn rows_and_json_have_places() {
    let list = "<ul><li>advertisement<li><a href=/1>one</a><li><a href=/2>two</a></ul>";
    let told = explain("list", list, 1, None).expect("an explanation");
    assert_eq!(told.row.expect("a row").path.as_deref(), Some("/html/body/ul/li[3]"));
    assert_eq!(told.fields[0].value, json!("two"));
    let begun: Vec<_> = told.fields.iter().filter(|f| f.begun).map(|f| f.field.as_str()).collect();
    assert_eq!(begun, ["code"], "read on the page before");
    let data = r#"{"items": [{"name": "a"}, {"name": "b"}]}"#;
    let told = explain("data", data, 1, Some("title")).expect("an explanation");
    assert_eq!(told.row.expect("a row").path.as_deref(), Some("/items/1"));
    assert_eq!(told.fields[0].tried[0].places[0].path.as_deref(), Some("/items/1/name"));
    let text = explain("data", data, 0, Some("title")).expect("an explanation").text("scraper.toml");
    assert!(text.contains("scraper.toml:17:"), "{text}");
    assert!(text.contains("gave it, from \"a\" at JSON /items/0/name"), "{text}");
}

#[test]
fn what_is_not_there_is_said() {
    let no_field = explain("", ITEM, 0, Some("prize")).expect_err("no field");
    assert!(no_field.to_string().starts_with("There is no field `prize`; known: title, price"), "{no_field}");
    assert_eq!(
        explain("", ITEM, 3, None).expect_err("no record"),
        ExplainError::NoRecord { number: 3, count: 1 }
    );
    assert!(matches!(explain("", "<p>", 0, None), Err(ExplainError::Page(_))));
}
