use std::collections::VecDeque;

use crate::access_unit::AccessUnit;
use crate::error::DepacketizeError;
use crate::limits::Limits;
use crate::ms::StreamLayout;
use crate::rtp::decoding_order::{DecodingOrder, Release};
use crate::rtp::merger::{Merger, Outlet, Peer};
use crate::rtp::source::{Context, Part, Source};

/// Turns RTP payloads into access units.
///
/// Packets may come in any order within the limits; duplicates are refused. What is lost shows in
/// [`AccessUnit::is_damaged`] and [`AccessUnit::lost_before`]. With [`PayloadFormat::UcSvc`] any
/// number of synchronisation sources may carry the layers of one sender: simulcast streams come out
/// as access units of their own, told apart by [`crate::Nal::stream`].
///
/// Give finished access units back with [`Self::recycle`], and nothing is allocated per packet.
///
/// ```
/// use linkspan_svc::{Depacketizer, DepacketizerConfig, PayloadFormat, PayloadMeta};
/// let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
/// let fragments = [&[0x7c, 0x85, 0xb8][..], &[0x7c, 0x45, 0x04]];
/// for (sequence, payload) in (0..).zip(fragments) {
///     let meta = PayloadMeta { ssrc: 1, sequence, timestamp: 90, marker: sequence == 1 };
///     depacketizer.push(meta, payload)?;
/// }
/// let unit = depacketizer.poll_access_unit().unwrap();
/// assert_eq!(unit.annex_b(), [0, 0, 0, 1, 0x65, 0xb8, 0x04]);
/// depacketizer.recycle(unit);
/// # Ok::<(), linkspan_svc::DepacketizeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Depacketizer {
    config: DepacketizerConfig,
    /// How many slices wait where numbers alone tell the order.
    depth: Option<u16>,
    sources: Vec<Source>,
    /// The source that the last packet was of.
    recent: usize,
    finished: Vec<Part>,
    ready: VecDeque<AccessUnit>,
    pool: Vec<AccessUnit>,
    layout: Option<StreamLayout>,
    layout_octets: Vec<u8>,
    /// Layers that begin a simulcast stream, a bit each: as the layout says.
    described: u64,
    /// Layers that began a simulcast stream, where no layout tells.
    bases: u64,
    lost: u64,
    merger: Merger,
    order: DecodingOrder,
    /// Kept for its memory.
    peers: Vec<Peer>,
}

impl Depacketizer {
    /// A depacketizer that has seen nothing.
    #[must_use]
    pub fn new(config: DepacketizerConfig) -> Self {
        Self {
            config,
            depth: config.format.numbered_depth(),
            sources: Vec::new(),
            recent: 0,
            finished: Vec::new(),
            ready: VecDeque::new(),
            pool: Vec::new(),
            layout: None,
            layout_octets: Vec::new(),
            described: 0,
            bases: 0,
            lost: 0,
            merger: Merger::default(),
            order: DecodingOrder::default(),
            peers: Vec::new(),
        }
    }

    /// Takes the payload of one RTP packet.
    ///
    /// # Errors
    /// [`DepacketizeError`]: of this packet when it was in order. A malformed payload damages its
    /// access unit; [`DepacketizeError::Stale`], [`DepacketizeError::TooManySources`] and
    /// [`DepacketizeError::QueueFull`] change nothing.
    pub fn push(&mut self, meta: PayloadMeta, payload: &[u8]) -> Result<(), DepacketizeError> {
        let limits = &self.config.limits;
        if self.ready.len() >= limits.queued_access_units {
            return Err(DepacketizeError::QueueFull { limit: limits.queued_access_units });
        }
        if !meta.marker
            && let Some(source) = self.sources.get_mut(self.recent)
            && source.ssrc == meta.ssrc
            && source.take_fragment(&meta, payload, limits)
        {
            return Ok(());
        }
        self.push_other(&meta, payload)
    }

