//! Reads that the kernel does while the thread that wants them goes on (io_uring): handed over and taken back many at a time.
//!
//! ```text
//!   push ─► waiting ─► slots, as many as the kernel may have ─► turn: one call for all ─► whole: given back
//!                        └──────────────◄── the rest of a short read ──◄───────┘
//! ```
//!
//! What the kernel may still write to belongs to the ring, together with the file, whoever has lost interest in it: memory is
//! given back when its read has ended, and not before. Nothing is tried again here but the rest of a short read: whoever is told
//! of a failure reads once more as everybody does, and learns what is wrong.

#![expect(unsafe_code, reason = "memory is lent to the kernel beyond the end of a call")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use io_uring::{IoUring, cqueue, opcode, types};
use rustix::io::Errno;

use super::File;
use crate::mutant::planted;

/// A read that is to be done.
pub struct Read {
    /// Held so that the descriptor is no other file's.
    _file: Arc<dyn File>,
    descriptor: RawFd,
    bytes: Vec<u8>,
    offset: u64,
}

impl Read {
    /// Fills `bytes` from `offset`, as [`read_exact_at`](super::read_exact_at). `None` of a file that the kernel does not know.
    pub fn new(file: Arc<dyn File>, bytes: Vec<u8>, offset: u64) -> Option<Read> {
        let descriptor = file.descriptor()?.as_raw_fd();
        Some(Read { _file: file, descriptor, bytes, offset })
    }
}

/// A read that the kernel does, or is about to.
struct Slot<T> {
    read: Read,
    filled: usize,
    /// The turn in which it was begun.
    turn: u64,
    tag: T,
}

/// Reads of one thread. Each has a tag, by which its owner knows it.
pub struct Ring<T> {
    uring: IoUring,
    /// By the number that the kernel knows them by. As many as it may have.
    slots: Vec<Option<Slot<T>>>,
    free: Vec<usize>,
    /// Those for which there was no slot.
    waiting: VecDeque<Slot<T>>,
    /// Most bytes of one operation.
    piece: usize,
    turns: u64,
}

/// How a read has ended.
pub struct Ended<T> {
    /// What it was given.
    pub tag: T,
    /// All that was asked for, or why not.
    pub read: io::Result<Vec<u8>>,
    /// It did not wait for the disk: the kernel had it in memory.
    pub at_once: bool,
}

