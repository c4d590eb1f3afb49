//! Plain or by a browser: what a scraper's `auto` comes to for a page, and for how long a site is remembered.
//!
//! Owns: the decision and its memory. Must not know: browsers, how shells are told (`extract::shell`).

use super::work::Collected;
use extract::Shell;
use model::{Fate, FetchMode, Page, Request, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Sites that are remembered.
const SITES_MAX: usize = 10_000;

/// How pages are fetched where the scraper leaves it open.
#[derive(Clone, Copy, Debug, Default)]
pub struct WaySettings {
    /// For scrapers that do not say.
    pub mode: FetchMode,
    /// Milliseconds for which a site that needed a browser is fetched by one at once.
    pub remember_ms: i64,
}

/// Sites whose pages turned out to be shells, each with the moment of that. Of this process: after a restart one plain
/// request finds out again.
#[derive(Default)]
pub(super) struct Ways {
    shells: Mutex<HashMap<String, Timestamp>>,
}

/// A scraper's pages of one kind on one host: one application.
pub(super) fn site(scraper: &str, kind: &str, request: &Request) -> String {
    format!("{scraper}/{kind}/{}", model::host_of(&request.url))
}

impl Ways {
    /// How the page is fetched first; `Auto` means plain, and judged.
    pub(super) fn first(
        &self,
        request: &Request,
        site: &str,
        settings: WaySettings,
        now: Timestamp,
    ) -> FetchMode {
        let mode = request.needs.mode.unwrap_or(settings.mode);
        if mode != FetchMode::Auto {
            return mode;
        }
        let shells = self.shells.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shells.get(site).is_some_and(|at| now.ms() - at.ms() < settings.remember_ms);
        if known { FetchMode::Browser } else { FetchMode::Auto }
    }

    /// That site needs a browser.
    pub(super) fn remember(&self, site: String, settings: WaySettings, now: Timestamp) {
        let mut shells = self.shells.lock().unwrap_or_else(PoisonError::into_inner);
        if shells.len() >= SITES_MAX && !shells.contains_key(&site) {
            shells.retain(|_, at| now.ms() - at.ms() < settings.remember_ms);
            // Forgetting one costs a plain request, not a page.
            let any = (shells.len() >= SITES_MAX).then(|| shells.keys().next().cloned()).flatten();
            if let Some(any) = any {
                shells.remove(&any);
            }
        }
        shells.insert(site, now);
    }
}

/// What a plain page looks like. Pages that are not HTML are what they are.
pub(super) fn judge(page: &Page) -> Shell {
    let content_type = page.header("content-type").unwrap_or("text/html").to_ascii_lowercase();
    if page.extras.rendered || !content_type.contains("html") {
        return Shell::Full;
    }
    extract::shell(&html::decode(&page.body, Some(&content_type)))
}

/// Whether a browser is asked for the page, too.
pub(super) fn needs_browser(shell: Shell, collected: &Collected) -> bool {
    match (shell, &collected.fate) {
        (Shell::Empty, _) => true,
        // Something that was looked for was found: it is no shell.
        (Shell::Likely, Fate::Read { records, led }) => records.is_empty() && led.is_empty(),
        (Shell::Likely, Fate::Never(_) | Fate::Later { .. }) => true,
        // Not fetched at all, or nothing to say about it.
        (Shell::Likely, Fate::Untouched | Fate::Skipped | Fate::Carried) | (Shell::Full, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(mode: Option<FetchMode>) -> Request {
        let mut request = Request::get(url::Url::parse("http://shop.test/p/1").unwrap());
        request.needs.mode = mode;
        request
    }

    #[test]
    fn a_shell_is_remembered_for_its_time() {
        let (ways, settings) = (Ways::default(), WaySettings { mode: FetchMode::Auto, remember_ms: 1_000 });
        let at = Timestamp::from_ms;
        let site = site("shop", "product", &request(None));
        assert_eq!(ways.first(&request(None), &site, settings, at(0)), FetchMode::Auto);
        ways.remember(site.clone(), settings, at(0));
        assert_eq!(ways.first(&request(None), &site, settings, at(999)), FetchMode::Browser);
        assert_eq!(ways.first(&request(None), &site, settings, at(1_000)), FetchMode::Auto);
        assert_eq!(ways.first(&request(Some(FetchMode::Plain)), &site, settings, at(1)), FetchMode::Plain);
    }

    #[test]
    fn memory_of_sites_is_bounded() {
        let (ways, settings) = (Ways::default(), WaySettings { mode: FetchMode::Auto, remember_ms: 1_000 });
        for n in 0..SITES_MAX + 10 {
            ways.remember(n.to_string(), settings, Timestamp::from_ms(0));
        }
        assert_eq!(ways.shells.lock().unwrap().len(), SITES_MAX);
    }
}
