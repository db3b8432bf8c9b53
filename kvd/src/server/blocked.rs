//! Clients that wait for an element, such as those of BLPOP.
//!
//! ```text
//!  BLPOP finds nothing ─► a waiter in the queue of each of its keys, while their locks are held
//!  a push commits ─► the thread that pushed tries the waiters of that key, the oldest first,
//!                    each in a transaction of its own ─► reply and position go to the waiter's connection
//! ```
//!
//! So an element goes to who has waited longest, before the next command of who pushed it. A waiter's state is locked while
//! it is tried, behind the locks of its keys: its time cannot run out halfway.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Item, Key, Lsn, Need, Refusal, Transaction};
use parking_lot::Mutex;
use resp::{Batch, Queue, Request, Version};
use tokio::sync::oneshot;

use super::Server;
use super::looks::measure_in;
use super::stopwatch;
use super::watch::Place;
use crate::acl::User;
use crate::commands::error;
use crate::commands::{Attempt, Call, Entry, Handler, Reply};
use crate::session::gate::Asker;
use crate::session::output::Output;
use crate::session::registry::Client;
use crate::session::{Session, gate};

/// How a wait ended.
pub enum Ended {
    /// With a reply, which waits for a position of the log.
    Served(Box<Output>, Lsn),
    /// CLIENT UNBLOCK, as if the time had run out.
    TimedOut,
    /// CLIENT UNBLOCK, with an error.
    Unblocked,
}

/// One client's wait.
pub struct Waiter {
    /// Who came earlier has a lower one.
    ticket: u64,
    batch: Batch,
    entry: &'static Entry,
    database: u8,
    version: Version,
    client: Arc<Client>,
    places: Vec<Place>,
    /// Where to say that it has ended; none when it was said.
    ended: Mutex<Option<oneshot::Sender<Ended>>>,
}

impl Waiter {
    fn waits_for(&self) -> &[Place] {
        waited_for(self.entry, &self.places)
    }

    /// Ends the wait; false when it has ended already.
    pub fn end(&self, how: Ended) -> bool {
        let sender = self.ended.lock().take();
        sender.is_some_and(|sender| sender.send(how).is_ok())
    }

    /// Its reply is an error.
    pub fn count_failure(&self) {
        self.entry.calls[2].fetch_add(1, Ordering::Relaxed);
    }

