//! From an INVITE to the second leg's INVITE.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sip::{Headers, StatusCode};

use super::body::{self, Described};
use super::call::{Call, Exchange, Leg, Outcome, Phase, Target};
use super::conference;
use super::convert;
use super::core::{Both, Core};
use super::delayed;
use super::early::Early;
use super::headers::{self, MARK};
use super::streams::{Stream, Wanted};
use crate::config::IceKind;
use crate::dialling::caller;
use crate::event::{CallState, GatewayEvent};
use crate::id::{CallId, Side, StreamKind};
use crate::policy::{Diagnostic, Rejection, better_rejection, map_rejection, tries_next_hop};
use crate::routing::{Decision, RouteQuery, decide};

/// An INVITE that begins a call.
#[derive(Debug)]
pub(crate) struct NewCall<'a> {
    pub(crate) id: CallId,
    pub(crate) side: Side,
    pub(crate) session: sip::SessionId,
    pub(crate) request: &'a sip::Request,
    pub(crate) path: sip::Path,
    pub(crate) calls: usize,
    pub(crate) calls_of: &'a [(String, usize)],
    pub(crate) draining: bool,
}

/// Media sockets must be there this soon.
const OPENING: std::time::Duration = std::time::Duration::from_secs(5);

impl Call {
    /// Decides about an INVITE. `None` when it was refused, with the answer sent.
    pub(crate) fn begin(core: &mut Core, new: &NewCall<'_>, now: Instant) -> Option<Self> {
        core.counters.calls_received += 1;
        let config = core.config.clone();
        let request = new.request;
        let mark = core.mark.as_str();
        let visited = request.headers.all(MARK).any(|value| value.trim() == mark);
        let hops = request.headers.first("Max-Forwards");
        let conference = conference::dialled(&config, new.side, &request.uri);
        let dialled = conference.as_ref().unwrap_or(&request.uri);
        let calls_of: Vec<_> = new.calls_of.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        let query = RouteQuery {
            from: new.side,
            peer: new.path.remote.ip(),
            scheme: dialled.scheme(),
            user: headers::user_of(dialled),
            host: dialled.host(),
            phone: request.uri.as_ref().is_tel()
                || request.uri.param("user").is_some_and(|v| v.eq_ignore_ascii_case("phone")),
            // RFC 3261 §8.1.1.6: 70 where there is none.
            max_forwards: hops.map_or(70, |v| v.trim().parse().unwrap_or(0)),
            visited,
            calls: new.calls,
            calls_of: &calls_of,
            draining: new.draining,
        };
        let decision = decide(&query, &config);
        core.explain(new.id, decision.explain());
        let (route, callee) = match decision {
            Decision::Route { route, user, host, phone, .. } => (route, (user, host, phone)),
            Decision::Refuse(reason) => {
                let diagnostic = reason.diagnostic().map(|id| Diagnostic {
                    id,
                    reason: reason.to_string(),
                    client: false,
                });
                refuse(core, new, reason.status(), diagnostic.as_ref(), &reason.to_string(), now);
                return None;
            }
        };
        if conference::is_psom(&request.uri) {
            refuse(core, new, 488, None, "web conferencing (PSOM) is not carried", now);
            return None;
        }
        let limit = config.limits.description_octets;
        let described = match body::read(&request.headers, request.to_body().as_ref(), limit) {
            Ok(described) => described,
            Err(body::BodyError::Missing) => delayed::asked(&config, new.side),
            Err(error) => {
                core.counters.descriptions_refused += 1;
                let diagnostic = Diagnostic::unsupported_description();
                refuse(core, new, error.status(), Some(&diagnostic), &error.to_string(), now);
                return None;
            }
        };
        let Some(mut target) = target(core, new, callee, query.max_forwards) else {
            refuse(core, new, 400, None, "From or Request-URI cannot be used", now);
            return None;
        };
        if let Some(focus) = &conference {
            target.uri = focus.clone();
        }
        let mut hops: Vec<_> = route
            .next_hops
            .iter()
            .flat_map(|hop| hop.socket_addresses().map(|at| (hop.clone(), at)))
            .take(config.limits.next_hops)
            .collect();
        core.failed_hops.sort(&mut hops, now);
        let delayed = request.body.is_empty();
        let mut call = Self::new(core, new, target, described, hops.into(), now);
        call.route.clone_from(&route.name);
        if delayed {
            call.delay_offer();
        }
        if let Some(focus) = conference {
            call.enrol(&focus);
        }
        core.sessions.insert((new.side, new.session), new.id);
        call.open_media(core, now);
        Some(call)
    }

