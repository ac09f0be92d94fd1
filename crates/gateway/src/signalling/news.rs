//! Offers that the gateway passes on, and those that are its own: ICE's last word, and news of one
//! side that the other has not heard.

use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::SessionDescription;
use sdp::translate::{MediaOutcome, OfferTranslation};
use sip::{Headers, Method};

use super::call::{Call, Exchange, Phase, Untold};
use super::core::Core;
use super::later::{Later, Passed, Stage, says_the_same};
use crate::id::Side;

/// Longest wait for the other side's answer.
const ANSWER: Duration = Duration::from_secs(32);
/// The same for an UPDATE: who asked by one waits no longer than that.
const UPDATE_ANSWER: Duration = Duration::from_secs(20);
/// Between two tries while another INVITE is under way, and how many.
const PENDING: (Duration, u8) = (Duration::from_millis(500), 64);

/// What a side has been told, before an exchange of which it hears nothing.
#[derive(Debug)]
pub(super) struct Said {
    sent: Option<SessionDescription>,
    context: Option<sdp::translate::Context>,
    directions: BTreeMap<usize, sdp::Direction>,
}

impl Call {
    /// The gateway's own last offer of MS-ICE2, once all streams toward a Lync peer that it has made
    /// the first offer to have their pairs.
    pub(super) fn settle(&mut self, core: &mut Core, now: Instant) {
        let (lync, standard) = (Side::Lync, Side::Standard);
        let ours = self.callee() == lync || self.delayed;
        let with_ice = |s: &&super::streams::Stream| s.ends.of(lync).ice().is_some();
        let any = self.streams.iter().any(|s| with_ice(&s));
        let busy = self.phase != Phase::Active || self.owed.is_some() || self.later.is_some();
        if !ours || self.settled || busy || !any {
            return;
        }
        if !self.is_connected(lync) || self.exchange.offerer != Some(standard) {
            return;
        }
        let (Some(offer), Some(context)) = (self.exchange.offer.clone(), &self.context) else {
            return;
        };
        self.settled = true;
        let local = self.local_media(core, lync, standard, offer.media.len());
        let Ok(offered) = sdp::translate::reoffer(&offer, self.role(standard), context, &local)
        else {
            return;
        };
        core.explain(self.id, "ICE has selected its pairs: the last offer goes to Lync");
        // It tells what else there is to tell.
        let must = self.untold.take_if(|news| news.by == standard).is_some_and(|news| news.must);
        self.offer_own(core, offer, offered, lync, must, now);
    }

    /// A side hears of what the other one has said before the call was answered.
    pub(super) fn tell_news(&mut self, core: &mut Core, now: Instant) {
        let busy = self.phase != Phase::Active || self.later.is_some() || self.owed.is_some();
        // RFC 3261 §14.1: behind the ACK of the INVITE.
        let heard = |side: Side| side != self.caller || self.early.acked;
        let Some(news) = self.untold.take_if(|news| !busy && heard(news.by.other())) else {
            return;
        };
        let Exchange { offerer, offer, answer } = &self.exchange;
        let said = if *offerer == Some(news.by) { offer } else { answer };
        if let Some(said) = said.clone() {
            self.align(core, news.by, said, news.must, now);
        }
    }

    /// What a side has been told so far.
    pub(super) fn said_to(&self, side: Side) -> Said {
        let (sent, context) = (self.legs.of(side).sent.clone(), self.context.clone());
        Said { sent, context, directions: self.directions(side) }
    }

    /// The answer to an offer of the gateway's own is for nobody: `side`, in whose name it was
    /// made, hears of it where media go another way by it.
    pub(super) fn not_answered_to(&mut self, side: Side, before: Said) {
        if let Some(context) = before.context {
            self.not_told(side, before.sent, &context);
        }
        if self.untold.is_none() && self.directions(side) != before.directions {
            self.untold = Some(Untold { by: side.other(), must: false });
        }
    }

    /// Which way media go on the leg of a side, by its sections.
    fn directions(&self, side: Side) -> BTreeMap<usize, sdp::Direction> {
        let leg = |outcome: &MediaOutcome| match self.role(side) {
            sdp::translate::Side::A => Some((outcome.a_index?, outcome.a.as_ref()?.direction)),
            sdp::translate::Side::B => Some((outcome.b_index?, outcome.b.as_ref()?.direction)),
        };
        self.joined.iter().filter_map(leg).collect()
    }

