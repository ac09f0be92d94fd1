//! What the signalling half tells the media half, and what it is told.

use std::net::SocketAddr;

use linkspan_ice as ice;

use super::stats::StreamStatistics;
use super::transport::{MediaKey, RemoteMedia, TransportConfig};
use crate::config::DamagedVideo;
use crate::id::{StreamId, StreamKind};

/// A command of the signalling half.
///
/// The driver carries them out in order: [`Bind`](Self::Bind) and [`Unbind`](Self::Unbind)
/// itself, the others by passing them to the [`MediaEngine`](crate::MediaEngine) that serves the
/// call. With several engines all commands of one [`CallId`](crate::CallId) go to the same one.
#[derive(Debug)]
#[non_exhaustive]
pub enum MediaCommand {
    /// Bind UDP sockets, then report [`MediaEvent::Bound`], or [`MediaEvent::BindFailed`] after
    /// closing those that were bound. The gateway then tries other ports.
    Bind {
        /// The stream that they are for.
        stream: StreamId,
        /// Local addresses; one or two.
        sockets: Vec<SocketAddr>,
    },
    /// Close sockets.
    Unbind {
        /// The stream that they were for.
        stream: StreamId,
        /// Local addresses.
        sockets: Vec<SocketAddr>,
    },
    /// Set up a stream on bound sockets; answered by [`MediaEvent::Opened`].
    Open {
        /// The stream.
        stream: StreamId,
        /// Its transport.
        config: Box<TransportConfig>,
    },
    /// The peer of a stream is known, or has changed.
    Connect {
        /// The stream.
        stream: StreamId,
        /// Where and how.
        agreed: Box<AgreedStream>,
    },
    /// Ask the sender of a video stream for a keyframe.
    RequestKeyframe {
        /// The stream that it is to arrive on.
        stream: StreamId,
    },
    /// Stop passing on what arrives on a stream, or go on: the conference mutes its sender, or
    /// does no more.
    Mute {
        /// The stream.
        stream: StreamId,
        /// Stop.
        muted: bool,
    },
    /// Take a stream down; answered by [`MediaEvent::Closed`] with its last statistics.
    Close {
        /// The stream.
        stream: StreamId,
    },
}

impl MediaCommand {
    /// The stream that the command is about.
    #[must_use]
    pub const fn stream(&self) -> StreamId {
        match self {
            Self::Bind { stream, .. }
            | Self::Unbind { stream, .. }
            | Self::Open { stream, .. }
            | Self::Connect { stream, .. }
            | Self::RequestKeyframe { stream }
            | Self::Mute { stream, .. }
            | Self::Close { stream } => *stream,
        }
    }
}

/// What offer and answer have agreed on for one stream.
///
/// ```
/// use linkspan_gateway::{AgreedStream, RemoteMedia};
///
/// let mut agreed = AgreedStream::new(RemoteMedia::new("192.0.2.1:4000".parse()?));
/// assert!(agreed.sends && agreed.receives);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgreedStream {
    /// The peer.
    pub remote: RemoteMedia,
    /// Key that we protect with; `None` sends in clear.
    pub send_key: Option<MediaKey>,
    /// Key that the peer protects with; `None` receives in clear.
    pub receive_key: Option<MediaKey>,
    /// Payload types, the preferred one first.
    pub formats: Vec<StreamFormat>,
    /// Packets from the peer are passed on.
    pub receives: bool,
    /// Packets for the peer are sent.
    pub sends: bool,
    /// How a keyframe is asked for, and by whom.
    pub feedback: Feedback,
    /// Octets of one RTP payload at most.
    pub max_payload: usize,
    /// The peer reads FU-A although it declares packetization mode 0.
    pub fragments_in_mode_0: bool,
    /// How the peer gets video of which packets were lost on the way here.
    pub damaged_video: DamagedVideo,
    /// What is asked of the sender of the video, in kbit/s.
    pub max_video_kbps: u32,
    /// Octets of one video access unit at most.
    pub access_unit_octets: usize,
}