    /// What does not just go on with a NAL unit.
    #[inline(never)]
    fn push_other(&mut self, meta: &PayloadMeta, payload: &[u8]) -> Result<(), DepacketizeError> {
        let limit = self.config.limits.sources;
        let index = match self.sources.iter().position(|s| s.ssrc == meta.ssrc) {
            Some(index) => index,
            None if self.sources.len() >= limit => {
                return Err(DepacketizeError::TooManySources { limit });
            }
            None => {
                self.sources.push(Source::new(meta.ssrc, self.config.truncated));
                self.sources.len() - 1
            }
        };
        self.recent = index;
        let first = self.sources.len() == 1;
        let (sources, mut cx) = self.parts();
        let Some(source) = sources.get_mut(index) else { return Ok(()) };
        let taken = source.take_slice(meta, payload, &mut cx)
            || meta.marker && source.take_fragment(meta, payload, cx.limits);
        if taken {
            if meta.marker {
                source.finish(&mut cx);
            }
            source.await_fragment();
            self.deliver(false);
            return Ok(());
        }
        let outcome = source.push(meta, payload, first, &mut cx);
        source.await_fragment();
        self.deliver(false);
        outcome
    }

    /// Gives out everything that waits, complete or not: at the end of a call, or when a timer of
    /// the caller's says that nothing more will come.
    pub fn flush(&mut self) {
        let (sources, mut cx) = self.parts();
        for source in sources {
            source.flush(&mut cx);
            source.await_fragment();
        }
        self.deliver(true);
    }

    /// Forgets a source, with what waits of it: after BYE.
    pub fn remove_source(&mut self, ssrc: u32) {
        self.sources.retain(|s| s.ssrc != ssrc);
    }