    /// The other side is offered what one has come to.
    pub(super) fn align(
        &mut self,
        core: &mut Core,
        from: Side,
        offer: SessionDescription,
        must: bool,
        now: Instant,
    ) {
        let to = from.other();
        let Some(context) = &self.context else { return };
        let local = self.local_media(core, to, from, offer.media.len());
        match sdp::translate::reoffer(&offer, self.role(from), context, &local) {
            Ok(offered) => {
                let sent = self.legs.of(to).sent.as_ref();
                if must || sent.is_none_or(|sent| !says_the_same(&offered.description, sent)) {
                    core.explain(self.id, format!("{to} is told what {from} has come to"));
                    self.offer_own(core, offer, offered, to, must, now);
                }
            }
            Err(refusal) => self.end_joined(core, &refusal, now),
        }
    }

    fn offer_own(
        &mut self,
        core: &mut Core,
        offer: SessionDescription,
        offered: OfferTranslation,
        to: Side,
        must: bool,
        now: Instant,
    ) {
        let later = Later { asked: None, offer, stage: Stage::Opening, deadline: None, must };
        self.pass_on(core, later, offered, to, now);
    }

    /// Offers to a side what the other one has offered.
    pub(super) fn pass_on(
        &mut self,
        core: &mut Core,
        later: Later,
        offered: OfferTranslation,
        to: Side,
        now: Instant,
    ) {
        let before = self.legs.of(to).sent.clone();
        self.send_on(core, later, Passed { offered, to, before, tries: 0 }, now);
    }

    /// The INVITE that was in the way may be over.
    pub(super) fn pass_on_again(&mut self, core: &mut Core, now: Instant) {
        let Some(mut later) = self.later.take() else { return };
        match core::mem::replace(&mut later.stage, Stage::Opening) {
            Stage::Waiting(passed) => self.send_on(core, later, *passed, now),
            stage => self.later = Some(Later { stage, ..later }),
        }
    }

    fn send_on(&mut self, core: &mut Core, mut later: Later, passed: Passed, now: Instant) {
        let to = passed.to;
        match self.send_offer(core, to, &passed.offered, now) {
            Ok((request, wait)) => {
                core.requests.insert((to, request), self.id);
                self.legs.of_mut(to).sent = Some(passed.offered.description.clone());
                later.stage = Stage::Offered(Box::new(passed), request);
                later.deadline = Some(now + wait);
                self.later = Some(later);
            }
            // A peer asks again by itself; nobody else does for an offer of ours.
            Err(sip::VerbError::Pending) if later.asked.is_none() => {
                let later = wait_for_peer(later, passed, 1, now);
                let waits = matches!(later.stage, Stage::Waiting(_));
                self.later = Some(later);
                if !waits {
                    self.refuse_later(core, 491, None, now);
                }
            }
            Err(error) => {
                core.explain(self.id, format!("a later offer could not be sent to {to}: {error}"));
                let glare = error == sip::VerbError::Pending;
                self.later = Some(later);
                self.refuse_later(core, if glare { 491 } else { 500 }, None, now);
            }
        }
    }

    /// By UPDATE before the call is answered, by re-INVITE after.
    fn send_offer(
        &self,
        core: &mut Core,
        to: Side,
        offered: &OfferTranslation,
        now: Instant,
    ) -> Result<(sip::RequestId, Duration), sip::VerbError> {
        let leg = self.legs.of(to);
        let session = leg.session.ok_or(sip::VerbError::NoSession)?;
        let mut headers = Headers::new();
        if to == self.callee() {
            headers.push("Max-Forwards", self.hops_left());
        }
        if to == Side::Lync {
            headers.push("Ms-Conversation-ID", &self.target.conversation);
            // [MS-SDPEXT] 3.1.5.23.1 puts `sip.rendering` beside a hold; the description decides.
        }
        let body = Some(sip::Body::sdp(offered.description.to_string()));
        let agent = core.agent(to);
        if self.phase == Phase::Active {
            return Ok((agent.reinvite(session, headers, body, now)?, ANSWER));
        }
        if let Some(contact) = &leg.contact {
            headers.push("Contact", contact.to_string());
        }
        Ok((agent.request(session, Method::Update, headers, body, now)?, UPDATE_ANSWER))
    }
}

/// What the peer, or our own side of the dialog, has no time for is offered again, for a while.
/// A refusal counts as so many tries.
pub(super) fn wait_for_peer(later: Later, mut passed: Passed, tries: u8, now: Instant) -> Later {
    passed.tries = passed.tries.saturating_add(tries);
    if passed.tries > PENDING.1 {
        return later;
    }
    let (stage, deadline) = (Stage::Waiting(Box::new(passed)), Some(now + PENDING.0));
    Later { stage, deadline, ..later }
}
