//! A form of a page → the request that submitting it makes (WHATWG HTML 4.10.21, as far as logins need it): hidden fields
//! such as CSRF tokens go along as they are, our own fields take the place of theirs.
//!
//! Must not know: where our values come from. Invariant: total and bounded, whatever the page holds.

use html::{Document, Node, Selector};
use std::collections::HashSet;
use url::Url;

/// Forms of a page and fields of a form that are looked at.
const FORMS: usize = 100;
const FIELDS: usize = 500;
/// Bytes of a form as sent.
const BYTES: usize = 256 << 10;

/// What submitting a form sends.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Submission {
    pub(super) url: Url,
    /// `None`: it is in the query of the URL.
    pub(super) body: Option<String>,
}

/// Submits the form that matches; without a selector, the first with a password field, else the only one. `url` is the
/// page's.
pub(super) fn submit(
    document: &Document,
    url: &Url,
    selector: Option<&Selector>,
    own: &[(String, String)],
) -> Result<Submission, String> {
    let form = find(document, selector)?;
    let base = document.base_href().and_then(|href| url.join(href).ok()).unwrap_or_else(|| url.clone());
    let action = form.attr("action").map(str::trim).filter(|action| !action.is_empty());
    let mut target = match action {
        Some(action) => base.join(action).map_err(|_| "the form leads to no address".to_owned())?,
        None => url.clone(),
    };
    target.set_fragment(None);
    let mut pairs = successful(document, form);
    for (name, value) in own {
        let mut value = Some(value);
        // The first of the name takes ours, others of it go.
        pairs.retain_mut(|(key, theirs)| {
            if key != name {
                return true;
            }
            match value.take() {
                Some(ours) => {
                    theirs.clone_from(ours);
                    true
                }
                None => false,
            }
        });
        if let Some(value) = value {
            pairs.push((name.clone(), value.clone()));
        }
    }
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    if text.len() > BYTES {
        return Err("the form is too large".into());
    }
    let is_post = form.attr("method").is_some_and(|method| method.trim().eq_ignore_ascii_case("post"));
    if is_post {
        return Ok(Submission { url: target, body: Some(text) });
    }
    target.set_query(Some(&text));
    Ok(Submission { url: target, body: None })
}

fn find<'a>(document: &'a Document, selector: Option<&Selector>) -> Result<Node<'a>, String> {
    let root = document.root();
    if let Some(selector) = selector {
        let found = selector.first(root).ok_or("the page has no such form")?;
        // A selector of a field or a button means its form.
        let form = std::iter::once(found).chain(found.ancestors()).find(|node| node.name() == "form");
        return form.ok_or_else(|| "the selector finds something, but no form".to_owned());
    }
    let forms: Vec<Node<'_>> = root.descendants().filter(|n| n.name() == "form").take(FORMS).collect();
    let asks = |form: &&Node<'_>| form.descendants().any(|n| n.name() == "input" && kind(n) == "password");
    match (forms.iter().find(asks), &forms[..]) {
        (Some(form), _) | (None, [form]) => Ok(*form),
        (None, []) => Err("the page has no form".into()),
        (None, _) => Err("the page has several forms and none asks for a password".into()),
    }
}

