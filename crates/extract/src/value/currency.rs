//! Currencies in short texts: signs, ISO 4217 codes and words, as written and as the code they stand for.
//!
//! Invariant: a sign shared by several currencies (`$`, `kr`) stands for the one most pages mean; a code beside it
//! wins.

/// A currency named in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'t> {
    /// As written, with the point of an abbreviation: `$`, `руб.`, `EUR`.
    pub sign: &'t str,
    /// ISO 4217 code.
    pub code: &'static str,
    /// Its first byte in the text.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// How sure it is.
    pub(super) kind: Kind,
}

/// What names a currency, surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A sign of nothing else: `€`, `US$`, `zł`.
    Sign,
    /// Three capital letters of ISO 4217.
    Code,
    /// A word or a letter that may be something else: `kr`, `р`, `lei`.
    Word,
}

/// Signs found anywhere, also within other text; longer signs stand before their parts.
const SIGNS: &[(&str, &str)] = &[
    ("Bds$", "BBD"),
    ("MOP$", "MOP"),
    ("CUC$", "CUC"),
    ("COL$", "COP"),
    ("US$", "USD"),
    ("U$S", "USD"),
    ("CA$", "CAD"),
    ("AU$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("SG$", "SGD"),
    ("AR$", "ARS"),
    ("BN$", "BND"),
    ("BZ$", "BZD"),
    ("CL$", "CLP"),
    ("CO$", "COP"),
    ("CV$", "CVE"),
    ("EC$", "XCD"),
    ("FJ$", "FJD"),
    ("GY$", "GYD"),
    ("JM$", "JMD"),
    ("LR$", "LRD"),
    ("RD$", "DOP"),
    ("TT$", "TTD"),
    ("WS$", "WST"),
    ("$U", "UYU"),
    ("$b", "BOB"),
    ("C$", "CAD"),
    ("A$", "AUD"),
    ("S$", "SGD"),
    ("R$", "BRL"),
    ("J$", "JMD"),
    ("N$", "NAD"),
    ("Z$", "ZWL"),
    ("T$", "TOP"),
    ("CN¥", "CNY"),
    ("CN￥", "CNY"),
    ("JP¥", "JPY"),
    ("E£", "EGP"),
    ("L£", "LBP"),
    ("S£", "SYP"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₤", "GBP"),
    ("￡", "GBP"),
    ("₹", "INR"),
    ("₨", "INR"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₩", "KRW"),
    ("￦", "KRW"),
    ("원", "KRW"),
    ("₪", "ILS"),
    ("฿", "THB"),
    ("บาท", "THB"),
    ("₫", "VND"),
    ("₱", "PHP"),
    ("₴", "UAH"),
    ("₦", "NGN"),
    ("₸", "KZT"),
    ("₡", "CRC"),
    ("₲", "PYG"),
    ("₭", "LAK"),
    ("₮", "MNT"),
    ("₵", "GHS"),
    ("₼", "AZN"),
    ("₾", "GEL"),
    ("֏", "AMD"),
    ("৳", "BDT"),
    ("៛", "KHR"),
    ("؋", "AFN"),
    ("﷼", "IRR"),
    ("₠", "EUR"),
    ("₣", "FRF"),
    ("₧", "ESP"),
    ("₯", "GRD"),
    ("₶", "FRF"),
    ("ƒ", "ANG"),
    ("ש\"ח", "ILS"),
    ("ש״ח", "ILS"),
    ("円", "JPY"),
    ("圓", "TWD"),
    ("¥", "JPY"),
    ("￥", "JPY"),
    ("元", "CNY"),
    ("د.إ", "AED"),
    ("درهم", "AED"),
    ("ر.س", "SAR"),
    ("ريال", "SAR"),
    ("جنيه", "EGP"),
    ("ج.م", "EGP"),
    ("د.ك", "KWD"),
    ("دينار", "KWD"),
    ("د.م", "MAD"),
    ("ر.ق", "QAR"),
    ("ر.ع", "OMR"),
    ("ل.ل", "LBP"),
    ("د.ت", "TND"),
    ("د.ج", "DZD"),
    ("تومان", "IRT"),
    ("﹩", "USD"),
    ("＄", "USD"),
    ("$", "USD"),
];

/// Words that name a currency wherever they stand alone or begin a word (`рублей`), in lower case.
const WORDS: &[(&str, &str, Form)] = &[
    ("руб", "RUB", Form::Stem),
    ("грн", "UAH", Form::Whole),
    ("гривн", "UAH", Form::Stem),
    ("тенге", "KZT", Form::Whole),
    ("тг", "KZT", Form::Whole),
    ("zł", "PLN", Form::Whole),
    ("zl", "PLN", Form::Whole),
    ("złot", "PLN", Form::Stem),
    ("kč", "CZK", Form::Whole),
    ("euro", "EUR", Form::Stem),
    ("евро", "EUR", Form::Whole),
    ("ευρώ", "EUR", Form::Whole),
    ("dollar", "USD", Form::Stem),
    ("доллар", "USD", Form::Stem),
    ("pound", "GBP", Form::Whole),
    ("pounds", "GBP", Form::Whole),
    ("rupee", "INR", Form::Stem),
    ("rupiah", "IDR", Form::Whole),
    ("forint", "HUF", Form::Stem),
    ("лв", "BGN", Form::Whole),
    ("лева", "BGN", Form::Whole),
    ("ден", "MKD", Form::Whole),
    ("дин", "RSD", Form::Whole),
    ("рсд", "RSD", Form::Whole),
    ("din", "RSD", Form::Whole),
    ("сум", "UZS", Form::Whole),
    ("сом", "KGS", Form::Whole),
    ("бел", "BYN", Form::Whole),
    ("шек", "ILS", Form::Whole),
    ("р", "RUB", Form::Whole),
    ("₴", "UAH", Form::Whole),
    ("rp", "IDR", Form::Whole),
    ("rs", "INR", Form::Whole),
    ("rm", "MYR", Form::Whole),
    ("tl", "TRY", Form::Whole),
    ("ft", "HUF", Form::Whole),
    ("lei", "RON", Form::Whole),
    ("leu", "RON", Form::Whole),
    ("kr", "SEK", Form::Whole),
    ("kn", "HRK", Form::Whole),
    ("km", "BAM", Form::Whole),
    ("lt", "LTL", Form::Whole),
    ("ls", "LVL", Form::Whole),
    ("fr", "CHF", Form::Whole),
    ("sfr", "CHF", Form::Whole),
    ("dhs", "AED", Form::Whole),
    ("dh", "MAD", Form::Whole),
    ("ksh", "KES", Form::Whole),
    ("kshs", "KES", Form::Whole),
    ("tsh", "TZS", Form::Whole),
    ("ush", "UGX", Form::Whole),
    ("php", "PHP", Form::Whole),
    ("sr", "SAR", Form::Whole),
    ("kd", "KWD", Form::Whole),
    ("bs", "BOB", Form::Whole),
    ("s/", "PEN", Form::Whole),
    ("đ", "VND", Form::Whole),
    ("vnđ", "VND", Form::Whole),
    ("fcfa", "XOF", Form::Whole),
    ("cfa", "XOF", Form::Whole),
    ("nis", "ILS", Form::Whole),
];

/// How much of a word must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Stem,
}

/// ISO 4217: the codes in use, then those that pages still show from before.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHF CLF CLP CNH CNY COP CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF \
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL \
    LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG \
    QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS \
    UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG \
    ATS BEF BGL BYR CSK CYP DEM EEK ESP FIM FRF GHC GRD HRK IEP ITL LTL LUF LVL MTL NLG PTE ROL RUR SIT SKK SLL STD TRL \
    VEB VEF XEU YUM ZMK ZWL";

/// Codes that are also words; in a text of capitals they need a number beside them.
const ALSO_WORDS: &[&str] =
    &["ALL", "TOP", "TRY", "CUP", "PEN", "SOS", "MOP", "COP", "MAD", "BAM", "LAK", "GEL", "SIT"];

/// The ISO 4217 code of a word in any case.
pub fn code_of(word: &str) -> Option<&'static str> {
    let fits = word.len() == 3 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let code =
        fits.then(|| CODES.split_ascii_whitespace().find(|c| c.eq_ignore_ascii_case(word))).flatten()?;
    // Russian shops still write the code of before 1998.
    Some(if code == "RUR" { "RUB" } else { code })
}

/// Every currency that a text names, in order, without overlaps; at most `most`.
pub(super) fn all(text: &str, most: usize) -> Vec<Named<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() && out.len() < most {
        let rest = &text[at..];
        let before = text[..at].chars().next_back();
        let found = sign_at(text, at).or_else(|| {
            let begins = !before.is_some_and(char::is_alphabetic);
            begins.then(|| word_at(text, at)).flatten()
        });
        if let Some(named) = found {
            at = named.end;
            out.push(named);
        } else {
            // A word that is no currency is stepped over as a whole only if no sign can stand within it.
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    out
}

fn sign_at(text: &str, at: usize) -> Option<Named<'_>> {
    let rest = &text[at..];
    let (sign, code) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign))?;
    // `AUS$` names no `S$`, and 元 within 元素 is an element.
    let letter = sign.starts_with(|c: char| c.is_ascii_alphabetic());
    if letter && text[..at].ends_with(|c: char| c.is_alphabetic()) {
        return None;
    }
    if matches!(*sign, "元" | "円" | "원" | "圓")
        && !text[..at].trim_end().ends_with(super::digit::is)
        && text.len() != sign.len()
    {
        let scaled = text[..at].ends_with(['万', '萬', '億', '亿', '千', '만', '천', '억']);
        if !scaled {
            return None;
        }
    }
    // `AU $12.99`: the country of a dollar, one space before it.
    let country = || {
        let word =
            text[..at].strip_suffix([' ', '\u{a0}'])?.rsplit(|c: char| !c.is_ascii_alphabetic()).next()?;
        SIGNS
            .iter()
            .find(|(s, _)| !word.is_empty() && s.strip_suffix('$') == Some(word))
            .map(|(_, code)| *code)
    };
    let code = if *sign == "$" { country().unwrap_or(code) } else { code };
    let end = at + sign.len();
    Some(Named { sign: &text[at..end], code, start: at, end, kind: Kind::Sign })
}

