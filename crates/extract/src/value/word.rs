//! Words with a fixed meaning: booleans, availability, condition.
//!
//! The values are schema.org's (`ItemAvailability`, `OfferItemCondition`). A text is compared without its spaces and
//! marks; what says two things ("out of stock, pre-order now") means the first of a list that is ordered by caution.

/// Characters of a sentence that still speaks of one thing.
const SENTENCE_CHARS: usize = 120;

/// `true` and `false` as pages write them.
pub fn boolean(text: &str) -> Option<bool> {
    const YES: &str = "true|yes|1|on|y|t|ja|oui|si|sí|sì|sim|tak|да|так|evet|kyllä|igen|ano|áno|da|ναι|はい|是|예|네|نعم|כן|हाँ|\
        có|ya|✓|✔|✅";
    const NO: &str = "false|no|0|off|n|f|nein|non|não|nee|nie|нет|ні|hayır|nej|nei|ei|nem|ne|nu|όχι|いいえ|否|不|아니요|لا|לא|\
        नहीं|không|tidak|✗|✘|❌|×";
    let word = text.trim().trim_end_matches(['.', '!']).to_lowercase();
    let is = |list: &str| list.split('|').any(|w| w == word);
    if is(YES) {
        Some(true)
    } else if is(NO) {
        Some(false)
    } else {
        None
    }
}

/// A value of schema.org and the words that mean it, squeezed: `|` parts them, `=` in front asks for the whole text.
type Meaning = (&'static str, &'static str);

/// schema.org's `ItemAvailability`. Negations stand before what they negate.
const AVAILABILITY: &[Meaning] = &[
    (
        "Discontinued",
        "discontinued|nolongeravailable|nichtmehrlieferbar|eingestellt|снятспроизводства|descatalogado|arrêté",
    ),
    (
        "SoldOut",
        "soldout|ausverkauft|épuisé|epuise|agotado|esaurito|esgotado|uitverkocht|wyprzedane|распродано|\
        tükendi|slutsåld|udsolgt|utsolgt|loppuunmyyty|elfogyott|vyprodáno|vypredané|epuizat|εξαντλήθηκε|\
        売り切れ|完売|sold-out|품절|售罄|售完|نفد|אזל|hếthàng|habis|หมด|розпродано|rasprodano",
    ),
    (
        "PreOrder",
        "preorder|precommande|précommande|vorbestell|reserva|prevendita|preordine|prevenda|pré-venda|\
        prévenda|предзаказ|ön-sipariş|önsipariş|予約|预订|預購|예약",
    ),
    ("PreSale", "presale|vorverkauf|prévente"),
    ("BackOrder", "backorder|backordered|nachbestell|nalevering"),
    (
        "OutOfStock",
        "outofstock|oos|notinstock|notavailable|unavailable|nostock|outstock|nichtvorrätig|nichtverfügbar|\
        nichtauflager|nichtlieferbar|derzeitnicht|enrupture|rupturedestock|indisponible|nondisponible|\
        sinstock|sinexistencias|nodisponible|fueradestock|nondisponibile|nonèdisponibile|indisponível|\
        indisponivel|semestoque|nietopvoorraad|nietbeschikbaar|nietleverbaar|brakwmagazynie|niedostępny|\
        niedostępna|niedostępne|brakproduktu|brakna|нетвналичии|отсутству|недоступ|немаєвнаявності|\
        немаєнаявн|stoktayok|stoktabulunm|ejilager|ikkepålager|ikkeilager|eivarastossa|nincskészleten|\
        nincsraktáron|nemelérhető|nenískladem|niejenasklade|nedostupné|stocepuizat|indisponibil|\
        nuesteînstoc|nijenazalihi|εκτόςαποθέματος|μηδιαθέσιμο|在庫なし|在庫切れ|缺货|缺貨|无货|無貨|재고없음|일시품절|غيرمتوفر|\
        غيرمتاح|לאזמין|לאבמלאי|tạmhết|stokkosong|няманаскла|няма",
    ),
    (
        "MadeToOrder",
        "madetoorder|aufbestellung|surcommande|bajopedido|suordinazione|sobencomenda|podzakaz|подзаказ|\
        nazamówienie",
    ),
    ("InStoreOnly", "instoreonly|onlyinstore|nurimladen|nurimmarkt|enmagasinuniquement|solotienda"),
    ("OnlineOnly", "onlineonly|nuronline|soloonline"),
    (
        "LimitedAvailability",
        "limitedavailability|lowstock|limitedstock|lastitems|almostgone|nurnochwenige|dernierspièces|\
        últimasunidades|ultimasunidades|ultimipezzi|ostatniesztuki|残りわずか",
    ),
    ("Reserved", "=reserved|=reserviert|=réservé|=reservado"),
    (
        "InStock",
        "instock|=available|availablenow|availableforpurchase|=add|addtocart|addtobasket|addtobag|buynow|\
        auflager|lieferbar|lagernd|vorrätig|verfügbar|indenwarenkorb|enstock|disponible|ajouteraupanier|haystock|\
        añadiralcarrito|disponibile|aggiungialcarrello|disponível|disponivel|emestoque|adicionaraocarrinho|\
        opvoorraad|beschikbaar|leverbaar|inwinkelwagen|dostępny|dostępna|dostępne|wmagazynie|dokoszyka|\
        вналичии|наскладе|доступен|вкорзину|євнаявності|внаявності|stokta|stoktavar|sepeteekle|ilager|\
        pålager|finnsilager|varastossa|készleten|raktáron|skladem|nasklade|skladom|înstoc|instoc|\
        naskladištu|nazalihi|διαθέσιμο|σεαπόθεμα|налично|внапичност|在庫あり|有货|有貨|现货|現貨|재고있음|구매하기|متوفر|متاح|\
        במלאי|cònhàng|tersedia|มีสินค้า|=true|=yes|=1",
    ),
    ("OutOfStock", "=false|=no|=0|notcurrentlyavailable|currentlynotavailable|notyetavailable"),
];

