//! JSON as pages really carry it: wrapped in comments or CDATA, with comments, trailing commas, raw line feeds in
//! strings, entities instead of quotes.
//!
//! Invariant: text that is JSON is parsed as it is; only what is not is repaired, and each repair is one pass.

use serde_json::Value;

/// The value of the text, repaired if needed.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let text = unwrapped(text);
    if text.is_empty() {
        return None;
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let repaired = repair(text);
    if let Some(value) = read(&repaired) {
        return Some(value);
    }
    if text.contains("&quot;") || text.contains("&#34;") {
        let plain = text.replace("&quot;", "\"").replace("&#34;", "\"").replace("&amp;", "&");
        return read(&repair(&plain));
    }
    None
}

/// The first value of the text: what follows it (a second object, a semicolon) is left out.
fn read(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .next()?
        .ok()
        .filter(|v| v.is_object() || v.is_array())
}

/// Without `<!-- -->`, `<![CDATA[ ]]>`, `//` before them, byte order marks and a last semicolon.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim().trim_start_matches('\u{feff}').trim();
    for _ in 0..4 {
        let before = text;
        for open in ["//<![CDATA[", "// <![CDATA[", "/*<![CDATA[*/", "/* <![CDATA[ */", "<![CDATA[", "<!--"] {
            text = text.strip_prefix(open).unwrap_or(text).trim();
        }
        for close in ["//]]>", "// ]]>", "/*]]>*/", "/* ]]> */", "]]>", "//-->", "-->", ";"] {
            text = text.strip_suffix(close).unwrap_or(text).trim();
        }
        if text == before {
            break;
        }
    }
    text
}

/// Drops comments and trailing commas, escapes control characters in strings, mends unknown escapes.
fn repair(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        if in_string {
            match c {
                '"' => {
                    in_string = false;
                    out.push('"');
                }
                '\\' => match chars.next() {
                    Some(e @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u')) => {
                        out.push('\\');
                        out.push(e);
                    }
                    Some('\n') | None => {}
                    Some(other) => out.push(other),
                },
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c < ' ' => out.push(' '),
                c => out.push(c),
            }
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push('"');
            }
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => {
                chars.next();
                let mut star = false;
                for c in chars.by_ref() {
                    if star && c == '/' {
                        break;
                    }
                    star = c == '*';
                }
            }
            '}' | ']' => {
                let kept = out.trim_end().trim_end_matches(',').trim_end().len();
                out.truncate(kept);
                out.push(c);
            }
            // Two commas are one.
            ',' if out.trim_end().ends_with([',', '[', '{']) => {}
            c if c < ' ' => out.push(' '),
            '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usual_breakage() {
        for text in [
            r#"{"a":"b","c":[1]}"#,
            "<!-- {\"a\":\"b\",\"c\":[1]} -->",
            "//<![CDATA[\n{\"a\":\"b\",\"c\":[1]}\n//]]>",
            r#"{"a":"b", /* x */ "c":[1,],} // y"#,
            r#"{"a":"b",,"c":[1]};"#,
            "{&quot;a&quot;:&quot;b&quot;,&quot;c&quot;:[1]}",
            "{\"a\":\"b\",\"c\":[1]}{\"second\":1}",
        ] {
            assert_eq!(parse(text), Some(json!({"a": "b", "c": [1]})), "{text}");
        }
        assert_eq!(parse("{\"a\":\"x\ny\\'z\"}"), Some(json!({"a": "x\ny'z"})));
        assert_eq!(parse(r#"{"u":"http://a//b"}"#), Some(json!({"u": "http://a//b"})));
        assert_eq!(parse("nonsense"), None);
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }
}
