//! Which addresses may be reached: a pure classification, and the operator's exceptions to it.
//!
//! The zones follow the IANA special-purpose registries (RFC 6890 and its updates). IPv6 is refused outside global
//! unicast, and addresses that carry an IPv4 address are judged by what they carry.
//!
//! Invariant: what is not known to be public is refused.

use crate::allow::AllowList;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A kind of address that is off limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// 0/8 and `::`: this host.
    Unspecified,
    /// 127/8 and `::1`.
    Loopback,
    /// RFC 1918, and fc00::/7 of RFC 4193.
    Private,
    /// 100.64/10, RFC 6598.
    CarrierNat,
    /// 169.254/16, fe80::/10.
    LinkLocal,
    /// The addresses where clouds hand out credentials.
    Metadata,
    /// 224/4, ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// 198.18/15, 2001:2::/48.
    Benchmarking,
    /// fec0::/10, deprecated but still routed in places.
    SiteLocal,
    /// Whatever else is not public: 240/4, 192.0.0/24, IPv6 outside global unicast.
    Reserved,
}

impl Zone {
    /// For the sentence of a refusal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::SiteLocal => "site-local",
            Self::Reserved => "reserved",
        }
    }
}

/// The zone of an address; `None` if it is public.
pub fn zone(ip: IpAddr) -> Option<Zone> {
    match ip {
        IpAddr::V4(ip) => zone_v4(ip),
        IpAddr::V6(ip) => zone_v6(ip),
    }
}

fn zone_v4(ip: Ipv4Addr) -> Option<Zone> {
    match ip.octets() {
        // Link-local metadata of AWS, Azure, GCP and others; ECS tasks; Alibaba; Oracle; Azure's wire server, which
        // is the one with a public address.
        [169, 254, 169, 254]
        | [169, 254, 170, 2]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => Some(Zone::Metadata),
        [0, ..] => Some(Zone::Unspecified),
        [127, ..] => Some(Zone::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Zone::Private),
        [100, 64..=127, ..] => Some(Zone::CarrierNat),
        [169, 254, ..] => Some(Zone::LinkLocal),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Zone::Documentation),
        [198, 18 | 19, ..] => Some(Zone::Benchmarking),
        // Protocol assignments; AS112 sinks; the dead 6to4 relays; AMT.
        [192, 0, 0, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => {
            Some(Zone::Reserved)
        }
        [224..=239, ..] => Some(Zone::Multicast),
        [255, 255, 255, 255] => Some(Zone::Broadcast),
        [240..=255, ..] => Some(Zone::Reserved),
        _ => None,
    }
}

fn zone_v6(ip: Ipv6Addr) -> Option<Zone> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| zone_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Zone::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Zone::Loopback),
        // Mapped: the system connects to the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        // Compatible (RFC 4291 2.5.5.1) and translated (RFC 2765): dead, so never public.
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            v4(high, low).or(Some(Zone::Reserved))
        }
        // NAT64: the gateway connects to the IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // Local NAT64 (RFC 8215): where the IPv4 address stands depends on the site.
        [0x64, 0xff9b, 1, ..] => Some(Zone::Private),
        [0xfe80..=0xfebf, ..] => Some(Zone::LinkLocal),
        [0xfec0..=0xfeff, ..] => Some(Zone::SiteLocal),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Some(Zone::Metadata),
        [0xfc00..=0xfdff, ..] => Some(Zone::Private),
        [0xff00..=0xffff, ..] => Some(Zone::Multicast),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Zone::Documentation),
        [0x2001, 2, 0, ..] => Some(Zone::Benchmarking),
        // 6to4: packets go to the IPv4 address in the prefix.
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo: a relay speaks to the server, then to the client whose address is kept inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            v4(high, low).or_else(|| v4(!client_high, !client_low))
        }
        // Other protocol assignments (RFC 2928), among them ORCHID.
        [0x2001, 1..=0x01ff, ..] => Some(Zone::Reserved),
        // ISATAP: a tunnel to the IPv4 address in the interface identifier.
        [0x2000..=0x3fff, _, _, _, 0 | 0x0200, 0x5efe, high, low] => v4(high, low),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Zone::Reserved),
    }
}

/// `localhost` and names under it (RFC 6761 6.3), with or without the root's dot.
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let tail = match host.len().checked_sub("localhost".len()) {
        // A host of another script may have no boundary there: then it is another name.
        Some(at) => host.get(at..).map(|tail| (at, tail)),
        None => None,
    };
    tail.is_some_and(|(at, tail)| {
        tail.eq_ignore_ascii_case("localhost") && (at == 0 || host.as_bytes()[at - 1] == b'.')
    })
}

/// An address that may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is a {} address, which is off limits", .zone.as_str())]
pub struct Refusal {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub zone: Zone,
}

/// Decides what may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: AllowList,
}

impl Guard {
    /// With the operator's exceptions.
    pub fn new(allow: AllowList) -> Self {
        Self { allow }
    }

    /// Whether that address may be connected to.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refusal> {
        match zone(address.ip()) {
            Some(zone) if !self.allow.contains(address) => Err(Refusal { address: address.ip(), zone }),
            _ => Ok(()),
        }
    }

    /// Whether every one of them may: a name with one address off limits is refused altogether, since which one is
    /// connected to would be a matter of luck.
    pub fn check_all(&self, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        addresses.iter().try_for_each(|address| self.check(*address))
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
