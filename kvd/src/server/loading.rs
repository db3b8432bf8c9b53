//! The store while it is being opened: clients are served before, and refused what needs it.
//!
//! Until then an empty store in memory stands in, so that INFO and everything else that only looks has something to look
//! at. The gate refuses whatever would read or change keys, so nobody is shown the stand-in's, and nothing is lost with it.

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use engine::clock::Clock;
use engine::{Error, Progress, Store};

use super::Server;
use super::listener::Ears;

/// The store, as soon as it is open.
pub struct LateStore {
    opened: OnceLock<Arc<Store>>,
    stand_in: Arc<Store>,
    /// How far the opening is.
    pub progress: Arc<Progress>,
    /// When it began, in seconds since the epoch.
    pub began_seconds: u64,
}

impl LateStore {
    /// A store whose opening begins now.
    pub fn new(clock: &Arc<dyn Clock>) -> Result<LateStore, Error> {
        Ok(LateStore {
            opened: OnceLock::new(),
            stand_in: Store::stand_in(clock.clone())?,
            progress: Arc::default(),
            began_seconds: clock.wall_ms() / 1000,
        })
    }

    /// Whether it is still being opened.
    #[inline]
    pub fn is_loading(&self) -> bool {
        self.opened.get().is_none()
    }
}

impl Deref for LateStore {
    type Target = Arc<Store>;

    #[inline]
    fn deref(&self) -> &Arc<Store> {
        self.opened.get().unwrap_or(&self.stand_in)
    }
}

impl Server {
    /// The store is open: from here on the server hears from it what changes.
    pub fn hear_from(self: &Arc<Self>, store: &Store) {
        store.set_listener(Arc::new(Ears(Arc::downgrade(self))));
        let watched = self.clone();
        store.log().on_progress(Box::new(move || watched.on_log_progress()));
    }

    /// From here on it is served, as the settings want it by now.
    pub fn serve_store(&self, store: Arc<Store>) {
        // Who changes settings changes the store under the same lock: either finds what the other did.
        let settings = self.settings.write();
        store.set_limits(settings.value_limits());
        if settings.appendfsync != store.log().mode() {
            store.log().set_mode(settings.appendfsync);
        }
        store.set_eviction(&settings.eviction());
        store.set_spills(settings.spill);
        store.set_compaction_rate(settings.compaction_rate);
        store.attention().set_events(self.hot.events.load(Ordering::Relaxed) != 0);
        store.hold_expiry(self.pause.end_ms());
        // It is opened once.
        let _ = self.store.opened.set(store);
        self.govern_memory();
    }

    /// Seconds that the opening will still take, at the pace so far.
    pub fn loading_eta_seconds(&self) -> u64 {
        let progress = &self.store.progress;
        let passed_ms = self.monotonic_ms().saturating_sub(self.started_ms);
        let (loaded, total) = (progress.loaded_bytes(), progress.total_bytes());
        let left_ms = u128::from(passed_ms) * u128::from(total - loaded.min(total)) / u128::from(loaded.max(1));
        u64::try_from(left_ms.div_ceil(1000)).unwrap_or(u64::MAX)
    }
}
