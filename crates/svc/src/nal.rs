use crate::error::NalError;

/// Kind of a NAL unit (H.264 Table 7-1, RFC 6184 Table 1, RFC 6190 §4.1).
///
/// ```
/// use linkspan_svc::NalType;
/// assert_eq!(NalType::new(0x65), NalType::IdrSlice);
/// assert!(NalType::Slice.is_vcl() && !NalType::Prefix.is_vcl());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum NalType {
    /// Coded slice of a picture that is not an IDR picture (1).
    Slice,
    /// Slice data partition A, B or C (2, 3, 4).
    Partition(u8),
    /// Coded slice of an IDR picture (5).
    IdrSlice,
    /// Supplemental enhancement information (6).
    Sei,
    /// Sequence parameter set (7).
    Sps,
    /// Picture parameter set (8).
    Pps,
    /// Access unit delimiter (9).
    Delimiter,
    /// End of sequence (10).
    EndOfSequence,
    /// End of stream (11).
    EndOfStream,
    /// Filler data (12).
    Filler,
    /// Sequence parameter set extension (13).
    SpsExtension,
    /// Prefix NAL unit: the scalable identifiers of the slice behind it (14).
    Prefix,
    /// Subset sequence parameter set (15).
    SubsetSps,
    /// Coded slice in scalable extension (20).
    SliceExtension,
    /// Single-time aggregation packet without decoding order number (24); RTP only.
    StapA,
    /// Fragmentation unit without decoding order number (28); RTP only.
    FuA,
    /// STAP-B (25), MTAP16 (26), MTAP24 (27) or FU-B (29); RTP only, interleaved mode.
    Interleaved(u8),
    /// Payload content scalability information (30); RTP only.
    Pacsi,
    /// Empty NAL unit or NI-MTAP of RFC 6190 (31); RTP only.
    Multi,
    /// Any other value of `nal_unit_type`.
    Other(u8),
}

impl NalType {
    /// The kind in the low five bits of a NAL unit's first octet.
    #[must_use]
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "five bits are below 32")]
    pub const fn new(first_octet: u8) -> Self {
        // Looked up: jumps by kind are hard to foretell, and every packet has one.
        KINDS[(first_octet & 0x1f) as usize]
    }

    const fn of_number(number: u8) -> Self {
        match number {
            1 => Self::Slice,
            v @ 2..=4 => Self::Partition(v),
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            10 => Self::EndOfSequence,
            11 => Self::EndOfStream,
            12 => Self::Filler,
            13 => Self::SpsExtension,
            14 => Self::Prefix,
            15 => Self::SubsetSps,
            20 => Self::SliceExtension,
            24 => Self::StapA,
            v @ (25..=27 | 29) => Self::Interleaved(v),
            28 => Self::FuA,
            30 => Self::Pacsi,
            31 => Self::Multi,
            v => Self::Other(v),
        }
    }

    /// The number of this kind on the wire, 0 to 31.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Slice => 1,
            Self::IdrSlice => 5,
            Self::Sei => 6,
            Self::Sps => 7,
            Self::Pps => 8,
            Self::Delimiter => 9,
            Self::EndOfSequence => 10,
            Self::EndOfStream => 11,
            Self::Filler => 12,
            Self::SpsExtension => 13,
            Self::Prefix => 14,
            Self::SubsetSps => 15,
            Self::SliceExtension => 20,
            Self::StapA => 24,
            Self::FuA => 28,
            Self::Pacsi => 30,
            Self::Multi => 31,
            Self::Partition(v) | Self::Interleaved(v) | Self::Other(v) => v & 0x1f,
        }
    }

    /// Whether the unit holds a coded slice: types 1 to 5 and 20.
    #[must_use]
    pub const fn is_vcl(self) -> bool {
        matches!(self, Self::Slice | Self::Partition(_) | Self::IdrSlice | Self::SliceExtension)
    }

    /// Whether the unit exists in RTP payloads only (types 24 to 31) and must never reach a decoder.
    #[must_use]
    pub const fn is_rtp_only(self) -> bool {
        self.value() >= 24
    }
}

#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "below 32")]
const KINDS: [NalType; 32] = {
    let mut kinds = [NalType::Other(0); 32];
    let mut number = 0;
    while number < kinds.len() {
        kinds[number] = NalType::of_number(number as u8);
        number += 1;
    }
    kinds
};

/// First octet of a NAL unit (H.264 §7.3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NalHeader {
    /// `forbidden_zero_bit`: set by a network element that saw damage (RFC 6184 §1.3).
    pub forbidden: bool,
    /// `nal_ref_idc`, 0 to 3; 0 means that no picture refers to this one.
    pub ref_idc: u8,
    /// `nal_unit_type`.
    pub kind: NalType,
}

impl NalHeader {
    /// Reads the header of `nal`.
    ///
    /// # Errors
    /// [`NalError::Truncated`] when `nal` is empty.
    pub fn parse(nal: &[u8]) -> Result<Self, NalError> {
        nal.first().map(|&b| Self::from_octet(b)).ok_or(NalError::Truncated { len: 0, needed: 1 })
    }

    /// Splits the octet into its fields.
    #[must_use]
    pub const fn from_octet(octet: u8) -> Self {
        Self { forbidden: octet & 0x80 != 0, ref_idc: octet >> 5 & 3, kind: NalType::new(octet) }
    }

    /// The octet on the wire.
    #[must_use]
    pub const fn to_octet(self) -> u8 {
        (self.forbidden as u8) << 7 | (self.ref_idc & 3) << 5 | self.kind.value()
    }
}

