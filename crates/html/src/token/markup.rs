//! What begins with `<!`: comments, CDATA sections, doctypes; and the bogus comments that anything else becomes
//! (the standard, 13.2.5.41 to 52 and 69 to 71).

use super::{Tokenizer, doctype};
use html5ever::tokenizer::{Token, TokenSink};
use memchr::memmem;

impl<S: TokenSink> Tokenizer<'_, S> {
    /// The page stands at `<!`.
    pub(super) fn declaration(&mut self) {
        let start = self.at + 2;
        if self.says(start, b"--") {
            self.comment(start + 2);
        } else if self.says(start, b"doctype") {
            let (doctype, end) = doctype::read(&self.page, start + 7);
            self.at = end;
            self.send(Token::DoctypeToken(doctype));
        } else if self.bytes()[start..].starts_with(b"[CDATA[")
            && self.sink.adjusted_current_node_present_but_not_in_html_namespace()
        {
            self.cdata(start + 7);
        } else {
            self.bogus_comment(start);
        }
    }

    /// `start` is behind `<!--`.
    fn comment(&mut self, start: usize) {
        let bytes = self.bytes();
        for empty in [&b">"[..], b"->"] {
            if bytes[start..].starts_with(empty) {
                self.at = start + empty.len();
                self.send(Token::CommentToken(Default::default()));
                return;
            }
        }
        let (end, after) = end_of_comment(bytes, start);
        self.at = after;
        self.send(Token::CommentToken(self.without_null(start, end)));
    }

    /// `start` is where the comment's text begins; it ends at the next `>`.
    pub(super) fn bogus_comment(&mut self, start: usize) {
        let rest = &self.bytes()[start..];
        let end = start + memchr::memchr(b'>', rest).unwrap_or(rest.len());
        self.at = (end + 1).min(self.page.len());
        self.send(Token::CommentToken(self.without_null(start, end)));
    }

    /// `start` is behind `<![CDATA[`.
    fn cdata(&mut self, start: usize) {
        let rest = &self.bytes()[start..];
        let end = memmem::find(rest, b"]]>").map_or(self.page.len(), |offset| start + offset);
        let mut at = start;
        for null in memchr::memchr_iter(0, &self.bytes()[start..end]) {
            self.text(at, start + null);
            self.send(Token::NullCharacterToken);
            at = start + null + 1;
        }
        self.text(at, end);
        self.at = (end + 3).min(self.page.len());
    }
}

/// Where the text of a comment ends that begins at `start`, and where the page goes on.
pub(crate) fn end_of_comment(bytes: &[u8], start: usize) -> (usize, usize) {
    let mut at = start;
    while let Some(offset) = memmem::find(&bytes[at..], b"--") {
        let dashes = bytes[at + offset..].iter().take_while(|&&byte| byte == b'-').count();
        // The last two may end it; those before them belong to the comment.
        let end = at + offset + dashes - 2;
        at = end + 2;
        match &bytes[at..] {
            [b'>', ..] => return (end, at + 1),
            [b'!', b'>', ..] => return (end, at + 2),
            _ => {}
        }
    }
    let rest = &bytes[start..];
    let open = [&b"--!"[..], b"--", b"-"].into_iter().find(|open| rest.ends_with(open));
    (bytes.len() - open.map_or(0, <[u8]>::len), bytes.len())
}
