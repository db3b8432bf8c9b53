//! A blocking client: one connection, pipelined, over TCP or a unix socket.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::wire::{self, Reply};

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// Host and port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// One connection.
pub struct Client {
    reader: BufReader<Stream>,
    out: Vec<u8>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Client {
    /// Connects; reads and writes wait no longer than `timeout`.
    pub fn connect(address: &Address, timeout: Duration) -> io::Result<Self> {
        let stream = match address {
            Address::Tcp(at) => {
                let stream = TcpStream::connect_timeout(at, timeout)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                Stream::Unix(stream)
            }
        };
        Ok(Self::over(stream))
    }

    /// The same connection once more, so that one thread sends while another reads.
    pub fn again(&self) -> io::Result<Self> {
        let stream = match self.reader.get_ref() {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        };
        Ok(Self::over(stream))
    }

    fn over(stream: Stream) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, stream), out: Vec::new() }
    }

    /// Adds a command to the pipeline; nothing is sent yet.
    pub fn queue(&mut self, args: &[&[u8]]) {
        wire::encode(&mut self.out, args);
    }

    /// Sends the pipeline.
    pub fn flush(&mut self) -> io::Result<()> {
        let sent = self.reader.get_mut().write_all(&self.out);
        self.out.clear();
        sent
    }

    /// Sends bytes as they are, RESP or not.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads the next reply, whole.
    pub fn reply(&mut self) -> io::Result<Reply> {
        wire::read(&mut self.reader)
    }

    /// One command, one reply.
    pub fn call(&mut self, args: &[&[u8]]) -> io::Result<Reply> {
        self.queue(args);
        self.flush()?;
        self.reply()
    }

    /// Several commands in one write, then their replies.
    pub fn pipeline<'a>(&mut self, commands: impl IntoIterator<Item = Vec<&'a [u8]>>) -> io::Result<Vec<Reply>> {
        let mut count = 0;
        for command in commands {
            self.queue(&command);
            count += 1;
        }
        self.flush()?;
        (0..count).map(|_| self.reply()).collect()
    }
}
