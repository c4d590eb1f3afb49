//! The client's side of SOCKS 5 (RFC 1928), with user and password (RFC 1929).

use super::{Credentials, Target, gateway_error, proxy_error};
use crate::FetchError;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_AUTH: u8 = 0;
const USER_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

/// Asks for a connection to the target. The stream is at the target's first byte afterwards.
pub(super) async fn open<S>(
    stream: &mut S,
    credentials: Option<&Credentials>,
    target: &Target<'_>,
) -> Result<(), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ask = request(target)?;
    greet(stream, credentials).await?;
    stream.write_all(&ask).await.map_err(broken)?;
    let mut head = [0; 4];
    read(stream, &mut head).await?;
    if head[0] != VERSION {
        return Err(not_socks());
    }
    if head[1] != 0 {
        return Err(refusal(head[1]));
    }
    // The address that it is bound to: nobody needs it, but it stands before the target's bytes.
    let rest = match head[3] {
        1 => 4 + 2,
        4 => 16 + 2,
        3 => {
            let mut length = [0];
            read(stream, &mut length).await?;
            usize::from(length[0]) + 2
        }
        _ => return Err(not_socks()),
    };
    let mut bound = [0; 255 + 2];
    read(stream, &mut bound[..rest]).await
}

async fn greet<S>(stream: &mut S, credentials: Option<&Credentials>) -> Result<(), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NO_AUTH, USER_PASSWORD],
        None => &[VERSION, 1, NO_AUTH],
    };
    stream.write_all(greeting).await.map_err(broken)?;
    let mut choice = [0; 2];
    read(stream, &mut choice).await?;
    match (choice, credentials) {
        ([VERSION, NO_AUTH], _) => Ok(()),
        ([VERSION, USER_PASSWORD], Some(credentials)) => {
            let [user, password] = [&credentials.user, &credentials.password].map(|text| {
                // Longer ones, after their placeholders are filled, are cut: the proxy refuses them.
                let text = &text[..text.len().min(255)];
                (u8::try_from(text.len()).unwrap_or(u8::MAX), text)
            });
            let message = [&[1, user.0], user.1, &[password.0], password.1].concat();
            stream.write_all(&message).await.map_err(broken)?;
            let mut verdict = [0; 2];
            read(stream, &mut verdict).await?;
            if verdict[1] == 0 { Ok(()) } else { Err(proxy_error("the proxy refuses our credentials")) }
        }
        ([VERSION, _], _) => Err(proxy_error("the proxy wants credentials that we do not have")),
        _ => Err(not_socks()),
    }
}

fn request(target: &Target<'_>) -> Result<Vec<u8>, FetchError> {
    let mut ask = vec![VERSION, CONNECT, 0];
    let address = |ask: &mut Vec<u8>, address: SocketAddr| {
        match address {
            SocketAddr::V4(v4) => {
                ask.push(1);
                ask.extend_from_slice(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                ask.push(4);
                ask.extend_from_slice(&v6.ip().octets());
            }
        }
        address.port()
    };
    let port = match target {
        Target::Address(target) => address(&mut ask, *target),
        Target::Host(host, port) => match host.parse() {
            Ok(ip) => address(&mut ask, SocketAddr::new(ip, *port)),
            Err(_) => {
                let length = u8::try_from(host.len()).map_err(|_| {
                    FetchError::new(
                        crate::FetchErrorKind::Refused,
                        "the name of the host is too long for the proxy",
                    )
                })?;
                ask.extend_from_slice(&[3, length]);
                ask.extend_from_slice(host.as_bytes());
                *port
            }
        },
    };
    ask.extend_from_slice(&port.to_be_bytes());
    Ok(ask)
}

/// RFC 1928 section 6. What may be the site's own fault is told apart from what is the proxy's.
fn refusal(code: u8) -> FetchError {
    match code {
        2 => proxy_error("the proxy's rules do not allow the connection"),
        7 | 8 => proxy_error("the proxy does not know what it was asked for"),
        3 => gateway_error("the proxy does not reach the site's network"),
        4 => gateway_error("the proxy does not reach the site"),
        5 => gateway_error("the site refuses the proxy's connection"),
        6 => gateway_error("the proxy's connection to the site took too long"),
        1 => gateway_error("the proxy could not connect to the site"),
        other => proxy_error(format!("the proxy refuses the connection ({other})")),
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, into: &mut [u8]) -> Result<(), FetchError> {
    stream.read_exact(into).await.map(drop).map_err(broken)
}

fn broken(error: io::Error) -> FetchError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => proxy_error("the proxy closed the connection during its greeting"),
        _ => proxy_error(format!("the proxy broke off: {error}")),
    }
}

fn not_socks() -> FetchError {
    proxy_error("the proxy does not speak SOCKS 5")
}
