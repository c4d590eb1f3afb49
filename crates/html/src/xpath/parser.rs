//! Tokens → [`Expr`]: the grammar of XPath 1.0, sections 2 and 3, with types checked.
//!
//! Bounded in length and nesting, so neither the parser nor the evaluator can be made to recurse deep.

use super::XPathError;
use super::ast::{Axis, Expr, Kind, NodeTest, Op, Path, Predicate, Start, Step};
use super::function;
use super::lexer::{MULTIPLY, Token, Tokens, tokens};
use crate::name;

const MAX_BYTES: usize = 16 << 10;
const MAX_NESTING: usize = 32;
/// Paths whose result is remembered, per expression.
const MAX_SLOTS: usize = 32;

/// Operators from loose to tight; each level is read from left to right.
const LEVELS: [&[(&str, Op)]; 4] = [
    &[("=", Op::Equal), ("!=", Op::NotEqual)],
    &[("<", Op::Less), ("<=", Op::LessEqual), (">", Op::Greater), (">=", Op::GreaterEqual)],
    &[("+", Op::Add), ("-", Op::Subtract)],
    &[(MULTIPLY, Op::Multiply), ("div", Op::Divide), ("mod", Op::Modulo)],
];

/// The expression, and how many of its paths want to be remembered.
pub(super) fn parse(text: &str) -> Result<(Expr, usize), XPathError> {
    if text.len() > MAX_BYTES {
        return Err(XPathError::new(MAX_BYTES, format!("an expression longer than {MAX_BYTES} bytes")));
    }
    let mut parser =
        Parser { tokens: tokens(text)?, next: 0, end: text.len(), nesting: 0, predicates: 0, slots: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        None => Ok((expr, parser.slots)),
        Some(_) => Err(parser.unexpected("the end")),
    }
}

struct Parser<'s> {
    tokens: Tokens<'s>,
    next: usize,
    /// Bytes of the text.
    end: usize,
    nesting: usize,
    /// Predicates around the place that is read.
    predicates: usize,
    slots: usize,
}

type Parsed<T> = Result<T, XPathError>;

impl<'s> Parser<'s> {
    fn peek(&self) -> Option<Token<'s>> {
        self.tokens.get(self.next).map(|(token, _)| *token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(_, at)| *at)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn error(&self, message: impl Into<String>) -> XPathError {
        XPathError::new(self.offset(), message)
    }

