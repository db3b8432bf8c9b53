//! Passwords: only their SHA-256 digests are kept, and they are compared in constant time.

use std::fmt::Write;
use std::hint::black_box;

use sha2::{Digest as _, Sha256};

use super::error::Wrong;

/// The digest of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of a password.
    pub fn of(password: &[u8]) -> Digest {
        Digest(Sha256::digest(password).into())
    }

    /// The one that 64 hexadecimal digits tell.
    pub fn parse(hexadecimal: &[u8]) -> Result<Digest, Wrong> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(Wrong::Hash),
        };
        let mut bytes = [0; 32];
        if hexadecimal.len() != 2 * bytes.len() {
            return Err(Wrong::Hash);
        }
        for (byte, pair) in bytes.iter_mut().zip(hexadecimal.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Digest(bytes))
    }

    /// As 64 hexadecimal digits.
    pub fn text(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether it is the same, in a time that does not depend on where they differ.
    pub fn is(&self, other: &Digest) -> bool {
        let differ = |sum: u8, (byte, other): (&u8, &u8)| black_box(sum | (byte ^ other));
        self.0.iter().zip(&other.0).fold(0, differ) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_says() {
        let text = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90";
        assert_eq!(Digest::of(b"alice").text(), text);
        assert!(Digest::parse(text.as_bytes()).is_ok_and(|digest| digest.is(&Digest::of(b"alice"))));
        assert!(!Digest::of(b"alicf").is(&Digest::of(b"alice")));
    }

    #[test]
    fn sixty_four_lower_case_digits_and_nothing_else() {
        let zeros = "0".repeat(64);
        assert!(Digest::parse(zeros.as_bytes()).is_ok());
        for wrong in [&zeros[1..], &format!("0{zeros}"), &format!("A{}", &zeros[1..]), &format!("g{}", &zeros[1..])] {
            assert_eq!(Digest::parse(wrong.as_bytes()).err(), Some(Wrong::Hash), "{wrong}");
        }
    }
}
