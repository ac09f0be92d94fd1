//! SRTP: protect and unprotect in place, every suite, a voice packet and a full video packet.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench: its inputs are its own"
)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use linkspan_srtp::{KeyParams, MasterKey, Receiver, Sender, Suite};

const HEADER: [u8; 12] = [0x80, 96, 0, 1, 0, 0, 0x12, 0x34, 0xca, 0xfe, 0xba, 0xbe];
const SUITES: [Suite; 3] =
    [Suite::AesCm128HmacSha1_80, Suite::AesCm256HmacSha1_80, Suite::AeadAes128Gcm];

fn transform(c: &mut Criterion) {
    let mut group = c.benchmark_group("srtp");
    for suite in SUITES {
        let octets = vec![0x5a; suite.key_len() + suite.salt_len()];
        let key = KeyParams::new(MasterKey::from_bytes(suite, &octets).unwrap());
        for payload in [160_usize, 1_200] {
            group.throughput(Throughput::Bytes(payload as u64));
            let id = |what: &str| BenchmarkId::new(format!("{} {what}", suite.name()), payload);
            let len = HEADER.len() + payload;
            let mut packet = vec![0; len + 64];
            packet[..HEADER.len()].copy_from_slice(&HEADER);
            let mut sender = Sender::new(suite, std::slice::from_ref(&key)).unwrap();
            let mut sequence = 0_u16;
            group.bench_function(id("protect"), |b| {
                b.iter(|| {
                    sequence = sequence.wrapping_add(1);
                    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                    sender.protect_rtp(black_box(&mut packet), len).unwrap()
                });
            });
            let mut sender = Sender::new(suite, std::slice::from_ref(&key)).unwrap();
            packet[2..4].copy_from_slice(&7_u16.to_be_bytes());
            let protected = sender.protect_rtp(&mut packet, len).unwrap();
            group.bench_function(id("unprotect"), |b| {
                b.iter_batched_ref(
                    || {
                        let receiver = Receiver::new(suite, std::slice::from_ref(&key)).unwrap();
                        (receiver, packet[..protected].to_vec())
                    },
                    |(receiver, packet)| receiver.unprotect_rtp(black_box(packet)).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, transform);
criterion_main!(benches);
