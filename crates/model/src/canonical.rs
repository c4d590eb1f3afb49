//! When two addresses are one page: what found inputs are known by, so that none is collected twice.
//!
//! Owns: the canonical form of an address, and what an input is known by. Must not know: who remembers it.
//! The address that is fetched stays as it was found; only its identity is canonical. What may matter stays: the order of
//! the query, a slash at the end, `www.`, the scheme.

use crate::Input;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;
use url::Url;

/// Query parameters that say where a visitor came from, and nothing of the page. Lower case; `*` ends a prefix.
const TRACKING: &[&str] = &[
    "utm_*",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "gad_source",
    "gad_campaignid",
    "srsltid",
    "fbclid",
    "msclkid",
    "yclid",
    "ysclid",
    "twclid",
    "ttclid",
    "li_fat_id",
    "igshid",
    "igsh",
    "mc_cid",
    "mc_eid",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "__hstc",
    "__hssc",
    "__hsfp",
    "hsctatracking",
    "mkt_tok",
    "oly_enc_id",
    "oly_anon_id",
    "vero_id",
    "vero_conv",
    "wickedid",
    "rb_clickid",
    "s_kwcid",
    "ef_id",
    "epik",
    "pk_*",
    "piwik_*",
    "mtm_*",
    "matomo_*",
    "__s",
    "_openstat",
    "trk_contact",
    "trk_msg",
    "trk_module",
    "trk_sid",
];
/// Query and path parameters that carry a visitor's session.
const SESSIONS: &[&str] = &[
    "jsessionid",
    "phpsessid",
    "phpsession",
    "aspsessionid*",
    "asp.net_sessionid",
    "sessionid",
    "session_id",
    "cfid",
    "cftoken",
    "zenid",
    "oscsid",
];
/// Names that carry a session only where their value looks like one.
const MAYBE_SESSIONS: &[&str] = &["sid", "session", "sess", "s"];
/// Characters of a session's value at least.
const SESSION_CHARS: usize = 24;

/// The canonical form of an address: lower-case host, no default port, no dot segments (all as the `url` crate has them),
/// percent-encoding only where needed and in capitals, no fragment, no tracking, no session.
pub fn canonical(url: &Url) -> String {
    let mut out = String::with_capacity(url.as_str().len());
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    // Writing to a String cannot fail.
    let _ = write!(out, "{}://{host}", url.scheme());
    if let Some(port) = url.port() {
        let _ = write!(out, ":{port}");
    }
    let begun = out.len();
    for segment in url.path().split('/').skip(1) {
        if is_session_segment(segment) {
            continue;
        }
        out.push('/');
        let mut parts = segment.split(';');
        encoded(parts.next().unwrap_or_default(), &mut out);
        for part in parts.filter(|part| !carries_session(part)) {
            out.push(';');
            encoded(part, &mut out);
        }
    }
    if out.len() == begun {
        out.push('/');
    }
    let mut mark = '?';
    for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        if listed(&name, TRACKING) || carries_session(pair) {
            continue;
        }
        out.push(mark);
        mark = '&';
        encoded(pair, &mut out);
    }
    out
}

fn listed(name: &str, list: &[&str]) -> bool {
    list.iter().any(|known| match known.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *known,
    })
}

/// `name=value` of a session.
fn carries_session(pair: &str) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = name.to_ascii_lowercase();
    listed(&name, SESSIONS) || (MAYBE_SESSIONS.contains(&name.as_str()) && is_session_value(value))
}

/// Long, of letters and digits, both of them: no word and no number.
fn is_session_value(value: &str) -> bool {
    value.len() >= SESSION_CHARS
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        && value.bytes().any(|b| b.is_ascii_digit())
        && value.bytes().any(|b| b.is_ascii_alphabetic())
}

/// `(S(24 letters and digits))` of ASP.NET.
fn is_session_segment(segment: &str) -> bool {
    let inner = segment.strip_prefix('(').and_then(|s| s.strip_suffix(')'));
    inner.is_some_and(|s| {
        s.len() >= SESSION_CHARS
            && ["S(", "A(", "F("].iter().any(|start| s.starts_with(start))
            && s.ends_with(')')
    })
}

