//! Every fixed bound of extraction: number, unit, reason. A page is written by a stranger, a scraper file nearly so.

/// Records taken from one page. Real lists have hundreds; more is a page made to exhaust memory.
pub const RECORDS_PER_PAGE: usize = 10_000;
/// Links followed from one page, for the same reason.
pub const FOLLOWS_PER_PAGE: usize = 50_000;
/// Elements of one list value.
pub const LIST_ITEMS: usize = 50_000;
/// Bytes of one text value. The longest articles have a few hundred kilobytes.
pub const TEXT_BYTES: usize = 1 << 20;
/// Bytes of a value that is the whole page (HTML, markdown, text of it): what the fetcher may bring, decoded.
pub const PAGE_TEXT_BYTES: usize = 32 << 20;
/// Bytes of text that reading one page may produce in all: nested rows would otherwise repeat the page for each level.
pub const PAGE_BUDGET_BYTES: usize = 128 << 20;
/// Bytes of a URL, in inputs and on pages: servers refuse longer ones.
pub const URL_BYTES: usize = 8 << 10;
/// Listing pages of one discovery, unless the file says otherwise (`max_pages`).
pub const LISTING_PAGES_DEFAULT: u32 = 1_000;
/// Warnings of one page: the hundredth says no more than the first.
pub const WARNINGS: usize = 20;
/// Bytes of a scraper file.
pub const FILE_BYTES: usize = 1 << 20;
/// Bytes of a compiled regular expression, so that a file cannot take the memory of the process.
pub const REGEX_BYTES: usize = 1 << 20;
/// Errors reported of one scraper file.
pub const FILE_ERRORS: usize = 100;
/// Nodes of JSON that one path or one JSON-LD search may visit.
pub const JSON_STEPS: usize = 1_000_000;
/// Nodes that one JSON path may give.
pub const JSON_NODES: usize = 100_000;
/// Depth of fields within fields in a scraper file.
pub const FIELD_DEPTH: usize = 8;
/// Scripts of structured data read from one page.
pub const LD_SCRIPTS: usize = 500;
/// Microdata items read from one page.
pub const MICRODATA_ITEMS: usize = 20_000;
/// Bytes in a single value of a page parsed as a date or a price: both are short, the rest of a long text is prose.
pub const SHORT_VALUE_BYTES: usize = 256;
/// Bytes of a sitemap or feed, unpacked (sitemaps.org: 50 MiB).
pub const FEED_BYTES: u64 = 50 << 20;
/// Entries of one (sitemaps.org: 50,000).
pub const FEED_ENTRIES: usize = 50_000;
/// Bytes of one value of an entry.
pub const FEED_VALUE_BYTES: usize = 64 << 10;
/// Bytes of a page that are looked at to tell a refusal: walls are small, and one with a style sheet in it is not large.
pub const REFUSAL_BYTES: usize = 256 << 10;
/// Bytes of a page that gave a record without anything that it must have, above which it is no wall.
pub const REFUSAL_PAGE_BYTES: usize = 128 << 10;
/// Hints of one scraper file on what its site's refusals look like.
pub const REFUSAL_HINTS: usize = 100;
