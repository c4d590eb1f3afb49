//! Reading tables of a scraper file with places: every complaint has a line and a column, every unknown key a suggestion.
//!
//! Owns: positions, error messages, the nearest known key. Must not know: what the keys mean.
//! Invariant: a key is known because the compiler asked for it, so the list of known keys cannot go stale.

use crate::{FileError, limit};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Complaints about one file, collected while it is compiled, and numbers for the scripts that it reads JSON from (so
/// that each script of a page is parsed once however many fields look into it).
pub(crate) struct Errors<'t> {
    text: &'t str,
    list: RefCell<Vec<FileError>>,
    scripts: RefCell<Vec<String>>,
}

impl<'t> Errors<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, list: RefCell::default(), scripts: RefCell::default() }
    }

    /// The number of a script, by how the file names it.
    pub(crate) fn script(&self, name: &str) -> usize {
        let mut scripts = self.scripts.borrow_mut();
        scripts.iter().position(|s| s == name).unwrap_or_else(|| {
            scripts.push(name.to_owned());
            scripts.len() - 1
        })
    }

    /// How many scripts there are.
    pub(crate) fn scripts(&self) -> usize {
        self.scripts.borrow().len()
    }

    /// Adds a complaint about the byte at `offset`.
    pub(crate) fn at(&self, offset: usize, message: impl Into<String>) {
        self.at_column(offset, 0, message);
    }

    /// Adds a complaint about the `inside`-th character of the string that begins at `offset`.
    pub(crate) fn at_column(&self, offset: usize, inside: usize, message: impl Into<String>) {
        let mut list = self.list.borrow_mut();
        if list.len() >= limit::FILE_ERRORS {
            return;
        }
        let (line, column) = self.place(offset);
        // Escapes and strings of several lines make a place within a string a guess: it stays on its line.
        let width = self.text.lines().nth(line - 1).map_or(0, |l| l.chars().count());
        let column = (column + inside).min(width + 1);
        list.push(FileError { line, column, message: message.into() });
    }

    /// Line and column of a place, from 1.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }

    /// All complaints, in the order of the file.
    pub(crate) fn into_list(self) -> Vec<FileError> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|e| (e.line, e.column));
        list
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }
}

/// A value with its place.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) at: usize,
}

impl<'a> Item<'a> {
    fn of(value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value: value.get_ref(), at: value.span().start }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }

    /// As a table named `what` in messages; complains otherwise.
    pub(crate) fn table(&self, what: &str, errors: &'a Errors<'a>) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(table) => {
                Some(Table { table, at: self.at, what: what.to_owned(), asked: RefCell::default(), errors })
            }
            _ => {
                errors.at(self.at, format!("{what} must be a table, not {}", self.kind()));
                None
            }
        }
    }

    /// As a string; complains otherwise.
    pub(crate) fn text(&self, what: &str, errors: &Errors<'_>) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => {
                errors.at(self.at, format!("{what} must be a string, not {}", self.kind()));
                None
            }
        }
    }

    /// The elements of an array, or the value itself as the only element.
    pub(crate) fn elements(&self) -> Vec<Item<'a>> {
        match self.value {
            DeValue::Array(list) => list.iter().map(Item::of).collect(),
            _ => vec![*self],
        }
    }

    /// As JSON; TOML dates become their text.
    pub(crate) fn json(&self) -> Value {
        json(self.value)
    }

    /// Where the first character inside the quotes of a one-line string is.
    pub(crate) fn text_start(&self) -> usize {
        self.at + 1
    }
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).map_or(Value::Null, Value::from),
        DeValue::Float(n) => n.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(list) => list.iter().map(|v| json(v.get_ref())).collect(),
        DeValue::Table(table) => {
            let mut map = Map::new();
            for (key, value) in entries_of(table) {
                map.insert(key.get_ref().as_ref().to_owned(), json(value.get_ref()));
            }
            Value::Object(map)
        }
    }
}

type Entry<'a> = (&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>);

/// Entries in the order of the file: the order of fields is the order of columns.
fn entries_of<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut list: Vec<Entry<'a>> = table.iter().collect();
    list.sort_by_key(|(key, _)| key.span().start);
    list
}

/// A table being read. Ask for its keys, then call [`Table::finish`].
pub(crate) struct Table<'a> {
    table: &'a DeTable<'a>,
    pub(crate) at: usize,
    what: String,
    asked: RefCell<Vec<&'static str>>,
    pub(crate) errors: &'a Errors<'a>,
}

impl<'a> Table<'a> {
    /// The root of a file.
    pub(crate) fn root(table: &'a Spanned<DeTable<'a>>, errors: &'a Errors<'a>) -> Self {
        Self { table: table.get_ref(), at: 0, what: "the file".into(), asked: RefCell::default(), errors }
    }

