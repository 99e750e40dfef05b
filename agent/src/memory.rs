//! Keeps the resident memory small: one heap for all threads, and what is free goes back to the system.

use std::time::Duration;

/// After a burst of work: long enough that one burst is one look through the heap, which takes a fraction of a
/// millisecond.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// Before the first thread begins. The allocator would give each thread a heap of its own, of which none is ever
/// given back: an agent has three threads that seldom work at the same time.
pub fn tune() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the C library offers its settings in no other way")]
    // SAFETY: the calls set numbers inside the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back what is free. What a release or a list of pods took while it was read is several times what is kept.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the C library offers this in no other way")]
    // SAFETY: the call works on free memory only, under the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}
