//! A call: two legs and their media.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_sdp::SessionDescription;
use linkspan_sdp::translate::{Context, MediaOutcome, OfferTranslation};
use linkspan_sip as sip;

use super::core::{Both, Core};
use super::delayed::Owed;
use super::early::Early;
use super::headers;
use super::later::{self, Later};
use super::streams::Stream;
use crate::config::NextHop;
use crate::event::{CallState, CallSummary, GatewayEvent};
use crate::id::{CallId, Side, StreamId};
use crate::media::MediaEvent;
use crate::policy::{Diagnostic, Rejection};

/// A call from its INVITE until everything is given back.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) id: CallId,
    pub(super) caller: Side,
    pub(super) legs: Both<Leg>,
    pub(super) streams: Vec<Stream>,
    pub(super) phase: Phase,
    /// Where the callee may be reached, first choice first.
    pub(super) hops: VecDeque<(NextHop, SocketAddr)>,
    /// The one that is being tried, or that has answered.
    pub(super) hop: Option<(NextHop, SocketAddr)>,
    pub(super) target: Target,
    /// Name of the route that it goes by.
    pub(crate) route: Option<String>,
    /// The caller's offer, translated for the callee, while its answer is awaited.
    pub(super) offered: Option<OfferTranslation>,
    /// What the translations so far have come to.
    pub(super) context: Option<Context>,
    /// What it means for each section.
    pub(super) joined: Vec<MediaOutcome>,
    /// The last offer and answer that both sides have agreed on, as they came from the peers.
    pub(super) exchange: Exchange,
    /// A later offer that is under way.
    pub(super) later: Option<Later>,
    /// Later offers of the current ten seconds.
    pub(super) recent_offers: (Option<Instant>, usize),
    /// What the caller is told when no next hop is left.
    pub(super) best: Option<Rejection>,
    pub(super) state: Option<CallState>,
    /// What was agreed before the call is answered.
    pub(super) early: Early,
    /// The caller has asked for an offer instead of making one.
    pub(super) delayed: bool,
    /// The offer in a 2xx whose answer the ACK owes.
    pub(super) owed: Option<Owed>,
    /// A side's last words, which the other one has not heard.
    pub(super) untold: Option<Untold>,
    /// The final offer of ICE toward a Lync callee has been made.
    pub(super) settled: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) ends_at: Option<Instant>,
    pub(super) ended: Option<Outcome>,
    /// The conference that the caller wants to be in.
    pub(super) conference: Option<super::conference::Membership>,
    /// The callee is a conference itself, of that address.
    pub(super) bridge: Option<sip::Uri>,
    /// The next hop has responded.
    pub(super) hop_lives: bool,
    pub(super) since: Instant,
}

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) session: Option<sip::SessionId>,
    pub(super) contact: Option<sip::NameAddr>,
    pub(super) path: Option<sip::Path>,
    pub(super) call_id: String,
    /// The description that the peer has from us.
    pub(super) sent: Option<SessionDescription>,
    /// Content-ID of the part of the peer's offer that we answer.
    pub(super) content_id: Option<String>,
}

/// Who is called, and by whom.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) uri: sip::Uri,
    pub(super) from: sip::NameAddr,
    /// The caller's number, for a Lync callee.
    pub(super) number: Option<String>,
    pub(super) user: String,
    pub(super) caller_user: String,
    pub(super) max_forwards: u32,
    pub(super) conversation: String,
}

#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) offerer: Option<Side>,
    pub(super) offer: Option<SessionDescription>,
    pub(super) answer: Option<SessionDescription>,
}

/// News that one side has for the other, for an offer of the gateway's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Untold {
    pub(super) by: Side,
    /// The call cannot go on without it.
    pub(super) must: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Media sockets are being bound.
    Opening,
    /// The callee has the INVITE.
    Calling,
    /// Answered.
    Active,
    /// Both dialogs are over or ending; sockets are being given back.
    Ending,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) by: Option<Side>,
    pub(super) status: Option<u16>,
    pub(super) reason: String,
}

