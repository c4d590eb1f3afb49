//! What elements become, what is escaped, and that hostile pages stay cheap.

use super::markdown;
use html::Document;
use proptest::prelude::*;
use url::Url;

fn convert(html: &str) -> String {
    let doc = Document::parse(html);
    markdown(doc.root(), &Url::parse("https://example.com/a/b?c#d").unwrap())
}

#[test]
fn elements_become_markdown() {
    let cases = [
        ("<h1>A <b>b</b></h1><h3>C #</h3><p>d</p>", "# A b\n\n### C \\#\n\nd"),
        ("<p>a<br>b</p><p>c<br><br>d</p>", "a  \nb\n\nc\n\nd"),
        ("a <b> b </b>c <i></i><em>d</em>", "a **b** c *d*"),
        ("<b>a</b><b>b</b> <b><strong>c</strong></b>", "**ab** **c**"),
        ("<b>Note:</b>text a<b>(x)</b>", "**Note:** text a **(x)**"),
        ("<b><p>a</p><p>b</p></b>", "**a**\n\n**b**"),
        ("<del>a</del> <code>x  y</code> <code>a`b</code> <kbd>`</kbd>", "~~a~~ `x y` ``a`b`` `` ` ``"),
        (
            "<a href='../x y'>l</a> <a href=//h/>m</a> <a href='javascript:x'>n</a> <a>o</a>",
            "[l](https://example.com/x%20y) [m](https://h/) n o",
        ),
        ("<a href='#n'>1</a> <a href='/#n'>2</a>", "1 [2](https://example.com/#n)"),
        (
            "<img src=a.jpg width=570 height=0><img src=b.gif width=1 height=9>",
            "![](https://example.com/a/a.jpg)",
        ),
        ("wow!<a href=/(x)>l</a>", "wow\\![l](https://example.com/%28x%29)"),
        ("<a href=/p><h3>T</h3><p>more</p></a>", "### [T](https://example.com/p)\n\nmore"),
        (
            "<a href=/p><img src=i.png alt='a [b]'></a>",
            "[![a \\[b\\]](https://example.com/a/i.png)](https://example.com/p)",
        ),
        (
            "<img src='data:image/gif;base64,x' data-src=/l.jpg><img src=/p.gif width=1 height=1><img>",
            "![](https://example.com/l.jpg)",
        ),
        ("<ul><li>a<ul><li>b</ul>c<li><p>d</p><p>e</p></ul>f", "- a\n  - b\n\n  c\n- d\n\n  e\n\nf"),
        ("<ol start=9><li>a<li>b<ol start=3><li>c</ol></ol>", "9. a\n10. b\n\n    3. c"),
        ("<ul><li>a</ul><ul><li>b</ul>", "- a\n\n* b"),
        ("<ul><li></li><li><input type=checkbox checked>a</ul>", "- [x] a"),
        (
            "<blockquote><p>a</p><blockquote>b</blockquote><ul><li>c<li>d</ul></blockquote><blockquote>e</blockquote>",
            "> a\n>\n> > b\n>\n> - c\n> - d\n\n> e",
        ),
        ("<ul><li><blockquote>a</blockquote><pre>b\n c</pre></ul>", "- > a\n\n  ```\n  b\n   c\n  ```"),
        (
            "<pre><code class='language-rust'>fn a() {}\n\n<b>x</b>\n</code></pre>",
            "```rust\nfn a() {}\n\nx\n```",
        ),
        ("<div class=highlight-source-js><pre>a<br>```</pre></div>", "````js\na\n```\n````"),
        ("a<hr>b", "a\n\n* * *\n\nb"),
        (
            "<table><caption>T</caption><tr><th align=right>a<th>b|c<tr><td>1<td><p>x</p><p>y</p></table>",
            "T\n\n| a | b\\|c |\n| ---: | --- |\n| 1 | x y |",
        ),
        (
            "<table><tr><td rowspan=2>a<td>b<tr><td>c<tr><td colspan=2>d</table>",
            "| a | b |\n| --- | --- |\n|  | c |\n| d |  |",
        ),
        ("<table><tr><td>a<td><table><tr><th>b<th>c</table></table>", "a\n\n| b | c |\n| --- | --- |"),
        (
            "<p>a</p><script>x</script><style>y</style><noscript>n</noscript><template>t</template><p hidden>h</p><button>b</button>",
            "a",
        ),
        ("<h2>T<a aria-hidden=true href=#t>#</a></h2>", "## T"),
        ("<dl><dt>a</dt><dd>b</dd></dl>", "a\n\nb"),
        ("<math alttext='x^2'><mi>x</mi></math>", "$x^2$"),
        ("", ""),
    ];
    for (html, expected) in cases {
        assert_eq!(convert(html), expected, "{html}");
    }
}

#[test]
fn text_is_escaped_only_where_markdown_would_read_it() {
    let cases = [
        ("1. a", "1\\. a"),
        ("1.5 a", "1.5 a"),
        ("# a", "\\# a"),
        ("#a", "#a"),
        ("- a", "\\- a"),
        ("---", "\\---"),
        ("a<br>===", "a  \n\\==="),
        ("&gt; a", "\\> a"),
        ("a * b_c _d_ [e]", "a \\* b_c \\_d\\_ \\[e\\]"),
        ("&lt;b> a < b &amp;amp; AT&amp;T", "\\<b> a < b \\&amp; AT&T"),
        ("C:\\dir \\*", "C:\\dir \\\\\\*"),
        ("~~a~~ ~b", "\\~\\~a\\~\\~ ~b"),
        ("https://x.y/a_b_", "https://x.y/a_b_"),
        ("a | b", "a | b"),
    ];
    for (html, expected) in cases {
        assert_eq!(convert(&format!("<p>{html}</p>")), expected, "{html}");
    }
}

#[test]
fn hostile_pages_stay_small() {
    let deep = convert(&("<blockquote><ul><li>".repeat(500) + &"<p>x".repeat(2000)));
    assert!(deep.len() < 200_000, "{}", deep.len());
    let link = format!("<a href='/{}'>{}</a>", "x".repeat(7000), "<p>y</p>".repeat(2000));
    assert!(convert(&link).len() < 30_000);
    let base = Url::parse(&format!("https://h/{}/", "x".repeat(1 << 20))).unwrap();
    let doc = Document::parse(&"<a href=z>t</a> ".repeat(100));
    assert!(markdown(doc.root(), &base).len() < 1000);
}

proptest! {
    #[test]
    fn any_tags_convert(parts in proptest::collection::vec((0..24usize, "[ a-z*_`#|<&\\[\\]0-9.\n-]{0,6}"), 0..60)) {
        const TAGS: [&str; 24] = ["p", "ul", "ol", "li", "table", "tr", "td", "th", "b", "i", "a href=x", "pre", "code", "blockquote",
            "h2", "br", "hr", "img src=x", "/p", "/ul", "/table", "/b", "/a", "/blockquote"];
        let html: String = parts.iter().map(|(tag, text)| format!("<{}>{text}", TAGS[*tag])).collect();
        let doc = Document::parse(&html);
        let made = markdown(doc.root(), &Url::parse("https://e.x/").unwrap());
        // Every digit that is shown survives (addresses and list numbers may add some).
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
        prop_assert!(digits(&made) >= digits(&doc.root().visible_text()), "{html:?} {made:?}");
        prop_assert_eq!(made.trim(), &made);
    }
}
