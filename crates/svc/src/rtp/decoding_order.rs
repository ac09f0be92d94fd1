//! NAL units put in order by decoding order numbers: interleaved mode (RFC 6184 §7.2.2), and the
//! modes NI-C and I-C of several sessions (RFC 6190 §6.2).

use std::collections::VecDeque;

use crate::access_unit::AccessUnit;
use crate::error::DepacketizeError;
use crate::limits::Limits;
use crate::ms::PacsiView;
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::rtp::payload::{Fragment, Piece, Unit, split};
use crate::rtp::source::is_marked_damaged;
use crate::rtp::{PayloadFormat, PayloadMeta};

/// NAL units that wait for those before them, and the access unit that is being joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecodingOrder {
    /// In the order of their numbers.
    held: VecDeque<Held>,
    held_octets: usize,
    held_slices: usize,
    /// The number that continues what has been given out.
    next: Option<u16>,
    newest: Option<u32>,
    current: Option<AccessUnit>,
    spare: Vec<Vec<u8>>,
    /// NAL units that came after their turn.
    pub(crate) late: u64,
}

#[derive(Clone, Debug)]
struct Held {
    don: u16,
    timestamp: u32,
    ssrc: u32,
    layer: Option<LayerId>,
    damaged: bool,
    lost: u16,
    octets: Vec<u8>,
}

impl Held {
    fn is_slice(&self) -> bool {
        self.octets.first().is_some_and(|&b| NalType::new(b).is_vcl())
    }
}

/// Where finished access units go, and what bounds the wait.
#[derive(Debug)]
pub(crate) struct Release<'a> {
    pub(crate) ready: &'a mut VecDeque<AccessUnit>,
    pub(crate) pool: &'a mut Vec<AccessUnit>,
    pub(crate) limits: &'a Limits,
    /// Coded slices that may have to wait: `sprop-interleaving-depth`.
    pub(crate) depth: usize,
    /// Nothing more will come.
    pub(crate) all: bool,
}

impl DecodingOrder {
    /// Gives out what has its turn.
    pub(crate) fn release(&mut self, to: &mut Release<'_>) {
        while let Some(held) = self.held.front() {
            let waited = self.newest.map_or(0, |n| n.wrapping_sub(held.timestamp));
            let due = to.all
                || self.next == Some(held.don)
                // RFC 6184 §7.2.2: more than the depth of them are there, so the first is the next.
                || self.held_slices > to.depth
                || self.held.len() > to.limits.access_unit_nals
                || self.held_octets > to.limits.access_unit_octets
                || waited > to.limits.reorder_ticks && waited < 1 << 31;
            if !due {
                break;
            }
            let Some(held) = self.held.pop_front() else { break };
            self.held_octets -= held.octets.len();
            self.held_slices -= usize::from(held.is_slice());
            self.next = Some(held.don.wrapping_add(1));
            self.join(&held, to);
            if self.spare.len() < 64 {
                self.spare.push(held.octets);
            }
        }
        if to.all {
            to.ready.extend(self.current.take());
        }
    }

    /// Appends a NAL unit to its access unit; another timestamp begins another one.
    fn join(&mut self, held: &Held, to: &mut Release<'_>) {
        if self.current.as_ref().is_some_and(|u| u.timestamp() != held.timestamp) {
            to.ready.extend(self.current.take());
        }
        let unit = self.current.get_or_insert_with(|| {
            let mut unit = to.pool.pop().unwrap_or_default();
            unit.reset(held.timestamp);
            unit.set_ssrc(held.ssrc);
            unit.set_lost_before(held.lost);
            unit
        });
        let full = unit.len() >= to.limits.access_unit_nals
            || unit.annex_b().len() + held.octets.len() > to.limits.access_unit_octets;
        if full || held.damaged {
            unit.set_damaged(true);
        }
        if !full {
            let layer = unit.layer_of(&held.octets).or(held.layer);
            unit.push_in(&held.octets, layer, 0);
        }
    }

    fn hold(&mut self, don: u16, timestamp: u32, ssrc: u32, layer: Option<LayerId>) -> Held {
        let mut octets = self.spare.pop().unwrap_or_default();
        octets.clear();
        Held { don, timestamp, ssrc, layer, damaged: false, lost: 0, octets }
    }

    fn push(&mut self, held: Held) {
        let newer = |n: u32| held.timestamp.wrapping_sub(n) < 1 << 31;
        if self.newest.is_none_or(newer) {
            self.newest = Some(held.timestamp);
        }
        // Half the number space back is too late, whatever waits.
        if self.next.is_some_and(|next| held.don.wrapping_sub(next) >= 0x8000) {
            self.late += 1;
            return;
        }
        self.held_octets += held.octets.len();
        self.held_slices += usize::from(held.is_slice());
        let before = |h: &Held| held.don.wrapping_sub(h.don) < 0x8000;
        let at = self.held.iter().rposition(before).map_or(0, |i| i + 1);
        self.held.insert(at, held);
    }

