//! Which blocks are content: two logistic regressions over their features, then the choice that promises the best F1.
//!
//! Must not know: where the weights come from (`learn/content.py`).

use super::block::{Block, Blocks};
use super::context::{Context, Groups};
use super::feature::{Facts, Features};
use super::hint::{self, Hints};
use super::reader::Reading;
use super::weights::{FIRST, FIRST_BIAS, SECOND, SECOND_BIAS};
use std::collections::HashMap;

/// What one feature counts.
pub(super) struct Weight {
    pub(super) name: &'static str,
    /// Mean and standard deviation where it was learned.
    pub(super) mean: f32,
    pub(super) deviation: f32,
    pub(super) weight: f32,
}

/// Deviations past which a value counts no more.
const FAR: f32 = 5.0;

impl Weight {
    fn of(&self, value: f32) -> f32 {
        ((value - self.mean) / self.deviation).clamp(-FAR, FAR) * self.weight
    }
}

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not a part of the content.
    Dropped,
    /// The caption of a picture in the content: goes with the picture, and is no part of the text.
    Caption,
    /// Content.
    Kept,
}

/// For each block whether it is content.
pub(super) fn judge(blocks: &Blocks<'_>, facts: &Facts, reading: &Reading) -> Vec<Verdict> {
    let features = Features::of(blocks, facts, reading);
    let count = blocks.list.len();
    // What the block itself adds to the second sum is taken in the same pass.
    let (mut said, mut own) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for n in 0..count {
        let (mut first, mut second) = (FIRST_BIAS, SECOND_BIAS);
        let mut at = 0;
        features.each(n, |name, value| {
            if let (Some(a), Some(b)) = (FIRST.get(at), SECOND.get(at)) {
                debug_assert_eq!((name, name), (a.name, b.name));
                first += a.of(value);
                second += b.of(value);
            }
            at += 1;
        });
        said.push(likelihood(first));
        own.push(second);
    }
    let words: Vec<u32> = (0..count).map(|n| features.words(n)).collect();
    let groups: Vec<Groups> = (0..count).map(|n| features.groups(n)).collect();
    let context = Context::of(&words, &said, &groups);
    for (n, sum) in own.iter_mut().enumerate() {
        let mut weights = SECOND.iter().skip(FIRST.len());
        context.each(n, |value| {
            if let Some(weight) = weights.next() {
                *sum += weight.of(value);
            }
        });
        *sum = likelihood(*sum);
    }
    let mut keep = choose(&own, &words);
    join(blocks, &words, &mut keep);
    (0..count).map(|n| verdict(blocks, &keep, n)).collect()
}

fn verdict(blocks: &Blocks<'_>, keep: &[bool], n: usize) -> Verdict {
    let block = &blocks.list[n];
    let beside = n > 0 && keep[n - 1] || keep.get(n + 1).is_some_and(|k| *k);
    if keep[n] {
        Verdict::Kept
    } else if block.hints & hint::FIGURE != 0 && block.hints & BAD == 0 && beside && block.chars < CAPTION {
        Verdict::Caption
    } else {
        Verdict::Dropped
    }
}

/// Parts of which nothing is kept that is not content by itself.
const BAD: Hints = hint::NAV
    | hint::SAYS_SHARE
    | hint::SAYS_RELATED
    | hint::SAYS_AD
    | hint::SAYS_POPUP
    | hint::HIDDEN
    | hint::BUTTON;

/// Share of the words of an element from which all of it is kept.
const MOST: f64 = 0.8;

/// The same of a table, a list or code.
const HALF: f64 = 0.5;
/// Characters of a picture's caption, at most.
const CAPTION: u32 = 300;

/// What a block is a part of.
#[derive(Clone, Copy)]
enum Whole {
    /// The element around the block's own.
    Parent,
    /// The innermost table, list or piece of code.
    Structure,
}

impl Whole {
    /// The place of the element; 0 for none.
    fn of(self, blocks: &Blocks<'_>, block: &Block) -> u32 {
        match self {
            Whole::Parent => blocks.parents[block.owner],
            Whole::Structure => {
                let mut place = block.owner;
                for _ in 0..8 {
                    if matches!(blocks.names[place], "table" | "ul" | "ol" | "dl" | "pre") {
                        return u32::try_from(place).unwrap_or(0);
                    }
                    place = blocks.parents[place] as usize;
                }
                0
            }
        }
    }
}

