//! Between the values of descriptions and those of the media half.

use linkspan_ice as ice;
use linkspan_sdp as sdp;

use crate::config::{AudioCodec, Config, Encryption, IceKind, PacketizationModes};
use crate::id::{Side, StreamKind};
use crate::media::{
    AgreedStream, Feedback, KeyError, LocalIce, MediaKey, RemoteIce, RemoteMedia, StreamCodec,
    StreamFormat,
};

/// What one side of the gateway can do, as descriptions need to know it.
pub(super) fn profile(config: &Config, side: Side) -> sdp::Profile {
    let own = config.side(side);
    let mut audio: Vec<sdp::Codec> = own
        .audio
        .iter()
        .map(|codec| match codec {
            AudioCodec::G722 => sdp::Codec::g722(),
            AudioCodec::Pcmu => sdp::Codec::pcmu(),
            AudioCodec::Pcma => sdp::Codec::pcma(),
        })
        .collect();
    audio.push(sdp::Codec::comfort_noise());
    let mut events = sdp::Codec::telephone_event();
    let base = match side {
        Side::Lync => sdp::Profile::lync(),
        Side::Standard => sdp::Profile::standard(),
    };
    let video = match (own.video, side) {
        (false, _) => Vec::new(),
        (true, Side::Lync) => vec![sdp::Codec::x_h264uc()],
        (true, Side::Standard) => {
            let h264 = |mode| sdp::Codec::h264(&own.h264.profile_level_id, mode);
            match own.h264.packetization_modes {
                PacketizationModes::Both => vec![h264(1), h264(0)],
                PacketizationModes::NonInterleaved => vec![h264(1)],
                PacketizationModes::SingleNal => vec![h264(0)],
            }
        }
    };
    if side == Side::Lync {
        events.fmtp = Some("0-16".into());
    }
    audio.push(events);
    sdp::Profile {
        audio,
        video,
        encryption: match own.encryption {
            Encryption::Required => sdp::EncryptionLevel::Required,
            Encryption::Supported => sdp::EncryptionLevel::Supported,
            Encryption::None => sdp::EncryptionLevel::None,
        },
        ice: match own.ice {
            IceKind::None => sdp::IceMode::None,
            IceKind::Rfc8445 => sdp::IceMode::Rfc8445,
            IceKind::MsIce2 => sdp::IceMode::MsIce2,
        },
        rtcp_mux: own.rtcp_mux,
        video_kbps: Some(config.max_video_kbps),
        ..base
    }
}

/// What was agreed for one m-line of a leg, for the media half.
pub(super) fn agreed(
    config: &Config,
    side: Side,
    media: &sdp::AgreedMedia,
) -> Result<AgreedStream, KeyError> {
    let key = |crypto: &sdp::Crypto| MediaKey::parse(&crypto.suite, &crypto.key_params);
    let keys = media.encryption;
    let send = media.local_crypto.as_ref().filter(|_| keys).map(key).transpose()?;
    let receive = media.remote.crypto.as_ref().filter(|_| keys).map(key).transpose()?;
    let feedback = &media.feedback;
    let limit = media.send_limit_bps.and_then(|bps| u32::try_from(bps / 1_000).ok());
    Ok(AgreedStream {
        remote: RemoteMedia {
            rtp: media.remote.address,
            rtcp: media.remote.rtcp_address,
            rtcp_mux: media.rtcp_mux,
            ice: media.remote.ice.as_ref().map(remote_ice),
            ssrc_range: media.remote.ssrc_range,
            reduced_size: media.rtcp_rsize,
        },
        send_key: send,
        receive_key: receive,
        formats: media.codecs.iter().filter_map(format).collect(),
        receives: media.direction.receives(),
        sends: media.direction.sends(),
        feedback: Feedback {
            pli: feedback.pli,
            fir: feedback.fir,
            ms_pli: feedback.send_ms_pli,
            source_request: feedback.send_source_request,
        },
        max_payload: config.side(side).max_payload,
        max_video_kbps: limit.unwrap_or(u32::MAX).min(config.max_video_kbps),
        access_unit_octets: config.limits.access_unit_octets,
    })
}

