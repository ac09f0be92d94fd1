//! Proves that RTP payloads through the gateway's two directions keep every NAL unit that a
//! receiver is to get, byte for byte.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

mod streams;

use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    ExtractOptions, LayerTarget, Layering, NalType, PacketizationMode, Packetizer,
    PacketizerConfig, PayloadFormat, PayloadMeta, UcToAvc, extract,
};

use crate::streams::streams;

struct Packet {
    meta: PayloadMeta,
    payload: Vec<u8>,
}

/// A Lync-side sender: one SSRC per layer.
fn send_uc(stream: &[u8], layering: Layering) -> Vec<Packet> {
    let config = AvcToUcConfig { layering, ..Default::default() };
    let mut uc = AvcToUc::new(config);
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_200));
    let mut sequences = [0u16; 64];
    let mut packets = Vec::new();
    for unit in AccessUnitReader::new(stream) {
        let Some(unit) = uc.process(&unit) else { continue };
        for payload in packetizer.packetize(unit).iter() {
            let prid = payload.prid();
            let sequence = &mut sequences[usize::from(prid)];
            packets.push(Packet {
                meta: PayloadMeta {
                    ssrc: 100 + u32::from(prid),
                    sequence: *sequence,
                    timestamp: unit.timestamp(),
                    marker: payload.marker,
                },
                payload: payload.to_vec(),
            });
            assert!(payload.len() <= 1_200);
            assert_eq!(payload.len(), packets.last().unwrap().payload.len());
            *sequence += 1;
        }
    }
    packets
}

/// The gateway from Lync to a standards endpoint, and the endpoint.
fn uc_to_avc(packets: &[Packet], target: LayerTarget) -> Vec<u8> {
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let mut rewriter = UcToAvc::new(target);
    let mut packetizer =
        Packetizer::new(PacketizerConfig::avc(PacketizationMode::NonInterleaved, 1_200));
    let mut endpoint = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    let mut received = Vec::new();
    let mut sequence = 0u16;
    for packet in packets {
        depacketizer.push(packet.meta, &packet.payload).unwrap();
        while let Some(unit) = depacketizer.poll_access_unit() {
            if let Some(avc) = rewriter.process(&unit) {
                for payload in packetizer.packetize(avc).iter() {
                    let (timestamp, marker) = (avc.timestamp(), payload.marker);
                    let meta = PayloadMeta { ssrc: 7, sequence, timestamp, marker };
                    endpoint.push(meta, &payload.to_vec()).unwrap();
                    sequence = sequence.wrapping_add(1);
                }
            }
            depacketizer.recycle(unit);
            while let Some(unit) = endpoint.poll_access_unit() {
                assert!(!unit.is_damaged() && unit.lost_before() == 0);
                received.extend_from_slice(unit.annex_b());
                endpoint.recycle(unit);
            }
        }
    }
    received
}

#[test]
fn standards_side_receives_the_extraction_of_what_lync_sent() {
    let mut failed = Vec::new();
    for (name, stream) in streams() {
        for layering in [Layering::Single, Layering::Temporal { layers: 2 }] {
            let packets = send_uc(&stream, layering);
            for (number, max_temporal) in [(0, 7), (0, 0), (1, 7)] {
                // Temporal layers show only where the sender's stream has prefix NAL units.
                let told = linkspan_svc::nal_units(&stream).any(|n| n[0] & 0x1f == 14);
                if max_temporal == 0 && (layering == Layering::Single || !told) {
                    continue;
                }
                let options =
                    ExtractOptions { stream: number, max_temporal, ..ExtractOptions::avc_base() };
                let wanted = extract(&stream, &options);
                let target = LayerTarget { stream: number, max_temporal, dependency: 0 };
                let got = uc_to_avc(&packets, target);
                if wanted != got || (number == 0 && got.is_empty()) {
                    failed.push((
                        name.clone(),
                        layering,
                        number,
                        max_temporal,
                        wanted.len(),
                        got.len(),
                    ));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_layer_begins_with_a_pacsi_that_counts_its_units() {
    for (name, stream) in streams() {
        let mut uc = AvcToUc::new(AvcToUcConfig::default());
        let mut donc = None;
        let mut first = true;
        for unit in AccessUnitReader::new(&stream) {
            let Some(unit) = uc.process(&unit) else { continue };
            let nals: Vec<_> = unit.iter().collect();
            assert_eq!(nals[0].kind, NalType::Pacsi, "{name}");
            let places: Vec<_> =
                (0..nals.len()).filter(|&i| nals[i].kind == NalType::Pacsi).collect();
            for (i, &at) in places.iter().enumerate() {
                let end = places.get(i + 1).copied().unwrap_or(nals.len());
                let pacsi = linkspan_svc::ms::PacsiView::parse(nals[at].bytes).unwrap();
                let info = pacsi.bitstream_info().unwrap();
                let count = end - at - 1;
                assert_eq!(usize::from(info.nal_units), count.min(255), "{name}");
                if let Some(expected) = donc {
                    assert_eq!(pacsi.donc, Some(expected), "{name}");
                }
                donc = pacsi.donc.map(|d| d.wrapping_add(u16::try_from(count).unwrap()));
                let layout = pacsi.stream_layout();
                assert_eq!(layout.is_some(), unit.is_idr() || first, "{name}");
                if let Some(layout) = layout {
                    assert!(layout.is_full() && layout.is_present(nals[at].layer.unwrap().prid));
                }
                first = false;
            }
        }
    }
}

#[test]
fn lync_side_unwraps_what_the_standards_side_sent() {
    for (name, stream) in streams() {
        let packets = send_uc(&stream, Layering::Single);
        let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
        let mut sent = AccessUnitReader::new(&stream);
        let mut original = AccessUnit::default();
        let mut known = linkspan_svc::ParameterSets::new();
        for packet in &packets {
            depacketizer.push(packet.meta, &packet.payload).unwrap();
            while let Some(unit) = depacketizer.poll_access_unit() {
                let slices = |u: &AccessUnit| {
                    let slices = u.iter().filter(|n| n.kind.is_vcl() && n.kind.value() < 6);
                    slices.map(|n| n.bytes.to_vec()).collect::<Vec<_>>()
                };
                let number = unit.iter().next().unwrap().stream;
                if number == 0 {
                    assert!(sent.read_into(&mut original));
                }
                let mut wanted = slices(&original);
                let got = slices(&unit);
                wanted.retain(|s| got.contains(s));
                assert_eq!(wanted, got, "{name}");
                for nal in &unit {
                    known.update(nal.bytes).unwrap();
                }
            }
        }
        assert!(known.iter_sps().count() > 0, "{name}");
    }
}
