//! Dates counted from now: `2 hours ago`, `vor 3 Tagen`, `il y a 5 minutes`, `3日前`, `yesterday at 10:30`.
//!
//! What is as coarse as a day is a date without a time. Months and years are those of the calendar.

use super::token::{Kind, Token};
use super::words::Tongue;
use super::{Moment, clock, moment};
use crate::value::unit::{self, Unit};
use chrono::{DateTime, Duration, Months, Utc};
use model::Timestamp;

/// Is a word one of a list's?
fn is_of(list: &str, word: &str) -> bool {
    list.split('|').any(|w| w == word)
}

/// Words that stand alone for this very moment.
const NOW: &str = "now|just now|a moment ago|moments ago|gerade eben|soeben|jetzt|à l'instant|maintenant|ahora|ahora mismo|\
        adesso|ora|agora|agora mesmo|zojuist|nu|teraz|только что|сейчас|щойно|az önce|şimdi|just nu|刚刚|剛剛|たった今|방금|\
        방금 전|الآن|עכשיו|vừa xong|baru saja";

/// Days back of words that begin a text.
const DAYS: &[(i64, &str)] = &[
    (
        0,
        "today|heute|aujourd'hui|hoy|oggi|hoje|vandaag|dziś|dzisiaj|сегодня|сьогодні|bugün|idag|i dag|tänään|ma|azi|\
        astăzi|dnes|danas|днес|данас|σήμερα|اليوم|امروز|היום|今日|今天|오늘|hôm nay|วันนี้|hari ini|आज|আজ|avui|hoxe|gaur|\
        täna|šodien",
    ),
    (
        1,
        "yesterday|gestern|hier|ayer|ieri|ontem|gisteren|wczoraj|вчера|вчора|учора|dün|igår|i går|eilen|tegnap|včera|\
        včeraj|jučer|juče|јуче|χθες|χτες|أمس|امس|دیروز|אתמול|昨日|昨天|어제|hôm qua|เมื่อวาน|เมื่อวานนี้|kemarin|semalam|\
        গতকাল|ahir|onte|atzo|eile|vakar",
    ),
    (
        2,
        "vorgestern|avant-hier|anteayer|l'altro ieri|anteontem|eergisteren|przedwczoraj|позавчера|позавчора|一昨日|おととい|\
        前天|그저께|predvčerom|předevčírem|προχθές|toissapäivänä",
    ),
    (
        -1,
        "tomorrow|morgen|demain|mañana|domani|amanhã|jutro|завтра|yarın|imorgon|i morgon|i morgen|huomenna|holnap|\
        mâine|zítra|sutra|утре|αύριο|غدا|מחר|明日|明天|내일|besok|ngày mai|พรุ่งนี้|demà|homme|rītdien|rytoj",
    ),
];

/// Words in front of a span that put it before now.
const BEFORE: &str =
    "vor|il y a|hace|há|πριν|преди|пре|prije|pre|před|pred|acum|منذ|قبل|לפני|fa|fai|prieš|pirms|duela";

/// Words behind a span that do.
const BEHIND: &str = "ago|earlier|back|fa|atrás|geleden|temu|назад|тому|таму|önce|evvel|sedan|siden|sitten|ezelőtt|lalu|yang|trước|\
        ที่แล้ว|ที่ผ่านมา|前|以前|전|पहले|আগে|پیش|قبل|tagasi|atpakaļ|πριν|zpět|în";

/// A moment told by its distance from now.
pub(super) fn find(tokens: &[Token], tongue: &Tongue, now: Timestamp) -> Option<Moment> {
    let now = DateTime::<Utc>::from_timestamp_millis(now.ms())?;
    let whole = phrase(tokens, 0, tokens.len());
    if is_of(NOW, &whole) {
        return Some(moment(now.fixed_offset()));
    }
    by_name(tokens, tongue, now).or_else(|| ago(tokens, now))
}

/// Some tokens' words, joined by spaces.
fn phrase(tokens: &[Token], from: usize, count: usize) -> String {
    let mut out = String::new();
    for token in tokens.iter().skip(from).take(count) {
        let joins = matches!(token.kind, Kind::Mark('\'' | '-')) || token.tight;
        if matches!(token.kind, Kind::Mark(c) if !matches!(c, '\'' | '-')) {
            continue;
        }
        if !out.is_empty() && !joins {
            out.push(' ');
        }
        out.push_str(&token.text);
    }
    out
}

