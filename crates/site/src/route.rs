//! Which answer belongs to which path.

use crate::app;
use crate::bad;
use crate::changing::Changing;
use crate::charset;
use crate::http::{HTML, Head, JSON, TEXT, ok, response};
use crate::member::Members;
use crate::polite::{self, Limits};
use crate::quota::{self, Quota};
use crate::server::{File, SiteOptions};
use crate::shop;
use crate::stats::Ledger;
use crate::trick::Trick;
use crate::{lure, wall};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Products on one page of `/json/list`.
const JSON_PER_PAGE: u64 = 20;
/// Paths whose attempts are counted; when there are more, all are forgotten.
const ATTEMPTS_MAX: usize = 100_000;

/// What to send.
pub(crate) enum Answer {
    /// A whole response; the connection goes on.
    Whole(Bytes),
    /// The same, after a while.
    Later(Duration, Bytes),
    /// Something that ends the connection.
    Trick(Trick),
}

/// A product's page, ready to send.
pub(crate) struct Ready {
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Ready {
    fn for_request(&self, request: &Head) -> Bytes {
        match &self.gzip {
            Some(gzip) if request.accepts_gzip() => gzip.clone(),
            _ => self.plain.clone(),
        }
    }
}

/// Everything that answers depend on.
pub(crate) struct World {
    pub(crate) pages: u64,
    pub(crate) delay: Duration,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) quota: Quota,
    gzip: bool,
    /// Pages built in advance, by id; empty if they are made when asked for.
    ready: Vec<Ready>,
    /// Answers of the test's own, by path.
    files: RwLock<HashMap<String, Bytes>>,
    attempts: Mutex<HashMap<String, u64>>,
    limits: Limits,
    members: Members,
    changing: Changing,
}

impl World {
    pub(crate) fn new(options: &SiteOptions) -> io::Result<Self> {
        let mut world = Self {
            pages: options.pages,
            delay: Duration::from_millis(options.delay_ms),
            ledger: Arc::new(Ledger::new(options.log)),
            quota: Quota::default(),
            gzip: options.gzip,
            ready: Vec::new(),
            files: RwLock::default(),
            attempts: Mutex::default(),
            limits: Limits::default(),
            members: Members::default(),
            changing: Changing::default(),
        };
        if options.prebuilt {
            world.ready = world.build_all()?;
        }
        Ok(world)
    }

