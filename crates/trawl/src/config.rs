//! Settings: defaults < file < environment < flags, checked together before anything opens.
//!
//! `config.default.toml` is compiled in and is at once the defaults, the list of settings and their documentation.
//! An unknown key is an error with a suggestion; everything wrong is reported together.

use crate::shards::Shards;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::{Table, Value};

/// The annotated defaults.
pub const DEFAULTS: &str = include_str!("../config.default.toml");
/// What every environment variable of ours begins with.
const PREFIX: &str = "TRAWL_";
/// What the dotted name of every secret begins with, and its environment variable.
const SECRETS: &str = "secrets.";
const SECRET_PREFIX: &str = "TRAWL_SECRET_";
/// Variables that begin so and are no settings.
const NOT_SETTINGS: &[&str] = &["TRAWL_CONFIG", "TRAWL_PAGES", "TRAWL_SCORE", "TRAWL_BIN", "TRAWL_SITE"];

/// Every setting, as written in `config.default.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml, which is the reference")]
pub struct Config {
    pub listen: String,
    pub data: PathBuf,
    pub scrapers: String,
    pub database: Secret,
    pub database_connections: usize,
    pub migrate_at_start: bool,
    pub storage: String,
    pub storage_extra_ca: String,
    pub role: Role,
    pub node: String,
    pub shutdown_secs: u64,
    pub api_token: Secret,
    pub public_url: String,
    pub secret_key: Secret,
    pub secret_keys_old: Vec<Secret>,
    pub log: String,
    pub log_format: LogFormat,
    pub tls: Tls,
    pub api: Api,
    pub metrics: Metrics,
    pub worker: Worker,
    pub fetch: Fetch,
    pub cache: Cache,
    pub browser: Browser,
    pub deliver: Deliver,
    pub email: Email,
    pub archive: Archive,
    pub quality: Quality,
    pub retention: Retention,
    #[serde(default)]
    pub secrets: Secrets,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The API and the web page.
    Api,
    /// Jobs and deliveries.
    Worker,
    /// Both.
    All,
}

impl Role {
    /// Whether it does jobs and deliveries.
    pub fn works(self) -> bool {
        self != Self::Api
    }

