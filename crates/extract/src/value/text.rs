//! White space and bounds of text.

/// One line: runs of white space become one space, none at the ends. Non-breaking spaces count as white space.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Is the text already as [`one_line`] would make it? Saves the copy for the usual case.
pub fn is_one_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut space = true;
    for &b in bytes {
        match b {
            b' ' if space => return false,
            b' ' => space = true,
            b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x80.. => return false,
            _ => space = false,
        }
    }
    bytes.is_empty() || !space
}

/// Cuts at a character boundary, at most `bytes` long.
pub fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let mut at = bytes;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at);
    }
    text
}

/// The beginning of a text, at a character boundary, at most `bytes` long.
pub fn head(text: &str, bytes: usize) -> &str {
    let mut at = bytes.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    &text[..at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_as_a_browser_shows_it() {
        assert_eq!(one_line("  a\n\t b\u{a0} c "), "a b c");
        assert!(is_one_line("a b") && is_one_line(""));
        for text in ["a  b", " a", "a ", "a\nb", "a\u{a0}b"] {
            assert!(!is_one_line(text), "{text:?}");
        }
    }

    #[test]
    fn cuts_keep_characters_whole() {
        assert_eq!(cut("aé".into(), 2), "a");
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("aé", 9), "aé");
    }
}
