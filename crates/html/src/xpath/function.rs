//! The functions by name: the core library of XPath 1.0, and what parsel and lxml users expect beside it
//! (`has-class()`, `re:test()`, `re:replace()`, and `set:…` of EXSLT).

use super::ast::{Expr, Kind};
use regex::{Regex, RegexBuilder};

/// A regular expression's compiled size in bytes, at most.
const REGEX_BYTES: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(super) enum Function {
    Last,
    Position,
    Count,
    Id,
    LocalName,
    NamespaceUri,
    Name,
    String,
    Concat,
    StartsWith,
    Contains,
    SubstringBefore,
    SubstringAfter,
    Substring,
    StringLength,
    NormalizeSpace,
    Translate,
    Boolean,
    Not,
    True,
    False,
    Lang,
    Number,
    Sum,
    Floor,
    Ceiling,
    Round,
    /// Has the context element all these classes?
    HasClass,
    /// Of one argument: the text.
    Matches(Regex),
    /// Of two arguments: the text and the replacement; `true` to replace every hit.
    Replace(Regex, bool),
    Difference,
    Intersection,
    Distinct,
    HasSameNode,
    Leading,
    Trailing,
}

/// What a function wants: how many arguments, and whether they are node-sets.
struct Signature {
    function: Function,
    min: usize,
    max: usize,
    of_nodes: bool,
    /// Without an argument it speaks of the context node.
    or_context: bool,
}

fn signature(name: &str) -> Option<Signature> {
    use Function as F;
    const ANY: usize = usize::MAX;
    let plain = |function, min, max| Signature { function, min, max, of_nodes: false, or_context: false };
    let context = |function, of_nodes| Signature { function, min: 0, max: 1, of_nodes, or_context: true };
    let nodes = |function, n| Signature { function, min: n, max: n, of_nodes: true, or_context: false };
    Some(match name {
        "last" => plain(F::Last, 0, 0),
        "position" => plain(F::Position, 0, 0),
        "count" => nodes(F::Count, 1),
        "id" => plain(F::Id, 1, 1),
        "local-name" => context(F::LocalName, true),
        "namespace-uri" => context(F::NamespaceUri, true),
        "name" => context(F::Name, true),
        "string" => context(F::String, false),
        "concat" => plain(F::Concat, 2, ANY),
        "starts-with" => plain(F::StartsWith, 2, 2),
        "contains" => plain(F::Contains, 2, 2),
        "substring-before" => plain(F::SubstringBefore, 2, 2),
        "substring-after" => plain(F::SubstringAfter, 2, 2),
        "substring" => plain(F::Substring, 2, 3),
        "string-length" => context(F::StringLength, false),
        "normalize-space" => context(F::NormalizeSpace, false),
        "translate" => plain(F::Translate, 3, 3),
        "boolean" => plain(F::Boolean, 1, 1),
        "not" => plain(F::Not, 1, 1),
        "true" => plain(F::True, 0, 0),
        "false" => plain(F::False, 0, 0),
        "lang" => plain(F::Lang, 1, 1),
        "number" => context(F::Number, false),
        "sum" => nodes(F::Sum, 1),
        "floor" => plain(F::Floor, 1, 1),
        "ceiling" => plain(F::Ceiling, 1, 1),
        "round" => plain(F::Round, 1, 1),
        "has-class" => plain(F::HasClass, 1, ANY),
        "set:difference" => nodes(F::Difference, 2),
        "set:intersection" => nodes(F::Intersection, 2),
        "set:distinct" => nodes(F::Distinct, 1),
        "set:has-same-node" => nodes(F::HasSameNode, 2),
        "set:leading" => nodes(F::Leading, 2),
        "set:trailing" => nodes(F::Trailing, 2),
        _ => return None,
    })
}

impl Function {
    pub(super) fn kind(&self) -> Kind {
        use Function as F;
        match self {
            F::Id | F::Difference | F::Intersection | F::Distinct | F::Leading | F::Trailing => Kind::Nodes,
            F::LocalName | F::NamespaceUri | F::Name | F::String | F::Concat => Kind::String,
            F::SubstringBefore | F::SubstringAfter | F::Substring => Kind::String,
            F::NormalizeSpace | F::Translate | F::Replace(..) => Kind::String,
            F::Last | F::Position | F::Count | F::StringLength | F::Number | F::Sum => Kind::Number,
            F::Floor | F::Ceiling | F::Round => Kind::Number,
            F::StartsWith | F::Contains | F::Boolean | F::Not | F::True | F::False => Kind::Boolean,
            F::Lang | F::HasClass | F::Matches(_) | F::HasSameNode => Kind::Boolean,
        }
    }
}

/// A call, its arguments checked; the error is a message.
pub(super) fn call(name: &str, mut args: Vec<Expr>) -> Result<Expr, String> {
    match name {
        "re:test" => {
            counted(name, args.len(), 2, 3)?;
            let (regex, _) = regex(args.drain(1..))?;
            return Ok(Expr::Call(Function::Matches(regex), args));
        }
        "re:replace" => {
            counted(name, args.len(), 4, 4)?;
            let (regex, all) = regex(args.drain(1..3))?;
            return Ok(Expr::Call(Function::Replace(regex, all), args));
        }
        "re:match" => {
            return Err("`re:match()` makes nodes, which a page cannot hold; use `re:test()`".to_owned());
        }
        "ends-with" | "matches" | "lower-case" | "upper-case" | "replace" | "tokenize" | "string-join" => {
            return Err(format!("`{name}()` is XPath 2.0; this is 1.0, with `re:test()` and `re:replace()`"));
        }
        _ => {}
    }
    let signature = signature(name).ok_or_else(|| format!("unknown function `{name}()`"))?;
    counted(name, args.len(), signature.min, signature.max)?;
    if signature.of_nodes && args.iter().any(|arg| arg.kind() != Kind::Nodes) {
        return Err(format!("`{name}()` takes nodes"));
    }
    if signature.or_context && args.is_empty() {
        args.push(Expr::context());
    }
    Ok(Expr::Call(signature.function, args))
}

fn counted(name: &str, n: usize, min: usize, max: usize) -> Result<(), String> {
    if (min..=max).contains(&n) {
        return Ok(());
    }
    let wanted = match (min, max) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (_, usize::MAX) => format!("at least {min} arguments"),
        _ if min == max => format!("{min} arguments"),
        _ => format!("{min} to {max} arguments"),
    };
    Err(format!("`{name}()` takes {wanted}, not {n}"))
}

/// A pattern and its flags, which are compiled once and so must be literals; `true` for the flag `g`.
fn regex(args: impl Iterator<Item = Expr>) -> Result<(Regex, bool), String> {
    let texts: Option<Vec<Box<str>>> =
        args.map(|arg| if let Expr::Literal(text) = arg { Some(text) } else { None }).collect();
    let texts = texts.ok_or("a pattern and its flags are written in quotes")?;
    let flags = texts.get(1).map_or("", |f| f);
    if let Some(unknown) = flags.chars().find(|c| !matches!(c, 'g' | 'i')) {
        return Err(format!("unknown flag `{unknown}`; known: g, i"));
    }
    let regex = RegexBuilder::new(texts.first().map_or("", |p| p))
        .case_insensitive(flags.contains('i'))
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            format!("not a regular expression: {reason}")
        })?;
    Ok((regex, flags.contains('g')))
}
