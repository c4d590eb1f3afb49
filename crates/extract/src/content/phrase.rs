//! What the words of a block tell: sentences, prices, legal lines, calls to act, headings of what is beside the content.
//!
//! Owns: the words, in the languages of the West. Must not know: where a block stands.

use regex::Regex;
use std::sync::LazyLock;

/// What was seen in a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phrase {
    pub(super) words: u32,
    /// Full stops, question and exclamation marks, and commas (of any script).
    pub(super) stops: u32,
    pub(super) commas: u32,
    pub(super) digits: u32,
    /// Words that begin with a capital.
    pub(super) upper: u32,
    pub(super) ends_as_sentence: bool,
    pub(super) price: bool,
    pub(super) date: bool,
    /// Parted by bars, points or arrows, as menus and paths are.
    pub(super) bar: bool,
    /// Copyright, privacy, cookies.
    pub(super) legal: bool,
    /// Asks to do something: log in, share, subscribe.
    pub(super) action: bool,
    /// Names something beside the content: related, comments, newsletter.
    pub(super) aside: bool,
}

/// Longer texts are prose and name nothing.
const SHORT_BYTES: usize = 120;
/// Characters that are read of a text.
const MOST_BYTES: usize = 20_000;

static LEGAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)©|\(c\) ?\d{4}|copyright|all rights reserved|alle rechte|tous droits|derechos reservados|privacy|datenschutz|impressum|cookie|terms (of|and|&)|conditions générales|confidentialité|privacidad",
    )
});
static ACTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(log ?in|sign ?(in|up)|register|subscribe|share|tweet|print|e-?mail|follow us|read (more|next|full)|learn more|see (more|all)|view (all|more|cart|details)|show (more|all|less)|load more|click here|add to|buy now|shop now|sort by|filter|quick view|skip to|back to|reply|report|quote|like|download|contact us|get (started|a quote)|book (now|a)|free trial|sold out|compare|wishlist|anmelden|abonnieren|teilen|mehr (lesen|erfahren)|weiterlesen|lire (la suite|aussi)|partager|s'abonner|compartir|leer más|suscr|condividi|leggi|deel|lees)\b",
    )
});
static ASIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(related|recommend|you (may|might) (also )?(like|be)|more (from|in|on|stories|articles|news|like|about)|also (like|read|viewed|bought)|popular|trending|latest|recent (posts|articles|comments|news)|most (read|viewed|popular)|read (next|more|also)|see also|further reading|comments?|leave a (reply|comment)|share this|tags?|categories|archives?|newsletter|subscribe|sign up|follow us|stay (in touch|connected|updated)|about (the author|us|author)|author|sponsor|advert|customers|reviews?|similar|recently viewed|navigation|menu|search|links|contact|company|resources|support|legal|mehr (zum|aus)|das könnte|auch interess|meistgelesen|kommentare|à lire|articles? (liés|similaires)|commentaires|lo más|relacionad|comentarios|leggi anche|correlati|lees ook|reacties)",
    )
});
static PRICE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?i)([$€£¥₹]|\b(usd|eur|gbp|chf|sek|pln))\s?\d|\d\s?([$€£¥₹]|(usd|eur|gbp|chf|kr|zł)\b)")
});
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b|\b\d{4}-\d\d-\d\d\b|\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2},? \d{4}|\b\d{1,2}\.? (jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zé]*\.? \d{4}|\b(ago|yesterday|min read|minutes? read)\b",
    )
});

/// A pattern of this file; `None` cannot be, as the test below reads each.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

fn has(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// Reads a text.
pub(super) fn of(text: &str) -> Phrase {
    let text = crate::value::text::head(text, MOST_BYTES);
    let mut out = Phrase::default();
    let (mut before, mut dense) = (' ', 0);
    for c in text.chars() {
        match c {
            '.' | '!' | '?' | '…' | '。' | '！' | '？' | '।' | '؟' => out.stops += 1,
            ',' | ';' | '،' | '、' | '，' => out.commas += 1,
            '|' | '›' | '»' | '·' | '•' | '→' => out.bar = true,
            '0'..='9' => out.digits += 1,
            _ => {}
        }
        if before == ' ' && c != ' ' {
            out.words += 1;
            out.upper += u32::from(c.is_uppercase());
        }
        dense += u32::from(is_dense(c));
        before = c;
    }
    out.words += dense / 2;
    let end = text.trim_end_matches(['"', '”', '’', '\'', ')', ']', '»']);
    out.ends_as_sentence = end.ends_with(['.', '!', '?', '…', ':', '。', '！', '？', '।', '؟']);
    if text.len() <= 3 * SHORT_BYTES {
        out.legal = has(&LEGAL, text);
    }
    if text.len() <= SHORT_BYTES {
        out.action = has(&ACTION, text);
        out.aside = has(&ASIDE, text);
        out.price = has(&PRICE, text);
        out.date = has(&DATE, text);
    }
    out
}

/// Letters of scripts that part no words: two of them are about one word.
fn is_dense(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{2ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        for pattern in [&LEGAL, &ACTION, &ASIDE, &PRICE, &DATE] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn words_tell() {
        assert!(of("© 2026 Acme").legal);
        assert!(of("Read more »").action && of("Read more »").bar);
        assert!(of("You may also like").aside);
        assert!(of("from $ 12").price && of("Jan 5, 2026").date);
        let prose = of("This is it, a sentence. And “another.”");
        assert!(prose.ends_as_sentence && prose.stops == 2 && prose.commas == 1);
    }
}
