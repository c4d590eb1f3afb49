//! A recipe as a page shows it: the list under "Ingredients", the steps under "Method", "Serves 4", "Total time: 45 min".
//!
//! A part is found by what its elements are called (class, id) and by the heading over it; of several the likeliest is
//! taken. Must not know: data.

use super::word;
use crate::line::{Line, lines};
use crate::value::duration;
use html::Node;
use std::collections::HashSet;

const INGREDIENT: u32 = 1;
const INSTRUCTION: u32 = 2;
/// Comments, navigation, other recipes.
const APART: u32 = 4;
const ITEM: u32 = 8;

/// Longest line that can be an ingredient, longest heading over a part, in characters.
const INGREDIENT_CHARS: usize = 200;
const HEADING_CHARS: usize = 60;
/// Most lines of one part.
const PART_LINES: usize = 200;

/// What is shown of a recipe.
pub(super) struct Shown<'d> {
    lines: Vec<Line<'d>>,
    low: Vec<String>,
}

impl<'d> Shown<'d> {
    pub(super) fn of(root: Node<'d>) -> Self {
        let lines = lines(root, |node| Some(marks(node)));
        let low = lines.iter().map(|l| l.text.to_lowercase()).collect();
        Self { lines, low }
    }

    /// The ingredients.
    pub(super) fn ingredients(&self) -> Vec<String> {
        let mut best: (f32, Vec<usize>) = (0.0, Vec::new());
        for part in self.parts(INGREDIENT, word::INGREDIENTS, word::INSTRUCTIONS) {
            let part: Vec<usize> = self.items(part, |n| {
                let line = &self.lines[n];
                line.heading == 0 && line.text.chars().count() <= INGREDIENT_CHARS && !self.is_heading(n)
            });
            let measured = part.iter().filter(|n| is_measured(&self.lines[**n].text)).count();
            let long = part.iter().filter(|n| self.lines[**n].text.len() > 100).count();
            let score = score(measured) + 0.2 * score(part.len()) - 0.5 * score(long);
            if part.len() >= 2 && score > best.0 {
                best = (score, part);
            }
        }
        self.texts(&best.1)
    }

    /// The steps.
    pub(super) fn instructions(&self) -> Vec<String> {
        let mut best: (f32, Vec<usize>) = (0.0, Vec::new());
        for part in self.parts(INSTRUCTION, word::INSTRUCTIONS, word::INGREDIENTS) {
            let part: Vec<usize> =
                self.items(part, |n| !is_ordinal(&self.lines[n].text) && !self.is_heading(n));
            let prose = part.iter().filter(|n| self.lines[**n].text.chars().count() > 40).count();
            let measured = part
                .iter()
                .filter(|n| self.lines[**n].text.chars().count() < 60 && is_measured(&self.lines[**n].text))
                .count();
            let score = score(prose) - 0.7 * score(measured);
            if prose > 0 && score > best.0 {
                best = (score, part);
            }
        }
        self.texts(&best.1)
    }

    /// The line that tells the servings.
    pub(super) fn yields(&self) -> Option<String> {
        let says = |text: &str| word::SERVINGS.iter().any(|w| has_word(text, w));
        let has_number = |text: &str| text.contains(|c: char| c.is_ascii_digit());
        for (n, low) in self.low.iter().enumerate() {
            if self.lines[n].marks & APART != 0 || low.chars().count() > HEADING_CHARS || !says(low) {
                continue;
            }
            if has_number(low) && !low.contains("kcal") {
                return Some(self.lines[n].text.clone());
            }
            // A label, its number on the next line or the one before.
            let beside = [n + 1, n.wrapping_sub(1)];
            let number = beside.into_iter().find(|b| {
                self.low
                    .get(*b)
                    .is_some_and(|l| l.chars().count() <= 20 && l.starts_with(|c: char| c.is_ascii_digit()))
            });
            if let Some(number) = number {
                return Some(format!("{} {}", self.lines[number].text, self.lines[n].text));
            }
        }
        None
    }

    /// Minutes behind one of these labels.
    fn minutes(&self, labels: &[&str]) -> Option<u64> {
        for label in labels {
            for (n, low) in self.low.iter().enumerate() {
                if self.lines[n].marks & APART != 0 || low.chars().count() > HEADING_CHARS {
                    continue;
                }
                let Some(behind) = low.strip_prefix(label) else { continue };
                if behind.starts_with(char::is_alphabetic) {
                    continue;
                }
                let behind = behind.trim_start_matches([':', '-', '–', ' ', '(', '.']);
                let own = (!behind.is_empty()).then_some(behind).and_then(whole_minutes);
                let next =
                    || self.low.get(n + 1).filter(|l| l.chars().count() < 30).and_then(|l| whole_minutes(l));
                if let Some(found) = own.or_else(|| if behind.is_empty() { next() } else { None }) {
                    return Some(found);
                }
            }
        }
        None
    }