/// Words that negate what follows.
const NOT: &str = "not|no|nicht|kein|keine|pas|non|não|nao|niet|geen|nie|не|нет|немає|ikke|inte|ei|nem|nu|není|nije|δεν|değil|ない|không";

/// schema.org's `OfferItemCondition`.
const CONDITION: &[Meaning] = &[
    (
        "RefurbishedCondition",
        "refurbished|refurb|renewed|reconditioned|generalüberholt|wiederaufbereitet|reconditionné|\
        reconditionne|reacondicionado|ricondizionato|recondicionado|gereviseerd|odnowiony|восстановлен|\
        yenilenmiş|repasovan|renoverad|整備済|翻新|리퍼",
    ),
    (
        "DamagedCondition",
        "damaged|forparts|notworking|defekt|defective|beschädigt|endommagé|pourpièces|dañado|pararepuestos|\
        danneggiato|danificado|beschadigd|uszkodzon|поврежд|hasarlı|ジャンク|损坏|고장",
    ),
    (
        "UsedCondition",
        "used|likenew|openbox|wieneu|neuwertig|commeneuf|comonuevo|preowned|preloved|secondhand|gebraucht|occasion|d'occasion|usado|segundamano|deocasión|usato|\
        seminovo|tweedehands|gebruikt|używan|б/у|=бу|подержан|вживан|ikinciel|kullanılmış|begagnad|brugt|\
        brukt|käytetty|használt|použit|ojeté|folosit|polovn|korišten|μεταχειρισμέν|中古|二手|중고|مستعمل|משומש|\
        đãquasửdụng|bekas|มือสอง",
    ),
    (
        "NewCondition",
        "new|brandnew|newcondition|newwithtags|nwt|neu|neuware|neuf|neuve|nuevo|nueva|nuovo|novo|nieuw|nowy|\
        nowa|nowe|новый|новое|новая|новий|нове|yeni|sıfır|ny|nytt|uusi|új|nový|nové|nou|nov|καινούρι|新品|全新|\
        새상품|새제품|جديد|חדש|mới|baru|ใหม่",
    ),
];

/// A text without what parts its words, in lower case; `None` if it is too long to speak of one thing.
fn squeeze(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    // An address ends with the word: `https://schema.org/InStock`.
    let last = if text.contains("schema.org") {
        text.rsplit(['/', '#', ':']).next().unwrap_or_default()
    } else {
        text
    };
    if last.chars().take(SENTENCE_CHARS + 1).count() > SENTENCE_CHARS {
        return None;
    }
    Some(
        last.chars()
            .filter(|c| c.is_alphanumeric() || *c == '/' || is_vowel_sign(*c))
            .flat_map(char::to_lowercase)
            .collect(),
    )
}

/// Signs of South and South East Asian scripts that belong to their letter.
fn is_vowel_sign(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}' | '\u{e31}'..='\u{e4e}')
}

