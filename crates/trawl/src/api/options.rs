//! The caller's words (query and body options) → what a trigger asks. Pure.
//!
//! Invariants: nothing is believed that was not checked here; the query wins over the body (api.md 15.11); `now` is
//! an argument.

use super::destination;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, age_ms, optional, required};
use extract::Scraper;
use http::{HeaderName, HeaderValue};
use model::{
    Artifact, Cargo, DatasetId, Delivery, DeliveryId, DeliveryState, Destination, Door, Format, HiddenLines,
    Notice, Origin, Promise, Reuse, Sealed, SnapshotId, Timestamp, Trigger, Wishes, duration_ms, limit,
};
use serde_json::{Map, Value};

/// The largest limit: what a signed 64-bit column holds.
pub(super) const COUNT_MAX: u64 = i64::MAX as u64;
/// Names in `custom_input_fields`.
const CARRIED_FIELDS: usize = 1_000;
/// Names in `custom_output_fields`.
const OUTPUT_FIELDS: usize = 1_000;
/// Keys of every row besides the scraper's fields.
const ROW_KEYS: &[&str] = &["timestamp", "input", "discovery_input", "error", "error_code"];
/// Prefix of parameters that set a header of the webhook.
const HEADER_PREFIX: &str = "webhook_header_";
/// Header lines of one webhook.
const HEADERS: usize = 50;
/// Bytes of one header line for pages.
const HEADER_BYTES: usize = 4 << 10;
/// Characters of a session's name.
const SESSION_CHARS: usize = 64;
/// Headers that belong to the transport.
const OWN_HEADERS: &[&str] =
    &["host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"];
/// Options that only the query may set: they decide how the body is read.
const QUERY_ONLY: &[&str] = &["dataset_id", "type", "discover_by"];
/// Words of `deliver` that stand for an object: no delivery, or the dataset's own destination.
const DELIVER_WORDS: &[&str] = &["none", "default"];

const DATASET: Param =
    required("dataset_id", Kind::Text, "Which scraper: its dataset id, an alias of it, or its name.");
const FIELDS: Param = optional(
    "custom_output_fields",
    Kind::Fields,
    "Only these fields, separated by `|`; dotted paths pick inside objects.",
);
const TYPE: Param = optional(
    "type",
    Kind::Word(&["discover_new", "url_collection"]),
    "`discover_new`: the inputs lead to pages to collect; needs `discover_by`.",
);
const DISCOVER_BY: Param =
    optional("discover_by", Kind::Text, "The way of discovery, such as `keyword` or `category_url`.");
const INCLUDE_ERRORS: Param = optional("include_errors", Kind::Flag, "Put error rows in the result.");
const LIMIT_PER_INPUT: Param =
    optional("limit_per_input", Kind::Count(1, COUNT_MAX), "Most records for one input.");
const LIMIT_RESULTS: Param =
    optional("limit_multiple_results", Kind::Count(1, COUNT_MAX), "Most records in all.");
const DEADLINE: Param = optional(
    "deadline",
    Kind::Deadline,
    "Stop then and keep what was collected: an ISO moment, or a duration such as `30s`, `15min`, `2h`, `3d`.",
);
const ARCHIVE: Param = optional(
    "archive",
    Kind::Flag,
    "Keep every page as it came: to be downloaded, read again and explained.",
);
const DISCOVER_ONLY: Param =
    optional("discover_only", Kind::Flag, "The rows are the inputs found; nothing is collected.");

const SESSION: Param = optional(
    "session",
    Kind::Text,
    "Name of a session: pages of it share cookies and proxy, over all your jobs of this dataset that name it.",
);
const REVALIDATE: Param = optional(
    "revalidate",
    Kind::Flag,
    "Ask sites only whether pages kept from earlier jobs have changed; the scraper's or the server's setting if absent.",
);
const MAX_AGE: Param = optional(
    "cache_max_age",
    Kind::Age,
    "Do not fetch pages again that were fetched less than this ago, such as `30min` or `1h`; `0` always asks.",
);

