//! Clean reruns are silent, breakages are not; a profile is the same however its rows come.

use super::*;
use crate::{FailureCode, Fate, Input, Record};
use proptest::prelude::*;

/// Small, seeded, good enough for draws.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn chance(&mut self, share: f64) -> bool {
        (self.below(1_000_000) as f64) < share * 1e6
    }
}

/// What a site gives, and what is wrong with it.
#[derive(Clone, Copy)]
struct Site {
    host: &'static str,
    /// Inputs, and rows of each.
    inputs: u64,
    rows: u64,
    /// Rows of a page vary by so many up or down.
    vary: u64,
    priced: f64,
    rated: f64,
    dead: f64,
    text_price: bool,
    scale: f64,
    images: u64,
    same_title: bool,
}

const SHOP: Site = Site {
    host: "shop",
    inputs: 20,
    rows: 5,
    vary: 0,
    priced: 0.98,
    rated: 0.6,
    dead: 0.02,
    text_price: false,
    scale: 1.0,
    images: 6,
    same_title: false,
};

fn run(site: Site, dice: &mut Dice) -> Profile {
    let mut profile = Profile::default();
    for field in ["title", "price", "rating", "images", "never"] {
        profile.expect(field, false);
    }
    for n in 0..site.inputs {
        let input = Input::given(n, format!("{{\"url\":\"http://{}/{n}\"}}", site.host), site.host.into());
        if dice.chance(site.dead) {
            profile.input(&input, &Fate::Never(FailureCode::DeadPage.into()));
            *profile.errors.entry(FailureCode::DeadPage).or_insert(0) += 1;
            continue;
        }
        let rows = site.rows + dice.below(2 * site.vary + 1) - site.vary.min(site.rows);
        let records = vec![Record { root: n, json: String::new() }; rows as usize];
        profile.input(&input, &Fate::Read { records, led: Vec::new() });
        for _ in 0..rows {
            let price = (5.0 + dice.below(20_000) as f64 / 100.0) * site.scale;
            let price = match (dice.chance(site.priced), site.text_price) {
                (false, _) => serde_json::Value::Null,
                (true, true) => serde_json::json!(format!("{price:.2} EUR")),
                (true, false) => serde_json::json!(price),
            };
            let rating = dice.chance(site.rated).then(|| 1.0 + dice.below(40) as f64 / 10.0);
            let title = if site.same_title { "Shop".to_owned() } else { format!("thing {}", dice.next()) };
            let images: Vec<u64> = (0..site.images.saturating_sub(1) + dice.below(3)).collect();
            let row = serde_json::json!({
                "title": title, "price": price, "rating": rating, "images": images,
                "timestamp": "now", "input": { "url": "u" },
            });
            profile.row(&row.to_string());
        }
    }
    profile
}

fn history(site: Site, runs: usize, dice: &mut Dice) -> Vec<Profile> {
    (0..runs).map(|_| run(site, dice)).collect()
}

fn verdict(now: &Profile, earlier: &[Profile]) -> Quality {
    judge(now, &before(now, earlier))
}

#[track_caller]
fn caught(broken: Site, grade: Grade, reason: &str) {
    for (runs, seed) in [(1, 1), (3, 2), (9, 3), (9, 4)] {
        let dice = &mut Dice(seed);
        let quality = verdict(&run(broken, dice), &history(SHOP, runs, dice));
        assert!(quality.grade >= grade, "{reason} after {runs} runs: {quality:?}");
        assert!(quality.reasons.iter().any(|r| r.starts_with(reason)), "{reason} not in {quality:?}");
        assert_eq!(quality.runs as usize, runs);
    }
}

#[test]
fn breakages_are_caught_after_one_run_and_after_many() {
    caught(Site { priced: 0.0, ..SHOP }, Grade::Fail, "price: filled in 0 %, 9");
    caught(Site { priced: 0.03, ..SHOP }, Grade::Fail, "price: filled in ");
    caught(Site { priced: 0.7, ..SHOP }, Grade::Warn, "price: filled in ");
    caught(Site { text_price: true, ..SHOP }, Grade::Fail, "price: text in 100 %, number before");
    caught(Site { scale: 100.0, ..SHOP }, Grade::Fail, "price: ");
    caught(Site { rows: 2, ..SHOP }, Grade::Fail, "records per input: 2, 5 before");
    caught(Site { dead: 0.7, ..SHOP }, Grade::Fail, "errors: ");
    caught(Site { dead: 0.5, ..SHOP }, Grade::Warn, "errors: ");
    caught(Site { images: 2, ..SHOP }, Grade::Fail, "images: ");
    caught(Site { same_title: true, dead: 0.0, ..SHOP }, Grade::Warn, "title: the same in all");
}

