//! Is a page an empty shell that scripts fill in the browser? Pure: a guess from what the page is made of.
//!
//! Owns: the signs and how they are weighed. Must not know: browsers, how the page was fetched.

use html::{Document, Node};

/// Characters of text that a person sees, below which a page is next to empty.
const FEW_CHARS: usize = 250;
/// Below which it has little to say: a header, a footer, a cookie notice.
const SOME_CHARS: usize = 1_500;
/// Bytes of scripts within the page that count as much script.
const MUCH_SCRIPT: usize = 4_000;
/// Elements that applications are put into, by id; `data-reactroot`, `ng-app` and `ng-version` are looked for too.
const ROOTS: [&str; 13] = [
    "app",
    "root",
    "__next",
    "__nuxt",
    "__layout",
    "___gatsby",
    "svelte",
    "main-app",
    "app-root",
    "react-root",
    "application",
    "q-app",
    "ember-app",
];
/// Elements for applications that are measured.
const ROOTS_MEASURED: usize = 8;
/// Elements of these names are applications by themselves.
const ROOT_NAMES: [&str; 2] = ["app-root", "my-app"];
/// What pages say to those who run no scripts. In lower case.
const HINTS: [&str; 10] = [
    "javascript",
    "java script",
    "activez js",
    "необходимо включить",
    "スクリプト",
    "jscript",
    "scripting",
    "enable js",
    "requires js",
    "js is disabled",
];

/// How much a page looks like a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shell {
    /// It has something to say by itself.
    Full,
    /// It may be one: worth a browser if nothing that was looked for is on it.
    Likely,
    /// It is one.
    Empty,
}

/// Judges a page of HTML.
pub fn shell(text: &str) -> Shell {
    let page = Document::parse(text);
    let mut signs = Signs::default();
    for node in page.root().descendants() {
        signs.note(node);
    }
    // A short `<noscript>` is a note; a long one is the page as its site wrote it for those who run no scripts, as we do.
    signs.verdict(visible(page.root()) + signs.written)
}

#[derive(Default)]
struct Signs {
    /// An element for an application that is empty.
    hollow_root: bool,
    /// How many there are.
    roots: usize,
    /// `<noscript>` asks for scripts.
    hint: bool,
    /// Characters in `<noscript>` that are more than a note.
    written: usize,
    scripts: usize,
    script_bytes: usize,
    /// The page goes elsewhere by itself, or is in frames.
    elsewhere: bool,
}

impl Signs {
    fn note(&mut self, node: Node<'_>) {
        match node.name() {
            "script" => {
                let kind = node.attr("type").unwrap_or_default().to_ascii_lowercase();
                // Data in a script's clothes is read where it stands.
                if !kind.is_empty() && !kind.contains("javascript") && kind != "module" {
                    return;
                }
                self.scripts += 1;
                self.script_bytes += node.text().len();
            }
            "noscript" => {
                let said = node.text().to_lowercase();
                let asks = HINTS.iter().any(|hint| said.contains(hint));
                self.hint |= asks;
                let chars: usize = node.children().map(visible).sum();
                if chars >= if asks { SOME_CHARS } else { FEW_CHARS } {
                    self.written += chars;
                }
            }
            "frameset" => self.elsewhere = true,
            "" => {}
            name => {
                let id = node.attr("id").unwrap_or_default();
                let is_root = ROOTS.iter().any(|root| root.eq_ignore_ascii_case(id))
                    || ROOT_NAMES.contains(&name)
                    || ["data-reactroot", "ng-app", "ng-version", "data-v-app", "data-server-rendered"]
                        .iter()
                        .any(|attr| node.attr(attr).is_some());
                // A page has one or two; measuring each of many would cost the square of its length.
                if is_root && self.roots < ROOTS_MEASURED {
                    self.roots += 1;
                    self.hollow_root |= visible(node) < 60;
                }
            }
        }
    }

    fn verdict(&self, seen: usize) -> Shell {
        if self.scripts == 0 || self.elsewhere {
            return Shell::Full;
        }
        let says_so = self.hollow_root || self.hint;
        let much_script = self.script_bytes >= MUCH_SCRIPT || self.scripts >= 3;
        match seen {
            n if n < FEW_CHARS && (says_so || (n < 40 && self.scripts > 0)) => Shell::Empty,
            n if n < FEW_CHARS && much_script => Shell::Likely,
            n if n < SOME_CHARS && self.hollow_root => Shell::Empty,
            n if n < SOME_CHARS && (self.roots > 0 || self.hint || much_script) => Shell::Likely,
            _ if self.hollow_root => Shell::Likely,
            _ => Shell::Full,
        }
    }
}

/// Characters that a person would see in an element, white space as one.
fn visible(scope: Node<'_>) -> usize {
    let mut chars = 0;
    let mut skipped: Option<Node<'_>> = None;
    for node in scope.descendants() {
        if skipped.is_some_and(|within| within.contains(node)) {
            continue;
        }
        skipped = None;
        if matches!(node.name(), "script" | "style" | "noscript" | "template" | "head" | "svg") {
            skipped = Some(node);
            continue;
        }
        if let Some(text) = node.text_node() {
            chars += text.split_whitespace().map(|word| word.chars().count() + 1).sum::<usize>();
        }
    }
    chars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> String {
        format!("<!DOCTYPE html><html><head><title>Shop</title></head><body>{body}</body></html>")
    }

    #[test]
    fn empty_shells() {
        for body in [
            "<div id=app></div><script src=/app.js></script>",
            "<noscript>You need to enable JavaScript to run this app.</noscript><div id=root></div><script src=a.js></script>",
            "<div id=__next><div class=spinner>Loading…</div></div><script>self.__next_f=[]</script>",
            "<app-root></app-root><script src=main.js type=module></script>",
            "<div class=x></div><script src=1.js></script>",
            "<header>Shop Cart Login</header><div id=root></div><footer>About us, Contact, Imprint, Terms</footer>\
             <script src=1.js></script>",
        ] {
            assert_eq!(shell(&page(body)), Shell::Empty, "{body}");
        }
    }

    #[test]
    fn pages_with_something_to_say() {
        let text = "An ordinary sentence of an article that is there for everybody. ".repeat(40);
        for body in [
            format!("<article>{text}</article><script src=ads.js></script>"),
            format!("<div id=root><main>{text}</main></div><script src=app.js></script>"),
            "<p>Hello.</p>".to_owned(),
            "<ul><li><a href=/p/1>product 1</a></ul>".to_owned(),
            String::new(),
            // Forums that write the whole page a second time.
            format!("<noscript><h1>A topic</h1><p>{text}</p></noscript><script src=a.js></script>"),
            format!(
                "<noscript><p>Best with JavaScript enabled.</p><p>{text}</p></noscript><script src=a.js></script>"
            ),
            format!(
                "<noscript>Please enable JavaScript.</noscript><article>{text}</article><script></script>"
            ),
        ] {
            assert_eq!(shell(&page(&body)), Shell::Full, "{body}");
        }
    }

    #[test]
    fn pages_that_may_be_shells() {
        let words = "A word or two. ".repeat(30);
        for body in [
            format!("<div id=app><p>{words}</p></div><script src=app.js></script>"),
            format!("<p>{words}</p><noscript>JavaScript is required</noscript><script src=a.js></script>"),
        ] {
            assert_eq!(shell(&page(&body)), Shell::Likely, "{body}");
        }
    }
}
