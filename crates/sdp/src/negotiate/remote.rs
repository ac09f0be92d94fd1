//! What a peer's section says about the peer.

use core::net::SocketAddr;

use crate::media_view::UNSPECIFIED;
use crate::{Dialect, Feedback, IceMode, MediaKind, MediaView, Profile, RemoteIce, RemoteMedia};

/// Addresses, ICE and labels of the peer. The key is filled in by the caller.
pub(crate) fn remote_media(profile: &Profile, view: &MediaView<'_>, rtcp_mux: bool) -> RemoteMedia {
    let connection = view.connection();
    let none = SocketAddr::new(UNSPECIFIED, view.port());
    let address = view.rtp_address().unwrap_or(none);
    let rtcp_address = if rtcp_mux { address } else { view.rtcp_address().unwrap_or(none) };
    RemoteMedia {
        address,
        rtcp_address,
        host: connection.filter(|c| c.ip().is_none()).map(|c| c.host.into()),
        ice: remote_ice(profile, view),
        crypto: None,
        ssrc_range: view.ssrc_range(),
        label: view.label().map(Into::into),
        remote_candidates: view.remote_candidates(),
    }
}

/// RFC 8839 §4.2.5: a peer without candidates, credentials or with `a=ice-mismatch` does no ICE.
fn remote_ice(profile: &Profile, view: &MediaView<'_>) -> Option<RemoteIce> {
    if profile.ice == IceMode::None || view.ice_mismatch() {
        return None;
    }
    let (ufrag, pwd) = view.ice_credentials()?;
    let candidates = view.candidates();
    let lite = view.ice_lite();
    Some(RemoteIce { ufrag: ufrag.into(), pwd: pwd.into(), candidates, lite })
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

/// The most that the peer wants to receive, in bit/s.
pub(crate) fn send_limit_bps(view: &MediaView<'_>) -> Option<u64> {
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
