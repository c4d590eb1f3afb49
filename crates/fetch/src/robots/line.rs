//! The lines of a robots.txt: keys and values, with the spellings that sites use.

/// Bytes of a line that count, as in Google's parser.
const LINE_BYTES: usize = 2_083 * 8;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    UserAgent,
    Allow,
    Disallow,
    CrawlDelay,
    Sitemap,
    Other,
}

/// A line with a key.
pub(super) struct Line<'t> {
    /// From 1.
    pub(super) number: usize,
    pub(super) key: Key,
    pub(super) value: &'t str,
}

/// The lines that have a key. Bytes that are not UTF-8 end a line's value.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut rest = Some(body);
    let mut number = 0;
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let end = text.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(text.len());
            let behind = match (text.get(end), text.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => end + 2,
                _ => end + 1,
            };
            rest = text.get(behind..);
            number += 1;
            if let Some(line) = line(number, &text[..end.min(LINE_BYTES)]) {
                return Some(line);
            }
        }
    })
}

fn line(number: usize, bytes: &[u8]) -> Option<Line<'_>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let text = text.split('#').next().unwrap_or_default().trim();
    let (key, value) = match text.split_once(':') {
        Some((key, value)) => (key.trim(), value.trim()),
        // Some forget the colon: then there are two words, no more.
        None => {
            let (key, value) = text.split_once([' ', '\t'])?;
            let value = value.trim();
            if value.contains([' ', '\t']) {
                return None;
            }
            (key.trim(), value)
        }
    };
    (!key.is_empty()).then(|| Line { number, key: kind(key), value })
}

fn kind(key: &str) -> Key {
    const KEYS: [(&str, Key); 14] = [
        ("user-agent", Key::UserAgent),
        ("useragent", Key::UserAgent),
        ("user agent", Key::UserAgent),
        ("allow", Key::Allow),
        ("disallow", Key::Disallow),
        ("dissallow", Key::Disallow),
        ("dissalow", Key::Disallow),
        ("disalow", Key::Disallow),
        ("diasllow", Key::Disallow),
        ("disallaw", Key::Disallow),
        ("sitemap", Key::Sitemap),
        ("site-map", Key::Sitemap),
        ("crawl-delay", Key::CrawlDelay),
        ("crawldelay", Key::CrawlDelay),
    ];
    let begins = |word: &str| key.get(..word.len()).is_some_and(|k| k.eq_ignore_ascii_case(word));
    KEYS.iter().find(|(word, _)| begins(word)).map_or(Key::Other, |(_, key)| *key)
}
