//! Real pages: every saved page parses into a sound tree, and CSS selectors give what two other engines agree on.

mod saved;

use html::{Document, Node, Selector, XPath};
use std::collections::BTreeMap;

#[test]
fn saved_pages_parse_and_selectors_agree_with_other_engines() {
    let Some(folder) = saved::folder() else { return };
    let pages = saved::pages(&folder);
    let documents: BTreeMap<&str, Document> = pages
        .values()
        .map(|page| (page.id.as_str(), Document::parse_bytes(&page.bytes, page.content_type.as_deref())))
        .collect();
    for (id, document) in &documents {
        assert!(!document.is_truncated(), "{id}");
        assert!(document.root().descendants().any(|n| n.name() == "body" || n.name() == "frameset"), "{id}");
        let again = Document::parse(&document.root().outer_html());
        // Not every tree can be written (a form in a form, say), but its text survives.
        let squeeze = |d: &Document| d.root().text().split_whitespace().collect::<String>();
        assert_eq!(squeeze(document).len(), squeeze(&again).len(), "{id}");
    }
    let mut scores: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for case in saved::json_lines(&folder.join("tables/selectors.jsonl")) {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let root = documents[text("page")].root();
        let values = match text("engine") {
            "css" => {
                let selector =
                    Selector::parse(text("selector")).unwrap_or_else(|e| panic!("{}: {e}", text("selector")));
                take(&selector, root, text("take"))
            }
            "xpath" => {
                let path =
                    XPath::parse(text("selector")).unwrap_or_else(|e| panic!("{}: {e}", text("selector")));
                strings(&path.evaluate(root).expect("within its work"), text("take"))
            }
            other => panic!("no engine {other}"),
        };
        let (right, wrong) = scores.entry(text("engine").to_owned()).or_default();
        let truth: Vec<&str> =
            case["truth"].as_array().expect("truth").iter().filter_map(|v| v.as_str()).collect();
        let total = case["total"].as_u64().map_or(values.len(), |t| t as usize);
        if values.iter().take(60).map(String::as_str).eq(truth.iter().copied())
            && (total == values.len() || total.min(values.len()) >= 60)
        {
            *right += 1;
        } else {
            let differs = values.iter().map(String::as_str).zip(truth.iter().copied()).find(|(a, b)| a != b);
            wrong.push(format!(
                "{} {} [{}]: {} for {total}, {differs:?}",
                text("id"),
                text("selector"),
                text("take"),
                values.len()
            ));
        }
    }
    for (engine, (right, wrong)) in scores {
        let all = right + wrong.len();
        let share = right as f64 / all as f64;
        println!("{engine} cases right: {right} of {all} ({share:.4})\n{}", wrong.join("\n"));
        assert!(share >= 0.995, "{engine}: {share:.4}\n{}", wrong.join("\n"));
    }
}

/// What a case asks of an XPath's value.
fn strings(value: &html::Value<'_>, what: &str) -> Vec<String> {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match value {
        html::Value::Nodes(nodes) if what == "count" => vec![nodes.len().to_string()],
        html::Value::Nodes(nodes) => nodes.iter().map(|n| squeeze(&n.string())).collect(),
        other => vec![squeeze(&other.string())],
    }
}

/// What a case asks of the matches.
fn take(selector: &Selector, root: Node<'_>, what: &str) -> Vec<String> {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match what.split_once(':') {
        Some(("attr", name)) => selector.select(root).filter_map(|n| n.attr(name)).map(squeeze).collect(),
        _ if what == "count" => vec![selector.select(root).count().to_string()],
        // The table's engines count the text of scripts in.
        _ => selector
            .select(root)
            .map(|n| squeeze(&n.descendants().filter_map(Node::text_node).collect::<String>()))
            .collect(),
    }
}
