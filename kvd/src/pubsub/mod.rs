//! Who listens to what, and the way of a message to them.
//!
//! ```text
//!  PUBLISH, notification, monitored command ─► Hub: which workers have listeners ─► one Arc into the inbox of each
//!                                                                                         │
//!  outputs of the connections that listen ◄─ Worker::deliver, before its next batch ◄─────┘
//! ```
//!
//! * The table of subscriptions is shared, under one lock that publishers take for reading. When nobody listens a
//!   publisher does one relaxed load.
//! * What one thread publishes lies in an inbox in the order in which it was published.
//! * A worker empties its inbox before it runs a batch of a connection, so that what was published before a request came
//!   is delivered before the request runs: a message never reaches who subscribed after it, nor misses who unsubscribes
//!   after it.
//! * A connection that runs a request is not written to: what it publishes to itself follows the reply, as in Redis.
//!
//! Not done here: bounding what waits for one client, which is the business of its output.

pub mod monitor;
pub mod notify;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use engine::Lsn;
use parking_lot::{Mutex, RwLock};
use resp::Version;
use tokio::sync::Notify;

use crate::commands::Reply;
use crate::commands::glob::{self, Case};
use crate::session::output::Output;

/// With more than this in a worker's inbox PUBLISH waits, and what cannot wait is dropped and counted.
const INBOX_BYTES: usize = 64 << 20;
/// What a message in an inbox takes beside its texts.
const PER_MESSAGE: usize = 128;

/// Bytes of a channel's name that are compared with patterns again and again while the publisher's thread serves nobody else:
/// about half a millisecond.
const COMPARED_AT_ONCE: u64 = 1 << 18;
/// Each pattern counts as so many of them.
const PER_PATTERN: u64 = 16;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SUBSCRIBE
    Channel,
    /// PSUBSCRIBE
    Pattern,
    /// SSUBSCRIBE
    Shard,
}

/// What is delivered.
#[derive(Debug)]
pub enum Message {
    /// Something that was published.
    Published {
        /// To a channel or a shard channel.
        kind: Kind,
        /// Its name.
        channel: Bytes,
        /// What was published.
        payload: Bytes,
        /// The patterns with subscribers that fit.
        patterns: Vec<Bytes>,
        /// Nobody may see it before the log is safe up to here; 0 for nothing.
        lsn: Lsn,
    },
    /// A line for those who monitor, encoded.
    Line(Bytes),
}

/// All subscriptions, and the inboxes of the workers.
pub struct Hub {
    topics: RwLock<Topics>,
    /// How many subscriptions there are.
    subscriptions: AtomicUsize,
    /// How many connections monitor.
    monitors: AtomicUsize,
    /// Messages for which there was no room.
    dropped: AtomicU64,
    inboxes: Vec<Arc<Inbox>>,
}

type Names = HashMap<Bytes, Topic, rapidhash::fast::RandomState>;

#[derive(Default)]
struct Topics {
    channels: Names,
    patterns: Names,
    shards: Names,
    monitors: Topic,
}

/// Connections by worker.
#[derive(Default)]
struct Topic(Vec<(usize, Vec<u64>)>);

/// What waits to be delivered by one worker.
#[derive(Default)]
pub struct Inbox {
    messages: Mutex<Vec<Arc<Message>>>,
    bytes: AtomicUsize,
    pending: AtomicBool,
    /// Something has come.
    pub arrived: Notify,
}

impl Hub {
    /// Without subscriptions, for so many workers.
    pub fn new(workers: usize) -> Hub {
        Hub {
            topics: RwLock::default(),
            subscriptions: AtomicUsize::new(0),
            monitors: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            inboxes: (0..workers).map(|_| Arc::default()).collect(),
        }
    }

    /// The inbox of a worker.
    pub fn inbox(&self, worker: usize) -> &Arc<Inbox> {
        &self.inboxes[worker]
    }