    /// The next access unit in decoding order.
    pub fn poll_access_unit(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    /// Takes the memory of an access unit back.
    pub fn recycle(&mut self, unit: AccessUnit) {
        if self.pool.len() < 16 {
            self.pool.push(unit);
        }
    }

    /// The stream layout that holds: the last full one, with the presence bits of the last update.
    #[must_use]
    pub const fn layout(&self) -> Option<&StreamLayout> {
        self.layout.as_ref()
    }

    /// Packets that never came, of all sources.
    #[must_use]
    pub const fn lost_packets(&self) -> u64 {
        self.lost
    }

    /// Layers that came after their access unit had been given out.
    #[must_use]
    pub const fn late_layers(&self) -> u64 {
        self.merger.late + self.order.late
    }

    /// The sources, and what they need from here.
    fn parts(&mut self) -> (&mut [Source], Context<'_>) {
        let cx = Context {
            format: self.config.format,
            numbered: self.depth.is_some(),
            limits: &self.config.limits,
            pool: &mut self.pool,
            finished: &mut self.finished,
            layout: &mut self.layout,
            layout_octets: &mut self.layout_octets,
            described: &mut self.described,
            lost: &mut self.lost,
            order: &mut self.order,
        };
        (&mut self.sources, cx)
    }

    /// Gives finished parts out, `all` of them or those that need not wait for others.
    fn deliver(&mut self, all: bool) {
        // Where each access unit comes whole from one source, order is the source's order.
        if let Some(depth) = self.depth {
            let (ready, pool) = (&mut self.ready, &mut self.pool);
            let limits = &self.config.limits;
            let depth = usize::from(depth);
            self.order.release(&mut Release { ready, pool, limits, depth, all });
            return;
        }
        let merging = self.config.format.is_scalable() && self.sources.len() > 1;
        if self.finished.is_empty() && !merging {
            return;
        }
        self.note_bases();
        if merging {
            return self.merge(all);
        }
        // With one base layer there is one stream.
        let simulcast = self.base_prids().count_ones() > 1;
        let mut finished = core::mem::take(&mut self.finished);
        for mut part in finished.drain(..) {
            // RFC 6190 §4.10: where sources are joined, an empty one says that nothing is coming.
            if part.is_empty() {
                self.recycle(part.unit);
                continue;
            }
            if simulcast {
                self.number_streams(&mut part);
            }
            let (merger, mut outlet) = self.merger();
            merger.pass(part, &mut outlet);
        }
        self.finished = finished;
    }

    /// Joins finished parts of several sources.
    fn merge(&mut self, all: bool) {
        let mut peers = core::mem::take(&mut self.peers);
        peers.clear();
        self.list_peers(&mut peers);
        let mut finished = core::mem::take(&mut self.finished);
        for mut part in finished.drain(..) {
            self.number_streams(&mut part);
            let own = part.unit.ssrc();
            let alone = peers.iter().all(|p| p.stream != part.stream || p.ssrc == own);
            if alone && part.is_empty() {
                self.recycle(part.unit);
                continue;
            }
            let (merger, mut outlet) = self.merger();
            if alone {
                merger.pass(part, &mut outlet);
            } else {
                merger.offer(part, &mut outlet);
            }
        }
        self.finished = finished;
        let (merger, mut outlet) = self.merger();
        merger.release(&peers, all, &mut outlet);
        self.peers = peers;
    }

    fn note_bases(&mut self) {
        if !self.config.format.is_scalable() {
            return;
        }
        for part in &self.finished {
            let base = part.layer.filter(|l| l.is_avc() && l.tid == 0);
            self.bases |= base.map_or(0, |l| 1 << (l.prid & 63));
        }
    }

    fn merger(&mut self) -> (&mut Merger, Outlet<'_>) {
        let outlet =
            Outlet { ready: &mut self.ready, pool: &mut self.pool, limits: &self.config.limits };
        (&mut self.merger, outlet)
    }

    /// The sources that are sending.
    fn list_peers(&self, peers: &mut Vec<Peer>) {
        let begun = |s: &&Source| s.awaits_beginning().is_none();
        let newest = |a: u32, b: u32| if a.wrapping_sub(b) < 1 << 31 { a } else { b };
        let now = self.sources.iter().filter(begun).map(|s| s.newest).reduce(newest).unwrap_or(0);
        let peer = |source: &Source| {
            // One whose beginning is waited for holds the others back.
            if let Some(first) = source.awaits_beginning() {
                let newest = first.wrapping_sub(1);
                return Some(Peer { ssrc: source.ssrc, stream: 0, dependent: false, newest });
            }
            let layer = source.last_layer?;
            let stream = self.stream_of(layer.prid);
            let dependent = !layer.is_avc();
            Some(Peer { ssrc: source.ssrc, stream, dependent, newest: source.newest })
        };
        // A second of silence: nobody waits for it any more.
        let active = |p: &Peer| now.wrapping_sub(p.newest) <= 90_000;
        peers.extend(self.sources.iter().filter_map(peer).filter(active));
    }

    fn number_streams(&self, part: &mut Part) {
        part.stream = part.layer.map_or(0, |l| self.stream_of(l.prid));
        let unit = &mut part.unit;
        for index in 0..unit.len() {
            // What tells no layer (sets in front of the first PACSI) is of the unit's own stream.
            let layer = unit.nal(index).and_then(|n| n.layer);
            let stream = layer.map_or(part.stream, |l| self.stream_of(l.prid));
            if stream != 0 {
                unit.set_layer(index, layer, stream);
            }
        }
    }

    /// The simulcast stream of a layer: how many streams begin at or below its number.
    fn stream_of(&self, prid: u8) -> u8 {
        let below = self.base_prids() & (u64::MAX >> (63 - (prid & 63)));
        below.count_ones().saturating_sub(1).to_le_bytes()[0]
    }

    /// Layers that begin a simulcast stream, a bit each.
    const fn base_prids(&self) -> u64 {
        if self.described != 0 { self.described } else { self.bases }
    }
}

/// How a [`Depacketizer`] reads payloads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DepacketizerConfig {
    /// The payload format.
    pub format: PayloadFormat,
    /// The limits.
    pub limits: Limits,
    /// What becomes of a slice of which fragments are missing.
    pub truncated: TruncatedSlices,
}

impl DepacketizerConfig {
    /// A configuration with default limits, which discards slices that are not whole.
    #[must_use]
    pub fn new(format: PayloadFormat) -> Self {
        Self { format, limits: Limits::default(), truncated: TruncatedSlices::default() }
    }
}

