//! Bytes to text, as a browser does it: byte order mark, then the HTTP charset, then `<meta>`, then a guess.
//!
//! Labels are WHATWG Encoding's. The prescan looks a little further than the standard's 1,024 bytes, as browsers do.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use std::borrow::Cow;

/// Bytes in which a `<meta charset>` is looked for.
const PRESCAN: usize = 8 << 10;
/// Bytes from which an undeclared encoding is guessed.
const GUESS: usize = 256 << 10;

/// Name and value of an attribute, lower-case.
type Pair = (Vec<u8>, Vec<u8>);

/// Decodes a page. `content_type` is the HTTP header's value. Malformed bytes become U+FFFD; nothing fails.
pub fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    let declared = content_type.and_then(charset_of_header).or_else(|| prescan(bytes));
    let encoding = match declared {
        Some(encoding) => encoding,
        None => guess(bytes),
    };
    encoding.decode_without_bom_handling(bytes).0
}

/// The charset of `text/html; charset="utf-8"`.
fn charset_of_header(value: &str) -> Option<&'static Encoding> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        if !key.trim().eq_ignore_ascii_case("charset") {
            return None;
        }
        Encoding::for_label(value.trim().trim_matches(['"', '\'']).as_bytes())
    })
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let sample = &bytes[..bytes.len().min(GUESS)];
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == bytes.len());
    detector.guess(None, chardetng::Utf8Detection::Allow)
}

/// "Prescan a byte stream to determine its encoding" of WHATWG HTML, and the encoding of an XML declaration.
fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let bytes = &bytes[..bytes.len().min(PRESCAN)];
    if let Some(encoding) = xml_declaration(bytes) {
        return Some(encoding);
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest[0] != b'<' {
            at += 1;
        } else if rest.starts_with(b"<!--") {
            // "<!-->" is a whole comment, so the dashes that end it may be those that begin it.
            at += 2 + find(&rest[2..], b"-->")? + 3;
        } else if rest.len() > 5 && rest[1..5].eq_ignore_ascii_case(b"meta") && is_break(rest[5]) {
            let (attrs, len) = attributes(&rest[5..]);
            if let Some(encoding) = meta_encoding(&attrs) {
                return Some(encoding);
            }
            at += 5 + len;
        } else if rest.len() > 1
            && (rest[1].is_ascii_alphabetic()
                || (rest[1] == b'/' && rest.len() > 2 && rest[2].is_ascii_alphabetic()))
        {
            let name = rest.iter().position(|&b| is_space(b) || b == b'>').unwrap_or(rest.len());
            at += name + attributes(&rest[name..]).1;
        } else if rest.len() > 1 && matches!(rest[1], b'!' | b'/' | b'?') {
            at += rest.iter().position(|&b| b == b'>').unwrap_or(rest.len() - 1) + 1;
        } else {
            at += 1;
        }
    }
    None
}

fn meta_encoding(attrs: &[Pair]) -> Option<&'static Encoding> {
    let get = |name: &[u8]| attrs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
    let label = match get(b"charset") {
        Some(label) => Encoding::for_label(label)?,
        None => {
            if !get(b"http-equiv")?.eq_ignore_ascii_case(b"content-type") {
                return None;
            }
            content_charset(get(b"content")?)?
        }
    };
    // A page that can be read as ASCII this far is not in UTF-16, whatever it says.
    Some(match label {
        e if e == UTF_16BE || e == UTF_16LE => UTF_8,
        e if e == X_USER_DEFINED => WINDOWS_1252,
        e => e,
    })
}

/// "Algorithm for extracting a character encoding from a meta element".
fn content_charset(content: &[u8]) -> Option<&'static Encoding> {
    let lower = content.to_ascii_lowercase();
    let mut rest = lower.as_slice();
    loop {
        rest = &rest[find(rest, b"charset")? + 7..];
        let after = rest.trim_ascii_start();
        if let Some(value) = after.strip_prefix(b"=") {
            let value = value.trim_ascii_start();
            let label = match value.first()? {
                quote @ (b'"' | b'\'') => {
                    let value = &value[1..];
                    &value[..value.iter().position(|b| b == quote)?]
                }
                _ => &value[..value.iter().position(|&b| is_space(b) || b == b';').unwrap_or(value.len())],
            };
            return Encoding::for_label(label);
        }
    }
}

