//! Which pages a scraper believes.

use super::*;
use crate::FileError;
use model::Timestamp;
use std::sync::Arc;

const HEAD: &str = "dataset_id = \"gd_x\"\ntitle = \"X\"\n";
const REST: &str = "
[doors.collect_by_url]
start = \"page\"
inputs.url = { type = \"url\", required = true }
[pages.page]
record = true
[fields.url]
type = \"url\"
from = [{ page = \"url\" }]
[fields.name]
from = [{ css = \"h1\" }]
[fields.price]
type = \"price\"
from = [{ css = \".price\" }]
";
const WALL: &str = "<title>Access denied</title><h1>Access denied</h1><p>Our system has noticed something.";

fn compiled(more: &str, rest: &str) -> Result<Arc<Scraper>, Vec<FileError>> {
    Scraper::compile("x", &format!("{HEAD}{more}{rest}"))
}

fn page(status: u16, body: &str) -> (Input, Page) {
    let url: url::Url = "https://shop.example/p/1".parse().expect("url");
    let input = Input::given(0, format!("{{\"url\":\"{url}\"}}"), "shop.example".into());
    let page = Page {
        url,
        status,
        headers: vec![("content-type".into(), "text/html".into())],
        body: body.to_owned().into(),
        fetched_at: Timestamp::from_ms(0),
        wire_bytes: 0,
        extras: model::Extras::default(),
    };
    (input, page)
}

fn comes_to(scraper: &Scraper, body: &str) -> Result<usize, &'static str> {
    let (input, page) = page(200, body);
    let out = scraper.extract(&Door::Collect, &input, &page);
    out.problem.map_or(Ok(out.records.len()), |problem| Err(problem.code.as_str()))
}

#[test]
fn a_record_without_what_it_must_have_is_not_believed_of_a_wall() {
    let any = compiled("", REST).expect("file");
    assert_eq!(comes_to(&any, WALL), Err("detect_block"));
    assert_eq!(comes_to(&any, "<h1>Chair</h1><p class=price>4.00"), Ok(1));
    let required = REST.replace("[fields.price]", "[fields.price]\nrequired = true");
    let strict = compiled("", &required).expect("file");
    assert_eq!(comes_to(&strict, WALL), Err("detect_block"));
    assert_eq!(comes_to(&strict, "<h1>Chair</h1>"), Err("parse_error"));
    // All that is required is there: believed, whatever it is called.
    assert_eq!(comes_to(&strict, &format!("{WALL}<p class=price>4.00")), Ok(1));
}

#[test]
fn a_file_can_switch_it_off_and_tell_its_own() {
    let off = compiled("refusals = false\n", REST).expect("file");
    assert_eq!(comes_to(&off, WALL), Ok(1));
    let hints =
        "refused = [{ css = \".gate\", code = \"login_required\" }, { text = \"Come Back Tomorrow\" }]\n";
    let own = compiled(hints, REST).expect("file");
    assert_eq!(comes_to(&own, "<h1>Chair</h1><div class=gate>"), Err("login_required"));
    assert_eq!(comes_to(&own, "<h1>Chair</h1><p>Please come back <b>tomorrow</b>."), Err("blocked"));
    assert_eq!(comes_to(&own, "<h1>Chair</h1>"), Ok(1));
    let both = compiled("[refused]\ncss = \".gate\"\ntext = \"members\"\n", REST).expect("file");
    assert_eq!(comes_to(&both, "<h1>Chair</h1><div class=gate>"), Ok(1));
    assert_eq!(comes_to(&both, "<h1>Chair</h1><div class=gate>Members only"), Err("blocked"));
}

#[test]
fn hints_that_cannot_be_read_are_told_with_their_place() {
    for (hint, said) in [
        ("[refused]\ncode = \"blocked\"\n", "`css`"),
        ("[refused]\ncss = \"..\"\n", "`css` cannot be read"),
        ("[refused]\ntext = \"x\"\ncode = \"bloked\"\n", "blocked"),
        ("[refused]\ntext = \"x\"\ncod = \"blocked\"\n", "did you mean `code`?"),
        ("refusals = \"no\"\n", "must be true or false"),
    ] {
        let errors = compiled(hint, REST).expect_err(hint);
        assert!(errors.iter().any(|e| e.message.contains(said) && e.line >= 3), "{hint}: {errors:?}");
    }
}

#[test]
fn a_bad_status_is_told_exactly_where_the_page_tells_more() {
    let scraper = compiled("", REST).expect("file");
    let code = |status, body| {
        let (input, page) = page(status, body);
        scraper.refused(&Door::Collect, &input, &page).map(|failure| failure.code.as_str())
    };
    assert_eq!(
        code(403, "<title>Just a moment...</title><script>window._cf_chl_opt={}</script>"),
        Some("detect_block")
    );
    assert_eq!(code(403, "<h1>Forbidden</h1>"), None);
    assert_eq!(code(401, "<title>Sign in</title><form><input type=password></form>"), Some("login_required"));
    assert_eq!(code(403, "<h1>Page not found</h1>"), None);
    assert_eq!(code(403, "no"), None);
}
