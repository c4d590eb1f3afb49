//! JSON paths in the syntax of RFC 9535: names, wildcards, indices, slices, unions, descendants, filters.
//!
//! Owns: parsing and evaluation over `serde_json` values. Must not know: pages or scraper files.
//! Left out of the standard so far: function extensions (`length()`, `match()`, …), which are refused by name.
//! Invariant: evaluation visits at most [`limit::JSON_STEPS`] nodes and gives at most [`limit::JSON_NODES`].

use crate::limit;
use serde_json::Value;
use std::cmp::Ordering;

/// A compiled path.
#[derive(Clone, Debug)]
pub struct JsonPath {
    segments: Vec<Segment>,
}

/// Why a path is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPathError {
    /// What is wrong and what was expected.
    pub message: String,
    /// Column in the path, in characters, from 0.
    pub column: usize,
}

#[derive(Clone, Debug)]
struct Segment {
    descendants: bool,
    selectors: Vec<Select>,
}

#[derive(Clone, Debug)]
enum Select {
    Name(String),
    Any,
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Test),
}

#[derive(Clone, Debug)]
enum Test {
    Or(Vec<Test>),
    And(Vec<Test>),
    Not(Box<Test>),
    Exists(Query),
    Compare(Operand, Op, Operand),
}

#[derive(Clone, Debug)]
struct Query {
    from_root: bool,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Operand {
    Literal(Value),
    Query(Query),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl JsonPath {
    /// Parses a path that begins with `$`.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let mut p = Parser { text: text.chars().collect(), at: 0, depth: 0 };
        p.expect('$', "a JSON path begins with `$`")?;
        let segments = p.segments()?;
        if p.at < p.text.len() {
            return Err(p.error(format!("expected `.`, `[` or the end, found `{}`", p.text[p.at])));
        }
        Ok(Self { segments })
    }

    /// All nodes of the path in the value, in order.
    pub fn select<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        let mut eval = Eval { root, steps: 0 };
        eval.run(&self.segments, root)
    }

    /// The first node of the path.
    pub fn first<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        // Most paths in scraper files are plain names: walk them without allocating.
        let mut at = root;
        for segment in &self.segments {
            match (segment.descendants, segment.selectors.as_slice()) {
                (false, [Select::Name(name)]) => at = at.as_object()?.get(name)?,
                (false, [Select::Index(index)]) => at = element(at.as_array()?, *index)?,
                _ => return self.select(root).into_iter().next(),
            }
        }
        Some(at)
    }
}

struct Eval<'v> {
    root: &'v Value,
    steps: usize,
}

