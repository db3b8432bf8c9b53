//! What remains to be done when a handler has returned, for the connection to carry out.

use engine::cold::{Fetched, Want};
use engine::{Lsn, Transaction};

use super::error::CommandError;
use super::{Context, Reply};
use crate::server::Server;
/// What remains to be done when a [`ServerHandler`](super::ServerHandler) has returned.
#[derive(Debug)]
pub enum After {
    /// Nothing: the reply is complete.
    Reply,
    /// The reply may leave when the log is safe up to here, as the mode demands.
    Gate(Lsn),
    /// The reply may leave when the log is durable up to here, whatever the mode.
    Durable(Lsn),
    /// WAITAOF: answer when the log is durable up to here or the time (0: no limit) is over.
    WaitDurable {
        /// The position.
        lsn: Lsn,
        /// Replicas are asked for too; there are none, so the time runs out.
        replicas: bool,
        /// Milliseconds, 0 for ever.
        timeout_ms: u64,
    },
    /// Wait, then answer an integer: WAIT without replicas.
    WaitReplicas {
        /// Milliseconds, 0 for ever.
        timeout_ms: u64,
    },
    /// The reply may leave when so many milliseconds are over.
    Sleep(u64),
    /// Do this on another thread, for it waits for the disk, then answer OK or the error.
    Elsewhere(Errand),
    /// Send what there is, then close the connection.
    Close,
    /// End the process cleanly.
    Shutdown,
    /// Run what was queued, all or nothing.
    Exec,
    /// Go on with these, then answer.
    Slices(Box<dyn Slices>),
    /// The log had no place at this moment and nothing was done: run it again a little later.
    Again,
    /// It would take long and nothing was done: run it apart.
    Apart,
}

/// What is done on another thread.
pub struct Errand(pub Box<dyn FnOnce() -> Result<(), CommandError> + Send>);

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Errand")
    }
}

/// A command that takes long, cut into slices between which other clients are served.
pub trait Slices: Send {
    /// Does some of it. Within EXEC, in its transaction.
    fn step(&mut self, server: &Server, held: Option<&mut Transaction<'_>>) -> Step;

    /// Takes the values that a step has wanted; what has changed meanwhile is left out.
    fn bring(&mut self, _fetched: Vec<Fetched>) {}

    /// Answers when all is done. The position that the reply waits for.
    fn finish(
        self: Box<Self>,
        server: &Server,
        held: Option<&mut Transaction<'_>>,
        reply: &mut Reply<'_>,
    ) -> Result<Lsn, CommandError>;
}

impl std::fmt::Debug for dyn Slices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slices")
    }
}

/// What a slice has left to do.
#[derive(Debug)]
pub enum Step {
    /// Nothing.
    Done,
    /// More.
    More,
    /// The same again, a little later: the disk is behind.
    Stalled,
    /// More, when these values were read, which lie in the log only, and brought. Not within EXEC; one that is asked again before
    /// wants the same.
    Wants(Vec<Want>),
    /// It cannot go on.
    Failed(CommandError),
}

/// Runs slices: at once within EXEC and when one is enough, else as the connection finds time.
pub(super) fn run_slices(
    mut slices: Box<dyn Slices>,
    context: &mut Context<'_, '_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    loop {
        match slices.step(context.server, context.held.as_deref_mut()) {
            Step::Done => {
                let gate = slices.finish(context.server, context.held.as_deref_mut(), reply)?;
                return Ok(After::Gate(gate));
            }
            Step::More | Step::Stalled | Step::Wants(_) if context.held.is_none() => return Ok(After::Slices(slices)),
            Step::More | Step::Stalled | Step::Wants(_) => {}
            Step::Failed(error) => return Err(error),
        }
    }
}
