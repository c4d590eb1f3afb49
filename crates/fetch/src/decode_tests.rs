//! Every encoding there and back, cut short, corrupted, inflated to a bomb.

use super::*;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use std::io::Write;

const LIMIT: usize = 1 << 20;

fn gz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).expect("write");
    encoder.finish().expect("finish")
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).expect("write");
    encoder.finish().expect("finish")
}

fn raw(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).expect("write");
    encoder.finish().expect("finish")
}

fn br(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut &plain[..], &mut out, &params).expect("brotli");
    out
}

fn zs(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).expect("zstd")
}

type Encode = fn(&[u8]) -> Vec<u8>;

const ALL: [(Encoding, Encode); 5] = [
    (Encoding::Gzip, gz),
    (Encoding::Deflate, zlib),
    (Encoding::Deflate, raw),
    (Encoding::Brotli, br),
    (Encoding::Zstd, zs),
];

fn undo(wire: Vec<u8>, encodings: &[Encoding], limit: usize) -> Result<Bytes, FetchErrorKind> {
    decode(wire.into(), encodings, limit).map_err(|error| error.kind)
}

fn text(bytes: usize) -> Vec<u8> {
    // Compressible, not trivially.
    (0..bytes).map(|i| b"the quick brown fox"[(i * i / 7) % 19]).collect()
}

#[test]
fn there_and_back_at_every_size() {
    for (encoding, encode) in ALL {
        for size in [1, 100, 4_095, 4_096, 4_097, 46_000, 300_000, LIMIT] {
            let plain = text(size);
            assert_eq!(
                undo(encode(&plain), &[encoding], LIMIT).as_deref(),
                Ok(&plain[..]),
                "{encoding:?} {size}"
            );
        }
    }
}

#[test]
fn the_limit_is_exact() {
    for (encoding, encode) in ALL {
        for size in [1, 5_000, 100_000] {
            let plain = text(size);
            let wire = encode(&plain);
            assert!(undo(wire.clone(), &[encoding], size).is_ok(), "{encoding:?} {size}");
            assert_eq!(
                undo(wire, &[encoding], size - 1),
                Err(FetchErrorKind::TooLarge),
                "{encoding:?} {size}"
            );
        }
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 200 << 20];
    for (encoding, encode) in ALL {
        assert_eq!(undo(encode(&zeros), &[encoding], LIMIT), Err(FetchErrorKind::TooLarge), "{encoding:?}");
    }
    let twice = gz(&gz(&zeros));
    assert_eq!(undo(twice, &[Encoding::Gzip, Encoding::Gzip], LIMIT), Err(FetchErrorKind::TooLarge));
}

#[test]
fn a_cut_anywhere_is_an_error() {
    let plain = text(3_000);
    for (encoding, encode) in ALL {
        let wire = encode(&plain);
        for cut in 1..wire.len() {
            let got = undo(wire[..cut].to_vec(), &[encoding], LIMIT);
            assert_eq!(got, Err(FetchErrorKind::Protocol), "{encoding:?} cut at {cut} of {}", wire.len());
        }
    }
}

#[test]
fn gzip_members_follow_each_other_and_garbage_is_left() {
    let mut wire = gz(b"one ");
    wire.extend(gz(b"two"));
    assert_eq!(undo(wire.clone(), &[Encoding::Gzip], LIMIT).as_deref(), Ok(&b"one two"[..]));
    wire.extend(b"\0\0\0garbage");
    assert_eq!(undo(wire.clone(), &[Encoding::Gzip], LIMIT).as_deref(), Ok(&b"one two"[..]));
    let mut member_cut = gz(b"one ");
    member_cut.extend(&gz(b"two")[..12]);
    assert_eq!(undo(member_cut, &[Encoding::Gzip], LIMIT), Err(FetchErrorKind::Protocol));
}

#[test]
fn a_gzip_that_lies_about_its_size_is_no_problem_of_the_buffer() {
    let mut wire = gz(&text(46_000));
    wire.extend(u32::MAX.to_le_bytes());
    assert_eq!(undo(wire.clone(), &[Encoding::Gzip], LIMIT).map(|b| b.len()), Ok(46_000));
    wire.extend(0_u32.to_le_bytes());
    assert_eq!(undo(wire, &[Encoding::Gzip], LIMIT).map(|b| b.len()), Ok(46_000));
}

#[test]
fn a_wrong_checksum_is_an_error() {
    let mut wire = gz(&text(1_000));
    let at = wire.len() - 6;
    wire[at] ^= 1;
    assert_eq!(undo(wire, &[Encoding::Gzip], LIMIT), Err(FetchErrorKind::Protocol));
}

#[test]
fn zstd_frames_follow_each_other_and_windows_are_bounded() {
    let mut wire = zs(b"one ");
    wire.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    wire.extend(zs(b"two"));
    assert_eq!(undo(wire, &[Encoding::Zstd], LIMIT).as_deref(), Ok(&b"one two"[..]));

    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("encoder");
    encoder.window_log(27).expect("window");
    encoder.write_all(b"wide").expect("write");
    let wide = encoder.finish().expect("finish");
    assert_eq!(undo(wide, &[Encoding::Zstd], LIMIT), Err(FetchErrorKind::Protocol));
}

#[test]
fn encodings_are_undone_in_reverse() {
    let wire = br(&gz(b"twice"));
    let found = encodings([&b"gzip, br"[..]].into_iter()).expect("encodings");
    assert_eq!(undo(wire, &found, LIMIT).as_deref(), Ok(&b"twice"[..]));
}

#[test]
fn encodings_are_read_as_servers_write_them() {
    use Encoding::*;
    let read = |values: &[&str]| encodings(values.iter().map(|v| v.as_bytes())).map_err(|e| e.kind);
    assert_eq!(read(&[]), Ok(vec![]));
    assert_eq!(read(&["", "identity"]), Ok(vec![]));
    assert_eq!(read(&["GZip"]), Ok(vec![Gzip]));
    assert_eq!(read(&["x-gzip ,", "br"]), Ok(vec![Gzip, Brotli]));
    assert_eq!(read(&["deflate", "zstd", "gzip"]), Ok(vec![Deflate, Zstd, Gzip]));
    assert_eq!(read(&["gzip, gzip, gzip, gzip"]), Err(FetchErrorKind::Protocol));
    assert_eq!(read(&["compress"]), Err(FetchErrorKind::Protocol));
}

#[test]
fn an_empty_body_has_no_encoding() {
    for (encoding, _) in ALL {
        assert_eq!(undo(Vec::new(), &[encoding], LIMIT).as_deref(), Ok(&b""[..]));
    }
}

proptest! {
    #[test]
    fn noise_never_panics_nor_grows(noise in proptest::collection::vec(any::<u8>(), 0..2_000), which in 0..5_usize) {
        if let Ok(body) = undo(noise, &[ALL[which].0], 10_000) {
            prop_assert!(body.len() <= 10_000);
        }
    }

    #[test]
    fn flipped_bits_never_panic_nor_grow(at in 0..600_usize, bit in 0..8_u8, which in 0..5_usize) {
        let (encoding, encode) = ALL[which];
        let mut wire = encode(&text(4_000));
        let at = at % wire.len();
        wire[at] ^= 1 << bit;
        if let Ok(body) = undo(wire, &[encoding], 10_000) {
            prop_assert!(body.len() <= 10_000);
        }
    }
}
