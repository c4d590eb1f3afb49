//! A compiled scraper: what the server calls.
//!
//! Owns: the path row → believed → request → extraction. Must not know: how any of it is stored or fetched.
//! Invariant: a scraper is a function of its page; every function is total.

use crate::explain::{self, ExplainError, Explanation, Rule};
use crate::page::{Parts, Reader, Tried, View};
use crate::spec::{DoorPlan, DoorSpec, FieldSpec, Format, PageKind, Spec, Yield};
use crate::{
    Believed, Extraction, FieldError, FileError, InputType, Login, Secrets, Session, file, limit, login,
    rendered, schema, walk,
};
use model::{Door, Failure, FailureCode, FetchMode, HiddenLines, Input, Page, Request};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use url::Url;

/// A compiled scraper file. Cheap to share, immutable; its version is a digest of the file.
#[derive(Debug)]
pub struct Scraper {
    name: String,
    version: String,
    /// The file itself: what explanations quote.
    text: String,
    spec: Spec,
}

impl Scraper {
    /// Compiles a file, or says everything that is wrong with it. `name` is the name of its folder.
    pub fn compile(name: &str, text: &str) -> Result<Arc<Self>, Vec<FileError>> {
        let spec = file::compile(text)?;
        Ok(Arc::new(Self { name: name.to_owned(), version: version(text), text: text.to_owned(), spec }))
    }

    /// Name of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name for people.
    pub fn title(&self) -> &str {
        &self.spec.title
    }

    /// For people.
    pub fn description(&self) -> &str {
        &self.spec.description
    }

    /// The id that callers send.
    pub fn dataset_id(&self) -> &str {
        &self.spec.dataset_id
    }

    /// Other ids that mean it.
    pub fn aliases(&self) -> &[String] {
        &self.spec.aliases
    }

    /// The first of its sites; `None` for generic scrapers.
    pub fn domain(&self) -> Option<&str> {
        self.spec.sites.first().map(String::as_str)
    }

    /// A short digest of the file, in hexadecimal.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The ways in, in the order of the file.
    pub fn doors(&self) -> &[DoorSpec] {
        &self.spec.door_specs
    }

    /// Is there this way in?
    pub fn has_door(&self, door: &Door) -> bool {
        self.door(door).is_some()
    }

    /// The words of `discover_by`.
    pub fn discover_methods(&self) -> Vec<&str> {
        self.spec.doors.iter().filter_map(|d| d.method.as_deref()).collect()
    }

    /// The output schema: the columns of a CSV, in order.
    pub fn fields(&self) -> &[FieldSpec] {
        &self.spec.fields
    }

    /// Names of the fields by which a record is the same record in another run; none: its address is.
    pub fn key(&self) -> &[String] {
        &self.spec.key
    }

    /// Whether kept pages may stand for pages, as far as the file says.
    pub fn reuse(&self) -> model::Reuse {
        self.spec.needs.reuse
    }

    /// Generic scrapers accept unknown input keys and carry them to the records' `input`.
    pub fn carries_extra_inputs(&self) -> bool {
        self.spec.carries_extra_inputs
    }

    /// The fewest inputs of one trigger (`Should be at least LIMIT inputs`).
    pub fn min_inputs(&self) -> u64 {
        self.spec.min_inputs
    }

    /// Whose cookies and proxy its pages share.
    pub fn session(&self) -> &Session {
        &self.spec.session
    }

    /// How it logs in.
    pub fn login(&self) -> Option<&Login> {
        self.spec.login.as_ref()
    }

    /// Is the address on one of its sites, or below?
    pub fn is_own_site(&self, url: &Url) -> bool {
        is_site(&self.spec.sites, url)
    }

