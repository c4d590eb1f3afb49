//! Is this page a refusal dressed as a page? Block pages, captchas, login walls, consent walls, pages that say that they
//! are not there.
//!
//! Owns: telling walls from pages (`mark`: what the makers of walls leave in them, `word`: what walls say, `shape`: how
//! little else there is). Must not know: scrapers, what a record is, how to get past a wall.
//!
//! Invariant: a page with content is never a refusal: whatever is said must be nearly all that is said.
//! Bounded: looks at the first [`limit::REFUSAL_BYTES`] of a page. Total.

mod mark;
mod shape;
mod word;

use crate::limit;
use model::{Failure, FailureCode, Page};
use shape::Shape;
use url::Url;

/// What kind of wall it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// We are not let in.
    Block,
    /// A test whether we are human, to be solved by one.
    Challenge,
    /// Only who has an account is let in.
    Login,
    /// Only who agrees to be followed is let in.
    Consent,
    /// The page says that it is not there, with a status that says otherwise.
    Gone,
}

/// A page that is a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub kind: RefusalKind,
    /// Who made the wall, where it can be told.
    pub by: Option<&'static str>,
}

impl Refusal {
    fn new(kind: RefusalKind, by: &'static str) -> Self {
        Self { kind, by: (!by.is_empty()).then_some(by) }
    }

    /// The code of its error row.
    pub fn code(&self) -> FailureCode {
        match self.kind {
            RefusalKind::Block | RefusalKind::Challenge => FailureCode::DetectBlock,
            RefusalKind::Login => FailureCode::LoginRequired,
            RefusalKind::Consent => FailureCode::ConsentWall,
            RefusalKind::Gone => FailureCode::DeadPage,
        }
    }

    /// The error row's makings.
    pub fn failure(&self, status: u16) -> Failure {
        let what = match self.kind {
            RefusalKind::Block => "The page is a block page",
            RefusalKind::Challenge => "The page is a test for humans (captcha)",
            RefusalKind::Login => "The page asks for a login",
            RefusalKind::Consent => "The page asks for consent before it shows anything",
            RefusalKind::Gone => "The page says that it is not there",
        };
        let by = self.by.map_or(String::new(), |by| format!("{by}, "));
        Failure::new(self.code(), format!("{what} ({by}HTTP {status})"))
    }
}

/// Looks at a page that gave no records, or none that it must have. `asked` is the address that was asked for: who asks
/// for a login page gets one.
pub fn refusal(page: &Page, asked: Option<&Url>) -> Option<Refusal> {
    if let Some(said) = said_by_headers(page) {
        return Some(said);
    }
    let media = page.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let body = &page.body[..page.body.len().min(limit::REFUSAL_BYTES)];
    if body.is_empty() {
        return None;
    }
    let is_html = media.is_empty() || media.contains("html") || media.contains("text/plain");
    let may_be = word::is_suspicious(body) || (is_html && is_elsewhere(page, asked));
    if !may_be {
        return None;
    }
    let source = html::decode(body, page.header("content-type")).to_ascii_lowercase();
    let shape = if is_html { Shape::of(&source) } else { Shape::bare(&source) };
    if let Some(found) = mark::find(&source, &shape, page.status) {
        return Some(found);
    }
    if !is_html {
        return None;
    }
    let was_sent_to_login = word::is_login_address(&page.url) && !asked.is_some_and(word::is_login_address);
    let asked_for_login = asked.is_some_and(word::is_login_address);
    if !asked_for_login && shape.is_login(was_sent_to_login) {
        return Some(Refusal::new(RefusalKind::Login, ""));
    }
    if shape.is_consent(word::is_consent_address(&page.url)) {
        return Some(Refusal::new(RefusalKind::Consent, ""));
    }
    if let Some(kind) = shape.denies() {
        return Some(Refusal::new(kind, ""));
    }
    shape.is_gone().then(|| Refusal::new(RefusalKind::Gone, ""))
}

/// Was the request led to another place than asked, one where walls stand?
fn is_elsewhere(page: &Page, asked: Option<&Url>) -> bool {
    asked != Some(&page.url) && (word::is_login_address(&page.url) || word::is_consent_address(&page.url))
}

/// Headers that are a wall's own words.
fn said_by_headers(page: &Page) -> Option<Refusal> {
    let is =
        |name: &str, value: &str| page.header(name).is_some_and(|v| v.trim().eq_ignore_ascii_case(value));
    if is("cf-mitigated", "challenge") {
        return Some(Refusal::new(RefusalKind::Challenge, "Cloudflare"));
    }
    if is("x-amzn-waf-action", "captcha") || is("x-amzn-waf-action", "challenge") {
        return Some(Refusal::new(RefusalKind::Challenge, "AWS WAF"));
    }
    if is("x-vercel-mitigated", "challenge") {
        return Some(Refusal::new(RefusalKind::Challenge, "Vercel"));
    }
    None
}

#[cfg(test)]
mod tests;