impl AgreedStream {
    /// A peer without formats, in clear, both ways.
    #[must_use]
    pub fn new(remote: RemoteMedia) -> Self {
        Self {
            remote,
            send_key: None,
            receive_key: None,
            formats: Vec::new(),
            receives: true,
            sends: true,
            feedback: Feedback::default(),
            max_payload: 1_200,
            fragments_in_mode_0: false,
            damaged_video: DamagedVideo::default(),
            max_video_kbps: 4_000,
            access_unit_octets: 1 << 20,
        }
    }
}

/// A payload type and what it carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamFormat {
    /// Payload type toward the peer: the peer's number.
    pub send: u8,
    /// Payload type from the peer: ours.
    pub receive: u8,
    /// What it carries.
    pub codec: StreamCodec,
}

/// A codec that the bridge passes or rewrites.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StreamCodec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// Comfort noise at 8,000 Hz.
    ComfortNoise,
    /// Telephone events at 8,000 Hz.
    TelephoneEvent,
    /// H.264 of RFC 6184.
    H264 {
        /// Packetization mode 0: every packet is one NAL unit.
        single_nal: bool,
    },
    /// X-H264UC.
    H264Uc,
}

impl StreamCodec {
    /// The name in descriptions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::ComfortNoise => "CN",
            Self::TelephoneEvent => "telephone-event",
            Self::H264 { .. } => "H264",
            Self::H264Uc => "X-H264UC",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(self) -> StreamKind {
        match self {
            Self::H264 { .. } | Self::H264Uc => StreamKind::Video,
            _ => StreamKind::Audio,
        }
    }

    /// Whether what the one carries can be handed to the other.
    #[must_use]
    pub fn carries(self, other: Self) -> bool {
        self == other || (self.kind() == StreamKind::Video && other.kind() == StreamKind::Video)
    }
}

/// Feedback that was negotiated for video.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Feedback {
    /// `nack pli` (RFC 4585).
    pub pli: bool,
    /// `ccm fir` (RFC 5104).
    pub fir: bool,
    /// Lync's `x-pli`.
    pub ms_pli: bool,
    /// Lync's `src`: video source requests.
    pub source_request: bool,
}

/// What the media half and the driver report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MediaEvent {
    /// The driver has bound the sockets of a stream.
    Bound {
        /// The stream.
        stream: StreamId,
    },
    /// The driver could not.
    BindFailed {
        /// The stream.
        stream: StreamId,
        /// The system's reason, for the log.
        reason: String,
    },
    /// A stream is set up.
    Opened {
        /// The stream.
        stream: StreamId,
        /// Credentials and candidates for its description; `None` without ICE.
        ice: Option<LocalIce>,
    },
    /// A stream could not be set up, or its agreed values could not be used.
    OpenFailed {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: String,
    },
    /// ICE has selected the pairs of a stream.
    Connected {
        /// The stream.
        stream: StreamId,
        /// One pair per component, in order.
        pairs: Vec<ice::SelectedPair>,
    },
    /// ICE found no way, or the peer's consent has expired.
    Disconnected {
        /// The stream.
        stream: StreamId,
    },
    /// A TURN server gives no relayed candidate for a stream.
    RelayFailed {
        /// The stream.
        stream: StreamId,
        /// The server.
        server: SocketAddr,
        /// Why, for the log.
        reason: String,
    },
    /// Neither RTP nor RTCP has come for as long as the configuration allows.
    Silent {
        /// The stream.
        stream: StreamId,
    },
    /// A digit has been dialled.
    Digit {
        /// The stream that it came by.
        stream: StreamId,
        /// `0` to `9`, `*`, `#`, `A` to `D`, or `!` for a hook flash.
        digit: char,
    },
    /// The receiver of a stream needs a keyframe, and the sender has negotiated no RTCP message
    /// for that: only SIP INFO (RFC 5168) is left.
    KeyframeBySignalling {
        /// The stream that it is to arrive on.
        stream: StreamId,
    },
    /// Packets or NAL units were dropped; reported at most once a second, stream and reason.
    Dropped {
        /// The stream that they came by or were to go by.
        stream: StreamId,
        /// Why.
        reason: DropReason,
        /// How many since the last report.
        count: u64,
    },
    /// A stream is gone.
    Closed {
        /// The stream.
        stream: StreamId,
        /// Its last statistics.
        statistics: Box<StreamStatistics>,
    },
}

