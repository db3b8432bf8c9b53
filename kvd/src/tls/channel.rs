//! The encrypted channel of one connection: ciphertext on the socket's side, plaintext on the server's.
//!
//! ```text
//!  read   socket ─► thread's input ─► decrypted in place ─► the read buffer     rest of a record: `received`
//!  write  the output ─► thread's records ─► socket                              what it does not take: `unsent`
//! ```
//!
//! Buffers belong to the thread; an idle connection has none. What the kernel has not taken yet stays in the connection's
//! output until it has, so that `write` counts plaintext as sent when its last encrypted byte is with the kernel:
//! limits, timeouts and backpressure are those of a plain connection. A connection holds at most part of one record (while
//! it shakes hands, [`MAX_HELD`]) and [`WRITE_BYTES`] encrypted.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

/// Plaintext of the longest record.
const RECORD_BYTES: usize = 16 << 10;
/// Plaintext that is encrypted and written at once.
const WRITE_BYTES: usize = 4 * RECORD_BYTES;
/// Room for what encrypting [`WRITE_BYTES`] adds. More is made if that is not enough.
const OVERHEAD_BYTES: usize = 1 << 10;
/// Ciphertext read at once.
const READ_BYTES: usize = 48 << 10;
/// Most ciphertext that is held because its end has not come: a record is shorter; certificates of clients may be spread
/// over several.
const MAX_HELD: usize = 32 << 10;
/// Bytes in front of a record's payload: type, version, length.
const HEADER_BYTES: usize = 5;
/// The longest record with what encryption may add to it.
const LONGEST_RECORD: usize = HEADER_BYTES + RECORD_BYTES + 2048;
/// The type of a record that holds what the client sends, and with TLS 1.3 of all that are encrypted.
const APPLICATION_DATA: u8 = 23;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers of a thread, made when it has its first connection with TLS.
#[derive(Default)]
struct Scratch {
    /// Ciphertext: room for what was held before, then what was read.
    input: Vec<u8>,
    /// Plaintext that was in several pieces.
    gathered: Vec<u8>,
    /// Encrypted records.
    records: Vec<u8>,
}

impl Scratch {
    fn make(&mut self) {
        if self.input.is_empty() {
            self.input = vec![0; MAX_HELD + READ_BYTES];
            self.gathered = Vec::with_capacity(WRITE_BYTES);
            self.records = vec![0; WRITE_BYTES + OVERHEAD_BYTES];
        }
    }
}

/// The state of one connection's encryption.
pub struct Channel {
    tls: UnbufferedServerConnection,
    /// Ciphertext whose end has not come.
    received: Vec<u8>,
    /// So many bytes are missing until `received` is worth another look.
    missing: usize,
    /// Plaintext that came with the end of the handshake.
    early: BytesMut,
    /// Encrypted, and not with the kernel.
    unsent: BytesMut,
    /// So many bytes at the front of the output are in `unsent`.
    accepted: usize,
    /// The client sends nothing more.
    closed: bool,
    /// Nothing more can be encrypted.
    over: bool,
}

impl Channel {
    /// A channel that begins with a handshake.
    pub fn new(config: Arc<ServerConfig>) -> io::Result<Channel> {
        Ok(Channel {
            tls: UnbufferedServerConnection::new(config).map_err(broken)?,
            received: Vec::new(),
            missing: 0,
            early: BytesMut::new(),
            unsent: BytesMut::new(),
            accepted: 0,
            closed: false,
            over: false,
        })
    }

    /// Bytes held besides the connection's own buffers.
    pub fn held_bytes(&self) -> usize {
        self.received.capacity() + self.unsent.len() + self.early.len()
    }

