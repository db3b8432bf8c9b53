//! Versions and cipher suites by the names that OpenSSL, and so a redis.conf, has for them.
//!
//! Both versions know suites with authenticated encryption and elliptic-curve key exchange only. A list is names between
//! colons, commas or blanks, in the order of preference.

use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion, version};

/// Versions by name.
const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLSv1.2", &version::TLS12), ("TLSv1.3", &version::TLS13)];

/// Versions that are refused because they are not safe.
const UNSAFE_VERSIONS: [&str; 4] = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"];

/// `tls-ciphers`.
const OLDER: [(&str, CipherSuite); 6] = [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// `tls-ciphersuites`.
const NEWER: [(&str, CipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
];

/// Words of OpenSSL's lists that stand for all suites that there are here.
const ALL: [&str; 3] = ["DEFAULT", "HIGH", "ALL"];

/// Classes of suites that there are none of here: a list may exclude them.
const ABSENT: [&str; 14] =
    ["LOW", "MEDIUM", "EXPORT", "EXP", "aNULL", "eNULL", "NULL", "ADH", "DES", "3DES", "RC4", "MD5", "PSK", "SRP"];

/// The versions that `tls-protocols` names; both when it names none.
pub fn versions(text: &str) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() {
        return Ok(VERSIONS.map(|(_, version)| version).to_vec());
    }
    let found = words.iter().map(|word| {
        if UNSAFE_VERSIONS.iter().any(|name| name.eq_ignore_ascii_case(word)) {
            return Err(format!("{word} is not safe: only TLSv1.2 and TLSv1.3 are spoken"));
        }
        let found = VERSIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, version)| *version).ok_or_else(|| "Use a combination of 'TLSv1.2' and 'TLSv1.3'.".to_owned())
    });
    found.collect()
}

/// The suites of TLS 1.2 that `tls-ciphers` names, out of all that there are.
pub fn older(all: &[SupportedCipherSuite], text: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    chosen(all, text, &OLDER)
}

/// The suites of TLS 1.3 that `tls-ciphersuites` names, out of all that there are.
pub fn newer(all: &[SupportedCipherSuite], text: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    chosen(all, text, &NEWER)
}

/// Whether `tls-protocols` can have this value.
pub fn check_versions(text: &str) -> Result<(), String> {
    versions(text).map(drop)
}

/// Whether `tls-ciphers` can have this value.
pub fn check_older(text: &str) -> Result<(), String> {
    named(text, &OLDER).map(drop)
}

/// Whether `tls-ciphersuites` can have this value.
pub fn check_newer(text: &str) -> Result<(), String> {
    named(text, &NEWER).map(drop)
}

fn chosen(
    all: &[SupportedCipherSuite],
    text: &str,
    names: &[(&'static str, CipherSuite)],
) -> Result<Vec<SupportedCipherSuite>, String> {
    let named = named(text, names)?;
    // Without a choice the library's order counts: it knows the processor.
    let is_any = named.len() == names.len() && named.iter().zip(names).all(|(suite, (_, known))| suite == known);
    if is_any {
        return Ok(all.iter().filter(|suite| named.contains(&suite.suite())).copied().collect());
    }
    Ok(named.iter().filter_map(|name| all.iter().find(|suite| suite.suite() == *name).copied()).collect())
}

fn named(text: &str, names: &[(&'static str, CipherSuite)]) -> Result<Vec<CipherSuite>, String> {
    let words = text.split([':', ',', ' ']).filter(|word| !word.is_empty());
    let mut found = Vec::new();
    for word in words {
        if let Some((_, suite)) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            found.push(*suite);
        } else if ALL.contains(&word) {
            found.extend(names.iter().map(|(_, suite)| *suite));
        } else if !word.strip_prefix('!').is_some_and(|class| ABSENT.contains(&class)) {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no cipher '{word}' here, but {}", known.join(", ")));
        }
    }
    if found.is_empty() {
        found.extend(names.iter().map(|(_, suite)| *suite));
    }
    let mut once = Vec::new();
    found.into_iter().for_each(|suite| {
        if !once.contains(&suite) {
            once.push(suite);
        }
    });
    Ok(once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_openssl_s_names_and_old_ones_are_refused() {
        let versions = |text| versions(text).map(|found| found.iter().map(|known| known.version).collect::<Vec<_>>());
        assert_eq!(versions("").map(|found| found.len()), Ok(2));
        assert_eq!(versions("TLSv1.3"), Ok(vec![version::TLS13.version]));
        assert_eq!(versions("tlsv1.2  TLSv1.3").map(|found| found.len()), Ok(2));
        assert!(versions("TLSv1.1 TLSv1.2").is_err_and(|text| text.contains("not safe")));
        assert!(versions("QUIC").is_err());
    }

    #[test]
    fn suites_have_openssl_s_names_and_their_order_counts() {
        let all = rustls::crypto::ring::default_provider().cipher_suites;
        let names = |found: Vec<SupportedCipherSuite>| found.iter().map(|suite| suite.suite()).collect::<Vec<_>>();
        for (name, suite) in OLDER {
            assert_eq!(older(&all, name).map(names), Ok(vec![suite]), "{name}");
            assert!(newer(&all, name).is_err());
        }
        let two = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
        assert_eq!(newer(&all, two).map(names), Ok(vec![NEWER[2].1, NEWER[1].1]));
        assert_eq!(newer(&all, "").map(|found| found.len()), Ok(3));
        assert_eq!(older(&all, "DEFAULT:!MEDIUM").map(|found| found.len()), Ok(6));
        assert_eq!(older(&all, "HIGH:!aNULL").map(|found| found.len()), Ok(6));
        assert!(older(&all, "AES128-SHA").is_err_and(|text| text.contains("'AES128-SHA'")));
        assert!(older(&all, "DEFAULT:!ECDHE-RSA-AES128-GCM-SHA256").is_err(), "what is there cannot be excluded");
    }
}
