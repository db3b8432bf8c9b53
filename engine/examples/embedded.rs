//! A store in a program of its own: open a directory, write, read, close, open again.
//!
//! ```text
//! cargo run -p engine --example embedded -- ./example
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use engine::clock::SystemClock;
use engine::disk::OsDisk;
use engine::{Background, FsyncMode, Need, Options, Store, Value, owned};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: embedded DIRECTORY")?;
    let visits = visit(Path::new(&directory))?;
    println!("visit {visits}; run it again, or kill it before");
    Ok(())
}

/// Counts how often the directory was visited. The answer is durable when this returns.
fn visit(directory: &Path) -> Result<u64, Box<dyn Error>> {
    let options = Options { mode: FsyncMode::Always, ..Options::default() };
    let store = Store::open(Arc::new(OsDisk::open(directory)?), Arc::new(SystemClock::new()), options)?;
    let background = Background::start(&store)?;

    // Asked before a transaction is begun: after this nothing in it can fail.
    store.admit(Need::Grow, 100).map_err(|refusal| format!("refused: {refusal:?}"))?;
    let key = store.key(b"visits");
    let mut transaction = store.begin(0, &[key], store.now_ms());
    let before = transaction.get(&key).map(owned);
    let visits = match before {
        Some(bytes) => std::str::from_utf8(&bytes)?.parse::<u64>()? + 1,
        None => 1,
    };
    transaction.set(&key, Value::Copy(visits.to_string().as_bytes()), None);
    let position = transaction.commit();

    // Others would go on and be told by `Log::on_progress`; there is nothing else to do here.
    while store.log().acknowledged() < position {
        if store.log().is_read_only() {
            return Err("the disk failed: whether this visit counts is not known".into());
        }
        store.log().wake_flusher();
        std::thread::yield_now();
    }
    background.stop();
    store.close();
    Ok(visits)
}
