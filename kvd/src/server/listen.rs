//! Accepting connections, on TCP and on the unix socket, and handing each to the least loaded worker.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};

use super::Server;
use super::connection::Socket;
use super::worker::Message;
use crate::config::{BindAddress, Settings};

/// How long a listener rests after an error that more connections would repeat.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The sockets that are listened on.
pub struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<UnixListener>,
}

impl Listeners {
    /// Binds what the settings name. An address marked optional may be missing.
    pub fn bind(settings: &Settings) -> io::Result<Listeners> {
        let mut tcp = Vec::new();
        if settings.port != 0 {
            for address in &settings.bind {
                match bind_tcp(address, settings) {
                    Ok(listeners) => tcp.extend(listeners),
                    Err(error) if address.is_optional() => {
                        tracing::info!(address = address.host(), %error, "optional address is not listened on");
                    }
                    Err(error) => {
                        let text = format!(
                            "Could not create server TCP listening socket {}:{}: {error}",
                            address.host(),
                            settings.port
                        );
                        return Err(io::Error::new(error.kind(), text));
                    }
                }
            }
        }
        let unix = match &settings.unixsocket {
            Some(path) => Some(bind_unix(path, settings.unixsocketperm.mode())?),
            None => None,
        };
        if tcp.is_empty() && unix.is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "Configured to not listen anywhere, exiting."));
        }
        Ok(Listeners { tcp, unix })
    }

    /// The addresses, for the banner.
    pub fn addresses(&self) -> Vec<String> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).map(|address| address.to_string()).collect()
    }

    /// Accepts until the runtime ends.
    pub fn serve(self, server: &Arc<Server>) -> io::Result<()> {
        for listener in self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let server = server.clone();
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, peer)) => admit_tcp(stream, peer, &server),
                        Err(error) => rest(&error).await,
                    }
                }
            });
        }
        if let Some(listener) = self.unix {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let server = server.clone();
            tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => match stream.into_std() {
                            Ok(stream) => hand_over(Socket::Unix(stream), &server),
                            Err(error) => tracing::debug!(%error, "an accepted connection was gone"),
                        },
                        Err(error) => rest(&error).await,
                    }
                }
            });
        }
        Ok(())
    }
}

/// An error of accept: a client that left is no reason to wait, a lack of descriptors is.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        tracing::warn!(%error, "accepting connections");
        tokio::time::sleep(BACK_OFF).await;
    }
}

fn bind_tcp(address: &BindAddress, settings: &Settings) -> io::Result<Vec<TcpListener>> {
    let host = match address.host() {
        "*" => "0.0.0.0",
        host => host,
    };
    let mut listeners = Vec::new();
    for resolved in (host, settings.port).to_socket_addrs()? {
        let socket = RawSocket::new(Domain::for_address(resolved), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if resolved.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(i32::try_from(settings.tcp_backlog).unwrap_or(i32::MAX))?;
        listeners.push(socket.into());
    }
    Ok(listeners)
}

/// Binds the unix socket. A socket left by an earlier process is replaced; any other file is not touched.
fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("Could not create unix socket {}: {error}", path.display()))
    };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(named(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")));
            }
            #[expect(clippy::disallowed_methods, reason = "a socket is not a file of the store")]
            std::fs::remove_file(path).map_err(named)?;
        }
        Ok(_) => return Err(named(io::Error::new(io::ErrorKind::AlreadyExists, "the path is not a socket"))),
        Err(_) => {}
    }
    // Nobody may connect between bind and the wider permissions.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(named)?;
    if mode != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(named)?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn admit_tcp(stream: tokio::net::TcpStream, peer: SocketAddr, server: &Arc<Server>) {
    let settings = server.settings();
    if settings.protected_mode && !peer.ip().to_canonical().is_loopback() && settings.requirepass.is_empty() {
        refuse(&stream, PROTECTED);
        server.stats.count_rejected();
        return;
    }
    let options = SockRef::from(&stream);
    if let Err(error) = options.set_tcp_nodelay(true) {
        tracing::debug!(%error, "an accepted connection was gone");
        return;
    }
    if settings.tcp_keepalive != 0 {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(settings.tcp_keepalive));
        if let Err(error) = options.set_tcp_keepalive(&keepalive) {
            tracing::debug!(%error, "keepalive is not to be had");
        }
    }
    match stream.into_std() {
        Ok(stream) => hand_over(Socket::Tcp(stream), server),
        Err(error) => tracing::debug!(%error, "an accepted connection was gone"),
    }
}

/// Gives a connection to the worker that has the fewest, beginning with another one each time.
fn hand_over(socket: Socket, server: &Arc<Server>) {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let workers = server.workers.lock();
    let connections: usize = workers.iter().map(super::worker::Mailbox::load).sum();
    if connections >= server.max_clients() {
        match &socket {
            Socket::Tcp(stream) => refuse(stream, FULL),
            Socket::Unix(stream) => refuse(stream, FULL),
        }
        server.stats.count_rejected();
        return;
    }
    server.stats.count_connection();
    let start = TURN.fetch_add(1, Ordering::Relaxed);
    let order = (0..workers.len()).map(|index| &workers[(start + index) % workers.len()]);
    if let Some(worker) = order.min_by_key(|worker| worker.load()) {
        worker.add_load();
        worker.send(Message::Serve(socket));
    }
}

/// Tells a client why it is not served. It may not be there to hear it.
fn refuse<'a>(socket: impl Into<SockRef<'a>>, text: &str) {
    if let Err(error) = socket.into().send(text.as_bytes()) {
        tracing::debug!(%error, "a refused client was gone");
    }
}

const FULL: &str = "-ERR max number of clients reached\r\n";
const PROTECTED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no password \
is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to \
connect from external computers, set a password with requirepass, or bind the server to an address with --bind, or \
turn protected mode off with --protected-mode no.\r\n";
