//! What one side can do, and where its media is.

use core::net::{IpAddr, Ipv4Addr};

use crate::{
    Candidate, Codec, ConnectionUse, Crypto, Direction, EncryptionLevel, Feedback, MediaKind,
    Setup, ms,
};

/// The dialect that a description is written in.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Dialect {
    /// RFC 8866, RFC 3264 and their family.
    #[default]
    Standard,
    /// Lync and Skype for Business (\[MS-SDPEXT\]).
    Lync,
}

/// How a side finds its media path.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum IceMode {
    /// Addresses of the `c=` and `m=` lines.
    #[default]
    None,
    /// RFC 8445, signalled as in RFC 8839.
    Rfc8445,
    /// MS-ICE2, signalled as in \[MS-SDPEXT\] 3.1.5.21.
    MsIce2,
}

/// What an endpoint, or one side of a gateway, can do.
///
/// ```
/// use linkspan_sdp::{EncryptionLevel, Profile};
///
/// let profile = Profile { encryption: EncryptionLevel::Required, ..Profile::lync() };
/// assert_eq!(profile.audio[0].name, "G722");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// What its descriptions look like.
    pub dialect: Dialect,
    /// Audio codecs in order of preference. Empty: no audio.
    pub audio: Vec<Codec>,
    /// Video codecs in order of preference. Empty: no video.
    pub video: Vec<Codec>,
    /// Codecs of application sharing (\[MS-SDPEXT\] 3.1.5.18); [`Dialect::Lync`] only. Empty:
    /// such sections are refused.
    pub sharing: Vec<Codec>,
    /// How much encryption it wants.
    pub encryption: EncryptionLevel,
    /// Whether it speaks DTLS-SRTP (RFC 5763), wherever [`LocalMedia::dtls`] is there: offers use
    /// it in place of key lines, answers take it where it is offered.
    pub dtls: bool,
    /// Crypto suites it can use. A key line of another suite is no usable key.
    pub suites: Vec<String>,
    /// How it finds its media path. With ICE on, a description without a [`LocalMedia::ice`]
    /// is written without candidates all the same.
    pub ice: IceMode,
    /// Whether RTCP may share the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether sections may share a transport (BUNDLE, RFC 9143), which needs
    /// [`rtcp_mux`](Self::rtcp_mux). Translations answer and offer without. Give all sections the
    /// same ICE credentials: RFC 9143 does not ask for it, GStreamer's webrtcbin does.
    pub bundle: bool,
    /// Whether RTCP may be of reduced size (RFC 5506). Lync's dialect has it with its feedback.
    pub rtcp_rsize: bool,
    /// URIs of the RTP header extensions that it knows (RFC 8285).
    pub header_extensions: Vec<String>,
    /// RTCP feedback that it knows, for the standard dialect; Lync's is all or nothing.
    pub feedback: Feedback,
    /// User name of the `o=` line; Lync's is always `-`.
    pub username: String,
    /// Session id of the `o=` line; 0 lets one be derived from the first local media. Lync's is
    /// always 0.
    pub session_id: u64,
    /// What may be received of video, in kbit/s: `b=TIAS`, or `a=x-mediabw` toward Lync.
    pub video_kbps: Option<u32>,
    /// The video policy of a Lync deployment (`MaxVideoRateAllowed`): no more is offered, asked
    /// for or sent.
    pub max_video_rate: Option<ms::MaxVideoRate>,
    /// Values of `a=x-mediasettings`; [`Dialect::Lync`] only.
    pub media_settings: Vec<String>,
    /// Whether an answer takes one video codec, the preferred one, so that the peer does not
    /// change it at will; audio is answered with all that fit.
    pub one_video_codec: bool,
    /// `a=ptime` in milliseconds.
    pub ptime_ms: Option<u16>,
    /// `a=maxptime` in milliseconds.
    pub maxptime_ms: Option<u16>,
}

impl Profile {
    /// What a gateway can do on its Lync side: G.722, G.711, comfort noise, DTMF and X-H264UC,
    /// ICE in the MS-ICE2 dialect, encryption as `SupportEncryption`.
    #[must_use]
    pub fn lync() -> Self {
        Self {
            dialect: Dialect::Lync,
            audio: vec![
                Codec::g722(),
                Codec::pcmu(),
                Codec::pcma(),
                Codec::comfort_noise(),
                Codec { fmtp: Some("0-16".into()), ..Codec::telephone_event() },
            ],
            video: vec![Codec::x_h264uc()],
            sharing: Vec::new(),
            encryption: EncryptionLevel::Supported,
            dtls: false,
            suites: vec!["AES_CM_128_HMAC_SHA1_80".into()],
            ice: IceMode::MsIce2,
            rtcp_mux: false,
            bundle: false,
            rtcp_rsize: false,
            header_extensions: Vec::new(),
            feedback: Feedback { pli: true, fir: true, ..Feedback::default() },
            username: "-".into(),
            session_id: 0,
            video_kbps: Some(4_000),
            max_video_rate: None,
            media_settings: Vec::new(),
            one_video_codec: true,
            ptime_ms: Some(20),
            maxptime_ms: Some(60),
        }
    }

