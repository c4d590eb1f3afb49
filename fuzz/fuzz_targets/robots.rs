//! Any bytes as a robots.txt, asked for a few agents and addresses.
#![no_main]

use fetch::robots::{BYTES, Robots, product_token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let robots = Robots::parse(input);
    let lines = input.len().min(BYTES) + 1;
    for agent in ["trawl", "Googlebot-News", "*", ""] {
        for path in ["/", "/a/b?c=d", "/index.html", "/%C3%A9*$", ""] {
            let verdict = robots.ask_path(product_token(agent), path);
            assert!(verdict.line.is_none_or(|line| (1..=lines).contains(&line)));
            assert!(verdict.allowed || verdict.line.is_some(), "a refusal has a line");
        }
        assert!(robots.crawl_delay(agent).is_none_or(|d| d.as_secs() <= 86_400));
    }
    assert!(robots.sitemaps().iter().map(String::len).sum::<usize>() <= 3 * input.len());
});
