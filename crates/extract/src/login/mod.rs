//! Logins: what a scraper file says of them, as pure steps. Each step is a request made of the page before it, and what
//! must be true of its answer; doing them is for the server.
//!
//! Owns: forms, the signs of being logged in or out, places for secrets. Must not know: the secrets, I/O, sessions.
//! Invariant: a secret is put into requests to the scraper's own sites only, and in no message.

mod form;
pub(crate) mod secret;

pub use secret::{Secrets, is_name};

use crate::scraper::is_site;
use html::{Document, Selector};
use model::{FetchMode, HiddenLines, Method, Page, Request};
use regex::Regex;
use secret::SecretText;
use serde_json::Value;
use std::borrow::Cow;
use url::Url;

/// Steps of one login.
pub(crate) const STEPS_MAX: usize = 10;
/// How the pages of a login may be fetched.
pub(crate) const LOGIN_MODES: &[(&str, FetchMode)] =
    &[("plain", FetchMode::Plain), ("browser", FetchMode::Browser)];

/// Whose cookies and proxy a scraper's pages share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Nobody's: each input stands for itself, and its cookies live for its redirects.
    #[default]
    Input,
    /// All inputs of a job.
    Job,
    /// All jobs of the scraper.
    Named(String),
}

/// How a scraper logs in.
#[derive(Clone, Debug)]
pub struct Login {
    pub(crate) steps: Vec<Step>,
    /// How the pages of its `get` steps are fetched: a form that a script makes needs a browser. What is sent is sent
    /// plainly, with the cookies that the browser got.
    pub(crate) mode: FetchMode,
    /// One of these means that the session is over. None: see [`Login::is_logged_out`].
    pub(crate) logged_out: Option<Signs>,
    pub(crate) sites: Vec<String>,
    /// Header lines of the scraper, which go with each step.
    pub(crate) headers: Vec<(String, String)>,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) act: Act,
    /// All of these must be true of the answer.
    pub(crate) expect: Signs,
}

/// What a step sends.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Get(Url),
    /// The form of the page before.
    Submit {
        form: Option<Selector>,
        fields: Vec<(String, SecretText)>,
    },
    PostFields(Url, Vec<(String, SecretText)>),
    PostJson(Url, Value),
}

/// What can be seen of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs {
    pub(crate) css: Option<Selector>,
    pub(crate) cookie: Option<String>,
    /// Of the address that the page came from, after redirects.
    pub(crate) url: Option<Regex>,
    pub(crate) status: Vec<u16>,
}

impl Signs {
    /// Those that are said, each with whether it is true.
    fn each(&self, page: &Page) -> impl Iterator<Item = (&'static str, bool)> {
        let status = (!self.status.is_empty()).then(|| ("status", self.status.contains(&page.status)));
        let url = self.url.as_ref().map(|url| ("url", url.is_match(page.url.as_str())));
        let cookie =
            self.cookie.as_ref().map(|name| ("cookie", page.extras.cookies.iter().any(|c| c == name)));
        // Last: it costs a tree.
        let css = self.css.iter().map(|css| ("css", css.first(tree(page).root()).is_some()));
        status.into_iter().chain(url).chain(cookie).chain(css)
    }
}

fn tree(page: &Page) -> Document {
    Document::parse(&text(page))
}

fn text(page: &Page) -> Cow<'_, str> {
    html::decode(&page.body, page.header("content-type"))
}

