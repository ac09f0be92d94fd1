use core::fmt;
use core::ops::Range;

use crate::annexb::START_CODE;
use crate::nal::{LayerId, NalType, SvcExtension};

/// The NAL units of one instant, in one buffer.
///
/// The buffer is an Annex B byte stream at any time: every unit stands behind `00 00 00 01`, so
/// [`Self::annex_b`] is free. Cleared and filled again, an access unit allocates nothing once it has
/// grown to the stream's size.
///
/// ```
/// use linkspan_svc::AccessUnit;
/// let mut unit = AccessUnit::new(90_000);
/// unit.push(&[0x6e, 0x80, 0x80, 0x2f, 0x20]); // prefix: temporal layer 1
/// unit.push(&[0x61, 0xe0]);
/// assert_eq!(unit.iter().last().unwrap().layer.unwrap().tid, 1);
/// assert_eq!(unit.annex_b(), [0, 0, 0, 1, 0x6e, 0x80, 0x80, 0x2f, 0x20, 0, 0, 0, 1, 0x61, 0xe0]);
/// assert!(!unit.is_idr());
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct AccessUnit {
    timestamp: u32,
    ssrc: u32,
    data: Vec<u8>,
    nals: Vec<Span>,
    damaged: bool,
    lost_before: u16,
    ref_frame_count: Option<u8>,
    base_index: Option<u8>,
}

impl AccessUnit {
    /// An empty access unit with an RTP timestamp (90 kHz).
    #[must_use]
    pub fn new(timestamp: u32) -> Self {
        Self { timestamp, ..Self::default() }
    }

    /// Empties the unit, keeps its memory, and gives it a timestamp.
    pub fn reset(&mut self, timestamp: u32) {
        self.timestamp = timestamp;
        self.ssrc = 0;
        self.data.clear();
        self.nals.clear();
        self.damaged = false;
        self.lost_before = 0;
        self.ref_frame_count = None;
        self.base_index = None;
    }

    /// Appends a NAL unit (no start code). Its layer is read from its own extension, or from a prefix
    /// NAL unit directly before it. An empty unit is ignored.
    pub fn push(&mut self, nal: &[u8]) {
        let layer = self.layer_of(nal);
        self.push_in(nal, layer, 0);
    }

    /// Appends a NAL unit whose layer and simulcast stream the caller knows.
    pub fn push_in(&mut self, nal: &[u8], layer: Option<LayerId>, stream: u8) {
        let Some(&first) = nal.first() else { return };
        self.data.reserve(START_CODE.len() + nal.len());
        self.data.extend_from_slice(&START_CODE);
        let (start, kind) = (self.data.len(), NalType::new(first));
        self.data.extend_from_slice(nal);
        self.nals.push(Span { start, kind, layer, stream });
    }

    /// The layer that [`Self::push`] would give `nal`.
    pub(crate) fn layer_of(&self, nal: &[u8]) -> Option<LayerId> {
        match *nal {
            // Slices and partitions, which a prefix NAL unit may stand in front of.
            [first, ..] if matches!(first & 0x1f, 1..=5) => {
                self.nals.last().filter(|last| last.kind == NalType::Prefix)?.layer
            }
            [first, ..] if matches!(first & 0x1f, 14 | 20 | 30) => {
                SvcExtension::parse(nal).ok().map(SvcExtension::layer)
            }
            _ => None,
        }
    }

    /// Starts a NAL unit with its first octet; [`Self::extend`] appends the others.
    pub(crate) fn begin(&mut self, first: u8, layer: Option<LayerId>, stream: u8) {
        let [a, b, c, d] = START_CODE;
        let start = self.data.len() + START_CODE.len();
        self.data.extend_from_slice(&[a, b, c, d, first]);
        self.nals.push(Span { start, kind: NalType::new(first), layer, stream });
    }

    /// Appends octets to the last NAL unit, which there is.
    #[inline]
    pub(crate) fn extend(&mut self, octets: &[u8]) {
        self.data.extend_from_slice(octets);
    }

