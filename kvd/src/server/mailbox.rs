//! How other threads reach a worker: by message, and by waking the task that releases replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::log::Interest;
use tokio::sync::{Notify, mpsc};

use super::socket::Socket;

/// What can be sent to a worker.
pub enum Message {
    /// A new connection.
    Serve(Socket),
    /// Close this one.
    Kill(u64),
    /// The process ends: run nothing more, send what is safe, then drop the sender.
    Drain(mpsc::Sender<()>),
}

/// How others reach a worker.
#[derive(Clone)]
pub struct Mailbox {
    sender: mpsc::UnboundedSender<Message>,
    load: Arc<AtomicUsize>,
    wake: Arc<Wake>,
}

/// Wakes the release task, at most once until it has run.
#[derive(Default)]
pub struct Wake {
    /// Something is to be released.
    pub notify: Notify,
    /// Whether any connection waits for the log: a flusher's progress interests nobody otherwise.
    pub waiting: Interest,
}

impl Mailbox {
    /// A mailbox of a worker with this number of connections, which this wakes; and the worker's end.
    pub fn new(load: Arc<AtomicUsize>, wake: Arc<Wake>) -> (Mailbox, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Mailbox { sender, load, wake }, receiver)
    }

    /// Sends a message; lost when the worker has ended.
    pub fn send(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// Connections it serves.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// A connection was handed over.
    pub fn add_load(&self) {
        self.load.fetch_add(1, Ordering::Relaxed);
    }

    /// The log has moved.
    pub fn progress(&self) {
        if self.wake.waiting.is_declared() {
            self.wake.notify.notify_one();
        }
    }
}
