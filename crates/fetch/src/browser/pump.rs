//! What a page asks for, taken as it comes: which requests are let through, with which header lines, at whose turn, and which
//! answers are kept.
//!
//! Owns: the rules for requests. Must not know: what is waited for and done on the page.
//!
//! Invariant: header lines of scraper and job go to the page's own origin only, for as long as the page stays there.

use super::pipe::{CallError, Event, Wire};
use super::plan::Plan;
use super::tab::{PATIENCE, Shared, Stay};
use crate::fetcher::Answered;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{Captured, ResourceKind};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

/// Captured responses of one page.
const CAPTURED_MAX: usize = 500;

/// DevTools' word for a kind.
fn word(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Image => "Image",
        ResourceKind::Font => "Font",
        ResourceKind::Media => "Media",
        ResourceKind::Stylesheet => "Stylesheet",
    }
}

/// What the browser is to ask about before it goes on.
pub(super) fn patterns(plan: &Plan) -> Vec<Value> {
    let mut patterns = Vec::new();
    if plan.headers.is_empty() {
        patterns.push(json!({ "resourceType": "Document", "requestStage": "Request" }));
        for kind in &plan.block {
            patterns.push(json!({ "resourceType": word(*kind), "requestStage": "Request" }));
        }
    } else {
        // A redirect takes along what its request was given, so every request has to be seen.
        patterns.push(json!({ "urlPattern": "*", "requestStage": "Request" }));
    }
    if let Some(pattern) = &plan.capture {
        // A path stands for itself on any host.
        let pattern = if pattern.starts_with('/') { format!("*{pattern}") } else { pattern.clone() };
        for kind in ["XHR", "Fetch"] {
            patterns.push(json!({ "urlPattern": pattern, "resourceType": kind, "requestStage": "Response" }));
        }
    }
    patterns
}

/// What is let through.
pub(super) struct Rules {
    origin: url::Origin,
    headers: Vec<(String, String)>,
    block: Vec<ResourceKind>,
    bytes_max: u64,
    /// The page went on to another origin: what was meant for the first is sent no more.
    has_left: AtomicBool,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Verdict {
    Refused,
    GoesOn,
    /// With exactly these header lines.
    With(Vec<Value>),
}

impl Rules {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            origin: plan.url.origin(),
            headers: plan.headers.clone(),
            block: plan.block.clone(),
            bytes_max: plan.bytes_max,
            has_left: AtomicBool::new(false),
        }
    }

    /// `is_main`: of the page itself, not of a frame in it.
    fn verdict(&self, params: &Value, is_main: bool) -> Verdict {
        let kind = params["resourceType"].as_str().unwrap_or_default();
        let Some(url) = params["request"]["url"].as_str().and_then(|url| Url::parse(url).ok()) else {
            return Verdict::Refused;
        };
        let is_document = kind == "Document";
        if self.block.iter().any(|blocked| word(*blocked) == kind)
            || (is_document && !matches!(url.scheme(), "http" | "https"))
        {
            return Verdict::Refused;
        }
        let is_own = url.origin() == self.origin;
        if is_document && is_main && !is_own {
            self.has_left.store(true, Ordering::Relaxed);
        }
        if self.headers.is_empty() {
            return Verdict::GoesOn;
        }
        let gets = is_own && is_main && !self.has_left.load(Ordering::Relaxed);
        let ours = |name: &str| self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut is_as_it_was = !gets;
        let mut lines = Vec::new();
        for (name, value) in params["request"]["headers"].as_object().into_iter().flatten() {
            match ours(name) {
                // Of the page, or on its way from an address that was given it.
                Some((_, own)) if gets || value.as_str() == Some(own) => is_as_it_was = false,
                _ => lines.push(json!({ "name": name, "value": value })),
            }
        }
        if is_as_it_was {
            return Verdict::GoesOn;
        }
        if gets {
            lines.extend(self.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        }
        Verdict::With(lines)
    }
}

