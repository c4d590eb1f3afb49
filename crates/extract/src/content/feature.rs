//! What is known of a block, as numbers: of itself, of what stands around it, of its place, of the whole page.
//!
//! Owns: the features and their names, in the order the model was learned with. Must not know: the model.
//! Each block costs a bounded number of steps.

use super::block::{Block, Blocks, Sum};
use super::context::Groups;
use super::hint::{self, Hints};
use super::phrase::{self, Phrase};
use super::reader::Reading;
use std::collections::HashMap;

/// What the page says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The title, only letters and digits, in lower case.
    pub(super) title: String,
    /// Its head names an author.
    pub(super) has_author: bool,
    /// It says that it is an article, a product, a forum's thread, a list.
    pub(super) article: bool,
    pub(super) product: bool,
    pub(super) forum: bool,
    pub(super) listing: bool,
}

/// Blocks looked at on each side for the prose around.
const AROUND: usize = 6;

pub(super) struct Features<'b, 'd> {
    blocks: &'b Blocks<'d>,
    facts: &'b Facts,
    reading: &'b Reading,
    /// Share of the text that a reading view shows, and that its article has before it is cleaned.
    shown: f32,
    inside: f32,
    phrases: Vec<Phrase>,
    total: Sum,
    long: f32,
    /// Place of the deepest element with more than half, and with more than four fifths, of the prose.
    half: usize,
    most: usize,
    /// For each place: the outermost element around it with at most a third, and a tenth, of the text.
    third: Vec<u32>,
    tenth: Vec<u32>,
    /// How often a text stands on the page.
    repeats: HashMap<&'b str, u16>,
    /// By shape of a block and what is around it: how many, characters, characters in links.
    shapes: HashMap<u64, (u32, u32, u32)>,
    /// Prose characters up to each block.
    prose_before: Vec<u32>,
    chars_before: Vec<u32>,
    first_heading: Option<usize>,
    title_at: Option<usize>,
    /// For each block the prose block nearest before and behind.
    prose_back: Vec<u32>,
    prose_ahead: Vec<u32>,
    /// For each block the heading above it.
    under: Vec<Option<u32>>,
    mains: bool,
    articles: u32,
    /// What the page's only `<main>` or `<article>` is, else the deepest element with most of the text.
    marked: usize,
    dense: usize,
}

const FAR: u32 = 99;

impl<'b, 'd> Features<'b, 'd> {
    pub(super) fn of(blocks: &'b Blocks<'d>, facts: &'b Facts, reading: &'b Reading) -> Self {
        let list = &blocks.list;
        let total = blocks.sums[0];
        let phrases: Vec<Phrase> = list.iter().map(|b| phrase::of(&b.text)).collect();
        let deepest = |least: f32| {
            let least = share(least, total.prose);
            blocks.sums.iter().rposition(|s| num(s.prose) > least).unwrap_or(0)
        };
        let mut repeats = HashMap::new();
        let mut shapes: HashMap<u64, (u32, u32, u32)> = HashMap::new();
        let (mut prose_before, mut chars_before) = (Vec::new(), Vec::new());
        let (mut prose, mut chars) = (0u32, 0u32);
        let mut under = Vec::with_capacity(list.len());
        let mut heading = None;
        let (mut first_heading, mut title_at) = (None, None);
        let mut prose_back = Vec::with_capacity(list.len());
        let mut back = FAR;
        for (n, block) in list.iter().enumerate() {
            let count = repeats.entry(block.text.as_str()).or_insert(0u16);
            *count = count.saturating_add(1);
            let kin = shapes.entry(kin(blocks, block)).or_default();
            *kin = (kin.0 + 1, kin.1.saturating_add(block.chars), kin.2.saturating_add(block.linked));
            prose_before.push(prose);
            chars_before.push(chars);
            chars = chars.saturating_add(block.chars);
            under.push(heading);
            prose_back.push(back);
            back = (back + 1).min(FAR);
            if block.is_prose() {
                prose = prose.saturating_add(block.chars);
                back = 1;
            }
            if block.heading > 0 {
                heading = u32::try_from(n).ok();
                if block.heading == 1 && first_heading.is_none() {
                    first_heading = Some(n);
                }
            }
            if title_at.is_none() && block.heading > 0 && is_title(&facts.title, &block.text) {
                title_at = Some(n);
            }
        }
        let mut prose_ahead = vec![FAR; list.len()];
        let mut ahead = FAR;
        for n in (0..list.len()).rev() {
            prose_ahead[n] = ahead;
            ahead = if list[n].is_prose() { 1 } else { (ahead + 1).min(FAR) };
        }
        let (mut mains, mut articles, mut marked) = (false, 0, 0);
        for (place, name) in blocks.names.iter().enumerate() {
            let enough = blocks.sums[place].chars >= 200;
            match *name {
                "main" => {
                    mains = true;
                    if enough {
                        marked = place;
                    }
                }
                "article" => {
                    articles += 1;
                    if articles == 1 && !mains && enough {
                        marked = place;
                    }
                }
                _ => {}
            }
        }
        if articles > 1 && !mains {
            marked = 0;
        }
        let plain =
            |place: usize| blocks.sums[place].chars - blocks.sums[place].linked.min(blocks.sums[place].chars);
        let least = share(0.7, plain(0));
        let dense = (0..blocks.sums.len()).rev().find(|p| num(plain(*p)) >= least).unwrap_or(0);
        let share_of = |marks: &[bool]| {
            let chars = list.iter().filter(|b| is_marked(marks, blocks, b)).map(|b| b.chars).sum();
            ratio(chars, total.chars)
        };
        Self {
            shown: share_of(&reading.shown),
            inside: share_of(&reading.inside),
            reading,
            third: outermost(blocks, share(0.35, total.chars)),
            tenth: outermost(blocks, share(0.1, total.chars)),
            half: deepest(0.5),
            most: deepest(0.8),
            long: num(total.prose),
            blocks,
            facts,
            phrases,
            total,
            repeats,
            shapes,
            prose_before,
            chars_before,
            first_heading,
            title_at: title_at.or(first_heading),
            prose_back,
            prose_ahead,
            under,
            mains,
            articles,
            marked,
            dense,
        }
    }

