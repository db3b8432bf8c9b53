//! Making things durable, waiting until they are, and ending the process.
//!
//! To save is to sync the log. So SAVE and BGSAVE do the same and wait for it; what they begin behind it, a checkpoint, makes
//! the next start faster and nothing safer. BGREWRITEAOF syncs too, and compaction goes on behind it.

use std::sync::atomic::Ordering;

use resp::exact_integer;

use super::args::{integer, is};
use super::error::{
    LOCAL_LOGS, NEGATIVE_TIMEOUT, NO_SHUTDOWN, NOT_POSITIVE, READ_ONLY, SHUTDOWN_FAILED, SYNTAX, TIMEOUT, TIMEOUT_RANGE,
};
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply};

const SAVES: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading];
const OF_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("BGREWRITEAOF", "", rewrite)
        .group(Group::Server)
        .flags(SAVES)
        .doc("Makes everything durable, and compacts the log behind it."),
    Command::server("BGSAVE", "[SCHEDULE]", background_save)
        .group(Group::Server)
        .flags(SAVES)
        .doc("Makes everything durable and begins a checkpoint, without a fork."),
    Command::server("LASTSAVE", "", last_save)
        .group(Group::Server)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast, Flag::OfOperators])
        .tips(&["nondeterministic_output"])
        .doc("Returns the time of the last SAVE or BGSAVE, in seconds since the epoch."),
    Command::server("SAVE", "", save)
        .group(Group::Server)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading, Flag::NoMulti])
        .doc("Makes everything durable and begins a checkpoint; other clients do not wait."),
    Command::server("SHUTDOWN", "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", shutdown)
        .group(Group::Server)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::NoMulti, Flag::AllowBusy])
        .doc("Makes everything durable and ends the server."),
    Command::server("WAIT", "numreplicas:int timeout:int", wait)
        .flags(&[Flag::Blocking, Flag::OfConnection])
        .since("3.0.0")
        .tips(OF_SHARDS)
        .doc("Waits for replicas, of which there are none yet."),
    Command::server("WAITAOF", "numlocal:int numreplicas:int timeout:int", wait_log)
        .flags(&[Flag::Blocking, Flag::OfConnection])
        .since("7.2.0")
        .tips(OF_SHARDS)
        .doc("Waits until everything written before is durable."),
];

fn rewrite(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let after = make_durable(context)?;
    context.server.store.compact();
    reply.write().simple("Background append only file rewriting started");
    Ok(after)
}

fn save(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let after = make_durable(context)?;
    note_save(context, call);
    reply.ok();
    Ok(after)
}

fn background_save(
    context: &mut Context<'_, '_>,
    call: &Call<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    if call.len() > 2 || (call.len() == 2 && !is(call.arg(1), "SCHEDULE")) {
        return Err(SYNTAX);
    }
    let after = make_durable(context)?;
    note_save(context, call);
    reply.write().simple("Background saving started");
    Ok(after)
}

fn last_save(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    reply.integer(context.server.last_save.load(Ordering::Relaxed));
    Ok(After::Reply)
}

fn wait(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let replicas = integer(call.arg(1))?;
    let timeout_ms = timeout(call, 2)?;
    if replicas > 0 {
        return Ok(After::WaitReplicas { timeout_ms });
    }
    reply.integer(0);
    Ok(After::Reply)
}

fn wait_log(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let local = integer(call.arg(1))?;
    if !(0..=1).contains(&local) {
        return Err(LOCAL_LOGS);
    }
    let replicas = exact_integer(call.arg(2)).filter(|count| *count >= 0).ok_or(NOT_POSITIVE)?;
    let timeout_ms = timeout(call, 3)?;
    let log = context.server.store.log();
    let lsn = log.appended();
    if local == 0 && replicas == 0 {
        let durable = log.durable() >= lsn;
        reply.write().array(2);
        reply.integer(i64::from(durable));
        reply.integer(0);
        return Ok(After::Reply);
    }
    Ok(After::WaitDurable { lsn, replicas: replicas > 0, timeout_ms })
}

/// What SHUTDOWN was asked for. NOW and NOSAVE change nothing: there are no replicas to wait for, and what was
/// acknowledged is always made durable.
#[derive(Default)]
struct Shutdown {
    save: bool,
    no_save: bool,
    now: bool,
    force: bool,
    abort: bool,
}

impl Shutdown {
    fn parse(call: &Call<'_>) -> Result<Shutdown, CommandError> {
        let mut options = Shutdown::default();
        for word in call.request.iter().skip(1) {
            match word {
                word if is(word, "NOSAVE") => options.no_save = true,
                word if is(word, "SAVE") => options.save = true,
                word if is(word, "NOW") => options.now = true,
                word if is(word, "FORCE") => options.force = true,
                word if is(word, "ABORT") => options.abort = true,
                _ => return Err(SYNTAX),
            }
        }
        let Shutdown { save, no_save, now, force, abort } = options;
        if (abort && (save || no_save || now || force)) || (save && no_save) {
            return Err(SYNTAX);
        }
        Ok(options)
    }
}

fn shutdown(context: &mut Context<'_, '_>, call: &Call<'_>, _: &mut Reply<'_>) -> Result<After, CommandError> {
    let options = Shutdown::parse(call)?;
    if options.abort {
        // A shutdown does not wait for anything that could give time to call it off.
        return Err(NO_SHUTDOWN);
    }
    if context.server.store.log().is_read_only() && !options.no_save && !options.force {
        return Err(SHUTDOWN_FAILED);
    }
    Ok(After::Shutdown)
}

/// What follows when all that was written so far is to be durable before the reply leaves.
fn make_durable(context: &Context<'_, '_>) -> Result<After, CommandError> {
    let log = context.server.store.log();
    if log.is_read_only() { Err(READ_ONLY) } else { Ok(After::Durable(log.appended())) }
}

/// Notes that everything is saved, and has a checkpoint taken.
fn note_save(context: &Context<'_, '_>, call: &Call<'_>) {
    context.server.store.request_checkpoint();
    context.server.last_save.store((call.now_ms / 1000) as i64, Ordering::Relaxed);
    let frames = context.server.store.log().counters().frames.load(Ordering::Relaxed);
    context.server.saved_frames.store(frames, Ordering::Relaxed);
}

/// A timeout in milliseconds, 0 for ever.
fn timeout(call: &Call<'_>, argument: usize) -> Result<u64, CommandError> {
    let timeout = exact_integer(call.arg(argument)).ok_or(TIMEOUT)?;
    let timeout_ms = u64::try_from(timeout).map_err(|_| NEGATIVE_TIMEOUT)?;
    match call.now_ms.checked_add(timeout_ms) {
        Some(end_ms) if i64::try_from(end_ms).is_ok() => Ok(timeout_ms),
        _ => Err(TIMEOUT_RANGE),
    }
}
