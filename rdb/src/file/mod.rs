//! RDB files, from the front, one key at a time.
//!
//! ```text
//! "REDIS" │ version, 4 digits │ parts │ ff │ CRC-64 of all before (8, little-endian; 0: none)
//!
//! part       fe + database                         a database begins
//!            fd + seconds (4), fc + ms (8)         a deadline of the next key
//!            f9 + frequency (1), f8 + seconds      when the next key was used
//!            fb + keys + volatile keys             sizes of the database
//!            fa + name + text                      what wrote the file
//!            f4 + slot + keys + volatile keys      sizes of a cluster's slot
//!            f5 + source                           a library of functions
//!            f7 + what a module has left           its end is found by marks
//!            type + key + value                    as in a dump
//! ```
//!
//! A value has no length in front: `extent` finds its end and copies it, and then it is read as the value of a dump is. So
//! a file takes the memory of its largest value, however large it is itself. No length is trusted: what was promised
//! and does not come is an error that says where.

mod error;
mod extent;
mod source;

use std::io::Read;
use std::ops::RangeInclusive;

pub use error::{FileError, Place, Problem};
use source::Source;

use crate::error::NO_ELEMENTS;
use crate::footer::NEWEST_VERSION;
use crate::reader::Reader as Bytes;
use crate::{Error, Value, limits, restore};

/// The versions that are read: those with a checksum at the end, up to Redis 8.2.
pub const VERSIONS: RangeInclusive<u32> = 5..=NEWEST_VERSION as u32;
/// How a file begins.
pub const MAGIC: &[u8; 5] = b"REDIS";

mod opcode {
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const FUNCTION_PRE_RELEASE: u8 = 246;
    pub(super) const MODULE_DATA: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUXILIARY: u8 = 250;
    pub(super) const SIZES: u8 = 251;
    pub(super) const DEADLINE_MS: u8 = 252;
    pub(super) const DEADLINE_SECONDS: u8 = 253;
    pub(super) const DATABASE: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// A key and what the file says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it is.
    pub place: Place,
    /// What it holds.
    pub value: Value,
    /// When it goes, in milliseconds since 1970.
    pub deadline_ms: Option<u64>,
}

/// What stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A key.
    Entry(Entry),
    /// A key whose value is of a type that is not read. It was passed over.
    Unsupported(Place, &'static str),
    /// A collection without elements, which is no value. Old versions of Redis could write one.
    Empty(Place),
    /// A library of functions. It was passed over.
    Functions,
    /// What a module has left. It was passed over.
    ModuleData,
}

/// A file being read.
pub struct Reader<R> {
    source: Source<R>,
    version: u32,
    database: u64,
    inside: Option<Place>,
    behind: Option<Place>,
    is_preamble: bool,
    ended: bool,
    raw: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a file.
    pub fn new(input: R) -> Result<Reader<R>, FileError> {
        let source = Source::new(input);
        let mut reader = Reader {
            source,
            version: 0,
            database: 0,
            inside: None,
            behind: None,
            is_preamble: false,
            ended: false,
            raw: Vec::new(),
        };
        reader.version = reader.header().map_err(|problem| reader.error(problem))?;
        Ok(reader)
    }

    /// The file's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether it is the front of an append-only file, of which commands tell what became of its keys. Known with the first
    /// of them.
    pub fn is_preamble(&self) -> bool {
        self.is_preamble
    }

    /// Up to which byte the file was read.
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// What comes next; `None` behind the last, when the file has proved to be whole.
    pub fn next_record(&mut self) -> Result<Option<Record>, FileError> {
        if self.ended {
            return Ok(None);
        }
        let record = self.record().map_err(|problem| self.error(problem))?;
        self.ended = record.is_none();
        Ok(record)
    }

    /// What follows the end of the file: commands, where this is the front of an append-only file.
    pub fn into_rest(self) -> impl Read {
        self.source.into_rest()
    }

    fn error(&mut self, problem: Problem) -> FileError {
        FileError { offset: self.offset(), inside: self.inside.take(), behind: self.behind.take(), problem }
    }