    /// What a gateway can do on its standards side: G.722, G.711, DTMF and H.264 Constrained
    /// Baseline in packetization modes 1 and 0, no ICE, encryption where the peer gives it.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            dialect: Dialect::Standard,
            audio: vec![Codec::g722(), Codec::pcmu(), Codec::pcma(), Codec::telephone_event()],
            video: vec![Codec::h264("42e01f", 1), Codec::h264("42e01f", 0)],
            sharing: Vec::new(),
            encryption: EncryptionLevel::Supported,
            dtls: false,
            suites: SUITES.map(Into::into).into(),
            ice: IceMode::None,
            rtcp_mux: false,
            bundle: false,
            rtcp_rsize: false,
            header_extensions: Vec::new(),
            feedback: Feedback { pli: true, fir: true, ..Feedback::default() },
            username: "-".into(),
            session_id: 0,
            video_kbps: Some(4_000),
            max_video_rate: None,
            media_settings: Vec::new(),
            one_video_codec: true,
            ptime_ms: Some(20),
            maxptime_ms: None,
        }
    }

    /// What a browser can do: Opus, G.722 and G.711, VP8 and H.264, DTLS-SRTP, and all on one
    /// transport.
    #[must_use]
    pub fn webrtc() -> Self {
        let events = Codec { payload_type: Some(126), ..Codec::telephone_event() };
        Self {
            audio: vec![Codec::opus(), Codec::g722(), Codec::pcmu(), Codec::pcma(), events],
            video: vec![
                Codec { payload_type: Some(96), ..Codec::new("VP8", 90_000, 1, None) },
                Codec::h264("42e01f", 1),
            ],
            encryption: EncryptionLevel::Required,
            dtls: true,
            ice: IceMode::Rfc8445,
            rtcp_mux: true,
            bundle: true,
            rtcp_rsize: true,
            header_extensions: vec![MID_EXTENSION.into()],
            feedback: Feedback { nack: true, pli: true, fir: true, ..Feedback::default() },
            ptime_ms: None,
            ..Self::standard()
        }
    }

    /// What may be received of video, in kbit/s, with the policy of the deployment.
    #[must_use]
    pub fn video_limit_kbps(&self) -> Option<u32> {
        let policy = self.max_video_rate.map(ms::MaxVideoRate::kbps);
        match (self.video_kbps, policy) {
            (Some(own), Some(policy)) => Some(own.min(policy)),
            (own, policy) => own.or(policy),
        }
    }

    /// The codecs for a kind of media; none for what is neither audio, video nor sharing.
    #[must_use]
    pub fn codecs(&self, kind: &MediaKind) -> &[Codec] {
        match kind {
            MediaKind::Audio => &self.audio,
            MediaKind::Video => &self.video,
            MediaKind::ApplicationSharing => &self.sharing,
            _ => &[],
        }
    }

    /// The codecs of a line: its own, or those of its kind.
    pub(crate) fn line_codecs<'a>(
        &'a self,
        kind: &MediaKind,
        local: Option<&'a LocalMedia>,
    ) -> &'a [Codec] {
        match local {
            Some(local) if !local.codecs.is_empty() => &local.codecs,
            _ => self.codecs(kind),
        }
    }
}

