//! DUMP and RESTORE: one value in Redis's own form, to be carried to another server.

use std::sync::atomic::{AtomicBool, Ordering};

use engine::listener::Class;
use engine::value::{self, op};
use engine::{Collection, Item, Key, MAX_VALUE, Transaction, Usage, Value};
use rdb::Checksum;

use super::args::{integer, is};
use super::error::{
    BUSY_KEY, CommandError, DUMP_CHECKSUM, DUMP_FORMAT, RESTORE_FREQ, RESTORE_IDLETIME, RESTORE_TTL, STRING_TOO_LONG,
    SYNTAX,
};
use super::keys::delete;
use super::{Call, Command, Done, Flag, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("DUMP", "@key", dump)
        .whole()
        .flags(&[Flag::NoUse])
        .since("2.6.0")
        .cost(
            "O(1) to find the key, O(N*M) to write its value, N being the number of elements and M their average size",
        )
        .key_flags(&["RO access"])
        .tips(&["nondeterministic_output"])
        .doc("Returns the value of a key in Redis's own form."),
    Command::write(
        "RESTORE",
        "@key ttl:int serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds:int] [FREQ frequency:int]",
        restore,
    )
    .flags(&[Flag::DenyOom, Flag::Dangerous])
    .since("2.6.0")
    .cost("O(1) to create the key, O(N*M) to read its value, N being the number of elements and M their average size")
    .key_flags(&["OW update"])
    .inline()
    .growth(|request, _| request.get(3).map_or(0, |dump| GROWTH * dump.len() as u64))
    .doc("Stores at a key what DUMP has returned."),
];

/// By how much a value may be longer than its packed form, for all but hostile ones: compressed strings shrink to a third.
const GROWTH: u64 = 3;

fn dump(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    match view.get(&call.keys[0]) {
        Some(item) => reply.shared(serialize(item)?.into()),
        None => reply.null(),
    }
    Ok(())
}

/// Bytes of a value in Redis's own form, without its type, version and checksum.
pub(super) fn serialized_bytes(item: Item<'_>) -> Result<usize, CommandError> {
    const FRAME_BYTES: usize = 1 + 2 + 8;
    Ok(serialize(item)?.len() - FRAME_BYTES)
}

fn serialize(item: Item<'_>) -> Result<Vec<u8>, CommandError> {
    Ok(match item.value_type() {
        value::LIST => rdb::dump::list(item.list()?.iter_from(0)),
        value::HASH => {
            let hash = item.hash()?;
            rdb::dump::hash(hash.iter().map(|(name, field)| (name, field.value, field.deadline)))
        }
        value::SET => rdb::dump::set(item.set()?.iter().map(|member| member.with(<[u8]>::to_vec))),
        value::ZSET => rdb::dump::zset(item.zset()?.from_rank(0)),
        _ => rdb::dump::string(item.string()?),
    })
}

/// The options of RESTORE.
#[derive(Default)]
struct Options {
    replaces: bool,
    absolute: bool,
    usage: Option<Usage>,
}

