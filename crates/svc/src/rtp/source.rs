//! One synchronisation source: its packets in order, its access unit in progress.

use crate::access_unit::AccessUnit;
use crate::bits::BitReader;
use crate::error::DepacketizeError;
use crate::limits::Limits;
use crate::ms::{PacsiView, StreamLayout};
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::rtp::decoding_order::{DecodingOrder, NumberedSource};
use crate::rtp::payload::{Fragment, Piece, Unit, split};
use crate::rtp::reorder::ReorderQueue;
use crate::rtp::{PayloadFormat, PayloadMeta, TruncatedSlices};

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    pub(crate) queue: ReorderQueue,
    /// Next sequence number; `None` before the first packet.
    pub(crate) expected: Option<u16>,
    /// Where a restarted source would go on.
    restart: Option<u16>,
    /// The access unit in progress, where there is one.
    unit: AccessUnit,
    open: bool,
    /// First octet of the NAL unit whose fragments are being joined.
    fragmenting: Option<u8>,
    /// The packet that brings more of it, where there is nothing else to look at; 0 for none.
    awaited: u64,
    /// What becomes of it when a fragment is missing.
    truncated: TruncatedSlices,
    /// The unit's start is not proven to have arrived.
    open_start: bool,
    /// The PACSI of the access unit in progress.
    pacsi_layer: Option<LayerId>,
    /// The last layer seen, for units that tell none.
    pub(crate) last_layer: Option<LayerId>,
    /// Where the access unit's decoding order begins.
    donc: Option<u16>,
    /// NAL units in front of the PACSI, which it does not describe.
    undescribed: usize,
    /// Timestamp of the newest packet in order.
    pub(crate) newest: u32,
    /// For formats whose order is told by numbers.
    numbered: NumberedSource,
}

/// What a source needs from its depacketizer.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) format: PayloadFormat,
    /// Whether numbers alone tell the order.
    pub(crate) numbered: bool,
    pub(crate) limits: &'a Limits,
    pub(crate) pool: &'a mut Vec<AccessUnit>,
    /// Finished parts, in order.
    pub(crate) finished: &'a mut Vec<Part>,
    pub(crate) layout: &'a mut Option<StreamLayout>,
    /// Layers that the layout calls bases, a bit each.
    pub(crate) described: &'a mut u64,
    /// The SEI NAL unit that the layout was last changed by.
    pub(crate) layout_octets: &'a mut Vec<u8>,
    pub(crate) lost: &'a mut u64,
    pub(crate) order: &'a mut DecodingOrder,
}

/// What one source had of an access unit.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) unit: AccessUnit,
    pub(crate) layer: Option<LayerId>,
    pub(crate) donc: Option<u16>,
    /// NAL units that the number counts.
    pub(crate) described: u16,
    pub(crate) stream: u8,
}

impl Part {
    /// Whether there is nothing in it, and nothing missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.unit.is_empty() && !self.unit.is_damaged()
    }
}

/// How far a sequence number may be off before it is another stream's (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3_000;

impl Source {
    pub(crate) fn new(ssrc: u32, truncated: TruncatedSlices) -> Self {
        Self {
            ssrc,
            queue: ReorderQueue::default(),
            expected: None,
            restart: None,
            unit: AccessUnit::default(),
            open: false,
            fragmenting: None,
            awaited: 0,
            truncated,
            open_start: false,
            pacsi_layer: None,
            last_layer: None,
            donc: None,
            undescribed: 0,
            newest: 0,
            numbered: NumberedSource::default(),
        }
    }

    /// Timestamp of the first packet that waits for the one which begins the source.
    pub(crate) fn awaits_beginning(&self) -> Option<u32> {
        self.queue.first().filter(|_| self.expected.is_none()).map(|first| first.timestamp)
    }

    /// Timestamp of the access unit in progress.
    pub(crate) fn in_progress(&self) -> Option<u32> {
        self.open.then(|| self.unit.timestamp())
    }