    fn new(
        core: &Core,
        new: &NewCall<'_>,
        target: Target,
        described: Described,
        hops: VecDeque<(crate::config::NextHop, std::net::SocketAddr)>,
        now: Instant,
    ) -> Self {
        let call_id = new.request.headers.first("Call-ID").unwrap_or_default().to_owned();
        let contact = headers::contact(core, new.side, &target.user, new.path.transport);
        let mut legs = Both::new(|_| Leg {
            session: None,
            contact: None,
            path: None,
            call_id: String::new(),
            sent: None,
            content_id: None,
        });
        let leg = legs.of_mut(new.side);
        leg.session = Some(new.session);
        leg.contact = contact;
        leg.path = Some(new.path);
        leg.call_id = call_id;
        leg.content_id = described.content_id;
        Self {
            id: new.id,
            caller: new.side,
            legs,
            streams: Vec::new(),
            phase: Phase::Opening,
            hops,
            hop: None,
            target,
            route: None,
            offered: None,
            context: None,
            joined: Vec::new(),
            exchange: Exchange {
                offerer: Some(new.side),
                offer: Some(described.description),
                answer: None,
            },
            later: None,
            recent_offers: (None, 0),
            best: None,
            state: None,
            early: Early::new(new.side, new.request),
            delayed: false,
            owed: None,
            untold: None,
            settled: false,
            deadline: None,
            ends_at: None,
            ended: None,
            conference: None,
            bridge: None,
            hop_lives: false,
            since: now,
        }
    }

    fn open_media(&mut self, core: &mut Core, now: Instant) {
        self.set_state(core, CallState::Opening);
        let caller = self.caller;
        let Some(offer) = self.exchange.offer.clone() else { return };
        if offer.media.len() > core.config.limits.media_lines {
            self.fail(core, 488, "too many media lines", now);
            return;
        }
        if !self.open_streams(core, &offer, caller, now) {
            self.fail(core, 503, "no media ports left", now);
            return;
        }
        self.deadline = Some(now + OPENING);
        if self.streams.is_empty() {
            // Nothing that could be joined: the translation says why.
            self.continue_opening(core, now);
        }
    }

    /// Opens a stream for the first audio and the first video line that have none yet. False when
    /// the ports are used up.
    pub(super) fn open_streams(
        &mut self,
        core: &mut Core,
        offer: &sdp::SessionDescription,
        offerer: Side,
        now: Instant,
    ) -> bool {
        for (line, view) in offer.media_views().enumerate() {
            let Some(kind) = convert::kind(&view.kind()).filter(|_| view.port() != 0) else {
                continue;
            };
            let video_off = !core.config.lync.video || !core.config.standard.video;
            let refused =
                kind == StreamKind::Video && (video_off || view.content() == Some("slides"));
            if refused || self.streams.iter().any(|s| s.kind == kind && !s.is_done()) {
                continue;
            }
            let asked = self.phase == Phase::Opening && self.delayed;
            let offers_ice = asked || view.ice_credentials().is_some();
            let ice = |side: Side| {
                core.config.side(side).ice != IceKind::None && (side != offerer || offers_ice)
            };
            let ice = Both::new(ice);
            let ssrc = self.ssrcs(core, kind, view.ssrc_range());
            let wanted = Wanted { ice, ssrc, offerer: (!asked).then_some(offerer) };
            let index = u8::try_from(self.streams.len()).unwrap_or(u8::MAX);
            let opened = Stream::open(core, (self.id, index, kind), wanted, now);
            let Some(mut stream) = opened else { return false };
            *stream.section.of_mut(offerer) = Some(line);
            self.streams.push(stream);
        }
        true
    }