    /// Names of the secrets that it needs, each once.
    pub fn secrets(&self) -> Vec<String> {
        let headers = self.spec.secret_headers.iter().flat_map(|(_, text)| text.names()).map(str::to_owned);
        let login = self.spec.login.iter().flat_map(Login::secrets);
        headers.chain(login).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Its header lines with secrets, for an address of its own sites; none for others. The reason, if a secret lacks.
    pub fn secret_headers(&self, url: &Url, secrets: Secrets<'_>) -> Result<HiddenLines, String> {
        if self.spec.secret_headers.is_empty() || !self.is_own_site(url) {
            return Ok(HiddenLines::default());
        }
        login::lines(&self.spec.secret_headers, secrets)
    }

    /// The country that an input's own row says, and under which key.
    pub fn country_said(&self, door: &Door, input: &Input) -> Option<(String, String)> {
        let (_, spec) = self.door(door)?;
        let wanted = spec.inputs.iter().find(|input| input.kind == InputType::Country)?;
        let row = object(&input.row)?;
        let text = schema::value_of(wanted, &row)?.as_str()?.trim().to_owned();
        (!text.is_empty()).then(|| (wanted.name.clone(), text))
    }

    /// The country that the site should see for an input: what the row that led to it says, by the door's schema.
    fn country(&self, door: &Door, input: &Input, row: &Map<String, Value>) -> Option<String> {
        let (_, spec) = self.door(door)?;
        let wanted = spec.inputs.iter().find(|input| input.kind == InputType::Country)?;
        let caller = input.discovery.as_deref().and_then(object);
        let given = schema::value_of(wanted, caller.as_ref().unwrap_or(row))
            .and_then(Value::as_str)
            .filter(|text| !text.trim().is_empty());
        let text = given.or_else(|| wanted.default.as_ref().and_then(Value::as_str))?;
        Some(text.trim().to_ascii_lowercase())
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The modes that its pages ask for; `None` where the file leaves it to the operator.
    pub fn modes(&self) -> impl Iterator<Item = Option<FetchMode>> {
        self.spec.pages.iter().map(|kind| match &kind.capture {
            Some(_) => Some(FetchMode::Browser),
            None => kind.how.mode.or(self.spec.needs.mode),
        })
    }

    fn door(&self, door: &Door) -> Option<(&DoorPlan, &DoorSpec)> {
        let method = match door {
            Door::Collect => None,
            Door::Discover(method) => Some(method.as_str()),
        };
        let at = self.spec.doors.iter().position(|d| d.method.as_deref() == method)?;
        Some((&self.spec.doors[at], &self.spec.door_specs[at]))
    }

    /// Believes a row of the caller: every field error at once. `carried` are `custom_input_fields`.
    pub fn believe(
        &self,
        door: &Door,
        row: &Map<String, Value>,
        carried: &[String],
    ) -> Result<Believed, Vec<FieldError>> {
        let Some((plan, spec)) = self.door(door) else {
            let reason = format!("There is no door {}", door.name());
            return Err(vec![FieldError { field: "discover_by".into(), reason }]);
        };
        let extra = |key: &str| self.spec.carries_extra_inputs || carried.iter().any(|c| c == key);
        schema::believe(plan, spec, row, extra)
    }

    /// What to ask the web for an input.
    pub fn plan(&self, door: &Door, input: &Input) -> Result<Request, Failure> {
        let bad = |message: String| Failure::new(FailureCode::BadInput, message);
        let row = object(&input.row).ok_or_else(|| bad("the input is not a JSON object".into()))?;
        let url = if input.kind.is_empty() {
            let (plan, spec) =
                self.door(door).ok_or_else(|| bad(format!("there is no door {}", door.name())))?;
            schema::target_url(plan, spec, &row)
                .map_err(|(field, reason)| bad(format!("{field}: {reason}")))?
        } else {
            let text = row.get("url").and_then(Value::as_str).unwrap_or_default();
            schema::parse_url(text).ok_or_else(|| bad("url: This field must be a valid url".into()))?
        };
        let mut url = url;
        url.set_fragment(None);
        let mut request = Request::get(url);
        request.headers.clone_from(&self.spec.headers);
        request.needs.clone_from(&self.spec.needs);
        request.needs.country = self.country(door, input, &row);
        if let Some(kind) = self.kind(door, input) {
            rendered::needs(&mut request.needs, kind, &row);
        }
        Ok(request)
    }

    /// Reads the page of an input.
    pub fn extract(&self, door: &Door, input: &Input, page: &Page) -> Extraction {
        self.read(door, input, page, false).0
    }

    /// Reads the page; if `noting`, tells also which of the file's sources found something.
    pub(crate) fn read(&self, door: &Door, input: &Input, page: &Page, noting: bool) -> (Extraction, Tried) {
        let failed = |failure| (failed(failure), Tried::new());
        let Some(kind) = self.kind(door, input) else {
            let message = format!("the scraper has no page kind `{}` (door {})", input.kind, door.name());
            return failed(Failure::new(FailureCode::Internal, message));
        };
        match &kind.capture {
            Some(pattern) if page.extras.rendered => {
                let mut tried = Tried::new();
                let extraction = rendered::captured(page, pattern, |response| {
                    let (extraction, more) = self.read_as((door, input), kind, response, noting);
                    for (place, has_found) in more {
                        *tried.entry(place).or_default() |= has_found;
                    }
                    extraction
                });
                (extraction, tried)
            }
            // A saved response is read as what it is.
            _ => self.read_as((door, input), kind, page, noting),
        }
    }

    fn read_as(
        &self,
        (door, input): (&Door, &Input),
        kind: &PageKind,
        page: &Page,
        noting: bool,
    ) -> (Extraction, Tried) {
        let failed = |failure| (failed(failure), Tried::new());
        let content_type = page.header("content-type");
        // Packed sitemaps come as what they are packed with.
        if let Some(what) = content_type.and_then(not_a_page).filter(|_| kind.format != Format::Feed) {
            return failed(Failure::new(
                FailureCode::ParseError,
                format!("The answer is {what}, not a page"),
            ));
        }
        let row = object(&input.row);
        let caller = input.discovery.as_deref().and_then(object);
        let begun = input.begun.as_deref().and_then(object);
        let body = body_of(kind, page);
        let parts = Parts::new(
            page,
            &body,
            (kind.format, if kind.is_brief { View::Brief } else { View::Whole }),
            self.spec.scripts,
            [row.as_ref(), caller.as_ref()],
        );
        let reader = Reader::new(&parts);
        let reader = if noting { reader.noting() } else { reader };
        let mut out = Extraction::default();
        let Some(whole) = reader.whole() else {
            let what = if kind.format == Format::Feed { "a sitemap or feed" } else { "JSON" };
            let refused = self.disbelieved((door, input), kind, &parts, &out);
            return failed(refused.unwrap_or_else(|| {
                Failure::new(FailureCode::ParseError, format!("The answer is not {what}"))
            }));
        };
        match &kind.yields {
            Yield::Nothing => {}
            Yield::Record => {
                let record = reader.record(&kind.fields, whole, begun.as_ref());
                match lacks(kind, &record) {
                    Some(names) => {
                        let message = format!("The page has none of the required fields: {names}");
                        out.problem = Some(Failure::new(FailureCode::ParseError, message));
                    }
                    None => out.records.push(record),
                }
            }
            Yield::Rows(sources) => {
                for row in reader.rows(sources) {
                    let record = reader.record(&kind.fields, row, begun.as_ref());
                    if !is_kept(kind, &record) {
                        continue;
                    }
                    if out.records.len() >= limit::RECORDS_PER_PAGE {
                        reader.warn(|| format!("more than {} records on one page", limit::RECORDS_PER_PAGE));
                        break;
                    }
                    out.records.push(record);
                }
            }
        }
        if out.problem.is_none() {
            let mut walk = walk::links(&reader, kind, &self.spec, whole, input.depth);
            let gave = !out.records.is_empty() || !walk.follow.is_empty();
            walk::further(&reader, kind, whole, input.depth, gave, &mut walk);
            (out.follow, out.beyond) = (walk.follow, walk.beyond);
        }
        let (warnings, tried) = reader.into_warnings();
        out.warnings = warnings;
        if let Some(refused) = self.disbelieved((door, input), kind, &parts, &out) {
            out = Extraction { problem: Some(refused), warnings: out.warnings, ..Extraction::default() };
        }
        (out, tried)
    }

    /// Why a record of a page is what it is: every field, or one (`price`, `offers[0].price`). A pass of its own over the
    /// page, for people: it costs several times what [`Scraper::extract`] does.
    pub fn explain(
        &self,
        door: &Door,
        input: &Input,
        page: &Page,
        number: usize,
        field: Option<&str>,
    ) -> Result<Explanation, ExplainError> {
        if let Some(name) = field {
            self.rules(name)?;
        }
        let extraction = self.extract(door, input, page);
        if let Some(problem) = extraction.problem {
            return Err(ExplainError::Page(problem));
        }
        let none = ExplainError::NoRecord { number, count: extraction.records.len() };
        let Some(kind) = self.kind(door, input) else { return Err(none) };
        let [row, caller, begun] = [Some(&*input.row), input.discovery.as_deref(), input.begun.as_deref()]
            .map(|t| t.and_then(object));
        let body = body_of(kind, page);
        // A whole tree, also where extraction needs none: places are paths in it.
        let form = (kind.format, View::Located);
        let parts = Parts::new(page, &body, form, self.spec.scripts, [row.as_ref(), caller.as_ref()]);
        let rows = Reader::new(&parts);
        let (scope, is_row) = match &kind.yields {
            Yield::Nothing => (None, false),
            Yield::Record => (rows.whole().filter(|_| number == 0), false),
            Yield::Rows(sources) => {
                let scopes = rows.rows(sources).into_iter();
                let mut kept =
                    scopes.filter(|row| is_kept(kind, &rows.record(&kind.fields, *row, begun.as_ref())));
                (kept.nth(number), true)
            }
        };
        let Some(scope) = scope else { return Err(none) };
        let steps = field.map(explain::steps);
        let trace = |name: &str| -> Option<explain::Trace> {
            // Each field with a reader of its own: what one costs is not missing to the next.
            let reader = Reader::new(&parts);
            let steps = steps.as_deref().filter(|s| s.first().is_some_and(|s| s.name == name));
            let own = [explain::Step { name, index: 0 }];
            reader.trace_within(&kind.fields, scope, &self.text, steps.unwrap_or(&own), "")
        };
        let wanted = |name: &str| steps.as_ref().is_none_or(|s| s.first().is_some_and(|s| s.name == name));
        let mut fields: Vec<explain::Trace> =
            kind.fields.iter().filter(|f| wanted(&f.name)).filter_map(|f| trace(&f.name)).collect();
        for field in fields.iter_mut().filter(|f| f.value.is_null()) {
            if let Some(value) = begun.as_ref().and_then(|b| b.get(&field.field)) {
                field.value = value.clone();
                field.begun = true;
            }
        }
        if let (Some(name), true) = (field, fields.is_empty()) {
            return Err(self.no_field(name));
        }
        Ok(Explanation {
            scraper: self.name.clone(),
            scraper_version: self.version.clone(),
            page_kind: kind.name.clone(),
            record: number,
            row: if is_row { rows.place_of_scope(scope) } else { None },
            fields,
        })
    }

    /// The sources of a field on any kind of page, in the order of the file.
    pub fn rules(&self, field: &str) -> Result<Vec<Rule>, ExplainError> {
        let first = explain::steps(field).first().map_or("", |s| s.name);
        if !self.spec.fields.iter().any(|f| f.name == first) {
            return Err(self.no_field(field));
        }
        Ok(explain::rules(self.spec.pages.iter().flat_map(|p| &p.fields), field, &self.text))
    }

    fn no_field(&self, name: &str) -> ExplainError {
        let known: Vec<&str> = self.spec.fields.iter().map(|f| f.name.as_str()).collect();
        ExplainError::NoField { name: name.to_owned(), known: known.join(", ") }
    }

    fn kind(&self, door: &Door, input: &Input) -> Option<&PageKind> {
        if input.kind.is_empty() {
            return self.spec.pages.get(self.door(door)?.0.start);
        }
        self.spec.pages.iter().find(|p| p.name == input.kind)
    }
}

/// Is the address on one of the sites, or below it? A site may name a port.
pub(crate) fn is_site(sites: &[String], url: &Url) -> bool {
    let (host, with_port) = (url.host_str().unwrap_or_default(), model::host_of(url));
    sites.iter().map(|site| site.to_ascii_lowercase()).any(|site| {
        site == with_port
            || host == site
            || (url.domain().is_some() && host.strip_suffix(&site).is_some_and(|rest| rest.ends_with('.')))
    })
}

/// The text of a page. A feed tells its encoding within, and may be packed.
fn body_of<'p>(kind: &PageKind, page: &'p Page) -> Cow<'p, str> {
    match kind.format {
        Format::Feed => Cow::Borrowed(""),
        Format::Html | Format::Json => html::decode(&page.body, page.header("content-type")),
    }
}

