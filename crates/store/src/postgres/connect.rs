//! How the database is reached: its URL, TLS, the pool.
//!
//! Owns: the meaning of `sslmode` and `sslrootcert`. Invariant: no error or log repeats the URL, which holds a password.

use super::PostgresSettings;
use crate::{Result, StoreError};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::stream::{BoxStream, StreamExt, poll_fn};
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What every connection is told. Plans follow the indexes whatever the statistics say (right after a million inputs
/// came they say nothing), and are made once. `jit` costs more than any of our statements.
const PLANS: &str = "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
                     -c plan_cache_mode=force_generic_plan -c jit=off -c default_transaction_isolation=read\\ committed";
/// A peer that vanished is noticed after about this long without an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// Where the database is, and how to speak to it.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

fn wrong(what: &str) -> StoreError {
    StoreError::Invalid(format!("the database's address: {what}"))
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`. What the URL leaves out is taken
    /// from `env`, which answers by the names that libpq knows (`PGPASSWORD`, …).
    pub(super) fn parse(
        url: &str,
        settings: &PostgresSettings,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong("expected postgres://user:password@host:port/database"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root, mut others) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => {
                    root = Some(unescape(value).ok_or_else(|| wrong("sslrootcert is not escaped rightly"))?);
                }
                _ => others.push(pair),
            }
        }
        let rest = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        // Not the parser's own words: they may repeat a piece of a password.
        let mut config: Config =
            rest.parse().map_err(|_| wrong("it is not a valid URL, or has an unknown parameter"))?;
        if config.get_hosts().is_empty() {
            config.host(env("PGHOST").unwrap_or_else(|| "localhost".into()));
        }
        if config.get_ports().is_empty()
            && let Some(port) = env("PGPORT")
        {
            config.port(port.parse().map_err(|_| wrong("PGPORT is no port"))?);
        }
        if config.get_user().is_none() {
            let user = env("PGUSER").or_else(|| env("USER"));
            config.user(user.ok_or_else(|| wrong("it names no user"))?);
        }
        if config.get_password().is_none()
            && let Some(password) = env("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_dbname().is_none()
            && let Some(name) = env("PGDATABASE")
        {
            config.dbname(name);
        }
        let options = config.get_options().unwrap_or_default();
        let mut options = format!("{options} {PLANS}");
        for (name, limit) in [
            ("statement_timeout", settings.statement_timeout),
            ("lock_timeout", settings.lock_timeout),
            ("idle_in_transaction_session_timeout", settings.statement_timeout),
        ] {
            options.push_str(&format!(" -c {name}={}", limit.as_millis()));
        }
        config.options(options.trim());
        config.application_name("trawl").connect_timeout(settings.connect_timeout);
        config.keepalives_idle(SILENCE / 2).keepalives_interval(SILENCE / 6).keepalives_retries(3);
        config.tcp_user_timeout(SILENCE);
        let mode = mode.or_else(|| env("PGSSLMODE")).unwrap_or_else(|| "prefer".into());
        let root = root.or_else(|| env("PGSSLROOTCERT"));
        let (mode, verifies) = match mode.as_str() {
            "disable" => (SslMode::Disable, None),
            "prefer" => (SslMode::Prefer, Some(false)),
            // As with libpq, whoever names a root wants it asked.
            "require" => (SslMode::Require, Some(root.is_some())),
            "verify-full" => (SslMode::Require, Some(true)),
            _ => return Err(wrong("sslmode is none of disable, prefer, require, verify-full")),
        };
        config.ssl_mode(mode);
        let tls = verifies.map(|verifies| tls(verifies, root.as_deref())).transpose()?;
        Ok(Self { config, tls })
    }

    /// Connections for transactions.
    pub(super) fn pool(&self, settings: &PostgresSettings) -> Result<Pool> {
        let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match &self.tls {
            Some(tls) => Manager::from_config(self.config.clone(), tls.clone(), how),
            None => Manager::from_config(self.config.clone(), NoTls, how),
        };
        let patience = Some(settings.connect_timeout);
        Pool::builder(manager)
            .max_size(settings.pool.max(1))
            .timeouts(Timeouts { wait: Some(settings.pool_timeout), create: patience, recycle: patience })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| wrong(&e.to_string()))
    }

    /// A connection for news: its client, and what the server says on its own.
    pub(super) async fn listen(&self) -> Result<(Client, Messages)> {
        // It waits for news without end, and asks rarely.
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, messages(connection)))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, messages(connection)))
            }
        }
    }
}

/// What a server says on its own.
pub(super) type Messages = BoxStream<'static, std::result::Result<AsyncMessage, tokio_postgres::Error>>;

fn messages<S, T>(mut connection: Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    poll_fn(move |cx| connection.poll_message(cx)).boxed()
}

/// `%41` as `A`; `None` for what is not escaped so, or is no UTF-8.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (hex, behind) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn tls(verifies: bool, root: Option<&str>) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(&format!("TLS: {e}")))?;
    let config = if verifies {
        let mut roots = RootCertStore::empty();
        match root {
            None | Some("system") => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let unreadable = |e: &dyn std::fmt::Display| wrong(&format!("sslrootcert {path}: {e}"));
                for root in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(&e))? {
                    roots.add(root.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
                }
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| wrong(&format!("sslrootcert: {e}")))?;
        builder.with_webpki_verifier(verifier)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// What `prefer` and `require` mean everywhere: nobody listens in, but the other side is whoever it is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address> {
        Address::parse(url, &PostgresSettings::default(), |_| None)
    }

    fn refusal(url: &str) -> String {
        match parse(url) {
            Ok(_) => panic!("{url} was taken"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn modes_mean_what_they_say() {
        let mode = |query: &str| parse(&format!("postgres://u@h/d{query}")).unwrap();
        assert!(mode("?sslmode=disable").tls.is_none());
        assert!(matches!(mode("").config.get_ssl_mode(), SslMode::Prefer));
        assert!(matches!(mode("?sslmode=require").config.get_ssl_mode(), SslMode::Require));
        assert!(matches!(mode("?sslmode=verify-full").config.get_ssl_mode(), SslMode::Require));
        assert!(refusal("postgres://u@h/d?sslmode=maybe").contains("sslmode"));
        assert!(
            refusal("postgres://u@h/d?sslmode=verify-full&sslrootcert=%2Fno%2Fsuch").contains("/no/such")
        );
    }

    #[test]
    fn a_refusal_keeps_the_password() {
        for url in [
            "postgres://u:hush@h:99999999/d",
            "postgres://u:hush@h/d?what=ever",
            "mysql://u:hush@h/d",
            "host=h password=hush",
        ] {
            assert!(!refusal(url).contains("hush"), "{url}");
        }
    }

    #[test]
    fn the_environment_fills_gaps_only() {
        let env = |name: &str| match name {
            "PGUSER" => Some("eve".to_owned()),
            "PGPASSWORD" => Some("hush".to_owned()),
            "PGSSLMODE" => Some("disable".to_owned()),
            "PGPORT" => Some("7".to_owned()),
            _ => None,
        };
        let settings = PostgresSettings::default();
        let filled = Address::parse("postgres://h/d", &settings, env).unwrap();
        assert_eq!(filled.config.get_user(), Some("eve"));
        assert_eq!(filled.config.get_password(), Some(&b"hush"[..]));
        assert!(filled.tls.is_none());
        let own = Address::parse("postgres://adam:own@h:9/d", &settings, env).unwrap();
        assert_eq!((own.config.get_user(), own.config.get_ports()), (Some("adam"), &[9][..]));
        assert_eq!(own.config.get_password(), Some(&b"own"[..]));
    }
}
