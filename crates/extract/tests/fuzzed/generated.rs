//! Generated input: pages and files of likely pieces, shipped files with pieces moved.

use super::{feed, file, page, selector};
use proptest::prelude::*;
use proptest::sample::select;

const PAGE_BITS: &[&str] = &[
    "<div>",
    "</div>",
    "<p>",
    "<table>",
    "<tr><td>",
    "</table>",
    "<ul><li>",
    "<a href='/x'>",
    "<a href=?page=2>2</a>",
    "</a>",
    "<script type=application/ld+json>",
    "</script>",
    "{\"@type\":\"Product\",\"name\":\"n\"",
    "\"offers\":[{\"price\":",
    "}",
    "]",
    "<span itemprop=name itemscope itemtype=http://schema.org/Recipe>",
    "</span>",
    "<meta property=og:price:amount content=",
    "<time datetime=2024-02-30>",
    "<h1>",
    "<img srcset='a 1x, b 2x'>",
    "<base href=//b.example/>",
    "12,50 €",
    "3 Mar 2024",
    "&amp;",
    "&#x0;",
    "<!--",
    "-->",
    "<svg>",
    "<template>",
    "<select><option>",
    "<b><i>",
    "\u{0}",
    "ł😀",
    "\r\n",
    " ",
    "Next",
    "5 out of 5",
    "<form action=/s role=search><input name=q>",
    "</form>",
    "<nav>",
    "<article>",
    "<pre>",
    "|",
    "`",
    "*",
];

const FEED_BITS: &[&str] = &[
    "<?xml version='1.0' encoding='utf-16'?>",
    "<urlset>",
    "<url>",
    "<loc>",
    "</loc>",
    "</url>",
    "<sitemapindex>",
    "<rss>",
    "<item>",
    "<link href='/x' />",
    "<link>",
    "</link>",
    "<feed>",
    "<entry>",
    "<updated>2024-01-01",
    "<![CDATA[",
    "]]>",
    "&e;",
    "<!DOCTYPE x [",
    "<!ENTITY e 'x'>",
    "]>",
    "/a b",
    "https://a.example/1\n",
    "{\"items\":[{\"url\":\"/j\"}]}",
    "\u{1f}\u{8b}",
    "</item>",
    "ü",
];

const SELECTOR_BITS: &[&str] = &[
    "div",
    "*",
    " > ",
    " ~ ",
    " + ",
    ".x",
    "#a",
    "[title",
    "=",
    "'t'",
    "]",
    ":not(",
    ":has(",
    ":nth-child(2n+1)",
    ":is(",
    ")",
    ",",
    "::text",
    "//",
    "/",
    "..",
    "@",
    "text()",
    "[",
    "1",
    "position()",
    "last()",
    " and ",
    "|",
    "count(",
    "concat(",
    "ancestor::",
    "$",
    "$..",
    "[?@.a>1]",
    "[0:2:-1]",
    "\"",
    "\\",
    "é",
    " ",
    "-",
    ".5",
    "contains(., 'o')",
    "(",
];

fn joined(bits: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let any = prop_oneof![9 => select(bits).prop_map(str::to_owned), 1 => ".{0,8}"];
    prop::collection::vec(any, 0..most).prop_map(|parts| parts.concat())
}

/// A shipped file with lines left out, said twice, or changed at one place.
fn moved() -> impl Strategy<Value = String> {
    const FILES: &[&str] = &[
        include_str!("../../../../scrapers/web_page/scraper.toml"),
        include_str!("../../../../scrapers/product/scraper.toml"),
        include_str!("../../../../scrapers/google_calendar_meetings/scraper.toml"),
        include_str!("../../../../scrapers/demo_shop/scraper.toml"),
    ];
    let change = (any::<prop::sample::Index>(), 0..4_u8, "[\\PC]{0,3}|\"|\\{|\\}|'''|\\n");
    (select(FILES), prop::collection::vec(change, 1..4)).prop_map(|(file, changes)| {
        let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
        for (place, how, text) in changes {
            if lines.is_empty() {
                break;
            }
            let at = place.index(lines.len());
            match how {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => {
                    let other = place.index(lines.len() / 2 + 1);
                    lines.swap(at, other);
                }
                _ => {
                    let line = &mut lines[at];
                    let inside = line.floor_char_boundary(place.index(line.len() + 1));
                    line.insert_str(inside, &text);
                }
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn pages(text in joined(PAGE_BITS, 60)) {
        page::all(text.as_bytes());
    }

    #[test]
    fn feeds(text in joined(FEED_BITS, 40)) {
        feed::all(text.as_bytes());
    }

    #[test]
    fn selectors(text in joined(SELECTOR_BITS, 12)) {
        selector::all(&text);
    }

    #[test]
    fn files(text in moved()) {
        file::all(&text);
    }

    #[test]
    fn bytes(body in prop::collection::vec(any::<u8>(), 0..400)) {
        page::all(&body);
        feed::all(&body);
        file::all(&String::from_utf8_lossy(&body));
    }
}
