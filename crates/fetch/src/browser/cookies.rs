//! Cookies as DevTools speaks of them. Must not know: whose they are.

use crate::cookie::{Cookie, SameSite};
use serde_json::{Value, json};

/// A cookie for the browser.
pub(super) fn told(cookie: &Cookie) -> Value {
    let mut told = json!({ "name": cookie.name, "value": cookie.value, "path": cookie.path,
        "secure": cookie.secure, "httpOnly": cookie.http_only,
        // It goes to every port and scheme of its host, as cookies do.
        "sourcePort": -1, "sourceScheme": "Unset" });
    let scheme = if cookie.secure { "https" } else { "http" };
    if cookie.host_only {
        told["url"] = format!("{scheme}://{}/", cookie.domain).into();
    } else {
        told["domain"] = format!(".{}", cookie.domain).into();
    }
    // Without TLS browsers take no cookie that goes along from other sites.
    if let Some(same_site) = cookie.same_site.filter(|it| cookie.secure || *it != SameSite::None) {
        told["sameSite"] = same_site.as_str().into();
    }
    if let Some(ms) = cookie.expires {
        told["expires"] = ms.div_euclid(1_000).into();
    }
    told
}

/// A cookie of the browser. Those that are another for each embedding site have no place in a jar.
pub(super) fn read(value: &Value) -> Option<Cookie> {
    if value.get("partitionKey").is_some_and(|key| !key.is_null()) {
        return None;
    }
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let domain = text("domain")?.to_ascii_lowercase();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a moment in milliseconds; beyond it, the last there is"
    )]
    let expires = value["expires"].as_f64().filter(|secs| *secs >= 0.0).map(|secs| (secs * 1_000.0) as i64);
    Some(Cookie {
        name: text("name")?,
        value: text("value")?,
        host_only: !domain.starts_with('.'),
        domain: domain.trim_start_matches('.').to_owned(),
        path: text("path")?,
        secure: value["secure"].as_bool().unwrap_or(false),
        http_only: value["httpOnly"].as_bool().unwrap_or(false),
        same_site: value["sameSite"].as_str().and_then(SameSite::parse),
        expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_as_it_went() {
        let cookie = Cookie {
            name: "sid".into(),
            value: "1".into(),
            domain: "shop.test".into(),
            host_only: false,
            path: "/a".into(),
            secure: true,
            http_only: true,
            same_site: Some(SameSite::Strict),
            expires: Some(1_900_000_000_000),
        };
        let mut answer = told(&cookie);
        assert!(read(&answer).unwrap() == cookie);
        let host_only = Cookie { host_only: true, same_site: None, expires: None, ..cookie };
        answer = told(&host_only);
        assert_eq!(answer["url"], "https://shop.test/");
        // As the browser has it.
        answer["domain"] = "shop.test".into();
        answer["expires"] = json!(-1);
        assert!(read(&answer).unwrap() == host_only);
        answer["partitionKey"] = json!({ "topLevelSite": "https://other.test" });
        assert!(read(&answer).is_none());
    }
}
