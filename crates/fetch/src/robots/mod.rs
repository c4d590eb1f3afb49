//! robots.txt: what a site asks of crawlers (RFC 9309), read as Google's parser reads it.
//!
//! Owns: the file's lines (`line`), its groups, the comparison of patterns with addresses (`pattern`), the keeping of many (`shelf`). Must not know: how the
//! file was fetched, or what becomes of a refusal. Total and bounded: any bytes are a file, of which [`BYTES`] count.

mod line;
mod pattern;
mod shelf;
#[cfg(test)]
mod tests;

pub(crate) use shelf::{Known, Said, Shelf};

use line::{Key, Line};
use pattern::Pattern;
use std::time::Duration;
use url::Url;

/// Bytes of a file that are read (RFC 9309, section 2.5).
pub const BYTES: usize = 500 * 1024;
/// Sitemaps and rules of one file that are kept.
const MOST: usize = 50_000;
/// Longest crawl delay that is believed.
const LONGEST_DELAY: f64 = 86_400.0;

/// A parsed file.
#[derive(Clone, Debug, Default)]
pub struct Robots {
    groups: Vec<Group>,
    sitemaps: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// Product tokens in lower case.
    agents: Vec<String>,
    /// It speaks of everyone: `*`.
    everyone: bool,
    rules: Vec<Rule>,
    delay: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Rule {
    allow: bool,
    pattern: Pattern,
    /// Line in the file, from 1.
    line: usize,
}

/// What a file says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// May it be fetched?
    pub allowed: bool,
    /// The line of the rule that decided, from 1; `None` if none speaks of the address.
    pub line: Option<usize>,
}

impl Robots {
    /// Reads a file.
    pub fn parse(body: &[u8]) -> Self {
        let mut robots = Self::default();
        let mut group = Group::default();
        // A line of agents behind rules begins a group.
        let mut has_rules = false;
        let mut rules = 0;
        for Line { number, key, value } in line::lines(&body[..body.len().min(BYTES)]) {
            match key {
                Key::UserAgent => {
                    if has_rules {
                        robots.groups.push(std::mem::take(&mut group));
                        has_rules = false;
                    }
                    if value.starts_with('*') && !value[1..].starts_with(|c: char| !c.is_whitespace()) {
                        group.everyone = true;
                    } else {
                        group.agents.push(product_token(value).to_ascii_lowercase());
                    }
                }
                Key::Allow | Key::Disallow => {
                    if group.agents.is_empty() && !group.everyone || rules >= MOST {
                        continue;
                    }
                    has_rules = true;
                    rules += 1;
                    let allow = matches!(key, Key::Allow);
                    group.rules.push(Rule { allow, pattern: Pattern::new(value), line: number });
                    // The address of a folder is that of its index, too.
                    if let Some(folder) = folder_of_index(value).filter(|_| allow) {
                        let pattern = Pattern::new(&format!("{folder}$"));
                        group.rules.push(Rule { allow, pattern, line: number });
                    }
                }
                Key::CrawlDelay => {
                    let seconds = value.parse::<f64>().ok().filter(|s| (0.0..=LONGEST_DELAY).contains(s));
                    group.delay = group.delay.or(seconds.map(Duration::from_secs_f64));
                }
                Key::Sitemap if robots.sitemaps.len() < MOST => robots.sitemaps.push(value.to_owned()),
                Key::Sitemap | Key::Other => {}
            }
        }
        robots.groups.push(group);
        robots
    }

    /// May this agent (its product token, see [`product_token`]) fetch the address? The longest rule wins, of equal ones
    /// that which allows.
    pub fn ask(&self, agent: &str, url: &Url) -> Verdict {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        self.ask_path(agent, &pattern::escape(&path))
    }

    /// The same of a path with its query, as it is sent: percent-encoded.
    pub fn ask_path(&self, agent: &str, path: &str) -> Verdict {
        let mut best: [Option<(usize, &Rule)>; 2] = [None, None];
        for rule in self.groups_of(agent).flat_map(|g| &g.rules) {
            let Some(weight) = rule.pattern.matches(path) else { continue };
            let slot = &mut best[usize::from(rule.allow)];
            if slot.is_none_or(|(w, _)| weight > w) {
                *slot = Some((weight, rule));
            }
        }
        let [disallow, allow] = best.map(|b| b.filter(|(weight, _)| *weight > 0));
        match (disallow, allow) {
            (None, None) => Verdict { allowed: true, line: None },
            (Some((d, rule)), a) if a.is_none_or(|(a, _)| d > a) => {
                Verdict { allowed: false, line: Some(rule.line) }
            }
            (_, a) => Verdict { allowed: true, line: a.map(|(_, rule)| rule.line) },
        }
    }

    /// The pace that the file asks of this agent: the time between two requests.
    pub fn crawl_delay(&self, agent: &str) -> Option<Duration> {
        self.groups_of(agent).find_map(|g| g.delay)
    }

    /// The rule on that line, as it was understood.
    pub fn rule(&self, line: usize) -> String {
        // An index's rule stands twice, first as written.
        let rule = self.groups.iter().flat_map(|g| &g.rules).find(|rule| rule.line == line);
        let word = |allow| if allow { "Allow" } else { "Disallow" };
        rule.map(|rule| format!("{}: {}", word(rule.allow), rule.pattern.text())).unwrap_or_default()
    }

    /// Whether any rule is there.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|g| g.rules.is_empty())
    }

    /// Addresses of sitemaps, as written.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }

    /// The groups that name the agent; those of everyone if none does.
    fn groups_of(&self, agent: &str) -> impl Iterator<Item = &Group> {
        let agent = agent.to_ascii_lowercase();
        let names = move |g: &Group| g.agents.contains(&agent);
        let is_named = self.groups.iter().any(&names);
        self.groups.iter().filter(move |g| if is_named { names(g) } else { g.everyone })
    }
}

/// The product token at the beginning of a user agent (RFC 9309, section 2.2.1).
pub fn product_token(agent: &str) -> &str {
    let agent = agent.trim_start();
    let end = agent.find(|c: char| !(c.is_ascii_alphabetic() || c == '-' || c == '_')).unwrap_or(agent.len());
    &agent[..end]
}

fn folder_of_index(pattern: &str) -> Option<&str> {
    let slash = pattern.rfind('/')?;
    pattern[slash..].starts_with("/index.htm").then(|| &pattern[..=slash])
}
