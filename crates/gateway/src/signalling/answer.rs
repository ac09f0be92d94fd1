//! What the callee answers, told to the caller.

use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::translate::{MediaOutcome, OfferTranslation, Outcome as Became, Translation};
use sip::{Headers, Response};

use super::body::{self, Described};
use super::call::{Call, Farewell, Outcome, Phase, Untold};
use super::convert;
use super::core::Core;
use super::early::tag_of;
use super::streams::EndState;
use super::{headers, later};
use crate::event::{CallState, GatewayEvent};
use crate::id::Side;
use crate::media::MediaCommand;
use crate::policy::{Diagnostic, Rejection, map_rejection};

impl Call {
    /// 2xx of the callee.
    pub(crate) fn answered(&mut self, core: &mut Core, response: &Response, now: Instant) {
        let callee = self.callee();
        let Some(session) = self.legs.of(callee).session else { return };
        let _ = core.agent(callee).ack(session, Headers::new(), None, now);
        if self.phase != Phase::Calling {
            // The caller gave up while the answer was on its way.
            let _ = core.agent(callee).bye(session, Headers::new(), now);
            return;
        }
        let contact = response.headers.first("Contact").and_then(|v| sip::NameAddr::parse(v).ok());
        // RFC 4579 §5.1
        self.bridge = contact.filter(|c| c.params.contains("isfocus")).map(|c| c.uri);
        let before = self.legs.of(self.caller).sent.clone().zip(self.context.clone());
        match self.final_answer(core, response, now) {
            Ok(mut description) => {
                if let Some((told, context)) = before.filter(|_| self.early.settled) {
                    // The caller has its answer for good: it hears of another one by an offer.
                    if !later::says_the_same(&description, &told) {
                        self.untold = Some(Untold { by: callee, must: true });
                    }
                    self.not_told(self.caller, Some(told.clone()), &context);
                    description = told;
                }
                self.deadline = None;
                self.early.accepting = Some(description);
                self.try_accept(core, now);
            }
            Err(refusal) => {
                core.counters.descriptions_refused += 1;
                let diagnostic = Some(Diagnostic::of_refusal(&refusal));
                self.end_leg(core, callee, &Farewell { reason: None, diagnostic }, now);
                self.refuse_caller(core, &refusal, now);
            }
        }
    }

    /// What the caller is to have for an answer, or for an offer.
    fn final_answer(
        &mut self,
        core: &mut Core,
        response: &Response,
        now: Instant,
    ) -> Result<sdp::SessionDescription, sdp::Refusal> {
        let missing = || core_refusal(body::BodyError::Missing);
        let known = self.legs.of(self.caller).sent.clone().filter(|_| self.early.told);
        let same_fork = self.early.is_answered_by(&tag_of(response));
        // RFC 3261 §13.2.1: where the answer came in a reliable response, a later one is none.
        let answer = self.read_body(core, &response.headers, response.to_body());
        match answer.filter(|_| !same_fork).transpose().map_err(core_refusal)? {
            Some(described) if self.delayed => {
                self.offer_to_caller(core, described.description, now)
            }
            // Another fork has answered than the one with which more was agreed since: it is
            // offered what holds now.
            Some(_) if self.offered.is_none() => {
                self.untold = Some(Untold { by: self.caller, must: true });
                known.ok_or_else(missing)
            }
            Some(described) => self.take_answer(core, described, now),
            None if self.delayed => {
                let early = self.exchange.answer.take().ok_or_else(missing)?;
                self.offer_to_caller(core, early, now)
            }
            None => known.ok_or_else(missing),
        }
    }

    pub(super) fn accept(
        &mut self,
        core: &mut Core,
        description: &sdp::SessionDescription,
        now: Instant,
    ) {
        let leg = self.legs.of(self.caller);
        let (Some(session), Some(contact)) = (leg.session, leg.contact.clone()) else { return };
        // RFC 6337 §3.1.1: what was said reliably is not said again. Lync's own peers do say it.
        let again = self.caller == Side::Lync && self.offered.is_some();
        let silent = self.early.settled && !again;
        let body = (!silent).then(|| sip::Body::sdp(description.to_string()));
        let headers = self.answer_headers(core, body.is_some());
        if core.agent(self.caller).accept(session, contact, headers, body, now).is_err() {
            self.end(core, Some(self.caller), "the caller is gone", now);
            return;
        }
        self.phase = Phase::Active;
        self.deadline = Some(now + core.config.timers.connectivity());
        self.offered = None;
        let longest = core.config.limits.call_seconds;
        self.ends_at = (longest > 0).then(|| now + std::time::Duration::from_secs(longest));
        core.counters.calls_answered += 1;
        super::conference::session_answered(core, self, now);
        self.show_activity(core);
        self.connectivity_changed(core, now);
    }

