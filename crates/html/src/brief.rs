//! A page without its body: only what it says of itself (`html`'s attributes, `base`, `link`, `meta`, `title`, scripts of
//! JSON-LD), wherever in it that stands.
//!
//! Who asks for no more than this does not pay for a tree of everything: tags are met, not built. Must not know: what is
//! done with it. Linear in the page.

use crate::token::{end_of_comment, end_of_script, is_space};

/// What is kept of a page, as a page of its own.
pub(crate) fn brief(page: &str) -> String {
    let mut reader = Reader { bytes: page.as_bytes(), at: 0, svg: 0 };
    let mut out = String::new();
    while let Some((start, end)) = reader.next() {
        out.push_str(&page[start..end]);
    }
    out
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Open `svg` elements, whose titles are those of pictures.
    svg: usize,
}

impl Reader<'_> {
    /// The next piece to keep.
    fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            let start = self.at + memchr::memchr(b'<', self.bytes.get(self.at..)?)?;
            self.at = start + 1;
            match self.bytes.get(start + 1)? {
                b'!' if self.bytes[start..].starts_with(b"<!--") => {
                    let text = &self.bytes[start + 4..];
                    // `<!-->` and `<!--->` are comments that end at once.
                    self.at = match text {
                        [b'>', ..] => start + 5,
                        [b'-', b'>', ..] => start + 6,
                        _ => end_of_comment(self.bytes, start + 4).1,
                    };
                }
                b'!' | b'?' => self.at = self.behind(start, b'>'),
                b'/' => {
                    if self.says(start + 2, b"svg") {
                        self.svg = self.svg.saturating_sub(1);
                    }
                    if self.bytes.get(start + 2).is_some_and(u8::is_ascii_alphabetic) {
                        self.at = self.end_of_tag(start + 2);
                    } else {
                        self.at = self.behind(start, b'>');
                    }
                }
                byte if byte.is_ascii_alphabetic() => {
                    if let Some(piece) = self.element(start) {
                        return Some(piece);
                    }
                }
                _ => {}
            }
        }
    }

    /// An element that begins at `start`: kept, or passed over.
    fn element(&mut self, start: usize) -> Option<(usize, usize)> {
        let name_end = start
            + 1
            + self.bytes[start + 1..]
                .iter()
                .take_while(|b| !is_space(**b) && !matches!(b, b'/' | b'>'))
                .count();
        let end = self.end_of_tag(name_end);
        self.at = end;
        let name = &self.bytes[start + 1..name_end];
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        if is(b"html") || is(b"meta") || is(b"link") || is(b"base") {
            return Some((start, end));
        }
        let is_closed = self.bytes[..end].ends_with(b"/>");
        if is(b"svg") && !is_closed {
            self.svg += 1;
        }
        let is_raw =
            [&b"title"[..], b"script", b"style", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes"];
        // Within a picture elements of these names are elements like others.
        if self.svg == 0 && is_raw.iter().any(|word| is(word)) {
            self.at = self.end_of_raw(end, name);
            let is_data = || is(b"script") && says_json_ld(&self.bytes[name_end..end]);
            return (is(b"title") || is_data()).then_some((start, self.at));
        }
        if is(b"plaintext") {
            self.at = self.bytes.len();
        }
        None
    }

    /// The place behind a tag's `>`, which may stand in its attributes' values too.
    fn end_of_tag(&self, from: usize) -> usize {
        let mut at = from;
        loop {
            let Some(found) = memchr::memchr2(b'>', b'=', &self.bytes[at..]) else { return self.bytes.len() };
            at += found;
            if self.bytes[at] == b'>' {
                return at + 1;
            }
            at += 1;
            at += self.bytes[at..].iter().take_while(|b| is_space(**b)).count();
            if let Some(quote @ (b'"' | b'\'')) = self.bytes.get(at) {
                at = self.behind(at + 1, *quote);
            }
        }
    }

    /// The place behind the end tag of a raw element.
    fn end_of_raw(&self, from: usize, name: &[u8]) -> usize {
        let closes = |at: &usize| {
            let end = at + 2 + name.len();
            self.bytes.get(at + 1) == Some(&b'/')
                && self.says(at + 2, name)
                && self.bytes.get(end).is_some_and(|b| is_space(*b) || matches!(b, b'/' | b'>'))
        };
        let end = if name.eq_ignore_ascii_case(b"script") {
            end_of_script(self.bytes, from)
        } else {
            memchr::memchr_iter(b'<', &self.bytes[from..]).map(|n| from + n).find(closes)
        };
        end.map_or(self.bytes.len(), |at| self.end_of_tag(at + 2 + name.len()))
    }

    fn says(&self, at: usize, word: &[u8]) -> bool {
        self.bytes.get(at..at + word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    fn behind(&self, from: usize, byte: u8) -> usize {
        self.bytes
            .get(from..)
            .and_then(|rest| memchr::memchr(byte, rest))
            .map_or(self.bytes.len(), |n| from + n + 1)
    }
}

fn says_json_ld(attributes: &[u8]) -> bool {
    const WORD: &[u8] = b"ld+json";
    attributes.windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept() {
        let page = "<!doctype html><html lang='a>b'><head><title>T</title><meta name=a content=\"x>y\"><!-- <meta name=no> -->
            <script>var x = '<meta name=no>'; '</scr' </script><style><link></style><body><svg><title>no</title></svg>
            <p data-x='<meta name=no>'>text<link rel=canonical href=/c><script type=\"application/ld+json\">{\"a\":\"<p>\"}</script>
            <textarea><base></textarea></body>";
        assert_eq!(
            brief(page),
            "<html lang='a>b'><title>T</title><meta name=a content=\"x>y\"><link rel=canonical href=/c>\
             <script type=\"application/ld+json\">{\"a\":\"<p>\"}</script>"
        );
    }

    #[test]
    fn odd_pages_end() {
        for page in [
            "",
            "<",
            "<a",
            "<a href=",
            "<a href='",
            "<title>",
            "<script>",
            "<!--",
            "</",
            "<!-->x<meta>",
            "<script><!--<script></script><meta>",
        ] {
            let _ = brief(page);
        }
        assert_eq!(brief("<!--><meta>"), "<meta>");
        let many = "<script>".repeat(100_000);
        assert!(brief(&many).is_empty());
    }
}
