//! Offers within a call: hold, resume, added video, ICE's last word.

use core::time::Duration;
use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::SessionDescription;
use sdp::translate::OfferTranslation;
use sip::{Headers, RequestId, Response, StatusCode};

use super::body;
use super::call::{Call, Exchange, Farewell, Phase};
use super::core::Core;
use super::headers;
use super::setup::status;
use crate::event::GatewayEvent;
use crate::id::Side;
use crate::policy::{Diagnostic, map_rejection};

/// A later offer that is under way.
#[derive(Debug)]
pub(super) struct Later {
    /// Who has to be answered; `None` for an offer of the gateway's own.
    asked: Option<(Side, RequestId)>,
    offer: SessionDescription,
    stage: Stage,
    pub(super) deadline: Option<Instant>,
    /// The call cannot go on without it.
    must: bool,
}

#[derive(Debug)]
enum Stage {
    /// Sockets of an added stream are being bound.
    Opening,
    /// ICE has to come to its end before the answer.
    Connecting(Box<OfferTranslation>),
    /// The other side has the offer.
    Offered(Box<OfferTranslation>, RequestId),
}

/// Longest wait for connectivity before an offer that needs it is answered all the same.
const CONNECTING: Duration = Duration::from_secs(10);
/// Longest wait for the other side's answer.
const ANSWER: Duration = Duration::from_secs(32);
/// The window in which later offers are counted.
const WINDOW: Duration = Duration::from_secs(10);

impl Call {
    /// A re-INVITE, or an UPDATE with a description.
    pub(crate) fn reoffered(
        &mut self,
        core: &mut Core,
        side: Side,
        id: RequestId,
        request: &sip::Request,
        now: Instant,
    ) {
        if self.phase != Phase::Active || self.later.is_some() || self.owed.is_some() {
            // RFC 3261 §14.2: another offer is under way.
            answer(core, side, id, StatusCode::REQUEST_PENDING, None, now);
            return;
        }
        if !self.count_offer(core, now) {
            let mut headers = Headers::new();
            headers.push("Retry-After", "10");
            let status = StatusCode::SERVER_INTERNAL_ERROR;
            let _ = core.agent(side).respond(id, status, headers, None, now);
            return;
        }
        let Some(body) = request.to_body().filter(|b| !b.bytes.is_empty()) else {
            self.offer_again(core, side, id, now);
            return;
        };
        let limit = core.config.limits.description_octets;
        let described = match body::read(&request.headers, Some(&body), limit) {
            Ok(described) => described,
            Err(error) => {
                core.counters.descriptions_refused += 1;
                core.explain(self.id, format!("a later offer from {side} was refused: {error}"));
                answer(core, side, id, status(error.status()), None, now);
                return;
            }
        };
        self.legs.of_mut(side).content_id = described.content_id;
        let offer = described.description;
        if offer.media.len() > core.config.limits.media_lines {
            answer(core, side, id, StatusCode::NOT_ACCEPTABLE_HERE, None, now);
            return;
        }
        if !self.open_streams(core, &offer, side, now) {
            answer(core, side, id, StatusCode::SERVICE_UNAVAILABLE, None, now);
            return;
        }
        let deadline = Some(now + CONNECTING);
        let asked = Some((side, id));
        self.later = Some(Later { asked, offer, stage: Stage::Opening, deadline, must: false });
        self.continue_opening(core, now);
    }

    /// All sockets are there: translates the offer, and answers it or passes it on.
    pub(super) fn continue_later(&mut self, core: &mut Core, now: Instant) {
        let opening = |l: &Later| matches!(l.stage, Stage::Opening);
        if !self.later.as_ref().is_some_and(opening) {
            return;
        }
        let Some(mut later) = self.later.take() else { return };
        let (Some((side, _)), Some(context)) = (later.asked, self.context.as_ref()) else { return };
        let sections = later.offer.media.len();
        let local = self.local_media(core, side.other(), side, sections);
        let offerer = self.role(side);
        let offered = match sdp::translate::reoffer(&later.offer, offerer, context, &local) {
            Ok(offered) => offered,
            Err(refusal) => {
                self.later = Some(later);
                core.counters.descriptions_refused += 1;
                let diagnostic = Diagnostic::of_refusal(&refusal);
                core.explain(self.id, format!("a later offer from {side}: {refusal}"));
                self.refuse_later(core, refusal.status(), Some(diagnostic), now);
                return;
            }
        };
        let explanation = offered.explain.iter().map(ToString::to_string).collect();
        let (call, what) = (self.id, "offer");
        core.tell(GatewayEvent::Translated { call, from: side, what, explanation });
        let answer_known = self.exchange.offerer == Some(side) && self.exchange.answer.is_some();
        let sent = self.legs.of(side.other()).sent.as_ref();
        let known = sent.is_some_and(|sent| says_the_same(&offered.description, sent));
        if answer_known && (!offered.changed || known) {
            // Nothing new for the other side: a refresh, or ICE's last word.
            later.stage = Stage::Connecting(Box::new(offered));
            later.deadline = Some(now + CONNECTING);
            self.later = Some(later);
            self.connectivity_changed(core, now);
            return;
        }
        self.pass_on(core, later, offered, side.other(), now);
    }

