//! kvd without sockets and threads: a request goes in, its reply comes out, and whatever a connection would wait for is done at
//! once. The disk and the clock are simulated.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use engine::clock::{Clock, SimClock};
use engine::disk::sim::SimDisk;
use engine::{Digest, Flusher, FsyncMode, Maintenance, Options, Store};
use kvd::acl::Users;
use kvd::commands::{After, Reply, Step};
use kvd::config::Settings;
use kvd::server::Server;
use kvd::server::execute::{self, Ready};
use kvd::server::halt::Pause;
use kvd::server::listen::Listeners;
use kvd::server::listener::Ears;
use kvd::server::loading::LateStore;
use kvd::session::Session;
use kvd::session::output::Output;
use kvd::session::registry::{Client, Ends};
use resp::{Limits, Request, RequestCodec, encode_request};
use tokio::runtime::{Builder, Runtime};
use tokio_util::codec::Decoder;

/// Values of this length and more get a file of their own.
const BLOB_BYTES: usize = 4 << 10;
/// No command may make a value longer, nor a reply.
const MOST_BYTES: u64 = 1 << 20;
/// A server is given up for a fresh one when it has served so many inputs: its log only grows, and a kill replays it.
const INPUTS: u32 = 32;
/// A request that is not done after so many turns never will be.
const TURNS: u32 = 1000;

/// Nothing runs on it: the server wants to know where it would listen.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without drivers"));

thread_local! {
    static KEPT: Cell<Option<Box<Kvd>>> = const { Cell::new(None) };
}

/// A server with one client.
pub struct Kvd {
    disk: SimDisk,
    clock: Arc<SimClock>,
    server: Arc<Server>,
    session: Session,
    flusher: Flusher,
    maintenance: Maintenance,
    inputs: u32,
}

/// Lends a server without keys. It is used again, unless `used` panics.
pub fn with_kvd(used: impl FnOnce(&mut Kvd)) {
    let kept = KEPT.take().filter(|kvd| kvd.inputs < INPUTS);
    let mut kvd = kept.unwrap_or_else(|| Box::new(Kvd::on(SimDisk::new(1), Arc::new(SimClock::new(1 << 40)))));
    kvd.inputs += 1;
    used(&mut kvd);
    kvd.server.users.load(&[]).expect("the default user can be made");
    kvd.session = fresh_session();
    kvd.call(&[b"FLUSHALL"]);
    KEPT.set(Some(kvd));
}

