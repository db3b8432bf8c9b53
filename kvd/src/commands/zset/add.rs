//! ZADD, ZINCRBY, and how GEOADD adds too.

use std::collections::HashMap;

use engine::listener::Class;
use engine::value::op::{self, Op};
use engine::{Key, Transaction};

use super::super::args::is;
use super::super::error::{NOT_FLOAT, SCORE_NAN, SYNTAX, ZADD_GT_LT_NX, ZADD_INCR, ZADD_NX_XX};
use super::super::{Call, CommandError, Done, Reply};
use super::number::without_sign;
use super::{number, zset};

/// How members are added.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Adding {
    /// NX: only members that are not there.
    pub(in crate::commands) absent: bool,
    /// XX: only members that are there.
    pub(in crate::commands) present: bool,
    /// CH: members with another score are counted too.
    pub(in crate::commands) counts_changed: bool,
    /// GT: a score may only rise.
    rises: bool,
    /// LT: a score may only fall.
    falls: bool,
    /// INCR: to the score there is.
    increments: bool,
}

/// What became of the members.
#[derive(Default)]
struct Added {
    new: i64,
    changed: i64,
    /// The last score, unless a condition kept it from being stored.
    score: Option<f64>,
}

impl Adding {
    /// Reads the options from argument 2 on, and where the scores and members begin.
    fn parse(call: &Call<'_>) -> (Adding, usize) {
        let mut adding = Adding::default();
        let mut at = 2;
        while at < call.len() {
            let word = call.arg(at);
            // A score has no two letters that an option has.
            let option = [
                ("NX", &mut adding.absent),
                ("XX", &mut adding.present),
                ("CH", &mut adding.counts_changed),
                ("GT", &mut adding.rises),
                ("LT", &mut adding.falls),
                ("INCR", &mut adding.increments),
            ]
            .into_iter()
            .find_map(|(name, option)| is(word, name).then_some(option));
            match option {
                Some(option) => *option = true,
                None => break,
            }
            at += 1;
        }
        (adding, at)
    }

    fn check(&self, pairs: usize) -> Done {
        if self.absent && self.present {
            return Err(ZADD_NX_XX);
        }
        if self.absent && (self.rises || self.falls) || self.rises && self.falls {
            return Err(ZADD_GT_LT_NX);
        }
        if self.increments && pairs > 1 {
            return Err(ZADD_INCR);
        }
        Ok(())
    }

    /// Whether all is added, whatever is there.
    fn is_plain(&self) -> bool {
        !(self.absent || self.present || self.rises || self.falls || self.increments)
    }

    /// Adds members to the sorted set at a key, and answers what became of them.
    pub(in crate::commands) fn carry_out(
        &self,
        transaction: &mut Transaction<'_>,
        key: &Key<'_>,
        pairs: &[(f64, &[u8])],
        reply: &mut Reply<'_>,
    ) -> Done {
        let mut op = Op::new(op::ZSET_ADD);
        let mut added = Added::default();
        if self.is_plain() {
            for (score, member) in pairs {
                op.score(without_sign(*score)).element(member);
            }
        } else {
            added = self.select(transaction, key, pairs, &mut op)?;
        }
        if !op.is_empty() {
            let event = if self.increments { "zincr" } else { "zadd" };
            let applied = transaction.apply_and_tell(key, &op, Class::SortedSet, event)?;
            (added.new, added.changed) = (applied.added as i64, applied.changed as i64);
        }
        match added.score {
            _ if !self.increments => reply.integer(if self.counts_changed { added.changed } else { added.new }),
            Some(score) => reply.write().double(score),
            None => reply.null(),
        }
        Ok(())
    }

    /// Puts what the conditions let through into the operation.
    fn select<'p>(
        &self,
        transaction: &mut Transaction<'_>,
        key: &Key<'_>,
        pairs: &[(f64, &'p [u8])],
        op: &mut Op,
    ) -> Result<Added, CommandError> {
        let present = zset(transaction.get(key))?;
        let mut added = Added::default();
        // A member may come twice: the second time it is there.
        let mut given: HashMap<&'p [u8], f64> = HashMap::new();
        for &(score, member) in pairs {
            let old = given.get(member).copied().or_else(|| present.as_ref()?.score(member));
            if let Some(score) = self.wanted(old, score)? {
                op.score(without_sign(score)).element(member);
                added.score = Some(score);
                if pairs.len() > 1 {
                    given.insert(member, score);
                }
            }
        }
        Ok(added)
    }

    /// The score that a member is to have, if it is to be touched.
    fn wanted(&self, old: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else { return Ok(Some(score).filter(|_| !self.present)) };
        if self.absent {
            return Ok(None);
        }
        let new = if self.increments { old + score } else { score };
        if new.is_nan() {
            return Err(SCORE_NAN);
        }
        let is_kept = self.rises && new <= old || self.falls && new >= old;
        Ok(Some(new).filter(|_| !is_kept))
    }
}

pub(super) fn zadd(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    add(transaction, call, reply, false)
}

pub(super) fn zincrby(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    add(transaction, call, reply, true)
}

fn add(transaction: &mut Transaction<'_>, call: &Call<'_>, reply: &mut Reply<'_>, increments: bool) -> Done {
    let (mut adding, first) = Adding::parse(call);
    adding.increments |= increments;
    let words = call.len() - first;
    if words == 0 || words % 2 == 1 {
        return Err(SYNTAX);
    }
    adding.check(words / 2)?;
    let pair = |at: usize| Ok((number(call.arg(at)).ok_or(NOT_FLOAT)?, call.arg(at + 1)));
    if words == 2 {
        return adding.carry_out(transaction, &call.keys[0], &[pair(first)?], reply);
    }
    let pairs = (first..call.len()).step_by(2).map(pair).collect::<Result<Vec<_>, CommandError>>()?;
    adding.carry_out(transaction, &call.keys[0], &pairs, reply)
}
