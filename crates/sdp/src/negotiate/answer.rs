//! Answering one section of an offer.

use super::codecs::{Chosen, codecs_of};
use super::history::SectionState;
use super::write::{Section, Written};
use super::{keys, remote};
use crate::{
    AgreedCodec, AgreedMedia, Crypto, Dialect, Direction, EncryptionLevel, LocalMedia, MediaKind,
    MediaView, MismatchCause, Profile, Proto, answer_encryption, classify_offer,
};

/// What a section of an offer says about encryption.
pub(crate) struct OfferedKeys {
    pub(crate) class: EncryptionLevel,
    /// The key to take.
    pub(crate) key: Option<Crypto>,
}

/// Reads it; `local` is `None` while our keys are not known yet.
pub(crate) fn offered_keys(
    profile: &Profile,
    view: &MediaView<'_>,
    local: Option<&LocalMedia>,
) -> Result<OfferedKeys, MismatchCause> {
    let key = keys::choose_offered(profile, view, local);
    let class = classify_offer(view.profile(), key.is_some(), view.encryption_hint())?;
    Ok(OfferedKeys { class, key })
}

/// Whether a section's transport can be used at all.
pub(crate) fn is_transport_usable(profile: &Profile, view: &MediaView<'_>) -> bool {
    let p = view.profile();
    // DTLS-SRTP needs a handshake that is not SDES; TCP is part of the Lync dialect only.
    p.rtp && !p.dtls && (!p.tcp || profile.dialect == Dialect::Lync)
}

/// Whether a section belongs to a kind that a profile negotiates.
pub(crate) const fn is_negotiable(kind: &MediaKind) -> bool {
    matches!(kind, MediaKind::Audio | MediaKind::Video)
}

/// A refusal that repeats the `m=` line of the offer (RFC 3264 §6).
pub(crate) fn refuse<'l>(view: &MediaView<'_>) -> (Written<'l>, AgreedMedia, SectionState) {
    let formats: Vec<String> = view.formats().map(Into::into).collect();
    let proto = Proto::new(view.proto());
    let written =
        Written::Unused { kind: view.kind(), proto: proto.clone(), formats: formats.clone() };
    let state = SectionState {
        kind: view.kind(),
        proto,
        formats,
        used: false,
        encrypted: false,
        bound: Vec::new(),
        label: None,
    };
    (written, AgreedMedia::refused(view.kind()), state)
}

/// How a section is answered.
pub(crate) struct Answering<'p, 'l> {
    pub(crate) profile: &'p Profile,
    pub(crate) local: &'l LocalMedia,
    /// The codecs to answer with; not empty.
    pub(crate) chosen: Vec<Chosen>,
    /// What this side wants, beside [`LocalMedia::direction`].
    pub(crate) direction: Direction,
    pub(crate) video_kbps: Option<u32>,
}

/// Answers with a set of codecs.
///
/// # Errors
///
/// When encryption levels do not match.
pub(crate) fn accept<'l>(
    answering: Answering<'_, 'l>,
    view: &MediaView<'_>,
) -> Result<(Written<'l>, AgreedMedia, SectionState), MismatchCause> {
    let Answering { profile, local, chosen, direction, video_kbps } = answering;
    let offered = offered_keys(profile, view, Some(local))?;
    let wanted = answer_encryption(offered.class, profile.encryption)?;
    let keys = match (wanted, &offered.key) {
        (true, Some(theirs)) => keys::answer_key(profile, theirs, local).map(|o| (theirs, o)),
        _ => None,
    };
    if wanted && keys.is_none() {
        return Err(MismatchCause::NoUsableKey);
    }
    let encryption = keys.is_some();
    let (remote_crypto, local_crypto) = match keys {
        Some((theirs, ours)) => (Some(theirs.clone()), Some(ours)),
        None => (None, None),
    };
    let rtcp_mux = profile.rtcp_mux && view.rtcp_mux();
    let mut remote = remote::remote_media(profile, view, rtcp_mux);
    remote.crypto = remote_crypto;
    let feedback = remote::feedback(profile, view);
    let wanted = local.direction.and(direction);
    // RFC 3264 §8.4: a peer that holds with 0.0.0.0 is not answered in a=recvonly, which it may
    // not know; nothing is sent to it all the same.
    let written_direction = view.direction().reversed().and(wanted);
    let direction = view.effective_direction().reversed().and(wanted);
    let label = answer_label(profile, view, local);
    let section = Section {
        kind: view.kind(),
        proto: answer_proto(profile, view, encryption),
        codecs: chosen.iter().map(|c| (c.payload_type, c.codec.clone())).collect(),
        local,
        cryptoscale: None,
        crypto: local_crypto.iter().cloned().collect(),
        direction: written_direction,
        rtcp_mux,
        // RFC 8839 §4.2.4: an answer does ICE when the offer does.
        with_ice: remote.ice.is_some(),
        feedback,
        content_main: view.content() == Some("main"),
        modern: is_modern(view),
        label: label.clone(),
        video_kbps: video_kbps.filter(|_| view.kind() == MediaKind::Video),
        maxptime: false,
    };
    let agreed = AgreedMedia {
        kind: view.kind(),
        accepted: true,
        remote,
        local_crypto,
        codecs: chosen.into_iter().map(agreed_codec).collect(),
        direction,
        rtcp_mux,
        rtcp_rsize: view.rtcp_rsize(),
        encryption,
        feedback,
        send_limit_bps: remote::send_limit_bps(view),
        ptime_ms: view.ptime(),
    };
    let state = SectionState {
        kind: section.kind.clone(),
        proto: section.proto.clone(),
        formats: section.codecs.iter().map(|(pt, _)| pt.to_string()).collect(),
        used: true,
        encrypted: encryption,
        bound: codecs_of(view),
        label,
    };
    Ok((Written::Used(Box::new(section)), agreed, state))
}

