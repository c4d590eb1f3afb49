//! What tags, classes, ids and roles say about a part of a page: one bit for each meaning.
//!
//! Owns: the words. They are words of templates and frameworks, not of sites. Must not know: what is done with them.

use html::Node;

/// A set of hints, as bits.
pub(super) type Hints = u32;

pub(super) const NAV: Hints = 1;
pub(super) const HEADER: Hints = 1 << 1;
pub(super) const FOOTER: Hints = 1 << 2;
pub(super) const ASIDE: Hints = 1 << 3;
pub(super) const MAIN: Hints = 1 << 4;
pub(super) const ARTICLE: Hints = 1 << 5;
pub(super) const FORM: Hints = 1 << 6;
pub(super) const TABLE: Hints = 1 << 7;
pub(super) const LIST: Hints = 1 << 8;
pub(super) const FIGURE: Hints = 1 << 9;
pub(super) const SAYS_NAV: Hints = 1 << 10;
pub(super) const SAYS_FOOTER: Hints = 1 << 11;
pub(super) const SAYS_HEADER: Hints = 1 << 12;
pub(super) const SAYS_SIDE: Hints = 1 << 13;
pub(super) const SAYS_COMMENT: Hints = 1 << 14;
pub(super) const SAYS_SHARE: Hints = 1 << 15;
pub(super) const SAYS_RELATED: Hints = 1 << 16;
pub(super) const SAYS_POPUP: Hints = 1 << 17;
pub(super) const SAYS_AD: Hints = 1 << 18;
pub(super) const SAYS_META: Hints = 1 << 19;
pub(super) const SAYS_CONTENT: Hints = 1 << 20;
pub(super) const SAYS_ITEM: Hints = 1 << 21;
pub(super) const SAYS_POST: Hints = 1 << 22;
pub(super) const SAYS_FORM: Hints = 1 << 23;
pub(super) const HIDDEN: Hints = 1 << 24;
pub(super) const LINK: Hints = 1 << 25;
pub(super) const BUTTON: Hints = 1 << 26;
pub(super) const SAYS_BODY: Hints = 1 << 27;
/// What a browser without scripts shows: some applications put their whole text there.
pub(super) const NOSCRIPT: Hints = 1 << 28;
/// How many bits are used.
pub(super) const COUNT: usize = 29;

/// Characters of classes and ids that are read of one element: real ones are short, utility classes say nothing.
const CLASS_BYTES: usize = 400;

/// What an element says of itself.
pub(super) fn of(node: Node<'_>) -> Hints {
    let mut out = match node.name() {
        "nav" => NAV,
        "header" => HEADER,
        "footer" => FOOTER,
        "aside" => ASIDE,
        "main" => MAIN,
        "article" => ARTICLE,
        "form" | "fieldset" => FORM,
        "table" => TABLE,
        "ul" | "ol" | "menu" => LIST,
        "figure" => FIGURE,
        "a" => LINK,
        "button" | "label" | "option" => BUTTON,
        "noscript" => return NOSCRIPT,
        "body" | "html" => return 0,
        _ => 0,
    };
    for (name, value) in node.attrs() {
        match name {
            "class" | "id" | "data-testid" | "data-component" | "itemprop" => words(value, &mut out),
            "role" => {
                out |= match value.trim() {
                    "navigation" | "menu" | "menubar" | "tablist" => NAV,
                    "banner" => HEADER,
                    "contentinfo" => FOOTER,
                    "complementary" => ASIDE,
                    "main" => MAIN,
                    "article" => ARTICLE,
                    "search" | "form" => FORM,
                    "dialog" | "alertdialog" | "alert" => SAYS_POPUP,
                    "button" => BUTTON,
                    _ => 0,
                }
            }
            "aria-hidden" if value == "true" => out |= HIDDEN,
            "aria-label" if matches!(node.name(), "div" | "section" | "ul") => words(value, &mut out),
            _ => {}
        }
    }
    if node.is_hidden() {
        out |= HIDDEN;
    }
    out
}

/// Adds what the words of a class or an id say; `articleBody`, `article-body` and `article_body` are the same words.
fn words(value: &str, out: &mut Hints) {
    let value = crate::value::text::head(value, CLASS_BYTES);
    let bytes = value.as_bytes();
    let mut start = 0;
    let mut word = [0u8; 16];
    for at in 0..=bytes.len() {
        let ends = at == bytes.len()
            || !bytes[at].is_ascii_alphabetic()
            || (at > start && bytes[at].is_ascii_uppercase() && bytes[at - 1].is_ascii_lowercase());
        if !ends {
            continue;
        }
        let len = at - start;
        if (2..=word.len()).contains(&len) {
            word[..len].copy_from_slice(&bytes[start..at]);
            word[..len].make_ascii_lowercase();
            *out |= word_hint(std::str::from_utf8(&word[..len]).unwrap_or_default());
        }
        start = if at < bytes.len() && bytes[at].is_ascii_alphabetic() { at } else { at + 1 };
    }
}

