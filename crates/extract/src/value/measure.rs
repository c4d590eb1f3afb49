//! Weights, lengths and volumes: `1.5 kg`, `2 lb 3 oz`, `12 fl oz`, `75 cl`, `10,5 cm`, `5'11"`.
//!
//! Given in one unit each (grams, metres, litres), so that values of different pages can be compared. A number without
//! a unit is none, and a unit of another kind is none.

use super::number::{self, Found, Lone};
use super::{digit, text};
use crate::limit;

/// A unit: its size in the unit that is given, and its words in lower case, parted by `|`.
type Unit = (f64, &'static str);

/// In grams. The pound and the ounce are avoirdupois (international, 1959).
const WEIGHTS: &[Unit] = &[
    (
        1.0,
        "g|gr|grs|gram|grams|gramm|gramme|grammes|gramos|grammi|gramas|г|гр|грамм|克|グラム|그램|غ|جرام|กรัม",
    ),
    (
        1e3,
        "kg|kgs|kilo|kilos|kilogram|kilograms|kilogramm|kilogramme|kilogrammes|kilogramos|chili|quilos|кг|\
        килограмм|公斤|千克|キロ|キログラム|킬로그램|كجم|كغ|กก|กิโลกรัม",
    ),
    (1e-3, "mg|milligram|milligrams|milligramm|мг|毫克"),
    (1e6, "t|tonne|tonnes|tonnen|тонн|тонна"),
    (453.592_37, "lb|lbs|pound|pounds|#"),
    (28.349_523_125, "oz|ozs|ounce|ounces"),
    (500.0, "pfund|斤"),
    (100.0, "dag|etto|etti"),
];

/// In metres. The inch is 25.4 mm exactly.
const LENGTHS: &[Unit] = &[
    (
        1.0,
        "m|meter|meters|metre|metres|mètre|mètres|metro|metros|metri|м|метр|метров|米|メートル|미터|متر|เมตร",
    ),
    (
        1e-2,
        "cm|cms|centimeter|centimeters|centimetre|centimetres|zentimeter|centimètres|centimetros|centímetros|\
        centimetri|см|厘米|センチ|سم|ซม",
    ),
    (
        1e-3,
        "mm|millimeter|millimeters|millimetre|millimetres|millimètres|milímetros|millimetri|мм|毫米|ミリ|مم|มม",
    ),
    (
        1e3,
        "km|kilometer|kilometers|kilometre|kilometres|kilomètres|kilómetros|chilometri|км|公里|千米|キロメートル|كم",
    ),
    (0.0254, "in|inch|inches|\"|″|”|''|zoll|pouces|pulgadas|pollici|polegadas|дюйм|дюйма|дюймов|英寸|インチ"),
    (0.3048, "ft|foot|feet|'|′|’|pies|piedi"),
    (0.9144, "yd|yds|yard|yards"),
    (1_609.344, "mi|mile|miles|meilen|миль"),
];

/// In litres. Spoons, cups and gallons are those of the United States.
const VOLUMES: &[Unit] = &[
    (
        1.0,
        "l|lt|ltr|liter|liters|litre|litres|litro|litros|litri|л|литр|литра|литров|升|リットル|리터|لتر|ลิตร",
    ),
    (1e-1, "dl|deciliter|дл"),
    (1e-2, "cl|centilitre|centilitres|сл"),
    (
        1e-3,
        "ml|mls|milliliter|milliliters|millilitre|millilitres|mililitros|millilitri|мл|毫升|ミリリットル|مل|มล|cc|ccm",
    ),
    (0.029_573_529_562_5, "fl oz|fl. oz|floz|fluid ounce|fluid ounces"),
    (0.473_176_473, "pt|pint|pints"),
    (0.946_352_946, "qt|quart|quarts"),
    (3.785_411_784, "gal|gallon|gallons"),
];

/// A weight in grams.
pub fn grams(input: &str) -> Option<f64> {
    measure(input, WEIGHTS)
}

/// A length in metres. Of `10 x 20 x 30 cm` the first side.
pub fn metres(input: &str) -> Option<f64> {
    measure(input, LENGTHS)
}

/// A volume in litres.
pub fn litres(input: &str) -> Option<f64> {
    measure(input, VOLUMES)
}

fn measure(input: &str, units: &[Unit]) -> Option<f64> {
    let input = digit::fold(text::head(input, limit::SHORT_VALUE_BYTES));
    let numbers = number::all(&input, Lone::CommaGroups, 12);
    let first = numbers.iter().position(|n| unit_of(&input, &numbers, n, units).is_some())?;
    let mut size = unit_of(&input, &numbers, &numbers[first], units)?;
    let mut total = numbers[first].value * size;
    // `2 lb 3 oz`, `5'11"`: a smaller unit right behind.
    for pair in numbers[first..].windows(2) {
        let between = input[pair[0].end..pair[1].start].trim();
        let next = unit_of(&input, &numbers, &pair[1], units).filter(|next| *next < size);
        let Some(next) = next.filter(|_| {
            between.chars().count() <= UNIT_CHARS && !between.contains(['(', '/', '=', ',', 'x', '×'])
        }) else {
            break;
        };
        total += pair[1].value * next;
        size = next;
    }
    // What was multiplied shall not show the dust of binary fractions: nine digits are more than any scale has.
    let rounded: f64 = format!("{total:.8e}").parse().ok()?;
    rounded.is_finite().then_some(rounded)
}

/// Characters of the longest unit's word.
const UNIT_CHARS: usize = 12;

/// The size of the unit behind a number; of `10 x 20 cm` the unit behind the last.
fn unit_of(input: &str, numbers: &[Found], found: &Found, units: &[Unit]) -> Option<f64> {
    let mut end = found.end;
    for next in numbers.iter().filter(|n| n.start >= found.end) {
        let between = input[end..next.start].trim();
        if !matches!(between, "x" | "×" | "X" | "х" | "*" | "by" | "-" | "–") {
            break;
        }
        end = next.end;
    }
    let rest = input[end..].trim_start_matches([' ', '\u{a0}', '\u{202f}', '-']);
    let lower = text::head(rest, 4 * UNIT_CHARS).to_lowercase();
    let fits = |word: &&str| {
        lower.strip_prefix(*word).is_some_and(|behind| {
            let letters = word.ends_with(char::is_alphabetic);
            !letters
                || !behind
                    .starts_with(|c: char| c.is_alphabetic() || matches!(c, '²' | '³' | '/' | '2' | '3'))
        })
    };
    let longest =
        |(size, words): &Unit| words.split('|').filter(fits).map(str::len).max().map(|len| (len, *size));
    units.iter().filter_map(longest).max_by_key(|(len, _)| *len).map(|(_, size)| size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&str) -> Option<f64>, cases: &[(&str, Option<f64>)]) {
        for (text, value) in cases {
            assert_eq!(read(text), *value, "{text}");
        }
    }

    #[test]
    fn weights() {
        check(
            grams,
            &[
                ("1.5 kg", Some(1500.0)),
                ("1,5 kg", Some(1500.0)),
                ("Gewicht: 250g", Some(250.0)),
                ("2 lb 3 oz", Some(992.233_309)),
                ("12 oz (340 g)", Some(340.194_277)),
                ("500 г", Some(500.0)),
                ("２キロ", Some(2000.0)),
                ("12", None),
                ("3 m", None),
                ("5 kg/m", None),
                ("5 games", None),
            ],
        );
    }

    #[test]
    fn lengths_and_volumes() {
        check(
            metres,
            &[
                ("10 cm", Some(0.1)),
                ("10 x 20 x 30 cm", Some(0.1)),
                ("5'11\"", Some(1.8034)),
                ("5 ft 11 in", Some(1.8034)),
                ("27-inch monitor", Some(0.6858)),
                ("3 m²", None),
                ("12,5 мм", Some(0.0125)),
            ],
        );
        check(
            litres,
            &[
                ("75 cl", Some(0.75)),
                ("1.5L", Some(1.5)),
                ("12 fl oz", Some(0.354_882_355)),
                ("500 ml", Some(0.5)),
                ("5 kg", None),
            ],
        );
    }
}
