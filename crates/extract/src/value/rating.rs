//! Ratings: `4.5`, `4,5 von 5`, `8/10`, `★★★★☆`, `Rated 4 stars`, `90 %`, and the scale they are on.
//!
//! A value on its own scale; the scale only if the text (or the element's surroundings) says it. A count of reviews is
//! no scale: `5 out of 1 reviews` is 5.

use super::number::{self, Found, Lone};
use super::text;
use crate::limit;
use html::Node;

/// A rating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rating {
    /// On its own scale.
    pub value: f64,
    /// The best that the scale allows, if it was said.
    pub best: Option<f64>,
}

/// No scale in use goes beyond a thousand.
const SCALE_MAX: f64 = 1000.0;

/// Words and signs between a rating and its scale.
const OF: &[&str] = &[
    "/",
    "of",
    "out of",
    "von",
    "sur",
    "de",
    "di",
    "su",
    "da",
    "av",
    "af",
    "van",
    "van de",
    "uit",
    "z",
    "ze",
    "iz",
    "из",
    "із",
    "з",
    "от",
    "από",
    "στα",
    "din",
    "sobre",
    "em",
    "over",
    "dari",
    "trên",
    "من",
    "מתוך",
    "üzerinden",
    "/az",
    "maks",
    "max",
    "من أصل",
    "จาก",
    "में से",
    "av totalt",
    "points out of",
    "stars out of",
    "-ból",
    "ból",
    "ből",
    "noin",
    "från",
    "sur une note de",
];

/// Words that make the number behind them a count, or a rating of something else.
const COUNTED: &[&str] = &[
    "review",
    "vote",
    "rating",
    "customer",
    "bewertung",
    "rezension",
    "kund",
    "stimme",
    "avis",
    "note",
    "client",
    "opinion",
    "opinione",
    "reseña",
    "valoracion",
    "valoración",
    "recension",
    "recensioni",
    "avaliaç",
    "opini",
    "opinii",
    "ocen",
    "hodnocen",
    "recenz",
    "отзыв",
    "оцен",
    "голос",
    "відгук",
    "beoordeling",
    "anmeldelse",
    "omdöme",
    "arvostelu",
    "értékelés",
    "yorum",
    "değerlendirme",
    "レビュー",
    "件",
    "评价",
    "條",
    "条",
    "개",
    "リ",
    "تقييم",
    "ביקורות",
    "đánh giá",
];

/// The rating in a text.
pub fn parse(input: &str) -> Option<Rating> {
    let input = text::head(input, limit::SHORT_VALUE_BYTES).trim();
    let mut found = number::all(input, Lone::CommaGroups, 4);
    // `12 reviews` is a count, and `12 reviews, 4.5 stars` begins with one.
    while found.first().is_some_and(|first| is_count(input, first)) {
        found.remove(0);
        if found.is_empty() {
            return None;
        }
    }
    let Some(first) = found.first() else { return stars(input) };
    if first.value > SCALE_MAX {
        return None;
    }
    let second = found.get(1).filter(|second| is_scale(input, first, second));
    if let Some(second) = second {
        // `5 out of 4` is no rating.
        return (first.value <= second.value && second.value <= SCALE_MAX)
            .then_some(Rating { value: first.value, best: Some(second.value) });
    }
    // `5点満点中4.5点`: the scale first.
    if let Some(second) = found.get(1)
        && ["点満点中", "段階中", "分中", "つ星のうち", "5점 만점에"]
            .iter()
            .any(|w| input[first.end..second.start].contains(w))
        && second.value <= first.value
    {
        return Some(Rating { value: second.value, best: Some(first.value) });
    }
    Some(Rating { value: first.value, best: None })
}

/// Is what stands behind a number a word for what is counted? Words that also mean the rating do not tell.
fn is_count(input: &str, found: &Found) -> bool {
    // `(123)` beside the stars.
    if input[..found.start].ends_with('(') && input[found.end..].starts_with(')') {
        return true;
    }
    const EITHER: &[&str] =
        &["rating", "note", "оцен", "ocen", "hodnocen", "bewertung", "valoracion", "valoración", "avaliaç"];
    let behind = input[found.end..].trim_start().to_lowercase();
    ["ratings", "bewertungen", "valoraciones", "avaliações"].iter().any(|w| behind.starts_with(w))
        || COUNTED.iter().any(|w| behind.starts_with(w) && !EITHER.contains(w))
}

