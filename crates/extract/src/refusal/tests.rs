//! Walls of our own writing that have the structure of real ones, and good pages that look a little like them.

use super::RefusalKind::{Block, Challenge, Consent, Gone, Login};
use super::*;
use model::Timestamp;

fn page(status: u16, headers: &[(&str, &str)], body: &str) -> Page {
    let mut all = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Page {
        url: Url::parse("https://shop.example/p/1").expect("url"),
        status,
        headers: all,
        body: body.to_owned().into(),
        fetched_at: Timestamp::from_ms(0),
        wire_bytes: 0,
        extras: model::Extras::default(),
    }
}

/// The samples, one file each: `<kind>-<maker or story>.html`.
const SAMPLES: &[(&str, u16, RefusalKind, Option<&str>, &str)] = &[
    (
        "cloudflare-challenge",
        403,
        Challenge,
        Some("Cloudflare"),
        include_str!("samples/cloudflare-challenge.html"),
    ),
    ("cloudflare-block", 403, Block, Some("Cloudflare"), include_str!("samples/cloudflare-block.html")),
    ("akamai-denied", 403, Block, Some("Akamai"), include_str!("samples/akamai-denied.html")),
    ("akamai-challenge", 200, Challenge, Some("Akamai"), include_str!("samples/akamai-challenge.html")),
    ("perimeterx", 403, Challenge, Some("PerimeterX"), include_str!("samples/perimeterx.html")),
    ("datadome", 403, Challenge, Some("DataDome"), include_str!("samples/datadome.html")),
    ("imperva-incident", 200, Block, Some("Imperva"), include_str!("samples/imperva-incident.html")),
    (
        "imperva-interruption",
        200,
        Challenge,
        Some("Imperva"),
        include_str!("samples/imperva-interruption.html"),
    ),
    ("aws-waf", 202, Challenge, Some("AWS WAF"), include_str!("samples/aws-waf.html")),
    ("cloudfront", 403, Block, Some("CloudFront"), include_str!("samples/cloudfront.html")),
    ("f5-rejected", 200, Block, Some("F5"), include_str!("samples/f5-rejected.html")),
    ("generic-denied", 200, Block, None, include_str!("samples/generic-denied.html")),
    ("generic-captcha", 200, Challenge, None, include_str!("samples/generic-captcha.html")),
    ("login-shop", 200, Login, None, include_str!("samples/login-shop.html")),
    ("login-german", 200, Login, None, include_str!("samples/login-german.html")),
    ("consent-english", 200, Consent, None, include_str!("samples/consent-english.html")),
    ("consent-german", 200, Consent, None, include_str!("samples/consent-german.html")),
    ("gone-shop", 200, Gone, None, include_str!("samples/gone-shop.html")),
    ("gone-title", 200, Gone, None, include_str!("samples/gone-title.html")),
    ("gone-french", 200, Gone, None, include_str!("samples/gone-french.html")),
];

#[test]
fn every_sample_is_what_it_is() {
    for (name, status, kind, by, body) in SAMPLES {
        let found = refusal(&page(*status, &[], body), None);
        assert_eq!(found, Some(Refusal { kind: *kind, by: *by }), "{name}");
    }
}

#[test]
fn headers_alone_tell() {
    for (name, value, by) in [
        ("cf-mitigated", "challenge", "Cloudflare"),
        ("x-amzn-waf-action", "captcha", "AWS WAF"),
        ("x-amzn-waf-action", "challenge", "AWS WAF"),
    ] {
        let found = refusal(&page(403, &[(name, value)], ""), None);
        assert_eq!(found, Some(Refusal { kind: Challenge, by: Some(by) }), "{name}");
    }
    assert_eq!(refusal(&page(403, &[], ""), None), None);
}

#[test]
fn a_wall_where_json_was_asked_for() {
    let mut wall = page(403, &[], r#"{"url":"https://geo.captcha-delivery.com/captcha/?initialCid=x"}"#);
    wall.headers = vec![("content-type".into(), "application/json".into())];
    assert_eq!(refusal(&wall, None), Some(Refusal { kind: Challenge, by: Some("DataDome") }));
}

#[test]
fn content_is_no_refusal_whatever_it_mentions() {
    let prose =
        "The company was founded by three friends who wanted better chairs for everybody. ".repeat(60);
    for (story, body) in [
        ("a shop behind a maker's script", format!(
            "<title>Oak chair</title><script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>\
             <script src='https://js.datadome.co/tags.js'></script><script src='/_Incapsula_Resource?SWJIYLWA=1'></script>\
             <script>window._pxAppId='PX1'</script><h1>Oak chair</h1><p>{prose}"
        )),
        ("an article about captchas", format!(
            "<title>Are you a robot? - The Daily</title><article><h1>Why captchas ask whether you are human</h1><p>{prose}"
        )),
        ("an article on error pages", format!("<title>404: a history - The Daily</title><h1>Page not found: a history</h1><p>{prose}")),
        ("a contact form", format!(
            "<title>Contact</title><h1>Contact</h1><form><input name=mail><div class='g-recaptcha'></div></form><p>{prose}"
        )),
        ("a product beside a login", format!(
            "<title>Oak chair</title><form action=/login><input type=password></form><h1>Oak chair</h1><p>{prose}"
        )),
        ("a page with a banner", format!(
            "<title>Oak chair</title><h1>Oak chair</h1><p>{prose}<div id=cookies><h2>We value your privacy</h2><button>Accept all</button></div>"
        )),
        ("a described product", "<title>Forbidden</title><script type='application/ld+json'>{\"@type\":\"Product\",\"name\":\"Forbidden\"}\
             </script><h1>Forbidden</h1><p>A perfume.".into()),
        ("a short page", "<title>Hello</title><h1>Hello</h1><p>World, with 404 words and a password.".into()),
        ("nothing", String::new()),
    ] {
        assert_eq!(refusal(&page(200, &[], &body), None), None, "{story}");
    }
}

#[test]
fn who_asks_for_a_login_page_gets_it() {
    let mut wall = page(200, &[], include_str!("samples/login-shop.html"));
    wall.url = Url::parse("https://shop.example/login?next=/p/1").expect("url");
    let asked = Url::parse("https://shop.example/p/1").expect("url");
    assert_eq!(refusal(&wall, Some(&asked)).map(|r| r.kind), Some(Login));
    assert_eq!(refusal(&wall, Some(&wall.url)), None);
}

#[test]
fn the_look_is_bounded_and_total() {
    let far = format!("<title>Shop</title>{}<h1>Access denied</h1>", " ".repeat(limit::REFUSAL_BYTES));
    assert_eq!(refusal(&page(200, &[], &far), None), None);
    for body in ["<title>", "\u{0}", "<h1>404", "<input type=password", "captcha<captcha<captcha"] {
        let _ = refusal(&page(200, &[], body), None);
    }
    let mut odd = page(200, &[], "");
    odd.body = vec![0xff; 4_000].into();
    assert_eq!(refusal(&odd, None), None);
    assert!(word::is_suspicious(b"please solve this CAPTCHA"));
    assert!(!word::is_suspicious(b"<p>chairs and tables"), "the expression compiles");
}
