//! Reads a selector list into [`Complex`] selectors (CSS Selectors 4, CSS Syntax 3 for names, strings and escapes).
//!
//! Bounded: length, nesting and number of parts; so neither the parser nor the matcher can be made to recurse deep.

use super::SelectorError;
use super::ast::{Combinator, Complex, Compound, Op, Test};
use super::index::{attr_bit, class_bit, id_bit};
use crate::name;

const MAX_BYTES: usize = 16 << 10;
const MAX_NESTING: usize = 16;
const MAX_PARTS: usize = 64;

/// Attributes whose values HTML compares without case in selectors.
const CASELESS: &[&str] = &[
    "accept",
    "accept-charset",
    "align",
    "alink",
    "axis",
    "bgcolor",
    "charset",
    "checked",
    "clear",
    "codetype",
    "color",
    "compact",
    "declare",
    "defer",
    "dir",
    "direction",
    "disabled",
    "enctype",
    "face",
    "frame",
    "hreflang",
    "http-equiv",
    "lang",
    "language",
    "link",
    "media",
    "method",
    "multiple",
    "nohref",
    "noresize",
    "noshade",
    "nowrap",
    "readonly",
    "rel",
    "rev",
    "rules",
    "scope",
    "scrolling",
    "selected",
    "shape",
    "target",
    "text",
    "type",
    "valign",
    "valuetype",
    "vlink",
];

pub(super) fn parse(css: &str) -> Result<Vec<Complex>, SelectorError> {
    let mut parser = Parser { text: css, at: 0, nesting: 0 };
    if css.len() > MAX_BYTES {
        return Err(parser.error(format!("a selector longer than {MAX_BYTES} bytes")));
    }
    let list = parser.list(Relative::Allowed)?;
    if parser.at < css.len() {
        return Err(parser.error(format!("unexpected `{}`", parser.peek().unwrap_or_default())));
    }
    Ok(list)
}

/// Whether a selector may begin with a combinator, and whether it hangs on the scope without one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relative {
    No,
    Allowed,
    Implied,
}

struct Parser<'s> {
    text: &'s str,
    at: usize,
    nesting: usize,
}

type Result2<T> = Result<T, SelectorError>;

