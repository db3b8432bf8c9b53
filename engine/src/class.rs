//! Size classes: how many bytes the allocator really sets aside.

/// The size of the block that mimalloc takes for an allocation: multiples of 16 bytes up to 128, then four steps per
/// doubling. Allocations are rounded up to it, so whether a change fits in place is known from lengths alone, and no
/// byte of a block is out of reach.
#[inline]
pub(crate) const fn class(bytes: usize) -> usize {
    if bytes <= 128 {
        return match bytes {
            0..=8 => 8,
            _ => (bytes + 15) & !15,
        };
    }
    let bits = usize::BITS - (bytes - 1).leading_zeros();
    let step = 1 << (bits - 3);
    (bytes + step - 1) & !(step - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_bins_of_mimalloc() {
        let bins: Vec<usize> = {
            let mut bins: Vec<usize> = (1..=400).map(class).collect();
            bins.dedup();
            bins
        };
        assert_eq!(bins, [8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448]);
        for bytes in [1 << 10, 1 << 14, 5 << 12, 7 << 20] {
            assert_eq!(class(bytes), bytes);
            assert!(class(bytes + 1) > bytes + 1 && class(bytes + 1) <= bytes + bytes / 4);
        }
    }
}
