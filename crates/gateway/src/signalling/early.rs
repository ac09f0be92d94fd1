//! What is agreed before the call is answered: provisional responses, and offers by UPDATE
//! (RFC 3311) and PRACK (RFC 3262 §5).

use std::collections::VecDeque;
use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sdp::SessionDescription;
use sip::{Headers, Method, Response, StatusCode};

use super::call::{Call, Phase};
use super::core::{Both, Core};
use crate::event::CallState;
use crate::id::Side;

/// What an unanswered call has come to.
#[derive(Debug)]
pub(super) struct Early {
    /// The caller has been told an answer.
    pub(super) told: bool,
    /// In a reliable response: for good, so that its 2xx has none (RFC 6337 §3.1.1).
    pub(super) settled: bool,
    /// That response has no PRACK yet.
    unpracked: bool,
    /// What the caller's INVITE says of reliable responses.
    reliable: Reliability,
    /// Who lists UPDATE in Allow.
    updates: Both<bool>,
    /// What the caller is told when the PRACK for the response before has come.
    queue: VecDeque<Provisional>,
    /// The first fork that was heard of, and whether there are others.
    fork: Option<String>,
    forked: bool,
    /// The fork whose reliable response has answered the callee's INVITE, for good.
    answered_by: Option<String>,
    /// The callee has answered; the caller hears of it when nothing is under way any more.
    pub(super) accepting: Option<SessionDescription>,
    /// The caller's ACK has come.
    pub(super) acked: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reliability {
    Unknown,
    Supported,
    Required,
}

#[derive(Debug)]
struct Provisional {
    status: StatusCode,
    headers: Headers,
    body: Option<sip::Body>,
}

/// Provisional responses that wait for a PRACK.
const QUEUED: usize = 4;

impl Early {
    pub(super) fn new(caller: Side, invite: &sip::Request) -> Self {
        let headers = &invite.headers;
        let reliable = if headers.require().has("100rel") {
            Reliability::Required
        } else if headers.supported().has("100rel") {
            Reliability::Supported
        } else {
            Reliability::Unknown
        };
        let updates = headers.allow().has("UPDATE");
        Self {
            told: false,
            settled: false,
            unpracked: false,
            reliable,
            updates: Both::new(|side| side == caller && updates),
            queue: VecDeque::new(),
            fork: None,
            forked: false,
            answered_by: None,
            accepting: None,
            acked: false,
        }
    }

    /// What `tag`, a fork of the callee, has answered before counts (RFC 3261 §13.2.1).
    pub(super) fn is_answered_by(&self, tag: &str) -> bool {
        self.answered_by.as_deref() == Some(tag)
    }

    /// A reliable answer of the callee's was passed on, of whatever fork.
    pub(super) const fn is_answered(&self) -> bool {
        self.answered_by.is_some()
    }

