//! Every fixed bound of the system: number, unit, reason. What an operator may change is a setting instead.

/// Inputs in one job. Small enough that progress is fresh and a crash costs little, large enough that the database
/// is touched once per slice and not per page (design section 7).
pub const SLICE_INPUTS: usize = 64;
/// A slice is closed after this many milliseconds and hands the rest back.
pub const SLICE_MS: i64 = 2_000;
/// Jobs of one snapshot for one host that are leased at once: one working, one ready to follow it.
pub const LANE_LEASES: u32 = 2;
/// Runs that one claim passes over because other nodes work for all hosts of which they have ready jobs. The holders of
/// those hosts see whatever lies behind them, so nothing is left undone; only its cost is bounded.
pub const PASSED_RUNS: usize = 256;
/// A job whose lease was lost this often is split in two, so that an input that kills its worker is isolated.
pub const LOST_LEASES_SPLIT: u32 = 3;
/// A single input whose lease was lost this often is settled as an error.
pub const LOST_LEASES_SETTLE: u32 = 8;
/// Characters of an `Idempotency-Key` (api.md 15.12).
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;
/// Milliseconds for which an idempotency key is remembered: 24 h.
pub const IDEMPOTENCY_MS: i64 = 86_400_000;
/// Bytes of one input row. A row is a URL and a few options; a megabyte leaves room for lists of URLs.
pub const ROW_BYTES: usize = 1 << 20;
/// Smallest `batch_size` (api.md 5.1).
pub const BATCH_ROWS_MIN: u64 = 1_000;
/// Bounds of `stream_max_lines` (api.md 2.1).
pub const STREAM_LINES: std::ops::RangeInclusive<u64> = 10..=100_000;
/// Rows of the snapshot list: default and most (api.md 6.5).
pub const LIST_ROWS_DEFAULT: u64 = 1_000;
/// See [`LIST_ROWS_DEFAULT`].
pub const LIST_ROWS_MAX: u64 = 5_000;
/// Characters of a failure's message kept in a row: a sentence, not a page.
pub const MESSAGE_CHARS: usize = 500;
/// Listing pages followed from one input, so that an endless "next" link ends (settable per scraper, below this).
pub const LISTING_PAGES_MAX: u32 = 10_000;
/// Listing pages in a row that bring nothing new to a run before their trail ends: a calendar may have a few empty
/// months, an endless one has nothing else.
pub const BARREN_PAGES: u32 = 20;
/// Deliveries that a list over all runs looks at, the newest: what is older is asked for by its snapshot.
pub const DELIVERIES_SEEN: u64 = 50_000;
/// Rows of a list of deliveries: default and most.
pub const DELIVERIES_DEFAULT: u64 = 100;
/// See [`DELIVERIES_DEFAULT`].
pub const DELIVERIES_MAX: u64 = 1_000;
