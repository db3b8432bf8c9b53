//! How old an acknowledged write can be that a power loss takes, in `everysec`, when syncs are slow.
//!
//! Syncs follow each other: a byte that is written just after one began waits for that one and for the next, so the
//! oldest is twice as old as a sync is long. One second is kept while a sync takes 0.5 s; beyond, the stall bounds it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::disk::sim::SimDisk;
use engine::{Flusher, Need, Options, Store, Value};

use crate::disks::{SlowDisk, with_slow_sync};

/// A client writes every 10 ms for some seconds while each sync takes this long. Age in milliseconds of the oldest
/// acked write that was not durable, at any moment at which a write was let in; and how many were not.
fn oldest_age_ms(sync_ms: u64) -> (u64, u64) {
    let clock = Arc::new(SimClock::new(1 << 40));
    let disk = Arc::new(SlowDisk(SimDisk::new(1)));
    let store = Store::open(disk, clock.clone(), Options { secrets_from: Some(1), ..Options::default() }).unwrap();
    let mut flusher = Flusher::new(store.log().clone());
    let acked: Rc<RefCell<Vec<(u64, u64)>>> = Rc::default();
    let worst = Rc::new(RefCell::new((0, 0)));
    let write = {
        let (store, clock, acked, worst) = (store.clone(), clock.clone(), acked.clone(), worst.clone());
        move || {
            clock.advance_ms(10);
            let (now_ms, mut acked, mut worst) = (clock.monotonic_ms(), acked.borrow_mut(), worst.borrow_mut());
            acked.retain(|(gate, _)| *gate > store.log().durable());
            let oldest_ms = acked.first().map_or(0, |(_, since)| now_ms - since);
            if store.admit(Need::Grow, 100).is_err() {
                worst.1 += 1;
                return;
            }
            worst.0 = worst.0.max(oldest_ms);
            let key = store.key(b"key");
            let mut transaction = store.begin(0, &[key], store.now_ms());
            transaction.set(&key, Value::Copy(b"value"), None);
            let gate = transaction.commit();
            store.log().write_out();
            acked.push((gate, now_ms));
        }
    };
    while clock.monotonic_ms() < 12_000 {
        write();
        let meanwhile = write.clone();
        let step = || flusher.step(clock.monotonic_us());
        with_slow_sync(move || (0..sync_ms / 10).for_each(|_| meanwhile()), step);
    }
    worst.take()
}

#[test]
fn half_a_second_of_sync_keeps_the_second() {
    for sync_ms in [0, 100, 300, 490] {
        let (age_ms, refused) = oldest_age_ms(sync_ms);
        assert!(age_ms <= 1000, "sync {sync_ms} ms: {age_ms} ms old");
        assert_eq!(refused, 0, "sync {sync_ms} ms");
    }
}

#[test]
fn a_slower_disk_stalls_writers_before_two_seconds() {
    for sync_ms in [800, 1500, 5000] {
        let (age_ms, refused) = oldest_age_ms(sync_ms);
        assert!(age_ms <= 2000, "sync {sync_ms} ms: a write was let in beside one {age_ms} ms old");
        assert!(refused > 0 || sync_ms < 1000, "sync {sync_ms} ms");
    }
}
