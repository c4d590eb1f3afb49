//! `/wall/…`: refusals dressed as pages, of our own writing, with the structure of real ones.
//!
//! Owns: what each shows and its status. Must not know: who recognises them.

use crate::http::{HTML, Head, head, response};
use crate::route::Answer;
use crate::shop;
use bytes::Bytes;

/// Path below `/wall/`, status, header lines, page.
type Wall = (&'static str, u16, &'static [(&'static str, &'static str)], &'static str);

const SIGN_IN: &str = "<html><head><title>Sign in | Shop</title></head><body><h1>Sign in</h1><form method=\"post\"><input name=\"mail\">\
    <input name=\"pw\" type=\"password\"><button>Sign in</button></form></body></html>";

/// Every one. The last part of a path may be anything more, such as a number, so that there are many of each.
pub(crate) const WALLS: &[Wall] = &[
    (
        "cloudflare",
        403,
        &[("cf-mitigated", "challenge")],
        "<html><head><title>Just a moment...</title></head><body><noscript>Enable JavaScript and cookies to continue</noscript>\
         <script>window._cf_chl_opt={cType:'managed'};</script></body></html>",
    ),
    (
        "cloudflare-busy",
        503,
        &[("Retry-After", "1")],
        "<html><head><title>Just a moment...</title></head><body><script>window._cf_chl_opt={cType:'managed'};</script></body></html>",
    ),
    (
        "akamai",
        403,
        &[],
        "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>You don't have permission to access this page on this \
         server.<P>Reference&#32;&#35;18&#46;0<P>https&#58;&#47;&#47;errors&#46;edgesuite&#46;net&#47;18&#46;0</BODY></HTML>",
    ),
    (
        "perimeterx",
        403,
        &[],
        "<html><head><title>Access to this page has been denied</title><script>window._pxAppId='PX0';</script></head><body>\
         <h1>Press &amp; Hold</h1><div id=\"px-captcha\"></div></body></html>",
    ),
    (
        "datadome",
        403,
        &[],
        "<html><head><title>site</title></head><body><p>Please enable JS and disable any ad blocker</p>\
         <script src=\"https://ct.captcha-delivery.com/c.js\"></script></body></html>",
    ),
    (
        "imperva",
        200,
        &[],
        "<html><head><META NAME=\"ROBOTS\" CONTENT=\"NOINDEX\"></head><body><iframe id=\"main-iframe\" src=\"/_Incapsula_Resource?x=0\">\
         Request unsuccessful. Incapsula incident ID: 0-0</iframe></body></html>",
    ),
    (
        "aws-waf",
        202,
        &[("x-amzn-waf-action", "challenge")],
        "<html><head><title></title><script>window.gokuProps={};</script></head><body><div id=\"challenge-container\"></div></body></html>",
    ),
    (
        "denied",
        200,
        &[],
        "<html><head><title>Access denied</title></head><body><h1>Access denied</h1><p>Your network looks unlike a person's.</p></body></html>",
    ),
    (
        "captcha",
        200,
        &[],
        "<html><head><title>Shop</title></head><body><p>Please show us that you are not a robot.</p><form><div class=\"g-recaptcha\"></div>\
         <button>Go on</button></form></body></html>",
    ),
    ("account", 200, &[], SIGN_IN),
    // What is asked for by an address of its own is no wall.
    ("login", 200, &[], SIGN_IN),
    (
        "login-401",
        401,
        &[],
        "<html><head><title>Please log in</title></head><body><h1>Please log in</h1><form><input type=\"password\"></form></body></html>",
    ),
    (
        "consent",
        200,
        &[],
        "<html><head><title>Before you continue</title></head><body><h1>Before you continue</h1><p>We and our 842 partners use cookies.</p>\
         <button>Reject all</button><button>Accept all</button><a href=\"/privacy\">Privacy</a></body></html>",
    ),
    (
        "gone",
        200,
        &[],
        "<html><head><title>Page not found | Shop</title></head><body><nav><a href=\"/c/1\">Chairs</a></nav><h1>Page not found</h1>\
         <p>But look at these:</p><a href=\"/p/2\">Oak chair</a></body></html>",
    ),
];

/// The answer to `/wall/{path}`: a wall, the way to one, or a good page that mentions everything walls say.
pub(crate) fn answer(path: &str, request: &Head) -> Option<Answer> {
    let name = path.split('/').next().unwrap_or_default();
    let whole = match name {
        // The account's door: led there from the page that was asked for.
        "members" => {
            Bytes::from(head(302, &[("Location", "/wall/login?next=members"), ("Content-Length", "0")]))
        }
        "talk" => response(200, &[("Content-Type", HTML)], talk(request).as_bytes()),
        "" => response(200, &[("Content-Type", HTML)], index().as_bytes()),
        _ => {
            let (_, status, headers, body) = WALLS.iter().find(|(known, ..)| *known == name)?;
            let mut lines = vec![("Content-Type", HTML)];
            lines.extend_from_slice(headers);
            response(*status, &lines, body.as_bytes())
        }
    };
    Some(Answer::Whole(whole))
}

fn index() -> String {
    let links: Vec<String> = WALLS
        .iter()
        .map(|(name, status, ..)| format!("<a href=\"/wall/{name}\">{name} ({status})</a>"))
        .collect();
    format!("<!DOCTYPE html><title>walls</title>{}", links.join("\n"))
}

/// A page with content that has every word of a wall in it.
fn talk(request: &Head) -> String {
    let said = "They said access denied, then asked whether she was a robot; a captcha came, then a login, then cookies. ";
    format!(
        "<!DOCTYPE html><html><head><title>A history of walls</title><script src=\"/cdn-cgi/challenge-platform/scripts/jsd/main.js\"></script></head>\
         <body><form action=\"/wall/login\"><input type=\"password\"></form><article><h1>A history of walls</h1><p>{}</p><p>{}</p></article>\
         <div class=\"g-recaptcha\"></div></body></html>",
        said.repeat(40),
        shop::escape(request.path()),
    )
}
