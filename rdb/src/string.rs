//! Strings: a length and bytes, a small integer, or bytes compressed with LZF.

use std::borrow::Cow;

use crate::Error;
use crate::length::{self, Header};
use crate::limits::{self, Budget};
use crate::reader::Reader;
use crate::{integer, lzf};

const INTEGER_8: u8 = 0;
const INTEGER_16: u8 = 1;
const INTEGER_32: u8 = 2;
/// The string's bytes are compressed with LZF.
pub(crate) const COMPRESSED: u8 = 3;
/// The bits that say that an encoding follows, not a length.
const ENCODED: u8 = 0xc0;

/// The most bytes that stand before a string's own.
pub(crate) const HEADER_BYTES: usize = 9;

/// Writes a string, as an integer when that is shorter.
pub(crate) fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    let Some(number) = integer::exact(bytes).and_then(|number| i32::try_from(number).ok()) else {
        length::write(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
        return;
    };
    if let Ok(number) = i8::try_from(number) {
        out.push(ENCODED | INTEGER_8);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(ENCODED | INTEGER_16);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(ENCODED | INTEGER_32);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Reads a string. It is borrowed when it lies there as it is; what it unfolds to otherwise was asked of the budget,
/// not taken.
pub(crate) fn read<'a>(reader: &mut Reader<'a>, budget: &Budget) -> Result<Cow<'a, [u8]>, Error> {
    let number = match length::read_header(reader)? {
        Header::Length(length) => return Ok(Cow::Borrowed(reader.take(in_memory(length)?)?)),
        Header::Encoding(COMPRESSED) => {
            let compressed_length = in_memory(length::read(reader)?)?;
            let length = in_memory(length::read(reader)?)?;
            let compressed = reader.take(compressed_length)?;
            budget.borrow(length)?;
            return Ok(Cow::Owned(lzf::decompress(compressed, length)?));
        }
        Header::Encoding(INTEGER_8) => reader.signed::<1>()?,
        Header::Encoding(INTEGER_16) => reader.signed::<2>()?,
        Header::Encoding(INTEGER_32) => reader.signed::<4>()?,
        Header::Encoding(_) => return Err(Error::BadFormat("unknown encoding of a string")),
    };
    Ok(Cow::Owned(itoa::Buffer::new().format(number).into()))
}

/// Reads a string that the value keeps.
pub(crate) fn read_owned(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<Vec<u8>, Error> {
    let string = read(reader, budget)?;
    budget.take(string.len())?;
    Ok(string.into_owned())
}

/// Bytes of the integer that an encoding announces.
pub(crate) fn integer_bytes(encoding: u8) -> Option<usize> {
    match encoding {
        INTEGER_8 => Some(1),
        INTEGER_16 => Some(2),
        INTEGER_32 => Some(4),
        _ => None,
    }
}

/// The string that `raw` holds and nothing else.
pub(crate) fn decode(raw: &[u8]) -> Result<Vec<u8>, Error> {
    let mut budget = Budget::new(limits::memory_for(raw.len()));
    read_owned(&mut Reader::new(raw), &mut budget)
}

fn in_memory(length: u64) -> Result<usize, Error> {
    usize::try_from(length).map_err(|_| crate::error::TRUNCATED)
}
