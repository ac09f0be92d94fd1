//! Callers of the standards side in Lync conferences, and the rosters that either side is shown.
//!
//! A call to a conference has three dialogs on the Lync side: with the focus, which the client
//! machine of `linkspan-c3p` conducts here, the subscription to its roster, and the one with the
//! conferencing server, which is the call's second leg like any other.

mod attendance;
mod bridge;
mod membership;
mod referral;
mod roster;

pub(in crate::signalling) use membership::Membership;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::UaEvent;

use super::call::Call;
use super::core::Core;
use crate::config::{Config, focus_of};
use crate::id::{CallId, Side, StreamKind};
use attendance::Attendance;
use bridge::BridgeRoster;

/// The conferences that calls are in.
#[derive(Debug, Default)]
pub(crate) struct Conferences {
    attendances: BTreeMap<CallId, Attendance>,
    bridges: BTreeMap<CallId, BridgeRoster>,
    /// Dialogs with a focus; they outlive the call until their last message is through.
    sessions: HashMap<sip::SessionId, CallId>,
    /// Commands in them that wait for their response.
    requests: HashMap<sip::RequestId, (CallId, c3p::RequestId)>,
    /// Subscriptions to rosters, ours and the legs'.
    subscriptions: HashMap<(Side, sip::SubscriptionId), (CallId, Usage)>,
    effects: VecDeque<(CallId, Effect)>,
}

/// What a subscription is for.
#[derive(Clone, Copy, Debug)]
enum Usage {
    /// Ours to the roster of a Lync conference.
    Focus,
    /// Ours to the roster of a bridge.
    Bridge,
    /// A leg's, to the roster that it is shown.
    Reader,
}

/// What a conference wants of the call that is in it.
#[derive(Debug)]
pub(crate) enum Effect {
    /// The caller waits in the lobby.
    Wait,
    /// The caller is let in: call the conferencing server there.
    Enter(String),
    /// The conferencing server cannot be reached.
    NoServer(u16),
    /// It is over.
    Over(c3p::ClientEnd),
    /// The conference takes the caller's sound or picture no more, or again.
    Mute(StreamKind, bool),
}

impl Conferences {
    pub(crate) fn next_effect(&mut self) -> Option<(CallId, Effect)> {
        self.effects.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let attendances = self.attendances.values().filter_map(Attendance::poll_timeout);
        attendances.chain(self.bridges.values().filter_map(BridgeRoster::poll_timeout)).min()
    }

    /// The roster of the conference that a call is in, on either side.
    pub(crate) fn roster(&self, call: CallId) -> Option<&c3p::Conference> {
        let attendance = self.attendances.get(&call).map(Attendance::roster);
        attendance.or_else(|| self.bridges.get(&call).map(BridgeRoster::roster))
    }
}

/// The focus of the conference that somebody on the standards side dials: by its own address, or
/// by an alias.
pub(super) fn dialled(config: &Config, side: Side, uri: &sip::Uri) -> Option<sip::Uri> {
    if side != Side::Standard || uri.as_ref().is_tel() || is_psom(uri) {
        return None;
    }
    let focus = focus_of(uri.as_str()).or_else(|| {
        let user = uri.user().unwrap_or_default();
        let mut aliases = config.conferences.iter();
        aliases.find(|alias| alias.matches(user, uri.host()))?.resolve(user, uri.host())
    })?;
    sip::Uri::parse(&focus.to_string()).ok()
}

/// Whether somebody dials a web conferencing server: whiteboards and slides, which cross in PSOM
/// and not in SIP ([MS-PSOM]).
pub(super) fn is_psom(uri: &sip::Uri) -> bool {
    let uri = uri.as_str().parse::<c3p::ConferenceUri>();
    matches!(uri.map(|uri| uri.resource), Ok(c3p::Resource::Server { mcu, .. }) if mcu.is_psom())
}

