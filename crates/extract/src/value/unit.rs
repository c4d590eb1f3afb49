//! Words for spans of time in the main languages, shared by durations and by "3 hours ago".

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Second.
    Second,
    /// Minute.
    Minute,
    /// Hour.
    Hour,
    /// Day of 24 hours.
    Day,
    /// Seven days.
    Week,
    /// Of the calendar; as a length, 30 days.
    Month,
    /// Of the calendar; as a length, 365 days.
    Year,
}

impl Unit {
    /// Its length in seconds.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3_600.0,
            Self::Day => 86_400.0,
            Self::Week => 604_800.0,
            Self::Month => 2_592_000.0,
            Self::Year => 31_536_000.0,
        }
    }
}

/// Words of each unit, in lower case. `|` parts them, `*` stands for any ending of an inflected
/// word.
const WORDS: &[(Unit, &str)] = &[
    (
        Unit::Second,
        "s|sec|secs|second*|sek|sekund*|seg|segs|segundo*|secondi|secondo|seconde*|saniye*|sn|сек|секунд*|с|秒|초|ثانية|\
        ثوان|ثواني|שניות|שנייה|วินาที|giây|δευτερόλεπτ*|másodperc*|mp|detik|secunde|सेकंड|সেকেন্ড|ثانیه",
    ),
    (
        Unit::Minute,
        "m|min|mins|minute*|minuto*|minuut*|minuten|minuti|minut*|мин|минут*|хв|хвилин*|хвілін*|dk|dakika*|dak|分|分钟|分鐘|\
        分間|분|دقيقة|دقائق|דקות|דקה|นาที|phút|λεπτ*|perc*|menit|minit|minuuttia|minuutti*|mn|मिनट|মিনিট|دقیقه",
    ),
    (
        Unit::Hour,
        "h|hr|hrs|hour*|std|stunde*|heure*|hora*|ora|ore|uur|uren|uurtje*|godz|godzin*|ч|час*|годин*|гадзін*|saat*|時間|\
        时|小时|小時|時|시간|ساعة|ساعات|שעות|שעה|ชั่วโมง|giờ|tiếng|ώρ*|óra|órá*|tim|timme|timmar|timer|time|tunti*|tunnin|hod|\
        hodin*|sat|sata|sati|jam|घंटे|घंटा|ঘণ্টা|ساعت",
    ),
    (
        Unit::Day,
        "d|day*|dies|tag|tage|tagen|jour*|día*|dia|dias|giorn*|dag|dagen|dagar|dage|dager|dzień|dni|dnia|день|дня|дней|днів|дні|\
        ден|дена|gün*|日|天|日間|일|يوم|أيام|ימים|יום|วัน|ngày|ημέρ*|μέρ*|nap|nappal|päivä*|den|dny|dnů|dana|dan|zi|zile|\
        hari|दिन|দিন|روز|päeva",
    ),
    (
        Unit::Week,
        "w|wk|wks|week*|woche*|semaine*|semana*|settiman*|weken|tydzień|tygod*|недел*|тижд*|тижн*|hafta*|週間|週|周|星期|주|\
        أسبوع|أسابيع|שבוע*|สัปดาห์|tuần|εβδομάδ*|hét|héttel|hete*|viikko*|týden|týdn*|săptămân*|minggu|vecka|veckor|\
        uge*|uke*|tjedan|tjedn*|седмиц*|सप्ताह|हफ़्ते|সপ্তাহ|هفته|setmana|setmanes",
    ),
    (
        Unit::Month,
        "mo|mos|month*|monat*|mois|mes|meses|mese|mesi|mês|maand*|miesiąc*|miesięc*|месяц*|місяц*|ay|ヶ月|か月|カ月|个月|個月|개월|\
        달|شهر|أشهر|شهور|חודש*|เดือน|tháng|μήν*|hónap*|kuukau*|měsíc*|mesec*|mjesec*|месец*|lună|luni|bulan|månad*|\
        måned*|महीने|মাস|ماه|mesos",
    ),
    (
        Unit::Year,
        "y|yr|yrs|year*|jahr*|an|ans|année*|año*|anno|anni|ano|anos|jaar|jaren|rok|roku|roky|lat|lata|год*|лет|рок*|\
        рік|yıl*|年|년|سنة|سنوات|שנה|שנים|ปี|năm|χρόν*|έτ*|év|éve|évvel|vuosi*|vuotta|vuoden|let|ani|tahun|år|godin*|\
        साल|वर्ष|বছর|سال|any|anys",
    ),
];

/// Letters that an ending may have.
const ENDING: usize = 4;

/// The unit that a word (in lower case) names.
pub fn time(word: &str) -> Option<Unit> {
    let is = |form: &str| match form.strip_suffix('*') {
        Some(stem) => word.strip_prefix(stem).is_some_and(|end| end.chars().count() <= ENDING),
        None => form == word,
    };
    WORDS.iter().find(|(_, forms)| forms.split('|').any(is)).map(|(unit, _)| *unit)
}

/// Words for one: `an hour ago`, `vor einer Stunde`.
pub fn is_one(word: &str) -> bool {
    matches!(
        word,
        "a" | "an"
            | "one"
            | "ein"
            | "eine"
            | "einem"
            | "einer"
            | "einen"
            | "un"
            | "une"
            | "una"
            | "uno"
            | "um"
            | "uma"
            | "een"
            | "één"
            | "en"
            | "ett"
            | "et"
            | "bir"
            | "один"
            | "одну"
            | "jeden"
            | "jedna"
            | "jednu"
            | "egy"
            | "yksi"
            | "o"
            | "μία"
            | "ένα"
            | "μια"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflected_words() {
        for (word, unit) in [
            ("stunden", Some(Unit::Hour)),
            ("минуты", Some(Unit::Minute)),
            ("годин", Some(Unit::Hour)),
            ("год", Some(Unit::Year)),
            ("小时", Some(Unit::Hour)),
            ("tage", Some(Unit::Day)),
            ("tagesschau", None),
            ("minimum", None),
        ] {
            assert_eq!(time(word), unit, "{word}");
        }
    }
}
