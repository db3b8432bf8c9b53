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
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

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
    let loader = provider.key_provider;
    let builder = match client_verifier(settings, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let certificate = settings.tls_cert_file.as_deref();
    let certificate = certificate.ok_or_else(|| TlsError::new("tls-cert-file", "is not set"))?;
    let chain = certificates("tls-cert-file", certificate)?;
    let path = settings.tls_key_file.as_deref().ok_or_else(|| TlsError::new("tls-key-file", "is not set"))?;
    let key = key::read(path, &settings.tls_key_file_pass)?;
    let key = loader.load_private_key(key).map_err(|error| TlsError::of("tls-key-file", path, error))?;
    let pair = CertifiedKey::new(chain, key);
    check_pair(&pair).map_err(|error| {
        TlsError::of("tls-cert-file", certificate, format!("does not go with the key {}: {error}", path.display()))
    })?;
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.ignore_client_order = settings.tls_prefer_server_ciphers;
    config.session_storage = session_storage(settings, clock);
    config.send_tls13_tickets = if config.session_storage.can_cache() { TICKETS } else { 0 };
    Ok(Arc::new(config))
}

/// Whether the certificate is that of the key.
fn check_pair(pair: &CertifiedKey) -> Result<(), Error> {
    match pair.keys_match() {
        // It has no public half to be compared.
        Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        // One of version 1, which `openssl x509 -req` makes unless it is told of extensions: it is for clients to judge,
        // and the public key stands in it as in any other.
        Err(error @ Error::InvalidCertificate(_)) => {
            let public = pair.key.public_key();
            let is_in = |public: &[u8]| {
                pair.end_entity_cert().is_ok_and(|der| der.windows(public.len()).any(|part| part == public))
            };
            if public.is_some_and(|public| is_in(&public)) { Ok(()) } else { Err(error) }
        }
        matched => matched,
    }
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

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    // Made by OpenSSL 3.0 without extensions, and the key that it is for.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBIzCBywIUFrTBUqC66WxX0U8JNpq/ArHDz4UwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA3MzUxOFoYDzIxMjYxMDI5MDczNTE4
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATb9acqCkSN7idXRNdmxVlsUnTwAXTPirgqKbTgtef9ChDPWATqnND4WSpnxrFi
UmsdSSXuUdMLgZgFjaF4xziyMAoGCCqGSM49BAMCA0cAMEQCIAKkg0UFeb1TDfN5
kScLPsMnnxkr17bjx1Gt/+ZhCbBIAiBsZzU4IwlRB2bcGyHLadmBTKpiYlsPHF3X
zEt+MzUPMQ==
-----END CERTIFICATE-----
";
    const KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICtma64JOmZI2JekU3rTtQnUdzAQFcdTAeoJ0+s6y09koAoGCCqGSM49
AwEHoUQDQgAE2/WnKgpEje4nV0TXZsVZbFJ08AF0z4q4Kim04LXn/QoQz1gE6pzQ
+FkqZ8axYlJrHUkl7lHTC4GYBY2heMc4sg==
-----END EC PRIVATE KEY-----
";

    fn pair(certificate: &[u8], key: PrivateKeyDer<'static>) -> CertifiedKey {
        let key = default_provider().key_provider.load_private_key(key).expect("it is a key");
        CertifiedKey::new(vec![CertificateDer::from(certificate.to_vec())], key)
    }

    #[test]
    fn a_certificate_of_version_1_is_good_for_its_own_key_only() {
        let certificate = CertificateDer::from_pem_slice(VERSION_1.as_bytes()).expect("it is a certificate");
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("it is a key");
        let other = rcgen::KeyPair::generate().expect("there is chance").serialize_der();
        let other = PrivateKeyDer::try_from(other).expect("it is a key");
        assert!(check_pair(&pair(&certificate, key.clone_key())).is_ok());
        assert!(check_pair(&pair(&certificate, other)).is_err());
        assert!(check_pair(&pair(b"nothing", key)).is_err());
    }
}