impl<'v> Eval<'v> {
    fn run(&mut self, segments: &[Segment], from: &'v Value) -> Vec<&'v Value> {
        let mut nodes = vec![from];
        for segment in segments {
            let mut next = Vec::new();
            for node in nodes {
                if segment.descendants {
                    self.descend(segment, node, &mut next);
                } else {
                    self.apply(segment, node, &mut next);
                }
            }
            nodes = next;
        }
        nodes
    }

    fn full(&self, out: &[&'v Value]) -> bool {
        self.steps >= limit::JSON_STEPS || out.len() >= limit::JSON_NODES
    }

    fn descend(&mut self, segment: &Segment, node: &'v Value, out: &mut Vec<&'v Value>) {
        // Depth is bounded by the JSON parser (128).
        if self.full(out) {
            return;
        }
        self.apply(segment, node, out);
        match node {
            Value::Array(list) => list.iter().for_each(|v| self.descend(segment, v, out)),
            Value::Object(map) => map.values().for_each(|v| self.descend(segment, v, out)),
            _ => {}
        }
    }

    fn apply(&mut self, segment: &Segment, node: &'v Value, out: &mut Vec<&'v Value>) {
        for select in &segment.selectors {
            self.steps += 1;
            if self.full(out) {
                return;
            }
            match (select, node) {
                (Select::Name(name), Value::Object(map)) => out.extend(map.get(name)),
                (Select::Any, Value::Object(map)) => {
                    self.steps += map.len();
                    out.extend(map.values());
                }
                (Select::Any, Value::Array(list)) => {
                    self.steps += list.len();
                    out.extend(list);
                }
                (Select::Index(index), Value::Array(list)) => out.extend(element(list, *index)),
                (Select::Slice(start, end, step), Value::Array(list)) => {
                    slice(list, *start, *end, *step, out);
                }
                (Select::Filter(test), Value::Object(map)) => {
                    for value in map.values() {
                        if self.test(test, value) {
                            out.push(value);
                        }
                    }
                }
                (Select::Filter(test), Value::Array(list)) => {
                    for value in list {
                        if self.test(test, value) {
                            out.push(value);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn test(&mut self, test: &Test, at: &'v Value) -> bool {
        self.steps += 1;
        if self.steps >= limit::JSON_STEPS {
            return false;
        }
        match test {
            Test::Or(list) => list.iter().any(|t| self.test(t, at)),
            Test::And(list) => list.iter().all(|t| self.test(t, at)),
            Test::Not(inner) => !self.test(inner, at),
            Test::Exists(query) => !self.query(query, at).is_empty(),
            Test::Compare(a, op, b) => {
                let (a, b) = (self.operand(a, at), self.operand(b, at));
                compare(a.as_ref(), *op, b.as_ref())
            }
        }
    }

    fn query(&mut self, query: &Query, at: &'v Value) -> Vec<&'v Value> {
        let from = if query.from_root { self.root } else { at };
        self.run(&query.segments, from)
    }

    fn operand(&mut self, operand: &Operand, at: &'v Value) -> Option<std::borrow::Cow<'v, Value>> {
        match operand {
            Operand::Literal(value) => Some(std::borrow::Cow::Owned(value.clone())),
            Operand::Query(query) => self.query(query, at).first().map(|v| std::borrow::Cow::Borrowed(*v)),
        }
    }
}

fn compare<'v>(
    a: Option<&std::borrow::Cow<'v, Value>>,
    op: Op,
    b: Option<&std::borrow::Cow<'v, Value>>,
) -> bool {
    let (a, b) = (a.map(std::convert::AsRef::as_ref), b.map(std::convert::AsRef::as_ref));
    let equal = match (a, b) {
        (None, None) => true,
        (Some(Value::Number(x)), Some(Value::Number(y))) => x.as_f64() == y.as_f64(),
        (Some(x), Some(y)) => x == y,
        _ => false,
    };
    let order = match (a, b) {
        (Some(Value::Number(x)), Some(Value::Number(y))) => x.as_f64().partial_cmp(&y.as_f64()),
        (Some(Value::String(x)), Some(Value::String(y))) => Some(x.cmp(y)),
        _ => None,
    };
    match op {
        Op::Eq => equal,
        Op::Ne => !equal,
        Op::Lt => order == Some(Ordering::Less),
        Op::Gt => order == Some(Ordering::Greater),
        Op::Le => equal || order == Some(Ordering::Less),
        Op::Ge => equal || order == Some(Ordering::Greater),
    }
}

fn element(list: &[Value], index: i64) -> Option<&Value> {
    let index = if index < 0 { i64::try_from(list.len()).ok()?.checked_add(index)? } else { index };
    list.get(usize::try_from(index).ok()?)
}

fn slice<'v>(list: &'v [Value], start: Option<i64>, end: Option<i64>, step: i64, out: &mut Vec<&'v Value>) {
    // RFC 9535 section 2.3.4.2.2.
    let Ok(len) = i64::try_from(list.len()) else { return };
    let normal = |n: i64| if n >= 0 { n } else { len.saturating_add(n) };
    if step == 0 {
        return;
    }
    let (start, end) = if step > 0 {
        (normal(start.unwrap_or(0)).clamp(0, len), normal(end.unwrap_or(len)).clamp(0, len))
    } else {
        let first = start.map_or(len - 1, normal).clamp(-1, len - 1);
        (first, end.map_or(-1, |n| normal(n).clamp(-1, len - 1)))
    };
    let mut at = start;
    while (step > 0 && at < end) || (step < 0 && at > end) {
        out.extend(usize::try_from(at).ok().and_then(|i| list.get(i)));
        at = at.saturating_add(step);
    }
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
                '\\' => out.push(self.escape()?),
                c if c < ' ' => return Err(self.error("control characters must be escaped")),
                c => out.push(c),
            }
        }
        Err(self.error("the string does not end"))
    }

    fn escape(&mut self) -> Result<char, JsonPathError> {
        let Some(c) = self.peek() else { return Err(self.error("the string does not end")) };
        self.at += 1;
        Ok(match c {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '/' | '\\' | '\'' | '"' => c,
            'u' => {
                let high = self.hex4()?;
                let code = if (0xD800..0xDC00).contains(&high) && self.eat_word("\\u") {
                    let low = self.hex4()?;
                    0x10000 + ((high - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF)
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
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
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
        if self.eat('!') {
            self.blanks();
            if self.eat('(') {
                let inner = self.or()?;
                self.blanks();
                self.expect(')', "expected `)`")?;
                return Ok(Test::Not(Box::new(inner)));
            }
            return match self.operand()? {
                Operand::Query(query) => Ok(Test::Not(Box::new(Test::Exists(query)))),
                Operand::Literal(_) => Err(self.error("expected a path after `!`")),
            };
        }
        if self.eat('(') {
            let inner = self.or()?;
            self.blanks();
            self.expect(')', "expected `)`")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        self.blanks();
        let op =
            [("==", Op::Eq), ("!=", Op::Ne), ("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)]
                .into_iter()
                .find(|(word, _)| self.eat_word(word));
        match (op, left) {
            (Some((_, op)), left) => {
                self.blanks();
                Ok(Test::Compare(left, op, self.operand()?))
            }
            (None, Operand::Query(query)) => Ok(Test::Exists(query)),
            (None, Operand::Literal(_)) => Err(self.error("expected a comparison")),
        }
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
            _ => {
                for (word, value) in
                    [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
                {
                    if self.eat_word(word) {
                        return Ok(Operand::Literal(value));
                    }
                }
                if self.peek().is_some_and(|c| c.is_ascii_lowercase()) {
                    return Err(self.error("functions are not supported yet"));
                }
                Err(self.error("expected `@`, `$`, a string, a number, true, false or null"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(path: &str, value: &Value) -> Value {
        let path = JsonPath::parse(path).unwrap_or_else(|e| panic!("{path}: {e:?}"));
        let all = path.select(value);
        assert_eq!(path.first(value), all.first().copied(), "first of {path:?}");
        all.into_iter().cloned().collect()
    }

    #[test]
    fn the_book_store_of_the_standard() {
        let store = json!({"store": {"book": [
            {"category": "reference", "author": "Nigel Rees", "title": "Sayings", "price": 8.95},
            {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword", "price": 12.99},
            {"category": "fiction", "author": "Herman Melville", "title": "Moby", "isbn": "0-553-21311-3", "price": 8.99},
            {"category": "fiction", "author": "Tolkien", "title": "Rings", "isbn": "0-395-19395-8", "price": 22.99}],
            "bicycle": {"color": "red", "price": 399}}});
        let cases = [
            ("$.store.book[*].author", json!(["Nigel Rees", "Evelyn Waugh", "Herman Melville", "Tolkien"])),
            ("$..author", json!(["Nigel Rees", "Evelyn Waugh", "Herman Melville", "Tolkien"])),
            ("$.store..price", json!([8.95, 12.99, 8.99, 22.99, 399])),
            ("$..book[2].title", json!(["Moby"])),
            ("$..book[-1].title", json!(["Rings"])),
            ("$..book[0,1].title", json!(["Sayings", "Sword"])),
            ("$..book[:2].title", json!(["Sayings", "Sword"])),
            ("$..book[::-2].title", json!(["Rings", "Sword"])),
            ("$..book[?@.isbn].title", json!(["Moby", "Rings"])),
            ("$..book[?@.price<10].title", json!(["Sayings", "Moby"])),
            ("$..book[?@.price<10 && !@.isbn].title", json!(["Sayings"])),
            ("$..book[?(@['category'] == 'reference' || @.price > 20)].title", json!(["Sayings", "Rings"])),
            ("$['store']['bicycle'][\"color\"]", json!(["red"])),
            ("$.store.book[?@.price == $.store.book[1].price].title", json!(["Sword"])),
        ];
        for (path, expected) in cases {
            assert_eq!(run(path, &store), expected, "{path}");
        }
    }

    #[test]
    fn bad_paths_say_where() {
        for (path, column) in [("a", 0), ("$a", 1), ("$.", 2), ("$[", 2), ("$[?@.a ==]", 9), ("$['a", 4)] {
            let error = JsonPath::parse(path).map(|_| ()).unwrap_err();
            assert_eq!(error.column, column, "{path}: {}", error.message);
        }
        let deep = format!("${}", "[?@".repeat(500));
        assert!(JsonPath::parse(&deep).unwrap_err().message.contains("deep"));
    }
}
