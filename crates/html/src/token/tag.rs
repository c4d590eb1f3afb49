//! Tags and their attributes (the standard, 13.2.5.6 to 8 and 32 to 40).

use super::{Tokenizer, entity, is_space};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink};
use html5ever::{Attribute, LocalName, QualName, ns};

/// Attributes of a tag past this number are not kept: they are compared pairwise.
const MAX_ATTRS: usize = 1_024;

impl<S: TokenSink> Tokenizer<'_, S> {
    /// The page stands at `<`, a letter follows.
    pub(super) fn start_tag(&mut self) {
        self.tag_at = self.at;
        let name = self.tag_name(self.at + 1);
        self.last_start = name.clone();
        self.rest_of_tag(TagKind::StartTag, name);
    }

    /// `start` is where the end tag's name begins, behind `</`.
    pub(super) fn end_tag(&mut self, start: usize) {
        self.tag_at = start - 2;
        let name = self.tag_name(start);
        self.rest_of_tag(TagKind::EndTag, name);
    }

    /// Reads the name that begins at `start`, and stands behind it.
    fn tag_name(&mut self, start: usize) -> LocalName {
        let rest = &self.bytes()[start..];
        let end = rest.iter().position(|&b| is_space(b) || matches!(b, b'/' | b'>')).unwrap_or(rest.len());
        self.at = start + end;
        self.name(start, self.at)
    }

    /// Reads attributes up to the tag's `>` and sends the tag. At the end of the page the tag is dropped.
    fn rest_of_tag(&mut self, kind: TagKind, name: LocalName) {
        let mut tag =
            Tag { kind, name, self_closing: false, attrs: Vec::new(), had_duplicate_attributes: false };
        loop {
            match self.byte(self.at) {
                None => return,
                Some(b'>') => break,
                Some(b'/') => {
                    self.at += 1;
                    if self.byte(self.at) == Some(b'>') {
                        tag.self_closing = true;
                        break;
                    }
                }
                Some(byte) if is_space(byte) => self.at += 1,
                Some(_) => match self.attribute() {
                    Some((name, value)) => self.keep(&mut tag, name, value),
                    None => {
                        self.at = self.page.len();
                        return;
                    }
                },
            }
        }
        self.at += 1;
        if let Some(mode) = self.send(Token::TagToken(tag)) {
            self.mode = mode;
        }
    }

    fn keep(&mut self, tag: &mut Tag, name: LocalName, value: StrTendril) {
        if tag.attrs.len() >= MAX_ATTRS {
            self.dropped = true;
        } else if tag.attrs.iter().any(|attr| attr.name.local == name) {
            tag.had_duplicate_attributes = true;
        } else {
            tag.attrs.push(Attribute { name: QualName::new(None, ns!(), name), value });
        }
    }

    /// Reads one attribute, and stands behind it. `None` when the page ends in it.
    fn attribute(&mut self) -> Option<(LocalName, StrTendril)> {
        let start = self.at;
        let bytes = self.bytes();
        // A name may begin with `=`.
        let end = (start + 1..bytes.len())
            .find(|&at| is_space(bytes[at]) || matches!(bytes[at], b'/' | b'>' | b'='))?;
        let sign = end + self.spaces(end);
        let name = self.name(start, end);
        if self.byte(sign)? != b'=' {
            self.at = sign;
            return Some((name, StrTendril::new()));
        }
        let value = sign + 1 + self.spaces(sign + 1);
        match self.byte(value)? {
            quote @ (b'"' | b'\'') => {
                let start = value + 1;
                let end = start + memchr::memchr(quote, &self.bytes()[start..])?;
                self.at = end + 1;
                Some((name, self.value(start, end)))
            }
            b'>' => {
                self.at = value;
                Some((name, StrTendril::new()))
            }
            _ => {
                let rest = &self.bytes()[value..];
                let end = value + rest.iter().position(|&b| is_space(b) || b == b'>')?;
                self.at = end;
                Some((name, self.value(value, end)))
            }
        }
    }

    fn spaces(&self, at: usize) -> usize {
        self.bytes()[at..].iter().take_while(|&&byte| is_space(byte)).count()
    }

    /// A stretch as a name: its letters small, its NULs as U+FFFD.
    fn name(&self, start: usize, end: usize) -> LocalName {
        let name = &self.page[start..end];
        if name.bytes().any(|byte| byte == 0 || byte.is_ascii_uppercase()) {
            LocalName::from(name.to_ascii_lowercase().replace('\0', "\u{fffd}"))
        } else {
            LocalName::from(name)
        }
    }

    /// A stretch as a value: its references resolved, its NULs as U+FFFD.
    fn value(&self, start: usize, end: usize) -> StrTendril {
        let bytes = &self.bytes()[..end];
        if memchr::memchr(b'&', &bytes[start..]).is_none() {
            return self.without_null(start, end);
        }
        let mut value = StrTendril::new();
        let mut at = start;
        while let Some(offset) = memchr::memchr(b'&', &bytes[at..]) {
            let reference = at + offset;
            value.push_slice(&self.page[at..reference]);
            // A reference cannot reach beyond the value: neither quotes nor spaces nor `>` are part of one.
            match entity::read(self.bytes(), reference, true) {
                Some((resolved, after)) => {
                    value.push_slice(resolved.as_str());
                    at = after;
                }
                None => {
                    value.push_char('&');
                    at = reference + 1;
                }
            }
        }
        value.push_slice(&self.page[at..end]);
        if memchr::memchr(0, value.as_bytes()).is_some() {
            value.replace('\0', "\u{fffd}").into()
        } else {
            value
        }
    }
}
