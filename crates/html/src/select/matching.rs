//! Does an element match? Right to left, with a memo that keeps it linear.
//!
//! Walks over ancestors or earlier siblings ask "does any of them match the rest of the selector". The answer for one
//! element is part of the answer for the next, so once a page makes the walks long, answers are remembered: a selector
//! then costs at most its length times the page, whatever the page. `:has()` with inner combinators is bounded by
//! [`MAX_STEPS`] instead.

use super::ast::{Combinator, Complex, Compound, Op, Test};
use super::index::classes;
use crate::tree::{Document, Kind, NONE, Node};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Steps of walks after which answers are remembered.
const FREE_STEPS: u64 = 1 << 14;
/// Steps after which nothing matches any more: a bound on time, far past what any page needs.
const MAX_STEPS: u64 = 1 << 28;
/// Memos kept: each is a byte per node.
const MAX_MEMOS: usize = 64;

/// Matches the elements of one document against selectors, for one scope.
pub(super) struct Matcher<'a> {
    doc: &'a Document,
    /// The node that `:scope` and leading combinators mean.
    scope: u32,
    steps: Cell<u64>,
    /// (address of the complex selector, its part, combinator) → what is known of each node.
    memo: RefCell<HashMap<(usize, usize), Vec<Known>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    No,
    Yes,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(doc: &'a Document, scope: u32) -> Self {
        Matcher { doc, scope, steps: Cell::new(0), memo: RefCell::default() }
    }

    fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        self.steps.get() < MAX_STEPS
    }

    /// Does the node match the whole selector? Only elements do.
    #[inline]
    pub(super) fn complex(&self, complex: &Complex, at: u32) -> bool {
        self.leftwards(complex, 0, at, self.scope)
    }

    /// Does the node match part `index` and everything left of it?
    fn leftwards(&self, complex: &Complex, index: usize, at: u32, scope: u32) -> bool {
        let (compound, combinator) = &complex.parts[index];
        if !self.compound(compound, at) {
            return false;
        }
        if index + 1 == complex.parts.len() {
            return complex.anchor.is_none_or(|anchor| self.anchored(anchor, at, scope));
        }
        let doc = self.doc;
        match combinator {
            Combinator::Child => {
                let parent = doc.nodes[at as usize].parent;
                parent != NONE && self.leftwards(complex, index + 1, parent, scope)
            }
            Combinator::Next => {
                let prev = doc.prev_element(at);
                prev != NONE && self.leftwards(complex, index + 1, prev, scope)
            }
            Combinator::Descendant => {
                self.walk(complex, index + 1, at, scope, |at| doc.nodes[at as usize].parent)
            }
            Combinator::Later => self.walk(complex, index + 1, at, scope, |at| doc.nodes[at as usize].prev),
        }
    }

    /// Does any node of the walk from `at` match part `index` and everything left of it?
    fn walk(&self, complex: &Complex, index: usize, at: u32, scope: u32, next: impl Fn(u32) -> u32) -> bool {
        // Inside `:has()` an answer depends on the scope too, so it is not remembered.
        let remember = self.steps.get() > FREE_STEPS && scope == self.scope;
        let key = (std::ptr::from_ref(complex) as usize, index);
        let mut found = false;
        let mut here = next(at);
        let mut walked = 0;
        while here != NONE && self.step() {
            if remember
                && let Some(known) = self.memo.borrow().get(&key).map(|m| m[here as usize])
                && known != Known::Nothing
            {
                found = known == Known::Yes;
                break;
            }
            if self.leftwards(complex, index, here, scope) {
                found = true;
                break;
            }
            walked += 1;
            here = next(here);
        }
        if remember && (self.memo.borrow().len() < MAX_MEMOS || self.memo.borrow().contains_key(&key)) {
            let mut memo = self.memo.borrow_mut();
            let memo = memo.entry(key).or_insert_with(|| vec![Known::Nothing; self.doc.nodes.len()]);
            let mut passed = next(at);
            for _ in 0..walked {
                memo[passed as usize] = if found { Known::Yes } else { Known::No };
                passed = next(passed);
            }
            if here != NONE && found {
                memo[here as usize] = Known::Yes;
            }
        }
        found
    }

    /// Does a leading combinator lead from the scope to the node?
    fn anchored(&self, anchor: Combinator, at: u32, scope: u32) -> bool {
        let (from, to) = (&self.doc.nodes[scope as usize], &self.doc.nodes[at as usize]);
        match anchor {
            Combinator::Descendant => scope < at && at < from.end,
            Combinator::Child => to.parent == scope,
            Combinator::Next => self.doc.prev_element(at) == scope,
            Combinator::Later => to.parent == from.parent && scope < at,
        }
    }

    #[inline]
    fn compound(&self, compound: &Compound, at: u32) -> bool {
        let Kind::Element { name, .. } = &self.doc.nodes[at as usize].kind else { return false };
        if compound.name.as_ref().is_some_and(|wanted| wanted != name) {
            return false;
        }
        if compound.filter != 0 && self.doc.filters()[at as usize] & compound.filter != compound.filter {
            return false;
        }
        compound.tests.iter().all(|test| self.test(test, at))
    }

    fn test(&self, test: &Test, at: u32) -> bool {
        let node = Node { doc: self.doc, at };
        match test {
            Test::Id(id) => node.attr("id") == Some(id),
            Test::Class(class) => node.attr("class").is_some_and(|v| classes(v).any(|c| c == &**class)),
            Test::Attr { name, op, value, ignore_case } => node
                .raw_attrs()
                .iter()
                .find(|a| a.name == *name)
                .is_some_and(|a| compare(*op, self.doc.str(a.value), value, *ignore_case)),
            Test::Root => is_root(node),
            Test::Scope if self.scope == 0 => is_root(node),
            Test::Scope => at == self.scope,
            Test::Empty => {
                node.children().all(|c| !c.is_element() && c.text_node().is_none_or(str::is_empty))
            }
            Test::Nth { a, b, from_end, same_name } => {
                let rank = self.doc.rank(at);
                let (start, end) = if *same_name { rank.same_name } else { rank.any };
                nth(*a, *b, if *from_end { end } else { start })
            }
            Test::Only { same_name } => {
                let rank = self.doc.rank(at);
                (if *same_name { rank.same_name } else { rank.any }) == (1, 1)
            }
            Test::Not(list) => !list.iter().any(|c| self.complex(c, at)),
            Test::Is(list) => list.iter().any(|c| self.complex(c, at)),
            Test::Has(list) => list.iter().any(|c| self.has(c, node)),
            Test::Lang(ranges) => language(node).is_some_and(|lang| ranges.iter().any(|r| in_range(lang, r))),
            Test::Link => matches!(node.name(), "a" | "area") && node.attr("href").is_some(),
            Test::Checked => match node.name() {
                "input" => node.attr("checked").is_some(),
                "option" => node.attr("selected").is_some(),
                _ => false,
            },
            Test::Disabled => is_control(node) && node.attr("disabled").is_some(),
            Test::Enabled => is_control(node) && node.attr("disabled").is_none(),
            Test::Required => is_field(node) && node.attr("required").is_some(),
            Test::Optional => is_field(node) && node.attr("required").is_none(),
            Test::Never => false,
        }
    }

    /// Does anything match a relative selector seen from `node`?
    fn has(&self, complex: &Complex, node: Node<'_>) -> bool {
        let (from, to) = match complex.anchor {
            Some(Combinator::Next | Combinator::Later) => {
                (node.end(), node.parent().map_or(node.end(), Node::end))
            }
            _ => (node.at + 1, node.end()),
        };
        (from..to).any(|at| self.step() && self.leftwards(complex, 0, at, node.at))
    }
}

