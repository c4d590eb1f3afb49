//! The text of one block: white space collapsed, emphasis and links opened at their first word and closed after their
//! last, so that no marker stands beside a space, where CommonMark would not see it.

use super::escape;

/// What is put around a run of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Strong,
    Emphasis,
    Strike,
    /// To an address, as Markdown takes it.
    Link(String),
    /// An element that leaves no trace.
    None,
}

impl Mark {
    fn opening(&self) -> &'static str {
        match self {
            Mark::Strong => "**",
            Mark::Emphasis => "*",
            Mark::Strike => "~~",
            Mark::Link(_) => "[",
            Mark::None => "",
        }
    }
}

/// The text being gathered.
#[derive(Default)]
pub(super) struct Line {
    out: String,
    /// A space is due before the next word.
    space: bool,
    /// A hard line break is due before the next word.
    broken: bool,
    /// Open marks, outermost first, and whether the opening is written.
    marks: Vec<(Mark, bool)>,
    /// Where the last mark was closed, and which.
    closed: Option<(usize, Mark)>,
}

impl Line {
    /// Adds text of the page, escaped; `cell` for a table's cell.
    pub(super) fn text(&mut self, text: &str, cell: bool) {
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
        self.space |= text.starts_with(is_space);
        for word in text.split(is_space).filter(|w| !w.is_empty()) {
            self.begin(word);
            escape::text(word, &mut self.out, cell);
            self.space = true;
        }
        if !text.is_empty() {
            self.space = self.space && text.ends_with(is_space);
        }
    }

    /// Adds Markdown as it is.
    pub(super) fn raw(&mut self, markdown: &str) {
        self.begin(markdown);
        self.out.push_str(markdown);
    }

    /// Adds a code span.
    pub(super) fn code(&mut self, code: &str, cell: bool) {
        let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
        if !code.is_empty() {
            self.raw(&escape::code_span(&code, cell));
        }
    }

    pub(super) fn space(&mut self) {
        self.space = true;
    }

    pub(super) fn hard_break(&mut self) {
        self.broken = !self.out.is_empty();
    }

    /// True when a hard break was the last thing.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Opens a mark at the next word. One that is open already is not opened twice.
    pub(super) fn open(&mut self, mark: Mark) {
        let again = self.marks.iter().any(|(open, _)| match mark {
            // A link in a link cannot be written.
            Mark::Link(_) => matches!(open, Mark::Link(_)),
            _ => *open == mark,
        });
        self.marks.push((if again { Mark::None } else { mark }, false));
    }

    /// Closes the innermost mark.
    pub(super) fn close(&mut self) {
        if let Some((mark, true)) = self.marks.pop() {
            self.write_end(&mark);
            self.closed = Some((self.out.len(), mark));
        }
    }

    /// The text, and an empty line again. Open marks go on in the next line, except that a link is made only once.
    pub(super) fn take(&mut self) -> String {
        let marks = std::mem::take(&mut self.marks);
        for (mark, opened) in marks.iter().rev() {
            if *opened {
                self.write_end(mark);
            }
        }
        self.marks = marks
            .into_iter()
            .map(|(mark, opened)| {
                (if opened && matches!(mark, Mark::Link(_)) { Mark::None } else { mark }, false)
            })
            .collect();
        (self.space, self.broken, self.closed) = (false, false, None);
        std::mem::take(&mut self.out)
    }

    fn write_end(&mut self, mark: &Mark) {
        match mark {
            Mark::Link(address) => {
                self.out.push_str("](");
                self.out.push_str(address);
                self.out.push(')');
            }
            mark => self.out.push_str(mark.opening()),
        }
    }

    /// Writes what is due before `next`: white space, then the opening of marks.
    fn begin(&mut self, next: &str) {
        if self.broken {
            self.out.push_str("  \n");
            self.space = false;
        } else if self.space && !self.out.is_empty() {
            self.out.push(' ');
        }
        let spaced = self.broken || self.space || self.out.is_empty();
        (self.broken, self.space) = (false, false);
        let next_is_word = next.starts_with(char::is_alphanumeric);
        let first = self.marks.iter().position(|(mark, opened)| !opened && *mark != Mark::None);
        match (&self.closed, first) {
            // `**a****b**` would not be read as two: the first simply goes on.
            (Some((at, mark)), Some(first))
                if *at == self.out.len() && self.marks[first].0 == *mark && is_emphasis(mark) =>
            {
                let len = self.out.len() - mark.opening().len();
                self.out.truncate(len);
                self.marks[first].1 = true;
            }
            // `**a:**b` would not end at the second `**`.
            (Some((at, mark)), None) if *at == self.out.len() && is_emphasis(mark) && next_is_word => {
                let inside = self.out[..at - mark.opening().len()].chars().next_back();
                if inside.is_some_and(|c| !c.is_alphanumeric()) {
                    self.out.push(' ');
                }
            }
            // Nor would `a**(b)**` begin at the first.
            (_, Some(first))
                if !spaced
                    && is_emphasis(&self.marks[first].0)
                    && !next_is_word
                    && self.out.ends_with(char::is_alphanumeric) =>
            {
                self.out.push(' ');
            }
            _ => {}
        }
        for (mark, opened) in &mut self.marks {
            if !*opened && *mark != Mark::None {
                // "!" before a link would make it an image.
                if matches!(mark, Mark::Link(_)) && self.out.ends_with('!') {
                    self.out.pop();
                    self.out.push_str("\\!");
                }
                self.out.push_str(mark.opening());
                *opened = true;
            }
        }
    }
}

fn is_emphasis(mark: &Mark) -> bool {
    matches!(mark, Mark::Strong | Mark::Emphasis | Mark::Strike)
}
