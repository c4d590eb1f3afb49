//! Telephone numbers and e-mail addresses.
//!
//! Invariant: a number is given in E.164 only if it names its country; nothing is guessed from the page.

use super::{date, digit, text};
use crate::limit;
use model::Timestamp;

/// Calling codes of countries and services (ITU-T E.164, assigned codes). No code is the beginning of another.
const CODES: &str = "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 \
    82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 \
    238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 \
    269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 379 380 381 382 383 385 \
    386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 \
    676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888 \
    960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998";

/// Digits of a number in all, its country included (E.164, 6.1), and the fewest in use.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// A telephone number: E.164 (`+4930123456`) if the text names the country, else its digits as written.
///
/// `None` if the text is no telephone number, such as one with other words in it.
pub fn phone(input: &str) -> Option<String> {
    let input = digit::fold(text::head(input, limit::SHORT_VALUE_BYTES).trim());
    let is_link = input.to_ascii_lowercase().starts_with("tel:");
    let number = if is_link {
        &input[4..]
    } else {
        input.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '+' && c != '(')
    };
    // Extensions and parameters do not belong to the number.
    let lower = number.to_ascii_lowercase();
    let end = [";", "ext", "x", "durchwahl", "poste", "доб", ",", " - ", "/ fax", "fax"]
        .iter()
        .filter_map(|w| lower.find(w))
        .min();
    let number = number[..end.unwrap_or(number.len()).min(number.len())].trim();
    let is_part = |c: char| {
        c.is_ascii_digit()
            || matches!(
                c,
                ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')' | '+' | '\u{2010}'
                    ..='\u{2013}' | '\u{2060}' | '%'
            )
    };
    let number = number.trim_end_matches(|c: char| !c.is_ascii_digit());
    if number.is_empty()
        || !number.chars().all(is_part)
        || number.rfind('+').is_some_and(|at| number[..at].contains(|c: char| c.is_ascii_digit()))
    {
        return None;
    }
    if let Some(full) = international(number) {
        return Some(full);
    }
    let digits = number.chars().filter(char::is_ascii_digit).count();
    // Dates, prices and article numbers are short or have no groups.
    let how = date::Reading { day_first: false, now: Timestamp::from_ms(0), language: None };
    let is_date = || date::parse(number, how).is_some();
    let fits = (6..=15).contains(&digits) && !number.contains('+') && (is_link || digits >= 7 && !is_date());
    fits.then(|| text::one_line(number))
}

/// E.164 of a number that names its country: `+49 (0)30 …`, `0049 30 …`.
fn international(number: &str) -> Option<String> {
    // The zero that is dialled only within the country.
    let number = number.replace("(0)", "").replace("%20", "");
    let plus = number.trim_start_matches(['(', ' ']).starts_with('+');
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let digits = if plus { digits.as_str() } else { digits.strip_prefix("00")? };
    let known = CODES.split_ascii_whitespace().find(|code| digits.starts_with(code))?;
    // No number continues with its trunk zero, but Italy's, whose zero is part of it.
    let rest = &digits[known.len()..];
    let rest = if known == "39" { rest } else { rest.trim_start_matches('0') };
    (DIGITS.contains(&(known.len() + rest.len())) && !rest.is_empty()).then(|| format!("+{known}{rest}"))
}

/// The first e-mail address of a text, in its usual spelling: host in lower case, `mailto:` and its fields left out.
pub fn email(input: &str) -> Option<String> {
    let input = text::head(input, EMAIL_BYTES);
    let plain = unhide(input);
    let (at, _) = plain.match_indices('@').find(|(at, _)| address_around(&plain, *at).is_some())?;
    address_around(&plain, at)
}

/// Bytes of a text that are searched for an address: a link with a subject, or a sentence.
const EMAIL_BYTES: usize = 2_048;

/// `name [at] host (dot) org` and percent-encoded `mailto:` links, as plain addresses.
fn unhide(input: &str) -> String {
    let mut plain = input.replace("%40", "@");
    for (hidden, shown) in [
        (" [at] ", "@"),
        ("[at]", "@"),
        (" (at) ", "@"),
        ("(at)", "@"),
        (" [dot] ", "."),
        ("[dot]", "."),
        (" (dot) ", "."),
        ("(dot)", "."),
        ("＠", "@"),
    ] {
        plain = plain.replace(hidden, shown);
    }
    plain
}

/// The address with its `@` there (RFC 5321 lengths; the local part without quotes).
fn address_around(text: &str, at: usize) -> Option<String> {
    let is_local = |c: char| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let before = &text[..at];
    let start = before
        .rfind(|c| !is_local(c))
        .map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
    let behind = &text[at + 1..];
    let end = behind.find(|c| !is_host(c)).unwrap_or(behind.len());
    let local =
        before[start..].trim_start_matches(['.', '\'', '/', '=', '?', '|', '%']).trim_end_matches('.');
    let host = behind[..end].trim_matches(['.', '-']);
    let (name, top) = host.rsplit_once('.')?;
    let labels =
        host.split('.').all(|l| !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-'));
    let is_top = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic) || top.starts_with("xn--");
    // `icon@2x.png` is a picture.
    let is_file = matches!(top, "png" | "jpg" | "jpeg" | "gif" | "webp" | "svg" | "css" | "js");
    let fits = !local.is_empty()
        && local.len() <= 64
        && host.len() <= 253
        && !local.contains("..")
        && !name.is_empty();
    (fits && labels && is_top && !is_file).then(|| format!("{local}@{}", host.to_lowercase()))
}

/// The address in `data-cfemail`, which Cloudflare writes to keep it from harvesters: hex, the first byte is the key.
pub fn shielded_email(hex: &str) -> Option<String> {
    let hex = hex.trim();
    if !hex.is_ascii() || hex.len() > 2 * EMAIL_BYTES {
        return None;
    }
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok())
        .collect::<Option<_>>()?;
    let (key, hidden) = bytes.split_first()?;
    let plain = String::from_utf8(hidden.iter().map(|b| b ^ key).collect()).ok()?;
    email(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones() {
        for (text, number) in [
            ("+49 (0)30 123456", Some("+4930123456")),
            ("tel:+1-202-555-0123", Some("+12025550123")),
            ("Tel.: +44 20 7946 0958", Some("+442079460958")),
            ("0033 1 42 68 53 00", Some("+33142685300")),
            ("+39 06 698 12345", Some("+390669812345")),
            ("+1 (202) 555-0123 ext. 5", Some("+12025550123")),
            ("(202) 555-0123", Some("(202) 555-0123")),
            ("030 / 123 45 67", Some("030 / 123 45 67")),
            ("+999 12345678", None),
            ("call us", None),
            ("12", None),
            ("2024-03-05", None),
            ("5 items for 3", None),
        ] {
            assert_eq!(phone(text).as_deref(), number, "{text}");
        }
    }

    #[test]
    fn emails() {
        for (text, address) in [
            ("mailto:Ann.Lee@Example.ORG?subject=hi", Some("Ann.Lee@example.org")),
            ("Write to info@shop.example.", Some("info@shop.example")),
            ("ann (at) example (dot) org", Some("ann@example.org")),
            ("mailto:ann%40example.org", Some("ann@example.org")),
            ("icon@2x.png", None),
            ("@ann", None),
            ("a@b", None),
        ] {
            assert_eq!(email(text).as_deref(), address, "{text}");
        }
        // "a@b.org" with the key 0x20.
        assert_eq!(shielded_email("20416042 0e4f5247".replace(' ', "").as_str()).as_deref(), Some("a@b.org"));
        assert_eq!(shielded_email("zz"), None);
    }
}
