//! Kept pages over a scripted site: what is asked, what is kept, what stands for the page.

use super::*;
use async_trait::async_trait;
use std::sync::Mutex;
use store::FolderBucket;

struct Still(Mutex<Timestamp>);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    fn random(&self) -> u64 {
        0
    }
    fn jitter(&self) -> f64 {
        0.0
    }
}

/// Answers in order, and notes the conditional lines of what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Page>>,
    asked: Mutex<Vec<Vec<(String, String)>>>,
}

#[async_trait]
impl Fetcher for Script {
    async fn fetch(&self, request: Request, _: bool) -> Result<Page, FetchError> {
        self.asked.lock().unwrap().push(request.headers);
        Ok(self.answers.lock().unwrap().remove(0))
    }
}

struct World {
    _folder: tempfile::TempDir,
    cache: PageCache,
    clock: Arc<Still>,
    site: Script,
}

const START: i64 = 1_445_412_480_000;

fn world(bytes_max: u64) -> World {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Arc::new(FolderBucket::open(folder.path()).unwrap());
    let clock = Arc::new(Still(Mutex::new(Timestamp::from_ms(START))));
    let cache = PageCache::new(bucket, clock.clone(), Settings { reuse: Reuse::default(), bytes_max });
    World { _folder: folder, cache, clock, site: Script::default() }
}

const REVALIDATE: Reuse = Reuse { revalidate: Some(true), max_age_ms: None };

impl World {
    fn answer(&self, url: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        let page = Page {
            url: url.parse().unwrap(),
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            fetched_at: self.clock.now(),
            wire_bytes: body.len() as u64,
            extras: Extras::default(),
        };
        self.site.answers.lock().unwrap().push(page);
    }

    fn pass(&self, ms: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.plus_ms(ms);
    }

    async fn get(&self, url: &str, reuse: Reuse, modified: Option<Timestamp>) -> String {
        let ask = Ask { scraper: "s", reuse, modified };
        let request = Request::get(url.parse().unwrap());
        let (page, keep) = self.cache.page(&self.site, ask, request, false).await.unwrap();
        if let Some(keep) = keep {
            self.cache.keep(keep).await;
        }
        format!("{} {}", page.status, String::from_utf8_lossy(&page.body))
    }

    fn asked(&self) -> Vec<Vec<(String, String)>> {
        std::mem::take(&mut *self.site.asked.lock().unwrap())
    }
}

const A: &str = "http://a.example/1";

#[tokio::test]
async fn a_304_gives_the_kept_page_again() {
    let world = world(1 << 20);
    world.answer(A, 200, &[("etag", "\"1\""), ("set-cookie", "secret=1")], "one");
    assert_eq!(world.get(A, REVALIDATE, None).await, "200 one");
    world.answer(A, 304, &[], "");
    assert_eq!(world.get(A, REVALIDATE, None).await, "200 one");
    world.answer(A, 200, &[("etag", "\"2\"")], "two");
    assert_eq!(world.get(A, REVALIDATE, None).await, "200 two");
    let lines = |tag: &str| vec![("if-none-match".to_owned(), tag.to_owned())];
    assert_eq!(world.asked(), [vec![], lines("\"1\""), lines("\"1\"")]);
    assert_eq!(world.cache.counters.not_modified.load(Ordering::Relaxed), 1);
    let key = world.cache.bucket.list(PREFIX, "", 9).await.unwrap().remove(0).0;
    let bytes = world.cache.bucket.get(&key, 0, ENTRY_BYTES).await.unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("secret"), "cookies are not kept");
    // What is damaged is fetched as if it had never been.
    world.cache.bucket.put(&key, bytes.slice(..bytes.len() - 3)).await.unwrap();
    world.answer(A, 200, &[("etag", "\"2\"")], "two");
    assert_eq!(world.get(A, REVALIDATE, None).await, "200 two");
    assert_eq!(world.asked(), [vec![]]);
}