/// Is the second number the scale of the first?
fn is_scale(input: &str, first: &Found, second: &Found) -> bool {
    let between = input[first.end..second.start].trim().to_lowercase();
    let between = between.trim_matches(|c: char| c.is_whitespace() || matches!(c, '(' | '★' | '⭐'));
    let behind = input[second.end..].trim_start().to_lowercase();
    // Longer words stand before their parts.
    let words = [
        "stars",
        "star",
        "sternen",
        "sterne",
        "stern",
        "étoiles",
        "estrellas",
        "stelle",
        "points",
        "punkte",
        "pts",
    ];
    let between = words.iter().find_map(|w| between.strip_prefix(w)).map_or(between, str::trim);
    OF.contains(&between) && !COUNTED.iter().any(|word| behind.starts_with(word))
}

/// Full, half and empty stars.
fn stars(input: &str) -> Option<Rating> {
    let (mut full, mut half, mut all) = (0_u32, 0_u32, 0_u32);
    for c in input.chars() {
        match c {
            '★' | '⭐' | '🌟' | '✭' | '✮' | '✯' => full += 1,
            '⯪' | '⯨' | '½' => half += 1,
            '☆' | '✩' | '⚝' => {}
            '\u{fe0e}' | '\u{fe0f}' => continue,
            c if c.is_whitespace() => continue,
            _ => return None,
        }
        all += 1;
    }
    // `★★★½` has no empty star to count, so it names no scale.
    let is_row = input.contains(['☆', '✩', '⚝']) && (3..=10).contains(&all);
    let value = f64::from(full) + f64::from(half) / 2.0;
    let fits = all > 0 && all <= 10;
    fits.then(|| Rating { value, best: is_row.then(|| f64::from(all)) })
}

/// The rating that an element shows, or tells those who cannot see its stars; the scale also from what stands around.
pub fn of_node(node: Node<'_>) -> Option<Rating> {
    let said = |node: Node<'_>| {
        ["content", "data-rating", "aria-label", "title", "alt"].iter().find_map(|a| parse(node.attr(a)?))
    };
    let shown = text::one_line(&node.visible_text());
    // A machine's word first, then what screen readers hear if it says the scale, then the text, then the rest.
    let heard =
        || ["aria-label", "title"].iter().find_map(|a| parse(node.attr(a)?)).filter(|r| r.best.is_some());
    let text = || if has_digit(&shown) { parse(&shown) } else { None };
    let own = node.attr("content").and_then(parse).or_else(heard).or_else(text);
    let mut rating = own
        .or_else(|| said(node))
        .or_else(|| node.descendants().skip(1).take(INSIDE).filter(|n| n.is_element()).find_map(said))
        .or_else(|| parse(&shown))
        .or_else(|| width(node))
        .or_else(|| node.descendants().take(INSIDE).chain(std::iter::once(node)).find_map(class))?;
    if rating.best.is_none() {
        rating.best = scale_around(node, &shown).filter(|best| *best >= rating.value && *best <= SCALE_MAX);
    }
    Some(rating)
}

/// Elements looked at inside of a rating.
const INSIDE: usize = 60;
/// Elements looked at beside a rating.
const BESIDE: usize = 40;

fn has_digit(text: &str) -> bool {
    text.chars().any(super::digit::is)
}

/// `bestRating` of the same item, or `/ 5` right behind the element.
fn scale_around(node: Node<'_>, shown: &str) -> Option<f64> {
    let parent = node.parent()?;
    let best = parent.descendants().take(BESIDE).find(|n| n.attr("itemprop") == Some("bestRating"));
    if let Some(best) = best {
        let text = best.attr("content").map_or_else(|| best.visible_text(), str::to_owned);
        return number::first(&text, Lone::CommaGroups);
    }
    if !has_digit(shown) || shown.len() > SHOWN_BYTES {
        return None;
    }
    let mut behind = String::new();
    let mut next = node.next_sibling();
    while let Some(node) = next.filter(|_| behind.len() < SHOWN_BYTES) {
        behind.push_str(&node.text_node().map_or_else(|| node.visible_text(), str::to_owned));
        behind.push(' ');
        next = node.next_sibling();
    }
    parse(&format!("{shown} {}", text::head(behind.trim(), SHOWN_BYTES)))?.best
}

/// Bytes of a rating with its scale, in words.
const SHOWN_BYTES: usize = 64;

