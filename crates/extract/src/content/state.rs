//! Text that an application carries as data and shows only by its script: the longest pieces of HTML or prose within the
//! page's JSON, in the order of the data.
//!
//! Must not know: any one framework. A last resort, for pages that show next to nothing.

use crate::limit;
use crate::structured::parse_json;
use html::{Document, Node};
use serde_json::Value;

/// Characters from which a string can be content.
const LONG: usize = 80;
/// Bytes of data that are read of one page.
const DATA_BYTES: usize = 4 << 20;
/// Data within data (JSON as a string in JSON): so many levels.
const WITHIN: usize = 3;

/// The text, as HTML; `None` when the page carries none.
pub(super) fn text(doc: &Document) -> Option<String> {
    let mut found = Found { html: String::new(), steps: 0 };
    let mut read = 0;
    for node in doc.root().descendants() {
        if node.name() == "script" {
            let kind = node.attr("type").unwrap_or_default();
            if kind.contains("json") {
                let text = node.text();
                read += text.len();
                if read < DATA_BYTES
                    && let Some(value) = parse_json(&text)
                {
                    found.value(&value, 0);
                }
            }
        } else if !node.name().is_empty() {
            for (name, data) in node.attrs().filter(|(name, data)| name.starts_with("data-") && is_data(data))
            {
                read += data.len() + name.len();
                if read < DATA_BYTES
                    && let Ok(value) = serde_json::from_str(data)
                {
                    found.value(&value, 0);
                }
            }
        }
    }
    (found.html.len() >= LONG).then_some(found.html)
}

fn is_data(text: &str) -> bool {
    text.len() > LONG && text.starts_with(['{', '['])
}

struct Found {
    html: String,
    steps: usize,
}

impl Found {
    fn value(&mut self, value: &Value, within: usize) {
        self.steps += 1;
        if self.steps > limit::JSON_STEPS || self.html.len() > limit::TEXT_BYTES {
            return;
        }
        match value {
            Value::Object(map) => map.values().for_each(|v| self.value(v, within)),
            Value::Array(list) => list.iter().for_each(|v| self.value(v, within)),
            Value::String(text) if is_data(text) && within < WITHIN => {
                if let Ok(value) = serde_json::from_str(text) {
                    self.value(&value, within + 1);
                }
            }
            Value::String(text) => self.string(text),
            _ => {}
        }
    }

    fn string(&mut self, text: &str) {
        if text.len() < LONG || text.len() > limit::TEXT_BYTES || text.contains("function(") {
            return;
        }
        let has_tags = text.contains("</p>")
            || text.contains("<br")
            || text.contains("</li>")
            || text.contains("</div>");
        // Of plain strings only sentences: addresses, styles and keys have few spaces and stops.
        let spaces = text.bytes().filter(|b| *b == b' ').count();
        let is_prose = spaces * 12 > text.len()
            && text.contains(['.', '。', '!', '?'])
            && !text.contains(['{', '}', '<']);
        let said = Document::parse(text);
        if (has_tags
            && said.root().descendants().any(|n: Node<'_>| n.text_node().is_some_and(|t| t.len() > 20)))
            || is_prose
        {
            // The same text often stands twice, whole and in brief.
            let start = crate::value::text::head(text, LONG);
            if !self.html.contains(start) {
                self.html.push_str("<div>");
                self.html.push_str(text);
                self.html.push_str("</div>\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_within_data() {
        let prose =
            "A sentence that is long enough to be read by somebody, and goes on until it is content. ";
        let page = format!(
            r#"<div data-state='{{"a":"{{\"cooked\":\"<p>{prose}</p>\"}}","key":"x"}}'></div>
            <script type=application/json>{{"b":["short","Another {prose}"]}}</script>"#
        );
        let made = text(&Document::parse(&page)).unwrap();
        assert!(made.contains("<p>A sentence") && made.contains("Another A sentence"), "{made}");
        assert_eq!(text(&Document::parse("<script type=application/json>{\"a\":1}</script>")), None);
    }
}
