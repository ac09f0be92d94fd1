//! What a peer's section says about the peer.

use core::net::SocketAddr;

use super::bundle::Peer;
use crate::media_view::UNSPECIFIED;
use crate::{
    CandidateTransport, Dialect, Feedback, HeaderExtension, IceMode, MediaKind, MediaView, Profile,
    RemoteIce, RemoteMedia,
};

/// Addresses, ICE and labels of the peer. The key is filled in by the caller.
pub(crate) fn remote_media(profile: &Profile, peer: &Peer<'_>, rtcp_mux: bool) -> RemoteMedia {
    let view = &peer.view;
    let connection = view.connection();
    let none = SocketAddr::new(UNSPECIFIED, view.port());
    let address = view.rtp_address().unwrap_or(none);
    let rtcp_address = if rtcp_mux { address } else { view.rtcp_address().unwrap_or(none) };
    RemoteMedia {
        address,
        rtcp_address,
        host: connection.filter(|c| c.ip().is_none()).map(|c| c.host.into()),
        ice: remote_ice(profile, &peer.transport),
        crypto: None,
        ssrc_range: view.ssrc_range(),
        label: view.label().map(Into::into),
        remote_candidates: view.remote_candidates(),
        source_stream_id: view.source_stream_id(),
        bypass_id: view.bypass_id().map(Into::into),
        video_capabilities: view.video_capabilities().collect(),
        sharing: view.application_sharing(),
    }
}

/// RFC 8839 §4.2.5: a peer without candidates, credentials or with `a=ice-mismatch` does no ICE.
pub(crate) fn remote_ice(profile: &Profile, view: &MediaView<'_>) -> Option<RemoteIce> {
    if profile.ice == IceMode::None || view.ice_mismatch() || has_mismatch(profile, view) {
        return None;
    }
    let (ufrag, pwd) = view.ice_credentials()?;
    Some(RemoteIce {
        ufrag: ufrag.into(),
        pwd: pwd.into(),
        candidates: view.candidates(),
        lite: view.ice_lite(),
        options: view.ice_options().map(Into::into).collect(),
        end_of_candidates: view.end_of_candidates(),
    })
}

/// RFC 8839 §4.2.5: the default address of a peer that does ICE is among its candidates, unless
/// something on the way has changed it. A trickling peer (port 9, no candidate yet) and names
/// cannot be judged; Lync's own dialect knows no mismatch.
pub(crate) fn has_mismatch(profile: &Profile, view: &MediaView<'_>) -> bool {
    if profile.ice != IceMode::Rfc8445 || view.ice_credentials().is_none() || view.port() == 9 {
        return false;
    }
    let Some(default) = view.rtp_address().filter(|a| !a.ip().is_unspecified()) else {
        return false;
    };
    let candidates = view.candidates();
    let judged = candidates.iter().filter(|c| c.component == 1).collect::<Vec<_>>();
    !judged.is_empty()
        && judged.iter().all(|c| {
            c.name.is_none() && (c.address != default || c.transport != CandidateTransport::Udp)
        })
}

/// The header extensions of a peer that we know, each under its number (RFC 8285 §6).
pub(crate) fn extensions(profile: &Profile, view: &MediaView<'_>) -> Vec<HeaderExtension> {
    let known = view.header_extensions().filter(|map| {
        (1..256).contains(&map.id) && profile.header_extensions.iter().any(|uri| uri == map.uri)
    });
    let mut found: Vec<HeaderExtension> = Vec::new();
    for map in known {
        if found.iter().all(|f| f.id != map.id && f.uri != map.uri) {
            found.push(HeaderExtension::of(&map));
        }
    }
    found
}

/// Reduced-size RTCP: both sides say so (RFC 5506 §5).
pub(crate) fn rtcp_rsize(profile: &Profile, view: &MediaView<'_>) -> bool {
    view.rtcp_rsize() && (profile.rtcp_rsize || profile.dialect == Dialect::Lync)
}

/// What a peer's section says about RTCP feedback, as an intersection with what we write.
pub(crate) fn feedback(profile: &Profile, view: &MediaView<'_>) -> Feedback {
    let mut found = Feedback::default();
    let ours = &profile.feedback;
    let video = view.kind() == MediaKind::Video;
    for line in view.rtcp_feedback() {
        match (profile.dialect, line.kind, line.parameters) {
            (Dialect::Standard, "nack", "") if video => found.nack = ours.nack,
            (Dialect::Standard, "nack", "pli") if video => found.pli = ours.pli,
            (Dialect::Standard, "ccm", "fir") if video => found.fir = ours.fir,
            (Dialect::Standard, "ccm", p) if video && p.starts_with("tmmbr") => {
                found.tmmbr = ours.tmmbr;
            }
            (Dialect::Lync, "x-message", _) => {
                found.send_source_request |= video && line.has_message("recv", "src");
                found.receive_source_request |= video && line.has_message("send", "src");
                found.send_ms_pli |= video && line.has_message("recv", "x-pli");
                found.receive_ms_pli |= video && line.has_message("send", "x-pli");
                found.receive_dominant_speaker |= !video && line.has_message("send", "dsh");
            }
            _ => {}
        }
    }
    found
}

/// The most that we may send, in bit/s: what the peer wants to receive, and what the policy of the
/// deployment allows.
pub(crate) fn send_limit_bps(profile: &Profile, view: &MediaView<'_>) -> Option<u64> {
    let policy = profile.max_video_rate.filter(|_| view.kind() == MediaKind::Video);
    let policy = policy.map(|rate| u64::from(rate.kbps()) * 1_000);
    match (peer_limit_bps(view), policy) {
        (Some(peer), Some(policy)) => Some(peer.min(policy)),
        (peer, policy) => peer.or(policy),
    }
}

/// The most that the peer wants to receive, in bit/s.
fn peer_limit_bps(view: &MediaView<'_>) -> Option<u64> {
    if let Some(limit) = view.media_bandwidth() {
        // [MS-SDPEXT] 3.1.5.28.1: the writer's recv is the limit of what it is sent; 0 is unsaid.
        return Some(u64::from(limit.receive_kbps) * 1_000).filter(|bps| *bps > 0);
    }
    // RFC 8866 §5.8: CT, and Lync's constant of it, limits nothing here.
    view.bandwidth_bps().or_else(|| {
        let session = view.session_bandwidths();
        let whole = session.filter_map(|b| match b.kind {
            "TIAS" => Some(b.value),
            "AS" => Some(b.value.saturating_mul(1_000)),
            _ => None,
        });
        let audio = if view.kind() == MediaKind::Video { AUDIO_BPS } else { 0 };
        whole.min().map(|bps| bps.saturating_sub(audio)).filter(|bps| *bps > 0)
    })
}

/// What audio takes of a session's bandwidth.
pub(crate) const AUDIO_BPS: u64 = 64_000;
