//! What an offer and its answer come to, seen from our side.

use core::net::{IpAddr, SocketAddr};

use crate::{Candidate, Codec, Crypto, Direction, MediaKind};

/// What both sides agreed on: one entry per `m=` line, refused ones included, in their order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Agreed {
    /// The media sections.
    pub media: Vec<AgreedMedia>,
}

/// One media section of an [`Agreed`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgreedMedia {
    /// What kind of media it is.
    pub kind: MediaKind,
    /// Whether both sides use it; when not, the other fields are as empty as they can be.
    pub accepted: bool,
    /// The peer's side.
    pub remote: RemoteMedia,
    /// The key that we send with, exactly as written in our description. `Some` if and only if
    /// [`encryption`](Self::encryption).
    pub local_crypto: Option<Crypto>,
    /// The codecs that may be used, the answerer's preference first.
    pub codecs: Vec<AgreedCodec>,
    /// What we may do: [`Direction::SendOnly`] is that we send and do not receive.
    pub direction: Direction,
    /// RTCP on the RTP port.
    pub rtcp_mux: bool,
    /// RTCP packets of reduced size (RFC 5506).
    pub rtcp_rsize: bool,
    /// SRTP.
    pub encryption: bool,
    /// RTCP feedback that both sides know.
    pub feedback: Feedback,
    /// The most that the peer wants to receive, in bit/s.
    pub send_limit_bps: Option<u64>,
    /// Packet duration wanted by the peer, in milliseconds.
    pub ptime_ms: Option<u16>,
}

impl AgreedMedia {
    /// A section that is not used.
    #[must_use]
    pub fn refused(kind: MediaKind) -> Self {
        Self {
            kind,
            accepted: false,
            remote: RemoteMedia::default(),
            local_crypto: None,
            codecs: Vec::new(),
            direction: Direction::Inactive,
            rtcp_mux: false,
            rtcp_rsize: false,
            encryption: false,
            feedback: Feedback::default(),
            send_limit_bps: None,
            ptime_ms: None,
        }
    }

    /// The first codec that carries media, not events or noise alone.
    #[must_use]
    pub fn main_codec(&self) -> Option<&AgreedCodec> {
        self.codecs.iter().find(|c| !c.codec.is_auxiliary())
    }
}

/// The peer's side of a media section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteMedia {
    /// Where RTP goes; the unspecified address when the peer gave none or a host name.
    pub address: SocketAddr,
    /// Where RTCP goes.
    pub rtcp_address: SocketAddr,
    /// The host name that stood in place of an address.
    pub host: Option<String>,
    /// Candidates and credentials; `None` when the peer does no ICE.
    pub ice: Option<RemoteIce>,
    /// The key that the peer sends with.
    pub crypto: Option<Crypto>,
    /// The SSRCs that the peer sends with (`a=x-ssrc-range`).
    pub ssrc_range: Option<(u32, u32)>,
    /// `a=label`.
    pub label: Option<String>,
    /// `a=remote-candidates`: the pair that the peer's ICE selected, our side of it.
    pub remote_candidates: Vec<(u16, SocketAddr)>,
}

impl Default for RemoteMedia {
    fn default() -> Self {
        let none = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
        Self {
            address: none,
            rtcp_address: none,
            host: None,
            ice: None,
            crypto: None,
            ssrc_range: None,
            label: None,
            remote_candidates: Vec::new(),
        }
    }
}

/// The peer's candidates and credentials.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct RemoteIce {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
    /// All candidates that could be read, IPv6 ones of `a=x-candidate-ipv6` included.
    pub candidates: Vec<Candidate>,
    /// The peer is a lite agent (`a=ice-lite`).
    pub lite: bool,
}

impl core::fmt::Debug for RemoteIce {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RemoteIce")
            .field("ufrag", &self.ufrag)
            .field("candidates", &self.candidates)
            .field("lite", &self.lite)
            .finish_non_exhaustive()
    }
}

/// A codec that both sides know, with each direction's payload type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgreedCodec {
    /// The codec, with our parameters.
    pub codec: Codec,
    /// The payload type that we send with: the peer's number.
    pub send_pt: u8,
    /// The payload type that we receive: our number.
    pub receive_pt: u8,
    /// The peer's parameters: what it wants to receive.
    pub remote_fmtp: Option<String>,
}

/// RTCP feedback that both sides of a media section know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Feedback {
    /// Generic NACK (RFC 4585).
    pub nack: bool,
    /// Picture loss indication (RFC 4585).
    pub pli: bool,
    /// Full intra request (RFC 5104).
    pub fir: bool,
    /// Temporary maximum bit rate (RFC 5104).
    pub tmmbr: bool,
    /// We may send video source requests (`x-message … src`).
    pub send_source_request: bool,
    /// The peer may send video source requests.
    pub receive_source_request: bool,
    /// We may send Microsoft's picture loss indication (`x-pli`).
    pub send_ms_pli: bool,
    /// The peer may send Microsoft's picture loss indication.
    pub receive_ms_pli: bool,
    /// The peer may send the history of dominant speakers (`dsh`).
    pub receive_dominant_speaker: bool,
}
