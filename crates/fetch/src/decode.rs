//! Content encodings undone, one after the other, each into one bounded buffer (RFC 9110 8.4).
//!
//! A page is small: gathering it and inflating it in one go costs half of what streaming does.
//!
//! Invariants: no buffer grows past the limit whatever the input claims; a stream that ends early is an error, never
//! a short page; work is linear in input plus output, so a bomb costs what its limit costs.

use crate::{FetchError, FetchErrorKind};
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Encodings on top of each other. Two happen by accident; more is an attack.
const STACK_MAX: usize = 3;
/// Headroom beyond the announced size: zlib's fast loop wants 258 bytes of it.
const HEADROOM: usize = 320;
/// The first buffer is not larger than this, however large the stream says that it is.
const FIRST_BUFFER_MAX: usize = 4 << 20;
/// Largest zstd window, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// One content encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Corrupt,
    Truncated,
    TooLarge,
}

/// The encodings of a page from the values of `Content-Encoding`, in the order in which they were applied.
pub(crate) fn encodings<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Encoding>, FetchError> {
    // Most pages have one value of one token; an empty vector costs nothing.
    let mut found = Vec::new();
    for token in values.flat_map(|value| value.split(|b| *b == b',')) {
        let token = token.trim_ascii();
        let is = |word: &str| token.eq_ignore_ascii_case(word.as_bytes());
        if token.is_empty() || is("identity") {
            continue;
        }
        found.push(if is("gzip") || is("x-gzip") {
            Encoding::Gzip
        } else if is("deflate") {
            Encoding::Deflate
        } else if is("br") {
            Encoding::Brotli
        } else if is("zstd") {
            Encoding::Zstd
        } else {
            let token: String = String::from_utf8_lossy(token).chars().take(40).collect();
            return Err(protocol(format!("the body's content encoding `{token}` is not known")));
        });
        if found.len() > STACK_MAX {
            return Err(protocol(format!("the body has more than {STACK_MAX} content encodings")));
        }
    }
    Ok(found)
}

/// Undoes the encodings of a body, the last applied first.
pub(crate) fn decode(wire: Bytes, encodings: &[Encoding], limit: usize) -> Result<Bytes, FetchError> {
    let mut body = wire;
    for encoding in encodings.iter().rev() {
        // Servers announce an encoding for empty bodies too.
        if body.is_empty() {
            break;
        }
        let decoded = match encoding {
            Encoding::Gzip => gzip(&body, limit),
            Encoding::Deflate => deflate(&body, limit),
            Encoding::Brotli => brotli(&body, limit),
            Encoding::Zstd => zstd(&body, limit),
        };
        body = match decoded {
            Ok(bytes) => Bytes::from(bytes),
            Err(Fault::Corrupt) => return Err(protocol(format!("the {} body is broken", name(*encoding)))),
            Err(Fault::Truncated) => {
                return Err(protocol(format!("the {} body ends early", name(*encoding))));
            }
            Err(Fault::TooLarge) => {
                return Err(FetchError::new(
                    FetchErrorKind::TooLarge,
                    format!("the {} body unpacks to more than {limit} bytes", name(*encoding)),
                ));
            }
        };
    }
    Ok(body)
}

fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gzip => "gzip",
        Encoding::Deflate => "deflate",
        Encoding::Brotli => "brotli",
        Encoding::Zstd => "zstd",
    }
}

fn protocol(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Protocol, message)
}

/// Room for more output: doubles, up to the limit and one byte, which is how an output past the limit shows.
fn grow(out: &mut Vec<u8>, limit: usize) -> Result<(), Fault> {
    if out.len() > limit {
        return Err(Fault::TooLarge);
    }
    if out.len() == out.capacity() {
        let target = (out.capacity().max(4 << 10) * 2).min(limit + 1);
        out.reserve_exact(target.saturating_sub(out.len()).max(1));
    }
    Ok(())
}

/// A guess at the output's size, never so large that the guess itself is the damage.
fn first_buffer(guess: usize, limit: usize) -> Vec<u8> {
    Vec::with_capacity(guess.min(FIRST_BUFFER_MAX).min(limit.saturating_add(1)))
}

