//! Offers of a peer within a call: hold, resume, added video, ICE's last word.

use core::time::Duration;
use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::SessionDescription;
use sdp::translate::OfferTranslation;
use sip::{Headers, RequestId, Response, StatusCode};

use super::body;
use super::call::{Call, Exchange, Farewell, Phase, Untold};
use super::core::Core;
use super::early::is_answerable;
use super::headers;
use super::news::wait_for_peer;
use super::setup::status;
use crate::event::GatewayEvent;
use crate::id::Side;
use crate::policy::{Diagnostic, map_rejection};

/// A later offer that is under way.
#[derive(Debug)]
pub(super) struct Later {
    /// Who has to be answered; `None` for an offer of the gateway's own.
    pub(super) asked: Option<(Side, RequestId)>,
    /// As it came.
    pub(super) offer: SessionDescription,
    pub(super) stage: Stage,
    pub(super) deadline: Option<Instant>,
    /// The call cannot go on without it.
    pub(super) must: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Sockets of an added stream are being bound.
    Opening,
    /// ICE has to come to its end before the answer.
    Connecting(Box<OfferTranslation>),
    /// The other side has an INVITE of its own under way.
    Waiting(Box<Passed>),
    /// The other side has the offer.
    Offered(Box<Passed>, RequestId),
}

/// An offer as the other side has it.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) offered: OfferTranslation,
    pub(super) to: Side,
    /// What that side had from us before.
    pub(super) before: Option<SessionDescription>,
    /// How often it was to be sent.
    pub(super) tries: u8,
}

impl Later {
    /// Whether a side has the offer and owes its answer.
    pub(super) fn is_offered_to(&self, side: Side) -> bool {
        matches!(&self.stage, Stage::Offered(passed, _) if passed.to == side)
    }
}

/// Longest wait for connectivity before an offer that needs it is answered all the same.
const CONNECTING: Duration = Duration::from_secs(10);
/// How many tries a refusal with 491 counts for, behind those of the engine.
const REFUSED: u8 = 16;
/// The window in which later offers are counted.
const WINDOW: Duration = Duration::from_secs(10);

