//! Corrections made by GStreamer's `rtpulpfecenc` over H.264 recover each packet alone; the example
//! of RFC 5109 §10.1 comes out as it is printed there; levels recover what they cover.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::collections::HashMap;

use linkspan_rtp::{PayloadType, RtpHeader, RtpPacket, SequenceNumber, Ssrc, UlpFec};

/// Packets behind lengths of 16 bits (RFC 4571).
fn packets(name: &str) -> Vec<Vec<u8>> {
    let file = std::fs::read(std::path::Path::new("tests/data").join(name)).unwrap();
    let mut rest = &file[..];
    let mut packets = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let (packet, later) = behind.split_at(usize::from(u16::from_be_bytes(*len)));
        packets.push(packet.to_vec());
        rest = later;
    }
    packets
}

#[test]
fn each_packet_comes_back_from_the_corrections_of_gstreamer() {
    for (name, corrections) in [("ulpfec-30.rtp", 7), ("ulpfec-5.rtp", 1)] {
        let packets = packets(name);
        let mut media = HashMap::new();
        let mut fec = Vec::new();
        for packet in &packets {
            let packet = RtpPacket::parse(packet).unwrap();
            if packet.payload_type() == PayloadType(122) {
                fec.push(UlpFec::parse(packet.payload()).unwrap());
            } else {
                media.insert(packet.sequence(), packet.as_bytes());
            }
        }
        assert_eq!(fec.len(), corrections, "{name}");
        for (lost, octets) in &media {
            let received = |s: SequenceNumber| media.get(&s).copied().filter(|_| s != *lost);
            let mut recovered = 0;
            for fec in fec.iter().filter(|fec| fec.protected().any(|s| s == *lost)) {
                let packet = fec.recover(Ssrc(0x0102_0304), received).unwrap();
                assert_eq!((packet.sequence, packet.octets.as_slice()), (*lost, *octets), "{name}");
                assert!(packet.is_complete());
                recovered += 1;
            }
            assert!(recovered > 0, "{name}: {lost} is not protected");
        }
        // Nothing lost, and two lost: nothing to recover, and no way to.
        let fec = fec[0];
        let two: Vec<_> = fec.protected().take(2).collect();
        assert!(fec.recover(Ssrc(1), |s| media.get(&s).copied()).is_none());
        let without = |s: SequenceNumber| media.get(&s).copied().filter(|_| !two.contains(&s));
        assert!(fec.recover(Ssrc(1), without).is_none());
    }
}

/// RFC 5109 §10: four packets A to D of one source.
fn example() -> Vec<Vec<u8>> {
    [(8, 11, true, 3, 200), (9, 18, false, 5, 140), (10, 11, true, 7, 100), (11, 18, false, 9, 340)]
        .iter()
        .map(|&(sequence, payload_type, marker, timestamp, len)| {
            let header = RtpHeader {
                marker,
                payload_type: PayloadType(payload_type),
                sequence: SequenceNumber(sequence),
                timestamp,
                ssrc: Ssrc(2),
            };
            let payload: Vec<u8> =
                (0..len).map(|n: u16| (n * 7 + sequence).to_le_bytes()[0]).collect();
            let mut packet = Vec::new();
            header.write_packet(&payload, &mut packet);
            packet
        })
        .collect()
}

/// The parity of some packets' octets from `at` on.
fn parity(packets: &[&Vec<u8>], at: usize, len: usize) -> Vec<u8> {
    let mut parity = vec![0; len];
    for packet in packets {
        let part = packet.get(at..).unwrap_or_default();
        parity.iter_mut().zip(part).for_each(|(parity, octet)| *parity ^= octet);
    }
    parity
}

#[test]
fn the_example_of_section_10_1() {
    let sent = example();
    let all: Vec<_> = sent.iter().collect();
    // As printed: no E, L, P, X, CC, M; PT 0; base 8; TS 8; length 372; 340 octets; mask F000.
    let header = [0, 0, 0, 8, 0, 0, 0, 8, 0x01, 0x74, 0x01, 0x54, 0xf0, 0x00];
    let fec = [&header[..], &parity(&all, 12, 340)].concat();
    let fec = UlpFec::parse(&fec).unwrap();
    for (lost, packet) in (8u16..).zip(&sent) {
        let received =
            |s: SequenceNumber| (s.0 != lost).then(|| sent[usize::from(s.0) - 8].as_slice());
        let recovered = fec.recover(Ssrc(2), received).unwrap();
        assert_eq!(recovered.octets, *packet);
    }
}

#[test]
fn levels_recover_what_they_cover() {
    let sent = example();
    // Level 0: 70 octets of A and B; level 1: 90 more of all four.
    let pair: Vec<_> = sent[..2].iter().collect();
    let all: Vec<_> = sent.iter().collect();
    let mut fec = vec![0; 10];
    for packet in &pair {
        fec[..8].iter_mut().zip(packet.iter()).for_each(|(field, octet)| *field ^= octet);
    }
    fec[2..4].copy_from_slice(&[0, 8]);
    fec[9] = 200 ^ 140;
    fec.extend_from_slice(&[0, 70, 0xc0, 0]);
    fec.extend(parity(&pair, 12, 70));
    fec.extend_from_slice(&[0, 90, 0xf0, 0]);
    fec.extend(parity(&all, 82, 90));
    let fec = UlpFec::parse(&fec).unwrap();
    assert_eq!(fec.levels().count(), 2);
    let without = |lost: &'static [u16]| {
        let sent = &sent;
        move |s: SequenceNumber| {
            (!lost.contains(&s.0)).then(|| sent[usize::from(s.0) - 8].as_slice())
        }
    };
    let b = fec.recover(Ssrc(2), without(&[9])).unwrap();
    assert_eq!((b.octets.as_slice(), b.is_complete()), (&sent[1][..], true));
    let a = fec.recover(Ssrc(2), without(&[8])).unwrap();
    assert_eq!((a.octets.as_slice(), a.len, a.is_complete()), (&sent[0][..172], 212, false));
    // D is lost too: the second level is of no use.
    let a = fec.recover(Ssrc(2), without(&[8, 11])).unwrap();
    assert_eq!(a.octets, sent[0][..82]);
}
