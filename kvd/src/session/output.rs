//! What a connection has still to send, and which log position each part waits for.
//!
//! ```text
//!  sent │ pieces: shared values and what was written between them │ tail: where replies are written
//!       └── gates: (stream position, LSN), LSNs rising: the bytes before the position wait for the LSN
//! ```

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use engine::Lsn;

/// How much may wait to be sent to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// With more than this waiting the client is closed: `client-output-buffer-limit`.
    pub hard_bytes: usize,
    /// With more than this waiting nothing may be added. One value alone may be longer: it lies in the store anyway.
    pub room_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { hard_bytes: usize::MAX, room_bytes: usize::MAX }
    }
}

/// The output of one connection.
#[derive(Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    piece_bytes: usize,
    tail: BytesMut,
    /// Stream position of the first byte not yet sent.
    sent: u64,
    gates: VecDeque<(u64, Lsn)>,
    /// Stream position up to which gates were passed.
    released: u64,
    /// What was written behind a hold waits for this position when the hold is released.
    behind_hold: Lsn,
    bounds: Bounds,
    /// The longest value of those that lie in the store too, since there was nothing to send.
    longest_shared: usize,
    /// When there was no room: so much was written and is lost, and so is what is still written.
    lost_bytes: usize,
}

impl Output {
    /// Where replies are written.
    #[inline]
    pub fn tail(&mut self) -> &mut BytesMut {
        if self.tail.len() > TAIL_BYTES {
            self.close_tail();
        }
        &mut self.tail
    }

    /// A long tail becomes a piece: one that grows on would be copied, twice as large, again and again.
    #[cold]
    fn close_tail(&mut self) {
        if self.has_room() {
            let next = BytesMut::with_capacity(TAIL_BYTES + TAIL_SLACK);
            let written = std::mem::replace(&mut self.tail, next).freeze();
            self.piece_bytes += written.len();
            self.pieces.push_back(written);
        }
    }

    /// Whether more may be written. If not, what was written is let go: nothing is sent any more.
    fn has_room(&mut self) -> bool {
        if self.lost_bytes == 0 && self.len() > self.bounds.room_bytes.min(self.bounds.hard_bytes) {
            self.lost_bytes = self.len();
        }
        if self.lost_bytes > 0 {
            self.pieces.clear();
            self.piece_bytes = 0;
            self.tail.clear();
            self.gates.clear();
        }
        self.lost_bytes == 0
    }

    /// How much may wait, from here on.
    #[inline]
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Whether more was written than may wait: the client is to be closed.
    #[inline]
    pub fn is_out_of_bounds(&self) -> bool {
        self.lost_bytes > 0 || self.len() > self.bounds.hard_bytes
    }

    /// Bytes that waited when there was no more room, or wait now.
    pub fn wanted(&self) -> usize {
        self.lost_bytes.max(self.len())
    }

    /// Puts a value behind what was written, without a copy.
    pub fn push_shared(&mut self, bytes: Bytes) {
        let length = bytes.len();
        if self.push(bytes) {
            self.longest_shared = self.longest_shared.max(length);
        }
    }

    /// Puts what another has gathered behind what was written, with what it waits for.
    pub fn append(&mut self, other: Output) {
        let gate = other.gates.back().map(|gate| gate.1);
        self.longest_shared = self.longest_shared.max(other.longest_shared);
        self.lost_bytes = self.lost_bytes.max(other.lost_bytes);
        for piece in other.into_pieces() {
            self.push(piece);
        }
        if let Some(lsn) = gate {
            self.gate(lsn);
        }
    }

    /// Whether there was room.
    fn push(&mut self, bytes: Bytes) -> bool {
        if !self.has_room() {
            return false;
        }
        if !self.tail.is_empty() {
            let written = self.tail.split().freeze();
            self.piece_bytes += written.len();
            self.pieces.push_back(written);
        }
        self.piece_bytes += bytes.len();
        self.pieces.push_back(bytes);
        true
    }

