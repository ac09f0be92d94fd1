//! A Lync user in a conference of the standards side: the bridge's roster, told in Lync's words.

use std::time::{Duration, Instant};

use c3p::{CONFERENCE_INFO_XML, Conference, ConferenceInfo};
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{SubscriptionEnd, UaEvent};

use super::super::call::Call;
use super::super::core::Core;
use super::Usage;
use super::roster::Reader;
use crate::event::GatewayEvent;
use crate::id::{CallId, Side};

/// The roster of a bridge that a call has reached.
#[derive(Debug)]
pub(super) struct BridgeRoster {
    subscribe: sip::OutgoingSubscribe,
    subscription: Option<sip::SubscriptionId>,
    conference: Conference,
    /// The Lync user, where it has subscribed.
    pub(super) reader: Option<Reader>,
    /// When full state is asked for.
    again: Option<Instant>,
    /// When the last SUBSCRIBE went out.
    asked: Instant,
}

impl BridgeRoster {
    pub(super) const fn roster(&self) -> &Conference {
        &self.conference
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }

    /// Full state is asked for, at most once in five seconds.
    fn ask_again(&mut self, now: Instant) {
        self.again = Some(now.max(self.asked + Duration::from_secs(5)));
    }
}

/// The callee has answered: one that says `isfocus` in its Contact is a bridge (RFC 4579 §5.1),
/// and has a roster.
pub(super) fn look(core: &mut Core, call: &Call, now: Instant) {
    let leg = call.legs.of(Side::Standard);
    let bridge = call.bridge.clone().filter(|_| call.caller == Side::Lync);
    let (Some(uri), Some(path), Some(contact)) = (bridge, leg.path, leg.contact.clone()) else {
        return;
    };
    core.explain(call.id, "the callee is a conference: its roster is asked for");
    let from = call.target.from.clone();
    let mut subscribe = sip::OutgoingSubscribe::new(path, uri, from, contact, "conference");
    subscribe.headers.push("Accept", CONFERENCE_INFO_XML);
    let conference = Conference::new(None, c3p::Limits::default());
    let roster = BridgeRoster {
        subscribe,
        subscription: None,
        conference,
        reader: None,
        again: None,
        asked: now,
    };
    core.conferences.bridges.insert(call.id, roster);
    refresh(core, call.id, now);
}

/// Subscribes, anew where there was a subscription: its first notification is full state.
pub(super) fn refresh(core: &mut Core, call: CallId, now: Instant) {
    let Some(mut roster) = core.conferences.bridges.remove(&call) else { return };
    (roster.again, roster.asked) = (None, now);
    let agent = core.agent(Side::Standard);
    if let Some(old) = roster.subscription.take() {
        let _ = agent.unsubscribe(old, now);
    }
    if let Ok(id) = agent.subscribe(roster.subscribe.clone(), now) {
        roster.subscription = Some(id);
        core.conferences.subscriptions.insert((Side::Standard, id), (call, Usage::Bridge));
        core.conferences.bridges.insert(call, roster);
    }
}

/// The call is over.
pub(super) fn leave(core: &mut Core, call: CallId, now: Instant) {
    let roster = core.conferences.bridges.remove(&call);
    if let Some(id) = roster.and_then(|roster| roster.subscription) {
        let _ = core.agent(Side::Standard).unsubscribe(id, now);
    }
}

/// An event of our subscription.
pub(super) fn heard(
    core: &mut Core,
    call: CallId,
    id: sip::SubscriptionId,
    event: &UaEvent,
    now: Instant,
) {
    let Some(mut roster) = core.conferences.bridges.remove(&call) else { return };
    if roster.subscription != Some(id) {
        core.conferences.bridges.insert(call, roster);
        return;
    }
    match event {
        UaEvent::Notified { request, .. } if !request.body.is_empty() => {
            let applied = ConferenceInfo::parse(&request.body).map(|i| roster.conference.apply(i));
            if matches!(&applied, Ok(Err(error)) if error.needs_full_state()) {
                roster.ask_again(now);
            }
            while let Some(change) = roster.conference.poll_event() {
                core.tell(GatewayEvent::Roster { call, change });
            }
            if let Some(reader) = &mut roster.reader {
                reader.tell(core, &roster.conference, now);
            }
        }
        UaEvent::SubscriptionEnded { cause: SubscriptionEnd::Refused(response), .. } => {
            // A bridge that refuses has no roster to show.
            core.explain(call, format!("no roster of the bridge: {}", response.status));
            return;
        }
        UaEvent::SubscriptionEnded { .. } => {
            roster.subscription = None;
            if roster.conference.has_ended() {
                return;
            }
            roster.ask_again(now);
        }
        _ => {}
    }
    core.conferences.bridges.insert(call, roster);
}
