use core::time::Duration;
use std::net::SocketAddr;

use bytes::BytesMut;
use linkspan_ice as ice;

use crate::id::StreamKind;

/// How a [`MediaTransport`](crate::MediaTransport) is set up, before its peer is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// What it carries.
    pub kind: StreamKind,
    /// Local address of the RTP socket.
    pub rtp: SocketAddr,
    /// Local address of the RTCP socket; the RTP socket's where both share one.
    pub rtcp: SocketAddr,
    /// ICE, and this side's role in it; `None` uses the description's addresses.
    pub ice: Option<(ice::Dialect, ice::Role)>,
    /// TURN servers for relayed candidates, with ICE.
    pub relays: Vec<ice::RelayServer>,
    /// SSRC of what is sent, and of RTCP.
    pub ssrc: u32,
    /// CNAME of what is sent.
    pub cname: String,
    /// RTP clock of the main codec.
    pub clock_hz: u32,
    /// Time between two regular RTCP reports.
    pub rtcp_interval: Duration,
    /// Without RTP and RTCP for so long the transport reports silence.
    pub silence: Option<Duration>,
    /// Packets waiting to be polled.
    pub queued_packets: usize,
    /// Candidates taken from the peer.
    pub candidates: usize,
}

impl TransportConfig {
    /// A transport on one or two local sockets, without ICE.
    #[must_use]
    pub fn new(kind: StreamKind, rtp: SocketAddr, rtcp: SocketAddr) -> Self {
        Self {
            kind,
            rtp,
            rtcp,
            ice: None,
            relays: Vec::new(),
            ssrc: 1,
            cname: "linkspan".into(),
            clock_hz: if kind == StreamKind::Video { 90_000 } else { 8_000 },
            rtcp_interval: Duration::from_secs(4),
            silence: None,
            queued_packets: 1_024,
            candidates: 20,
        }
    }
}

/// Where the peer of a stream is, as its description says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RemoteMedia {
    /// Address of the `c=` and `m=` lines.
    pub rtp: SocketAddr,
    /// Address for RTCP.
    pub rtcp: SocketAddr,
    /// RTP and RTCP share a port.
    pub rtcp_mux: bool,
    /// Credentials and candidates; `None` when the peer does no ICE.
    pub ice: Option<RemoteIce>,
    /// SSRCs that the peer will send with; others are dropped ([MS-SDPEXT] 3.1.5.31.2).
    pub ssrc_range: Option<(u32, u32)>,
    /// Feedback may be sent alone (RFC 5506).
    pub reduced_size: bool,
}

impl RemoteMedia {
    /// A peer without ICE at `rtp`, RTCP on the port above.
    #[must_use]
    pub fn new(rtp: SocketAddr) -> Self {
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        Self { rtp, rtcp, rtcp_mux: false, ice: None, ssrc_range: None, reduced_size: false }
    }
}

/// The peer's half of ICE.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteIce {
    /// Username fragment and password.
    pub credentials: ice::Credentials,
    /// Candidates of all components.
    pub candidates: Vec<ice::Candidate>,
    /// The peer is lite.
    pub lite: bool,
}

/// A datagram to send, or over TCP a whole message to a TURN server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MediaTransmit {
    /// UDP, but for TURN servers that are reached over TCP or TLS: one connection for each pair of
    /// addresses, from any port.
    pub transport: linkspan_ice::Transport,
    /// Local address of the socket to send from.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// The octets. Give the buffer back with [`MediaEngine::recycle`](crate::MediaEngine::recycle).
    pub payload: BytesMut,
}

/// What a datagram turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Incoming {
    /// It was for the transport itself.
    Consumed,
    /// An RTP packet, in clear: the first so many octets of the buffer.
    Rtp(usize),
    /// An RTCP compound packet, in clear: the first so many octets of the buffer. Reports have
    /// been taken from it already; feedback is the caller's.
    Rtcp(usize),
}

/// What a [`MediaTransport`](crate::MediaTransport) has to tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransportEvent {
    /// ICE has selected its pairs, or has changed them: one per component, in order.
    Connected {
        /// The pairs.
        pairs: Vec<ice::SelectedPair>,
    },
    /// ICE found no way, or the peer's consent has expired.
    Disconnected,
    /// Neither RTP nor RTCP has come for as long as was configured.
    Silent,
    /// A TURN server gives no relayed candidate.
    RelayFailed {
        /// The server.
        server: SocketAddr,
        /// Why.
        error: ice::RelayError,
    },
}