fn word_at(text: &str, at: usize) -> Option<Named<'_>> {
    let rest = &text[at..];
    let len = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let word = &rest[..len];
    if word.is_empty() || word.len() > 40 {
        return None;
    }
    let alone = text.trim().trim_end_matches('.') == word;
    if let Some(code) = code_of(word).filter(|_| alone || word.bytes().all(|b| b.is_ascii_uppercase())) {
        let beside = |c: Option<char>| c.is_some_and(super::digit::is);
        let number = beside(text[..at].trim_end().chars().next_back())
            || beside(rest[len..].trim_start().chars().next());
        if alone || number || !ALSO_WORDS.contains(&code) {
            return Some(Named { sign: word, code, start: at, end: at + len, kind: Kind::Code });
        }
    }
    // The rand's letter stands before its number: `R 1 299.00`.
    if word == "R" && rest[1..].trim_start().starts_with(super::digit::is) {
        return Some(Named { sign: word, code: "ZAR", start: at, end: at + 1, kind: Kind::Word });
    }
    let lower = word.to_lowercase();
    let slash = rest[len..].starts_with('/').then(|| format!("{lower}/"));
    let (key, code, form) = WORDS.iter().find(|(key, _, form)| match form {
        Form::Whole => *key == lower || slash.as_deref() == Some(key),
        Form::Stem => lower.starts_with(key) && lower.len() <= key.len() + 8,
    })?;
    // Of an inflected word the stem is the sign; an abbreviation keeps its point.
    let taken = match form {
        Form::Stem if lower.len() == word.len() && lower != *key => key.len(),
        _ if key.ends_with('/') => len + 1,
        _ => len,
    };
    let point = usize::from(taken == len && rest[len..].starts_with('.') && lower.chars().count() <= 4);
    let end = at + taken + point;
    let kind =
        if matches!(*form, Form::Stem) || lower.chars().count() > 2 || !lower.is_ascii() && lower != "р" {
            Kind::Sign
        } else {
            Kind::Word
        };
    Some(Named { sign: &text[at..end], code, start: at, end, kind })
}

/// The currency that a text names: the surest, the first of equals.
pub fn find(text: &str) -> Option<Named<'_>> {
    let found = all(super::text::head(text, crate::limit::SHORT_VALUE_BYTES), 32);
    // A sign or a code is said on purpose; a word may mean something else.
    found.iter().min_by_key(|n| (n.kind == Kind::Word, n.start)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(text: &str) -> Option<&str> {
        find(text).map(|n| n.sign)
    }

    #[test]
    fn as_written() {
        for (text, expected) in [
            ("5 руб.", Some("руб.")),
            ("5 рублей", Some("руб")),
            ("US$:12", Some("US$")),
            ("17 DKK/stk", Some("DKK")),
            ("Р", Some("Р")),
            ("Cena", None),
            ("ht / L'unité", None),
            ("RENAULT", None),
            ("SHOP ALL ITEMS", None),
        ] {
            assert_eq!(sign(text), expected, "{text}");
        }
    }

    #[test]
    fn codes() {
        assert_eq!(find("usd").map(|n| n.code), Some("USD"));
        assert_eq!(find("all of it").map(|n| n.code), None);
        assert_eq!(find("try it").map(|n| n.code), None);
        assert_eq!(find("TRY 15").map(|n| n.code), Some("TRY"));
    }
}