    /// Takes the next fragment of the NAL unit in progress, which most packets of a stream are;
    /// `false`, with nothing changed, where there is more to do.
    #[inline]
    pub(crate) fn take_fragment(
        &mut self,
        meta: &PayloadMeta,
        payload: &[u8],
        limits: &Limits,
    ) -> bool {
        let [indicator, header, bytes @ ..] = payload else { return false };
        if fragment_key(meta.timestamp, meta.sequence, *indicator, *header) != self.awaited
            || self.unit.annex_b().len() + bytes.len() > limits.access_unit_octets
        {
            return false;
        }
        self.expected = Some(meta.sequence.wrapping_add(1));
        // Where the number begins anew, the next packet takes the long way.
        self.awaited = self.awaited.wrapping_add(1 << 16);
        if header & 0x40 != 0 {
            self.fragmenting = None;
            self.awaited = 0;
        }
        self.unit.extend(bytes);
        true
    }

    /// The same for a slice or its first fragment, and for a prefix NAL unit.
    pub(crate) fn take_slice(
        &mut self,
        meta: &PayloadMeta,
        payload: &[u8],
        cx: &mut Context<'_>,
    ) -> bool {
        let [first, second, bytes @ ..] = payload else { return false };
        let begins = first & 0x1f == NalType::FuA.value();
        let nal = if begins { first & 0xe0 | second & 0x1f } else { *first };
        let room = self.unit.len() < cx.limits.access_unit_nals
            && self.unit.annex_b().len() + payload.len() <= cx.limits.access_unit_octets;
        // Not those that a network element found damaged.
        if !matches!(nal & 0x9f, 1..=5 | 14 | 20)
            || begins && second & 0xc0 != 0x80
            || self.expected != Some(meta.sequence)
            || !self.queue.is_empty()
            || self.fragmenting.is_some()
            || cx.numbered
            || self.open && (self.open_start || meta.timestamp != self.unit.timestamp() || !room)
            || payload.len() > cx.limits.access_unit_octets
        {
            return false;
        }
        if !self.open {
            self.newest = meta.timestamp;
            self.open_start = false;
            self.start(meta.timestamp, cx);
        }
        if begins {
            self.begin_fragments(nal, bytes, cx.format);
            self.unit.extend(bytes);
        } else {
            let layer = self.layer(payload, cx.format);
            self.unit.push_in(payload, layer, 0);
        }
        self.expected = Some(meta.sequence.wrapping_add(1));
        self.restart = None;
        true
    }

    /// Finds out what [`Self::take_fragment`] may take: after every other change.
    pub(crate) fn await_fragment(&mut self) {
        self.awaited = match (self.expected, self.fragmenting) {
            (Some(sequence), Some(nal))
                if self.open && self.queue.is_empty() && self.restart.is_none() =>
            {
                let indicator = nal & 0xe0 | NalType::FuA.value();
                fragment_key(self.unit.timestamp(), sequence, indicator, nal)
            }
            _ => 0,
        };
    }

    /// `first`: no other source has been seen.
    pub(crate) fn push(
        &mut self,
        meta: &PayloadMeta,
        payload: &[u8],
        first: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), DepacketizeError> {
        let Some(expected) = self.expected else { return self.begin(meta, payload, first, cx) };
        let ahead = meta.sequence.wrapping_sub(expected);
        let outside = ahead >= MAX_DROPOUT && ahead < 0u16.wrapping_sub(MAX_DROPOUT);
        if outside {
            return self.maybe_restart(meta, payload, cx);
        }
        self.restart = None;
        match ahead {
            0 => {
                let outcome = self.accept(meta, payload, 0, cx);
                self.expected = Some(expected.wrapping_add(1));
                self.drain(cx);
                outcome
            }
            0x8000.. => Err(DepacketizeError::Stale),
            _ => {
                if !self.queue.insert(*meta, payload) {
                    return Err(DepacketizeError::Stale);
                }
                while self.gives_up(cx.limits) {
                    self.skip(cx);
                }
                Ok(())
            }
        }
    }

