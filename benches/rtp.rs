//! RTP: a full video packet read and edited; a compound RTCP report read and its parts typed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use linkspan_rtp::{Compound, RtpPacket, RtpPacketMut, SequenceNumber, Ssrc};

fn packet(c: &mut Criterion) {
    let mut group = c.benchmark_group("rtp/packet");
    let mut packet = vec![0x80, 0x7a, 0x12, 0x34, 0, 0, 0x30, 0x39, 0xca, 0xfe, 0xba, 0xbe];
    packet.resize(1_212, 0x5a);
    group.bench_function("parse", |b| {
        b.iter(|| {
            let packet = RtpPacket::parse(black_box(&packet)).unwrap();
            (packet.sequence(), packet.timestamp(), packet.ssrc(), packet.payload().len())
        });
    });
    group.bench_function("rewrite", |b| {
        b.iter(|| {
            let mut packet = RtpPacketMut::parse(black_box(&mut packet)).unwrap();
            packet.set_ssrc(Ssrc(7));
            packet.set_sequence(SequenceNumber(9));
            packet.set_timestamp(90_000);
        });
    });
    group.finish();
}

/// A sender report with one block, a CNAME, and a picture loss indication.
const COMPOUND: [u8; 84] = [
    0x81, 0xc8, 0x00, 0x0c, 0xca, 0xfe, 0xba, 0xbe, 0xe5, 0x0a, 0x1b, 0x2c, 0x80, 0x00, 0x00, 0x00,
    0x00, 0x01, 0x5f, 0x90, 0x00, 0x00, 0x01, 0x00, 0x00, 0x04, 0x00, 0x00, 0x12, 0x34, 0x56, 0x78,
    0x05, 0x00, 0x00, 0x03, 0x00, 0x00, 0x40, 0x10, 0x00, 0x00, 0x00, 0x21, 0x1b, 0x2c, 0x80, 0x00,
    0x00, 0x00, 0x80, 0x00, 0x81, 0xca, 0x00, 0x04, 0xca, 0xfe, 0xba, 0xbe, 0x01, 0x06, b'r', b'o',
    b'o', b'm', b'@', b'x', 0x00, 0x00, 0x00, 0x00, 0x81, 0xce, 0x00, 0x02, 0xca, 0xfe, 0xba, 0xbe,
    0x12, 0x34, 0x56, 0x78,
];

fn rtcp(c: &mut Criterion) {
    c.bench_function("rtp/rtcp compound", |b| {
        b.iter(|| {
            let compound = Compound::parse(black_box(&COMPOUND)).unwrap();
            compound.packets().for_each(|packet| drop(black_box(packet.unwrap())));
        });
    });
}

criterion_group!(benches, packet, rtcp);
criterion_main!(benches);
