//! Writing the sections of an offer, and reading the answer to it.

use super::answer::{lync_proto, role_of};
use super::bundle::{self, Peer};
use super::codecs::{codecs_of, drop_orphans, match_codec};
use super::dtls::{self, Dtls};
use super::history::SectionState;
use super::write::{Section, Written};
use super::{keys, remote};
use crate::{
    AgreedCodec, AgreedMedia, Codec, ConnectionUse, Crypto, Dialect, Direction, EncryptionLevel,
    HeaderExtension, LocalMedia, MediaKind, MediaView, MismatchCause, Profile, Proto, Refusal,
    RefusalReason, SessionDescription, Setup, Why, read_answer_encryption,
};

/// What a section of an own offer said.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) kind: MediaKind,
    /// `None`: offered with port 0.
    pub(crate) used: Option<OfferedUse>,
    pub(crate) state: SectionState,
}

impl Offered {
    /// The numbers that the offer has, with their codecs.
    pub(crate) fn offered_numbers(&self) -> &[(u8, Codec)] {
        self.used.as_ref().map_or(&[], |used| used.codecs.as_slice())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct OfferedUse {
    codecs: Vec<(u8, Codec)>,
    encryption: EncryptionLevel,
    crypto: Vec<Crypto>,
    direction: Direction,
    rtcp_mux: bool,
    secure: bool,
    /// Our role, where there is one to play.
    setup: Option<Setup>,
    /// Keys come from DTLS.
    dtls: bool,
    connection_use: ConnectionUse,
    before: Option<SectionState>,
}

/// How a section is offered.
pub(crate) struct Offering<'p, 'l> {
    pub(crate) profile: &'p Profile,
    pub(crate) kind: MediaKind,
    pub(crate) local: &'l LocalMedia,
    /// The codecs to offer; not empty.
    pub(crate) codecs: &'p [Codec],
    /// What this side wants, beside [`LocalMedia::direction`].
    pub(crate) direction: Direction,
    /// What the section was before.
    pub(crate) before: Option<&'p SectionState>,
    pub(crate) video_kbps: Option<u32>,
    pub(crate) mid: Option<String>,
}

pub(crate) fn offer<'l>(offering: Offering<'_, 'l>) -> (Written<'l>, Offered) {
    let Offering { profile, kind, local, codecs, direction, before, video_kbps, mid } = offering;
    let codecs = number(codecs, before.map_or(&[], |b| &b.bound));
    let dtls = profile.dtls && local.dtls.is_some() && profile.encryption != EncryptionLevel::None;
    let (encryption, cryptoscale, crypto) = protection(profile, local, before, dtls);
    let secure = encryption == EncryptionLevel::Required;
    let sharing = kind == MediaKind::ApplicationSharing;
    let tcp = sharing || before.is_some_and(|b| b.proto.profile().tcp);
    let proto = match profile.dialect {
        _ if dtls => Proto::new("UDP/TLS/RTP/SAVPF"),
        Dialect::Lync => lync_proto(tcp, secure),
        Dialect::Standard => offer_proto(before, secure),
    };
    let direction = direction.and(local.direction);
    let setup = if dtls { Some(local.setup.unwrap_or(Setup::ActPass)) } else { local.setup };
    let setup = setup.filter(|_| dtls || tcp);
    let extensions = own_extensions(profile, before);
    let known = || before.and_then(|b| b.label.clone());
    let label = local.label.clone().or_else(known).or_else(|| default_role(profile, &kind));
    let section = Section {
        kind: kind.clone(),
        proto: proto.clone(),
        codecs: codecs.clone(),
        local,
        cryptoscale,
        crypto: crypto.clone(),
        direction,
        rtcp_mux: profile.rtcp_mux,
        rtcp_rsize: profile.rtcp_rsize || (profile.dialect == Dialect::Lync && !sharing),
        with_ice: true,
        ice_mismatch: false,
        dtls,
        setup,
        connection_use: setup.filter(|_| tcp).map(|_| local.connection_use),
        mid: mid.clone(),
        shared: None,
        extensions: extensions.clone(),
        sharing: local.sharing.clone().filter(|_| sharing),
        feedback: profile.feedback,
        content_main: kind == MediaKind::Video && !profile.bundle,
        modern: true,
        label: label.clone(),
        video_kbps: video_kbps.filter(|_| kind == MediaKind::Video),
        maxptime: true,
    };
    let formats = codecs.iter().map(|(pt, _)| pt.to_string()).collect();
    let state = SectionState {
        used: true,
        bound: bind(&codecs, before.map_or(&[], |b| &b.bound)),
        label,
        mid,
        extensions,
        ..SectionState::unused(kind.clone(), proto, formats)
    };
    let used = OfferedUse {
        codecs,
        encryption,
        crypto,
        direction,
        rtcp_mux: profile.rtcp_mux,
        secure,
        setup,
        dtls,
        connection_use: local.connection_use,
        before: before.cloned(),
    };
    (Written::Used(Box::new(section)), Offered { kind, used: Some(used), state })
}

/// What an offer says of encryption: its level, and the key lines.
fn protection(
    profile: &Profile,
    local: &LocalMedia,
    before: Option<&SectionState>,
    dtls: bool,
) -> (EncryptionLevel, Option<Crypto>, Vec<Crypto>) {
    if dtls {
        return (EncryptionLevel::Required, None, Vec::new());
    }
    // [MS-SDPEXT]: once SRTP is there, every later offer of the session is RTP/SAVP.
    let level = match (profile.encryption, before) {
        (EncryptionLevel::Supported, Some(b)) if b.used && b.encrypted => EncryptionLevel::Required,
        (level, _) => level,
    };
    let (cryptoscale, crypto) = match level {
        EncryptionLevel::None => (None, Vec::new()),
        _ => keys::offer_keys(profile, local),
    };
    match level {
        // Without keys there is nothing to support.
        EncryptionLevel::Supported if crypto.is_empty() => {
            (EncryptionLevel::None, cryptoscale, crypto)
        }
        level => (level, cryptoscale, crypto),
    }
}

/// A section that is there and not used.
pub(crate) fn unused<'l>(state: SectionState) -> (Written<'l>, Offered) {
    let written = Written::unused(&state);
    let kind = state.kind.clone();
    let state = SectionState { used: false, bundled: false, ..state };
    (written, Offered { kind, used: None, state })
}

