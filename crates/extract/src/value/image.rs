//! Where an image element's picture is: lazy attributes, `srcset`, `src`.

/// Attributes that lazy loaders use, best first.
const LAZY: &[&str] = &[
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-zoom-image",
    "data-large_image",
    "data-image",
    "data-url",
];

/// The address of an image element's picture, given its attributes. A picture within the page (`data:`) is none.
pub fn source<'a>(attr: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let real = |value: &&str| !value.trim().is_empty() && !value.trim_start().starts_with("data:");
    let src = attr("src").filter(real);
    // A lazy attribute beats `src`, which is then a placeholder.
    LAZY.iter()
        .find_map(|name| attr(name).filter(real))
        .or(src)
        .or_else(|| attr("srcset").or_else(|| attr("data-srcset")).and_then(largest))
        .or_else(|| attr("content").filter(real))
        .or_else(|| attr("href").filter(real))
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
        if !url.is_empty() && !url.starts_with("data:") && best.is_none_or(|(most, _)| size > most) {
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
        let attrs = [("src", "data:image/gif;base64,R0"), ("data-src", "real.jpg")];
        let get = |name: &str| attrs.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        assert_eq!(source(get), Some("real.jpg"));
    }
}
