//! A date's text as numbers, words and marks, in one spelling: lower case, ASCII digits, without what only decorates.

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// As written, in one spelling.
    pub(super) text: String,
    /// Nothing stands between it and the piece before.
    pub(super) tight: bool,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Word,
    Mark(char),
}

impl Token {
    pub(super) fn is_mark(&self, marks: &[char]) -> bool {
        matches!(self.kind, Kind::Mark(c) if marks.contains(&c))
    }

    pub(super) fn word(&self) -> Option<&str> {
        (self.kind == Kind::Word).then_some(self.text.as_str())
    }

    /// The number, if it has so many digits.
    pub(super) fn number(&self, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
        (self.kind == Kind::Number && digits.contains(&self.text.len()))
            .then(|| self.text.parse().ok())
            .flatten()
    }
}

/// One spelling of a word: lower case, one apostrophe, no vowel points, compound letters taken apart.
pub(super) fn spell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // The dot that a Turkish capital I leaves, joiners and marks of direction, Arabic vowels, Hebrew points.
            '\u{307}'
            | '\u{200b}'..='\u{200f}'
            | '\u{64b}'..='\u{652}'
            | '\u{5b0}'..='\u{5c7}'
            | '\u{5f3}'
            | '\u{5f4}'
            | '\u{640}' => {}
            '\u{2019}' | '\u{2bc}' | '\u{2018}' => out.push('\''),
            // Letters with a nukta: Unicode never composes them, keyboards do.
            '\u{9dc}' => out.push_str("\u{9a1}\u{9bc}"),
            '\u{9dd}' => out.push_str("\u{9a2}\u{9bc}"),
            '\u{9df}' => out.push_str("\u{9af}\u{9bc}"),
            '\u{95b}' => out.push_str("\u{91c}\u{93c}"),
            '\u{95e}' => out.push_str("\u{92b}\u{93c}"),
            c => out.extend(c.to_lowercase().filter(|c| *c != '\u{307}')),
        }
    }
    out
}

/// The same without accents, for Latin and Greek letters; what has none stays.
pub(super) fn bare(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
            'é' | 'è' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' | 'ė' => 'e',
            'í' | 'ì' | 'î' | 'ï' | 'ī' | 'ı' | 'į' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ő' | 'ø' => 'o',
            'ú' | 'ù' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ų' => 'u',
            'ý' | 'ÿ' => 'y',
            'ç' | 'č' | 'ć' => 'c',
            'ş' | 'š' | 'ś' | 'ș' => 's',
            'ž' | 'ź' | 'ż' => 'z',
            'ñ' | 'ń' | 'ň' | 'ņ' => 'n',
            'ğ' | 'ģ' => 'g',
            'ł' | 'ļ' | 'ľ' => 'l',
            'ř' => 'r',
            'ť' | 'ț' | 'ţ' => 't',
            'ď' | 'đ' => 'd',
            'ķ' => 'k',
            'ά' => 'α',
            'έ' => 'ε',
            'ή' => 'η',
            'ί' | 'ϊ' | 'ΐ' => 'ι',
            'ό' => 'ο',
            'ύ' | 'ϋ' | 'ΰ' => 'υ',
            'ώ' => 'ω',
            c => c,
        })
        .collect()
}

/// Vowel signs and other marks that belong to the letter before them.
fn is_letter(c: char) -> bool {
    c.is_alphabetic()
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{93c}' | '\u{94d}' | '\u{9bc}' | '\u{9cd}' | '\u{a3c}' | '\u{a4d}'
            | '\u{acd}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{ccd}' | '\u{d4d}' | '\u{e31}' | '\u{e34}'..='\u{e3a}'
            | '\u{e47}'..='\u{e4e}' | '\u{eb1}' | '\u{eb4}'..='\u{ebc}' | '\u{ec8}'..='\u{ecd}' | '\u{1037}'..='\u{103a}'
            | '\u{17c6}'..='\u{17d3}')
}

/// The pieces of a text whose digits are ASCII.
pub(super) fn tokens(input: &str) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let spelled = spell(input);
    let mut rest = spelled.as_str();
    let mut tight = false;
    while let Some(c) = rest.chars().next() {
        let len = |f: fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
        if c.is_whitespace() {
            tight = false;
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (kind, end) = if c.is_ascii_digit() {
            (Kind::Number, len(|c| c.is_ascii_digit()))
        } else if is_letter(c) {
            (Kind::Word, abbreviation(rest).unwrap_or_else(|| len(is_letter)))
        } else {
            (Kind::Mark(c), c.len_utf8())
        };
        let piece = &rest[..end];
        rest = &rest[end..];
        // Two elements of a page without a space between them: `2016-06-2911:30` ends a date and begins a time.
        if kind == Kind::Number && glued_clock(&out, piece, rest) {
            let (left, right) = piece.split_at(piece.len() - 2);
            out.push(Token { kind, text: left.to_owned(), tight });
            out.push(Token { kind, text: right.to_owned(), tight: false });
        } else {
            out.push(Token { kind, text: piece.replace('.', ""), tight });
            if let (Kind::Mark(c), Some(last)) = (kind, out.last_mut()) {
                last.text = c.to_string();
            }
        }
        tight = true;
    }
    out
}

/// Is a number followed by `:MM` the end of a date that has begun? Four digits are a day and an hour behind a year, six
/// are a year and an hour.
fn glued_clock(before: &[Token], piece: &str, behind: &str) -> bool {
    let year = before.iter().any(|t| t.kind == Kind::Number && t.text.len() == 4);
    if piece.len() != if year { 4 } else { 6 } {
        return false;
    }
    let minutes =
        behind.strip_prefix(':').is_some_and(|m| m.bytes().take(2).filter(u8::is_ascii_digit).count() == 2);
    let joined = before
        .last()
        .is_some_and(|t| t.is_mark(&['-', '/', '.']) || t.word().is_some_and(|w| w.ends_with(['月', '월'])));
    minutes && joined
}

/// Bytes of an abbreviation with inner points: `a.m.`, `ก.พ.`, `π.μ.`; its last point is left as a mark.
fn abbreviation(rest: &str) -> Option<usize> {
    let mut end = 0;
    let mut parts = 0;
    loop {
        let part = &rest[end..];
        let len = part.find(|c: char| !is_letter(c)).unwrap_or(part.len());
        if len == 0 || part[..len].chars().count() > 2 {
            break;
        }
        parts += 1;
        let behind = &part[len..];
        let more = behind.starts_with('.') && behind[1..].chars().next().is_some_and(is_letter);
        if !more {
            end += len;
            return (parts > 1).then_some(end);
        }
        end += len + 1;
    }
    None
}
