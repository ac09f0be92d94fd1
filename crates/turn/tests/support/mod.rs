//! A server's address and first configuration, and packets on their way to it and back.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part")]

use std::net::SocketAddr;

use linkspan_turn::{Credentials, Received, RelayAddress, ServerConfig, Transmit};

pub const SERVER: &str = "198.51.100.1:3478";

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What was sent, as it arrives.
pub fn arrived(sent: &Transmit) -> Received<'_> {
    let (local, remote) = (sent.remote, sent.local);
    Received { transport: sent.transport, local, remote, payload: &sent.payload }
}

/// A server at [`SERVER`] that relays from there, for the user `user` with the password `secret`.
pub fn server_config() -> ServerConfig {
    let mut config = ServerConfig::new("example.org");
    config.users.add(Credentials::new("user", "secret"));
    config.listeners.push(address(SERVER));
    config.relays.push(RelayAddress::new(address(SERVER).ip()));
    config
}
