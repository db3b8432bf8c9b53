//! What takes long to free: given away by who has no time, and freed behind.

use std::sync::Arc;

use crate::keyspace::entry::Entry;
use crate::keyspace::order::Order;
use crate::keyspace::table::Table;
use crate::store::Store;
use crate::value::Object;

#[expect(dead_code, reason = "only dropped")]
pub(crate) enum Garbage {
    Entry(Entry),
    Object(Box<Object>),
    Tables(Vec<Table>),
    Order(Arc<Order>),
}

impl Store {
    /// Frees an entry: at once, or behind when that takes long.
    #[inline]
    pub(crate) fn free(&self, entry: Entry) {
        if entry.is_costly_to_free() {
            self.garbage().lock().push(Garbage::Entry(entry));
        }
    }

    /// Frees whole tables behind.
    pub(crate) fn free_tables(&self, tables: Vec<Table>) {
        self.garbage().lock().push(Garbage::Tables(tables));
    }

    /// Frees an order of keys behind.
    pub(crate) fn free_order(&self, order: Arc<Order>) {
        self.garbage().lock().push(Garbage::Order(order));
    }

    /// Frees a large collection behind.
    pub(crate) fn free_object(&self, object: Box<Object>) {
        self.garbage().lock().push(Garbage::Object(object));
    }

    /// Frees what was left to be freed. Whether there was anything.
    pub(crate) fn free_garbage(&self) -> bool {
        let garbage = std::mem::take(&mut *self.garbage().lock());
        !garbage.is_empty()
    }
}