/// The three octets behind the first one in types 14, 20 and 30 (H.264 §G.7.3.1.1, RFC 6190 §1.1.3).
///
/// ```
/// use linkspan_svc::SvcExtension;
/// let base = SvcExtension::parse(&[0x6e, 0xc0, 0x80, 0x07, 0x20])?;
/// assert!(base.idr && base.no_inter_layer_pred && base.output);
/// assert_eq!((base.did, base.qid, base.tid, base.prid), (0, 0, 0, 0));
/// assert_eq!(base.to_octets(), [0xc0, 0x80, 0x07]);
/// # Ok::<(), linkspan_svc::NalError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SvcExtension {
    /// `idr_flag` of this layer.
    pub idr: bool,
    /// `priority_id`, 0 to 63; X-H264UC: the index of the layer among all layers of the source.
    pub prid: u8,
    /// `no_inter_layer_pred_flag`: the slice does not use lower layers.
    pub no_inter_layer_pred: bool,
    /// `dependency_id`, 0 to 7.
    pub did: u8,
    /// `quality_id`, 0 to 15.
    pub qid: u8,
    /// `temporal_id`, 0 to 7.
    pub tid: u8,
    /// `use_ref_base_pic_flag`.
    pub use_ref_base_pic: bool,
    /// `discardable_flag`: no higher `dependency_id` predicts from it.
    pub discardable: bool,
    /// `output_flag`.
    pub output: bool,
}

impl SvcExtension {
    /// Reads the extension of `nal`, a whole NAL unit of type 14, 20 or 30.
    ///
    /// # Errors
    /// [`NalError::Truncated`] below four octets, [`NalError::NotSvc`] for other types and where
    /// `svc_extension_flag` is 0 (the MVC form).
    pub fn parse(nal: &[u8]) -> Result<Self, NalError> {
        let [first, a, b, c, ..] = *nal else {
            return Err(NalError::Truncated { len: nal.len(), needed: 4 });
        };
        let kind = NalType::new(first);
        if !matches!(kind, NalType::Prefix | NalType::SliceExtension | NalType::Pacsi) {
            return Err(NalError::NotSvc);
        }
        // RFC 6190 §4.9: in a PACSI the bit is reserved_one_bit, which receivers ignore.
        if a & 0x80 == 0 && kind != NalType::Pacsi {
            return Err(NalError::NotSvc);
        }
        Ok(Self::from_octets([a, b, c]))
    }

    /// Splits the three octets into their fields; the first bit is ignored.
    #[must_use]
    pub const fn from_octets([a, b, c]: [u8; 3]) -> Self {
        Self {
            idr: a & 0x40 != 0,
            prid: a & 0x3f,
            no_inter_layer_pred: b & 0x80 != 0,
            did: b >> 4 & 7,
            qid: b & 0xf,
            tid: c >> 5,
            use_ref_base_pic: c & 0x10 != 0,
            discardable: c & 8 != 0,
            output: c & 4 != 0,
        }
    }

    /// The three octets on the wire; the reserved bits are ones.
    #[must_use]
    pub const fn to_octets(self) -> [u8; 3] {
        [
            0x80 | (self.idr as u8) << 6 | self.prid & 0x3f,
            (self.no_inter_layer_pred as u8) << 7 | (self.did & 7) << 4 | self.qid & 0xf,
            (self.tid & 7) << 5
                | (self.use_ref_base_pic as u8) << 4
                | (self.discardable as u8) << 3
                | (self.output as u8) << 2
                | 3,
        ]
    }

    /// The identifiers alone.
    #[must_use]
    pub const fn layer(self) -> LayerId {
        LayerId { did: self.did, qid: self.qid, tid: self.tid, prid: self.prid }
    }

    /// The extension of an AVC base layer: no inter-layer prediction, output.
    #[must_use]
    pub const fn base(layer: LayerId, idr: bool, discardable: bool) -> Self {
        Self {
            idr,
            prid: layer.prid,
            no_inter_layer_pred: true,
            did: layer.did,
            qid: layer.qid,
            tid: layer.tid,
            use_ref_base_pic: false,
            discardable,
            output: true,
        }
    }
}

/// Which layer a NAL unit belongs to.
///
/// Order is by dependency, quality, time and priority: decoding order inside one access unit.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LayerId {
    /// `dependency_id`: spatial (or coarse quality) step, 0 to 7.
    pub did: u8,
    /// `quality_id`: quality step inside one dependency layer, 0 to 15.
    pub qid: u8,
    /// `temporal_id`: frame rate step, 0 to 7.
    pub tid: u8,
    /// `priority_id`, 0 to 63; in X-H264UC the key of the layer in stream layouts and in Microsoft's
    /// picture loss indication.
    pub prid: u8,
}

impl LayerId {
    /// Whether an AVC decoder understands the layer: dependency and quality are 0.
    #[must_use]
    pub const fn is_avc(self) -> bool {
        self.did == 0 && self.qid == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_octet_survives() {
        for octet in 0..=255u8 {
            assert_eq!(NalHeader::from_octet(octet).to_octet(), octet);
        }
    }

    #[test]
    fn every_extension_survives() {
        for v in 0..1u32 << 24 {
            let [_, a, b, c] = v.to_be_bytes();
            if a & 0x80 == 0 || c & 3 != 3 {
                continue;
            }
            let ext = SvcExtension::from_octets([a, b, c]);
            assert_eq!(ext.to_octets(), [a, b, c]);
        }
    }

    #[test]
    fn refuses_the_mvc_form_and_short_units() {
        assert_eq!(SvcExtension::parse(&[0x6e, 0x40, 0x80, 7]), Err(NalError::NotSvc));
        assert_eq!(SvcExtension::parse(&[0x65, 0xc0, 0x80, 7]), Err(NalError::NotSvc));
        assert_eq!(
            SvcExtension::parse(&[0x6e, 0xc0]),
            Err(NalError::Truncated { len: 2, needed: 4 })
        );
    }
}
