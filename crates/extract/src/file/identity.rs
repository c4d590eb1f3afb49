//! Who a scraper's pages are fetched as: the identity keys of `[fetch]`, and `[login]`.

use super::reader::{Item, Table};
use super::source::{pattern, selector};
use crate::login::secret::{SecretText, texts};
use crate::login::{Act, LOGIN_MODES, Login, STEPS_MAX, Session, Signs, Step};
use crate::scraper::is_site;
use crate::value::url as address;
use model::Exit;
use url::Url;

/// The keys of `[fetch]` that say so.
pub(super) fn fetch_keys(table: &Table<'_>) -> (Session, Exit, Option<String>) {
    let named = |key: &'static str| {
        let item = table.get(key)?;
        let text = item.text(&format!("`{key}`"), table.errors)?;
        if is_label(text) {
            return Some(text.to_ascii_lowercase());
        }
        table.errors.at(item.at, format!("`{key}` is a word of letters, digits, `-` and `_`, at most 40"));
        None
    };
    let session = match named("session").as_deref() {
        None | Some("input") => Session::Input,
        Some("job") => Session::Job,
        Some(name) => Session::Named(name.to_owned()),
    };
    let exit = match named("proxy").as_deref() {
        None | Some("any") => Exit::Any,
        Some("none") => Exit::Direct,
        Some(label) => Exit::Label(label.to_owned()),
    };
    let user_agent = table.get("user_agent").and_then(|item| {
        let text = item.text("`user_agent`", table.errors)?;
        if let Some(fault) = super::header_fault("user-agent", text) {
            table.errors.at(item.at, fault);
        }
        Some(text.to_owned())
    });
    (session, exit, user_agent)
}

fn is_label(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A text with places for secrets.
pub(super) fn secret_text(item: Item<'_>, what: &str, table: &Table<'_>) -> Option<SecretText> {
    let text = item.text(what, table.errors)?;
    SecretText::parse(text)
        .map_err(|(at, message)| table.errors.at_column(item.text_start(), at, message))
        .ok()
}

/// Reads `[login]`.
pub(super) fn login(file: &Table<'_>, sites: &[String], headers: &[(String, String)]) -> Option<Login> {
    let table = file.get("login")?.table("`[login]`", file.errors)?;
    if sites.is_empty() {
        file.missing("sites", "a login is sent to the scraper's own sites only");
    }
    let logged_out = table.get("logged_out").and_then(|item| signs(item, "`logged_out`", &table));
    let mode = table.word("mode", LOGIN_MODES).unwrap_or_default();
    let steps = match table.get("steps") {
        Some(list) => {
            let list = list.elements();
            if list.is_empty() || list.len() > STEPS_MAX {
                table.errors.at(table.at, format!("a login has 1 to {STEPS_MAX} steps"));
            }
            list.into_iter().enumerate().filter_map(|(at, item)| step(at, item, &table, sites)).collect()
        }
        None => {
            table.missing(
                "steps",
                "such as [{ get = \"https://site/login\" }, { submit = \"form\", fields = … }]",
            );
            Vec::new()
        }
    };
    table.finish();
    Some(Login { steps, mode, logged_out, sites: sites.to_vec(), headers: headers.to_vec() })
}

fn step(at: usize, item: Item<'_>, owner: &Table<'_>, sites: &[String]) -> Option<Step> {
    let table = item.table("a step of the login", owner.errors)?;
    let (get, post) = (url(&table, "get", sites), url(&table, "post", sites));
    let submit = table.get("submit");
    let fields: Vec<(String, SecretText)> = table
        .named("fields")
        .into_iter()
        .filter_map(|(name, _, value)| {
            Some((name.to_owned(), secret_text(value, &format!("the field `{name}`"), &table)?))
        })
        .collect();
    let json = table.get("json");
    if let Some(item) = json {
        let value = item.json();
        let mut all = Vec::new();
        texts(&value, &mut all);
        for (_, message) in all.into_iter().filter_map(|text| SecretText::parse(text).err()) {
            table.errors.at(item.at, message);
        }
    }
    let expect = table.get("expect").and_then(|item| signs(item, "`expect`", &table)).unwrap_or_default();
    let ways = [table.has("get"), table.has("post"), submit.is_some()];
    if ways.iter().filter(|way| **way).count() != 1 {
        table.errors.at(
            table.at,
            "a step of the login is one of `get` (an address), `submit` (the selector of a form, or \"\") and `post` (an \
             address)",
        );
    } else if table.has("get") && (table.has("fields") || json.is_some()) {
        table.errors.at(table.at, "`get` sends no fields");
    } else if json.is_some() && (table.has("fields") || submit.is_some()) {
        table.errors.at(table.at, "`json` goes with `post` and without `fields`");
    } else if submit.is_some() && at == 0 {
        table.errors.at(table.at, "a form is submitted after the step that gets its page");
    }
    table.finish();
    let act = match (get, post, submit) {
        (Some(url), _, _) => Act::Get(url),
        (_, Some(url), _) => match json {
            Some(item) => Act::PostJson(url, item.json()),
            None => Act::PostFields(url, fields),
        },
        (_, _, Some(item)) => {
            let text = item.text("`submit`", table.errors)?;
            let form = if text.is_empty() { None } else { Some(selector(text, item.text_start(), &table)?) };
            Act::Submit { form, fields }
        }
        _ => return None,
    };
    Some(Step { act, expect })
}

/// An address on one of the scraper's sites.
fn url(table: &Table<'_>, key: &'static str, sites: &[String]) -> Option<Url> {
    let item = table.get(key)?;
    let text = item.text(&format!("`{key}`"), table.errors)?;
    let url = Url::parse(text).ok().and_then(|base| address::page(&base, text));
    match url {
        None => table.errors.at(item.at, format!("`{key}` must be an http or https address")),
        Some(url) if is_site(sites, &url) => return Some(url),
        Some(_) if sites.is_empty() => {}
        Some(_) => table.errors.at(item.at, format!("`{key}` must be on one of the file's `sites`")),
    }
    None
}

fn signs(item: Item<'_>, what: &str, owner: &Table<'_>) -> Option<Signs> {
    let table = item.table(what, owner.errors)?;
    let css = table.get("css").and_then(|item| {
        let text = item.text("`css`", table.errors)?;
        selector(text, item.text_start(), &table)
    });
    let status = table.get("status").map(|item| {
        let codes = item.elements().into_iter().map(|code| {
            let fits = code.json().as_u64().and_then(|n| u16::try_from(n).ok());
            fits.filter(|n| (100..600).contains(n)).or_else(|| {
                table.errors.at(code.at, "a status is a number such as 401");
                None
            })
        });
        codes.flatten().collect()
    });
    let signs = Signs {
        css,
        cookie: table.text("cookie").map(str::to_owned),
        url: table.get("url").and_then(|item| pattern(item, "`url`", &table)),
        status: status.unwrap_or_default(),
    };
    let says = ["css", "cookie", "url", "status"].iter().any(|key| table.has(key));
    if !says {
        table.errors.at(table.at, format!("{what} needs at least one of css, cookie, url, status"));
    }
    table.finish();
    Some(signs)
}
