use core::ops::Range;

use crate::access_unit::AccessUnit;
use crate::ms::PacsiWriter;
use crate::nal::{LayerId, NalHeader, NalType};

/// Turns access units into RTP payloads.
///
/// The payloads borrow the access unit: octets are copied once, into the caller's packet.
///
/// ```
/// use linkspan_svc::{AccessUnit, PacketizationMode, Packetizer, PacketizerConfig};
/// let mut unit = AccessUnit::new(0);
/// unit.push(&[0x67, 0x42, 0xc0, 0x1f]);
/// unit.push(&[0x68, 0xce]);
/// unit.push(&[0x65; 100]);
/// let mode = PacketizationMode::NonInterleaved;
/// let mut packetizer = Packetizer::new(PacketizerConfig::avc(mode, 60));
/// let payloads = packetizer.packetize(&unit);
/// let sent: Vec<Vec<u8>> = payloads.iter().map(|p| p.to_vec()).collect();
/// assert_eq!(sent.len(), 3); // STAP-A with both sets, two fragments
/// assert_eq!(sent[0], [0x78, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 0, 2, 0x68, 0xce]);
/// assert!(payloads.iter().last().unwrap().marker);
/// assert_eq!(payloads.oversized(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Packetizer {
    config: PacketizerConfig,
    pacsi: PacsiWriter,
    scratch: Vec<u8>,
    items: Vec<Item>,
    plans: Vec<Plan>,
    oversized: usize,
}

impl Packetizer {
    /// A packetizer that has sent nothing.
    #[must_use]
    pub fn new(mut config: PacketizerConfig) -> Self {
        // Sizes in aggregation packets are 16 bits.
        config.max_payload = config.max_payload.min(usize::from(u16::MAX));
        Self {
            config,
            pacsi: PacsiWriter::default(),
            scratch: Vec::new(),
            items: Vec::new(),
            plans: Vec::new(),
            oversized: 0,
        }
    }

    /// Plans the payloads of one access unit.
    ///
    /// A NAL unit that the format cannot carry (single NAL unit mode, longer than the payload) is
    /// left out and counted in [`Payloads::oversized`].
    ///
    /// With [`PacketizerFormat::UcSvc`], layers without a PACSI in front (whatever did not come
    /// from [`crate::AvcToUc`]) get one: layout and bitstream information derived from the stream.
    pub fn packetize<'a>(&'a mut self, unit: &'a AccessUnit) -> Payloads<'a> {
        self.scratch.clear();
        self.items.clear();
        self.plans.clear();
        self.oversized = 0;
        self.list_items(unit);
        let mut at = 0;
        while let Some(first) = self.items.get(at) {
            let group = first.key();
            let uc = matches!(self.config.format, PacketizerFormat::UcSvc { .. });
            let rest = self.items.get(at..).unwrap_or_default();
            // [MS-H264PF] 3.1.5: a STAP-A holds units of one layer only.
            let len = rest.iter().take_while(|i| !uc || i.key() == group).count().max(1);
            self.plan(at..at + len, unit);
            at += len;
        }
        self.mark();
        Payloads { packetizer: self, unit }
    }

    /// Sets the marker of the last payload, and of the last one of each source.
    fn mark(&mut self) {
        let mut marked = 0u64;
        let by_source = self.config.marks_layers();
        for plan in self.plans.iter_mut().rev() {
            let layer = self.items.get(plan.item).and_then(|i| i.layer);
            let source = 1 << (layer.map_or(0, |l| l.prid) & 63);
            plan.marker = marked == 0 || by_source && marked & source == 0;
            marked |= source;
        }
    }

    /// Units in the order of sending, PACSI NAL units of the packetizer's own included.
    fn list_items(&mut self, unit: &AccessUnit) {
        let PacketizerFormat::UcSvc { .. } = self.config.format else {
            // RFC 6184: types 24 to 31 are the payload format's own.
            for (index, nal) in unit.iter().enumerate().filter(|(_, n)| !n.kind.is_rtp_only()) {
                let source = Place::Unit(index);
                self.items.push(Item { source, layer: nal.layer, stream: nal.stream });
            }
            return;
        };
        for (index, nal) in unit.iter().enumerate() {
            let source = Place::Unit(index);
            self.items.push(Item { source, layer: nal.layer, stream: nal.stream });
        }
        // Parameter sets and SEI go with the slice they stand in front of.
        let mut following = None;
        for item in self.items.iter_mut().rev() {
            item.layer = item.layer.or(following);
            following = item.layer;
        }
        self.add_pacsi(unit);
    }