const ONLY_CHANGED: Param = optional(
    "only_changed",
    Kind::Flag,
    "Give only the records that an earlier snapshot did not give, or gave otherwise.",
);
const SINCE: Param = optional(
    "since",
    Kind::Text,
    "With `only_changed`: the earlier snapshot; if absent, the last ready one of the same dataset and door.",
);

/// Parameters of a trigger (api.md 2.1).
pub(super) const TRIGGER: &[Param] = &[
    DATASET,
    FIELDS,
    TYPE,
    DISCOVER_BY,
    INCLUDE_ERRORS,
    LIMIT_PER_INPUT,
    LIMIT_RESULTS,
    optional("notify", Kind::FlagOrUrl, "Address told when the job ends; `true`: the `endpoint` is told."),
    optional("endpoint", Kind::Url, "Webhook that receives the data."),
    optional("webhook", Kind::Url, "Another name of `endpoint`."),
    optional("format", Kind::Format, "Format of the webhook's payload; `json` if absent."),
    optional("auth_header", Kind::Text, "`Authorization` of webhook and notification, verbatim."),
    optional("uncompressed_webhook", Kind::Flag, "Do not gzip the webhook's payload."),
    DEADLINE,
    optional(
        "stream_max_lines",
        Kind::Count(*limit::STREAM_LINES.start(), *limit::STREAM_LINES.end()),
        "Deliver in chunks of so many lines while the job runs; needs a delivery.",
    ),
    optional(
        "download_fields",
        Kind::Words(&["html", "warc", "screenshot"]),
        "Deliver the pages too, after the rows: their text, the archive, pictures of rendered pages. Needs a delivery.",
    ),
    ARCHIVE,
    optional("force_deliver", Kind::Flag, "Deliver also when nothing was collected."),
    optional(
        "deliver",
        Kind::Word(DELIVER_WORDS),
        "`none`: not to the dataset's default destination; `default`: there, or refuse the trigger if it has none.",
    ),
    optional(
        "quarantine",
        Kind::Flag,
        "Hold the rows back if the quality gate fails them, until they are released; the server's setting if absent.",
    ),
    DISCOVER_ONLY,
    SESSION,
    REVALIDATE,
    MAX_AGE,
    ONLY_CHANGED,
    SINCE,
];

/// Parameters of a synchronous call (api.md 3.1).
pub(super) const SCRAPE: &[Param] = &[
    DATASET,
    FIELDS,
    TYPE,
    DISCOVER_BY,
    INCLUDE_ERRORS,
    LIMIT_PER_INPUT,
    LIMIT_RESULTS,
    optional("format", Kind::Format, "Format of the answer; `ndjson` if absent."),
    optional("notify", Kind::FlagOrUrl, "Address told when the job ends."),
    DEADLINE,
    ARCHIVE,
    DISCOVER_ONLY,
    SESSION,
    REVALIDATE,
    MAX_AGE,
    ONLY_CHANGED,
    SINCE,
];

/// Does a trigger take this option in the query only?
pub(super) fn is_query_only(name: &str) -> bool {
    QUERY_ONLY.contains(&name) || name.starts_with(HEADER_PREFIX)
}

/// The options that a schedule keeps for its triggers: an object of them by name. Their values are checked with the rest
/// of the trigger.
pub(super) fn kept(value: &Value) -> std::result::Result<Map<String, Value>, String> {
    let options = value.as_object().ok_or("must be an object of a trigger's options")?;
    for (name, value) in options {
        let is_known = TRIGGER.iter().any(|param| param.name == name && name != "dataset_id")
            || ["custom_input_fields", "request_headers"].contains(&name.as_str())
            || name.starts_with(HEADER_PREFIX);
        let shown = || name.chars().take(60).collect::<String>();
        if !is_known {
            return Err(format!("has `{}`, which is no option of a trigger", shown()));
        }
        if is_query_only(name) && !value.is_string() {
            return Err(format!("has `{}`, which must be a string", shown()));
        }
    }
    Ok(options.clone())
}

