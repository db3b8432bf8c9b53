//! Where a value of a file ends: no length stands in front of it, so its parts are gone through one by one.

use std::io::Read;

use super::error::Problem;
use super::source::Source;
use crate::length::{self, Header};
use crate::reader::Reader;
use crate::string::COMPRESSED;
use crate::{kind, string};

/// What a value is made of.
#[derive(Clone, Copy)]
enum Part {
    /// A string in any encoding.
    String,
    /// A number that is written as a length.
    Length,
    /// So many bytes.
    Bytes(u64),
    /// A score as text: a byte of length, or what stands for NaN and the infinities.
    TextScore,
}

use Part::{Bytes, Length, String, TextScore};

/// Takes the value of a type out of the file, and puts it behind `out`. Whether it is known where it ends.
pub(super) fn value<R: Read>(source: &mut Source<R>, kind: u8, out: &mut Vec<u8>) -> Result<bool, Problem> {
    let mut walk = Walk { source, out };
    match kind {
        kind::STRING
        | kind::LIST_ZIPLIST
        | kind::SET_INTSET
        | kind::SET_LISTPACK
        | kind::HASH_ZIPMAP
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::HASH_LISTPACK_EX_PRE_RELEASE
        | kind::ZSET_ZIPLIST
        | kind::ZSET_LISTPACK => walk.all(&[String])?,
        kind::HASH_LISTPACK_EX => walk.all(&[Bytes(8), String])?,
        kind::LIST | kind::SET | kind::LIST_QUICKLIST => walk.counted(&[String])?,
        kind::LIST_QUICKLIST_2 => walk.counted(&[Length, String])?,
        kind::HASH => walk.counted(&[String, String])?,
        kind::HASH_METADATA_PRE_RELEASE => walk.counted(&[Length, String, String])?,
        kind::HASH_METADATA => {
            walk.all(&[Bytes(8)])?;
            walk.counted(&[Length, String, String])?;
        }
        kind::ZSET => walk.counted(&[String, TextScore])?,
        kind::ZSET_2 => walk.counted(&[String, Bytes(8)])?,
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => walk.stream(kind)?,
        kind::MODULE => {
            walk.length()?;
            walk.module()?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Takes a string out of the file.
pub(super) fn string<R: Read>(source: &mut Source<R>) -> Result<Vec<u8>, Problem> {
    let mut raw = Vec::new();
    Walk { source, out: &mut raw }.string()?;
    string::decode(&raw).map_err(Problem::Value)
}

/// Takes a number that is written as a length.
pub(super) fn length<R: Read>(source: &mut Source<R>) -> Result<u64, Problem> {
    Walk { source, out: &mut Vec::new() }.length()
}

/// Passes over what a module has left between the keys.
pub(super) fn module_data<R: Read>(source: &mut Source<R>) -> Result<(), Problem> {
    let mut walk = Walk { source, out: &mut Vec::new() };
    // The module, and when it wants to read this: a number with its mark.
    walk.all(&[Length, Length, Length])?;
    walk.module()
}

struct Walk<'a, R> {
    source: &'a mut Source<R>,
    out: &'a mut Vec<u8>,
}

impl<R: Read> Walk<'_, R> {
    fn all(&mut self, parts: &[Part]) -> Result<(), Problem> {
        for part in parts {
            match *part {
                String => self.string()?,
                Length => _ = self.length()?,
                Bytes(count) => self.source.append(self.out, count)?,
                TextScore => {
                    let length = self.byte()?;
                    if length < 253 {
                        self.source.append(self.out, u64::from(length))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A count, and then so many times these parts. Each takes at least a byte: a count that lies meets the file's end.
    fn counted(&mut self, parts: &[Part]) -> Result<(), Problem> {
        for _ in 0..self.length()? {
            self.all(parts)?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        let byte = self.source.byte()?;
        self.out.push(byte);
        Ok(byte)
    }

    fn header(&mut self) -> Result<Header, Problem> {
        let start = self.out.len();
        let more = match self.byte()? {
            0x40..=0x7f => 1,
            0x80 => 4,
            0x81 => 8,
            _ => 0,
        };
        self.source.append(self.out, more)?;
        length::read_header(&mut Reader::new(&self.out[start..])).map_err(Problem::Value)
    }

    fn length(&mut self) -> Result<u64, Problem> {
        match self.header()? {
            Header::Length(length) => Ok(length),
            Header::Encoding(_) => Err(Problem::Format("an encoding where a length belongs")),
        }
    }

    fn string(&mut self) -> Result<(), Problem> {
        let bytes = match self.header()? {
            Header::Length(length) => length,
            Header::Encoding(COMPRESSED) => {
                let compressed = self.length()?;
                self.length()?;
                compressed
            }
            Header::Encoding(encoding) => match string::integer_bytes(encoding) {
                Some(bytes) => bytes as u64,
                None => return Err(Problem::Format("unknown encoding of a string")),
            },
        };
        self.source.append(self.out, bytes)
    }

    /// Passes over a stream: it is not kept, but what follows is.
    fn stream(&mut self, kind: u8) -> Result<(), Problem> {
        let (second, third) = (kind != kind::STREAM, kind == kind::STREAM_3);
        // The entries, by the first of their identifiers; how many, and the last identifier.
        self.counted(&[String, String])?;
        self.all(&[Length; 3])?;
        if second {
            // The first identifier, the highest that was deleted, and how many were ever added.
            self.all(&[Length; 5])?;
        }
        self.out.clear();
        for _ in 0..self.length()? {
            // A group: its name, the last identifier it was given, and how many it has read.
            self.all(&[String, Length, Length])?;
            if second {
                self.all(&[Length])?;
            }
            // What was given and not acknowledged: identifier, when, how often.
            self.counted(&[Bytes(16), Bytes(8), Length])?;
            for _ in 0..self.length()? {
                // A consumer: its name, when it was seen, and when it was active.
                self.all(&[String, Bytes(if third { 16 } else { 8 })])?;
                self.counted(&[Bytes(16)])?;
            }
            self.out.clear();
        }
        Ok(())
    }

    /// Passes over what a module wrote: marks, each with what it announces, up to the last.
    fn module(&mut self) -> Result<(), Problem> {
        loop {
            self.out.clear();
            match self.length()? {
                0 => return Ok(()),
                1 | 2 => _ = self.length()?,
                3 => self.source.append(self.out, 4)?,
                4 => self.source.append(self.out, 8)?,
                5 => self.string()?,
                _ => return Err(Problem::Format("unknown mark in the data of a module")),
            }
        }
    }
}
