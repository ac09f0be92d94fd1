//! Proves that the borrowed view of a description costs no allocation: parsing, walking the
//! sections, and reading what is not a list.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "a counting allocator is unsafe by its interface; tests fail by panicking"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use linkspan_sdp::Description;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const OFFER: &[u8] = include_bytes!("data/ms/lync_av_offer.sdp");

#[test]
fn the_view_allocates_nothing() {
    let before = COUNT.with(Cell::get);
    let description = Description::parse(OFFER).unwrap();
    let mut seen = 0;
    for view in description.media() {
        seen += view.attributes().count() + view.payload_types().count();
        seen += view.rtpmaps().count() + view.rtcp_feedback().count();
        assert!(view.connection().is_some() && view.rtcp_address().is_some());
        assert!(view.ice_credentials().is_some() && view.ssrc_range().is_some());
        let _ = (view.direction(), view.label(), view.mid(), view.setup(), view.bandwidth_bps());
    }
    assert_eq!(COUNT.with(Cell::get), before);
    assert!(seen > 60, "{seen}");
    // The counter counts.
    drop(description.to_owned());
    assert!(COUNT.with(Cell::get) > before);
}