/// Takes the events of a page as they come.
pub(super) struct Pump {
    pub(super) wire: Arc<Wire>,
    pub(super) session: String,
    pub(super) shared: Arc<Shared>,
    pub(super) rules: Rules,
}

impl Pump {
    pub(super) async fn run(self, mut events: mpsc::Receiver<Event>) {
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { break };
                    self.shared.seen().note(&event, Instant::now());
                    self.shared.changes.send_modify(|n| *n += 1);
                    if matches!(event.method.as_str(), "Fetch.requestPaused" | "Page.javascriptDialogOpening") {
                        answers.push(self.answer(event));
                    }
                }
                Some(()) = answers.next() => self.shared.changes.send_modify(|n| *n += 1),
            }
        }
        // A page that sent more than it could be followed in is as good as crashed; so is one whose browser has gone,
        // which is told by its wire.
        self.shared.seen().is_crashed = true;
        self.shared.changes.send_modify(|n| *n += 1);
    }

    async fn answer(&self, event: Event) {
        let params = &event.params;
        let id = params["requestId"].clone();
        let answered = if event.method == "Page.javascriptDialogOpening" {
            self.call("Page.handleJavaScriptDialog", json!({ "accept": false })).await
        } else if params.get("responseStatusCode").is_some() || params.get("responseErrorReason").is_some() {
            self.capture(params).await;
            self.call("Fetch.continueRequest", json!({ "requestId": id })).await
        } else {
            let is_main = params["frameId"].as_str() == Some(self.shared.seen().frame.as_str());
            let verdict = self.rules.verdict(params, is_main);
            if verdict == Verdict::Refused || (is_main && !self.has_turn(params).await) {
                let fail = json!({ "requestId": id, "errorReason": "BlockedByClient" });
                self.call("Fetch.failRequest", fail).await
            } else {
                let mut go_on = json!({ "requestId": id });
                if let Verdict::With(lines) = verdict {
                    go_on["headers"] = lines.into();
                }
                self.call("Fetch.continueRequest", go_on).await
            }
        };
        if let Err(error) = answered {
            // The request has gone with its document, or everything is ending.
            tracing::trace!(%error, "a request of a page could not be answered");
        }
    }

    /// Takes a turn where the page itself goes on to another host; `false` if it may not.
    async fn has_turn(&self, params: &Value) -> bool {
        let is_document = params["resourceType"].as_str() == Some("Document");
        let url = params["request"]["url"].as_str().and_then(|url| Url::parse(url).ok());
        let (true, Some(url), Some(visit)) = (is_document, url, self.shared.visit.get()) else { return true };
        let left = {
            let mut stay = self.shared.stay();
            if stay.as_ref().is_some_and(|stay| stay.origin == url.origin()) {
                return true;
            }
            stay.take()
        };
        // Given back before the next is waited for: two pages that lead to each other's hosts would wait for good.
        if let Some(stay) = left {
            visit.answered(stay.turn, &Answered { status: 302, asked: None, took: None });
        }
        match visit.turn(&url).await {
            Ok(turn) => {
                *self.shared.stay() = Some(Stay { origin: url.origin(), turn });
                true
            }
            Err(error) => {
                *self.shared.halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        }
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, CallError> {
        self.wire.call(&self.session, method, params, PATIENCE).await
    }

    /// Keeps a response's body, within the bounds of a page.
    async fn capture(&self, params: &Value) {
        let Some(status) = params["responseStatusCode"].as_u64().and_then(|s| u16::try_from(s).ok()) else {
            return;
        };
        let Some(url) = params["request"]["url"].as_str().and_then(|url| Url::parse(url).ok()) else {
            return;
        };
        let Ok(answer) =
            self.call("Fetch.getResponseBody", json!({ "requestId": params["requestId"] })).await
        else {
            return;
        };
        let body = answer["body"].as_str().unwrap_or_default();
        let body = if answer["base64Encoded"].as_bool() == Some(true) {
            BASE64_STANDARD.decode(body).unwrap_or_default()
        } else {
            body.as_bytes().to_vec()
        };
        let content_type = params["responseHeaders"].as_array().into_iter().flatten().find_map(|line| {
            let is_it = line["name"].as_str()?.eq_ignore_ascii_case("content-type");
            is_it.then(|| line["value"].as_str().map(str::to_owned)).flatten()
        });
        let mut captured = self.shared.captured.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: u64 = captured.iter().map(|c| c.body.len() as u64).sum();
        if captured.len() < CAPTURED_MAX && bytes + body.len() as u64 <= self.rules.bytes_max {
            captured.push(Captured { url, status, content_type, body: Bytes::from(body) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(headers: &[(&str, &str)]) -> Rules {
        let url = Url::parse("http://shop.test/app").unwrap();
        Rules {
            origin: url.origin(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            block: vec![ResourceKind::Image, ResourceKind::Font],
            bytes_max: 1,
            has_left: AtomicBool::new(false),
        }
    }

    fn asked(kind: &str, url: &str, headers: Value) -> Value {
        json!({ "resourceType": kind, "request": { "url": url, "headers": headers } })
    }

    const KEY: &[(&str, &str)] = &[("x-key", "secret")];

    #[test]
    fn headers_of_the_scraper_go_to_its_own_pages_only() {
        let rules = rules(KEY);
        let page = |kind: &str, url: &str| asked(kind, url, json!({ "X-Key": "page's", "A": "b" }));
        let with = Verdict::With(vec![
            json!({"name": "A", "value": "b"}),
            json!({"name": "x-key", "value": "secret"}),
        ]);
        for kind in ["Document", "XHR", "Script"] {
            assert_eq!(rules.verdict(&page(kind, "http://shop.test/other"), true), with, "{kind}");
            assert_eq!(rules.verdict(&page(kind, "http://cdn.test/other"), false), Verdict::GoesOn, "{kind}");
            assert_eq!(
                rules.verdict(&page(kind, "http://shop.test/in-a-frame"), false),
                Verdict::GoesOn,
                "{kind}"
            );
        }
        assert_eq!(
            rules.verdict(&page("XHR", "http://shop.test:81/"), true),
            Verdict::GoesOn,
            "another port"
        );
    }

    #[test]
    fn a_redirect_elsewhere_loses_them_for_good() {
        let rules = rules(KEY);
        let brought = |kind: &str, url: &str| asked(kind, url, json!({ "x-key": "secret", "A": "b" }));
        let without = Verdict::With(vec![json!({"name": "A", "value": "b"})]);
        assert_eq!(rules.verdict(&brought("XHR", "http://other.test/"), true), without);
        assert_eq!(rules.verdict(&brought("Document", "http://other.test/"), true), without);
        // Another site's page sends visitors to whatever it likes.
        assert_eq!(rules.verdict(&brought("Document", "http://shop.test/"), true), without);
        assert_eq!(rules.verdict(&asked("XHR", "http://shop.test/", json!({})), true), Verdict::GoesOn);
    }

    #[test]
    fn blocked_kinds_and_other_schemes_do_not_pass() {
        for rules in [rules(&[]), rules(KEY)] {
            for (kind, url) in [
                ("Image", "http://shop.test/a.png"),
                ("Font", "http://shop.test/a.woff"),
                ("Document", "file:///etc/passwd"),
                ("Document", "ftp://shop.test/"),
            ] {
                assert_eq!(
                    rules.verdict(&asked(kind, url, json!({})), true),
                    Verdict::Refused,
                    "{kind} {url}"
                );
            }
        }
        assert_eq!(
            rules(&[]).verdict(&asked("Document", "http://shop.test/", json!({})), true),
            Verdict::GoesOn
        );
    }
}
