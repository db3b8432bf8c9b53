//! The end of a dump: the version of the format and a checksum, both little-endian.

use crc::{CRC_64_REDIS, Crc, Table};

use crate::{Checksum, Error};

/// Bytes of the version and the checksum.
pub(crate) const FOOTER_BYTES: usize = 10;
/// The newest version that is read: Redis 7.4 to 8.2.
pub(crate) const NEWEST_VERSION: u16 = 12;

/// The version a dump says of itself. The lower one wherever it will do: Redis 7.2 and Valkey refuse the higher.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(crate) enum Version {
    /// Everything but deadlines of hash fields: Redis 7.2.
    Redis7_2 = 11,
    /// Hash fields with deadlines: Redis 7.4.
    Redis7_4 = 12,
}

// Sixteen tables: dumps are as large as values, and the plain algorithm goes byte by byte.
pub(crate) static CRC_64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Ends a dump.
pub(crate) fn seal(mut dump: Vec<u8>, version: Version) -> Vec<u8> {
    dump.extend_from_slice(&(version as u16).to_le_bytes());
    let checksum = CRC_64.checksum(&dump);
    dump.extend_from_slice(&checksum.to_le_bytes());
    dump
}

/// What stands before the footer, if that is in order.
pub(crate) fn open(dump: &[u8], trust: Checksum) -> Result<&[u8], Error> {
    let (checked, checksum) = dump.split_last_chunk().ok_or(Error::BadVersionOrChecksum)?;
    let (body, version) = checked.split_last_chunk().ok_or(Error::BadVersionOrChecksum)?;
    if u16::from_le_bytes(*version) > NEWEST_VERSION {
        return Err(Error::BadVersionOrChecksum);
    }
    let checksum = u64::from_le_bytes(*checksum);
    let unchecked = match trust {
        Checksum::Required => false,
        Checksum::ZeroIsUnchecked => checksum == 0,
        Checksum::Ignored => true,
    };
    if unchecked || checksum == CRC_64.checksum(checked) { Ok(body) } else { Err(Error::BadVersionOrChecksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_redis() {
        // The check value of `crc64.c`.
        assert_eq!(CRC_64.checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn only_whole_dumps_of_known_versions_are_opened() {
        let dump = seal(b"body".to_vec(), Version::Redis7_4);
        assert_eq!(open(&dump, Checksum::Required), Ok(&b"body"[..]));
        for end in 0..dump.len() {
            assert_eq!(open(&dump[..end], Checksum::Required), Err(Error::BadVersionOrChecksum));
        }
        let mut newer = b"body\x0d\x00".to_vec();
        newer.extend_from_slice(&CRC_64.checksum(&newer).to_le_bytes());
        assert_eq!(open(&newer, Checksum::Required), Err(Error::BadVersionOrChecksum));
    }

    #[test]
    fn a_checksum_of_zero_is_trusted_only_on_demand() {
        let mut dump = [&b"body"[..], &[5, 0], &[0; 8]].concat();
        assert_eq!(open(&dump, Checksum::Required), Err(Error::BadVersionOrChecksum));
        assert_eq!(open(&dump, Checksum::ZeroIsUnchecked), Ok(&b"body"[..]));
        let last = dump.len() - 1;
        dump[last] = 1;
        assert_eq!(open(&dump, Checksum::ZeroIsUnchecked), Err(Error::BadVersionOrChecksum));
        assert_eq!(open(&dump, Checksum::Ignored), Ok(&b"body"[..]));
    }
}
