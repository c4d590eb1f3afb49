//! Dates of the web, in its languages.

use super::*;

fn read_in(input: &str, language: Option<&str>) -> Option<String> {
    let now = Timestamp::parse("2026-09-10T12:00:00Z").unwrap();
    parse(input, Reading { day_first: false, now, language }).map(|m| m.datetime_text())
}

fn read(input: &str) -> Option<String> {
    read_in(input, None)
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(input, expected)| read(input).as_deref() != Some(*expected))
        .map(|(input, expected)| format!("{input:?}: want {expected}, got {:?}", read(input)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn forms_of_the_web() {
    check(&[
        ("2026-09-01", "2026-09-01"),
        ("2026-09-01T10:00:00Z", "2026-09-01T10:00:00Z"),
        ("2026-09-01T10:00:00.000+0200", "2026-09-01T10:00:00+02:00"),
        ("2026-09-01 10:00", "2026-09-01T10:00:00"),
        ("Published: 2026-09-01T10:00:00Z", "2026-09-01T10:00:00Z"),
        ("Tue, 01 Sep 2026 10:00:00 GMT", "2026-09-01T10:00:00Z"),
        ("September 1, 2026", "2026-09-01"),
        ("Sept. 1st, 2026", "2026-09-01"),
        ("Tuesday, 1 September 2026 at 10:30 pm", "2026-09-01T22:30:00"),
        ("Sep 03 2014 | 4:32 pm EDT", "2014-09-03T16:32:00-04:00"),
        ("8:25 a.m. Dec. 12, 2014", "2014-12-12T08:25:00"),
        ("08/17/14 17:00 (PDT)", "2014-08-17T17:00:00-07:00"),
        ("13/08/2014 11:09 +0100", "2014-08-13T11:09:00+01:00"),
        ("09/01/2026", "2026-09-01"),
        ("31/12/2026", "2026-12-31"),
        ("31.12.2026", "2026-12-31"),
        ("5-Jan-26", "2026-01-05"),
        ("Posted on 2026/04/03", "2026-04-03"),
        ("1788264000", "2026-09-01T12:00:00Z"),
        ("21 January 2012 13:11:23.678", "2012-01-21T13:11:23.678"),
    ]);
}

#[test]
fn languages() {
    check(&[
        ("1. März 2026", "2026-03-01"),
        ("Mi., 5. Maerz 2025, 18 Uhr", "2025-03-05T18:00:00"),
        ("18.10.14 um 22.56 Uhr", "2014-10-18T22:56:00"),
        ("1 de enero de 2026", "2026-01-01"),
        ("Martes 21 de Octubre de 2014", "2014-10-21"),
        ("14 juillet 2026", "2026-07-14"),
        ("22 janvier 2015 à 14h40", "2015-01-22T14:40:00"),
        ("mar. 3 mars 2015", "2015-03-03"),
        ("1er août 2019", "2019-08-01"),
        ("sexta-feira, 10 de junho de 2014 14:52", "2014-06-10T14:52:00"),
        ("giovedì 5 febbraio 2015 ore 9.30", "2015-02-05T09:30:00"),
        ("vr jan 24, 2014 12:49", "2014-01-24T12:49:00"),
        ("28 października 2014", "2014-10-28"),
        ("28 октября 2014 в 07:54", "2014-10-28T07:54:00"),
        ("2 Декабрь 95 11:15", "1995-12-02T11:15:00"),
        ("12 лютого 2012, 13:12:23", "2012-02-12T13:12:23"),
        ("2015-кві-12", "2015-04-12"),
        ("14-Aralık-2012, 20:56", "2012-12-14T20:56:00"),
        ("17 ŞUBAT 2014", "2014-02-17"),
        ("den 5 januari 2015 kl. 14.30", "2015-01-05T14:30:00"),
        ("5. tammikuuta 2016 klo 9.05", "2016-01-05T09:05:00"),
        ("2014. március 5. 10:20", "2014-03-05T10:20:00"),
        ("5 Μαρτίου 2014", "2014-03-05"),
        ("5 ΜΑΡΤΙΟΥ 2014", "2014-03-05"),
        ("2014 m. kovo 5 d.", "2014-03-05"),
        ("čtv 14. lis 2013 12:38:43", "2013-11-14T12:38:43"),
        ("2015年04月08日10点05分", "2015-04-08T10:05:00"),
        ("2024年3月5日 下午3:30", "2024-03-05T15:30:00"),
        ("令和6年5月1日", "2024-05-01"),
        ("２０２４年５月１日", "2024-05-01"),
        ("2015년 3월 20일 오후 3시 20분", "2015-03-20T15:20:00"),
        ("2015. 3. 20.", "2015-03-20"),
        ("٥ يناير ٢٠٢٤", "2024-01-05"),
        ("5 كانون الثاني 2024", "2024-01-05"),
        ("ב-5 בינואר 2024", "2024-01-05"),
        ("१७ अक्टूबर २००५", "2005-10-17"),
        ("11 กุมภา 2020, 8:13 AM", "2020-02-11T08:13:00"),
        ("11 ก.พ. 2563", "2020-02-11"),
        ("Thứ Sáu, 21 tháng 3, 2014", "2014-03-21"),
        ("12 Hulyo 2003 13:01", "2003-07-12T13:01:00"),
    ]);
}

#[test]
fn the_page_s_language_decides() {
    assert_eq!(read_in("03/04/2026", Some("en-GB")).as_deref(), Some("2026-04-03"));
    assert_eq!(read_in("03/04/2026", Some("fr")).as_deref(), Some("2026-04-03"));
    assert_eq!(read_in("03/04/2026", Some("en-US")).as_deref(), Some("2026-03-04"));
    assert_eq!(read_in("5 listopada 2020", Some("hr")).as_deref(), Some("2020-10-05"));
    assert_eq!(read_in("5 listopada 2020", Some("pl")).as_deref(), Some("2020-11-05"));
}

#[test]
fn counted_from_now() {
    check(&[
        ("2 hours ago", "2026-09-10T10:00:00Z"),
        ("3h ago", "2026-09-10T09:00:00Z"),
        ("an hour ago", "2026-09-10T11:00:00Z"),
        ("Posted 3 days ago by Ann", "2026-09-07"),
        ("1 month ago", "2026-08-10"),
        ("2 years ago", "2024-09-10"),
        ("1 day, 2 hours ago", "2026-09-09T10:00:00Z"),
        ("Yesterday", "2026-09-09"),
        ("yesterday at 10:30", "2026-09-09T10:30:00"),
        ("Heute, 14:05 Uhr", "2026-09-10T14:05:00"),
        ("vor 3 Tagen", "2026-09-07"),
        ("vor etwa einer Stunde", "2026-09-10T11:00:00Z"),
        ("il y a 5 minutes", "2026-09-10T11:55:00Z"),
        ("hace 2 semanas", "2026-08-27"),
        ("3 ore fa", "2026-09-10T09:00:00Z"),
        ("há 3 dias", "2026-09-07"),
        ("5 dagen geleden", "2026-09-05"),
        ("2 godziny temu", "2026-09-10T10:00:00Z"),
        ("3 часа назад", "2026-09-10T09:00:00Z"),
        ("вчера в 15:20", "2026-09-09T15:20:00"),
        ("2 gün önce", "2026-09-08"),
        ("3日前", "2026-09-07"),
        ("2小时前", "2026-09-10T10:00:00Z"),
        ("5분 전", "2026-09-10T11:55:00Z"),
        ("منذ 3 ساعات", "2026-09-10T09:00:00Z"),
        ("3 jam yang lalu", "2026-09-10T09:00:00Z"),
        ("2 giờ trước", "2026-09-10T10:00:00Z"),
        ("för 3 dagar sedan", "2026-09-07"),
        ("acum 2 zile", "2026-09-08"),
        ("just now", "2026-09-10T12:00:00Z"),
    ]);
}

#[test]
fn a_weekday_tells_the_year() {
    check(&[
        ("Sat, Sep 12", "2026-09-12"),
        ("Thursday, December 31", "2026-12-31"),
        ("Fri, January 1", "2027-01-01"),
    ]);
    assert_eq!(read("January 1"), None);
}

#[test]
fn what_is_no_date_is_none() {
    for input in [
        "",
        "soon",
        "May",
        "May be 5",
        "12",
        "99/99/2026",
        "2026",
        "call 555-12-1234",
        "Section 1.2.3",
        "192.168.10.20",
        "Martha 5, 2020",
        "January 2026",
        "3 days",
        "hier finden Sie alles",
        "10:30",
    ] {
        assert_eq!(read(input), None, "{input}");
    }
}

#[test]
fn day_first_is_a_choice() {
    let now = Timestamp::from_ms(0);
    let day = parse("03/04/2026", Reading { day_first: true, now, language: None }).map(|m| m.date_text());
    assert_eq!(day.as_deref(), Some("2026-04-03"));
}
