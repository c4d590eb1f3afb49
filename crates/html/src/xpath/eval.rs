//! Expressions → values: paths, predicates and operators.
//!
//! Recurses on the nesting of the expression alone, which the parser bounds. Every loop spends [`Work`].

use super::ast::{Expr, Op, Path, Predicate, Start, Step};
use super::axis::Item;
use super::value::Val;
use super::{Exhausted, Found, Value, Work};
use crate::tree::{Attr, Document, Kind, Node};
use std::cell::RefCell;
use std::rc::Rc;

/// The run of one expression on one page. `'a` is the life of the page and of the expression.
pub(super) struct Evaluation<'a> {
    pub(super) doc: &'a Document,
    pub(super) work: &'a Work,
    /// What the paths in predicates that begin at the root have given.
    slots: RefCell<Vec<Option<Rc<[Item]>>>>,
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) item: Item,
    /// From 1.
    pub(super) position: usize,
    pub(super) size: usize,
}

type Done<T> = Result<T, Exhausted>;

impl<'a> Evaluation<'a> {
    pub(super) fn new(doc: &'a Document, work: &'a Work, slots: usize) -> Self {
        Evaluation { doc, work, slots: RefCell::new(vec![None; slots]) }
    }

    /// The value of the whole expression, for the outside.
    pub(super) fn whole<'d>(&self, expr: &'a Expr, node: Node<'d>) -> Done<Value<'d>> {
        Ok(match self.value(expr, Context { item: Item::node(node.at), position: 1, size: 1 })? {
            Val::Nodes(items) => Value::Nodes(items.into_iter().map(|item| found(node.doc, item)).collect()),
            Val::String(text) => Value::String(text.into_owned()),
            Val::Number(n) => Value::Number(n),
            Val::Boolean(b) => Value::Boolean(b),
        })
    }