/// RFC 1952: any number of members; what follows the last one is ignored, as browsers do.
fn gzip(input: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    // The last four bytes are the size of the last member (modulo 2^32), which nearly always is the only one.
    let announced = input.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    // Deflate cannot do better than 1032:1.
    let guess = announced.min(input.len().saturating_mul(1_032)) + HEADROOM;
    let mut out = first_buffer(guess, limit);
    let mut rest = input;
    let mut first = true;
    while first || rest.starts_with(&[0x1f, 0x8b, 8]) {
        let (used, ended) = inflate(Decompress::new_gzip(15), rest, &mut out, limit)?;
        if !ended {
            return Err(Fault::Truncated);
        }
        rest = &rest[used..];
        first = false;
    }
    Ok(out)
}

/// RFC 9110 8.4.1.2 says zlib, many servers send bare deflate: told apart by zlib's checked header.
fn deflate(input: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let zlib = matches!(input, [cmf, flg, ..]
        if cmf & 0x0f == 8 && cmf >> 4 <= 7 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0);
    let mut out = first_buffer(input.len().saturating_mul(4), limit);
    let (_, ended) = inflate(Decompress::new(zlib), input, &mut out, limit)?;
    if ended { Ok(out) } else { Err(Fault::Truncated) }
}

/// Inflates one stream to the end of `out`: the input used, and whether the stream ended.
fn inflate(
    mut stream: Decompress,
    input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(usize, bool), Fault> {
    loop {
        // Cast: bounded by the length of the input.
        let used = stream.total_in() as usize;
        let before = out.len();
        let status =
            stream.decompress_vec(&input[used..], out, FlushDecompress::None).map_err(|_| Fault::Corrupt)?;
        let now_used = stream.total_in() as usize;
        if out.len() > limit {
            return Err(Fault::TooLarge);
        }
        match status {
            Status::StreamEnd => return Ok((now_used, true)),
            _ if out.len() == out.capacity() => grow(out, limit)?,
            // There was room and input, and nothing moved: the input is used up.
            _ if now_used == used && out.len() == before => return Ok((now_used, false)),
            Status::Ok | Status::BufError => {}
        }
    }
}

/// RFC 7932. Large windows are an extension that the web does not use: they would let a stream ask for gigabytes.
fn brotli(input: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut state =
        BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let mut out = vec![0; input.len().saturating_mul(5).clamp(4 << 10, FIRST_BUFFER_MAX).min(limit + 1)];
    let (mut left, mut used, mut written, mut total) = (input.len(), 0, 0, 0);
    loop {
        let mut room = out.len() - written;
        let result = BrotliDecompressStream(
            &mut left,
            &mut used,
            input,
            &mut room,
            &mut written,
            &mut out,
            &mut total,
            &mut state,
        );
        if written > limit {
            return Err(Fault::TooLarge);
        }
        match result {
            BrotliResult::ResultSuccess => break,
            BrotliResult::ResultFailure => return Err(Fault::Corrupt),
            BrotliResult::NeedsMoreInput => return Err(Fault::Truncated),
            BrotliResult::NeedsMoreOutput => {
                let target = (out.len() * 2).min(limit + 1);
                out.resize(target.max(written + 1), 0);
            }
        }
    }
    out.truncate(written);
    Ok(out)
}

/// RFC 8878: any number of frames, skippable ones included.
fn zstd(input: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new().map_err(|_| Fault::Corrupt)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(|_| Fault::Corrupt)?;
    let mut out = first_buffer(input.len().saturating_mul(5), limit);
    let mut source = InBuffer::around(input);
    // What the frame still wants; 0 when a frame is complete.
    let mut wanted = 1;
    loop {
        grow(&mut out, limit)?;
        let (used, before) = (source.pos(), out.len());
        wanted = if source.pos() == input.len() && wanted == 0 {
            return Ok(out);
        } else {
            let mut target = OutBuffer::around_pos(&mut out, before);
            decoder.run(&mut source, &mut target).map_err(|_| Fault::Corrupt)?
        };
        if out.len() > limit {
            return Err(Fault::TooLarge);
        }
        if source.pos() == used && out.len() == before && wanted != 0 {
            return Err(Fault::Truncated);
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
