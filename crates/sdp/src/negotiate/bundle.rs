//! Sections that share a transport (BUNDLE, RFC 9143).

use super::history::SectionState;
use super::write::Written;
use crate::{AgreedMedia, MediaView, Profile, Refusal, RefusalReason, SessionDescription};

/// A section of a peer, and the one that speaks for its transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    pub(crate) view: MediaView<'a>,
    pub(crate) transport: MediaView<'a>,
}

impl<'a> Peer<'a> {
    pub(crate) const fn alone(view: MediaView<'a>) -> Self {
        Self { view, transport: view }
    }
}

/// The sections of a description. One that leaves its transport to the tagged section of its group
/// (RFC 9143 §7.1.3) has that one beside it.
pub(crate) fn peers<'a>(profile: &Profile, description: &'a SessionDescription) -> Vec<Peer<'a>> {
    let mut peers: Vec<Peer<'a>> = description.media_views().map(Peer::alone).collect();
    for members in groups(profile, description) {
        let tagged = members.first().and_then(|at| peers.get(*at)).map(|peer| peer.view);
        let Some(tagged) = tagged else { continue };
        for at in members {
            if let Some(peer) = peers.get_mut(at)
                && peer.view.attribute("ice-ufrag").is_none()
                && peer.view.attribute("fingerprint").is_none()
            {
                peer.transport = tagged;
            }
        }
    }
    peers
}

/// The BUNDLE groups of a description, as indices of its sections, the tagged one first; none
/// where the profile has no BUNDLE.
pub(crate) fn groups(profile: &Profile, description: &SessionDescription) -> Vec<Vec<usize>> {
    if !profile.bundle {
        return Vec::new();
    }
    let mids: Vec<Option<&str>> = description.media_views().map(|view| view.mid()).collect();
    let mut grouped = vec![false; mids.len()];
    let session = description.session();
    let bundles = session.groups().filter(|group| group.semantics == "BUNDLE");
    bundles
        .map(|group| {
            let find = |tag: &str| mids.iter().position(|mid| *mid == Some(tag));
            // RFC 9143 §7.1: a section is in one group.
            let mut first =
                |at: &usize| grouped.get_mut(*at).is_some_and(|g| !core::mem::replace(g, true));
            group.tags().filter_map(find).filter(|at| first(at)).collect()
        })
        .collect()
}

/// Whether the writer uses a section: with a port of its own, or in its group only.
pub(crate) fn is_used(
    profile: &Profile,
    groups: &[Vec<usize>],
    at: usize,
    view: &MediaView<'_>,
) -> bool {
    let grouped = || groups.iter().any(|members| members.contains(&at));
    view.port() != 0 || (profile.rtcp_mux && view.bundle_only() && view.rtcp_mux() && grouped())
}

/// RFC 5888 §5: no identification tag is there twice.
pub(crate) fn check_mids(description: &SessionDescription) -> Result<(), Refusal> {
    let mut seen: Vec<&str> = Vec::new();
    for (at, view) in description.media_views().enumerate() {
        let Some(mid) = view.mid() else { continue };
        if seen.contains(&mid) {
            return Err(Refusal::new(RefusalReason::Mid, Some(at)));
        }
        seen.push(mid);
    }
    Ok(())
}

/// Joins what an answer of ours accepts of each group, and returns the values of `a=group`.
pub(crate) fn answer(
    groups: &[Vec<usize>],
    written: &mut [Written<'_>],
    agreed: &mut [AgreedMedia],
    states: &mut [SectionState],
) -> Vec<String> {
    let mut lines = Vec::new();
    for members in groups {
        let joined: Vec<usize> =
            members.iter().copied().filter(|at| agreed.get(*at).is_some_and(can_share)).collect();
        share(&joined, agreed, states);
        write_shared(&joined, written);
        lines.extend(line(&joined, states));
    }
    lines
}

/// Groups the sections of an own offer. Those that share a transport already go on sharing it.
pub(crate) fn offer(
    before: &[SectionState],
    written: &mut [Written<'_>],
    states: &[SectionState],
) -> (Vec<usize>, Vec<String>) {
    let can = |at: &usize| match written.get(*at) {
        Some(Written::Used(section)) => section.rtcp_mux && section.crypto.is_empty(),
        _ => false,
    };
    let members: Vec<usize> = (0..written.len()).filter(can).collect();
    let shares = |at: &usize| before.get(*at).is_some_and(|b| b.used && b.bundled);
    let (sharing, others): (Vec<usize>, Vec<usize>) = members.iter().partition(|at| shares(at));
    write_shared(&sharing, written);
    let members = [sharing, others].concat();
    let lines = line(&members, states).into_iter().collect();
    (members, lines)
}

/// Reads the groups of an answer to an offer that had the sections `offered` in one.
pub(crate) fn read_answer(
    profile: &Profile,
    offered: &[usize],
    answer: &SessionDescription,
    agreed: &mut [AgreedMedia],
    states: &mut [SectionState],
) -> Result<(), Refusal> {
    for members in groups(profile, answer) {
        for at in &members {
            // RFC 9143 §7.3: what is in a group was offered in it, and is used.
            let legal = offered.contains(at) && agreed.get(*at).is_some_and(can_share);
            if !legal {
                return Err(Refusal::new(RefusalReason::Bundle, Some(*at)));
            }
        }
        share(&members, agreed, states);
    }
    Ok(())
}

/// RFC 9143 §9.3: RTCP is multiplexed. Key lines belong to one section, so with them each section
/// keeps its transport.
fn can_share(media: &AgreedMedia) -> bool {
    media.accepted && media.rtcp_mux && media.mid.is_some() && media.local_crypto.is_none()
}

/// Everything that belongs to the transport is the tagged section's.
fn share(members: &[usize], agreed: &mut [AgreedMedia], states: &mut [SectionState]) {
    let Some((tag, from)) = members.first().and_then(|at| Some((*at, agreed.get(*at)?.clone())))
    else {
        return;
    };
    for at in members {
        if let Some(media) = agreed.get_mut(*at) {
            media.bundle = Some(tag);
            media.remote.address = from.remote.address;
            media.remote.rtcp_address = from.remote.rtcp_address;
            media.remote.host.clone_from(&from.remote.host);
            media.remote.ice.clone_from(&from.remote.ice);
            media.dtls.clone_from(&from.dtls);
            media.setup = from.setup;
        }
        if let Some(state) = states.get_mut(*at) {
            state.bundled = true;
        }
    }
}

/// The sections behind the first have its transport.
fn write_shared(members: &[usize], written: &mut [Written<'_>]) {
    let Some((tag, others)) = members.split_first() else { return };
    let Some(Written::Used(tagged)) = written.get(*tag) else { return };
    let shared = tagged.local;
    for at in others {
        if let Some(Written::Used(section)) = written.get_mut(*at) {
            section.shared = Some(shared);
        }
    }
}

fn line(members: &[usize], states: &[SectionState]) -> Option<String> {
    let mids: Vec<&str> = members.iter().filter_map(|at| states.get(*at)?.mid.as_deref()).collect();
    (!mids.is_empty()).then(|| format!("BUNDLE {}", mids.join(" ")))
}

/// A tag for a section that has none: the first free number (JSEP writes such).
pub(crate) fn free_mid(sections: &[SectionState], given: &[Option<String>]) -> String {
    let taken = |mid: &str| {
        let written = sections.iter().map(|s| s.mid.as_deref());
        written.chain(given.iter().map(Option::as_deref)).any(|m| m == Some(mid))
    };
    (0_u32..).map(|n| n.to_string()).find(|mid| !taken(mid)).unwrap_or_default()
}