    fn hear(&mut self, callee: Side, response: &Response) -> String {
        let tag = tag_of(response);
        if response.headers.contains("Allow") {
            *self.updates.of_mut(callee) = response.headers.allow().has("UPDATE");
        }
        let first = self.fork.get_or_insert_with(|| tag.clone());
        self.forked |= *first != tag;
        tag
    }
}

impl Call {
    /// A provisional response of the callee.
    pub(crate) fn progressed(&mut self, core: &mut Core, response: &Response, now: Instant) {
        if self.phase != Phase::Calling || self.early.accepting.is_some() {
            return;
        }
        let callee = self.callee();
        self.next_hop_lives(core, callee, now);
        let tag = self.early.hear(callee, response);
        let reliable = response.headers.require().has("100rel");
        let mut told = None;
        // Once there is an answer for good, no description in another response counts.
        if !self.early.is_answered()
            && let Some(Ok(described)) = self.read_body(core, &response.headers, response.to_body())
        {
            if self.delayed {
                // The caller gets its offer in the final response.
                self.exchange.answer = Some(described.description);
                self.early.answered_by = reliable.then_some(tag);
            } else {
                match self.take_answer(core, described, now) {
                    Ok(description) => {
                        self.early.told = true;
                        self.early.answered_by = reliable.then_some(tag);
                        told = Some(description);
                    }
                    // The final answer decides; this one cannot be passed.
                    Err(refusal) => {
                        core.explain(self.id, format!("early answer not used: {refusal}"));
                    }
                }
            }
        }
        let state = if told.is_some() { CallState::EarlyMedia } else { CallState::Ringing };
        match response.status.as_u16() {
            // 101 is Lync's progress report, 199 ends an early dialog: nothing for the caller.
            100 | 101 | 199 => return,
            180 | 183 if self.state != Some(CallState::EarlyMedia) => self.set_state(core, state),
            _ => {}
        }
        // What the caller has for good is not said again.
        let told = told.filter(|_| !self.early.settled);
        let mut headers = self.answer_headers(core, told.is_some());
        // [MS-SDPEXT] 3.1.5.13: a Lync caller has its early media in a reliable response.
        if told.is_some() && (reliable || self.caller == Side::Lync) {
            headers.push("Require", "100rel");
        }
        let body = told.map(|description| sip::Body::sdp(description.to_string()));
        let provisional = Provisional { status: response.status, headers, body };
        self.tell_progress(core, provisional, now);
    }

    /// One reliable response waits for its PRACK at a time (RFC 3262 §3).
    fn tell_progress(&mut self, core: &mut Core, provisional: Provisional, now: Instant) {
        let Some(session) = self.legs.of(self.caller).session else { return };
        let Provisional { status, headers, body } = &provisional;
        let wanted = headers.contains("Require");
        let reliable = match self.early.reliable {
            Reliability::Unknown => false,
            Reliability::Supported => wanted,
            Reliability::Required => true,
        };
        let mut told = Err(sip::VerbError::Pending);
        if self.early.queue.is_empty() {
            let (headers, body) = (headers.clone(), body.clone());
            told = core.agent(self.caller).progress(session, *status, headers, body, now);
        }
        match told {
            Ok(()) if reliable && body.is_some() => {
                self.early.settled = true;
                self.early.unpracked = true;
            }
            // What finds no place the final response says.
            Err(sip::VerbError::Pending) if self.early.queue.len() < QUEUED => {
                self.early.queue.push_back(provisional);
            }
            _ => {}
        }
    }

    /// The caller's PRACK has come.
    pub(crate) fn progress_acked(&mut self, core: &mut Core, side: Side, now: Instant) {
        if side != self.caller || self.phase != Phase::Calling {
            return;
        }
        self.early.unpracked = false;
        if self.early.accepting.is_some() {
            return self.try_accept(core, now);
        }
        for next in core::mem::take(&mut self.early.queue) {
            self.tell_progress(core, next, now);
        }
    }

    /// RFC 3262 §3: the 2xx waits for the PRACK of a response with a description; and an offer that
    /// is under way has its answer first.
    pub(super) fn try_accept(&mut self, core: &mut Core, now: Instant) {
        if self.phase != Phase::Calling || self.later.is_some() || self.early.unpracked {
            return;
        }
        let Some(description) = self.early.accepting.take() else { return };
        self.early.queue.clear();
        self.accept(core, &description, now);
    }

