//! One `Set-Cookie` line → a cookie, or nothing if the site may not set it (RFC 6265 5.2 and 5.3, 6265bis 5.7).

use super::date;
use url::{Host, Url};

/// Bytes of name and value; browsers take no more.
const PAIR_BYTES_MAX: usize = 4_096;
/// Bytes of an attribute's value.
const ATTRIBUTE_BYTES_MAX: usize = 1_024;
/// Seconds that a cookie may live: 400 days.
const LIFE_MAX_SECS: i64 = 400 * 86_400;

/// Two expiries this close are the same: others round them.
const EXPIRY_SLACK_MS: u64 = 2_000;

/// From where a browser sends a cookie to its site. Plain requests are of the site always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSite {
    Lax,
    Strict,
    None,
}

/// A cookie with everything that decides where it goes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Lower case.
    pub(crate) domain: String,
    /// Only to exactly this host.
    pub(crate) host_only: bool,
    pub(crate) path: String,
    pub(crate) secure: bool,
    /// Not for the scripts of a page.
    pub(crate) http_only: bool,
    /// `None`: not said.
    pub(crate) same_site: Option<SameSite>,
    /// Milliseconds; `None`: as long as the session.
    pub(crate) expires: Option<i64>,
}

impl Cookie {
    /// Reads a line of an answer from `url`.
    pub(super) fn parse(line: &str, url: &Url, now_ms: i64) -> Option<Self> {
        if line.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            return None;
        }
        let mut parts = line.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (name.trim(), value.trim());
        if (name.is_empty() && value.is_empty()) || name.len() + value.len() > PAIR_BYTES_MAX {
            return None;
        }
        let host = url.host_str()?.to_ascii_lowercase();
        let secure_origin = url.scheme() == "https";
        let (mut domain, mut path, mut secure) = (None, None, false);
        let (mut http_only, mut same_site) = (false, None);
        let (mut max_age, mut expires): (Option<i64>, Option<i64>) = (None, None);
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (key.trim(), value.trim());
            if value.len() > ATTRIBUTE_BYTES_MAX {
                continue;
            }
            // The last of its kind counts.
            match key.to_ascii_lowercase().as_str() {
                "domain" => domain = Some(value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase()),
                "path" => path = Some(value).filter(|path| path.starts_with('/')).map(str::to_owned),
                "secure" => secure = true,
                "httponly" => http_only = true,
                "samesite" => same_site = SameSite::parse(value),
                "max-age" => max_age = seconds(value).or(max_age),
                "expires" => expires = date::seconds(value).or(expires),
                _ => {}
            }
        }
        if secure && !secure_origin {
            return None;
        }
        let (domain, host_only) = domain_of(domain.filter(|d| !d.is_empty()), host, url)?;
        let lower = name.to_ascii_lowercase();
        if (lower.starts_with("__secure-") && !secure)
            || (lower.starts_with("__host-") && !(secure && host_only && path.as_deref() == Some("/")))
        {
            return None;
        }
        let now_secs = now_ms.div_euclid(1_000);
        let until = match max_age {
            Some(age) if age <= 0 => Some(i64::MIN),
            Some(age) => Some(now_secs.saturating_add(age.min(LIFE_MAX_SECS))),
            None => expires.map(|at| at.min(now_secs.saturating_add(LIFE_MAX_SECS))),
        };
        Some(Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain,
            host_only,
            path: path.unwrap_or_else(|| default_path(url.path())),
            secure,
            http_only,
            same_site,
            expires: until.map(|secs| secs.saturating_mul(1_000)),
        })
    }

    /// One of a `Cookie` line that goes to exactly this host.
    pub(crate) fn given(pair: &str, url: &Url) -> Option<Self> {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (name.trim(), value.trim());
        (!name.is_empty() || !value.is_empty()).then_some(())?;
        Some(Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: url.host_str()?.to_ascii_lowercase(),
            host_only: true,
            path: "/".to_owned(),
            secure: url.scheme() == "https",
            http_only: true,
            same_site: None,
            expires: None,
        })
    }

    /// May a site have set it at all? Browsers have lists of their own, which may be older.
    pub(crate) fn is_allowed(&self) -> bool {
        self.name.len() + self.value.len() <= PAIR_BYTES_MAX
            && (self.host_only || !is_public_suffix(&self.domain))
    }

    /// Is it of the site that this host belongs to?
    pub(crate) fn is_of_site(&self, host: &str) -> bool {
        if self.domain.eq_ignore_ascii_case(host) {
            return true;
        }
        // Addresses are of no site but themselves.
        let is_name = |name: &str| matches!(Host::parse(name), Ok(Host::Domain(_)));
        let site = |name: &str| psl::domain_str(name).unwrap_or(name).to_ascii_lowercase();
        is_name(&self.domain) && is_name(host) && site(&self.domain) == site(host)
    }

    /// Nothing has changed since that one.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let same_end = match (self.expires, other.expires) {
            (Some(one), Some(two)) => one.abs_diff(two) <= EXPIRY_SLACK_MS,
            (one, two) => one == two,
        };
        same_end && self.same_place(other) && self.value == other.value && self.secure == other.secure
    }

    /// May it go to that address?
    pub(crate) fn fits(&self, url: &Url, now_ms: i64) -> bool {
        let Some(host) = url.host_str() else { return false };
        let host = host.to_ascii_lowercase();
        let domain_fits = if self.host_only { host == self.domain } else { within(&host, &self.domain, url) };
        domain_fits
            && path_fits(url.path(), &self.path)
            && (!self.secure || url.scheme() == "https")
            && self.expires.is_none_or(|at| at > now_ms)
    }

    /// The same place in a jar: the newer replaces the older.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.host_only == other.host_only
            && self.path == other.path
    }

    pub(super) fn bytes(&self) -> usize {
        self.name.len() + self.value.len() + self.domain.len() + self.path.len()
    }
}

