//! Texts in other clothes: old character sets and content codings.

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::{self, Write as _};

/// Windows-1252 from 0x80 to 0x9f (WHATWG Encoding: what the web calls `iso-8859-1` is this). U+FFFD marks the five
/// bytes that stand for control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}',
    '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: u32 = 5;
const BROTLI_WINDOW_BITS: u32 = 22;

/// A page in this character set; `None` if the name is unknown. What the set lacks becomes a numeric reference, as
/// editors do it.
pub(crate) fn encode(html: &str, charset: &str) -> Option<Vec<u8>> {
    Some(match charset {
        "utf-8" => html.as_bytes().to_vec(),
        "utf-8-bom" => [b"\xef\xbb\xbf", html.as_bytes()].concat(),
        "utf-16le" => html.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => html.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "utf-16" => [b"\xff\xfe".to_vec(), encode(html, "utf-16le")?].concat(),
        "iso-8859-1" | "latin1" | "windows-1252" => single_bytes(html, windows_1252),
        "windows-1251" => single_bytes(html, windows_1251),
        _ => return None,
    })
}

fn single_bytes(html: &str, byte: impl Fn(char) -> Option<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(html.len());
    for c in html.chars() {
        match byte(c) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
        }
    }
    out
}

fn windows_1252(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ (0..=0x7f | 0xa0..=0xff) => u8::try_from(code).ok(),
        0xfffd => None,
        _ => WINDOWS_1252.iter().zip(0x80..).find_map(|(own, byte)| (*own == c).then_some(byte)),
    }
}

/// ASCII and the Russian alphabet, which is what pages in it hold.
fn windows_1251(c: char) -> Option<u8> {
    match c {
        '\0'..='\x7f' => u8::try_from(c).ok(),
        'А'..='я' => u8::try_from(u32::from(c) - u32::from('А') + 0xc0).ok(),
        'Ё' => Some(0xa8),
        'ё' => Some(0xb8),
        '\u{a0}' => Some(0xa0),
        _ => None,
    }
}

/// The value of `Content-Encoding` and the packed body; `None` if the name is unknown. `deflate-raw` is the coding
/// called `deflate` without the zlib wrapper that the standard asks for, as some servers send it.
pub(crate) fn pack(body: &[u8], encoding: &str) -> Option<io::Result<(&'static str, Vec<u8>)>> {
    let level = flate2::Compression::default();
    Some(match encoding {
        "gzip" => gzip(body).map(|packed| ("gzip", packed)),
        "deflate" => {
            let mut packer = ZlibEncoder::new(Vec::new(), level);
            packer.write_all(body).and_then(|()| packer.finish()).map(|packed| ("deflate", packed))
        }
        "deflate-raw" => {
            let mut packer = DeflateEncoder::new(Vec::new(), level);
            packer.write_all(body).and_then(|()| packer.finish()).map(|packed| ("deflate", packed))
        }
        "br" => {
            let mut packer =
                brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
            packer.write_all(body).and_then(|()| packer.flush()).map(|()| ("br", packer.into_inner()))
        }
        "zstd" => zstd::encode_all(body, ZSTD_LEVEL).map(|packed| ("zstd", packed)),
        _ => return None,
    })
}

/// A gzip file at the usual level.
pub(crate) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(body)?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn old_character_sets() {
        assert_eq!(encode("aé“œ€Я", "latin1").unwrap(), b"a\xe9\x93\x9c\x80&#1071;");
        assert_eq!(encode("Привет ё é", "windows-1251").unwrap(), b"\xcf\xf0\xe8\xe2\xe5\xf2 \xb8 &#233;");
        assert_eq!(encode("é😀", "utf-16").unwrap(), b"\xff\xfe\xe9\x00\x3d\xd8\x00\xde");
        assert_eq!(encode("x", "ebcdic"), None);
    }

    #[test]
    fn packed_bodies_unpack() {
        let body = crate::shop::page(3, 100).into_bytes();
        for name in ["gzip", "deflate", "deflate-raw", "br", "zstd"] {
            let (_, packed) = pack(&body, name).unwrap().unwrap();
            assert!(packed.len() < body.len() / 2, "{name}");
            let mut unpacked = Vec::new();
            match name {
                "gzip" => flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked),
                "deflate" => flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut unpacked),
                "deflate-raw" => flate2::read::DeflateDecoder::new(&packed[..]).read_to_end(&mut unpacked),
                "br" => brotli::Decompressor::new(&packed[..], 4096).read_to_end(&mut unpacked),
                _ => zstd::Decoder::new(&packed[..]).unwrap().read_to_end(&mut unpacked),
            }
            .unwrap();
            assert_eq!(unpacked, body, "{name}");
        }
        assert!(pack(&body, "lzma").is_none());
    }
}
