//! Groups, rules and odd files; the public tables are in `tests/robots.rs`.

use super::*;
use proptest::prelude::*;

fn allowed(file: &str, agent: &str, path: &str) -> bool {
    let url = Url::parse(&format!("https://site.example{path}")).unwrap();
    Robots::parse(file.as_bytes()).ask(product_token(agent), &url).allowed
}

#[test]
fn groups_and_precedence() {
    let file =
        "user-agent: *\ndisallow: /\nuser-agent: Trawl\nuser-agent: Other\nallow: /\ndisallow: /private\n";
    assert!(!allowed(file, "Someone", "/a"));
    assert!(allowed(file, "Trawl/1.0 (+https://example.com)", "/a"));
    assert!(!allowed(file, "trawl", "/private/x"));
    assert!(allowed("user-agent: *\nallow: /p\ndisallow: /p\n", "x", "/p"));
    assert!(!allowed("user-agent: *\nallow: /p\ndisallow: /page\n", "x", "/page"));
    assert!(allowed("disallow: /\n", "x", "/"));
    assert!(allowed("user-agent: *\ndisallow:\n", "x", "/"));
    let verdict = Robots::parse(b"user-agent: *\n\ndisallow: /x")
        .ask("a", &Url::parse("https://h.example/xy").unwrap());
    assert_eq!(verdict, Verdict { allowed: false, line: Some(3) });
}

#[test]
fn patterns() {
    let file = "user-agent: *\ndisallow: /*.php$\ndisallow: /a*b*c\ndisallow: /end$\ndisallow: /\u{e4}\n";
    for (path, is_allowed) in [
        ("/x.php", false),
        ("/x.php?y", true),
        ("/x.php/y.php", false),
        ("/a1b2c3", false),
        ("/acb", true),
        ("/end", false),
        ("/ends", true),
        ("/\u{e4}b", false),
        ("/%c3%a4", false),
    ] {
        assert_eq!(allowed(file, "x", path), is_allowed, "{path}");
    }
}

#[test]
fn delays_sitemaps_and_long_files() {
    let robots = Robots::parse(
        b"\xEF\xBB\xBFSitemap: https://h.example/s.xml\r\nUser-agent: a\rCrawl-delay: 2.5\ndisallow: /x\nUser-agent: *\nCrawl-delay: nan\n",
    );
    assert_eq!(robots.sitemaps(), ["https://h.example/s.xml"]);
    assert_eq!(robots.crawl_delay("A"), Some(Duration::from_millis(2_500)));
    assert_eq!(robots.crawl_delay("b"), None);
    let long = format!("user-agent: *\n{}disallow: /late\n", "#".repeat(BYTES));
    assert!(allowed(&long, "x", "/late"));
}

#[test]
fn a_pattern_of_many_stars_is_linear() {
    let stars = "*a".repeat(5_000);
    let file = format!("user-agent: *\ndisallow: /{stars}b\n");
    assert!(allowed(&file, "x", &format!("/{}", "a".repeat(8_000))));
}

proptest! {
    #[test]
    fn any_bytes_are_a_file(body in proptest::collection::vec(any::<u8>(), 0..400), path in "/[ -~]{0,40}") {
        let robots = Robots::parse(&body);
        let url = Url::parse(&format!("https://h.example{path}")).unwrap();
        let verdict = robots.ask("trawl", &url);
        prop_assert!(verdict.allowed || verdict.line.is_some());
    }

    #[test]
    fn a_disallowed_prefix_is_disallowed(path in "/[a-z0-9/]{1,30}", more in "[a-z]{0,10}") {
        let file = format!("user-agent: *\ndisallow: {path}\n");
        let whole = format!("{path}{more}");
        prop_assert!(!allowed(&file, "x", &whole));
    }
}