    /// Whether nobody subscribes to anything.
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.subscriptions.load(Ordering::Relaxed) == 0
    }

    /// Whether anybody monitors.
    #[inline]
    pub fn is_monitored(&self) -> bool {
        self.monitors.load(Ordering::Relaxed) != 0
    }

    /// Whether a publisher that can wait should.
    pub fn is_congested(&self) -> bool {
        !self.is_silent() && self.inboxes.iter().any(|inbox| inbox.is_full())
    }

    /// Messages for which there was no room in an inbox.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A connection subscribes to what it has not subscribed to.
    pub fn subscribe(&self, kind: Kind, name: Bytes, worker: usize, id: u64) {
        self.topics.write().names_mut(kind).entry(name).or_default().insert(worker, id);
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection ends a subscription.
    pub fn unsubscribe(&self, kind: Kind, name: &Bytes, worker: usize, id: u64) {
        let mut topics = self.topics.write();
        let names = topics.names_mut(kind);
        if let Some(topic) = names.get_mut(name) {
            topic.remove(worker, id);
            if topic.0.is_empty() {
                names.remove(name);
            }
            self.subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A connection begins to monitor, or ends it.
    pub fn monitor(&self, begins: bool, worker: usize, id: u64) {
        let mut topics = self.topics.write();
        if begins {
            topics.monitors.insert(worker, id);
            self.monitors.fetch_add(1, Ordering::Relaxed);
        } else {
            topics.monitors.remove(worker, id);
            self.monitors.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Publishes to a channel or a shard channel; how many times it is delivered.
    pub fn publish(&self, kind: Kind, channel: Bytes, payload: Bytes, lsn: Lsn) -> usize {
        self.publish_at_once(kind, &channel, &payload, lsn).unwrap_or_else(|| {
            // Not under the lock, or who subscribes would wait.
            let mut patterns: Vec<Bytes> = self.topics.read().patterns.keys().cloned().collect();
            patterns.retain(|pattern| glob::matches(pattern, &channel, Case::Exact));
            self.post(&self.topics.read(), Message::Published { kind, channel, payload, patterns, lsn })
        })
    }

    /// The same, unless it takes long to hold the name of the channel against all patterns: then it does nothing.
    pub fn publish_at_once(&self, kind: Kind, channel: &Bytes, payload: &Bytes, lsn: Lsn) -> Option<usize> {
        if self.is_silent() {
            return Some(0);
        }
        let topics = self.topics.read();
        let patterns = if kind == Kind::Channel { topics.fitting(channel)? } else { Vec::new() };
        let (channel, payload) = (channel.clone(), payload.clone());
        Some(self.post(&topics, Message::Published { kind, channel, payload, patterns, lsn }))
    }

    /// Hands a message to the workers with receivers; how many receivers there are.
    fn post(&self, topics: &Topics, message: Message) -> usize {
        let mut workers = vec![false; self.inboxes.len()];
        let mut receivers = 0;
        topics.each_of(&message, |topic, _| {
            for (worker, ids) in &topic.0 {
                workers[*worker] = true;
                receivers += ids.len();
            }
        });
        if receivers > 0 {
            // Under the lock: who subscribes from here on is none of the receivers.
            self.send(message, workers.into_iter().enumerate().filter_map(|(worker, has)| has.then_some(worker)));
        }
        receivers
    }

    /// Shows a line to all who monitor.
    pub fn show(&self, line: Bytes) {
        let topics = self.topics.read();
        self.send(Message::Line(line), topics.monitors.0.iter().map(|(worker, _)| *worker));
    }

    fn send(&self, message: Message, workers: impl Iterator<Item = usize>) {
        let message = Arc::new(message);
        for worker in workers {
            if !self.inboxes[worker].push(&message) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Calls `deliver` for every connection of a worker that a message is for, and with the pattern through which.
    pub fn receivers(&self, message: &Message, worker: usize, mut deliver: impl FnMut(u64, Option<&Bytes>)) {
        self.topics.read().each_of(message, |topic, pattern| {
            let ids = topic.0.iter().find(|(other, _)| *other == worker);
            ids.into_iter().flat_map(|(_, ids)| ids).for_each(|id| deliver(*id, pattern));
        });
    }

    /// Calls `each` for every subscription of every connection.
    pub fn each(&self, mut each: impl FnMut(Kind, &[u8], u64)) {
        let topics = self.topics.read();
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for (name, topic) in topics.names(kind) {
                topic.0.iter().flat_map(|(_, ids)| ids).for_each(|id| each(kind, name, *id));
            }
        }
    }

    /// How many different names are subscribed to.
    pub fn count(&self, kind: Kind) -> usize {
        self.topics.read().names(kind).len()
    }

    /// The names that are subscribed to and fit a pattern, or all.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let fits = |name: &&Bytes| pattern.is_none_or(|pattern| glob::matches(pattern, name, Case::Exact));
        self.topics.read().names(kind).keys().filter(fits).cloned().collect()
    }

    /// How many connections subscribe to a name.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.topics.read().names(kind).get(name).map_or(0, |topic| topic.0.iter().map(|(_, ids)| ids.len()).sum())
    }
}

impl Topics {
    /// The patterns that a channel's name fits; `None`: to find out takes long.
    fn fitting(&self, channel: &[u8]) -> Option<Vec<Bytes>> {
        let mut left = COMPARED_AT_ONCE.checked_sub(PER_PATTERN * self.patterns.len() as u64)?;
        let mut fitting = Vec::new();
        for pattern in self.patterns.keys() {
            if glob::matches_within(pattern, channel, Case::Exact, &mut left)? {
                fitting.push(pattern.clone());
            }
        }
        Some(fitting)
    }

    /// Calls `each` with whom a message is for, and the pattern through which.
    fn each_of<'m>(&self, message: &'m Message, mut each: impl FnMut(&Topic, Option<&'m Bytes>)) {
        match message {
            Message::Line(_) => each(&self.monitors, None),
            Message::Published { kind, channel, patterns, .. } => {
                self.names(*kind).get(channel).into_iter().for_each(|topic| each(topic, None));
                for pattern in patterns {
                    self.patterns.get(pattern).into_iter().for_each(|topic| each(topic, Some(pattern)));
                }
            }
        }
    }

    fn names(&self, kind: Kind) -> &Names {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    fn names_mut(&mut self, kind: Kind) -> &mut Names {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }
}

impl Topic {
    fn insert(&mut self, worker: usize, id: u64) {
        match self.0.iter_mut().find(|(other, _)| *other == worker) {
            Some((_, ids)) => ids.push(id),
            None => self.0.push((worker, vec![id])),
        }
    }

    fn remove(&mut self, worker: usize, id: u64) {
        if let Some(place) = self.0.iter().position(|(other, _)| *other == worker) {
            let ids = &mut self.0[place].1;
            if let Some(at) = ids.iter().position(|other| *other == id) {
                ids.swap_remove(at);
            }
            if ids.is_empty() {
                self.0.swap_remove(place);
            }
        }
    }
}

impl Inbox {
    /// Whether there is anything to deliver.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes everything, in the order in which it came.
    pub fn take(&self) -> Vec<Arc<Message>> {
        let mut messages = self.messages.lock();
        self.pending.store(false, Ordering::Release);
        self.bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut messages)
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > INBOX_BYTES
    }

    /// Puts a message behind the others, if there is room.
    fn push(&self, message: &Arc<Message>) -> bool {
        let mut messages = self.messages.lock();
        if self.is_full() {
            return false;
        }
        self.bytes.fetch_add(message.bytes(), Ordering::Relaxed);
        messages.push(message.clone());
        if !self.pending.swap(true, Ordering::Release) {
            self.arrived.notify_one();
        }
        true
    }
}

impl Message {
    fn bytes(&self) -> usize {
        PER_MESSAGE
            + match self {
                Message::Published { channel, payload, .. } => channel.len() + payload.len(),
                Message::Line(line) => line.len(),
            }
    }

    /// Writes it to the output of a connection, which it reaches through this pattern or without one.
    pub fn write(&self, pattern: Option<&Bytes>, output: &mut Output, version: Version) {
        let (kind, channel, payload, lsn) = match self {
            Message::Published { kind, channel, payload, lsn, .. } => (*kind, channel, payload, *lsn),
            Message::Line(line) => {
                output.tail().extend_from_slice(line);
                output.gate(0);
                return;
            }
        };
        let mut reply = Reply::new(output, version);
        let mut out = reply.write();
        match pattern {
            Some(pattern) => {
                out.push(4);
                out.bulk(b"pmessage");
                out.bulk(pattern);
            }
            None => {
                out.push(3);
                out.bulk(if kind == Kind::Shard { b"smessage" } else { b"message" });
            }
        }
        out.bulk(channel);
        reply.bytes(payload);
        output.gate(lsn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn received(hub: &Hub, worker: usize) -> Vec<(u64, Option<Bytes>, Bytes)> {
        let mut all = Vec::new();
        for message in hub.inbox(worker).take() {
            let Message::Published { payload, .. } = &*message else { continue };
            hub.receivers(&message, worker, |id, pattern| all.push((id, pattern.cloned(), payload.clone())));
        }
        all
    }

    #[test]
    fn one_message_reaches_each_worker_with_subscribers() {
        let hub = Hub::new(3);
        assert_eq!(hub.publish(Kind::Channel, bytes("a"), bytes("nobody"), 0), 0);
        hub.subscribe(Kind::Channel, bytes("a"), 0, 1);
        hub.subscribe(Kind::Channel, bytes("a"), 2, 2);
        hub.subscribe(Kind::Pattern, bytes("?"), 2, 2);
        hub.subscribe(Kind::Shard, bytes("a"), 1, 3);
        assert_eq!(hub.publish(Kind::Channel, bytes("a"), bytes("x"), 0), 3);
        assert_eq!(hub.publish(Kind::Channel, bytes("b"), bytes("y"), 0), 1);
        assert_eq!(hub.publish(Kind::Shard, bytes("a"), bytes("z"), 0), 1);
        assert_eq!(received(&hub, 0), [(1, None, bytes("x"))]);
        assert_eq!(received(&hub, 1), [(3, None, bytes("z"))]);
        let through = |text| (2, Some(bytes("?")), bytes(text));
        assert_eq!(received(&hub, 2), [(2, None, bytes("x")), through("x"), through("y")]);
        assert!(!hub.inbox(2).is_pending());
    }

    #[test]
    fn nothing_is_left_of_those_who_went() {
        let hub = Hub::new(1);
        for (kind, name) in [(Kind::Channel, "a"), (Kind::Pattern, "a*"), (Kind::Shard, "a")] {
            hub.subscribe(kind, bytes(name), 0, 1);
            assert_eq!((hub.count(kind), hub.subscribers(kind, name.as_bytes())), (1, 1));
            hub.unsubscribe(kind, &bytes(name), 0, 1);
            assert_eq!((hub.count(kind), hub.subscribers(kind, name.as_bytes())), (0, 0));
        }
        assert!(hub.is_silent());
    }

    #[test]
    fn a_message_waits_for_its_position_of_the_log() {
        let mut output = Output::default();
        let (channel, payload) = (bytes("__keyspace@0__:k"), bytes("del"));
        let message = Message::Published { kind: Kind::Channel, channel, payload, patterns: Vec::new(), lsn: 7 };
        message.write(None, &mut output, Version::Resp3);
        assert_eq!((output.releasable(6), output.waits_for()), (0, Some(7)));
        assert_eq!(output.releasable(7), ">3\r\n$7\r\nmessage\r\n$16\r\n__keyspace@0__:k\r\n$3\r\ndel\r\n".len());
    }

    #[test]
    fn an_inbox_has_a_limit() {
        let hub = Hub::new(1);
        hub.subscribe(Kind::Channel, bytes("a"), 0, 1);
        let large = Bytes::from(vec![0; INBOX_BYTES]);
        hub.publish(Kind::Channel, bytes("a"), large, 0);
        assert!(hub.is_congested());
        hub.publish(Kind::Channel, bytes("a"), bytes("x"), 0);
        assert_eq!((received(&hub, 0).len(), hub.dropped()), (1, 1));
        assert!(!hub.is_congested());
    }
}