impl<'s> Parser<'s> {
    fn error(&self, message: impl Into<String>) -> SelectorError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        SelectorError { message: message.into(), column: before.chars().count() + 1 }
    }

    fn rest(&self) -> &'s str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char) -> Result2<()> {
        if self.eat(c) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(found) => self.error(format!("expected `{c}`, found `{found}`")),
            None => self.error(format!("expected `{c}`, found the end")),
        })
    }

    /// Skips white space and comments; true when there was any.
    fn space(&mut self) -> bool {
        let start = self.at;
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("/*") {
                return self.at > start;
            }
            self.at += trimmed.find("*/").map_or(trimmed.len(), |end| end + 2);
        }
    }

    fn list(&mut self, relative: Relative) -> Result2<Vec<Complex>> {
        let mut list = Vec::new();
        loop {
            list.push(self.complex(relative)?);
            if !self.eat(',') {
                return Ok(list);
            }
        }
    }

    fn combinator(&mut self) -> Option<Combinator> {
        let combinator = match self.peek()? {
            '>' => Combinator::Child,
            '+' => Combinator::Next,
            '~' => Combinator::Later,
            _ => return None,
        };
        self.at += 1;
        Some(combinator)
    }

    fn complex(&mut self, relative: Relative) -> Result2<Complex> {
        self.space();
        let anchor = match (self.peek(), relative) {
            (Some('>' | '+' | '~'), Relative::No) => {
                return Err(self.error("a combinator with nothing before it"));
            }
            (Some('>' | '+' | '~'), _) => self.combinator(),
            (_, Relative::Implied) => Some(Combinator::Descendant),
            _ => None,
        };
        self.space();
        let mut compounds = vec![self.compound()?];
        let mut combinators = Vec::new();
        loop {
            let spaced = self.space();
            match self.peek() {
                None | Some(',' | ')') => break,
                _ => {}
            }
            match self.combinator() {
                Some(combinator) => combinators.push(combinator),
                None if spaced => combinators.push(Combinator::Descendant),
                None => return Err(self.error(format!("unexpected `{}`", self.peek().unwrap_or_default()))),
            }
            self.space();
            compounds.push(self.compound()?);
            if compounds.len() > MAX_PARTS {
                return Err(self.error(format!("more than {MAX_PARTS} compounds")));
            }
        }
        // The leftmost compound's combinator is never read.
        combinators.insert(0, Combinator::Descendant);
        let parts = compounds.into_iter().zip(combinators).rev().collect();
        Ok(Complex { parts, anchor })
    }

    fn compound(&mut self) -> Result2<Compound> {
        let start = self.at;
        let mut compound = Compound::default();
        if self.rest().starts_with("*|") {
            self.at += 2;
        }
        match self.peek() {
            Some('*') => {
                self.at += 1;
            }
            Some(c)
                if is_name_start(c)
                    || (c == '-' && self.peek_second().is_some_and(|c| is_name_start(c) || c == '-')) =>
            {
                compound.name = Some(name::lower(&self.ident()?));
            }
            _ => {}
        }
        if self.peek() == Some('|') {
            return Err(self.error("a namespace prefix (only `*|` is known)"));
        }
        loop {
            match self.peek() {
                Some('#') => {
                    self.at += 1;
                    let id = self.name()?;
                    compound.filter |= id_bit(&id);
                    compound.tests.push(Test::Id(id.into()));
                }
                Some('.') => {
                    self.at += 1;
                    let class = self.ident()?;
                    compound.filter |= class_bit(&class);
                    compound.tests.push(Test::Class(class.into()));
                }
                Some('[') => {
                    let test = self.attribute()?;
                    if let Test::Attr { name, .. } = &test {
                        compound.filter |= attr_bit(name);
                    }
                    compound.tests.push(test);
                }
                Some(':') => {
                    let test = self.pseudo()?;
                    compound.tests.push(test);
                }
                found => {
                    if self.at > start {
                        return Ok(compound);
                    }
                    return Err(match found {
                        Some(c) => self.error(format!("expected a selector, found `{c}`")),
                        None => self.error("expected a selector, found the end"),
                    });
                }
            }
        }
    }

    fn attribute(&mut self) -> Result2<Test> {
        self.expect('[')?;
        self.space();
        if self.rest().starts_with("*|") {
            self.at += 2;
        }
        let mut attr = self.ident()?;
        if self.peek() == Some('|') && self.peek_second() != Some('=') {
            // `xlink|href` is what the tree calls `xlink:href`.
            self.at += 1;
            attr = attr + ":" + &self.ident()?;
        } else if self.peek() == Some(':') {
            self.at += 1;
            attr = attr + ":" + &self.ident()?;
        }
        let name = name::lower(&attr);
        self.space();
        let op = match self.peek() {
            Some(']') => {
                self.at += 1;
                return Ok(Test::Attr { name, op: Op::Present, value: "".into(), ignore_case: false });
            }
            Some('=') => Op::Equal,
            Some('~') => Op::Word,
            Some('|') => Op::Dash,
            Some('^') => Op::Prefix,
            Some('$') => Op::Suffix,
            Some('*') => Op::Substring,
            _ => return Err(self.error("expected `]` or an operator such as `=`")),
        };
        if op != Op::Equal {
            self.at += 1;
        }
        self.expect('=')?;
        self.space();
        let value = match self.peek() {
            Some(quote @ ('"' | '\'')) => self.string(quote)?,
            Some(_) => self.name()?,
            None => return Err(self.error("expected a value, found the end")),
        };
        self.space();
        let mut ignore_case = CASELESS.contains(&&*name);
        match self.peek() {
            Some('i' | 'I') => {
                self.at += 1;
                ignore_case = true;
            }
            Some('s' | 'S') => {
                self.at += 1;
                ignore_case = false;
            }
            _ => {}
        }
        self.space();
        self.expect(']')?;
        Ok(Test::Attr { name, op, value: value.into(), ignore_case })
    }

    fn pseudo(&mut self) -> Result2<Test> {
        self.expect(':')?;
        if self.peek() == Some(':') {
            return Err(self.error("a pseudo-element, which is no element"));
        }
        let start = self.at;
        let name = self.ident()?.to_ascii_lowercase();
        if self.eat('(') {
            self.nesting += 1;
            if self.nesting > MAX_NESTING {
                return Err(self.error(format!("nested deeper than {MAX_NESTING}")));
            }
            let test = self.function(&name, start)?;
            self.space();
            self.expect(')')?;
            self.nesting -= 1;
            return Ok(test);
        }
        let nth = |b, from_end, same_name| Test::Nth { a: 0, b, from_end, same_name };
        Ok(match name.as_str() {
            "root" => Test::Root,
            "scope" => Test::Scope,
            "empty" => Test::Empty,
            "first-child" => nth(1, false, false),
            "last-child" => nth(1, true, false),
            "first-of-type" => nth(1, false, true),
            "last-of-type" => nth(1, true, true),
            "only-child" => Test::Only { same_name: false },
            "only-of-type" => Test::Only { same_name: true },
            "any-link" | "link" => Test::Link,
            "checked" => Test::Checked,
            "disabled" => Test::Disabled,
            "enabled" => Test::Enabled,
            "required" => Test::Required,
            "optional" => Test::Optional,
            "active" | "focus" | "focus-visible" | "focus-within" | "hover" | "target" | "visited"
            | "autofill" | "playing" | "fullscreen" | "modal" => Test::Never,
            _ => {
                self.at = start;
                return Err(self.error(format!("unknown pseudo-class `:{name}`")));
            }
        })
    }

    fn function(&mut self, name: &str, start: usize) -> Result2<Test> {
        Ok(match name {
            "not" => Test::Not(self.list(Relative::No)?),
            "is" | "where" | "matches" | "any" => Test::Is(self.list(Relative::No)?),
            "has" => Test::Has(self.list(Relative::Implied)?),
            "nth-child" => self.nth(false, false)?,
            "nth-last-child" => self.nth(true, false)?,
            "nth-of-type" => self.nth(false, true)?,
            "nth-last-of-type" => self.nth(true, true)?,
            "lang" => {
                let mut ranges = Vec::new();
                loop {
                    self.space();
                    let range = match self.peek() {
                        Some(quote @ ('"' | '\'')) => self.string(quote)?,
                        Some('*') => {
                            self.at += 1;
                            "*".to_owned() + &self.name().unwrap_or_default()
                        }
                        _ => self.ident()?,
                    };
                    ranges.push(range.into());
                    self.space();
                    if !self.eat(',') {
                        break;
                    }
                }
                Test::Lang(ranges)
            }
            "contains" | "-soup-contains" | "has-text" => {
                self.at = start;
                return Err(self.error(format!("`:{name}()` is not CSS: use XPath's contains()")));
            }
            _ => {
                self.at = start;
                return Err(self.error(format!("unknown pseudo-class `:{name}()`")));
            }
        })
    }

    /// `odd`, `even`, `3`, `2n+1`, `-n + 3`.
    fn nth(&mut self, from_end: bool, same_name: bool) -> Result2<Test> {
        self.space();
        let start = self.at;
        let len = self.rest().find(')').ok_or_else(|| self.error("expected `)`, found the end"))?;
        let argument: String = self.rest()[..len].trim().to_ascii_lowercase();
        self.at += len;
        let parsed = match argument.as_str() {
            "odd" => Some((2, 1)),
            "even" => Some((2, 0)),
            text => match text.split_once('n') {
                None => integer(text).map(|b| (0, b)),
                Some((a, b)) => {
                    let a = match a {
                        "" | "+" => Some(1),
                        "-" => Some(-1),
                        a => integer(a),
                    };
                    let b: String = b.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                    let b = if b.is_empty() {
                        Some(0)
                    } else {
                        integer(&b).filter(|_| b.starts_with(['+', '-']))
                    };
                    a.zip(b)
                }
            },
        };
        let Some((a, b)) = parsed else {
            self.at = start;
            return Err(self.error("expected a position such as `3`, `odd` or `2n+1`"));
        };
        Ok(Test::Nth { a, b, from_end, same_name })
    }

    fn ident(&mut self) -> Result2<String> {
        let starts = match self.peek() {
            Some('-') => self.peek_second().is_some_and(|c| is_name_start(c) || c == '-'),
            Some(c) => is_name_start(c),
            None => false,
        };
        if !starts {
            return Err(match self.peek() {
                Some(c) => self.error(format!("expected a name, found `{c}`")),
                None => self.error("expected a name, found the end"),
            });
        }
        self.name()
    }

    /// Name characters, of which the first may be a digit.
    fn name(&mut self) -> Result2<String> {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at += 1;
                name.push(self.escape()?);
            } else if is_name_start(c) || c.is_ascii_digit() || c == '-' {
                name.push(c);
                self.at += c.len_utf8();
            } else {
                break;
            }
        }
        if name.is_empty() {
            return Err(match self.peek() {
                Some(c) => self.error(format!("expected a name, found `{c}`")),
                None => self.error("expected a name, found the end"),
            });
        }
        Ok(name)
    }

    fn string(&mut self, quote: char) -> Result2<String> {
        self.expect(quote)?;
        let mut value = String::new();
        loop {
            match self.bump() {
                Some(c) if c == quote => return Ok(value),
                Some('\\') => {
                    if !self.eat('\n') {
                        value.push(self.escape()?);
                    }
                }
                Some(c) => value.push(c),
                None => return Err(self.error(format!("a string without its closing `{quote}`"))),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result2<char> {
        let digits: String = self.rest().chars().take(6).take_while(char::is_ascii_hexdigit).collect();
        if digits.is_empty() {
            return self.bump().ok_or_else(|| self.error("a backslash at the end"));
        }
        self.at += digits.len();
        if self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.at += 1;
        }
        let code = u32::from_str_radix(&digits, 16).unwrap_or(0);
        Ok(char::from_u32(code).filter(|&c| c != '\0').unwrap_or('\u{fffd}'))
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '\\' || !c.is_ascii()
}

fn integer(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
