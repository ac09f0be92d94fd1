//! STUN: a connectivity check written and signed, read and verified, in both ICE dialects.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use linkspan_stun::{
    Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, TransactionId, demultiplex,
};

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("stun");
    let key = IntegrityKey::short_term("a password of twenty-two");
    for dialect in [Dialect::Rfc8489, Dialect::MsIce2] {
        let write = |out: &mut Vec<u8>| {
            out.clear();
            let id = TransactionId::new([7; 12]);
            let mut message =
                MessageBuilder::new(out, dialect, Class::Request, Method::Binding, id);
            message.username(b"left:right").priority(0x6e00_01ff).ice_controlling(1).sign(&key);
            message.finish().unwrap()
        };
        let mut out = Vec::with_capacity(256);
        group
            .bench_function(format!("{dialect:?} sign"), |b| b.iter(|| write(black_box(&mut out))));
        write(&mut out);
        group.bench_function(format!("{dialect:?} verify"), |b| {
            b.iter(|| {
                let message = Message::parse(black_box(&out), dialect).unwrap();
                message.verify_fingerprint().unwrap();
                message.verify_integrity(&key).unwrap();
            });
        });
        group.bench_function(format!("{dialect:?} demultiplex"), |b| {
            b.iter(|| demultiplex(black_box(&out)));
        });
    }
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