/// What becomes of a slice of which fragments are missing (RFC 6184 §5.8, RFC 6190 §5.8).
///
/// ```
/// use linkspan_svc::{
///     Depacketizer, DepacketizerConfig, PayloadFormat, PayloadMeta, TruncatedSlices,
/// };
/// let truncated = TruncatedSlices::Keep;
/// let config = DepacketizerConfig { truncated, ..DepacketizerConfig::new(PayloadFormat::Avc) };
/// let mut depacketizer = Depacketizer::new(config);
/// // The second of three fragments is lost.
/// for (sequence, payload) in [(1, &[0x7c, 0x85, 0xb8][..]), (3, &[0x7c, 0x45, 0x04])] {
///     let meta = PayloadMeta { ssrc: 1, sequence, timestamp: 90, marker: sequence == 3 };
///     depacketizer.push(meta, payload)?;
/// }
/// depacketizer.flush();
/// let unit = depacketizer.poll_access_unit().unwrap();
/// assert!(unit.is_damaged());
/// assert_eq!(unit.annex_b(), [0, 0, 0, 1, 0x65, 0xb8]);
/// # Ok::<(), linkspan_svc::DepacketizeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TruncatedSlices {
    /// It is left out, as every other NAL unit is.
    #[default]
    Discard,
    /// The fragments in front of the gap stay, for decoders that conceal what is missing: most
    /// decode a slice up to where it ends. The forbidden bit is not set in it, although RFC 6184 asks
    /// for that: libavcodec, for one, does not look into a unit that carries it. The formats whose
    /// packets are interleaved discard it.
    Keep,
}

/// An RTP payload format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PayloadFormat {
    /// `H264` of RFC 6184 with `packetization-mode` 0 or 1.
    Avc,
    /// `H264` of RFC 6184 with `packetization-mode` 2: NAL units come in another order than they
    /// are decoded in, and out in theirs.
    AvcInterleaved {
        /// `sprop-interleaving-depth`: coded slices that come before one that is decoded earlier.
        depth: u16,
    },
    /// `H264-SVC` of RFC 6190, its layers on one synchronisation source or on several.
    Svc {
        /// `mst-mode`.
        mode: SessionMode,
    },
    /// `X-H264UC` of \[MS-H264PF\]: RFC 6190 in mode NI-TC, with Microsoft's messages.
    UcSvc,
}

impl PayloadFormat {
    /// Whether the types of RFC 6190 may come.
    pub(crate) const fn is_scalable(self) -> bool {
        matches!(self, Self::Svc { .. } | Self::UcSvc)
    }

    /// Whether NAL units come with decoding order numbers of their own.
    pub(crate) const fn is_interleaved(self) -> bool {
        matches!(
            self,
            Self::AvcInterleaved { .. } | Self::Svc { mode: SessionMode::Interleaved { .. } }
        )
    }

    /// How many slices may wait where decoding order numbers alone tell the order.
    const fn numbered_depth(self) -> Option<u16> {
        match self {
            Self::AvcInterleaved { depth }
            | Self::Svc { mode: SessionMode::Interleaved { depth } } => Some(depth),
            // Gaps in the numbers are legal: then time decides.
            Self::Svc { mode: SessionMode::CrossSessionOrder } => Some(u16::MAX),
            Self::Avc | Self::UcSvc | Self::Svc { .. } => None,
        }
    }
}

/// How the order of NAL units from several sources is told: `mst-mode` (RFC 6190 §4.5.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SessionMode {
    /// NI-T: by timestamps, and by layers where they are equal.
    Timestamps,
    /// NI-C: by the cross-session decoding order numbers that PACSI NAL units begin.
    CrossSessionOrder,
    /// NI-TC: by either; timestamps are used, and numbers make the wait shorter. Right for a single
    /// source as well.
    #[default]
    Both,
    /// I-C: by the decoding order numbers of interleaved structures.
    Interleaved {
        /// `sprop-mst-remux-buf-size` counts octets; this counts coded slices, as
        /// `sprop-interleaving-depth` does.
        depth: u16,
    },
}

/// The RTP header fields that a [`Depacketizer`] needs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PayloadMeta {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, 90 kHz.
    pub timestamp: u32,
    /// Marker bit: the last packet of a picture.
    pub marker: bool,
}
