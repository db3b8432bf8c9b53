//! Lengths: the top two bits of the first byte say how many bytes there are. Longer ones are big-endian.
//!
//! ```text
//! 00xxxxxx                    6 bits
//! 01xxxxxx xxxxxxxx           14 bits
//! 10000000 + 4 bytes          32 bits
//! 10000001 + 8 bytes          64 bits
//! 11xxxxxx                    no length: a string in the encoding x
//! ```

use crate::Error;
use crate::error::NO_ELEMENTS;
use crate::reader::Reader;

/// What stands at the place of a string's length.
pub(crate) enum Header {
    Length(u64),
    /// A string that is not stored as it is.
    Encoding(u8),
}

pub(crate) fn write(out: &mut Vec<u8>, length: u64) {
    match length {
        ..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// Reads a length, or what stands in its place.
pub(crate) fn read_header(reader: &mut Reader<'_>) -> Result<Header, Error> {
    let first = reader.byte()?;
    Ok(match first {
        0x00..=0x3f => Header::Length(u64::from(first)),
        0x40..=0x7f => Header::Length(u64::from(u16::from_be_bytes([first & 0x3f, reader.byte()?]))),
        0x80 => Header::Length(u64::from(u32::from_be_bytes(reader.array()?))),
        0x81 => Header::Length(u64::from_be_bytes(reader.array()?)),
        0x82..=0xbf => return Err(Error::BadFormat("unknown form of a length")),
        0xc0.. => Header::Encoding(first & 0x3f),
    })
}

/// Reads a number that is a length and nothing else.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<u64, Error> {
    match read_header(reader)? {
        Header::Length(length) => Ok(length),
        Header::Encoding(_) => Err(Error::BadFormat("an encoding where a length belongs")),
    }
}

/// Reads how many elements follow, none of which takes fewer than `element_bytes`.
pub(crate) fn read_count(reader: &mut Reader<'_>, element_bytes: usize) -> Result<usize, Error> {
    let count = read(reader)?;
    match usize::try_from(count) {
        // Redis never stores what is empty.
        Ok(0) => Err(NO_ELEMENTS),
        Ok(count) if count <= reader.len() / element_bytes => Ok(count),
        _ => Err(Error::BadFormat("more elements than bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_size() {
        for (length, bytes) in [
            (0, 1),
            (63, 1),
            (64, 2),
            (16_383, 2),
            (16_384, 5),
            (u64::from(u32::MAX), 5),
            (u64::from(u32::MAX) + 1, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            write(&mut out, length);
            assert_eq!(out.len(), bytes);
            assert_eq!(read(&mut Reader::new(&out)), Ok(length));
        }
    }
}
