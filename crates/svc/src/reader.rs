use crate::access_unit::AccessUnit;
use crate::annexb::{LocatedNal, LocatedNalUnits, located_nal_units};
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::params::ParameterSets;
use crate::splitter::{Place, Splitter};

/// Cuts an Annex B byte stream into access units.
///
/// Boundaries follow H.264 §7.4.1.2.3 and §7.4.1.2.4. Pictures of a simulcast stream that stand
/// side by side (the same `frame_num` and picture order count under another sequence parameter set)
/// form one access unit; [`crate::Nal::stream`] tells them apart, numbered in the order of their
/// sequence parameter sets' numbers.
///
/// ```
/// use linkspan_svc::{AccessUnit, AccessUnitReader};
/// # let stream = [
/// #     0, 0, 1, 0x67, 0x42, 0xc0, 0x0b, 0x8c, 0x8d, 0x41, 0x46, 0x90, 0x0f, 0x08, 0x84, 0x6a,
/// #     0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 1, 0x65, 0xb8, 0, 4, 0, 0, 0x13, 0xe2, 0x11, 0x11,
/// # ];
/// let mut reader = AccessUnitReader::new(&stream).with_frame_ticks(3_000); // 30 pictures a second
/// let mut unit = AccessUnit::default();
/// while reader.read_into(&mut unit) {
///     assert!(unit.is_idr());
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AccessUnitReader<'a> {
    nals: LocatedNalUnits<'a>,
    splitter: Splitter,
    /// Units read that may belong to the next access unit.
    held: Vec<StreamNal<'a>>,
    current: Vec<StreamNal<'a>>,
    /// What a prefix NAL unit tells of the slice behind it.
    prefix: Option<SvcExtension>,
    timestamp: u32,
    frame_ticks: u32,
}

impl<'a> AccessUnitReader<'a> {
    /// A reader at the start of `stream`; timestamps begin at 0 and step by 3000.
    #[must_use]
    pub fn new(stream: &'a [u8]) -> Self {
        Self {
            nals: located_nal_units(stream),
            splitter: Splitter::default(),
            held: Vec::new(),
            current: Vec::new(),
            prefix: None,
            timestamp: 0,
            frame_ticks: 3_000,
        }
    }

    /// Sets the step between RTP timestamps.
    #[must_use]
    pub const fn with_frame_ticks(mut self, ticks: u32) -> Self {
        self.frame_ticks = ticks;
        self
    }

    /// The parameter sets read so far.
    #[must_use]
    pub const fn parameter_sets(&self) -> &ParameterSets {
        &self.splitter.sets
    }

    /// Reads the next access unit into `unit`; `false` at the end of the stream.
    pub fn read_into(&mut self, unit: &mut AccessUnit) -> bool {
        unit.reset(self.timestamp);
        self.timestamp = self.timestamp.wrapping_add(self.frame_ticks);
        for nal in self.read_nals() {
            unit.push_in(nal.located.bytes, nal.layer, nal.stream);
        }
        !unit.is_empty()
    }

    /// The NAL units of the next access unit, where they stand in the stream; empty at its end.
    pub fn read_nals(&mut self) -> &[StreamNal<'a>] {
        self.current.clear();
        self.current.append(&mut self.held);
        for nal in self.nals.by_ref() {
            let nal = StreamNal::new(nal, &mut self.prefix);
            match self.splitter.next(nal.located.bytes) {
                Place::Held => self.held.push(nal),
                Place::Same => {
                    self.current.append(&mut self.held);
                    self.current.push(nal);
                }
                Place::New => {
                    self.held.push(nal);
                    if !self.current.is_empty() {
                        break;
                    }
                    self.current.append(&mut self.held);
                }
            }
        }
        if self.current.is_empty() {
            self.current.append(&mut self.held);
        }
        self.splitter.number_streams(&mut self.current);
        &self.current
    }
}

impl Iterator for AccessUnitReader<'_> {
    type Item = AccessUnit;

    fn next(&mut self) -> Option<AccessUnit> {
        let mut unit = AccessUnit::default();
        self.read_into(&mut unit).then_some(unit)
    }
}

/// A NAL unit of a byte stream, with its place and its layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamNal<'a> {
    /// The octets and where they stand.
    pub located: LocatedNal<'a>,
    /// Its kind.
    pub kind: NalType,
    /// Its layer, where the unit or a prefix NAL unit tells.
    pub layer: Option<LayerId>,
    /// `discardable_flag`, of the unit or of its prefix NAL unit.
    pub discardable: bool,
    /// Its simulcast stream, numbered from 0; 0 without simulcast.
    pub stream: u8,
}

impl<'a> StreamNal<'a> {
    /// `prefix` is what the NAL unit before it tells of it.
    fn new(located: LocatedNal<'a>, prefix: &mut Option<SvcExtension>) -> Self {
        let kind = NalType::new(located.bytes.first().copied().unwrap_or(0));
        let told = match kind {
            NalType::Prefix => SvcExtension::parse(located.bytes).ok(),
            NalType::SliceExtension => SvcExtension::parse(located.bytes).ok().or(*prefix),
            kind if kind.is_vcl() => *prefix,
            _ => None,
        };
        *prefix = told.filter(|_| kind == NalType::Prefix);
        Self {
            located,
            kind,
            layer: told.map(SvcExtension::layer),
            discardable: told.is_some_and(|e| e.discardable),
            stream: 0,
        }
    }
}