    /// ICE has come further: what waits for it goes on.
    pub(super) fn connectivity_changed(&mut self, core: &mut Core, now: Instant) {
        if self.phase != Phase::Active {
            return;
        }
        let waits = self.later.as_ref().is_some_and(|l| matches!(l.stage, Stage::Connecting(_)));
        if waits {
            let side = self.later.as_ref().and_then(|l| l.asked).map(|(side, _)| side);
            if side.is_some_and(|side| self.is_connected(side)) {
                self.answer_locally(core, now);
            }
        }
        self.settle(core, now);
    }

    /// The final response to an offer of ours.
    pub(crate) fn reoffer_answered(
        &mut self,
        core: &mut Core,
        side: Side,
        id: RequestId,
        response: &Response,
        now: Instant,
    ) {
        if response.status.is_success()
            && let Some(session) = self.legs.of(side).session
        {
            let _ = core.agent(side).ack(session, Headers::new(), None, now);
        }
        let ours = |l: &Later| matches!(&l.stage, Stage::Offered(_, waits) if *waits == id);
        if !self.later.as_ref().is_some_and(ours) {
            return;
        }
        let Some(later) = self.later.take() else { return };
        let Stage::Offered(offered, _) = &later.stage else { return };
        if !response.status.is_success() {
            let code = response.status.as_u16();
            let told = map_rejection(side, code, &response.reason, None);
            self.later = Some(later);
            self.refuse_later(core, told.status, told.diagnostic, now);
            return;
        }
        let limit = core.config.limits.description_octets;
        let body = response.to_body();
        let Ok(described) = body::read(&response.headers, body.as_ref(), limit) else {
            self.later = Some(later);
            self.refuse_later(core, 488, Some(Diagnostic::unsupported_description()), now);
            return;
        };
        let offerer = side.other();
        let local = self.local_media(core, offerer, offerer, later.offer.media.len());
        match sdp::translate::answer(&described.description, offered, &local) {
            Ok(translation) => {
                self.adopt(core, side, &translation, now);
                let answer = Some(described.description);
                let offer = Some(later.offer);
                self.exchange = Exchange { offerer: Some(offerer), offer, answer };
                if let Some((asked, id)) = later.asked {
                    self.accept_later(core, asked, id, &translation.description, now);
                }
                self.show_activity(core);
                self.connectivity_changed(core, now);
            }
            Err(refusal) => {
                core.counters.descriptions_refused += 1;
                let diagnostic = Diagnostic::of_refusal(&refusal);
                self.later = Some(later);
                self.refuse_later(core, 488, Some(diagnostic), now);
            }
        }
    }

    /// A later offer is refused; the call goes on as it was.
    pub(super) fn refuse_later(
        &mut self,
        core: &mut Core,
        code: u16,
        diagnostic: Option<Diagnostic>,
        now: Instant,
    ) {
        let Some(later) = self.later.take() else { return };
        // What was opened for it and is not used goes back.
        for stream in &mut self.streams {
            if !stream.ends.lync.connected && !stream.ends.standard.connected {
                for side in [Side::Lync, Side::Standard] {
                    stream.close(core, self.id, side, now);
                }
            }
        }
        if later.must {
            let told = Farewell { diagnostic, ..Farewell::default() };
            self.end_with(
                core,
                None,
                "the other side does not take what the ACK answered",
                &told,
                now,
            );
            return;
        }
        if let Some((side, id)) = later.asked {
            answer(core, side, id, status(code), diagnostic.filter(|_| side == Side::Lync), now);
        }
    }

    pub(super) fn later_timed_out(&mut self, core: &mut Core, now: Instant) {
        match self.later.as_ref().map(|l| &l.stage) {
            // Better a late answer without the pairs than none: media may flow by now.
            Some(Stage::Connecting(_)) => self.answer_locally(core, now),
            Some(Stage::Opening) => self.refuse_later(core, 500, None, now),
            Some(Stage::Offered(..)) => self.refuse_later(core, 504, None, now),
            None => {}
        }
    }

