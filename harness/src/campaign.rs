//! Many kills or power cuts in a row, over many stores.

use std::path::PathBuf;
use std::time::Duration;

use crate::aim::{Aim, Shot};
use crate::clock;
use crate::error::{Failure, Result};
use crate::fault;
use crate::process::{self, Server};
use crate::random::Random;
use crate::report::Counters;
use crate::rules::{Rule, Violation};
use crate::store::{Plan, PowerCut, Store, Until};

/// How long a failpoint is waited for.
const LONGEST_LIFE: Duration = Duration::from_secs(3);

/// What to do how often.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The store and its load.
    pub plan: Plan,
    /// Decides everything but the scheduling of processes.
    pub seed: u64,
    /// Kills under enough load; of those that are aimed at failpoints, deaths there.
    pub kills: u64,
    /// The failpoints at which servers die; without it they are killed at any moment.
    pub aim: Option<Aim>,
    /// Kills before a store is given up for a fresh one.
    pub kills_per_store: u64,
    /// Shortest and longest load before a kill.
    pub load: (Duration, Duration),
    /// Answered writes a second below which a kill does not count.
    pub min_rate: f64,
    /// Count violations and go on: for servers that are known to break rules.
    pub keep_going: bool,
    /// Where notes of a violation go; the store is left where it is. Without it neither is kept.
    pub notes: Option<PathBuf>,
}

impl Campaign {
    /// The usual: ten kills per store, 150 to 600 ms of load.
    pub fn new(plan: Plan, seed: u64, kills: u64) -> Self {
        let load = (Duration::from_millis(150), Duration::from_millis(600));
        let notes = Some(std::env::temp_dir());
        Self { plan, seed, kills, aim: None, kills_per_store: 10, load, min_rate: 0.0, keep_going: false, notes }
    }

    /// Kills until there are enough, or a rule is broken. The figures go to `counters`, the broken rules come back.
    pub fn run(&self, counters: &mut Counters) -> Result<Vec<Violation>> {
        let (begin, mut random) = (clock::now(), Random::new(self.seed));
        let mut broken = Vec::new();
        let mut done = Counters { seeds: vec![self.seed], ..Counters::default() };
        let mut aim = self.aim.clone();
        // What is not reached is shown, too.
        done.by_failpoint.extend(aim.iter().flat_map(Aim::names).map(|name| (name.to_owned(), 0)));
        while !self.is_done(&done) {
            done.stores += 1;
            let run = u32::try_from(done.stores).unwrap_or(u32::MAX);
            let mut store = Store::new(self.plan.clone(), run, random.fork())?;
            let found = self.run_store(&mut store, &mut random, &mut aim, &mut done)?;
            let stop = !found.is_empty() && !self.keep_going;
            broken.extend(found);
            if stop {
                if let Some(notes) = &self.notes {
                    store.keep_with_notes(notes, self.seed, &broken)?;
                }
                break;
            }
        }
        done.seconds = (clock::now() - begin).as_secs_f64();
        counters.merge(&done);
        Ok(broken)
    }

    /// Whether there were kills enough. Too quiet a machine, or failpoints that nobody comes to, must not keep us here for ever.
    fn is_done(&self, done: &Counters) -> bool {
        let lives = done.kills + done.quiet_kills + done.deaths_before_load;
        match self.aim {
            None => done.kills >= self.kills || lives >= 2 * self.kills,
            Some(_) => done.deaths() >= self.kills || lives >= 4 * self.kills,
        }
    }

