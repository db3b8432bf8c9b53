//! Replies in a form that people read, in which every type can be told.
//!
//! ```text
//! OK               a status              (nil)            null             [a, b]       array
//! "1\n"            a bulk string         (nil array)      RESP2's *-1      set [a, b]   set
//! (integer) 1      an integer            (double) 1.5     a double         {a: b}       map
//! (error) ERR …    an error              (true)           a boolean        push [a]     push
//! ```
//!
//! What does not fit on a line has one element a line.

use resp::Frame;

const WIDTH: usize = 110;

/// The lines of a reply.
pub fn show(frame: &Frame) -> Vec<String> {
    let mut lines = Vec::new();
    layout(frame, "", "", 0, &mut lines);
    lines
}

/// Sorts every list whose elements are all scalars, and the pairs of maps.
pub fn sort(frame: &mut Frame) {
    match frame {
        Frame::Array(items) | Frame::Set(items) => {
            items.iter_mut().for_each(sort);
            if items.iter().all(|item| parts(item).is_none()) {
                items.sort_by_key(inline);
            }
        }
        Frame::Map(pairs) => {
            pairs.iter_mut().for_each(|(_, value)| sort(value));
            pairs.sort_by_key(|(key, _)| inline(key));
        }
        _ => {}
    }
}

/// An aggregate: its brackets and what is in it, each element with the text before it.
struct Parts<'a> {
    open: &'static str,
    items: Vec<(String, &'a Frame)>,
    close: &'static str,
}

fn parts(frame: &Frame) -> Option<Parts<'_>> {
    let unnamed = |item| (String::new(), item);
    match frame {
        Frame::Array(items) => Some(Parts { open: "[", items: items.iter().map(unnamed).collect(), close: "]" }),
        Frame::Set(items) => Some(Parts { open: "set [", items: items.iter().map(unnamed).collect(), close: "]" }),
        Frame::Push(items) => Some(Parts { open: "push [", items: items.iter().map(unnamed).collect(), close: "]" }),
        Frame::Map(pairs) => {
            let items = pairs.iter().map(|(key, value)| (format!("{}: ", inline(key)), value)).collect();
            Some(Parts { open: "{", items, close: "}" })
        }
        _ => None,
    }
}

fn layout(frame: &Frame, before: &str, after: &str, indent: usize, lines: &mut Vec<String>) {
    let margin = " ".repeat(indent);
    let line = format!("{margin}{before}{}{after}", inline(frame));
    match parts(frame) {
        Some(Parts { open, items, close }) if line.chars().count() > WIDTH => {
            lines.push(format!("{margin}{before}{open}"));
            for (name, item) in items {
                layout(item, &name, ",", indent + 2, lines);
            }
            lines.push(format!("{margin}{close}{after}"));
        }
        _ => lines.push(line),
    }
}

fn inline(frame: &Frame) -> String {
    if let Some(Parts { open, items, close }) = parts(frame) {
        let items: Vec<String> = items.iter().map(|(name, item)| format!("{name}{}", inline(item))).collect();
        return format!("{open}{}{close}", items.join(", "));
    }
    match frame {
        Frame::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        Frame::Error(text) | Frame::BlobError(text) => format!("(error) {}", String::from_utf8_lossy(text)),
        Frame::Integer(value) => format!("(integer) {value}"),
        Frame::Bulk(bytes) => quoted(bytes),
        Frame::Null => "(nil)".to_owned(),
        Frame::NullArray => "(nil array)".to_owned(),
        Frame::Double(value) => format!("(double) {value}"),
        Frame::Boolean(value) => format!("({value})"),
        Frame::Verbatim { format, text } => format!("({}) {}", String::from_utf8_lossy(format), quoted(text)),
        Frame::BigNumber(digits) => format!("(big) {}", String::from_utf8_lossy(digits)),
        other => format!("{other:?}"),
    }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii().to_string().replace("\\'", "'"))
}
