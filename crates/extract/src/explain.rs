//! Why a field has the value it has: the sources of the file in the order they were tried, what each found, and where.
//!
//! Owns: the shape of an explanation, the names of fields within fields, rules as the file writes them. Must not know: how
//! a page is looked into (`page::trace` does).

use crate::spec::{Field, Kind, Source};
use model::Failure;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::{Display, Formatter, Write};

/// Why the fields of one record are what they are.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Name of the scraper.
    pub scraper: String,
    /// Version of the file whose lines are named.
    pub scraper_version: String,
    /// Page kind that read the page.
    pub page_kind: String,
    /// Which record of its page, from 0.
    pub record: usize,
    /// Where the record's row is, on pages of several records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Place>,
    /// The fields, in the order of the file.
    pub fields: Vec<Trace>,
}

/// Why one field is what it is.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// `price`, or `offers[0].price` within another.
    pub field: String,
    /// Type word of the field.
    #[serde(rename = "type")]
    pub type_word: String,
    /// What the record has; null if no source gave a value.
    pub value: Value,
    /// The value was read on the page that led to this one: no source of this page gave one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Sources in the order they were tried. The last gave the value, if there is one (of `merge` fields, each may).
    pub tried: Vec<Try>,
    /// Fields of an object, or of the first object of a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Trace>,
}

/// One source that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Try {
    /// The rule of the file.
    pub rule: Rule,
    /// What came of it.
    pub outcome: Outcome,
    /// What did not fit, or why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The beginning of the first text that was found, before it was converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where it was found, the first places of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// What came of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gave the value (or some of a list).
    Gave,
    /// There is no such place on the page.
    FoundNothing,
    /// There is a place, but nothing of it matched the regular expression, or it is empty.
    Empty,
    /// What was found is not of the field's type.
    Misfit,
}

/// A source as the file writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// As written.
    pub source: String,
}

/// A place on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// What the path leads through.
    pub within: Within,
    /// Of HTML the path of the element (with `@name` of an attribute), of JSON a pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Path of the element that carries the data which a pointer leads through: a script, an item's property.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// Begin and end in bytes of the page's text as UTF-8: of the element with its tags, or of the text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<(usize, usize)>,
}

/// What a place is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// The tree of an HTML page.
    Html,
    /// The text of the answer.
    Body,
    /// The JSON page, or the feed read as JSON.
    Json,
    /// JSON-LD; the first step of the pointer is the number of the script.
    JsonLd,
    /// Microdata items, read as JSON.
    Microdata,
    /// RDFa items, read as JSON.
    Rdfa,
    /// JSON of a script.
    Script,
    /// The input's row.
    Input,
}

/// Why nothing can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The page could not be read.
    #[error("{}", .0.message)]
    Page(Failure),
    /// The page has fewer records.
    #[error("The page has no record {number}: it gives {count}")]
    NoRecord {
        /// Which was asked for.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// The output schema has no such field.
    #[error("There is no field `{name}`; known: {known}")]
    NoField {
        /// Which was asked for.
        name: String,
        /// Names that there are, joined.
        known: String,
    },
}

impl Explanation {
    /// For a terminal; `file` is what its lines are said to be in.
    pub fn text(&self, file: &str) -> String {
        let mut out = format!("record {} of a page of kind `{}`", self.record, self.page_kind);
        if let Some(row) = &self.row {
            let _ = write!(out, ", row at {row}");
        }
        let _ = writeln!(out, " ({}, version {})", self.scraper, self.scraper_version);
        for field in &self.fields {
            field.write(file, 0, &mut out);
        }
        out
    }
}

