//! The operator's list of address ranges that may be reached although the guard would refuse them.
//!
//! Invariant: an entry opens exactly what it says; a typo is an error at start, never a wider range.

use std::net::{IpAddr, SocketAddr};

/// One range: `10.0.0.0/8`, `127.0.0.1`, `127.0.0.1:8080`, `10.0.0.0/8:443`, `::1`, `fd00::/8`, `[::1]:8080`,
/// `[fd00::/8]:443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    bits: u8,
    /// IPv4 ranges hold IPv4 addresses only, so that `0.0.0.0/0` does not open IPv6.
    v4: bool,
    /// Every port if absent.
    port: Option<u16>,
}

/// Address ranges that are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    networks: Vec<Network>,
}

/// An entry of an [`AllowList`] that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` {reason}")]
pub struct BadNetwork {
    /// The entry as written.
    pub entry: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

fn wide(ip: IpAddr) -> (u128, u8, bool) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), 32, true),
        IpAddr::V6(ip) => (u128::from(ip), 128, false),
    }
}

fn mask(width: u8, bits: u8) -> u128 {
    let all = if width == 32 { u128::from(u32::MAX) } else { u128::MAX };
    // A shift by the whole width is no shift at all in hardware, hence the checked form.
    all & !all.checked_shr(u32::from(bits)).unwrap_or(0)
}

impl Network {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        let text = entry.trim();
        if text.is_empty() {
            return Err("is empty: expected an address range such as `10.0.0.0/8`");
        }
        let (range, port) = split_port(text)?;
        let (ip, prefix) = match range.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (range, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| "is not an address range such as `10.0.0.0/8` or `::1`")?;
        let (address, width, v4) = wide(ip);
        let bits = match prefix {
            None => width,
            Some(prefix) => parse_prefix(prefix, width)?,
        };
        if address & !mask(width, bits) != 0 {
            return Err("has bits set beyond its prefix length: write the first address of the range");
        }
        Ok(Self { address, bits, v4, port })
    }

    fn contains(&self, ip: IpAddr, port: u16) -> bool {
        let (address, width, v4) = wide(ip);
        v4 == self.v4
            && self.port.is_none_or(|p| p == port)
            && address & mask(width, self.bits) == self.address
    }
}

/// Splits off a port: after `]`, or after the only colon.
fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (range, port) = if let Some(rest) = text.strip_prefix('[') {
        let (range, rest) = rest.split_once(']').ok_or("has no closing bracket")?;
        match rest.strip_prefix(':') {
            Some(port) => (range, Some(port)),
            None if rest.is_empty() => (range, None),
            None => return Err("has something other than a port after the bracket"),
        }
    } else {
        match text.split_once(':') {
            Some((range, port)) if !port.contains(':') => (range, Some(port)),
            _ => (text, None),
        }
    };
    match port {
        None => Ok((range, None)),
        Some(port) => match digits(port).and_then(|port| port.parse::<u16>().ok()) {
            Some(port) if port > 0 => Ok((range, Some(port))),
            _ => Err("has a port that is not a number from 1 to 65535"),
        },
    }
}

fn parse_prefix(prefix: &str, width: u8) -> Result<u8, &'static str> {
    match digits(prefix).and_then(|p| p.parse::<u8>().ok()) {
        Some(bits) if bits <= width => Ok(bits),
        _ if width == 32 => Err("has a prefix length that is not a number from 0 to 32"),
        _ => Err("has a prefix length that is not a number from 0 to 128"),
    }
}

/// The standard library's number parser takes a leading `+`; an address range does not.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
}

impl AllowList {
    /// Reads the entries; the first that cannot be read is the error.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, BadNetwork> {
        let networks = entries
            .iter()
            .map(|entry| {
                let entry = entry.as_ref();
                Network::parse(entry).map_err(|reason| BadNetwork { entry: entry.to_owned(), reason })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    /// Opens every address.
    pub(crate) fn everything() -> Self {
        let any = |v4| Network { address: 0, bits: 0, v4, port: None };
        Self { networks: vec![any(true), any(false)] }
    }

    /// Whether an entry opens that address. An IPv4 address in IPv6 clothes counts as what it is.
    pub fn contains(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.networks
            .iter()
            .any(|n| n.contains(ip, address.port()) || n.contains(address.ip(), address.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(entry: &str, address: &str) -> bool {
        let list = AllowList::parse(&[entry]).expect("entry");
        list.contains(address.parse().expect("address"))
    }

    #[test]
    fn an_entry_opens_what_it_says() {
        for (entry, address, open) in [
            ("127.0.0.0/8", "127.9.9.9:80", true),
            ("127.0.0.0/8", "128.0.0.1:80", false),
            ("127.0.0.0/8", "[::1]:80", false),
            ("127.0.0.0/8", "[::ffff:127.0.0.1]:80", true),
            ("127.0.0.1", "127.0.0.1:1", true),
            ("127.0.0.1", "127.0.0.2:1", false),
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8081", false),
            ("10.0.0.0/8:443", "10.1.2.3:443", true),
            ("10.0.0.0/8:443", "10.1.2.3:80", false),
            ("0.0.0.0/0", "203.0.113.9:80", true),
            ("0.0.0.0/0", "[2001:db8::1]:80", false),
            ("::/0", "[2001:db8::1]:80", true),
            ("::/0", "10.0.0.1:80", false),
            ("::1", "[::1]:80", true),
            ("::1/128", "[::2]:80", false),
            ("[::1]:8080", "[::1]:8080", true),
            ("[::1]:8080", "[::1]:80", false),
            ("[fd00::/8]:443", "[fd12::1]:443", true),
            ("fd00::/8", "[fc00::1]:443", false),
            (" 10.0.0.0/8 ", "10.0.0.1:80", true),
        ] {
            assert_eq!(opens(entry, address), open, "{entry} {address}");
        }
    }

    #[test]
    fn everything_is_open_to_those_who_may() {
        for address in ["127.0.0.1:1", "169.254.169.254:80", "203.0.113.9:443", "[::1]:80", "[fd00::1]:9000"]
        {
            assert!(AllowList::everything().contains(address.parse().expect("address")), "{address}");
        }
    }

    #[test]
    fn a_typo_is_an_error_that_names_it() {
        for entry in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.1/8",
            "10.0.0/8",
            "10.0.0.0/8:0",
            "10.0.0.0/8:http",
            "10.0.0.0/8:99999",
            "::1/129",
            "[::1",
            "[::1]8080",
            "fd00::1/8",
            "http://10.0.0.0/8",
            "*",
        ] {
            let error = AllowList::parse(&[entry]).expect_err(entry);
            assert!(error.to_string().starts_with(&format!("`{entry}` ")), "{error}");
        }
    }
}
