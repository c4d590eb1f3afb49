//! Text → tokens for html5ever's tree builder: the tokenizer of the HTML standard, section 13.2.5, over a whole page.
//!
//! Owns: where the page stands and which of the standard's families of states it is in. A page is whole and never written
//! to by a script, so every construct is read at once by searching for its end, and text is handed on as a slice of the page
//! that nobody copies. Must not know: the tree.
//!
//! Every step takes time linear in what it reads, and no byte is read more than a few times.

mod doctype;
mod entity;
mod markup;
mod raw;
mod tag;
#[cfg(test)]
mod tests;

pub(crate) use entity::unescape;
pub(crate) use markup::end_of_comment;
pub(crate) use raw::end_of_script;

use html5ever::LocalName;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Token, TokenSink, TokenSinkResult};

/// Which family of the standard's states comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Data,
    /// Within an element whose content ends only at its own end tag.
    Raw(RawKind),
    Plaintext,
}

/// Where the tokenizer stands when it sends a token: at the end of a tag, at the beginning of a text. In the form in which the
/// parser carries the number of a line to its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    fn of(tag_at: usize, at: usize) -> Self {
        // Pages are shorter than 4 GiB.
        Place((tag_at as u64) << 32 | at as u64)
    }

    /// Where the last tag began.
    pub(crate) fn tag(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Where the page goes on.
    pub(crate) fn end(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }
}

/// Reads one page for one sink.
pub(crate) struct Tokenizer<'a, S> {
    sink: &'a S,
    /// The page with its newlines normalized; tokens share its buffer.
    page: StrTendril,
    at: usize,
    /// Where the last tag began.
    tag_at: usize,
    mode: Mode,
    /// The last start tag: what an end tag in [`Mode::Raw`] must be called.
    last_start: LocalName,
    /// Something was left out for the sake of a bound.
    dropped: bool,
}

impl<'a, S: TokenSink> Tokenizer<'a, S> {
    /// `text` is at most 4 GiB.
    pub(crate) fn new(text: &str, sink: &'a S) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let page = match memchr::memchr(b'\r', text.as_bytes()) {
            Some(first) => StrTendril::from_slice(&newlines(text, first)),
            None => StrTendril::from_slice(text),
        };
        Tokenizer {
            sink,
            page,
            at: 0,
            tag_at: 0,
            mode: Mode::Data,
            last_start: LocalName::default(),
            dropped: false,
        }
    }

    /// Bytes read so far, of the page with its newlines normalized.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// True once an attribute was left out because its tag has too many.
    pub(crate) fn has_dropped(&self) -> bool {
        self.dropped
    }

    /// Reads the next construct: a run of text, a tag, a comment. False at the end of the page.
    pub(crate) fn step(&mut self) -> bool {
        if self.at >= self.page.len() {
            return false;
        }
        match self.mode {
            Mode::Data => self.data(),
            Mode::Raw(kind) => self.raw(kind),
            Mode::Plaintext => {
                self.text_without_null(self.at, self.page.len());
                self.at = self.page.len();
            }
        }
        true
    }

    /// Tells the sink that the page ends here.
    pub(crate) fn finish(self) {
        self.send(Token::EOFToken);
        self.sink.end();
    }

    fn bytes(&self) -> &[u8] {
        self.page.as_bytes()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// True when the page goes on at `at` with `word`, whatever the case of its letters.
    fn says(&self, at: usize, word: &[u8]) -> bool {
        self.bytes().get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    fn data(&mut self) {
        let start = self.at;
        let found = memchr::memchr3(b'<', b'&', 0, &self.bytes()[start..]);
        let end = found.map_or(self.page.len(), |offset| start + offset);
        self.text(start, end);
        self.at = end;
        match self.byte(end) {
            Some(b'<') => self.angle(),
            Some(b'&') => self.reference(),
            Some(_) => {
                self.at += 1;
                self.send(Token::NullCharacterToken);
            }
            None => {}
        }
    }

    /// The standard's tag open state. The page stands at `<`.
    fn angle(&mut self) {
        match self.byte(self.at + 1) {
            Some(b'!') => self.declaration(),
            Some(b'/') => match self.byte(self.at + 2) {
                Some(byte) if byte.is_ascii_alphabetic() => self.end_tag(self.at + 2),
                Some(b'>') => self.at += 3,
                Some(_) => self.bogus_comment(self.at + 2),
                None => self.literal(2),
            },
            Some(b'?') => self.bogus_comment(self.at + 1),
            Some(byte) if byte.is_ascii_alphabetic() => self.start_tag(),
            _ => self.literal(1),
        }
    }

    /// A reference in text. The page stands at `&`.
    fn reference(&mut self) {
        match entity::read(self.bytes(), self.at, false) {
            Some((value, end)) => {
                self.at = end;
                self.send(Token::CharacterTokens(value.as_str().into()));
            }
            None => self.literal(1),
        }
    }

    /// The next `len` bytes are text after all.
    fn literal(&mut self, len: usize) {
        self.text(self.at, self.at + len);
        self.at += len;
    }

    /// Sends a stretch that holds no NUL.
    fn text(&self, start: usize, end: usize) {
        if start < end {
            self.send(Token::CharacterTokens(self.slice(start, end)));
        }
    }

    /// Sends a stretch, its NULs as U+FFFD.
    fn text_without_null(&self, start: usize, end: usize) {
        if start < end {
            self.send(Token::CharacterTokens(self.without_null(start, end)));
        }
    }

    /// A stretch with its NULs as U+FFFD.
    fn without_null(&self, start: usize, end: usize) -> StrTendril {
        let slice = self.slice(start, end);
        if memchr::memchr(0, slice.as_bytes()).is_none() {
            return slice;
        }
        slice.replace('\0', "\u{fffd}").into()
    }

    /// A stretch of the page. Its ends are beside ASCII bytes or at the page's ends, so they are between characters.
    fn slice(&self, start: usize, end: usize) -> StrTendril {
        // Casts: `new` asks for less than 4 GiB.
        self.page.subtendril(start as u32, (end - start) as u32)
    }

    /// A token goes out with its place, as the number of its line: places cost nothing so.
    fn send(&self, token: Token) -> Option<Mode> {
        match self.sink.process_token(token, Place::of(self.tag_at, self.at).0) {
            TokenSinkResult::RawData(kind) => Some(Mode::Raw(kind)),
            TokenSinkResult::Plaintext => Some(Mode::Plaintext),
            // Scripts are not run, and the page was decoded before.
            TokenSinkResult::Continue
            | TokenSinkResult::Script(_)
            | TokenSinkResult::EncodingIndicator(_) => None,
        }
    }
}

/// The white space of HTML; a carriage return is none any more.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | 0x0c)
}

/// `\r\n` and `\r` become `\n`; the first is at `first`.
fn newlines(text: &str, first: usize) -> String {
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        out.push('\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    out.push_str(rest);
    out
}
