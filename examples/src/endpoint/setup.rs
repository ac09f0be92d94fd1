//! What an endpoint writes into its descriptions and headers.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_gateway::{MediaKey, Side, StreamKind, TransportConfig};
use linkspan_ice as ice;
use linkspan_sdp as sdp;

use super::audio::{AudioSink, AudioSource};
use super::convert;
use super::lync::Identity;
use super::stream::{Media, Stream};
use super::video::{VideoSink, VideoSource};
use super::{CallPlan, EndpointConfig};
use crate::{MediaNet, fresh_seed, random_octets};

pub(super) fn identity(config: &EndpointConfig) -> io::Result<Identity> {
    let hex = |octets: &[u8]| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
    Ok(Identity {
        user: config.user.clone(),
        domain: config.domain.clone(),
        epid: hex(&random_octets::<5>()?),
        endpoint: token(&random_octets::<22>()?),
        conversation: format!("{}=", token(&random_octets::<27>()?)),
    })
}

/// Characters that base64 has in either of its alphabets.
fn token(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Aa";
    let letter = |octet: &u8| ALPHABET.get(usize::from(octet & 63)).copied().unwrap_or(b'A');
    octets.iter().map(letter).map(char::from).collect()
}

/// What the endpoint can do. The Lync side lists what a Lync 2013 client lists; what it cannot
/// code itself, a gateway does not choose.
pub(super) fn profile(config: &EndpointConfig, plan: &CallPlan) -> sdp::Profile {
    let base = match config.side {
        Side::Lync => sdp::Profile {
            audio: lync_audio(),
            video: vec![
                sdp::Codec::x_h264uc(),
                sdp::Codec::new("x-rtvc1", 90_000, 1, Some(121)),
                sdp::Codec::new("x-ulpfecuc", 90_000, 1, Some(123)),
            ],
            maxptime_ms: Some(200),
            ..sdp::Profile::lync()
        },
        Side::Standard => sdp::Profile {
            audio: vec![sdp::Codec::pcmu(), sdp::Codec::pcma(), sdp::Codec::telephone_event()],
            video: config
                .packetization_modes
                .iter()
                .map(|mode| sdp::Codec::h264("42e01f", *mode))
                .collect(),
            ..sdp::Profile::standard()
        },
    };
    sdp::Profile {
        video: if plan.without_video { Vec::new() } else { base.video.clone() },
        encryption: config.encryption,
        ice: config.ice,
        rtcp_mux: config.rtcp_mux,
        ..base
    }
}

fn lync_audio() -> Vec<sdp::Codec> {
    let with = |codec: sdp::Codec, fmtp: &str| sdp::Codec { fmtp: Some(fmtp.into()), ..codec };
    let new = sdp::Codec::new;
    let silk = "useinbandfec=1; usedtx=0";
    vec![
        new("G722", 8_000, 2, Some(117)),
        with(new("x-msrta", 16_000, 1, Some(114)), "bitrate=29000"),
        with(new("SILK", 16_000, 1, Some(104)), silk),
        sdp::Codec::g722(),
        sdp::Codec::g7221(24_000),
        with(new("SIREN", 16_000, 1, Some(111)), "bitrate=16000"),
        sdp::Codec::pcmu(),
        sdp::Codec::pcma(),
        new("AAL2-G726-32", 8_000, 1, Some(116)),
        with(new("x-msrta", 8_000, 1, Some(115)), "bitrate=11800"),
        with(new("SILK", 8_000, 1, Some(103)), silk),
        new("RED", 8_000, 1, Some(97)),
        sdp::Codec::comfort_noise(),
        new("CN", 16_000, 1, Some(118)),
        with(sdp::Codec::telephone_event(), "0-16"),
    ]
}

/// What a stream is made of.
pub(super) struct Making<'a> {
    pub(super) config: &'a EndpointConfig,
    pub(super) plan: &'a CallPlan,
    pub(super) net: &'a MediaNet,
    /// The caller controls ICE.
    pub(super) caller: bool,
    pub(super) now: Instant,
}

