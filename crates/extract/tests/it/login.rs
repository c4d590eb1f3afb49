//! Logins of scraper files: what is believed of them, what their steps send, and to whom.

use extract::{Scraper, Session};
use model::{Door, Extras, Input, Method, Page, Timestamp};
use std::sync::Arc;

const FILE: &str = r##"
dataset_id = "gd_members"
title = "Members"
sites = ["shop.example"]
[fetch]
user_agent = "Mine/1"
proxy = "homes"
[fetch.headers]
X-Key = "k {secret.api_key}"
X-Plain = "p"
[login]
steps = [
  { get = "https://shop.example/login" },
  { submit = "#login", fields = { user = "{secret.USER}", password = "{secret.PASSWORD}" }, expect = { cookie = "sid", url = "/account$" } },
  { post = "https://api.shop.example/token", json = { user = "{secret.USER}" }, expect = { status = [200, 204] } },
]
logged_out = { url = "/login", css = "form#login", status = 401 }
[doors.collect_by_url]
start = "page"
inputs.url = { type = "url", required = true }
inputs.country = { type = "country" }
[pages.page]
record = true
[fields.title]
from = [{ css = "h1" }]
"##;

fn scraper(text: &str) -> Arc<Scraper> {
    Scraper::compile("members", text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn page(url: &str, status: u16, body: &str, cookies: &[&str]) -> Page {
    let mut page = Page {
        url: url.parse().expect(url),
        status,
        headers: vec![("content-type".into(), "text/html".into())],
        body: body.to_owned().into(),
        fetched_at: Timestamp::from_ms(0),
        wire_bytes: 0,
        extras: Extras::default(),
    };
    page.extras.cookies = cookies.iter().map(|c| (*c).to_owned()).collect();
    page
}

fn secrets(name: &str) -> Option<String> {
    (name != "GONE").then(|| format!("<{name}>"))
}

const FORM: &str = "<form id=login method=post action=/in><input type=hidden name=csrf value=t><input name=user>\
                    <input type=password name=password></form>";

#[test]
fn steps_send_what_the_file_says() {
    let scraper = scraper(FILE);
    assert_eq!(scraper.session(), &Session::Named("login".into()));
    assert_eq!(scraper.secrets(), ["API_KEY", "PASSWORD", "USER"]);
    let login = scraper.login().unwrap();
    let first = login.request(0, None, &secrets).unwrap();
    assert_eq!(
        (first.method, first.url.as_str(), first.needs.private),
        (Method::Get, "https://shop.example/login", true)
    );
    let before = page("https://shop.example/login?x=1", 200, FORM, &[]);
    let second = login.request(1, Some(&before), &secrets).unwrap();
    assert_eq!((second.method, second.url.as_str()), (Method::Post, "https://shop.example/in"));
    assert_eq!(second.body.as_deref(), Some(&b"csrf=t&user=%3CUSER%3E&password=%3CPASSWORD%3E"[..]));
    let header = |name: &str| second.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(header("user-agent"), Some("Mine/1"));
    assert_eq!(header("referer"), Some("https://shop.example/login"));
    assert!(!format!("{second:?}").contains("PASSWORD"));
    let third = login.request(2, Some(&before), &secrets).unwrap();
    assert_eq!(third.body.as_deref(), Some(&br#"{"user":"<USER>"}"#[..]));
    let lacks = login.request(1, Some(&before), &|_| None).unwrap_err();
    assert_eq!(lacks, "the secret `USER` is not set");
}

#[test]
fn secrets_go_to_own_sites_only() {
    let scraper = scraper(FILE);
    let of = |url: &str| scraper.secret_headers(&url.parse().unwrap(), &secrets).unwrap().0;
    assert_eq!(of("https://shop.example/a"), [("x-key".to_owned(), "k <API_KEY>".to_owned())]);
    assert_eq!(of("https://www.shop.example/a").len(), 1);
    for other in ["https://evil.example/", "https://shop.example.evil.org/", "https://notshop.example/"] {
        assert!(of(other).is_empty(), "{other}");
    }
    let login = scraper.login().unwrap();
    for action in ["https://evil.example/in", "http://shop.example/in", "//shop.example.evil.org/"] {
        let form = FORM.replace("/in", action);
        let refused = login.request(1, Some(&page("https://shop.example/login", 200, &form, &[])), &secrets);
        assert!(refused.is_err(), "{action}");
    }
}

#[test]
fn signs_tell_in_from_out() {
    let scraper = scraper(FILE);
    let login = scraper.login().unwrap();
    assert_eq!(login.check(1, &page("https://shop.example/account", 200, "", &["sid", "x"])), Ok(()));
    for (url, status, cookies) in [
        ("https://shop.example/login", 200, &["sid"][..]),
        ("https://shop.example/account", 200, &["pre"]),
        ("https://shop.example/account", 403, &["sid"]),
    ] {
        assert!(login.check(1, &page(url, status, FORM, cookies)).is_err(), "{url} {status}");
    }
    assert_eq!(login.check(2, &page("https://api.shop.example/token", 204, "", &[])), Ok(()));
    assert!(login.check(2, &page("https://api.shop.example/token", 201, "", &[])).is_err());
    let out = |url: &str, status, body: &str| login.is_logged_out(&page(url, status, body, &[]));
    assert!(out("https://shop.example/login?next=1", 200, ""));
    assert!(out("https://shop.example/p", 401, ""));
    assert!(out("https://shop.example/p", 200, FORM));
    assert!(!out("https://shop.example/p", 200, "<h1>x</h1>"));
    let short = FILE.replace("logged_out = { url = \"/login\", css = \"form#login\", status = 401 }", "");
    let scraper = self::scraper(&short);
    let login = scraper.login().unwrap();
    assert!(login.is_logged_out(&page("https://shop.example/login?next=1", 200, "", &[])));
    assert!(login.is_logged_out(&page("https://shop.example/p", 401, "", &[])));
    assert!(!login.is_logged_out(&page("https://shop.example/p", 200, FORM, &[])));
}

#[test]
fn the_country_of_a_row_is_a_need_of_its_pages() {
    let scraper = scraper(FILE);
    let country = |row: &str, discovery: Option<&str>| {
        let mut input = Input::given(0, row.into(), "shop.example".into());
        if discovery.is_some() {
            input.kind = "page".into();
            input.discovery = discovery.map(str::to_owned);
        }
        scraper.plan(&Door::Collect, &input).unwrap().needs.country
    };
    assert_eq!(country(r#"{"url":"https://shop.example/","country":"US"}"#, None).as_deref(), Some("us"));
    assert_eq!(country(r#"{"url":"https://shop.example/","country":""}"#, None), None);
    assert_eq!(
        country(
            r#"{"url":"https://shop.example/1"}"#,
            Some(r#"{"url":"https://shop.example/","country":"de"}"#)
        )
        .as_deref(),
        Some("de")
    );
    let request = scraper
        .plan(&Door::Collect, &Input::given(0, r#"{"url":"https://shop.example/"}"#.into(), String::new()));
    assert_eq!(request.unwrap().needs.exit, model::Exit::Label("homes".into()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let bad = |from: &str, to: &str| {
        assert!(FILE.contains(from), "{from}");
        let errors = Scraper::compile("members", &FILE.replace(from, to)).expect_err(to);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (from, to, wanted) in [
        ("sites = [\"shop.example\"]\n", "", "needs `sites`"),
        ("{ get = \"https://shop.example/login\" },", "", "a form is submitted after"),
        (
            "get = \"https://shop.example/login\"",
            "get = \"https://other.example/login\"",
            "13:11: `get` must be on one",
        ),
        ("get = \"https://shop.example/login\"", "get = \"/login\"", "must be an http or https address"),
        ("{secret.USER}\", password", "{secret.USER\", password", "`{secret.` without `}`"),
        ("{secret.api_key}", "{secret.api-key}", "9:12: `api-key` is not the name of a secret"),
        ("expect = { status = [200, 204] }", "expect = { statis = 200 }", "did you mean `status`?"),
        ("expect = { status = [200, 204] }", "expect = {}", "needs at least one of"),
        ("logged_out = {", "loged_out = {", "did you mean `logged_out`?"),
        ("submit = \"#login\"", "submit = \"#\"", "is not a CSS selector"),
        ("proxy = \"homes\"", "proxy = \"my homes\"", "`proxy` is a word"),
        ("user_agent = \"Mine/1\"", "user_agent = \"a\\nb\"", "one line"),
        ("user_agent = \"Mine/1\"", "sesion = \"job\"", "did you mean `session`?"),
    ] {
        let errors = bad(from, to);
        assert!(errors.contains(wanted), "{wanted} not in:\n{errors}");
    }
}

#[test]
fn pages_of_a_login_may_want_a_browser_and_forms_never_do() {
    use model::FetchMode;
    let modes = |text: &str| {
        let scraper = scraper(text);
        let login = scraper.login().expect("a login");
        let before = page("https://shop.example/login", 200, FORM, &[]);
        let modes =
            (0..3).map(|step| login.request(step, Some(&before), &secrets).expect("a step").needs.mode);
        modes.collect::<Vec<_>>()
    };
    let plain = Some(FetchMode::Plain);
    assert_eq!(modes(FILE), [plain; 3], "whatever the pages of the scraper want");
    let rendered = FILE.replace("[login]", "[login]\nmode = \"browser\"");
    assert_eq!(modes(&rendered), [Some(FetchMode::Browser), plain, plain]);
    assert!(Scraper::compile("members", &FILE.replace("[login]", "[login]\nmode = \"auto\"")).is_err());
}
