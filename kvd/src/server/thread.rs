//! A worker's thread: it starts the event loop and does what comes by message.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::runtime::{Builder, LocalOptions};

use super::Server;
use super::connection::Connection;
use super::mailbox::{Mailbox, Message, Wake};
use super::socket::Socket;
use super::task;
use super::worker::Worker;

/// Threads of a worker that may wait for the disk at once: as many reads as a disk makes good use of.
const BLOCKING_THREADS: usize = 64;

/// Starts a worker's thread, which ends with the process; its mailbox.
pub fn start(server: Arc<Server>, index: usize) -> io::Result<Mailbox> {
    let load = Arc::new(AtomicUsize::new(0));
    let wake = Arc::new(Wake::default());
    let (mailbox, mut messages) = Mailbox::new(load.clone(), wake.clone());
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let runtime = match Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build_local(LocalOptions::default())
        {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "a worker has no event loop");
                server.stop.pull();
                return;
            }
        };
        runtime.block_on(async move {
            let worker = Rc::new(Worker::new(server, index, wake, load));
            tokio::task::spawn_local(worker.clone().read_task());
            tokio::task::spawn_local(worker.clone().release_task());
            tokio::task::spawn_local(worker.clone().watch_task());
            tokio::task::spawn_local(worker.clone().deliver_task());
            while let Some(message) = messages.recv().await {
                match message {
                    Message::Serve(socket) => serve(socket, &worker),
                    Message::Kill(id) => worker.kill(id),
                    Message::Drain(done) => {
                        worker.drain().await;
                        drop(done);
                    }
                }
            }
        });
    })?;
    Ok(mailbox)
}

fn serve(socket: Socket, worker: &Rc<Worker>) {
    match Connection::open(socket, &worker.server, worker.index) {
        Ok((connection, reader)) => {
            worker.admit(&connection);
            tokio::task::spawn_local(task::run(connection, reader, worker.clone()));
        }
        Err(error) => {
            tracing::debug!(%error, "a connection was gone before it was served");
            worker.lose();
        }
    }
}