    pub(super) fn total_minutes(&self) -> Option<u64> {
        self.minutes(word::TOTAL)
    }

    pub(super) fn prep_minutes(&self) -> Option<u64> {
        self.minutes(word::PREP)
    }

    pub(super) fn cook_minutes(&self) -> Option<u64> {
        self.minutes(word::COOK)
    }

    /// Runs of lines that may be a part: those marked so, and those under a heading of it.
    fn parts(&self, mark: u32, heads: &[&str], ends: &[&str]) -> Vec<Vec<usize>> {
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let mut run: Vec<usize> = Vec::new();
        for (n, line) in self.lines.iter().enumerate() {
            if line.marks & mark != 0 && line.marks & APART == 0 && !begins(&self.low[n], heads, true) {
                run.push(n);
            } else if !begins(&self.low[n], heads, true) && run.len() > 1 {
                parts.push(std::mem::take(&mut run));
            } else if !run.is_empty() && line.marks & mark == 0 {
                run.clear();
            }
        }
        parts.push(run);
        for (n, line) in self.lines.iter().enumerate() {
            if line.marks & APART != 0 || !begins(&self.low[n], heads, line.heading > 0) {
                continue;
            }
            let level = line.heading;
            let end = (n + 1..self.lines.len().min(n + PART_LINES))
                .find(|m| {
                    let next = &self.lines[*m];
                    next.marks & APART != 0
                        || begins(&self.low[*m], ends, next.heading > 0)
                        || (next.heading > 0 || level == 0)
                            && begins(&self.low[*m], word::OTHERS, next.heading > 0)
                        || level > 0 && next.heading > 0 && next.heading <= level
                })
                .unwrap_or(self.lines.len().min(n + PART_LINES));
            parts.push((n + 1..end).collect());
        }
        parts.retain(|p| !p.is_empty() && p.len() <= PART_LINES);
        parts
    }

    /// The items of a list if most of the part's text is in one, else its lines.
    fn items(&self, part: Vec<usize>, fits: impl Fn(usize) -> bool) -> Vec<usize> {
        let part: Vec<usize> = part.into_iter().filter(|n| fits(*n)).collect();
        let items: Vec<usize> = part.iter().copied().filter(|n| self.lines[*n].marks & ITEM != 0).collect();
        let chars = |list: &[usize]| list.iter().map(|n| self.lines[*n].text.len()).sum::<usize>();
        if items.len() > 1 && 3 * chars(&items) > chars(&part) { items } else { part }
    }

    fn is_heading(&self, n: usize) -> bool {
        self.lines[n].heading > 0 || self.lines[n].text.ends_with(':') && !is_measured(&self.lines[n].text)
    }

    /// Their texts, each once; lines of one item are one text.
    fn texts(&self, part: &[usize]) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut last: Option<usize> = None;
        let mut seen = HashSet::new();
        for &n in part {
            let line = &self.lines[n];
            let item = line
                .owner
                .ancestors()
                .find(|a| a.name() == "li")
                .or_else(|| (line.owner.name() == "li").then_some(line.owner));
            let row = item.or_else(|| line.owner.ancestors().take(3).find(|a| a.name() == "tr"));
            let holder = row.map(Node::id);
            if let (Some(holder), Some(text)) = (holder, out.last_mut())
                && last == Some(holder)
            {
                text.push(' ');
                text.push_str(&line.text);
            } else {
                out.push(line.text.clone());
            }
            last = holder;
        }
        out.retain(|text| seen.insert(text.to_lowercase()));
        out
    }
}

/// Ten things are not ten times as likely as one.
#[expect(clippy::cast_precision_loss, reason = "counts of lines are small")]
fn score(count: usize) -> f32 {
    (count as f32).sqrt()
}

