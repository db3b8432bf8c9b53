//! A client over TLS whose requests and replies a test spells out.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::client::{Client, PATIENCE};

/// A connection, over a socket or what stands before it.
pub type TlsClient<T = TcpStream> = Client<StreamOwned<ClientConnection, T>>;

/// A TCP connection to a port of this machine.
pub fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("it can be");
    stream
}

impl TlsClient {
    /// A connection, if the server lets the client in.
    pub fn connect_tls(port: u16, config: ClientConfig) -> io::Result<TlsClient> {
        TlsClient::over(tcp(port), config)
    }
}

impl<T: Read + Write> TlsClient<T> {
    /// The same, over something else than a bare socket. With TLS 1.3 a client learns only behind its own last message
    /// that it is not let in, so it is asked for something.
    pub fn over(stream: T, config: ClientConfig) -> io::Result<TlsClient<T>> {
        let name = ServerName::try_from("localhost").expect("it is a name");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut client = Client(StreamOwned::new(connection, stream));
        client.0.write_all(b"ECHO in\r\n")?;
        let mut reply = [0; 8];
        client.0.read_exact(&mut reply)?;
        assert_eq!(&reply, b"$2\r\nin\r\n");
        Ok(client)
    }

    /// Everything until the server says that nothing more comes, which it does.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("the end is announced");
        bytes
    }

    /// The certificate that the server has shown.
    pub fn certificate(&self) -> Vec<u8> {
        let shown = self.0.conn.peer_certificates().and_then(|chain| chain.first());
        shown.expect("the server has shown one").to_vec()
    }
}
