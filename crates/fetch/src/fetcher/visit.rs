//! A page that a browser fetches, on the same terms as plain ones: their robots.txt, guard, pace, session and proxy.
//!
//! Owns: what of these a page holds while it is open, and what they are told of its end. Must not know: browsers.

use super::{HttpFetcher, lane, report_of_error, report_of_status, want};
use crate::clock::now;
use crate::connect::Connector;
use crate::cookie::Cookie;
use crate::pace::{Report, Turn};
use crate::proxy::{Way, Wish};
use crate::session::Session;
use crate::{FetchError, FetchErrorKind, retry_after};
use model::{Method, Needs};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// What such a page holds.
pub(crate) struct Visit {
    http: HttpFetcher,
    needs: Needs,
    express: bool,
    session: Option<Arc<Session>>,
    way: Way,
}

/// How a host answered.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Its `Retry-After`.
    pub(crate) asked: Option<String>,
    /// From the request to the head of the answer, if that is known.
    pub(crate) took: Option<Duration>,
}

impl HttpFetcher {
    /// Begins one.
    pub(crate) fn visit(&self, needs: &Needs, express: bool) -> Result<Visit, FetchError> {
        let session = needs.session.as_deref().map(|key| self.0.sessions.get(key, Instant::now()));
        if let Some(session) = session.as_deref().filter(|_| needs.fresh) {
            session.begin_anew();
        }
        let way = self.0.ways.choose(Wish { needs, session: session.as_deref() }, &[])?;
        Ok(Visit { http: self.clone(), needs: needs.clone(), express, session, way })
    }
}

impl Visit {
    /// A turn at the host of that address, after the same checks as any.
    pub(crate) async fn turn(&self, url: &Url) -> Result<Turn, FetchError> {
        let inner = &self.http.0;
        inner.vet(url, self.way.proxy().is_some())?;
        let want = inner.obey(&self.needs, url, &self.way.route, want(&self.needs, self.express)).await?;
        inner.turn(&lane(url), want).await
    }

    /// How its connections are made.
    pub(crate) fn connector(&self) -> &Connector {
        &self.way.route.connector
    }

    /// Whether its cookies outlive it.
    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The cookies of its session.
    pub(crate) fn cookies(&self) -> Vec<Cookie> {
        self.session.as_ref().map(|session| session.jar(|jar| jar.alive(now().ms()))).unwrap_or_default()
    }

    /// What a browser that was given `given` has now.
    pub(crate) fn take_back(&self, given: &[Cookie], kept: Vec<Cookie>) {
        if let Some(session) = &self.session {
            session.jar(|jar| jar.take_back(given, kept, now().ms()));
        }
    }

    /// Ends a turn at a host that answered: `Retry-After` holds it, and the pace learns.
    pub(crate) fn answered(&self, turn: Turn, answer: &Answered) {
        let took = answer.took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let report = match answer.status {
            429 | 503 => {
                let asked = answer.asked.as_deref().and_then(|value| retry_after::value_ms(value, now()));
                if let Some(ms) = asked {
                    turn.hold(Duration::from_millis(ms.min(self.http.0.settings.retry_after_max_ms)));
                }
                report_of_status(answer.status, asked.is_some())
            }
            _ => Report::Rendered { took },
        };
        turn.end(report);
    }

    /// Ends a turn at a host of which nothing came but an error.
    pub(crate) fn failed(&self, turn: Turn, error: &FetchError) {
        turn.end(report_of_error(error));
    }

    /// The same page through another proxy, if the fault may be that of this one.
    pub(crate) fn instead(&self, error: &FetchError) -> Option<Self> {
        let wish = Wish { needs: &self.needs, session: self.session.as_deref() };
        let way = self.http.0.ways.instead(wish, &self.way, error, Method::Get)?;
        let (http, needs, session) = (self.http.clone(), self.needs.clone(), self.session.clone());
        Some(Self { http, needs, express: self.express, session, way })
    }

    /// Notes of the proxy what became of the page, which was tried here only.
    pub(crate) fn note(&self, error: Option<&FetchError>, site: &str) {
        match error {
            // The browser's own trouble says nothing of the way.
            Some(error) if is_own(error.kind) => {}
            error => self.way.note(error, site),
        }
    }

    /// The same where it was tried at `first`, which gave that error, and then here.
    pub(crate) fn note_second(
        &self,
        error: Option<&FetchError>,
        first: &Self,
        first_error: &FetchError,
        site: &str,
    ) {
        if !error.is_some_and(|error| is_own(error.kind)) {
            self.way.note_second(error, &first.way, first_error, site);
        }
    }
}

fn is_own(kind: FetchErrorKind) -> bool {
    matches!(kind, FetchErrorKind::NoBrowser | FetchErrorKind::BrowserGone)
}