    /// SSRCs of a stream: ranges of 1 and 100, apart from each other and from the peer's.
    fn ssrcs(&self, core: &mut Core, kind: StreamKind, theirs: Option<(u32, u32)>) -> Both<u32> {
        let width = if kind == StreamKind::Video { 100 } else { 1 };
        let taken: Vec<u32> = self.streams.iter().map(|s| s.ends.lync.ssrc).collect();
        let mut lync = 1;
        for _ in 0..64 {
            lync = 1 + core.random() % (u32::MAX - 200);
            let apart = |first: u32, last: u32| lync > last || lync + width - 1 < first;
            let from_theirs = theirs.is_none_or(|(first, last)| apart(first, last));
            if from_theirs && taken.iter().all(|t| apart(*t, t.saturating_add(99))) {
                break;
            }
        }
        Both { lync, standard: core.random() }
    }

    /// A stream has been set up: when it was the last one, the call goes on.
    pub(super) fn continue_opening(&mut self, core: &mut Core, now: Instant) {
        let ready =
            |s: &Stream| s.is_done() || (s.ends.lync.is_open() && s.ends.standard.is_open());
        if !self.streams.iter().all(ready) {
            return;
        }
        match self.phase {
            Phase::Opening => self.place(core, now),
            Phase::Active | Phase::Calling => self.continue_later(core, now),
            Phase::Ending => {}
        }
    }

    pub(super) fn opening_failed(&mut self, core: &mut Core, reason: &str, now: Instant) {
        match self.phase {
            Phase::Active | Phase::Calling if self.later.is_some() => {
                self.refuse_later(core, 500, None, now);
            }
            Phase::Opening | Phase::Calling => self.fail(core, 503, reason, now),
            Phase::Active => {}
            Phase::Ending => {}
        }
    }

    /// Everything is there for the callee's INVITE.
    fn place(&mut self, core: &mut Core, now: Instant) {
        let (caller, callee) = (self.caller, self.callee());
        let from = convert::profile(&core.config, caller);
        let to = convert::profile(&core.config, callee);
        let Some(offer) = self.exchange.offer.clone() else { return };
        let local = self.local_media(core, callee, caller, offer.media.len());
        match sdp::translate::offer(&offer, &from, &to, &local) {
            Ok(offered) => {
                let explanation = offered.explain.iter().map(ToString::to_string).collect();
                let (call, what) = (self.id, "offer");
                core.tell(GatewayEvent::Translated { call, from: caller, what, explanation });
                self.offered = Some(offered);
                self.phase = Phase::Calling;
                if self.conference.is_some() {
                    self.join_conference(core, now);
                } else {
                    self.try_next_hop(core, now);
                }
            }
            Err(refusal) => {
                core.counters.descriptions_refused += 1;
                self.refuse_caller(core, &refusal, now);
            }
        }
    }

    /// The INVITE toward the next hop that has not been tried.
    pub(super) fn try_next_hop(&mut self, core: &mut Core, now: Instant) {
        let callee = self.callee();
        // An early answer was of the hop before.
        self.exchange.answer = None;
        while let Some((hop, remote)) = self.hops.pop_front() {
            let Some(invite) = self.invite(core, &hop, remote) else { continue };
            let (path, contact) = (invite.path, invite.contact.clone());
            let call_id = invite.call_id.clone().unwrap_or_default();
            match core.agent(callee).invite(invite, now) {
                Ok(session) => {
                    core.explain(self.id, format!("calling {remote} over {}", hop.transport));
                    core.sessions.insert((callee, session), self.id);
                    core.call_ids.insert((callee, call_id.as_str().into()), self.id);
                    let leg = self.legs.of_mut(callee);
                    leg.session = Some(session);
                    leg.path = Some(path);
                    leg.contact = Some(contact);
                    leg.call_id = call_id;
                    self.hop_lives = false;
                    self.hop = Some((hop, remote));
                    self.deadline = Some(now + core.config.timers.next_hop());
                    self.set_state(core, CallState::Calling);
                    return;
                }
                Err(error) => core.explain(self.id, format!("{remote} was not called: {error}")),
            }
        }
        let rejection = self.best.take().unwrap_or_else(|| {
            let mut rejection = map_rejection(callee, 503, "no next hop could be called", None);
            rejection.status = 503;
            rejection
        });
        self.reject_caller(core, &rejection, now);
    }

