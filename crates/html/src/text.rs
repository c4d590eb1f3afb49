//! The text of a node: raw, and as a browser would show it (`innerText` of WHATWG HTML, without style sheets).
//!
//! Both are loops over the node's range. What a style sheet hides is unknown here; the `hidden` attribute and an inline
//! `display:none` are believed.

use crate::tree::{Kind, NONE, Node};

impl Node<'_> {
    /// The text below this node, as written in the page. Scripts and styles count only when this node is one.
    pub fn text(self) -> String {
        if let Some(text) = self.text_node() {
            return text.to_owned();
        }
        let keep_code = is_code(self.name());
        let mut out = String::new();
        let mut at = self.at + 1;
        while at < self.end() {
            let node = Node { doc: self.doc, at };
            match &node.data().kind {
                Kind::Text(span) => out.push_str(self.doc.str(*span)),
                Kind::Element { name, .. } if !keep_code && is_code(name) => {
                    at = node.end();
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        out
    }

    /// The text as shown: white space collapsed except in `pre`, block elements and `<br>` on lines of their own, table
    /// cells parted by tabs, nothing of what is not shown. The node itself counts as shown. No white space at the ends.
    pub fn visible_text(self) -> String {
        let mut out = Shown::default();
        if let Some(text) = self.text_node() {
            out.push(text, false);
            return out.text;
        }
        let nodes = &self.doc.nodes;
        let mut open: Vec<Open> = Vec::new();
        let mut pre = is_pre(self.name());
        let mut at = self.at + 1;
        while at < self.end() {
            while let Some(last) = open.last() {
                if at < last.end {
                    break;
                }
                out.close(last.lines);
                pre = last.pre_before;
                open.pop();
            }
            let node = Node { doc: self.doc, at };
            at += 1;
            match &node.data().kind {
                Kind::Text(span) => out.push(self.doc.str(*span), pre),
                Kind::Element { name, foreign, .. } => {
                    if is_hidden(node) {
                        at = node.end();
                        continue;
                    }
                    let name: &str = name;
                    match name {
                        "br" => out.line_break(),
                        "td" | "th" if has_cell_before(node) => out.tab(),
                        _ => {}
                    }
                    let lines = if *foreign { 0 } else { lines_around(name) };
                    out.open(lines);
                    if lines > 0 || is_pre(name) {
                        open.push(Open { end: nodes[node.at as usize].end, lines, pre_before: pre });
                        pre |= is_pre(name);
                    }
                }
                _ => {}
            }
        }
        out.text
    }

    /// True when the element is never shown: scripts, styles, templates and such, `hidden`, an inline `display:none`.
    /// Looks at the element alone, not at its ancestors.
    pub fn is_hidden(self) -> bool {
        self.is_element() && is_hidden(self)
    }
}

struct Open {
    end: u32,
    lines: u8,
    pre_before: bool,
}

/// The text so far, and the white space that is due before the next character.
#[derive(Default)]
struct Shown {
    text: String,
    /// A collapsed space.
    space: bool,
    tabs: usize,
    /// Line breaks that blocks ask for: the most that any of them wants.
    wanted: u8,
    /// Line breaks of `<br>`.
    breaks: usize,
}

impl Shown {
    fn open(&mut self, lines: u8) {
        if lines > 0 {
            self.wanted = self.wanted.max(lines);
            self.space = false;
        }
    }

    fn close(&mut self, lines: u8) {
        self.open(lines);
    }

    fn line_break(&mut self) {
        self.breaks += 1;
        self.space = false;
    }

    fn tab(&mut self) {
        self.tabs += 1;
        self.space = false;
    }

    fn push(&mut self, text: &str, pre: bool) {
        if pre {
            if !text.is_empty() {
                self.flush();
                self.text.push_str(text);
            }
            return;
        }
        let mut words = text.split([' ', '\t', '\n', '\r', '\x0c']).filter(|w| !w.is_empty()).peekable();
        if words.peek().is_none() {
            self.space |= !text.is_empty();
            return;
        }
        self.space |= text.starts_with([' ', '\t', '\n', '\r', '\x0c']);
        for word in words {
            self.flush();
            self.text.push_str(word);
            self.space = true;
        }
        self.space = text.ends_with([' ', '\t', '\n', '\r', '\x0c']);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            // A block after a <br> needs no further line break.
            let lines = self.breaks.max(usize::from(self.wanted));
            self.text.extend(std::iter::repeat_n('\n', lines));
            if lines == 0 || self.wanted == 0 {
                self.text.extend(std::iter::repeat_n('\t', self.tabs));
            }
            if self.space && lines == 0 && self.tabs == 0 && !self.text.ends_with(['\n', ' ', '\t']) {
                self.text.push(' ');
            }
        }
        (self.space, self.tabs, self.wanted, self.breaks) = (false, 0, 0, 0);
    }
}

/// Elements whose text is a program.
fn is_code(name: &str) -> bool {
    matches!(name, "script" | "style")
}

fn is_pre(name: &str) -> bool {
    matches!(name, "pre" | "textarea" | "listing" | "xmp" | "plaintext")
}

fn is_hidden(node: Node<'_>) -> bool {
    let by_name = match node.name() {
        "script" | "style" | "template" | "noscript" | "head" | "title" | "iframe" | "object" | "audio"
        | "video" | "canvas" | "datalist" | "noembed" | "noframes" | "annotation" | "annotation-xml"
        | "area" | "param" => true,
        "dialog" => node.attr("open").is_none(),
        // The fallback parentheses of ruby.
        "rp" => true,
        _ => false,
    };
    by_name
        || node.raw_attrs().iter().any(|a| match &*a.name {
            "hidden" => !node.doc.str(a.value).eq_ignore_ascii_case("until-found"),
            "style" => hides(node.doc.str(a.value)),
            _ => false,
        })
}

/// True when a style attribute says `display: none`.
fn hides(style: &str) -> bool {
    style.len() > 11
        && style.split(';').any(|rule| {
            rule.split_once(':').is_some_and(|(key, value)| {
                key.trim().eq_ignore_ascii_case("display")
                    && value.trim().get(..4).is_some_and(|v| v.eq_ignore_ascii_case("none"))
            })
        })
        || style.eq_ignore_ascii_case("display:none")
}

/// Line breaks that an element asks for around itself.
fn lines_around(name: &str) -> u8 {
    match name {
        "p" => 2,
        "address" | "article" | "aside" | "blockquote" | "body" | "center" | "dd" | "details" | "dialog"
        | "dir" | "div" | "dl" | "dt" | "fieldset" | "figcaption" | "figure" | "footer" | "form" | "h1"
        | "h2" | "h3" | "h4" | "h5" | "h6" | "header" | "hgroup" | "hr" | "html" | "legend" | "li"
        | "listing" | "main" | "menu" | "nav" | "ol" | "optgroup" | "option" | "plaintext" | "pre"
        | "search" | "section" | "summary" | "table" | "caption" | "tbody" | "thead" | "tfoot" | "tr"
        | "ul" | "xmp" => 1,
        _ => 0,
    }
}

fn has_cell_before(node: Node<'_>) -> bool {
    let mut at = node.data().prev;
    while at != NONE {
        let before = Node { doc: node.doc, at };
        if matches!(before.name(), "td" | "th") {
            return true;
        }
        at = before.data().prev;
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::Document;

    fn shown(html: &str) -> String {
        Document::parse(html).root().visible_text()
    }

    #[test]
    fn white_space_is_collapsed_and_blocks_break_lines() {
        let cases = [
            ("a  b\n c", "a b c"),
            ("<p>a</p><p>b</p>c", "a\n\nb\n\nc"),
            ("<div> a </div> <div><div>b</div></div>", "a\nb"),
            ("a<br>b<br><br>c", "a\nb\n\nc"),
            ("a <b> b</b><i>c</i>", "a bc"),
            ("<ul><li>a<li>b</ul>", "a\nb"),
            ("<table><tr><td>a<td>b<tr><td>c<td><td>d</table>", "a\tb\nc\t\td"),
            ("<pre>a\n  b</pre>c  d", "a\n  b\nc d"),
            ("<title>t</title>a<script>x</script><style>y</style><template>z</template>b", "ab"),
            (
                "a<span hidden>x</span><span style='color:red; display : none'>y</span><span style=display:none>z</span>",
                "a",
            ),
            ("a\u{a0}b", "a\u{a0}b"),
            ("<select><option>a<option>b</select>", "a\nb"),
            ("", ""),
        ];
        for (html, text) in cases {
            assert_eq!(shown(html), text, "{html}");
        }
    }

    #[test]
    fn a_scope_that_is_not_shown_gives_its_text() {
        let doc = Document::parse("<title> a  b </title><script>x  y</script>");
        let of = |name| doc.root().descendants().find(|n| n.name() == name).unwrap();
        assert_eq!(of("title").visible_text(), "a b");
        assert_eq!(of("script").text(), "x  y");
        assert_eq!(doc.root().text(), " a  b ");
    }
}