/// Header lines and advertisements between the rows have none of what every record has.
fn is_kept(kind: &PageKind, record: &Map<String, Value>) -> bool {
    record.values().any(|v| !v.is_null()) && lacks(kind, record).is_none()
}

fn failed(problem: Failure) -> Extraction {
    Extraction { problem: Some(problem), ..Extraction::default() }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

/// The names of the required fields, if the record has none of them.
fn lacks(kind: &PageKind, record: &Map<String, Value>) -> Option<String> {
    let required: Vec<&str> = kind.fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
    let none = required.iter().all(|name| record.get(*name).is_none_or(Value::is_null));
    (none && !required.is_empty()).then(|| required.join(", "))
}

/// Media that no scraper reads.
fn not_a_page(content_type: &str) -> Option<&str> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let lower = media.to_ascii_lowercase();
    let binary = ["image/", "audio/", "video/", "font/"]
        .iter()
        .any(|p| lower.starts_with(p) && lower != "image/svg+xml")
        || ["application/pdf", "application/zip", "application/gzip", "application/octet-stream"]
            .contains(&lower.as_str());
    binary.then_some(media)
}

/// FNV-1a, 64 bits: stable across machines and releases, enough to tell files of one folder apart.
fn version(text: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut out = String::with_capacity(16);
    // Writing to a String cannot fail.
    let _ = write!(out, "{hash:016x}");
    out
}