impl Trace {
    fn write(&self, file: &str, depth: usize, out: &mut String) {
        // Writing to a String cannot fail.
        let indent = "  ".repeat(depth);
        let value = self.value.to_string();
        let _ = writeln!(out, "{indent}{} ({}) = {}", self.field, self.type_word, head(&value));
        for one in &self.tried {
            let _ =
                writeln!(out, "{indent}  {file}:{}:{}: {}", one.rule.line, one.rule.column, one.rule.source);
            let what = match one.outcome {
                Outcome::Gave => "gave it",
                Outcome::FoundNothing => "found nothing",
                Outcome::Empty => "found a place with nothing to take",
                Outcome::Misfit => "found what does not fit",
            };
            let _ = write!(out, "{indent}    {what}");
            if let Some(reason) = &one.reason {
                let _ = write!(out, ": {reason}");
            }
            if let Some(text) = &one.text {
                let _ = write!(out, ", from {}", head(&Value::from(text.as_str()).to_string()));
            }
            for (i, place) in one.places.iter().enumerate() {
                let _ = write!(out, "{}{place}", if i == 0 { " at " } else { ", " });
            }
            out.push('\n');
        }
        if self.tried.is_empty() && self.fields.is_empty() {
            let _ = writeln!(out, "{indent}  no source of this kind of page");
        }
        if self.begun {
            let _ = writeln!(out, "{indent}  read on the page that led to this one");
        }
        for field in &self.fields {
            field.write(file, depth + 1, out);
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let within = match self.within {
            Within::Html | Within::Body => "",
            Within::Json => "JSON ",
            Within::JsonLd => "JSON-LD ",
            Within::Microdata => "microdata ",
            Within::Rdfa => "RDFa ",
            Within::Script => "a script's JSON ",
            Within::Input => "the input ",
        };
        let path = self.path.as_deref().unwrap_or_default();
        write!(f, "{within}{path}")?;
        if let Some(element) = &self.element {
            write!(f, " in {element}")?;
        }
        match self.bytes {
            Some((start, end)) if self.path.is_none() => write!(f, "bytes {start} to {end}"),
            Some((start, end)) => write!(f, " (bytes {start} to {end})"),
            None => Ok(()),
        }
    }
}

/// The beginning of a long text.
fn head(text: &str) -> String {
    const CHARS: usize = 160;
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// One step of a field's name: `offers[2]`.
pub(crate) struct Step<'n> {
    pub(crate) name: &'n str,
    pub(crate) index: usize,
}

/// The steps of `offers[2].price`. An index that is no number is part of the name, which then is of no field.
pub(crate) fn steps(name: &str) -> Vec<Step<'_>> {
    let step = |part: &'_ str| {
        let indexed = part.strip_suffix(']').and_then(|rest| rest.split_once('['));
        indexed.and_then(|(name, index)| Some((name.len(), index.parse().ok()?)))
    };
    name.split('.')
        .map(|part| match step(part) {
            Some((end, index)) => Step { name: &part[..end], index },
            None => Step { name: part, index: 0 },
        })
        .collect()
}

/// The sources of the fields of this name, each once, in order.
pub(crate) fn rules<'s>(fields: impl Iterator<Item = &'s Field>, name: &str, file: &str) -> Vec<Rule> {
    let steps = steps(name);
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for field in fields.filter_map(|field| inner(field, &steps)) {
        for source in field.from.iter().filter(|s| seen.insert(s.at)) {
            out.push(Rule::of(source, file));
        }
    }
    out
}

fn inner<'f>(field: &'f Field, steps: &[Step<'_>]) -> Option<&'f Field> {
    let (first, rest) = steps.split_first()?;
    if field.name != first.name {
        return None;
    }
    if rest.is_empty() {
        return Some(field);
    }
    field.kind.fields()?.iter().find_map(|f| inner(f, rest))
}

impl Kind {
    /// The fields of an object, or of a list's objects.
    pub(crate) fn fields(&self) -> Option<&[Field]> {
        match self {
            Self::Object(fields) => Some(fields),
            Self::List(of) => of.fields(),
            Self::One(_) => None,
        }
    }
}

impl Rule {
    pub(crate) fn of(source: &Source, file: &str) -> Self {
        let (line, column) = source.at;
        Self { line, column, source: written(file, line, column) }
    }
}

/// The inline table that begins at a place, as written; the rest of the line if none does.
fn written(file: &str, line: usize, column: usize) -> String {
    let start: usize = file.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = file.get(start..).unwrap_or_default();
    let inside = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    let rest = &rest[inside..];
    let mut depth = 0_usize;
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !is_escaped => {
                is_escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !is_escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth <= 1 => return rest[..=at].split_whitespace().collect::<Vec<_>>().join(" "),
            (None, '}') => depth -= 1,
            (None, '\n') if depth == 0 => return rest[..at].trim().to_owned(),
            _ => {}
        }
        is_escaped = false;
    }
    rest.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_shown_as_written() {
        let file = "a = 1\nfrom = [{ css = \"a}b\\\"}\" }, { json = '$.x' }]\n";
        assert_eq!(written(file, 2, 9), "{ css = \"a}b\\\"}\" }");
        assert_eq!(written(file, 2, 29), "{ json = '$.x' }");
        assert_eq!(written(file, 1, 1), "a = 1");
        assert_eq!(written(file, 9, 9), "");
    }

    #[test]
    fn names_have_steps() {
        let shown = |name| steps(name).iter().map(|s| format!("{}/{}", s.name, s.index)).collect::<Vec<_>>();
        assert_eq!(shown("offers[2].price"), ["offers/2", "price/0"]);
        assert_eq!(shown("a[x].b]"), ["a[x]/0", "b]/0"]);
    }
}