impl<T> Ring<T> {
    /// A ring that lets the kernel do so many reads at once, each in operations of at most `piece` bytes. Only the thread that
    /// has made it can use it. Fails where the kernel is older than Linux 6.0, or forbids it.
    pub fn new(entries: u32, piece: usize) -> io::Result<Ring<T>> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            // What ends does not interrupt the thread, but is told when it comes out of its next call to the kernel or waits in
            // one. (With work deferred to a call of this ring's, its descriptor would wake nobody.)
            .setup_coop_taskrun()
            .setup_submit_all()
            .build(entries)?;
        let entries = entries as usize;
        let (slots, free) = ((0..entries).map(|_| None).collect(), (0..entries).collect());
        // The length of an operation has 32 bits.
        let piece = piece.clamp(1, 1 << 30);
        Ok(Ring { uring, slots, free, waiting: VecDeque::new(), piece, turns: 0 })
    }

    /// Takes a read on. Nothing happens before the next turn.
    pub fn push(&mut self, read: Read, tag: T) {
        self.waiting.push_back(Slot { read, filled: 0, turn: 0, tag });
    }

    /// Whether a turn would find nothing to do, now or ever.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.free.len() == self.slots.len()
    }

    /// Hands over what was pushed, and takes back what has ended. Waits for nothing. After a failure the ring is of no more use:
    /// dropped, it drops the tags of what has not ended.
    pub fn turn(&mut self, mut ended: impl FnMut(Ended<T>)) -> io::Result<()> {
        self.turns += 1;
        loop {
            while !self.waiting.is_empty()
                && let Some(index) = self.free.pop()
                && let Some(slot) = self.waiting.pop_front()
            {
                self.begin(index, Slot { turn: self.turns, ..slot })?;
            }
            if !self.queue_is_empty() {
                self.submit(0)?;
            }
            let is_cut = self.take_back(&mut ended)?;
            let has_room = !self.waiting.is_empty() && !self.free.is_empty();
            // When the kernel has taken a part only and that has ended, nothing will wake who calls this.
            let is_stuck = !self.queue_is_empty() && !self.has_begun();
            if !(is_cut || has_room || is_stuck) {
                return Ok(());
            }
        }
    }

    /// Puts an operation for what is missing of a read in the kernel's queue.
    fn begin(&mut self, index: usize, slot: Slot<T>) -> io::Result<()> {
        // The slot stays where it is from here on while the kernel has it.
        let slot = self.slots[index].insert(slot);
        let rest = &mut slot.read.bytes[slot.filled..];
        let length = rest.len().min(self.piece) as u32;
        let operation = opcode::Read::new(types::Fd(slot.read.descriptor), rest.as_mut_ptr(), length)
            .offset(slot.read.offset + slot.filled as u64)
            .build()
            .user_data(index as u64);
        // SAFETY: the memory is the heap block of a vector in `slots`, with at least `length` bytes from here to its end. It is
        // neither touched nor freed before the completion with this number has come: `take_back` leaves all other slots alone,
        // `free` has not this one, and `drop` waits for it or leaks it.
        let pushed = unsafe { self.uring.submission().push(&operation) };
        if pushed.is_err() {
            // The kernel has not seen it.
            self.slots[index] = None;
            self.free.push(index);
            return Err(io::Error::other("there are more slots than the kernel's queue has entries"));
        }
        Ok(())
    }

    /// One call to the kernel: what is in its queue begins, what has ended is told. Waits until `least` have.
    fn submit(&mut self, least: usize) -> io::Result<()> {
        loop {
            let Err(error) = self.uring.submit_and_wait(least) else { return Ok(()) };
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                // The kernel lacks memory: the rest goes with the turn after a read that it has.
                Some(Errno::AGAIN | Errno::BUSY) if least == 0 && self.has_begun() => return Ok(()),
                _ => return Err(error),
            }
        }
    }

    fn queue_is_empty(&mut self) -> bool {
        self.uring.submission().is_empty()
    }

    /// Whether the kernel has a read, so that something will end.
    fn has_begun(&mut self) -> bool {
        self.slots.len() - self.free.len() > self.uring.submission().len()
    }

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.uring.completion().next()
    }

    /// Takes back what the kernel has done. Whether some of it was short, and the rest is in the queue.
    fn take_back(&mut self, ended: &mut impl FnMut(Ended<T>)) -> io::Result<bool> {
        let mut is_cut = false;
        while let Some(completion) = self.next_completion() {
            let index = completion.user_data() as usize;
            let Some(mut slot) = self.slots.get_mut(index).and_then(Option::take) else {
                return Err(io::Error::other("the kernel has ended a read that it was not given"));
            };
            let read = match usize::try_from(completion.result()) {
                Err(_) => Err(io::Error::from_raw_os_error(-completion.result())),
                Ok(0) if slot.filled < slot.read.bytes.len() => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    slot.filled += read;
                    if slot.filled < slot.read.bytes.len() && !planted("ring_short_read_not_continued") {
                        self.begin(index, slot)?;
                        is_cut = true;
                        continue;
                    }
                    Ok(slot.read.bytes)
                }
            };
            self.free.push(index);
            ended(Ended { tag: slot.tag, read, at_once: slot.turn == self.turns });
        }
        Ok(is_cut)
    }
}

