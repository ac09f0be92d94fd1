//! What a conference does to the call that is in it.

use std::net::SocketAddr;
use std::time::Instant;

use c3p::ClientEnd;
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{Headers, StatusCode};

use super::super::call::{Call, Farewell, Phase};
use super::super::core::Core;
use super::attendance::{Attendance, Enrolment};
use super::{Effect, with};
use crate::config::NextHop;
use crate::event::CallState;
use crate::id::{Side, StreamKind};
use crate::media::MediaCommand;
use crate::policy::{Rejection, tries_next_hop};

/// The conference of a call.
#[derive(Debug)]
pub(in crate::signalling) struct Membership {
    focus: sip::Uri,
    /// The way to the focus, and so to its conferencing servers.
    hop: Option<(NextHop, SocketAddr)>,
}

impl Call {
    /// The caller has dialled a conference. Its Contact says so (RFC 4579 §5.1).
    pub(in crate::signalling) fn enrol(&mut self, focus: &sip::Uri) {
        self.conference = Some(Membership { focus: focus.clone(), hop: None });
        let contact = &mut self.legs.of_mut(self.caller).contact;
        if let Some(contact) = contact {
            contact.params.set_flag("isfocus");
        }
    }

    /// Media is set up: the focus is asked first.
    pub(in crate::signalling) fn join_conference(&mut self, core: &mut Core, now: Instant) {
        let Some((hop, remote)) = self.hops.pop_front() else {
            return self.try_next_hop(core, now);
        };
        let (max_forwards, contact_user) = (self.hops_left(), self.target.caller_user.clone());
        let Some(membership) = &mut self.conference else { return };
        membership.hop = Some((hop.clone(), remote));
        let from = self.target.from.clone();
        let focus = membership.focus.clone();
        let contact = self.legs.of(self.caller).contact.clone();
        let enrolment = Enrolment { focus, from, contact_user, contact, max_forwards, hop, remote };
        core.explain(self.id, format!("asking the focus by {remote}"));
        self.deadline = None;
        self.set_state(core, CallState::Calling);
        let attendance = Attendance::new(core, self.id, enrolment, now);
        core.conferences.attendances.insert(self.id, attendance);
        with(core, self.id, now, |_, _| {});
    }

    pub(crate) fn conference_says(&mut self, core: &mut Core, effect: Effect, now: Instant) {
        match effect {
            Effect::Wait if self.phase == Phase::Calling => self.tell_waiting(core, now),
            Effect::Enter(uri) if self.phase == Phase::Calling => {
                let hop = self.conference.as_ref().and_then(|one| one.hop.clone());
                let Ok(uri) = sip::Uri::parse(&uri) else {
                    return self.fail(core, 502, "the conference lists no usable address", now);
                };
                self.target.uri = uri;
                self.hops.extend(hop);
                self.try_next_hop(core, now);
            }
            Effect::NoServer(status) if self.phase == Phase::Calling => {
                let explanation = "the conference's media server cannot be reached";
                let known = self.best.take();
                let none = Rejection { status, explanation, diagnostic: None };
                self.reject_caller(core, &known.unwrap_or(none), now);
            }
            Effect::Over(end) => self.conference_over(core, &end, now),
            Effect::Mute(kind, muted) => self.mute_caller(core, kind, muted),
            Effect::Wait | Effect::Enter(_) | Effect::NoServer(_) => {}
        }
    }

    fn conference_over(&mut self, core: &mut Core, end: &ClientEnd, now: Instant) {
        match self.phase {
            Phase::Calling => {
                let status = end.sip_status();
                core.explain(self.id, format!("{}: {status}", end.reason()));
                let refused = matches!(end, ClientEnd::Refused(_));
                let hop = self.conference.as_ref().and_then(|one| one.hop.as_ref());
                if let Some((hop, at)) = hop
                    && refused
                    && matches!(status, 408 | 503 | 504)
                {
                    core.failed_hops.failed(hop, *at, now);
                }
                if refused && tries_next_hop(status) && !self.hops.is_empty() {
                    return self.join_conference(core, now);
                }
                self.end_leg(core, Side::Lync, &Farewell::default(), now);
                let explanation = end.reason();
                let rejection = Rejection { status, explanation, diagnostic: None };
                self.reject_caller(core, &rejection, now);
            }
            Phase::Active => {
                // RFC 3326: a removal is no failure, and the endpoint may show why.
                let reason = format!("SIP;cause={};text=\"{}\"", end.sip_status(), end.reason());
                let told = Farewell { reason: Some(reason), diagnostic: None };
                self.end_with(core, Some(Side::Lync), end.reason(), &told, now);
                self.end_leg(core, Side::Lync, &Farewell::default(), now);
            }
            Phase::Opening | Phase::Ending => {}
        }
    }

    /// RFC 3261 §21.1.5.
    fn tell_waiting(&mut self, core: &mut Core, now: Instant) {
        self.set_state(core, CallState::Waiting);
        let Some(session) = self.legs.of(self.caller).session else { return };
        let Some(queued) = StatusCode::new(182) else { return };
        let headers = Headers::new();
        let _ = core.agent(self.caller).progress(session, queued, headers, None, now);
    }

    /// What the caller sends goes no further while the conference does not take it.
    fn mute_caller(&self, core: &mut Core, kind: StreamKind, muted: bool) {
        let how = if muted { "muted" } else { "heard again" };
        core.explain(self.id, format!("{kind} of the caller is {how} by the conference"));
        for stream in self.streams.iter().filter(|s| s.kind == kind && !s.is_done()) {
            let stream = stream.id(self.id, self.caller);
            core.commands.push_back(MediaCommand::Mute { stream, muted });
        }
    }
}
