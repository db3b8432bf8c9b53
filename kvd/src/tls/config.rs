//! From settings, and the files that they name, to a configuration of rustls.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use engine::clock::Clock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, StoresServerSessions, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::sessions::SessionCache;
use super::{key, suites};
use crate::config::{ClientAuth, Settings};

/// Tickets that a client is given with TLS 1.3. Each is good for one connection, and clients open few at a time.
const TICKETS: usize = 1;

/// Why there is no configuration.
#[derive(Debug)]
pub struct TlsError {
    /// The setting that it is about.
    pub setting: &'static str,
    problem: String,
}

impl TlsError {
    pub(super) fn new(setting: &'static str, problem: impl fmt::Display) -> TlsError {
        TlsError { setting, problem: problem.to_string() }
    }

    /// About a file.
    pub(super) fn of(setting: &'static str, path: &Path, problem: impl fmt::Display) -> TlsError {
        TlsError::new(setting, format!("{}: {problem}", path.display()))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Failed to configure TLS: {} {}", self.setting, self.problem)
    }
}

impl std::error::Error for TlsError {}

/// Reads certificate, key and authorities, and puts them together.
pub fn build(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(provider(settings)?);
    let versions = suites::versions(&settings.tls_protocols).map_err(|text| TlsError::new("tls-protocols", text))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| TlsError::new("tls-protocols", error))?;
    let builder = match client_verifier(settings, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let certificate = settings.tls_cert_file.as_deref();
    let certificate = certificate.ok_or_else(|| TlsError::new("tls-cert-file", "is not set"))?;
    let chain = certificates("tls-cert-file", certificate)?;
    let path = settings.tls_key_file.as_deref().ok_or_else(|| TlsError::new("tls-key-file", "is not set"))?;
    let key = key::read(path, &settings.tls_key_file_pass)?;
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| {
        TlsError::of("tls-cert-file", certificate, format!("does not go with the key {}: {error}", path.display()))
    })?;
    config.ignore_client_order = settings.tls_prefer_server_ciphers;
    config.session_storage = session_storage(settings, clock);
    config.send_tls13_tickets = if config.session_storage.can_cache() { TICKETS } else { 0 };
    Ok(Arc::new(config))
}

/// The algorithms that the settings leave.
fn provider(settings: &Settings) -> Result<CryptoProvider, TlsError> {
    let mut provider = rustls::crypto::ring::default_provider();
    let named = |setting, text| TlsError::new(setting, text);
    let all = &provider.cipher_suites;
    let older = suites::older(all, &settings.tls_ciphers).map_err(|text| named("tls-ciphers", text))?;
    let newer = suites::newer(all, &settings.tls_ciphersuites).map_err(|text| named("tls-ciphersuites", text))?;
    provider.cipher_suites = [newer, older].concat();
    Ok(provider)
}

/// What judges the certificates of clients, where they are asked for any.
fn client_verifier(
    settings: &Settings,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if settings.tls_auth_clients == ClientAuth::No {
        return Ok(None);
    }
    let authorities = Arc::new(authorities(settings)?);
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider);
    let builder = match settings.tls_auth_clients {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Yes | ClientAuth::No => builder,
    };
    let verifier = builder.build().map_err(|error| TlsError::new("tls-ca-cert-file", error))?;
    Ok(Some(verifier))
}

/// The authorities whose signature makes a client's certificate good.
fn authorities(settings: &Settings) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    if let Some(path) = &settings.tls_ca_cert_file {
        for certificate in certificates("tls-ca-cert-file", path)? {
            store.add(certificate).map_err(|error| TlsError::of("tls-ca-cert-file", path, error))?;
        }
    }
    if let Some(path) = &settings.tls_ca_cert_dir {
        let failed = |error| TlsError::of("tls-ca-cert-dir", path, error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // As OpenSSL does, whatever else lies there is passed over; links of `c_rehash` name a certificate twice.
            if path.is_file() {
                found.extend(certificates("tls-ca-cert-dir", &path).unwrap_or_default());
            }
        }
        found.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        found.dedup();
        store.add_parsable_certificates(found);
    }
    if store.is_empty() {
        let problem = "or tls-ca-cert-dir must name authorities, unless tls-auth-clients is 'no'";
        return Err(TlsError::new("tls-ca-cert-file", problem));
    }
    Ok(store)
}

/// All certificates of a file, at least one.
fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|error| TlsError::of(setting, path, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::of(setting, path, "no certificate (PEM) is in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::of(setting, path, error)),
    }
}

fn session_storage(settings: &Settings, clock: &Arc<dyn Clock>) -> Arc<dyn StoresServerSessions> {
    let most = if settings.tls_session_caching { settings.tls_session_cache_size as usize } else { 0 };
    match most {
        0 => Arc::new(NoServerSessionStorage {}),
        most => Arc::new(SessionCache::new(most, settings.tls_session_cache_timeout, clock.clone())),
    }
}