fn word_hint(word: &str) -> Hints {
    match word {
        "nav" | "navbar" | "navigation" | "menu" | "menus" | "submenu" | "megamenu" | "breadcrumb"
        | "breadcrumbs" | "crumbs" | "crumb" | "pagination" | "pager" | "paging" | "toolbar" | "topbar"
        | "tabs" | "tab" | "toc" | "dropdown" | "skip" | "hamburger" | "navlinks" | "filter" | "filters"
        | "facet" | "facets" | "sort" | "sorting" | "refine" => SAYS_NAV,
        "footer" | "foot" | "bottom" | "copyright" | "colophon" | "legal" | "disclaimer" | "footnotes"
        | "imprint" => SAYS_FOOTER,
        "header" | "masthead" | "head" | "top" | "banner" | "logo" | "branding" | "hero" => SAYS_HEADER,
        "sidebar" | "side" | "aside" | "rail" | "widget" | "widgets" | "secondary" | "rightbar"
        | "leftbar" | "sidenav" | "gutter" | "complementary" => SAYS_SIDE,
        "comment" | "comments" | "disqus" | "replies" | "respond" | "discussion" | "commentlist"
        | "livefyre" | "review" | "reviews" | "rating" | "ratings" => SAYS_COMMENT,
        "share" | "sharing" | "social" | "socials" | "sharedaddy" | "facebook" | "twitter" | "linkedin"
        | "pinterest" | "whatsapp" | "addthis" | "addtoany" | "sharebar" | "follow" | "email" | "print" => {
            SAYS_SHARE
        }
        "related" | "recommended" | "recommendations" | "recommendation" | "recirc" | "recirculation"
        | "similar" | "suggested" | "suggestions" | "more" | "trending" | "popular" | "outbrain"
        | "taboola" | "upsell" | "crosssell" | "readmore" | "teaser" | "teasers" | "latest" | "recent"
        | "next" | "previous" | "prev" | "also" | "viewed" | "jp" | "yarpp" => SAYS_RELATED,
        "cookie" | "cookies" | "consent" | "gdpr" | "ccpa" | "onetrust" | "popup" | "modal" | "overlay"
        | "dialog" | "lightbox" | "offcanvas" | "drawer" | "tooltip" | "toast" | "notice" | "alert"
        | "notification" | "paywall" | "interstitial" => SAYS_POPUP,
        "ad" | "ads" | "adslot" | "advert" | "advertisement" | "adsense" | "sponsor" | "sponsored"
        | "sponsors" | "promo" | "promos" | "promotion" | "dfp" | "gpt" | "affiliate" | "marketing"
        | "cta" | "offer" | "shoutbox" => SAYS_AD,
        "meta" | "byline" | "author" | "authors" | "date" | "time" | "timestamp" | "published" | "tags"
        | "tag" | "taglist" | "category" | "categories" | "topics" | "info" | "bio" | "avatar" | "credit"
        | "credits" | "caption" | "dateline" | "kicker" | "eyebrow" | "vote" | "votes" | "views"
        | "signature" | "sig" | "userinfo" | "profile" => SAYS_META,
        "content" | "main" | "article" | "story" | "entry" | "page" | "blog" | "primary" | "maincontent"
        | "document" | "markdown" | "prose" | "wysiwyg" | "richtext" | "rte" | "text" | "description"
        | "details" | "documentation" | "docs" | "copy" | "paragraph" | "lead" | "mw" | "wiki" => {
            SAYS_CONTENT
        }
        "body" | "articlebody" => SAYS_BODY,
        "item" | "items" | "product" | "products" | "card" | "cards" | "grid" | "tile" | "tiles"
        | "listing" | "listings" | "results" | "result" | "collection" | "list" | "carousel" | "slider"
        | "swiper" | "slick" | "gallery" | "price" | "prices" => SAYS_ITEM,
        "post" | "posts" | "message" | "messages" | "thread" | "topic" | "question" | "answer"
        | "answers" | "reply" | "forum" | "qa" | "postbody" | "bbcode" | "messagetext" => SAYS_POST,
        "form" | "login" | "signin" | "signup" | "register" | "subscribe" | "subscription" | "newsletter"
        | "search" | "searchbox" | "input" | "field" | "account" | "cart" | "minicart" | "wishlist"
        | "checkout" | "button" | "buttons" | "btn" | "quantity" | "swatch" | "variant" | "actions"
        | "controls" => SAYS_FORM,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use html::Document;

    fn says(tag: &str) -> Hints {
        let doc = Document::parse(tag);
        let body = doc.root().descendants().find(|n| n.name() == "body");
        of(body.and_then(Node::first_child).unwrap())
    }

    #[test]
    fn words_are_found_in_every_spelling() {
        for tag in ["<div class='x shareBar'>", "<div id=post_SHARE>", "<div class=a-share-2>"] {
            assert_ne!(says(tag) & SAYS_SHARE, 0, "{tag}");
        }
        assert_eq!(says("<div class=shareholder>"), 0);
        assert_eq!(says("<div role=navigation>"), NAV);
        assert_eq!(says("<nav style='display:none'>"), NAV | HIDDEN);
    }
}
