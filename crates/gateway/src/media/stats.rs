use core::time::Duration;

use super::command::{DropReason, StreamCodec};
use crate::id::StreamKind;

/// What one stream has done so far, seen from the gateway: one m-line of one leg.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamStatistics {
    /// What it carries.
    pub kind: Option<StreamKind>,
    /// Codec last received, else the one negotiated first.
    pub codec: Option<StreamCodec>,
    /// SRTP is on.
    pub encrypted: bool,
    /// From the peer to the gateway.
    pub received: Counters,
    /// From the gateway to the peer.
    pub sent: Counters,
    /// Packets from the peer that never came, estimated as RFC 3550 A.3 does.
    pub lost: u64,
    /// Interarrival jitter of what came (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// Round trip, from the peer's reports.
    pub round_trip: Option<Duration>,
    /// Packets that the peer reports as lost on their way to it.
    pub lost_at_peer: u64,
    /// RTCP compound packets from the peer.
    pub rtcp_received: u64,
    /// RTCP compound packets to the peer.
    pub rtcp_sent: u64,
    /// Keyframes that the peer has asked for, repetitions included.
    pub keyframes_requested: u64,
    /// Keyframe requests sent to the peer, repetitions included.
    pub keyframe_requests_sent: u64,
    /// Video source requests sent to the peer, repetitions included.
    pub source_requests_sent: u64,
    /// Telephone-event digits from the peer.
    pub digits: u64,
    /// Highest temporal layer received, plus one; 0 while none is known.
    pub temporal_layers: u8,
    /// Width and height of the picture last received.
    pub picture: Option<(u32, u32)>,
    /// What was dropped, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

impl StreamStatistics {
    /// How often something was dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        DropReason::ALL
            .iter()
            .zip(&self.dropped)
            .find(|(r, _)| **r == reason)
            .map_or(0, |(_, count)| *count)
    }

    pub(crate) fn drop_one(&mut self, reason: DropReason) {
        for (r, count) in DropReason::ALL.iter().zip(&mut self.dropped) {
            if *r == reason {
                *count += 1;
            }
        }
    }
}

/// Packets, octets and pictures of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// RTP packets that were good.
    pub packets: u64,
    /// Octets of their payloads.
    pub payload_octets: u64,
    /// Pictures (video).
    pub pictures: u64,
    /// Keyframes among them.
    pub keyframes: u64,
}