/// Opens a pair of sockets and sets up the transport of one m-line.
pub(super) fn stream(making: &Making<'_>, kind: StreamKind) -> io::Result<Stream> {
    let Making { config, plan, net, caller, now } = *making;
    let (rtp, rtcp) = net.bind_pair(config.media_address)?;
    let mut transport = TransportConfig::new(kind, rtp, rtcp);
    let role = if caller { ice::Role::Controlling } else { ice::Role::Controlled };
    transport.ice = match config.ice {
        sdp::IceMode::None => None,
        sdp::IceMode::Rfc8445 => Some((ice::Dialect::Rfc8445, role)),
        sdp::IceMode::MsIce2 => Some((ice::Dialect::MsIce2, role)),
    };
    // Room above for the layers of a video stream, each of which has a source of its own.
    transport.ssrc = u32::from_be_bytes(random_octets()?) & 0x7fff_ff00 | 1;
    transport.cname = format!("{}@{}", config.user, config.domain);
    transport.rtcp_interval = Duration::from_millis(1_000);
    let ssrc = transport.ssrc;
    let media = match kind {
        StreamKind::Audio => Media::Audio(
            Box::new(AudioSource::new(plan.audio.clone(), &plan.digits, plan.repeats, ssrc)),
            AudioSink::default(),
        ),
        StreamKind::Video => {
            let source = |clip| Box::new(VideoSource::new(clip, plan.repeats, ssrc));
            Media::Video(plan.video.clone().map(source), Box::new(VideoSink::new()))
        }
    };
    // Three different keys, as a Lync client has: the second and third are offered for SRTP.
    let keys = (0..3)
        .map(|_| fresh_seed().map(MediaKey::generate))
        .collect::<io::Result<Vec<MediaKey>>>()?;
    let refresh = plan.asks_for_refresh;
    Ok(Stream::new(config.side, transport, keys, media, refresh, fresh_seed()?, now))
}

/// The stream as offers and answers describe it.
pub(super) fn local_media(config: &EndpointConfig, stream: &Stream) -> sdp::LocalMedia {
    let crypto = |key: &MediaKey, shape: &str| {
        let inline = format!("{}{shape}", key.to_inline());
        sdp::Crypto::new(1, key.suite_name(), &inline)
    };
    let ssrc = stream.transport.ssrc();
    let (kind, ssrcs) = match stream.kind() {
        StreamKind::Audio => (sdp::MediaKind::Audio, 1),
        StreamKind::Video => (sdp::MediaKind::Video, 100),
    };
    let (cryptoscale, crypto) = match (config.side, &stream.keys[..]) {
        // With and without a key identifier, behind the conference servers' line.
        (Side::Lync, [scale, identified, plain]) => (
            Some(crypto(scale, "|2^31|1:1")),
            vec![crypto(identified, "|2^31|1:1"), crypto(plain, "|2^31")],
        ),
        (_, keys) => (None, keys.first().map(|key| crypto(key, "")).into_iter().collect()),
    };
    let without_keys = config.encryption == sdp::EncryptionLevel::None;
    sdp::LocalMedia {
        address: stream.rtp.ip(),
        rtp_port: stream.rtp.port(),
        rtcp_port: stream.rtcp.port(),
        ice: stream.transport.local_ice().as_ref().map(convert::local_ice),
        crypto: if without_keys { Vec::new() } else { crypto },
        cryptoscale: cryptoscale.filter(|_| !without_keys),
        ssrc_range: (config.side == Side::Lync).then_some((ssrc, ssrc + (ssrcs - 1))),
        remote_candidates: stream.pairs.clone(),
        kind: Some(kind),
        ..sdp::LocalMedia::default()
    }
}

/// The kind of an m-line that an endpoint has.
pub(super) fn kind_of(kind: &sdp::MediaKind) -> Option<StreamKind> {
    match kind {
        sdp::MediaKind::Audio => Some(StreamKind::Audio),
        sdp::MediaKind::Video => Some(StreamKind::Video),
        _ => None,
    }
}

/// The address that a call goes to, where no proxy is configured: that of its URI.
pub(super) fn address_of(
    uri: &linkspan_sip::Uri,
    transport: linkspan_sip::Transport,
) -> Option<SocketAddr> {
    let port = uri.port().unwrap_or_else(|| transport.default_port());
    uri.host_ip().map(|ip| SocketAddr::new(ip, port))
}
