//! An INVITE without a description: the gateway offers, and the ACK answers (RFC 3261 §13.2.1).

use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::SessionDescription;
use sdp::translate::{MediaOutcome, OfferTranslation, Outcome as Became};

use super::body::{self, Described};
use super::call::{Call, Exchange, Farewell};
use super::convert;
use super::core::Core;
use super::{later, setup};
use crate::config::Config;
use crate::event::GatewayEvent;
use crate::id::Side;
use crate::policy::Diagnostic;

/// What a caller that asks for an offer is taken to have offered: all that its side has.
pub(super) fn asked(config: &Config, caller: Side) -> Described {
    let description = sdp::translate::presume(&convert::profile(config, caller));
    Described { description, content_id: None }
}

/// An offer in a 2xx, and whose ACK has to answer it.
#[derive(Debug)]
pub(super) struct Owed {
    by: Side,
    offered: OfferTranslation,
    /// What the other side has said.
    theirs: SessionDescription,
    /// The other side has to hear of the answer whatever it is.
    news: bool,
}

impl Owed {
    pub(super) const fn by(&self) -> Side {
        self.by
    }
}

impl Call {
    /// The call has begun without an offer.
    pub(super) const fn delay_offer(&mut self) {
        self.delayed = true;
        self.exchange.offerer = None;
    }

    /// The callee's answer becomes the offer to the caller.
    pub(super) fn offer_to_caller(
        &mut self,
        core: &mut Core,
        answer: SessionDescription,
        now: Instant,
    ) -> Result<SessionDescription, sdp::Refusal> {
        let none = sdp::Refusal { reason: sdp::RefusalReason::NoMedia, media: None };
        let offered = self.offered.take().ok_or(none)?;
        let (caller, callee) = (self.caller, self.callee());
        // The presumed sections give way to those that the callee has and the caller will have.
        for stream in &mut self.streams {
            let presumed = stream.section.of_mut(caller).take();
            let of = |m: &&MediaOutcome| presumed.is_some() && m.a_index == presumed;
            *stream.section.of_mut(callee) = offered.media.iter().find(of).and_then(|m| m.b_index);
        }
        let local = self.local_media(core, caller, callee, answer.media.len());
        let turned = sdp::translate::turn(&answer, &offered, &local)?;
        for stream in &mut self.streams {
            let at = *stream.section.of(callee);
            let of = |m: &&MediaOutcome| at.is_some() && m.b_index == at;
            match turned.media.iter().find(of) {
                Some(media) => *stream.section.of_mut(caller) = media.a_index,
                None => {
                    for side in [Side::Lync, Side::Standard] {
                        stream.close(core, self.id, side, now);
                    }
                }
            }
        }
        let explanation = turned.explain.iter().map(ToString::to_string).collect();
        let (call, what) = (self.id, "offer");
        core.tell(GatewayEvent::Translated { call, from: callee, what, explanation });
        let description = turned.description.clone();
        self.legs.of_mut(caller).sent = Some(description.clone());
        self.owed = Some(Owed { by: caller, offered: turned, theirs: answer, news: false });
        Ok(description)
    }

    /// A re-INVITE without a description asks for an offer (RFC 3264 §8, RFC 3261 §14.2).
    pub(super) fn offer_again(
        &mut self,
        core: &mut Core,
        side: Side,
        id: sip::RequestId,
        now: Instant,
    ) {
        let other = side.other();
        let asked_last = self.exchange.offerer == Some(side);
        let Exchange { offer, answer, .. } = &self.exchange;
        let (said, before) = if asked_last { (answer, offer) } else { (offer, answer) };
        let (Some(mut theirs), Some(context)) = (said.clone(), &self.context) else {
            later::answer(core, side, id, sip::StatusCode::NOT_ACCEPTABLE_HERE, None, now);
            return;
        };
        // An answer to a hold says nothing of what the other side wants.
        let held = before.iter().filter(|_| asked_last).flat_map(|d| d.media_views());
        let mut news = false;
        for (media, view) in theirs.media.iter_mut().zip(held) {
            if view.effective_direction() != sdp::Direction::SendRecv {
                for name in ["inactive", "recvonly", "sendonly"] {
                    news |= media.remove_attribute(name) > 0;
                }
            }
        }
        let local = self.local_media(core, side, other, theirs.media.len());
        let offered = match sdp::translate::again(&theirs, self.role(other), context, &local) {
            Ok(offered) => offered,
            Err(refusal) => {
                let status = setup::status(refusal.status());
                later::answer(core, side, id, status, None, now);
                return;
            }
        };
        let body = Some(sip::Body::sdp(offered.description.to_string()));
        self.legs.of_mut(side).sent = Some(offered.description.clone());
        self.owed = Some(Owed { by: side, offered, theirs, news });
        let _ = core.agent(side).respond(id, sip::StatusCode::OK, sip::Headers::new(), body, now);
    }