#[test]
fn half_a_list_is_missed_on_a_single_page_of_the_same_inputs() {
    let page = Site { inputs: 1, rows: 24, vary: 1, dead: 0.0, ..SHOP };
    let dice = &mut Dice(5);
    let earlier = history(page, 3, dice);
    let quality = verdict(&run(Site { rows: 12, ..page }, dice), &earlier);
    assert_eq!(quality.grade, Grade::Fail);
    assert!(quality.reasons[0].ends_with("before for the same inputs"), "{quality:?}");
    let other = Site { host: "shop", inputs: 2, rows: 12, ..page };
    assert_eq!(verdict(&run(other, dice), &earlier).grade, Grade::Ok, "other inputs may be smaller");
}

#[test]
fn the_same_value_everywhere_is_noticed_on_the_same_inputs() {
    let site = Site { dead: 0.0, ..SHOP };
    let dice = &mut Dice(6);
    let quality = verdict(&run(Site { same_title: true, ..site }, dice), &history(site, 3, dice));
    assert!(quality.reasons.iter().any(|r| r.starts_with("title: the same in all 100")), "{quality:?}");
}

#[test]
fn clean_reruns_are_silent() {
    let sites = [
        SHOP,
        Site { vary: 5, ..SHOP },
        Site { inputs: 1, rows: 20, vary: 3, ..SHOP },
        Site { inputs: 300, rows: 1, rated: 0.1, priced: 0.5, ..SHOP },
        Site { inputs: 8, rows: 1, dead: 0.2, ..SHOP },
        Site { inputs: 1_000, rows: 1, dead: 0.1, images: 1, ..SHOP },
    ];
    let (mut warned, mut judged) = (Vec::new(), 0);
    for (seed, site) in (10..).zip(sites) {
        let dice = &mut Dice(seed);
        let mut earlier = Vec::new();
        for _ in 0..150 {
            let now = run(site, dice);
            let quality = verdict(&now, &earlier);
            assert_ne!(quality.grade, Grade::Fail, "{quality:?}");
            judged += 1;
            if quality.grade == Grade::Warn {
                warned.push(quality);
            }
            earlier.insert(0, now);
            earlier.truncate(BASELINE_RUNS);
        }
    }
    assert!(warned.len() * 200 <= judged, "{} of {judged}: {warned:?}", warned.len());
}

#[test]
fn small_runs_and_other_sites_do_not_alarm() {
    let dice = &mut Dice(7);
    let earlier = history(SHOP, 5, dice);
    for inputs in 0..3 {
        let small = run(Site { inputs, rows: 2, priced: 0.0, dead: 0.5, ..SHOP }, dice);
        assert_eq!(verdict(&small, &earlier).grade, Grade::Ok);
        assert!(!small.can_be_judged());
    }
    let elsewhere = run(Site { host: "other", priced: 0.0, ..SHOP }, dice);
    assert_eq!(verdict(&elsewhere, &earlier), Quality::default());
}

#[test]
fn fields_that_are_gone_from_the_file_and_limits_are_no_reason() {
    let dice = &mut Dice(8);
    let earlier = history(SHOP, 5, dice);
    let mut now = run(SHOP, dice);
    now.fields.remove("price");
    assert_eq!(verdict(&now, &earlier).grade, Grade::Ok);
    let mut now = run(Site { rows: 2, ..SHOP }, dice);
    now.limited = true;
    assert_eq!(verdict(&now, &earlier).grade, Grade::Ok);
}

