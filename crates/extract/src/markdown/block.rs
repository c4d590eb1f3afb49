//! Lays blocks one under the other: quotes and list items as prefixes of lines, blank lines where they are needed.

/// Containers past this depth are not written: each costs every line inside some bytes.
const MAX_CONTAINERS: usize = 16;

/// The Markdown so far.
#[derive(Default)]
pub(super) struct Blocks {
    out: String,
    containers: Vec<Container>,
    lists: Vec<List>,
    /// Containers that have stayed open since the last block: a blank line shows only these.
    common: usize,
    /// The next block comes on the next line rather than after a blank one.
    tight: bool,
    /// Where the last list ended, and with which sign: one that follows at once needs another to stay apart.
    ended: Option<(usize, char)>,
}

enum Container {
    Quote,
    /// The marker is written once, then replaced by spaces.
    Item {
        marker: String,
        written: bool,
    },
    /// Too deep to be shown.
    Unseen,
}

struct List {
    /// The number of the next item of an ordered list.
    next: Option<u32>,
    sign: char,
    /// An item was written.
    begun: bool,
}

impl Blocks {
    /// Writes a block of one or more lines.
    pub(super) fn block(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
            if !self.tight {
                let start = self.out.len();
                for container in &self.containers[..self.common.min(self.containers.len())] {
                    container.prefix(&mut self.out);
                }
                let len = self.out[start..].trim_end().len();
                self.out.truncate(start + len);
                self.out.push('\n');
            }
        }
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                self.out.push('\n');
            }
            let start = self.out.len();
            for container in &mut self.containers {
                container.prefix(&mut self.out);
                if let Container::Item { written, .. } = container {
                    *written = true;
                }
            }
            if line.is_empty() {
                let len = self.out[start..].trim_end().len();
                self.out.truncate(start + len);
            }
            self.out.push_str(line);
        }
        self.common = self.containers.len();
        self.tight = false;
    }

    pub(super) fn open_quote(&mut self) {
        self.open(Container::Quote);
    }

    fn open(&mut self, container: Container) {
        let seen = self.containers.len() < MAX_CONTAINERS;
        self.containers.push(if seen { container } else { Container::Unseen });
    }

    /// Ends a quote or an item.
    pub(super) fn close_container(&mut self) {
        if let Some(Container::Item { written: true, .. }) = self.containers.pop()
            && let Some(list) = self.lists.last_mut()
        {
            list.begun = true;
        }
        self.common = self.common.min(self.containers.len());
    }

    /// Begins a list, ordered from a number or not.
    pub(super) fn open_list(&mut self, start: Option<u32>) {
        let signs = if start.is_some() { ['.', ')'] } else { ['-', '*'] };
        let clash = self.ended.is_some_and(|(at, sign)| at == self.out.len() && sign == signs[0]);
        let sign = signs[usize::from(clash)];
        // Only a list that begins with 1 may follow a paragraph without a blank line.
        let in_item = matches!(self.containers.last(), Some(Container::Item { written: true, .. }));
        if in_item && start.is_none_or(|s| s == 1) && !clash {
            self.tight = true;
        }
        self.lists.push(List { next: start, sign, begun: false });
    }

    pub(super) fn close_list(&mut self) {
        if let Some(list) = self.lists.pop() {
            self.ended = Some((self.out.len(), list.sign));
        }
        self.tight = false;
    }

    /// Begins an item of the innermost list, or of none.
    pub(super) fn open_item(&mut self) {
        let marker = match self.lists.last_mut() {
            Some(List { next: Some(next), sign, .. }) => {
                let marker = format!("{next}{sign} ");
                *next += 1;
                marker
            }
            Some(List { next: None, sign, .. }) => format!("{sign} "),
            None => "- ".to_owned(),
        };
        self.tight |= self.lists.last().is_some_and(|list| list.begun);
        self.open(Container::Item { marker, written: false });
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

impl Container {
    fn prefix(&self, out: &mut String) {
        match self {
            Container::Quote => out.push_str("> "),
            Container::Item { marker, written: false } => out.push_str(marker),
            Container::Item { marker, written: true } => out.extend(std::iter::repeat_n(' ', marker.len())),
            Container::Unseen => {}
        }
    }
}