/// Escapes of unreserved characters are undone, the others are in capitals (RFC 3986 6.2.2).
fn encoded(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            out.push('%');
            rest = &rest[at + 1..];
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
}

/// What an input is known by within its run: the canonical address where its row is an address alone, else the row.
pub fn identity(input: &Input) -> Cow<'_, str> {
    match serde_json::from_str::<Value>(&input.row) {
        Ok(Value::Object(row)) if row.len() == 1 => {
            match row.get("url").and_then(Value::as_str).map(Url::parse) {
                Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => Cow::Owned(canonical(&url)),
                _ => Cow::Borrowed(&input.row),
            }
        }
        _ => Cow::Borrowed(&input.row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> String {
        canonical(&Url::parse(url).unwrap())
    }

    #[test]
    fn one_page_has_one_form() {
        for (left, right) in [
            ("HTTP://Shop.Example:80/a/../p/1", "http://shop.example/p/1"),
            ("http://shop.example./p/1", "http://shop.example/p/1"),
            ("http://shop.example", "http://shop.example/"),
            ("http://shop.example/p/1#reviews", "http://shop.example/p/1"),
            ("http://shop.example/p/1?", "http://shop.example/p/1"),
            ("http://shop.example/%7Eida/%41", "http://shop.example/~ida/A"),
            ("http://shop.example/a%c3%a4", "http://shop.example/aä"),
            ("http://shop.example/p?id=1&utm_source=x&utm_medium=y", "http://shop.example/p?id=1"),
            ("http://shop.example/p?gclid=x&fbclid=y", "http://shop.example/p"),
            ("http://shop.example/p?UTM_Source=x&id=1&&", "http://shop.example/p?id=1"),
            ("http://shop.example/p;jsessionid=1A2B?id=1", "http://shop.example/p?id=1"),
            ("http://shop.example/p?PHPSESSID=1&id=1", "http://shop.example/p?id=1"),
            ("http://shop.example/p?sid=0a1b2c3d4e5f60718293a4b5&id=1", "http://shop.example/p?id=1"),
            ("http://shop.example/(S(abcdefghij1234567890abcd))/p", "http://shop.example/p"),
        ] {
            assert_eq!(of(left), of(right), "{left}");
        }
    }

    #[test]
    fn what_may_matter_stays() {
        let all = [
            "http://shop.example/p",
            "https://shop.example/p",
            "http://www.shop.example/p",
            "http://shop.example:8080/p",
            "http://shop.example/p/",
            "http://shop.example/P",
            "http://shop.example/p?a=1&b=2",
            "http://shop.example/p?b=2&a=1",
            "http://shop.example/p?a=1",
            "http://shop.example/p?a=",
            "http://shop.example/p?sid=17",
            "http://shop.example/p?s=chairs",
            "http://shop.example/p%2Fq",
            "http://shop.example/p/q",
            "http://shop.example/p?q=a+b",
            "http://shop.example/p?q=a%2Bb",
            "http://shop.example/p;v=2",
            "http://shop.example/(S)/p",
            "http://shop.example/100%",
        ];
        let forms: std::collections::BTreeSet<String> = all.iter().map(|url| of(url)).collect();
        assert_eq!(forms.len(), all.len(), "{forms:?}");
    }

    #[test]
    fn a_canonical_form_is_its_own() {
        for url in [
            "http://a/%E4%b8%AD/?x=%2f%&utm_x=1#f",
            "http://[::1]:81/(S(abcdefghij1234567890abcd))",
            "http://a/;jsessionid=1/b",
        ] {
            let form = of(url);
            assert_eq!(of(&form), form);
        }
    }

    #[test]
    fn rows_with_more_than_an_address_are_known_by_all_of_it() {
        let input = |row: &str| Input::given(0, row.into(), String::new());
        assert_eq!(identity(&input(r#"{"url":"http://a/?utm_id=1"}"#)), "http://a/");
        for row in
            [r#"{"url":"http://a/?utm_id=1","n":2}"#, r#"{"url":"mailto:a@b"}"#, r#"{"url":7}"#, "broken"]
        {
            assert_eq!(identity(&input(row)), row);
        }
    }
}
