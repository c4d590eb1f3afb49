//! The rules as tables: who may set what, and where it is sent.

use super::Jar;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use url::Url;

const NOW: i64 = 1_800_000_000_000;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn set(jar: &mut Jar, from: &str, lines: &[&str]) {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(SET_COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    jar.take(&url(from), &headers, NOW);
}

fn sent(jar: &Jar, to: &str) -> String {
    let value = jar.header(&url(to), None, NOW);
    value.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap()).unwrap_or_default()
}

#[test]
fn who_may_set_what_and_where_it_goes() {
    // From, line, to, what is sent.
    let table = [
        // Host only, unless a domain is named.
        ("http://a.example/", "k=v", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v", "http://A.Example:8080/x", "k=v"),
        ("http://a.example/", "k=v", "http://b.a.example/", ""),
        ("http://a.example/", "k=v", "http://example/", ""),
        ("http://www.shop.com/", "k=v; Domain=shop.com", "http://img.shop.com/", "k=v"),
        ("http://www.shop.com/", "k=v; Domain=.SHOP.com", "http://shop.com/", "k=v"),
        ("http://www.shop.com/", "k=v; Domain=shop.com", "http://othershop.com/", ""),
        ("http://www.shop.com/", "k=v; Domain=shop.com", "http://shop.com.evil.org/", ""),
        ("http://www.shop.com/", "k=v; Domain=", "http://www.shop.com/", "k=v"),
        ("http://www.shop.com/", "k=v; Domain=; Domain=evil.org", "http://www.shop.com/", ""),
        // Not for others: strangers, parents that are public, children.
        ("http://www.shop.com/", "k=v; Domain=evil.org", "http://evil.org/", ""),
        ("http://www.shop.com/", "k=v; Domain=com", "http://other.com/", ""),
        ("http://www.shop.com/", "k=v; Domain=com", "http://www.shop.com/", ""),
        ("http://a.co.uk/", "k=v; Domain=co.uk", "http://b.co.uk/", ""),
        ("http://a.github.io/", "k=v; Domain=github.io", "http://b.github.io/", ""),
        ("http://github.io/", "k=v; Domain=github.io", "http://github.io/", "k=v"),
        ("http://github.io/", "k=v; Domain=github.io", "http://b.github.io/", ""),
        ("http://shop.com/", "k=v; Domain=www.shop.com", "http://www.shop.com/", ""),
        // Addresses are below nothing.
        ("http://10.0.0.1/", "k=v", "http://10.0.0.1/", "k=v"),
        ("http://10.0.0.1/", "k=v; Domain=10.0.0.1", "http://10.0.0.1/", "k=v"),
        ("http://10.0.0.1/", "k=v; Domain=0.0.1", "http://10.0.0.1/", ""),
        ("http://10.0.0.1/", "k=v; Domain=0.0.1", "http://20.0.0.1/", ""),
        ("http://[::1]/", "k=v", "http://[::1]/", "k=v"),
        // Paths.
        ("http://a.example/x/y", "k=v", "http://a.example/x/z", "k=v"),
        ("http://a.example/x/y", "k=v", "http://a.example/x", "k=v"),
        ("http://a.example/x/y", "k=v", "http://a.example/xy", ""),
        ("http://a.example/x/y", "k=v", "http://a.example/", ""),
        ("http://a.example/x", "k=v; Path=/acc", "http://a.example/acc/1", "k=v"),
        ("http://a.example/x", "k=v; Path=/acc", "http://a.example/account", ""),
        ("http://a.example/x/y", "k=v; Path=nonsense", "http://a.example/x/", "k=v"),
        ("http://a.example/x", "k=v; Path=/", "http://a.example/q?z=1", "k=v"),
        // TLS.
        ("https://a.example/", "k=v; Secure", "https://a.example/", "k=v"),
        ("https://a.example/", "k=v; Secure", "http://a.example/", ""),
        ("http://a.example/", "k=v; Secure", "https://a.example/", ""),
        ("https://a.example/", "__Secure-k=v", "https://a.example/", ""),
        ("https://a.example/", "__Secure-k=v; Secure", "https://a.example/", "__Secure-k=v"),
        ("https://a.example/", "__Host-k=v; Secure; Path=/", "https://a.example/", "__Host-k=v"),
        ("https://a.example/", "__Host-k=v; Secure", "https://a.example/", ""),
        ("https://www.shop.com/", "__Host-k=v; Secure; Path=/; Domain=shop.com", "https://www.shop.com/", ""),
        // Time.
        ("http://a.example/", "k=v; Max-Age=5", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v; Max-Age=0", "http://a.example/", ""),
        ("http://a.example/", "k=v; Max-Age=-1", "http://a.example/", ""),
        ("http://a.example/", "k=v; Max-Age=99999999999999999999", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v; Max-Age=soon", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v; Expires=Wed, 21 Oct 2015 07:28:00 GMT", "http://a.example/", ""),
        (
            "http://a.example/",
            "k=v; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=5",
            "http://a.example/",
            "k=v",
        ),
        ("http://a.example/", "k=v; Expires=never", "http://a.example/", "k=v"),
        // Forms of the pair.
        ("http://a.example/", "  k =  v w ; HttpOnly", "http://a.example/", "k=v w"),
        ("http://a.example/", "k=\"v\"", "http://a.example/", "k=\"v\""),
        ("http://a.example/", "k=a=b", "http://a.example/", "k=a=b"),
        ("http://a.example/", "k=", "http://a.example/", "k="),
        ("http://a.example/", "alone", "http://a.example/", "alone"),
        ("http://a.example/", "=", "http://a.example/", ""),
        ("http://a.example/", "; Path=/", "http://a.example/", ""),
    ];
    for (from, line, to, wanted) in table {
        let mut jar = Jar::default();
        set(&mut jar, from, &[line]);
        assert_eq!(sent(&jar, to), wanted, "{line} from {from}, to {to}");
    }
}

#[test]
fn longer_paths_first_then_older_and_newer_values_replace() {
    let mut jar = Jar::default();
    set(&mut jar, "http://a.example/", &["one=1", "two=2; Path=/deep", "three=3"]);
    assert_eq!(sent(&jar, "http://a.example/deep/x"), "two=2; one=1; three=3");
    set(&mut jar, "http://a.example/", &["one=changed", "three=gone; Max-Age=0"]);
    assert_eq!(sent(&jar, "http://a.example/"), "one=changed");
    let own = HeaderValue::from_static("mine=0");
    let both = jar.header(&url("http://a.example/"), Some(&own), NOW).unwrap();
    assert_eq!(both.as_bytes(), b"mine=0; one=changed");
    assert!(both.is_sensitive());
    assert_eq!(jar.names(&url("http://a.example/"), NOW), ["one"]);
}

#[test]
fn a_plain_page_does_not_take_the_place_of_a_secure_cookie() {
    let mut jar = Jar::default();
    set(&mut jar, "https://a.example/", &["sid=good; Secure"]);
    set(&mut jar, "http://a.example/", &["sid=forged"]);
    assert_eq!(sent(&jar, "https://a.example/"), "sid=good");
}

#[test]
fn cookies_end_when_they_said() {
    let mut jar = Jar::default();
    set(&mut jar, "http://a.example/", &["k=v; Max-Age=5"]);
    let at = |ms| jar.header(&url("http://a.example/"), None, NOW + ms).is_some();
    assert!(at(4_999));
    assert!(!at(5_000));
}

#[test]
fn a_jar_is_bounded() {
    let mut jar = Jar::default();
    let long = "v".repeat(3_000);
    for domain in 0..40 {
        for n in 0..60 {
            set(&mut jar, &format!("http://s{domain}.example/"), &[&format!("k{n}={long}")]);
        }
    }
    let cookies: usize = (0..40).map(|d| jar.names(&url(&format!("http://s{d}.example/")), NOW).len()).sum();
    assert!(cookies * 3_000 <= 256 << 10, "{cookies}");
    assert!(sent(&jar, "http://s39.example/").len() <= 7 << 10);
    let mut jar = Jar::default();
    for n in 0..60 {
        set(&mut jar, "http://a.example/", &[&format!("k{n}=v")]);
    }
    let names = jar.names(&url("http://a.example/"), NOW);
    assert_eq!((names.len(), names[0].as_str()), (50, "k10"), "the oldest went");
    set(&mut jar, "http://a.example/", &[&format!("big={}", "v".repeat(5_000))]);
    assert_eq!(jar.names(&url("http://a.example/"), NOW).len(), 50);
}
