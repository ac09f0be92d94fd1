//! SIP: one Lync client's INVITE read, typed, owned, written and framed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linkspan_sip::{Limits, Message, Request, StreamFramer};

const INVITE: &[u8] = include_bytes!("inputs/invite.sip");

fn message(c: &mut Criterion) {
    let mut group = c.benchmark_group("sip/message");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Message::parse(black_box(INVITE)).unwrap()));
    let message = Message::parse(INVITE).unwrap();
    group.bench_function("to_owned", |b| b.iter(|| black_box(&message).to_request().unwrap()));
    let request: Request = message.to_request().unwrap();
    let mut out = Vec::with_capacity(4096);
    group.bench_function("write", |b| {
        b.iter(|| {
            out.clear();
            request.write(&mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("sip/framing");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    for chunk in [INVITE.len(), 536] {
        group.bench_function(format!("chunks of {chunk}"), |b| {
            let mut framer = StreamFramer::new(Limits::default());
            b.iter(|| {
                let mut frames = 0;
                for part in INVITE.chunks(chunk) {
                    framer.push(black_box(part)).unwrap();
                    while framer.poll_frame().unwrap().is_some() {
                        frames += 1;
                    }
                }
                assert_eq!(frames, 1);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, message, framing);
criterion_main!(benches);
