//! HyperLogLogs: strings in the form of [`crate::hyperloglog`], which count different elements in 12 KiB.

use engine::listener::Class;
use engine::{Transaction, Value};
use resp::Request;

use super::args::is;
use super::bits;
use super::error::{HLL_CORRUPTED, HLL_FOREIGN, HLL_NO_KEY, HLL_NOT_SPARSE};
use super::string::string;
use super::{After, Call, Command, CommandError, Context, Done, Flag, Group, Reply, View};
use crate::hyperloglog::{CACHE_AT, DENSE_BYTES, Encoding, Invalid, Place, REGISTERS, Registers, Sketch, place};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("PFADD", "@key [element ...]", pfadd)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Fast])
        .group(Group::Hyperloglog)
        .since("2.8.9")
        .cost("O(1) for each element")
        .key_flags(&["RW insert"])
        .growth(sketch)
        .doc("Adds elements to the HyperLogLog at a key, which is made when there is none."),
    Command::read("PFCOUNT", "@key ...", pfcount)
        .flags(&[Flag::MayReplicate])
        .group(Group::Hyperloglog)
        .since("2.8.9")
        .cost("O(N), N being the number of keys; much less for one key to which nothing was added since")
        .key_flags(&["RW access"])
        .doc("Returns about how many different elements were added to HyperLogLogs."),
    Command::write("PFMERGE", "@destkey [@sourcekey ...]", pfmerge)
        .inline()
        .flags(&[Flag::DenyOom])
        .group(Group::Hyperloglog)
        .since("2.8.9")
        .cost("O(N), N being the number of keys")
        .key_flags(&["RW access insert", "RO access"])
        .growth(sketch)
        .doc("Adds HyperLogLogs to another one."),
    Command::write("PFDEBUG", "subcommand @key", pfdebug)
        .inline()
        .flags(&[Flag::DenyOom, Flag::Admin])
        .group(Group::Hyperloglog)
        .since("2.8.9")
        .cost("N/A")
        .key_flags(&["RW access"])
        .growth(sketch)
        .doc("Shows the inside of a HyperLogLog."),
    Command::server("PFSELFTEST", "", pfselftest)
        .flags(&[Flag::Admin])
        .group(Group::Hyperloglog)
        .since("2.8.9")
        .cost("N/A")
        .doc("Tests the counting of different elements."),
];

impl From<Invalid> for CommandError {
    fn from(invalid: Invalid) -> CommandError {
        match invalid {
            Invalid::Foreign => HLL_FOREIGN,
            Invalid::Corrupted => HLL_CORRUPTED,
        }
    }
}

/// A sketch may come where there was a short one or none.
fn sketch(_request: &Request<'_>, _present_bytes: &mut dyn FnMut(usize) -> u64) -> u64 {
    DENSE_BYTES as u64
}

fn pfadd(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let key = &call.keys[0];
    let present = string(transaction.get(key))?;
    let mut changed = present.is_none();
    let mut sketch = present.map_or_else(|| Ok(Sketch::empty()), Sketch::read)?;
    for element in call.request.iter().skip(2) {
        changed |= sketch.add(place(element), call.hll_sparse_max_bytes)?;
    }
    if changed {
        sketch.invalidate_cache();
    }
    let bytes = sketch.into_changed();
    store(transaction, call, bytes);
    reply.integer(i64::from(changed));
    Ok(())
}

/// Stores a sketch at the first key, its deadline kept, and logs what has changed of it.
fn store(transaction: &mut Transaction<'_>, call: &Call<'_>, bytes: Option<Vec<u8>>) {
    let Some(bytes) = bytes else { return };
    let key = &call.keys[0];
    let present = transaction.get(key).map(|item| (item.string().unwrap_or_default(), item.deadline()));
    match present {
        Some((old, _)) if old.len() <= bytes.len() => {
            if let Some(range) = bits::changed(old, &bytes) {
                transaction.set_range(key, range.start, &bytes[range]);
            }
        }
        _ => {
            let deadline = present.and_then(|(_, deadline)| deadline);
            transaction.set(key, Value::Copy(&bytes), deadline);
        }
    }
    transaction.notify(Class::String, "pfadd", key);
}

fn pfcount(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let estimate = match call.keys {
        [key] => {
            let Some(bytes) = string(view.get(key))? else {
                reply.integer(0);
                return Ok(());
            };
            let sketch = Sketch::read(bytes)?;
            match sketch.cached() {
                Some(estimate) => estimate,
                None => {
                    let estimate = sketch.estimate()?;
                    view.note(key, CACHE_AT, &estimate.to_le_bytes());
                    estimate
                }
            }
        }
        keys => {
            let mut registers = Registers::default();
            for key in keys {
                if let Some(bytes) = string(view.get(key))? {
                    registers.merge(&Sketch::read(bytes)?)?;
                }
            }
            registers.estimate()
        }
    };
    reply.integer(estimate as i64);
    Ok(())
}

