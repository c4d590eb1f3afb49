//! What an operator's line says of a proxy: `socks5h://user-{session}:password@host:port#country=us,label=homes`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use std::fmt;
use url::Url;

/// Labels of one proxy.
const LABELS_MAX: usize = 16;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP: whole requests, and CONNECT for TLS. The proxy resolves names.
    Http,
    /// SOCKS 5 with addresses: names are resolved here, and the guard looks at what they resolve to.
    Socks5,
    /// SOCKS 5 with names: the proxy resolves them.
    Socks5h,
}

impl Scheme {
    /// The word in its address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

/// One forward proxy. Its `Debug` does not show the credentials.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) scheme: Scheme,
    /// Name or literal, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// User and password as written, with their placeholders.
    user: Option<(Vec<u8>, Vec<u8>)>,
    /// Two letters, lower case. With `{country}` in the credentials: the one that is filled in if none is asked for.
    pub(crate) country: Option<String>,
    /// `session=`: does it keep its outer address (`sticky`), or change it with each connection (`rotating`)?
    pub(crate) keeping: Option<Keeping>,
    pub(crate) labels: Vec<String>,
}

/// Does a proxy keep the address that sites see?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    Sticky,
    Rotating,
}

/// User and password for a proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl Credentials {
    /// As `Basic` (RFC 7617).
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        let pair = [&self.user[..], b":", &self.password[..]].concat();
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// Reads an address. The error does not repeat it: it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url =
            Url::parse(text.trim()).map_err(|_| "a proxy is written `http://user:password@host:port`")?;
        let (scheme, port) = match url.scheme() {
            "http" => (Scheme::Http, 80),
            "socks5" => (Scheme::Socks5, 1080),
            "socks5h" => (Scheme::Socks5h, 1080),
            _ => {
                return Err(
                    "a proxy is spoken to over `http://` (it tunnels https by itself), `socks5://` or \
                            `socks5h://`"
                        .into(),
                );
            }
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("a proxy has no path".into());
        }
        let host = bare_host(url.host_str().unwrap_or_default());
        if host.is_empty() {
            return Err("a proxy needs a host".into());
        }
        let user = (!url.username().is_empty() || url.password().is_some())
            .then(|| (percent_decode(url.username()), percent_decode(url.password().unwrap_or_default())));
        if let Some((user, password)) = &user
            && scheme != Scheme::Http
            && (user.is_empty() || user.len() > 255 || password.len() > 255)
        {
            return Err("user and password of a SOCKS proxy have 1 to 255 bytes".into());
        }
        let mut proxy = Self {
            scheme,
            host: host.to_owned(),
            port: url.port().unwrap_or(port),
            user,
            country: None,
            keeping: None,
            labels: Vec::new(),
        };
        if let Some(fragment) = url.fragment() {
            proxy.label(fragment)?;
        }
        Ok(proxy)
    }

    fn label(&mut self, fragment: &str) -> Result<(), String> {
        for word in fragment.split([',', '&']).map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or(("label", word));
            match (key.trim(), value.trim().to_ascii_lowercase()) {
                ("country", code) if code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic()) => {
                    self.country = Some(code);
                }
                ("country", _) => return Err("`country=` of a proxy is two letters, such as `us`".into()),
                ("session", word) if word == "sticky" => self.keeping = Some(Keeping::Sticky),
                ("session", word) if word == "rotating" => self.keeping = Some(Keeping::Rotating),
                ("session", _) => return Err("`session=` of a proxy is `sticky` or `rotating`".into()),
                ("label", label) if is_label(&label) && self.labels.len() < LABELS_MAX => {
                    self.labels.push(label);
                }
                ("label", _) => return Err(format!("`label=` of a proxy is {LABEL}")),
                (key, _) => {
                    let key: String = key.chars().take(40).collect();
                    return Err(format!(
                        "`#{key}=` means nothing at a proxy; known are country, session and label"
                    ));
                }
            }
        }
        Ok(())
    }

    /// As shown to people: no credentials.
    pub(crate) fn shown(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Can it be told which country? Else it has one, or any.
    pub(crate) fn takes_country(&self) -> bool {
        self.has(b"{country}")
    }

    /// Is it told which session?
    pub(crate) fn takes_session(&self) -> bool {
        self.has(b"{session}")
    }

    fn has(&self, placeholder: &[u8]) -> bool {
        let within = |text: &[u8]| text.windows(placeholder.len()).any(|w| w == placeholder);
        self.user.as_ref().is_some_and(|(user, password)| within(user) || within(password))
    }

    /// The credentials with their placeholders filled.
    pub(crate) fn credentials(&self, country: Option<&str>, session: &str) -> Option<Credentials> {
        let (user, password) = self.user.as_ref()?;
        let country = country.or(self.country.as_deref()).unwrap_or_default();
        let fill = |text: &[u8]| {
            replace(&replace(text, b"{session}", session.as_bytes()), b"{country}", country.as_bytes())
        };
        Some(Credentials { user: fill(user), password: fill(password) })
    }
}

/// What a label is made of, for messages.
pub(crate) const LABEL: &str = "letters, digits, `-` and `_`, at most 40";

fn is_label(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

/// An IPv6 literal without its brackets.
pub(crate) fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The credentials of a URL as `Basic`; `None` if it has none.
pub(crate) fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let password = percent_decode(url.password().unwrap_or_default());
    Credentials { user: percent_decode(url.username()), password }.basic()
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read() {
        let proxy = Proxy::parse("http://us%40er:p%3Aw@[::1]:3128").expect("proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        let header = proxy.credentials(None, "").and_then(|c| c.basic());
        assert_eq!(header.expect("credentials"), "Basic dXNAZXI6cDp3");
        let proxy = Proxy::parse("http://squid").expect("proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("squid", 80));
        assert!(proxy.credentials(None, "").is_none());
        let proxy =
            Proxy::parse("socks5h://a:b@tor#country=US&session=sticky,label=homes,fast").expect("proxy");
        assert_eq!((proxy.scheme, proxy.port), (Scheme::Socks5h, 1080));
        assert_eq!((proxy.country.as_deref(), proxy.keeping), (Some("us"), Some(Keeping::Sticky)));
        assert_eq!(proxy.labels, ["homes", "fast"]);
        assert_eq!(Proxy::parse("socks5://x").expect("proxy").scheme, Scheme::Socks5);
    }

    #[test]
    fn placeholders_are_filled() {
        let proxy = Proxy::parse("http://me-cc-{country}:p_{session}@gate:1#country=de").expect("proxy");
        assert!(proxy.takes_country() && proxy.takes_session());
        let filled = proxy.credentials(Some("us"), "s1").expect("credentials");
        assert_eq!((&filled.user[..], &filled.password[..]), (&b"me-cc-us"[..], &b"p_s1"[..]));
        assert_eq!(proxy.credentials(None, "s1").expect("credentials").user, b"me-cc-de");
    }

    #[test]
    fn what_is_not_a_proxy_is_refused_without_repeating_it() {
        for text in [
            "",
            "squid:3128",
            "https://squid",
            "socks4://squid",
            "http://squid/path",
            "http://squid?q",
            "socks5://:hunter2@squid",
            "http://u:hunter2@squid#country=usa",
            "http://u:hunter2@squid#session=no",
            "http://u:hunter2@squid#contry=us",
            "http://u:hunter2@squid#label=a b",
        ] {
            let error = Proxy::parse(text).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let proxy = Proxy::parse("http://user:secret@squid:1").expect("proxy");
        assert_eq!(format!("{proxy:?}"), "Proxy(squid:1)");
    }
}