    /// Puts a PACSI in front of each layer that has none.
    fn add_pacsi(&mut self, unit: &AccessUnit) {
        if unit.iter().any(|n| n.kind == NalType::Pacsi) {
            return;
        }
        self.pacsi.begin(unit);
        let mut at = 0;
        while let Some(first) = self.items.get(at) {
            let (key, layer, stream) = (first.key(), first.layer, first.stream);
            let rest = self.items.get(at..).unwrap_or_default();
            let len = rest.iter().take_while(|i| i.key() == key).count().max(1);
            let from = self.scratch.len();
            let nals = rest.iter().take(len).filter_map(|i| match i.source {
                Place::Unit(index) => unit.nal(index),
                Place::Scratch(_) => None,
            });
            self.pacsi.write(layer.unwrap_or_default(), stream, nals, &mut self.scratch);
            let source = Place::Scratch(from..self.scratch.len());
            self.items.insert(at, Item { source, layer, stream });
            at += len + 1;
        }
    }

    /// Plans the items of one layer.
    fn plan(&mut self, range: Range<usize>, unit: &AccessUnit) {
        let max = self.config.max_payload;
        let aggregate = self.config.aggregates();
        let mut at = range.start;
        while at < range.end {
            let len = self.item_bytes(at, unit).len();
            if len > max {
                self.fragment(at, len);
                at += 1;
                continue;
            }
            // RFC 6184 §5.7.1: one octet of header, two of size in front of each unit.
            let mut end = at + 1;
            let mut total = 3 + len;
            while aggregate && end < range.end {
                let more = 2 + self.item_bytes(end, unit).len();
                if total + more > max {
                    break;
                }
                total += more;
                end += 1;
            }
            let form = if end - at > 1 { Form::StapA { end, len: total } } else { Form::Single };
            self.plans.push(Plan { item: at, form, marker: false });
            at = end;
        }
    }

    fn fragment(&mut self, item: usize, len: usize) {
        let room = self.config.max_payload.saturating_sub(2);
        if !self.config.fragments() || room == 0 {
            self.oversized += 1;
            return;
        }
        // RFC 6184 §5.8: the NAL unit's first octet is not repeated.
        let mut from = 1;
        while from < len {
            let to = (from + room).min(len);
            let form = Form::FuA { range: from..to, first: from == 1, last: to == len };
            self.plans.push(Plan { item, form, marker: false });
            from = to;
        }
    }

    fn item_bytes<'a>(&'a self, item: usize, unit: &'a AccessUnit) -> &'a [u8] {
        match self.items.get(item).map(|i| &i.source) {
            Some(Place::Unit(index)) => unit.nal(*index).map_or(&[], |n| n.bytes),
            Some(Place::Scratch(range)) => self.scratch.get(range.clone()).unwrap_or_default(),
            None => &[],
        }
    }
}

/// How a [`Packetizer`] writes payloads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PacketizerConfig {
    /// The payload format.
    pub format: PacketizerFormat,
    /// Octets of the largest RTP payload. 1200 fits every path a call is likely to take, with
    /// SRTP, TURN and IPv6 around it.
    pub max_payload: usize,
}

impl PacketizerConfig {
    /// `H264`.
    #[must_use]
    pub const fn avc(mode: PacketizationMode, max_payload: usize) -> Self {
        Self { format: PacketizerFormat::Avc { mode }, max_payload }
    }

    /// `X-H264UC`, each layer on a synchronisation source of its own.
    #[must_use]
    pub const fn uc_svc(max_payload: usize) -> Self {
        Self { format: PacketizerFormat::UcSvc { source_per_layer: true }, max_payload }
    }

    const fn aggregates(&self) -> bool {
        !matches!(
            self.format,
            PacketizerFormat::Avc {
                mode: PacketizationMode::SingleNal | PacketizationMode::SingleNalOrFragments
            }
        )
    }

    const fn fragments(&self) -> bool {
        !matches!(self.format, PacketizerFormat::Avc { mode: PacketizationMode::SingleNal })
    }

    const fn marks_layers(&self) -> bool {
        matches!(self.format, PacketizerFormat::UcSvc { source_per_layer: true })
    }
}

/// The payload format of a [`Packetizer`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PacketizerFormat {
    /// `H264` of RFC 6184.
    Avc {
        /// `packetization-mode` of the receiver.
        mode: PacketizationMode,
    },
    /// `X-H264UC` of \[MS-H264PF\].
    UcSvc {
        /// Whether each layer ([`Payload::prid`]) is sent on a synchronisation source of its own,
        /// so that each ends with a marker.
        source_per_layer: bool,
    },
}

/// `packetization-mode` (RFC 6184 §6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PacketizationMode {
    /// 0: each payload is one whole NAL unit; a longer one is left out.
    #[default]
    SingleNal,
    /// 0 as well, but a NAL unit longer than a payload goes as FU-A.
    ///
    /// RFC 6184 §6.2 keeps FU-A from receivers of mode 0. Many that declare it, or that declare no
    /// mode at all, read FU-A all the same (baresip's depacketizer asks for no mode), and a
    /// sender's slices cannot be cut without decoding them: the choice is between this and no
    /// picture. A setting for a side that is known to take it, not a default.
    SingleNalOrFragments,
    /// 1: STAP-A and FU-A as well.
    NonInterleaved,
}

