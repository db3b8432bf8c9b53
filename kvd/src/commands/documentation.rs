//! COMMAND DOCS: what the rows and their syntax say, as maps for clients that complete and explain.

use resp::ReplyWriter;

use super::Entry;
use super::introspect::write_set;
use super::syntax::Argument;

/// A name and its documentation.
pub(super) fn write_docs(out: &mut ReplyWriter<'_>, entry: &Entry) {
    let command = entry.command;
    let is_container = !entry.subcommands.is_empty();
    let arguments = if is_container { Vec::new() } else { described(&entry.syntax.arguments) };
    out.bulk(entry.full_name.as_bytes());
    out.map(4 + usize::from(!arguments.is_empty()) + usize::from(is_container));
    let texts = [
        ("summary", command.doc),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.cost),
    ];
    for (name, text) in texts {
        out.bulk(name.as_bytes());
        out.bulk(text.as_bytes());
    }
    if !arguments.is_empty() {
        out.bulk(b"arguments");
        write_arguments(out, &arguments);
    }
    if is_container {
        out.bulk(b"subcommands");
        out.map(entry.subcommands.len());
        for subcommand in &entry.subcommands {
            write_docs(out, subcommand);
        }
    }
}

/// An argument as COMMAND DOCS shows it.
#[derive(Default)]
struct Described {
    name: String,
    kind: &'static str,
    token: Option<String>,
    optional: bool,
    multiple: bool,
    /// Of a `oneof` or a `block`.
    parts: Vec<Described>,
    /// Which group of keys.
    key_spec: Option<usize>,
}

fn described(arguments: &[Argument]) -> Vec<Described> {
    let mut key_specs = 0;
    arguments.iter().map(|argument| describe(argument, &mut key_specs)).collect()
}

fn describe(argument: &Argument, key_specs: &mut usize) -> Described {
    match argument {
        Argument::Token(token) => Described {
            name: token.to_ascii_lowercase(),
            kind: "pure-token",
            token: Some(token.clone()),
            ..Described::default()
        },
        Argument::Value { name, key: true, .. } => {
            *key_specs += 1;
            Described { name: name.clone(), kind: "key", key_spec: Some(*key_specs - 1), ..Described::default() }
        }
        Argument::Value { name, kind, .. } => {
            Described { name: name.clone(), kind: kind_name(kind), ..Described::default() }
        }
        Argument::Sequence(parts) => describe_sequence(parts, key_specs),
        Argument::OneOf(parts) => composite("oneof", parts, key_specs),
        Argument::Optional(part) => Described { optional: true, ..describe(part, key_specs) },
        Argument::Repeated(part) => Described { multiple: true, ..describe(part, key_specs) },
    }
}

/// A token before one argument belongs to it; before several, to their block.
fn describe_sequence(parts: &[Argument], key_specs: &mut usize) -> Described {
    match parts {
        [Argument::Token(token), part] => Described { token: Some(token.clone()), ..describe(part, key_specs) },
        [Argument::Token(token), rest @ ..] => {
            Described { token: Some(token.clone()), ..composite("block", rest, key_specs) }
        }
        parts => composite("block", parts, key_specs),
    }
}

fn composite(kind: &'static str, parts: &[Argument], key_specs: &mut usize) -> Described {
    let parts: Vec<Described> = parts.iter().map(|part| describe(part, key_specs)).collect();
    let name = parts.iter().map(|part| &*part.name).collect::<Vec<_>>().join("-");
    Described { name, kind, parts, ..Described::default() }
}

fn kind_name(kind: &str) -> &'static str {
    match kind {
        "int" => "integer",
        "double" => "double",
        "unix-time" => "unix-time",
        "pattern" => "pattern",
        _ => "string",
    }
}

fn write_arguments(out: &mut ReplyWriter<'_>, arguments: &[Described]) {
    out.array(arguments.len());
    for argument in arguments {
        let texts = [
            ("name", Some(&*argument.name)),
            ("type", Some(argument.kind)),
            ("display_text", argument.parts.is_empty().then_some(&*argument.name)),
            ("token", argument.token.as_deref()),
        ];
        let flags: Vec<&str> = [(argument.optional, "optional"), (argument.multiple, "multiple")]
            .into_iter()
            .filter_map(|(applies, name)| applies.then_some(name))
            .collect();
        let present = texts.iter().filter(|(_, text)| text.is_some()).count();
        let has_parts = !argument.parts.is_empty();
        out.map(
            present
                + usize::from(argument.key_spec.is_some())
                + usize::from(!flags.is_empty())
                + usize::from(has_parts),
        );
        for (name, text) in texts {
            if let Some(text) = text {
                out.bulk(name.as_bytes());
                out.bulk(text.as_bytes());
            }
        }
        if let Some(index) = argument.key_spec {
            out.bulk(b"key_spec_index");
            out.integer(index as i64);
        }
        if !flags.is_empty() {
            out.bulk(b"flags");
            write_set(out, flags);
        }
        if has_parts {
            out.bulk(b"arguments");
            write_arguments(out, &argument.parts);
        }
    }
}