/// What belongs together stays together: a heading goes with what it heads, and the last pieces of an element with the
/// rest of it.
fn join(blocks: &Blocks<'_>, words: &[u32], keep: &mut [bool]) {
    for (whole, most) in [(Whole::Structure, HALF), (Whole::Parent, MOST)] {
        let of: Vec<u32> = blocks.list.iter().map(|b| whole.of(blocks, b)).collect();
        let mut sums: HashMap<u32, (f64, f64)> = HashMap::new();
        for ((of, words), keep) in of.iter().zip(words).zip(&*keep) {
            let sum = sums.entry(*of).or_default();
            sum.1 += f64::from(*words);
            sum.0 += if *keep { f64::from(*words) } else { 0.0 };
        }
        for (n, block) in blocks.list.iter().enumerate() {
            let sum = sums.get(&of[n]).copied().unwrap_or_default();
            if of[n] != 0 && sum.0 >= most * sum.1 && block.hints & BAD == 0 {
                keep[n] = true;
            }
        }
    }
    follow(blocks, keep);
    let mut ahead = false;
    for (n, block) in blocks.list.iter().enumerate().rev() {
        if block.heading > 1 && ahead {
            keep[n] = true;
        }
        ahead = keep[n];
    }
}

/// A table, a list or code goes with the paragraph right before it, unless it is one of links.
fn follow(blocks: &Blocks<'_>, keep: &mut [bool]) {
    let mut n = 0;
    while let Some(block) = blocks.list.get(n) {
        let whole = Whole::Structure.of(blocks, block);
        let end = blocks.list[n..]
            .iter()
            .position(|b| whole == 0 || Whole::Structure.of(blocks, b) != whole)
            .map_or(blocks.list.len(), |len| n + len.max(1));
        let sum = blocks.sums[whole as usize];
        let leads = n.checked_sub(1).is_some_and(|before| {
            let before_of = &blocks.list[before];
            keep[before]
                && before_of.heading == 0
                && whole != 0
                && blocks.parents[before_of.owner] == blocks.parents[whole as usize]
        });
        if leads && sum.linked * 3 < sum.chars {
            for (kept, block) in keep[n..end].iter_mut().zip(&blocks.list[n..end]) {
                *kept |= block.hints & BAD == 0;
            }
        }
        n = end;
    }
}

fn likelihood(sum: f32) -> f32 {
    1.0 / (1.0 + (-sum).exp())
}

/// The blocks whose choice has the best expected F1: the likeliest ones, as long as one more does not make it worse.
fn choose(likely: &[f32], words: &[u32]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..likely.len()).collect();
    order.sort_by(|a, b| likely[*b].total_cmp(&likely[*a]).then(a.cmp(b)));
    let right = |n: usize| f64::from(likely[n]) * f64::from(words[n]);
    let expected: f64 = order.iter().map(|n| right(*n)).sum();
    let (mut kept, mut hit, mut best, mut best_len) = (0.0, 0.0, 0.0, 0);
    for (at, &n) in order.iter().enumerate() {
        kept += f64::from(words[n]);
        hit += right(n);
        let f1 = 2.0 * hit / (kept + expected + 1e-9);
        if f1 > best {
            (best, best_len) = (f1, at + 1);
        }
    }
    let mut out = vec![false; likely.len()];
    order[..best_len].iter().for_each(|n| out[*n] = true);
    out
}

#[cfg(test)]
mod tests {
    use super::super::context;
    use super::*;

    #[test]
    fn the_choice_is_the_likely_part() {
        assert_eq!(choose(&[0.9, 0.1, 0.8], &[10, 10, 10]), [true, false, true]);
        assert_eq!(choose(&[0.2, 0.15], &[10, 10]), [true, true]);
        assert_eq!(choose(&[], &[]), [false; 0]);
    }

    #[test]
    fn weights_and_features_have_one_order() {
        let doc = html::Document::parse("<p>text");
        let blocks = Blocks::of(doc.root());
        let (facts, reading) = (Facts::default(), Reading::default());
        let mut names = Vec::new();
        Features::of(&blocks, &facts, &reading).each(0, |name, _| names.push(name));
        let of = |weights: &[Weight]| weights.iter().map(|w| w.name).collect::<Vec<_>>();
        assert_eq!(of(FIRST), names);
        names.extend(context::NAMES);
        assert_eq!(of(SECOND), names);
    }
}
