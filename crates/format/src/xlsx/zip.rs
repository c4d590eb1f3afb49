//! A ZIP archive as a stream: small members whole, then one that is packed as it comes, then the directory.
//!
//! Moments are those of the format's beginning, so that the same rows give the same bytes.

use flate2::Crc;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Sizes and checksum stand behind the member.
const FLAG_BEHIND: u16 = 8;
/// Version 2.0 of the format.
const VERSION: u16 = 20;
/// 1 January 1980.
const DAY: u16 = 0x21;

#[derive(Default)]
pub(super) struct Zip {
    members: Vec<Member>,
    /// Bytes of the archive so far.
    at: u64,
    /// Checksum and size of what goes into the open member.
    crc: Crc,
    plain: u64,
    packed: u64,
}

struct Member {
    name: &'static str,
    method: u16,
    flags: u16,
    crc: u32,
    packed: u32,
    plain: u32,
    at: u32,
}

impl Zip {
    /// A member as it is.
    pub(super) fn whole(&mut self, name: &'static str, bytes: &[u8], out: &mut Vec<u8>) {
        let mut crc = Crc::new();
        crc.update(bytes);
        let size = low(bytes.len() as u64);
        let (crc, at) = (crc.sum(), low(self.at));
        let member = Member { name, method: STORED, flags: 0, crc, packed: size, plain: size, at };
        let start = out.len();
        local(&member, out);
        out.extend_from_slice(bytes);
        self.at += (out.len() - start) as u64;
        self.members.push(member);
    }

    /// Opens the last member: its bytes follow, deflated.
    pub(super) fn begin(&mut self, name: &'static str, out: &mut Vec<u8>) {
        let at = low(self.at);
        let member = Member { name, method: DEFLATED, flags: FLAG_BEHIND, crc: 0, packed: 0, plain: 0, at };
        let start = out.len();
        local(&member, out);
        self.at += (out.len() - start) as u64;
        self.members.push(member);
    }

    /// Counts bytes that go into the open member; false if they are more than the format can say.
    pub(super) fn plain(&mut self, bytes: &[u8]) -> bool {
        self.crc.update(bytes);
        self.plain += bytes.len() as u64;
        u32::try_from(self.plain).is_ok()
    }

    /// Counts bytes of the open member, packed.
    pub(super) fn packed(&mut self, bytes: &[u8]) {
        self.packed += bytes.len() as u64;
    }

    /// The end of the open member, and the directory.
    pub(super) fn end(mut self, out: &mut Vec<u8>) {
        if let Some(member) = self.members.last_mut() {
            (member.crc, member.plain, member.packed) = (self.crc.sum(), low(self.plain), low(self.packed));
            let start = out.len();
            out.extend_from_slice(b"PK\x07\x08");
            for n in [member.crc, member.packed, member.plain] {
                out.extend_from_slice(&n.to_le_bytes());
            }
            self.at += self.packed + (out.len() - start) as u64;
        }
        let start = out.len();
        for member in &self.members {
            out.extend_from_slice(b"PK\x01\x02");
            out.extend_from_slice(&VERSION.to_le_bytes());
            fields(member, out);
            // No comment, first disk, no attributes.
            out.extend_from_slice(&[0; 10]);
            out.extend_from_slice(&member.at.to_le_bytes());
            out.extend_from_slice(member.name.as_bytes());
        }
        let size = low((out.len() - start) as u64);
        let members = u16::try_from(self.members.len()).unwrap_or(u16::MAX).to_le_bytes();
        out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        out.extend_from_slice(&members);
        out.extend_from_slice(&members);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&low(self.at).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }
}

/// The archive is bounded by [`Zip::plain`], so nothing is cut here.
fn low(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn local(member: &Member, out: &mut Vec<u8>) {
    out.extend_from_slice(b"PK\x03\x04");
    fields(member, out);
    out.extend_from_slice(member.name.as_bytes());
}

/// What the head of a member and the directory have in common.
fn fields(member: &Member, out: &mut Vec<u8>) {
    for n in [VERSION, member.flags, member.method, 0, DAY] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    for n in [member.crc, member.packed, member.plain] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    let name = u16::try_from(member.name.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&name.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
}
