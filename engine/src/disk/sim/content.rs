//! The bytes of a simulated file, in pages that the live and the durable view share until one of them changes.

use std::sync::Arc;

const PAGE: usize = 4096;

/// A page that was never written is `None` and reads as zeros. Bytes of the last page behind the end are zero.
#[derive(Clone, Default)]
pub(super) struct Content {
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
    length: u64,
}

impl Content {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let total = self.length.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < total {
            let (page, start, part) = place(offset, done, total);
            let target = &mut buffer[done..done + part];
            match &self.pages[page] {
                Some(bytes) => target.copy_from_slice(&bytes[start..start + part]),
                None => target.fill(0),
            }
            done += part;
        }
        total
    }

    /// Writes, and extends when the end lies behind the present one.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.set_length(self.length.max(offset + bytes.len() as u64));
        let mut done = 0;
        while done < bytes.len() {
            let (page, start, part) = place(offset, done, bytes.len());
            let slot = &mut self.pages[page];
            let source = &bytes[done..done + part];
            match source.try_into() {
                Ok(whole) => *slot = Some(Arc::new(whole)),
                Err(_) => {
                    let page = slot.get_or_insert_with(|| Arc::new([0; PAGE]));
                    Arc::make_mut(page)[start..start + part].copy_from_slice(source);
                }
            }
            done += part;
        }
    }

    /// Cuts, or extends with zeros.
    pub(super) fn set_length(&mut self, length: u64) {
        if length < self.length {
            let (page, start) = ((length / PAGE as u64) as usize, (length % PAGE as u64) as usize);
            if start > 0
                && let Some(bytes) = &mut self.pages[page]
            {
                Arc::make_mut(bytes)[start..].fill(0);
            }
        }
        self.pages.resize(length.div_ceil(PAGE as u64) as usize, None);
        self.length = length;
    }

    /// Takes over the length of `other`, and its pages that hold `bytes` bytes from `offset`.
    pub(super) fn adopt(&mut self, other: &Content, offset: u64, bytes: u64) {
        self.pages.resize(other.pages.len(), None);
        self.length = other.length;
        let first = ((offset / PAGE as u64) as usize).min(self.pages.len());
        let end = ((offset + bytes).div_ceil(PAGE as u64) as usize).clamp(first, self.pages.len());
        self.pages[first..end].clone_from_slice(&other.pages[first..end]);
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length as usize];
        self.read(&mut bytes, 0);
        bytes
    }
}

/// Page, place in it, and number of bytes there, for what is still to do of `total` bytes at `offset`.
fn place(offset: u64, done: usize, total: usize) -> (usize, usize, usize) {
    let at = offset + done as u64;
    let start = (at % PAGE as u64) as usize;
    ((at / PAGE as u64) as usize, start, (PAGE - start).min(total - done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_pages_until_one_changes() {
        let mut a = Content::default();
        a.write(&[1; 3 * PAGE], 10);
        let b = a.clone();
        a.write(&[2; 5], PAGE as u64);
        assert_eq!(b.to_vec()[PAGE], 1);
        assert_eq!(&a.to_vec()[PAGE - 1..PAGE + 6], [1, 2, 2, 2, 2, 2, 1]);
        assert!(Arc::ptr_eq(a.pages[2].as_ref().unwrap(), b.pages[2].as_ref().unwrap()));
    }

    #[test]
    fn cut_bytes_do_not_come_back() {
        let mut a = Content::default();
        a.write(&[1; PAGE + 20], 0);
        a.set_length(7);
        a.set_length(2 * PAGE as u64);
        assert_eq!(a.to_vec().iter().filter(|&&b| b == 1).count(), 7);
    }

    #[test]
    fn adopting_the_changed_range_makes_both_equal() {
        let mut live = Content::default();
        live.write(&[1; 5 * PAGE], 0);
        let mut durable = live.clone();
        live.write(&[2; PAGE], PAGE as u64 + 9);
        live.set_length(4 * PAGE as u64 + 1);
        durable.adopt(&live, PAGE as u64 + 9, 4 * PAGE as u64);
        assert!(durable.to_vec() == live.to_vec());
    }
}
