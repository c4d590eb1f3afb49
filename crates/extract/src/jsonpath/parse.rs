//! From text to a path.

use super::function::Call;
use super::{JsonPathError, Op, Operand, Query, Segment, Select, Test};
use serde_json::Value;

/// The segments of a path that begins with `$`.
pub(super) fn path(text: &str) -> Result<Vec<Segment>, JsonPathError> {
    let mut p = Parser { text: text.chars().collect(), at: 0, depth: 0 };
    p.expect('$', "a JSON path begins with `$`")?;
    let segments = p.segments()?;
    if p.at < p.text.len() {
        return Err(p.error(format!("expected `.`, `[` or the end, found `{}`", p.text[p.at])));
    }
    Ok(segments)
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

/// Brackets and filters within filters.
const NESTING: usize = 32;

impl Parser {
    fn error(&self, message: impl Into<String>) -> JsonPathError {
        JsonPathError { message: message.into(), column: self.at }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let hit = self.peek() == Some(c);
        self.at += usize::from(hit);
        hit
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let hit = self.text[self.at.min(self.text.len())..].iter().copied().take(word.len()).eq(word.chars());
        if hit {
            self.at += word.len();
        }
        hit
    }

    fn expect(&mut self, c: char, message: &str) -> Result<(), JsonPathError> {
        if self.eat(c) { Ok(()) } else { Err(self.error(message)) }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn segments(&mut self) -> Result<Vec<Segment>, JsonPathError> {
        let mut out = Vec::new();
        loop {
            let mark = self.at;
            self.blanks();
            if self.eat_word("..") {
                let selectors = match self.peek() {
                    Some('[') => self.bracket()?,
                    _ => vec![self.shorthand()?],
                };
                out.push(Segment { descendants: true, selectors });
            } else if self.eat('.') {
                out.push(Segment { descendants: false, selectors: vec![self.shorthand()?] });
            } else if self.peek() == Some('[') {
                out.push(Segment { descendants: false, selectors: self.bracket()? });
            } else {
                self.at = mark;
                return Ok(out);
            }
        }
    }

    fn shorthand(&mut self) -> Result<Select, JsonPathError> {
        if self.eat('*') {
            return Ok(Select::Any);
        }
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_' || !c.is_ascii()) {
            self.at += 1;
        }
        if start == self.at || self.text[start].is_ascii_digit() {
            self.at = start;
            return Err(self.error("expected a name or `*`; other names are written ['like this']"));
        }
        Ok(Select::Name(self.text[start..self.at].iter().collect()))
    }

    fn bracket(&mut self) -> Result<Vec<Select>, JsonPathError> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(self.error("nested too deep"));
        }
        self.expect('[', "expected `[`")?;
        let mut out = Vec::new();
        loop {
            self.blanks();
            out.push(self.selector()?);
            self.blanks();
            if !self.eat(',') {
                break;
            }
        }
        self.expect(']', "expected `,` or `]`")?;
        self.depth -= 1;
        Ok(out)
    }

    fn selector(&mut self) -> Result<Select, JsonPathError> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok(Select::Any)
            }
            Some('\'' | '"') => Ok(Select::Name(self.string()?)),
            Some('?') => {
                self.at += 1;
                Ok(Select::Filter(self.or()?))
            }
            Some(':' | '-' | '0'..='9') => self.index_or_slice(),
            _ => Err(self.error("expected a quoted name, a number, `*`, a slice or `?filter`")),
        }
    }

    fn index_or_slice(&mut self) -> Result<Select, JsonPathError> {
        let first = self.integer()?;
        self.blanks();
        if !self.eat(':') {
            return first.map(Select::Index).ok_or_else(|| self.error("expected a number"));
        }
        self.blanks();
        let end = self.integer()?;
        self.blanks();
        let step = if self.eat(':') {
            self.blanks();
            self.integer()?.unwrap_or(1)
        } else {
            1
        };
        Ok(Select::Slice(first, end, step))
    }

    fn integer(&mut self) -> Result<Option<i64>, JsonPathError> {
        let start = self.at;
        self.eat('-');
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().collect();
        if text.is_empty() {
            return Ok(None);
        }
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.len() > 1 && digits.starts_with('0') || text == "-0" {
            return Err(self.error("a number has no zeros in front"));
        }
        // The standard's range is that of exact integers in a double.
        match text.parse::<i64>() {
            Ok(n) if n.unsigned_abs() < 1 << 53 => Ok(Some(n)),
            _ => Err(self.error("expected a whole number within ±2^53")),
        }
    }

    fn string(&mut self) -> Result<String, JsonPathError> {
        let Some(quote) = self.peek() else { return Err(self.error("expected a string")) };
        self.at += 1;
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                c if c == quote => return Ok(out),
                '\\' => out.push(self.escape(quote)?),
                c if c < ' ' => return Err(self.error("control characters must be escaped")),
                c => out.push(c),
            }
        }
        Err(self.error("the string does not end"))
    }

    fn escape(&mut self, quote: char) -> Result<char, JsonPathError> {
        let Some(c) = self.peek() else { return Err(self.error("the string does not end")) };
        self.at += 1;
        Ok(match c {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '/' | '\\' => c,
            c if c == quote => c,
            'u' => {
                let high = self.hex4()?;
                let code = if (0xD800..0xDC00).contains(&high) {
                    let low = if self.eat_word("\\u") { self.hex4()? } else { 0 };
                    if !(0xDC00..0xE000).contains(&low) {
                        return Err(self.error("half of a pair of surrogates"));
                    }
                    0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                } else {
                    high
                };
                char::from_u32(code).ok_or_else(|| self.error("no such character"))?
            }
            _ => return Err(self.error("unknown escape")),
        })
    }

    fn hex4(&mut self) -> Result<u32, JsonPathError> {
        let digits: String = self.text[self.at.min(self.text.len())..].iter().take(4).collect();
        let value = u32::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        self.at += 4.min(digits.chars().count());
        value.ok_or_else(|| self.error("expected four hexadecimal digits"))
    }

    fn or(&mut self) -> Result<Test, JsonPathError> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(self.error("nested too deep"));
        }
        let mut list = vec![self.and()?];
        loop {
            self.blanks();
            if !self.eat_word("||") {
                break;
            }
            list.push(self.and()?);
        }
        self.depth -= 1;
        Ok(if list.len() == 1 { list.swap_remove(0) } else { Test::Or(list) })
    }

    fn and(&mut self) -> Result<Test, JsonPathError> {
        let mut list = vec![self.basic()?];
        loop {
            self.blanks();
            if !self.eat_word("&&") {
                break;
            }
            list.push(self.basic()?);
        }
        Ok(if list.len() == 1 { list.swap_remove(0) } else { Test::And(list) })
    }

    fn basic(&mut self) -> Result<Test, JsonPathError> {
        self.blanks();
        let not = self.eat('!');
        self.blanks();
        if self.eat('(') {
            let inner = self.or()?;
            self.blanks();
            self.expect(')', "expected `)`")?;
            return Ok(if not { Test::Not(Box::new(inner)) } else { inner });
        }
        let start = self.at;
        let left = self.operand()?;
        let mark = self.at;
        self.blanks();
        const OPS: [(&str, Op); 6] =
            [("==", Op::Eq), ("!=", Op::Ne), ("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)];
        let Some((_, op)) = OPS.into_iter().find(|(word, _)| self.eat_word(word)) else {
            self.at = mark;
            let test = match left {
                Operand::Query(query) => Test::Exists(query),
                Operand::Call(call) if call.is_test() => Test::Holds(call),
                Operand::Call(_) => return Err(self.error("the function gives a value: compare it")),
                Operand::Literal(_) => return Err(self.error("expected a comparison")),
            };
            return Ok(if not { Test::Not(Box::new(test)) } else { test });
        };
        if not {
            self.at = start;
            return Err(self.error("`!` before a comparison needs parentheses"));
        }
        self.comparable(&left, start)?;
        self.blanks();
        let start = self.at;
        let right = self.operand()?;
        self.comparable(&right, start)?;
        Ok(Test::Compare(left, op, right))
    }

    fn comparable(&mut self, operand: &Operand, start: usize) -> Result<(), JsonPathError> {
        let message = match operand {
            Operand::Query(query) if !query.is_singular() => "only a path to one place can be compared",
            Operand::Call(call) if call.is_test() => {
                "the function gives true or false, which is not compared"
            }
            _ => return Ok(()),
        };
        self.at = start;
        Err(self.error(message))
    }

    fn operand(&mut self) -> Result<Operand, JsonPathError> {
        match self.peek() {
            Some('@' | '$') => {
                let from_root = self.peek() == Some('$');
                self.at += 1;
                Ok(Operand::Query(Query { from_root, segments: self.segments()? }))
            }
            Some('\'' | '"') => Ok(Operand::Literal(Value::String(self.string()?))),
            Some('-' | '0'..='9') => {
                let start = self.at;
                while self.peek().is_some_and(|c| c.is_ascii_digit() || "+-.eE".contains(c)) {
                    self.at += 1;
                }
                let text: String = self.text[start..self.at].iter().collect();
                serde_json::from_str(&text).map(Operand::Literal).map_err(|_| self.error("expected a number"))
            }
            Some('a'..='z') => self.word(),
            _ => Err(self.error("expected `@`, `$`, a string, a number, a function, true, false or null")),
        }
    }

    /// A constant or a function.
    fn word(&mut self) -> Result<Operand, JsonPathError> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            self.at += 1;
        }
        let word: String = self.text[start..self.at].iter().collect();
        match word.as_str() {
            "true" => return Ok(Operand::Literal(Value::Bool(true))),
            "false" => return Ok(Operand::Literal(Value::Bool(false))),
            "null" => return Ok(Operand::Literal(Value::Null)),
            _ => {}
        }
        self.depth += 1;
        if self.depth > NESTING {
            return Err(self.error("nested too deep"));
        }
        self.expect('(', "expected `(` behind the name of a function, or true, false or null")?;
        let mut args = Vec::new();
        self.blanks();
        if !self.eat(')') {
            loop {
                self.blanks();
                args.push(self.operand()?);
                self.blanks();
                if !self.eat(',') {
                    break;
                }
            }
            self.expect(')', "expected `,` or `)`")?;
        }
        self.depth -= 1;
        let call = Call::of(&word, args).map_err(|message| JsonPathError { message, column: start })?;
        Ok(Operand::Call(Box::new(call)))
    }
}
