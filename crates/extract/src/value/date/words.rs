//! What words of dates mean, and in which language: months, weekdays, halves of the day, noon and midnight.
//!
//! Owns: `words.txt`, read once. Invariant: a word of several languages is read in the one that the other words (or
//! the page) speak for; without such a word, in the first of the file.

use super::token::{self, Token};
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// 1 to 12.
    Month(u32),
    /// 0 is Monday.
    Weekday(u32),
    /// Hours to add: 0 or 12.
    Half(u32),
    /// The hour: 12 or 0.
    Hour(u32),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    meaning: Meaning,
    /// Index of the language in the file's order.
    tongue: usize,
}

struct Words {
    tongues: Vec<&'static str>,
    known: BTreeMap<String, Vec<Entry>>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words.txt")));

impl Words {
    fn read(file: &'static str) -> Self {
        let mut tongues: Vec<&'static str> = Vec::new();
        let mut known: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for line in file.lines().filter(|l| !l.starts_with('#')) {
            let mut parts = line.splitn(3, ' ');
            let (Some(tag), Some(what), Some(forms)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let tongue = tongues.iter().position(|t| *t == tag).unwrap_or_else(|| {
                tongues.push(tag);
                tongues.len() - 1
            });
            for (n, forms) in (0_u32..).zip(forms.split('|')) {
                let meaning = match what {
                    "month" => Meaning::Month(n + 1),
                    "day" => Meaning::Weekday(n),
                    "half" => Meaning::Half(n * 12),
                    _ => Meaning::Hour(if n == 0 { 12 } else { 0 }),
                };
                for form in forms.split(',').filter(|f| !f.is_empty()) {
                    let form = token::spell(form);
                    let bare = token::bare(&form);
                    for spelling in
                        [form.clone(), bare].into_iter().take(if token::bare(&form) == form { 1 } else { 2 })
                    {
                        known.entry(spelling).or_default().push(Entry { meaning, tongue });
                    }
                }
            }
        }
        Self { tongues, known }
    }
}

/// Which languages the words of one text speak for.
pub(super) struct Tongue {
    scores: HashMap<usize, u32>,
    /// The page's language asks for the month first where numbers leave it open.
    pub(super) day_first: bool,
}

impl Tongue {
    pub(super) fn of(tokens: &[Token], page: Option<&str>) -> Self {
        let mut scores: HashMap<usize, u32> = HashMap::new();
        // Each word once: `de … de` says no more than `de`.
        let words: std::collections::BTreeSet<&str> = tokens.iter().filter_map(Token::word).collect();
        for word in words {
            let mut seen: Vec<usize> =
                WORDS.known.get(word).into_iter().flatten().map(|e| e.tongue).collect();
            seen.dedup();
            for tongue in seen {
                *scores.entry(tongue).or_default() += 1;
            }
        }
        let tag = page.unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        let primary = tag.split('-').next().unwrap_or_default();
        // Norwegian and Serbo-Croatian pages use tags that CLDR files under another.
        let primary = match primary {
            "no" | "nn" => "nb",
            "sh" | "bs" => "hr",
            "iw" => "he",
            "in" => "id",
            "tl" => "fil",
            other => other,
        };
        if let Some(tongue) = WORDS.tongues.iter().position(|t| *t == primary) {
            *scores.entry(tongue).or_default() += 2;
        }
        let foreign = tokens.iter().filter_map(Token::word).any(is_foreign);
        Self { scores, day_first: day_first(primary, &tag) || foreign }
    }

    fn score(&self, tongue: usize) -> u32 {
        self.scores.get(&tongue).copied().unwrap_or(0)
    }

    /// Does anything but the word itself speak for its language?
    fn is_backed(&self, tongue: usize) -> bool {
        self.score(tongue) > 1
    }

    fn best(&self, entries: &[Entry], wanted: impl Fn(Meaning) -> bool) -> Option<Meaning> {
        entries
            .iter()
            .filter(|e| wanted(e.meaning))
            .max_by_key(|e| (self.score(e.tongue), std::cmp::Reverse(e.tongue)))
            .map(|e| e.meaning)
    }

    /// The month that a word names: as a whole, or cut short (`Decem`, `янв`).
    pub(super) fn month(&self, word: &str) -> Option<u32> {
        let is_month = |m| matches!(m, Meaning::Month(_));
        let exact = |word: &str| WORDS.known.get(word).and_then(|e| self.best(e, is_month));
        let found = exact(word)
            // `בינואר`: in January, in one word.
            .or_else(|| exact(word.strip_prefix('ב')?))
            .or_else(|| self.cut_short(word))
            .or_else(|| contained(word));
        match found {
            Some(Meaning::Month(n)) => Some(n),
            _ => None,
        }
    }

