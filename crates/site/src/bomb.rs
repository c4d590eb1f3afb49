//! Small bodies that unpack to a gigabyte of zeros.
//!
//! A compressor that is flushed after each stretch of zeros writes the same bytes again and again once its window holds
//! nothing but zeros. So a bomb is the first stretch, the second one many times, and an end: it takes no time to make.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io::{self, Write as _};

/// Bytes of zeros in one stretch.
pub(crate) const STRETCH_BYTES: u64 = 1 << 20;
/// Stretches in a bomb: a gigabyte.
pub(crate) const STRETCHES: u64 = 1024;

/// What to send: `first`, then `again` as often as `times` says, then `last`.
pub(crate) struct Bomb {
    pub(crate) first: Bytes,
    pub(crate) again: Bytes,
    pub(crate) times: u64,
    pub(crate) last: Bytes,
}

impl Bomb {
    /// Bytes sent.
    pub(crate) fn len(&self) -> u64 {
        self.first.len() as u64 + self.again.len() as u64 * self.times + self.last.len() as u64
    }

    /// A gzip file of `stretches` (at least two) stretches of zeros.
    pub(crate) fn gzip(stretches: u64) -> io::Result<Self> {
        let zeros = vec![0; STRETCH_BYTES as usize];
        let mut deflate = Compress::new(Compression::best(), false);
        // Header: deflate, no flags, no time, packed as small as can be, system unknown.
        let mut first = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];
        first.extend(flushed(&mut deflate, &zeros)?);
        let again = flushed(&mut deflate, &zeros)?;

        let (mut crc, mut one) = (Crc::new(), Crc::new());
        one.update(&zeros);
        for _ in 0..stretches {
            crc.combine(&one);
        }
        // An empty final block, then checksum and length modulo 2³².
        let mut last = vec![3, 0];
        last.extend_from_slice(&crc.sum().to_le_bytes());
        last.extend_from_slice(&((stretches * STRETCH_BYTES) as u32).to_le_bytes());
        Ok(Self { first: first.into(), again: again.into(), times: stretches - 1, last: last.into() })
    }

    /// A Brotli stream of `stretches` (at least three) stretches of zeros.
    pub(crate) fn brotli(stretches: u64) -> io::Result<Self> {
        let zeros = vec![0; STRETCH_BYTES as usize];
        let mut packer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
        let mut stretch = |out: &mut Vec<u8>| -> io::Result<()> {
            packer.write_all(&zeros)?;
            packer.flush()?;
            out.extend_from_slice(packer.get_ref());
            packer.get_mut().clear();
            Ok(())
        };
        // The first two differ: the second is the first to begin with a window of zeros.
        let (mut first, mut again) = (Vec::new(), Vec::new());
        stretch(&mut first)?;
        stretch(&mut first)?;
        stretch(&mut again)?;
        // 3: the last metablock, which is empty.
        Ok(Self {
            first: first.into(),
            again: again.into(),
            times: stretches - 2,
            last: Bytes::from_static(&[3]),
        })
    }

    /// A Zstandard frame of `stretches` (at least one) stretches of zeros: a block of one repeated byte is four bytes
    /// long (RFC 8878, 3.1.1.2).
    pub(crate) fn zstd(stretches: u64) -> Self {
        const BLOCK_BYTES: u32 = 128 * 1024;
        let block = |is_last: u32| {
            let [a, b, c, _] = (BLOCK_BYTES << 3 | 1 << 1 | is_last).to_le_bytes();
            Bytes::from(vec![a, b, c, 0])
        };
        // Magic number, no checksum, no content size, a window of 2¹⁰⁺⁷ bytes.
        let first = Bytes::from_static(&[0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3]);
        let blocks = stretches * STRETCH_BYTES / u64::from(BLOCK_BYTES);
        Self { first, again: block(0), times: blocks - 1, last: block(1) }
    }
}

/// What the compressor writes for `input` up to a byte boundary.
fn flushed(deflate: &mut Compress, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 * 1024);
    let before = deflate.total_in();
    let status = deflate.compress_vec(input, &mut out, FlushCompress::Sync)?;
    if status != Status::Ok
        || deflate.total_in() - before != input.len() as u64
        || out.len() == out.capacity()
    {
        return Err(io::Error::other("zeros took more room than expected"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Sixteen stretches show that the repeated one fits to itself.
    const N: u64 = 16;

    fn bytes(bomb: &Bomb) -> Vec<u8> {
        let mut all = bomb.first.to_vec();
        (0..bomb.times).for_each(|_| all.extend_from_slice(&bomb.again));
        all.extend_from_slice(&bomb.last);
        assert_eq!(all.len() as u64, bomb.len());
        all
    }

    fn assert_zeros(mut unpacked: impl Read) {
        let (mut total, mut buffer) = (0u64, vec![0; 1 << 16]);
        loop {
            match unpacked.read(&mut buffer).unwrap() {
                0 => break,
                n => {
                    assert!(buffer[..n].iter().all(|b| *b == 0));
                    total += n as u64;
                }
            }
        }
        assert_eq!(total, N * STRETCH_BYTES);
    }

    #[test]
    fn bombs_unpack_to_zeros() {
        assert_zeros(flate2::read::GzDecoder::new(&bytes(&Bomb::gzip(N).unwrap())[..]));
        assert_zeros(brotli::Decompressor::new(&bytes(&Bomb::brotli(N).unwrap())[..], 4096));
        assert_zeros(zstd::Decoder::new(&bytes(&Bomb::zstd(N))[..]).unwrap());
    }

    #[test]
    fn bombs_are_small() {
        assert!(Bomb::gzip(STRETCHES).unwrap().len() < 2 << 20);
        assert!(Bomb::brotli(STRETCHES).unwrap().len() < 1 << 20);
        assert!(Bomb::zstd(STRETCHES).len() < 64 << 10);
    }
}