impl Options {
    fn parse(call: &Call<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut at = 4;
        while at < call.len() {
            let (word, more) = (call.arg(at), at + 1 < call.len());
            if is(word, "REPLACE") {
                options.replaces = true;
            } else if is(word, "ABSTTL") {
                options.absolute = true;
            } else if is(word, "IDLETIME") && more && !matches!(options.usage, Some(Usage::Frequency(_))) {
                at += 1;
                let seconds = u64::try_from(integer(call.arg(at))?).map_err(|_| RESTORE_IDLETIME)?;
                options.usage = Some(Usage::Idle(seconds));
            } else if is(word, "FREQ") && more && !matches!(options.usage, Some(Usage::Idle(_))) {
                at += 1;
                let count = u8::try_from(integer(call.arg(at))?).map_err(|_| RESTORE_FREQ)?;
                options.usage = Some(Usage::Frequency(count));
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

/// Whether RESTORE takes dumps whose checksum is wrong, as only DEBUG may ask.
static SKIPS_CHECKSUMS: AtomicBool = AtomicBool::new(false);

/// Lets RESTORE take dumps whose checksum is wrong, or no more.
pub fn skip_checksums(skips: bool) {
    SKIPS_CHECKSUMS.store(skips, Ordering::Relaxed);
}

fn restore(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let options = Options::parse(call)?;
    if !options.replaces && transaction.get(key).is_some() {
        return Err(BUSY_KEY);
    }
    let ttl = u64::try_from(integer(call.arg(2))?).map_err(|_| RESTORE_TTL)?;
    let now_ms = transaction.now_ms();
    let deadline = match ttl {
        0 => None,
        ttl if options.absolute => Some(ttl),
        ttl => Some(ttl.saturating_add(now_ms)),
    };
    let dump = call.arg(3);
    let memory_bytes = rdb::memory_for(dump.len());
    let checksum = match SKIPS_CHECKSUMS.load(Ordering::Relaxed) {
        false => Checksum::Required,
        true => Checksum::Ignored,
    };
    let value = rdb::restore(dump, &rdb::Limits { memory_bytes, checksum })
        .map_err(|error| if error == rdb::Error::BadVersionOrChecksum { DUMP_CHECKSUM } else { DUMP_FORMAT })?;
    if !fits(&value) {
        return Err(STRING_TOO_LONG);
    }
    if options.replaces {
        delete(transaction, key);
    }
    if deadline.is_none_or(|deadline| deadline > now_ms) {
        store(transaction, key, value, deadline);
        if let Some(usage) = options.usage {
            transaction.set_usage(key, usage);
        }
        transaction.notify(Class::Generic, "restore", key);
    }
    reply.ok();
    Ok(())
}

/// Stores a value at a key; whatever that held is gone. A hash without a live field is no value.
pub fn store(transaction: &mut Transaction<'_>, key: &Key<'_>, value: rdb::Value, deadline: Option<u64>) {
    let limits = transaction.limits();
    let collection = match value {
        rdb::Value::String(bytes) => return transaction.set(key, Value::Shared(bytes.into()), deadline),
        rdb::Value::List(elements) => Collection::of(op::LIST_PUSH_BACK, &limits, elements, |op, element| {
            op.element(&element);
        }),
        rdb::Value::Set(members) => Collection::of(op::SET_ADD, &limits, members, |op, member| {
            op.element(&member);
        }),
        rdb::Value::Hash(fields) => {
            let now_ms = transaction.now_ms();
            let live = fields.into_iter().filter(|(_, _, deadline)| deadline.is_none_or(|deadline| deadline > now_ms));
            Collection::of(op::HASH_LOAD, &limits, live, |op, (name, value, deadline)| {
                op.element(&name).element(&value).number(deadline.unwrap_or(0));
            })
        }
        rdb::Value::Zset(members) => Collection::of(op::ZSET_ADD, &limits, members, |op, (member, score)| {
            op.score(score).element(&member);
        }),
    };
    transaction.set_collection(key, collection, deadline);
}

/// Whether each element, or a field with its value, fits into one frame of the log: a compressed one may not.
pub fn fits(value: &rdb::Value) -> bool {
    match value {
        rdb::Value::String(bytes) => bytes.len() <= MAX_VALUE,
        rdb::Value::List(elements) | rdb::Value::Set(elements) => {
            elements.iter().all(|element| element.len() <= MAX_VALUE)
        }
        rdb::Value::Hash(fields) => fields.iter().all(|(name, value, _)| name.len() + value.len() <= MAX_VALUE),
        rdb::Value::Zset(members) => members.iter().all(|(member, _)| member.len() <= MAX_VALUE),
    }
}

/// About how many bytes of log a value takes.
pub fn bytes_of(value: &rdb::Value) -> u64 {
    let of = |elements: &[Vec<u8>]| elements.iter().map(|element| element.len() + PER_ELEMENT).sum();
    let bytes: usize = match value {
        rdb::Value::String(bytes) => bytes.len(),
        rdb::Value::List(elements) | rdb::Value::Set(elements) => of(elements),
        rdb::Value::Hash(fields) => {
            fields.iter().map(|(name, value, _)| name.len() + value.len() + 2 * PER_ELEMENT).sum()
        }
        rdb::Value::Zset(members) => members.iter().map(|(member, _)| member.len() + 2 * PER_ELEMENT).sum(),
    };
    (bytes + PER_VALUE) as u64
}

/// What stands around an element in the log, at most, and around a value.
const PER_ELEMENT: usize = 8;
const PER_VALUE: usize = 128;

/// The type that a value gets.
pub fn type_of(of: &rdb::Value) -> u8 {
    match of {
        rdb::Value::String(_) => value::STRING,
        rdb::Value::List(_) => value::LIST,
        rdb::Value::Set(_) => value::SET,
        rdb::Value::Hash(_) => value::HASH,
        rdb::Value::Zset(_) => value::ZSET,
    }
}