    /// Packets of a source were lost: what they held may belong to anything that waits.
    fn suspect(&mut self, ssrc: u32) {
        self.held.iter_mut().filter(|h| h.ssrc == ssrc).for_each(|h| h.damaged = true);
    }
}

/// What one source needs to number its NAL units.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberedSource {
    /// The NAL unit whose fragments are being joined.
    fragments: Option<Held>,
    header: u8,
    /// Number of the next NAL unit that has none of its own: counted from the last PACSI.
    next: Option<u16>,
    layer: Option<LayerId>,
    /// Packets lost since the last NAL unit.
    lost: u16,
}

impl NumberedSource {
    /// Takes the next packet of the source; `gap` were lost before it.
    pub(crate) fn accept(
        &mut self,
        meta: PayloadMeta,
        payload: &[u8],
        gap: u16,
        format: PayloadFormat,
        order: &mut DecodingOrder,
    ) -> Result<(), DepacketizeError> {
        if gap > 0 {
            self.fragments = None;
            self.lost = self.lost.saturating_add(gap);
            order.suspect(meta.ssrc);
        }
        let outcome = split(payload, format, &mut |piece| match piece {
            Piece::Whole(unit) => {
                self.fragments = None;
                self.whole(meta, unit, order)
            }
            Piece::Fragment(fragment) => self.fragment(meta, fragment, order),
        });
        if outcome.is_err() {
            self.lost = self.lost.saturating_add(1);
        }
        outcome
    }

    fn whole(
        &mut self,
        meta: PayloadMeta,
        unit: Unit<'_>,
        order: &mut DecodingOrder,
    ) -> Result<(), DepacketizeError> {
        if unit.bytes.first().is_some_and(|&b| NalType::new(b) == NalType::Pacsi) {
            let pacsi = PacsiView::parse(unit.bytes);
            let pacsi = pacsi.map_err(|_| DepacketizeError::Truncated { at: 0 })?;
            // RFC 6190 §4.11.1: the NAL unit behind a PACSI has its DONC.
            self.next = unit.don.or(pacsi.donc).or(self.next);
            self.layer = Some(pacsi.layer.layer());
            return Ok(());
        }
        if unit.bytes.first().is_some_and(|&b| is_marked_damaged(b)) {
            self.lost = self.lost.saturating_add(1);
            return Ok(());
        }
        let timestamp = meta.timestamp.wrapping_add(unit.offset);
        let mut held = self.begin(timestamp, meta.ssrc, unit.don, unit.bytes, order);
        held.octets.extend_from_slice(unit.bytes);
        order.push(held);
        Ok(())
    }

    fn fragment(
        &mut self,
        meta: PayloadMeta,
        fragment: Fragment<'_>,
        order: &mut DecodingOrder,
    ) -> Result<(), DepacketizeError> {
        if fragment.start && is_marked_damaged(fragment.header) {
            self.fragments = None;
        } else if fragment.start {
            let mut head = [fragment.header, 0, 0, 0];
            for (to, from) in head.iter_mut().skip(1).zip(fragment.bytes) {
                *to = *from;
            }
            let mut held = self.begin(meta.timestamp, meta.ssrc, fragment.don, &head, order);
            held.octets.push(fragment.header);
            self.header = fragment.header;
            self.fragments = Some(held);
        }
        let Some(mut held) = self.fragments.take() else {
            // The start was lost.
            self.lost = self.lost.max(1);
            return Ok(());
        };
        if self.header != fragment.header || held.timestamp != meta.timestamp {
            self.lost = self.lost.max(1);
            return Err(DepacketizeError::BadFragment);
        }
        held.octets.extend_from_slice(fragment.bytes);
        if fragment.end {
            order.push(held);
        } else {
            self.fragments = Some(held);
        }
        Ok(())
    }

    fn begin(
        &mut self,
        timestamp: u32,
        ssrc: u32,
        don: Option<u16>,
        head: &[u8],
        order: &mut DecodingOrder,
    ) -> Held {
        // A source that tells no number at all is taken in the order of its packets.
        let don = don.or(self.next).or(order.next).unwrap_or(0);
        self.next = Some(don.wrapping_add(1));
        let own = SvcExtension::parse(head).ok().map(SvcExtension::layer);
        let mut held = order.hold(don, timestamp, ssrc, own.or(self.layer));
        held.lost = core::mem::take(&mut self.lost);
        held.damaged = held.lost > 0;
        held
    }
}
