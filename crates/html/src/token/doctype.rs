//! Doctypes (the standard, 13.2.5.53 to 68): the tree builder tells by them whether a page is in quirks mode.

use super::is_space;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::Doctype;

/// Reads what follows `<!doctype`: the token, and where the page goes on.
pub(super) fn read(page: &str, start: usize) -> (Doctype, usize) {
    let mut reader = Reader { page, at: start, doctype: Doctype::default() };
    if reader.doctype().is_none() {
        reader.doctype.force_quirks = true;
    }
    // What is left is a bogus doctype, up to its end.
    let rest = &page.as_bytes()[reader.at..];
    let end = memchr::memchr(b'>', rest).map_or(page.len(), |offset| reader.at + offset + 1);
    (reader.doctype, end)
}

struct Reader<'a> {
    page: &'a str,
    at: usize,
    doctype: Doctype,
}

impl<'a> Reader<'a> {
    /// Stands at the `>`, or where nothing more is understood. `None` when that means quirks.
    fn doctype(&mut self) -> Option<()> {
        self.skip_spaces();
        let name = self.until(|byte| is_space(byte) || byte == b'>');
        if name.is_empty() {
            return None;
        }
        self.doctype.name = Some(clean(&name.to_ascii_lowercase()));
        self.skip_spaces();
        if self.peek()? == b'>' {
            return Some(());
        }
        if self.eat(b"public") {
            self.skip_spaces();
            if !matches!(self.peek()?, b'"' | b'\'') {
                return None;
            }
            let (id, closed) = self.quoted();
            self.doctype.public_id = Some(id);
            closed.then_some(())?;
            self.skip_spaces();
            match self.peek()? {
                b'>' => return Some(()),
                b'"' | b'\'' => {}
                _ => return None,
            }
        } else if self.eat(b"system") {
            self.skip_spaces();
            if !matches!(self.peek()?, b'"' | b'\'') {
                return None;
            }
        } else {
            return None;
        }
        let (id, closed) = self.quoted();
        self.doctype.system_id = Some(id);
        closed.then_some(())?;
        self.skip_spaces();
        // Anything else before the end is bogus, but does not mean quirks.
        self.peek().map(drop)
    }

    fn peek(&self) -> Option<u8> {
        self.page.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        self.until(|byte| !is_space(byte));
    }

    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = &self.page.as_bytes()[start..];
        self.at += rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
        &self.page[start..self.at]
    }

    fn eat(&mut self, word: &[u8]) -> bool {
        let found =
            self.page.as_bytes()[self.at..].get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// An identifier, and whether its closing quote is there. Stands behind it, or at the `>` that cut it off.
    fn quoted(&mut self) -> (StrTendril, bool) {
        let quote = self.peek().unwrap_or(b'"');
        self.at += 1;
        let id = clean(self.until(|byte| byte == quote || byte == b'>'));
        let closed = self.peek() == Some(quote);
        self.at += usize::from(closed);
        (id, closed)
    }
}

fn clean(text: &str) -> StrTendril {
    text.replace('\0', "\u{fffd}").into()
}