/// Reads an answer. Per section: what was agreed, and the section's new state.
pub(crate) fn read_answer(
    profile: &Profile,
    offered: &[Offered],
    answer: &SessionDescription,
) -> Result<(Vec<AgreedMedia>, Vec<SectionState>), Refusal> {
    if answer.media.len() != offered.len() {
        return Err(Refusal::new(RefusalReason::MediaCount, None));
    }
    bundle::check_mids(answer)?;
    let mut agreed = Vec::with_capacity(offered.len());
    let mut states = Vec::with_capacity(offered.len());
    let peers = bundle::peers(profile, answer);
    for (index, (section, peer)) in offered.iter().zip(&peers).enumerate() {
        let view = &peer.view;
        let refusal = |reason| Refusal::new(reason, Some(index));
        // RFC 3264 §6: the types match, section by section.
        if view.kind() != section.kind {
            return Err(refusal(RefusalReason::MediaType));
        }
        let mut state = section.state.clone();
        // RFC 5888 §9: an answer has the offer's tag where it has one.
        if let (Some(ours), Some(theirs)) = (&state.mid, view.mid())
            && ours != theirs
        {
            return Err(refusal(RefusalReason::Mid));
        }
        let mut outcome = match &section.used {
            Some(used) if view.port() != 0 => {
                let (outcome, association) = read_section(profile, used, peer).map_err(refusal)?;
                state.association = association;
                outcome
            }
            Some(_) => AgreedMedia::refused(section.kind.clone(), Why::RefusedByOtherSide),
            // What an answer makes of a section that was not offered does not count.
            None => AgreedMedia::refused(section.kind.clone(), Why::Unused),
        };
        outcome.mid = state.mid.clone().filter(|_| outcome.accepted);
        outcome.header_extensions.retain(|extension| state.extensions.contains(extension));
        state.used = outcome.accepted;
        state.encrypted = outcome.encryption;
        agreed.push(outcome);
        states.push(state);
    }
    Ok((agreed, states))
}