/// The attributes of a tag, lower-case, from after its name, and the bytes up to the tag's end.
fn attributes(bytes: &[u8]) -> (Vec<Pair>, usize) {
    let mut attrs: Vec<Pair> = Vec::new();
    let mut at = 0;
    let skip = |at: &mut usize, what: fn(u8) -> bool| {
        while *at < bytes.len() && what(bytes[*at]) {
            *at += 1;
        }
    };
    loop {
        skip(&mut at, |b| is_space(b) || b == b'/');
        if at >= bytes.len() {
            return (attrs, at);
        }
        if bytes[at] == b'>' {
            return (attrs, at + 1);
        }
        let start = at;
        at += 1;
        skip(&mut at, |b| !is_space(b) && !matches!(b, b'/' | b'>' | b'='));
        let name = bytes[start..at].to_ascii_lowercase();
        skip(&mut at, is_space);
        let mut value = Vec::new();
        if at < bytes.len() && bytes[at] == b'=' {
            at += 1;
            skip(&mut at, is_space);
            if at < bytes.len() && matches!(bytes[at], b'"' | b'\'') {
                let quote = bytes[at];
                let len = bytes[at + 1..].iter().position(|&b| b == quote).unwrap_or(bytes.len() - at - 1);
                value = bytes[at + 1..at + 1 + len].to_ascii_lowercase();
                at = (at + 2 + len).min(bytes.len());
            } else {
                let start = at;
                skip(&mut at, |b| !is_space(b) && b != b'>');
                value = bytes[start..at].to_ascii_lowercase();
            }
        }
        if !attrs.iter().any(|(n, _)| *n == name) {
            attrs.push((name, value));
        }
    }
}

fn xml_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let rest = &rest[..find(rest, b"?>")?];
    let value =
        rest[find(rest, b"encoding")? + 8..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let quote = *value.first().filter(|b| matches!(b, b'"' | b'\''))?;
    let value = &value[1..];
    let label = &value[..value.iter().position(|&b| b == quote)?];
    Encoding::for_label(label).filter(|e| *e != UTF_16BE && *e != UTF_16LE)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn is_space(b: u8) -> bool {
    matches!(b, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_break(b: u8) -> bool {
    is_space(b) || b == b'/'
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_mark_beats_the_header_and_the_header_beats_meta() {
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=windows-1251")), "é");
        assert_eq!(decode(b"\xff\xfe\xe9\x00", None), "é");
        let meta = b"<meta charset=windows-1252>\xd0\xd1";
        assert!(decode(meta, Some("text/html; charset=\"Windows-1251\"")).ends_with("РС"));
        assert!(decode(meta, Some("text/html")).ends_with("ÐÑ"));
        assert!(decode(meta, Some("text/html; charset=klingon")).ends_with("ÐÑ"));
    }

    #[test]
    fn meta_is_found_as_a_browser_finds_it() {
        let cases: [(&[u8], bool); 10] = [
            (b"<meta charset=windows-1251>\xcf", true),
            (b"<META HTTP-EQUIV='Content-Type' CONTENT='text/html; charset=windows-1251'/>\xcf", true),
            (b"<meta content=\"text/html;charset = 'windows-1251'\" http-equiv=content-type>\xcf", true),
            (b"<!-- <meta charset=utf-8> --><title a=\"<meta charset=utf-8>\"></title><meta/charset=\"cp1251\">\xcf", true),
            (b"<!--><meta charset=windows-1251>\xcf", true),
            (b"<?xml version='1.0' encoding='windows-1251'?><html>\xcf", true),
            (b"<metal charset=windows-1251>\xcf", false),
            (b"<meta name=content-type content='text/html; charset=windows-1251'>\xcf", false),
            (b"<!-- <meta charset=windows-1251>\xcf", false),
            (b"<meta charset", false),
        ];
        for (bytes, found) in cases {
            let text = decode(bytes, None);
            assert_eq!(text.ends_with('П'), found, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn utf_16_in_meta_means_utf_8() {
        assert!(decode("<meta charset=utf-16le>é".as_bytes(), None).ends_with('é'));
    }

    #[test]
    fn an_undeclared_page_is_guessed() {
        assert_eq!(decode("žluťoučký kůň".as_bytes(), None), "žluťoučký kůň");
        let (bytes, _, _) =
            encoding_rs::SHIFT_JIS.encode("<title>日本語のページです。これはテストです。</title>");
        assert!(decode(&bytes, None).contains("日本語"));
        assert_eq!(decode(b"", None), "");
    }
}
