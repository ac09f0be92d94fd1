//! SVC: the demo's layered stream split, cut into packets, put together again and reduced to AVC.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a bench: its inputs are its own"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    ExtractForm, ExtractOptions, LayerTarget, PacketizationMode, Packetizer, PacketizerConfig,
    PayloadFormat, PayloadMeta, UcToAvc, extract, nal_units,
};

const LAYERED: &[u8] = include_bytes!("../examples/media/lync-t3-640x360.264");
const MAX_PAYLOAD: usize = 1_200;
/// 90 kHz ticks a picture at 30 Hz.
const PICTURE: u32 = 3_000;

fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("svc/stream");
    group.throughput(Throughput::Bytes(LAYERED.len() as u64));
    group.bench_function("nal_units", |b| b.iter(|| nal_units(black_box(LAYERED)).count()));
    for (name, form) in
        [("extract normative", ExtractForm::Normative), ("extract avc", ExtractForm::Avc)]
    {
        let options = ExtractOptions { max_temporal: 1, form, ..ExtractOptions::default() };
        group.bench_function(name, |b| b.iter(|| extract(black_box(LAYERED), &options)));
    }
    group.finish();
}

/// What a gateway does with Lync's video: payloads in, payloads out.
fn gateway(c: &mut Criterion) {
    let packets = uc_packets();
    let mut group = c.benchmark_group("svc/gateway");
    group.throughput(Throughput::Elements(packets.len() as u64));
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let mut rewriter = UcToAvc::new(LayerTarget::default());
    let config = PacketizerConfig::avc(PacketizationMode::NonInterleaved, MAX_PAYLOAD);
    let mut packetizer = Packetizer::new(config);
    let (mut sequence, mut base, mut out) = (0_u16, 0_u32, Vec::with_capacity(MAX_PAYLOAD));
    group.bench_function("uc packets to avc packets", |b| {
        b.iter(|| {
            let mut octets = 0;
            for (timestamp, marker, payload) in &packets {
                let timestamp = base.wrapping_add(*timestamp);
                let meta = PayloadMeta { ssrc: 7, sequence, timestamp, marker: *marker };
                sequence = sequence.wrapping_add(1);
                depacketizer.push(meta, payload).unwrap();
                while let Some(unit) = depacketizer.poll_access_unit() {
                    if let Some(avc) = rewriter.process(&unit) {
                        for payload in packetizer.packetize(avc).iter() {
                            out.clear();
                            payload.append_to(&mut out);
                            octets += out.len();
                        }
                    }
                    depacketizer.recycle(unit);
                }
            }
            base = base.wrapping_add(packets.len() as u32 * PICTURE);
            assert!(octets > LAYERED.len() / 2);
        });
    });
    group.finish();
}

/// The stream as a Lync client sends it: (timestamp, marker, payload), in order.
fn uc_packets() -> Vec<(u32, bool, Vec<u8>)> {
    let mut reader = AccessUnitReader::new(LAYERED);
    let mut rewriter = AvcToUc::new(AvcToUcConfig::default());
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(MAX_PAYLOAD));
    let (mut unit, mut timestamp, mut packets) = (AccessUnit::default(), 0, Vec::new());
    while reader.read_into(&mut unit) {
        timestamp += PICTURE;
        let Some(uc) = rewriter.process(&unit) else { continue };
        let payloads = packetizer.packetize(uc);
        packets.extend(payloads.iter().map(|p| (timestamp, p.marker, p.to_vec())));
    }
    packets
}

criterion_group!(benches, stream, gateway);
criterion_main!(benches);
