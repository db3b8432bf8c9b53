//! Carries commands out as a server does: a worker of a server that listens nowhere, at the other end of a socket.
//!
//! ```text
//!  import ── commands ──► socket ──► worker: gate, table, transactions      one thread writes, another reads the replies,
//!         ◄─ the first error ─ replies ◄──┘                                 so that neither end waits for the other
//! ```

use std::collections::VecDeque;
use std::io::{self, BufWriter, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::BytesMut;
use engine::Store;
use engine::clock::Clock;
use resp::{Frame, ReplyCodec, Version, encode_request};
use tokio_util::codec::Decoder;

use super::stream::Command;
use crate::config::{MaxMemory, Secret, Settings};
use crate::server::listen::Listeners;
use crate::server::loading::LateStore;
use crate::server::mailbox::Message;
use crate::server::socket::Socket;
use crate::server::{Server, thread};
use crate::tools::Failure;

/// Commands whose replies have not been read.
const IN_FLIGHT: usize = 4096;

/// A command that waits for its reply.
struct Sent {
    file: Arc<str>,
    offset: u64,
    /// Its name and key, for people.
    shown: String,
}

/// Carries out commands, in order.
pub(super) struct Executor {
    socket: BufWriter<UnixStream>,
    buffer: BytesMut,
    sent: SyncSender<Sent>,
    replies: JoinHandle<Result<(), String>>,
    /// Its event loop listens to nothing, but the server holds on to it.
    _runtime: tokio::runtime::Runtime,
}

impl Executor {
    /// A server over the store, with one client.
    pub(super) fn start(store: &Arc<Store>, clock: &Arc<dyn Clock>, settings: &Settings) -> Result<Executor, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        // The one client is ours: it needs no password and may take its time.
        let mut settings = settings.clone();
        settings.requirepass = Secret::default();
        settings.users.clear();
        settings.aclfile = None;
        settings.timeout = 0;
        settings.maxmemory_clients = MaxMemory::Percent(100);
        settings.notify_keyspace_events.clear();
        settings.slowlog_log_slower_than = -1;
        settings.latency_tracking = false;
        let listeners = Listeners::none(runtime.handle().clone());
        let server = Server::new(LateStore::new(clock)?, clock.clone(), settings, listeners, 1, None)?;
        server.hear_from(store);
        server.serve_store(store.clone());
        let worker = thread::start(server.clone(), 0)?;
        server.workers.lock().push(worker.clone());
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        worker.add_load();
        worker.send(Message::Serve(Socket::Unix(theirs)));
        let (sent, waiting) = sync_channel(IN_FLIGHT);
        let reader = ours.try_clone()?;
        let replies = std::thread::Builder::new().name("replies".into()).spawn(move || read(reader, &waiting))?;
        Ok(Executor { socket: BufWriter::new(ours), buffer: BytesMut::new(), sent, replies, _runtime: runtime })
    }

    /// Sends a command. Whether it may go on: if not, [`Executor::finish`] knows why.
    pub(super) fn send(&mut self, file: &Arc<str>, command: &Command) -> bool {
        self.buffer.clear();
        encode_request(&mut self.buffer, &command.words);
        let written = self.socket.write_all(&self.buffer);
        let sent = Sent { file: file.clone(), offset: command.offset, shown: command.shown() };
        // Whoever waits for a reply has sent what it is to be a reply to.
        match self.sent.try_send(sent) {
            Ok(()) => written.is_ok(),
            Err(std::sync::mpsc::TrySendError::Full(sent)) => {
                written.and_then(|()| self.socket.flush()).is_ok() && self.sent.send(sent).is_ok()
            }
            Err(std::sync::mpsc::TrySendError::Disconnected(_)) => false,
        }
    }

    /// Waits until everything is done; the first error.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.socket.flush();
        drop(self.sent);
        let done = self.replies.join().map_err(|_| "the thread that reads replies has failed")?;
        let _ = self.socket.get_ref().shutdown(Shutdown::Both);
        done?;
        Ok(flushed?)
    }
}

/// Reads a reply to everything that was sent, and stops at the first error.
fn read(mut socket: UnixStream, waiting: &Receiver<Sent>) -> Result<(), String> {
    let mut replies =
        Replies { codec: ReplyCodec::new(Version::Resp2), received: BytesMut::new(), chunk: vec![0; 64 << 10] };
    let mut queued: VecDeque<Sent> = VecDeque::new();
    let done = (|| {
        while let Ok(sent) = waiting.recv() {
            let failed = |sent: &Sent, why: &str| {
                format!("{}: at byte {}, the command {}: {why}", sent.file, sent.offset, sent.shown)
            };
            match replies.next(&mut socket).map_err(|error| failed(&sent, &error.to_string()))? {
                Frame::Error(error) => return Err(failed(&sent, &String::from_utf8_lossy(&error))),
                Frame::Simple(text) if &text[..] == b"QUEUED" => queued.push_back(sent),
                Frame::Array(results) if !queued.is_empty() => {
                    // The reply to EXEC: one for each command of the transaction.
                    for (result, sent) in results.iter().zip(queued.drain(..)) {
                        if let Frame::Error(error) = result {
                            return Err(failed(&sent, &String::from_utf8_lossy(error)));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    })();
    if done.is_err() {
        // Whoever still writes notices.
        let _ = socket.shutdown(Shutdown::Both);
    }
    done
}

struct Replies {
    codec: ReplyCodec,
    received: BytesMut,
    chunk: Vec<u8>,
}

impl Replies {
    fn next(&mut self, socket: &mut UnixStream) -> io::Result<Frame> {
        loop {
            if let Some(reply) = self.codec.decode(&mut self.received).map_err(io::Error::other)? {
                return Ok(reply);
            }
            match socket.read(&mut self.chunk)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
                length => self.received.extend_from_slice(&self.chunk[..length]),
            }
        }
    }
}