    fn header(&mut self) -> Result<u32, Problem> {
        let magic = match self.source.array() {
            Err(Problem::Truncated) => return Err(Problem::Foreign),
            magic => magic?,
        };
        if &magic != MAGIC {
            return Err(Problem::Foreign);
        }
        let digits: [u8; 4] = self.source.array()?;
        let version = str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Problem::Foreign)?;
        if VERSIONS.contains(&version) { Ok(version) } else { Err(Problem::Version(version)) }
    }

    fn record(&mut self) -> Result<Option<Record>, Problem> {
        let mut deadline_ms = None;
        loop {
            match self.source.byte()? {
                opcode::DATABASE => self.database = extent::length(&mut self.source)?,
                opcode::DEADLINE_SECONDS => {
                    let seconds = i32::from_le_bytes(self.source.array()?);
                    deadline_ms = Some(deadline(i64::from(seconds) * 1000));
                }
                opcode::DEADLINE_MS => deadline_ms = Some(deadline(i64::from_le_bytes(self.source.array()?))),
                opcode::FREQUENCY => _ = self.source.byte()?,
                opcode::IDLE => self.lengths(1)?,
                opcode::SIZES => self.lengths(2)?,
                opcode::SLOT_INFO => self.lengths(3)?,
                opcode::AUXILIARY => {
                    let name = extent::string(&mut self.source)?;
                    let text = extent::string(&mut self.source)?;
                    self.is_preamble |= PREAMBLES.contains(&&*name) && text == b"1";
                }
                opcode::FUNCTION => {
                    extent::string(&mut self.source)?;
                    return Ok(Some(Record::Functions));
                }
                opcode::FUNCTION_PRE_RELEASE => {
                    return Err(Problem::Format("functions as a candidate of Redis 7.0 wrote them"));
                }
                opcode::MODULE_DATA => {
                    extent::module_data(&mut self.source)?;
                    return Ok(Some(Record::ModuleData));
                }
                opcode::END => return self.end().map(|()| None),
                kind => return self.key(kind, deadline_ms).map(Some),
            }
        }
    }

    fn lengths(&mut self, count: usize) -> Result<(), Problem> {
        (0..count).try_for_each(|_| extent::length(&mut self.source).map(drop))
    }

    fn key(&mut self, kind: u8, deadline_ms: Option<u64>) -> Result<Record, Problem> {
        let key = extent::string(&mut self.source)?;
        let place = Place { database: self.database, key };
        self.inside = Some(place.clone());
        self.raw.clear();
        if self.raw.capacity() > KEPT_BYTES {
            self.raw = Vec::new();
        }
        let end_is_known = extent::value(&mut self.source, kind, &mut self.raw)?;
        let value = restore::read(kind, Bytes::new(&self.raw), limits::memory_for(self.raw.len()));
        if let (false, Err(error)) = (end_is_known, &value) {
            // Nor is it known what comes behind it.
            return Err(Problem::Value(*error));
        }
        self.behind = self.inside.take();
        match value {
            Ok(value) => Ok(Record::Entry(Entry { place, value, deadline_ms })),
            Err(Error::UnsupportedType(name)) => Ok(Record::Unsupported(place, name)),
            Err(NO_ELEMENTS) => Ok(Record::Empty(place)),
            Err(error) => {
                self.inside = self.behind.take();
                Err(Problem::Value(error))
            }
        }
    }

    fn end(&mut self) -> Result<(), Problem> {
        let computed = self.source.checksum();
        let written = u64::from_le_bytes(self.source.array()?);
        if written == 0 || written == computed { Ok(()) } else { Err(Problem::Checksum) }
    }
}

/// What a file says of itself when commands follow: in Redis 4 to 6, where they stand in the same file, and since 7.
const PREAMBLES: [&[u8]; 2] = [b"aof-preamble", b"aof-base"];
/// A buffer that has grown longer for one value is given back.
const KEPT_BYTES: usize = 1 << 20;

/// What lies before 1970 has passed too.
fn deadline(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).max(1)
}
