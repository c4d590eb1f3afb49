//! What a first judgement of all blocks says of each one's surroundings, as numbers for the second judgement.
//!
//! The same as `context` in `learn/content.py`, in the same order. Linear in the blocks.

use std::collections::HashMap;

/// Groups a block belongs to: elements around it, and blocks of its shape. Numbers are equal within a group only.
pub(super) type Groups = [u64; 5];

/// Least weight of a block, so that no mean is of nothing.
const LEAST: f64 = 1e-6;

/// The features of each block's surroundings. `words` is how many words a block has, `said` how likely it is content.
pub(super) struct Context<'c> {
    said: &'c [f32],
    weights: Vec<f64>,
    /// Sums up to each block, and the total behind the last: of weight times likelihood, of weight.
    sums: Vec<(f64, f64)>,
    /// For each block and group: the sums over the group.
    groups: Vec<[(f64, f64); 5]>,
}

#[cfg(test)]
pub(super) const NAMES: [&str; 18] = [
    "back1",
    "next1",
    "back2",
    "next2",
    "near3",
    "near8",
    "other_up1",
    "all_up1",
    "other_up2",
    "all_up2",
    "other_third",
    "all_third",
    "other_tenth",
    "all_tenth",
    "other_kin",
    "all_kin",
    "page",
    "before",
];

impl<'c> Context<'c> {
    pub(super) fn of(words: &[u32], said: &'c [f32], groups: &[Groups]) -> Self {
        let weights: Vec<f64> = words.iter().map(|w| f64::from(*w) + LEAST).collect();
        let mut sums = Vec::with_capacity(said.len() + 1);
        let mut sum = (0.0, 0.0);
        let mut by_group: [HashMap<u64, (f64, f64)>; 5] = Default::default();
        for ((weight, said), groups) in weights.iter().zip(said).zip(groups) {
            sums.push(sum);
            let right = weight * f64::from(*said);
            sum = (sum.0 + right, sum.1 + weight);
            for (group, sums) in groups.iter().zip(&mut by_group) {
                let sums = sums.entry(*group).or_default();
                *sums = (sums.0 + right, sums.1 + weight);
            }
        }
        sums.push(sum);
        let of_block = |groups: &Groups| {
            std::array::from_fn(|g| by_group[g].get(&groups[g]).copied().unwrap_or_default())
        };
        Self { said, weights, sums, groups: groups.iter().map(of_block).collect() }
    }

    /// Gives each feature of a block, in the order of [`NAMES`].
    pub(super) fn each(&self, n: usize, mut put: impl FnMut(f32)) {
        let beside =
            |step: isize| n.checked_add_signed(step).and_then(|n| self.said.get(n)).copied().unwrap_or(-1.0);
        for step in [-1, 1, -2, 2] {
            put(beside(step));
        }
        let (weight, right) = (self.weights[n], self.weights[n] * f64::from(self.said[n]));
        let others = |sum: (f64, f64)| narrow((sum.0 - right) / (sum.1 - weight + LEAST));
        for radius in [3, 8] {
            let (a, b) = (n.saturating_sub(radius), (n + radius + 1).min(self.said.len()));
            put(others((self.sums[b].0 - self.sums[a].0, self.sums[b].1 - self.sums[a].1)));
        }
        for sum in self.groups[n] {
            put(others(sum));
            put(narrow(sum.0 / sum.1));
        }
        let total = self.sums[self.said.len()];
        put(narrow(total.0 / total.1));
        put(narrow(self.sums[n + 1].0 / (total.0 + 1e-9)));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "shares between 0 and 1 need no more")]
fn narrow(n: f64) -> f32 {
    n as f32
}