    fn run_store(
        &self,
        store: &mut Store,
        random: &mut Random,
        aim: &mut Option<Aim>,
        done: &mut Counters,
    ) -> Result<Vec<Violation>> {
        let mut all = Vec::new();
        for _ in 0..self.kills_per_store {
            if self.is_done(done) {
                break;
            }
            if let Some(aim) = aim {
                let shot = aim.choose(random);
                let before = done.deaths();
                let found = self.shoot(store, shot, done)?;
                aim.learn(shot, done.deaths() > before);
                let stop = !found.is_empty() && !self.keep_going;
                all.extend(found);
                if stop {
                    return Ok(all);
                }
                continue;
            }
            let mut server = match store.start()? {
                Ok(server) => server,
                Err(violation) => return Ok(self.fatal(violation, all, done)),
            };
            let found = self.judge(store, &server, done)?;
            let stop = !found.is_empty() && !self.keep_going;
            all.extend(found);
            if stop {
                return Ok(all);
            }
            let (low, high) = (self.load.0.as_millis() as u64, self.load.1.as_millis() as u64);
            let after = Duration::from_millis(random.between(low, high));
            let by_cut = self.plan.on_volume;
            let until = if by_cut { Until::Cut(PowerCut::after(after, random)) } else { Until::Kill(after) };
            let figures = store.load(&mut server, until)?;
            done.add_kill(&figures, self.min_rate);
            if random.one_in(8) {
                let delay = Duration::from_micros(random.between(0, 20_000));
                if by_cut {
                    store.cut_recovery(delay)?
                } else {
                    store.kill_recovery(delay)?
                }
                done.recovery_kills += 1;
            }
        }
        self.close_store(store, all, done)
    }

    /// A life that ends at a failpoint, if that is reached: else with a kill, like any other.
    fn shoot(&self, store: &mut Store, shot: Shot, done: &mut Counters) -> Result<Vec<Violation>> {
        let mut launch = store.launch();
        launch.env.push(fault::kill_at(shot.name, shot.hit));
        let mut server = launch.spawn()?;
        let found = match server.wait_until_serving() {
            Ok(()) => self.judge(store, &server, done),
            Err(failure) => Err(failure),
        };
        let died_early =
            found.is_err() && server.wait_for_end(Duration::from_secs(5))?.is_some_and(process::was_killed);
        let found = match found {
            Err(_) if died_early => {
                *done.by_failpoint.entry(shot.name.to_owned()).or_default() += 1;
                done.deaths_before_load += 1;
                return Ok(Vec::new());
            }
            // Somebody else has taken the port.
            Err(Failure::Start { output, .. }) if output.contains("in use") => return Ok(Vec::new()),
            Err(failure @ Failure::Start { .. }) => {
                let violation = Violation::new(Rule::Serves, "server", failure.to_string());
                return Ok(self.fatal(violation, Vec::new(), done));
            }
            found => found?,
        };
        if !found.is_empty() && !self.keep_going {
            return Ok(found);
        }
        let figures = store.load(&mut server, Until::Death(LONGEST_LIFE))?;
        done.add_kill(&figures, self.min_rate);
        *done.by_failpoint.entry(shot.name.to_owned()).or_default() += u64::from(figures.died);
        Ok(found)
    }

    /// The last kill is judged too, then the store is opened twice more.
    fn close_store(&self, store: &mut Store, mut all: Vec<Violation>, done: &mut Counters) -> Result<Vec<Violation>> {
        let server = match store.start()? {
            Ok(server) => server,
            Err(violation) => return Ok(self.fatal(violation, all, done)),
        };
        all.extend(self.judge(store, &server, done)?);
        if all.is_empty() || self.keep_going {
            let found = store.reopen_twice(server)?;
            done.add_violations(&found);
            all.extend(found);
        }
        Ok(all)
    }

    fn judge(&self, store: &mut Store, server: &Server, done: &mut Counters) -> Result<Vec<Violation>> {
        // No fault is planned here that a server could report: an error that the model does not know is a wrong reply.
        let refusal =
            store.refusal().map(|text| Violation::new(Rule::WrongReply, "clients", format!("refused: {text}")));
        let mut found = store.judge(server)?;
        found.extend(refusal);
        store.loss().into_iter().for_each(|loss| done.add_loss(loss));
        done.add_violations(&found);
        if !found.is_empty() && self.keep_going {
            store.forgive(server)?;
        }
        Ok(found)
    }

    fn fatal(&self, violation: Violation, mut all: Vec<Violation>, done: &mut Counters) -> Vec<Violation> {
        done.add_violations(std::slice::from_ref(&violation));
        all.push(violation);
        all
    }
}
