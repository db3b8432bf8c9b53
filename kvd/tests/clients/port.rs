//! CONFIG SET port and bind from outside: who is heard and who no more, and that nobody who is connected notices.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::server::Target;

const PATIENCE: Duration = Duration::from_secs(20);
const CANNOT_LISTEN: &str = "-ERR CONFIG SET failed (possibly related to argument 'port') - \
Unable to listen on this port. Check server logs.";
const CANNOT_BIND: &str = "-ERR CONFIG SET failed (possibly related to argument 'bind') - \
Failed to bind to specified addresses.";

#[test]
fn the_port_can_be_changed_while_clients_stay() {
    let target = Target::from_environment();
    if target.is_foreign() {
        println!("which ports are free on another machine is not known here");
        return;
    }
    let first: u16 = target.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let second = unused().local_addr().expect("it is bound").port();
    let taken = unused();
    let taken_port = taken.local_addr().expect("it is bound").port();
    let mut client = Client::connect(first).expect("the server listens");

    assert_eq!(client.ask(&format!("CONFIG SET port {second}"), 1), "+OK");
    assert!(Client::connect(first).is_none(), "the port before is closed");
    assert!(Client::connect(second).is_some_and(|mut other| other.ask("PING", 1) == "+PONG"));

    assert_eq!(client.ask(&format!("CONFIG SET timeout 7 port {taken_port}"), 1), CANNOT_LISTEN);
    assert_eq!(client.ask("CONFIG GET timeout", 5), "*2 $7 timeout $1 0");
    assert_eq!(client.ask("CONFIG GET port", 5), format!("*2 $4 port ${} {second}", second.to_string().len()));
    assert!(Client::connect(second).is_some_and(|mut other| other.ask("PING", 1) == "+PONG"));

    assert_eq!(client.ask("CONFIG SET port 0", 1), "+OK");
    assert!(Client::connect(second).is_none(), "no port is open");
    assert_eq!(client.ask(&format!("CONFIG SET port {second}"), 1), "+OK");
    assert_eq!(client.ask(&format!("CONFIG SET port {first}"), 1), "+OK");
    assert!(Client::connect(first).is_some_and(|mut other| other.ask("PING", 1) == "+PONG"));
    assert_eq!(client.ask("PING", 1), "+PONG");
}

#[test]
fn the_addresses_can_be_changed_while_clients_stay() {
    let target = Target::from_environment();
    if target.is_foreign() {
        println!("which addresses another machine has is not known here");
        return;
    }
    let port: u16 = target.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut client = Client::connect(port).expect("the server listens");
    let heard_at = |host: &str| TcpStream::connect((host, port)).is_ok();

    assert_eq!(client.ask("CONFIG SET bind 127.0.0.1", 1), "+OK");
    assert!(heard_at("127.0.0.1") && !heard_at("127.0.0.2"));
    assert_eq!(client.ask("CONFIG SET bind *", 1), "+OK");
    assert!(heard_at("127.0.0.1") && heard_at("127.0.0.2"));
    assert_eq!(client.ask("CONFIG SET bind 127.0.0.2", 1), "+OK");
    assert!(!heard_at("127.0.0.1") && heard_at("127.0.0.2"));
    // An address for examples: no machine has it.
    assert_eq!(client.ask("CONFIG SET bind 192.0.2.1", 1), CANNOT_BIND);
    assert_eq!(client.ask("CONFIG GET bind", 5), "*2 $4 bind $9 127.0.0.2");
    assert!(heard_at("127.0.0.2"));
    assert_eq!(client.ask("PING", 1), "+PONG");
}

fn unused() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("there is a free port")
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// A connection, if anyone listens.
    fn connect(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Some(Client(BufReader::new(stream)))
    }

    /// The first lines of the reply, with blanks between them.
    fn ask(&mut self, request: &str, lines: usize) -> String {
        self.0.get_mut().write_all(format!("{request}\r\n").as_bytes()).expect("the server reads");
        let lines = self.0.by_ref().lines().take(lines).map(|line| line.expect("the server answers"));
        lines.collect::<Vec<_>>().join(" ")
    }
}
