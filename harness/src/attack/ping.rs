//! Well-behaved clients while others attack: PINGs at times that were fixed before, answered whenever they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Address, Client};
use crate::clock;
use crate::error::Result;
use crate::scenario::probe::Latencies;
use crate::wire::Reply;

/// Time between two PINGs of one client.
const PERIOD: Duration = Duration::from_millis(2);
/// Connections: a server with several threads may have each on another.
const CLIENTS: usize = 2;
/// Longest wait for an answer. One that takes longer is none.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What they have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// From when a PING should have been sent to its answer.
    pub latencies: Latencies,
    /// Why one was not answered.
    pub broken: Option<String>,
}

/// When each PING that was answered should have been sent, and how long that took; and why one was not.
type Answers = (Vec<(Instant, u32)>, Option<String>);

/// Clients that ping until they are told to stop.
pub struct Pings {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Answers>>,
}

impl Pings {
    /// Begins.
    pub fn start(address: &Address) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let (mut client, stop) = (Client::connect(address, PATIENCE)?, stop.clone());
            // Until it is answered it may be known to the kernel only, and come too late for what is prepared next.
            client.call(&[b"PING"])?;
            let replies = client.again()?;
            clients.push(std::thread::spawn(move || ping(client, replies, &stop)));
        }
        Ok(Self { stop, clients })
    }

    /// Ends when every PING that was sent is answered, or will not be. Those before `from` do not count.
    pub fn finish(self, from: Instant) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let (mut all_us, mut broken) = (Vec::new(), None);
        for client in self.clients {
            let (answers, why) = client.join().expect("a ping does not panic");
            all_us.extend(answers.into_iter().filter(|(intended, _)| *intended >= from).map(|(_, us)| us));
            broken = broken.or(why);
        }
        Seen { latencies: Latencies::new(all_us), broken }
    }
}

fn ping(mut client: Client, replies: Client, stop: &AtomicBool) -> Answers {
    let (sent, expected) = mpsc::channel();
    let reader = std::thread::spawn(move || read(replies, &expected));
    let mut intended = clock::now();
    while !stop.load(Ordering::Relaxed) {
        intended += PERIOD;
        std::thread::sleep(intended.saturating_duration_since(clock::now()));
        client.queue(&[b"PING"]);
        if client.flush().is_err() || sent.send(intended).is_err() {
            break; // The reader says why.
        }
    }
    drop(sent);
    reader.join().expect("a reader does not panic")
}

fn read(mut replies: Client, expected: &mpsc::Receiver<Instant>) -> Answers {
    let mut answers = Vec::new();
    for intended in expected {
        match replies.reply() {
            Ok(Reply::Simple(text)) if text == "PONG" => {
                let us = u32::try_from(intended.elapsed().as_micros()).unwrap_or(u32::MAX);
                answers.push((intended, us));
            }
            Ok(other) => return (answers, Some(format!("{other:?}"))),
            Err(error) => return (answers, Some(error.to_string())),
        }
    }
    (answers, None)
}