/// The payloads of one access unit.
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a> {
    packetizer: &'a Packetizer,
    unit: &'a AccessUnit,
}

impl<'a> Payloads<'a> {
    /// The payloads in the order of sending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Payload<'a>> + use<'a> {
        let (packetizer, unit) = (self.packetizer, self.unit);
        packetizer.plans.iter().map(move |plan| Payload {
            packetizer,
            unit,
            plan,
            marker: plan.marker,
        })
    }

    /// Number of payloads.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packetizer.plans.len()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packetizer.plans.is_empty()
    }

    /// NAL units that the format could not carry, and which are not among the payloads.
    #[must_use]
    pub const fn oversized(&self) -> usize {
        self.packetizer.oversized
    }
}

/// One RTP payload.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    packetizer: &'a Packetizer,
    unit: &'a AccessUnit,
    plan: &'a Plan,
    /// The RTP marker bit.
    pub marker: bool,
}

impl Payload<'_> {
    /// Octets of the payload.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a payload is never empty")]
    pub fn len(&self) -> usize {
        match &self.plan.form {
            Form::Single => self.item(self.plan.item).len(),
            Form::StapA { len, .. } => *len,
            Form::FuA { range, .. } => 2 + range.len(),
        }
    }

    /// The layer; `None` for units that tell none.
    #[must_use]
    pub fn layer(&self) -> Option<LayerId> {
        self.packetizer.items.get(self.plan.item)?.layer
    }

    /// `priority_id` of the layer, which decides the synchronisation source; 0 where none is known.
    #[must_use]
    pub fn prid(&self) -> u8 {
        self.layer().map_or(0, |l| l.prid)
    }

    /// The simulcast stream.
    #[must_use]
    pub fn stream(&self) -> u8 {
        self.packetizer.items.get(self.plan.item).map_or(0, |i| i.stream)
    }

    /// Appends the payload to `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        self.parts(|octets| {
            out.extend_from_slice(octets);
            Some(())
        });
    }

    /// Writes the payload at the start of `out`; `None`, with `out` in an unknown state, when it
    /// is too small, otherwise the octets written.
    pub fn write_to(&self, out: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        self.parts(|octets| {
            let end = at + octets.len();
            out.get_mut(at..end)?.copy_from_slice(octets);
            at = end;
            Some(())
        })?;
        Some(at)
    }

    /// The payload.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.append_to(&mut out);
        out
    }

    fn item(&self, index: usize) -> &[u8] {
        self.packetizer.item_bytes(index, self.unit)
    }

    fn parts(&self, mut write: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        match &self.plan.form {
            Form::Single => write(self.item(self.plan.item)),
            Form::StapA { end, .. } => {
                // RFC 6184 §5.7.1: F is the OR of all, NRI the largest.
                let mut head = NalHeader { forbidden: false, ref_idc: 0, kind: NalType::StapA };
                for index in self.plan.item..*end {
                    let octet = self.item(index).first().copied().unwrap_or(0);
                    let unit = NalHeader::from_octet(octet);
                    head.forbidden |= unit.forbidden;
                    head.ref_idc = head.ref_idc.max(unit.ref_idc);
                }
                write(&[head.to_octet()])?;
                for index in self.plan.item..*end {
                    let unit = self.item(index);
                    write(&u16::try_from(unit.len()).ok()?.to_be_bytes())?;
                    write(unit)?;
                }
                Some(())
            }
            Form::FuA { range, first, last } => {
                let unit = self.item(self.plan.item);
                let octet = unit.first().copied().unwrap_or(0);
                let fu = u8::from(*first) << 7 | u8::from(*last) << 6 | octet & 0x1f;
                write(&[octet & 0xe0 | NalType::FuA.value(), fu])?;
                write(unit.get(range.clone())?)
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Item {
    source: Place,
    layer: Option<LayerId>,
    stream: u8,
}

impl Item {
    /// What one PACSI describes and one STAP-A may hold.
    fn key(&self) -> (Option<(u8, u8, u8)>, u8) {
        (self.layer.map(|l| (l.prid, l.did, l.qid)), self.stream)
    }
}

#[derive(Clone, Debug)]
enum Place {
    Unit(usize),
    Scratch(Range<usize>),
}

#[derive(Clone, Debug)]
struct Plan {
    item: usize,
    form: Form,
    marker: bool,
}

#[derive(Clone, Debug)]
enum Form {
    Single,
    /// Items up to `end`, in a payload of `len` octets.
    StapA {
        end: usize,
        len: usize,
    },
    FuA {
        range: Range<usize>,
        first: bool,
        last: bool,
    },
}
