//! A table of data as GFM writes it: one line per row, the first row being the header.
//!
//! Spanning cells leave their further places empty. Tables that only lay a page out are not seen here ([`is_data`]).

use html::Node;

/// Columns past this number are dropped.
const MAX_COLUMNS: usize = 100;

/// A table being gathered.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    cell: Option<Cell>,
    /// Rows that a cell above still fills, per column.
    filled: Vec<usize>,
    /// Alignment of the first row's cells: `l`, `c`, `r` or ` `.
    aligned: Vec<char>,
}

struct Cell {
    text: String,
    columns: usize,
    rows: usize,
    aligned: char,
}

impl Table {
    pub(super) fn in_cell(&self) -> bool {
        self.cell.is_some()
    }

    pub(super) fn open_cell(&mut self, node: Node<'_>) {
        self.close_cell();
        let span = |name: &str, most: usize| {
            node.attr(name).and_then(|v| v.trim().parse::<usize>().ok()).unwrap_or(1).clamp(1, most)
        };
        let style = node.attr("style").unwrap_or_default().to_ascii_lowercase();
        let style =
            style.split(';').filter_map(|r| r.split_once(':')).find(|(k, _)| k.trim() == "text-align");
        let aligned = match style.map(|(_, v)| v.trim()).or(node.attr("align")) {
            Some("left") => 'l',
            Some("center") => 'c',
            Some("right") => 'r',
            _ => ' ',
        };
        self.skip_filled();
        self.cell = Some(Cell {
            text: String::new(),
            columns: span("colspan", MAX_COLUMNS),
            rows: span("rowspan", 10_000),
            aligned,
        });
    }

    /// Adds to the open cell; parts are parted by a space.
    pub(super) fn add(&mut self, text: &str) {
        if let Some(cell) = &mut self.cell {
            if !cell.text.is_empty() {
                cell.text.push(' ');
            }
            cell.text.push_str(text);
        }
    }

    pub(super) fn close_cell(&mut self) {
        let Some(cell) = self.cell.take() else { return };
        let text = std::iter::once(cell.text).chain(std::iter::repeat_with(String::new));
        for text in text.take(cell.columns) {
            let column = self.row.len();
            if column >= MAX_COLUMNS {
                break;
            }
            self.row.push(text);
            if self.filled.len() <= column {
                self.filled.resize(column + 1, 0);
            }
            self.filled[column] = cell.rows - 1;
            if self.rows.is_empty() {
                self.aligned.push(cell.aligned);
            }
        }
    }

    fn skip_filled(&mut self) {
        while let Some(left) = self.filled.get_mut(self.row.len()).filter(|left| **left > 0) {
            *left -= 1;
            self.row.push(String::new());
        }
    }

    pub(super) fn close_row(&mut self) {
        self.close_cell();
        if self.row.is_empty() {
            return;
        }
        self.skip_filled();
        let row = std::mem::take(&mut self.row);
        if row.iter().any(|cell| !cell.is_empty()) {
            self.rows.push(row);
        }
    }

    /// The table as Markdown; `""` when nothing is in it.
    pub(super) fn finish(mut self) -> String {
        self.close_row();
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut out = String::new();
        for (n, row) in self.rows.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            out.push('|');
            // GFM lets later rows be shorter than the header, but not the header itself.
            let places = if n == 0 { columns } else { row.len() };
            for column in 0..places {
                out.push(' ');
                out.push_str(row.get(column).map_or("", String::as_str));
                out.push_str(" |");
            }
            if n == 0 {
                out.push_str("\n|");
                for column in 0..columns {
                    out.push_str(match self.aligned.get(column) {
                        Some('l') => " :--- |",
                        Some('c') => " :---: |",
                        Some('r') => " ---: |",
                        _ => " --- |",
                    });
                }
            }
        }
        out
    }
}

/// True for a table of data: two columns and two rows or a header cell, no table or heading inside. Others lay a page out.
pub(super) fn is_data(table: Node<'_>) -> bool {
    if matches!(table.attr("role"), Some("presentation" | "none")) {
        return false;
    }
    let (mut rows, mut cells, mut wide, mut header) = (0, 0, false, false);
    for node in table.descendants() {
        match node.name() {
            "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "pre" | "article" | "section" | "form" => {
                return false;
            }
            "tr" => {
                rows += 1;
                cells = 0;
            }
            name @ ("td" | "th") => {
                cells += 1;
                wide |= cells > 1;
                header |= name == "th";
            }
            _ => {}
        }
    }
    wide && (rows > 1 || header)
}
