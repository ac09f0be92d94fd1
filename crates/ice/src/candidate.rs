use std::fmt;
use std::net::SocketAddr;

/// An address at which one component of a stream may be reached (RFC 8445 §5.1).
///
/// A plain value: its line in SDP belongs to `linkspan-sdp`.
///
/// ```
/// use linkspan_ice::{Candidate, CandidateKind};
///
/// let host = Candidate::host("1", 1, "192.0.2.1:5000".parse()?, 2_130_706_431);
/// assert_eq!(host.kind, CandidateKind::Host);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Same text for candidates of the same kind, base address and server (RFC 8445 §5.1.1.3).
    pub foundation: String,
    /// 1 to 256; 1 is RTP, 2 is RTCP.
    pub component: u16,
    /// What carries the packets, and who opens the connection.
    pub transport: CandidateTransport,
    /// 1 to 2^31 - 1, higher is preferred (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Where packets for the candidate are sent.
    pub address: SocketAddr,
    /// How the address was found.
    pub kind: CandidateKind,
    /// Base of a reflexive, mapped address of a relayed candidate. For diagnosis only: nothing is
    /// ever sent to it.
    pub related: Option<SocketAddr>,
}

impl Candidate {
    /// A host candidate over UDP.
    #[must_use]
    pub fn host(foundation: &str, component: u16, address: SocketAddr, priority: u32) -> Self {
        Self {
            foundation: foundation.to_owned(),
            component,
            transport: CandidateTransport::Udp,
            priority,
            address,
            kind: CandidateKind::Host,
            related: None,
        }
    }
}

/// Transport of a candidate (RFC 8445 §5.1, RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CandidateTransport {
    /// Datagrams.
    #[default]
    Udp,
    /// TCP; this side opens the connection. `TCP-ACT` of [MS-ICE2].
    TcpActive,
    /// TCP; this side waits for it. `TCP-PASS` of [MS-ICE2].
    TcpPassive,
    /// TCP; both sides open it at once.
    TcpSo,
}

impl CandidateTransport {
    /// True for datagrams.
    #[must_use]
    pub const fn is_udp(self) -> bool {
        matches!(self, Self::Udp)
    }

    /// RFC 6544 §6.2: which transports of the peer this one connects to.
    #[must_use]
    pub const fn pairs_with(self, remote: Self) -> bool {
        matches!(
            (self, remote),
            (Self::Udp, Self::Udp)
                | (Self::TcpActive, Self::TcpPassive)
                | (Self::TcpPassive, Self::TcpActive)
                | (Self::TcpSo, Self::TcpSo)
        )
    }
}

/// How the address of a candidate was found (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CandidateKind {
    /// A local interface.
    #[default]
    Host,
    /// Server-reflexive: what a STUN or TURN server saw.
    Srflx,
    /// Peer-reflexive: what the peer of a check saw.
    Prflx,
    /// On a TURN server.
    Relay,
}

/// The short-term credentials of one side of a stream (RFC 8445 §5.3).
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// Username fragment, 4 to 256 characters.
    pub ufrag: String,
    /// Password, 22 to 256 characters.
    pub pwd: String,
}

impl Credentials {
    /// Puts the two together.
    #[must_use]
    pub fn new(ufrag: impl Into<String>, pwd: impl Into<String>) -> Self {
        Self { ufrag: ufrag.into(), pwd: pwd.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// The pair of candidates that carries the data of a component.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SelectedPair {
    /// Address to send from: the base of `local_candidate`.
    pub local: SocketAddr,
    /// The candidate of this side. Peer-reflexive where a NAT is between.
    pub local_candidate: Candidate,
    /// Address to send to.
    pub remote: SocketAddr,
    /// The candidate of the peer.
    pub remote_candidate: Candidate,
}
