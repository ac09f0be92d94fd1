//! An INVITE without a description: the gateway offers, and the ACK answers (RFC 3261 §13.2.1).

use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::SessionDescription;
use sdp::translate::{MediaOutcome, Outcome as Became};

use super::body::{self, Described};
use super::call::{Call, Exchange, Farewell};
use super::convert;
use super::core::Core;
use crate::config::Config;
use crate::event::GatewayEvent;
use crate::id::Side;
use crate::policy::Diagnostic;

/// What a caller that asks for an offer is taken to have offered: all that its side has.
pub(super) fn asked(config: &Config, caller: Side) -> Described {
    let description = sdp::translate::presume(&convert::profile(config, caller));
    Described { description, content_id: None }
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
        self.exchange.answer = Some(answer);
        self.owed = Some(turned);
        Ok(description)
    }

    /// An ACK of a peer: the caller's may owe an answer.
    pub(crate) fn acknowledged(
        &mut self,
        core: &mut Core,
        side: Side,
        body: Option<&sip::Body>,
        now: Instant,
    ) {
        let (caller, callee) = (self.caller, self.callee());
        let Some(turned) = self.owed.take_if(|_| side == caller) else { return };
        let Some(theirs) = self.exchange.answer.take() else { return };
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
        let local = self.local_media(core, callee, callee, theirs.media.len());
        let translation = match sdp::translate::answer(&ours, &turned, &local) {
            Ok(translation) => translation,
            Err(refusal) => {
                core.counters.descriptions_refused += 1;
                self.end_joined(core, &refusal, now);
                return;
            }
        };
        // The callee has had its answer; what the translation has for it is not sent.
        let sent = self.legs.of(callee).sent.clone();
        self.adopt(core, caller, &translation, now);
        self.legs.of_mut(callee).sent = sent;
        let less = turned.media.iter().zip(&translation.media).any(|(a, b)| differs(a, b));
        let (offer, answer) =
            if caller == Side::Standard { (ours.clone(), theirs) } else { (theirs, ours.clone()) };
        let offerer = Some(Side::Standard);
        self.exchange = Exchange { offerer, offer: Some(offer), answer: Some(answer) };
        self.show_activity(core);
        if less {
            core.explain(self.id, "the caller takes less than the callee: the callee is told");
            self.align_callee(core, ours, now);
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

/// Whether the callee's leg has become another one than the callee has agreed to.
fn differs(before: &MediaOutcome, now: &MediaOutcome) -> bool {
    if before.outcome != Became::Mapped {
        return false;
    }
    match (&before.b, &now.b) {
        (Some(before), Some(now)) if now.accepted => {
            let numbers = |m: &sdp::AgreedMedia| {
                let mut numbers: Vec<u8> = m.codecs.iter().map(|c| c.send_pt).collect();
                numbers.sort_unstable();
                numbers
            };
            before.direction != now.direction || numbers(before) != numbers(now)
        }
        _ => true,
    }
}
