//! The public tables: Google's own cases, and the files of real hosts with queries on which two parsers agree.

#[path = "../../html/tests/saved/mod.rs"]
#[allow(dead_code, reason = "the tables alone are needed, not the pages")]
mod saved;

use fetch::robots::Robots;
use serde_json::Value;
use url::Url;

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn googles_cases() {
    let Some(set) = saved::folder() else { return };
    let cases = saved::json_lines(&set.join("tables/robots_google.jsonl"));
    let mut wrong = Vec::new();
    for case in &cases {
        let robots = Robots::parse(text(case, "robots").as_bytes());
        // Some of the cases hold addresses that no parser of addresses leaves as they are.
        let behind = text(case, "url").split_once("://").map_or(text(case, "url"), |(_, rest)| rest);
        let path = behind.find(['/', '?']).map_or("/", |at| &behind[at..]);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let allowed = robots.ask_path(text(case, "user_agent"), &path).allowed;
        if Some(allowed) != case["truth"].as_bool() {
            wrong.push(format!("{} {}: {allowed}", text(case, "id"), text(case, "test")));
        }
    }
    println!("robots, Google's cases: {} of {}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn real_hosts() {
    let Some(set) = saved::folder() else { return };
    let (mut right, mut wrong) = (0, Vec::new());
    for host in saved::json_lines(&set.join("tables/robots_real.jsonl")) {
        let robots = Robots::parse(text(&host, "robots").as_bytes());
        for query in host["queries"].as_array().expect("queries") {
            let (agent, url) = (query[0].as_str().expect("agent"), query[1].as_str().expect("url"));
            let allowed = robots.ask(agent, &Url::parse(url).expect("a URL")).allowed;
            if Some(allowed) == query[2].as_bool() {
                right += 1;
            } else {
                wrong.push(format!("{} {query}", text(&host, "id")));
            }
        }
        let delay = robots.crawl_delay("TrawlBot").map(|d| d.as_secs_f64());
        assert_eq!(delay, host["crawl_delay"].as_f64(), "{}", text(&host, "id"));
        let sitemaps: Vec<&str> =
            host["sitemaps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let ours: std::collections::BTreeSet<&str> = robots.sitemaps().iter().map(String::as_str).collect();
        assert_eq!(ours, sitemaps.into_iter().collect(), "{}", text(&host, "id"));
    }
    let all = right + wrong.len();
    println!("robots, real hosts: {right} of {all}");
    assert!(right * 1_000 >= all * 999, "{right} of {all}:\n{}", wrong.join("\n"));
}
