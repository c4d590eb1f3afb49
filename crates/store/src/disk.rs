//! How a slice of inputs lies in the database: JSON lines, packed with zstd where that pays.
//!
//! Owns: the byte format and its version. Must not know: SQL.
//! Invariant: what `encode` wrote under a format byte is read by every later version. The first byte names the
//! format: 1 = JSON lines, 2 = plain length (u32, little endian), then JSON lines as one zstd frame.

use crate::{Result, StoreError};
use model::Input;
use zstd::bulk::{Compressor, Decompressor};

const PLAIN: u8 = 1;
const ZSTD: u8 = 2;
/// Below this many bytes a frame's own weight and time are not worth it.
const PACK_FROM: usize = 400;
/// Plain bytes of a slice at most: bounds what a damaged length can make us allocate. A slice of the largest rows
/// (64 of 1 MiB, twice for `discovery`) with room for what JSON escapes.
const PLAIN_MAX: usize = 512 << 20;
const LEVEL: i32 = 1;

/// Encoder and decoder with their reusable memory.
pub(crate) struct Codec {
    packer: Compressor<'static>,
    opener: Decompressor<'static>,
    plain: Vec<u8>,
}

impl Codec {
    /// Memory for both directions.
    pub(crate) fn new() -> Result<Self> {
        let failed = |e: std::io::Error| StoreError::Unavailable(format!("zstd: {e}"));
        Ok(Self {
            packer: Compressor::new(LEVEL).map_err(failed)?,
            opener: Decompressor::new().map_err(failed)?,
            plain: Vec::new(),
        })
    }

    /// The blob of a slice. Refuses a slice beyond [`PLAIN_MAX`] bytes.
    pub(crate) fn encode(&mut self, inputs: &[Input]) -> Result<Vec<u8>> {
        self.plain.clear();
        for input in inputs {
            serde_json::to_writer(&mut self.plain, input)
                .map_err(|e| StoreError::Invalid(format!("an input cannot be written: {e}")))?;
            self.plain.push(b'\n');
            if self.plain.len() > PLAIN_MAX {
                self.plain = Vec::new();
                return Err(StoreError::Invalid("a slice of inputs is too large".into()));
            }
        }
        let length = u32::try_from(self.plain.len())
            .map_err(|_| StoreError::Invalid("a slice of inputs is too large".into()))?;
        if self.plain.len() < PACK_FROM {
            let mut blob = Vec::with_capacity(1 + self.plain.len());
            blob.push(PLAIN);
            blob.extend_from_slice(&self.plain);
            return Ok(blob);
        }
        let packed =
            self.packer.compress(&self.plain).map_err(|e| StoreError::Unavailable(format!("zstd: {e}")))?;
        let mut blob = Vec::with_capacity(5 + packed.len());
        blob.push(ZSTD);
        blob.extend_from_slice(&length.to_le_bytes());
        blob.extend_from_slice(&packed);
        Ok(blob)
    }

    /// The inputs of a blob; [`StoreError::Damaged`] for anything that `encode` did not write.
    pub(crate) fn decode(&mut self, blob: &[u8]) -> Result<Vec<Input>> {
        match blob.split_first() {
            Some((&PLAIN, lines)) => read_lines(lines),
            Some((&ZSTD, rest)) => {
                let Some((length, frame)) = rest.split_first_chunk::<4>() else {
                    return Err(damaged("a slice is cut short"));
                };
                // Cast: u32 fits usize on every platform that runs tokio's I/O.
                let length = u32::from_le_bytes(*length) as usize;
                if length > PLAIN_MAX {
                    return Err(damaged("a slice claims an absurd length"));
                }
                let plain = self.opener.decompress(frame, length).map_err(|e| damaged(&e.to_string()))?;
                if plain.len() != length {
                    return Err(damaged("a slice is shorter than it says"));
                }
                read_lines(&plain)
            }
            Some((other, _)) => Err(damaged(&format!("a slice has the unknown format {other}"))),
            None => Err(damaged("a slice is empty")),
        }
    }
}

fn read_lines(lines: &[u8]) -> Result<Vec<Input>> {
    lines
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|e| damaged(&e.to_string())))
        .collect()
}

fn damaged(why: &str) -> StoreError {
    StoreError::Damaged(format!("inputs of a job: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input() -> impl Strategy<Value = Input> {
        (any::<u64>(), "\\PC{0,80}", "[a-z.]{1,20}", "[a-z]{0,5}", any::<Option<u32>>(), any::<bool>())
            .prop_map(|(root, text, host, kind, extra, found)| {
                let row = serde_json::json!({ "url": text }).to_string();
                Input {
                    kind,
                    discovery: extra.map(|n| format!("{{\"n\":{n}}}")),
                    begun: extra.map(|n| format!("{{\"b\":\"\\n{n}\"}}")),
                    depth: extra.unwrap_or(0),
                    failures: extra.unwrap_or(0) % 7,
                    found,
                    ..Input::given(root, row, host)
                }
            })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(inputs in prop::collection::vec(input(), 1..70)) {
            let mut codec = Codec::new().unwrap();
            let blob = codec.encode(&inputs).unwrap();
            prop_assert_eq!(codec.decode(&blob).unwrap(), inputs);
        }

        #[test]
        fn noise_is_refused_without_panic(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Codec::new().unwrap().decode(&blob);
        }

        #[test]
        fn a_cut_slice_is_refused(n in 20_usize..64, cut in 1_usize..20) {
            let inputs: Vec<_> = (0..n as u64).map(|i| Input::given(i, format!("{{\"u\":{i}}}"), "h".into())).collect();
            let mut codec = Codec::new().unwrap();
            let blob = codec.encode(&inputs).unwrap();
            prop_assert!(blob[0] == ZSTD);
            prop_assert!(codec.decode(&blob[..blob.len() - cut]).is_err());
        }
    }

    #[test]
    fn small_slices_stay_plain_and_large_ones_shrink() {
        let one = vec![Input::given(0, "{\"url\":\"http://a/\"}".into(), "a".into())];
        let many = vec![one[0].clone(); 64];
        let mut codec = Codec::new().unwrap();
        assert_eq!(codec.encode(&one).unwrap()[0], PLAIN);
        let packed = codec.encode(&many).unwrap();
        assert_eq!(packed[0], ZSTD);
        assert!(packed.len() < 500, "{}", packed.len());
    }

    #[test]
    fn format_1_and_2_are_as_documented() {
        let mut codec = Codec::new().unwrap();
        let want = vec![Input::given(7, "{}".into(), "h".into())];
        assert_eq!(codec.decode(b"\x01{\"i\":7,\"r\":\"{}\",\"h\":\"h\"}\n").unwrap(), want);
        let line = b"{\"i\":7,\"r\":\"{}\",\"h\":\"h\"}\n";
        let mut blob = vec![2];
        blob.extend_from_slice(&u32::try_from(line.len()).unwrap().to_le_bytes());
        blob.extend_from_slice(&zstd::bulk::compress(line, 19).unwrap());
        assert_eq!(codec.decode(&blob).unwrap(), want);
    }

    #[test]
    fn an_absurd_length_allocates_nothing() {
        let blob = [ZSTD, 0xff, 0xff, 0xff, 0xff, 1, 2, 3];
        assert!(matches!(Codec::new().unwrap().decode(&blob), Err(StoreError::Damaged(_))));
    }
}