/// The words of a request, checked one by one; what they mean together is [`Options::read`].
#[derive(Clone, Debug)]
pub(super) struct Words {
    query: Query,
    table: &'static [Param],
    /// Options of a wrapped body that have no place in a query.
    deliver: Option<Value>,
    request_headers: HiddenLines,
    carried: Vec<String>,
    /// Where the dataset's rows go if the request names no place.
    default: Option<Promise>,
}

impl Words {
    /// Of the query alone.
    pub(super) fn of_query(raw: Option<&str>, table: &'static [Param]) -> Result<Self> {
        Ok(Self {
            query: Query::read(raw, table)?,
            table,
            deliver: None,
            request_headers: HiddenLines::default(),
            carried: Vec::new(),
            default: None,
        })
    }

    /// With the destination that the dataset has by default.
    pub(super) fn with_default(mut self, promise: Option<Promise>) -> Self {
        self.default = promise;
        self
    }

    /// With the options of a wrapped body, checked by the same table.
    pub(super) fn with_body(mut self, body: &Map<String, Value>) -> Result<Self> {
        let mut faults = Vec::new();
        for param in self.table.iter().filter(|param| !QUERY_ONLY.contains(&param.name)) {
            if param.name == "deliver" && body.get("deliver").is_some_and(Value::is_object) {
                continue;
            }
            let Some(text) = body.get(param.name).and_then(|value| text_of(value, param.kind)) else {
                continue;
            };
            match text.and_then(|text| param.kind.check(&text).map(|()| text)) {
                Ok(text) => self.query.add(param.name, text),
                Err(fault) => faults.push(format!("\"{}\" {fault}", param.name)),
            }
        }
        match carried(body) {
            Ok(carried) => self.carried = carried,
            Err(fault) => faults.push(fault),
        }
        match request_headers(body) {
            Ok(headers) => self.request_headers = headers,
            Err(fault) => faults.push(fault),
        }
        self.deliver = body.get("deliver").filter(|value| value.is_object()).cloned();
        if faults.is_empty() { Ok(self) } else { Err(ApiError::options(faults)) }
    }

    /// The dataset that is meant.
    pub(super) fn dataset_id(&self) -> Result<&str> {
        self.query.text("dataset_id").ok_or_else(|| ApiError::missing("Collector not found"))
    }

    /// The way in to the scraper, or the documented refusal.
    pub(super) fn door(&self, scraper: &Scraper) -> Result<Door> {
        let discovers = self.query.text("type") == Some("discover_new");
        let door = match self.query.text("discover_by") {
            None if discovers => {
                return Err(ApiError::bad("Incorrect discovery collector id discover_by is required"));
            }
            None => Door::Collect,
            Some(_) if !discovers => {
                return Err(ApiError::option("\"discover_by\" requires \"type\" to be discover_new"));
            }
            Some(by) => Door::Discover(by.to_owned()),
        };
        match &door {
            _ if scraper.has_door(&door) => Ok(door),
            Door::Collect => Err(ApiError::bad("This dataset does not support collection")),
            Door::Discover(_) => Err(ApiError::bad(format!(
                "Incorrect discovery collector id Available types: {}",
                scraper.discover_methods().join(", ")
            ))),
        }
    }

    /// The limit that decides how rows are grouped.
    pub(super) fn limit_per_input(&self) -> Option<u64> {
        self.query.count("limit_per_input")
    }

    /// Keys of rows that are carried but not part of the schema.
    pub(super) fn carried(&self) -> &[String] {
        &self.carried
    }

    /// The earlier run that is named.
    pub(super) fn since(&self) -> Option<&str> {
        self.query.text("since")
    }

    /// The format asked for.
    pub(super) fn format(&self) -> Option<Format> {
        self.query.format()
    }
}

