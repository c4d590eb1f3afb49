//! Expressions on a small page: what they give, what is refused and where, and what is too much.

use super::{Exhausted, Found, Value, Work, XPath};
use crate::{Document, Selector};

const PAGE: &str = r##"<!DOCTYPE html><!-- first --><html lang="en"><head><title> A  title </title></head><body>
<nav id="top" class="main big"><ul><li id="l1"><a id="a1" href="/x" title="one">x</a></li><li id="l2"><a id="a2" href="#y">y</a></li><li id="l3">z</li></ul></nav>
<div id="d1" class="card"><h1 id="h">T</h1><p id="p1">1</p><p id="p2" lang="de-AT">2</p><span id="s1"></span><p id="p3">3</p></div>
<div id="d2">é <b>bold</b> tail<svg id="g" xlink:href="#z"><linearGradient id="lg"/></svg><fb:like id="fb"></fb:like></div><!-- last --></body></html>"##;

/// What an expression gives on the page: ids (or what else tells the node), or the value.
fn at<'a>(document: &'a Document, xpath: &str, scope: &str) -> String {
    let scope = match scope {
        "" => document.root(),
        css => Selector::parse(css).unwrap().first(document.root()).unwrap(),
    };
    let compiled = XPath::parse(xpath).unwrap_or_else(|e| panic!("{xpath}: {e}"));
    let tell = |found: &Found<'a>| match found {
        Found::Attribute { name, value, .. } => format!("@{name}={value}"),
        Found::Node(node) => match (node.text_node(), node.comment(), node.attr("id"), node.name()) {
            (Some(text), ..) => format!("{text:?}"),
            (_, Some(text), ..) => format!("<!--{text}-->"),
            (_, _, Some(id), _) => id.to_owned(),
            (_, _, _, "") => "/".to_owned(),
            (_, _, _, name) => name.to_owned(),
        },
    };
    match compiled.evaluate(scope).unwrap_or_else(|e| panic!("{xpath}: {e}")) {
        Value::Nodes(nodes) => {
            let keys: Vec<_> = nodes.iter().map(tell).collect();
            keys.join(" ")
        }
        value => value.string(),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let document = Document::parse(PAGE);
    for (xpath, wanted) in cases {
        assert_eq!(at(&document, xpath, ""), *wanted, "{xpath}");
    }
}