    /// How an offer that comes at the wrong time is answered (RFC 3311 §5.2): 491 while the peer
    /// owes an answer, 500 with Retry-After while we do.
    pub(super) fn untimely(&self, side: Side, request: &sip::Request) -> Option<StatusCode> {
        let theirs_is_due = Some(StatusCode::REQUEST_PENDING);
        let ours_is_due = Some(StatusCode::SERVER_INTERNAL_ERROR);
        if request.method == Method::Invite {
            // RFC 3261 §14.2.
            let busy = self.phase != Phase::Active || self.later.is_some() || self.owed.is_some();
            return theirs_is_due.filter(|_| busy);
        }
        if let Some(later) = &self.later {
            return if later.is_offered_to(side) { theirs_is_due } else { ours_is_due };
        }
        if let Some(owed) = &self.owed {
            return if owed.by() == side { theirs_is_due } else { ours_is_due };
        }
        match self.phase {
            Phase::Active => None,
            Phase::Opening | Phase::Calling if side == self.caller => match self.early.settled {
                true => None,
                // An INVITE without an offer: ours is to come.
                false if self.delayed => theirs_is_due,
                false => ours_is_due,
            },
            Phase::Calling => {
                let from = request.headers.from().ok().flatten();
                let tag = from.and_then(|from| from.tag()).unwrap_or_default();
                match self.early.is_answered_by(tag) || self.early.accepting.is_some() {
                    true if self.delayed => ours_is_due,
                    true => None,
                    false => theirs_is_due,
                }
            }
            Phase::Opening | Phase::Ending => ours_is_due,
        }
    }

    /// Whether an UPDATE with an offer may go to a side that has not been told of the answer.
    pub(super) fn takes_update(&self, side: Side) -> bool {
        let early = &self.early;
        let settled = if side == self.caller {
            early.settled && !early.unpracked
        } else {
            early.accepting.is_some() || (early.is_answered() && !early.forked)
        };
        // [MS-SDPEXT] 3.1.5.13: no second exchange before the call is answered.
        side == Side::Standard && settled && *early.updates.of(side)
    }

    /// What a side has offered, made an answer to `offer`: the key and the codecs that it was
    /// answered with. `None` where it has not offered last.
    pub(super) fn as_answer(
        &self,
        side: Side,
        offer: &SessionDescription,
    ) -> Option<SessionDescription> {
        let mut said =
            self.exchange.offer.clone().filter(|_| self.exchange.offerer == Some(side))?;
        let sent = self.legs.of(side).sent.as_ref()?;
        for (index, media) in said.media.iter_mut().enumerate() {
            let (asked, answered) = (offer.media_view(index)?, sent.media.get(index)?);
            media.formats.retain(|format| answered.formats.contains(format));
            media.remove_attribute("crypto");
            let legs = self.joined.iter().find_map(|outcome| match self.role(side) {
                sdp::translate::Side::A if outcome.a_index == Some(index) => outcome.a.as_ref(),
                sdp::translate::Side::B if outcome.b_index == Some(index) => outcome.b.as_ref(),
                _ => None,
            });
            let key = legs.and_then(|leg| leg.remote.crypto.as_ref());
            if let Some((key, ours)) = key.zip(asked.crypto().first()) {
                let key = sdp::Crypto { tag: ours.tag, suite: ours.suite.clone(), ..key.clone() };
                media.push_attribute("crypto", Some(&key.to_string()));
                media.proto = sdp::Proto::new(asked.proto());
            }
            if legs.is_none() {
                media.port = 0;
            }
        }
        Some(said)
    }

    /// The peer's Allow has said too much.
    pub(super) const fn takes_no_update(&mut self, side: Side) {
        *self.early.updates.of_mut(side) = false;
    }
}

/// Whether an offer can be answered with `known`, what the other side said last, before that side
/// hears of it: no line has come, and every line in use still has the codec that is spoken.
pub(super) fn is_answerable(
    offer: &SessionDescription,
    before: &SessionDescription,
    known: &SessionDescription,
) -> bool {
    let lines = offer.media.iter().zip(known.media.iter());
    offer.media.len() == before.media.len()
        && offer.media.len() == known.media.len()
        && lines.zip(&before.media).all(|((offer, known), before)| {
            let come = offer.port != 0 && before.port == 0;
            let spoken =
                || known.formats.first().is_none_or(|spoken| offer.formats.contains(spoken));
            !come && (offer.port == 0 || known.port == 0 || spoken())
        })
}

pub(super) fn tag_of(response: &Response) -> String {
    let to = response.headers.to().ok().flatten();
    to.and_then(|to| to.tag()).unwrap_or_default().to_owned()
}