/// A body's option as the text a query would have; `None` for null.
fn text_of(value: &Value, kind: Kind) -> Option<std::result::Result<String, String>> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Array(list) if matches!(kind, Kind::Fields) => {
            let names: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            names.map(|names| names.join("|")).ok_or_else(|| "must be a list of field names".to_owned())
        }
        Value::Array(_) | Value::Object(_) => Err("must be a single value".to_owned()),
    })
}

/// `custom_input_fields` of a body.
pub(super) fn carried(body: &Map<String, Value>) -> std::result::Result<Vec<String>, String> {
    let fault = || "\"custom_input_fields\" must be an array of field names".to_owned();
    match body.get("custom_input_fields") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(names)) if names.len() <= CARRIED_FIELDS => {
            names.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(fault)).collect()
        }
        Some(_) => Err(fault()),
    }
}

/// `request_headers` of a body: an object of names and values, checked as those of a scraper file.
fn request_headers(body: &Map<String, Value>) -> std::result::Result<HiddenLines, String> {
    let lines = match body.get("request_headers") {
        None | Some(Value::Null) => return Ok(HiddenLines::default()),
        Some(Value::Object(lines)) if lines.len() <= HEADERS => lines,
        Some(_) => {
            return Err(format!("\"request_headers\" must be an object of at most {HEADERS} header lines"));
        }
    };
    let line = |(name, value): (&String, &Value)| {
        let shown: String = name.chars().take(60).collect();
        let Some(value) = value.as_str().filter(|value| value.len() <= HEADER_BYTES) else {
            return Err(format!(
                "\"request_headers\": `{shown}` must be a text of at most {HEADER_BYTES} bytes"
            ));
        };
        match extract::header_fault(name, value) {
            Some(fault) => Err(format!("\"request_headers\": {fault}")),
            None => Ok((name.to_ascii_lowercase(), value.to_owned())),
        }
    };
    lines.iter().map(line).collect::<std::result::Result<_, _>>().map(HiddenLines)
}

/// What a request asks, apart from its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    custom_output_fields: Option<Vec<String>>,
    deadline: Option<Timestamp>,
    promises: Vec<Promise>,
    notice: Option<Notice>,
}

impl Options {
    /// What the words mean together. `more`: options of the body may still follow, so that what they could mend is
    /// not refused yet.
    pub(super) fn read(words: &Words, scraper: &Scraper, now: Timestamp, more: bool) -> Result<Self> {
        if let Some(name) = words.query.text("session") {
            if name.chars().count() > SESSION_CHARS || name.chars().any(char::is_control) {
                return Err(ApiError::option(format!(
                    "\"session\" must have at most {SESSION_CHARS} characters"
                )));
            }
            if scraper.login().is_some() {
                return Err(ApiError::option(
                    "\"session\" cannot be set: this dataset logs in and has a session of its own",
                ));
            }
        }
        if words.since().is_some() && !words.query.flag("only_changed") && !more {
            return Err(ApiError::option("\"since\" requires \"only_changed\""));
        }
        let custom_output_fields = output_fields(&words.query, scraper)?;
        let deadline = match words.query.text("deadline") {
            None => None,
            Some(text) => {
                let at = duration_ms(text).map(|ms| now.plus_ms(ms)).or_else(|| Timestamp::parse(text));
                let at = at.filter(|at| *at > now);
                Some(at.ok_or_else(|| ApiError::option("\"deadline\" must be in the future"))?)
            }
        };
        let mut promises = Vec::new();
        promises.extend(webhook(&words.query)?);
        if let Some(deliver) = &words.deliver {
            promises.push(destination::promise(deliver)?);
        }
        match (words.query.text("deliver"), &words.default) {
            (Some("default"), None) => {
                return Err(ApiError::option(
                    "\"deliver\" is default, but this dataset has no default destination",
                ));
            }
            (Some("default"), Some(promise)) => promises.push(promise.clone()),
            (None, Some(promise)) if promises.is_empty() => promises.push(promise.clone()),
            _ => {}
        }
        if let Some(lines) = words.query.count("stream_max_lines") {
            if promises.is_empty() && !more {
                return Err(ApiError::option("\"stream_max_lines\" requires \"endpoint\" or \"deliver\""));
            }
            for promise in &mut promises {
                promise.batch_size = Some(lines);
                promise.stream = true;
            }
        }
        if promises.is_empty() && !more && words.query.text("download_fields").is_some() {
            return Err(ApiError::option("\"download_fields\" requires \"endpoint\" or \"deliver\""));
        }
        let notice = if more { None } else { notice(&words.query)? };
        Ok(Self { custom_output_fields, deadline, promises, notice })
    }