/// schema.org's `ItemAvailability` word, from an address (`https://schema.org/InStock`), a code or plain words.
pub fn availability(text: &str) -> Option<&'static str> {
    let word = squeeze(text)?.replace('/', "");
    let found = meaning(AVAILABILITY, &word, true)?;
    // "Not currently available", "não disponível": a word of negation in front turns it round.
    let none_left = || {
        let mut numbers = super::number::numbers(text, super::number::Lone::CommaGroups);
        numbers.next().is_some_and(|n| n.value == 0.0)
    };
    let negated = || {
        text.split(|c: char| !c.is_alphanumeric()).any(|w| NOT.split('|').any(|not| not == w.to_lowercase()))
    };
    // So does "0 in stock".
    let out = found == "InStock" && (negated() || none_left() && text.trim() != "0");
    Some(if out { "OutOfStock" } else { found })
}

/// schema.org's `OfferItemCondition` word, likewise.
pub fn condition(text: &str) -> Option<&'static str> {
    let word = squeeze(text)?;
    let short = word.strip_suffix("condition").filter(|w| !w.is_empty()).unwrap_or(&word);
    // "New" is in too many words to be looked for within them.
    let words = || text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(4);
    meaning(CONDITION, short, false)
        .or_else(|| words().find_map(|word| meaning(CONDITION, &word.to_lowercase(), false)))
}

/// Scripts whose words are short: a part of a word that is not Latin or Greek.
fn foreign(form: &str) -> bool {
    form.chars().all(|c| c >= '\u{400}')
}

/// The value whose words the text has: as a whole, else within it if `within`, else at its beginning.
fn meaning(table: &[Meaning], word: &str, within: bool) -> Option<&'static str> {
    if word.is_empty() {
        return None;
    }
    let words = |forms: &'static str| forms.split('|');
    let whole = table.iter().find(|(_, forms)| words(forms).any(|f| f.trim_start_matches('=') == word));
    let part = || {
        table.iter().find(|(_, forms)| {
            words(forms).filter(|f| !f.starts_with('=')).any(|form| {
                let letters = form.chars().count();
                let least = if form.is_ascii() { 5 } else { 2 };
                letters >= least
                    && if within {
                        word.contains(form)
                    } else {
                        word.starts_with(form) && (letters >= 4 || foreign(form))
                    }
            })
        })
    };
    whole.or_else(part).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availabilities() {
        for (text, word) in [
            ("https://schema.org/InStock", Some("InStock")),
            ("http://schema.org/OutOfStock/", Some("OutOfStock")),
            ("in stock", Some("InStock")),
            ("Availability: In stock", Some("InStock")),
            ("out_of_stock", Some("OutOfStock")),
            ("Sorry, this item is out of stock.", Some("OutOfStock")),
            ("Only 3 left in stock", Some("InStock")),
            ("0 in stock", Some("OutOfStock")),
            ("Currently unavailable", Some("OutOfStock")),
            ("Nicht auf Lager", Some("OutOfStock")),
            ("Sofort lieferbar", Some("InStock")),
            ("En rupture de stock", Some("OutOfStock")),
            ("En stock", Some("InStock")),
            ("Agotado", Some("SoldOut")),
            ("Нет в наличии", Some("OutOfStock")),
            ("В наличии", Some("InStock")),
            ("在庫あり", Some("InStock")),
            ("在庫切れ", Some("OutOfStock")),
            ("Não disponível", Some("OutOfStock")),
            ("Not currently available", Some("OutOfStock")),
            ("Pre-order", Some("PreOrder")),
            ("maybe", None),
            ("", None),
        ] {
            assert_eq!(availability(text), word, "{text}");
        }
    }

    #[test]
    fn conditions() {
        for (text, word) in [
            ("https://schema.org/UsedCondition", Some("UsedCondition")),
            ("New", Some("NewCondition")),
            ("Brand new", Some("NewCondition")),
            ("Gebraucht - sehr gut", Some("UsedCondition")),
            ("D'occasion", Some("UsedCondition")),
            ("Certified Refurbished", Some("RefurbishedCondition")),
            ("Refurbished", Some("RefurbishedCondition")),
            ("б/у", Some("UsedCondition")),
            ("中古品", Some("UsedCondition")),
            ("newspaper", None),
            ("good", None),
        ] {
            assert_eq!(condition(text), word, "{text}");
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(boolean("Ja"), Some(true));
        assert_eq!(boolean("нет"), Some(false));
        assert_eq!(boolean("perhaps"), None);
    }
}