    /// The attribute of an element, by its rank.
    pub(super) fn attr(&self, at: u32, rank: usize) -> &'a Attr {
        // Items of attributes are made of the ranks that an element has.
        &Node { doc: self.doc, at }.raw_attrs()[rank]
    }

    pub(super) fn value(&self, expr: &'a Expr, context: Context) -> Done<Val<'a>> {
        self.work.spend(1)?;
        Ok(match expr {
            Expr::Or(_) | Expr::And(_) => Val::Boolean(self.truth(expr, context)?),
            Expr::Chain(first, rest) => {
                let mut value = self.value(first, context)?;
                for (op, operand) in rest {
                    let operand = self.value(operand, context)?;
                    value = self.operate(*op, value, operand)?;
                }
                value
            }
            Expr::Negate(inner, odd) => {
                let n = self.number(self.value(inner, context)?)?;
                Val::Number(if *odd { -n } else { n })
            }
            Expr::Union(_) | Expr::Path(_) => Val::Nodes(self.nodes(expr, context)?),
            Expr::Literal(text) => Val::String((&**text).into()),
            Expr::Number(n) => Val::Number(*n),
            Expr::Call(function, args) => self.call(function, args, context)?,
        })
    }

    fn operate(&self, op: Op, a: Val<'a>, b: Val<'a>) -> Done<Val<'a>> {
        let arithmetic: fn(f64, f64) -> f64 = match op {
            Op::Add => |a, b| a + b,
            Op::Subtract => |a, b| a - b,
            Op::Multiply => |a, b| a * b,
            Op::Divide => |a, b| a / b,
            // Truncating, with the sign of the dividend, as in the standard.
            Op::Modulo => |a, b| a % b,
            _ => return Ok(Val::Boolean(self.compare(op, &a, &b)?)),
        };
        Ok(Val::Number(arithmetic(self.number(a)?, self.number(b)?)))
    }

    /// The value as a boolean; of a path, no more than whether there is a node.
    pub(super) fn truth(&self, expr: &'a Expr, context: Context) -> Done<bool> {
        match expr {
            Expr::Or(list) => {
                for operand in list {
                    if self.truth(operand, context)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expr::And(list) => {
                for operand in list {
                    if !self.truth(operand, context)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expr::Path(path) => {
                if let Some(step) = path.plain_step() {
                    return Ok(self.first_of(step, context.item)?.is_some());
                }
                Ok(!self.nodes(expr, context)?.is_empty())
            }
            _ => Ok(self.value(expr, context)?.truth()),
        }
    }

    /// The first node, in the order of its axis, that a step without positions gives.
    pub(super) fn first_of(&self, step: &'a Step, from: Item) -> Done<Option<Item>> {
        let mut first = None;
        self.walk(step.axis, &step.test, from, |item| {
            for predicate in &step.predicates {
                if !self.holds(predicate, Context { item, position: 1, size: 1 })? {
                    return Ok(true);
                }
            }
            first = Some(item);
            Ok(false)
        })?;
        Ok(first)
    }

    /// The nodes of an expression whose type is node-set: in document order, each once.
    pub(super) fn nodes(&self, expr: &'a Expr, context: Context) -> Done<Vec<Item>> {
        match expr {
            Expr::Path(path) => self.path(path, context),
            Expr::Union(list) => {
                let mut all = Vec::new();
                for operand in list {
                    let nodes = self.nodes(operand, context)?;
                    if all.is_empty() {
                        all = nodes;
                    } else {
                        self.work.spend(nodes.len() as u64)?;
                        all.extend(nodes);
                    }
                }
                self.in_order(&mut all)?;
                Ok(all)
            }
            // The parser has seen to it that the others are calls which give nodes.
            _ => match self.value(expr, context)? {
                Val::Nodes(nodes) => Ok(nodes),
                _ => Ok(Vec::new()),
            },
        }
    }

    fn path(&self, path: &'a Path, context: Context) -> Done<Vec<Item>> {
        let known = path.slot.and_then(|slot| self.slots.borrow()[slot].clone());
        if let Some(known) = known {
            self.work.spend(known.len() as u64)?;
            return Ok(known.to_vec());
        }
        let mut items = match &path.start {
            Start::Context => vec![context.item],
            Start::Root => vec![Item::node(0)],
            Start::Expr(expr, predicates) => {
                let mut items = self.nodes(expr, context)?;
                for predicate in predicates {
                    self.filter(predicate, &mut items)?;
                }
                items
            }
        };
        for step in &path.steps {
            if items.is_empty() {
                break;
            }
            items = self.step(step, &items)?;
        }
        if let Some(slot) = path.slot {
            self.slots.borrow_mut()[slot] = Some(items.as_slice().into());
        }
        Ok(items)
    }

    fn step(&self, step: &'a Step, from: &[Item]) -> Done<Vec<Item>> {
        if !step.predicates.iter().any(Predicate::is_positional) {
            let mut items = self.reach(step.axis, &step.test, from)?;
            for predicate in &step.predicates {
                self.filter(predicate, &mut items)?;
            }
            return Ok(items);
        }
        let mut all = Vec::new();
        for &item in from {
            // A first predicate `[3]` needs no more than three nodes.
            let wanted = match step.predicates.first() {
                Some(Predicate::At(n)) => *n,
                _ => usize::MAX,
            };
            self.work.spend(1)?;
            let mut items = Vec::new();
            if wanted > 0 {
                self.walk(step.axis, &step.test, item, |item| {
                    items.push(item);
                    Ok(items.len() < wanted)
                })?;
            }
            for predicate in &step.predicates {
                self.filter(predicate, &mut items)?;
            }
            all.append(&mut items);
        }
        self.in_order(&mut all)?;
        Ok(all)
    }

    /// Leaves the items for which a predicate holds; their order is that of positions.
    fn filter(&self, predicate: &'a Predicate, items: &mut Vec<Item>) -> Done<()> {
        if let Predicate::At(n) = predicate {
            let item = n.checked_sub(1).and_then(|i| items.get(i).copied());
            items.clear();
            items.extend(item);
            return Ok(());
        }
        let (size, mut kept) = (items.len(), 0);
        for index in 0..size {
            let item = items[index];
            if self.holds(predicate, Context { item, position: index + 1, size })? {
                items[kept] = item;
                kept += 1;
            }
        }
        items.truncate(kept);
        Ok(())
    }

    fn holds(&self, predicate: &'a Predicate, context: Context) -> Done<bool> {
        self.work.spend(1)?;
        match predicate {
            Predicate::At(n) => Ok(context.position == *n),
            Predicate::Where(expr) => self.truth(expr, context),
            Predicate::Positional(expr) => match self.value(expr, context)? {
                Val::Number(n) => Ok(n == context.position as f64),
                value => Ok(value.truth()),
            },
        }
    }
}

/// An item as the outside sees it.
fn found(doc: &Document, item: Item) -> Found<'_> {
    let node = Node { doc, at: item.at() };
    match (item.rank(), &node.data().kind) {
        (Some(rank), Kind::Element { .. }) => {
            let attr = &node.raw_attrs()[rank];
            Found::Attribute { owner: node, name: &attr.name, value: doc.str(attr.value) }
        }
        _ => Found::Node(node),
    }
}