    /// The trigger. `quarantine`: what holds if the caller does not say.
    pub(super) fn trigger(
        &self,
        words: &Words,
        scraper: &Scraper,
        door: &Door,
        origin: Origin,
        express: bool,
        quarantine: bool,
    ) -> Result<Trigger> {
        // Somebody waits for the rows of a synchronous call, and they are few.
        let quarantine = !express
            && match words.query.text("quarantine") {
                Some(_) => words.query.flag("quarantine"),
                None => quarantine,
            };
        let mut promises = self.promises.clone();
        if quarantine {
            // Chunks are sent once the verdict is known.
            promises.iter_mut().for_each(|promise| promise.stream = false);
        }
        Ok(Trigger {
            dataset_id: DatasetId(words.dataset_id()?.to_owned()),
            scraper: scraper.name().to_owned(),
            scraper_version: scraper.version().to_owned(),
            door: door.clone(),
            include_errors: words.query.flag("include_errors"),
            custom_output_fields: self.custom_output_fields.clone(),
            custom_input_fields: words.carried.clone(),
            limit_per_input: words.limit_per_input(),
            limit_multiple_results: words.query.count("limit_multiple_results"),
            deadline: self.deadline,
            discover_only: words.query.flag("discover_only"),
            force_deliver: words.query.flag("force_deliver"),
            promises,
            notice: self.notice.clone(),
            quarantine,
            express,
            wishes: Wishes {
                session: words.query.text("session").map(str::to_owned),
                request_headers: words.request_headers.clone(),
                reuse: reuse(&words.query),
                only_changed: words.query.flag("only_changed"),
                ..wishes(&words.query)
            },
            origin,
        })
    }
}

/// What is wanted beyond the documented API. Delivered pages have to be kept first.
fn wishes(query: &Query) -> Wishes {
    let words = query.text("download_fields").unwrap_or_default().split(',');
    let mut artifacts: Vec<Artifact> = words.filter_map(|word| Artifact::parse(word.trim())).collect();
    artifacts.dedup();
    Wishes { archive: query.flag("archive") || !artifacts.is_empty(), artifacts, ..Wishes::default() }
}

/// When kept pages may stand for pages. Who wants only changes need not fetch what has none.
fn reuse(query: &Query) -> Reuse {
    let said = query.text("revalidate").map(|_| query.flag("revalidate"));
    let max_age_ms = query.text("cache_max_age").and_then(age_ms);
    Reuse { revalidate: said.or(query.flag("only_changed").then_some(true)), max_age_ms }
}

/// The deliveries that a trigger promises: they wait for rows, or for the end.
pub(super) fn deliveries(
    trigger: &Trigger,
    snapshot: &SnapshotId,
    now: Timestamp,
    mut random: impl FnMut() -> u64,
) -> Vec<Delivery> {
    let cargos = trigger.promises.iter().cloned().map(Cargo::Rows);
    let cargos = cargos.chain(trigger.notice.iter().cloned().map(Cargo::Notice));
    cargos.map(|cargo| delivery(cargo, snapshot, DeliveryState::Held, now, random())).collect()
}

