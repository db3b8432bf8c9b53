//! How old an acknowledged write can be that a power loss takes, in `everysec`, when syncs are slow.
//!
//! A byte waits 180 ms for a sync to begin, and then for its end. So a second is kept while a sync takes 0.8 s, as long as
//! enough of them may be under way at once; beyond, the stall bounds it.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::clock::{Clock, SimClock};
use engine::disk::sim::SimDisk;
use engine::{Decision, DueSync, Flusher, Need, Options, Store, Value};

/// A client writes every 10 ms for some seconds while each sync takes this long. Age in milliseconds of the oldest acked
/// write that was not durable, at any moment at which a write was let in; and how many were not.
fn oldest_age_ms(sync_ms: u64) -> (u64, u64) {
    let clock = Arc::new(SimClock::new(1 << 40));
    let disk = Arc::new(SimDisk::new(1));
    let store = Store::open(disk, clock.clone(), Options { secrets_from: Some(1), ..Options::default() }).unwrap();
    let mut flusher = Flusher::new(store.log().clone());
    let mut under_way: VecDeque<(u64, DueSync)> = VecDeque::new();
    let mut acked: VecDeque<(u64, u64)> = VecDeque::new();
    let (mut oldest_ms, mut refused) = (0, 0);
    while clock.monotonic_ms() < 12_000 {
        clock.advance_ms(10);
        let now_ms = clock.monotonic_ms();
        while let Some((_, sync)) = under_way.pop_front_if(|(begun_ms, _)| *begun_ms + sync_ms <= now_ms) {
            sync.run();
        }
        while let Decision::Sync(sync) = flusher.decide(clock.monotonic_us()) {
            under_way.push_back((now_ms, sync));
        }
        acked.retain(|(gate, _)| *gate > store.log().durable());
        if store.admit(Need::Grow, 100).is_err() {
            refused += 1;
            continue;
        }
        oldest_ms = oldest_ms.max(acked.front().map_or(0, |(_, since_ms)| now_ms - since_ms));
        let key = store.key(b"key");
        let mut transaction = store.begin(0, &[key], store.now_ms());
        transaction.set(&key, Value::Copy(b"value"), None);
        let gate = transaction.commit();
        store.log().write_out();
        acked.push_back((gate, now_ms));
    }
    (oldest_ms, refused)
}

#[test]
fn a_second_is_kept_while_a_sync_takes_four_fifths_of_it() {
    for sync_ms in [0, 100, 300, 490, 650, 800] {
        let (age_ms, refused) = oldest_age_ms(sync_ms);
        assert!(age_ms <= 1000, "sync {sync_ms} ms: {age_ms} ms old");
        assert_eq!(refused, 0, "sync {sync_ms} ms");
    }
}

#[test]
fn a_slower_disk_stalls_writers_before_two_seconds() {
    for sync_ms in [1500, 2500, 5000] {
        let (age_ms, refused) = oldest_age_ms(sync_ms);
        assert!(age_ms <= 2000, "sync {sync_ms} ms: a write was let in beside one {age_ms} ms old");
        assert!(refused > 0 || sync_ms < 1800, "sync {sync_ms} ms");
    }
}
