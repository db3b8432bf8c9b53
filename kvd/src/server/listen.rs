//! Accepting connections, on TCP and on the unix socket, and handing each to the least loaded worker.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
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
use super::unix_socket::{self, SocketFile};
use crate::config::{BindAddress, Settings};

/// How long a listener rests after an error that more connections would repeat.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The sockets that are listened on.
pub struct Listeners {
    /// The event loop that accepts, whichever thread binds.
    runtime: Handle,
    tcp: Mutex<Vec<Bound>>,
    /// There are other TCP sockets than those that are waited for.
    changed: Notify,
    /// Until it is served.
    unix: Mutex<Option<UnixListener>>,
    unix_file: Mutex<Option<SocketFile>>,
}

/// A TCP socket that is listened on.
struct Bound {
    listener: TcpListener,
    port: Port,
}

/// What clients on a port speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// `port`.
    Plain,
    /// `tls-port`.
    Tls,
}

impl Port {
    const ALL: [Port; 2] = [Port::Plain, Port::Tls];

    /// Its number, 0 for none.
    fn number(self, settings: &Settings) -> u16 {
        match self {
            Port::Plain => settings.port,
            Port::Tls => settings.tls_port,
        }
    }
}

impl Listeners {
    /// Binds what the settings name. An address marked optional may be missing.
    pub fn bind(settings: &Settings, runtime: Handle) -> io::Result<Listeners> {
        let tcp = bind_ports(&Port::ALL, settings, &runtime)?;
        let (unix, unix_file) = match &settings.unixsocket {
            Some(path) => {
                let _registered_with = runtime.enter();
                let (listener, file) = unix_socket::bind(path, settings.unixsocketperm.mode())?;
                (Some(UnixListener::from_std(listener)?), Some(file))
            }
            None => (None, None),
        };
        if tcp.is_empty() && unix.is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "Configured to not listen anywhere, exiting."));
        }
        Ok(Listeners {
            runtime,
            tcp: Mutex::new(tcp),
            changed: Notify::new(),
            unix: Mutex::new(unix),
            unix_file: Mutex::new(unix_file),
        })
    }

    /// Listens nowhere.
    pub fn none(runtime: Handle) -> Listeners {
        Listeners {
            runtime,
            tcp: Mutex::default(),
            changed: Notify::new(),
            unix: Mutex::default(),
            unix_file: Mutex::default(),
        }
    }

    /// The addresses, for the banner.
    pub fn addresses(&self) -> Vec<String> {
        let tcp = self.tcp.lock();
        let shown = tcp.iter().filter_map(|bound| {
            let address = bound.listener.local_addr().ok()?;
            Some(if bound.port == Port::Tls { format!("{address} (TLS)") } else { address.to_string() })
        });
        shown.collect()
    }

    /// Listens where the settings say now, and no more where those before did. What was accepted stays. After an error
    /// everything is as it was.
    pub fn change(&self, settings: &Settings, before: &Settings) -> io::Result<()> {
        let is_other = |port: &Port| port.number(settings) != port.number(before) || settings.bind != before.bind;
        let others: Vec<Port> = Port::ALL.into_iter().filter(is_other).collect();
        let mut tcp = self.tcp.lock();
        // Two sockets cannot listen on one address, nor on one and on all.
        let is_taken = |port: &Port| Port::ALL.iter().any(|other| other.number(before) == port.number(settings));
        let closes_first = others.iter().any(is_taken);
        if closes_first {
            tcp.retain(|bound| !others.contains(&bound.port));
        }
        let bound = bind_ports(&others, settings, &self.runtime).and_then(|bound| {
            let is_heard = |port: &Port| port.number(settings) == 0 || bound.iter().any(|bound| bound.port == *port);
            if others.iter().all(is_heard) { Ok(bound) } else { Err(io::ErrorKind::AddrNotAvailable.into()) }
        });
        let (bound, changed) = match bound {
            Ok(bound) => (Some(bound), Ok(())),
            // They were free a moment ago.
            Err(error) if closes_first => (Some(bind_ports(&others, before, &self.runtime)?), Err(error)),
            Err(error) => (None, Err(error)),
        };
        if let Some(bound) = bound {
            // Those before close here, and not when the accepting task gets to it: their port is free at once.
            tcp.retain(|bound| !others.contains(&bound.port));
            tcp.extend(bound);
            self.changed.notify_one();
            tracing::info!(port = settings.port, tls_port = settings.tls_port, "the TCP sockets were changed");
        }
        changed
    }

    /// Listens on TCP no more.
    pub fn close(&self) {
        self.tcp.lock().clear();
    }

    /// Removes the unix socket, so that nobody takes it for one that is listened on.
    pub fn remove_socket(&self) {
        drop(self.unix_file.lock().take());
    }

    /// The next connection over TCP. Each listener comes first in its turn, so that none is kept from being heard.
    async fn accept(&self, turn: usize) -> io::Result<(TcpStream, SocketAddr, Port)> {
        let poll = |context: &mut Context<'_>| {
            let tcp = self.tcp.lock();
            let (last, first) = tcp.split_at(turn % tcp.len().max(1));
            let mut polls = first.iter().chain(last).map(|bound| {
                let accepted = bound.listener.poll_accept(context);
                accepted.map_ok(|(stream, peer)| (stream, peer, bound.port))
            });
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
                Ok((stream, peer, port)) => admit_tcp(stream, peer, port, &accepts),
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

/// Binds every address at these ports; none at a port that is 0.
fn bind_ports(ports: &[Port], settings: &Settings, runtime: &Handle) -> io::Result<Vec<Bound>> {
    let _registered_with = runtime.enter();
    let mut all = Vec::new();
    for &port in ports.iter().filter(|port| port.number(settings) != 0) {
        for address in &settings.bind {
            match bind_tcp(address, port.number(settings), settings.tcp_backlog) {
                Ok(bound) => all.extend(bound.into_iter().map(|listener| Bound { listener, port })),
                // It may be missing, but not be another's.
                Err(error) if address.is_optional() && error.kind() != io::ErrorKind::AddrInUse => {
                    tracing::info!(address = address.host(), %error, "optional address is not listened on");
                }
                Err(error) => {
                    let (host, port) = (address.host(), port.number(settings));
                    let text = format!("Could not create server TCP listening socket {host}:{port}: {error}");
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
    }
    Ok(all)
}

fn bind_tcp(address: &BindAddress, port: u16, backlog: u32) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for resolved in (address.host(), port).to_socket_addrs()? {
        let socket = RawSocket::new(Domain::for_address(resolved), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if resolved.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&resolved.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        listeners.push(TcpListener::from_std(socket.into())?);
    }
    Ok(listeners)
}

fn admit_tcp(stream: TcpStream, peer: SocketAddr, port: Port, server: &Arc<Server>) {
    let settings = server.settings();
    // Who speaks TLS understands it only after the handshake.
    if port == Port::Plain && !peer.ip().to_canonical().is_loopback() && server.is_protected() {
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
    match (stream.into_std(), port, server.tls.in_force()) {
        (Ok(stream), Port::Plain, _) => hand_over(Socket::Tcp(stream), server),
        (Ok(stream), Port::Tls, Some(config)) => hand_over(Socket::Tls(stream, config), server),
        (Ok(_), Port::Tls, None) => tracing::debug!("TLS has just been turned off"),
        (Err(error), ..) => tracing::debug!(%error, "an accepted connection was gone"),
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
            // It would have to be encrypted first.
            Socket::Tls(..) => {}
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
/// What a client from elsewhere is told while there is no password.
pub const PROTECTED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no password \
is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to \
connect from external computers, set a password with requirepass, or bind the server to an address with --bind, or \
turn protected mode off with --protected-mode no.\r\n";