/// Where the media of one `m=` line is on our side, and with what keys.
///
/// The caller fills one per `m=` line; what belongs to a line that is refused is ignored.
///
/// ```
/// use linkspan_sdp::LocalMedia;
///
/// let audio = LocalMedia {
///     address: "192.0.2.1".parse()?,
///     rtp_port: 40_000,
///     rtcp_port: 40_001,
///     ..LocalMedia::default()
/// };
/// assert!(audio.crypto.is_empty());
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalMedia {
    /// The default address.
    pub address: IpAddr,
    /// The RTP port; 0 refuses the line of an offer, and removes the line from an own offer.
    pub rtp_port: u16,
    /// The RTCP port; 0 stands for `rtp_port + 1`.
    pub rtcp_port: u16,
    /// Candidates and credentials; `None` writes no ICE attribute.
    pub ice: Option<LocalIce>,
    /// Keys. An offer writes all of them with tags counted from 1 (after
    /// [`cryptoscale`](Self::cryptoscale)); an answer takes the key of the first one whose suite is
    /// the chosen one, and the tag of the offer. Only the `inline:` key matters: lifetime and MKI
    /// of an answer follow the dialect and the line that was chosen.
    pub crypto: Vec<Crypto>,
    /// A first `a=cryptoscale` line, as Lync clients offer; never used for media.
    pub cryptoscale: Option<Crypto>,
    /// The SSRCs that will be sent with (`a=x-ssrc-range`; [`Dialect::Lync`] only).
    pub ssrc_range: Option<(u32, u32)>,
    /// `a=label`; for [`Dialect::Lync`] the role name of the kind when absent.
    pub label: Option<String>,
    /// What this side wants: [`Direction::Inactive`] holds.
    pub direction: Direction,
    /// The selected pair's remote candidates, component and address (`a=remote-candidates`),
    /// for the offer that follows ICE.
    pub remote_candidates: Vec<(u16, core::net::SocketAddr)>,
    /// Codecs of this line alone, in place of the profile's; empty: the profile's. Not read by
    /// translations.
    pub codecs: Vec<Codec>,
    /// Our certificate, for a section with DTLS-SRTP.
    pub dtls: Option<LocalDtls>,
    /// The part we want in opening a connection over TCP or a DTLS association. `None`:
    /// [`ActPass`](Setup::ActPass) in an offer, [`Active`](Setup::Active) in an answer where the
    /// offer leaves the choice. An association that goes on keeps its roles.
    pub setup: Option<Setup>,
    /// Whether a connection over TCP has to be opened or may go on.
    pub connection_use: ConnectionUse,
    /// The application that is shared, for a section of
    /// [`MediaKind::ApplicationSharing`]; without it such a section is refused.
    pub sharing: Option<ms::ApplicationSharing>,
    /// The media source id that we, a conference server, give the peer (`a=x-source-streamid`;
    /// [`Dialect::Lync`] only).
    pub source_stream_id: Option<u32>,
    /// `a=x-bypassid` ([`Dialect::Lync`] only): a GUID, for media that may skip a Mediation Server.
    pub bypass_id: Option<String>,
    /// What we can receive of the codecs that have `a=x-caps` ([`Dialect::Lync`] only); for a
    /// codec of payload type 0 here its number is filled in. Empty: with a
    /// [`max_video_rate`](Profile::max_video_rate), what that allows of `x-rtvc1`.
    pub video_capabilities: Vec<ms::VideoCapabilities>,
    /// What kind of media an own offer makes of it. `None`: the profile's order, audio before
    /// video. Not read by answers.
    pub kind: Option<MediaKind>,
}

impl Default for LocalMedia {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            rtp_port: 0,
            rtcp_port: 0,
            ice: None,
            crypto: Vec::new(),
            cryptoscale: None,
            ssrc_range: None,
            label: None,
            direction: Direction::SendRecv,
            remote_candidates: Vec::new(),
            codecs: Vec::new(),
            dtls: None,
            setup: None,
            connection_use: ConnectionUse::New,
            sharing: None,
            source_stream_id: None,
            bypass_id: None,
            video_capabilities: Vec::new(),
            kind: None,
        }
    }
}

/// Our candidates and credentials of one `m=` line.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct LocalIce {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
    /// `a=candidate` lines, both components.
    pub candidates: Vec<Candidate>,
    /// We are a lite agent (`a=ice-lite`, session level).
    pub lite: bool,
    /// The words of `a=ice-options`: `ice2` for an agent of RFC 8445, `trickle`.
    pub options: Vec<String>,
    /// No more candidates follow (`a=end-of-candidates`, RFC 8840).
    pub end_of_candidates: bool,
}

/// Our certificate, as a description names it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LocalDtls {
    /// The value of `a=fingerprint`: hash function, blank, pairs of digits.
    pub fingerprint: String,
    /// `a=tls-id` (RFC 8842), to tell associations of one certificate apart.
    pub tls_id: Option<String>,
}

impl core::fmt::Debug for LocalIce {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LocalIce")
            .field("ufrag", &self.ufrag)
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

/// RFC 9143 §15.2: what tells the sections of one transport apart.
const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// Suites of RFC 4568, RFC 6188 and RFC 7714 that `linkspan-srtp` knows.
const SUITES: [&str; 6] = [
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
];
