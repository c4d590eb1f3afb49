//! The site over TLS, one door (port) for each thing that can be wrong with it: certificates, handshakes, HTTP/2.
//!
//! Owns: an authority made anew at each start, certificates of it and of strangers, the doors. The doors that are right serve
//! what the plain site serves.

use crate::h2::{self, Fault};
use crate::http::Connection;
use crate::route::{Answer, World};
use crate::runner::Runner;
use crate::shop;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The name that good certificates are for, beside `127.0.0.1`.
pub const TLS_NAME: &str = "tls.test";
/// How long the slow handshake takes to begin.
const SLOW: Duration = Duration::from_millis(700);

/// What a door does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// A certificate, and plain HTTP/1.1 behind it.
    Certificate(Paper),
    /// The same, after a while.
    SlowHandshake,
    /// Listens to the client's hello and says nothing.
    SilentHandshake,
    /// Closes at the client's hello.
    Hangup,
    /// Answers HTTP where TLS was to be spoken.
    NotTls,
    /// HTTP/2 with that fault.
    H2(Fault),
}

/// Whose certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paper {
    Good,
    Expired,
    NotYet,
    OtherName,
    SelfSigned,
    UnknownAuthority,
}

/// Every door, by name.
const DOORS: &[(&str, Door)] = &[
    ("good", Door::Certificate(Paper::Good)),
    ("expired", Door::Certificate(Paper::Expired)),
    ("not-yet", Door::Certificate(Paper::NotYet)),
    ("other-name", Door::Certificate(Paper::OtherName)),
    ("self-signed", Door::Certificate(Paper::SelfSigned)),
    ("unknown-ca", Door::Certificate(Paper::UnknownAuthority)),
    ("slow-handshake", Door::SlowHandshake),
    ("silent-handshake", Door::SilentHandshake),
    ("hangup", Door::Hangup),
    ("not-tls", Door::NotTls),
    ("h2", Door::H2(Fault::None)),
    ("h2-reset", Door::H2(Fault::Reset)),
    ("h2-refused", Door::H2(Fault::Refused)),
    ("h2-reset-midway", Door::H2(Fault::ResetMidway)),
    ("h2-goaway", Door::H2(Fault::GoAway)),
    ("h2-goaway-midway", Door::H2(Fault::GoAwayMidway)),
    ("h2-stall", Door::H2(Fault::Stall)),
    ("h2-garbage", Door::H2(Fault::Garbage)),
    ("h2-wrong-stream", Door::H2(Fault::WrongStream)),
];

/// The doors, open until dropped.
pub(crate) struct Doors {
    open: Vec<(&'static str, Runner)>,
    /// The authority's certificate, PEM.
    pub(crate) authority: String,
}

impl Doors {
    /// Makes the certificates and opens every door on a port of its own.
    pub(crate) fn open(world: &Arc<World>) -> io::Result<Self> {
        let authority = issuer("site's own authority")?;
        let stranger = issuer("an authority that nobody knows")?;
        let mut open = Vec::new();
        for (name, door) in DOORS {
            let paper = match door {
                Door::Certificate(paper) => *paper,
                _ => Paper::Good,
            };
            let config = config(paper, matches!(door, Door::H2(_)), &authority, &stranger)?;
            let (acceptor, world, door) = (TlsAcceptor::from(config), world.clone(), *door);
            let runner = Runner::start(name, 1, 0, move |stream| {
                let (acceptor, world) = (acceptor.clone(), world.clone());
                async move {
                    // An error is the client leaving, which is its right here more than anywhere.
                    _ = serve(stream, acceptor, &world, door).await;
                }
            })?;
            open.push((*name, runner));
        }
        Ok(Self { open, authority: authority.pem() })
    }

    /// Name and address of each.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.open.iter().map(|(name, runner)| (*name, runner.address()))
    }
}

async fn serve(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    world: &Arc<World>,
    door: Door,
) -> io::Result<()> {
    match door {
        Door::SilentHandshake => {
            Connection::new(stream).until_closed().await;
            return Ok(());
        }
        Door::Hangup => {
            stream.readable().await?;
            return stream.set_zero_linger();
        }
        Door::NotTls => {
            stream.readable().await?;
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await?;
            return stream.shutdown().await;
        }
        Door::SlowHandshake => tokio::time::sleep(SLOW).await,
        Door::Certificate(_) | Door::H2(_) => {}
    }
    let stream = acceptor.accept(stream).await?;
    world.ledger.connected();
    if let Door::H2(fault) = door {
        let page = shop::page(0, world.pages);
        return h2::serve(stream, fault, page.as_bytes()).await;
    }
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.head().await {
        let open = world.ledger.arrived(&request);
        // Nothing behind these doors reads a body.
        let response = match world.answer(&request, b"") {
            Answer::Whole(bytes) => bytes,
            Answer::Later(after, bytes) => {
                tokio::time::sleep(after).await;
                bytes
            }
            // Tricks are played on plain connections.
            Answer::Trick(_) => return Ok(()),
        };
        connection.stream.write_all(&response).await?;
        connection.stream.flush().await?;
        drop(open);
    }
    Ok(())
}

fn bad(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn issuer(name: &str) -> io::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(bad)?).map_err(bad)
}

fn config(
    paper: Paper,
    h2: bool,
    authority: &CertifiedIssuer<'static, KeyPair>,
    stranger: &CertifiedIssuer<'static, KeyPair>,
) -> io::Result<Arc<ServerConfig>> {
    let names = match paper {
        Paper::OtherName => vec!["other.test".to_owned()],
        _ => vec![TLS_NAME.to_owned(), "127.0.0.1".to_owned()],
    };
    let mut params = CertificateParams::new(names).map_err(bad)?;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    match paper {
        Paper::Expired => params.not_after = date_time_ymd(2021, 1, 1),
        Paper::NotYet => params.not_before = date_time_ymd(2090, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().map_err(bad)?;
    let certificate = match paper {
        Paper::SelfSigned => params.self_signed(&key),
        Paper::UnknownAuthority => params.signed_by(&key, stranger),
        _ => params.signed_by(&key, authority),
    }
    .map_err(bad)?;
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(bad)?;
    config.alpn_protocols = vec![if h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(Arc::new(config))
}