/// Stars drawn by a bar of some width: `<span style="width: 90%">`. The value is that percentage.
fn width(node: Node<'_>) -> Option<Rating> {
    let of = |n: Node<'_>| -> Option<Rating> {
        let style = n.attr("style")?.to_ascii_lowercase();
        let (_, behind) = style.split_once("width")?;
        let value =
            behind.trim_start().strip_prefix(':')?.split([';', '!']).next()?.trim().strip_suffix('%')?;
        let value: f64 = value.trim().parse().ok()?;
        (0.0..=100.0).contains(&value).then_some(Rating { value, best: Some(100.0) })
    };
    node.descendants().take(INSIDE).find_map(of)
}

/// Stars told by a class: `star-rating Three`, `a-star-4-5`, `stars-4`. Such stars are five.
fn class(node: Node<'_>) -> Option<Rating> {
    const WORDS: [&str; 6] = ["zero", "one", "two", "three", "four", "five"];
    let list = text::head(node.attr("class")?, limit::SHORT_VALUE_BYTES).to_lowercase();
    let about = |part: &str| matches!(part, "star" | "stars" | "rating" | "rate" | "rated");
    let rated = |class: &str| class.split(['-', '_']).any(about);
    let digits = list.split_whitespace().find_map(|class| {
        let mut parts =
            class.split(['-', '_']).skip_while(|part| !about(part)).skip_while(|part| about(part));
        let digit = |part: &str| part.parse::<u32>().ok().filter(|n| *n <= 9 && part.len() == 1);
        let whole = digit(parts.next()?)?;
        let tenth = match parts.next() {
            Some(part) => digit(part)?,
            None => 0,
        };
        Some(f64::from(whole) + f64::from(tenth) / 10.0)
    });
    let words = || {
        let word = |class: &str| WORDS.iter().zip([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).find(|(w, _)| **w == class);
        let known = list.split_whitespace().any(rated);
        list.split_whitespace().filter(|_| known).find_map(word).map(|(_, value)| value)
    };
    let value = digits.or_else(words).filter(|value| *value <= 5.0)?;
    Some(Rating { value, best: Some(5.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use html::Document;

    #[test]
    fn texts() {
        for (text, value, best) in [
            ("4.5", 4.5, None),
            ("4.5 out of 5", 4.5, Some(5.0)),
            ("4,5 von 5 Sternen", 4.5, Some(5.0)),
            ("4.5 stars out of 5", 4.5, Some(5.0)),
            ("4,2 из 5", 4.2, Some(5.0)),
            ("4,7 de 5", 4.7, Some(5.0)),
            ("8/10", 8.0, Some(10.0)),
            ("Rated 4 stars", 4.0, None),
            ("5 out of 1 reviews", 5.0, None),
            ("90 %", 90.0, None),
            ("5点満点中4.5点", 4.5, Some(5.0)),
            ("★★★★☆", 4.0, Some(5.0)),
            ("★★★½", 3.5, None),
            ("٤٫٥ من ٥", 4.5, Some(5.0)),
        ] {
            assert_eq!(parse(text), Some(Rating { value, best }), "{text}");
        }
        assert_eq!(parse("none yet"), None);
        assert_eq!(parse("12 reviews"), None);
        assert_eq!(parse("12 reviews, 4.5 stars").map(|r| r.value), Some(4.5));
        assert_eq!(parse("6 out of 5"), None);
    }

    #[test]
    fn elements() {
        let rating = |html: &str| {
            let doc = Document::parse(html);
            of_node(doc.root().descendants().find(|n| n.attr("id") == Some("r")).unwrap())
        };
        let five = |value| Some(Rating { value, best: Some(5.0) });
        assert_eq!(rating("<span id=r aria-label='4.5 out of 5'><i></i></span>"), five(4.5));
        assert_eq!(rating("<div id=r><i></i><img alt='4 von 5 Sternen'></div>"), five(4.0));
        assert_eq!(rating("<div><b id=r>4.2</b> / <span>5</span> (12)</div>"), five(4.2));
        assert_eq!(rating("<p><b id=r>4.2</b><meta itemprop=bestRating content=5></p>"), five(4.2));
        assert_eq!(rating("<p id=r class='star-rating Three'><i></i><i></i></p>"), five(3.0));
        assert_eq!(rating("<i id=r class='a-icon a-star-4-5'></i>"), five(4.5));
        assert_eq!(rating("<i id=r class='star-grid-12'></i>"), None);
        assert_eq!(rating("<div id=r aria-label='4.5 out of 5'>(123)</div>"), five(4.5));
        assert_eq!(rating("<div id=r>(123)</div>"), None);
        let bar = rating("<div id=r class=stars><span style='width:90%'></span></div>");
        assert_eq!(bar, Some(Rating { value: 90.0, best: Some(100.0) }));
    }
}
