//! Answering one section of an offer.

use super::bundle::Peer;
use super::codecs::{Chosen, codecs_of};
use super::dtls::{self, Association, Dtls};
use super::history::SectionState;
use super::offer::bind;
use super::write::{Section, Written};
use super::{keys, remote};
use crate::ms::ApplicationSharing;
use crate::{
    AgreedCodec, AgreedMedia, Crypto, Dialect, Direction, EncryptionLevel, LocalMedia, MediaKind,
    MediaView, MismatchCause, Profile, Proto, Setup, Why, answer_encryption, classify_offer,
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
    if view.profile().dtls {
        // RFC 5763: whoever offers DTLS-SRTP takes nothing else.
        return Ok(OfferedKeys { class: EncryptionLevel::Required, key: None });
    }
    let key = keys::choose_offered(profile, view, local);
    let class = classify_offer(view.profile(), key.is_some(), view.encryption_hint())?;
    Ok(OfferedKeys { class, key })
}

/// Why a section cannot be answered whatever its codecs; `None` when it can. `local` is `None`
/// while our side is not known yet.
pub(crate) fn unusable(
    profile: &Profile,
    peer: &Peer<'_>,
    local: Option<&LocalMedia>,
) -> Option<Why> {
    let view = &peer.view;
    let kind = view.kind();
    let sharing = kind == MediaKind::ApplicationSharing;
    let known = matches!(kind, MediaKind::Audio | MediaKind::Video)
        || (sharing && profile.dialect == Dialect::Lync && !profile.sharing.is_empty());
    if !known || (sharing && local.is_some_and(|l| l.sharing.is_none())) {
        return Some(Why::Kind);
    }
    let p = view.profile();
    // Over TCP is part of the Lync dialect only, and sharing is never without.
    let tcp = if sharing { p.tcp } else { !p.tcp || profile.dialect == Dialect::Lync };
    // RFC 8858 §3: whoever multiplexes only is not met without.
    let mux = profile.rtcp_mux || !view.rtcp_mux_only();
    if !p.rtp || !tcp || !mux || (p.dtls && !profile.dtls) {
        return Some(Why::Transport);
    }
    let certified =
        || dtls::has_fingerprint(&peer.transport) && local.is_none_or(|l| l.dtls.is_some());
    if p.dtls && !certified() {
        return Some(Why::Fingerprint);
    }
    local.filter(|local| is_out_of_reach(profile, peer, local)).map(|_| Why::AddressFamily)
}

/// RFC 6157 §4: without ICE, both sides have an address of one family.
fn is_out_of_reach(profile: &Profile, peer: &Peer<'_>, local: &LocalMedia) -> bool {
    let without_ice = local.ice.is_none() || remote::remote_ice(profile, &peer.transport).is_none();
    let theirs = peer.transport.connection().and_then(|c| c.ip());
    let theirs = theirs.filter(|ip| !ip.is_unspecified() && !local.address.is_unspecified());
    without_ice && theirs.is_some_and(|ip| ip.is_ipv4() != local.address.is_ipv4())
}

/// A refusal that repeats the `m=` line of the offer (RFC 3264 §6).
pub(crate) fn refuse<'l>(
    view: &MediaView<'_>,
    why: Why,
) -> (Written<'l>, AgreedMedia, SectionState) {
    let formats: Vec<String> = view.formats().map(Into::into).collect();
    let mid = view.mid().map(Into::into);
    let state = SectionState {
        mid,
        ..SectionState::unused(view.kind(), Proto::new(view.proto()), formats)
    };
    (Written::unused(&state), AgreedMedia::refused(view.kind(), why), state)
}

/// How a section is answered.
pub(crate) struct Answering<'p, 'l> {
    pub(crate) profile: &'p Profile,
    pub(crate) local: &'l LocalMedia,
    /// What the section was before.
    pub(crate) before: Option<&'p SectionState>,
    /// The codecs to answer with; not empty.
    pub(crate) chosen: Vec<Chosen>,
    /// What this side wants, beside [`LocalMedia::direction`].
    pub(crate) direction: Direction,
    pub(crate) video_kbps: Option<u32>,
}

/// What protects a section: key lines, or a DTLS association, or nothing.
#[derive(Default)]
struct Protection {
    /// Theirs and ours.
    keys: Option<(Crypto, Crypto)>,
    dtls: Option<Dtls>,
}

impl Protection {
    /// Writes it down; the association, where there is one.
    fn put_into(self, agreed: &mut AgreedMedia) -> Option<Association> {
        agreed.encryption = self.keys.is_some() || self.dtls.is_some();
        (agreed.remote.crypto, agreed.local_crypto) = self.keys.unzip();
        let dtls = self.dtls?;
        let association = dtls.association();
        agreed.setup = Some(dtls.setup);
        agreed.dtls = Some(dtls.agreed);
        Some(association)
    }
}

impl Answering<'_, '_> {
    fn protect(&self, peer: &Peer<'_>) -> Result<Protection, MismatchCause> {
        let Self { profile, local, before, .. } = self;
        if peer.view.profile().dtls {
            answer_encryption(EncryptionLevel::Required, profile.encryption)?;
            let dtls = dtls::answer(peer, local, *before).ok_or(MismatchCause::NoUsableKey)?;
            return Ok(Protection { dtls: Some(dtls), ..Protection::default() });
        }
        let offered = offered_keys(profile, &peer.view, Some(local))?;
        if !answer_encryption(offered.class, profile.encryption)? {
            return Ok(Protection::default());
        }
        let theirs = offered.key.ok_or(MismatchCause::NoUsableKey)?;
        let ours = keys::answer_key(profile, &theirs, local).ok_or(MismatchCause::NoUsableKey)?;
        Ok(Protection { keys: Some((theirs, ours)), ..Protection::default() })
    }
}

