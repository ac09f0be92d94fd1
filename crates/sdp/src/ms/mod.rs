//! The Lync dialect: attributes that only Microsoft writes (\[MS-SDPEXT\]).

mod alternative;
mod bandwidth;
mod capabilities;
mod legacy;
mod sharing;
mod video_rate;

pub use alternative::{Part, offer_body, select_offer, write_alternative};
pub use bandwidth::MediaBandwidth;
pub use capabilities::{VideoCapabilities, VideoCapability};
pub use legacy::{LegacyCandidate, fallback_offer};
pub use sharing::{ApplicationSharing, SharingRole};
pub(crate) use sharing::{CONTENT_FLOW, CONTENT_FLOW_OF_THE_GRAMMAR};
pub use video_rate::{MaxVideoRate, default_capabilities};

/// The value of `a=x-ssrc-range` (\[MS-SDPEXT\] 3.1.5.31.2): first and last SSRC that the writer
/// sends with, in decimal.
#[must_use]
pub fn parse_ssrc_range(value: &str) -> Option<(u32, u32)> {
    let (first, last) = value.trim_matches(' ').split_once('-')?;
    let range = (crate::mline::decimal(first)?, crate::mline::decimal(last)?);
    (range.0 <= range.1 && !first.is_empty() && !last.is_empty()).then_some(range)
}