    /// Tries again what the client waits for. Whether its wait has ended.
    fn try_again(&self, server: &Server) -> bool {
        let Handler::Blocking(handler) = self.entry.command.handler else { return false };
        let request = self.batch.request(0);
        let keys: Vec<Key<'_>> = self.places.iter().map(|(_, key)| server.store.key(key)).collect();
        let now_ms = server.store.now_ms();
        let mut transaction = server.store.begin(self.database, &keys, now_ms);
        // Behind the locks of the keys: CLIENT UNBLOCK within EXEC holds some when it comes here.
        let mut ended = self.ended.lock();
        if ended.is_none() {
            return true;
        }
        let mut measure = |index, of: &dyn Fn(Item<'_>) -> u64| measure_in(&mut transaction, &keys, index, of);
        let bytes = gate::bytes_of(&request, usize::MAX) + self.entry.command.added_bytes(&request, &mut measure);
        // The element comes off one key: room for that is in the reserve. A disk that is only behind holds nobody up here,
        // for the next push would be the next chance.
        match server.store.admit(Need::Shrink, bytes) {
            Ok(()) | Err(Refusal::Stalled) => {}
            Err(_) => return false,
        }
        // What its user may do has perhaps changed since it was asked.
        let (user, _) = server.users.now(&self.client.user());
        if user.check(self.entry, &request).is_err() {
            let sender = ended.take();
            // Whoever ends the wait of a client locks the client first, and to tell of a client is to lock it too.
            drop(ended);
            transaction.commit();
            self.deny(&user, sender, server);
            return true;
        }
        let call = Call { is_retry: true, ..Call::new(self.entry, request, &keys, now_ms, server) };
        let mut output = Output::default();
        let started_us = server.clock.monotonic_us();
        transaction.read_at_once();
        engine::cold::take_missed();
        let attempt = handler(&mut transaction, &call, &mut Reply::new(&mut output, self.version));
        let attempt = if engine::cold::take_missed() { Err(error::UNREADABLE) } else { attempt };
        let gate = transaction.commit();
        match attempt {
            Ok(Attempt::Wait(_)) => return false,
            Ok(Attempt::Done) => {}
            Err(error) => {
                server.stats.count_error(&error.0);
                self.count_failure();
                output.rewind(0);
                Reply::new(&mut output, self.version).write().error(error.0.as_bytes());
            }
        }
        let took_us = server.clock.monotonic_us().saturating_sub(started_us);
        stopwatch::account(took_us, self.entry, &request, &self.client, server);
        if let Some(sender) = ended.take() {
            let _ = sender.send(Ended::Served(Box::new(output), gate));
        }
        true
    }

    /// Answers that its user may do no more what it waits for. It has not run, as if it had been refused when it came.
    fn deny(&self, user: &User, sender: Option<oneshot::Sender<Ended>>, server: &Server) {
        let request = self.batch.request(0);
        let Err(denied) = Asker { user, client: &self.client, in_multi: false }.check(self.entry, &request, server)
        else {
            return;
        };
        self.entry.calls[0].fetch_sub(1, Ordering::Relaxed);
        self.entry.calls[1].fetch_add(1, Ordering::Relaxed);
        server.stats.count_error(&denied.0);
        let mut output = Output::default();
        Reply::new(&mut output, self.version).write().error(denied.0.as_bytes());
        if let Some(sender) = sender {
            // Who has gone is told nothing.
            let _ = sender.send(Ended::Served(Box::new(output), 0));
        }
    }
}

/// The keys that a command waits for: all that it names, but for those where something goes.
fn waited_for<'a>(entry: &Entry, places: &'a [Place]) -> &'a [Place] {
    if entry.command.waits_for_first { &places[..places.len().min(1)] } else { places }
}

/// All who wait.
#[derive(Default)]
pub struct Blocked {
    waiting: AtomicUsize,
    queues: Mutex<Queues>,
}

/// Who waits for what, the oldest first.
#[derive(Default)]
struct Queues {
    by_key: HashMap<Place, BTreeMap<u64, Arc<Waiter>>>,
    next_ticket: u64,
}

impl Queues {
    fn remove(&mut self, waiter: &Waiter) {
        for place in waiter.waits_for() {
            if let Some(queue) = self.by_key.get_mut(place) {
                queue.remove(&waiter.ticket);
                if queue.is_empty() {
                    self.by_key.remove(place);
                }
            }
        }
    }

    /// Who waits for a key and came after that ticket.
    fn after(&self, place: &Place, ticket: Option<u64>) -> Option<Arc<Waiter>> {
        let from = ticket.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_key.get(place)?.range((from, Bound::Unbounded)).next().map(|(_, waiter)| waiter.clone())
    }
}

