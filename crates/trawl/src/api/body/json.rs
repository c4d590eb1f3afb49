//! Rows out of JSON, byte by byte as it comes: an array, a wrapped object, one bare object, or one object per line.
//!
//! Pure. It finds where each element begins and ends and hands over its text; whether that text is JSON is for the
//! caller's parser to say. What is between elements (commas, brackets, keys) is checked here.
//!
//! Invariants: memory is bounded by one row ([`limit::ROW_BYTES`]) and the options (as much again), whatever the
//! size of the body; any way of cutting the body into pieces gives the same rows; no bytes make it panic.

use model::limit;
use serde_json::{Map, Value};

/// Levels of nesting in one element; serde_json's own bound is 128.
const DEPTH: u32 = 100;

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum Fault {
    /// Nothing but white space.
    Empty,
    /// Not JSON of a known shape: what is wrong, and the number of the element (from 1) at or before which.
    Syntax(String, u64),
    /// An element is larger than a row may be.
    RowTooLarge(u64),
}

/// What the body was, told at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::api) struct Ending {
    /// The other members of a wrapped object.
    pub(in crate::api) options: Option<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first value.
    Start,
    /// Behind `[`: an element or `]`.
    First,
    /// Behind a comma in the array: an element.
    Element,
    /// Within an element of the array.
    InElement,
    /// Behind an element: a comma or `]`.
    Next,
    /// In the first object, behind `{` or a comma: a key, or `}` right behind `{`.
    Key,
    InKey,
    Colon,
    /// Behind the colon.
    Member,
    InMember,
    /// Behind a member: a comma or `}`.
    NextMember,
    /// The first object has ended: if it was bare, further objects make it lines.
    AfterObject,
    /// Between lines.
    Line,
    InLine,
    /// Behind the array, or behind a wrapped object: white space only.
    After,
}

/// The scanner.
#[derive(Debug)]
pub(in crate::api) struct JsonRows {
    state: State,
    span: Span,
    /// The part of the current element that came in earlier pieces.
    carry: Vec<u8>,
    /// The first object without the elements of its `input`.
    outer: Vec<u8>,
    key_at: usize,
    wrapped: bool,
    rows: u64,
}

impl JsonRows {
    /// A body whose shape is told by its first bytes.
    pub(in crate::api) fn sniffing() -> Self {
        Self::starting(State::Start)
    }

    /// One object per line, whatever their keys.
    pub(in crate::api) fn lines() -> Self {
        Self::starting(State::Line)
    }

    fn starting(state: State) -> Self {
        Self {
            state,
            span: Span::default(),
            carry: Vec::new(),
            outer: Vec::new(),
            key_at: 0,
            wrapped: false,
            rows: 0,
        }
    }

    /// True once `input` of a wrapped object has begun: its other members may still follow.
    pub(in crate::api) fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// Members of the wrapped object read so far, while its `input` is being read.
    pub(in crate::api) fn options_so_far(&self) -> Option<Map<String, Value>> {
        let mut text = self.outer.clone();
        text.extend_from_slice(b"]}");
        serde_json::from_slice(&text).ok()
    }

