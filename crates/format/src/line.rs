//! Cutting stored lines: for parts of a delivery and ranges of a download.

use memchr::{memchr, memchr_iter};

/// The lines of `bytes`, each with its `\n`, so that any run of them can be pushed into a [`crate::Writer`] as it is.
/// A last line without `\n` is given as it is.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

/// How many lines are in `bytes`; a last line without `\n` does not count.
pub fn count(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The lines of `bytes` without the first `skip`, at most `take` of them, as one slice.
pub fn range(bytes: &[u8], skip: u64, take: u64) -> &[u8] {
    let from = start_of(bytes, skip);
    let rest = &bytes[from..];
    &rest[..start_of(rest, take)]
}

/// Where the line with this index starts; the end of `bytes` if there are not so many.
fn start_of(bytes: &[u8], index: u64) -> usize {
    let Some(before) = index.checked_sub(1) else { return 0 };
    // What does not fit into usize is past the end of any slice.
    let before = usize::try_from(before).unwrap_or(usize::MAX);
    memchr_iter(b'\n', bytes).nth(before).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges() {
        let text = b"a\nbb\n\nc\n";
        let cases: &[(u64, u64, &[u8])] = &[
            (0, 0, b""),
            (0, 1, b"a\n"),
            (1, 2, b"bb\n\n"),
            (3, 9, b"c\n"),
            (4, 1, b""),
            (u64::MAX, u64::MAX, b""),
            (0, u64::MAX, text),
        ];
        for (skip, take, expected) in cases {
            assert_eq!(range(text, *skip, *take), *expected, "{skip} {take}");
        }
    }

    #[test]
    fn an_unended_line_is_given_but_not_counted() {
        assert_eq!(lines(b"a\nb").collect::<Vec<_>>(), [&b"a\n"[..], b"b"]);
        assert_eq!(count(b"a\nb"), 1);
        assert_eq!(lines(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn a_range_is_what_skip_and_take_give(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x')], 0..40),
            skip in 0u64..12,
            take in 0u64..12,
        ) {
            let slow: Vec<u8> = lines(&text).skip(skip as usize).take(take as usize).flatten().copied().collect();
            prop_assert_eq!(range(&text, skip, take), slow);
        }
    }
}
