//! Every order in which threads may use the marks, the flusher's bell and the syncs under way, and every value that a processor
//! may read meanwhile; each with a planted bug that has to be found.
//!
//! ```text
//! cargo test -p engine --features loom,mutants --lib models
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::bell::Bell;
use super::marks::{Interest, Marks};
use super::under_way::UnderWay;
use crate::mutant::plant;
use crate::sync::Mutex;

const LONG: Duration = Duration::from_secs(1);

/// A thread loses the processor so often at most where it need not; `LOOM_MAX_PREEMPTIONS` asks for more.
const PREEMPTIONS: usize = 3;

/// A model that holds, and does not with a planted bug.
fn holds_unless(mutant: &'static str, model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    builder.check(model);
    plant(Some(mutant));
    let caught = catch_unwind(AssertUnwindSafe(|| builder.check(model)));
    plant(None);
    assert!(caught.is_err(), "{mutant} is not found");
}

/// Two append and call; the flusher looks at the log and sleeps when there is nothing new.
fn calls() {
    let (marks, bell, appender) = (Arc::new(Marks::new(0)), Arc::new(Bell::new()), Arc::new(Mutex::new(0)));
    for _ in 0..2 {
        let (marks, bell, appender) = (marks.clone(), bell.clone(), appender.clone());
        thread::spawn(move || {
            let mut end = appender.lock();
            *end += 10;
            marks.append_to(*end);
            drop(end);
            bell.ring();
        });
    }
    while marks.appended() < 20 {
        bell.sleep(LONG);
    }
}

#[test]
fn a_call_is_never_lost() {
    holds_unless("call_unheard", calls);
}

/// A worker waits for its replies' position; the flusher wakes it if it waits.
fn replies() {
    let (marks, waiting, notify) = (Arc::new(Marks::new(0)), Arc::new(Interest::default()), Arc::new(Bell::new()));
    let flusher = {
        let (marks, waiting, notify) = (marks.clone(), waiting.clone(), notify.clone());
        thread::spawn(move || {
            marks.sync_to(10);
            if waiting.is_declared() {
                notify.ring();
            }
        })
    };
    loop {
        waiting.declare();
        if marks.durable() >= 10 {
            break;
        }
        notify.sleep(LONG);
    }
    waiting.withdraw();
    let _ = flusher.join();
}

#[test]
fn who_waits_for_a_mark_is_woken() {
    holds_unless("interest_unfenced", replies);
}

/// Two syncs that began one after the other end in any order; a third thread acts on the durable mark.
fn syncs() {
    let (marks, under_way) = (Arc::new(Marks::new(0)), Arc::new(Mutex::new(UnderWay::default())));
    let on_disk = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    for (sync, target) in [10, 20].into_iter().enumerate() {
        let number = under_way.lock().begin(sync as u64, target, 0);
        let (marks, under_way, on_disk) = (marks.clone(), under_way.clone(), on_disk.clone());
        thread::spawn(move || {
            on_disk[sync].store(true, Ordering::Relaxed);
            under_way.lock().end(number, &marks);
        });
    }
    let durable = marks.durable();
    let safe = on_disk.iter().take(durable as usize / 10).all(|synced| synced.load(Ordering::Relaxed));
    assert!(safe, "{durable} is durable and not on the disk");
}

#[test]
fn nothing_is_durable_before_all_below_it_is() {
    holds_unless("sync_overtakes", syncs);
}

#[test]
fn who_sees_the_durable_mark_sees_what_was_done_before() {
    holds_unless("marks_relaxed", syncs);
}

/// A writer and a syncer move the marks; a third thread never sees one pass the one before it.
fn marks() {
    let marks = Arc::new(Marks::new(0));
    let mover = marks.clone();
    thread::spawn(move || {
        for end in [10, 20] {
            mover.append_to(end);
            mover.write_to(end);
            mover.sync_to(end);
        }
    });
    let (durable, written, appended) = (marks.durable(), marks.written(), marks.appended());
    assert!(durable <= written && written <= appended, "{durable} {written} {appended}");
}

#[test]
fn no_mark_is_seen_to_pass_the_one_before_it() {
    holds_unless("marks_relaxed", marks);
}