    /// The value of a key, which is known from now on.
    pub(crate) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key).map(Item::of)
    }

    /// Is the key there? Makes it known too.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Complains that a key is missing.
    pub(crate) fn missing(&self, key: &str, expected: &str) {
        self.errors.at(self.at, format!("{} needs `{key}`: {expected}", self.what));
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<&'a str> {
        self.get(key)?.text(&format!("`{key}`"), self.errors)
    }

    pub(crate) fn boolean(&self, key: &'static str) -> Option<bool> {
        let item = self.get(key)?;
        if let DeValue::Boolean(value) = item.value {
            return Some(*value);
        }
        self.errors.at(item.at, format!("`{key}` must be true or false, not {}", item.kind()));
        None
    }

    /// A whole number within bounds.
    pub(crate) fn whole(&self, key: &'static str, within: Range<i64>) -> Option<i64> {
        let item = self.get(key)?;
        match json(item.value).as_i64() {
            Some(n) if within.contains(&n) => Some(n),
            _ => {
                let (low, high) = (within.start, within.end.saturating_sub(1));
                self.errors.at(item.at, format!("`{key}` must be a whole number from {low} to {high}"));
                None
            }
        }
    }

    pub(crate) fn number(&self, key: &'static str) -> Option<f64> {
        let item = self.get(key)?;
        let value = json(item.value).as_f64().filter(|n| n.is_finite());
        if value.is_none() {
            self.errors.at(item.at, format!("`{key}` must be a number, not {}", item.kind()));
        }
        value
    }

    /// A list of strings.
    pub(crate) fn texts(&self, key: &'static str) -> Vec<String> {
        let Some(item) = self.get(key) else { return Vec::new() };
        if !matches!(item.value, DeValue::Array(_)) {
            self.errors.at(item.at, format!("`{key}` must be an array of strings, not {}", item.kind()));
            return Vec::new();
        }
        let what = format!("an element of `{key}`");
        item.elements().iter().filter_map(|e| e.text(&what, self.errors)).map(str::to_owned).collect()
    }

    /// One of some words; complains with the nearest.
    pub(crate) fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let item = self.get(key)?;
        let word = item.text(&format!("`{key}`"), self.errors)?;
        pick_word(item, key, word, words, self.errors)
    }

    /// The tables within this one, each with its key and the place of the key, in the order of the file.
    pub(crate) fn named(&self, key: &'static str) -> Vec<(&'a str, usize, Item<'a>)> {
        let Some(item) = self.get(key) else { return Vec::new() };
        match item.value {
            DeValue::Table(table) => entries_of(table)
                .into_iter()
                .map(|(name, value)| (name.get_ref().as_ref(), name.span().start, Item::of(value)))
                .collect(),
            _ => {
                self.errors
                    .at(item.at, format!("`{key}` must be a table of named tables, not {}", item.kind()));
                Vec::new()
            }
        }
    }

    /// Complains about every key that was not asked for. Call it when all have been.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in entries_of(self.table) {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &asked) {
                Some(known) => format!("did you mean `{known}`?"),
                None => {
                    let mut known = asked.to_vec();
                    known.sort_unstable();
                    known.dedup();
                    format!("known here: {}", known.join(", "))
                }
            };
            self.errors.at(key.span().start, format!("unknown key `{name}` in {}; {hint}", self.what));
        }
    }
}

/// Picks the meaning of a word, or complains with the nearest.
pub(crate) fn pick_word<T: Copy>(
    item: Item<'_>,
    key: &str,
    word: &str,
    words: &[(&str, T)],
    errors: &Errors<'_>,
) -> Option<T> {
    if let Some((_, value)) = words.iter().find(|(known, _)| *known == word) {
        return Some(*value);
    }
    let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
    let hint = nearest(word, &known).map(|k| format!("; did you mean `{k}`?")).unwrap_or_default();
    errors.at(item.at, format!("`{key}` must be one of {}, not `{word}`{hint}", known.join(", ")));
    None
}

/// The known word nearest to a misspelt one, if it is near at all.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let most = (word.chars().count() / 3).max(1);
    known.iter().map(|k| (distance(word, k), *k)).filter(|(d, _)| *d <= most).min().map(|(_, k)| k)
}

/// Edits between two words (Levenshtein, a swap of neighbours counts once).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut new = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (old[j - 1] + same).min(old[j] + 1).min(new[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(older[j - 2] + 1);
            }
            new.push(best);
        }
        older = std::mem::replace(&mut old, new);
    }
    old[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("requred", &["required", "pattern"]), Some("required"));
        assert_eq!(nearest("tpye", &["type", "to"]), Some("type"));
        assert_eq!(nearest("banana", &["required", "pattern"]), None);
    }

    #[test]
    fn places_count_characters_not_bytes() {
        let errors = Errors::new("a = 1\né = x\n");
        errors.at("a = 1\né = ".len(), "here");
        assert_eq!(errors.into_list(), [FileError { line: 2, column: 5, message: "here".into() }]);
    }
}