/// `Today`, `Posted: yesterday, 14:05`.
fn by_name(tokens: &[Token], tongue: &Tongue, now: DateTime<Utc>) -> Option<Moment> {
    // At the beginning, or behind one word such as "Posted".
    let starts = (0..tokens.len()).filter(|i| tokens[*i].kind == Kind::Word).take(2);
    for start in starts {
        for count in [3, 2, 1] {
            let end = start + count;
            if end > tokens.len() {
                continue;
            }
            let words = phrase(tokens, start, count);
            let Some((days, _)) = DAYS.iter().find(|(_, names)| is_of(names, &words)) else {
                continue;
            };
            let (time, offset) = clock::find(tokens, &(start..end), tongue);
            // A word that is one of these by chance is followed by more words.
            let said_more = tokens[end..].iter().filter(|t| t.kind == Kind::Word).count();
            if said_more > 3 || (time.is_none() && said_more > 1) {
                return None;
            }
            let at = now.checked_sub_signed(Duration::try_days(*days)?)?;
            return Some(Moment { date: at.date_naive(), time, offset });
        }
    }
    None
}

/// `3 hours ago`, `vor etwa 3 Stunden`, `1 day, 2 hours ago`.
fn ago(tokens: &[Token], now: DateTime<Utc>) -> Option<Moment> {
    let mut at = now;
    let mut finest: Option<Unit> = None;
    let mut first = 0;
    let mut i = 0;
    while i < tokens.len() {
        if let Some((count, unit, end, marked)) = span(tokens, i) {
            if finest.is_none() {
                first = i;
            }
            at = back(at, count, unit)?;
            finest = Some(finest.map_or(unit, |f| f.min(unit)));
            i = end;
            if marked || is_behind(tokens, end) {
                return finest.map(|unit| done(at, unit));
            }
        } else if finest.is_some()
            && tokens[i].word().is_some_and(|w| !matches!(w, "and" | "und" | "et" | "y" | "e" | "и"))
        {
            break;
        } else {
            i += 1;
        }
    }
    let unit = finest?;
    is_before(tokens, first).then(|| done(at, unit))
}

fn done(at: DateTime<Utc>, finest: Unit) -> Moment {
    if finest >= Unit::Day {
        return Moment { date: at.date_naive(), time: None, offset: None };
    }
    moment(at.fixed_offset())
}

fn back(at: DateTime<Utc>, count: u32, unit: Unit) -> Option<DateTime<Utc>> {
    let n = i64::from(count);
    match unit {
        Unit::Second => at.checked_sub_signed(Duration::try_seconds(n)?),
        Unit::Minute => at.checked_sub_signed(Duration::try_minutes(n)?),
        Unit::Hour => at.checked_sub_signed(Duration::try_hours(n)?),
        Unit::Day => at.checked_sub_signed(Duration::try_days(n)?),
        Unit::Week => at.checked_sub_signed(Duration::try_weeks(n)?),
        Unit::Month => at.checked_sub_months(Months::new(count)),
        Unit::Year => at.checked_sub_months(Months::new(count.checked_mul(12)?)),
    }
}

/// A number and a unit at `i`: how many of what, where it ends, and whether the unit's word says "ago" itself.
fn span(tokens: &[Token], i: usize) -> Option<(u32, Unit, usize, bool)> {
    let count = match tokens[i].kind {
        Kind::Number => tokens[i].number(1..=4)?,
        Kind::Word if unit::is_one(&tokens[i].text) => 1,
        _ => return None,
    };
    // `1 hr. ago`
    let word = tokens.get(i + 1)?.word()?;
    let end = if tokens.get(i + 2).is_some_and(|t| t.is_mark(&['.'])) { i + 3 } else { i + 2 };
    if let Some(unit) = unit::time(word) {
        return Some((count, unit, end, false));
    }
    let marks = ["以前", "前", "전", "ที่แล้ว", "ที่ผ่านมา"];
    let stem = marks.iter().find_map(|mark| word.strip_suffix(mark))?;
    unit::time(stem).map(|unit| (count, unit, end, true))
}

fn is_behind(tokens: &[Token], at: usize) -> bool {
    let word = tokens.get(at).and_then(Token::word);
    let two = phrase(tokens, at, 2);
    // `na 3 minut temu` and `în urmă`; of `yang lalu` and `în urmă` both words must be there.
    match word {
        Some("yang") => two == "yang lalu",
        Some("în") => two == "în urmă",
        Some(word) => is_of(BEHIND, word),
        None => false,
    }
}

/// A word for "ago" right before a place, or one word farther (`vor etwa 3 Stunden`).
fn is_before(tokens: &[Token], at: usize) -> bool {
    (1..=4).any(|count| {
        let from = at.checked_sub(count);
        from.is_some_and(|from| {
            is_of(BEFORE, &phrase(tokens, from, count))
                || count > 1 && is_of(BEFORE, &phrase(tokens, from, count - 1))
        })
    })
}