    /// Shakes hands.
    pub fn poll_handshake(&mut self, half: &mut OwnedReadHalf, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let stream: &TcpStream = (*half).as_ref();
            match self.flush(stream) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(stream.poll_write_ready(context))?;
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.closed {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            // Behind the end of the handshake may stand anything, and it is kept until it is asked for.
            let room = MAX_HELD - self.received.len();
            if room == 0 {
                return Poll::Ready(Err(too_long()));
            }
            let mut early = std::mem::take(&mut self.early);
            let received = self.receive(half, &mut early, room, context);
            self.early = early;
            if let Err(error) = ready!(received) {
                self.say((*half).as_ref());
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Reads once, and appends what came to `plain`; 0 at the end. After an error nothing was appended.
    pub fn poll_read(
        &mut self,
        half: &mut OwnedReadHalf,
        plain: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = plain.len();
        if !self.early.is_empty() {
            plain.extend_from_slice(&std::mem::take(&mut self.early));
        }
        loop {
            let room = plain.capacity() - plain.len();
            if plain.len() > before {
                return Poll::Ready(Ok(plain.len() - before));
            }
            if self.closed {
                return Poll::Ready(Ok(0));
            }
            if let Err(error) = ready!(self.receive(half, plain, room.clamp(1, READ_BYTES), context)) {
                return self.fail(error, before, plain, (*half).as_ref());
            }
            if let Err(error) = self.flush((*half).as_ref())
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return self.fail(error, before, plain, (*half).as_ref());
            }
        }
    }

    /// Encrypts and writes what the kernel takes now. How much of `parts` is with the kernel: what was begun and not
    /// taken must stand at their front the next time.
    pub fn write(&mut self, stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(stream)?;
        if self.accepted > 0 {
            return Ok(std::mem::take(&mut self.accepted));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.make();
            let Scratch { gathered, records, .. } = scratch;
            let plain = gather(parts, gathered);
            let length = self.encrypt(plain, records)?;
            if !self.unsent.is_empty() {
                // What rustls had to say stands before.
                self.unsent.extend_from_slice(&records[..length]);
                self.accepted = plain.len();
                self.flush(stream)?;
                return Ok(std::mem::take(&mut self.accepted));
            }
            let sent = match stream.try_write(&records[..length]) {
                Ok(sent) if sent == length => return Ok(plain.len()),
                Ok(sent) => sent,
                Err(error) if is_passing(&error) => 0,
                Err(error) => return Err(error),
            };
            self.unsent.extend_from_slice(&records[sent..length]);
            self.accepted = plain.len();
            Err(io::ErrorKind::WouldBlock.into())
        })
    }

    /// Tells the client that nothing more comes, if everything before was sent.
    pub fn close(&mut self, stream: &TcpStream) {
        if self.over || self.tls.is_handshaking() || !self.unsent.is_empty() {
            return;
        }
        self.over = true;
        let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.received);
        let mut farewell = [0; 256];
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state
            && let Ok(length) = traffic.queue_close_notify(&mut farewell)
            && let Err(error) = stream.try_write(&farewell[..length])
        {
            tracing::trace!(%error, "a client did not wait for the end");
        }
    }

