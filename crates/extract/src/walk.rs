//! Where a page leads: links into other page kinds, and the next page of a list.
//!
//! What is beyond a bound is told, once for a page: [`Walk::beyond`].
//!
//! Invariants: at most [`limit::FOLLOWS_PER_PAGE`] links, each place once; listing pages end at `max_pages`.

use crate::page::{Reader, Scope};
use crate::spec::{Format, Next, PageKind, Source, Spec};
use crate::trap::is_trap;
use crate::value::url as address;
use crate::{Follow, limit};
use model::{Timestamp, TrailEnd, lastmod};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use url::Url;

/// Where a page leads.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) follow: Vec<Follow>,
    /// The first page that is beyond a bound.
    pub(crate) beyond: Option<(Follow, TrailEnd)>,
}

impl Walk {
    fn end(&mut self, follow: Follow, why: TrailEnd) {
        self.beyond.get_or_insert((follow, why));
    }
}

/// The links of a page, in the order of the file's rules and the page.
pub(crate) fn links<'p>(
    reader: &Reader<'p>,
    kind: &PageKind,
    spec: &Spec,
    whole: Scope<'p>,
    depth: u32,
) -> Walk {
    let mut seen: HashSet<(Url, usize)> = HashSet::new();
    let mut out = Walk::default();
    let modified = lastmods(reader, kind, whole);
    for rule in &kind.follow {
        let Some(to) = spec.pages.get(rule.to) else { continue };
        // What is found on the last page of a list is collected; pages found by pages by pages are a list, too.
        if depth.saturating_add(u32::from(!rule.found)) >= kind.max_pages {
            continue;
        }
        let scopes = match &rule.each {
            Some(each) => reader.rows(each),
            None => vec![whole],
        };
        for scope in scopes {
            for url in reader.addresses(&rule.link, scope, rule.each.is_none()) {
                if out.follow.len() >= limit::FOLLOWS_PER_PAGE {
                    reader.warn(|| format!("more than {} links on one page", limit::FOLLOWS_PER_PAGE));
                    return out;
                }
                if !seen.insert((url.clone(), rule.to)) {
                    continue;
                }
                let mut follow =
                    Follow { url, kind: to.name.clone(), begun: None, found: rule.found, modified: None };
                if is_trap(&follow.url) {
                    out.end(follow, TrailEnd::Address);
                } else {
                    follow.modified = modified.get(&follow.url).copied();
                    follow.begun = reader.beginning(&rule.begin, scope);
                    out.follow.push(follow);
                }
            }
        }
    }
    out
}

/// What a sitemap says of when its pages were last changed.
fn lastmods<'p>(reader: &Reader<'p>, kind: &PageKind, whole: Scope<'p>) -> HashMap<Url, Timestamp> {
    let Scope::Json(feed) = whole else { return HashMap::new() };
    // Other feeds date what they tell of, not the page.
    let is_sitemap = matches!(feed["kind"].as_str(), Some("urlset" | "index"));
    if kind.format != Format::Feed || !is_sitemap {
        return HashMap::new();
    }
    let lists = [&feed["entries"], &feed["sitemaps"]];
    let entries = lists.into_iter().filter_map(Value::as_array).flatten();
    entries
        .filter_map(|entry| {
            let at = lastmod(entry["updated"].as_str()?)?;
            Some((address::page(reader.base(), entry["url"].as_str()?)?, at))
        })
        .collect()
}

/// The next page of a list, added to where the page leads. `gave` is whether this page had anything: a counter does not run past the last page.
pub(crate) fn further<'p>(
    reader: &Reader<'p>,
    kind: &PageKind,
    whole: Scope<'p>,
    depth: u32,
    gave: bool,
    walk: &mut Walk,
) {
    let Some(follow) = next(reader, kind, whole, depth, gave) else { return };
    if depth.saturating_add(1) >= kind.max_pages {
        // A page that gave nothing would have been the last anyhow.
        if gave && kind.max_pages > 1 {
            walk.end(follow, TrailEnd::Pages);
        }
    } else if is_trap(&follow.url) {
        walk.end(follow, TrailEnd::Address);
    } else {
        walk.follow.push(follow);
    }
}

fn next<'p>(
    reader: &Reader<'p>,
    kind: &PageKind,
    whole: Scope<'p>,
    depth: u32,
    gave: bool,
) -> Option<Follow> {
    let rule = kind.next.as_ref()?;
    let here = &reader.parts.page.url;
    let url = match rule {
        Next::Link(sources) => reader.addresses(sources, whole, false).into_iter().next()?,
        Next::Count { parameter, start, step } => {
            let now = here.query_pairs().find(|(name, _)| name == parameter.as_str());
            let now = now.and_then(|(_, value)| value.parse::<i64>().ok()).unwrap_or(*start);
            gave.then(|| with_parameter(here, parameter, &now.saturating_add(*step).to_string()))?
        }
        Next::Cursor { parameter, cursor } => with_parameter(here, parameter, &text(reader, cursor, whole)?),
        Next::Template { template, start, step, cursor } => {
            let cursor_value = text(reader, cursor, whole);
            if cursor_value.is_none() && (!cursor.is_empty() || !gave) {
                return None;
            }
            let page = start.saturating_add(step.saturating_mul(i64::from(depth) + 1));
            let expanded = template.expand(|name| match name {
                "page" => Some(Value::from(page)),
                "cursor" => cursor_value.clone().map(Value::String),
                other => reader.parts.input(other).cloned(),
            });
            address::page(reader.base(), &expanded)?
        }
    };
    let mut this = here.clone();
    this.set_fragment(None);
    // A last page often links to itself.
    (url != this).then(|| Follow { url, kind: kind.name.clone(), begun: None, found: false, modified: None })
}

fn text<'p>(reader: &Reader<'p>, sources: &[Source], whole: Scope<'p>) -> Option<String> {
    sources.iter().find_map(|source| {
        let raw = reader.look(source, whole, false).into_iter().next()?;
        reader.text_of(&raw).map(|t| t.into_owned())
    })
}

/// The URL with one query parameter set, the others kept in their order.
fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let mut out = url.clone();
    let mut set = false;
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter_map(|(key, old)| {
            if key != name {
                return Some((key.into_owned(), old.into_owned()));
            }
            // The first of several takes the value, the others go.
            (!std::mem::replace(&mut set, true)).then(|| (key.into_owned(), value.to_owned()))
        })
        .collect();
    {
        let mut pairs = out.query_pairs_mut();
        pairs.clear().extend_pairs(&kept);
        if !set {
            pairs.append_pair(name, value);
        }
    }
    out.set_fragment(None);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_set_in_place() {
        let url = Url::parse("https://a/x?q=a%20b&page=1&z=2#f").unwrap();
        assert_eq!(with_parameter(&url, "page", "2").as_str(), "https://a/x?q=a+b&page=2&z=2");
        let bare = Url::parse("https://a/x").unwrap();
        assert_eq!(with_parameter(&bare, "page", "2").as_str(), "https://a/x?page=2");
    }
}