    /// Takes a packet before anything of the source has been taken in order: the first packet to
    /// come need not be the first one that was sent.
    fn begin(
        &mut self,
        meta: &PayloadMeta,
        payload: &[u8],
        first: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), DepacketizeError> {
        // Where another source has begun, it is an enhancement that begins in the middle.
        let knows = cx.format != PayloadFormat::UcSvc || !first || begins_layer(payload);
        if knows && self.queue.is_empty() {
            let outcome = self.accept(meta, payload, 0, cx);
            self.expected = Some(meta.sequence.wrapping_add(1));
            return outcome;
        }
        if !self.queue.insert(*meta, payload) {
            return Err(DepacketizeError::Stale);
        }
        let (Some(first), Some(last)) = (self.queue.first(), self.queue.last()) else {
            return Ok(());
        };
        let waited = last.timestamp.wrapping_sub(first.timestamp);
        if self.queue.first_payload().is_some_and(begins_layer)
            || self.queue.len() > cx.limits.reorder_packets
            || waited > cx.limits.reorder_ticks
        {
            self.expected = Some(first.sequence);
            self.drain(cx);
        }
        Ok(())
    }

    /// RFC 3550 A.1: two packets in a row from somewhere else are a new beginning.
    fn maybe_restart(
        &mut self,
        meta: &PayloadMeta,
        payload: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), DepacketizeError> {
        if self.restart != Some(meta.sequence) {
            self.restart = Some(meta.sequence.wrapping_add(1));
            return Err(DepacketizeError::Stale);
        }
        self.flush(cx);
        self.restart = None;
        // The packet before this one was refused.
        let outcome = self.accept(meta, payload, 1, cx);
        self.expected = Some(meta.sequence.wrapping_add(1));
        outcome
    }

    /// Takes packets from the queue as long as there is no gap.
    fn drain(&mut self, cx: &mut Context<'_>) {
        while let Some(expected) = self.expected
            && let Some(packet) = self.queue.take(expected)
        {
            // The packet was valid to keep; what is wrong in it marks its access unit.
            let _ = self.accept(&packet.meta, &packet.payload, 0, cx);
            self.queue.recycle(packet);
            self.expected = Some(expected.wrapping_add(1));
        }
    }

    fn gives_up(&self, limits: &Limits) -> bool {
        let (Some(first), Some(last), Some(expected)) =
            (self.queue.first(), self.queue.last(), self.expected)
        else {
            return false;
        };
        let waited = last.timestamp.wrapping_sub(self.in_progress().unwrap_or(first.timestamp));
        self.queue.len() > limits.reorder_packets
            || usize::from(last.sequence.wrapping_sub(expected)) > limits.reorder_packets
            || waited > limits.reorder_ticks && waited < 0x8000_0000
    }

    /// Counts the packets before the first that waits as lost, and goes on with it.
    pub(crate) fn skip(&mut self, cx: &mut Context<'_>) {
        let (Some(expected), Some(first)) = (self.expected, self.queue.first()) else { return };
        let sequence = first.sequence;
        let gap = sequence.wrapping_sub(expected);
        *cx.lost += u64::from(gap);
        if let Some(packet) = self.queue.take(sequence) {
            let _ = self.accept(&packet.meta, &packet.payload, gap, cx);
            self.queue.recycle(packet);
        }
        self.expected = Some(sequence.wrapping_add(1));
        self.drain(cx);
    }

