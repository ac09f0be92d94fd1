//! Offer and answer for an endpoint (RFC 3264).

pub(crate) mod answer;
pub(crate) mod codecs;
pub(crate) mod history;
mod keys;
pub(crate) mod offer;
mod remote;
pub(crate) mod write;

use std::sync::{Arc, OnceLock};

use self::answer::Answering;
use self::history::{History, SectionState};
use self::offer::{Offered, Offering};
use crate::{
    Agreed, Direction, LocalMedia, MediaKind, MediaView, Profile, Proto, Refusal, RefusalReason,
    SessionDescription,
};

/// One side of a session: makes offers, answers them, and remembers what was written.
///
/// All offers and answers of a session go through one `Session`, so that versions rise, payload
/// types keep their meaning and sections keep their place. While a [`LocalOffer`] lives its answer
/// is awaited, and [`answer`](Self::answer) refuses with
/// [`OfferPending`](RefusalReason::OfferPending) (glare); dropping it withdraws the offer.
///
/// ```
/// use linkspan_sdp::{LocalMedia, Profile, Session};
///
/// let local = |port| LocalMedia {
///     address: [192, 0, 2, 1].into(),
///     rtp_port: port,
///     ..LocalMedia::default()
/// };
/// let (mut alice, mut bob) = (Session::new(Profile::standard()), Session::new(Profile::standard()));
/// let (offer, pending) = alice.offer(&[local(4000)]);
/// let (answer, at_bob) = bob.answer(&offer, &[local(5000)])?;
/// let at_alice = pending.accept(&answer)?;
/// assert_eq!(at_alice.media[0].codecs[0].codec.name, "G722");
/// assert_eq!(at_alice.media[0].remote.address.port(), 5000);
/// assert_eq!(at_bob.media[0].codecs[0].send_pt, 9);
/// # Ok::<(), linkspan_sdp::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    profile: Profile,
    history: History,
    pending: Option<Arc<OnceLock<Vec<SectionState>>>>,
}

/// An offer of ours whose answer is awaited.
///
/// A clone serves an answer of another branch (a forked INVITE), or the same answer that came
/// twice, first in a provisional response. The first one that is accepted counts for the session.
#[derive(Clone, Debug)]
pub struct LocalOffer {
    profile: Profile,
    offered: Vec<Offered>,
    outcome: Arc<OnceLock<Vec<SectionState>>>,
}