impl Call {
    /// A re-INVITE, or an UPDATE or PRACK with a description.
    pub(crate) fn reoffered(
        &mut self,
        core: &mut Core,
        side: Side,
        id: RequestId,
        request: &sip::Request,
        now: Instant,
    ) {
        if let Some(status) = self.untimely(side, request) {
            answer(core, side, id, status, None, now);
            return;
        }
        if !self.count_offer(core, now) {
            answer(core, side, id, StatusCode::SERVER_INTERNAL_ERROR, None, now);
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
        if answer_known && known {
            // Nothing new for the other side: a refresh, or ICE's last word.
            later.stage = Stage::Connecting(Box::new(offered));
            later.deadline = Some(now + CONNECTING);
            self.later = Some(later);
            self.connectivity_changed(core, now);
            return;
        }
        let early = self.phase != Phase::Active;
        if !early || self.takes_update(side.other()) {
            self.pass_on(core, later, offered, side.other(), now);
            return;
        }
        let known = match answer_known {
            true => self.exchange.answer.clone(),
            false => self.as_answer(side.other(), &offered.description),
        };
        let answerable = |known: &SessionDescription| {
            sent.is_some_and(|sent| is_answerable(&offered.description, sent, known))
        };
        if let Some(known) = known.filter(answerable) {
            later.stage = Stage::Connecting(Box::new(offered));
            self.later = Some(later);
            self.answer_with(core, known, true, now);
        } else {
            self.later = Some(later);
            core.explain(self.id, format!("an offer from {side} cannot go on before the answer"));
            self.refuse_later(core, 500, None, now);
        }
    }

    /// ICE has come further: what waits for it goes on.
    pub(super) fn connectivity_changed(&mut self, core: &mut Core, now: Instant) {
        if !matches!(self.phase, Phase::Calling | Phase::Active) {
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
        self.tell_news(core, now);
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
        let cseq = response.headers.cseq().ok().flatten();
        if response.status.is_success()
            && cseq.is_some_and(|cseq| cseq.method() == sip::Method::Invite)
            && let Some(session) = self.legs.of(side).session
        {
            let _ = core.agent(side).ack(session, Headers::new(), None, now);
        }
        let ours = |l: &Later| matches!(&l.stage, Stage::Offered(_, waits) if *waits == id);
        if !self.later.as_ref().is_some_and(ours) {
            if response.status.is_success() && self.untold.is_none() {
                // Nobody waits for this any more: the peer is offered what holds.
                self.untold = Some(Untold { by: side.other(), must: false });
                self.tell_news(core, now);
            }
            return;
        }
        let Some(later) = self.later.take() else { return };
        let Stage::Offered(passed, _) = &later.stage else { return };
        if !response.status.is_success() {
            return self.reoffer_refused(core, later, side, response, now);
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
        match sdp::translate::answer(&described.description, &passed.offered, &local) {
            Ok(translation) => {
                let before = later.asked.is_none().then(|| self.said_to(offerer));
                self.adopt(core, side, &translation, now);
                // An answer to the INVITE that comes behind it is an old one.
                self.offered = None;
                let answer = Some(described.description);
                let offer = Some(later.offer);
                self.exchange = Exchange { offerer: Some(offerer), offer, answer };
                if let Some((asked, id)) = later.asked {
                    self.accept_later(core, asked, id, &translation.description, now);
                }
                if let Some(before) = before {
                    self.not_answered_to(offerer, before);
                }
                self.go_on(core, now);
            }
            Err(refusal) => {
                core.counters.descriptions_refused += 1;
                let diagnostic = Diagnostic::of_refusal(&refusal);
                self.later = Some(later);
                self.refuse_later(core, 488, Some(diagnostic), now);
            }
        }
    }

    fn reoffer_refused(
        &mut self,
        core: &mut Core,
        mut later: Later,
        side: Side,
        response: &Response,
        now: Instant,
    ) {
        let Stage::Offered(passed, _) = later.stage else { return };
        let code = response.status.as_u16();
        self.not_told(side, passed.before.clone(), passed.offered.context());
        later.stage = Stage::Opening;
        if code == 491 && later.asked.is_none() {
            // The engine has tried it some times.
            later = wait_for_peer(later, *passed, REFUSED, now);
        }
        let waits = matches!(later.stage, Stage::Waiting(_));
        self.later = Some(later);
        if self.phase == Phase::Calling && matches!(code, 405 | 501) {
            self.takes_no_update(side);
            self.continue_later(core, now);
        } else if !waits {
            let told = map_rejection(side, code, &response.reason, None);
            self.refuse_later(core, told.status, told.diagnostic, now);
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
        self.try_accept(core, now);
    }

    /// An offer has its answer.
    fn go_on(&mut self, core: &mut Core, now: Instant) {
        if self.phase == Phase::Active {
            self.show_activity(core);
        }
        self.try_accept(core, now);
        self.connectivity_changed(core, now);
    }

    /// What was written for a side last, by `context`, is not what it has agreed to: that is
    /// `sent` still.
    pub(super) fn not_told(
        &mut self,
        side: Side,
        sent: Option<SessionDescription>,
        context: &sdp::translate::Context,
    ) {
        self.legs.of_mut(side).sent = sent;
        let role = self.role(side);
        if let Some(own) = &mut self.context {
            own.set_last_written(role, context);
        }
    }

    pub(super) fn later_timed_out(&mut self, core: &mut Core, now: Instant) {
        match self.later.as_ref().map(|l| &l.stage) {
            // Better a late answer without the pairs than none: media may flow by now.
            Some(Stage::Connecting(_)) => self.answer_locally(core, now),
            Some(Stage::Opening) => self.refuse_later(core, 500, None, now),
            Some(Stage::Waiting(_)) => self.pass_on_again(core, now),
            Some(Stage::Offered(passed, _)) => {
                // It may still answer.
                let (to, sent) = (passed.to, Some(passed.offered.description.clone()));
                let context = passed.offered.context().clone();
                self.not_told(to, sent, &context);
                self.refuse_later(core, 504, None, now);
            }
            None => {}
        }
    }

    /// Answers with what the other side has answered before.
    fn answer_locally(&mut self, core: &mut Core, now: Instant) {
        if let Some(known) = self.exchange.answer.clone() {
            self.answer_with(core, known, false, now);
        }
    }

    /// Answers with what is known of the other side, which has news to hear of later, or none.
    fn answer_with(
        &mut self,
        core: &mut Core,
        known: SessionDescription,
        news: bool,
        now: Instant,
    ) {
        let Some(later) = self.later.take() else { return };
        let (Some((side, id)), Stage::Connecting(offered)) = (later.asked, &later.stage) else {
            return;
        };
        let local = self.local_media(core, side, side, later.offer.media.len());
        match sdp::translate::answer(&known, offered, &local) {
            Ok(mut translation) => {
                let why = if news { "is for after the answer" } else { "says nothing new" };
                core.explain(self.id, format!("an offer from {side} {why}: answered here"));
                if let Some(before) = &self.context {
                    // What was written for the other side is not sent.
                    translation.context.set_last_written(self.role(side.other()), before);
                }
                self.adopt(core, side.other(), &translation, now);
                let (offer, answer) = (Some(later.offer), Some(known));
                self.exchange = Exchange { offerer: Some(side), offer, answer };
                self.offered = None;
                if news {
                    self.untold = Some(Untold { by: side, must: false });
                }
                self.accept_later(core, side, id, &translation.description, now);
                self.go_on(core, now);
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
pub(super) fn says_the_same(new: &SessionDescription, old: &SessionDescription) -> bool {
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
    if status == StatusCode::SERVER_INTERNAL_ERROR {
        // RFC 3311 §5.2: 0 to 10 s, at random.
        headers.push("Retry-After", (core.random() % 11).to_string());
    }
    let _ = core.agent(side).respond(id, status, headers, None, now);
}
