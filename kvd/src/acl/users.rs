//! All users, and who changes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::error::RuleError;
use super::log::Log;
use super::text::Declaration;
use super::user::User;

/// The user of a connection that has not said who it is.
pub const DEFAULT_USER: &str = "default";

/// All users by name.
pub struct Users {
    table: RwLock<Table>,
    /// How often they have changed.
    epoch: AtomicU64,
    /// Whether the default user needs no password.
    open: AtomicBool,
    /// A new user may use every channel: `acl-pubsub-default`.
    all_channels: AtomicBool,
    /// What was denied.
    pub log: Log,
}

struct Table {
    users: BTreeMap<Bytes, Arc<User>>,
    next_serial: u64,
}

impl Users {
    /// The default user alone, with this password; empty means none.
    pub fn new(password: &str, all_channels: bool) -> Users {
        let users = Users {
            table: RwLock::new(Table { users: BTreeMap::new(), next_serial: 0 }),
            epoch: AtomicU64::new(0),
            open: AtomicBool::new(true),
            all_channels: AtomicBool::new(all_channels),
            log: Log::default(),
        };
        users.change(|table| table.put(User::unrestricted(Bytes::from_static(DEFAULT_USER.as_bytes()))));
        users.set_default_password(password);
        users
    }

    /// How often they have changed: who has seen another number must look again.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a connection that has not said who it is may ask anything.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// A new user may use every channel, or none.
    pub fn set_channel_default(&self, all: bool) {
        self.all_channels.store(all, Ordering::Relaxed);
    }

    fn all_channels(&self) -> bool {
        self.all_channels.load(Ordering::Relaxed)
    }

    /// The user of a name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<User>> {
        self.table.read().users.get(name).cloned()
    }

    /// The default user, who is always there.
    pub fn default_user(&self) -> Arc<User> {
        self.get(DEFAULT_USER.as_bytes()).expect("it cannot be removed")
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<User>> {
        self.table.read().users.values().cloned().collect()
    }

    /// What a user that somebody is may do now; none when it was deleted, although there may be another of the same name.
    pub fn find(&self, user: &User) -> Option<Arc<User>> {
        self.get(user.name()).filter(|found| found.serial == user.serial)
    }

    /// The same, with the number of the last change before. One who was deleted may do nothing.
    pub fn now(&self, user: &User) -> (Arc<User>, u64) {
        let epoch = self.epoch();
        (self.find(user).unwrap_or_else(|| Arc::new(user.deleted())), epoch)
    }

    /// Who has this name and this password.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        // Somebody who is not there takes as long.
        let user = self.get(name).unwrap_or_else(|| Arc::new(User::new(Bytes::new(), false)));
        user.admits(password).then_some(user)
    }

    /// Changes a user by rules, all or none; makes it if there is none of the name. The new one.
    pub fn set(&self, name: &[u8], rules: &[Vec<u8>]) -> Result<Arc<User>, RuleError> {
        let all_channels = self.all_channels();
        self.change(|table| {
            let before = table.users.get(name).cloned();
            let before = before.unwrap_or_else(|| Arc::new(User::new(Bytes::copy_from_slice(name), all_channels)));
            Ok(table.put(before.with(rules, all_channels)?))
        })
    }

    /// Removes a user, who must not be the default one.
    pub fn remove(&self, name: &[u8]) -> Option<Arc<User>> {
        debug_assert!(name != DEFAULT_USER.as_bytes(), "it cannot be removed");
        self.change(|table| table.users.remove(name))
    }

    /// Puts declared users in the place of all there are, all or none. Who had one of the names is the new user of that name.
    pub fn load(&self, declarations: &[Declaration]) -> Result<(), RuleError> {
        let all_channels = self.all_channels();
        let declared: Result<Vec<User>, RuleError> =
            declarations.iter().map(|declared| declared.user(all_channels)).collect();
        let declared = declared?;
        self.change(|table| {
            let before = std::mem::take(&mut table.users);
            let default = User::unrestricted(Bytes::from_static(DEFAULT_USER.as_bytes()));
            for mut user in [default].into_iter().chain(declared) {
                user.serial = before.get(user.name()).map_or(0, |before| before.serial);
                table.put(user);
            }
        });
        Ok(())
    }

    /// Declares users beside those there are; one that is there begins anew.
    pub fn declare(&self, declarations: &[Declaration]) -> Result<(), RuleError> {
        for declared in declarations {
            let rules: Vec<Vec<u8>> = [b"reset".to_vec()].into_iter().chain(declared.rules.iter().cloned()).collect();
            self.set(&declared.name, &rules)?;
        }
        Ok(())
    }

    /// `requirepass`: the only password of the default user; empty means that it needs none.
    pub fn set_default_password(&self, password: &str) {
        let rule = if password.is_empty() { b"nopass".to_vec() } else { [b">", password.as_bytes()].concat() };
        let set = self.set(DEFAULT_USER.as_bytes(), &[b"resetpass".to_vec(), rule]);
        debug_assert!(set.is_ok(), "both rules are always right");
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.write();
        let changed = change(&mut table);
        let open = |user: &Arc<User>| user.is_enabled() && user.needs_no_password();
        self.open.store(table.users.get(DEFAULT_USER.as_bytes()).is_some_and(open), Ordering::Relaxed);
        self.epoch.fetch_add(1, Ordering::Release);
        changed
    }
}

impl Table {
    fn put(&mut self, mut user: User) -> Arc<User> {
        if user.serial == 0 {
            self.next_serial += 1;
            user.serial = self.next_serial;
        }
        let user = Arc::new(user);
        self.users.insert(user.name().clone(), user.clone());
        user
    }
}
