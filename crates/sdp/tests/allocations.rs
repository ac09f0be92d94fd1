//! Proves that the borrowed view of a description costs no allocation: parsing, walking the
//! sections, and reading what is not a list.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_sdp::Description;
use linkspan_testnet::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const OFFER: &[u8] = include_bytes!("data/ms/lync_av_offer.sdp");

#[test]
fn the_view_allocates_nothing() {
    let before = CountingAllocator::count();
    let description = Description::parse(OFFER).unwrap();
    let mut seen = 0;
    for view in description.media() {
        seen += view.attributes().count() + view.payload_types().count();
        seen += view.rtpmaps().count() + view.rtcp_feedback().count();
        assert!(view.connection().is_some() && view.rtcp_address().is_some());
        assert!(view.ice_credentials().is_some() && view.ssrc_range().is_some());
        let _ = (view.direction(), view.label(), view.mid(), view.setup(), view.bandwidth_bps());
    }
    assert_eq!(CountingAllocator::count(), before);
    assert!(seen > 60, "{seen}");
    // The counter counts.
    drop(description.to_owned());
    assert!(CountingAllocator::count() > before);
}