/// What an offer says about its side, before we answer it: no key of ours, all codecs.
pub(crate) fn preview(profile: &Profile, view: &MediaView<'_>, chosen: Vec<Chosen>) -> AgreedMedia {
    let key = offered_keys(profile, view, None).ok();
    let encrypted = key
        .as_ref()
        .is_some_and(|keys| answer_encryption(keys.class, profile.encryption).unwrap_or_default());
    let rtcp_mux = profile.rtcp_mux && view.rtcp_mux();
    let mut remote = remote::remote_media(profile, view, rtcp_mux);
    remote.crypto = key.and_then(|keys| keys.key).filter(|_| encrypted);
    AgreedMedia {
        kind: view.kind(),
        accepted: true,
        remote,
        local_crypto: None,
        codecs: chosen.into_iter().map(agreed_codec).collect(),
        direction: view.effective_direction().reversed(),
        rtcp_mux,
        rtcp_rsize: view.rtcp_rsize(),
        encryption: encrypted,
        feedback: remote::feedback(profile, view),
        send_limit_bps: remote::send_limit_bps(view),
        ptime_ms: view.ptime(),
    }
}

fn agreed_codec(chosen: Chosen) -> AgreedCodec {
    // RFC 3264 §6.1: we answer with the offerer's numbers, so both directions share them.
    let pt = chosen.payload_type;
    AgreedCodec {
        codec: chosen.codec,
        send_pt: pt,
        receive_pt: pt,
        remote_fmtp: chosen.remote_fmtp,
    }
}

/// The transport of an answer. RFC 3264 §6 repeats that of the offer; in Lync's dialect an offer
/// of `RTP/AVP` with keys is taken by `RTP/SAVP` and declined by `RTP/AVP`
/// (\[MS-SDPEXT\] 3.1.5.1).
fn answer_proto(profile: &Profile, view: &MediaView<'_>, encryption: bool) -> Proto {
    match profile.dialect {
        Dialect::Standard => Proto::new(view.proto()),
        Dialect::Lync => lync_proto(view.profile().tcp, encryption),
    }
}

pub(crate) fn lync_proto(tcp: bool, encryption: bool) -> Proto {
    Proto::new(match (tcp, encryption) {
        (false, true) => "RTP/SAVP",
        (false, false) => "RTP/AVP",
        (true, true) => "TCP/RTP/SAVP",
        (true, false) => "TCP/RTP/AVP",
    })
}

/// Role names are Lync's own; a number of a standards peer is its own too.
fn answer_label(profile: &Profile, view: &MediaView<'_>, local: &LocalMedia) -> Option<String> {
    match profile.dialect {
        Dialect::Lync => {
            local.label.clone().or_else(|| view.label().map(Into::into)).or_else(|| role(view))
        }
        Dialect::Standard => local.label.clone(),
    }
}

fn role(view: &MediaView<'_>) -> Option<String> {
    role_of(&view.kind()).map(Into::into)
}

pub(crate) const fn role_of(kind: &MediaKind) -> Option<&'static str> {
    match kind {
        MediaKind::Audio => Some("main-audio"),
        MediaKind::Video => Some("main-video"),
        _ => None,
    }
}

/// Whether the peer writes what came with Lync 2013.
fn is_modern(view: &MediaView<'_>) -> bool {
    view.attributes().any(|a| matches!(a.name, "x-ssrc-range" | "x-source"))
        || view.rtcp_feedback().any(|fb| fb.kind == "x-message")
}