    /// An ACK of a peer: it may owe an answer.
    pub(crate) fn acknowledged(
        &mut self,
        core: &mut Core,
        side: Side,
        body: Option<&sip::Body>,
        now: Instant,
    ) {
        self.early.acked |= side == self.caller;
        let Some(owed) = self.owed.take_if(|owed| owed.by == side) else {
            self.tell_news(core, now);
            return;
        };
        let Owed { offered, theirs, news, .. } = owed;
        let other = side.other();
        let limit = core.config.limits.description_octets;
        let ours = match body::read(&sip::Headers::new(), body, limit) {
            Ok(described) => described.description,
            Err(error) => {
                core.counters.descriptions_refused += 1;
                core.explain(self.id, format!("the ACK owes an answer: {error}"));
                self.end(core, None, "no answer in the ACK", now);
                return;
            }
        };
        let local = self.local_media(core, other, other, theirs.media.len());
        let translation = match sdp::translate::answer(&ours, &offered, &local) {
            Ok(translation) => translation,
            Err(refusal) => {
                core.counters.descriptions_refused += 1;
                self.end_joined(core, &refusal, now);
                return;
            }
        };
        // The other side has had its answer; what the translation has for it is not sent.
        let sent = self.legs.of(other).sent.clone();
        self.adopt(core, side, &translation, now);
        self.legs.of_mut(other).sent = sent;
        let role = self.role(other);
        let less = offered.media.iter().zip(&translation.media).any(|(a, b)| differs(role, a, b));
        let offerer = self.exchange.offerer.unwrap_or(Side::Standard);
        let (offer, answer) =
            if side == offerer { (ours.clone(), theirs) } else { (theirs, ours.clone()) };
        self.exchange =
            Exchange { offerer: Some(offerer), offer: Some(offer), answer: Some(answer) };
        self.show_activity(core);
        if less || news {
            core.explain(
                self.id,
                format!("the answer in the ACK changes something: {other} is told"),
            );
            self.align(core, side, ours, true, now);
        } else {
            self.connectivity_changed(core, now);
        }
    }

    /// The descriptions of an answered call cannot be joined.
    pub(super) fn end_joined(&mut self, core: &mut Core, refusal: &sdp::Refusal, now: Instant) {
        core.explain(self.id, format!("the descriptions cannot be joined: {refusal}"));
        let diagnostic = Some(Diagnostic::of_refusal(refusal));
        let told = Farewell { diagnostic, ..Farewell::default() };
        self.end_with(core, None, "the descriptions cannot be joined", &told, now);
    }
}

/// Whether a side's leg has become another one than that side has agreed to.
fn differs(role: sdp::translate::Side, before: &MediaOutcome, now: &MediaOutcome) -> bool {
    if before.outcome != Became::Mapped {
        return false;
    }
    let leg = |m: &'_ MediaOutcome| match role {
        sdp::translate::Side::A => m.a.clone(),
        sdp::translate::Side::B => m.b.clone(),
    };
    match (leg(before), leg(now)) {
        (Some(before), Some(now)) if now.accepted => {
            let numbers = |m: &sdp::AgreedMedia| {
                let mut numbers: Vec<u8> = m.codecs.iter().map(|c| c.send_pt).collect();
                numbers.sort_unstable();
                numbers
            };
            before.direction != now.direction || numbers(&before) != numbers(&now)
        }
        _ => true,
    }
}