fn marks(node: Node<'_>) -> u32 {
    let mut marks = match node.name() {
        "li" => ITEM,
        "nav" | "footer" | "aside" | "form" => APART,
        "html" | "body" | "main" | "article" => return 0,
        _ => 0,
    };
    for key in ["class", "id", "itemprop", "data-testid"] {
        let Some(written) = node.attr(key) else { continue };
        if written.len() > 300 {
            continue;
        }
        let written = written.to_lowercase();
        if word::INGREDIENT_MARKS.iter().any(|m| written.contains(m)) {
            marks |= INGREDIENT;
        }
        if word::INSTRUCTION_MARKS.iter().any(|m| written.contains(m)) {
            marks |= INSTRUCTION;
        }
        let apart = [
            "comment",
            "related",
            "newsletter",
            "sidebar",
            "footer",
            "breadcrumb",
            "nutrition",
            "modal",
            "menu",
        ];
        if apart.iter().any(|m| written.split([' ', '-', '_']).any(|w| w.starts_with(m))) {
            marks |= APART;
        }
    }
    marks
}

/// Is this short line a heading that begins with one of the words? A line that is no heading element must be little more
/// than the word.
fn begins(low: &str, words: &[&str], is_heading: bool) -> bool {
    let chars = low.chars().count();
    if chars > HEADING_CHARS {
        return false;
    }
    let low = low.trim_start_matches(|c: char| !c.is_alphabetic());
    words.iter().any(|w| {
        let within = low.starts_with(w) || is_heading && low.contains(&format!(" {w}"));
        within
            && (is_heading || chars <= w.chars().count() + 15 && !low.contains(|c: char| c.is_ascii_digit()))
    })
}

/// Does a line begin like an amount?
fn is_measured(text: &str) -> bool {
    let mut chars = text.trim_start_matches(|c: char| !c.is_alphanumeric()).chars();
    chars.next().is_some_and(|c| c.is_numeric() || "½⅓⅔¼¾⅛".contains(c))
        || text.contains(|c: char| c.is_ascii_digit()) && text.chars().count() < 60
}

/// The number of a step alone.
fn is_ordinal(text: &str) -> bool {
    let low = text.to_lowercase();
    let low = low.strip_prefix("step").unwrap_or(&low).trim();
    !low.is_empty()
        && low.len() < 4
        && low.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ')' | ':'))
}

fn has_word(text: &str, word: &str) -> bool {
    if !word.is_ascii() {
        return text.contains(word);
    }
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphabetic) && !behind.is_some_and(char::is_alphabetic)
    })
}

fn whole_minutes(text: &str) -> Option<u64> {
    let seconds = duration::seconds(text)?;
    const WEEK: f64 = 7.0 * 86_400.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between a minute and a week"
    )]
    (60.0..WEEK).contains(&seconds).then(|| (seconds / 60.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use html::Document;

    const PLAIN: &str = "<body><nav><ul><li>Home<li>Ingredients of the week</ul></nav><h1>Pancakes</h1><p>Serves 4</p>
        <p>Total time: 45 minutes</p><h2>Ingredients</h2><ul><li>2 eggs</li><li>1 cup milk</li><li>Salt</li></ul>
        <h2>Method</h2><ol><li>Beat the eggs with the milk until they are smooth.</li>
        <li>Fry in a hot pan with butter until golden on both sides.</li></ol><h2>Comments</h2><p>So good, I made it twice!</p>";

    #[test]
    fn a_page_with_headings() {
        let doc = Document::parse(PLAIN);
        let shown = Shown::of(doc.root());
        assert_eq!(shown.ingredients(), ["2 eggs", "1 cup milk", "Salt"]);
        assert_eq!(shown.instructions().len(), 2);
        assert_eq!(shown.yields().as_deref(), Some("Serves 4"));
        assert_eq!(shown.total_minutes(), Some(45));
        assert_eq!(shown.cook_minutes(), None);
    }

    #[test]
    fn a_page_with_classes_and_paragraphs() {
        let doc = Document::parse(
            "<div class=zutaten-box><div>200 g Mehl</div><div>3 Eier</div><div>Salz</div></div>
             <p><strong>Zubereitung</strong></p><p>Alles zu einem glatten Teig verrühren und eine Stunde ruhen lassen.</p>
             <p>In der Pfanne bei mittlerer Hitze von beiden Seiten backen.</p><h3>Tipps</h3><p>Schmeckt auch kalt.</p>",
        );
        let shown = Shown::of(doc.root());
        assert_eq!(shown.ingredients(), ["200 g Mehl", "3 Eier", "Salz"]);
        assert_eq!(shown.instructions().len(), 2);
    }

    #[test]
    fn nothing_gives_nothing() {
        let doc = Document::parse("<p>No recipe here, only 3 words about ingredients.");
        let shown = Shown::of(doc.root());
        assert!(
            shown.ingredients().is_empty() && shown.instructions().is_empty() && shown.yields().is_none()
        );
    }
}
