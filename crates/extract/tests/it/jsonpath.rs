//! The compliance suite of RFC 9535: every path that is valid gives what it must, every other one is refused.

use crate::saved;
use extract::JsonPath;
use serde_json::Value;

#[test]
fn the_compliance_suite() {
    let Some(set) = saved::folder() else { return };
    let cases = saved::json_lines(&set.join("tables/jsonpath_cts.jsonl"));
    let mut wrong = Vec::new();
    for case in &cases {
        let selector = case["selector"].as_str().expect("a selector");
        let got = JsonPath::parse(selector)
            .map(|path| -> Value { path.select(&case["document"]).into_iter().cloned().collect() });
        let right = match (&got, case["invalid_selector"].as_bool()) {
            (Err(_), invalid) => invalid == Some(true),
            (Ok(_), Some(true)) => false,
            // Objects have no order: some cases have several right answers.
            (Ok(got), _) => match case["results"].as_array() {
                Some(all) => all.contains(got),
                None => case["result"] == *got,
            },
        };
        if !right {
            wrong.push(format!("{} {selector}: {got:?}", case["name"]));
        }
    }
    println!("JSON paths right: {} of {}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
