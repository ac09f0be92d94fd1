//! Proves DONT-FRAGMENT (RFC 8656 §14), what the network says of packets (§11.5, §11.6), and
//! redirection (RFC 8489 §10).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

mod support;

use std::time::Instant;

use linkspan_turn::{
    AllocateError, ClientConfig, ClientEvent, Credentials, IcmpError, InputError, RelayAddress,
    RequestError, ServerConfig, ServerEvent, TurnClient, TurnServer, VerbError,
};
use support::{address, arrived};

const PEER: &str = "203.0.113.7:6000";

/// Packets between the two until there are none; the client's last event.
fn settle(client: &mut TurnClient, server: &mut TurnServer, now: Instant) -> Option<ClientEvent> {
    let mut last = None;
    loop {
        let mut is_quiet = true;
        while let Some(sent) = client.poll_transmit() {
            is_quiet = false;
            let _ = server.handle_input(arrived(&sent), now);
        }
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Bind { relay } = event {
                server.bound(relay, true, now);
            }
        }
        while let Some(sent) = server.poll_transmit() {
            is_quiet = false;
            let _ = client.handle_input(arrived(&sent), now);
        }
        while let Some(event) = client.poll_event() {
            last = Some(event);
        }
        if is_quiet {
            return last;
        }
    }
}

fn pair(can: bool, asks: bool, now: Instant) -> (TurnClient, TurnServer, Option<ClientEvent>) {
    let (local, listener) = (address("192.0.2.1:5000"), address("198.51.100.1:3478"));
    let mut config = ServerConfig::new("example.org");
    config.users.add(Credentials::new("user", "secret"));
    config.relays.push(RelayAddress::new(listener.ip()));
    config.dont_fragment = can;
    let mut server = TurnServer::new(config, [1; 32], now);
    let mut config = ClientConfig::new(local, listener, Credentials::new("user", "secret"));
    config.dont_fragment = asks;
    let mut client = TurnClient::new(config, [2; 32], now);
    client.allocate(now).unwrap();
    let event = settle(&mut client, &mut server, now);
    (client, server, event)
}

#[test]
fn a_server_that_is_about_to_end_sends_new_clients_elsewhere() {
    let now = Instant::now();
    let (mut old_client, mut server, _) = pair(true, true, now);
    let (other, local) = (address("198.51.100.2:3478"), address("192.0.2.2:5000"));
    server.redirect(Some(other));
    let credentials = Credentials::new("user", "secret");
    let config = ClientConfig::new(local, address("198.51.100.1:3478"), credentials);
    let mut client = TurnClient::new(config, [3; 32], now);
    client.allocate(now).unwrap();
    let mut asked = Vec::new();
    for _ in 0..4 {
        let Some(sent) = client.poll_transmit() else { break };
        asked.push(sent.remote);
        if sent.remote != other {
            server.handle_input(arrived(&sent), now).unwrap();
            let answer = server.poll_transmit().unwrap();
            client.handle_input(arrived(&answer), now).unwrap();
        }
    }
    // Challenged, then redirected; the other server is asked from the beginning.
    assert_eq!(asked.last(), Some(&other));
    assert_eq!((asked.len(), server.allocations()), (3, 1));
    old_client.create_permission(address(PEER), now).unwrap();
    let event = settle(&mut old_client, &mut server, now);
    assert!(matches!(event, Some(ClientEvent::PermissionCreated { .. })));
}

#[test]
fn a_server_that_cannot_says_so() {
    let now = Instant::now();
    let (_, _, event) = pair(false, true, now);
    assert!(
        matches!(
            event,
            Some(ClientEvent::AllocateFailed {
                error: AllocateError::Request(RequestError::Refused { code: 420, .. })
            })
        ),
        "{event:?}"
    );
    let (mut client, mut server, _) = pair(false, false, now);
    client.create_permission(address(PEER), now).unwrap();
    settle(&mut client, &mut server, now);
    assert_eq!(client.send_unfragmented(address(PEER), b"x"), Err(VerbError::Transport));
}

#[test]
fn the_mark_reaches_the_driver() {
    let now = Instant::now();
    let (mut client, mut server, event) = pair(true, true, now);
    assert!(matches!(event, Some(ClientEvent::Allocated(_))));
    client.create_permission(address(PEER), now).unwrap();
    settle(&mut client, &mut server, now);
    for is_marked in [false, true] {
        if is_marked {
            client.send_unfragmented(address(PEER), b"data").unwrap();
        } else {
            client.send(address(PEER), b"data").unwrap();
        }
        let sent = client.poll_transmit().unwrap();
        let forward = server.forward(arrived(&sent), now).unwrap();
        assert_eq!(forward.packet.dont_fragment(), is_marked);
        assert_eq!(forward.packet.to_bytes(), b"data".as_slice());
        // The other way has no place for the mark, and does not lose it.
        let taken = server.handle_input(arrived(&sent), now);
        assert_eq!(taken, if is_marked { Err(InputError::DontFragment) } else { Ok(()) });
    }
}

#[test]
fn errors_reach_the_client_they_are_for() {
    let now = Instant::now();
    let (mut client, mut server, _) = pair(true, true, now);
    let (relay, peer) = (client.relayed().first().copied().unwrap(), address(PEER));
    let error = IcmpError { kind: 3, code: 4, data: 1280 };
    assert_eq!(server.handle_icmp(relay, peer, error, now), Err(InputError::NotPermitted));
    client.create_permission(peer, now).unwrap();
    settle(&mut client, &mut server, now);
    server.handle_icmp(relay, peer, error, now).unwrap();
    let event = settle(&mut client, &mut server, now);
    assert_eq!(event, Some(ClientEvent::Icmp { peer, error }));
    let ping = IcmpError { kind: 8, ..error };
    assert_eq!(server.handle_icmp(relay, peer, ping, now), Err(InputError::Unexpected));
    let elsewhere = address("198.51.100.1:1");
    assert_eq!(server.handle_icmp(elsewhere, peer, error, now), Err(InputError::NotMine));
}
