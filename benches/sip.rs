//! SIP: one Lync client's INVITE read, typed, owned, written and framed.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench: its inputs are its own"
)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linkspan_sip::{
    Bytes, Limits, Message, Path, Request, RequestMatch, StatusCode, StreamFramer, Timers,
    Transactions, Transport,
};

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

/// The whole life of an INVITE transaction, its messages read and its timers run: on the server's
/// side INVITE in, 100, 180 and 200 out, ACK in; on the client's the other way round.
fn transaction(c: &mut Criterion) {
    let mut group = c.benchmark_group("sip/transaction");
    let here = Path::new(
        Transport::Udp,
        "192.0.2.1:5060".parse().unwrap(),
        "192.0.2.2:5060".parse().unwrap(),
    );
    let text = |method: &str| {
        format!(
            "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}\r\n\
             From: \"Alice\" <sip:alice@example.com>;tag=c5a4bb5e07\r\nTo: <sip:bob@192.0.2.2>;tag=b\r\n\
             Call-ID: a45397523c114f738470ffb675e3bd75\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (invite, ack) = (text("INVITE"), text("ACK"));
    let request = Message::parse(invite.as_bytes()).unwrap().to_request().unwrap();
    let statuses = [StatusCode::TRYING, StatusCode::RINGING, StatusCode::OK];
    let responses: Vec<(StatusCode, Bytes)> =
        statuses.iter().map(|&status| (status, request.response(status, "b").to_bytes())).collect();
    let mut now = Instant::now();
    let mut layer = Transactions::new(Timers::default(), &Limits::default());
    let end = |layer: &mut Transactions, now: &mut Instant| {
        while layer.poll_transmit().is_some() {}
        while let Some(at) = layer.poll_timeout() {
            *now = at;
            layer.handle_timeout(at);
        }
        while layer.poll_event().is_some() {}
        assert!(layer.is_empty());
    };
    group.bench_function("server", |b| {
        b.iter(|| {
            let message = Message::parse(black_box(invite.as_bytes())).unwrap();
            let RequestMatch::New(id) = layer.receive_request(&message, here, now) else {
                panic!("not new")
            };
            for (status, response) in &responses {
                layer.respond(id, *status, response.clone(), now);
            }
            let message = Message::parse(black_box(ack.as_bytes())).unwrap();
            black_box(layer.receive_request(&message, here, now));
            end(&mut layer, &mut now);
        });
    });
    let invite = Bytes::from(invite);
    group.bench_function("client", |b| {
        b.iter(|| {
            layer.request(invite.clone(), here, now).unwrap();
            for (_, response) in &responses {
                let message = Message::parse(black_box(response)).unwrap();
                black_box(layer.receive_response(&message, now));
            }
            end(&mut layer, &mut now);
        });
    });
    group.finish();
}

criterion_group!(benches, message, framing, transaction);
criterion_main!(benches);