    /// Gives each feature of a block, always in the same order.
    pub(super) fn each(&self, n: usize, mut put: impl FnMut(&'static str, f32)) {
        let list = &self.blocks.list;
        let block = &list[n];
        let phrase = &self.phrases[n];
        // Of itself.
        put("chars", ln(block.chars));
        put("words", ln(phrase.words));
        put("word_len", num(block.chars) / num(phrase.words.max(1)));
        put("links", ratio(block.linked, block.chars));
        put("stops", num(phrase.stops.min(50)));
        put("commas", num(phrase.commas.min(50)));
        put("ends", flag(phrase.ends_as_sentence));
        put("digits", ratio(phrase.digits, block.chars));
        put("upper", ratio(phrase.upper, phrase.words.max(1)));
        put("legal", flag(phrase.legal));
        put("action", flag(phrase.action));
        put("price", flag(phrase.price));
        put("date", flag(phrase.date));
        put("bar", flag(phrase.bar));
        put("tag", self.tag(block));
        put("heading", num(u32::from(block.heading)));
        put("title", flag(is_title(&self.facts.title, &block.text)));
        put("repeats", f32::from(self.repeats.get(block.text.as_str()).copied().unwrap_or(1)));
        put("depth", f32::from(block.depth));
        // What is said around it.
        const NAMES: [&str; hint::COUNT] = [
            "nav",
            "header",
            "footer",
            "aside",
            "main",
            "article",
            "form",
            "table",
            "list",
            "figure",
            "says_nav",
            "says_footer",
            "says_header",
            "says_side",
            "says_comment",
            "says_share",
            "says_related",
            "says_popup",
            "says_ad",
            "says_meta",
            "says_content",
            "says_item",
            "says_post",
            "says_form",
            "hidden",
            "link",
            "button",
            "says_body",
            "noscript",
        ];
        for (bit, name) in NAMES.iter().enumerate() {
            put(name, flag(block.hints & (1 << bit) != 0));
        }
        // The elements around it.
        let mut place = block.owner;
        const LEVELS: [[&str; 4]; 4] = [
            ["up0_links", "up0_chars", "up0_prose", "up0_blocks"],
            ["up1_links", "up1_chars", "up1_prose", "up1_blocks"],
            ["up2_links", "up2_chars", "up2_prose", "up2_blocks"],
            ["up4_links", "up4_chars", "up4_prose", "up4_blocks"],
        ];
        for (level, names) in LEVELS.into_iter().enumerate() {
            self.sum(place, names, &mut put);
            place = self.up(place);
            if level == 2 {
                place = self.up(place);
            }
        }
        let third = self.third[block.owner] as usize;
        self.sum(third, ["third_links", "third_chars", "third_prose", "third_blocks"], &mut put);
        put("third_at", self.at(third));
        let tenth = self.tenth[block.owner] as usize;
        self.sum(tenth, ["tenth_links", "tenth_chars", "tenth_prose", "tenth_blocks"], &mut put);
        let inside = |outer: usize| self.within(block.owner, outer);
        put("in_half", flag(inside(self.half)));
        put("in_most", flag(inside(self.most)));
        put("in_marked", flag(self.marked > 0 && inside(self.marked)));
        put("out_marked", flag(self.marked > 0 && !inside(self.marked)));
        put("marked_share", ratio(self.blocks.sums[self.marked].chars, self.total.chars));
        put("in_dense", flag(inside(self.dense)));
        let article = block.hints & hint::ARTICLE != 0;
        put("only_article", flag(article && self.articles == 1));
        put("one_of_articles", flag(article && self.articles > 1));
        put("half_share", ratio(self.blocks.sums[self.half].chars, self.total.chars));
        put("half_links", ratio(self.blocks.sums[self.half].linked, self.blocks.sums[self.half].chars));
        let kin = self.shapes.get(&kin(self.blocks, block)).copied().unwrap_or_default();
        put("kin", ln(kin.0));
        put("kin_chars", ln(kin.1 / kin.0.max(1)));
        put("kin_links", ratio(kin.2, kin.1));
        // Its neighbours.
        const BESIDE: [[&str; 3]; 4] = [
            ["back2_chars", "back2_links", "back2_heading"],
            ["back1_chars", "back1_links", "back1_heading"],
            ["next1_chars", "next1_links", "next1_heading"],
            ["next2_chars", "next2_links", "next2_heading"],
        ];
        for (step, names) in [-2isize, -1, 1, 2].into_iter().zip(BESIDE) {
            let other = n.checked_add_signed(step).and_then(|n| list.get(n));
            put(names[0], other.map_or(-1.0, |b| ln(b.chars)));
            put(names[1], other.map_or(-1.0, |b| ratio(b.linked, b.chars)));
            put(names[2], other.map_or(-1.0, |b| num(u32::from(b.heading))));
        }
        let prose_of = |blocks: &[Block]| -> u32 {
            blocks.iter().filter(|b| b.is_prose()).map(|b| b.chars.min(5000)).sum()
        };
        put("prose_back", ln(prose_of(&list[n.saturating_sub(AROUND)..n])));
        put("prose_next", ln(prose_of(&list[n + 1..(n + 1 + AROUND).min(list.len())])));
        put("since_prose", num(self.prose_back[n]));
        put("until_prose", num(self.prose_ahead[n]));
        // Its place.
        put("at", ratio(self.chars_before[n], self.total.chars));
        put("at_prose", self.prose_before[n] as f32 / self.long.max(1.0));
        put("at_block", len(n) / len(list.len()));
        put("after_title", self.title_at.map_or(-99.0, |t| (len(n) - len(t)).clamp(-99.0, 99.0)));
        put("after_h1", self.first_heading.map_or(-99.0, |t| (len(n) - len(t)).clamp(-99.0, 99.0)));
        let above = self.under[n].map(|h| h as usize);
        put("under_kind", above.map_or(0.0, |h| flag(self.phrases[h].aside)));
        put("is_aside", flag(phrase.aside));
        put("under_far", above.map_or(99.0, |h| len(n - h).min(99.0)));
        put("under_level", above.map_or(0.0, |h| num(u32::from(list[h].heading))));
        put("under_hints", above.map_or(0.0, |h| flag(list[h].hints & SAYS_LESS != 0)));
        // What a reading view makes of it.
        put("shown", flag(is_marked(&self.reading.shown, self.blocks, block)));
        put("inside", flag(is_marked(&self.reading.inside, self.blocks, block)));
        // The page.
        put("page_shown", self.shown);
        put("page_inside", self.inside);
        put("page_chars", ln(self.total.chars));
        put("page_prose", self.long / num(self.total.chars).max(1.0));
        put("page_links", ratio(self.total.linked, self.total.chars));
        put("page_blocks", len(list.len()).ln_1p());
        put("page_main", flag(self.mains));
        put("page_articles", num(self.articles.min(20)));
        put("page_article", flag(self.facts.article));
        put("page_product", flag(self.facts.product));
        put("page_forum", flag(self.facts.forum));
        put("page_listing", flag(self.facts.listing));
    }

    /// Words of a block.
    pub(super) fn words(&self, n: usize) -> u32 {
        self.phrases[n].words
    }

    /// The groups of a block, whose other members tell of it.
    pub(super) fn groups(&self, n: usize) -> Groups {
        let block = &self.blocks.list[n];
        let up = self.up(block.owner);
        let place = |p: usize| u64::try_from(p).unwrap_or(u64::MAX);
        [
            place(up),
            place(self.up(up)),
            u64::from(self.third[block.owner]),
            u64::from(self.tenth[block.owner]),
            kin(self.blocks, block),
        ]
    }

    fn sum(&self, place: usize, names: [&'static str; 4], put: &mut impl FnMut(&'static str, f32)) {
        let sum = self.blocks.sums[place];
        put(names[0], ratio(sum.linked, sum.chars));
        put(names[1], ln(sum.chars));
        put(names[2], ratio(sum.prose, sum.chars));
        put(names[3], ln(sum.blocks));
    }

    fn up(&self, place: usize) -> usize {
        self.blocks.parents[place] as usize
    }

    /// Where an element's text begins, as a share of the page.
    fn at(&self, place: usize) -> f32 {
        let id = place + self.blocks.root.id();
        let n = self.blocks.list.partition_point(|b| b.first < id);
        ratio(self.chars_before.get(n).copied().unwrap_or(self.total.chars), self.total.chars)
    }

    fn within(&self, place: usize, outer: usize) -> bool {
        let mut place = place;
        while place > outer {
            place = self.up(place);
        }
        place == outer
    }

    fn tag(&self, block: &Block) -> f32 {
        let name = self.blocks.names[block.owner];
        let order = [
            "p",
            "li",
            "td",
            "th",
            "div",
            "span",
            "dd",
            "dt",
            "pre",
            "blockquote",
            "figcaption",
            "section",
            "article",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
        ];
        order.iter().position(|n| *n == name).map_or(-1.0, len)
    }
}

/// Is a block's text marked in a reading?
pub(super) fn is_marked(marks: &[bool], blocks: &Blocks<'_>, block: &Block) -> bool {
    block.first.checked_sub(blocks.root.id()).and_then(|p| marks.get(p)).copied().unwrap_or(false)
}

const SAYS_LESS: Hints = hint::SAYS_RELATED
    | hint::SAYS_COMMENT
    | hint::SAYS_SIDE
    | hint::SAYS_FOOTER
    | hint::SAYS_AD
    | hint::ASIDE;

/// For each place the outermost element around it that has at most so many characters; itself if none.
fn outermost(blocks: &Blocks<'_>, most: f32) -> Vec<u32> {
    let mut out: Vec<u32> = (0u32..).take(blocks.sums.len()).collect();
    for place in 1..out.len() {
        let parent = blocks.parents[place] as usize;
        if num(blocks.sums[parent].chars) <= most {
            out[place] = out[parent];
        }
    }
    out
}

/// A number shared by blocks of the same shape in surroundings of the same shape.
fn kin(blocks: &Blocks<'_>, block: &Block) -> u64 {
    let mut place = block.owner;
    let mut hash = 0u64;
    for _ in 0..3 {
        hash = (hash ^ blocks.shapes[place]).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        place = blocks.parents[place] as usize;
    }
    hash
}

/// Is the text (most of) the page's title?
fn is_title(title: &str, text: &str) -> bool {
    if text.len() > 400 || text.len() < 4 {
        return false;
    }
    let text = squash(text);
    text.len() >= 4 && title.contains(&text) && text.len() * 3 >= title.len()
}

/// Letters and digits in lower case.
pub(super) fn squash(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn flag(is: bool) -> f32 {
    f32::from(u8::from(is))
}

fn ln(n: u32) -> f32 {
    num(n).ln_1p()
}

pub(super) fn ratio(part: u32, whole: u32) -> f32 {
    if whole == 0 { 0.0 } else { num(part) / num(whole) }
}

fn share(part: f32, whole: u32) -> f32 {
    part * num(whole)
}

#[expect(clippy::cast_precision_loss, reason = "a feature needs no more than 24 bits")]
fn num(n: u32) -> f32 {
    n as f32
}

#[expect(clippy::cast_precision_loss, reason = "a feature needs no more than 24 bits")]
fn len(n: usize) -> f32 {
    n as f32
}
