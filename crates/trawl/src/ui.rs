//! The web page of the operator: datasets with their versions and faults, their snapshots, and what the quality gate makes
//! of one, with the button that releases it; schedules and hosts.
//!
//! Owns: three embedded files. Must not know: the store; the page asks the same API as everybody, with the token that the
//! operator types in and that stays in the tab.
//!
//! Invariant: the files hold nothing secret, so they need no token; no script but this one runs, and it never makes markup
//! of what a site or a caller wrote.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Where the page lies; what begins with it needs no token.
pub(crate) const PATHS: [&str; 3] = ["/ui", "/ui/page.js", "/ui/page.css"];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let [page, script, style] = PATHS;
    Router::new()
        .route(page, get(|| file("text/html; charset=utf-8", include_str!("ui/page.html"))))
        .route(script, get(|| file("text/javascript; charset=utf-8", include_str!("ui/page.js"))))
        .route(style, get(|| file("text/css; charset=utf-8", include_str!("ui/page.css"))))
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let lines = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (lines, text).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_makes_no_markup_of_texts() {
        let script = include_str!("ui/page.js");
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(word), "{word}");
        }
    }
}