    /// The gateway's own last offer of MS-ICE2, once all streams toward a Lync peer that it has made
    /// the first offer to have their pairs.
    fn settle(&mut self, core: &mut Core, now: Instant) {
        let (lync, standard) = (Side::Lync, Side::Standard);
        let ours = self.callee() == lync || self.delayed;
        let with_ice = |s: &&super::streams::Stream| s.ends.of(lync).ice().is_some();
        let any = self.streams.iter().any(|s| with_ice(&s));
        if !ours || self.settled || self.owed.is_some() || self.later.is_some() || !any {
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
        let later =
            Later { asked: None, offer, stage: Stage::Opening, deadline: None, must: false };
        self.pass_on(core, later, offered, lync, now);
    }

    /// The other side is offered what the answer in an ACK has left.
    pub(super) fn align(
        &mut self,
        core: &mut Core,
        from: Side,
        offer: SessionDescription,
        now: Instant,
    ) {
        let to = from.other();
        let Some(context) = &self.context else { return };
        let local = self.local_media(core, to, from, offer.media.len());
        match sdp::translate::reoffer(&offer, self.role(from), context, &local) {
            Ok(offered) => {
                let stage = Stage::Opening;
                let later = Later { asked: None, offer, stage, deadline: None, must: true };
                self.pass_on(core, later, offered, to, now);
            }
            Err(refusal) => self.end_joined(core, &refusal, now),
        }
    }

    fn pass_on(
        &mut self,
        core: &mut Core,
        mut later: Later,
        offered: OfferTranslation,
        to: Side,
        now: Instant,
    ) {
        let Some(session) = self.legs.of(to).session else { return };
        let mut headers = Headers::new();
        if to == self.callee() {
            headers.push("Max-Forwards", self.hops_left());
        }
        if to == Side::Lync {
            headers.push("Ms-Conversation-ID", &self.target.conversation);
            // [MS-SDPEXT] 3.1.5.23.1 puts `sip.rendering` beside a hold; the description decides.
        }
        let body = Some(sip::Body::sdp(offered.description.to_string()));
        match core.agent(to).reinvite(session, headers, body, now) {
            Ok(request) => {
                core.requests.insert((to, request), self.id);
                self.legs.of_mut(to).sent = Some(offered.description.clone());
                later.stage = Stage::Offered(Box::new(offered), request);
                later.deadline = Some(now + ANSWER);
                self.later = Some(later);
            }
            Err(error) => {
                core.explain(self.id, format!("a later offer could not be sent to {to}: {error}"));
                let glare = error == sip::VerbError::Pending;
                self.later = Some(later);
                self.refuse_later(core, if glare { 491 } else { 500 }, None, now);
            }
        }
    }

    /// Answers with what the other side has answered before.
    fn answer_locally(&mut self, core: &mut Core, now: Instant) {
        let Some(later) = self.later.take() else { return };
        let (Some((side, id)), Stage::Connecting(offered)) = (later.asked, &later.stage) else {
            return;
        };
        let local = self.local_media(core, side, side, later.offer.media.len());
        let Some(known) = self.exchange.answer.as_ref() else { return };
        match sdp::translate::answer(known, offered, &local) {
            Ok(translation) => {
                core.explain(
                    self.id,
                    format!("an offer from {side} says nothing new: answered here"),
                );
                self.adopt(core, side.other(), &translation, now);
                self.exchange.offer = Some(later.offer);
                self.accept_later(core, side, id, &translation.description, now);
                self.show_activity(core);
            }
            Err(refusal) => {
                let diagnostic = Diagnostic::of_refusal(&refusal);
                self.later = Some(later);
                self.refuse_later(core, refusal.status(), Some(diagnostic), now);
            }
        }
    }

    fn accept_later(
        &self,
        core: &mut Core,
        side: Side,
        id: RequestId,
        description: &SessionDescription,
        now: Instant,
    ) {
        let mut headers = Headers::new();
        if let Some(content) = self.legs.of(side).content_id.as_ref().filter(|_| side == Side::Lync)
        {
            headers.push("ms-accepted-content-id", content);
        }
        let body = Some(sip::Body::sdp(description.to_string()));
        let _ = core.agent(side).respond(id, StatusCode::OK, headers, body, now);
    }

    /// Whether ICE has come to its end on every stream of a leg that uses it.
    pub(super) fn is_connected(&self, side: Side) -> bool {
        self.streams
            .iter()
            .filter(|s| !s.is_done())
            .map(|s| s.ends.of(side))
            .all(|end| end.ice().is_none() || end.pairs.is_some())
    }

    pub(super) fn role(&self, side: Side) -> sdp::translate::Side {
        if side == self.caller { sdp::translate::Side::A } else { sdp::translate::Side::B }
    }

    fn count_offer(&mut self, core: &Core, now: Instant) -> bool {
        let (since, count) = &mut self.recent_offers;
        if since.is_none_or(|at| now >= at + WINDOW) {
            (*since, *count) = (Some(now), 0);
        }
        *count += 1;
        *count <= core.config.limits.later_offers
    }
}

/// Whether two descriptions of ours ask the same of a peer. Later offers of an encrypted session
/// say `RTP/SAVP` where the first one said `RTP/AVP` with keys: that alone is nothing new.
fn says_the_same(new: &SessionDescription, old: &SessionDescription) -> bool {
    let alike = |(new, old): (&sdp::Media, &sdp::Media)| {
        let mut new = new.clone();
        new.proto = old.proto.clone();
        new == *old
    };
    new.media.len() == old.media.len() && new.media.iter().zip(&old.media).all(alike)
}

pub(super) fn answer(
    core: &mut Core,
    side: Side,
    id: RequestId,
    status: StatusCode,
    diagnostic: Option<Diagnostic>,
    now: Instant,
) {
    let mut headers = Headers::new();
    headers::diagnose(&mut headers, diagnostic.as_ref(), core);
    let _ = core.agent(side).respond(id, status, headers, None, now);
}