#[test]
fn paths_give_nodes_in_document_order() {
    check(&[
        ("/", "/"),
        ("/html/body/div/@id", "@id=d1 @id=d2"),
        ("//li", "l1 l2 l3"),
        ("//LI/A[@HREF]", "a1 a2"),
        ("//p[1]", "p1"),
        ("//p[2]/preceding-sibling::*", "h p1"),
        ("//*[1][self::a]", "a1 a2"),
        ("(//a)[last()]", "a2"),
        ("//li[last()]", "l3"),
        ("//li[position()=2]", "l2"),
        ("//li[position() mod 2 = 1]", "l1 l3"),
        ("//li[0] | //li[1.5] | //li[-1]", ""),
        ("//li[position() < 3][2]", "l2"),
        ("//a | //h1 | //a", "a1 a2 h"),
        ("//p/.. | //p/../..", "body d1"),
        ("//a/ancestor::*", "html body top ul l1 l2"),
        ("//a[2]/ancestor::*", ""),
        ("//a/ancestor::*[1]", "l1 l2"),
        ("id('a1')/ancestor-or-self::*[@id][2]", "l1"),
        ("//p/following-sibling::*", "p2 s1 p3"),
        ("//p/following-sibling::*[1]", "p2 s1"),
        ("//p/preceding-sibling::*", "h p1 p2 s1"),
        ("//p/preceding-sibling::*[1]", "h p1 s1"),
        ("//h1/preceding::a", "a1 a2"),
        ("//h1/preceding::a[1]", "a2"),
        ("//h1/preceding::*", "head title top ul l1 a1 l2 a2 l3"),
        ("//li/following::p", "p1 p2 p3"),
        ("//li/following::*[1]", "l2 l3 d1"),
        ("//@id[.='h']/following::p[1]", "p1"),
        ("//div/descendant::*[1]", "h b"),
        ("//div/descendant-or-self::*[1]", "d1 d2"),
        ("//nav//li//a", "a1 a2"),
        ("//self::a", "a1 a2"),
        ("//*/a", "a1 a2"),
        ("//div/*[self::h1 or self::span]", "h s1"),
        ("//a/@*", "@id=a1 @href=/x @title=one @id=a2 @href=#y"),
        ("//a/attribute::href/..", "a1 a2"),
        ("//@title/ancestor::li", "l1"),
        ("//@title/.", "@title=one"),
        ("//@title/self::*", ""),
        ("//@title/self::node()", "@title=one"),
        ("//a/namespace::*", ""),
        ("/comment()", "<!-- first -->"),
        ("/node()", "<!-- first --> html"),
        ("//comment()[2]", ""),
        ("(//comment())[2]", "<!-- last -->"),
        ("//processing-instruction('x')", ""),
        ("//div/text()", "\"é \" \" tail\""),
        ("//b/following-sibling::node()[1]", "\" tail\""),
        ("//lineargradient | //linearGradient", "lg"),
        ("//*[@xlink:href]", "g"),
        ("//@xlink:*", "@xlink:href=#z"),
        ("//fb:like | //fb:*", "fb"),
        ("id('p2 h  nothing')", "h p2"),
        ("id(//a/@id)", "a1 a2"),
        ("id('d1')/p[2]", "p2"),
        ("(//div)[1]/p[last()]", "p3"),
        ("(//p)[2] | (//p)[1]", "p1 p2"),
        ("(//p | //a)[3]/@id", "@id=p1"),
        ("((//p))[2][@lang]", "p2"),
        ("//*[has-class('main', 'big')]", "top"),
        ("//*[has-class('mai')]", ""),
        ("//*[re:test(@id, '^[AP][12]$', 'i')]", "a1 a2 p1 p2"),
        ("set:difference(//p, //p[2])", "p1 p3"),
        ("set:intersection(//p, //*[@lang])", "p2"),
        ("set:distinct(//div/@class | //nav/@class | //p[1]/@id)", "@class=main big @class=card @id=p1"),
        ("set:leading(//p, //p[3])", "p1 p2"),
        ("set:trailing(//p, //p[1])", "p2 p3"),
        ("//p[@id=//h1/following-sibling::*/@id]", "p1 p2 p3"),
        ("//div[p='2']", "d1"),
        ("//div[p!='2']", "d1"),
        ("//div[not(p)]", "d2"),
        ("//p[.>1]", "p2 p3"),
        ("//p[. >= 1 and .<=2 or @id='p3']", "p1 p2 p3"),
        ("//p[../h1]", "p1 p2 p3"),
        ("//div[.//b]", "d2"),
        ("//div[./b]/./b/.", "b"),
        ("//p[lang('de')]", "p2"),
        ("//p[lang('EN')]", "p1 p3"),
        ("//div/div | div", ""),
        ("/descendant::p[2]", "p2"),
        ("//a[text()='y']", "a2"),
        ("//and | //div/div", ""),
        ("//*[name()='h1']", "h"),
        ("/ | //title", "/ title"),
    ]);
}