    /// Translates an answer to the offer that is out, and puts it into effect.
    pub(super) fn take_answer(
        &mut self,
        core: &mut Core,
        described: Described,
        now: Instant,
    ) -> Result<sdp::SessionDescription, sdp::Refusal> {
        let none = sdp::Refusal { reason: sdp::RefusalReason::NoMedia, media: None };
        let offered = self.offered.take().ok_or(none)?;
        let sections = self.exchange.offer.as_ref().map_or(0, |offer| offer.media.len());
        let local = self.local_media(core, self.caller, self.caller, sections);
        let translated = sdp::translate::answer(&described.description, &offered, &local);
        // Another answer may still come: of another fork, or the final one.
        self.offered = Some(offered);
        let translation = translated?;
        self.exchange.answer = Some(described.description);
        let callee = self.callee();
        self.adopt(core, callee, &translation, now);
        Ok(translation.description)
    }

    /// Puts what was agreed into effect on both legs.
    pub(super) fn adopt(
        &mut self,
        core: &mut Core,
        answerer: Side,
        translation: &Translation,
        now: Instant,
    ) {
        let explanation = translation.explain.iter().map(ToString::to_string).collect();
        let (call, what) = (self.id, "answer");
        core.tell(GatewayEvent::Translated { call, from: answerer, what, explanation });
        self.context = Some(translation.context.clone());
        self.joined.clone_from(&translation.media);
        self.legs.of_mut(answerer.other()).sent = Some(translation.description.clone());
        let (caller, callee) = (self.caller, self.callee());
        for outcome in &translation.media {
            let sections = [(caller, outcome.a_index), (callee, outcome.b_index)];
            let at = self.streams.iter().position(|stream| {
                !stream.is_done()
                    && sections
                        .iter()
                        .any(|(side, at)| at.is_some() && *stream.section.of(*side) == *at)
            });
            let Some(at) = at else { continue };
            self.adopt_stream(core, at, outcome, now);
        }
    }

    fn adopt_stream(&mut self, core: &mut Core, at: usize, outcome: &MediaOutcome, now: Instant) {
        let (id, caller, callee) = (self.id, self.caller, self.callee());
        let Some(stream) = self.streams.get_mut(at) else { return };
        *stream.section.of_mut(caller) = outcome.a_index.or_else(|| *stream.section.of(caller));
        *stream.section.of_mut(callee) = outcome.b_index.or_else(|| *stream.section.of(callee));
        let legs = match (&outcome.outcome, &outcome.a, &outcome.b) {
            (Became::Mapped, Some(a), Some(b)) if a.accepted && b.accepted => {
                [(caller, a), (callee, b)]
            }
            _ => {
                for side in [Side::Lync, Side::Standard] {
                    stream.close(core, id, side, now);
                }
                return;
            }
        };
        for (side, media) in legs {
            let stream_id = stream.id(id, side);
            let agreed = match convert::agreed(&core.config, side, media) {
                Ok(agreed) => agreed,
                Err(error) => {
                    let reason = format!("{stream_id}: {error}");
                    core.tell(GatewayEvent::Failed { call: Some(id), reason });
                    continue;
                }
            };
            let kind = stream.kind;
            let end = stream.ends.of_mut(side);
            if !end.connected {
                end.connected = true;
                let codec = agreed.formats.first().map_or("", |f| f.codec.name());
                let (encrypted, ice) = (agreed.send_key.is_some(), agreed.remote.ice.is_some());
                core.tell(GatewayEvent::Stream { stream: stream_id, kind, codec, encrypted, ice });
            }
            end.held = !(agreed.sends && agreed.receives);
            if agreed.remote.ice.is_none()
                && let EndState::Open { ice, .. } = &mut end.state
            {
                // The peer does none: later descriptions of ours say nothing of it either.
                *ice = None;
            }
            let agreed = Box::new(agreed);
            core.commands.push_back(MediaCommand::Connect { stream: stream_id, agreed });
        }
    }

    /// 300 to 699 of the callee, or no response at all.
    pub(crate) fn rejected(&mut self, core: &mut Core, response: &Response, now: Instant) {
        if self.phase != Phase::Calling {
            return;
        }
        let code = response.status.as_u16();
        let id = headers::diagnostic_id(&response.headers)
            .or_else(|| self.refuses_srtp(response).then_some(Diagnostic::ENCRYPTION_MISMATCH));
        let rejection = map_rejection(self.callee(), code, &response.reason, id);
        core.explain(
            self.id,
            format!(
                "{code} from the callee becomes {}: {}",
                rejection.status, rejection.explanation
            ),
        );
        self.hop_failed(core, code, rejection, now);
    }

