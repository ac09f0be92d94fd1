//! Writing the sections of an offer, and reading the answer to it.

use super::answer::{lync_proto, role_of};
use super::codecs::{codecs_of, drop_orphans, match_codec};
use super::history::SectionState;
use super::write::{Section, Written};
use super::{keys, remote};
use crate::{
    AgreedCodec, AgreedMedia, Codec, Crypto, Dialect, Direction, EncryptionLevel, LocalMedia,
    MediaKind, MediaView, Profile, Proto, Refusal, RefusalReason, SessionDescription,
    read_answer_encryption,
};

/// What a section of an own offer said.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) kind: MediaKind,
    /// `None`: offered with port 0.
    pub(crate) used: Option<OfferedUse>,
    pub(crate) state: SectionState,
}

#[derive(Clone, Debug)]
pub(crate) struct OfferedUse {
    codecs: Vec<(u8, Codec)>,
    encryption: EncryptionLevel,
    crypto: Vec<Crypto>,
    direction: Direction,
    rtcp_mux: bool,
    secure: bool,
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
}

pub(crate) fn offer<'l>(offering: Offering<'_, 'l>) -> (Written<'l>, Offered) {
    let Offering { profile, kind, local, codecs, direction, before, video_kbps } = offering;
    let codecs = number(codecs, before.map_or(&[], |b| &b.bound));
    // [MS-SDPEXT]: once SRTP is there, every later offer of the session is RTP/SAVP.
    let encryption = match (profile.encryption, before) {
        (EncryptionLevel::Supported, Some(b)) if b.used && b.encrypted => EncryptionLevel::Required,
        (level, _) => level,
    };
    let (cryptoscale, crypto) = match encryption {
        EncryptionLevel::None => (None, Vec::new()),
        _ => keys::offer_keys(profile, local),
    };
    // Without keys there is nothing to support.
    let encryption = match encryption {
        EncryptionLevel::Supported if crypto.is_empty() => EncryptionLevel::None,
        level => level,
    };
    let secure = encryption == EncryptionLevel::Required;
    let tcp = before.is_some_and(|b| b.proto.profile().tcp);
    let proto = match profile.dialect {
        Dialect::Lync => lync_proto(tcp, secure),
        Dialect::Standard => offer_proto(before, secure),
    };
    let direction = direction.and(local.direction);
    let label = local
        .label
        .clone()
        .or_else(|| before.and_then(|b| b.label.clone()))
        .or_else(|| default_role(profile, &kind));
    let section = Section {
        kind: kind.clone(),
        proto: proto.clone(),
        codecs: codecs.clone(),
        local,
        cryptoscale,
        crypto: crypto.clone(),
        direction,
        rtcp_mux: profile.rtcp_mux,
        with_ice: true,
        feedback: profile.feedback,
        content_main: kind == MediaKind::Video,
        modern: true,
        label: label.clone(),
        video_kbps: video_kbps.filter(|_| kind == MediaKind::Video),
        maxptime: true,
    };
    let state = SectionState {
        kind: kind.clone(),
        proto,
        formats: codecs.iter().map(|(pt, _)| pt.to_string()).collect(),
        used: true,
        encrypted: false,
        bound: codecs.clone(),
        label,
    };
    let rtcp_mux = profile.rtcp_mux;
    let used = OfferedUse { codecs, encryption, crypto, direction, rtcp_mux, secure };
    (Written::Used(Box::new(section)), Offered { kind, used: Some(used), state })
}

/// A section that is there and not used.
pub(crate) fn unused<'l>(state: SectionState) -> (Written<'l>, Offered) {
    let written = Written::Unused {
        kind: state.kind.clone(),
        proto: state.proto.clone(),
        formats: state.formats.clone(),
    };
    let kind = state.kind.clone();
    (written, Offered { kind, used: None, state: SectionState { used: false, ..state } })
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
    let mut agreed = Vec::with_capacity(offered.len());
    let mut states = Vec::with_capacity(offered.len());
    for (index, (section, view)) in offered.iter().zip(answer.media_views()).enumerate() {
        let refusal = |reason| Refusal::new(reason, Some(index));
        // RFC 3264 §6: the types match, section by section.
        if view.kind() != section.kind {
            return Err(refusal(RefusalReason::MediaType));
        }
        let mut state = section.state.clone();
        let outcome = match &section.used {
            Some(used) if view.port() != 0 => {
                read_section(profile, used, &view).map_err(refusal)?
            }
            _ => AgreedMedia::refused(section.kind.clone()),
        };
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
    view: &MediaView<'_>,
) -> Result<AgreedMedia, RefusalReason> {
    let codecs = answered_codecs(offered, view);
    if codecs.is_empty() {
        return Err(RefusalReason::FormatNotOffered);
    }
    if !view.profile().rtp || view.profile().dtls {
        return Err(RefusalReason::Transport);
    }
    let answered = view.crypto();
    let taken = answered.iter().find_map(|theirs| {
        let ours =
            offered.crypto.iter().find(|o| o.tag == theirs.tag && o.suite == theirs.suite)?;
        keys::is_usable(profile, theirs).then_some((theirs, ours))
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
    let rtcp_mux = offered.rtcp_mux && view.rtcp_mux();
    let mut remote = remote::remote_media(profile, view, rtcp_mux);
    let (theirs, ours) = match taken.filter(|_| encryption) {
        Some((theirs, ours)) => (Some(theirs.clone()), Some(ours.clone())),
        None => (None, None),
    };
    remote.crypto = theirs;
    Ok(AgreedMedia {
        kind: view.kind(),
        accepted: true,
        remote,
        local_crypto: ours,
        codecs,
        // What an answer allows beyond the offer is not used (RFC 3264 §6.1).
        direction: offered.direction.and(view.effective_direction().reversed()),
        rtcp_mux,
        rtcp_rsize: view.rtcp_rsize(),
        encryption,
        feedback: remote::feedback(profile, view),
        send_limit_bps: remote::send_limit_bps(view),
        ptime_ms: view.ptime(),
    })
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
