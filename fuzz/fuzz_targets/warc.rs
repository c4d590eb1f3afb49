//! Any bytes as a WARC file: its records, the answers in them, the pages that those are, and the index of all.
#![no_main]

use fetch::warc::{Answer, FileIndex, Limits, Reader, page_of};
use libfuzzer_sys::fuzz_target;
use model::{Method, PageKey, Timestamp};

const BLOCK: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let mut reader = Reader::new(input, 0, Limits { block_bytes: BLOCK });
    let mut index = FileIndex::default();
    let mut last = (0, 0);
    while let Ok(Some(record)) = reader.next_record() {
        assert!(record.offset < input.len() as u64 && record.block.len() as u64 <= BLOCK);
        let at = (record.offset, record.within);
        assert!(last == (0, 0) || at > last, "records come in order");
        last = at;
        index.add(&record).expect("fewer answers than an index takes");
        if let (Some(answer), Some(url)) = (Answer::of(&record), record.target()) {
            if let Ok(page) = page_of(answer, url, Timestamp::from_ms(0), BLOCK) {
                assert!(page.body.len() as u64 <= BLOCK);
            }
        }
    }
    index.finish();
    for url in index.starts() {
        assert!(index.find(PageKey::of(Method::Get, &url, None)).is_some() || !index.is_empty());
    }
});
