//! Where an image element's picture is: lazy attributes, `srcset`, `src`.

/// Attributes that hold the picture at its full size.
const LARGE: &[&str] = &[
    "data-zoom-image",
    "data-large_image",
    "data-large-image",
    "data-src-large",
    "data-full",
    "data-hi-res-src",
    "data-original-image",
];

/// Attributes that lazy loaders use, best first.
const LAZY: &[&str] = &[
    "data-src",
    "data-original",
    "data-original-src",
    "data-lazy-src",
    "data-lazy",
    "data-lazyload",
    "data-actualsrc",
    "data-image",
    "data-image-src",
    "data-img",
    "data-url",
];

/// Attributes that hold a `srcset`; a lazy one beats the standard's, which is then a placeholder.
const SETS: &[&str] = &["data-srcset", "data-lazy-srcset", "srcset", "imagesrcset"];

/// The address of an image element's picture, given its attributes. A picture within the page (`data:`) is none.
pub fn source<'a>(attr: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let of = |name: &&str| attr(name).filter(is_real);
    // A lazy attribute beats `src`, which is then a placeholder.
    LAZY.iter()
        .chain(LARGE)
        .find_map(of)
        .or_else(|| of(&"src"))
        .or_else(|| SETS.iter().find_map(|name| attr(name).and_then(largest)))
        .or_else(|| ["poster", "content", "href"].iter().find_map(of))
        .or_else(|| attr("style").and_then(background))
}

/// The address of the picture at the largest size that the element offers: `src` is the fallback of a `srcset`.
pub fn best<'a>(attr: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    LARGE
        .iter()
        .find_map(|name| attr(name).filter(is_real))
        .or_else(|| SETS.iter().find_map(|name| attr(name).and_then(largest)))
        .or_else(|| source(attr))
}

/// Is it the address of a picture rather than the picture itself, an empty text or JSON of a loader?
fn is_real(value: &&str) -> bool {
    let value = value.trim_start();
    !value.is_empty()
        && !value.starts_with(['{', '['])
        && !has_prefix(value, "data:")
        && !has_prefix(value, "about:")
}

fn has_prefix(value: &str, prefix: &str) -> bool {
    value.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// The picture of `background-image: url("…")`.
fn background(style: &str) -> Option<&str> {
    let (_, behind) = style.split_once("url(")?;
    let (inner, _) = behind.split_once(')')?;
    Some(inner.trim().trim_matches(['"', '\''])).filter(is_real)
}

/// The largest candidate of a `srcset` (HTML standard, 4.8.4.3.5): by width, else by density; the first of equals.
pub fn largest(srcset: &str) -> Option<&str> {
    let mut best: Option<(f64, &str)> = None;
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return best.map(|(_, url)| url);
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (url, behind) = rest.split_at(end);
        let (url, size, next) = if let Some(url) = url.strip_suffix(',') {
            (url.trim_end_matches(','), 1.0, behind)
        } else {
            let comma = behind.find(',').unwrap_or(behind.len());
            (url, descriptor(&behind[..comma]), &behind[comma..])
        };
        if is_real(&url) && best.is_none_or(|(most, _)| size > most) {
            best = Some((size, url));
        }
        rest = next;
    }
}

fn descriptor(text: &str) -> f64 {
    let text = text.trim();
    text.strip_suffix(['w', 'x', 'h']).and_then(|n| n.trim().parse().ok()).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_candidate() {
        assert_eq!(largest("a.jpg 480w, b.jpg 960w"), Some("b.jpg"));
        assert_eq!(largest("a.jpg, b.jpg 2x"), Some("b.jpg"));
        assert_eq!(largest("a,b.jpg 1x, c.jpg 2x"), Some("c.jpg"));
        assert_eq!(largest(" , "), None);
        assert_eq!(largest("a.jpg"), Some("a.jpg"));
    }

    #[test]
    fn placeholders_lose() {
        type Attrs = &'static [(&'static str, &'static str)];
        let get = |attrs: Attrs| move |name: &str| attrs.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let of = |attrs: Attrs| source(get(attrs));
        assert_eq!(of(&[("src", "data:image/gif;base64,R0"), ("data-src", "real.jpg")]), Some("real.jpg"));
        assert_eq!(of(&[("src", "s.jpg"), ("srcset", "m.jpg 640w, l.jpg 1280w")]), Some("s.jpg"));
        assert_eq!(best(get(&[("src", "s.jpg"), ("srcset", "m.jpg 640w, l.jpg 1280w")])), Some("l.jpg"));
        assert_eq!(best(get(&[("src", "s.jpg"), ("srcset", "data:image/gif;base64,R0 1w")])), Some("s.jpg"));
        assert_eq!(best(get(&[("data-zoom-image", "z.jpg"), ("srcset", "a.jpg 2x")])), Some("z.jpg"));
        assert_eq!(of(&[("style", "background: url('b.jpg') top")]), Some("b.jpg"));
        assert_eq!(of(&[("data-image", "{\"a\":1}"), ("src", "DATA:x")]), None);
    }
}