/// What the form would send untouched, in the order of the page.
fn successful(document: &Document, form: Node<'_>) -> Vec<(String, String)> {
    let id = form.attr("id").filter(|id| !id.is_empty());
    let controls = document.root().descendants().filter(|node| {
        matches!(node.name(), "input" | "select" | "textarea" | "button")
            && match node.attr("form") {
                Some(owner) => id == Some(owner),
                None => form.contains(*node),
            }
    });
    let mut pairs = Vec::new();
    let mut submitted = false;
    let mut chosen: HashSet<String> = HashSet::new();
    for node in controls.take(FIELDS) {
        let Some(name) = node.attr("name").filter(|name| !name.is_empty()) else { continue };
        let off = node.attr("disabled").is_some()
            || node.ancestors().any(|n| n.name() == "fieldset" && n.attr("disabled").is_some());
        if off {
            continue;
        }
        let value = node.attr("value");
        let value = match (node.name(), kind(node).as_str()) {
            ("input", "submit") | ("button", "submit" | "") => {
                // Only the button that is pressed goes along: the first.
                if std::mem::replace(&mut submitted, true) {
                    continue;
                }
                value.unwrap_or_default().to_owned()
            }
            ("button", _) | ("input", "button" | "reset" | "image" | "file") => continue,
            ("input", "checkbox") if node.attr("checked").is_some() => value.unwrap_or("on").to_owned(),
            ("input", "radio") if node.attr("checked").is_some() && chosen.insert(name.to_owned()) => {
                value.unwrap_or("on").to_owned()
            }
            ("input", "checkbox" | "radio") => continue,
            ("input", _) => value.unwrap_or_default().to_owned(),
            ("textarea", _) => node.text(),
            _ => match option(node) {
                Some(value) => value,
                None => continue,
            },
        };
        pairs.push((name.to_owned(), value));
    }
    pairs
}

fn kind(node: Node<'_>) -> String {
    node.attr("type").unwrap_or_default().trim().to_ascii_lowercase()
}

/// The chosen option of a list, else its first.
fn option(select: Node<'_>) -> Option<String> {
    let options: Vec<Node<'_>> = select.descendants().filter(|n| n.name() == "option").take(FIELDS).collect();
    let chosen = options.iter().find(|n| n.attr("selected").is_some()).or(options.first())?;
    Some(chosen.attr("value").map_or_else(|| chosen.text().trim().to_owned(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit_of(
        page: &str,
        css: Option<&str>,
        own: &[(&str, &str)],
    ) -> Result<(String, Option<String>), String> {
        let own: Vec<_> = own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let selector = css.map(|css| Selector::parse(css).unwrap());
        let url = Url::parse("https://a.example/x/login?next=1").unwrap();
        submit(&Document::parse(page), &url, selector.as_ref(), &own).map(|s| (s.url.to_string(), s.body))
    }

    #[test]
    fn hidden_fields_go_along_and_ours_take_their_place() {
        let page = r#"<form action="/search"><input name="q"></form>
            <form id="f" method="POST" action="do?a=1">
              <input type="hidden" name="csrf" value="t&amp;k"> <input name="user" value="guest">
              <input type="password" name="pw"><input type="checkbox" name="no"><input type="checkbox" name="yes" checked>
              <input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked>
              <select name="lang"><option value="de"><option value="en" selected></select>
              <textarea name="note">
hello</textarea><input name="off" disabled><fieldset disabled><input name="off2"></fieldset>
              <input type="file" name="file"><button name="go" value="in">In</button><button name="go" value="up">Up</button>
            </form><input name="far" form="f" value="1">"#;
        let (url, body) = submit_of(page, None, &[("user", "me"), ("pw", "p w&"), ("extra", "1")]).unwrap();
        assert_eq!(url, "https://a.example/x/do?a=1");
        assert_eq!(
            body.as_deref(),
            Some("csrf=t%26k&user=me&pw=p+w%26&yes=on&r=2&lang=en&note=hello&go=in&far=1&extra=1")
        );
    }

    #[test]
    fn where_it_leads() {
        let own: &[(&str, &str)] = &[];
        let form = |form: &str| submit_of(form, None, own).unwrap();
        assert_eq!(form("<form><input name=a value=1></form>").0, "https://a.example/x/login?a=1");
        assert_eq!(
            form("<base href='//b.example/q/'><form method=post action=in></form>").0,
            "https://b.example/q/in"
        );
        let by_field =
            submit_of("<form action=/1></form><form action=/2><input id=u name=u></form>", Some("#u"), own);
        assert_eq!(by_field.unwrap().0, "https://a.example/2?u=");
    }

    #[test]
    fn no_form_is_said() {
        for (page, css) in [
            ("<p>", None),
            ("<form></form><form></form>", None),
            ("<form></form>", Some("#login")),
            ("<p id=login>", Some("#login")),
            ("<form action='http://['></form>", None),
        ] {
            assert!(submit_of(page, css, &[]).is_err(), "{page}");
        }
    }
}
