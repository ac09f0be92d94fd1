//! Bodies of the fuzz targets. Each asserts what must hold for any input, not only that nothing
//! panics.

use crate::ms::{Pacsi, PacsiView};
use crate::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    ExtractForm, ExtractOptions, Extractor, FrameNumbering, GateConfig, LayerModel, LayerTarget,
    Layering, LossGate, NalType, PacketFilter, PacketizationMode, Packetizer, PacketizerConfig,
    ParameterSets, PayloadFormat, PayloadMeta, ProfileLevel, SessionMode, SliceHeader, Sps,
    TruncatedSlices, UcToAvc, extract, inspect, located_nal_units, operation_points, rbsp,
    sei_messages,
};

/// NAL iteration, access units, parameter sets, slice headers, and extraction in every form.
pub fn stream(data: &[u8]) {
    let mut end = 0;
    let mut count = 0;
    for nal in located_nal_units(data) {
        assert!(nal.offset >= end && !nal.bytes.is_empty(), "units overlap");
        end = nal.offset + usize::from(nal.start_code_len) + nal.bytes.len();
        assert!(end <= data.len() && nal.bytes.last() != Some(&0), "a unit has padding");
        count += 1;
    }
    let nals = inspect(data);
    assert_eq!(nals.len(), count, "a unit is lost");
    let points = operation_points(&nals);
    let all = AccessUnitReader::new(data).map(|u| u.len()).sum::<usize>();
    assert_eq!(all, count, "an access unit is lost");
    for point in points.iter().take(3) {
        let options = ExtractOptions {
            stream: point.stream,
            max_dependency: point.did,
            max_quality: point.qid,
            max_temporal: point.tid,
            ..ExtractOptions::default()
        };
        let normative = extract(data, &options);
        let minimal = extract(data, &ExtractOptions { form: ExtractForm::Minimal, ..options });
        assert!(normative.len() <= data.len() + count, "extraction grows");
        assert!(minimal.len() <= normative.len(), "minimal is larger");
    }
    if data.len() < 4_096 {
        let avc = ExtractOptions {
            max_temporal: 1,
            numbering: FrameNumbering::Always,
            ..ExtractOptions::avc_base()
        };
        let idrs = nals.iter().filter(|n| n.kind == NalType::IdrSlice).count();
        assert!(extract(data, &avc).len() <= bound(data.len(), count, idrs), "rewriting grows");
    }
    let options = ExtractOptions { max_temporal: first(data) & 3, ..ExtractOptions::default() };
    let (mut extractor, mut out) = (Extractor::new(options), Vec::new());
    located_nal_units(data).for_each(|nal| extractor.push(nal.bytes, &mut out));
    extractor.finish(&mut out);
    assert!(out.len() <= data.len() + count, "extraction unit by unit grows");
    let mut model = LayerModel::new();
    AccessUnitReader::new(data).for_each(|unit| model.observe(&unit));
    assert!(model.points().len() <= 64, "a model without bounds");
}

fn first(data: &[u8]) -> u8 {
    data.first().copied().unwrap_or(0)
}

