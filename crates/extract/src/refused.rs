//! When a scraper does not believe a page: its file's own hints, and what is known of walls in general.
//!
//! Owns: which pages are looked at. A page with all that the file requires is believed, whatever it mentions, unless the
//! file itself says that such a page is a refusal. Must not know: what walls look like (`refusal`).

use crate::page::Parts;
use crate::refusal::{RefusalKind, refusal};
use crate::spec::{Format, PageKind, Yield};
use crate::{Extraction, Scraper, limit};
use html::{Document, Selector};
use model::{Door, Failure, FailureCode, Input, Page};

/// A hint of a scraper file on what a refusal of its site looks like: all that it names must be there.
#[derive(Debug)]
pub(crate) struct Hint {
    /// An element of the page.
    pub(crate) css: Option<Selector>,
    /// A part of the text shown, in lower case.
    pub(crate) text: Option<String>,
    /// What the page comes to.
    pub(crate) code: FailureCode,
    /// Line in the file, from 1.
    pub(crate) line: usize,
}

impl Hint {
    /// Codes that a page may come to.
    pub(crate) const CODES: &'static [(&'static str, FailureCode)] = &[
        ("blocked", FailureCode::Blocked),
        ("detect_block", FailureCode::DetectBlock),
        ("login_required", FailureCode::LoginRequired),
        ("consent_wall", FailureCode::ConsentWall),
        ("dead_page", FailureCode::DeadPage),
    ];
}

impl Scraper {
    /// What a page with a refusing status is, if more can be told of it than its status. 404s are what they say.
    pub fn refused(&self, door: &Door, input: &Input, page: &Page) -> Option<Failure> {
        let bytes = &page.body[..page.body.len().min(limit::REFUSAL_BYTES)];
        if !self.spec().hints.is_empty() {
            let text = html::decode(bytes, page.header("content-type"));
            if let Some(failure) = hinted(&self.spec().hints, &Document::parse(&text)) {
                return Some(failure);
            }
        }
        let asked = self.plan(door, input).ok().map(|request| request.url);
        let found = self.spec().refusals.then(|| refusal(page, asked.as_ref())).flatten()?;
        // A plain refusal and a page that is not there say no more than the status does.
        let says_more = match found.kind {
            RefusalKind::Challenge | RefusalKind::Login | RefusalKind::Consent => true,
            RefusalKind::Block => found.by.is_some(),
            RefusalKind::Gone => false,
        };
        says_more.then(|| found.failure(page.status))
    }

    /// What a page is instead of what it should be, although its status is good.
    pub(crate) fn disbelieved(
        &self,
        (door, input): (&Door, &Input),
        kind: &PageKind,
        parts: &Parts<'_>,
        out: &Extraction,
    ) -> Option<Failure> {
        let spec = self.spec();
        if !spec.hints.is_empty()
            && kind.format == Format::Html
            && let Some(failure) = hinted(&spec.hints, parts.document())
        {
            return Some(failure);
        }
        if !spec.refusals || is_believed(kind, out) {
            return None;
        }
        let gave = !out.records.is_empty() || !out.follow.is_empty();
        if gave && parts.page.body.len() > limit::REFUSAL_PAGE_BYTES {
            return None;
        }
        let asked = self.plan(door, input).ok().map(|request| request.url);
        refusal(parts.page, asked.as_ref()).map(|found| found.failure(parts.page.status))
    }
}

/// Does the page give what the file says that such a page must have?
fn is_believed(kind: &PageKind, out: &Extraction) -> bool {
    let requires = kind.fields.iter().any(|field| field.required);
    match kind.yields {
        Yield::Record => requires && !out.records.is_empty(),
        Yield::Rows(_) => !out.records.is_empty(),
        // A sitemap is nothing else; the links of a page may be a wall's.
        Yield::Nothing => kind.format != Format::Html && !out.follow.is_empty(),
    }
}

fn hinted(hints: &[Hint], document: &Document) -> Option<Failure> {
    let mut shown: Option<String> = None;
    let hint = hints.iter().find(|hint| {
        let stands = |css: &Selector| css.first(document.root()).is_some();
        if !hint.css.as_ref().is_none_or(stands) {
            return false;
        }
        let Some(text) = &hint.text else { return true };
        shown.get_or_insert_with(|| document.root().visible_text().to_lowercase()).contains(text)
    })?;
    let message = format!("{}, as the scraper file tells in line {}", hint.code.sentence(), hint.line);
    Some(Failure::new(hint.code, message))
}

#[cfg(test)]
#[path = "refused_tests.rs"]
mod tests;
