//! Gateway: a route decided, and a ping and a call without a route answered.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use linkspan_gateway::{
    Config, Gateway, Listener, Route, RouteQuery, Side, SignallingTransport, decide,
};
use linkspan_sip::{Path, Received, Transport};

fn config() -> Config {
    let mut config = Config::default();
    let address = "198.51.100.1:5060".parse().unwrap();
    config.standard.listeners.push(Listener { transport: SignallingTransport::Udp, address });
    for n in 0..100 {
        let mut route =
            Route::new(format!("site{n}.example.test").parse().unwrap(), Side::Standard);
        route.next_hops.push("tcp:198.51.100.10:5060".parse().unwrap());
        config.routes.push(route);
    }
    config
}

fn routing(c: &mut Criterion) {
    let config = config();
    let query = RouteQuery {
        from: Side::Lync,
        peer: "192.0.2.1".parse().unwrap(),
        scheme: "sip",
        user: "room",
        host: "site99.example.test",
        phone: false,
        max_forwards: 70,
        visited: false,
        calls: 0,
        calls_of: &[],
        draining: false,
    };
    c.bench_function("gateway/decide among 100 routes", |b| {
        b.iter(|| decide(black_box(&query), black_box(&config)));
    });
}

fn requests(c: &mut Criterion) {
    let mut now = Instant::now();
    let mut gateway = Gateway::new(config(), [1; 32], now).unwrap();
    let path = Path {
        transport: Transport::Udp,
        local: "198.51.100.1:5060".parse().unwrap(),
        remote: "198.51.100.10:5060".parse().unwrap(),
        connection: None,
    };
    let mut number = 0_u64;
    c.bench_function("gateway/OPTIONS answered", |b| {
        b.iter(|| {
            number += 1;
            let ping = format!(
                "OPTIONS sip:198.51.100.1 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK{number}\r\n\
                 From: <sip:ping@198.51.100.10>;tag={number}\r\nTo: <sip:198.51.100.1>\r\n\
                 Call-ID: {number}@198.51.100.10\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            // Timer J of the ping before has run out: each iteration is a whole transaction.
            now += Duration::from_secs(33);
            gateway.handle_timeout(now);
            gateway.handle_sip(Received { path, payload: ping.as_bytes() }, now).unwrap();
            while gateway.poll_event().is_some() {}
            gateway.poll_sip_transmit().unwrap()
        });
    });
}

criterion_group!(benches, routing, requests);
criterion_main!(benches);