impl<T> AsFd for Ring<T> {
    /// Readable when a turn would find something that has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.uring.as_fd()
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        self.waiting.clear();
        while self.has_begun() {
            if self.submit(1).is_err() || self.take_back(&mut drop).is_err() {
                break;
            }
        }
        for slot in self.slots.iter_mut().filter_map(Option::take) {
            // The kernel may have it and does not say when it will not.
            std::mem::forget(slot.read.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Weak;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;
    use crate::disk::{Disk, OsDisk, write_all_at};

    const BYTES: usize = 100_000;

    fn content() -> Vec<u8> {
        (0..BYTES).map(|index| (index / 7 % 251) as u8).collect()
    }

    fn file() -> (tempfile::TempDir, Arc<dyn File>) {
        let parent = tempfile::tempdir().unwrap();
        let file = OsDisk::open(parent.path()).unwrap().create("a").unwrap();
        write_all_at(&*file, &content(), 0).unwrap();
        // Nothing of it is in the kernel's memory: its reads end later. (A file system in memory does not care.)
        file.sync().unwrap();
        rustix::fs::fadvise(file.descriptor().unwrap(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
        (parent, file)
    }

    /// Where the kernel forbids it there is nothing to test.
    fn ring<T>(entries: u32, piece: usize) -> Option<Ring<T>> {
        Ring::new(entries, piece).inspect_err(|error| eprintln!("skipped: {error}")).ok()
    }

    fn read(file: &Arc<dyn File>, offset: usize, bytes: usize) -> Read {
        Read::new(file.clone(), vec![0; bytes], offset as u64).unwrap()
    }

    /// Waits for all that was pushed.
    fn finish<T: Ord>(ring: &mut Ring<T>) -> BTreeMap<T, io::Result<Vec<u8>>> {
        let mut all = BTreeMap::new();
        loop {
            ring.turn(|ended| assert!(all.insert(ended.tag, ended.read).is_none())).unwrap();
            if ring.is_idle() {
                return all;
            }
            // It may be interrupted by what it waits for.
            let _ = poll(&mut [PollFd::new(ring, PollFlags::IN)], None);
        }
    }

    #[test]
    fn many_reads_each_find_their_bytes() {
        let (_parent, file) = file();
        let Some(mut ring) = ring(8, 4096) else { return };
        let length = |tag: usize| 1 + tag * 97 % 9000;
        // More than it has entries, and some longer than an operation.
        for tag in 0..100 {
            ring.push(read(&file, tag * 900, length(tag)), tag);
        }
        let all = finish(&mut ring);
        assert_eq!(all.len(), 100);
        for (tag, read) in all {
            assert_eq!(read.unwrap(), content()[tag * 900..][..length(tag)], "{tag}");
        }
    }

    #[test]
    fn the_end_of_a_file_is_an_error() {
        let (_parent, file) = file();
        let Some(mut ring) = ring(4, 1 << 20) else { return };
        ring.push(read(&file, BYTES - 10, 11), 0);
        ring.push(read(&file, BYTES + 10, 1), 1);
        ring.push(read(&file, BYTES - 10, 10), 2);
        let all = finish(&mut ring);
        let kinds: Vec<_> = all.values().map(|read| read.as_ref().err().map(io::Error::kind)).collect();
        let end = Some(io::ErrorKind::UnexpectedEof);
        assert_eq!(kinds, [end, end, None]);
    }

    #[test]
    fn what_the_kernel_refuses_is_told() {
        let (_parent, file) = file();
        let Some(mut ring) = ring(4, 4096) else { return };
        ring.push(Read { descriptor: -1, ..read(&file, 0, 10) }, 0);
        let error = finish(&mut ring).remove(&0).unwrap().unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::BADF));
    }

    #[test]
    fn a_dropped_ring_gives_everything_back() {
        let (_parent, file) = file();
        let Some(mut ring) = ring(4, 1000) else { return };
        let tag = Arc::new(());
        let left: Weak<()> = Arc::downgrade(&tag);
        for index in 0..20 {
            ring.push(read(&file, index, 50_000), tag.clone());
        }
        drop(tag);
        // Some under way, some not begun.
        ring.turn(drop).unwrap();
        drop(ring);
        assert!(left.upgrade().is_none(), "who waits is told");
        assert_eq!(Arc::strong_count(&file), 1);
    }
}