fn is_root(node: Node<'_>) -> bool {
    node.is_element() && node.data().parent == 0
}

fn is_control(node: Node<'_>) -> bool {
    matches!(node.name(), "button" | "input" | "select" | "textarea" | "optgroup" | "option" | "fieldset")
}

fn is_field(node: Node<'_>) -> bool {
    matches!(node.name(), "input" | "select" | "textarea")
}

/// The language that holds for a node: the nearest `lang`.
fn language(node: Node<'_>) -> Option<&str> {
    std::iter::once(node).chain(node.ancestors()).find_map(|n| n.attr("lang").or_else(|| n.attr("xml:lang")))
}

/// `de` and `*-CH`: prefix matching by subtags.
fn in_range(lang: &str, range: &str) -> bool {
    let mut subtags = lang.split('-');
    let mut wanted = range.split('-');
    match wanted.next() {
        Some("*") => {
            subtags.next();
        }
        first => {
            if !first.zip(subtags.next()).is_some_and(|(r, s)| r.eq_ignore_ascii_case(s)) {
                return false;
            }
        }
    }
    wanted.all(|r| subtags.any(|s| s.eq_ignore_ascii_case(r)))
}

/// Is `rank` one of `a·n + b`, n ≥ 0?
fn nth(a: i32, b: i32, rank: u32) -> bool {
    let (a, past) = (i64::from(a), i64::from(rank) - i64::from(b));
    if a == 0 { past == 0 } else { past % a == 0 && past / a >= 0 }
}

fn compare(op: Op, have: &str, want: &str, ignore_case: bool) -> bool {
    let (have, want) = (have.as_bytes(), want.as_bytes());
    let same = |a: &[u8], b: &[u8]| if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b };
    match op {
        Op::Present => true,
        Op::Equal => same(have, want),
        Op::Word => {
            !want.is_empty()
                && have
                    .split(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c))
                    .any(|word| same(word, want))
        }
        Op::Dash => {
            have.len() >= want.len()
                && same(&have[..want.len()], want)
                && (have.len() == want.len() || have[want.len()] == b'-')
        }
        Op::Prefix => !want.is_empty() && have.len() >= want.len() && same(&have[..want.len()], want),
        Op::Suffix => {
            !want.is_empty() && have.len() >= want.len() && same(&have[have.len() - want.len()..], want)
        }
        Op::Substring if want.is_empty() => false,
        Op::Substring if ignore_case => have.windows(want.len()).any(|w| w.eq_ignore_ascii_case(want)),
        Op::Substring => memchr::memmem::find(have, want).is_some(),
    }
}
