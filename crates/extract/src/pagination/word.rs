//! What a link's words, class and `rel` say of where it leads, in many languages.

use crate::value::text;
use html::Node;

/// Where a link says that it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Next,
    Prev,
    First,
    Last,
}

/// Words are compared in lower case, without marks around them.
const NEXT: &[&str] = &[
    "next",
    "next page",
    "older",
    "older posts",
    "older entries",
    "older articles",
    "older stories",
    "more results",
    "view more",
    "load more",
    "show more",
    "more posts",
    "weiter",
    "nächste",
    "nächste seite",
    "vor",
    "vorwärts",
    "ältere beiträge",
    "ältere",
    "suivant",
    "suivante",
    "page suivante",
    "siguiente",
    "página siguiente",
    "pagina siguiente",
    "siguientes",
    "próximo",
    "próxima",
    "proximo",
    "proxima",
    "próxima página",
    "seguinte",
    "successivo",
    "successiva",
    "avanti",
    "pagina successiva",
    "prossimo",
    "prossima",
    "volgende",
    "volgende pagina",
    "verder",
    "następna",
    "następny",
    "dalej",
    "następna strona",
    "starsze",
    "další",
    "následující",
    "ďalšia",
    "ďalší",
    "следующая",
    "следующая страница",
    "следующий",
    "далее",
    "вперед",
    "вперёд",
    "след",
    "дальше",
    "наступна",
    "далі",
    "次へ",
    "次",
    "次のページ",
    "次の",
    "下一页",
    "下一頁",
    "下页",
    "下頁",
    "后页",
    "다음",
    "다음 페이지",
    "sonraki",
    "sonraki sayfa",
    "ileri",
    "nästa",
    "nästa sida",
    "neste",
    "neste side",
    "næste",
    "næste side",
    "seuraava",
    "seuraava sivu",
    "következő",
    "înainte",
    "următoarea",
    "următorul",
    "pagina următoare",
    "επόμενη",
    "επόμενο",
    "επόμενη σελίδα",
    "tiếp",
    "trang sau",
    "tiếp theo",
    "selanjutnya",
    "berikutnya",
    "ถัดไป",
    "التالي",
    "التالية",
    "הבא",
    "بعدی",
    "صفحه بعد",
    "следваща",
    "sljedeća",
    "naslednja",
    "sledeća",
    "следећа",
    "kitas",
    "nākamā",
    "järgmine",
    "अगला",
    "continue",
];
const PREV: &[&str] = &[
    "prev",
    "previous",
    "previous page",
    "newer",
    "newer posts",
    "newer entries",
    "back",
    "zurück",
    "vorherige",
    "vorherige seite",
    "neuere beiträge",
    "précédent",
    "précédente",
    "page précédente",
    "anterior",
    "página anterior",
    "pagina anterior",
    "anteriores",
    "precedente",
    "indietro",
    "pagina precedente",
    "vorige",
    "vorige pagina",
    "poprzednia",
    "poprzedni",
    "wstecz",
    "předchozí",
    "predchádzajúca",
    "предыдущая",
    "предыдущая страница",
    "назад",
    "пред",
    "попередня",
    "前へ",
    "前",
    "前のページ",
    "上一页",
    "上一頁",
    "上页",
    "前页",
    "이전",
    "이전 페이지",
    "önceki",
    "önceki sayfa",
    "geri",
    "föregående",
    "forrige",
    "edellinen",
    "előző",
    "înapoi",
    "anterioară",
    "προηγούμενη",
    "προηγούμενο",
    "trang trước",
    "trước",
    "sebelumnya",
    "ก่อนหน้า",
    "السابق",
    "السابقة",
    "הקודם",
    "قبلی",
    "предишна",
    "prethodna",
    "prejšnja",
    "ankstesnis",
    "iepriekšējā",
    "eelmine",
    "पिछला",
];
const FIRST: &[&str] = &[
    "first",
    "first page",
    "erste",
    "erste seite",
    "premier",
    "première",
    "première page",
    "primera",
    "primero",
    "primeira",
    "prima",
    "primo",
    "eerste",
    "pierwsza",
    "první",
    "первая",
    "в начало",
    "перша",
    "最初",
    "首页",
    "首頁",
    "처음",
    "ilk",
    "första",
    "første",
    "ensimmäinen",
    "első",
    "đầu",
    "start",
];
const LAST: &[&str] = &[
    "last",
    "last page",
    "letzte",
    "letzte seite",
    "dernier",
    "dernière",
    "dernière page",
    "última",
    "ultima",
    "último",
    "ultimo",
    "laatste",
    "ostatnia",
    "poslední",
    "последняя",
    "в конец",
    "остання",
    "最後",
    "尾页",
    "末页",
    "마지막",
    "son",
    "sista",
    "siste",
    "sidste",
    "viimeinen",
    "utolsó",
    "cuối",
    "end",
];

/// What `rel` says.
pub(super) fn rel(rel: &str) -> Option<Says> {
    rel.split_ascii_whitespace().find_map(|word| match word {
        "next" => Some(Says::Next),
        "prev" | "previous" => Some(Says::Prev),
        "first" => Some(Says::First),
        "last" => Some(Says::Last),
        _ => None,
    })
}

