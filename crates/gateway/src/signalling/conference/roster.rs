//! Who is shown a roster: a leg that has subscribed to it (RFC 4575, RFC 6665), in the dialog of
//! its call or beside it.

use std::time::{Duration, Instant};

use c3p::{CONFERENCE_INFO_XML, Conference, ConferenceInfo, State};
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{Headers, Method, StatusCode, SubscriptionState, UaEvent};

use super::super::call::Call;
use super::super::core::Core;
use super::{Usage, referral};
use crate::id::{CallId, Side};

/// A subscriber. The user agent answers its refreshes.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    subscription: sip::SubscriptionId,
    /// The conference as the subscriber knows it.
    entity: String,
    version: u32,
    known: ConferenceInfo,
}

impl Reader {
    fn full(&mut self, core: &mut Core, conference: &ConferenceInfo, now: Instant) {
        self.known = self.words(conference);
        let info = ConferenceInfo { state: Some(State::Full), ..self.known.clone() };
        self.notify(core, info, now);
    }

    /// What has changed since the last notification.
    pub(super) fn tell(&mut self, core: &mut Core, conference: &Conference, now: Instant) {
        let new = self.words(conference.info());
        if new == self.known {
            return;
        }
        let partial = self.known.diff(&new);
        let info =
            partial.unwrap_or_else(|| ConferenceInfo { state: Some(State::Full), ..new.clone() });
        self.known = new;
        self.notify(core, info, now);
    }

    /// Plain RFC 4575 for an endpoint of the standards side, Microsoft's words for a Lync client.
    fn words(&self, info: &ConferenceInfo) -> ConferenceInfo {
        match self.side {
            Side::Standard => info.to_standard(&self.entity),
            Side::Lync => info.to_lync(&self.entity),
        }
    }

    fn notify(&mut self, core: &mut Core, info: ConferenceInfo, now: Instant) {
        self.version = self.version.saturating_add(1);
        let info = ConferenceInfo { version: Some(self.version), ..info };
        let body = Some(sip::Body::new(CONFERENCE_INFO_XML, info.to_bytes()));
        let (agent, state) = (core.agent(self.side), SubscriptionState::Active);
        // An error means that it is over; its event is on the way.
        let _ = agent.notify(self.subscription, &state, &Headers::new(), body, now);
    }
}

impl Call {
    /// Whether a request within the call is about a conference; then it was answered.
    pub(in crate::signalling) fn conference_request(
        &self,
        core: &mut Core,
        side: Side,
        id: sip::RequestId,
        request: &sip::Request,
        now: Instant,
    ) -> bool {
        match request.method {
            Method::Subscribe => {
                let contact = self.legs.of(side).contact.clone();
                subscribed(core, (side, self.id), id, request, contact.as_ref(), now);
            }
            Method::Refer if side == Side::Standard && self.conference.is_some() => {
                referral::referred(core, self, id, request, now);
            }
            _ => return false,
        }
        true
    }
}

/// RFC 4579 §5.4: a SUBSCRIBE outside the call, to the conference's address, of somebody who is in
/// it.
pub(super) fn asked_outside(
    core: &mut Core,
    side: Side,
    id: sip::RequestId,
    request: &sip::Request,
    now: Instant,
) -> bool {
    if side != Side::Standard || request.method != Method::Subscribe {
        return false;
    }
    let from = request.headers.first("From").and_then(|v| sip::NameAddr::parse(v).ok());
    let found = core.conferences.attendances.iter().find_map(|(call, attendance)| {
        let enrolment = attendance.enrolment();
        let contact = enrolment.contact.as_ref()?;
        let is_its = contact.uri.user() == request.uri.user()
            && from.as_ref().is_some_and(|from| bare(&from.uri) == bare(&enrolment.from.uri));
        is_its.then(|| (*call, contact.clone()))
    });
    let Some((call, contact)) = found else { return false };
    subscribed(core, (side, call), id, request, Some(&contact), now);
    true
}

/// An event of a subscription to a roster that we show.
pub(super) fn heard(core: &mut Core, of: (Side, CallId), event: &UaEvent, now: Instant) {
    let Some(mut reader) = slot(core, of).and_then(Option::take) else { return };
    match event {
        UaEvent::SubscriptionRefreshed { subscription, expires, .. }
            if *subscription == reader.subscription =>
        {
            if expires.is_zero() {
                let state = SubscriptionState::terminated("timeout");
                let agent = core.agent(of.0);
                let _ = agent.notify(*subscription, &state, &Headers::new(), None, now);
                return;
            }
            // RFC 6665 §4.2.1.2: a refresh is answered with the whole state.
            if let Some(info) = core.conferences.roster(of.1).map(|one| one.info().clone()) {
                reader.full(core, &info, now);
            }
        }
        UaEvent::SubscriptionEnded { subscription, .. } if *subscription == reader.subscription => {
            return;
        }
        _ => {}
    }
    if let Some(slot) = slot(core, of) {
        *slot = Some(reader);
    }
}

fn subscribed(
    core: &mut Core,
    (side, call): (Side, CallId),
    id: sip::RequestId,
    request: &sip::Request,
    contact: Option<&sip::NameAddr>,
    now: Instant,
) {
    let event = request.headers.first("Event").unwrap_or_default();
    let is_roster = event.split(';').next().is_some_and(|name| name.trim() == "conference");
    let has_slot = slot(core, (side, call)).is_some();
    let info = core.conferences.roster(call).filter(|_| is_roster && has_slot);
    let (Some(info), Some(contact)) = (info.map(|one| one.info().clone()), contact) else {
        let mut headers = Headers::new();
        headers.push("Allow-Events", "conference");
        // RFC 6665 §4.1.3: 489 for an event that is not there.
        let bad_event = StatusCode::new(489).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
        let _ = core.agent(side).respond(id, bad_event, headers, None, now);
        return;
    };
    let agent = core.agent(side);
    let accepted = agent.accept_subscription(id, contact, LONGEST, Headers::new(), now);
    let Ok(subscription) = accepted else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let _ = core.agent(side).respond(id, status, Headers::new(), None, now);
        return;
    };
    let entity = bare(&contact.uri).to_owned();
    let known = ConferenceInfo::default();
    let mut reader = Reader { side, subscription, entity, version: 0, known };
    reader.full(core, &info, now);
    core.conferences.subscriptions.insert((side, subscription), (call, Usage::Reader));
    let old = slot(core, (side, call)).and_then(|slot| slot.replace(reader));
    if let Some(old) = old {
        let state = SubscriptionState::terminated("noresource");
        let agent = core.agent(side);
        let _ = agent.notify(old.subscription, &state, &Headers::new(), None, now);
    }
}

/// The place of a leg's subscription, while there is a roster to show it.
fn slot(core: &mut Core, (side, call): (Side, CallId)) -> Option<&mut Option<Reader>> {
    let conferences = &mut core.conferences;
    match side {
        Side::Standard => conferences.attendances.get_mut(&call).map(|one| &mut one.reader),
        Side::Lync => conferences.bridges.get_mut(&call).map(|one| &mut one.reader),
    }
}

/// An address without its parameters: how a conference of ours is called.
fn bare(uri: &sip::Uri) -> &str {
    uri.as_str().split(';').next().unwrap_or_default()
}

const LONGEST: Duration = Duration::from_secs(3_600);
