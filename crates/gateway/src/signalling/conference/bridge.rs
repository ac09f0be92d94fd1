//! A Lync user in a conference of the standards side: the bridge's roster, told in Lync's words.

use std::time::{Duration, Instant};

use c3p::{CONFERENCE_INFO_XML, Conference, ConferenceInfo};
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{Headers, Method};

use super::super::call::Call;
use super::super::core::Core;
use super::super::setup::status;
use super::Asked;
use super::roster::{Reader, Words};
use crate::event::GatewayEvent;
use crate::id::{CallId, Side};

/// The roster of a bridge that a call has reached.
#[derive(Debug)]
pub(super) struct BridgeRoster {
    session: sip::SessionId,
    conference: Conference,
    /// The Lync user, where it has subscribed.
    pub(super) reader: Option<Reader>,
    refresh: Option<Instant>,
    /// When the last SUBSCRIBE went out.
    asked: Instant,
}

impl BridgeRoster {
    pub(super) const fn roster(&self) -> &Conference {
        &self.conference
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.refresh
    }
}

/// The callee has answered: one that says `isfocus` in its Contact is a bridge (RFC 4579 §5.1),
/// and has a roster.
pub(super) fn look(core: &mut Core, call: &Call, now: Instant) {
    let Some(session) = call.bridge.filter(|_| call.caller == Side::Lync) else { return };
    core.explain(call.id, "the callee is a conference: its roster is asked for");
    let limits = c3p::Limits::default();
    let conference = Conference::new(None, limits);
    let roster = BridgeRoster { session, conference, reader: None, refresh: None, asked: now };
    core.conferences.bridges.insert(call.id, roster);
    subscribe(core, call.id, now);
}

/// It is time to subscribe again.
pub(super) fn refresh(core: &mut Core, call: CallId, now: Instant) {
    subscribe(core, call, now);
}

fn subscribe(core: &mut Core, call: CallId, now: Instant) {
    let Some(roster) = core.conferences.bridges.get_mut(&call) else { return };
    roster.refresh = None;
    roster.asked = now;
    let session = roster.session;
    let mut headers = Headers::new();
    headers.push("Event", "conference");
    headers.push("Accept", CONFERENCE_INFO_XML);
    headers.push("Expires", "3600");
    let agent = core.agent(Side::Standard);
    if let Ok(id) = agent.request(session, Method::Subscribe, headers, None, now) {
        core.conferences.requests.insert((Side::Standard, id), (call, Asked::Subscribe));
    }
}

/// The response to SUBSCRIBE. A bridge that refuses has no roster to show.
pub(super) fn subscribed(core: &mut Core, call: CallId, response: &sip::Response, now: Instant) {
    if !response.status.is_success() {
        core.explain(call, format!("no roster of the bridge: {}", response.status));
        core.conferences.bridges.remove(&call);
        return;
    }
    let expires = response.headers.first("Expires").and_then(|v| v.trim().parse().ok());
    let expires = Duration::from_secs(expires.unwrap_or(3_600).clamp(60, 86_400));
    if let Some(roster) = core.conferences.bridges.get_mut(&call) {
        roster.refresh = Some(now + expires / 2);
    }
}

/// A NOTIFY of the bridge.
pub(super) fn notified(
    core: &mut Core,
    call: &Call,
    id: sip::RequestId,
    request: &sip::Request,
    now: Instant,
) {
    let code = apply(core, call.id, request, now);
    let headers = Headers::new();
    let _ = core.agent(Side::Standard).respond(id, status(code), headers, None, now);
}

fn apply(core: &mut Core, call: CallId, request: &sip::Request, now: Instant) -> u16 {
    let Some(mut roster) = core.conferences.bridges.remove(&call) else { return 481 };
    let code = match ConferenceInfo::parse(&request.body) {
        _ if request.body.is_empty() => 200,
        Err(_) => 400,
        Ok(info) => {
            match roster.conference.apply(info) {
                // Full state is asked for, at most once in five seconds.
                Err(error) if error.needs_full_state() => {
                    roster.refresh = Some(now.max(roster.asked + Duration::from_secs(5)));
                }
                _ => {}
            }
            200
        }
    };
    while let Some(change) = roster.conference.poll_event() {
        core.tell(GatewayEvent::Roster { call, change });
    }
    if let Some(reader) = &mut roster.reader {
        reader.tell(core, &roster.conference, Words::Lync, now);
    }
    let state = request.headers.first("Subscription-State").unwrap_or_default();
    if !state.trim_start().to_ascii_lowercase().starts_with("terminated") {
        core.conferences.bridges.insert(call, roster);
    }
    code
}
