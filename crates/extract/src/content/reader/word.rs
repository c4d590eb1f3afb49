//! What Readability's word lists say of an element's class and id. Owns nothing else.

use crate::value::text;
use html::Node;
use regex::Regex;
use std::sync::LazyLock;

/// Bytes of a class and of an id that are read.
const CLASS_BYTES: usize = 300;

static UNLIKELY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i-u)-ad-|ai2html|banner|breadcrumbs|combx|comment|community|cover-wrap|disqus|extra|footer|gdpr|header|legends|menu|related|remark|replies|rss|shoutbox|sidebar|skyscraper|social|sponsor|supplemental|ad-break|agegate|pagination|pager|popup|yom-remote",
    )
});
static MAYBE: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?i-u)and|article|body|column|content|main|shadow"));
static POSITIVE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?i-u)article|body|content|entry|hentry|h-entry|main|page|pagination|post|text|blog|story")
});
static NEGATIVE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i-u)-ad-|hidden|^hid$| hid$| hid |^hid |banner|combx|comment|com-|contact|footer|gdpr|masthead|media|meta|outbrain|promo|related|scroll|share|shoutbox|sidebar|skyscraper|sponsor|shopping|tags|widget",
    )
});
static BYLINE: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?i-u)byline|author|dateline|writtenby|p-author"));
static SHARE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i-u)(\b|_)(share|sharedaddy)(\b|_)"));

/// A pattern of this file; `None` cannot be, as the test below reads each.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

fn says(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    !text.trim().is_empty() && pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// The class and the id of an element.
pub(super) struct Names<'d> {
    class: &'d str,
    id: &'d str,
    both: String,
}

impl<'d> Names<'d> {
    pub(super) fn of(node: Option<Node<'d>>) -> Self {
        let of = |name| text::head(node.and_then(|n| n.attr(name)).unwrap_or_default(), CLASS_BYTES);
        let (class, id) = (of("class"), of("id"));
        let both = if class.is_empty() && id.is_empty() { String::new() } else { format!("{class} {id}") };
        Self { class, id, both }
    }

    pub(super) fn is_unlikely(&self) -> bool {
        says(&UNLIKELY, &self.both) && !says(&MAYBE, &self.both)
    }

    pub(super) fn is_byline(&self) -> bool {
        says(&BYLINE, &self.both)
    }

    pub(super) fn is_share(&self) -> bool {
        says(&SHARE, &self.both)
    }

    /// 25 for each good word list met by class or id, less 25 for each bad one.
    pub(super) fn weight(&self) -> f64 {
        let of =
            |text: &str| f64::from(i8::from(says(&POSITIVE, text)) - i8::from(says(&NEGATIVE, text))) * 25.0;
        of(self.class) + of(self.id)
    }
}

/// A film that readers want to see within the text.
pub(super) fn is_video(node: Node<'_>) -> bool {
    const HOSTS: [&str; 8] = [
        "dailymotion.com",
        "youtube.com",
        "youtube-nocookie.com",
        "player.vimeo.com",
        "v.qq.com",
        "archive.org",
        "upload.wikimedia.org",
        "player.twitch.tv",
    ];
    node.attrs().any(|(_, value)| {
        let value = text::head(value, 2_000);
        value.split("//").skip(1).any(|rest| {
            let rest = rest.strip_prefix("www.").unwrap_or(rest);
            HOSTS.iter().any(|host| rest.starts_with(host))
        })
    })
}

/// Does an attribute hold the address of a picture?
pub(super) fn names_picture(value: &str) -> bool {
    let value = text::head(value, 2_000).to_ascii_lowercase();
    [".jpg", ".jpeg", ".png", ".webp"].iter().any(|end| value.contains(end))
}

/// Pieces of a paragraph; `""` is a text.
pub(super) fn is_phrasing(name: &str) -> bool {
    matches!(
        name,
        "" | "abbr"
            | "audio"
            | "b"
            | "bdo"
            | "br"
            | "button"
            | "cite"
            | "code"
            | "data"
            | "datalist"
            | "dfn"
            | "em"
            | "embed"
            | "i"
            | "img"
            | "input"
            | "kbd"
            | "label"
            | "mark"
            | "math"
            | "meter"
            | "noscript"
            | "object"
            | "output"
            | "progress"
            | "q"
            | "ruby"
            | "samp"
            | "select"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "textarea"
            | "time"
            | "var"
            | "wbr"
    )
}

/// Nothing but "Advertisement" or "Loading…".
pub(super) fn is_filler(text: &str) -> bool {
    let text = text.trim().trim_end_matches(['…', '.']).to_lowercase();
    matches!(
        text.as_str(),
        "ad" | "advertising"
            | "advertisement"
            | "pub"
            | "publicité"
            | "werb"
            | "werbung"
            | "广告"
            | "реклама"
            | "anuncio"
            | "loading"
            | "正在加载"
            | "загрузка"
            | "chargement"
            | "cargando"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read() {
        for pattern in [&UNLIKELY, &MAYBE, &POSITIVE, &NEGATIVE, &BYLINE, &SHARE] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn names_are_weighed() {
        let doc = html::Document::parse("<div class='post sidebar' id=main><p class=sharedaddy><i class=x>");
        let names = |tag: &str| Names::of(doc.root().descendants().find(|n| n.name() == tag));
        assert_eq!(names("div").weight(), 25.0);
        assert!(names("p").is_share() && !names("p").is_unlikely());
        assert_eq!(names("i").weight(), 0.0);
        assert!(is_filler("Loading...") && !is_filler("Loading dock"));
    }
}
