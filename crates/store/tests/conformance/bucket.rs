//! The contract of a bucket: whole objects under keys, listed in the order of their bytes.

use bytes::Bytes;
use store::{Bucket, BucketError};

async fn put(bucket: &dyn Bucket, key: &str, text: &str) {
    bucket.put(key, Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
}

async fn get(bucket: &dyn Bucket, key: &str) -> String {
    String::from_utf8(bucket.get(key, 0, 1 << 30).await.unwrap().to_vec()).unwrap()
}

async fn keys(bucket: &dyn Bucket, prefix: &str, after: &str, limit: usize) -> Vec<String> {
    bucket.list(prefix, after, limit).await.unwrap().into_iter().map(|(key, _)| key).collect()
}

fn absent<T: std::fmt::Debug>(got: Result<T, BucketError>, wanted: &str) {
    match got {
        Err(BucketError::NotFound(key)) => assert_eq!(key, wanted, "it says which"),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn what_was_put_is_got(bucket: &dyn Bucket) {
    let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    bucket.put("segments/a/1", all.clone().into()).await.unwrap();
    bucket.put("empty", Bytes::new()).await.unwrap();
    assert_eq!(bucket.get("segments/a/1", 0, 70_000).await.unwrap(), all);
    assert!(bucket.get("empty", 0, 10).await.unwrap().is_empty());
}

pub(crate) async fn ranges_end_with_the_object(bucket: &dyn Bucket) {
    put(bucket, "k", "0123456789").await;
    for (from, len, want) in [
        (0, 10, "0123456789"),
        (0, 0, ""),
        (3, 4, "3456"),
        (9, 1, "9"),
        (8, 100, "89"),
        (0, u64::MAX >> 1, "0123456789"),
        (10, 5, ""),
        (5_000, 5, ""),
        (3, 0, ""),
    ] {
        let got = bucket.get("k", from, len).await;
        assert_eq!(got.unwrap_or_else(|e| panic!("{from}+{len}: {e}")), want, "{from}+{len}");
    }
}

pub(crate) async fn what_is_missing_is_not_found(bucket: &dyn Bucket) {
    absent(bucket.get("nothing", 0, 1).await, "nothing");
    put(bucket, "a/b/c", "x").await;
    for key in ["a", "a/b", "a/b/c/d", "a/c", "b/b/c"] {
        absent(bucket.get(key, 0, 1).await, key);
    }
}

pub(crate) async fn an_object_is_replaced_as_a_whole(bucket: &dyn Bucket) {
    put(bucket, "k", &"long ".repeat(1_000)).await;
    put(bucket, "k", "short").await;
    assert_eq!(get(bucket, "k").await, "short");
    assert_eq!(bucket.weigh("", "", 9).await.unwrap().len(), 1);
}

pub(crate) async fn a_deleted_object_is_gone(bucket: &dyn Bucket) {
    put(bucket, "a/1", "x").await;
    put(bucket, "a/2", "y").await;
    bucket.delete("a/1").await.unwrap();
    absent(bucket.get("a/1", 0, 1).await, "a/1");
    assert_eq!(keys(bucket, "", "", 9).await, ["a/2"]);
    for key in ["a/1", "never/was", "a", "a/2/below"] {
        bucket.delete(key).await.unwrap();
    }
    assert_eq!(get(bucket, "a/2").await, "y", "a folder is no object");
    put(bucket, "a/1", "again").await;
    assert_eq!(get(bucket, "a/1").await, "again");
}

/// Keys whose order by bytes is not that of a walk through folders.
const ORDER: &[&str] = &["a-b", "a.b", "a/b", "a/b-c/d", "a/b/c", "a0", "a_b", "aa/a", "b"];

pub(crate) async fn a_list_is_in_order_of_bytes(bucket: &dyn Bucket) {
    // `a/b` is left out: see `a_key_may_be_the_beginning_of_another`.
    let mut want: Vec<&str> = ORDER.iter().copied().filter(|key| *key != "a/b").collect();
    for key in want.iter().rev() {
        put(bucket, key, key).await;
    }
    want.sort_unstable();
    assert_eq!(keys(bucket, "", "", 99).await, want);
    assert_eq!(keys(bucket, "", "", 3).await, want[..3]);
    assert!(keys(bucket, "", "", 0).await.is_empty());
    assert!(keys(bucket, "none", "", 9).await.is_empty());
}

pub(crate) async fn a_list_goes_on_after_any_key(bucket: &dyn Bucket) {
    let mut all = Vec::new();
    for n in 0..25 {
        let key = format!("s/{:02}/{}", n / 5, n % 5);
        put(bucket, &key, "x").await;
        all.push(key);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = keys(bucket, "s/", &after, 7).await;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        seen.extend(page);
    }
    assert_eq!(seen, all);
    // After what is no key, before the prefix, behind it.
    assert_eq!(keys(bucket, "s/", "s/02", 1).await, ["s/02/0"]);
    assert_eq!(keys(bucket, "s/", "s/02/4x", 1).await, ["s/03/0"]);
    assert_eq!(keys(bucket, "s/03/", "a", 99).await.len(), 5);
    assert!(keys(bucket, "s/03/", "s/04", 99).await.is_empty());
    assert!(keys(bucket, "s/", "z", 99).await.is_empty());
}

pub(crate) async fn a_prefix_need_not_end_at_a_slash(bucket: &dyn Bucket) {
    for key in ["se", "seg/1", "seg/2", "segments/1", "segx", "t"] {
        put(bucket, key, "x").await;
    }
    assert_eq!(keys(bucket, "seg/", "", 9).await, ["seg/1", "seg/2"]);
    assert_eq!(keys(bucket, "seg", "", 9).await, ["seg/1", "seg/2", "segments/1", "segx"]);
    assert_eq!(keys(bucket, "segments/1", "", 9).await, ["segments/1"]);
}

pub(crate) async fn ages_and_weights_are_told(bucket: &dyn Bucket) {
    put(bucket, "w/a", "").await;
    put(bucket, "w/b", &"x".repeat(12_345)).await;
    let weights = bucket.weigh("w/", "", 9).await.unwrap();
    let sizes: Vec<_> = weights.iter().map(|(key, _, bytes)| (key.as_str(), *bytes)).collect();
    assert_eq!(sizes, [("w/a", 0), ("w/b", 12_345)]);
    assert_eq!(bucket.weigh("w/", "w/a", 9).await.unwrap().len(), 1);
    assert_eq!(bucket.weigh("w/", "", 1).await.unwrap().len(), 1);
    for (_, age_ms) in bucket.list("w/", "", 9).await.unwrap() {
        assert!(age_ms < 120_000, "just written, not {age_ms} ms ago");
    }
}

pub(crate) async fn a_large_object_comes_back(bucket: &dyn Bucket) {
    // Beyond what stores take in one piece of a multipart upload, and not a multiple of anything.
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let all: Bytes = (0..17 * 1_000_003).map(|_| next()).collect::<Vec<u8>>().into();
    bucket.put("large", all.clone()).await.unwrap();
    assert!(bucket.get("large", 0, 1 << 30).await.unwrap() == all, "every byte");
    let (from, len) = (8_388_600, 4_194_321);
    assert!(bucket.get("large", from, len).await.unwrap() == all.slice(from as usize..(from + len) as usize));
    assert_eq!(bucket.weigh("large", "", 1).await.unwrap()[0].2, all.len() as u64);
}

pub(crate) async fn every_lawful_key_works(bucket: &dyn Bucket) {
    let long = format!("{}/{}", "d".repeat(100), "f".repeat(200));
    let deep = vec!["d"; 30].join("/");
    let lawful = [
        "a",
        "0",
        "-",
        "_",
        "-a-",
        "a.b..c",
        "x/a.tmp",
        "x/0.json.zst",
        "abcdefghijklmnopqrstuvwxyz0123456789._-/x",
        &long,
        &deep,
    ];
    for key in lawful {
        put(bucket, key, key).await;
    }
    for key in lawful {
        assert_eq!(get(bucket, key).await, key);
    }
    let mut want = lawful.to_vec();
    want.sort_unstable();
    assert_eq!(keys(bucket, "", "", 99).await, want);
    for key in lawful {
        bucket.delete(key).await.unwrap();
    }
    assert!(keys(bucket, "", "", 99).await.is_empty());
}

pub(crate) async fn a_key_may_be_the_beginning_of_another(bucket: &dyn Bucket) {
    // Nothing in Trawl makes such keys. Where folders stand for slashes the second is refused; nowhere is anything
    // lost or taken for something else.
    put(bucket, "a/b", "first").await;
    let second = bucket.put("a/b/c", Bytes::from_static(b"second")).await;
    assert_eq!(get(bucket, "a/b").await, "first");
    match second {
        Ok(()) => assert_eq!(get(bucket, "a/b/c").await, "second"),
        Err(BucketError::Unavailable(_)) => absent(bucket.get("a/b/c", 0, 1).await, "a/b/c"),
        Err(other) => panic!("{other:?}"),
    }
}

pub(crate) async fn writers_of_one_key_do_not_mix(bucket: &dyn Bucket) {
    let text = |n: u8| Bytes::from(vec![n; 300_000 + usize::from(n) * 1_000]);
    for _ in 0..5 {
        let whole = async || {
            for _ in 0..10 {
                match bucket.get("k", 0, 1 << 30).await {
                    Ok(bytes) => {
                        let first = bytes[0];
                        assert!(bytes == text(first), "one writer's, whole");
                    }
                    Err(BucketError::NotFound(_)) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        };
        let (a, b, c, d, ()) = tokio::join!(
            bucket.put("k", text(1)),
            bucket.put("k", text(2)),
            bucket.put("k", text(3)),
            bucket.put("k", text(4)),
            whole(),
        );
        for put in [a, b, c, d] {
            put.unwrap();
        }
        whole().await;
    }
}
