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

#[test]
fn a_browser_gives_back_what_it_changed() {
    let mut jar = Jar::default();
    set(&mut jar, "http://a.example/", &["same=1; Max-Age=9", "changed=1", "gone=1", "meanwhile=1"]);
    let given = jar.alive(NOW);
    assert_eq!(given.len(), 4);
    let mut kept = given.clone();
    kept.retain(|cookie| cookie.name != "gone");
    for cookie in &mut kept {
        match &*cookie.name {
            "changed" => cookie.value = "2".into(),
            // Browsers round.
            "same" => cookie.expires = cookie.expires.map(|at| at - 999),
            _ => {}
        }
    }
    kept.push(super::Cookie { name: "new".into(), ..kept[0].clone() });
    // While the page was open.
    set(&mut jar, "http://a.example/", &["meanwhile=3"]);
    jar.take_back(&given, kept, NOW);
    assert_eq!(sent(&jar, "http://a.example/"), "same=1; changed=2; meanwhile=3; new=1");
}

#[test]
fn a_browser_cannot_set_what_a_site_may_not() {
    let mut jar = Jar::default();
    set(&mut jar, "http://a.co.uk/", &["k=v"]);
    let one = jar.alive(NOW).remove(0);
    let mut jar = Jar::default();
    let wide = super::Cookie { domain: "co.uk".into(), host_only: false, ..one.clone() };
    let long = super::Cookie { value: "v".repeat(5_000), ..one.clone() };
    jar.take_back(&[], vec![wide, long, one], NOW);
    assert_eq!(sent(&jar, "http://a.co.uk/"), "k=v");
}

#[test]
fn cookies_are_of_a_site_with_all_its_hosts() {
    let mut jar = Jar::default();
    set(&mut jar, "http://shop.example.co.uk/", &["k=v"]);
    let cookie = jar.alive(NOW).remove(0);
    for (host, is) in [("api.example.co.uk", true), ("example.co.uk", true), ("other.co.uk", false)] {
        assert_eq!(cookie.is_of_site(host), is, "{host}");
    }
    let address = super::Cookie { domain: "127.0.0.1".into(), ..cookie };
    assert!(address.is_of_site("127.0.0.1"));
    assert!(!address.is_of_site("10.1.0.1"));
}
