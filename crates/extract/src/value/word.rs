//! Words with a fixed meaning: booleans, availability, ratings.

use super::number::{self, Lone};

/// `true` and `false` as pages write them.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" | "on" | "y" | "ja" | "oui" | "si" | "sí" => Some(true),
        "false" | "no" | "0" | "off" | "n" | "nein" | "non" => Some(false),
        _ => None,
    }
}

/// schema.org's `ItemAvailability` words, from an address (`https://schema.org/InStock`), a code or plain words.
pub fn availability(text: &str) -> Option<&'static str> {
    let last = text.trim().trim_end_matches('/').rsplit(['/', '#', ':']).next().unwrap_or_default();
    let word: String = last.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    const WORDS: &[(&str, &str)] = &[
        ("instock", "InStock"),
        ("outofstock", "OutOfStock"),
        ("oos", "OutOfStock"),
        ("soldout", "SoldOut"),
        ("preorder", "PreOrder"),
        ("presale", "PreSale"),
        ("backorder", "BackOrder"),
        ("discontinued", "Discontinued"),
        ("limitedavailability", "LimitedAvailability"),
        ("instoreonly", "InStoreOnly"),
        ("onlineonly", "OnlineOnly"),
        ("madetoorder", "MadeToOrder"),
        ("reserved", "Reserved"),
        ("available", "InStock"),
        ("availablenow", "InStock"),
        ("unavailable", "OutOfStock"),
        ("currentlyunavailable", "OutOfStock"),
        ("notavailable", "OutOfStock"),
        ("notinstock", "OutOfStock"),
        ("addtocart", "InStock"),
        ("addtobasket", "InStock"),
        ("addtobag", "InStock"),
        ("buynow", "InStock"),
        ("auflager", "InStock"),
        ("lieferbar", "InStock"),
        ("enstock", "InStock"),
        ("true", "InStock"),
        ("false", "OutOfStock"),
    ];
    if let Some((_, known)) = WORDS.iter().find(|(w, _)| *w == word) {
        return Some(known);
    }
    // Sentences: "Only 3 left in stock", "Sorry, this item is out of stock".
    const PARTS: &[(&str, &str)] = &[
        ("outofstock", "OutOfStock"),
        ("soldout", "SoldOut"),
        ("notinstock", "OutOfStock"),
        ("unavailable", "OutOfStock"),
        ("preorder", "PreOrder"),
        ("backorder", "BackOrder"),
        ("instock", "InStock"),
    ];
    if word.len() > 80 {
        return None;
    }
    PARTS.iter().find(|(part, _)| word.contains(part)).map(|(_, known)| *known)
}

/// A rating on its own scale: `4.5`, `4,5 out of 5`, `4.5/5`, `Rated 4 stars`. `90%` is 90.
pub fn rating(text: &str) -> Option<f64> {
    let text = text.trim();
    let found = number::all(text, Lone::CommaGroups, 2);
    let first = found.first()?.value;
    // `5 out of 4` is no rating.
    let of = |between: &str| {
        let b = between.trim().to_lowercase();
        ["/", "of", "out of", "von", "sur", "de", "di", "su"].contains(&b.as_str())
    };
    if let [a, b] = found.as_slice()
        && of(&text[a.end..b.start])
        && a.value > b.value
    {
        return None;
    }
    (first <= 1000.0).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availabilities() {
        for (text, word) in [
            ("https://schema.org/InStock", Some("InStock")),
            ("in stock", Some("InStock")),
            ("out_of_stock", Some("OutOfStock")),
            ("Sorry, this item is out of stock.", Some("OutOfStock")),
            ("Only 3 left in stock", Some("InStock")),
            ("maybe", None),
        ] {
            assert_eq!(availability(text), word, "{text}");
        }
    }

    #[test]
    fn ratings() {
        for (text, value) in [
            ("4.5 out of 5", Some(4.5)),
            ("4,5 von 5", Some(4.5)),
            ("Rated 4 stars", Some(4.0)),
            ("8/10", Some(8.0)),
            ("none yet", None),
        ] {
            assert_eq!(rating(text), value, "{text}");
        }
    }
}
