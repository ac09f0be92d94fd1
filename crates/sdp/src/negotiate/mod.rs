//! Offer and answer for an endpoint (RFC 3264).

pub(crate) mod answer;
pub(crate) mod bundle;
pub(crate) mod codecs;
mod dtls;
pub(crate) mod history;
mod keys;
pub(crate) mod offer;
mod remote;
pub(crate) mod write;

use std::sync::{Arc, OnceLock, Weak};

use self::answer::Answering;
use self::bundle::Peer;
use self::history::{History, SectionState};
use self::offer::{Offered, Offering};
use crate::{
    Agreed, AgreedMedia, Direction, LocalMedia, MediaKind, MediaView, Profile, Proto, Refusal,
    RefusalReason, SessionDescription, Why,
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
    pending: Option<Pending>,
}

/// An offer of ours, seen from the session.
#[derive(Clone, Debug)]
struct Pending {
    outcome: Arc<OnceLock<Accepted>>,
    /// Lives as long as a [`LocalOffer`] does.
    offer: Weak<()>,
}

/// The first answer, and what it makes of the session.
#[derive(Debug)]
struct Accepted {
    media: Vec<AgreedMedia>,
    sections: Vec<SectionState>,
}

/// An offer of ours whose answer is awaited.
///
/// A clone serves the same answer that comes twice, first in a provisional response. An answer of
/// which the peer is not bound yet (early media in an unreliable response) is read with
/// [`preview`](Self::preview); another branch of a forked INVITE needs a session of its own
/// ([`Session::fork`]).
///
/// ```
/// use linkspan_sdp::{LocalMedia, Profile, RefusalReason, Session};
///
/// let local = |port| LocalMedia { rtp_port: port, ..LocalMedia::default() };
/// let (offer, pending) = Session::new(Profile::standard()).offer(&[local(4000)]);
/// let answer = |port| Session::new(Profile::standard()).answer(&offer, &[local(port)]);
/// let (early, _) = answer(5000)?;
/// let (other, _) = answer(6000)?;
///
/// pending.preview(&other)?; // binds nobody
/// pending.clone().accept(&early)?; // in a 183
/// pending.clone().accept(&early)?; // again in the 200
/// let refusal = pending.accept(&other).unwrap_err();
/// assert_eq!(refusal.reason, RefusalReason::AnswerChanged);
/// # Ok::<(), linkspan_sdp::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalOffer {
    profile: Profile,
    offered: Vec<Offered>,
    /// The sections that are offered in one group, the tagged one first.
    grouped: Vec<usize>,
    outcome: Arc<OnceLock<Accepted>>,
    alive: Arc<()>,
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
        let mids = self.mids(count);
        for (index, mid) in mids.into_iter().enumerate() {
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
                    video_kbps: self.profile.video_limit_kbps(),
                    mid,
                }),
                _ => offer::unused(before.cloned().unwrap_or_else(|| empty_section(kind, codecs))),
            };
            written.push(section);
            offered.push(state);
        }
        let (mut grouped, mut lines) = (Vec::new(), Vec::new());
        if self.profile.bundle {
            let states: Vec<SectionState> = offered.iter().map(|o| o.state.clone()).collect();
            (grouped, lines) = bundle::offer(&self.history.sections, &mut written, &states);
        }
        let address = address_of(locals);
        let description = self.history.write(&self.profile, &written, &lines, address);
        // RFC 3264 §8.3.2: what was offered stays bound, whatever becomes of the offer.
        self.history.set_sections(keep_use(&self.history.sections, &offered));
        let profile = self.profile.clone();
        (description, self.await_answer(LocalOffer::new(profile, offered, grouped)))
    }

    /// A session of its own for another dialog that the same offer has made: a forked INVITE. What
    /// the two agree on from here on is apart.
    ///
    /// ```
    /// # use linkspan_sdp::{LocalMedia, Profile, Session};
    /// # let local = |port| LocalMedia { rtp_port: port, ..LocalMedia::default() };
    /// let mut first = Session::new(Profile::standard());
    /// let (offer, pending) = first.offer(&[local(4000)]);
    /// let (second, other) = first.fork(&pending);
    /// for (pending, port) in [(pending, 5000), (other, 6000)] {
    ///     let (answer, _) = Session::new(Profile::standard()).answer(&offer, &[local(port)])?;
    ///     assert_eq!(pending.accept(&answer)?.media[0].remote.address.port(), port);
    /// }
    /// assert!(!first.is_offering() && !second.is_offering());
    /// # Ok::<(), linkspan_sdp::Refusal>(())
    /// ```
    #[must_use]
    pub fn fork(&self, offer: &LocalOffer) -> (Self, LocalOffer) {
        let mut session = self.clone();
        let LocalOffer { profile, offered, grouped, .. } = offer.clone();
        let offer = session.await_answer(LocalOffer::new(profile, offered, grouped));
        (session, offer)
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
        bundle::check_mids(offer)?;
        let groups = bundle::groups(&self.profile, offer);
        let mut written = Vec::with_capacity(offer.media.len());
        let mut agreed = Vec::with_capacity(offer.media.len());
        let mut states = Vec::with_capacity(offer.media.len());
        let mut wanted = false;
        for (index, peer) in bundle::peers(&self.profile, offer).iter().enumerate() {
            let view = &peer.view;
            let before = self.history.sections.get(index);
            check_later_section(before, view).map_err(|r| Refusal::new(r, Some(index)))?;
            let used = bundle::is_used(&self.profile, &groups, index, view);
            wanted |= used;
            let local = locals.get(index).filter(|l| l.rtp_port != 0);
            let (section, outcome, state) = match local {
                _ if !used => answer::refuse(view, Why::Unused),
                None => answer::refuse(view, Why::NoLocalMedia),
                Some(local) => self
                    .answer_section(peer, local, before)
                    .map_err(|reason| Refusal::new(reason, Some(index)))?,
            };
            written.push(section);
            agreed.push(outcome);
            states.push(state);
        }
        if wanted && agreed.iter().all(|m| !m.accepted) {
            return Err(Refusal::new(RefusalReason::NoCommonCodec, None));
        }
        let lines = bundle::answer(&groups, &mut written, &mut agreed, &mut states);
        let address = address_of(locals);
        let description = self.history.write(&self.profile, &written, &lines, address);
        self.history.set_sections(states);
        Ok((description, Agreed { media: agreed }))
    }

    /// Whether an own offer waits for its answer.
    #[must_use]
    pub fn is_offering(&self) -> bool {
        let waits = |p: &Pending| p.outcome.get().is_none() && p.offer.strong_count() > 0;
        self.pending.as_ref().is_some_and(waits)
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
        if let Some(accepted) = pending.outcome.get() {
            self.history.set_sections(accepted.sections.clone());
            self.pending = None;
        } else if pending.offer.strong_count() == 0 {
            self.pending = None;
        }
    }

    fn await_answer(&mut self, offer: LocalOffer) -> LocalOffer {
        let outcome = Arc::clone(&offer.outcome);
        self.pending = Some(Pending { outcome, offer: Arc::downgrade(&offer.alive) });
        offer
    }

    /// The identification tags of an offer: those that sections have, and with BUNDLE one for each.
    fn mids(&self, count: usize) -> Vec<Option<String>> {
        let mut mids: Vec<Option<String>> = Vec::with_capacity(count);
        for index in 0..count {
            let known = self.history.sections.get(index).and_then(|s| s.mid.clone());
            let fresh = || bundle::free_mid(&self.history.sections, &mids);
            mids.push(known.or_else(|| self.profile.bundle.then(fresh)));
        }
        mids
    }

    fn answer_section<'l>(
        &self,
        peer: &Peer<'_>,
        local: &'l LocalMedia,
        before: Option<&SectionState>,
    ) -> Result<(write::Written<'l>, AgreedMedia, SectionState), RefusalReason> {
        let view = &peer.view;
        let kind = view.kind();
        if let Some(why) = answer::unusable(&self.profile, peer, Some(local)) {
            return Ok(answer::refuse(view, why));
        }
        let one_only = kind == MediaKind::Video && self.profile.one_video_codec;
        let chosen = codecs::choose(self.profile.line_codecs(&kind, Some(local)), view, one_only);
        if chosen.is_empty() {
            return Ok(answer::refuse(view, Why::NoCommonCodec));
        }
        answer::accept(
            Answering {
                profile: &self.profile,
                local,
                before: before.filter(|b| b.used),
                chosen,
                direction: Direction::SendRecv,
                video_kbps: self.profile.video_limit_kbps(),
            },
            peer,
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
    fn new(profile: Profile, offered: Vec<Offered>, grouped: Vec<usize>) -> Self {
        Self { profile, offered, grouped, outcome: Arc::new(OnceLock::new()), alive: Arc::new(()) }
    }

    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// When the answer does not fit the offer, or encryption levels do not match; the offer is
    /// then withdrawn, unless a clone of it lives. [`AnswerChanged`](RefusalReason::AnswerChanged)
    /// when a clone has accepted an answer that says something else.
    pub fn accept(self, answer: &SessionDescription) -> Result<Agreed, Refusal> {
        let (media, sections) = self.read(answer)?;
        let first = self.outcome.get_or_init(|| Accepted { media: media.clone(), sections });
        if first.media != media {
            return Err(Refusal::new(RefusalReason::AnswerChanged, None));
        }
        Ok(Agreed { media })
    }

    /// Reads what may become the answer: of an unreliable provisional response, which the final
    /// one may contradict (RFC 6337 §3.1.1). The session takes no note of it.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn preview(&self, answer: &SessionDescription) -> Result<Agreed, Refusal> {
        self.read(answer).map(|(media, _)| Agreed { media })
    }

    fn read(
        &self,
        answer: &SessionDescription,
    ) -> Result<(Vec<AgreedMedia>, Vec<SectionState>), Refusal> {
        let (mut media, mut sections) = offer::read_answer(&self.profile, &self.offered, answer)?;
        bundle::read_answer(&self.profile, &self.grouped, answer, &mut media, &mut sections)?;
        Ok((media, sections))
    }
}

/// An address for a description without a section in use.
pub(crate) fn address_of(locals: &[LocalMedia]) -> core::net::IpAddr {
    locals.first().map_or(crate::media_view::UNSPECIFIED, |local| local.address)
}

/// What a peer's section takes at most, in kbit/s.
pub(crate) fn send_limit_kbps(profile: &Profile, view: &MediaView<'_>) -> Option<u32> {
    remote::send_limit_bps(profile, view).and_then(|bps| u32::try_from(bps / 1_000).ok())
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
    SectionState::unused(kind, Proto::rtp_avp(), vec![number.to_string()])
}