#[test]
fn functions_and_operators_give_what_the_standard_says() {
    check(&[
        ("string(//title)", " A  title "),
        ("normalize-space(//title)", "A title"),
        ("string(//div[2])", "é bold tail"),
        ("concat(name(//a), '-', local-name(//@xlink:href), '-', name(//@xlink:href))", "a-href-xlink:href"),
        ("namespace-uri(//a)", ""),
        ("starts-with('abc', 'ab')", "true"),
        ("contains('abc', '')", "true"),
        ("substring-before('1999/04', '/')", "1999"),
        ("substring-before('1999', '/')", ""),
        ("substring-after('1999/04', '/')", "04"),
        ("substring-after('1999', '19')", "99"),
        ("substring('12345', 2, 3)", "234"),
        ("substring('12345', 2)", "2345"),
        ("substring('12345', 1.5, 2.6)", "234"),
        ("substring('12345', 0, 3)", "12"),
        ("substring('12345', 0 div 0, 3)", ""),
        ("substring('12345', 1, 0 div 0)", ""),
        ("substring('12345', -42, 1 div 0)", "12345"),
        ("substring('12345', -1 div 0, 1 div 0)", ""),
        ("substring('éабв', 2, 2)", "аб"),
        ("string-length('éа')", "2"),
        (
            "string-length()",
            &Document::parse(PAGE)
                .root()
                .descendants()
                .filter_map(|n| n.text_node())
                .map(|t| t.chars().count())
                .sum::<usize>()
                .to_string(),
        ),
        ("translate('bar', 'abc', 'AB')", "BAr"),
        ("translate('--aaa--', 'abc-', 'ABC')", "AAA"),
        ("translate('éa', 'éa', 'aé')", "aé"),
        ("translate('aa', 'aa', 'xy')", "xx"),
        ("normalize-space('\u{a0} a\n\tb ')", "\u{a0} a b"),
        ("re:replace('a1b2', '[0-9]', 'g', '-')", "a-b-"),
        ("re:replace('a1b2', '[0-9]', '', '-')", "a-b2"),
        ("re:test('abc', 'B')", "false"),
        ("boolean(//p) and not(//q)", "true"),
        ("true() or false()", "true"),
        ("boolean('false')", "true"),
        ("boolean(0 div 0)", "false"),
        ("number(' -1.50 ')", "-1.5"),
        ("number('+1') ", "NaN"),
        ("number('1e3')", "NaN"),
        ("number('.5') + number('5.')", "5.5"),
        ("number('.')", "NaN"),
        ("number(true()) + 1", "2"),
        ("sum(//p)", "6"),
        ("sum(//q)", "0"),
        ("sum(//a)", "NaN"),
        ("count(//p) * 2 - 1", "5"),
        ("floor(-1.5)", "-2"),
        ("ceiling(-1.5)", "-1"),
        ("round(-1.5)", "-1"),
        ("round(2.5)", "3"),
        ("round(0.49999999999999994)", "0"),
        ("1 div round(-0.2)", "-Infinity"),
        ("round(1 div 0)", "Infinity"),
        ("round('x')", "NaN"),
        ("5 mod -2", "1"),
        ("-5 mod 2", "-1"),
        ("1.5 mod 0.5", "0"),
        ("1 div 0", "Infinity"),
        ("0 div 0", "NaN"),
        ("-0", "0"),
        ("--3", "3"),
        ("- -'4'", "4"),
        ("-(1)--1", "0"),
        ("1000000000000000000000", "1000000000000000000000"),
        ("0.000001", "0.000001"),
        ("6 - 3 - 2", "1"),
        ("2 + 3 * 4 div 2", "8"),
        ("1 = 1 = 1", "true"),
        ("3 > 2 > 1", "false"),
        ("1 < 2 = true()", "true"),
        ("'a' = 'a' and 'a' != 'b'", "true"),
        ("'1' = 1.0", "true"),
        ("'a' < 'b'", "false"),
        ("'1' < '2'", "true"),
        ("//p = //li", "false"),
        ("//p = 3 and //p != 3", "true"),
        ("3 = //p and 2 > //p and not(4 <= //p)", "true"),
        ("//p < //p and not(//p > //nothing)", "true"),
        ("//p[1] != //p[1]", "false"),
        ("//nothing = //nothing or //nothing != //nothing", "false"),
        ("//nothing = false()", "true"),
        ("//p = true() and //p > false()", "true"),
        ("//p = '2'", "true"),
        ("count(//p | //p)", "3"),
        ("position() + last()", "2"),
        ("set:has-same-node(//p, //*[@lang])", "true"),
        ("count(//*[. = //title])", "2"),
        ("true()", "true"),
    ]);
}

#[test]
fn the_scope_is_the_context_and_does_not_bound() {
    let document = Document::parse(PAGE);
    for (xpath, scope, wanted) in [
        (".", "#d1", "d1"),
        ("p", "#d1", "p1 p2 p3"),
        (".//a", "#d1", ""),
        ("//a", "#d1", "a1 a2"),
        ("..", "#d1", "body"),
        ("@class", "#d1", "@class=card"),
        ("preceding::li[1]", "#d1", "l3"),
        ("string()", "#p2", "2"),
        ("name()", "#p2", "p"),
        ("self::p[1]", "#p2", "p2"),
        ("lang('de')", "#p2", "true"),
        ("has-class('card')", "#d1", "true"),
    ] {
        assert_eq!(at(&document, xpath, scope), wanted, "{xpath}");
    }
}

#[test]
fn a_bad_expression_says_where() {
    for (xpath, offset) in [
        ("", 0),
        ("//", 2),
        ("a/", 2),
        ("a[", 2),
        ("a[1", 3),
        ("a]", 1),
        ("a b", 2),
        ("/ * 5", 4),
        ("'abc", 0),
        ("$x", 0),
        ("a:", 2),
        ("é é", 3),
        ("foo::a", 0),
        ("foo()", 0),
        ("//a[ends-with(@href, 'x')]", 4),
        ("count(1)", 0),
        ("count()", 0),
        ("1 + count(//a, //b)", 4),
        ("'a' | //b", 0),
        ("'a'/b", 0),
        ("'a'[1]", 0),
        (".[1]", 1),
        ("a/text", 99),
        ("a/string()", 2),
        ("#", 0),
        ("a !", 2),
        ("re:test('a', @x)", 0),
        ("re:test('a', '(')", 0),
        ("re:test('a', 'b', 'z')", 0),
        ("node(", 5),
        ("@", 1),
        ("a or", 4),
        ("(a", 2),
        ("concat('a', )", 12),
        ("1 2", 2),
    ] {
        match XPath::parse(xpath) {
            Ok(_) => assert_eq!(offset, 99, "{xpath} was read"),
            Err(error) => assert_eq!(error.offset, offset, "{xpath}: {error}"),
        }
    }
}

