//! An allocator that counts. Unsafe by its interface; nothing else here is.
#![allow(unsafe_code, reason = "every call goes to the system's allocator unchanged")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts for each thread what it is asked for: the proof of a test
/// that something allocates nothing.
///
/// ```
/// use linkspan_testnet::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let (before, held) = (CountingAllocator::count(), CountingAllocator::held());
/// let octets = vec![0_u8; 100];
/// assert_eq!(CountingAllocator::count() - before, 1);
/// assert_eq!(CountingAllocator::held() - held, 100);
/// drop(octets);
/// assert_eq!(CountingAllocator::held(), held);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CountingAllocator;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

impl CountingAllocator {
    /// How often this thread has asked for memory, or for more of it.
    #[must_use]
    pub fn count() -> u64 {
        COUNT.get()
    }

    /// The octets that this thread has asked for and not given back.
    #[must_use]
    pub fn held() -> isize {
        HELD.get()
    }
}

fn note(asked: u64, octets: isize) {
    // A thread that ends has no cells any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + asked));
    let _ = HELD.try_with(|held| held.set(held.get() + octets));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches cells of the thread
// that need no memory of their own.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, -layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}