fn read_section(
    profile: &Profile,
    offered: &OfferedUse,
    peer: &Peer<'_>,
) -> Result<(AgreedMedia, Option<dtls::Association>), RefusalReason> {
    let view = &peer.view;
    let codecs = answered_codecs(offered, view);
    if codecs.is_empty() {
        return Err(RefusalReason::FormatNotOffered);
    }
    if !view.profile().rtp || view.profile().dtls != offered.dtls {
        return Err(RefusalReason::Transport);
    }
    let rtcp_mux = offered.rtcp_mux && view.rtcp_mux();
    let mut agreed = AgreedMedia {
        accepted: true,
        remote: remote::remote_media(profile, peer, rtcp_mux),
        header_extensions: remote::extensions(profile, view),
        connection_use: view.connection_use().unwrap_or_default().answer(offered.connection_use),
        codecs,
        // What an answer allows beyond the offer is not used (RFC 3264 §6.1).
        direction: offered.direction.and(view.effective_direction().reversed()),
        rtcp_mux,
        rtcp_rsize: remote::rtcp_rsize(profile, view),
        feedback: remote::feedback(profile, view),
        send_limit_bps: remote::send_limit_bps(profile, view),
        ptime_ms: view.ptime(),
        ..AgreedMedia::empty(view.kind())
    };
    if offered.dtls {
        let setup = offered.setup.unwrap_or(Setup::ActPass);
        let dtls = dtls::read_answer(peer, setup, offered.before.as_ref())?;
        let dtls = dtls.ok_or(RefusalReason::EncryptionMismatch(MismatchCause::NoUsableKey))?;
        let association = Dtls::association(&dtls);
        agreed.encryption = true;
        agreed.setup = Some(dtls.setup);
        agreed.dtls = Some(dtls.agreed);
        return Ok((agreed, Some(association)));
    }
    agreed.setup = answered_setup(offered, view)?;
    if let Some((theirs, ours)) = answered_keys(profile, offered, view)? {
        agreed.encryption = true;
        agreed.remote.crypto = Some(theirs);
        agreed.local_crypto = Some(ours);
    }
    Ok((agreed, None))
}

/// The key lines in both directions; `None` in clear.
fn answered_keys(
    profile: &Profile,
    offered: &OfferedUse,
    view: &MediaView<'_>,
) -> Result<Option<(Crypto, Crypto)>, RefusalReason> {
    let answered = view.crypto();
    let taken = answered.iter().find_map(|theirs| {
        let ours =
            offered.crypto.iter().find(|o| o.tag == theirs.tag && o.suite == theirs.suite)?;
        keys::is_usable(profile, theirs).then(|| (theirs.clone(), ours.clone()))
    });
    let key = (!answered.is_empty()).then_some(taken.is_some());
    let lenient = profile.dialect == Dialect::Standard;
    // RFC 3264 §6 answers RTP/SAVP with RTP/SAVP; in Lync's dialect RTP/AVP may become it.
    let secure = view.profile().secure;
    if !offered.secure && secure && offered.encryption == EncryptionLevel::None && key.is_none() {
        return Err(RefusalReason::Transport);
    }
    let encryption = read_answer_encryption(offered.encryption, secure, key, lenient)
        .map_err(RefusalReason::EncryptionMismatch)?;
    Ok(taken.filter(|_| encryption))
}

/// Our role over TCP (RFC 4145 §4.1), where both sides speak of one.
fn answered_setup(
    offered: &OfferedUse,
    view: &MediaView<'_>,
) -> Result<Option<Setup>, RefusalReason> {
    let (Some(ours), Some(theirs)) = (offered.setup, view.setup()) else {
        return Ok(offered.setup);
    };
    if !ours.admits(theirs) {
        return Err(RefusalReason::Setup);
    }
    Ok(Some(theirs.counterpart()))
}

/// The header extensions of an offer: numbers that are given stay (RFC 8285 §6), the others are
/// the first free ones.
fn own_extensions(profile: &Profile, before: Option<&SectionState>) -> Vec<HeaderExtension> {
    let given = before.map_or(&[][..], |b| &b.extensions);
    let mut found: Vec<HeaderExtension> = Vec::new();
    for uri in &profile.header_extensions {
        let free = |id: &u16| given.iter().chain(&found).all(|e| e.id != *id);
        let id = match given.iter().find(|e| e.uri == *uri) {
            Some(known) => Some(known.id),
            None => (1..15).find(free),
        };
        found.extend(id.map(|id| HeaderExtension { id, uri: uri.clone() }));
    }
    found
}

