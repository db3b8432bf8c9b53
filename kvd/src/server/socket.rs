//! A client's socket, over TCP or the unix socket: as it was accepted, then as a half that reads and one that writes.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_util::io::poll_read_buf;

/// An accepted connection on its way to a worker.
pub enum Socket {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over the unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// The half that reads.
pub enum Reader {
    /// Over TCP.
    Tcp(tcp::OwnedReadHalf),
    /// Over the unix socket.
    Unix(unix::OwnedReadHalf),
}

/// The half that writes.
pub enum Writer {
    /// Over TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// Over the unix socket.
    Unix(unix::OwnedWriteHalf),
}

impl Socket {
    /// Registers it with this thread's event loop.
    pub fn split(self) -> io::Result<(Reader, Writer)> {
        Ok(match self {
            Socket::Tcp(stream) => {
                let (reader, writer) = TcpStream::from_std(stream)?.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Socket::Unix(stream) => {
                let (reader, writer) = UnixStream::from_std(stream)?.into_split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
        })
    }
}

impl Reader {
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
        }
    }
}

impl Writer {
    /// Writes what the kernel takes now.
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Writer::Tcp(half) => half.try_write(bytes),
            Writer::Unix(half) => half.try_write(bytes),
        }
    }

    /// Writes what the kernel takes now of several parts.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Writer::Tcp(half) => half.try_write_vectored(slices),
            Writer::Unix(half) => half.try_write_vectored(slices),
        }
    }

    /// Waits until the kernel takes more.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Writer::Tcp(half) => half.writable().await,
            Writer::Unix(half) => half.writable().await,
        }
    }

    /// Ends both halves: what was not sent never will be.
    pub fn shutdown_now(&self) {
        if let Err(error) = self.raw().shutdown(Shutdown::Both) {
            tracing::trace!(%error, "a connection was already closed");
        }
    }

    /// Whether the client has closed its end and everything it sent was read.
    pub fn is_closed_by_client(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        matches!(self.raw().peek(&mut byte), Ok(0))
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Writer::Tcp(half) => SockRef::from(AsRef::<TcpStream>::as_ref(half)),
            Writer::Unix(half) => SockRef::from(AsRef::<UnixStream>::as_ref(half)),
        }
    }
}