    /// Takes a piece and hands every element that ends in it to `row`.
    pub(in crate::api) fn feed<E: From<Fault>>(
        &mut self,
        bytes: &[u8],
        mut row: impl FnMut(&Self, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::InElement | State::InLine => {
                    at += self.element(&bytes[at..], &mut row)?;
                    continue;
                }
                State::InKey | State::InMember => {
                    at += self.outer_part(&bytes[at..])?;
                    continue;
                }
                _ => {}
            }
            let byte = bytes[at];
            if byte.is_ascii_whitespace() {
                at += 1;
                continue;
            }
            if self.between(byte, &mut row)? {
                at += 1;
            }
        }
        Ok(())
    }

    /// The end of the body.
    pub(in crate::api) fn finish<E: From<Fault>>(
        &mut self,
        mut row: impl FnMut(&Self, &[u8]) -> Result<(), E>,
    ) -> Result<Ending, E> {
        match self.state {
            State::Start => Err(Fault::Empty.into()),
            State::Line if self.rows == 0 => Err(Fault::Empty.into()),
            State::Line => Ok(Ending::default()),
            State::AfterObject => {
                self.bare(&mut row)?;
                Ok(Ending::default())
            }
            State::After if self.wrapped => {
                let options = serde_json::from_slice(&self.outer)
                    .map_err(|error| E::from(self.syntax(error.to_string())))?;
                Ok(Ending { options: Some(options) })
            }
            State::After => Ok(Ending::default()),
            _ => Err(self.syntax("unexpected end of input").into()),
        }
    }

    fn syntax(&self, text: impl Into<String>) -> Fault {
        Fault::Syntax(text.into(), self.rows + 1)
    }

    /// One byte that is not white space, outside of values. False: look at it again in the new state.
    fn between<E: From<Fault>>(
        &mut self,
        byte: u8,
        row: &mut impl FnMut(&Self, &[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        use State as S;
        let (state, taken) = match (self.state, byte) {
            // A byte order mark: skipped byte by byte; in any other place these are not JSON.
            (S::Start, 0xEF | 0xBB | 0xBF) => (S::Start, true),
            (S::Line, 0xEF | 0xBB | 0xBF) if self.rows == 0 => (S::Line, true),
            (S::Start, b'[') => (S::First, true),
            (S::Start, b'{') => (S::Key, true),
            (S::Start, _) => return Err(self.syntax("expected a value").into()),
            (S::First | S::Next, b']') => {
                if self.wrapped {
                    self.outer.push(b']');
                    (S::NextMember, true)
                } else {
                    (S::After, true)
                }
            }
            (S::First | S::Element, b',' | b']' | b'}' | b':') => {
                return Err(self.syntax("expected a value").into());
            }
            (S::First | S::Element, _) => {
                self.span = Span::default();
                (S::InElement, false)
            }
            (S::Next, b',') => (S::Element, true),
            (S::Next, _) => return Err(self.syntax("expected `,` or `]`").into()),
            (S::Key, b'"') => {
                self.key_at = self.outer.len();
                self.span = Span::default();
                (S::InKey, false)
            }
            (S::Key, b'}') if self.outer.last() == Some(&b'{') => (S::AfterObject, true),
            (S::Key, _) => return Err(self.syntax("expected a key").into()),
            (S::Colon, b':') => (S::Member, true),
            (S::Colon, _) => return Err(self.syntax("expected `:`").into()),
            (S::Member, b'[') if self.key_is_input() => {
                if self.wrapped {
                    return Err(self.syntax("`input` is given twice").into());
                }
                self.wrapped = true;
                (S::First, true)
            }
            (S::Member, b',' | b']' | b'}' | b':') => return Err(self.syntax("expected a value").into()),
            (S::Member, _) => {
                self.span = Span::default();
                (S::InMember, false)
            }
            (S::NextMember, b',') => (S::Key, true),
            (S::NextMember, b'}') if self.wrapped => (S::After, true),
            (S::NextMember, b'}') => (S::AfterObject, true),
            (S::NextMember, _) => return Err(self.syntax("expected `,` or `}`").into()),
            (S::AfterObject, b'{') => {
                self.bare(row)?;
                (S::Line, false)
            }
            (S::Line, b'{') => {
                self.span = Span::default();
                (S::InLine, false)
            }
            (S::Line, _) if self.rows == 0 => return Err(self.syntax("expected an object per line").into()),
            (S::AfterObject | S::After | S::Line, _) => {
                return Err(self.syntax("unexpected text behind the input").into());
            }
            // `feed` keeps these from coming here; a fault instead of a panic if it ever does not.
            (S::InElement | S::InKey | S::InMember | S::InLine, _) => {
                return Err(self.syntax("expected a value").into());
            }
        };
        if taken && matches!(self.state, S::Start | S::Key | S::Colon | S::Member | S::NextMember) {
            self.outer_byte(byte)?;
        }
        self.state = state;
        Ok(taken)
    }

    fn outer_byte(&mut self, byte: u8) -> Result<(), Fault> {
        if self.outer.is_empty() && byte != b'{' {
            return Ok(());
        }
        if self.outer.len() >= limit::ROW_BYTES {
            return Err(Fault::RowTooLarge(self.rows + 1));
        }
        self.outer.push(byte);
        Ok(())
    }

    fn key_is_input(&self) -> bool {
        let key = self.outer[self.key_at..].strip_suffix(b":").unwrap_or_default();
        serde_json::from_slice::<String>(key).is_ok_and(|key| key == "input")
    }

    /// A key or a member of the first object, kept for the end.
    fn outer_part<E: From<Fault>>(&mut self, bytes: &[u8]) -> Result<usize, E> {
        let end = self.span.advance(bytes).ok_or_else(|| self.syntax("too many levels"))?;
        let part = end.unwrap_or(bytes.len());
        if self.outer.len() + part > limit::ROW_BYTES {
            return Err(Fault::RowTooLarge(self.rows + 1).into());
        }
        self.outer.extend_from_slice(&bytes[..part]);
        if end.is_some() {
            self.state = if self.state == State::InKey { State::Colon } else { State::NextMember };
        }
        Ok(part)
    }

    /// A part of an element; hands it over if it ends here.
    fn element<E: From<Fault>>(
        &mut self,
        bytes: &[u8],
        row: &mut impl FnMut(&Self, &[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let end = self.span.advance(bytes).ok_or_else(|| self.syntax("too many levels"))?;
        let part = end.unwrap_or(bytes.len());
        if self.carry.len() + part > limit::ROW_BYTES {
            return Err(Fault::RowTooLarge(self.rows + 1).into());
        }
        if end.is_some() {
            self.state = if self.state == State::InLine { State::Line } else { State::Next };
            self.hand_over(&bytes[..part], row)?;
        } else {
            self.carry.extend_from_slice(bytes);
        }
        Ok(part)
    }

    fn hand_over<E: From<Fault>>(
        &mut self,
        tail: &[u8],
        row: &mut impl FnMut(&Self, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows += 1;
        if self.carry.is_empty() {
            return row(self, tail);
        }
        let mut whole = std::mem::take(&mut self.carry);
        whole.extend_from_slice(tail);
        let result = row(self, &whole);
        whole.clear();
        self.carry = whole;
        result
    }

    /// The first object turned out to be a row itself.
    fn bare<E: From<Fault>>(&mut self, row: &mut impl FnMut(&Self, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let whole = std::mem::take(&mut self.outer);
        self.rows += 1;
        row(self, &whole)
    }
}

/// Finds the end of one value that begins with the first byte.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    depth: u32,
    in_string: bool,
    escaped: bool,
    scalar: bool,
    begun: bool,
}

impl Span {
    /// `Some(Some(n))`: the value ends before `bytes[n]`. `Some(None)`: it goes on. `None`: nested too deeply.
    fn advance(&mut self, bytes: &[u8]) -> Option<Option<usize>> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                match bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\')) {
                    None => return Some(None),
                    Some(n) => at += n,
                }
                if bytes[at] == b'\\' {
                    self.escaped = true;
                } else {
                    self.in_string = false;
                    if self.depth == 0 {
                        return Some(Some(at + 1));
                    }
                }
                at += 1;
                continue;
            }
            let byte = bytes[at];
            if self.scalar {
                if byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}' | b':') {
                    return Some(Some(at));
                }
                at += 1;
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return None;
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(Some(at + 1));
                    }
                }
                _ if !self.begun => self.scalar = true,
                _ => {}
            }
            self.begun = true;
            at += 1;
        }
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: bool, pieces: &[&[u8]]) -> Result<(Vec<String>, Ending), Fault> {
        let mut scanner = if lines { JsonRows::lines() } else { JsonRows::sniffing() };
        let mut rows = Vec::new();
        let mut keep = |_: &JsonRows, row: &[u8]| -> Result<(), Fault> {
            rows.push(String::from_utf8_lossy(row).into_owned());
            Ok(())
        };
        for piece in pieces {
            scanner.feed(piece, &mut keep)?;
        }
        let ending = scanner.finish(&mut keep)?;
        Ok((rows, ending))
    }

    fn whole(text: &str) -> Result<(Vec<String>, Ending), Fault> {
        read(false, &[text.as_bytes()])
    }

    fn rows(text: &str) -> Vec<String> {
        whole(text).unwrap().0
    }

    #[test]
    fn every_shape_gives_its_rows() {
        let two = [r#"{"url":"a"}"#, r#"{"url":"b"}"#];
        assert_eq!(rows(r#"[{"url":"a"},{"url":"b"}]"#), two);
        assert_eq!(rows(" [ {\"url\":\"a\"}\n, {\"url\":\"b\"} ] \n"), two);
        assert_eq!(rows("{\"url\":\"a\"}\n{\"url\":\"b\"}\n"), two);
        assert_eq!(rows(r#"{"url":"a"}{"url":"b"}"#), two);
        assert_eq!(rows(r#"{"url":"a"}"#), two[..1]);
        assert_eq!(rows("\u{feff}[{\"url\":\"a\"}]"), two[..1]);
        assert_eq!(rows("[]"), [""; 0]);
        assert_eq!(rows(r#"[1,"x",null,[2]]"#), ["1", "\"x\"", "null", "[2]"]);
        assert_eq!(read(true, &[br#"{"input":[1]} {"b":2}"#]).unwrap().0, [r#"{"input":[1]}"#, r#"{"b":2}"#]);
    }

    #[test]
    fn options_stand_before_or_behind_the_input() {
        let (rows, ending) =
            whole(r#"{"limit_per_input":5,"\u0069nput":[{"url":"]}"}],"custom_input_fields":["my_id"]}"#)
                .unwrap();
        assert_eq!(rows, [r#"{"url":"]}"}"#]);
        let options = ending.options.unwrap();
        assert_eq!(options["limit_per_input"], 5);
        assert_eq!(options["custom_input_fields"][0], "my_id");
    }

    #[test]
    fn an_object_whose_input_is_no_list_is_a_row() {
        let text = r#"{"input":"x","a":{"input":[1]}}"#;
        assert_eq!(rows(text), [text]);
    }

    #[test]
    fn faults_name_the_element() {
        assert_eq!(whole("  \n"), Err(Fault::Empty));
        assert_eq!(read(true, &[b" "]), Err(Fault::Empty));
        assert_eq!(whole("junk"), Err(Fault::Syntax("expected a value".into(), 1)));
        assert_eq!(whole("[{},,{}]"), Err(Fault::Syntax("expected a value".into(), 2)));
        assert_eq!(whole("[{} {}]"), Err(Fault::Syntax("expected `,` or `]`".into(), 2)));
        for cut in [
            "[",
            "[{}",
            "[{},",
            "{",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"input\":[",
            "{\"input\":[]",
            "[{}] x",
            "{\"input\":[]}{}",
            "{}x",
            "{} {",
        ] {
            assert!(matches!(whole(cut), Err(Fault::Syntax(..))), "{cut}");
        }
        assert!(matches!(whole(&"[".repeat(300)), Err(Fault::Syntax(..))));
    }

    #[test]
    fn one_huge_row_is_refused_before_it_is_held() {
        let mut scanner = JsonRows::sniffing();
        let piece = vec![b'x'; 64 * 1024];
        let mut keep = |_: &JsonRows, _: &[u8]| -> Result<(), Fault> { Ok(()) };
        scanner.feed(b"[{\"url\":\"", &mut keep).unwrap();
        let refused = (0..64).find_map(|_| scanner.feed(&piece, &mut keep).err());
        assert_eq!(refused, Some(Fault::RowTooLarge(1)));
        assert!(scanner.carry.len() <= limit::ROW_BYTES);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,5}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect()
    }

    proptest! {
        #[test]
        fn any_cutting_of_any_json_gives_its_elements(
            values in prop::collection::vec(value(), 0..6),
            pretty: bool,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let all = Value::Array(values.clone());
            let text = if pretty { serde_json::to_string_pretty(&all) } else { serde_json::to_string(&all) }.unwrap();
            let (rows, _) = read(false, &cut(text.as_bytes(), &cuts)).unwrap();
            let parsed: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
            prop_assert_eq!(parsed, values);
        }

        #[test]
        fn a_wrapped_body_gives_rows_and_options(
            values in prop::collection::vec(value(), 0..4),
            before in value(), behind in value(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text = format!("{{\"a\":{before},\"input\":{},\"b\":{behind}}}", Value::Array(values.clone()));
            let (rows, ending) = read(false, &cut(text.as_bytes(), &cuts)).unwrap();
            prop_assert_eq!(rows.len(), values.len());
            let options = ending.options.unwrap();
            prop_assert_eq!(&options["a"], &before);
            prop_assert_eq!(&options["b"], &behind);
        }

        #[test]
        fn no_bytes_make_it_panic_and_cutting_never_matters(
            bytes in prop::collection::vec(prop::sample::select(&b"[]{},:\"\\ \n1at\xefinpu"[..]), 0..60),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            lines: bool,
        ) {
            prop_assert_eq!(read(lines, &[&bytes]), read(lines, &cut(&bytes, &cuts)));
        }
    }
}