fn fresh_session() -> Session {
    let users = Users::new("", false);
    let user = users.default_user();
    let (address, local_address) = ("127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned());
    let client = Client::new(1, Ends { address, local_address, descriptor: 0, unix: false }, 0, 0, user);
    Session::new(Arc::new(client), &users)
}

impl Kvd {
    fn on(disk: SimDisk, clock: Arc<SimClock>) -> Kvd {
        let mut settings = Settings::default();
        settings.appendfsync = FsyncMode::No;
        settings.proto_max_bulk_len = MOST_BYTES;
        settings.client_output_buffer_limit.normal.hard_bytes = MOST_BYTES;
        let shared: Arc<dyn Clock> = clock.clone();
        let late = LateStore::new(&shared).expect("it is in memory");
        let listeners = Listeners::none(RUNTIME.handle().clone());
        let server = Server::new(late, shared.clone(), settings, listeners, 1, None).expect("there are random numbers");
        let options = Options {
            mode: FsyncMode::No,
            segment_bytes: 256 << 10,
            blob_bytes: BLOB_BYTES,
            secrets_from: Some(1),
            ..Options::default()
        };
        let store = Store::open(Arc::new(disk.clone()), shared, options).expect("a healthy disk");
        store.set_listener(Arc::new(Ears(Arc::downgrade(&server))));
        let flusher = Flusher::new(store.log().clone());
        server.serve_store(store);
        Kvd { disk, clock, server, session: fresh_session(), flusher, maintenance: Maintenance::default(), inputs: 0 }
    }

    /// Time passes, and the background work is done.
    pub fn pass(&mut self, ms: u64) {
        self.clock.advance_ms(ms);
        let now_us = self.clock.monotonic_us();
        self.flusher.step(now_us);
        for _ in 0..TURNS {
            if !self.maintenance.step(&self.server.store, now_us) {
                break;
            }
        }
    }

    /// The process is killed and started again. The client connects anew.
    pub fn kill(&mut self) {
        let inputs = self.inputs;
        *self = Kvd::on(self.disk.process_crash(), self.clock.clone());
        self.inputs = inputs;
    }

    /// The digest of all that is stored; the figures are what is there.
    pub fn digest(&self) -> Digest {
        self.server.store.audit().expect("the figures are what is there");
        self.server.store.digest(None)
    }

    /// The reply to a request; nothing when the connection was closed for it.
    pub fn call(&mut self, words: &[&[u8]]) -> Option<Bytes> {
        let mut wire = BytesMut::new();
        encode_request(&mut wire, words);
        let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
        let batch = codec.decode(&mut wire).expect("it was encoded").expect("it is whole");
        let (mut ready, mut output) = (Ready::default(), Output::default());
        for _ in 0..TURNS {
            match execute::run(&batch, 0, &mut ready, &mut self.session, &self.server, &mut output) {
                Some((_, Pause::Overflow | Pause::After(After::Close | After::Shutdown))) => {
                    self.session = fresh_session();
                    return None;
                }
                // It has not run: that comes again when this is done.
                Some((0, pause)) => self.wait(batch.request(0), pause, &mut ready, &mut output),
                ended => {
                    if let Some((_, pause)) = ended {
                        self.wait(batch.request(0), pause, &mut ready, &mut output);
                    }
                    self.server.store.log().write_out();
                    return Some(output.into_pieces().concat().into());
                }
            }
        }
        panic!("a request that waits for ever");
    }

    /// Does what a request waits for.
    fn wait(&mut self, request: Request<'_>, pause: Pause, ready: &mut Ready, output: &mut Output) {
        let store = self.server.store.clone();
        let version = self.session.version;
        match pause {
            Pause::Blobs => {
                let large = |&index: &usize| request.get(index).is_some_and(|word| word.len() >= BLOB_BYTES);
                for index in (2..request.len()).filter(large) {
                    let reference = store.write_blob(request.get(index).unwrap_or_default());
                    ready.blobs.push((index, reference.expect("a healthy disk")));
                }
            }
            Pause::Unsettled(key) => {
                store.settle(self.session.database, &store.key(&key)).expect("a healthy disk");
            }
            Pause::Cold(readings) => {
                for mut reading in readings {
                    reading.fill(&store).expect("a healthy disk");
                    ready.fetched.push(reading.finish(&store).expect("a healthy disk"));
                }
            }
            Pause::Blocked(waiting) => {
                // Nobody else is there to bring it.
                self.server.blocked.remove(&waiting.waiter, &self.server);
                Reply::new(output, version).write().null_array();
            }
            Pause::After(after) => self.carry_out(after, &mut Reply::new(output, version)),
            // There is no other thread.
            Pause::Apart(_) => ready.is_apart = true,
            Pause::Stalled | Pause::Postponed | Pause::Wants(_) => self.pass(5),
            Pause::Messages | Pause::Output | Pause::Turn | Pause::Widened | Pause::Overflow => {}
        }
    }

    fn carry_out(&mut self, after: After, reply: &mut Reply<'_>) {
        match after {
            After::Slices(mut slices) => loop {
                match slices.step(&self.server, None) {
                    Step::Done => {
                        slices.finish(&self.server, None, reply).expect("it was done");
                        return;
                    }
                    Step::More | Step::Stalled => {}
                    Step::Wants(wants) => {
                        let store = &self.server.store;
                        let read = wants.iter().map(|want| store.read(want).expect("a healthy disk"));
                        slices.bring(read.collect());
                    }
                    Step::Failed(error) => break reply.write().error(error.0.as_bytes()),
                }
            },
            After::Elsewhere(errand) => match (errand.0)() {
                Ok(()) => reply.ok(),
                Err(error) => reply.write().error(error.0.as_bytes()),
            },
            After::WaitDurable { lsn, .. } => {
                self.server.store.log().want_sync(lsn);
                self.pass(1);
                reply.write().array(2);
                reply.integer(i64::from(self.server.store.log().durable() >= lsn));
                reply.integer(0);
            }
            After::WaitReplicas { .. } => reply.integer(0),
            // The reply is there.
            _ => {}
        }
    }
}