thread_local! {
    /// Keys that somebody waits for and that this thread has changed.
    static READY: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

impl Blocked {
    /// How many different keys are waited for.
    pub fn key_count(&self) -> usize {
        self.queues.lock().by_key.len()
    }

    /// Puts a client in the queues of its keys, whose locks are held.
    pub fn add(
        &self,
        entry: &'static Entry,
        request: &Request<'_>,
        keys: &[Key<'_>],
        session: &Session,
        server: &Server,
    ) -> (Arc<Waiter>, oneshot::Receiver<Ended>) {
        let mut queue = Queue::default();
        let kept = queue.push(request.iter());
        debug_assert!(kept, "a request that was received is shorter than a queue may be");
        let (sender, receiver) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        server.store.attention().add_changes(1);
        let mut queues = self.queues.lock();
        queues.next_ticket += 1;
        let waiter = Arc::new(Waiter {
            ticket: queues.next_ticket,
            batch: queue.into_batch(),
            entry,
            database: session.database,
            version: session.version,
            client: session.client.clone(),
            places: keys.iter().map(|key| (session.database, key.bytes.to_vec())).collect(),
            ended: Mutex::new(Some(sender)),
        });
        for place in waiter.waits_for() {
            queues.by_key.entry(place.clone()).or_default().insert(waiter.ticket, waiter.clone());
        }
        (waiter, receiver)
    }

    /// Forgets a client whose wait has ended.
    pub fn remove(&self, waiter: &Waiter, server: &Server) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        server.store.attention().add_changes(-1);
        self.queues.lock().remove(waiter);
    }

    /// Locks the keys of one who may have to wait. What is there goes first to those who have waited longer: who pushed it
    /// has perhaps not come to serving them yet.
    #[inline]
    pub fn begin_behind<'s>(
        &self,
        entry: &Entry,
        keys: &[Key<'_>],
        database: u8,
        now_ms: u64,
        server: &'s Server,
    ) -> Transaction<'s> {
        let mut transaction = server.store.begin(database, keys, now_ms);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return transaction;
        }
        let places: Vec<Place> = keys.iter().map(|key| (database, key.bytes.to_vec())).collect();
        let places = waited_for(entry, &places);
        while places.iter().zip(keys).any(|(place, key)| self.is_awaited(place) && transaction.get(key).is_some()) {
            transaction.commit();
            let served = places.iter().any(|place| self.serve_place(place, server));
            transaction = server.store.begin(database, keys, now_ms);
            if !served {
                // It is nothing that they could use.
                break;
            }
        }
        transaction
    }

    fn is_awaited(&self, place: &Place) -> bool {
        self.queues.lock().by_key.contains_key(place)
    }

    /// A key has changed, and its lock is held.
    pub fn note(&self, database: u8, key: &[u8]) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let place = (database, key.to_vec());
        if self.is_awaited(&place) {
            READY.with_borrow_mut(|ready| {
                if !ready.contains(&place) {
                    ready.push(place);
                }
            });
        }
    }

    /// Databases are others now: whatever is waited for may be there.
    pub fn note_all(&self, database: u8) {
        if self.waiting.load(Ordering::SeqCst) != 0 {
            let places =
                self.queues.lock().by_key.keys().filter(|place| place.0 == database).cloned().collect::<Vec<_>>();
            READY.with_borrow_mut(|ready| ready.extend(places));
        }
    }

    /// Gives what this thread has pushed to those who wait for it. No locks may be held.
    #[inline]
    pub fn serve(&self, server: &Server) {
        if self.waiting.load(Ordering::SeqCst) != 0 {
            self.serve_all(server);
        }
    }

    #[cold]
    fn serve_all(&self, server: &Server) {
        // Serving one may push to a key that another waits for.
        loop {
            let ready = READY.take();
            if ready.is_empty() {
                return;
            }
            ready.iter().for_each(|place| {
                self.serve_place(place, server);
            });
        }
    }

    /// Tries those who wait for a key, as long as it is there. Whether anybody's wait has ended.
    fn serve_place(&self, place: &Place, server: &Server) -> bool {
        let (mut ticket, mut served) = (None, false);
        loop {
            let Some(waiter) = self.queues.lock().after(place, ticket) else { return served };
            let key = server.store.key(&place.1);
            let mut transaction = server.store.begin(place.0, &[key], server.store.now_ms());
            let is_there = transaction.get(&key).is_some();
            transaction.commit();
            if !is_there {
                return served;
            }
            if waiter.try_again(server) {
                // Its connection will do so too, but until then others need not come by it.
                self.queues.lock().remove(&waiter);
                served = true;
            }
            ticket = Some(waiter.ticket);
        }
    }
}