    /// A plain endpoint says no more than 488 to an offer of SRTP alone. Where it gives another
    /// reason (RFC 3261 §20.43), that one counts.
    fn refuses_srtp(&self, response: &Response) -> bool {
        let srtp_alone = |offered: &OfferTranslation| {
            offered.description.media_views().all(|m| m.port() == 0 || m.profile().secure)
        };
        self.callee() == Side::Standard
            && matches!(response.status.as_u16(), 488 | 606)
            && !response.headers.contains("Warning")
            && self.offered.as_ref().is_some_and(srtp_alone)
    }

    pub(super) fn not_answered(&mut self, core: &mut Core, now: Instant) {
        let callee = self.callee();
        self.end_leg(core, callee, &Farewell::default(), now);
        let rejection = Rejection { status: 480, explanation: "no answer", diagnostic: None };
        self.reject_caller(core, &rejection, now);
    }

    /// The caller has given up.
    pub(crate) fn cancelled(&mut self, core: &mut Core, request: &sip::Request, now: Instant) {
        let callee = self.callee();
        let told = farewell(&request.headers);
        self.end_leg(core, callee, &told, now);
        core.counters.calls_failed += 1;
        let by = Some(self.caller);
        let reason = "the caller gave up".to_owned();
        self.finish(core, Outcome { by, status: Some(487), reason }, now);
    }

    /// One leg has ended; the other one follows.
    pub(crate) fn leg_ended(
        &mut self,
        core: &mut Core,
        side: Side,
        cause: &sip::EndCause,
        now: Instant,
    ) {
        if self.phase == Phase::Ending {
            return;
        }
        let (reason, told) = match cause {
            sip::EndCause::Bye(request) => {
                let why = headers::diagnostic_id(&request.headers);
                let reason =
                    why.map_or_else(|| "BYE".to_owned(), |id| format!("BYE, diagnostics {id}"));
                (reason, farewell(&request.headers))
            }
            other => (end_reason(other).to_owned(), Farewell::default()),
        };
        self.end_with(core, Some(side), &reason, &told, now);
    }

    pub(super) fn read_body(
        &self,
        core: &Core,
        headers: &Headers,
        body: Option<sip::Body>,
    ) -> Option<Result<Described, body::BodyError>> {
        let body = body.filter(|b| !b.bytes.is_empty())?;
        Some(body::read(headers, Some(&body), core.config.limits.description_octets))
    }

    /// Headers of a response to the caller.
    pub(super) fn answer_headers(&self, _core: &Core, with_body: bool) -> Headers {
        let mut headers = Headers::new();
        if self.caller == Side::Lync {
            headers.push("Ms-Conversation-ID", &self.target.conversation);
            // [MS-OCPSTN] 3.7: which part of the offer was answered.
            if let Some(id) = self.legs.of(self.caller).content_id.as_ref().filter(|_| with_body) {
                headers.push("ms-accepted-content-id", id);
            }
        }
        headers
    }

    pub(super) fn show_activity(&mut self, core: &mut Core) {
        let mut live = self.streams.iter().filter(|s| !s.is_done()).peekable();
        let held = live.peek().is_some() && live.all(|s| s.ends.lync.held && s.ends.standard.held);
        self.set_state(core, if held { CallState::Held } else { CallState::Active });
    }
}

/// What a leg's last request says, for the other leg.
fn farewell(headers: &Headers) -> Farewell {
    Farewell { reason: headers.first("Reason").map(str::to_owned), diagnostic: None }
}

fn core_refusal(error: body::BodyError) -> sdp::Refusal {
    let reason = match error {
        body::BodyError::Malformed(error) => sdp::RefusalReason::Malformed(error),
        _ => sdp::RefusalReason::NoMedia,
    };
    sdp::Refusal { reason, media: None }
}

const fn end_reason(cause: &sip::EndCause) -> &'static str {
    match cause {
        sip::EndCause::NoAck => "no ACK",
        sip::EndCause::NoPrack => "no PRACK",
        sip::EndCause::SessionExpired => "the session timer ran out",
        sip::EndCause::Lost(_) => "the peer has lost the call",
        sip::EndCause::TransportFailure => "the connection failed",
        _ => "ended",
    }
}