    fn unexpected(&self, expected: &str) -> XPathError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::PrefixAny(prefix)) => format!("`{prefix}:*`"),
            Some(Token::Number(n)) => format!("`{n}`"),
            Some(Token::Literal(_)) => "a text in quotes".to_owned(),
            Some(Token::Sign(MULTIPLY)) => "`*`".to_owned(),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
        };
        self.error(format!("expected {expected}, found {found}"))
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            return Err(self.error(format!("nested deeper than {MAX_NESTING}")));
        }
        self.nesting += 1;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.joined("or", Expr::Or, |p| p.joined("and", Expr::And, |p| p.level(0)))
    }

    /// Operands joined by a word.
    fn joined(
        &mut self,
        word: &str,
        make: fn(Vec<Expr>) -> Expr,
        read: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        let first = read(self)?;
        if !self.is(word) {
            return Ok(first);
        }
        let mut list = vec![first];
        while self.eat(word) {
            list.push(read(self)?);
        }
        Ok(make(list))
    }

    fn level(&mut self, level: usize) -> Parsed<Expr> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let first = self.level(level + 1)?;
        let mut rest = Vec::new();
        while let Some(Token::Sign(sign)) = self.peek()
            && let Some((_, op)) = operators.iter().find(|(known, _)| *known == sign)
        {
            self.next += 1;
            rest.push((*op, self.level(level + 1)?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let mut minuses = 0;
        while self.eat("-") {
            minuses += 1;
        }
        let inner = self.union()?;
        Ok(match inner {
            inner if minuses == 0 => inner,
            Expr::Number(n) if minuses == 1 => Expr::Number(-n),
            inner => Expr::Negate(Box::new(inner), minuses % 2 == 1),
        })
    }

    fn union(&mut self) -> Parsed<Expr> {
        let start = self.offset();
        let first = self.path()?;
        if !self.is("|") {
            return Ok(first);
        }
        let mut list = vec![first];
        while self.eat("|") {
            list.push(self.path()?);
        }
        if list.iter().any(|expr| expr.kind() != Kind::Nodes) {
            return Err(XPathError::new(start, "`|` joins nodes"));
        }
        Ok(Expr::Union(list))
    }

    fn path(&mut self) -> Parsed<Expr> {
        let mut steps = Vec::new();
        let start = if self.starts_primary() {
            let offset = self.offset();
            let primary = self.primary()?;
            let predicates = self.predicates()?;
            let goes_on = self.is("/") || self.is("//");
            if predicates.is_empty() && !goes_on {
                return Ok(primary);
            }
            if primary.kind() != Kind::Nodes {
                return Err(XPathError::new(offset, "no nodes, so no predicate and no step can follow"));
            }
            Start::Expr(primary, predicates)
        } else if self.eat("/") {
            if self.starts_step() {
                self.step(&mut steps)?;
            }
            Start::Root
        } else if self.eat("//") {
            self.anywhere(&mut steps)?;
            Start::Root
        } else {
            self.step(&mut steps)?;
            Start::Context
        };
        // After a lone `/` no step may follow; one that could was read above.
        loop {
            if self.eat("//") {
                self.anywhere(&mut steps)?;
            } else if self.eat("/") {
                self.step(&mut steps)?;
            } else {
                break;
            }
        }
        // `.` in a longer path leads nowhere: `.//a` is one step.
        if steps.len() > 1 {
            let last = steps.pop();
            steps.retain(|step| !step.is_idle());
            steps.extend(last.filter(|step| steps.is_empty() || !step.is_idle()));
        }
        let remember = matches!(start, Start::Root) && self.predicates > 0 && self.slots < MAX_SLOTS;
        let slot = remember.then_some(self.slots);
        self.slots += usize::from(remember);
        Ok(Expr::Path(Box::new(Path { start, steps, slot })))
    }

    /// Does a filter expression begin here, and not a location path?
    fn starts_primary(&self) -> bool {
        match self.peek() {
            Some(Token::Literal(_) | Token::Number(_) | Token::Sign("(")) => true,
            Some(Token::Name(name)) => self.called() && !is_node_type(name),
            _ => false,
        }
    }

    fn called(&self) -> bool {
        self.follows("(")
    }

    fn follows(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.next + 1), Some((Token::Sign(s), _)) if *s == sign)
    }

    fn starts_step(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::Name(_) | Token::PrefixAny(_) | Token::Sign("*" | "@" | "." | ".."))
        )
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let offset = self.offset();
        match self.peek() {
            Some(Token::Literal(text)) => {
                self.next += 1;
                Ok(Expr::Literal(text.into()))
            }
            Some(Token::Number(n)) => {
                self.next += 1;
                Ok(Expr::Number(n))
            }
            Some(Token::Name(name)) => {
                self.next += 2;
                let args = self.nested(Self::arguments)?;
                function::call(name, args).map_err(|message| XPathError::new(offset, message))
            }
            _ => {
                self.expect("(")?;
                let inner = self.nested(Self::expr)?;
                self.expect(")")?;
                Ok(inner)
            }
        }
    }

    /// What stands between a function's brackets, and the closing one.
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.eat(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.eat(")") {
                return Ok(args);
            }
            if !self.eat(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    fn predicates(&mut self) -> Parsed<Vec<Predicate>> {
        let mut predicates = Vec::new();
        while self.eat("[") {
            self.predicates += 1;
            let expr = self.nested(Self::expr)?;
            self.predicates -= 1;
            self.expect("]")?;
            predicates.push(Predicate::new(expr));
        }
        Ok(predicates)
    }

    /// The step after `//`.
    fn anywhere(&mut self, steps: &mut Vec<Step>) -> Parsed<()> {
        let before = steps.len();
        steps.push(Step { axis: Axis::DescendantOrSelf, test: NodeTest::Node, predicates: Vec::new() });
        self.step(steps)?;
        // `//a` is `/descendant::a`, unless a predicate counts within each parent.
        if let Some(step) = steps.get_mut(before + 1)
            && step.axis == Axis::Child
            && !step.predicates.iter().any(Predicate::is_positional)
        {
            step.axis = Axis::Descendant;
            steps.remove(before);
        }
        Ok(())
    }

    fn step(&mut self, steps: &mut Vec<Step>) -> Parsed<()> {
        for (sign, axis) in [(".", Axis::Itself), ("..", Axis::Parent)] {
            if self.eat(sign) {
                if self.is("[") {
                    let long = if sign == "." { "self" } else { "parent" };
                    return Err(
                        self.error(format!("no predicate may follow `{sign}`; write `{long}::node()[…]`"))
                    );
                }
                steps.push(Step { axis, test: NodeTest::Node, predicates: Vec::new() });
                return Ok(());
            }
        }
        let axis = if self.eat("@") {
            Axis::Attribute
        } else if let Some(Token::Name(word)) = self.peek()
            && self.follows("::")
        {
            let axis = axis(word).ok_or_else(|| self.error(format!("unknown axis `{word}`")))?;
            self.next += 2;
            axis
        } else {
            Axis::Child
        };
        let test = self.node_test()?;
        let predicates = self.predicates()?;
        steps.push(Step { axis, test, predicates });
        Ok(())
    }

    fn node_test(&mut self) -> Parsed<NodeTest> {
        let token = self.peek();
        let test = match token {
            Some(Token::Sign("*")) => NodeTest::AnyName,
            Some(Token::PrefixAny(prefix)) => {
                NodeTest::Prefix((prefix.to_ascii_lowercase() + ":").into_boxed_str())
            }
            Some(Token::Name(name)) if self.called() => {
                let test = match name {
                    "node" => NodeTest::Node,
                    "text" => NodeTest::Text,
                    "comment" => NodeTest::Comment,
                    "processing-instruction" => NodeTest::Never,
                    _ => return Err(self.error(format!("a function cannot be a step: `{name}()`"))),
                };
                self.next += 2;
                if test == NodeTest::Never && matches!(self.peek(), Some(Token::Literal(_))) {
                    self.next += 1;
                }
                self.expect(")")?;
                return Ok(test);
            }
            Some(Token::Name(name)) => NodeTest::Name(name::lower(name)),
            _ => return Err(self.unexpected("a step")),
        };
        self.next += 1;
        Ok(test)
    }
}

fn is_node_type(name: &str) -> bool {
    matches!(name, "comment" | "text" | "processing-instruction" | "node")
}

fn axis(word: &str) -> Option<Axis> {
    Some(match word {
        "ancestor" => Axis::Ancestor,
        "ancestor-or-self" => Axis::AncestorOrSelf,
        "attribute" => Axis::Attribute,
        "child" => Axis::Child,
        "descendant" => Axis::Descendant,
        "descendant-or-self" => Axis::DescendantOrSelf,
        "following" => Axis::Following,
        "following-sibling" => Axis::FollowingSibling,
        "namespace" => Axis::Namespace,
        "parent" => Axis::Parent,
        "preceding" => Axis::Preceding,
        "preceding-sibling" => Axis::PrecedingSibling,
        "self" => Axis::Itself,
        _ => return None,
    })
}