impl SameSite {
    /// Its words in `Set-Cookie`, in DevTools and in browsers.
    const WORDS: [(&'static str, Self); 3] =
        [("Lax", Self::Lax), ("Strict", Self::Strict), ("None", Self::None)];

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, it)| *it)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// `Max-Age`: digits, perhaps negative; a number too large is large.
fn seconds(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().unwrap_or(i64::MAX) * sign)
}

/// The domain that a cookie gets, and whether it is for the host alone; `None` if the site may not speak for it.
fn domain_of(asked: Option<String>, host: String, url: &Url) -> Option<(String, bool)> {
    let Some(asked) = asked else { return Some((host, true)) };
    if is_public_suffix(&asked) {
        // A site may be its own suffix (`github.io`): then it speaks for itself only.
        return (asked == host).then_some((host, true));
    }
    if asked == host {
        let is_ip = !matches!(url.host(), Some(Host::Domain(_)));
        return Some((host, is_ip));
    }
    within(&host, &asked, url).then_some((asked, false))
}

/// Is the host that domain, or below it? Addresses are below nothing.
fn within(host: &str, domain: &str, url: &Url) -> bool {
    host == domain
        || (matches!(url.host(), Some(Host::Domain(_)))
            && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

/// A name under which strangers have their sites. Names of one label that the list does not know (`localhost`) are too:
/// a cookie for them would go to all below.
fn is_public_suffix(domain: &str) -> bool {
    let name = domain.trim_end_matches('.');
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.as_bytes() == name.as_bytes())
}

/// RFC 6265 5.1.4: up to the last slash.
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
    }
}

fn path_fits(path: &str, of_cookie: &str) -> bool {
    path.strip_prefix(of_cookie)
        .is_some_and(|rest| rest.is_empty() || of_cookie.ends_with('/') || rest.starts_with('/'))
}
