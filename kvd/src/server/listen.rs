//! Accepting connections, on TCP and on the unix socket, and handing each to the least loaded worker.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::Server;
use super::mailbox::{Mailbox, Message};
use super::socket::Socket;
use crate::config::{BindAddress, Settings};

/// How long a listener rests after an error that more connections would repeat.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The sockets that are listened on.
pub struct Listeners {
    /// The event loop that accepts, whichever thread binds.
    runtime: Handle,
    tcp: Mutex<Vec<TcpListener>>,
    /// There are other TCP sockets than those that are waited for.
    changed: Notify,
    /// Until it is served.
    unix: Mutex<Option<UnixListener>>,
}

impl Listeners {
    /// Binds what the settings name. An address marked optional may be missing.
    pub fn bind(settings: &Settings, runtime: Handle) -> io::Result<Listeners> {
        let tcp = bind_addresses(settings, &runtime)?;
        let unix = match &settings.unixsocket {
            Some(path) => {
                let _registered_with = runtime.enter();
                Some(UnixListener::from_std(bind_unix(path, settings.unixsocketperm.mode())?)?)
            }
            None => None,
        };
        if tcp.is_empty() && unix.is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "Configured to not listen anywhere, exiting."));
        }
        Ok(Listeners { runtime, tcp: Mutex::new(tcp), changed: Notify::new(), unix: Mutex::new(unix) })
    }

    /// Listens nowhere.
    pub fn none(runtime: Handle) -> Listeners {
        Listeners { runtime, tcp: Mutex::default(), changed: Notify::new(), unix: Mutex::default() }
    }

    /// The addresses, for the banner.
    pub fn addresses(&self) -> Vec<String> {
        let tcp = self.tcp.lock();
        tcp.iter().filter_map(|listener| listener.local_addr().ok()).map(|address| address.to_string()).collect()
    }

    /// Listens where the settings say now, and no more where those before did. What was accepted stays. After an error
    /// everything is as it was.
    pub fn change(&self, settings: &Settings, before: &Settings) -> io::Result<()> {
        let mut tcp = self.tcp.lock();
        if settings.port == before.port {
            // Two sockets cannot listen on one address, nor on one and on all.
            tcp.clear();
        }
        let bound = bind_addresses(settings, &self.runtime);
        let bound = bound.and_then(|bound| match settings.port {
            1.. if bound.is_empty() => Err(io::ErrorKind::AddrNotAvailable.into()),
            _ => Ok(bound),
        });
        let (bound, changed) = match bound {
            Ok(bound) => (Some(bound), Ok(())),
            // They were free a moment ago.
            Err(error) if tcp.is_empty() => (Some(bind_addresses(before, &self.runtime)?), Err(error)),
            Err(error) => (None, Err(error)),
        };
        if let Some(bound) = bound {
            // Those before close here, and not when the accepting task gets to it: their port is free at once.
            *tcp = bound;
            self.changed.notify_one();
            tracing::info!(port = settings.port, "the TCP sockets were changed");
        }
        changed
    }

    /// Listens on TCP no more.
    pub fn close(&self) {
        self.tcp.lock().clear();
    }

    /// The next connection over TCP. Each listener comes first in its turn, so that none is kept from being heard.
    async fn accept(&self, turn: usize) -> io::Result<(TcpStream, SocketAddr)> {
        let poll = |context: &mut Context<'_>| {
            let tcp = self.tcp.lock();
            let (last, first) = tcp.split_at(turn % tcp.len().max(1));
            let mut polls = first.iter().chain(last).map(|listener| listener.poll_accept(context));
            polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
        };
        loop {
            tokio::select! {
                accepted = poll_fn(&poll) => return accepted,
                () = self.changed.notified() => {}
            }
        }
    }
}

/// Accepts until the runtime ends.
pub fn serve(server: &Arc<Server>) {
    let unix = server.listeners.unix.lock().take();
    let accepts = server.clone();
    tokio::spawn(async move {
        for turn in 0.. {
            match accepts.listeners.accept(turn).await {
                Ok((stream, peer)) => admit_tcp(stream, peer, &accepts),
                Err(error) => rest(&error).await,
            }
        }
    });
    if let Some(listener) = unix {
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
}

/// An error of accept: a client that left is no reason to wait, a lack of descriptors is.
async fn rest(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        tracing::warn!(%error, "accepting connections");
        tokio::time::sleep(BACK_OFF).await;
    }
}

/// Binds every address; none when the port is 0.
fn bind_addresses(settings: &Settings, runtime: &Handle) -> io::Result<Vec<TcpListener>> {
    let _registered_with = runtime.enter();
    let mut listeners = Vec::new();
    let addresses = if settings.port == 0 { &[] } else { &settings.bind[..] };
    for address in addresses {
        match bind_tcp(address, settings) {
            Ok(bound) => listeners.extend(bound),
            // It may be missing, but not be another's.
            Err(error) if address.is_optional() && error.kind() != io::ErrorKind::AddrInUse => {
                tracing::info!(address = address.host(), %error, "optional address is not listened on");
            }
            Err(error) => {
                let (host, port) = (address.host(), settings.port);
                let text = format!("Could not create server TCP listening socket {host}:{port}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
    Ok(listeners)
}

fn bind_tcp(address: &BindAddress, settings: &Settings) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for resolved in (address.host(), settings.port).to_socket_addrs()? {
        let socket = RawSocket::new(Domain::for_address(resolved), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if resolved.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(i32::try_from(settings.tcp_backlog).unwrap_or(i32::MAX))?;
        listeners.push(TcpListener::from_std(socket.into())?);
    }
    Ok(listeners)
}

/// Binds the unix socket. A socket left by an earlier process is replaced; any other file is not touched.
fn bind_unix(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
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
    let bound = std::os::unix::net::UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(named)?;
    if mode != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(named)?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn admit_tcp(stream: TcpStream, peer: SocketAddr, server: &Arc<Server>) {
    let settings = server.settings();
    if settings.protected_mode
        && !peer.ip().to_canonical().is_loopback()
        && server.users.default_user().needs_no_password()
    {
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
    let connections: usize = workers.iter().map(Mailbox::load).sum();
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