    /// Overwrites octets of the last NAL unit; those behind its end are left out.
    pub(crate) fn write_at<const N: usize>(&mut self, offset: usize, octets: [u8; N]) {
        let start = self.nals.last().map_or(0, |last| last.start + offset);
        for (to, from) in self.data.iter_mut().skip(start).zip(octets) {
            *to = from;
        }
    }

    /// The last NAL unit ends before its time: what it holds is made a NAL unit that may stand in a
    /// byte stream, or nothing.
    pub(crate) fn end_early(&mut self) {
        let Some(last) = self.nals.last() else { return };
        let mut bytes = self.data.get(last.start..).unwrap_or_default();
        // H.264 §7.4.1: the last octet is not 0, and an emulation prevention octet has one behind it.
        while let [rest @ .., 0] | [rest @ .., 0, 0, 3] = bytes {
            bytes = rest;
        }
        if bytes.len() < 2 {
            return self.pop();
        }
        let end = last.start + bytes.len();
        self.data.truncate(end);
    }

    /// Takes back the last NAL unit.
    pub(crate) fn pop(&mut self) {
        if let Some(last) = self.nals.pop() {
            self.data.truncate(last.start.saturating_sub(START_CODE.len()));
        }
    }

    /// An access unit that writes behind what `data` holds.
    pub(crate) fn behind(data: Vec<u8>) -> Self {
        Self { data, ..Self::default() }
    }

    /// The octets; the opposite of [`Self::behind`].
    pub(crate) fn into_annex_b(self) -> Vec<u8> {
        self.data
    }

    /// Forgets which units there are and keeps their octets.
    pub(crate) fn forget_units(&mut self) {
        self.nals.clear();
    }

    /// Appends every unit of `other`.
    pub(crate) fn append(&mut self, other: &Self) {
        let shift = self.data.len();
        self.data.extend_from_slice(&other.data);
        self.nals.extend(other.nals.iter().map(|s| Span { start: s.start + shift, ..s.clone() }));
        self.damaged |= other.damaged;
    }

    /// Changes the layer and the simulcast stream of the unit at `index`.
    pub(crate) fn set_layer(&mut self, index: usize, layer: Option<LayerId>, stream: u8) {
        if let Some(span) = self.nals.get_mut(index) {
            span.layer = layer;
            span.stream = stream;
        }
    }