#[tokio::test]
async fn a_304_for_something_else_is_asked_again_without_conditions() {
    let world = world(1 << 20);
    world.answer(A, 200, &[("etag", "\"1\"")], "one");
    world.get(A, REVALIDATE, None).await;
    world.answer("http://a.example/moved", 304, &[], "");
    world.answer("http://a.example/moved", 200, &[], "moved");
    assert_eq!(world.get(A, REVALIDATE, None).await, "200 moved");
    assert_eq!(world.asked().last().unwrap(), &[]);
}

#[tokio::test]
async fn a_young_page_is_not_asked_for() {
    let world = world(1 << 20);
    let hour = Reuse { revalidate: None, max_age_ms: Some(3_600_000) };
    world.answer(A, 200, &[("age", "600"), ("etag", "\"1\"")], "one");
    world.get(A, hour, None).await;
    world.pass(2_900_000);
    assert_eq!(world.get(A, hour, None).await, "200 one");
    assert_eq!(world.asked().len(), 1);
    // Ten minutes old when it came, so an hour is over after fifty.
    world.pass(200_000);
    world.answer(A, 304, &[], "");
    assert_eq!(world.get(A, hour, None).await, "200 one");
    assert_eq!(world.asked().len(), 1);
    // Who asks for nothing gets nothing kept.
    world.answer(A, 200, &[], "now");
    assert_eq!(world.get(A, Reuse::default(), None).await, "200 now");
    let always = Reuse { revalidate: None, max_age_ms: Some(0) };
    world.answer(A, 200, &[], "now");
    assert_eq!(world.get(A, always, None).await, "200 now");
}

#[tokio::test]
async fn what_a_sitemap_says_is_unchanged_is_not_asked_for() {
    let world = world(1 << 20);
    let before = Some(Timestamp::from_ms(START - 60_000));
    world.answer(A, 200, &[], "one");
    world.get(A, REVALIDATE, before).await;
    assert_eq!(world.get(A, REVALIDATE, before).await, "200 one");
    assert_eq!(world.asked().len(), 1);
    // The same second is not before.
    world.answer(A, 200, &[], "two");
    assert_eq!(world.get(A, REVALIDATE, Some(Timestamp::from_ms(START))).await, "200 two");
    // Without a word of the sitemap the page is asked for.
    world.answer(A, 200, &[], "three");
    assert_eq!(world.get(A, REVALIDATE, None).await, "200 three");
}

#[tokio::test]
async fn what_can_be_of_no_use_is_not_kept() {
    let world = world(1 << 20);
    for (status, headers) in [
        (200, vec![]),
        (200, vec![("etag", "\"1\""), ("vary", "*")]),
        (404, vec![("etag", "\"1\"")]),
        (206, vec![("etag", "\"1\"")]),
    ] {
        world.answer(A, status, &headers, "x");
        world.get(A, REVALIDATE, None).await;
    }
    assert!(world.cache.bucket.list(PREFIX, "", 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_room_is_kept_to() {
    let world = world(40_000);
    let mut dice = 1_u64;
    for n in 0..60 {
        // Bytes that do not pack.
        let body: String = (0..2_000)
            .map(|_| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (dice >> 33) as u8 % 90)
            })
            .collect();
        let url = format!("http://a.example/{n}");
        world.answer(&url, 200, &[("etag", "\"1\"")], &body);
        world.get(&url, REVALIDATE, None).await;
        assert!(world.cache.held_bytes() <= 44_000);
        if n % 10 == 9 {
            world.cache.evict().await.unwrap();
            let held: u64 =
                world.cache.bucket.weigh(PREFIX, "", 1_000).await.unwrap().iter().map(|(_, _, b)| b).sum();
            assert!(held <= 40_000, "{held}");
            assert_eq!(held, world.cache.held_bytes());
        }
    }
    assert!(world.cache.counters.evicted.load(Ordering::Relaxed) > 10);
    let others = Ask { scraper: "other", reuse: REVALIDATE, modified: None };
    let own = Ask { scraper: "s", ..others };
    let mut request = Request::get(A.parse().unwrap());
    assert_ne!(key(own, &request), key(others, &request));
    let plain = key(own, &request);
    request.needs.host_delay_ms = Some(1);
    assert_eq!(key(own, &request), plain);
    request.headers.push(("Accept-Language".into(), "de".into()));
    assert_ne!(key(own, &request), plain);
}
