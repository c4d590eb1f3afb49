//! Selectors on a small page: what matches, what is refused and where.

use super::Selector;
use crate::Document;

const PAGE: &str = r##"<!DOCTYPE html><html lang="en"><head><title>t</title></head><body>
<nav id="top" class="breadcrumb main"><ul><li><a id="a1" href="/x">x</a></li><li><a id="a2" href="#y">y</a></li><li id="l3">z</li></ul></nav>
<div id="d1" class="card"><h1 class="title big" id="h">T</h1><p id="p1">1</p><p id="p2" lang="de-AT">2</p><span id="s1"></span><p id="p3">3</p></div>
<div id="d2"><form><input id="i1" type="TEXT" name=q><input id="i2" type=hidden disabled><select><option id="o1" selected>a</select></form>
<svg id="svg"><linearGradient id="g" viewBox="0"/></svg><!-- c --></div>
<section id="s2"> <!-- only a comment --> </section><section id="s3"></section></body></html>"##;

fn ids(css: &str) -> Vec<String> {
    let doc = Document::parse(PAGE);
    let selector = Selector::parse(css).unwrap_or_else(|e| panic!("{css}: {e}"));
    let found: Vec<_> = selector.select(doc.root()).collect();
    for node in doc.root().descendants() {
        assert_eq!(
            selector.matches(node),
            found.contains(&node),
            "{css} select and matches disagree on {node:?}"
        );
    }
    assert_eq!(selector.first(doc.root()), found.first().copied());
    found.iter().map(|n| n.attr("id").unwrap_or(n.name()).to_owned()).collect()
}

#[test]
fn selectors_match_what_the_standard_says() {
    let cases = [
        ("h1.title", "h"),
        ("H1.title.big", "h"),
        (".titl", ""),
        ("#p1, #d2", "p1 d2"),
        ("nav.breadcrumb li a", "a1 a2"),
        ("nav > a", ""),
        ("nav > ul > li > a[href^='/']", "a1"),
        ("body > *", "top d1 d2 s2 s3"),
        ("h1 + p", "p1"),
        ("h1 ~ p", "p1 p2 p3"),
        ("span + p", "p3"),
        ("p:first-of-type", "p1"),
        ("p:nth-of-type(2n+1)", "p1 p3"),
        ("p:nth-of-type( odd )", "p1 p3"),
        ("#d1 > :nth-child(-n+2)", "h p1"),
        ("#d1 > :nth-last-child(2)", "s1"),
        ("li:nth-child(3)", "l3"),
        ("#d1 > :nth-child(-n + 2):not(p)", "h"),
        ("li:last-child, li:first-child > a", "a1 l3"),
        ("span:only-of-type", "s1"),
        ("form:only-child", ""),
        ("section:empty", "s3"),
        ("span:empty", "s1"),
        (":root", "html"),
        (":scope > body > nav", "top"),
        ("div:not(.card):not(#zz)", "d2"),
        (":is(h1, span):where([id])", "h s1"),
        ("div:has(> h1)", "d1"),
        ("div:has(input[type=hidden], b)", "d2"),
        ("p:has(+ span)", "p2"),
        ("h1:has(~ span)", "h"),
        ("body:has(nav li a) > section", "s2 s3"),
        ("nav:has(body a)", ""),
        ("input[type=text]", "i1"),
        ("input[name=Q]", ""),
        ("input[name=Q i]", "i1"),
        ("[type='text' s]", ""),
        ("[class~=big]", "h"),
        ("[class*='readcr']", "top"),
        ("[id$='2']", "a2 p2 d2 i2 s2"),
        ("[lang|=de]", "p2"),
        ("[id^='']", ""),
        ("p:lang(de)", "p2"),
        ("p:lang('*-AT')", "p2"),
        ("lineargradient[viewBox]", "g"),
        ("linearGradient", "g"),
        ("a:link", "a1 a2"),
        ("a:hover", ""),
        ("option:checked, input:disabled", "i2 o1"),
        ("input:enabled", "i1"),
        ("#\\68 , #\\000070 1", "h p1"),
        ("*|nav", "top"),
        ("title/* c */,/**/h1", "title h"),
        ("  h1  ", "h"),
    ];
    for (css, expected) in cases {
        assert_eq!(ids(css).join(" "), expected, "{css}");
    }
}

#[test]
fn a_scope_bounds_what_is_found() {
    let doc = Document::parse(PAGE);
    let find = |css: &str, scope: &str| -> Vec<&str> {
        let scope = Selector::parse(scope).unwrap().first(doc.root()).unwrap();
        Selector::parse(css).unwrap().select(scope).filter_map(|n| n.attr("id")).collect()
    };
    assert_eq!(find("p", "#d2"), Vec::<&str>::new());
    assert_eq!(find("> p", "#d1"), ["p1", "p2", "p3"]);
    assert_eq!(find(":scope > p", "#d1"), ["p1", "p2", "p3"]);
    assert_eq!(find(":scope", "#d1"), Vec::<&str>::new());
    assert_eq!(find("body a", "#top"), ["a1", "a2"]);
    assert_eq!(find("+ div", "#d1"), ["d2"]);
    assert_eq!(find("~ section, > p", "#d1"), ["p1", "p2", "p3", "s2", "s3"]);
    assert_eq!(find("~ div input", "#d1"), ["i1", "i2"]);
}

#[test]
fn a_bad_selector_says_where() {
    let cases = [
        ("", 1),
        ("h1,", 4),
        ("h1 >", 5),
        ("a[href", 7),
        ("a[href='x]", 11),
        ("a:contains('x')", 3),
        ("a::text", 3),
        ("a:nth-child(x)", 13),
        ("a:foo", 3),
        ("é é..", 5),
        ("a b)", 4),
        ("svg|a", 4),
        ("a:not(> b)", 7),
        (":not(", 6),
        ("a\\", 3),
        ("p:nth-child(2n3)", 13),
    ];
    for (css, column) in cases {
        let error = Selector::parse(css).expect_err(css);
        assert_eq!(error.column, column, "{css}: {error}");
    }
    assert!(Selector::parse(&format!("{}a{}", ":not(".repeat(1000), ")".repeat(1000))).is_err());
    assert!(Selector::parse(&"a ".repeat(9000)).is_err());
}

#[test]
fn long_walks_stay_linear() {
    // Without the memo each of these takes the square of the page.
    let mut page = String::from("<body>");
    for _ in 0..40_000 {
        page.push_str("<p></p><i></i>");
    }
    let doc = Document::parse(&page);
    let select = |css: &str| Selector::parse(css).unwrap().select(doc.root()).count();
    assert_eq!(select("h2 ~ p"), 0);
    assert_eq!(select("p ~ i ~ p"), 39_999);
    assert_eq!(select("i:nth-of-type(2n)"), 20_000);
    assert_eq!(select("b ~ i ~ p ~ i ~ p"), 0);
}
