//! `/login` and `/account`: pages for members only, behind a form with a token against forgery and a cookie.
//!
//! `ada` stays logged in; the session of `brief` ends after five pages. Both have the same password.

use crate::http::{HTML, Head, ok, response, unescape};
use crate::shop;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const PASSWORD: &str = "correct horse";
/// Pages that a session of `brief` lasts.
const BRIEF_PAGES: u32 = 5;
/// Sessions and forms that are remembered; when there are more, all are forgotten.
const SESSIONS_MAX: usize = 10_000;

/// Who is logged in, and which forms were handed out.
#[derive(Default)]
pub(crate) struct Members(Mutex<Book>);

#[derive(Default)]
struct Book {
    made: u64,
    /// By the cookie `pre`: the token of the form that was sent with it.
    forms: HashMap<String, String>,
    /// By the cookie `sid`: who, and the pages that are left.
    sessions: HashMap<String, (String, Option<u32>)>,
}

impl Book {
    /// A word that nobody guesses by accident.
    fn word(&mut self) -> String {
        self.made += 1;
        format!("{:016x}", self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl Members {
    /// The answer to a request for a member's page; `None` if it is for another.
    pub(crate) fn answer(&self, request: &Head, body: &[u8], pages: u64) -> Option<Bytes> {
        let path = request.path();
        let inside = path.strip_prefix("/account");
        if path != "/login"
            && path != "/logout"
            && !inside.is_some_and(|p| p.is_empty() || p.starts_with('/'))
        {
            return None;
        }
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.forms.len() + book.sessions.len() > SESSIONS_MAX {
            *book = Book { made: book.made, ..Book::default() };
        }
        let book = &mut *book;
        Some(match (path, request.method()) {
            ("/login", "POST") => login(book, request, body),
            ("/login", _) => form(book, ""),
            ("/logout", _) => {
                cookie(request, "sid").and_then(|sid| book.sessions.remove(sid));
                response(302, &[("Location", "/login"), ("Set-Cookie", "sid=; Path=/; Max-Age=0")], b"")
            }
            _ => account(book, request, inside.unwrap_or_default(), pages),
        })
    }
}

fn form(book: &mut Book, message: &str) -> Bytes {
    let (pre, token) = (book.word(), book.word());
    let html = format!(
        "<!doctype html><title>Log in</title><form action=/search><input name=q></form><p class=error>{message}</p>\
         <form id=login method=post action=\"/login\"><input type=hidden name=csrf value={token}>\
         <input name=user><input type=password name=password><button name=go value=in>Log in</button></form>"
    );
    let headers =
        [("Content-Type", HTML.to_owned()), ("Set-Cookie", format!("pre={pre}; Path=/login; HttpOnly"))];
    book.forms.insert(pre, token);
    response(200, &headers, html.as_bytes())
}

fn login(book: &mut Book, request: &Head, body: &[u8]) -> Bytes {
    let body = String::from_utf8_lossy(body);
    let field = |name: &str| {
        let value = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.map(unescape).unwrap_or_default()
    };
    let token = cookie(request, "pre").and_then(|pre| book.forms.remove(pre));
    if token.as_deref() != Some(&*field("csrf")) {
        return response(403, &[("Content-Type", HTML)], b"<h1>Forged</h1>");
    }
    let user = field("user").into_owned();
    let lasts = match user.as_str() {
        "ada" => None,
        "brief" => Some(BRIEF_PAGES),
        _ => return form(book, "No such user"),
    };
    if field("password") != PASSWORD {
        return form(book, "Wrong password");
    }
    let sid = book.word();
    let headers = [
        ("Location", "/account".to_owned()),
        ("Set-Cookie", format!("sid={sid}; Path=/; HttpOnly; SameSite=Lax")),
    ];
    book.sessions.insert(sid, (user, lasts));
    response(302, &headers, b"")
}

fn account(book: &mut Book, request: &Head, inside: &str, pages: u64) -> Bytes {
    let sid = cookie(request, "sid").unwrap_or_default();
    let over = match book.sessions.get_mut(sid) {
        None => true,
        Some((_, None)) => false,
        Some((_, Some(0))) => true,
        Some((_, Some(left))) => {
            // The account's own page is where a login ends.
            *left -= u32::from(!inside.is_empty());
            false
        }
    };
    if over {
        book.sessions.remove(sid);
        return response(302, &[("Location", "/login?next=account")], b"");
    }
    let user = book.sessions.get(sid).map(|(user, _)| user.as_str()).unwrap_or_default();
    let id = inside.strip_prefix('/').unwrap_or(inside);
    if id.is_empty() {
        return ok(
            HTML,
            format!("<!doctype html><h1>Welcome</h1><p class=member>{user}</p><a href=/logout>Log out</a>"),
        );
    }
    match id.parse::<u64>().ok().filter(|id| *id < pages) {
        Some(id) => {
            let truth = shop::truth(id);
            let title = truth["title"].as_str().unwrap_or_default();
            ok(
                HTML,
                format!("<!doctype html><h1>{title}</h1><p class=member>{user}</p><p class=number>{id}</p>"),
            )
        }
        None => response(404, &[("Content-Type", HTML)], b"<h1>Not here</h1>"),
    }
}

fn cookie<'r>(request: &'r Head, name: &str) -> Option<&'r str> {
    let line = request.header("cookie")?;
    line.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
