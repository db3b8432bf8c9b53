//! Frames: replies as owned values, for clients, tests and tools. A server writes its replies with
//! [`ReplyWriter`](crate::ReplyWriter) instead.

use bytes::Bytes;

use crate::encode::ReplyWriter;

/// A reply of either version.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// `+` a status such as `OK`, without line ends.
    Simple(Bytes),
    /// `-` an error, without line ends.
    Error(Bytes),
    /// `:` an integer.
    Integer(i64),
    /// `$` any bytes.
    Bulk(Bytes),
    /// `_`, or `$-1` in RESP2: no value.
    Null,
    /// `*-1` in RESP2: no array. RESP3 has only [`Frame::Null`], and that is what this is written as.
    NullArray,
    /// `*` an array.
    Array(Vec<Frame>),
    /// `,` a double.
    Double(f64),
    /// `#` a boolean.
    Boolean(bool),
    /// `!` an error of any bytes.
    BlobError(Bytes),
    /// `=` text for people.
    Verbatim {
        /// What kind of text, such as `txt` or `mkd`.
        format: [u8; 3],
        /// The text.
        text: Bytes,
    },
    /// `(` an integer of any size: digits, perhaps with a sign.
    BigNumber(Bytes),
    /// `%` pairs in the order they were sent.
    Map(Vec<(Frame, Frame)>),
    /// `~` a set in the order it was sent.
    Set(Vec<Frame>),
    /// `|` pairs that describe the reply behind them.
    Attribute(Vec<(Frame, Frame)>, Box<Frame>),
    /// `>` a message that answers no request.
    Push(Vec<Frame>),
}

impl Frame {
    /// Appends this reply in the writer's version. Recurses as deep as the frame does.
    pub fn write(&self, writer: &mut ReplyWriter<'_>) {
        match self {
            Frame::Simple(text) => writer.simple(text),
            Frame::Error(text) => writer.error(text),
            Frame::Integer(value) => writer.integer(*value),
            Frame::Bulk(bytes) => writer.bulk(bytes),
            Frame::Null => writer.null(),
            Frame::NullArray => writer.null_array(),
            Frame::Array(items) => {
                writer.array(items.len());
                write_all(items, writer);
            }
            Frame::Double(value) => writer.double(*value),
            Frame::Boolean(value) => writer.boolean(*value),
            Frame::BlobError(text) => writer.blob_error(text),
            Frame::Verbatim { format, text } => writer.verbatim(format, text),
            Frame::BigNumber(digits) => writer.big_number(digits),
            Frame::Map(pairs) => {
                writer.map(pairs.len());
                write_pairs(pairs, writer);
            }
            Frame::Set(items) => {
                writer.set(items.len());
                write_all(items, writer);
            }
            Frame::Attribute(pairs, reply) => {
                if writer.attribute(pairs.len()) {
                    write_pairs(pairs, writer);
                }
                reply.write(writer);
            }
            Frame::Push(items) => {
                writer.push(items.len());
                write_all(items, writer);
            }
        }
    }
}

fn write_all(items: &[Frame], writer: &mut ReplyWriter<'_>) {
    for item in items {
        item.write(writer);
    }
}

fn write_pairs(pairs: &[(Frame, Frame)], writer: &mut ReplyWriter<'_>) {
    for (key, value) in pairs {
        key.write(writer);
        value.write(writer);
    }
}
