use crate::nal::{NalHeader, NalType, SvcExtension};
use crate::reader::AccessUnitReader;
use crate::slice::SliceHeader;
use crate::temporal::TemporalIds;

/// Lists the NAL units of an Annex B stream with everything that tells where they belong.
///
/// Slices without a prefix NAL unit get the temporal id that their references imply.
///
/// ```
/// let stream = [0, 0, 1, 0x6e, 0xc0, 0x80, 7, 0x20, 0, 0, 1, 0x65, 0xb8, 0x04];
/// let nals = linkspan_svc::inspect(&stream);
/// assert_eq!((nals[1].offset, nals[1].size, nals[1].did, nals[1].idr), (8, 3, Some(0), Some(true)));
/// ```
#[must_use]
pub fn inspect(stream: &[u8]) -> Vec<NalInfo> {
    let temporal = TemporalIds::of(stream, 6);
    let mut found = Vec::new();
    let mut reader = AccessUnitReader::new(stream);
    for access_unit in 0.. {
        let unit = reader.read_nals().to_vec();
        if unit.is_empty() {
            return found;
        }
        for nal in unit {
            let bytes = nal.located.bytes;
            let header = NalHeader::from_octet(bytes.first().copied().unwrap_or(0));
            let sets = reader.parameter_sets();
            let slice = SliceHeader::parse(bytes, sets).ok();
            let size = slice.and_then(|s| {
                let extension = nal.kind == NalType::SliceExtension;
                let (_, sps) = sets.activate(s.pps_id, extension).ok()?;
                Some((sps.width(), sps.height()))
            });
            let layer = nal
                .layer
                .or_else(|| header.kind.is_vcl().then(|| temporal.layer(access_unit, &nal)));
            let own = SvcExtension::parse(bytes).ok();
            found.push(NalInfo {
                access_unit,
                offset: nal.located.offset,
                start_code_len: nal.located.start_code_len,
                size: bytes.len(),
                kind: header.kind,
                ref_idc: header.ref_idc,
                stream: nal.stream,
                did: layer.map(|l| l.did),
                qid: layer.map(|l| l.qid),
                tid: layer.map(|l| l.tid),
                prid: nal.layer.map(|l| l.prid),
                idr: slice
                    .map(|s| s.idr)
                    .or_else(|| own.map(|e| e.idr))
                    .or_else(|| header.kind.is_vcl().then_some(header.kind == NalType::IdrSlice)),
                frame_num: slice.map(|s| s.frame_num),
                poc_lsb: slice.map(|s| s.poc_lsb),
                pps_id: slice.map(|s| s.pps_id),
                picture_size: size,
            });
        }
    }
    found
}

/// One NAL unit of a stream, as [`inspect`] sees it; what the stream does not tell is `None`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NalInfo {
    /// Number of its access unit, from 0.
    pub access_unit: usize,
    /// Offset of its start code.
    pub offset: usize,
    /// Octets of the start code.
    pub start_code_len: u8,
    /// Octets of the unit.
    pub size: usize,
    /// Its kind.
    pub kind: NalType,
    /// `nal_ref_idc`.
    pub ref_idc: u8,
    /// Simulcast stream.
    pub stream: u8,
    /// `dependency_id`.
    pub did: Option<u8>,
    /// `quality_id`.
    pub qid: Option<u8>,
    /// `temporal_id`, told or inferred.
    pub tid: Option<u8>,
    /// `priority_id`, where it is told.
    pub prid: Option<u8>,
    /// Whether it is of an IDR picture of its layer.
    pub idr: Option<bool>,
    /// `frame_num`.
    pub frame_num: Option<u32>,
    /// `pic_order_cnt_lsb`.
    pub poc_lsb: Option<u32>,
    /// `pic_parameter_set_id`.
    pub pps_id: Option<u8>,
    /// Width and height of the picture, behind cropping.
    pub picture_size: Option<(u32, u32)>,
}

/// The operation points of an Annex B stream: every combination of layers that [`crate::extract`]
/// gives something for, lowest first.
///
/// ```
/// let stream = [0, 0, 1, 0x6e, 0xc0, 0x80, 7, 0x20, 0, 0, 1, 0x65, 0xb8, 0x04];
/// let points = linkspan_svc::operation_points(&linkspan_svc::inspect(&stream));
/// assert_eq!((points.len(), points[0].tid, points[0].frames), (1, 0, 1));
/// ```
#[must_use]
pub fn operation_points(nals: &[NalInfo]) -> Vec<OperationPoint> {
    let mut points: Vec<OperationPoint> = Vec::new();
    for nal in nals.iter().filter(|n| n.kind.is_vcl()) {
        let (Some(did), Some(qid), Some(tid)) = (nal.did, nal.qid, nal.tid) else { continue };
        let known =
            points.iter().any(|p| (p.stream, p.did, p.qid, p.tid) == (nal.stream, did, qid, tid));
        if !known {
            points.push(OperationPoint { stream: nal.stream, did, qid, tid, ..Default::default() });
        }
    }
    points.sort();
    for point in &mut points {
        let of = |n: &&NalInfo| {
            n.kind.is_vcl()
                && n.stream == point.stream
                && (n.did, n.qid) == (Some(point.did), Some(point.qid))
                && n.tid <= Some(point.tid)
        };
        let mut last = None;
        for nal in nals.iter().filter(of) {
            point.frames += usize::from(last != Some(nal.access_unit));
            last = Some(nal.access_unit);
            if let Some((width, height)) = nal.picture_size {
                (point.width, point.height) = (width, height);
            }
        }
    }
    points
}

/// One of the sub-bitstreams in a stream.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct OperationPoint {
    /// Simulcast stream.
    pub stream: u8,
    /// Target `dependency_id`.
    pub did: u8,
    /// Target `quality_id`.
    pub qid: u8,
    /// Target `temporal_id`.
    pub tid: u8,
    /// Width of the picture, 0 where no parameter set tells.
    pub width: u32,
    /// Height of the picture.
    pub height: u32,
    /// Pictures of the target layer.
    pub frames: usize,
}