    fn invite(
        &mut self,
        core: &mut Core,
        hop: &crate::config::NextHop,
        remote: std::net::SocketAddr,
    ) -> Option<sip::OutgoingInvite> {
        let callee = self.callee();
        let path = headers::path(core, callee, hop, remote);
        let description = &self.offered.as_ref()?.description;
        let mut headers = Headers::new();
        headers.push(MARK, &core.mark);
        headers.push("Max-Forwards", self.hops_left());
        let mut from = self.target.from.clone();
        if callee == Side::Lync {
            // Trusted links carry the caller's identity; no signature is needed there.
            headers.push("P-Asserted-Identity", from.to_string());
            if let Some(number) = &self.target.number {
                headers.push("P-Asserted-Identity", format!("<tel:{number}>"));
            }
            headers.push("Ms-Conversation-ID", &self.target.conversation);
            headers.push("Content-ID", format!("<{}@{}>", core.hex(16), core.config.name));
            from = from.with_param("epid", &core.hex(5));
        }
        self.legs.of_mut(callee).sent = Some(description.clone());
        Some(sip::OutgoingInvite {
            path,
            uri: self.target.uri.clone(),
            from,
            to: sip::NameAddr::new(self.target.uri.clone()),
            contact: headers::contact(core, callee, &self.target.caller_user, path.transport)?,
            routes: Vec::new(),
            call_id: Some(format!("{}@{}", core.hex(16), core.config.name)),
            headers,
            body: Some(sip::Body::sdp(description.to_string())),
        })
    }

    /// `Max-Forwards` of an INVITE to the callee, so that a loop through other machines ends.
    pub(super) fn hops_left(&self) -> String {
        self.target.max_forwards.saturating_sub(1).to_string()
    }

    /// A provisional response has come, be it only 100: the hop is waited for.
    pub(crate) fn next_hop_lives(&mut self, core: &mut Core, side: Side, now: Instant) {
        let calling = self.phase == Phase::Calling && self.state == Some(CallState::Calling);
        if calling && side == self.callee() {
            self.hop_lives = true;
            if let Some((hop, address)) = &self.hop {
                core.failed_hops.lives(hop, *address);
            }
            self.deadline = Some(now + core.config.timers.no_answer());
        }
    }

    pub(super) fn hop_timed_out(&mut self, core: &mut Core, now: Instant) {
        core.explain(self.id, "the next hop did not respond in time");
        let callee = self.callee();
        self.end_leg(core, callee, &super::call::Farewell::default(), now);
        let rejection = map_rejection(callee, 408, "no response", None);
        self.hop_failed(core, 408, rejection, now);
    }

    /// A next hop has refused or failed: the next one, or the caller is told.
    pub(super) fn hop_failed(
        &mut self,
        core: &mut Core,
        status: u16,
        rejection: Rejection,
        now: Instant,
    ) {
        // Silence and 503 say something about the hop, any other status about the callee.
        if matches!(status, 408 | 503)
            && !self.hop_lives
            && let Some((hop, address)) = &self.hop
        {
            core.failed_hops.failed(hop, *address, now);
        }
        let callee = self.callee();
        let leg = self.legs.of_mut(callee);
        if let Some(session) = leg.session.take() {
            core.sessions.remove(&(callee, session));
        }
        core.call_ids.remove(&(callee, std::mem::take(&mut leg.call_id).into()));
        if self.conference.is_some() {
            self.deadline = None;
            self.best = Some(rejection);
            conference::session_refused(core, self.id, status, now);
            return;
        }
        let keep = self
            .best
            .as_ref()
            .is_some_and(|best| better_rejection(best.status, rejection.status) == best.status);
        if !keep {
            self.best = Some(rejection);
        }
        if tries_next_hop(status) && !self.hops.is_empty() && !self.early.told {
            self.try_next_hop(core, now);
        } else if let Some(best) = self.best.take() {
            self.reject_caller(core, &best, now);
        }
    }

    /// A description that cannot be joined: 488, or 400, to the caller.
    pub(super) fn refuse_caller(&mut self, core: &mut Core, refusal: &sdp::Refusal, now: Instant) {
        let diagnostic = Diagnostic::of_refusal(refusal);
        core.explain(self.id, format!("the descriptions cannot be joined: {refusal}"));
        let rejection = Rejection {
            status: refusal.status(),
            explanation: "the descriptions cannot be joined",
            diagnostic: Some(diagnostic),
        };
        self.reject_caller(core, &rejection, now);
    }

