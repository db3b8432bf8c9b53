//! A client's socket, over TCP, TLS or the unix socket: as it was accepted, then as a half that reads and one that writes.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_util::io::poll_read_buf;

use crate::tls::Channel;

/// An accepted connection on its way to a worker.
pub enum Socket {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over TCP, to be encrypted so.
    Tls(std::net::TcpStream, Arc<ServerConfig>),
    /// Over the unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// The half that reads.
pub enum Reader {
    /// Over TCP.
    Tcp(tcp::OwnedReadHalf),
    /// Over TCP, encrypted.
    Tls(tcp::OwnedReadHalf, Rc<RefCell<Channel>>),
    /// Over the unix socket.
    Unix(unix::OwnedReadHalf),
}

/// The half that writes.
pub enum Writer {
    /// Over TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// Over TCP, encrypted.
    Tls(tcp::OwnedWriteHalf, Rc<RefCell<Channel>>),
    /// Over the unix socket.
    Unix(unix::OwnedWriteHalf),
}

/// How far the other end is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// The client sends nothing more and may still read.
    Half,
    /// Nothing can be sent to it any more.
    Whole,
}

impl Socket {
    /// Registers it with this thread's event loop.
    pub fn split(self) -> io::Result<(Reader, Writer)> {
        Ok(match self {
            Socket::Tcp(stream) => {
                let (reader, writer) = TcpStream::from_std(stream)?.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Socket::Tls(stream, config) => {
                let channel = Rc::new(RefCell::new(Channel::new(config)?));
                let (reader, writer) = TcpStream::from_std(stream)?.into_split();
                (Reader::Tls(reader, channel.clone()), Writer::Tls(writer, channel))
            }
            Socket::Unix(stream) => {
                let (reader, writer) = UnixStream::from_std(stream)?.into_split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
        })
    }
}

impl Reader {
    /// Whether something may have come. Who waits for more of a request makes room only then: very many may wait.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Reader::Tcp(half) => half.as_ref().poll_read_ready(context),
            Reader::Unix(half) => half.as_ref().poll_read_ready(context),
            // Some may have come before.
            Reader::Tls(..) => Poll::Ready(Ok(())),
        }
    }

    /// Reads once, into room for at least so many bytes.
    #[inline]
    pub fn poll_read(
        &mut self,
        buffer: &mut BytesMut,
        room: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        buffer.reserve(room);
        match self {
            Reader::Tcp(half) => poll_read_buf(Pin::new(half), context, buffer),
            Reader::Unix(half) => poll_read_buf(Pin::new(half), context, buffer),
            Reader::Tls(half, channel) => channel.borrow_mut().poll_read(half, buffer, context),
        }
    }

    /// Whether a handshake comes first.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Reader::Tls(..))
    }

    /// Shakes hands, where there is need to.
    pub fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Reader::Tls(half, channel) => channel.borrow_mut().poll_handshake(half, context),
            Reader::Tcp(_) | Reader::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    /// Bytes it holds that were received and are not in anybody's buffer.
    pub fn held_bytes(&self) -> usize {
        match self {
            Reader::Tls(_, channel) => channel.borrow().held_bytes(),
            Reader::Tcp(_) | Reader::Unix(_) => 0,
        }
    }
}