/// On a stack as small as that of a thread that was given little.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn nesting_and_length_are_bounded() {
    on_a_small_stack(|| {
        let document = Document::parse(PAGE);
        let nested = |open: &str, inner: &str, close: &str, n: usize| {
            XPath::parse(&[&open.repeat(n), inner, &close.repeat(n)].concat())
        };
        for (open, inner, close) in
            [("(", "1", ")"), ("not(", "1", ")"), ("a[", "1", "]"), ("-(", "1", ")"), ("1+(2*(", "3", "))")]
        {
            assert!(nested(open, inner, close, 5000 / open.len()).is_err(), "{open}");
            nested(open, inner, close, 12).unwrap().evaluate(document.root()).unwrap();
        }
        nested("//*[", "1", "]", 31).unwrap().evaluate(document.root()).unwrap();
        nested("boolean(", "1", ")", 32).unwrap().evaluate(document.root()).unwrap();
        for long in ["1 or ", "1=", "1-", "-", "a|", "a/", "//", "../", "a[1]/", "concat('a','b')="] {
            let text = long.repeat(16_000 / long.len()) + "a";
            if let Ok(xpath) = XPath::parse(&text) {
                xpath.evaluate(document.root()).unwrap();
            } else {
                assert!(long == "a/" || long == "//", "{long}");
            }
        }
        assert!(XPath::parse(&"1+".repeat(9000)).is_err());
    });
}

#[test]
fn work_is_bounded_on_deep_and_wide_pages() {
    let deep = Document::parse(&"<div><p>x".repeat(3000));
    let wide = Document::parse(&"<p>x<b>y</b>".repeat(20_000));
    for (xpath, too_much) in [
        ("//*[count(//*[count(//*[//q]) = 1]) = 1]", false),
        ("//*[. = //*]", true),
        ("//*[count(following::*) > count(preceding::*[count(preceding::*) > 3])]", true),
        ("//*[.//* = string(following::*[last()])]//*[. = preceding::*]", true),
        ("concat(//*[string-length(.) > following::*], /, /, /, /)", true),
        ("//node()[position() = last()]/following::node()[position() > 1]/preceding::node()[last()]", true),
        ("//*[translate(/, 'x', '\u{10ffff}') = .]", true),
        ("//*[concat(/, /, /, /)]", true),
        ("//*[id(concat(., /))]", true),
        ("//*[re:test(/, '(a|b|x|y)*z')]", true),
        ("//*[re:replace(/, 'x', 'g', /)]", true),
        ("set:distinct(//*/ancestor-or-self::*)", false),
    ] {
        let compiled = XPath::parse(xpath).unwrap();
        for document in [&deep, &wide] {
            let work = Work::new(1 << 21);
            let result = compiled.evaluate_within(document.root(), &work);
            if too_much && std::ptr::eq(document, &wide) {
                assert_eq!(result, Err(Exhausted), "{xpath}");
            }
        }
    }
    // What a page's author may well write stays linear.
    for (xpath, wanted) in [
        ("count(//p//b/ancestor::*)", 20_002),
        ("count(//p/following-sibling::p)", 19_999),
        ("count(//p/preceding-sibling::p)", 19_999),
        ("count(//p/following::b)", 19_999),
        ("count(//b/preceding::p)", 19_999),
        ("count(//p/following-sibling::p[1])", 19_999),
        ("count(//b/preceding::p[1])", 19_999),
        ("count(//*[self::p][b][position() > 10])", 19_990),
        ("count((//*)[self::p][b][position() > 10])", 19_990),
        ("count(//p[not(//q)])", 20_000),
    ] {
        let value = XPath::parse(xpath).unwrap().evaluate_within(wide.root(), &Work::new(1 << 20));
        assert_eq!(value, Ok(Value::Number(f64::from(wanted))), "{xpath}");
    }
}

#[test]
fn a_bound_on_work_stops_in_the_middle_of_a_walk() {
    let document = Document::parse(&"<p>x".repeat(1000));
    let xpath = XPath::parse("//p").unwrap();
    assert_eq!(xpath.evaluate_within(document.root(), &Work::new(500)), Err(Exhausted));
    let work = Work::new(5000);
    assert!(xpath.evaluate_within(document.root(), &work).is_ok());
    assert!(xpath.evaluate_within(document.root(), &work).is_ok());
    assert!(xpath.evaluate_within(document.root(), &work).is_err());
}