/// What the media half does with a codec; `None` for what it cannot pass.
fn format(codec: &sdp::AgreedCodec) -> Option<StreamFormat> {
    let name = |n: &str| codec.codec.name.eq_ignore_ascii_case(n);
    let is = |n: &str| name(n) && codec.codec.clock_hz == 8_000 && codec.codec.channels <= 1;
    let found = if is("PCMU") {
        StreamCodec::Pcmu
    } else if is("PCMA") {
        StreamCodec::Pcma
    } else if is("G722") {
        StreamCodec::G722
    } else if is("CN") {
        StreamCodec::ComfortNoise
    } else if is("telephone-event") {
        StreamCodec::TelephoneEvent
    } else if name("X-H264UC") {
        StreamCodec::H264Uc
    } else if name("H264") {
        // RFC 6184 §8.1: without packetization-mode it is 0.
        let mode = codec.remote_fmtp.as_deref().and_then(packetization_mode).unwrap_or(0);
        StreamCodec::H264 { single_nal: mode == 0 }
    } else {
        return None;
    };
    Some(StreamFormat { send: codec.send_pt, receive: codec.receive_pt, codec: found })
}

fn packetization_mode(fmtp: &str) -> Option<u8> {
    fmtp.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("packetization-mode").then(|| value.trim().parse().ok())?
    })
}

/// The kind of an m-line that the bridge has.
pub(super) const fn kind(kind: &sdp::MediaKind) -> Option<StreamKind> {
    match kind {
        sdp::MediaKind::Audio => Some(StreamKind::Audio),
        sdp::MediaKind::Video => Some(StreamKind::Video),
        _ => None,
    }
}

/// This side's half of ICE, for a description. Only what was selected, once something was.
pub(super) fn local_ice(ice: &LocalIce, pairs: Option<&[ice::SelectedPair]>) -> sdp::LocalIce {
    let candidates = match pairs {
        Some(pairs) => pairs.iter().map(|pair| candidate(&pair.local_candidate)).collect(),
        None => ice.candidates.iter().map(candidate).collect(),
    };
    sdp::LocalIce {
        ufrag: ice.credentials.ufrag.clone(),
        pwd: ice.credentials.pwd.clone(),
        candidates,
    }
}

fn candidate(from: &ice::Candidate) -> sdp::Candidate {
    sdp::Candidate {
        foundation: from.foundation.clone(),
        component: from.component,
        transport: match from.transport {
            ice::CandidateTransport::Udp => sdp::CandidateTransport::Udp,
            ice::CandidateTransport::TcpActive => sdp::CandidateTransport::TcpActive,
            ice::CandidateTransport::TcpPassive => sdp::CandidateTransport::TcpPassive,
            ice::CandidateTransport::TcpSo => sdp::CandidateTransport::TcpSo,
        },
        priority: from.priority,
        address: from.address,
        name: None,
        kind: match from.kind {
            ice::CandidateKind::Host => sdp::CandidateKind::Host,
            ice::CandidateKind::Srflx => sdp::CandidateKind::Srflx,
            ice::CandidateKind::Prflx => sdp::CandidateKind::Prflx,
            ice::CandidateKind::Relay => sdp::CandidateKind::Relay,
        },
        related: from.related,
        extensions: Vec::new(),
    }
}

fn remote_ice(from: &sdp::RemoteIce) -> RemoteIce {
    RemoteIce {
        credentials: ice::Credentials::new(from.ufrag.as_str(), from.pwd.as_str()),
        candidates: from.candidates.iter().filter_map(remote_candidate).collect(),
        lite: from.lite,
    }
}

/// What an agent can pair: an address, a transport and a type that it knows.
fn remote_candidate(from: &sdp::Candidate) -> Option<ice::Candidate> {
    if from.name.is_some() {
        return None;
    }
    Some(ice::Candidate {
        foundation: from.foundation.clone(),
        component: from.component,
        transport: match from.transport {
            sdp::CandidateTransport::Udp => ice::CandidateTransport::Udp,
            sdp::CandidateTransport::TcpActive => ice::CandidateTransport::TcpActive,
            sdp::CandidateTransport::TcpPassive => ice::CandidateTransport::TcpPassive,
            sdp::CandidateTransport::TcpSo => ice::CandidateTransport::TcpSo,
            _ => return None,
        },
        priority: from.priority,
        address: from.address,
        kind: match from.kind {
            sdp::CandidateKind::Host => ice::CandidateKind::Host,
            sdp::CandidateKind::Srflx => ice::CandidateKind::Srflx,
            sdp::CandidateKind::Prflx => ice::CandidateKind::Prflx,
            sdp::CandidateKind::Relay => ice::CandidateKind::Relay,
            _ => return None,
        },
        related: from.related,
    })
}