    /// Gives out everything there is.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) {
        while let Some(first) = self.queue.first() {
            self.expected.get_or_insert(first.sequence);
            self.skip(cx);
        }
        self.finish(cx);
    }

    /// Takes the next packet; `gap` were lost before it.
    fn accept(
        &mut self,
        meta: &PayloadMeta,
        payload: &[u8],
        gap: u16,
        cx: &mut Context<'_>,
    ) -> Result<(), DepacketizeError> {
        self.newest = meta.timestamp;
        if cx.numbered {
            return self.numbered.accept(*meta, payload, gap, cx.format, cx.order);
        }
        if gap > 0 && self.open {
            self.break_fragment();
            // The gap takes this unit's tail, or stands in its middle.
            self.unit.set_damaged(true);
        }
        if self.in_progress().is_some_and(|t| t != meta.timestamp) {
            self.finish(cx);
        }
        let started = !self.open;
        if started {
            self.start(meta.timestamp, cx);
            self.unit.set_lost_before(gap);
        }
        self.open_start = started && gap > 0;
        let mut outcome = split(payload, cx.format, &mut |piece| match piece {
            Piece::Whole(Unit { bytes, offset, .. }) => {
                self.break_fragment();
                let timestamp = meta.timestamp.wrapping_add(offset);
                if timestamp != self.unit.timestamp() {
                    // NI-MTAP: units of several instants.
                    let lost = if self.unit.is_empty() { self.unit.lost_before() } else { 0 };
                    self.give(cx);
                    self.start(timestamp, cx);
                    self.unit.set_lost_before(lost);
                }
                self.whole(bytes, cx)
            }
            Piece::Fragment(fragment) => self.fragment(fragment, cx.limits, cx.format),
        });
        if outcome.is_err() {
            self.break_fragment();
            self.unit.set_damaged(true);
        }
        if self.unit.annex_b().len() > cx.limits.access_unit_octets {
            self.unit.reset(meta.timestamp);
            self.unit.set_ssrc(meta.ssrc);
            self.unit.set_damaged(true);
            outcome = Err(DepacketizeError::TooLarge { limit: cx.limits.access_unit_octets });
        }
        if meta.marker {
            self.finish(cx);
        }
        outcome
    }

    fn start(&mut self, timestamp: u32, cx: &mut Context<'_>) {
        self.unit = cx.pool.pop().unwrap_or_default();
        self.unit.reset(timestamp);
        self.unit.set_ssrc(self.ssrc);
        self.open = true;
        self.pacsi_layer = None;
        self.donc = None;
        self.undescribed = 0;
    }

    fn whole(&mut self, nal: &[u8], cx: &mut Context<'_>) -> Result<(), DepacketizeError> {
        let kind = NalType::new(nal.first().copied().unwrap_or(0));
        if kind == NalType::Pacsi {
            self.open_start = false;
            return self.pacsi(nal, cx);
        }
        if self.unit.len() >= cx.limits.access_unit_nals {
            return Err(DepacketizeError::TooLarge { limit: cx.limits.access_unit_nals });
        }
        let first = nal.first().copied().unwrap_or(0);
        if first & 0x80 != 0 {
            self.unit.set_damaged(true);
        }
        if is_marked_damaged(first) {
            return Ok(());
        }
        self.check_start(kind, nal.get(1..).unwrap_or_default());
        let layer = self.layer(nal, cx.format);
        self.unit.push_in(nal, layer, 0);
        Ok(())
    }

    fn fragment(
        &mut self,
        fragment: Fragment<'_>,
        limits: &Limits,
        format: PayloadFormat,
    ) -> Result<(), DepacketizeError> {
        if fragment.start {
            self.break_fragment();
            if is_marked_damaged(fragment.header) {
                self.unit.set_damaged(true);
                return Ok(());
            }
            if self.unit.len() >= limits.access_unit_nals {
                return Err(DepacketizeError::TooLarge { limit: limits.access_unit_nals });
            }
            self.check_start(NalType::new(fragment.header), fragment.bytes);
            self.begin_fragments(fragment.header, fragment.bytes, format);
        } else if self.fragmenting.is_none() {
            // The start was lost: RFC 6184 §5.8, the rest is discarded.
            self.unit.set_damaged(true);
            return Ok(());
        } else if self.fragmenting != Some(fragment.header) {
            return Err(DepacketizeError::BadFragment);
        }
        self.unit.extend(fragment.bytes);
        if fragment.end {
            self.fragmenting = None;
        }
        Ok(())
    }

    /// Starts a NAL unit whose first fragment has these octets.
    fn begin_fragments(&mut self, header: u8, bytes: &[u8], format: PayloadFormat) {
        let head = match *bytes {
            [a, b, c, ..] => [header, a, b, c],
            // No extension is so short.
            _ => [header, 0, 0, 0],
        };
        let layer = self.layer(&head, format);
        self.unit.begin(header, layer, 0);
        self.fragmenting = Some(header);
    }

    /// A slice with a later macroblock behind a gap proves that the beginning was lost.
    fn check_start(&mut self, kind: NalType, body: &[u8]) {
        if self.open_start {
            self.open_start = false;
            let body = if kind == NalType::SliceExtension { body.get(3..) } else { Some(body) };
            let first_mb = BitReader::new(body.unwrap_or_default()).ue();
            if kind.is_vcl() && first_mb != Ok(0) {
                self.unit.set_damaged(true);
            }
        }
    }

    fn layer(&mut self, nal: &[u8], format: PayloadFormat) -> Option<LayerId> {
        let own = self.unit.layer_of(nal);
        if format == PayloadFormat::Avc {
            return own;
        }
        // [MS-H264PF] 3.1.5: a PACSI describes one layer, and its priority_id is the key to the
        // layout; encoders that write prefix NAL units themselves leave 0 there.
        let own = own.map(|l| LayerId { prid: self.pacsi_layer.map_or(l.prid, |p| p.prid), ..l });
        let layer = own.or(self.pacsi_layer).or(self.last_layer);
        self.last_layer = layer;
        layer
    }

    fn pacsi(&mut self, nal: &[u8], cx: &mut Context<'_>) -> Result<(), DepacketizeError> {
        let Ok(pacsi) = PacsiView::parse(nal) else {
            return Err(DepacketizeError::Truncated { at: 0 });
        };
        let layer = SvcExtension::layer(pacsi.layer);
        self.pacsi_layer = Some(layer);
        self.last_layer = Some(layer);
        if self.donc.is_none() {
            self.donc = pacsi.donc;
            self.undescribed = self.unit.len();
        }
        if let Some((index, _)) = pacsi.picture_index {
            self.unit.set_base_index(Some(index));
        }
        if let Some(info) = pacsi.bitstream_info() {
            self.unit.set_ref_frame_count(Some(info.ref_frame_count));
        }
        // Some senders repeat the layout in front of every picture.
        let Some(raw) = pacsi.stream_layout_nal() else { return Ok(()) };
        if raw == cx.layout_octets.as_slice() {
            return Ok(());
        }
        if let Some(new) = pacsi.stream_layout() {
            cx.layout_octets.clear();
            cx.layout_octets.extend_from_slice(raw);
            match &mut *cx.layout {
                // An update says who is present; the descriptions stay.
                Some(known) if !new.is_full() => known.present = new.present,
                known => *known = Some(new),
            }
            *cx.described = cx.layout.as_ref().map_or(0, StreamLayout::base_prids);
        }
        Ok(())
    }

    /// Ends a NAL unit of which fragments are missing: of a slice the beginning may stay.
    fn break_fragment(&mut self) {
        let Some(first) = self.fragmenting.take() else { return };
        let is_slice = matches!(
            NalType::new(first),
            NalType::Slice | NalType::IdrSlice | NalType::SliceExtension
        );
        if self.truncated == TruncatedSlices::Keep && is_slice {
            self.unit.end_early();
        } else {
            self.unit.pop();
        }
        self.unit.set_damaged(true);
    }

    /// Ends the access unit in progress.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        self.break_fragment();
        if self.open {
            self.give(cx);
        }
    }

    fn give(&mut self, cx: &mut Context<'_>) {
        self.open = false;
        let unit = core::mem::take(&mut self.unit);
        let layer = self.pacsi_layer.or_else(|| unit.first_layer());
        let described = u16::try_from(unit.len().saturating_sub(self.undescribed)).unwrap_or(0);
        cx.finished.push(Part { unit, layer, donc: self.donc.take(), described, stream: 0 });
    }
}

/// What tells a fragment that goes on with a NAL unit: its time and number, its indicator, and of its
/// header the type and the start bit, which is not set. Never 0, as the indicator is not.
const fn fragment_key(timestamp: u32, sequence: u16, indicator: u8, header: u8) -> u64 {
    (timestamp as u64) << 32
        | (sequence as u64) << 16
        | (indicator as u64) << 8
        | header as u64 & 0x9f
}

/// RFC 6184 §1.3: a network element saw damage. A slice with wrong bits would show; what else is
/// marked so is the decoder's to judge.
pub(crate) const fn is_marked_damaged(first_octet: u8) -> bool {
    first_octet & 0x80 != 0 && NalType::new(first_octet).is_vcl()
}

/// Whether a payload is the first of a layer's picture: \[MS-H264PF\] has a PACSI there, one known
/// client parameter sets in front of it.
fn begins_layer(payload: &[u8]) -> bool {
    let kind = |octet: Option<&u8>| octet.map(|&b| NalType::new(b));
    let first = match kind(payload.first()) {
        Some(NalType::StapA) => kind(payload.get(3)),
        other => other,
    };
    matches!(first, Some(NalType::Pacsi | NalType::Sps | NalType::Delimiter))
}
