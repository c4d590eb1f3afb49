//! Text of an expression → tokens (XPath 1.0, section 3.7), with the byte at which each begins.
//!
//! Owns the rule that tells `*` and the words `and`, `or`, `div`, `mod` as operators from the same as names: after
//! what can end an operand they are operators.

use super::XPathError;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'s> {
    /// A name, perhaps with a prefix: an element, attribute, function, axis or type of node.
    Name(&'s str),
    /// `prefix:*`; the prefix alone.
    PrefixAny(&'s str),
    Number(f64),
    Literal(&'s str),
    /// `( ) [ ] . .. @ , :: / // | + - = != < <= > >=`, `*` as a name test, and as operators `and or div mod multiply`.
    Sign(&'static str),
}

/// Tokens with their first bytes.
pub(super) type Tokens<'s> = Vec<(Token<'s>, usize)>;

/// The multiplication sign, which is written as the name test is.
pub(super) const MULTIPLY: &str = "multiply";

const SIGNS: [&str; 20] = [
    "::", "//", "..", "!=", "<=", ">=", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=", "<", ">",
];
const WORDS: [&str; 4] = ["and", "or", "div", "mod"];

pub(super) fn tokens(text: &str) -> Result<Tokens<'_>, XPathError> {
    let mut tokens: Tokens<'_> = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start_matches(super::SPACE);
        at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else { return Ok(tokens) };
        let second = trimmed[first.len_utf8()..].chars().next();
        let after_operand = match tokens.last() {
            None => false,
            Some((Token::Sign(sign), _)) => matches!(*sign, ")" | "]" | "." | ".." | "*"),
            Some(_) => true,
        };
        let (token, len) = match first {
            '*' => (Token::Sign(if after_operand { MULTIPLY } else { "*" }), 1),
            '"' | '\'' => {
                let Some(len) = trimmed[1..].find(first) else {
                    return Err(XPathError::new(at, format!("a text without its closing `{first}`")));
                };
                (Token::Literal(&trimmed[1..1 + len]), len + 2)
            }
            '0'..='9' => number(trimmed),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => number(trimmed),
            '$' => return Err(XPathError::new(at, "a variable, and none is defined")),
            c if is_name_start(c) => name(trimmed, at)?,
            _ => match SIGNS.iter().find(|sign| trimmed.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => return Err(XPathError::new(at, format!("unexpected `{first}`"))),
            },
        };
        let token = match token {
            Token::Name(word) if after_operand => match WORDS.iter().find(|known| **known == word) {
                Some(word) => Token::Sign(word),
                None => return Err(XPathError::new(at, format!("expected an operator, found `{word}`"))),
            },
            token => token,
        };
        tokens.push((token, at));
        at += len;
    }
}

fn number(text: &str) -> (Token<'_>, usize) {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let mut len = digits(text);
    if text[len..].starts_with('.') {
        len += 1 + digits(&text[len + 1..]);
    }
    // Digits and at most one point: always a number.
    (Token::Number(text[..len].parse().unwrap_or(f64::NAN)), len)
}

fn name(text: &str, at: usize) -> Result<(Token<'_>, usize), XPathError> {
    let len = name_len(text);
    let rest = &text[len..];
    if !rest.starts_with(':') || rest.starts_with("::") {
        return Ok((Token::Name(&text[..len]), len));
    }
    if rest[1..].starts_with('*') {
        return Ok((Token::PrefixAny(&text[..len]), len + 2));
    }
    if !rest[1..].starts_with(is_name_start) {
        return Err(XPathError::new(at + len + 1, "expected a name after the prefix"));
    }
    let len = len + 1 + name_len(&rest[1..]);
    Ok((Token::Name(&text[..len]), len))
}

fn name_len(text: &str) -> usize {
    text.find(|c: char| !(is_name_start(c) || c.is_ascii_digit() || matches!(c, '-' | '.')))
        .unwrap_or(text.len())
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}