#[test]
fn a_field_that_vanishes_inside_objects_is_caught() {
    let run = |by: &str, city: &str| {
        let mut profile = Profile::default();
        profile.expect("reviews", true);
        profile.expect("place", true);
        profile.expect("loose", false);
        for n in 0..20 {
            let row = format!(
                r#"{{"reviews":[{{"text":"a{n}"{by}}},{{"text":"b"{by}}}],"place":{{"zip":{n}{city}}},"loose":{{"k{n}":1}}}}"#
            );
            profile.row(&row);
            let read = Fate::Read { records: vec![Record { root: n, json: row }], led: Vec::new() };
            profile.input(&Input::given(n, "{}".into(), "h".into()), &read);
        }
        profile
    };
    let good = run(r#","by":"me""#, r#","city":"x""#);
    assert_eq!((good.whole("reviews[].by"), good.whole("place.zip"), good.whole("place")), (40, 20, 20));
    assert!(
        good.fields.keys().all(|name| !name.starts_with("loose.")),
        "objects without a shape have no fields"
    );
    let quality = verdict(&run(r#","by":null"#, ""), std::slice::from_ref(&good));
    assert_eq!(
        quality.reasons,
        ["place.city: filled in 0 %, 100 % before", "reviews[].by: filled in 0 %, 100 % before"],
        "{quality:?}"
    );
    assert_eq!(verdict(&good, std::slice::from_ref(&good)).grade, Grade::Ok);
}

#[test]
fn reasons_are_bounded_and_the_worst_come_first() {
    let wide = |filled: bool| {
        let mut profile = Profile::default();
        for _ in 0..100 {
            let row: serde_json::Map<_, _> = (0..60)
                .map(|n| (format!("f{n}"), if filled { 1.into() } else { serde_json::Value::Null }))
                .collect();
            profile.row(&serde_json::Value::Object(row).to_string());
            let read = Fate::Read { records: vec![Record { root: 0, json: String::new() }], led: Vec::new() };
            profile.input(&Input::given(0, "{}".into(), "h".into()), &read);
        }
        profile
    };
    let quality = verdict(&wide(false), &[wide(true)]);
    assert_eq!(quality.grade, Grade::Fail);
    assert_eq!(quality.reasons.len(), 21);
    assert_eq!(quality.reasons[20], "and 40 more");
}

#[test]
fn a_row_counts_types_fills_and_sizes() {
    let mut profile = Profile::default();
    for row in [
        r#"{"t":"äb","n":3,"l":[1,{"a":2}],"o":{},"b":false,"x":null,"timestamp":"no"}"#,
        r#"{"t":"","n":-1.5,"l":[],"o":{"a":{"b":1}}}"#,
        "not a row",
        "[1]",
    ] {
        profile.row(row);
    }
    assert_eq!(profile.rows, 4);
    let field = |name: &str| profile.fields[name].clone();
    assert_eq!((field("t").filled, field("t").lengths.max), (1, 2.0));
    assert_eq!((field("n").numbers.min, field("n").numbers.max, field("n").varied), (-1.5, 3.0, true));
    assert_eq!((field("l").filled, field("l").items.sum), (1, 2.0));
    assert_eq!((field("o").filled, field("o").kinds), (1, [0, 0, 0, 0, 2, 0]));
    assert_eq!((field("b").filled, field("x").filled, field("x").valued()), (1, 0, 0));
    assert!(!profile.fields.contains_key("timestamp"));
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        (-1e300..1e300).prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Into::into),
    ]
}

fn row() -> impl Strategy<Value = String> {
    prop::collection::btree_map("[a-d]", value(), 0..4)
        .prop_map(|row| serde_json::Value::Object(row.into_iter().collect()).to_string())
}

/// What does not depend on the order in which floats were added.
fn exact(profile: &Profile) -> impl PartialEq + std::fmt::Debug + use<> {
    let fields: Vec<_> = profile
        .fields
        .iter()
        .map(|(name, f)| {
            (name.clone(), f.filled, f.kinds, f.varied, f.numbers.n, f.numbers.min, f.numbers.max)
        })
        .collect();
    (profile.rows, fields, profile.uncounted, profile.hosts.clone(), profile.given, profile.digest)
}

proptest! {
    #[test]
    fn parts_in_any_order_are_the_whole(rows in prop::collection::vec(row(), 0..40), cut in 0_usize..40) {
        let of = |rows: &[String]| rows.iter().fold(Profile::default(), |mut p, r| { p.row(r); p });
        let cut = cut.min(rows.len());
        let (left, right) = (of(&rows[..cut]), of(&rows[cut..]));
        let (mut forth, mut back) = (left.clone(), right.clone());
        forth.merge(&right);
        back.merge(&left);
        prop_assert_eq!(exact(&forth), exact(&of(&rows)));
        prop_assert_eq!(exact(&forth), exact(&back));
        let text = serde_json::to_string(&forth).unwrap();
        prop_assert_eq!(exact(&serde_json::from_str::<Profile>(&text).unwrap()), exact(&forth));
    }

    #[test]
    fn any_text_is_a_row_and_a_profile_is_bounded(rows in prop::collection::vec(".{0,60}", 0..20), wide in 0_usize..2_000) {
        let mut profile = Profile::default();
        for row in &rows {
            profile.row(row);
        }
        let wide: serde_json::Map<_, _> = (0..wide).map(|n| (format!("k{n}"), n.into())).collect();
        profile.row(&serde_json::Value::Object(wide.clone()).to_string());
        prop_assert_eq!(profile.rows, rows.len() as u64 + 1);
        prop_assert!(profile.fields.len() <= PROFILE_FIELDS);
        let counted: u64 = profile.fields.values().map(|f| f.kinds.iter().sum::<u64>()).sum();
        prop_assert!(counted + profile.uncounted >= wide.len() as u64);
    }

    #[test]
    fn a_run_is_like_itself(seed: u64, rows in 1_u64..30, inputs in 1_u64..30, runs in 1_usize..5) {
        let now = run(Site { rows, inputs, ..SHOP }, &mut Dice(seed));
        let earlier = vec![now.clone(); runs];
        prop_assert_eq!(verdict(&now, &earlier).grade, Grade::Ok);
    }

    #[test]
    fn any_profiles_can_be_compared(a in prop::collection::vec(row(), 0..40), b in prop::collection::vec(row(), 0..40)) {
        let of = |rows: &[String]| rows.iter().fold(Profile::default(), |mut p, r| { p.row(r); p });
        let quality = verdict(&of(&a), &[of(&b)]);
        prop_assert_eq!(quality.grade == Grade::Ok, quality.reasons.is_empty());
    }
}
