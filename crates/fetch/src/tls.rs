//! Whom TLS trusts: the compiled-in roots of the web, and the operator's own.

use crate::settings::SettingsError;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;

/// Hosts whose session tickets are kept: a resumed handshake costs a third of a full one.
const SESSIONS: usize = 1_024;

/// The client's side of TLS, speaking those protocols in that order of preference.
pub(crate) fn client_config(
    extra_ca: Option<&Path>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, SettingsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_ca {
        add_file(&mut roots, path)
            .map_err(|reason| SettingsError::new("extra_ca", format!("`{}` {reason}", path.display())))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::new("extra_ca", format!("TLS is not available: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = rustls::client::Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut any = false;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("is not a PEM file: {error}"))?;
        roots.add(certificate).map_err(|error| format!("holds a certificate that is not one: {error}"))?;
        any = true;
    }
    if any { Ok(()) } else { Err("holds no certificate".into()) }
}