impl Login {
    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// What the step sends, `before` being the answer of the step before it. The reason, if it cannot be made.
    pub fn request(
        &self,
        step: usize,
        before: Option<&Page>,
        secrets: Secrets<'_>,
    ) -> Result<Request, String> {
        let Some(step) = self.steps.get(step) else { return Err("there is no such step".into()) };
        let no_secret = |name: String| format!("the secret `{name}` is not set");
        let filled = |fields: &[(String, SecretText)]| {
            let filled = fields.iter().map(|(name, text)| Ok((name.clone(), text.fill(secrets)?)));
            filled.collect::<Result<Vec<_>, String>>().map_err(no_secret)
        };
        let mut request = match &step.act {
            Act::Get(url) => Request::get(url.clone()),
            Act::Submit { form, fields } => {
                let page = before.ok_or("there is no page with a form before this step")?;
                let sent = form::submit(&tree(page), &page.url, form.as_ref(), &filled(fields)?)?;
                if page.url.scheme() == "https" && sent.url.scheme() != "https" {
                    return Err("the form of a page over TLS would be sent without".into());
                }
                match sent.body {
                    Some(body) => post(sent.url, "application/x-www-form-urlencoded", body),
                    None => Request::get(sent.url),
                }
            }
            Act::PostFields(url, fields) => {
                let pairs = filled(fields)?;
                let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
                post(url.clone(), "application/x-www-form-urlencoded", body)
            }
            Act::PostJson(url, value) => {
                let value = secret::fill_json(value, secrets).map_err(no_secret)?;
                post(url.clone(), "application/json", value.to_string())
            }
        };
        if !is_site(&self.sites, &request.url) {
            return Err(format!(
                "the login leads to `{}`, which is none of the scraper's `sites`",
                request.url.host_str().unwrap_or_default()
            ));
        }
        for (name, value) in &self.headers {
            if !request.headers.iter().any(|(known, _)| known == name) {
                request.headers.push((name.clone(), value.clone()));
            }
        }
        if let Some(page) = before.filter(|page| page.url.origin() == request.url.origin()) {
            // Some sites take a form without it for forged. The query may hold what was sent.
            let mut referer = page.url.clone();
            referer.set_query(None);
            request.headers.push(("referer".into(), referer.to_string()));
        }
        request.needs.private = true;
        request.needs.mode = Some(match &step.act {
            Act::Get(_) => self.mode,
            Act::Submit { .. } | Act::PostFields(..) | Act::PostJson(..) => FetchMode::Plain,
        });
        Ok(request)
    }

    /// Is the answer of a step as it should be? The reason, if not.
    pub fn check(&self, step: usize, page: &Page) -> Result<(), String> {
        let Some(expect) = self.steps.get(step).map(|step| &step.expect) else { return Ok(()) };
        if expect.status.is_empty() && page.status >= 400 {
            return Err(format!("HTTP {}", page.status));
        }
        match expect.each(page).find(|(_, holds)| !holds) {
            None => Ok(()),
            Some((what, _)) => Err(format!("`expect.{what}` does not hold (HTTP {})", page.status)),
        }
    }

    /// Does this page say that the session is over? Unless the file tells the signs: 401, or the address of the login.
    pub fn is_logged_out(&self, page: &Page) -> bool {
        if let Some(signs) = &self.logged_out {
            return signs.each(page).any(|(_, holds)| holds);
        }
        let first = self.steps.first().and_then(|step| match &step.act {
            Act::Get(url) | Act::PostFields(url, _) | Act::PostJson(url, _) => Some(url),
            Act::Submit { .. } => None,
        });
        let at_login = |url: &Url| url.origin() == page.url.origin() && url.path() == page.url.path();
        page.status == 401 || first.is_some_and(at_login)
    }

    /// Does telling that cost a tree of the page?
    pub fn looks_at_body(&self) -> bool {
        self.logged_out.as_ref().is_some_and(|signs| signs.css.is_some())
    }

    /// Names of the secrets that it needs.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut names = Vec::new();
        for step in &self.steps {
            match &step.act {
                Act::Get(_) => {}
                Act::Submit { fields, .. } | Act::PostFields(_, fields) => {
                    names.extend(fields.iter().flat_map(|(_, text)| text.names()).map(str::to_owned));
                }
                Act::PostJson(_, value) => {
                    let mut texts = Vec::new();
                    secret::texts(value, &mut texts);
                    for text in texts.into_iter().filter_map(|text| SecretText::parse(text).ok()) {
                        names.extend(text.names().map(str::to_owned));
                    }
                }
            }
        }
        names
    }
}

fn post(url: Url, content_type: &str, body: String) -> Request {
    let mut request = Request::get(url);
    request.method = Method::Post;
    request.headers.push(("content-type".into(), content_type.into()));
    request.body = Some(body.into());
    request
}

/// Header lines with their secrets.
pub(crate) fn lines(headers: &[(String, SecretText)], secrets: Secrets<'_>) -> Result<HiddenLines, String> {
    let filled = headers.iter().map(|(name, text)| match text.fill(secrets) {
        // A secret with a line break would be a header of its own.
        Ok(value) if value.bytes().any(|b| b < 0x20 || b == 0x7f) => {
            Err(format!("the value of the header `{name}` cannot be sent"))
        }
        Ok(value) => Ok((name.clone(), value)),
        Err(missing) => Err(format!("the secret `{missing}` is not set")),
    });
    filled.collect::<Result<_, _>>().map(HiddenLines)
}
