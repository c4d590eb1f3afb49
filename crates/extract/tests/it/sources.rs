//! Sources of the scraper file on small pages: XPath, lists merged, and errors that say where.

use extract::Scraper;
use model::{Door, Input, Page, Timestamp};
use serde_json::{Value, json};

fn scraper(fields: &str) -> Result<std::sync::Arc<Scraper>, Vec<extract::FileError>> {
    let file = format!(
        "dataset_id = \"gd_t\"\ntitle = \"T\"\ndescription = \"T\"\n[doors.collect_by_url]\nstart = \"page\"\n\
         inputs.url = {{ type = \"url\", required = true }}\n[pages.page]\nrecord = true\n[fields]\n{fields}\n"
    );
    Scraper::compile("t", &file)
}

fn read(fields: &str, html: &str) -> Value {
    let scraper = scraper(fields).unwrap_or_else(|e| panic!("{e:?}"));
    let url: url::Url = "https://t.example/a/b".parse().expect("URL");
    let input = Input::given(0, json!({ "url": url }).to_string(), model::host_of(&url));
    let page = Page {
        url,
        status: 200,
        headers: vec![
            ("content-type".into(), "text/html".into()),
            ("x-total".into(), "12".into()),
            ("x-robots-tag".into(), "NoArchive, nofollow".into()),
        ],
        wire_bytes: 0,
        extras: model::Extras::default(),
        body: html.as_bytes().to_vec().into(),
        fetched_at: Timestamp::from_ms(1_767_225_600_000),
    };
    let extraction = scraper.extract(&Door::Collect, &input, &page);
    Value::Object(extraction.records.into_iter().next().unwrap_or_else(|| panic!("{:?}", extraction.problem)))
}

const PAGE: &str =
    "<base href=/shop/><h1 class=t>Chair <i>red</i></h1><ul><li data-n=1><a href=a.html>One</a><li data-n=2>
    <a href=b.html>Two</a></ul><table><tr><th>Weight<td>3 kg<tr><th>Height<td>80 cm</table>";

#[test]
fn xpath_gives_nodes_attributes_texts_and_values() {
    let got = read(
        r#"
        title = { from = [{ xpath = "//h1[has-class('t')]" }] }
        own = { from = [{ xpath = "//h1/text()" }] }
        links = { type = "list", of = "url", from = [{ xpath = "//li/a/@href" }] }
        last = { type = "integer", from = [{ xpath = "//li[last()]/@data-n" }] }
        count = { type = "integer", from = [{ xpath = "count(//li)" }] }
        height = { from = [{ xpath = "string(//tr[th='Height']/td)" }] }
        has = { type = "boolean", from = [{ xpath = "boolean(//table)" }] }
        none = { from = [{ xpath = "//video" }, { xpath = "string(//video)" }] }
        fallback = { from = [{ xpath = "//video" }, { css = "li:first-child" }] }
        "#,
        PAGE,
    );
    let expected = json!({"title": "Chair red", "own": "Chair", "links": ["https://t.example/shop/a.html", "https://t.example/shop/b.html"],
        "last": 2, "count": 2, "height": "80 cm", "has": true, "none": null, "fallback": "One"});
    assert_eq!(got, expected);
}

#[test]
fn what_a_page_tells_robots_is_header_and_meta_together() {
    let fields = r#"robots = { from = [{ page = "robots" }] }"#;
    let got = read(fields, "<meta name=Robots content='noindex, nofollow'><p>x");
    assert_eq!(got, json!({ "robots": "noarchive, nofollow, noindex" }));
    assert_eq!(read(fields, "<p>x"), json!({ "robots": "noarchive, nofollow" }));
}

#[test]
fn a_list_merges_its_sources_each_value_once() {
    let got = read(
        r#"
        all = { type = "list", merge = true, from = [{ css = "li" }, { xpath = "//h1" }, { css = "li:last-child" }] }
        total = { type = "integer", from = [{ header = "X-Total" }] }
        "#,
        PAGE,
    );
    assert_eq!(got, json!({"all": ["One", "Two", "Chair red"], "total": 12}));
}

#[test]
fn a_costly_xpath_ends() {
    let page = "<p>x".repeat(20_000);
    let got = read(
        r#"
        slow = { from = [{ xpath = "//p[count(//p[count(//p) > 1]) > count(//p)]" }] }
        quick = { from = [{ css = "p" }] }
        "#,
        &page,
    );
    assert_eq!(got, json!({"slow": null, "quick": "x"}));
}

#[test]
fn errors_say_where() {
    let errors = scraper(r#"a = { from = [{ xpath = "//p[" }] }"#).expect_err("an error");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].line, 10);
    assert!(errors[0].message.contains("XPath"), "{}", errors[0]);
    let errors = scraper(r#"a = { merge = true, from = [{ css = "p" }] }"#).expect_err("an error");
    assert!(errors[0].message.contains("merge"), "{}", errors[0]);
    let errors = scraper(r#"a = { from = [{ article = "titel" }] }"#).expect_err("an error");
    assert!(errors[0].message.contains("title"), "{}", errors[0]);
}

#[test]
fn selectors_that_never_match_are_told() {
    let scraper = scraper("a = { from = [{ css = \"h1\" }] }\nb = { from = [{ json_ld = \"X.y\" }, { css = \"h7\" },\n  { css = \"h2\" }, { css = \"h8\" }] }").expect("a scraper");
    let case = |html: &str| extract::Case {
        name: "c".into(),
        page: html.into(),
        input: r#"{"input": {"url": "https://t.example/"}}"#.into(),
        expected: "[]".into(),
    };
    let results = extract::run_cases(&scraper, &[case("<h1>1</h1>"), case("<h2>2</h2>")]);
    // `h8` is a fallback of the first page and finds nothing there either; `h7` is tried on both.
    assert_eq!(extract::never_found(&results), [(11, 36), (12, 19)]);
}

#[test]
fn references_in_structured_data_are_characters() {
    let page = r#"<script type="application/ld+json">{"@type":"X","name":"Tom&#039;s &amp; Ann's &lt;b&gt;","tags":["a &amp; b","c"],
        "url":"/p?a=1&copy=2"}</script>"#;
    let got = read(
        r#"
        name = { from = [{ json_ld = "X.name" }] }
        tags = { type = "list", from = [{ json_ld = "X.tags" }] }
        url = { type = "url", from = [{ json_ld = "X.url" }] }
        "#,
        page,
    );
    let expected =
        json!({"name": "Tom's & Ann's <b>", "tags": ["a & b", "c"], "url": "https://t.example/p?a=1&copy=2"});
    assert_eq!(got, expected);
}