fn pfmerge(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let mut registers = Registers::default();
    let mut dense = false;
    for key in call.keys {
        if let Some(bytes) = string(transaction.get(key))? {
            let sketch = Sketch::read(bytes)?;
            dense |= sketch.encoding() == Encoding::Dense;
            registers.merge(&sketch)?;
        }
    }
    let present = string(transaction.get(&call.keys[0]))?;
    let mut sketch = present.map_or_else(|| Ok(Sketch::empty()), Sketch::read)?;
    if dense {
        sketch.make_dense()?;
    }
    sketch.raise(&registers, call.hll_sparse_max_bytes)?;
    sketch.invalidate_cache();
    let bytes = sketch.into_changed();
    store(transaction, call, bytes);
    reply.ok();
    Ok(())
}

fn pfdebug(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let word = call.arg(1);
    let bytes = string(transaction.get(&call.keys[0]))?.ok_or(HLL_NO_KEY)?;
    let mut sketch = Sketch::read(bytes)?;
    let was_sparse = sketch.encoding() == Encoding::Sparse;
    if is(word, "GETREG") {
        sketch.make_dense()?;
        let mut registers = Registers::default();
        registers.merge(&sketch)?;
        let mut out = reply.write();
        out.array(REGISTERS);
        registers.iter().for_each(|register| out.integer(i64::from(register)));
    } else if is(word, "DECODE") {
        if !was_sparse {
            return Err(HLL_NOT_SPARSE);
        }
        reply.bulk(decoded(&sketch).as_bytes());
    } else if is(word, "ENCODING") {
        reply.write().simple(if was_sparse { "sparse" } else { "dense" });
    } else if is(word, "TODENSE") {
        sketch.make_dense()?;
        reply.integer(i64::from(was_sparse));
    } else {
        return Err(CommandError::option("Unknown PFDEBUG subcommand", word));
    }
    let bytes = sketch.into_changed();
    store(transaction, call, bytes);
    Ok(())
}

/// The runs of a sparse sketch in Redis's notation.
fn decoded(sketch: &Sketch<'_>) -> String {
    let runs = sketch.runs().map(|run| match run.value {
        0 if run.bytes == 1 => format!("z:{}", run.registers),
        0 => format!("Z:{}", run.registers),
        value => format!("v:{value},{}", run.registers),
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// Elements that are added; Redis, which stops for the time, adds a hundred times as many.
const SELFTEST_ELEMENTS: u64 = 100_000;

fn pfselftest(context: &mut Context<'_, '_>, _call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let sparse_max_bytes = context.server.settings().hll_sparse_max_bytes as usize;
    test_registers()?;
    test_estimates(sparse_max_bytes)?;
    reply.ok();
    Ok(After::Reply)
}

fn failed(what: &str) -> CommandError {
    CommandError::text(format!("TESTFAILED {what}"))
}

/// Every register keeps what it was raised to, whatever its neighbours hold.
fn test_registers() -> Result<(), CommandError> {
    let zeros = |register: usize| (register * 31 % 51) as u8 + 1;
    let mut sketch = Sketch::empty();
    sketch.make_dense()?;
    for register in 0..REGISTERS {
        sketch.add(Place { register, zeros: zeros(register) }, 0)?;
    }
    let mut registers = Registers::default();
    registers.merge(&sketch)?;
    match registers.iter().enumerate().find(|(register, value)| *value != zeros(*register)) {
        Some((register, value)) => {
            Err(failed(&format!("Register {register} should be {} but is {value}", zeros(register))))
        }
        None => Ok(()),
    }
}

/// Estimates are near the truth, and the same for both ways to write registers.
fn test_estimates(sparse_max_bytes: usize) -> Result<(), CommandError> {
    let standard_error = 1.04 / (REGISTERS as f64).sqrt();
    let (mut sparse, mut dense) = (Sketch::empty(), Sketch::empty());
    dense.make_dense()?;
    let mut checkpoint = 1;
    for number in 1..=SELFTEST_ELEMENTS {
        let place = place(&number.to_le_bytes());
        sparse.add(place, sparse_max_bytes)?;
        dense.add(place, sparse_max_bytes)?;
        if number != checkpoint {
            continue;
        }
        if number < sparse_max_bytes as u64 / 2 && sparse.encoding() != Encoding::Sparse {
            return Err(failed("sparse encoding not used"));
        }
        let estimate = dense.estimate()?;
        if estimate != sparse.estimate()? {
            return Err(failed("dense/sparse disagree"));
        }
        let error = estimate.abs_diff(number);
        if error > (standard_error * 6.0 * number as f64).ceil() as u64 {
            return Err(failed(&format!("Too big error. card:{number} abserr:{error}")));
        }
        checkpoint *= 10;
    }
    Ok(())
}
