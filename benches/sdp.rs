//! SDP: a Lync 2013 client's audio and video offer read, owned and written.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linkspan_sdp::{Description, SessionDescription};

const OFFER: &[u8] = include_bytes!("inputs/lync_av_offer.sdp");

fn description(c: &mut Criterion) {
    let mut group = c.benchmark_group("sdp/description");
    group.throughput(Throughput::Bytes(OFFER.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Description::parse(black_box(OFFER)).unwrap()));
    group.bench_function("parse owned", |b| {
        b.iter(|| SessionDescription::parse(black_box(OFFER)).unwrap());
    });
    let owned = SessionDescription::parse(OFFER).unwrap();
    let mut out = Vec::with_capacity(4096);
    group.bench_function("write", |b| {
        b.iter(|| {
            out.clear();
            owned.write(&mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, description);
criterion_main!(benches);