/// How a leg is told that the call is over.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    pub(super) reason: Option<String>,
    pub(super) diagnostic: Option<Diagnostic>,
}

/// How long sockets may take to be given back.
const LAST_WAIT: Duration = Duration::from_secs(2);

impl Call {
    pub(super) const fn callee(&self) -> Side {
        self.caller.other()
    }

    /// Whether there is nothing left of the call.
    pub(crate) fn is_over(&self) -> bool {
        let closed = |s: &Stream| s.ends.lync.is_closed() && s.ends.standard.is_closed();
        self.phase == Phase::Ending && self.streams.iter().all(closed)
    }

    pub(crate) fn summary(&self) -> CallSummary {
        CallSummary {
            call: self.id,
            caller: self.caller,
            from: self.target.from.uri.to_string(),
            to: self.target.uri.to_string(),
            state: self.state.filter(|_| self.phase != Phase::Ending),
            next_hop: self.hop.as_ref().map(|(_, address)| *address),
            since: self.since,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let later = self.later.as_ref().and_then(|l| l.deadline);
        [self.deadline, self.ends_at, later].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        if self.later.as_ref().is_some_and(|l| l.deadline.is_some_and(|at| at <= now)) {
            self.later_timed_out(core, now);
        }
        if self.ends_at.is_some_and(|at| at <= now) {
            self.ends_at = None;
            self.end(core, None, "the longest duration of a call is reached", now);
        }
        if self.deadline.is_none_or(|at| at > now) {
            return;
        }
        self.deadline = None;
        match self.phase {
            Phase::Opening => self.fail(core, 503, "media sockets were not bound in time", now),
            Phase::Calling if !self.hop_lives => self.hop_timed_out(core, now),
            Phase::Calling => self.not_answered(core, now),
            Phase::Active => self.check_connectivity(core, now),
            Phase::Ending => {
                for stream in &mut self.streams {
                    for side in [Side::Lync, Side::Standard] {
                        stream.closed(core, self.id, side, now);
                    }
                }
            }
        }
    }

    pub(crate) fn handle_media(&mut self, core: &mut Core, event: MediaEvent, now: Instant) {
        let StreamId { side, index, .. } = event.stream();
        let id = self.id;
        let Some(stream) = self.streams.iter_mut().find(|s| s.index == index) else { return };
        match event {
            MediaEvent::Bound { .. } => stream.bound(core, id, side),
            MediaEvent::BindFailed { reason, .. } => {
                core.explain(id, format!("media sockets could not be bound: {reason}"));
                if !stream.bind_failed(core, id, side, now) {
                    self.opening_failed(core, "no media socket could be bound", now);
                }
            }
            MediaEvent::Opened { ice, .. } => {
                stream.opened(side, ice);
                self.continue_opening(core, now);
            }
            MediaEvent::OpenFailed { reason, .. } => {
                core.tell(GatewayEvent::Failed { call: Some(id), reason: reason.clone() });
                if !stream.ends.of(side).is_open() {
                    self.opening_failed(core, "the media transport could not be set up", now);
                }
            }
            MediaEvent::Connected { stream: at, pairs } => {
                if let Some(pair) = pairs.first() {
                    let (local, remote) = (pair.local, pair.remote);
                    core.tell(GatewayEvent::Connected { stream: at, local, remote });
                }
                stream.ends.of_mut(side).pairs = Some(pairs);
                self.connectivity_changed(core, now);
            }
            MediaEvent::RelayFailed { server, reason, .. } => {
                core.explain(id, format!("no relayed candidate from {server}: {reason}"));
            }
            MediaEvent::Disconnected { .. } if self.phase == Phase::Active => {
                self.end_without_media(core, now);
            }
            MediaEvent::Silent { .. } if self.phase == Phase::Active => {
                self.end(core, None, "neither RTP nor RTCP for too long", now);
            }
            MediaEvent::Digit { stream, digit } => core.tell(GatewayEvent::Digit { stream, digit }),
            MediaEvent::KeyframeBySignalling { .. } => self.picture_update(core, side, now),
            MediaEvent::Dropped { stream, reason, count } => {
                core.tell(GatewayEvent::Dropped { stream, reason, count });
            }
            MediaEvent::Closed { stream: at, statistics } => {
                stream.closed(core, id, side, now);
                core.tell(GatewayEvent::Statistics { stream: at, statistics });
            }
            MediaEvent::Disconnected { .. } | MediaEvent::Silent { .. } => {}
        }
    }

    /// Ends an answered call, or one on its way, on both legs.
    pub(crate) fn end(&mut self, core: &mut Core, by: Option<Side>, reason: &str, now: Instant) {
        self.end_with(core, by, reason, &Farewell::default(), now);
    }

    pub(super) fn end_with(
        &mut self,
        core: &mut Core,
        by: Option<Side>,
        reason: &str,
        told: &Farewell,
        now: Instant,
    ) {
        for side in [Side::Lync, Side::Standard] {
            if by != Some(side) {
                self.end_leg(core, side, told, now);
            }
        }
        self.finish(core, Outcome { by, status: None, reason: reason.to_owned() }, now);
    }

    /// Some time after the answer every stream with ICE has to have its way.
    fn check_connectivity(&mut self, core: &mut Core, now: Instant) {
        if !self.is_connected(Side::Lync) || !self.is_connected(Side::Standard) {
            self.end_without_media(core, now);
        }
    }

    fn end_without_media(&mut self, core: &mut Core, now: Instant) {
        let told = Farewell { diagnostic: Some(no_connectivity()), ..Farewell::default() };
        self.end_with(core, None, "no media path", &told, now);
    }

    /// CANCEL, BYE or a refusal, whatever the state of the leg needs.
    pub(super) fn end_leg(&mut self, core: &mut Core, side: Side, told: &Farewell, now: Instant) {
        let Some(session) = self.legs.of(side).session else { return };
        let mut headers = sip::Headers::new();
        if let Some(reason) = &told.reason {
            headers.push("Reason", reason);
        }
        let diagnostic = told.diagnostic.as_ref().filter(|_| side == Side::Lync);
        headers::diagnose(&mut headers, diagnostic, core);
        // An error means that the leg has ended by itself.
        let _ = core.agent(side).end(session, headers, now);
    }

    /// The dialogs are over or ending: gives everything back.
    pub(super) fn finish(&mut self, core: &mut Core, outcome: Outcome, now: Instant) {
        if self.phase == Phase::Ending {
            return;
        }
        self.phase = Phase::Ending;
        super::conference::leave(core, self.id, now);
        // RFC 3261 §15.1.2: what is pending is answered still.
        if let Some((side, id)) = self.later.take().and_then(|later| later.asked) {
            later::answer(core, side, id, sip::StatusCode::REQUEST_TERMINATED, None, now);
        }
        self.owed = None;
        self.ends_at = None;
        self.deadline = Some(now + LAST_WAIT);
        self.ended = Some(outcome);
        for stream in &mut self.streams {
            for side in [Side::Lync, Side::Standard] {
                stream.close(core, self.id, side, now);
            }
        }
    }

    /// The call is gone: the last event.
    pub(crate) fn bury(mut self, core: &mut Core) {
        let id = self.id;
        for side in [Side::Lync, Side::Standard] {
            let leg = self.legs.of(side);
            if let Some(session) = leg.session {
                core.sessions.remove(&(side, session));
            }
            core.call_ids.remove(&(side, leg.call_id.as_str().into()));
        }
        core.requests.retain(|_, call| *call != id);
        core.counters.calls_ended += 1;
        if let Some(Outcome { by, status, reason }) = self.ended.take() {
            core.tell(GatewayEvent::Ended { call: id, by, status, reason });
        }
    }

    pub(super) fn set_state(&mut self, core: &mut Core, state: CallState) {
        if self.state != Some(state) {
            self.state = Some(state);
            core.tell(GatewayEvent::Call { call: self.id, state });
        }
    }
}

fn no_connectivity() -> Diagnostic {
    // [MS-OCER]: media connectivity failure in the middle of a call.
    Diagnostic { id: 32, reason: "Call terminated on mid-call media failure".into(), client: true }
}