impl Writer {
    /// Writes what the kernel takes now. What was begun and is not told to be written must come again.
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Writer::Tcp(half) => half.try_write(bytes),
            Writer::Unix(half) => half.try_write(bytes),
            Writer::Tls(half, channel) => channel.borrow_mut().write(half.as_ref(), &[IoSlice::new(bytes)]),
        }
    }

    /// Writes what the kernel takes now of several parts.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Writer::Tcp(half) => half.try_write_vectored(slices),
            Writer::Unix(half) => half.try_write_vectored(slices),
            Writer::Tls(half, channel) => channel.borrow_mut().write(half.as_ref(), slices),
        }
    }

    /// Bytes it holds that were encrypted and are not with the kernel.
    pub fn held_bytes(&self) -> usize {
        match self {
            Writer::Tls(_, channel) => channel.borrow().held_bytes(),
            Writer::Tcp(_) | Writer::Unix(_) => 0,
        }
    }

    /// Tells the client that nothing more comes, where the protocol has a word for it.
    pub fn say_goodbye(&self) {
        if let Writer::Tls(half, channel) = self {
            channel.borrow_mut().close(half.as_ref());
        }
    }

    /// Waits until the kernel takes more.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Writer::Tcp(half) | Writer::Tls(half, _) => half.writable().await,
            Writer::Unix(half) => half.writable().await,
        }
    }

    /// Ends both halves: what was not sent never will be.
    pub fn shutdown_now(&self) {
        if let Err(error) = self.raw().shutdown(Shutdown::Both) {
            tracing::trace!(%error, "a connection was already closed");
        }
    }

    /// Waits until the client has closed its end, whether or not all that it sent was read. A client that closes a TCP
    /// connection whole looks as if it had closed half, until it refuses what it is sent.
    pub async fn closed(&self) -> Closed {
        // Closing makes a socket ready for PRIORITY too, and nothing else does. For READABLE every unread byte would.
        let closing = Interest::PRIORITY | Interest::ERROR;
        let state = match self.ready(closing).await {
            Ok(_) => self.ready(closing | Interest::WRITABLE).await,
            Err(error) => Err(error),
        };
        match state {
            Ok(state) if !state.is_write_closed() && !state.is_error() => Closed::Half,
            _ => Closed::Whole,
        }
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Writer::Tcp(half) | Writer::Tls(half, _) => half.ready(interest).await,
            Writer::Unix(half) => half.ready(interest).await,
        }
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Writer::Tcp(half) | Writer::Tls(half, _) => SockRef::from(AsRef::<TcpStream>::as_ref(half)),
            Writer::Unix(half) => SockRef::from(AsRef::<UnixStream>::as_ref(half)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    fn tcp() -> (std::net::TcpStream, Socket) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (server, _) = listener.accept().expect("a client has come");
        server.set_nonblocking(true).expect("it can be");
        (client, Socket::Tcp(server))
    }

    fn unix() -> (UnixStream, Socket) {
        let (client, server) = UnixStream::pair().expect("there are descriptors");
        server.set_nonblocking(true).expect("it can be");
        (client, Socket::Unix(server))
    }

    async fn soon(writer: &Writer) -> Option<Closed> {
        tokio::time::timeout(Duration::from_millis(50), writer.closed()).await.ok()
    }

    async fn becomes(writer: &Writer, closed: Closed) {
        let becoming = async {
            while soon(writer).await != Some(closed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), becoming).await.expect("it is noticed");
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("there is an event loop").block_on(test);
    }

    #[test]
    fn half_a_close_is_told_from_a_whole_one_behind_unread_bytes() {
        run(async {
            let (mut client, server) = tcp();
            let (_reader, writer) = server.split().expect("it is registered");
            client.write_all(b"unread").expect("there is room");
            assert_eq!(soon(&writer).await, None, "unread bytes are no end");
            client.shutdown(Shutdown::Write).expect("it is open");
            becomes(&writer, Closed::Half).await;
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("it can be");
            drop(client);
            becomes(&writer, Closed::Whole).await;
        });
    }

    #[test]
    fn the_unix_socket_tells_the_same() {
        run(async {
            let (mut client, server) = unix();
            let (_reader, writer) = server.split().expect("it is registered");
            client.write_all(b"unread").expect("there is room");
            assert_eq!(soon(&writer).await, None, "unread bytes are no end");
            client.shutdown(Shutdown::Write).expect("it is open");
            becomes(&writer, Closed::Half).await;
            drop(client);
            becomes(&writer, Closed::Whole).await;
        });
    }
}
