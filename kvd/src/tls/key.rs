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

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::sign::any_supported_type;

    use super::*;

    // One key, made for this test by OpenSSL 3 and of use nowhere else, in each of its forms. The password is `open-sesame`.
    const PLAIN: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgK2Zrrgk6ZkjYl6RT
etO1CdR3MBAVx1MB6gnT6zrLT2ShRANCAATb9acqCkSN7idXRNdmxVlsUnTwAXTP
irgqKbTgtef9ChDPWATqnND4WSpnxrFiUmsdSSXuUdMLgZgFjaF4xziy
-----END PRIVATE KEY-----
";
    const SEC1: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICtma64JOmZI2JekU3rTtQnUdzAQFcdTAeoJ0+s6y09koAoGCCqGSM49
AwEHoUQDQgAE2/WnKgpEje4nV0TXZsVZbFJ08AF0z4q4Kim04LXn/QoQz1gE6pzQ
+FkqZ8axYlJrHUkl7lHTC4GYBY2heMc4sg==
-----END EC PRIVATE KEY-----
";
    const PBKDF2: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhc7EKZUw4H6gICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJn53K77Jo2q0fDSC2pz9YIEgZDW
rJoyckCbwrJ+uW13NOJ6N73lU+82jbMhWAB67dyQAP1IsVatdp20a0cpBi9i2bsV
jsjyx64aNpphiWXC0GZhgJCZ99ysbyz3psFM0mv8RDMmND3MLrJjRdPurg8gbfp8
ZxiShTq0Y/+mPhiH5tIdR0Y5thdxxCRo+uTS5ndbZoaMBiRr//HWKDToIdP474I=
-----END ENCRYPTED PRIVATE KEY-----
";
    const SCRYPT: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAg3N2ZJ3z4OQgICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBDunreNgEalSbcl9+Szscf5BIGQz45qOI7wGMg+
NPUzV0IkXIjZytkOtcU9wBg8Jdzs7qqGomRqkjIqdSBomLjJR8CrNdVlaDQTBmKr
V807MQdc+DPjlej0zQdNaB2+FwCoNYO5K10Guq/ksNaaN7ALuNsM9UqgSDu9Y0/v
906p7DO+sKzqZPoF+j9gRSa9gPlF0cEGaVhQqlsG5NSBat5nE8at
-----END ENCRYPTED PRIVATE KEY-----
";
    const OLD_ENCRYPTION: &str = "\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,DC537A5BB24D6D1ACD187B17F0E440DD

TrlifFPmFltuCM39nygCgzb8VvtifV77qTJ0p++tFX1hMfTe3uWCTioDMG5YektX
VoG6cc4SFon5wmrfOoJtB8Chp0CCAoz37kisioxwpLuhQPU6AQxABFnVuKkBtm2f
Rg7gCJnSBu0LwVABEtln8Z0R2X6upzaRHus6cq05Lxw=
-----END EC PRIVATE KEY-----
";

    fn read_text(text: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("key");
        #[expect(clippy::disallowed_methods, reason = "a key is not a file of the store")]
        std::fs::write(&path, text).expect("there is room");
        read(&path, &Secret::from(password)).map_err(|error| error.to_string())
    }

    #[test]
    fn one_key_is_the_same_in_all_forms() {
        let public = |text: &str, password: &str| {
            let key = read_text(text, password).expect("it is a key");
            any_supported_type(&key).expect("it can sign").public_key().map(|key| key.to_vec())
        };
        let expected = public(PLAIN, "");
        assert!(expected.is_some());
        for (text, password) in [(SEC1, ""), (PBKDF2, "open-sesame"), (SCRYPT, "open-sesame"), (PLAIN, "unused")] {
            assert_eq!(public(text, password), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why_and_shows_no_password() {
        for (text, password, said) in [
            (PBKDF2, "", "is encrypted, and tls-key-file-pass is not set"),
            (PBKDF2, "hunter2", "cannot be decrypted with tls-key-file-pass"),
            (&PBKDF2[..200], "hunter2", "tls-key-file"),
            (OLD_ENCRYPTION, "open-sesame", "openssl pkcs8 -topk8"),
            ("", "", "tls-key-file"),
        ] {
            let error = read_text(text, password).expect_err(said);
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }
}
