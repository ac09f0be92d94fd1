//! Proves that a base layer whose packets are lost comes back from parity, sent as ULPFEC inside RED,
//! and from duplicates, while nothing is spent on the layers above.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use linkspan_rtp::{
    PayloadType, RedundantAudio, RedundantBlock, RtpHeader, RtpPacket, SequenceNumber, Ssrc, UlpFec,
};
use linkspan_svc::{
    AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig, Due, Layering,
    Packetizer, PacketizerConfig, PayloadFormat, PayloadMeta, Protection, ProtectionConfig,
    Protector,
};

const LAYERED: &[u8] = include_bytes!("../media/lync-t3-640x360.264");
const FEC: PayloadType = PayloadType(127);

/// Everything that is sent, in order: media packets, and what protects them.
struct Sent {
    media: Vec<Vec<u8>>,
    repeats: Vec<Vec<u8>>,
    /// RED payloads.
    parity: Vec<Vec<u8>>,
}

fn send(base: Protection) -> Sent {
    let layering = Layering::Temporal { layers: 3 };
    let mut rewriter = AvcToUc::new(AvcToUcConfig { layering, ..AvcToUcConfig::default() });
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_100));
    let mut protector = Protector::new(ProtectionConfig { base, ..ProtectionConfig::default() });
    let mut sent = Sent { media: Vec::new(), repeats: Vec::new(), parity: Vec::new() };
    let mut sequences = [SequenceNumber(65_500); 64];
    for unit in AccessUnitReader::new(LAYERED) {
        let Some(uc) = rewriter.process(&unit) else { continue };
        for payload in packetizer.packetize(uc).iter() {
            let sequence = &mut sequences[usize::from(payload.prid())];
            let header = RtpHeader {
                marker: payload.marker,
                payload_type: PayloadType(122),
                sequence: *sequence,
                timestamp: unit.timestamp(),
                ssrc: Ssrc(payload.prid().into()),
            };
            let mut packet = Vec::new();
            header.write_packet(&payload.to_vec(), &mut packet);
            protector.sent(header.ssrc.0, sequence.0, payload.layer(), &packet);
            *sequence = sequence.next();
            sent.media.push(packet);
        }
        protector.end_of_picture();
        while let Some(due) = protector.poll() {
            match due {
                Due::Repeat(packet) => sent.repeats.push(packet.to_vec()),
                Due::Parity(group) => {
                    let (mut fec, mut red) = (Vec::new(), Vec::new());
                    UlpFec::write(group.packets(), &mut fec).unwrap();
                    let block =
                        RedundantBlock { payload_type: FEC, timestamp_offset: 0, data: &fec };
                    RedundantAudio::write(&[block], &mut red).unwrap();
                    sent.parity.push(red);
                }
                _ => {}
            }
        }
    }
    sent
}

/// The base pictures that arrive whole, of the packets of all layers.
fn base_pictures(mut packets: Vec<Vec<u8>>) -> usize {
    packets.sort_by_key(|p| {
        let rtp = RtpPacket::parse(p).unwrap();
        (rtp.timestamp(), rtp.ssrc().0, rtp.sequence().0.wrapping_add(100))
    });
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let mut whole = 0;
    let mut take = |depacketizer: &mut Depacketizer| {
        while let Some(unit) = depacketizer.poll_access_unit() {
            whole += usize::from(!unit.is_damaged() && unit.temporal_id() == Some(0));
        }
    };
    for packet in &packets {
        let rtp = RtpPacket::parse(packet).unwrap();
        let meta = PayloadMeta {
            ssrc: rtp.ssrc().0,
            sequence: rtp.sequence().0,
            timestamp: rtp.timestamp(),
            marker: rtp.marker(),
        };
        // Duplicates are refused.
        let _ = depacketizer.push(meta, rtp.payload());
        take(&mut depacketizer);
    }
    depacketizer.flush();
    take(&mut depacketizer);
    whole
}

/// Every fifth base packet is lost, and half of the others'.
fn lose(media: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut counts = [0usize; 3];
    let mut kept = Vec::new();
    for packet in media {
        let layer = usize::try_from(RtpPacket::parse(packet).unwrap().ssrc().0).unwrap();
        counts[layer] += 1;
        if !counts[layer].is_multiple_of(if layer == 0 { 5 } else { 2 }) {
            kept.push(packet.clone());
        }
    }
    kept
}

#[test]
fn the_base_comes_back_from_parity_in_red() {
    let sent = send(Protection::Parity { packets: 4 });
    let all = base_pictures(sent.media.clone());
    assert_eq!(all, 24);
    let mut received = lose(&sent.media);
    assert!(base_pictures(received.clone()) < all / 2);
    let mut base: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for packet in &received {
        let rtp = RtpPacket::parse(packet).unwrap();
        if rtp.ssrc() == Ssrc(0) {
            base.insert(rtp.sequence().0, packet.clone());
        }
    }
    let mut recovered = 0;
    for red in &sent.parity {
        let red = RedundantAudio::parse(red).unwrap();
        let block = red.blocks().find(|b| b.payload_type == FEC).unwrap();
        let fec = UlpFec::parse(block.data).unwrap();
        let found = fec.recover(Ssrc(0), |s| base.get(&s.0).map(|p| &p[..]));
        if let Some(packet) = found.filter(linkspan_rtp::RecoveredPacket::is_complete) {
            recovered += 1;
            assert!(sent.media.contains(&packet.octets), "a packet that was never sent");
            received.push(packet.octets);
        }
    }
    assert!(recovered > 10, "{recovered}");
    assert_eq!(base_pictures(received), all);
}

#[test]
fn the_base_comes_back_from_duplicates() {
    let sent = send(Protection::Repeat { copies: 1 });
    let base = |packets: &[Vec<u8>]| {
        packets.iter().filter(|p| RtpPacket::parse(p).unwrap().ssrc() == Ssrc(0)).count()
    };
    assert_eq!(sent.repeats.len(), base(&sent.media));
    assert_eq!(base(&sent.repeats), sent.repeats.len(), "nothing is spent above");
    let mut received = lose(&sent.media);
    received.extend(sent.repeats.iter().cloned());
    assert_eq!(base_pictures(received), 24);
}