impl MediaEvent {
    /// The stream that the event is about.
    #[must_use]
    pub const fn stream(&self) -> StreamId {
        match self {
            Self::Bound { stream }
            | Self::BindFailed { stream, .. }
            | Self::Opened { stream, .. }
            | Self::OpenFailed { stream, .. }
            | Self::Connected { stream, .. }
            | Self::Disconnected { stream }
            | Self::RelayFailed { stream, .. }
            | Self::Silent { stream }
            | Self::Digit { stream, .. }
            | Self::KeyframeBySignalling { stream }
            | Self::Dropped { stream, .. }
            | Self::Closed { stream, .. } => *stream,
        }
    }
}

/// This side's half of ICE, for a description.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalIce {
    /// Username fragment and password.
    pub credentials: ice::Credentials,
    /// Candidates of all components.
    pub candidates: Vec<ice::Candidate>,
    /// The address of each component that a peer without ICE is best told.
    pub defaults: Vec<SocketAddr>,
}

/// Why something received was not passed on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DropReason {
    /// Neither STUN nor RTP nor RTCP.
    Unknown,
    /// Malformed STUN message.
    MalformedStun,
    /// STUN message that does not authenticate.
    UnauthenticatedStun,
    /// STUN message that nobody waits for: a late or repeated response, or on a leg without ICE.
    StrayStun,
    /// Malformed RTP packet.
    MalformedRtp,
    /// Malformed RTCP packet.
    MalformedRtcp,
    /// SRTP or SRTCP that does not authenticate.
    Unauthenticated,
    /// SRTP or SRTCP that was there before.
    Replayed,
    /// From an address other than the peer's.
    WrongSource,
    /// Before keys and formats are known.
    TooEarly,
    /// A payload type that was not negotiated or has no counterpart across the bridge.
    PayloadType,
    /// An SSRC outside the range that the peer has declared.
    SsrcRange,
    /// On hold, or muted.
    Inactive,
    /// The peer across the bridge cannot be reached yet.
    NotConnected,
    /// A video payload that could not be taken apart.
    MalformedPayload,
    /// A NAL unit that is larger than a packet toward a receiver of packetization mode 0.
    OversizeNal,
    /// Video before the first keyframe, or after a loss until the next one.
    AwaitingKeyframe,
    /// A layer of a picture that had gone out already without it.
    LateLayer,
    /// A queue is full.
    QueueFull,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 19] = [
        Self::Unknown,
        Self::MalformedStun,
        Self::UnauthenticatedStun,
        Self::StrayStun,
        Self::MalformedRtp,
        Self::MalformedRtcp,
        Self::Unauthenticated,
        Self::Replayed,
        Self::WrongSource,
        Self::TooEarly,
        Self::PayloadType,
        Self::SsrcRange,
        Self::Inactive,
        Self::NotConnected,
        Self::MalformedPayload,
        Self::OversizeNal,
        Self::AwaitingKeyframe,
        Self::LateLayer,
        Self::QueueFull,
    ];

    /// A short name for metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::MalformedStun => "malformed-stun",
            Self::UnauthenticatedStun => "unauthenticated-stun",
            Self::StrayStun => "stray-stun",
            Self::MalformedRtp => "malformed-rtp",
            Self::MalformedRtcp => "malformed-rtcp",
            Self::Unauthenticated => "unauthenticated",
            Self::Replayed => "replayed",
            Self::WrongSource => "wrong-source",
            Self::TooEarly => "too-early",
            Self::PayloadType => "payload-type",
            Self::SsrcRange => "ssrc-range",
            Self::Inactive => "inactive",
            Self::NotConnected => "not-connected",
            Self::MalformedPayload => "malformed-payload",
            Self::OversizeNal => "oversize-nal",
            Self::AwaitingKeyframe => "awaiting-keyframe",
            Self::LateLayer => "late-layer",
            Self::QueueFull => "queue-full",
        }
    }
}