    /// The NAL units in decoding order.
    #[must_use]
    pub fn iter(&self) -> Nals<'_> {
        Nals { unit: self, range: 0..self.nals.len() }
    }

    /// The NAL unit at `index`.
    #[must_use]
    pub fn nal(&self, index: usize) -> Option<Nal<'_>> {
        let span = self.nals.get(index)?;
        let end = match self.nals.get(index + 1) {
            Some(next) => next.start - START_CODE.len(),
            None => self.data.len(),
        };
        Some(Nal {
            bytes: self.data.get(span.start..end)?,
            kind: span.kind,
            layer: span.layer,
            stream: span.stream,
        })
    }

    /// Number of NAL units.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nals.len()
    }

    /// Whether there is no NAL unit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nals.is_empty()
    }

    /// The units as a byte stream, each behind `00 00 00 01`.
    ///
    /// What [`crate::AvcToUc`] gives holds PACSI NAL units, which are RTP's alone; such an access
    /// unit is for a [`crate::Packetizer`], not for a file.
    #[must_use]
    pub fn annex_b(&self) -> &[u8] {
        &self.data
    }

    /// RTP timestamp, 90 kHz.
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Changes the RTP timestamp.
    pub const fn set_timestamp(&mut self, timestamp: u32) {
        self.timestamp = timestamp;
    }

    /// Synchronisation source of the (lowest) layer; 0 where none is known.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Changes the synchronisation source.
    pub const fn set_ssrc(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
    }

    /// Whether a part of this access unit is known to be missing.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Marks a missing part.
    pub const fn set_damaged(&mut self, damaged: bool) {
        self.damaged = damaged;
    }

    /// RTP packets of the same source that were lost directly before this access unit: whole access
    /// units may be missing in front of it.
    #[must_use]
    pub const fn lost_before(&self) -> u16 {
        self.lost_before
    }

    pub(crate) const fn set_lost_before(&mut self, packets: u16) {
        self.lost_before = packets;
    }

    /// `ref_frm_cnt` of the Microsoft bitstream information that came with it.
    #[must_use]
    pub const fn ref_frame_count(&self) -> Option<u8> {
        self.ref_frame_count
    }

    pub(crate) const fn set_ref_frame_count(&mut self, count: Option<u8>) {
        self.ref_frame_count = count;
    }

    /// `TL0PICIDX` of the PACSI that came with it (RFC 6190 §4.9): the count of pictures of temporal
    /// layer 0, of which a picture of a higher layer repeats the last one's.
    #[must_use]
    pub const fn base_index(&self) -> Option<u8> {
        self.base_index
    }

    /// Takes over what counts pictures: of a rewritten access unit, what the original said.
    pub(crate) const fn set_counts_of(&mut self, original: &Self) {
        self.ref_frame_count = original.ref_frame_count;
        self.base_index = original.base_index;
    }

    pub(crate) const fn set_base_index(&mut self, index: Option<u8>) {
        self.base_index = index;
    }

    /// The layer of the first unit that tells one.
    pub(crate) fn first_layer(&self) -> Option<LayerId> {
        self.nals.iter().find_map(|s| s.layer)
    }

    /// Whether it holds a slice of type 5: decoding can start here.
    #[must_use]
    pub fn is_idr(&self) -> bool {
        self.nals.iter().any(|s| s.kind == NalType::IdrSlice)
    }

    /// Whether it holds a coded slice.
    #[must_use]
    pub fn has_slices(&self) -> bool {
        self.nals.iter().any(|s| s.kind.is_vcl())
    }

    /// `temporal_id`, which all slices of an access unit share; `None` when nothing tells.
    #[must_use]
    pub fn temporal_id(&self) -> Option<u8> {
        self.nals.iter().filter(|s| s.kind.is_vcl()).find_map(|s| s.layer).map(|l| l.tid)
    }
}

/// NAL units of one instant, wherever they are kept.
pub(crate) trait NalList {
    /// The NAL unit at `index`.
    fn unit(&self, index: usize) -> Option<Nal<'_>>;

    /// Them all, in decoding order.
    fn units(&self) -> impl Iterator<Item = Nal<'_>> {
        (0..).map_while(|index| self.unit(index))
    }
}

impl NalList for AccessUnit {
    fn unit(&self, index: usize) -> Option<Nal<'_>> {
        self.nal(index)
    }
}

impl<'a> IntoIterator for &'a AccessUnit {
    type Item = Nal<'a>;
    type IntoIter = Nals<'a>;

    fn into_iter(self) -> Nals<'a> {
        self.iter()
    }
}

impl fmt::Debug for AccessUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessUnit")
            .field("timestamp", &self.timestamp)
            .field("ssrc", &self.ssrc)
            .field("octets", &self.data.len())
            .field("damaged", &self.damaged)
            .field("lost_before", &self.lost_before)
            .field("nals", &self.nals)
            .finish_non_exhaustive()
    }
}

/// One NAL unit of an [`AccessUnit`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nal<'a> {
    /// The unit without start code.
    pub bytes: &'a [u8],
    /// Its kind.
    pub kind: NalType,
    /// Its layer, where the unit, a prefix NAL unit or a PACSI tells.
    pub layer: Option<LayerId>,
    /// Its simulcast stream, numbered from 0; 0 without simulcast.
    pub stream: u8,
}

/// Iterator of [`AccessUnit::iter`].
#[derive(Clone, Debug)]
pub struct Nals<'a> {
    unit: &'a AccessUnit,
    range: Range<usize>,
}

impl<'a> Iterator for Nals<'a> {
    type Item = Nal<'a>;

    fn next(&mut self) -> Option<Nal<'a>> {
        self.unit.nal(self.range.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Nals<'_> {}

/// A NAL unit, which ends where the start code of the next one stands.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Span {
    start: usize,
    kind: NalType,
    layer: Option<LayerId>,
    stream: u8,
}
