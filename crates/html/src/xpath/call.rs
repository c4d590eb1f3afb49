//! What the functions do.

use super::ast::{Expr, Path};
use super::axis::Item;
use super::eval::{Context, Evaluation};
use super::function::Function;
use super::value::Val;
use super::{Exhausted, SPACE};
use crate::tree::{Kind, Node};
use std::borrow::Cow;
use std::collections::HashSet;

type Done<T> = Result<T, Exhausted>;

impl<'a> Evaluation<'a> {
    /// Calls a function; the parser has checked number and types of its arguments.
    pub(super) fn call(&self, function: &'a Function, args: &'a [Expr], context: Context) -> Done<Val<'a>> {
        use Function as F;
        let text = |index: usize| self.text_arg(args, index, context);
        let number = |index: usize| -> Done<f64> { self.number(self.arg(args, index, context)?) };
        let nodes = |index: usize| match args.get(index) {
            Some(expr) => self.nodes(expr, context),
            None => Ok(Vec::new()),
        };
        let truth = || args.first().map_or(Ok(false), |expr| self.truth(expr, context));
        Ok(match function {
            F::Last => Val::Number(context.size as f64),
            F::Position => Val::Number(context.position as f64),
            F::Count => Val::Number(nodes(0)?.len() as f64),
            F::Id => Val::Nodes(self.by_id(self.arg(args, 0, context)?)?),
            F::Name => Val::String(self.name(nodes(0)?.first().copied(), false)),
            F::LocalName => Val::String(self.name(nodes(0)?.first().copied(), true)),
            F::NamespaceUri => Val::String(Cow::Borrowed("")),
            F::String => Val::String(text(0)?),
            F::Concat => {
                let mut all = String::new();
                for index in 0..args.len() {
                    let part = text(index)?;
                    self.made(&part)?;
                    all.push_str(&part);
                }
                Val::String(Cow::Owned(all))
            }
            F::StartsWith => Val::Boolean(text(0)?.starts_with(&*text(1)?)),
            F::Contains => {
                let (text, part) = (text(0)?, text(1)?);
                self.made(&text)?;
                Val::Boolean(memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some())
            }
            F::SubstringBefore => {
                let (text, mark) = (text(0)?, text(1)?);
                self.made(&text)?;
                let end = text.find(&*mark).unwrap_or(0);
                Val::String(self.part(text, 0, end)?)
            }
            F::SubstringAfter => {
                let (text, mark) = (text(0)?, text(1)?);
                self.made(&text)?;
                let start = text.find(&*mark).map_or(text.len(), |at| at + mark.len());
                let end = text.len();
                Val::String(self.part(text, start, end)?)
            }
            F::Substring => {
                let text = text(0)?;
                self.made(&text)?;
                let first = round(number(1)?);
                // Without a length, up to the end.
                let after = if args.len() > 2 { first + round(number(2)?) } else { f64::INFINITY };
                let inside = |position: usize| (position as f64) >= first && (position as f64) < after;
                let mut range: Option<(usize, usize)> = None;
                for (index, (at, c)) in text.char_indices().enumerate() {
                    if inside(index + 1) {
                        range = Some((range.map_or(at, |(start, _)| start), at + c.len_utf8()));
                    }
                }
                let (start, end) = range.unwrap_or_default();
                Val::String(self.part(text, start, end)?)
            }
            F::StringLength => {
                let text = text(0)?;
                self.made(&text)?;
                Val::Number(text.chars().count() as f64)
            }
            F::NormalizeSpace => {
                let text = text(0)?;
                self.made(&text)?;
                Val::String(normalized(text))
            }
            F::Translate => {
                let (text, from, to) = (text(0)?, text(1)?, text(2)?);
                Val::String(Cow::Owned(self.translated(&text, &from, &to)?))
            }
            F::Boolean => Val::Boolean(truth()?),
            F::Not => Val::Boolean(!truth()?),
            F::True => Val::Boolean(true),
            F::False => Val::Boolean(false),
            F::Lang => Val::Boolean(self.speaks(context.item.at(), &text(0)?)),
            F::Number => Val::Number(number(0)?),
            F::Sum => {
                let mut sum = 0.0;
                for item in nodes(0)? {
                    sum += self.number(Val::Nodes(vec![item]))?;
                }
                Val::Number(sum)
            }
            F::Floor => Val::Number(number(0)?.floor()),
            F::Ceiling => Val::Number(number(0)?.ceil()),
            F::Round => Val::Number(round(number(0)?)),
            F::HasClass => {
                let value = match context.item.rank() {
                    None => Node { doc: self.doc, at: context.item.at() }.attr("class").unwrap_or_default(),
                    Some(_) => "",
                };
                for index in 0..args.len() {
                    let wanted = text(index)?;
                    self.made(value)?;
                    if !crate::select::classes(value).any(|class| class == wanted) {
                        return Ok(Val::Boolean(false));
                    }
                }
                Val::Boolean(true)
            }
            F::Matches(regex) => {
                let text = text(0)?;
                self.work.spend(text.len() as u64)?;
                Val::Boolean(regex.is_match(&text))
            }
            F::Replace(regex, all) => {
                let (text, by) = (text(0)?, text(1)?);
                self.work.spend(text.len() as u64)?;
                let mut out = String::new();
                let mut end = 0;
                for hit in regex.find_iter(&text).take(if *all { usize::MAX } else { 1 }) {
                    self.made(&by)?;
                    out.push_str(&text[end..hit.start()]);
                    out.push_str(&by);
                    end = hit.end();
                }
                out.push_str(&text[end..]);
                Val::String(Cow::Owned(out))
            }
            F::Difference | F::Intersection => {
                let (mut left, right) = (nodes(0)?, nodes(1)?);
                let wanted = matches!(function, F::Intersection);
                left.retain(|item| right.binary_search(item).is_ok() == wanted);
                Val::Nodes(left)
            }
            F::HasSameNode => {
                let (left, right) = (nodes(0)?, nodes(1)?);
                Val::Boolean(left.iter().any(|item| right.binary_search(item).is_ok()))
            }
            F::Distinct => {
                let mut seen = HashSet::new();
                let mut distinct = Vec::new();
                for item in nodes(0)? {
                    if seen.insert(self.kept(item)?) {
                        distinct.push(item);
                    }
                }
                Val::Nodes(distinct)
            }
            // What stands before or after the first node of the other set; all, when that set is empty.
            F::Leading | F::Trailing => {
                let (mut left, right) = (nodes(0)?, nodes(1)?);
                if let Some(mark) = right.first() {
                    match left.binary_search(mark) {
                        Err(_) => left.clear(),
                        Ok(at) if matches!(function, F::Leading) => left.truncate(at),
                        Ok(at) => drop(left.drain(..=at)),
                    }
                }
                Val::Nodes(left)
            }
        })
    }

    fn arg(&self, args: &'a [Expr], index: usize, context: Context) -> Done<Val<'a>> {
        match args.get(index) {
            Some(expr) => self.value(expr, context),
            None => Ok(Val::String(Cow::Borrowed(""))),
        }
    }

    /// An argument as a text. A path of one step is not walked past its first node.
    fn text_arg(&self, args: &'a [Expr], index: usize, context: Context) -> Done<Cow<'a, str>> {
        if let Some(Expr::Path(path)) = args.get(index)
            && let Some(step) = Path::plain_step(path)
            && step.axis.is_forward()
        {
            return match self.first_of(step, context.item)? {
                Some(item) => self.string_of_item(item),
                None => Ok(Cow::Borrowed("")),
            };
        }
        self.string(self.arg(args, index, context)?)
    }

    /// A part of a text, borrowed from the page where that can be.
    fn part(&self, text: Cow<'a, str>, start: usize, end: usize) -> Done<Cow<'a, str>> {
        match text {
            Cow::Borrowed(text) => Ok(Cow::Borrowed(&text[start..end])),
            Cow::Owned(mut text) => {
                text.truncate(end);
                text.drain(..start);
                Ok(Cow::Owned(text))
            }
        }
    }

    fn name(&self, item: Option<Item>, local: bool) -> Cow<'a, str> {
        let Some(item) = item else { return Cow::Borrowed("") };
        let node = Node { doc: self.doc, at: item.at() };
        let Some(rank) = item.rank() else { return Cow::Borrowed(node.name()) };
        let name: &'a str = &self.attr(item.at(), rank).name;
        // Only in SVG and MathML is the part before the colon a prefix.
        match name.split_once(':') {
            Some((_, after)) if local && node.is_foreign() => Cow::Borrowed(after),
            _ => Cow::Borrowed(name),
        }
    }

    /// The elements with the ids that a value names; of an id that stands twice, the first.
    fn by_id(&self, value: Val<'a>) -> Done<Vec<Item>> {
        let mut texts = Vec::new();
        match value {
            Val::Nodes(items) => {
                for item in items {
                    texts.push(self.kept(item)?);
                }
            }
            value => texts.push(self.string(value)?),
        }
        let mut wanted: HashSet<&str> =
            texts.iter().flat_map(|t| t.split(SPACE)).filter(|id| !id.is_empty()).collect();
        let mut found = Vec::new();
        for at in 0..self.doc.nodes.len() as u32 {
            if wanted.is_empty() {
                break;
            }
            self.work.spend(1)?;
            if matches!(self.doc.nodes[at as usize].kind, Kind::Element { .. })
                && (Node { doc: self.doc, at }).attr("id").is_some_and(|id| wanted.remove(id))
            {
                found.push(Item::node(at));
            }
        }
        Ok(found)
    }

    /// Is the nearest `lang` this language or a dialect of it?
    fn speaks(&self, at: u32, wanted: &str) -> bool {
        let node = Node { doc: self.doc, at };
        let lang = std::iter::once(node)
            .chain(node.ancestors())
            .find_map(|n| n.attr("lang").or_else(|| n.attr("xml:lang")));
        lang.is_some_and(|lang| {
            lang.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
                && matches!(lang.as_bytes().get(wanted.len()), None | Some(b'-'))
        })
    }

    fn translated(&self, text: &str, from: &str, to: &str) -> Done<String> {
        // The first place of a character in `from` counts.
        let mut to = to.chars();
        let pairs: Vec<(char, Option<char>)> = from.chars().map(|c| (c, to.next())).collect();
        self.made(from)?;
        let mut ascii: [Option<Option<char>>; 128] = [None; 128];
        for (c, by) in pairs.iter().rev() {
            if let Some(place) = ascii.get_mut(*c as usize) {
                *place = Some(*by);
            }
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let by = match ascii.get(c as usize) {
                Some(by) => *by,
                None => {
                    self.work.spend(pairs.len() as u64)?;
                    pairs.iter().find(|(from, _)| *from == c).map(|(_, by)| *by)
                }
            };
            out.extend(by.unwrap_or(Some(c)));
        }
        self.made(text)?;
        self.made(&out)?;
        Ok(out)
    }
}

/// To the nearest whole number, halves upwards.
fn round(n: f64) -> f64 {
    let floor = n.floor();
    let whole = if n - floor >= 0.5 { floor + 1.0 } else { floor };
    // Infinities minus themselves are not a number, and so stay as they are; -0.2 becomes -0.
    if whole == 0.0 { whole.copysign(n) } else { whole }
}

/// White space trimmed, and each run of it one space.
fn normalized(text: Cow<'_, str>) -> Cow<'_, str> {
    let trimmed = text.trim_matches(SPACE);
    let bytes = trimmed.as_bytes();
    let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    let is_plain = bytes
        .iter()
        .enumerate()
        .all(|(i, b)| !is_space(b) || (*b == b' ' && !bytes.get(i + 1).is_some_and(is_space)));
    if is_plain {
        return match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(SPACE)),
            Cow::Owned(_) => Cow::Owned(trimmed.to_owned()),
        };
    }
    let mut out = String::with_capacity(trimmed.len());
    for word in trimmed.split(SPACE).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    Cow::Owned(out)
}
