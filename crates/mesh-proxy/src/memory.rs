//! Memory that nobody needs any more, given back to the operating system.
//!
//! The allocator keeps what is freed until it is next short. A proxy that was busy for a moment, or wrote one large page,
//! would hold that for ever.

#![expect(
    unsafe_code,
    reason = "one function of the allocator, which no crate offers"
)]

// The allocator of the binary, and the one function of it that its crate keeps for itself.
use mimalloc as _;
unsafe extern "C" {
    fn mi_collect(force: bool);
}

/// Gives back what this thread has freed, and what no thread owns. Takes up to milliseconds: not for the path.
pub fn give_back() {
    // SAFETY: takes no pointer, and may be called at any time from any thread; it looks only at pages of this one and
    // at those that no thread owns. Where mimalloc is not the allocator there is nothing to collect.
    unsafe { mi_collect(true) };
}