    /// All that was written, to be sent by another.
    pub fn into_pieces(mut self) -> Vec<Bytes> {
        self.pieces.push_back(self.tail.freeze());
        self.pieces.into()
    }

    /// Bytes not yet sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.piece_bytes + self.tail.len()
    }

    /// Bytes that are held for the client alone: one value may be as long as it likes, for it lies in the store anyway.
    pub fn held_bytes(&self) -> usize {
        self.len().saturating_sub(self.longest_shared)
    }

    /// Stream position of the first byte not yet sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether everything was sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place to come back to when the reply that is being written turns out to be an error.
    #[inline]
    pub fn position(&self) -> u64 {
        self.sent + self.len() as u64
    }

    /// Takes back what was written since a position.
    pub fn rewind(&mut self, position: u64) {
        if self.lost_bytes > 0 {
            return;
        }
        let mut surplus = (self.position() - position) as usize;
        while surplus > self.tail.len() {
            surplus -= self.tail.len();
            let piece = self.pieces.pop_back().unwrap_or_default();
            self.piece_bytes -= piece.len();
            self.tail = BytesMut::from(piece);
        }
        self.tail.truncate(self.tail.len() - surplus);
        for (end, _) in self.gates.iter_mut().rev().take_while(|(end, _)| *end > position) {
            *end = position;
        }
    }

    /// Everything written so far, and not gated before, waits for this position of the log.
    #[inline]
    pub fn gate(&mut self, lsn: Lsn) {
        let end = self.position();
        let highest = self.gates.back().map_or(0, |gate| gate.1);
        if lsn > highest {
            self.gates.push_back((end, lsn));
        } else if let Some(last) = self.gates.back_mut() {
            // Behind something that waits for more: replies keep their order.
            last.0 = end;
            if last.1 == Lsn::MAX {
                self.behind_hold = self.behind_hold.max(lsn);
            }
        }
    }

    /// Everything written so far waits until [`Output::release_hold`].
    pub fn hold(&mut self) {
        self.gates.push_back((self.position(), Lsn::MAX));
    }

    /// What [`Output::hold`] held waits for nothing but what stood before it.
    pub fn release_hold(&mut self) {
        if let Some((end, Lsn::MAX)) = self.gates.pop_back() {
            let behind = std::mem::take(&mut self.behind_hold);
            match self.gates.back_mut() {
                Some(last) if last.1 >= behind => last.0 = end,
                None if behind == 0 => self.released = end,
                // Messages came meanwhile.
                _ => self.gates.push_back((end, behind)),
            }
        }
    }

    /// The log position that the first unsent bytes wait for, if any.
    #[inline]
    pub fn waits_for(&self) -> Option<Lsn> {
        self.gates.front().map(|(_, lsn)| *lsn)
    }

    /// How many bytes may be sent when the log is safe up to `mark`.
    #[inline]
    pub fn releasable(&mut self, mark: Lsn) -> usize {
        while let Some(&(end, lsn)) = self.gates.front() {
            if lsn > mark {
                // What stands before the first gate's own bytes was released when the gate before it was popped.
                return (self.released.max(self.sent) - self.sent) as usize;
            }
            self.released = end;
            self.gates.pop_front();
        }
        // A gate that comes later does not hold back what could have gone now and is only slow to go.
        self.released = self.position();
        self.len()
    }

    /// The parts that lie before `limit`, for one system call; how many.
    pub fn slices<'a>(&'a self, limit: usize, into: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut left = limit;
        let mut count = 0;
        for part in self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[..]]) {
            if left == 0 || count == MAX_SLICES {
                break;
            }
            let part = &part[..part.len().min(left)];
            if !part.is_empty() {
                into[count] = IoSlice::new(part);
                count += 1;
                left -= part.len();
            }
        }
        count
    }

    /// These bytes are with the kernel.
    #[inline]
    pub fn advance(&mut self, mut bytes: usize) {
        self.sent += bytes as u64;
        while let Some(piece) = self.pieces.front_mut() {
            let part = bytes.min(piece.len());
            piece.advance(part);
            bytes -= part;
            self.piece_bytes -= part;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.longest_shared = 0;
        let is_large = self.tail.capacity() > KEPT_BYTES;
        if bytes == self.tail.len() {
            self.tail.clear();
            if is_large {
                self.tail = BytesMut::new();
            }
        } else if is_large && bytes > 0 {
            // As a piece it goes when it was sent; a tail that was cut in front no longer tells how much it holds.
            let mut rest = std::mem::take(&mut self.tail).freeze();
            rest.advance(bytes);
            self.piece_bytes += rest.len();
            self.pieces.push_back(rest);
        } else {
            self.tail.advance(bytes);
        }
    }

    /// The plain case: everything lies in the tail.
    #[inline]
    pub fn only_tail(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then_some(&self.tail[..])
    }

    /// Exchanges the empty tail, which is small, for another buffer, so that an idle connection holds none.
    pub fn swap_tail(&mut self, buffer: &mut BytesMut) {
        debug_assert!(self.tail.is_empty(), "only an empty tail may go");
        std::mem::swap(&mut self.tail, buffer);
    }
}

