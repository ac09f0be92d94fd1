//! TURN: an allocation from first request to success, challenge included, client and server.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::net::SocketAddr;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use linkspan_turn::{
    ClientConfig, ClientEvent, Credentials, Received, RelayAddress, ServerConfig, ServerEvent,
    Transmit, TurnClient, TurnServer,
};

fn allocation(c: &mut Criterion) {
    let now = Instant::now();
    let local: SocketAddr = "192.0.2.1:5000".parse().unwrap();
    let listener: SocketAddr = "198.51.100.1:3478".parse().unwrap();
    c.bench_function("turn/allocate and release", |b| {
        let mut config = ServerConfig::new("example.org");
        config.users.add(Credentials::new("user", "secret"));
        config.listeners.push(listener);
        config.relays.push(RelayAddress::new(listener.ip()));
        let mut server = TurnServer::new(config, [1; 32], now);
        b.iter(|| {
            let credentials = Credentials::new("user", "secret");
            let config = ClientConfig::new(local, listener, credentials);
            let mut client = TurnClient::new(config, [2; 32], now);
            client.allocate(now).unwrap();
            until(&mut client, &mut server, now, |e| matches!(e, ClientEvent::Allocated(_)));
            client.release(now).unwrap();
            until(&mut client, &mut server, now, |e| matches!(e, ClientEvent::Released));
        });
    });
}

/// Carries packets between the two until the client has the event.
fn until(
    client: &mut TurnClient,
    server: &mut TurnServer,
    now: Instant,
    wanted: impl Fn(&ClientEvent) -> bool,
) {
    loop {
        while let Some(sent) = client.poll_transmit() {
            server.handle_input(arrived(&sent), now).unwrap();
        }
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Bind { relay } = event {
                server.bound(relay, true, now);
            }
        }
        while let Some(sent) = server.poll_transmit() {
            client.handle_input(arrived(&sent), now).unwrap();
        }
        while let Some(event) = client.poll_event() {
            if wanted(&event) {
                return;
            }
        }
    }
}

fn arrived(sent: &Transmit) -> Received<'_> {
    Received {
        transport: sent.transport,
        local: sent.remote,
        remote: sent.local,
        payload: &sent.payload,
    }
}

criterion_group!(benches, allocation);
criterion_main!(benches);