/// A delivery as it begins.
pub(super) fn delivery(
    cargo: Cargo,
    snapshot: &SnapshotId,
    state: DeliveryState,
    now: Timestamp,
    random: u64,
) -> Delivery {
    Delivery {
        id: DeliveryId::new(now, random),
        snapshot: snapshot.clone(),
        cargo,
        state,
        parts_done: 0,
        failures: 0,
        failing_since: None,
        last_error: None,
        files: Vec::new(),
        created_at: now,
    }
}

fn output_fields(query: &Query, scraper: &Scraper) -> Result<Option<Vec<String>>> {
    let Some(text) = query.text("custom_output_fields") else { return Ok(None) };
    let paths: Vec<String> = text.split('|').map(|path| path.trim().to_owned()).collect();
    if paths.len() > OUTPUT_FIELDS {
        return Err(ApiError::option(format!(
            "\"custom_output_fields\" must not name more than {OUTPUT_FIELDS} fields"
        )));
    }
    let knows =
        |name: &str| ROW_KEYS.contains(&name) || scraper.fields().iter().any(|field| field.name == name);
    for path in &paths {
        let outermost = path.split('.').next().unwrap_or(path);
        if !knows(path) && !knows(outermost) {
            let known: Vec<&str> = scraper.fields().iter().map(|field| field.name.as_str()).collect();
            return Err(ApiError::option(format!(
                "\"custom_output_fields\" names the unknown field \"{path}\"; known fields: {}",
                known.iter().chain(&ROW_KEYS[..3]).copied().collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(Some(paths))
}

fn header_value(name: &str, value: &str) -> Result<String> {
    match HeaderValue::from_str(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err(ApiError::option(format!("\"{name}\" must be a valid header value"))),
    }
}

fn auth_header(query: &Query) -> Result<Option<Sealed>> {
    query.text("auth_header").map(|value| header_value("auth_header", value).map(Sealed::plain)).transpose()
}

fn webhook(query: &Query) -> Result<Option<Promise>> {
    let Some(endpoint) = query.text("endpoint").or_else(|| query.text("webhook")) else { return Ok(None) };
    let (endpoint, login) = destination::without_login(endpoint);
    let mut auth = auth_header(query)?;
    let mut headers = Vec::new();
    for (key, value) in query.pairs() {
        let Some(name) = key.strip_prefix(HEADER_PREFIX) else { continue };
        let lower = name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() || OWN_HEADERS.contains(&lower.as_str()) {
            return Err(ApiError::option(format!(
                "\"{HEADER_PREFIX}\" must be followed by the name of a header of your own"
            )));
        }
        let value = header_value(key, value)?;
        if lower == "authorization" {
            auth.get_or_insert(Sealed::plain(value));
        } else {
            headers.push((name.to_owned(), Sealed::plain(value)));
        }
    }
    if headers.len() > HEADERS {
        return Err(ApiError::option(format!(
            "\"{HEADER_PREFIX}\" must not be given more than {HEADERS} times"
        )));
    }
    Ok(Some(Promise {
        destination: Destination::Webhook { endpoint, auth_header: auth.or(login), headers },
        format: query.format().unwrap_or_default(),
        compress: !query.flag("uncompressed_webhook"),
        batch_size: None,
        stream: false,
        file_template: None,
        notify: None,
    }))
}

fn notice(query: &Query) -> Result<Option<Notice>> {
    let endpoint = match query.text("notify") {
        None => return Ok(None),
        Some(word) if word.eq_ignore_ascii_case("false") => return Ok(None),
        Some(word) if word.eq_ignore_ascii_case("true") => {
            let endpoint = query.text("endpoint").or_else(|| query.text("webhook"));
            endpoint.ok_or_else(|| ApiError::option("\"notify\" requires \"endpoint\" if it is true"))?
        }
        Some(address) => address,
    };
    let (endpoint, login) = destination::without_login(endpoint);
    Ok(Some(Notice { endpoint, auth_header: auth_header(query)?.or(login) }))
}