    /// Reads from the socket once.
    fn receive(
        &mut self,
        half: &mut OwnedReadHalf,
        plain: &mut BytesMut,
        room: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.make();
            let mut target = ReadBuf::new(&mut scratch.input[MAX_HELD..MAX_HELD + room]);
            ready!(Pin::new(half).poll_read(context, &mut target))?;
            let read = target.filled().len();
            if read == 0 {
                self.closed = true;
                return Poll::Ready(Ok(()));
            }
            let end = MAX_HELD + read;
            if read < self.missing {
                // Looking at a record after each of its bytes would be work without end.
                self.missing -= read;
                self.received.extend_from_slice(&scratch.input[MAX_HELD..end]);
                return Poll::Ready(Ok(()));
            }
            // What is held of a record is shorter than that, and what is held of a handshake is not longer.
            let start = MAX_HELD - self.received.len();
            scratch.input[start..MAX_HELD].copy_from_slice(&self.received);
            Poll::Ready(self.digest(&mut scratch.input[start..end], plain))
        })
    }

    /// Decrypts what is whole and keeps the rest.
    fn digest(&mut self, bytes: &mut [u8], plain: &mut BytesMut) -> io::Result<()> {
        let done = self.process(bytes, plain)?;
        let rest = &bytes[done..];
        if rest.len() > MAX_HELD {
            return Err(too_long());
        }
        self.missing = 0;
        if rest.is_empty() {
            self.received = Vec::new();
            return Ok(());
        }
        self.received.clear();
        self.received.extend_from_slice(rest);
        if let [APPLICATION_DATA, 3, _, high, low, ..] = *rest {
            let length = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
            let is_record = length <= LONGEST_RECORD && !self.tls.is_handshaking();
            self.missing = if is_record { length.saturating_sub(rest.len()) } else { 0 };
        }
        Ok(())
    }

    /// Has rustls go through ciphertext; how much of it is done with.
    fn process(&mut self, bytes: &mut [u8], plain: &mut BytesMut) -> io::Result<usize> {
        let mut done = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut bytes[done..]);
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(broken)?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.unsent)?;
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => false,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.closed = true;
                    false
                }
                // Early data is never asked for.
                Ok(_) => return Err(io::ErrorKind::Unsupported.into()),
                Err(error) => {
                    self.over = true;
                    self.say_why(&mut bytes[done + discard..]);
                    return Err(broken(error));
                }
            };
            done += discard;
            if !goes_on {
                return Ok(done);
            }
        }
    }

    /// Takes the alert that rustls has for the client after an error.
    fn say_why(&mut self, rest: &mut [u8]) {
        if let Ok(ConnectionState::EncodeTlsData(data)) = self.tls.process_tls_records(rest).state {
            // The connection has failed already.
            let _ = encode(data, &mut self.unsent);
        }
    }

    fn fail(
        &mut self,
        error: io::Error,
        before: usize,
        plain: &mut BytesMut,
        stream: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        // The buffer belongs to the next connection.
        plain.truncate(before);
        self.say(stream);
        Poll::Ready(Err(error))
    }

    /// Sends an alert if there is one and there is room for it.
    fn say(&mut self, stream: &TcpStream) {
        if let Err(error) = self.flush(stream) {
            tracing::trace!(%error, "a client is not there to be told");
        }
    }

    /// Encrypts into `records`; how many bytes they are. What has to be sent before goes to `unsent`.
    fn encrypt(&mut self, plain: &[u8], records: &mut Vec<u8>) -> io::Result<usize> {
        while !self.over {
            // It wants to see what it has seen before.
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.received);
            let encrypted = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => match traffic.encrypt(plain, records) {
                    Ok(length) => Some(length),
                    Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                        records.resize(required_size, 0);
                        None
                    }
                    Err(error) => return Err(io::Error::other(error.to_string())),
                },
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.unsent)?;
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.closed = true;
                    None
                }
                // Whatever could be read was read when it came.
                Ok(_) => break,
                Err(error) => return Err(broken(error)),
            };
            self.received.drain(..discard);
            if let Some(length) = encrypted {
                return Ok(length);
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    /// Writes what is left of before. An error of kind `WouldBlock` when the kernel does not take all of it.
    fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        while !self.unsent.is_empty() {
            match stream.try_write(&self.unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.unsent.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = BytesMut::new();
        Ok(())
    }
}

/// Up to [`WRITE_BYTES`] of the front of `parts`, in one piece.
fn gather<'a>(parts: &'a [IoSlice<'_>], gathered: &'a mut Vec<u8>) -> &'a [u8] {
    match parts {
        [] => &[],
        // A copy only for the sake of a full write would cost more than it saves.
        [first, rest @ ..] if rest.is_empty() || first.len() >= RECORD_BYTES => &first[..first.len().min(WRITE_BYTES)],
        _ => {
            gathered.clear();
            for part in parts {
                let room = WRITE_BYTES - gathered.len();
                gathered.extend_from_slice(&part[..part.len().min(room)]);
            }
            gathered
        }
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, unsent: &mut BytesMut) -> io::Result<()> {
    let end = unsent.len();
    // It tells how much it needs.
    let needed = match data.encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => required_size,
        Err(error) => return Err(io::Error::other(error.to_string())),
    };
    unsent.resize(end + needed, 0);
    data.encode(&mut unsent[end..]).map(drop).map_err(|error| io::Error::other(error.to_string()))
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a handshake message is too long")
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
