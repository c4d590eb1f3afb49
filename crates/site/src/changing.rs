//! A shop that changes on demand, under `/changing/{manner}/`: `p/{id}`, `list`, `sitemap.xml`, with validators by manner.
//!
//! `etag`, `modified` and `both` answer conditional requests; `none` gives nothing to ask with; `rude` sends an ETag and
//! ignores it when asked. `/changing/set?count=50&change=1,2&remove=3` says what there is from then on.
//! Owns: what the shop is like now. Invariant: a page's validators and its `lastmod` change exactly when its bytes do.

use crate::http::{HTML, Head, JSON, ok, response};
use crate::shop;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Products before anybody says otherwise, and most there may be.
const COUNT: u64 = 40;
const COUNT_MAX: u64 = 100_000;
/// How long ago every page was changed at the start.
const AGO: Duration = Duration::from_secs(86_400);
/// Pages that other pages of the shop say there are.
const PAGES: u64 = 1_000;

/// The shop as it stands.
pub(crate) struct Changing(Mutex<State>);

struct State {
    count: u64,
    removed: BTreeSet<u64>,
    /// How often a product was changed, and when it last was.
    changed: BTreeMap<u64, (u64, SystemTime)>,
    /// When the shop opened, and when a product was last added or removed.
    opened: SystemTime,
    /// How often anything changed.
    version: u64,
}

impl Default for Changing {
    fn default() -> Self {
        let opened = SystemTime::now().checked_sub(AGO).unwrap_or(SystemTime::UNIX_EPOCH);
        let state =
            State { count: COUNT, removed: BTreeSet::new(), changed: BTreeMap::new(), opened, version: 0 };
        Self(Mutex::new(state))
    }
}

impl Changing {
    /// The answer to `/changing/{rest}`; `None` if there is nothing.
    pub(crate) fn answer(&self, rest: &str, request: &Head) -> Option<Bytes> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rest == "set" {
            return state.set(request);
        }
        let (manner, path) = rest.split_once('/')?;
        if !["etag", "modified", "both", "none", "rude"].contains(&manner) {
            return None;
        }
        let base = format!("http://{}/changing/{manner}", request.header("host").unwrap_or("127.0.0.1"));
        let (body, kind, tag, at) = match path {
            "list" => (state.list(&base), HTML, format!("list-{}", state.version), state.last_change()),
            "sitemap.xml" => (
                state.sitemap(&base),
                "application/xml",
                format!("map-{}", state.version),
                state.last_change(),
            ),
            page => {
                let id = page.strip_prefix("p/")?.parse().ok().filter(|id| state.has(*id))?;
                let (times, at) = state.of(id);
                (state.page(id), HTML, format!("{id}-{times}"), at)
            }
        };
        Some(validated(manner, request, kind, &tag, at, &body))
    }
}

impl State {
    fn set(&mut self, request: &Head) -> Option<Bytes> {
        let now = SystemTime::now();
        let ids = |name: &str| -> Option<Vec<u64>> {
            match request.query(name) {
                Some(text) => {
                    text.split(',').map(|id| id.parse().ok().filter(|id| *id < COUNT_MAX)).collect()
                }
                None => Some(Vec::new()),
            }
        };
        for id in ids("change")? {
            let (times, _) = self.of(id);
            self.changed.insert(id, (times + 1, now));
        }
        self.removed.extend(ids("remove")?);
        if let Some(count) = request.query("count") {
            let count = count.parse().ok().filter(|count| *count <= COUNT_MAX)?;
            for id in self.count..count {
                self.changed.insert(id, (0, now));
            }
            self.count = count;
        }
        self.version += 1;
        Some(ok(JSON, format!("{{\"version\":{}}}", self.version)))
    }

    fn has(&self, id: u64) -> bool {
        id < self.count && !self.removed.contains(&id)
    }

    fn of(&self, id: u64) -> (u64, SystemTime) {
        self.changed.get(&id).copied().unwrap_or((0, self.opened))
    }

    fn last_change(&self) -> SystemTime {
        self.changed.values().map(|(_, at)| *at).max().unwrap_or(self.opened)
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        (0..self.count).filter(|id| !self.removed.contains(id))
    }

    /// The product's page; each change adds 1,000 to the price.
    fn page(&self, id: u64) -> String {
        let (times, _) = self.of(id);
        let price = shop::product(id).price;
        let html = shop::page(id, PAGES);
        if times == 0 {
            return html;
        }
        let raised = price.split_once('.').and_then(|(whole, part)| {
            let whole = whole.parse::<u64>().ok()? + 1_000 * times;
            Some(format!("{whole}.{part}"))
        });
        html.replace(&price, &raised.unwrap_or_default())
    }

    fn list(&self, base: &str) -> String {
        let mut out = String::from("<!DOCTYPE html><html><head><title>list</title></head><body><ul>\n");
        for id in self.all() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "<li><a class=\"card__link\" href=\"{base}/p/{id}\">product {id}</a></li>");
        }
        out + "</ul></body></html>"
    }

    fn sitemap(&self, base: &str) -> String {
        let mut out = String::from("<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n");
        for id in self.all() {
            let lastmod = iso(self.of(id).1);
            let _ = writeln!(out, "<url><loc>{base}/p/{id}</loc><lastmod>{lastmod}</lastmod></url>");
        }
        out + "</urlset>\n"
    }
}

/// Whole seconds, as HTTP dates and sitemaps have them: the date of `Last-Modified` in the form of a sitemap.
fn iso(at: SystemTime) -> String {
    let date = httpdate::fmt_http_date(at);
    let month = |name: &str| {
        const NAMES: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        NAMES.find(name).map_or(1, |at| at / 3 + 1)
    };
    let parts: Vec<&str> = date.split(' ').collect();
    match parts.as_slice() {
        [_, day, name, year, time, _] => format!("{year}-{:02}-{day}T{time}Z", month(name)),
        _ => String::new(),
    }
}

fn validated(manner: &str, request: &Head, kind: &str, tag: &str, at: SystemTime, body: &str) -> Bytes {
    let (tag, modified) = (format!("\"{tag}\""), httpdate::fmt_http_date(at));
    let mut headers = vec![("Content-Type", kind)];
    if matches!(manner, "etag" | "both" | "rude") {
        headers.push(("ETag", tag.as_str()));
    }
    if matches!(manner, "modified" | "both") {
        headers.push(("Last-Modified", modified.as_str()));
    }
    let same = match (request.header("if-none-match"), request.header("if-modified-since")) {
        (Some(known), _) if matches!(manner, "etag" | "both") => known == tag,
        (_, Some(since)) if matches!(manner, "modified" | "both") => since == modified,
        _ => false,
    };
    if same { response(304, &headers[1..], b"") } else { response(200, &headers, body.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_sitemaps() {
        assert_eq!(iso(SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480)), "2015-10-21T07:28:00Z");
    }

    #[test]
    fn a_change_changes_price_tag_and_date() {
        let shop = Changing::default();
        let mut state = shop.0.into_inner().unwrap();
        let before = (state.page(3), state.of(3));
        state.changed.insert(3, (1, SystemTime::now()));
        assert_ne!(state.page(3), before.0);
        assert_ne!(state.of(3), before.1);
        assert_eq!(state.page(4), shop::page(4, PAGES));
    }
}