/// Answers with a set of codecs.
///
/// # Errors
///
/// When encryption levels do not match.
pub(crate) fn accept<'l>(
    answering: Answering<'_, 'l>,
    peer: &Peer<'_>,
) -> Result<(Written<'l>, AgreedMedia, SectionState), MismatchCause> {
    let protection = answering.protect(peer)?;
    let Answering { profile, local, before, chosen, direction, video_kbps } = answering;
    let view = &peer.view;
    let mut agreed = base(profile, peer, chosen);
    agreed.setup = tcp_setup(view, local);
    let association = protection.put_into(&mut agreed);
    agreed.connection_use = view.connection_use().unwrap_or_default().answer(local.connection_use);
    // RFC 3264 §8.4: a peer that holds with 0.0.0.0 is not answered in a=recvonly, which it may
    // not know; nothing is sent to it all the same.
    let wanted = local.direction.and(direction);
    let written_direction = view.direction().reversed().and(wanted);
    agreed.direction = agreed.direction.and(wanted);
    let label = answer_label(profile, view, local);
    let section = Section {
        kind: view.kind(),
        proto: answer_proto(profile, view, agreed.encryption),
        codecs: agreed.codecs.iter().map(|c| (c.receive_pt, c.codec.clone())).collect(),
        local,
        cryptoscale: None,
        crypto: agreed.local_crypto.iter().cloned().collect(),
        direction: written_direction,
        rtcp_mux: agreed.rtcp_mux,
        // [MS-SDPEXT] 3.1.5.30.3: whatever the offer has, it stands beside rtcp-fb.
        rtcp_rsize: agreed.rtcp_rsize
            || (profile.dialect == Dialect::Lync && agreed.kind != MediaKind::ApplicationSharing),
        // RFC 8839 §4.2.4: an answer does ICE when the offer does.
        with_ice: agreed.remote.ice.is_some(),
        ice_mismatch: remote::has_mismatch(profile, &peer.transport),
        dtls: agreed.dtls.is_some(),
        setup: agreed.setup,
        connection_use: view.connection_use().map(|_| agreed.connection_use),
        mid: agreed.mid.clone(),
        shared: None,
        extensions: agreed.header_extensions.clone(),
        sharing: answer_sharing(&agreed, local),
        feedback: agreed.feedback,
        content_main: view.content() == Some("main"),
        modern: is_modern(view),
        label: label.clone(),
        video_kbps: video_kbps.filter(|_| view.kind() == MediaKind::Video),
        maxptime: false,
    };
    let state = SectionState {
        used: true,
        encrypted: agreed.encryption,
        bound: bind(&codecs_of(view), before.map_or(&[], |b| &b.bound)),
        label,
        mid: agreed.mid.clone(),
        association,
        extensions: agreed.header_extensions.clone(),
        ..SectionState::unused(
            section.kind.clone(),
            section.proto.clone(),
            section.codecs.iter().map(|(pt, _)| pt.to_string()).collect(),
        )
    };
    Ok((Written::Used(Box::new(section)), agreed, state))
}

/// What an offer says about its side, before we answer it: no key of ours, all codecs.
pub(crate) fn preview(profile: &Profile, peer: &Peer<'_>, chosen: Vec<Chosen>) -> AgreedMedia {
    let key = offered_keys(profile, &peer.view, None).ok();
    let mut agreed = base(profile, peer, chosen);
    agreed.encryption = key
        .as_ref()
        .is_some_and(|keys| answer_encryption(keys.class, profile.encryption).unwrap_or_default());
    agreed.remote.crypto = key.and_then(|keys| keys.key).filter(|_| agreed.encryption);
    agreed
}

/// What an offer says, as far as our keys and wishes do not matter.
fn base(profile: &Profile, peer: &Peer<'_>, chosen: Vec<Chosen>) -> AgreedMedia {
    let view = &peer.view;
    let rtcp_mux = profile.rtcp_mux && view.rtcp_mux();
    AgreedMedia {
        accepted: true,
        remote: remote::remote_media(profile, peer, rtcp_mux),
        mid: view.mid().map(Into::into),
        header_extensions: remote::extensions(profile, view),
        codecs: chosen.into_iter().map(agreed_codec).collect(),
        direction: view.effective_direction().reversed(),
        rtcp_mux,
        rtcp_rsize: remote::rtcp_rsize(profile, view),
        feedback: remote::feedback(profile, view),
        send_limit_bps: remote::send_limit_bps(profile, view),
        ptime_ms: view.ptime(),
        ..AgreedMedia::empty(view.kind())
    }
}

/// The application that is shared, in the words of who answers.
fn answer_sharing(agreed: &AgreedMedia, local: &LocalMedia) -> Option<ApplicationSharing> {
    let ours = local.sharing.as_ref().filter(|_| agreed.kind == MediaKind::ApplicationSharing)?;
    let theirs = agreed.remote.sharing.as_ref();
    Some(theirs.map_or_else(|| ours.clone(), |theirs| theirs.answer(ours)))
}

/// RFC 4145 §4.1: who connects, where the offer says so.
fn tcp_setup(view: &MediaView<'_>, local: &LocalMedia) -> Option<Setup> {
    let offered = view.setup().filter(|_| view.profile().tcp)?;
    Some(offered.answer(local.setup.unwrap_or(Setup::Active)))
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
        MediaKind::ApplicationSharing => Some("applicationsharing"),
        _ => None,
    }
}

/// Whether the peer writes what came with Lync 2013.
fn is_modern(view: &MediaView<'_>) -> bool {
    view.attributes().any(|a| matches!(a.name, "x-ssrc-range" | "x-source"))
        || view.rtcp_feedback().any(|fb| fb.kind == "x-message")
}
