//! Has one attack done to one server, and takes down what it came to.

use std::sync::Arc;
use std::time::Duration;

use super::Attack;
use super::ping::{self, Pings};
use super::row::{Life, Row};
use super::scene::Scene;
use super::victim::{Kind, Victim};
use super::watch::{self, Halt, Watch};
use crate::client::{Address, Client};
use crate::clock;
use crate::error::Result;

/// Growth at which an attack is ended: the machine is to live on.
const FAR: u64 = 1 << 30;
/// The same beyond what a row with a larger limit may take.
const BEYOND: u64 = 256 << 20;
/// What an attack needs to be there is there by then.
const PREPARED_WITHIN: Duration = Duration::from_secs(600);
/// Memory that a server may keep from attack to attack before it is started anew.
const KEPT: u64 = 64 << 20;

/// How attacks are done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes for a test of seconds.
    pub small: bool,
    /// Seeds what is left to chance.
    pub seed: u64,
    /// Longest time of one attack.
    pub time: Duration,
    /// Arguments for servers that store.
    pub args: Vec<String>,
}

/// A server under one attack after the other. It is started anew when it has died or keeps much memory.
pub struct Siege {
    kind: Kind,
    options: Options,
    victim: Option<Victim>,
    first_memory: u64,
    /// How often it was started.
    pub starts: u64,
}

impl Siege {
    /// Of a server that is not started yet.
    pub fn new(kind: Kind, options: Options) -> Self {
        Self { kind, options, victim: None, first_memory: 0, starts: 0 }
    }

    /// Which server.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Does one attack.
    pub fn attack(&mut self, attack: &Attack) -> Result<Row> {
        let mut victim = match self.victim.take() {
            Some(victim) => victim,
            None => {
                let victim = Victim::start(&self.kind, &self.options.args)?;
                self.first_memory = watch::memory(victim.pid())?.0;
                self.starts += 1;
                victim
            }
        };
        let row = one(attack, &mut victim, &self.options)?;
        let keeps = watch::memory(victim.pid()).map_or(u64::MAX, |(now, _)| now.saturating_sub(self.first_memory));
        if row.life == Life::Alive && (keeps <= KEPT || attack.growth_limit > KEPT) {
            self.victim = Some(victim);
        } else if let Life::Dead(_) = row.life {
            eprintln!("{}: {} has died; its output ends: {}", attack.name, self.kind.name, victim.output());
        }
        Ok(row)
    }

    /// Bytes of memory beyond those of its start, if it lives; some time after the last attack.
    pub fn kept(&self) -> Option<i64> {
        let (now, _) = watch::memory(self.victim.as_ref()?.pid()).ok()?;
        Some(now as i64 - self.first_memory as i64)
    }
}

fn one(attack: &Attack, victim: &mut Victim, options: &Options) -> Result<Row> {
    let (pid, address) = (victim.pid(), victim.address()?);
    // Connected before anything happens: it has its password, whatever is wanted later.
    let mut keeper = victim.connect()?;
    keeper.call(&[b"PING"])?;
    let chance = (victim.kind.is_store, options.small, options.seed);
    let scene = |halt: &Arc<Halt>| Scene::new(address, pid, chance, halt.clone());
    // So do those who ping. What they see of the preparation does not count.
    let pings = Pings::start(&Address::Tcp(address))?;
    (attack.prepare)(&scene(&Arc::new(Halt::after(PREPARED_WITHIN))))?;
    let halt = Arc::new(Halt::after(options.time));
    let scene = scene(&halt);
    watch::forget_peak(pid)?;
    let (before, _) = watch::memory(pid)?;
    let watch = Watch::start(pid, before + FAR.max(attack.growth_limit + BEYOND), halt.clone());
    let start = clock::now();
    let done = (attack.run)(&scene);
    let seconds = start.elapsed().as_secs_f64();
    let seen = pings.finish(start);
    let peak = watch.finish();
    let halted = match done {
        Err(error) => Some(error.to_string()),
        Ok(()) if halt.is_over() => {
            Some(if peak > before + FAR { "it grew too far" } else { "no time left" }.to_owned())
        }
        Ok(()) => None,
    };
    let life = victim.life(&mut keeper);
    if life == Life::Alive && victim.kind.is_store {
        put_right(&mut keeper, victim)?;
    }
    let notes = scene.into_notes();
    Ok(Row {
        attack: attack.name,
        server: victim.kind.name.clone(),
        life,
        growth: peak.saturating_sub(before),
        growth_limit: attack.growth_limit + notes.stored,
        ping_p99_ms: seen.latencies.share_ms(0.99),
        ping_max_ms: seen.latencies.longest_ms(),
        pings: seen.latencies.count(),
        ping_broken: seen.broken,
        ends: notes.ends,
        figures: notes.figures,
        halted,
        seconds,
    })
}

/// Takes back what attacks leave behind: data, a password, settings.
fn put_right(keeper: &mut Client, victim: &Victim) -> Result<()> {
    keeper.call(&[b"CONFIG", b"SET", b"requirepass", b""])?;
    keeper.call(&[b"CONFIG", b"SET", b"maxclients", b"10000"])?;
    keeper.call(&[b"CONFIG", b"SET", b"maxmemory-clients", b"0"])?;
    let mut client = victim.connect()?;
    client.call(&[b"DEL", b"attack:drip", b"attack:0"])?;
    let keys: Vec<String> = (0..100).map(|index| format!("attack:{index}")).collect();
    let words: Vec<&[u8]> = std::iter::once(&b"DEL"[..]).chain(keys.iter().map(String::as_bytes)).collect();
    client.call(&words)?;
    client.call(&[b"SELECT", b"1"])?;
    client.call(&[b"FLUSHDB"])?;
    // What is freed behind, and connections that are closed behind: the next attack begins with what was before.
    let mut last = u64::MAX;
    clock::wait_until(ping::PATIENCE / 20, || {
        let now = watch::memory(victim.pid()).map_or(0, |(now, _)| now);
        let settled = now >= last;
        last = now;
        std::thread::sleep(Duration::from_millis(50));
        settled
    });
    Ok(())
}