/// Slices gathered into one system call.
pub const MAX_SLICES: usize = 64;
/// An empty tail is not kept with more room than this.
const KEPT_BYTES: usize = 64 << 10;
/// A tail longer than this is closed, before it is given more room than it needs.
const TAIL_BYTES: usize = 224 << 10;
/// Room for what is written to a tail that is about to be closed: a value that is too short to be shared.
const TAIL_SLACK: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn sendable(output: &mut Output, mark: Lsn) -> Vec<u8> {
        let limit = output.releasable(mark);
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = output.slices(limit, &mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
        output.advance(bytes.len());
        bytes
    }

    #[test]
    fn replies_wait_for_their_position_and_keep_their_order() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"free ");
        output.gate(0);
        output.tail().extend_from_slice(b"ten ");
        output.gate(10);
        output.tail().extend_from_slice(b"behind ");
        output.gate(0);
        output.tail().extend_from_slice(b"twenty");
        output.gate(20);
        assert_eq!(sendable(&mut output, 9), b"");
        assert_eq!(sendable(&mut output, 10), b"free ten behind ");
        assert_eq!(sendable(&mut output, 19), b"");
        assert_eq!(sendable(&mut output, 20), b"twenty");
        assert!(output.is_empty());
    }

    #[test]
    fn a_message_behind_a_hold_waits_for_its_own_position() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"held ");
        output.hold();
        output.tail().extend_from_slice(b"message");
        output.gate(20);
        assert_eq!(sendable(&mut output, 100), b"");
        output.release_hold();
        assert_eq!(sendable(&mut output, 19), b"");
        assert_eq!(sendable(&mut output, 20), b"held message");
        output.tail().extend_from_slice(b"held ");
        output.hold();
        output.release_hold();
        assert_eq!(sendable(&mut output, 0), b"held ");
    }

    #[test]
    fn a_reply_that_is_taken_back_leaves_its_gate() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"before ");
        let start = output.position();
        output.tail().extend_from_slice(b"nobody wants this");
        output.gate(10);
        output.rewind(start);
        output.tail().extend_from_slice(b"x");
        output.gate(5);
        assert_eq!(sendable(&mut output, 9), b"");
        assert_eq!(sendable(&mut output, 10), b"before x");
        assert!(output.is_empty());
    }

    #[test]
    fn what_needs_no_gate_goes_at_once() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"a");
        output.gate(0);
        assert_eq!(sendable(&mut output, 0), b"a");
    }

    #[test]
    fn shared_values_keep_their_place_and_can_be_taken_back() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"$5\r\n");
        let before = output.position();
        output.tail().extend_from_slice(b"xx");
        output.push_shared(Bytes::from_static(b"hello"));
        output.tail().extend_from_slice(b"\r\n");
        output.rewind(before);
        output.push_shared(Bytes::from_static(b"world"));
        assert_eq!(sendable(&mut output, 0), b"$5\r\nworld");
    }

    #[test]
    fn what_could_have_gone_does_not_wait_for_a_later_gate() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"slow reader");
        output.gate(0);
        assert_eq!(output.releasable(0), 11);
        output.advance(5);
        output.tail().extend_from_slice(b"+OK");
        output.gate(7);
        assert_eq!(sendable(&mut output, 0), b"reader");
        assert_eq!(sendable(&mut output, 7), b"+OK");
    }

    #[test]
    fn a_reply_ends_where_the_room_ends_and_one_value_always_fits() {
        for bounds in [Bounds { room_bytes: 1000, ..Bounds::default() }, Bounds { hard_bytes: 1000, room_bytes: 5000 }]
        {
            let mut output = Output::default();
            output.set_bounds(bounds);
            let start = output.position();
            output.push_shared(Bytes::from_static(&[b'v'; 2000]));
            assert_eq!(output.is_out_of_bounds(), bounds.hard_bytes == 1000);
            output.push_shared(Bytes::from_static(&[b'v'; 2000]));
            assert!(output.is_out_of_bounds());
            output.rewind(start);
            output.gate(5);
            assert!(output.is_out_of_bounds() && output.is_empty(), "nothing is kept for nobody");
            assert_eq!(output.wanted(), 2000);
        }
    }

    #[test]
    fn many_small_writes_hold_no_more_than_the_room() {
        let mut output = Output::default();
        output.set_bounds(Bounds { room_bytes: 1 << 20, ..Bounds::default() });
        let mut most = 0;
        for _ in 0..1000 {
            output.tail().extend_from_slice(&[b'v'; 10_000]);
            most = most.max(output.len());
            let is_first = output.pieces.is_empty();
            assert!(is_first || output.tail.capacity() <= TAIL_BYTES + TAIL_SLACK, "room that is not needed");
        }
        assert!(output.is_out_of_bounds());
        assert!(most <= (1 << 20) + 2 * TAIL_BYTES, "{most} bytes");
    }

    #[test]
    fn a_large_tail_goes_when_it_was_sent() {
        for first in [0, 1, 99_000] {
            let mut output = Output::default();
            output.tail().extend_from_slice(&[b'v'; 100_000]);
            output.gate(5);
            assert_eq!(output.releasable(5), 100_000);
            output.advance(first);
            assert_eq!(sendable(&mut output, 5).len(), 100_000 - first);
            let mut tail = BytesMut::new();
            output.swap_tail(&mut tail);
            // What it holds shows when it is filled again: a cut tail would find its old room.
            assert!(!tail.try_reclaim(KEPT_BYTES + 1), "{first} bytes were sent first");
        }
    }

    #[test]
    fn a_long_reply_is_in_pieces_that_can_be_taken_back() {
        let mut output = Output::default();
        output.tail().extend_from_slice(b"+OK");
        let before = output.position();
        for _ in 0..100 {
            output.tail().extend_from_slice(&[b'v'; 10_000]);
        }
        assert!(output.only_tail().is_none() && !output.is_out_of_bounds());
        output.rewind(before);
        assert_eq!(sendable(&mut output, 0), b"+OK");
    }

    #[test]
    fn a_partial_send_goes_on_where_it_stopped() {
        let mut output = Output::default();
        output.push_shared(Bytes::from_static(b"hello"));
        output.tail().extend_from_slice(b" world");
        output.gate(5);
        assert_eq!(output.releasable(5), 11);
        output.advance(7);
        assert_eq!(sendable(&mut output, 5), b"orld");
    }
}
