//! How pages are fetched, as scraper files say it: modes, waits, actions, and responses read as pages.

use extract::Scraper;
use model::{Action, Captured, Door, Extras, FetchMode, Input, Key, Page, Request, Timestamp, Until};
use serde_json::json;
use std::sync::Arc;

fn compile(top: &str, page: &str) -> Result<Arc<Scraper>, Vec<String>> {
    let file = format!(
        "dataset_id = \"gd_t\"\ntitle = \"T\"\n{top}\n[doors.collect_by_url]\nstart = \"page\"\n\
         inputs.url = {{ type = \"url\", required = true }}\ninputs.word = {{ type = \"text\" }}\n\
         [pages.page]\n{page}\n[fields.a]\nrequired = true\nfrom = [{{ css = \"h1\" }}, {{ json = \"$.a\" }}]\n"
    );
    Scraper::compile("t", &file).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn input() -> Input {
    Input::given(0, json!({ "url": "http://t.test/", "word": "red" }).to_string(), "t.test".into())
}

fn plan(top: &str, page: &str) -> Request {
    let scraper = compile(top, page).unwrap_or_else(|errors| panic!("{errors:?}"));
    scraper.plan(&Door::Collect, &input()).expect("a plan")
}

#[test]
fn modes_are_said_for_the_file_or_for_a_kind_of_page() {
    for (top, page, mode) in [
        ("", "record = true", None),
        ("fetch = \"auto\"", "record = true", Some(FetchMode::Auto)),
        ("[fetch]\nmode = \"browser\"", "record = true", Some(FetchMode::Browser)),
        ("fetch = \"auto\"", "record = true\nfetch = \"plain\"", Some(FetchMode::Plain)),
        ("", "record = true\nfetch = { mode = \"browser\" }", Some(FetchMode::Browser)),
        ("", "record = true\nformat = \"json\"\ncapture = \"/api/*\"", Some(FetchMode::Browser)),
    ] {
        assert_eq!(plan(top, page).needs.mode, mode, "{top} | {page}");
    }
}

#[test]
fn waits_and_actions_are_read_in_order() {
    let top = r##"
        [fetch]
        mode = "browser"
        [fetch.browser]
        wait = ["load", "network_idle", { selector = "#x", timeout_ms = 700 }, { time_ms = 50 }]
        actions = [{ click = "b", optional = true }, { scroll = "end", times = 3 },
            { type = "{word} shoes", into = "input" }, { press = "Enter" }, { wait = { network_idle_ms = 900 } }]
        block = []
        screenshot = true
        timeout_ms = 9000
    "##;
    let rendering = plan(top, "record = true").needs.rendering.expect("a rendering");
    let until: Vec<&Until> = rendering.wait.iter().map(|w| &w.until).collect();
    assert!(matches!(until[..], [Until::Load, Until::NetworkIdle(500), Until::Selector(_), Until::Time(50)]));
    assert_eq!(rendering.wait[2].timeout_ms, 700);
    assert!(matches!(&rendering.actions[0], Action::Click { optional: true, times: 1, .. }));
    assert!(matches!(&rendering.actions[1], Action::Scroll { within: None, times: 3, .. }));
    assert!(matches!(&rendering.actions[2], Action::Type { text, .. } if text == "red shoes"));
    assert!(matches!(&rendering.actions[3], Action::Press(Key::Enter)));
    assert_eq!((rendering.block.as_deref(), rendering.screenshot), (Some(&[][..]), true));
    assert_eq!(rendering.timeout_ms, Some(9_000));
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (top, page, wanted) in [
        ("fetch = \"brwser\"", "record = true", "did you mean `browser`?"),
        ("[fetch]\nmod = \"auto\"", "record = true", "did you mean `mode`?"),
        ("[fetch.browser]\nwait = [\"loaded\"]", "record = true", "did you mean `load`?"),
        ("[fetch.browser]\nwait = [{ selector = \"a\", time_ms = 5 }]", "record = true", "one of `selector`"),
        ("[fetch.browser]\nactions = [{ click = \"a\", press = \"Enter\" }]", "record = true", "has one of"),
        ("[fetch.browser]\nactions = [{ press = \"Entr\" }]", "record = true", "did you mean `Enter`?"),
        ("[fetch.browser]\nactions = [{ type = \"x\" }]", "record = true", "needs `into`"),
        (
            "[fetch.browser]\nactions = [{ press = \"Tab\", times = 2 }]",
            "record = true",
            "`times` has no meaning",
        ),
        ("[fetch.browser]\nblock = [\"images\"]", "record = true", "did you mean `image`?"),
        ("", "record = true\ncapture = \"/api/*\"", "needs `format = \"json\"`"),
        ("", "record = true\nformat = \"json\"\ncapture = \"api\"", "is a URL or a path"),
        (
            "",
            "record = true\nformat = \"json\"\ncapture = \"/a\"\nfetch = \"plain\"",
            "always fetched by the browser",
        ),
    ] {
        let errors = compile(top, page).expect_err(page).join("\n");
        assert!(errors.contains(wanted), "{wanted} not in {errors}");
    }
}

fn rendered(bodies: &[(u16, &str)]) -> Page {
    let captured = |(n, (status, body)): (usize, &(u16, &str))| Captured {
        url: format!("http://t.test/api/{n}").parse().expect("URL"),
        status: *status,
        content_type: Some("application/json".into()),
        body: body.as_bytes().to_vec().into(),
    };
    Page {
        url: "http://t.test/".parse().expect("URL"),
        status: 200,
        headers: vec![("content-type".into(), "text/html; charset=utf-8".into())],
        body: "<h1>page</h1>".into(),
        fetched_at: Timestamp::from_ms(0),
        wire_bytes: 0,
        extras: Extras {
            rendered: true,
            captured: bodies.iter().enumerate().map(captured).collect(),
            ..Extras::default()
        },
    }
}

#[test]
fn captured_responses_are_pages_of_their_own() {
    let scraper = compile("", "record = true\nformat = \"json\"\ncapture = \"/api/*\"").expect("a scraper");
    let read = |bodies: &[(u16, &str)]| scraper.extract(&Door::Collect, &input(), &rendered(bodies));
    let got = read(&[(200, r#"{"a":"x"}"#), (500, r#"{"a":"no"}"#), (200, "no json"), (200, r#"{"a":"y"}"#)]);
    let values: Vec<_> = got.records.iter().map(|r| r["a"].clone()).collect();
    assert_eq!(values, ["x", "y"]);
    assert_eq!(got.problem, None);
    let nothing = read(&[]).problem.expect("a problem").message;
    assert!(nothing.contains("/api/*"), "{nothing}");
}
