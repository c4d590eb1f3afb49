//! Who a page is fetched as: its session, the header lines of its job and of its scraper, and the login before it.
//!
//! Owns: what a session is called. Must not know: how cookies are kept, how a login is done (`login`).
//! Invariant: header lines that may be secrets go to the hosts they were given for only: those of a job to the hosts of
//! its rows, those of a scraper to its own sites.

use super::Worker;
use super::collect::Slice;
use crate::cache::{Ask, Keep};
use extract::Session;
use fetch::FetchError;
use model::{
    Exchange, Failure, FailureCode, Fate, FetchMode, Input, Page, Request, host_of, is_secret_header,
};

/// Times that one page may find its session over before that is taken for its own fault.
const OUTS: u32 = 3;

/// There is no page: what that comes to, and what was exchanged on the way, if it is to be kept.
pub(super) struct Missed {
    pub(super) fate: Fate,
    pub(super) exchanges: Vec<Exchange>,
}

impl From<Fate> for Missed {
    fn from(fate: Fate) -> Self {
        Self { fate, exchanges: Vec::new() }
    }
}

impl From<FetchError> for Missed {
    fn from(error: FetchError) -> Self {
        Self { fate: fate_of(&error), exchanges: error.exchanges }
    }
}

impl Worker {
    /// The page of an input, fetched as whoever the scraper and the job say.
    pub(super) async fn page(
        &self,
        slice: &Slice,
        input: &Input,
        mut request: Request,
    ) -> Result<(Page, Option<Keep>), Missed> {
        self.identify(slice, input, &mut request)?;
        let express = slice.trigger.express;
        let login = slice.scraper.login().filter(|_| slice.scraper.is_own_site(&request.url));
        let (Some(login), Some(session)) = (login, request.needs.session.clone()) else {
            // A kept page is nobody's in particular, and as it was sent.
            let needs = &request.needs;
            if needs.mode == Some(FetchMode::Browser)
                || needs.session.is_some()
                || needs.country.is_some()
                || !needs.secret_headers.is_empty()
            {
                return self.fetch(request, express).await.map(|page| (page, None));
            }
            let ask = Ask { scraper: slice.scraper.name(), reuse: slice.reuse, modified: input.modified };
            let answer = self.cache.page(&*self.fetcher, ask, request, express).await;
            return answer.map_err(Missed::from);
        };
        let mut entry = self.logins.entry(&session);
        for _ in 0..OUTS {
            let age = self.log_in(&entry, slice, login, &request).await?;
            let page = self.fetch(request.clone(), express).await?;
            if !self.is_logged_out(slice, &page).await {
                entry.is_of_use();
                return Ok((page, None));
            }
            tracing::debug!(url = %page.url, "the session is over");
            entry.is_over(age).await;
            // Another may have taken its place meanwhile.
            entry = self.logins.entry(&session);
        }
        let failure =
            Failure::new(FailureCode::LoginFailed, "The page asks for a login although the login succeeded");
        entry.is_of_no_use(&failure, self.clock.now()).await;
        Err(Fate::Never(failure).into())
    }

    async fn fetch(&self, request: Request, express: bool) -> Result<Page, Missed> {
        Ok(self.fetcher.fetch(request, express).await?)
    }

    fn identify(&self, slice: &Slice, input: &Input, request: &mut Request) -> Result<(), Fate> {
        let (trigger, scraper) = (&slice.trigger, &slice.scraper);
        let secrets = |name: &str| self.catalogue.secret(name);
        request.needs.secret_headers = scraper
            .secret_headers(&request.url, &secrets)
            .map_err(|reason| Fate::Never(Failure::new(FailureCode::LoginFailed, reason)))?;
        for (name, value) in &trigger.wishes.request_headers.0 {
            request.headers.retain(|(known, _)| known != name);
            request.needs.secret_headers.0.retain(|(known, _)| known != name);
            if !is_secret_header(name) {
                request.headers.push((name.clone(), value.clone()));
            } else if is_of_its_row(input, request) {
                request.needs.secret_headers.0.push((name.clone(), value.clone()));
            }
        }
        let session = match (&trigger.wishes.session, scraper.session()) {
            // Of the caller: another token's sessions are none of its business.
            (Some(name), _) if scraper.login().is_none() => Some(format!("~{}/{name}", trigger.origin.user)),
            (_, Session::Input) => None,
            (_, Session::Job) => Some(format!("#{}", slice.snapshot)),
            (_, Session::Named(name)) => Some(name.clone()),
        };
        request.needs.session = session.map(|session| {
            // A site that sees its visitor in two countries at once takes him for a thief.
            let country = request.needs.country.as_deref().unwrap_or_default();
            format!("{}/{session}@{country}", scraper.name())
        });
        Ok(())
    }

    /// Looks for the signs on a reading thread if that costs a tree.
    async fn is_logged_out(&self, slice: &Slice, page: &Page) -> bool {
        let Some(login) = slice.scraper.login() else { return false };
        if !login.looks_at_body() {
            return login.is_logged_out(page);
        }
        let (scraper, page) = (slice.scraper.clone(), page.clone());
        let look = move || scraper.login().is_some_and(|login| login.is_logged_out(&page));
        self.pool.run(slice.trigger.express, look).await.unwrap_or(false)
    }
}

/// Does the request go to the host that the caller named in the row that led to it?
fn is_of_its_row(input: &Input, request: &Request) -> bool {
    if input.depth == 0 {
        return true;
    }
    let Some(row) = &input.discovery else { return false };
    let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(row).unwrap_or_default();
    let urls = row.values().filter_map(|value| value.as_str()?.trim().parse::<url::Url>().ok());
    urls.into_iter().any(|url| host_of(&url) == host_of(&request.url))
}

pub(super) fn fate_of(error: &FetchError) -> Fate {
    let failure = error.failure();
    match error.trouble() {
        Some(trouble) => Fate::Later { trouble, failure, asked_ms: error.again_ms },
        None => Fate::Never(failure),
    }
}
