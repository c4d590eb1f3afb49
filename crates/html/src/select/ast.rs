//! A compiled selector: what the parser makes and the matcher reads.

use crate::name::Name;

/// What stands between two compounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combinator {
    /// White space.
    Descendant,
    /// `>`
    Child,
    /// `+`
    Next,
    /// `~`
    Later,
}

/// Compounds joined by combinators, such as `nav > a`.
#[derive(Clone, Debug)]
pub(crate) struct Complex {
    /// Right to left; the combinator joins the compound to the one on its left, and is unused on the last one.
    pub(crate) parts: Vec<(Compound, Combinator)>,
    /// A leading combinator: what joins the leftmost compound to the scope.
    pub(crate) anchor: Option<Combinator>,
}

/// What one element must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compound {
    /// Lower-case; `None` for any.
    pub(crate) name: Option<Name>,
    /// Bits that the element's filter must have: the hashes of the id, classes and attribute names below.
    pub(crate) filter: u64,
    pub(crate) tests: Vec<Test>,
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Id(Box<str>),
    Class(Box<str>),
    Attr {
        name: Name,
        op: Op,
        value: Box<str>,
        ignore_case: bool,
    },
    Root,
    Scope,
    Empty,
    /// `an + b`, counted from the end or among the same names only.
    Nth {
        a: i32,
        b: i32,
        from_end: bool,
        same_name: bool,
    },
    /// No sibling, or none of the same name.
    Only {
        same_name: bool,
    },
    Not(Vec<Complex>),
    Is(Vec<Complex>),
    Has(Vec<Complex>),
    Lang(Vec<Box<str>>),
    Link,
    Checked,
    Disabled,
    Enabled,
    Required,
    Optional,
    /// What only a live browser knows.
    Never,
}

/// How an attribute's value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Present,
    Equal,
    Word,
    Dash,
    Prefix,
    Suffix,
    Substring,
}