impl Session {
    /// A session before its first description.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, history: History::default(), pending: None }
    }

    /// Makes an offer, the first or a later one.
    ///
    /// One entry of `locals` per section: a port of 0, or a missing entry for a section that is
    /// there already, takes the section out of use; an entry beyond the last section adds one. A
    /// section out of use comes back, with another [`kind`](LocalMedia::kind) if need be, when its
    /// entry has a port again.
    ///
    /// A second offer while one is pending withdraws the first.
    pub fn offer(&mut self, locals: &[LocalMedia]) -> (SessionDescription, LocalOffer) {
        self.settle();
        let count = self.history.sections.len().max(locals.len());
        let (mut written, mut offered) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let before = self.history.sections.get(index);
            let local = locals.get(index).filter(|l| l.rtp_port != 0);
            let kind = match (before, local) {
                (Some(b), _) if b.used => b.kind.clone(),
                (b, local) => local
                    .and_then(|l| l.kind.clone())
                    .or_else(|| b.map(|b| b.kind.clone()))
                    .unwrap_or_else(|| self.default_kind(index)),
            };
            let codecs = self.profile.line_codecs(&kind, local);
            let (section, state) = match local {
                Some(local) if !codecs.is_empty() => offer::offer(Offering {
                    profile: &self.profile,
                    before: before.filter(|b| b.kind == kind),
                    kind,
                    local,
                    codecs,
                    direction: Direction::SendRecv,
                    video_kbps: self.profile.video_kbps,
                }),
                _ => offer::unused(before.cloned().unwrap_or_else(|| empty_section(kind, codecs))),
            };
            written.push(section);
            offered.push(state);
        }
        let description = self.history.write(&self.profile, &written, address_of(locals));
        // RFC 3264 §8.3.2: what was offered stays bound, whatever becomes of the offer.
        self.history.set_sections(keep_use(&self.history.sections, &offered));
        let outcome = Arc::new(OnceLock::new());
        self.pending = Some(Arc::clone(&outcome));
        (description, LocalOffer { profile: self.profile.clone(), offered, outcome })
    }

    /// Answers an offer of the peer, the first or a later one.
    ///
    /// One entry of `locals` per section of the offer; a section without an entry, or whose entry
    /// has port 0, is refused, as are those that cannot be answered.
    ///
    /// # Errors
    ///
    /// [`OfferPending`](RefusalReason::OfferPending) while an own offer waits for its answer;
    /// [`EncryptionMismatch`](RefusalReason::EncryptionMismatch), which one section is enough for;
    /// [`NoCommonCodec`](RefusalReason::NoCommonCodec) when no section that is wanted could be
    /// accepted; [`MediaRemoved`](RefusalReason::MediaRemoved).
    pub fn answer(
        &mut self,
        offer: &SessionDescription,
        locals: &[LocalMedia],
    ) -> Result<(SessionDescription, Agreed), Refusal> {
        self.settle();
        if self.is_offering() {
            return Err(Refusal::new(RefusalReason::OfferPending, None));
        }
        if offer.media.len() < self.history.sections.len() {
            return Err(Refusal::new(RefusalReason::MediaRemoved, None));
        }
        let mut written = Vec::with_capacity(offer.media.len());
        let mut agreed = Vec::with_capacity(offer.media.len());
        let mut states = Vec::with_capacity(offer.media.len());
        let mut wanted = false;
        for (index, view) in offer.media_views().enumerate() {
            let before = self.history.sections.get(index);
            check_later_section(before, &view).map_err(|r| Refusal::new(r, Some(index)))?;
            wanted |= view.port() != 0;
            let local = locals.get(index).filter(|l| l.rtp_port != 0 && view.port() != 0);
            let (section, outcome, state) = match local {
                Some(local) => self
                    .answer_section(&view, local)
                    .map_err(|reason| Refusal::new(reason, Some(index)))?,
                None => answer::refuse(&view),
            };
            written.push(section);
            agreed.push(outcome);
            states.push(state);
        }
        if wanted && agreed.iter().all(|m| !m.accepted) {
            return Err(Refusal::new(RefusalReason::NoCommonCodec, None));
        }
        let description = self.history.write(&self.profile, &written, address_of(locals));
        self.history.set_sections(states);
        Ok((description, Agreed { media: agreed }))
    }

    /// Whether an own offer waits for its answer.
    #[must_use]
    pub fn is_offering(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|pending| pending.get().is_none() && Arc::strong_count(pending) > 1)
    }

    /// What this side can do.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What this side can do, from the next description on.
    pub const fn profile_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }

    /// Takes over what became of the last offer.
    fn settle(&mut self) {
        let Some(pending) = &self.pending else { return };
        if let Some(states) = pending.get() {
            self.history.set_sections(states.clone());
            self.pending = None;
        } else if Arc::strong_count(pending) == 1 {
            self.pending = None;
        }
    }

    fn answer_section<'l>(
        &self,
        view: &MediaView<'_>,
        local: &'l LocalMedia,
    ) -> Result<(write::Written<'l>, crate::AgreedMedia, SectionState), RefusalReason> {
        let kind = view.kind();
        if !answer::is_negotiable(&kind) || !answer::is_transport_usable(&self.profile, view) {
            return Ok(answer::refuse(view));
        }
        let one_only = kind == MediaKind::Video && self.profile.one_video_codec;
        let chosen = codecs::choose(self.profile.line_codecs(&kind, Some(local)), view, one_only);
        if chosen.is_empty() {
            return Ok(answer::refuse(view));
        }
        answer::accept(
            Answering {
                profile: &self.profile,
                local,
                chosen,
                direction: Direction::SendRecv,
                video_kbps: self.profile.video_kbps,
            },
            view,
        )
        .map_err(RefusalReason::EncryptionMismatch)
    }

    fn default_kind(&self, index: usize) -> MediaKind {
        match (index, self.profile.audio.is_empty()) {
            (0, false) => MediaKind::Audio,
            _ => MediaKind::Video,
        }
    }
}

impl LocalOffer {
    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// When the answer does not fit the offer, or encryption levels do not match. The offer is
    /// then withdrawn, unless a clone of it lives.
    pub fn accept(self, answer: &SessionDescription) -> Result<Agreed, Refusal> {
        let (media, states) = offer::read_answer(&self.profile, &self.offered, answer)?;
        // A second answer, to a clone, changes nothing for the session.
        let _ = self.outcome.set(states);
        Ok(Agreed { media })
    }
}

/// An address for a description without a section in use.
pub(crate) fn address_of(locals: &[LocalMedia]) -> core::net::IpAddr {
    locals.first().map_or(crate::media_view::UNSPECIFIED, |local| local.address)
}

/// What a peer's section takes at most, in kbit/s.
pub(crate) fn send_limit_kbps(view: &MediaView<'_>) -> Option<u32> {
    remote::send_limit_bps(view).and_then(|bps| u32::try_from(bps / 1_000).ok())
}

/// RFC 3264 §8.3.2: a section keeps its type while it is used.
fn check_later_section(
    before: Option<&SectionState>,
    view: &MediaView<'_>,
) -> Result<(), RefusalReason> {
    match before {
        Some(b) if b.used && view.port() != 0 && b.kind != view.kind() => {
            Err(RefusalReason::MediaType)
        }
        _ => Ok(()),
    }
}

/// The layout after an offer that has no answer yet: its sections, used as before.
fn keep_use(before: &[SectionState], offered: &[Offered]) -> Vec<SectionState> {
    offered
        .iter()
        .enumerate()
        .map(|(index, o)| match before.get(index) {
            Some(b) if b.used => SectionState { bound: o.state.bound.clone(), ..b.clone() },
            _ => SectionState { used: false, ..o.state.clone() },
        })
        .collect()
}

/// A section that never was in use still names its formats (RFC 8866 §9 wants one).
fn empty_section(kind: MediaKind, codecs: &[crate::Codec]) -> SectionState {
    let number = codecs.first().and_then(|c| c.payload_type).unwrap_or(0);
    SectionState {
        kind,
        proto: Proto::rtp_avp(),
        formats: vec![number.to_string()],
        used: false,
        encrypted: false,
        bound: Vec::new(),
        label: None,
    }
}