/// The answered codecs, with our payload types beside theirs. RFC 3264 §6.1 lets an answer use
/// other numbers, so encodings decide, not numbers.
fn answered_codecs(offered: &OfferedUse, view: &MediaView<'_>) -> Vec<AgreedCodec> {
    let mut found: Vec<AgreedCodec> = Vec::new();
    let mapped = codecs_of(view);
    for pt in view.payload_types() {
        let free = |found: &[AgreedCodec], our_pt: u8| found.iter().all(|f| f.receive_pt != our_pt);
        let theirs = mapped.iter().find(|(their_pt, _)| *their_pt == pt).map(|(_, codec)| codec);
        let ours = match theirs {
            Some(theirs) => {
                let same = |(our_pt, our): &&(u8, Codec)| {
                    match_answered(our, theirs) && free(&found, *our_pt)
                };
                let by_number =
                    offered.codecs.iter().filter(same).find(|(our_pt, _)| *our_pt == pt);
                by_number.or_else(|| offered.codecs.iter().find(same))
            }
            // Some answers leave out the rtpmap of a dynamic number that we offered.
            None => offered.codecs.iter().find(|(our_pt, _)| *our_pt == pt && free(&found, pt)),
        };
        if let Some((our_pt, our)) = ours {
            found.push(AgreedCodec {
                codec: our.clone(),
                send_pt: pt,
                receive_pt: *our_pt,
                remote_fmtp: view.fmtp(pt).map(Into::into),
            });
        }
    }
    if !offered.codecs.iter().all(|(_, codec)| codec.is_auxiliary()) {
        drop_orphans(&mut found, |f| &f.codec);
    }
    found
}

/// Whether an answered codec is one that we offered. Answers leave out or change parameters that
/// offers are strict about, so only H.264's packetization mode counts, and only when it is said.
fn match_answered(ours: &Codec, theirs: &Codec) -> bool {
    if !ours.name.eq_ignore_ascii_case("H264") {
        return ours.is_same_encoding(theirs);
    }
    match theirs.fmtp.as_deref() {
        None => ours.is_same_encoding(theirs),
        Some(fmtp) if crate::Parameters::new(fmtp).get("packetization-mode").is_some() => {
            match_codec(ours, theirs).is_some()
        }
        Some(_) => ours.is_same_encoding(theirs),
    }
}

/// Payload types for an offer: those that are bound already, then the preferred ones, then free
/// dynamic ones.
fn number(codecs: &[Codec], bound: &[(u8, Codec)]) -> Vec<(u8, Codec)> {
    let mut taken: Vec<u8> = bound.iter().map(|(pt, _)| *pt).collect();
    let mut numbered: Vec<(u8, Codec)> = Vec::with_capacity(codecs.len());
    for codec in codecs {
        let again = bound.iter().find(|(pt, b)| {
            match_codec(codec, b).is_some() && numbered.iter().all(|(used, _)| used != pt)
        });
        let preferred = codec.payload_type.filter(|pt| !taken.contains(pt));
        let free = || (96..128).chain(35..64).find(|pt| !taken.contains(pt));
        let Some(pt) = again.map(|(pt, _)| *pt).or(preferred).or_else(free) else {
            // RFC 3551 §3: there are no more numbers.
            break;
        };
        taken.push(pt);
        numbered.push((pt, Codec { payload_type: Some(pt), ..codec.clone() }));
    }
    numbered
}

/// RFC 3264 §8.3.2: what a number has once meant in a section it means for the whole session.
pub(super) fn bind(new: &[(u8, Codec)], before: &[(u8, Codec)]) -> Vec<(u8, Codec)> {
    let mut bound = new.to_vec();
    for (pt, codec) in before {
        if bound.iter().all(|(known, _)| known != pt) {
            bound.push((*pt, codec.clone()));
        }
    }
    bound
}

fn offer_proto(before: Option<&SectionState>, secure: bool) -> Proto {
    // AVPF stays AVPF in a session that has begun with it.
    let feedback = before.is_some_and(|b| b.used && b.proto.profile().feedback);
    Proto::new(match (secure, feedback) {
        (true, false) => "RTP/SAVP",
        (true, true) => "RTP/SAVPF",
        (false, false) => "RTP/AVP",
        (false, true) => "RTP/AVPF",
    })
}

fn default_role(profile: &Profile, kind: &MediaKind) -> Option<String> {
    match profile.dialect {
        Dialect::Lync => role_of(kind).map(Into::into),
        Dialect::Standard => None,
    }
}
