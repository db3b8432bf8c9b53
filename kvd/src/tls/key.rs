//! The server's private key, as its file has it: PKCS#8, PKCS#1 or SEC1 in PEM; PKCS#8 also encrypted.

use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::config::TlsError;
use crate::config::Secret;

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// How OpenSSL marked an encrypted key before there was PKCS#8: the password is turned into a key by one round of MD5.
const LEGACY: &str = "Proc-Type: 4,ENCRYPTED";

/// Reads the key of a file.
pub fn read(path: &Path, password: &Secret) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wrong = |problem: &str| TlsError::of("tls-key-file", path, problem);
    let text = std::fs::read(path).map_err(|error| TlsError::of("tls-key-file", path, error))?;
    if let Ok(text) = std::str::from_utf8(&text) {
        if text.contains(LEGACY) {
            return Err(wrong("is encrypted in an old and weak form: convert it with `openssl pkcs8 -topk8`"));
        }
        if let Some(encrypted) = between(text, BEGIN, END) {
            if password.is_empty() {
                return Err(wrong("is encrypted, and tls-key-file-pass is not set"));
            }
            return decrypt(encrypted, password.expose()).map_err(|problem| wrong(&problem));
        }
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| TlsError::of("tls-key-file", path, error))
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    let text = &text[text.find(begin)?..];
    let length = text.find(end)? + end.len();
    Some(&text[..length])
}

fn decrypt(pem: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let (_, document) = SecretDocument::from_pem(pem).map_err(|error| error.to_string())?;
    let info: EncryptedPrivateKeyInfo<'_> = document.decode_msg().map_err(|error| error.to_string())?;
    let key = info.decrypt(password).map_err(|error| format!("cannot be decrypted with tls-key-file-pass: {error}"))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
