//! A compiled expression: what the parser makes and the evaluator reads.
//!
//! XPath 1.0 without variables is statically typed: [`Expr::kind`] is what an evaluation gives, on every page. Chains of
//! operators are lists, so the depth of this tree is bounded by the nesting of the expression, not by its length.

use super::function::Function;
use crate::name::Name;

/// The four types of XPath 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nodes,
    String,
    Number,
    Boolean,
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    /// Operators of one level, from left to right.
    Chain(Box<Expr>, Vec<(Op, Expr)>),
    /// One minus or more; `true` when they are odd.
    Negate(Box<Expr>, bool),
    Union(Vec<Expr>),
    Path(Box<Path>),
    Literal(Box<str>),
    Number(f64),
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A location path, or an expression with predicates or steps after it.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) start: Start,
    pub(super) steps: Vec<Step>,
    /// Where the evaluator remembers the result: the path begins at the root and stands in a predicate.
    pub(super) slot: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Start {
    Context,
    Root,
    Expr(Expr, Vec<Predicate>),
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) axis: Axis,
    pub(super) test: NodeTest,
    pub(super) predicates: Vec<Predicate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    /// Always empty: an HTML page declares none.
    Namespace,
    Parent,
    Preceding,
    PrecedingSibling,
    Itself,
}

/// Names are lower-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeTest {
    Name(Name),
    /// `*`
    AnyName,
    /// `prefix:*`, with its colon.
    Prefix(Box<str>),
    Node,
    Text,
    Comment,
    /// Processing instructions, of which HTML has none.
    Never,
}

#[derive(Clone, Debug)]
pub(super) enum Predicate {
    /// Only the node at this position, from 1; none at 0.
    At(usize),
    /// What does not ask for the position.
    Where(Expr),
    /// A number, or anything that asks for the position or the size of the context.
    Positional(Expr),
}

impl Axis {
    /// Is the order of the axis that of the document?
    pub(super) fn is_forward(self) -> bool {
        !matches!(self, Axis::Ancestor | Axis::AncestorOrSelf | Axis::Preceding | Axis::PrecedingSibling)
    }
}

impl Op {
    fn kind(self) -> Kind {
        match self {
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo => Kind::Number,
            _ => Kind::Boolean,
        }
    }
}

impl Expr {
    /// The context node.
    pub(super) fn context() -> Expr {
        let step = Step { axis: Axis::Itself, test: NodeTest::Node, predicates: Vec::new() };
        Expr::Path(Box::new(Path { start: Start::Context, steps: vec![step], slot: None }))
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Expr::Or(_) | Expr::And(_) => Kind::Boolean,
            Expr::Chain(_, rest) => rest.last().map_or(Kind::Number, |(op, _)| op.kind()),
            Expr::Negate(..) | Expr::Number(_) => Kind::Number,
            Expr::Union(_) | Expr::Path(_) => Kind::Nodes,
            Expr::Literal(_) => Kind::String,
            Expr::Call(function, _) => function.kind(),
        }
    }

    /// Does the value depend on `position()` or `last()`? What stands in predicates has a context of its own.
    fn asks_position(&self) -> bool {
        match self {
            Expr::Or(list) | Expr::And(list) | Expr::Union(list) => list.iter().any(Expr::asks_position),
            Expr::Chain(first, rest) => first.asks_position() || rest.iter().any(|(_, e)| e.asks_position()),
            Expr::Negate(inner, _) => inner.asks_position(),
            Expr::Path(path) => matches!(&path.start, Start::Expr(inner, _) if inner.asks_position()),
            Expr::Literal(_) | Expr::Number(_) => false,
            Expr::Call(Function::Position | Function::Last, _) => true,
            Expr::Call(_, args) => args.iter().any(Expr::asks_position),
        }
    }
}

impl Predicate {
    pub(super) fn new(expr: Expr) -> Predicate {
        let place = |n: f64| if n >= 1.0 && n.fract() == 0.0 { n as usize } else { 0 };
        match &expr {
            Expr::Number(n) => return Predicate::At(place(*n)),
            // `position() = 3`, as in `3`.
            Expr::Chain(first, rest) => {
                if let (Expr::Call(Function::Position, _), [(Op::Equal, Expr::Number(n))]) =
                    (&**first, &**rest)
                {
                    return Predicate::At(place(*n));
                }
            }
            _ => {}
        }
        if expr.kind() == Kind::Number || expr.asks_position() {
            Predicate::Positional(expr)
        } else {
            Predicate::Where(expr)
        }
    }

    pub(super) fn is_positional(&self) -> bool {
        !matches!(self, Predicate::Where(_))
    }
}

impl Step {
    /// `.`
    pub(super) fn is_idle(&self) -> bool {
        self.axis == Axis::Itself && self.test == NodeTest::Node && self.predicates.is_empty()
    }
}

impl Path {
    /// The one step of a path that begins at the context node and whose predicates do not ask for positions.
    pub(super) fn plain_step(&self) -> Option<&Step> {
        match (&self.start, &*self.steps) {
            (Start::Context, [step]) if !step.predicates.iter().any(Predicate::is_positional) => Some(step),
            _ => None,
        }
    }
}
