//! Vocabulary of the shop and the generator that draws from it.

pub(crate) const WORDS: &[&str] = &[
    "alpine",
    "brushed",
    "carbon",
    "compact",
    "copper",
    "cotton",
    "durable",
    "eco",
    "ergonomic",
    "field",
    "foldable",
    "forest",
    "glass",
    "granite",
    "handmade",
    "heavy",
    "insulated",
    "ivory",
    "kitchen",
    "lamp",
    "leather",
    "light",
    "linen",
    "lunar",
    "magnetic",
    "maple",
    "marine",
    "matte",
    "metal",
    "modular",
    "mountain",
    "natural",
    "nordic",
    "oak",
    "ocean",
    "outdoor",
    "paper",
    "pocket",
    "portable",
    "premium",
    "quartz",
    "quiet",
    "rapid",
    "recycled",
    "river",
    "rugged",
    "satin",
    "shade",
    "silver",
    "slim",
    "smart",
    "solar",
    "solid",
    "steel",
    "stone",
    "studio",
    "summit",
    "sunset",
    "table",
    "travel",
    "ultra",
    "urban",
    "velvet",
    "vintage",
    "walnut",
    "warm",
    "water",
    "wide",
    "winter",
    "wireless",
    "wood",
    "wool",
    "caf\u{e9}",
    "cr\u{e8}me",
    "M\u{fc}nchen",
    "\u{153}uvre",
    "the",
    "and",
    "with",
    "for",
    "from",
    "that",
    "this",
    "every",
    "which",
    "keeps",
    "holds",
    "feels",
    "made",
    "built",
    "tested",
    "ready",
    "simple",
    "clean",
    "bright",
    "sturdy",
    "soft",
    "balanced",
];
pub(crate) const NOUNS: &[&str] = &[
    "Backpack", "Bottle", "Lamp", "Chair", "Desk", "Jacket", "Kettle", "Keyboard", "Knife", "Mug",
    "Notebook", "Pan", "Pillow", "Rack", "Rug", "Shelf", "Speaker", "Stool", "Tent", "Torch", "Tray",
    "Umbrella", "Vase", "Watch",
];
/// Ends of titles: what HTML must escape, what is not ASCII.
pub(crate) const TAILS: &[&str] = &[
    "",
    " & Case",
    " \"Pro\"",
    " \u{2013} Set of 4",
    " (2nd gen.)",
    " <XL>",
    " d'\u{e9}t\u{e9}",
    " 30\u{a0}cm",
];
pub(crate) const DEPARTMENTS: &[&str] =
    &["Home & Garden", "Outdoor", "Office", "Kitchen", "Electronics", "Fashion", "Sports & Leisure", "Toys"];

/// SplitMix64: a seed gives the same draws on every machine and in every version.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The low half of a draw.
    pub(crate) fn draw32(&mut self) -> u32 {
        (self.draw() & 0xFFFF_FFFF) as u32
    }

    /// A number below `n`, which is above zero.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    pub(crate) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }

    /// Appends `n` words, the first with a capital.
    pub(crate) fn words(&mut self, n: u64, out: &mut String) {
        for i in 0..n {
            let word = self.pick(WORDS);
            if i > 0 {
                out.push(' ');
                out.push_str(word);
                continue;
            }
            let mut letters = word.chars();
            if let Some(first) = letters.next() {
                out.extend(first.to_uppercase());
                out.push_str(letters.as_str());
            }
        }
    }

    pub(crate) fn sentences(&mut self, n: u64) -> String {
        let mut text = String::new();
        for i in 0..n {
            if i > 0 {
                text.push(' ');
            }
            let length = 8 + self.below(12);
            self.words(length, &mut text);
            text.push_str(match self.below(12) {
                0 => "!",
                1 => " & more.",
                2 => " (\u{201c}as shown\u{201d}).",
                _ => ".",
            });
        }
        text
    }
}
