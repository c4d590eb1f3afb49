//! Lanes of hosts that one node is not enough for: the host's inputs are spread over so many lanes, each of which may be
//! another node's, and a node paces the host with the share of them that it holds.
//!
//! Owns: the setting, the names of lanes (`host#n`), which input goes where. Must not know: who holds what.

use extract::Scraper;
use model::{Door, Input, host_of_lane};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Lanes of one host at most: a claim names those that it leaves to others.
const SHARDS_MAX: u32 = 64;

/// Hosts with several lanes. Every node must be told the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards(BTreeMap<String, u32>);

impl Shards {
    /// Reads `host=shards` lines. A shard bears at least one request at once, so there are at most `host_concurrency`.
    pub fn parse(lines: &[String], host_concurrency: u32) -> Result<Self, String> {
        let most = host_concurrency.min(SHARDS_MAX);
        let mut shards = BTreeMap::new();
        for line in lines {
            let wrong = || format!("`{line}` should be host=number, such as \"big.example=3\"");
            let (host, number) = line.rsplit_once('=').ok_or_else(wrong)?;
            let host = host.trim().to_ascii_lowercase();
            let number: u32 = number.trim().parse().map_err(|_| wrong())?;
            if host.is_empty() || host.contains(['#', '/', ' ']) {
                return Err(wrong());
            }
            if !(1..=most).contains(&number) {
                return Err(format!(
                    "`{line}`: there may be 1 to {most} shards, since each bears one request at once (`fetch.host_concurrency`)"
                ));
            }
            if shards.insert(host, number).is_some() {
                return Err(format!("`{line}`: the host is there twice"));
            }
        }
        Ok(Self(shards))
    }

    /// How many lanes a host has, if more than one.
    pub(crate) fn of(&self, host: &str) -> Option<u32> {
        self.0.get(host).copied().filter(|n| *n > 1)
    }

    /// Every host with more than one lane, and how many.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().filter(|(_, n)| **n > 1).map(|(host, n)| (host.as_str(), *n))
    }

    /// Puts an input into the lane of its address. A scraper that asks a host for fewer requests at once than it has
    /// lanes uses only so many of them, so that all nodes together keep to that.
    pub(crate) fn place(&self, scraper: &Scraper, door: &Door, input: &mut Input) {
        let Some(shards) = self.of(host_of_lane(&input.host)) else { return };
        // What cannot be planned is settled without a request.
        let Ok(request) = scraper.plan(door, input) else { return };
        let shards = request.needs.host_concurrency.map_or(shards, |most| shards.min(most.max(1)));
        input.host = lane(host_of_lane(&input.host), request.url.as_str(), shards);
    }
}

fn lane(host: &str, url: &str, shards: u32) -> String {
    let hash = Sha256::digest(url.as_bytes());
    let number = hash[..4].iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
    format!("{host}#{}", number % shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], most: u32) -> Result<Shards, String> {
        Shards::parse(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), most)
    }

    #[test]
    fn the_setting_is_read_and_bounded() {
        let shards = read(&["Big.example:8080 = 3", "small.example=1"], 8).unwrap();
        assert_eq!(shards.of("big.example:8080"), Some(3));
        assert_eq!(shards.of("small.example"), None);
        for bad in ["big.example", "=3", "big.example=x", "a#b=2", "http://a=2", "big.example=0"] {
            assert!(read(&[bad], 8).is_err(), "{bad}");
        }
        assert!(read(&["big.example=9"], 8).unwrap_err().contains("1 to 8"));
        assert!(read(&["a=2", "A=3"], 8).unwrap_err().contains("twice"));
    }

    #[test]
    fn addresses_are_spread_evenly_and_stay_where_they_are() {
        let mut count = [0; 3];
        for n in 0..3_000 {
            let url = format!("http://big.example/item/{n}");
            let lane = lane("big.example", &url, 3);
            assert_eq!(host_of_lane(&lane), "big.example");
            count[lane.rsplit_once('#').unwrap().1.parse::<usize>().unwrap()] += 1;
        }
        assert!(count.iter().all(|n| (900..1_100).contains(n)), "{count:?}");
        assert_eq!(lane("a", "http://a/1", 7), lane("a", "http://a/1", 7));
    }
}
