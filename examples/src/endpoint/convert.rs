//! Between the values of descriptions and those of ICE and media.

use linkspan_gateway::{LocalIce, RemoteIce};
use linkspan_ice as ice;
use linkspan_sdp as sdp;

pub(super) fn local_ice(from: &LocalIce) -> sdp::LocalIce {
    sdp::LocalIce {
        ufrag: from.credentials.ufrag.clone(),
        pwd: from.credentials.pwd.clone(),
        candidates: from.candidates.iter().map(local_candidate).collect(),
        ..sdp::LocalIce::default()
    }
}

fn local_candidate(from: &ice::Candidate) -> sdp::Candidate {
    let transport = match from.transport {
        ice::CandidateTransport::Udp => sdp::CandidateTransport::Udp,
        ice::CandidateTransport::TcpActive => sdp::CandidateTransport::TcpActive,
        ice::CandidateTransport::TcpPassive => sdp::CandidateTransport::TcpPassive,
        ice::CandidateTransport::TcpSo => sdp::CandidateTransport::TcpSo,
    };
    let kind = match from.kind {
        ice::CandidateKind::Host => sdp::CandidateKind::Host,
        ice::CandidateKind::Srflx => sdp::CandidateKind::Srflx,
        ice::CandidateKind::Prflx => sdp::CandidateKind::Prflx,
        ice::CandidateKind::Relay => sdp::CandidateKind::Relay,
    };
    let mut to = sdp::Candidate::new(
        &from.foundation,
        from.component,
        transport,
        from.priority,
        from.address,
        kind,
    );
    to.related = from.related;
    to
}

pub(super) fn remote_ice(from: &sdp::RemoteIce) -> RemoteIce {
    RemoteIce {
        credentials: ice::Credentials::new(from.ufrag.as_str(), from.pwd.as_str()),
        candidates: from.candidates.iter().filter_map(remote_candidate).collect(),
        lite: from.lite,
    }
}

/// What an agent can pair: UDP, an address, and a type it knows.
fn remote_candidate(from: &sdp::Candidate) -> Option<ice::Candidate> {
    if from.name.is_some() || from.transport != sdp::CandidateTransport::Udp {
        return None;
    }
    let kind = match from.kind {
        sdp::CandidateKind::Host => ice::CandidateKind::Host,
        sdp::CandidateKind::Srflx => ice::CandidateKind::Srflx,
        sdp::CandidateKind::Prflx => ice::CandidateKind::Prflx,
        sdp::CandidateKind::Relay => ice::CandidateKind::Relay,
        _ => return None,
    };
    Some(ice::Candidate {
        kind,
        related: from.related,
        ..ice::Candidate::host(&from.foundation, from.component, from.address, from.priority)
    })
}

/// RFC 6184 §8.1: without the parameter, packetization-mode is 0.
pub(super) fn is_single_nal(codec: &sdp::AgreedCodec) -> bool {
    let fmtp = codec.remote_fmtp.as_deref().unwrap_or_default();
    let mode = fmtp.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("packetization-mode").then(|| value.trim().to_owned())
    });
    mode.as_deref().unwrap_or("0") == "0"
}