/// What a link says, and whether it stands in a part that is called pagination.
pub(super) fn of(node: Node<'_>, label: &str) -> (Option<Says>, bool) {
    let around: Vec<Node<'_>> = std::iter::once(node).chain(node.ancestors()).take(5).collect();
    let in_pager = around.iter().any(|n| classes(*n).any(|w| is_pager(&w)));
    // A calendar's months are no pages of a list, and neither is the whole list on one.
    let other = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
        words.into_iter().any(|w| {
            matches!(w.as_str(), "month" | "week" | "day" | "year" | "all" | "monat" | "mois" | "mes")
        })
    };
    if [Some(label), node.attr("title"), node.attr("aria-label")].into_iter().flatten().any(other)
        || node.attr("href").is_some_and(|h| h.ends_with("=all"))
        || around.iter().any(|n| classes(*n).any(|w| w == "calendar" || w == "carousel"))
    {
        return (None, false);
    }
    let by_rel = node.attr("rel").and_then(|r| rel(&r.to_ascii_lowercase()));
    let names = [Some(label), node.attr("aria-label"), node.attr("title")];
    let by_word = names.into_iter().flatten().find_map(|l| words(l, in_pager));
    let by_class = || {
        // A number with the class of its arrow is still a number.
        let number = label.chars().all(|c| c.is_ascii_digit()) && !label.is_empty();
        let near = around.iter().take(2).flat_map(|n| classes(*n)).filter_map(|w| class(&w));
        near.into_iter().next().filter(|_| !number && label.chars().count() < 40)
    };
    (by_rel.or(by_word).or_else(by_class), in_pager)
}

fn classes<'a>(node: Node<'a>) -> impl Iterator<Item = String> + 'a {
    let values = ["class", "id", "role", "aria-label"].into_iter().filter_map(move |a| node.attr(a));
    values.flat_map(|v| {
        let words = text::head(v, 200).split(|c: char| !c.is_ascii_alphabetic());
        words.filter(|w| !w.is_empty()).map(str::to_ascii_lowercase)
    })
}

fn is_pager(word: &str) -> bool {
    word.starts_with("pagin")
        || word.starts_with("pager")
        || matches!(
            word,
            "paging"
                | "pagenav"
                | "pagenavi"
                | "pages"
                | "pagelinks"
                | "navlinks"
                | "pagenumbers"
                | "pagelist"
                | "wp"
                | "pnav"
                | "pagebar"
                | "pagelink"
        )
}

fn class(word: &str) -> Option<Says> {
    match word {
        "next" | "nextpage" | "pagenext" | "nextpostslink" | "older" | "paginationnext" => Some(Says::Next),
        "prev" | "previous" | "prevpage" | "pageprev" | "previouspostslink" | "newer" => Some(Says::Prev),
        "first" | "firstpage" => Some(Says::First),
        "last" | "lastpage" => Some(Says::Last),
        _ => None,
    }
}

/// What words say. Signs alone only count within a pager.
pub(super) fn words(label: &str, in_pager: bool) -> Option<Says> {
    let label = label.trim().to_lowercase();
    let bare = label.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.is_empty() {
        return match label.as_str() {
            "›" | "→" | ">" | "▶" | "►" | "⟩" | "❯" | "»" | "chevron_right" => Some(Says::Next),
            "‹" | "←" | "<" | "◀" | "◄" | "⟨" | "❮" | "«" => Some(Says::Prev),
            "»»" | ">>" | "⏭" | ">|" | "»|" | "›|" => Some(Says::Last),
            "««" | "<<" | "⏮" | "|<" | "|«" | "|‹" => Some(Says::First),
            _ => None,
        }
        .filter(|_| in_pager);
    }
    for (list, says) in [(NEXT, Says::Next), (PREV, Says::Prev), (FIRST, Says::First), (LAST, Says::Last)] {
        if list.contains(&bare) {
            return Some(says);
        }
    }
    // `next 20`, `next page: 3`, `go to next page`.
    let words: Vec<&str> = bare.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let pages = words.iter().any(|w| {
        matches!(*w, "page" | "pages" | "results" | "seite" | "página" | "posts")
            || w.bytes().all(|b| b.is_ascii_digit())
    });
    if words.len() <= 5 && pages {
        for (list, says) in [(NEXT, Says::Next), (PREV, Says::Prev), (FIRST, Says::First), (LAST, Says::Last)]
        {
            if words.iter().any(|w| list.contains(w)) {
                return Some(says);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_many_languages() {
        for next in ["Next »", "Siguiente", "次へ", "Nächste Seite", "next 20", "Go to next page", "Старее"]
        {
            assert_eq!(words(next, false), (next != "Старее").then_some(Says::Next), "{next}");
        }
        assert_eq!(words("‹ Previous", false), Some(Says::Prev));
        assert_eq!(words("›", true), Some(Says::Next));
        assert_eq!(words("›", false), None);
        assert_eq!(words("Last Page", false), Some(Says::Last));
        assert_eq!(words("Next generation of cars", false), None);
    }
}
