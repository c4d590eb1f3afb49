//! What a polite crawler is tested with: robots.txt in every variant, by the name that the site is asked under, and pages
//! behind a rate limit.
//!
//! Owns: the buckets of the limits and the count of what they let through. Must not know: connections.

use crate::http::{TEXT, response};
use crate::route::Answer;
use crate::trick::Trick;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Limits that are kept apart; more share the last.
const BUCKETS: usize = 1_000;

/// The robots.txt of a host whose name begins with `robots-{variant}.`; `None` for all others, who have the shop's.
///
/// `none` 404, `forbidden` 403, `error` 500, `busy` 503, `hang` never answers, `closed` disallows everything, `rules`
/// disallows `/p/` but `/p/1…`, `delay` asks for half a second between requests, `moved` redirects to the one of
/// `rules`, `lost` redirects for ever, `huge` has its rule behind the first 500 KiB, `html` is a page.
pub(crate) fn robots(host: &str) -> Option<Answer> {
    let variant = host.strip_prefix("robots-")?.split('.').next()?;
    const RULES: &str = "User-agent: *\nDisallow: /\n\nUser-agent: Trawl\nDisallow: /p/\nAllow: /p/1\n";
    let text = |body: &str| response(200, &[("Content-Type", TEXT)], body.as_bytes());
    let status = |status| response(status, &[("Content-Type", TEXT)], b"User-agent: *\nDisallow: /\n");
    let to = |place: &str| response(301, &[("Location", place)], b"");
    Some(Answer::Whole(match variant {
        "none" => status(404),
        "forbidden" => status(403),
        "error" => status(500),
        "busy" => status(503),
        "hang" => return Some(Answer::Trick(Trick::Stall(Bytes::new()))),
        "closed" => text("User-agent: *\nDisallow: /\n"),
        "rules" => text(RULES),
        "delay" => text("User-agent: *\nCrawl-delay: 0.5\n"),
        "moved" => to("/robots/rules"),
        "lost" => to("/robots.txt"),
        "inside" => to("http://169.254.169.254/robots.txt"),
        "drop" => return Some(Answer::Trick(Trick::Drop)),
        "huge" => text(&format!("{}User-agent: *\nDisallow: /\n", "# nothing\n".repeat(52_000))),
        "html" => text("<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>"),
        _ => return None,
    }))
}

/// `/robots/rules`: where `moved` leads.
pub(crate) fn moved() -> Option<Answer> {
    robots("robots-rules.")
}

/// Pages behind rate limits.
#[derive(Default)]
pub(crate) struct Limits {
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
    served: u64,
    refused: u64,
}

impl Limits {
    /// Whether a request under this name is served now, at so many a second after a burst of so many.
    fn serve(&self, name: &str, rate: f64, burst: f64) -> bool {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if buckets.len() < BUCKETS || buckets.contains_key(name) { name } else { "" };
        let new = || Bucket { tokens: burst, at: now, served: 0, refused: 0 };
        let bucket = buckets.entry(name.to_owned()).or_insert_with(new);
        bucket.tokens = (bucket.tokens + now.duration_since(bucket.at).as_secs_f64() * rate).min(burst);
        bucket.at = now;
        let is_served = bucket.tokens >= 1.0;
        if is_served {
            bucket.tokens -= 1.0;
            bucket.served += 1;
        } else {
            bucket.refused += 1;
        }
        is_served
    }

    /// `{rate}/{burst}/{after}/{id}`: the refusal if the limit is met, with `Retry-After` unless `after` is 0; else the
    /// product to show. `None` if there is no such path.
    pub(crate) fn page(&self, host: &str, rest: &str) -> Option<Result<u64, Bytes>> {
        let mut parts = rest.split('/');
        let mut number = || parts.next()?.parse::<u32>().ok();
        let (rate, burst, after, id) = (number()?, number()?, number()?, number()?);
        if self.serve(host, rate.into(), f64::from(burst.max(1))) {
            return Some(Ok(id.into()));
        }
        let after = after.to_string();
        let lines = [("Content-Type", TEXT), ("Retry-After", after.as_str())];
        let lines = if after == "0" { &lines[..1] } else { &lines[..] };
        Some(Err(response(429, lines, b"too many")))
    }

    /// What they let through, by host.
    pub(crate) fn stats(&self) -> Value {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let all = buckets.iter().map(|(name, bucket)| {
            (name.clone(), json!({ "served": bucket.served, "refused": bucket.refused }))
        });
        Value::Object(all.collect::<Map<_, _>>())
    }
}