/// Parameter sets, slice headers and SEI, one by one: an octet of length in front of each.
pub fn headers(data: &[u8]) {
    let mut sets = ParameterSets::new();
    let mut rest = data;
    while let [length, tail @ ..] = rest {
        let (nal, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        let octets = rbsp(nal);
        assert!(octets.len() <= nal.len(), "octets out of nothing");
        assert!(sei_messages(&octets).count() <= octets.len(), "messages out of nothing");
        for message in sei_messages(&octets) {
            let _ = message.read();
        }
        if sets.update(nal) == Ok(true)
            && let Ok(sps) = Sps::parse(nal)
        {
            let receiver = ProfileLevel::from([66, 0xe0, 31]);
            let label = receiver.relabel(&sps, 30.0);
            assert_eq!(label.is_some(), receiver.accepts(&sps, 30.0), "a label for nobody");
            assert!(sps.width() <= sps.coded_width(), "cropping adds");
        }
        let header = SliceHeader::parse(nal, &sets);
        if SliceHeader::inter_layer(nal, &sets).is_ok() {
            assert!(header.is_ok(), "an end without a front");
        }
    }
}

/// What a rewriter may make of `octets` in `nals` units, as its documentation has it: half as much
/// again of escapes, 600 octets of header a unit, and all parameter sets with each IDR picture.
const fn bound(octets: usize, nals: usize, idrs: usize) -> usize {
    let once = octets + octets / 2 + 600 * nals;
    once + idrs * once
}

/// PACSI NAL units and the messages in them.
pub fn pacsi(data: &[u8]) {
    if let Ok(view) = PacsiView::parse(data) {
        let _ = (view.stream_layout(), view.bitstream_info());
        assert!(view.messages().count() <= data.len(), "messages out of nothing");
    }
    if let Ok(pacsi) = Pacsi::parse(data) {
        let written = pacsi.to_bytes();
        assert_eq!(Pacsi::parse(&written).as_ref(), Ok(&pacsi), "not what was written");
        assert_eq!(Pacsi::parse(&written).map(|p| p.to_bytes()), Ok(written), "unstable");
    }
}

/// RTP payloads from a script through a depacketizer, a gate, both rewriters and a packetizer.
///
/// First octet: bits 0, 6 and 7 the format, bit 3 whether truncated slices stay. Then packets: octet of source (low 2 bits), marker (bit 2) and
/// time step (bits 3 to 5); octet of sequence step (signed); octet of length; payload.
pub fn packets(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let format = match (first >> 6, first & 1) {
        (0, 0) => PayloadFormat::Avc,
        (0, _) => PayloadFormat::UcSvc,
        (1, 0) => PayloadFormat::AvcInterleaved { depth: 3 },
        (1, _) => PayloadFormat::Svc { mode: SessionMode::Interleaved { depth: 2 } },
        (2, _) => PayloadFormat::Svc { mode: SessionMode::CrossSessionOrder },
        _ => PayloadFormat::Svc { mode: SessionMode::Timestamps },
    };
    let mut filter = PacketFilter::new(ExtractOptions {
        max_temporal: first >> 1 & 3,
        max_dependency: 1,
        ..ExtractOptions::default()
    });
    let (mut came, mut went) = (0usize, 0usize);
    let mut config = DepacketizerConfig::new(format);
    config.limits.queued_access_units = 8;
    if first & 8 != 0 {
        config.truncated = TruncatedSlices::Keep;
    }
    let mut depacketizer = Depacketizer::new(config);
    let mut chain = Chain::new(first);
    let (mut sequence, mut timestamp, mut total) = (65_530u16, 0u32, 0);
    while let [control, step, length, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        total += payload.len();
        sequence = sequence.wrapping_add_signed(i16::from(step.cast_signed()));
        timestamp = timestamp.wrapping_add(u32::from(control >> 3 & 7) * 1_500);
        let ssrc = u32::from(control & 3);
        let meta = PayloadMeta { ssrc, sequence, timestamp, marker: control & 4 != 0 };
        let _ = depacketizer.push(meta, payload);
        came += payload.len();
        filter.push(meta, payload, &mut |_, payload| went += payload.len());
        assert!(went <= came, "a filter adds octets");
        if control & 0x80 != 0 {
            chain.drain(&mut depacketizer, total);
        }
    }
    depacketizer.flush();
    chain.drain(&mut depacketizer, total);
}

struct Chain {
    gate: LossGate,
    to_avc: UcToAvc,
    to_uc: AvcToUc,
    avc: Packetizer,
    uc: Packetizer,
}

impl Chain {
    fn new(flags: u8) -> Self {
        let target =
            LayerTarget { stream: 0, max_temporal: flags >> 1 & 7, dependency: flags >> 4 & 1 };
        let layering =
            if flags & 0x20 == 0 { Layering::Single } else { Layering::Temporal { layers: 2 } };
        let mode = PacketizationMode::NonInterleaved;
        Self {
            gate: LossGate::new(GateConfig::default()),
            to_avc: UcToAvc::new(target).with_numbering(FrameNumbering::Always),
            to_uc: AvcToUc::new(AvcToUcConfig { layering, ..AvcToUcConfig::default() }),
            avc: Packetizer::new(PacketizerConfig::avc(mode, 48)),
            uc: Packetizer::new(PacketizerConfig::uc_svc(120)),
        }
    }

    fn drain(&mut self, depacketizer: &mut Depacketizer, received: usize) {
        while let Some(unit) = depacketizer.poll_access_unit() {
            assert!(unit.iter().all(|n| !n.kind.is_rtp_only()), "an RTP type comes out");
            let octets: usize = unit.iter().map(|n| n.bytes.len()).sum();
            assert!(octets <= received, "octets out of nothing");
            let _ = self.gate.accept(&unit);
            if let Some(avc) = self.to_avc.process(&unit) {
                assert!(
                    avc.iter().all(|n| matches!(n.kind.value(), 1..=13 if n.kind.value() != 9))
                );
                // Sets may have come earlier.
                let most = bound(received, avc.len() + unit.len(), 1);
                assert!(avc.annex_b().len() <= most, "rewriting grows");
                check_round_trip(&mut self.avc, avc, 48);
            }
            if let Some(uc) = self.to_uc.process(&unit) {
                let payloads = self.uc.packetize(uc);
                assert!(payloads.iter().all(|p| p.to_vec().len() == p.len()), "a length is wrong");
            }
            depacketizer.recycle(unit);
        }
    }
}

/// What a packetizer sends, a depacketizer puts together again.
fn check_round_trip(packetizer: &mut Packetizer, unit: &AccessUnit, max: usize) {
    let payloads = packetizer.packetize(unit);
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    for (sequence, payload) in (0u16..).zip(payloads.iter()) {
        assert!(payload.len() <= max, "larger than allowed");
        let meta = PayloadMeta { ssrc: 1, sequence, timestamp: 1, marker: payload.marker };
        assert_eq!(depacketizer.push(meta, &payload.to_vec()), Ok(()), "own payload refused");
    }
    let back = depacketizer.poll_access_unit();
    let same = back.as_ref().map(AccessUnit::annex_b) == Some(unit.annex_b());
    assert!(same || payloads.len() > 65_000, "the round trip changes it");
}
