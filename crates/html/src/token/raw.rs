//! Elements whose content ends only at their own end tag: `title` and `textarea` (RCDATA), `style` and the like (RAWTEXT),
//! `script` with its escapes (the standard, 13.2.5.2 to 4 and 9 to 31).

use super::{Mode, Tokenizer, entity, is_space};
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Token, TokenSink};

/// How deep a script is in `<!--` and, within that, in `<script`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    Plain,
    Escaped,
    Double,
}

impl<S: TokenSink> Tokenizer<'_, S> {
    /// Reads up to and with the end tag, or to the end of the page.
    pub(super) fn raw(&mut self, kind: RawKind) {
        let start = self.at;
        let end = match kind {
            RawKind::ScriptData | RawKind::ScriptDataEscaped(_) => end_of_script(self.bytes(), start),
            RawKind::Rcdata | RawKind::Rawtext => memchr::memchr_iter(b'<', &self.bytes()[start..])
                .map(|offset| start + offset)
                .find(|&at| self.closes(at)),
        };
        let text_end = end.unwrap_or(self.page.len());
        if kind == RawKind::Rcdata {
            self.rcdata(start, text_end)
        } else {
            self.text_without_null(start, text_end)
        }
        self.at = text_end;
        if end.is_some() {
            self.mode = Mode::Data;
            self.end_tag(text_end + 2);
        }
    }

    /// True when the end tag of the open element is at `at`.
    fn closes(&self, at: usize) -> bool {
        let name = self.last_start.as_bytes();
        self.byte(at + 1) == Some(b'/') && self.says(at + 2, name) && self.ends_name(at + 2 + name.len())
    }

    fn ends_name(&self, at: usize) -> bool {
        self.byte(at).is_some_and(|byte| is_space(byte) || matches!(byte, b'/' | b'>'))
    }

    fn rcdata(&self, start: usize, end: usize) {
        let mut at = start;
        while let Some(offset) = memchr::memchr(b'&', &self.bytes()[at..end]) {
            let reference = at + offset;
            self.text_without_null(at, reference);
            at = match entity::read(self.bytes(), reference, false) {
                Some((value, after)) => {
                    self.send(Token::CharacterTokens(value.as_str().into()));
                    after
                }
                None => {
                    self.text(reference, reference + 1);
                    reference + 1
                }
            };
        }
        self.text_without_null(at, end);
    }
}

/// Where the end tag of a script begins whose text begins at `start`; `None` if the page ends first.
pub(crate) fn end_of_script(bytes: &[u8], start: usize) -> Option<usize> {
    let says = |at: usize, word: &[u8]| {
        bytes.get(at..at + word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    let ends_name =
        |at: usize| bytes.get(at).is_some_and(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'));
    let mut escape = Escape::Plain;
    let mut at = start;
    loop {
        let rest = bytes.get(at..)?;
        at += match escape {
            Escape::Plain => memchr::memchr(b'<', rest),
            Escape::Escaped | Escape::Double => memchr::memchr2(b'<', b'-', rest),
        }?;
        let closes = || says(at, b"</script") && ends_name(at + 8);
        match escape {
            Escape::Plain if says(at, b"<!--") => {
                escape = Escape::Escaped;
                // The two dashes may be those of `-->` too.
                at += 2;
                continue;
            }
            Escape::Escaped | Escape::Double if says(at, b"-->") => escape = Escape::Plain,
            Escape::Plain | Escape::Escaped if closes() => return Some(at),
            Escape::Escaped if says(at, b"<script") && ends_name(at + 7) => escape = Escape::Double,
            Escape::Double if closes() => escape = Escape::Escaped,
            _ => {}
        }
        at += 1;
    }
}