    fn cut_short(&self, word: &str) -> Option<Meaning> {
        let letters = word.chars().count();
        let least = if word.is_ascii() { 3 } else { 2 };
        // A word that means something else is not a month cut short.
        if letters < least || WORDS.known.contains_key(word) {
            return None;
        }
        let longer = WORDS.known.range(word.to_owned()..).take_while(|(key, _)| key.starts_with(word));
        // Two words are no abbreviation, and of a short word a letter left out is none.
        let less = usize::from(word.is_ascii() && letters < 6);
        let entries: Vec<Entry> = longer
            .filter(|(key, _)| !key.contains(' ') && key.chars().count() > letters + less)
            .flat_map(|(_, e)| e.iter().copied())
            .collect();
        self.best(&entries, |m| matches!(m, Meaning::Month(_)))
    }

    /// 0 is Monday. Only in a language that another word speaks for too.
    pub(super) fn weekday(&self, word: &str) -> Option<u32> {
        let mut entries = WORDS.known.get(word)?.clone();
        entries.retain(|e| self.is_backed(e.tongue));
        match self.best(&entries, |m| matches!(m, Meaning::Weekday(_)))? {
            Meaning::Weekday(n) => Some(n),
            _ => None,
        }
    }

    /// Hours that a half of the day adds (0 or 12). `alone` if no minutes were written, which asks for more.
    pub(super) fn half(&self, word: &str, alone: bool) -> Option<u32> {
        // Short words of other meaning in other languages.
        const SHORT: &[&str] = &[
            "de", "du", "to", "em", "fm", "sa", "ch", "pop", "md", "pd", "tk", "vm", "nm", "dop", "eh", "fh",
        ];
        let entries = WORDS.known.get(word)?;
        let plain = matches!(word, "am" | "pm") || !word.is_ascii();
        if !plain && (alone || SHORT.contains(&word)) && !entries.iter().any(|e| self.is_backed(e.tongue)) {
            return None;
        }
        match self.best(entries, |m| matches!(m, Meaning::Half(_)))? {
            Meaning::Half(n) => Some(n),
            _ => None,
        }
    }

    /// The hour of a word: 12 for noon, 0 for midnight.
    pub(super) fn hour(&self, word: &str) -> Option<u32> {
        match self.best(WORDS.known.get(word)?, |m| matches!(m, Meaning::Hour(_)))? {
            Meaning::Hour(n) => Some(n),
            _ => None,
        }
    }
}

/// Scripts without spaces between words: `เดือนตุลาคม`.
fn contained(word: &str) -> Option<Meaning> {
    let first = word.chars().next()?;
    if !matches!(first, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}') {
        return None;
    }
    WORDS
        .known
        .iter()
        .filter(|(key, _)| key.chars().count() > 3 && word.contains(key.as_str()))
        .flat_map(|(_, entries)| entries)
        .map(|e| e.meaning)
        .find(|m| matches!(m, Meaning::Month(_)))
}

/// Is a word of another language than English, in a script whose languages write the day first?
fn is_foreign(word: &str) -> bool {
    let east =
        |c: char| matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}');
    if !word.is_ascii() {
        return !word.chars().any(east) && word.chars().count() > 1;
    }
    // What stands around dates and is not English.
    const AROUND: &str = "um|uhr|vom|der|den|alle|ore|las|los|el|del|il|le|du|klo|kl|em|dne|dnia|godz|om|op|pukul|jam|saat|\
        tarihinde|hodin|ora|dal|desde|hasta|publicado|actualizado|atualizado|publicada|pubblicato|aggiornato|aktualisiert|\
        geplaatst|bijgewerkt|opublikowano|dodano|publikovano|objavljeno|yayinlanma|diterbitkan";
    if AROUND.split('|').any(|w| w == word) {
        return true;
    }
    let entries = WORDS.known.get(word).map(Vec::as_slice).unwrap_or_default();
    let first = |e: &Entry| matches!(WORDS.tongues.get(e.tongue), Some(&"en"));
    word.len() > 2 && !entries.is_empty() && !entries.iter().any(first)
}

/// Does the language write the day before the month? Unknown languages do not count.
fn day_first(primary: &str, tag: &str) -> bool {
    match primary {
        "" | "fil" | "zh" | "ja" | "ko" | "sw" => false,
        "en" => {
            let region = tag.split('-').nth(1).unwrap_or_default();
            ["gb", "ie", "au", "nz", "in", "za", "sg", "mt", "pk", "ng", "ke", "uk"].contains(&region)
        }
        other => WORDS.tongues.contains(&other),
    }
}