/// Whether an event of a user agent is about a conference; then it has been seen to.
pub(crate) fn heard(core: &mut Core, side: Side, event: &UaEvent, now: Instant) -> bool {
    let subscription = match event {
        UaEvent::Subscribed { subscription, .. }
        | UaEvent::Notified { subscription, .. }
        | UaEvent::SubscriptionRefreshed { subscription, .. }
        | UaEvent::SubscriptionEnded { subscription, .. } => Some(*subscription),
        UaEvent::Request { session: None, id, request, .. } => {
            return roster::asked_outside(core, side, *id, request, now);
        }
        _ => None,
    };
    match subscription {
        Some(subscription) => {
            subscription_heard(core, side, subscription, event, now);
            true
        }
        None => side == Side::Lync && dialog_heard(core, event, now),
    }
}

fn subscription_heard(
    core: &mut Core,
    side: Side,
    id: sip::SubscriptionId,
    event: &UaEvent,
    now: Instant,
) {
    let key = (side, id);
    let Some((call, usage)) = core.conferences.subscriptions.get(&key).copied() else { return };
    if matches!(event, UaEvent::SubscriptionEnded { .. }) {
        core.conferences.subscriptions.remove(&key);
    }
    match usage {
        Usage::Focus => {
            with(core, call, now, |attendance, _| attendance.subscription(id, event, now));
        }
        Usage::Bridge => bridge::heard(core, call, id, event, now),
        Usage::Reader => roster::heard(core, (side, call), event, now),
    }
}

/// Whether an event is about a dialog with a focus.
fn dialog_heard(core: &mut Core, event: &UaEvent, now: Instant) -> bool {
    if let UaEvent::Response { id, response, .. } = event {
        let Some((call, command)) = core.conferences.requests.remove(id) else { return false };
        with(core, call, now, |attendance, _| attendance.response(command, response, now));
        return true;
    }
    let session = match event {
        UaEvent::Progress { session, .. }
        | UaEvent::Accepted { session, .. }
        | UaEvent::Rejected { session, .. }
        | UaEvent::Reinvite { session, .. }
        | UaEvent::Request { session: Some(session), .. }
        | UaEvent::Ended { session, .. } => *session,
        _ => return false,
    };
    let Some(call) = core.conferences.sessions.get(&session).copied() else { return false };
    if matches!(event, UaEvent::Rejected { .. } | UaEvent::Ended { .. }) {
        core.conferences.sessions.remove(&session);
    }
    with(core, call, now, |attendance, core| attendance.heard(core, event, now));
    true
}

/// Time has passed.
pub(crate) fn handle_timeout(core: &mut Core, now: Instant) {
    let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
    let attendances = core.conferences.attendances.iter();
    let calls: Vec<CallId> =
        attendances.filter(|(_, one)| due(one.poll_timeout())).map(|(id, _)| *id).collect();
    for call in calls {
        with(core, call, now, |attendance, _| attendance.handle_timeout(now));
    }
    let bridges = core.conferences.bridges.iter();
    let calls: Vec<CallId> =
        bridges.filter(|(_, one)| due(one.poll_timeout())).map(|(id, _)| *id).collect();
    for call in calls {
        bridge::refresh(core, call, now);
    }
}

/// The call is over: everything that it has of a conference goes with it.
pub(super) fn leave(core: &mut Core, call: CallId, now: Instant) {
    with(core, call, now, |attendance, _| attendance.leave());
    bridge::leave(core, call, now);
    core.conferences.requests.retain(|_, (owner, _)| *owner != call);
    core.conferences.effects.retain(|(owner, _)| *owner != call);
}

/// The conferencing server has refused the call.
pub(super) fn session_refused(core: &mut Core, call: CallId, status: u16, now: Instant) {
    with(core, call, now, |attendance, _| attendance.session_answered(status, now));
}

/// The second leg has answered.
pub(super) fn session_answered(core: &mut Core, call: &Call, now: Instant) {
    if call.conference.is_some() {
        with(core, call.id, now, |attendance, _| attendance.session_answered(200, now));
    } else {
        bridge::look(core, call, now);
    }
}

/// Does something to an attendance, then carries out what it wants; it goes when it has ended.
fn with(core: &mut Core, call: CallId, now: Instant, act: impl FnOnce(&mut Attendance, &mut Core)) {
    let Some(mut attendance) = core.conferences.attendances.remove(&call) else { return };
    act(&mut attendance, core);
    attendance.drive(core, now);
    if !attendance.has_ended() {
        core.conferences.attendances.insert(call, attendance);
    }
}
