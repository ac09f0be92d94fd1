use linkspan_stun::{RetransmissionConfig, Transport};
use std::net::SocketAddr;
use std::time::Duration;

use crate::Credentials;

/// What a [`TurnClient`](crate::TurnClient) needs to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Address that packets to the server leave from.
    pub local: SocketAddr,
    /// The server.
    pub server: SocketAddr,
    /// How the server is reached. TLS counts as TCP.
    pub transport: Transport,
    /// Who asks.
    pub credentials: Credentials,
    /// Which protocol the server speaks. Default RFC 8656.
    pub dialect: ClientDialect,
    /// What peers speak to the relayed address. Default UDP; TCP (RFC 6062) needs TCP to the server.
    pub relayed_transport: Transport,
    /// Family of the relayed address. Default: the server's choice, IPv4.
    pub family: Family,
    /// Asks for an even port, and with `Some(true)` for the next one to be kept (RFC 8656 §7.1).
    pub even_port: Option<bool>,
    /// Takes the port that another allocation had kept (RFC 8656 §7.1).
    pub reservation_token: Option<[u8; 8]>,
    /// Asks whether the server can send packets that are not fragmented (RFC 8656 §14): the
    /// allocation fails with 420 where it cannot. Default false.
    pub dont_fragment: bool,
    /// Asks for a ticket, so that the allocation outlives a change of the client's address (RFC
    /// 8016); see [`TurnClient::move_to`](crate::TurnClient::move_to). Default false.
    pub mobility: bool,
    /// Lifetime to ask for. Default 10 minutes.
    pub lifetime: Duration,
    /// SOFTWARE of requests.
    pub software: Option<String>,
    /// Timing of requests.
    pub retransmission: RetransmissionConfig,
    /// Redirections to follow. Default 3.
    pub max_redirects: u8,
    /// Permissions, and channels, at a time. Default 256.
    pub max_peers: usize,
    /// Packets and events waiting to be taken. Default 1,024.
    pub max_queue: usize,
}

impl ClientConfig {
    /// A configuration for RFC 8656 over UDP.
    #[must_use]
    pub fn new(local: SocketAddr, server: SocketAddr, credentials: Credentials) -> Self {
        Self {
            local,
            server,
            transport: Transport::Udp,
            credentials,
            dialect: ClientDialect::Rfc8656,
            relayed_transport: Transport::Udp,
            family: Family::Default,
            even_port: None,
            reservation_token: None,
            dont_fragment: false,
            mobility: false,
            lifetime: Duration::from_secs(600),
            software: None,
            retransmission: RetransmissionConfig::default(),
            max_redirects: 3,
            max_peers: 256,
            max_queue: 1024,
        }
    }
}

/// The protocol between client and server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ClientDialect {
    /// TURN (RFC 8656, RFC 5766).
    #[default]
    Rfc8656,
    /// MS-TURN, version 1: the relay of Lync and Skype for Business.
    MsTurn,
}

/// Family of relayed addresses (RFC 8656 §7.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// Not said: IPv4.
    #[default]
    Default,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// One of each; the server may give IPv4 only.
    Both,
}
