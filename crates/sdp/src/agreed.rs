//! What an offer and its answer come to, seen from our side.

use core::net::{IpAddr, SocketAddr};

use crate::{
    Candidate, Codec, ConnectionUse, Crypto, Direction, ExtMap, MediaKind, Setup, Why, ms,
};

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
    /// Why it is not used; `None` when it is.
    pub refused: Option<Why>,
    /// The peer's side.
    pub remote: RemoteMedia,
    /// The key that we send with, exactly as written in our description. With
    /// [`encryption`](Self::encryption) either this or [`dtls`](Self::dtls) is `Some`, without it
    /// neither.
    pub local_crypto: Option<Crypto>,
    /// The DTLS association that the keys come from (RFC 5763).
    pub dtls: Option<AgreedDtls>,
    /// Our part in opening the connection of a section over TCP, or its DTLS association: the
    /// active side is the client.
    pub setup: Option<Setup>,
    /// Whether a connection over TCP is opened or goes on (RFC 4145 §5).
    pub connection_use: ConnectionUse,
    /// Our identification tag of the section (RFC 5888); both sides use the same.
    pub mid: Option<String>,
    /// The section whose transport it shares, counted from 0 (BUNDLE, RFC 9143); its own index
    /// for the one that gives the transport to others. `None` for a transport of its own.
    pub bundle: Option<usize>,
    /// RTP header extensions that both sides know (RFC 8285).
    pub header_extensions: Vec<HeaderExtension>,
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
    pub fn refused(kind: MediaKind, why: Why) -> Self {
        Self { refused: Some(why), ..Self::empty(kind) }
    }

    pub(crate) fn empty(kind: MediaKind) -> Self {
        Self {
            kind,
            accepted: false,
            refused: None,
            remote: RemoteMedia::default(),
            local_crypto: None,
            dtls: None,
            setup: None,
            connection_use: ConnectionUse::New,
            mid: None,
            bundle: None,
            header_extensions: Vec::new(),
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
    /// `a=x-source-streamid`: the media source id that a conference server gives us.
    pub source_stream_id: Option<u32>,
    /// `a=x-bypassid`: media may skip a Mediation Server when both sides have the same.
    pub bypass_id: Option<String>,
    /// `a=x-caps`: what the peer can receive of the video codecs that have one. A codec without,
    /// of a peer in Lync's dialect, can receive [`ms::default_capabilities`].
    pub video_capabilities: Vec<ms::VideoCapabilities>,
    /// What the peer says about the application that is shared.
    pub sharing: Option<ms::ApplicationSharing>,
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
            source_stream_id: None,
            bypass_id: None,
            video_capabilities: Vec::new(),
            sharing: None,
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
    /// The words of `a=ice-options`, e.g. `ice2` and `trickle`.
    pub options: Vec<String>,
    /// No more candidates follow (`a=end-of-candidates`, RFC 8840).
    pub end_of_candidates: bool,
}

impl core::fmt::Debug for RemoteIce {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RemoteIce")
            .field("ufrag", &self.ufrag)
            .field("candidates", &self.candidates)
            .field("lite", &self.lite)
            .field("options", &self.options)
            .field("end_of_candidates", &self.end_of_candidates)
            .finish_non_exhaustive()
    }
}

/// The DTLS association of a section, as far as descriptions say (RFC 5763, RFC 8842).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgreedDtls {
    /// The peer's certificate has to fit one of these; each is a value of `a=fingerprint` and
    /// can be checked ([`Fingerprint::is_usable`](crate::Fingerprint::is_usable)).
    pub fingerprints: Vec<String>,
    /// The peer's `a=tls-id`.
    pub tls_id: Option<String>,
    /// Whether it is a new association: at first, and when fingerprints, ids or roles have changed
    /// (RFC 8842 §3.1).
    pub is_new: bool,
}

/// An RTP header extension that both sides know (RFC 8285).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HeaderExtension {
    /// Its number, the same in both directions.
    pub id: u16,
    /// Its URI.
    pub uri: String,
}

impl HeaderExtension {
    pub(crate) fn of(map: &ExtMap<'_>) -> Self {
        Self { id: map.id, uri: map.uri.into() }
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
