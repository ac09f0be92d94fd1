//! Proves the payload formats: vectors, captures, reordering, loss, layers on several sources.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

mod streams;

use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    ExtractOptions, LayerId, Layering, PacketFilter, PacketizationMode, Packetizer,
    PacketizerConfig, PayloadFormat, PayloadMeta, TruncatedSlices,
};
use proptest::prelude::*;
use serde_json::Value;

fn hex(text: &str) -> Vec<u8> {
    let pair = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn vector(path: &str) -> Option<Value> {
    let dir = linkspan_testnet::vectors("h264")?;
    Some(serde_json::from_str(&std::fs::read_to_string(dir.join(path)).unwrap()).unwrap())
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(|v| hex(v.as_str().unwrap())).collect()
}

#[test]
fn rfc_6184_cases() {
    let Some(json) = vector("rfc6184_packetization.json") else { return };
    let mut failed = Vec::new();
    for case in json["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let payloads = list(&case["rtp_payloads"]);
        let wanted = list(&case["nals"]);
        let sequence = |i: usize| {
            let given = case["rtp_sequence"][i].as_u64();
            u16::try_from(given.unwrap_or(i as u64)).unwrap()
        };
        let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
        let mut refused = false;
        for (i, payload) in payloads.iter().enumerate() {
            let meta = PayloadMeta { ssrc: 1, sequence: sequence(i), timestamp: 1, marker: false };
            refused |= depacketizer.push(meta, payload).is_err();
        }
        depacketizer.flush();
        let mut got = Vec::new();
        let mut damaged = false;
        while let Some(unit) = depacketizer.poll_access_unit() {
            damaged |= unit.is_damaged();
            got.extend(unit.iter().map(|n| n.bytes.to_vec()));
        }
        let expect = case["expect"].as_str().unwrap_or("");
        if got != wanted || (expect.starts_with("error") && !refused && !damaged) {
            failed.push(format!("{name}: {got:02x?}, refused {refused}"));
        }
        if let Some(max) = case["max_payload"].as_u64() {
            let config = PacketizerConfig::avc(
                PacketizationMode::NonInterleaved,
                usize::try_from(max).unwrap(),
            );
            let mut unit = AccessUnit::new(1);
            wanted.iter().for_each(|n| unit.push(n));
            let mut packetizer = Packetizer::new(config);
            let sent: Vec<_> = packetizer.packetize(&unit).iter().map(|p| p.to_vec()).collect();
            if sent != payloads {
                failed.push(format!("{name}: sent otherwise"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_beginning_of_a_truncated_slice_stays_where_it_is_wanted() {
    // Three fragments each; the second is lost. Of a slice (type 1, 5, 20) the first stays, without
    // the zeros and the emulation prevention that its end would be; of a parameter set nothing does.
    for (kind, first, kept) in [
        (5, "b804aa", Some("65b804aa")),
        (1, "b8040000", Some("61b804")),
        (1, "b804000003", Some("61b804")),
        (20, "80800fb804", Some("7480800fb804")),
        (5, "0000", None),
        (7, "42c01e", None),
    ] {
        for truncated in [TruncatedSlices::Keep, TruncatedSlices::Discard] {
            let config = DepacketizerConfig {
                truncated,
                ..DepacketizerConfig::new(PayloadFormat::Svc { mode: Default::default() })
            };
            let mut depacketizer = Depacketizer::new(config);
            let start = [vec![0x7c, 0x80 | kind], hex(first)].concat();
            let end = vec![0x7c, 0x40 | kind, 0x04];
            for (sequence, payload) in [(1, &start), (3, &end)] {
                let meta = PayloadMeta { ssrc: 1, sequence, timestamp: 90, marker: sequence == 3 };
                depacketizer.push(meta, payload).unwrap();
            }
            depacketizer.flush();
            let unit = depacketizer.poll_access_unit().unwrap();
            assert!(unit.is_damaged());
            let wanted = kept.filter(|_| truncated == TruncatedSlices::Keep);
            let got: Vec<_> = unit.iter().map(|n| n.bytes.to_vec()).collect();
            assert_eq!(got, wanted.map(hex).into_iter().collect::<Vec<_>>(), "{kind} {first}");
        }
    }
}

#[test]
fn single_nal_mode_reports_what_it_cannot_send() {
    let mut unit = AccessUnit::new(0);
    unit.push(&[0x68, 1]);
    unit.push(&[0x65; 1_300]);
    unit.push(&[0x61; 1_200]);
    let config = PacketizerConfig::avc(PacketizationMode::SingleNal, 1_200);
    let mut packetizer = Packetizer::new(config);
    let payloads = packetizer.packetize(&unit);
    assert_eq!(payloads.oversized(), 1);
    let sent: Vec<_> = payloads.iter().map(|p| (p.len(), p.marker)).collect();
    assert_eq!(sent, [(2, false), (1_200, true)]);
}

#[test]
fn a_lenient_receiver_of_single_nal_units_gets_fragments() {
    let mut unit = AccessUnit::new(0);
    unit.push(&[0x67, 1]);
    unit.push(&[0x68, 1]);
    unit.push(&[0x65; 1_300]);
    let config = PacketizerConfig::avc(PacketizationMode::SingleNalOrFragments, 1_200);
    let mut packetizer = Packetizer::new(config);
    let payloads = packetizer.packetize(&unit);
    assert_eq!(payloads.oversized(), 0);
    let sent: Vec<_> = payloads.iter().map(|p| (p.to_vec()[0] & 0x1f, p.len(), p.marker)).collect();
    // No aggregation, and fragments only of what is longer than a payload.
    assert_eq!(sent, [(7, 2, false), (8, 2, false), (28, 1_200, false), (28, 103, true)]);
}

/// The UDP payloads of an Ethernet capture, by source and destination port.
fn udp(capture: &[u8]) -> Vec<((u16, u16), &[u8])> {
    let mut found = Vec::new();
    let mut at = 24;
    while at + 16 <= capture.len() {
        let length = u32::from_le_bytes(capture[at + 8..at + 12].try_into().unwrap());
        let frame = &capture[at + 16..][..usize::try_from(length).unwrap()];
        at += 16 + frame.len();
        // Ethernet II, IPv4 without options, UDP.
        if frame.len() > 42 && frame[12..15] == [8, 0, 0x45] && frame[23] == 17 {
            let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            found.push(((port(34), port(36)), &frame[42..34 + usize::from(port(38))]));
        }
    }
    found
}

#[test]
fn a_captured_call_depacketizes_to_the_listed_md5() {
    use md5::{Digest, Md5};
    let Some(dir) = linkspan_testnet::vectors("calls") else { return };
    let dir = dir.join("01-baresip-plain");
    let capture = std::fs::read(dir.join("capture.pcap")).unwrap();
    let json = std::fs::read_to_string(dir.join("expect.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let mut checked = 0;
    for stream in json["rtp_streams"].as_array().unwrap() {
        let Some(wanted) = stream["h264_md5"].as_str() else { continue };
        let ssrc = u32::from_str_radix(&stream["ssrc"].as_str().unwrap()[2..], 16).unwrap();
        let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
        let (mut md5, mut units) = (Md5::new(), 0);
        for (_, packet) in udp(&capture) {
            if packet.len() < 12 || packet[8..12] != ssrc.to_be_bytes() || packet[1] & 0x7f != 96 {
                continue;
            }
            let meta = PayloadMeta {
                ssrc,
                sequence: u16::from_be_bytes([packet[2], packet[3]]),
                timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
                marker: packet[1] & 0x80 != 0,
            };
            depacketizer.push(meta, &packet[12..]).unwrap();
            while let Some(unit) = depacketizer.poll_access_unit() {
                units += 1;
                md5.update(unit.annex_b());
            }
        }
        let md5: String = md5.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(md5, wanted);
        assert_eq!(Some(units), stream["frames_by_timestamp"].as_u64());
        checked += 1;
    }
    assert_eq!(checked, 2);
}

#[test]
fn sets_in_front_of_a_pacsi_stay() {
    // A known client sends 7, 8, 30, 7, 8, 5 with one timestamp, and I = 1 on every PACSI.
    let pacsi = hex("7ec08007220001001506051205fbc6b95a8040e5a22aab4020267e260103");
    let payloads = [&[0x67, 1][..], &[0x68, 2], &pacsi, &[0x67, 1], &[0x68, 2], &[0x65, 0xb8, 4]];
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    for (sequence, payload) in (0u16..).zip(payloads) {
        let meta = PayloadMeta { ssrc: 1, sequence, timestamp: 7, marker: sequence == 5 };
        depacketizer.push(meta, payload).unwrap();
    }
    let unit = depacketizer.poll_access_unit().unwrap();
    let kinds: Vec<u8> = unit.iter().map(|n| n.kind.value()).collect();
    assert_eq!(kinds, [7, 8, 7, 8, 5]);
    assert_eq!(unit.ref_frame_count(), Some(1));
    assert!(!unit.is_damaged());
}

#[test]
fn the_pacsi_names_the_layer_where_the_prefix_does_not() {
    // Layer 3 of a source whose encoder writes priority_id 0 into its prefix NAL units.
    let pacsi = hex("7ec38007220001001506051205fbc6b95a8040e5a22aab4020267e260103");
    let payloads = [&pacsi[..], &[0x67, 1], &[0x6e, 0xc0, 0x80, 7, 0x20], &[0x65, 0xb8, 4]];
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    for (sequence, payload) in (0u16..).zip(payloads) {
        let meta = PayloadMeta { ssrc: 1, sequence, timestamp: 7, marker: sequence == 3 };
        depacketizer.push(meta, payload).unwrap();
    }
    let unit = depacketizer.poll_access_unit().unwrap();
    assert!(unit.iter().all(|n| n.layer.unwrap().prid == 3 && n.stream == 0));
}

#[test]
fn the_first_packet_of_a_source_may_come_late() {
    let mut unit = AccessUnit::new(0);
    let prefix = [0x6e, 0xc0, 0x80, 0x07, 0x20];
    for nal in [&[0x67, 1, 2][..], &[0x68, 3], &prefix, &[0x65; 3_000]] {
        unit.push(nal);
    }
    let mut sent = send(&[unit.clone()], |_| 1);
    let first = sent.remove(0);
    sent.insert(2, first);
    let got = receive(&sent);
    assert_eq!(bytes(&got), bytes(&[unit]));
    assert!(!got[0].is_damaged());
    // Where it never comes, what there is comes all the same.
    sent.remove(2);
    assert_eq!(receive(&sent).len(), 1);
}

#[derive(Clone)]
struct Sent {
    meta: PayloadMeta,
    payload: Vec<u8>,
}

/// Sends access units in UC form, each layer on the source that `source` names.
fn send(units: &[AccessUnit], sources: impl Fn(LayerId) -> u32) -> Vec<Sent> {
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_000));
    let mut sequences = std::collections::HashMap::new();
    let mut sent = Vec::new();
    for unit in units {
        for payload in packetizer.packetize(unit).iter() {
            let ssrc = sources(payload.layer().unwrap());
            let sequence: &mut u16 = sequences.entry(ssrc).or_insert(65_500);
            let (timestamp, marker) = (unit.timestamp(), payload.marker);
            let meta = PayloadMeta { ssrc, sequence: *sequence, timestamp, marker };
            sent.push(Sent { meta, payload: payload.to_vec() });
            *sequence = sequence.wrapping_add(1);
        }
    }
    sent
}

fn receive(sent: &[Sent]) -> Vec<AccessUnit> {
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let mut units = Vec::new();
    for packet in sent {
        let _ = depacketizer.push(packet.meta, &packet.payload);
        units.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
    }
    depacketizer.flush();
    units.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
    units
}

fn stream(name: &str) -> Option<Vec<u8>> {
    let dir = linkspan_testnet::vectors("svc")?;
    Some(std::fs::read(dir.join(name)).unwrap())
}

fn bytes(units: &[AccessUnit]) -> Vec<Vec<u8>> {
    units.iter().map(|u| u.annex_b().to_vec()).collect()
}

fn uc_units(stream: &[u8], layering: Layering) -> (Vec<AccessUnit>, Vec<Vec<u8>>) {
    let config = AvcToUcConfig { layering, ..Default::default() };
    let mut rewriter = AvcToUc::new(config);
    let units: Vec<AccessUnit> =
        AccessUnitReader::new(stream).filter_map(|u| rewriter.process(&u).cloned()).collect();
    let plain = units.iter().map(|u| {
        let mut plain = AccessUnit::default();
        u.iter().filter(|n| n.bytes[0] & 0x1f != 30).for_each(|n| plain.push(n.bytes));
        plain.annex_b().to_vec()
    });
    let plain = plain.collect();
    (units, plain)
}

#[test]
fn temporal_layers_on_three_sources_come_out_in_order() {
    let Some(stream) = stream("a5-avc-t3-1280x720.264") else { return };
    let (units, plain) = uc_units(&stream, Layering::Temporal { layers: 3 });
    let mut sent = send(&units, |layer| 100 + u32::from(layer.prid));
    assert_eq!(bytes(&receive(&sent)), plain);
    // The base layer runs up to a dozen packets late.
    for at in (0..sent.len().saturating_sub(12)).rev() {
        if sent[at].meta.ssrc == 100 {
            let packet = sent.remove(at);
            sent.insert(at + 12, packet);
        }
    }
    let got = receive(&sent);
    // What comes before the first packet of a source has been seen cannot wait for it.
    assert_eq!(bytes(&got)[got.len() - 60..], plain[plain.len() - 60..]);
}

#[test]
fn spatial_layers_on_two_sources_are_one_access_unit() {
    let Some(stream) = stream("s1-svc-s2t3-640x360.264") else { return };
    let units: Vec<AccessUnit> = AccessUnitReader::new(&stream)
        .map(|u| {
            let mut unit = AccessUnit::new(u.timestamp());
            let mut layers: Vec<_> = u.iter().map(|n| n.layer).collect();
            // Parameter sets go with the base layer.
            let base = layers.iter().copied().find(|l| l.is_some_and(|l| l.did == 0)).flatten();
            for layer in &mut layers {
                *layer = layer.or(base).map(|l| LayerId { prid: l.did, ..l });
            }
            u.iter().zip(layers).for_each(|(n, layer)| unit.push_in(n.bytes, layer, 0));
            unit
        })
        .collect();
    let sent = send(&units, |layer| 100 + u32::from(layer.prid));
    assert!(sent.iter().any(|p| p.meta.ssrc == 101));
    // The first unit of the base is given out before the second source has been seen.
    let got = bytes(&receive(&sent));
    assert_eq!(got[got.len() - 80..], bytes(&units)[units.len() - 80..]);
}

/// What a relay passes of a stream, packet by packet, is what extraction passes of it as a whole.
#[test]
fn packet_by_packet_gives_the_same_as_the_whole() {
    for name in ["a5-avc-t3-1280x720.264", "s2-svc-s3t3-1280x720.264", "a4-avc-t4-640x360-idr.264"]
    {
        let Some(stream) = stream(name) else { return };
        for (max_dependency, max_temporal) in [(7, 0), (7, 1), (0, 7), (1, 1)] {
            let options = ExtractOptions { max_dependency, max_temporal, ..Default::default() };
            let mode = PacketizationMode::NonInterleaved;
            let mut packetizer = Packetizer::new(PacketizerConfig::avc(mode, 1_000));
            let mut filter = PacketFilter::new(options);
            let mut relayed: Vec<(PayloadMeta, Vec<u8>)> = Vec::new();
            let mut send =
                |meta: PayloadMeta, payload: &[u8]| relayed.push((meta, payload.to_vec()));
            let mut sequence = 65_000u16;
            for unit in AccessUnitReader::new(&stream) {
                for payload in packetizer.packetize(&unit).iter() {
                    let (timestamp, marker) = (unit.timestamp(), payload.marker);
                    let meta = PayloadMeta { ssrc: 1, sequence, timestamp, marker };
                    filter.push(meta, &payload.to_vec(), &mut send);
                    sequence = sequence.wrapping_add(1);
                }
            }
            filter.flush(&mut send);
            let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
            let mut got = Vec::new();
            for (meta, payload) in &relayed {
                depacketizer.push(*meta, payload).unwrap();
                while let Some(unit) = depacketizer.poll_access_unit() {
                    assert!(!unit.is_damaged() && unit.lost_before() == 0);
                    got.extend_from_slice(unit.annex_b());
                }
            }
            let gapless = |w: &[(PayloadMeta, Vec<u8>)]| {
                let (a, b) = (w[0].0, w[1].0);
                b.sequence == a.sequence.wrapping_add(1) && a.marker == (a.timestamp != b.timestamp)
            };
            assert!(relayed.windows(2).all(gapless), "{name}");
            assert!(got == linkspan_svc::extract(&stream, &options), "{name} {options:?}");
        }
    }
}

#[test]
fn every_stream_survives_reordering() {
    let mut checked = 0;
    for (name, stream) in streams::streams() {
        let units: Vec<AccessUnit> = AccessUnitReader::new(&stream).collect();
        let mode = PacketizationMode::NonInterleaved;
        for config in [PacketizerConfig::avc(mode, 1_000), PacketizerConfig::uc_svc(1_000)] {
            let uc = config != PacketizerConfig::avc(mode, 1_000);
            let mut packetizer = Packetizer::new(config);
            let mut sent = Vec::new();
            for unit in &units {
                for payload in packetizer.packetize(unit).iter() {
                    let sequence = u16::try_from(sent.len() % 65_536).unwrap();
                    let (timestamp, marker) = (unit.timestamp(), false);
                    let meta = PayloadMeta { ssrc: 9, sequence, timestamp, marker };
                    sent.push(Sent { meta, payload: payload.to_vec() });
                }
            }
            // 30 % of the packets change places; the first one stays.
            let mut state = 1u64;
            for at in (1..sent.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let random = usize::try_from(state >> 33).unwrap();
                if random % 10 < 3 {
                    let packet = sent.remove(at);
                    sent.insert((at + random / 10 % 6).min(sent.len()), packet);
                }
            }
            let format = if uc { PayloadFormat::UcSvc } else { PayloadFormat::Avc };
            let mut config = DepacketizerConfig::new(format);
            config.limits.reorder_ticks = 90_000;
            let mut depacketizer = Depacketizer::new(config);
            let mut got = Vec::new();
            for packet in &sent {
                depacketizer.push(packet.meta, &packet.payload).unwrap();
                got.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
            }
            depacketizer.flush();
            got.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
            assert!(bytes(&got) == bytes(&units), "{name} {uc}");
            checked += 1;
        }
    }
    let least = if linkspan_testnet::vectors("svc").is_some() { 46 } else { 6 };
    assert!(checked >= least, "{checked}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reordering_and_duplication_change_nothing(
        seed in any::<u64>(), format in any::<bool>(), slices in prop::bool::ANY,
    ) {
        let name = if slices { "a8-avc-t3-slices1100-640x360.264" } else { "a2-avc-t2-320x180.264" };
        let Some(stream) = stream(name) else { return Ok(()) };
        let units: Vec<AccessUnit> = AccessUnitReader::new(&stream).take(40).collect();
        let config = if format {
            PacketizerConfig::uc_svc(900)
        } else {
            PacketizerConfig::avc(PacketizationMode::NonInterleaved, 900)
        };
        let mut packetizer = Packetizer::new(config);
        let mut sent = Vec::new();
        for unit in &units {
            for payload in packetizer.packetize(unit).iter() {
                let sequence = u16::try_from(sent.len()).unwrap().wrapping_add(65_000);
                let (timestamp, marker) = (unit.timestamp(), payload.marker);
                let meta = PayloadMeta { ssrc: 9, sequence, timestamp, marker };
                sent.push(Sent { meta, payload: payload.to_vec() });
            }
        }
        // 30 % of the packets move up to five places back; 10 % come twice.
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        for at in (1..sent.len()).rev() {
            if random() % 10 < 3 {
                let packet = sent.remove(at);
                sent.insert((at + random() % 6).min(sent.len()), packet);
            }
            if random() % 10 == 0 {
                let copy = sent[at].clone();
                sent.insert((at + random() % 4).min(sent.len()), copy);
            }
        }
        let format = if format { PayloadFormat::UcSvc } else { PayloadFormat::Avc };
        let mut config = DepacketizerConfig::new(format);
        // Where a picture is one packet, five places are a sixth of a second and more.
        config.limits.reorder_ticks = 90_000;
        let mut depacketizer = Depacketizer::new(config);
        let mut got = Vec::new();
        for packet in &sent {
            let _ = depacketizer.push(packet.meta, &packet.payload);
            got.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
        }
        depacketizer.flush();
        got.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
        prop_assert!(got.iter().all(|u| !u.is_damaged() && u.lost_before() == 0));
        prop_assert_eq!(bytes(&got), bytes(&units));
        prop_assert_eq!(depacketizer.lost_packets(), 0);
    }

    #[test]
    fn any_payload_keeps_the_limits(
        packets in prop::collection::vec(
            (0u32..3, 0u16..24, 0u32..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..120),
        uc in any::<bool>(),
    ) {
        let format = if uc { PayloadFormat::UcSvc } else { PayloadFormat::Avc };
        let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(format));
        let mut octets = 0;
        for (ssrc, sequence, timestamp, marker, payload) in packets {
            octets += payload.len();
            let timestamp = timestamp * 3_000;
            let _ = depacketizer.push(PayloadMeta { ssrc, sequence, timestamp, marker }, &payload);
        }
        depacketizer.flush();
        while let Some(unit) = depacketizer.poll_access_unit() {
            let total: usize = unit.iter().map(|n| n.bytes.len()).sum();
            prop_assert!(total <= octets);
            prop_assert!(unit.iter().all(|n| !n.kind.is_rtp_only()));
            depacketizer.recycle(unit);
        }
    }
}