    /// A failure of the gateway itself.
    pub(super) fn fail(&mut self, core: &mut Core, status: u16, reason: &str, now: Instant) {
        core.tell(GatewayEvent::Failed { call: Some(self.id), reason: reason.to_owned() });
        let rejection = Rejection { status, explanation: "", diagnostic: None };
        if self.phase == Phase::Calling {
            let callee = self.callee();
            self.end_leg(core, callee, &super::call::Farewell::default(), now);
        }
        self.reject_caller(core, &rejection, now);
    }

    /// The caller's final response, and the end.
    pub(super) fn reject_caller(&mut self, core: &mut Core, rejection: &Rejection, now: Instant) {
        let mut headers = Headers::new();
        let diagnostic = rejection.diagnostic.as_ref().filter(|_| self.caller == Side::Lync);
        headers::diagnose(&mut headers, diagnostic, core);
        if rejection.status == 503 {
            headers.push("Retry-After", "10");
        }
        let Some(session) = self.legs.of(self.caller).session else { return };
        let status = status(rejection.status);
        let _ = core.agent(self.caller).reject(session, status, headers, None, now);
        core.counters.calls_failed += 1;
        let reason = match rejection.explanation {
            "" | "unchanged" => "rejected".to_owned(),
            explanation => explanation.to_owned(),
        };
        let by = None;
        self.finish(core, Outcome { by, status: Some(rejection.status), reason }, now);
    }
}

/// Refuses an INVITE before there is a call.
fn refuse(
    core: &mut Core,
    new: &NewCall<'_>,
    code: u16,
    diagnostic: Option<&Diagnostic>,
    reason: &str,
    now: Instant,
) {
    core.counters.calls_refused += 1;
    let mut headers = Headers::new();
    headers::diagnose(&mut headers, diagnostic.filter(|_| new.side == Side::Lync), core);
    match code {
        503 => headers.push("Retry-After", "10"),
        415 => headers.push("Accept", "application/sdp"),
        _ => {}
    }
    let _ = core.agent(new.side).reject(new.session, status(code), headers, None, now);
    core.tell(GatewayEvent::Ended {
        call: new.id,
        by: None,
        status: Some(code),
        reason: reason.to_owned(),
    });
}

/// Who is called and by whom, for the second leg; an INVITE that does not say is refused.
fn target(
    core: &mut Core,
    new: &NewCall<'_>,
    (user, host, phone): (Cow<'_, str>, &str, bool),
    max_forwards: u32,
) -> Option<Target> {
    let request = new.request;
    let from = request.headers.first("From").and_then(|v| sip::NameAddr::parse(v).ok())?;
    let caller_host = from.uri.host();
    let caller_host = if caller_host.is_empty() { &core.config.name } else { caller_host };
    let uri = headers::new_uri(&user, host, phone)?;
    let asserted = headers::asserted_number(&request.headers);
    let address = (headers::user_of(&from.uri), caller_host);
    let known = caller(address, new.side, asserted.as_deref(), phone, &core.config);
    let bare = match &known.address {
        Some((user, host)) => {
            headers::new_uri(user, host.as_deref().unwrap_or(caller_host), known.phone)
        }
        None => headers::bare_uri(&from.uri, caller_host),
    };
    let mut bare = sip::NameAddr::new(bare?);
    if let Some(display) = from.display.as_deref().filter(|d| !d.is_empty()) {
        bare = bare.with_display(display);
    }
    // One conversation id for the whole call: the caller's own, where it has one.
    let conversation = request.headers.first("Ms-Conversation-ID").map(str::to_owned);
    Some(Target {
        user: headers::user_of(&request.uri).to_owned(),
        caller_user: headers::user_of(&from.uri).to_owned(),
        uri,
        from: bare,
        number: known.number,
        max_forwards,
        conversation: conversation.unwrap_or_else(|| core.conversation_id()),
    })
}

/// A status code that the policy made; 500 where it is out of range.
pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::new(code).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
}
