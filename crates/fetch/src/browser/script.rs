//! What is asked within a page: small functions in its own language, run in a world of their own so that the page's
//! scripts neither see nor change them.
//!
//! Must not know: DevTools. Every function gives a plain value and ends within the time it is given.

use serde_json::Value;

/// Calls a function of this file with those arguments.
pub(super) fn call(function: &str, arguments: &[Value]) -> String {
    let arguments: Vec<String> = arguments.iter().map(Value::to_string).collect();
    format!("({function})({})", arguments.join(","))
}

/// Whether an element is there, within so many milliseconds. A selector that is none is an exception.
pub(super) const APPEARS: &str = "async (selector, ms) => {
  const there = () => document.querySelector(selector) !== null;
  if (there()) return true;
  return await new Promise(done => {
    const end = answer => { watcher.disconnect(); clearTimeout(timer); done(answer); };
    const watcher = new MutationObserver(() => { if (there()) end(true); });
    const timer = setTimeout(() => end(there()), ms);
    watcher.observe(document, { childList: true, subtree: true, attributes: true });
  });
}";

/// Where to click: `{x, y}`; or why not: `\"absent\"`, `\"hidden\"`, `\"disabled\"`, `\"covered by …\"`. Brings it into view.
pub(super) const SPOT: &str = "selector => {
  const element = document.querySelector(selector);
  if (!element) return 'absent';
  element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  if (box.width === 0 || box.height === 0 || style.visibility !== 'visible') return 'hidden';
  if (element.disabled) return 'disabled';
  const x = Math.max(0, box.left) + Math.min(box.width, innerWidth) / 2;
  const y = Math.max(0, box.top) + Math.min(box.height, innerHeight) / 2;
  let top = document.elementFromPoint(x, y);
  while (top && top.shadowRoot && top !== element) {
    const inner = top.shadowRoot.elementFromPoint(x, y);
    if (!inner || inner === top) break;
    top = inner;
  }
  if (top === null) return 'hidden';
  if (top !== element && !element.contains(top) && !top.contains(element)) {
    const name = top.tagName.toLowerCase() + (top.id ? '#' + top.id : '');
    return 'covered by ' + name.slice(0, 80);
  }
  return { x, y };
}";

/// Puts the cursor into an element; whether it is there and takes text.
pub(super) const FOCUS: &str = "selector => {
  const element = document.querySelector(selector);
  if (!element) return false;
  element.scrollIntoView({ block: 'center', behavior: 'instant' });
  element.focus();
  if (element.select) element.select();
  return document.activeElement === element;
}";

/// Scrolls to the end of the page or of an element, and tells how large it is: its height and its elements.
pub(super) const SCROLL: &str = "selector => {
  const within = selector ? document.querySelector(selector) : document.scrollingElement || document.body;
  if (!within) return null;
  within.scrollTo({ top: within.scrollHeight, behavior: 'instant' });
  return [within.scrollHeight, within.getElementsByTagName('*').length];
}";

/// The same without scrolling.
pub(super) const SIZE: &str = "selector => {
  const within = selector ? document.querySelector(selector) : document.scrollingElement || document.body;
  return within ? [within.scrollHeight, within.getElementsByTagName('*').length] : null;
}";

/// The page as text, at most so many characters: `{text, type, url}`, or `{over: length}`.
pub(super) const DOCUMENT: &str = "most => {
  const type = document.contentType, url = location.href;
  let text;
  if (type === 'text/html' || type === 'application/xhtml+xml') {
    const kind = document.doctype ? new XMLSerializer().serializeToString(document.doctype) + '\\n' : '';
    text = kind + (document.documentElement ? document.documentElement.outerHTML : '');
  } else if (/[\\/+]xml$/.test(type)) {
    text = new XMLSerializer().serializeToString(document);
  } else {
    text = document.documentElement ? document.documentElement.textContent : '';
  }
  return text.length > most ? { over: text.length } : { text, type, url };
}";

/// Width and height of the whole page.
pub(super) const EXTENT: &str = "() => {
  const e = document.documentElement, b = document.body;
  const most = (a, c) => Math.max(e ? e[a] : 0, b ? b[a] : 0, c);
  return [most('scrollWidth', innerWidth), most('scrollHeight', innerHeight)];
}";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_cannot_break_out() {
        assert_eq!(call("f", &[json!("a\")</script>"), json!(5)]), "(f)(\"a\\\")</script>\",5)");
    }
}