    /// Whether it serves the API.
    pub fn serves(self) -> bool {
        self != Self::Worker
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "see config.default.toml")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Tls {
    pub cert: String,
    pub key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Api {
    pub body_bytes_max: u64,
    pub sync_inputs_max: u64,
    pub sync_wait_secs: u64,
    pub running_jobs_max: u64,
    pub requests_per_sec: u32,
    pub connections_max: usize,
    pub head_timeout_secs: u64,
    pub body_idle_timeout_secs: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Metrics {
    pub enabled: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Worker {
    pub jobs: usize,
    pub express_jobs: usize,
    pub extract_threads: usize,
    pub lease_secs: u32,
    pub deliveries: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Fetch {
    pub user_agent: String,
    pub allow_networks: Vec<String>,
    pub proxy: Vec<Secret>,
    pub extra_ca: String,
    pub host_concurrency: u32,
    pub host_delay_ms: u64,
    pub concurrency: u32,
    pub connect_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub page_timeout_ms: u64,
    pub page_bytes_max: u64,
    pub redirects_max: u32,
    pub sessions_max: usize,
    pub retry_after_max_ms: u64,
    pub host_shards: Vec<String>,
    pub names: Vec<String>,
    pub robots: model::RobotsPolicy,
    pub robots_timeout_ms: u64,
    pub crawl_delay_max_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Cache {
    pub revalidate: bool,
    pub max_age: String,
    pub bytes_max: u64,
}

impl Cache {
    /// The age in milliseconds, if there is one; `None` for other words.
    pub fn max_age_ms(&self) -> Option<Option<i64>> {
        match self.max_age.trim() {
            "" => Some(None),
            "0" => Some(Some(0)),
            text => model::duration_ms(text).map(Some),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Browser {
    pub mode: model::FetchMode,
    pub path: String,
    pub contexts: usize,
    pub pages_per_process: u32,
    pub idle_secs: u64,
    pub page_timeout_ms: u64,
    pub memory_mb: u64,
    pub page_memory_mb: u64,
    pub block: Vec<model::ResourceKind>,
    pub remember_hours: u32,
    pub arguments: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Deliver {
    pub allow_networks: Vec<String>,
    pub extra_ca: String,
    pub timeout_secs: u64,
    pub retry_hours: u64,
    pub retry_max_secs: u64,
    pub signing_secret: Secret,
    pub upload_idle_secs: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Email {
    pub smtp_url: Secret,
    pub from: String,
    pub attach_bytes_max: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Archive {
    pub always: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Quality {
    pub quarantine: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see config.default.toml")]
pub struct Retention {
    pub days: u32,
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}

/// Secrets for scraper files, by their names in upper case. Never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|secret| secret.0.as_str())
    }

    /// Those of these names that are not there.
    pub fn missing(&self, names: Vec<String>) -> Vec<String> {
        names.into_iter().filter(|name| !self.0.contains_key(name)).collect()
    }
}

/// Settings by their dotted name, with where each came from.
pub struct Layers {
    values: BTreeMap<String, (Value, &'static str)>,
    faults: Vec<String>,
}

impl Layers {
    /// The compiled-in defaults.
    pub fn defaults() -> Self {
        let mut layers = Self { values: BTreeMap::new(), faults: Vec::new() };
        match DEFAULTS.parse::<Table>() {
            Ok(table) => flatten("", table, &mut |name, value| {
                layers.values.insert(name, (value, "default"));
            }),
            Err(error) => layers.faults.push(format!("the compiled-in defaults are broken: {error}")),
        }
        layers
    }

    /// A settings file's text.
    pub fn file(&mut self, path: &str, text: &str) {
        match text.parse::<Table>() {
            Ok(table) => {
                let mut found = Vec::new();
                flatten("", table, &mut |name, value| found.push((name, value)));
                for (name, value) in found {
                    self.set(&name, value, "file", path);
                }
            }
            Err(error) => self.faults.push(format!("{path}: {error}")),
        }
    }

    /// Environment variables: `TRAWL_FETCH_HOST_DELAY_MS` is `fetch.host_delay_ms`.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let names: BTreeMap<String, String> = self
            .values
            .keys()
            .map(|name| (format!("{PREFIX}{}", name.replace('.', "_").to_uppercase()), name.clone()))
            .collect();
        for (variable, text) in variables {
            if !variable.starts_with(PREFIX) || NOT_SETTINGS.contains(&variable.as_str()) {
                continue;
            }
            // `secret_key` is a setting of this name, not a secret of a scraper.
            if let Some(name) = variable.strip_prefix(SECRET_PREFIX)
                && !names.contains_key(&variable)
            {
                self.secret(name, Value::String(text), "environment", &variable);
                continue;
            }
            match names.get(&variable.replace("__", "_")) {
                Some(name) => {
                    let name = name.clone();
                    self.word(&name, &text, "environment", &variable);
                }
                None => self
                    .faults
                    .push(format!("`{variable}` is no setting{}", suggestion(&variable, names.keys()))),
            }
        }
    }

    /// A flag.
    pub fn flag(&mut self, name: &str, text: &str) {
        self.word(name, text, "flag", &format!("--{name}"));
    }

    /// A value written as a word takes the type of the default.
    fn word(&mut self, name: &str, text: &str, layer: &'static str, place: &str) {
        let value = match self.values.get(name).map(|(value, _)| value) {
            Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => match text.trim() {
                "true" | "1" | "yes" | "on" => Some(Value::Boolean(true)),
                "false" | "0" | "no" | "off" => Some(Value::Boolean(false)),
                _ => None,
            },
            Some(Value::Array(_)) => {
                // A TOML list, or words between commas.
                let list = text
                    .trim()
                    .starts_with('[')
                    .then(|| format!("x = {text}").parse::<Table>().ok()?.remove("x"))
                    .flatten();
                list.or_else(|| {
                    let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
                    Some(Value::Array(words.map(|w| Value::String(w.to_owned())).collect()))
                })
            }
            _ => Some(Value::String(text.to_owned())),
        };
        match value {
            Some(value) => self.set(name, value, layer, place),
            None => self.faults.push(format!("{place}: `{text}` is not of the type of `{name}`")),
        }
    }

    fn secret(&mut self, name: &str, value: Value, layer: &'static str, place: &str) {
        if !extract::is_secret_name(name) {
            self.faults.push(format!("{place}: `{name}` should be letters, digits and `_`, at most 64"));
        } else if value.is_str() {
            self.values.insert(format!("{SECRETS}{}", name.to_ascii_uppercase()), (value, layer));
        } else {
            self.faults.push(format!("{place}: the secret `{name}` should be a string"));
        }
    }

    fn set(&mut self, name: &str, value: Value, layer: &'static str, place: &str) {
        if let Some(secret) = name.strip_prefix(SECRETS) {
            return self.secret(secret, value, layer, place);
        }
        match self.values.get_mut(name) {
            Some(slot) if slot.0.same_type(&value) => *slot = (value, layer),
            Some(slot) => {
                let fault = format!(
                    "{place}: `{name}` should be of type {}, not {}",
                    slot.0.type_str(),
                    value.type_str()
                );
                self.faults.push(fault);
            }
            None => self.faults.push(format!(
                "{place}: there is no setting `{name}`{}",
                suggestion(name, self.values.keys())
            )),
        }
    }

    /// What is meant, or everything that is wrong.
    pub fn build(&self) -> Result<Config, Vec<String>> {
        let mut faults = self.faults.clone();
        let mut root = Table::new();
        for (name, (value, _)) in &self.values {
            match name.split_once('.') {
                None => drop(root.insert(name.clone(), value.clone())),
                Some((section, key)) => {
                    if let Value::Table(table) =
                        root.entry(section).or_insert_with(|| Value::Table(Table::new()))
                    {
                        table.insert(key.to_owned(), value.clone());
                    }
                }
            }
        }
        match Value::Table(root).try_into::<Config>() {
            Ok(config) => {
                config.check(&mut faults);
                if faults.is_empty() { Ok(config) } else { Err(faults) }
            }
            Err(error) => {
                faults.push(error.to_string().trim().replace('\n', " "));
                Err(faults)
            }
        }
    }

    /// The effective values, one `name = value  # layer` a line; secrets are not shown.
    pub fn show(&self) -> String {
        let secret = |name: &str| {
            name.starts_with(SECRETS)
                || [
                    "api_token",
                    // Its address holds a password.
                    "database",
                    "secret_key",
                    "secret_keys_old",
                    "fetch.proxy",
                    "deliver.signing_secret",
                    "email.smtp_url",
                ]
                .contains(&name)
        };
        let empty = |value: &Value| value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
        self.values
            .iter()
            .map(|(name, (value, layer))| {
                let shown = if secret(name) && !empty(value) && value.as_str() != Some("sqlite") {
                    "\"***\"".to_owned()
                } else {
                    value.to_string()
                };
                format!("{name} = {shown}  # {layer}\n")
            })
            .collect()
    }
}

impl Config {
    /// For a command that is complete in itself: nothing is shared with the servers that the settings are for.
    pub fn keep_to_itself(&mut self) {
        self.database = Secret("sqlite".into());
        "file".clone_into(&mut self.storage);
        self.role = Role::All;
        self.migrate_at_start = true;
        self.fetch.host_shards.clear();
    }

    /// SQLite: one process, and nobody else.
    pub fn is_alone(&self) -> bool {
        self.database.0 == "sqlite"
    }

    fn is_on_postgres(&self) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| self.database.0.starts_with(scheme))
    }

    fn check(&self, faults: &mut Vec<String>) {
        let mut need = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        need(
            self.is_alone() || self.is_on_postgres(),
            "`database` should be \"sqlite\" or the address of a PostgreSQL database, \"postgres://user:password@host/name\"",
        );
        need(self.database_connections > 1, "`database_connections` should be at least 2");
        need(
            self.role == Role::All || !self.is_alone(),
            "`role` should be \"all\" with SQLite: the halves of a cluster share a PostgreSQL database",
        );
        need(
            self.node.len() <= 100 && self.node.bytes().all(|b| b.is_ascii_graphic()),
            "`node` should be at most 100 letters, digits and signs without spaces",
        );
        need(
            !self.listen.is_empty() || self.role == Role::Worker,
            "`listen` should be an address and a port; only a worker may do without",
        );
        if let Err(fault) = Shards::parse(&self.fetch.host_shards, self.fetch.host_concurrency) {
            need(false, &format!("`fetch.host_shards`: {fault}"));
        }
        if self.storage != "file"
            && let Err(why) = store::BucketUrl::parse(&self.storage)
        {
            need(
                false,
                &format!("`storage` should be \"file\" or the address of a bucket: an address {why}"),
            );
        }
        need(self.tls.cert.is_empty() == self.tls.key.is_empty(), "`tls.cert` and `tls.key` go together");
        need(
            self.email.smtp_url.0.is_empty() == self.email.from.is_empty(),
            "`email.smtp_url` and `email.from` go together",
        );
        need(
            self.public_url.is_empty()
                || self.public_url.starts_with("https://")
                || self.public_url.starts_with("http://"),
            "`public_url` should begin with `https://` or `http://`, or be empty",
        );
        need(self.deliver.upload_idle_secs > 0, "`deliver.upload_idle_secs` should be at least 1");
        need(self.worker.jobs > 0, "`worker.jobs` should be at least 1");
        need(self.worker.express_jobs > 0, "`worker.express_jobs` should be at least 1");
        need(self.worker.deliveries > 0, "`worker.deliveries` should be at least 1");
        need(self.worker.lease_secs >= 1, "`worker.lease_secs` should be at least 1");
        need(
            self.cache.max_age_ms().is_some(),
            "`cache.max_age` should be an age such as \"30min\", \"1h\" or \"7d\", or empty",
        );
        need(self.fetch.host_concurrency > 0, "`fetch.host_concurrency` should be at least 1");
        need(self.fetch.concurrency > 0, "`fetch.concurrency` should be at least 1");
        need(self.browser.contexts > 0, "`browser.contexts` should be at least 1");
        need(self.browser.pages_per_process > 0, "`browser.pages_per_process` should be at least 1");
        need(self.browser.page_timeout_ms > 0, "`browser.page_timeout_ms` should be at least 1");
        need(self.browser.memory_mb >= 256, "`browser.memory_mb` should be at least 256");
        need(self.browser.page_memory_mb >= 128, "`browser.page_memory_mb` should be at least 128");
        need(self.api.connections_max > 0, "`api.connections_max` should be at least 1");
        need(self.api.sync_inputs_max > 0, "`api.sync_inputs_max` should be at least 1");
        need(self.retention.days > 0, "`retention.days` should be at least 1");
        need(
            self.api_token.0.is_empty() || self.api_token.0.len() >= 10,
            "`api_token` should have at least 10 characters: official clients refuse shorter ones",
        );
    }
}

fn flatten(prefix: &str, table: Table, put: &mut impl FnMut(String, Value)) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&name, inner, put),
            value => put(name, value),
        }
    }
}

/// `, did you mean …?` for the nearest known name.
fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let near = known.map(|k| (distance(name, k), k)).min();
    near.filter(|(d, k)| *d <= 1 + k.len() / 4)
        .map(|(_, k)| format!("; did you mean `{k}`?"))
        .unwrap_or_default()
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = replace.min(before + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Layers {
        let mut layers = Layers::defaults();
        layers.environment(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        layers
    }

    #[test]
    fn the_defaults_are_whole() {
        let config = Layers::defaults().build().unwrap();
        assert_eq!(config.listen, "127.0.0.1:8080");
        assert_eq!(config.fetch.host_concurrency, 8);
    }

    #[test]
    fn layers_win_in_order() {
        let mut layers = Layers::defaults();
        layers.file("f", "listen = \"a:1\"\n[fetch]\nhost_delay_ms = 5\n");
        layers.environment(std::iter::once(("TRAWL_FETCH_HOST_DELAY_MS".to_owned(), "7".to_owned())));
        layers.flag("listen", "b:2");
        let config = layers.build().unwrap();
        assert_eq!((config.listen.as_str(), config.fetch.host_delay_ms), ("b:2", 7));
        assert!(layers.show().contains("fetch.host_delay_ms = 7  # environment"));
    }

    #[test]
    fn lists_are_words_between_commas_or_toml() {
        for text in ["127.0.0.0/8, ::1/128", "[\"127.0.0.0/8\", \"::1/128\"]"] {
            let config = env(&[("TRAWL_FETCH_ALLOW_NETWORKS", text)]).build().unwrap();
            assert_eq!(config.fetch.allow_networks, ["127.0.0.0/8", "::1/128"], "{text}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once_with_a_suggestion() {
        let mut layers = env(&[("TRAWL_FETCH_HOST_DELAY", "5"), ("TRAWL_SHUTDOWN_SECS", "soon")]);
        layers.file("f.toml", "lisen = \"x\"\n[worker]\njobs = 0\n");
        let faults = layers.build().unwrap_err().join("\n");
        for part in [
            "TRAWL_FETCH_HOST_DELAY_MS",
            "`soon` is not of the type",
            "did you mean `listen`",
            "`worker.jobs` should be",
        ] {
            assert!(faults.contains(part), "{part} not in {faults}");
        }
    }

    #[test]
    fn storage_is_a_folder_or_a_bucket() {
        for good in ["file", "s3://rows/trawl", "gs://rows", "az://rows/x"] {
            assert_eq!(env(&[("TRAWL_STORAGE", good)]).build().unwrap().storage, good);
        }
        let faults = env(&[("TRAWL_STORAGE", "s3://key:hunter2@rows")]).build().unwrap_err().join("");
        assert!(faults.contains("`storage` should be") && !faults.contains("hunter2"), "{faults}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let layers = env(&[("TRAWL_API_TOKEN", "abcdefghijkl")]);
        assert!(!layers.show().contains("abcdefghijkl"));
        assert!(!format!("{:?}", layers.build().unwrap()).contains("abcdefghijkl"));
    }

    #[test]
    fn secrets_of_scrapers_have_names_and_are_not_shown() {
        let mut layers = Layers::defaults();
        layers.file("f", "[secrets]\nshop_user = \"me@x\"\nSHOP_PW = \"of the file\"\n");
        layers.environment(std::iter::once(("TRAWL_SECRET_SHOP_PW".to_owned(), "hunter2".to_owned())));
        let config = layers.build().unwrap();
        assert_eq!(
            (config.secrets.get("SHOP_USER"), config.secrets.get("SHOP_PW")),
            (Some("me@x"), Some("hunter2"))
        );
        assert_eq!(config.secrets.missing(vec!["SHOP_PW".into(), "OTHER".into()]), ["OTHER"]);
        let shown = format!("{config:?} {}", layers.show());
        assert!(!shown.contains("hunter2") && !shown.contains("me@x"), "{shown}");
        assert!(shown.contains("secrets.SHOP_PW = \"***\"  # environment"), "{shown}");
        layers.file("f", "[secrets]\nport = 8080\n");
        layers.environment(std::iter::once(("TRAWL_SECRET_A-B".to_owned(), "hunter2".to_owned())));
        let faults = layers.build().unwrap_err().join("\n");
        assert!(faults.contains("`port` should be a string") && faults.contains("`A-B`"), "{faults}");
        assert!(!faults.contains("hunter2"));
    }
}