    pub(crate) fn put(&self, path: &str, file: &File) {
        let files = self.files.write();
        files
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), response(file.status, &file.headers, &file.body));
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, request: &Head, body: &[u8]) -> Answer {
        if let Some(bytes) = self.members.answer(request, body, self.pages) {
            return Answer::Whole(bytes);
        }
        match self.find(request) {
            Ok(Some(answer)) => answer,
            Ok(None) => Answer::Whole(response(404, &[("Content-Type", TEXT)], b"not found")),
            Err(error) => {
                Answer::Whole(response(500, &[("Content-Type", TEXT)], error.to_string().as_bytes()))
            }
        }
    }

    /// The response with a product's page; `None` if there is no such product.
    pub(crate) fn product(&self, id: u64, request: &Head) -> Option<Bytes> {
        if id >= self.pages {
            return None;
        }
        match usize::try_from(id).ok().and_then(|at| self.ready.get(at)) {
            Some(ready) => Some(ready.for_request(request)),
            None => Some(self.build(id, request.accepts_gzip()).ok()?.for_request(request)),
        }
    }

    /// Counts a request for this path: 1 for the first.
    pub(crate) fn attempt(&self, path: &str) -> u64 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ATTEMPTS_MAX {
            attempts.clear();
        }
        let count = attempts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn find(&self, request: &Head) -> io::Result<Option<Answer>> {
        let path = request.path();
        if let Some(bytes) = self.files.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(Some(Answer::Whole(bytes.clone())));
        }
        let inside = path.strip_prefix('/').unwrap_or(path);
        let (first, rest) = inside.split_once('/').unwrap_or((inside, ""));
        let host = request.header("host").unwrap_or_default().to_ascii_lowercase();
        match (first, rest) {
            ("robots.txt", "") if host.starts_with("robots-") => return Ok(polite::robots(&host)),
            ("robots", "rules") => return Ok(polite::moved()),
            _ => {}
        }
        let whole = match (first, rest) {
            ("limit", rest) => self.limits.page(&host, rest).and_then(|page| match page {
                Ok(id) => self.product(id, request),
                Err(refusal) => Some(refusal),
            }),
            ("bad", rest) => return bad::answer(self, rest, request),
            ("app", rest) => app::answer(rest, request, self.pages),
            ("changing", rest) => self.changing.answer(rest, request),
            ("wall", rest) => return Ok(wall::answer(rest, request)),
            ("trap", rest) => return Ok(lure::trap(self, rest, request)),
            ("maps", rest) => return lure::maps(rest, &base(request)),
            ("quota", rest) => return Ok(quota::answer(self, rest, request)),
            // A session in the path is nothing to a product.
            ("p", id) => {
                id.split(';').next().and_then(|id| id.parse().ok()).and_then(|id| self.product(id, request))
            }
            ("c", category) => category.parse().ok().and_then(|category| {
                let page = page_number(request)?;
                Some(ok(HTML, shop::category(category, page, self.pages)?))
            }),
            ("", "") => Some(ok(HTML, shop::home())),
            ("list", n) => n.parse::<u64>().ok().map(|n| ok(HTML, shop::list(n.min(self.pages)))),
            ("robots.txt", "") => Some(ok(TEXT, shop::robots(&base(request)))),
            ("sitemap.xml", "") => Some(ok("application/xml", shop::sitemap(&base(request), self.pages))),
            ("status", code) => code
                .parse()
                .ok()
                .filter(|code| (200..1000).contains(code))
                .map(|code| response(code, &[("Content-Type", TEXT)], b"status")),
            ("stats", "") => Some(ok(JSON, self.stats())),
            ("echo", "") => Some(ok(JSON, echo(request))),
            ("cookie", "") => Some(cookie(request)),
            ("cookie", rest) => self.for_cookies(rest, request),
            ("etag", id) => id.parse().ok().and_then(|id| self.etag(id, request)),
            ("json", "list") => page_number(request).map(|page| ok(JSON, self.json_list(page).to_string())),
            ("json", id) => id.parse().ok().and_then(|id| Some(ok(JSON, self.truth(id)?.to_string()))),
            ("enc", rest) => self.encoded(rest).transpose()?,
            ("charset", rest) => self.in_charset(rest),
            _ => None,
        };
        Ok(whole.map(Answer::Whole))
    }

    fn html(&self, id: u64) -> Option<String> {
        (id < self.pages).then(|| shop::page(id, self.pages))
    }

    /// The truth with the path of the page it is about.
    fn truth(&self, id: u64) -> Option<Value> {
        let mut truth = (id < self.pages).then(|| shop::truth(id))?;
        truth["url"] = format!("/p/{id}").into();
        Some(truth)
    }

    fn json_list(&self, page: u64) -> Value {
        let start = (page - 1).saturating_mul(JSON_PER_PAGE);
        let items: Vec<Value> =
            (start..start.saturating_add(JSON_PER_PAGE)).map_while(|id| self.truth(id)).collect();
        let more = start.saturating_add(JSON_PER_PAGE) < self.pages;
        let next = more.then(|| format!("/json/list?page={}", page + 1));
        json!({"items": items, "total": self.pages, "page": page, "next": next})
    }

    /// `{encoding}/{id}`, whatever the client accepts.
    fn encoded(&self, rest: &str) -> Option<io::Result<Bytes>> {
        let (encoding, id) = rest.split_once('/')?;
        let html = self.html(id.parse().ok()?)?;
        Some(charset::pack(html.as_bytes(), encoding)?.map(|(name, packed)| {
            response(200, &[("Content-Type", HTML), ("Content-Encoding", name)], &packed)
        }))
    }

    /// `{charset}/{id}`: the header says so, or, with `meta-` in front of the name, only the page's own `<meta>` does.
    fn in_charset(&self, rest: &str) -> Option<Bytes> {
        let (name, id) = rest.split_once('/')?;
        let (charset, is_in_header) = match name.strip_prefix("meta-") {
            Some(charset) => (charset, false),
            None => (name, true),
        };
        let label = match charset {
            "latin1" => "iso-8859-1",
            "utf-8-bom" => "utf-8",
            other => other,
        };
        let html = self.html(id.parse().ok()?)?.replace("charset=\"utf-8\"", &format!("charset=\"{label}\""));
        let body = charset::encode(&html, charset)?;
        Some(ok(&if is_in_header { format!("text/html; charset={label}") } else { "text/html".into() }, body))
    }

    /// A product that need not be sent again.
    fn etag(&self, id: u64, request: &Head) -> Option<Bytes> {
        let html = self.html(id)?;
        let etag = format!("\"product-{id}\"");
        let headers = [("Content-Type", HTML), ("ETag", etag.as_str()), ("Cache-Control", "max-age=0")];
        Some(match request.header("if-none-match") {
            Some(known) if known == etag => response(304, &headers[1..], b""),
            _ => response(200, &headers, html.as_bytes()),
        })
    }

    /// `needed/{id}`: a product for those who bring back the cookie; the others are given it and sent there again.
    fn for_cookies(&self, rest: &str, request: &Head) -> Option<Bytes> {
        let page = self.product(rest.strip_prefix("needed/")?.parse().ok()?, request)?;
        if request.header("cookie").is_some_and(|cookies| cookies.split("; ").any(|c| c == "pass=1")) {
            return Some(page);
        }
        let headers = [("Location", request.target()), ("Set-Cookie", "pass=1; Path=/; HttpOnly")];
        Some(response(302, &headers, b""))
    }

    fn stats(&self) -> String {
        let stats = self.ledger.stats();
        let hosts: Map<String, Value> = stats
            .hosts
            .iter()
            .map(|(name, host)| {
                let gap = host.shortest_gap.map(|gap| gap.as_secs_f64() * 1e3);
                let value = json!({"requests": host.requests, "open": host.open,
                    "max_concurrent": host.max_concurrent, "shortest_gap_ms": gap, "span_ms": host.span.as_secs_f64() * 1e3});
                (name.clone(), value)
            })
            .collect();
        json!({"requests": stats.requests, "open": stats.open, "connections": stats.connections, "bytes": stats.bytes,
            "by_prefix": stats.by_prefix, "hosts": hosts, "limits": self.limits.stats()})
        .to_string()
    }

    fn build(&self, id: u64, gzip: bool) -> io::Result<Ready> {
        const HEADERS: [(&str, &str); 4] = [
            ("Content-Type", HTML),
            ("Cache-Control", "max-age=60"),
            ("Vary", "Accept-Encoding"),
            ("Content-Encoding", "gzip"),
        ];
        let html = shop::page(id, self.pages);
        let gzip = (self.gzip && gzip).then(|| charset::gzip(html.as_bytes())).transpose()?;
        Ok(Ready {
            plain: response(200, &HEADERS[..3], html.as_bytes()),
            gzip: gzip.map(|packed| response(200, &HEADERS, &packed)),
        })
    }

    /// All pages, on all cores.
    fn build_all(&self) -> io::Result<Vec<Ready>> {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let share = self.pages.div_ceil(workers);
        let built: Vec<io::Result<Vec<Ready>>> = std::thread::scope(|scope| {
            let parts: Vec<_> = (0..workers)
                .map(|w| (w * share).min(self.pages)..((w + 1) * share).min(self.pages))
                .map(|ids| scope.spawn(move || ids.map(|id| self.build(id, true)).collect()))
                .collect();
            parts
                .into_iter()
                .map(|part| part.join().unwrap_or_else(|_| Err(io::Error::other("building pages failed"))))
                .collect()
        });
        let mut all = Vec::new();
        for part in built {
            all.append(&mut part?);
        }
        Ok(all)
    }
}

/// `page` of the query: 1 if absent, `None` if it is not a number from 1.
fn page_number(request: &Head) -> Option<u64> {
    match request.query("page") {
        None => Some(1),
        Some(text) => text.parse().ok().filter(|page| *page > 0),
    }
}

/// Scheme and host as the client knows them.
fn base(request: &Head) -> String {
    format!("http://{}", request.header("host").unwrap_or("127.0.0.1"))
}

/// What the client said. A header line that comes twice is shown once, the last.
fn echo(request: &Head) -> String {
    let headers: Map<String, Value> =
        request.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.into())).collect();
    json!({"method": request.method(), "target": request.target(), "headers": headers}).to_string()
}

/// Sends a cookie and says which it was sent.
fn cookie(request: &Head) -> Bytes {
    let got = request.header("cookie").unwrap_or("none");
    let headers = [("Content-Type", TEXT), ("Set-Cookie", "visit=1; Path=/")];
    response(200, &headers, got.as_bytes())
}
