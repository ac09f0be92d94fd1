//! From descriptions to the media half, and back: `sdp` and `ice` know nothing of each other.

use linkspan_ice as ice;
use linkspan_sdp as sdp;

use super::command::{AgreedStream, Feedback, LocalIce, StreamCodec, StreamFormat};
use super::transport::{KeyError, MediaKey, RemoteIce, RemoteMedia};

impl TryFrom<&sdp::AgreedMedia> for AgreedStream {
    type Error = KeyError;

    /// What offer and answer agreed on, for a transport or the engine.
    fn try_from(media: &sdp::AgreedMedia) -> Result<Self, KeyError> {
        let key = |crypto: &sdp::Crypto| MediaKey::parse(&crypto.suite, &crypto.key_params);
        let keys = media.encryption;
        let feedback = &media.feedback;
        let mut agreed = Self::new(RemoteMedia {
            rtp: media.remote.address,
            rtcp: media.remote.rtcp_address,
            rtcp_mux: media.rtcp_mux,
            ice: media.remote.ice.as_ref().map(remote_ice),
            ssrc_range: media.remote.ssrc_range,
            reduced_size: media.rtcp_rsize,
        });
        agreed.send_key = media.local_crypto.as_ref().filter(|_| keys).map(key).transpose()?;
        agreed.receive_key = media.remote.crypto.as_ref().filter(|_| keys).map(key).transpose()?;
        agreed.formats = media.codecs.iter().filter_map(format).collect();
        agreed.receives = media.direction.receives();
        agreed.sends = media.direction.sends();
        agreed.feedback = Feedback {
            pli: feedback.pli,
            fir: feedback.fir,
            ms_pli: feedback.send_ms_pli,
            source_request: feedback.send_source_request,
        };
        let limit = media.send_limit_bps.and_then(|bps| u32::try_from(bps / 1_000).ok());
        agreed.max_video_kbps = limit.unwrap_or(u32::MAX);
        Ok(agreed)
    }
}

impl From<&LocalIce> for sdp::LocalIce {
    /// Credentials and candidates as a description writes them.
    fn from(ice: &LocalIce) -> Self {
        Self {
            ufrag: ice.credentials.ufrag.clone(),
            pwd: ice.credentials.pwd.clone(),
            candidates: ice.candidates.iter().map(candidate).collect(),
            ..Self::default()
        }
    }
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
