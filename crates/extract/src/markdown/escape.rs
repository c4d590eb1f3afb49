//! What keeps text from being read as Markdown, and nothing more: a backslash too many hurts every reader.

/// Appends text of a page, escaped wherever it stands in a line; `cell` for a table's cell.
pub(super) fn text(text: &str, out: &mut String, cell: bool) {
    let is_address = text.contains("://");
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        let next = after.chars().next();
        let escape = match c {
            '`' | '*' | '[' | ']' => true,
            '\\' => next.is_some_and(|n| n.is_ascii_punctuation()),
            // Inside a word an underscore is no emphasis.
            '_' => {
                let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !(is_address || word(before) && word(next) && before != Some('_') && next != Some('_'))
            }
            '~' => before == Some('~') || next == Some('~'),
            '<' => next.is_some_and(|n| n.is_ascii_alphabetic() || matches!(n, '/' | '!' | '?')),
            '&' => is_entity(after),
            '|' => cell,
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
    }
}

/// Is what follows an `&` the rest of a character reference?
fn is_entity(after: &str) -> bool {
    let name = after.split_once(';').map_or("", |(name, _)| name);
    let digits = name.strip_prefix('#').map(|d| d.strip_prefix(['x', 'X']).unwrap_or(d));
    match digits {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !name.is_empty() && name.len() < 32 && name.bytes().all(|b| b.is_ascii_alphanumeric()),
    }
}

/// A paragraph: lines that would begin a block are escaped at their beginning.
pub(super) fn paragraph(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let at = line_start(line);
        if let Some(at) = at {
            out.push_str(&line[..at]);
            out.push('\\');
        }
        out.push_str(&line[at.unwrap_or(0)..]);
    }
    out
}

/// Where a line must be escaped lest it begin a block.
fn line_start(line: &str) -> Option<usize> {
    let ends = |at: usize| line[at..].is_empty() || line[at..].starts_with(' ');
    let only = |c: char| line.trim_end().chars().all(|x| x == c);
    match line.chars().next()? {
        '#' => {
            let count = line.bytes().take_while(|&b| b == b'#').count();
            (count <= 6 && ends(count)).then_some(0)
        }
        '>' => Some(0),
        c @ ('-' | '+') => (ends(1) || only(c)).then_some(0),
        '=' => only('=').then_some(0),
        c if c.is_ascii_digit() => {
            let count = line.bytes().take_while(u8::is_ascii_digit).count();
            (count <= 9 && line[count..].starts_with(['.', ')']) && ends(count + 1)).then_some(count)
        }
        _ => None,
    }
}

/// A heading of a level, on one line.
pub(super) fn heading(level: usize, text: &str) -> String {
    let mut out = "#".repeat(level.clamp(1, 6)) + " " + &text.replace('\n', " ");
    // A `#` at the end would be dropped.
    if out.ends_with('#') {
        out.pop();
        out.push_str("\\#");
    }
    out
}

/// A code span. White space is collapsed already.
pub(super) fn code_span(code: &str, cell: bool) -> String {
    let fence = "`".repeat(shortest_absent_run(code));
    let pad = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
    let code = if cell { code.replace('|', "\\|") } else { code.to_owned() };
    format!("{fence}{pad}{code}{pad}{fence}")
}

/// The length of the shortest run of backticks that does not stand in `code`.
fn shortest_absent_run(code: &str) -> usize {
    let runs: Vec<usize> = code.split(|c| c != '`').map(str::len).collect();
    (1..).find(|len| !runs.contains(len)).unwrap_or(1)
}

/// A fenced code block.
pub(super) fn fenced(code: &str, language: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let code = code.replace("\r\n", "\n").replace('\r', "\n");
    format!("{fence}{language}\n{code}\n{fence}")
}

/// An address inside `(…)`.
pub(super) fn address(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '(' => out.push_str("%28"),
            ')' => out.push_str("%29"),
            ' ' => out.push_str("%20"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            '\\' => out.push_str("%5C"),
            '|' => out.push_str("%7C"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
