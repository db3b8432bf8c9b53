//! A simulated disk whose files are seen through a function; the benchmark shares this file.

use std::io;
use std::sync::Arc;

use engine::disk::sim::SimDisk;
use engine::disk::{Disk, File};

/// The disk, and what becomes of each of its files when it is opened.
pub struct Through<F>(pub SimDisk, pub F);

impl<F: Fn(&str, Arc<dyn File>) -> Arc<dyn File> + Send + Sync + 'static> Disk for Through<F> {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok((self.1)(name, self.0.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok((self.1)(name, self.0.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        self.0.lock(name)
    }
}
