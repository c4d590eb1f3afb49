//! HTTP/2 that goes wrong, frame by frame: no library would let it.
//!
//! Owns: frames enough to hear a request and to answer it wrongly (RFC 9113). The header block that answers use is written by
//! hand; requests are not decoded, so what goes wrong belongs to the door and not to the path.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a frame's payload.
const FRAME_BYTES_MAX: usize = 64 * 1024;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:status 200` and `content-type: text/html; charset=utf-8` (RFC 7541).
const GOOD_HEAD: &[u8] = b"\x88\x0f\x10\x18text/html; charset=utf-8";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: the page comes.
    None,
    /// The stream is reset instead of an answer.
    Reset,
    /// The stream is refused: it may be asked for again.
    Refused,
    /// The stream is reset in the middle of the page.
    ResetMidway,
    /// The connection goes away before an answer.
    GoAway,
    /// The connection goes away in the middle of the page.
    GoAwayMidway,
    /// No answer.
    Stall,
    /// Bytes that are no frames.
    Garbage,
    /// A frame for a stream that nobody opened.
    WrongStream,
}

/// Serves one connection.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    fault: Fault,
    page: &[u8],
) -> io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    if preface != PREFACE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    send(&mut stream, SETTINGS, 0, 0, &[]).await?;
    loop {
        let (kind, flags, id) = receive(&mut stream).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => send(&mut stream, SETTINGS, ACK, 0, &[]).await?,
            PING if flags & ACK == 0 => send(&mut stream, PING, ACK, 0, &[0; 8]).await?,
            HEADERS => {
                let goes_on = answer(&mut stream, fault, id, page).await?;
                if !goes_on {
                    // The words must arrive before the connection ends.
                    return stream.shutdown().await;
                }
            }
            GOAWAY => return Ok(()),
            _ => {}
        }
    }
}

/// Whether the connection goes on.
async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    fault: Fault,
    id: u32,
    page: &[u8],
) -> io::Result<bool> {
    // Within the window that every connection begins with, and within a frame.
    let page = &page[..page.len().min(16_000)];
    let go_away = |last: u32, code: u32| [last.to_be_bytes(), code.to_be_bytes()].concat();
    match fault {
        Fault::Stall => return Ok(true),
        Fault::Reset => send(stream, RST_STREAM, 0, id, &INTERNAL_ERROR.to_be_bytes()).await?,
        Fault::Refused => send(stream, RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes()).await?,
        Fault::GoAway => {
            send(stream, GOAWAY, 0, 0, &go_away(0, ENHANCE_YOUR_CALM)).await?;
            return Ok(false);
        }
        Fault::Garbage => {
            stream.write_all(&[0xff; 400]).await?;
            return Ok(false);
        }
        Fault::WrongStream => send(stream, DATA, END_STREAM, id + 100, b"whose?").await?,
        Fault::None | Fault::ResetMidway | Fault::GoAwayMidway => {
            send(stream, HEADERS, END_HEADERS, id, GOOD_HEAD).await?;
            if fault == Fault::None {
                send(stream, DATA, END_STREAM, id, page).await?;
                return Ok(true);
            }
            send(stream, DATA, 0, id, &page[..page.len() / 2]).await?;
            if fault == Fault::ResetMidway {
                send(stream, RST_STREAM, 0, id, &INTERNAL_ERROR.to_be_bytes()).await?;
            } else {
                send(stream, GOAWAY, 0, 0, &go_away(id, INTERNAL_ERROR)).await?;
                return Ok(false);
            }
        }
    }
    stream.flush().await?;
    Ok(true)
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Kind, flags and stream of the next frame; its payload is passed over.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u8, u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok((head[3], head[4], u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]])))
}
