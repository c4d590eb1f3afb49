//! `/robots.txt` by host: a name that begins with `robots-{variant}.` gets that variant, every other the shop's own.
//!
//! Owns: the variants. Must not know: how they are read.

use crate::http::{HTML, TEXT, head, ok, response};
use crate::route::Answer;
use crate::trick::Trick;
use bytes::Bytes;

/// Bytes of the huge one: more than anyone reads (RFC 9309 asks for 500 KiB at least).
const HUGE_BYTES: usize = 1 << 20;

/// The variant for a host; `None` for hosts that have none.
pub(crate) fn answer(host: &str) -> Option<Answer> {
    let variant = host.strip_prefix("robots-")?.split('.').next()?;
    let text = |body: &str| Answer::Whole(ok(TEXT, body));
    let redirect =
        |to: &str| Answer::Whole(Bytes::from(head(302, &[("Location", to), ("Content-Length", "0")])));
    Some(match variant {
        "deny" => text("User-agent: *\nDisallow: /\n"),
        "deny-products" => text("User-agent: *\nDisallow: /p/\nAllow: /p/1$\n"),
        "allow" => text("User-agent: *\nDisallow:\n"),
        "delay" => text("User-agent: *\nCrawl-delay: 1\n"),
        "named" => text("User-agent: trawl\nDisallow: /p/\n\nUser-agent: *\nAllow: /\n"),
        "missing" => Answer::Whole(response(404, &[("Content-Type", TEXT)], b"no robots here")),
        "forbidden" => Answer::Whole(response(403, &[("Content-Type", TEXT)], b"no")),
        "broken" => Answer::Whole(response(500, &[("Content-Type", TEXT)], b"broken")),
        "html" => {
            Answer::Whole(ok(HTML, "<!DOCTYPE html><title>Shop</title><p>Disallow: / is what we do not say."))
        }
        "redirect" => redirect("/bad/redirect-to?url=/robots/deny"),
        "loop" => redirect("/robots.txt"),
        "inside" => redirect("http://169.254.169.254/robots.txt"),
        // What is beyond the first 500 KiB does not count.
        "huge" => text(&format!(
            "User-agent: *\nAllow: /\n{}\nDisallow: /\n",
            "# filling\n".repeat(HUGE_BYTES / 10)
        )),
        "stall" => Answer::Trick(Trick::Stall(Bytes::new())),
        "drop" => Answer::Trick(Trick::Drop),
        _ => return None,
    })
}

/// `/robots/{name}`: where a redirect leads.
pub(crate) fn target(name: &str) -> Option<Answer> {
    (name == "deny").then(|| Answer::Whole(ok(TEXT, "User-agent: *\nDisallow: /\n")))
}
