//! Who is shown a roster: a leg that has subscribed to it (RFC 4575, RFC 6665).

use std::time::{Duration, Instant};

use c3p::{CONFERENCE_INFO_XML, Conference, ConferenceInfo, State};
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{Headers, Method, StatusCode};

use super::super::call::Call;
use super::super::core::Core;
use super::{bridge, referral};
use crate::id::Side;

/// A subscriber, within the dialog of its leg.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    session: sip::SessionId,
    /// The conference as the subscriber knows it.
    entity: String,
    version: u32,
    known: ConferenceInfo,
    until: Instant,
    method: Method,
}

/// In whose words a roster is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words {
    /// Plain RFC 4575, for an endpoint of the standards side.
    Standard,
    /// Microsoft's, for a Lync client.
    Lync,
}

impl Words {
    fn of(self, info: &ConferenceInfo, entity: &str) -> ConferenceInfo {
        match self {
            Self::Standard => info.to_standard(entity),
            Self::Lync => info.to_lync(entity),
        }
    }
}

impl Reader {
    fn full(&mut self, conference: &Conference, words: Words) -> ConferenceInfo {
        self.known = words.of(conference.info(), &self.entity);
        self.version = self.version.saturating_add(1);
        ConferenceInfo {
            state: Some(State::Full),
            version: Some(self.version),
            ..self.known.clone()
        }
    }

    /// What has changed since the last notification.
    pub(super) fn tell(
        &mut self,
        core: &mut Core,
        conference: &Conference,
        words: Words,
        now: Instant,
    ) {
        if now >= self.until {
            return;
        }
        let new = words.of(conference.info(), &self.entity);
        if new == self.known {
            return;
        }
        let partial = self.known.diff(&new);
        let mut info =
            partial.unwrap_or_else(|| ConferenceInfo { state: Some(State::Full), ..new.clone() });
        self.version = self.version.saturating_add(1);
        info.version = Some(self.version);
        self.known = new;
        self.notify(core, Some(&info), now);
    }

    fn notify(&self, core: &mut Core, info: Option<&ConferenceInfo>, now: Instant) {
        let left = self.until.saturating_duration_since(now).as_secs();
        let mut headers = Headers::new();
        headers.push("Event", "conference");
        headers.push(
            "Subscription-State",
            match left {
                0 => "terminated;reason=timeout".to_owned(),
                left => format!("active;expires={left}"),
            },
        );
        let body = info.map(|info| sip::Body::new(CONFERENCE_INFO_XML, info.to_bytes()));
        let agent = core.agent(self.side);
        // An error means that the leg has ended, and the subscription with it.
        let _ = agent.request(self.session, self.method.clone(), headers, body, now);
    }
}

impl Call {
    /// Whether a request within the call is about a conference; then it was answered.
    pub(in crate::signalling) fn conference_request(
        &mut self,
        core: &mut Core,
        side: Side,
        id: sip::RequestId,
        request: &sip::Request,
        now: Instant,
    ) -> bool {
        let event = request.headers.first("Event").unwrap_or_default();
        let is_roster = event.split(';').next().is_some_and(|name| name.trim() == "conference");
        match request.method {
            Method::Subscribe => self.subscribe_reader(core, side, id, request, is_roster, now),
            Method::Refer if side == Side::Standard => {
                referral::referred(core, self, id, request, now);
            }
            Method::Notify if is_roster && side == Side::Standard => {
                bridge::notified(core, self, id, request, now);
            }
            _ => return false,
        }
        true
    }

    fn subscribe_reader(
        &self,
        core: &mut Core,
        side: Side,
        id: sip::RequestId,
        request: &sip::Request,
        is_roster: bool,
        now: Instant,
    ) {
        let mut headers = Headers::new();
        let has_roster = match side {
            Side::Standard => core.conferences.attendances.contains_key(&self.id),
            Side::Lync => core.conferences.bridges.contains_key(&self.id),
        };
        let session = self.legs.of(side).session.filter(|_| is_roster && has_roster);
        let Some(session) = session else {
            // RFC 6665 §4.1.3: 489 for an event that is not there.
            headers.push("Allow-Events", "conference");
            let bad_event = StatusCode::new(489).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
            let _ = core.agent(side).respond(id, bad_event, headers, None, now);
            return;
        };
        let expires = request.headers.first("Expires").and_then(|v| v.trim().parse().ok());
        let expires = Duration::from_secs(expires.unwrap_or(3_600).min(3_600));
        let supports = |tag: &str| request.headers.all("Supported").any(|v| v.contains(tag));
        let benotify = side == Side::Lync && supports("ms-benotify");
        let piggyback = side == Side::Lync && supports("ms-piggyback-first-notify");
        let contact = self.legs.of(side).contact.as_ref();
        let entity = contact.map(|contact| bare(&contact.uri)).unwrap_or_default();
        let known = self.reader(core, side).map(|reader| reader.version);
        let mut reader = Reader {
            side,
            session,
            entity,
            version: known.unwrap_or_default(),
            known: ConferenceInfo::default(),
            until: now + expires,
            method: if benotify { Method::Benotify } else { Method::Notify },
        };
        let words = if side == Side::Standard { Words::Standard } else { Words::Lync };
        let info = core.conferences.roster(self.id).map(|roster| reader.full(roster, words));
        headers.push("Expires", expires.as_secs().to_string());
        if benotify {
            headers.push("Supported", "ms-benotify, ms-piggyback-first-notify");
        }
        let first = info.as_ref().filter(|_| piggyback);
        let body = first.map(|info| sip::Body::new(CONFERENCE_INFO_XML, info.to_bytes()));
        let _ = core.agent(side).respond(id, StatusCode::OK, headers, body, now);
        if !piggyback {
            reader.notify(core, info.as_ref(), now);
        }
        if let Some(slot) = self.reader_slot(core, side) {
            *slot = (!expires.is_zero()).then_some(reader);
        }
    }

    fn reader<'a>(&self, core: &'a mut Core, side: Side) -> Option<&'a Reader> {
        self.reader_slot(core, side).and_then(|slot| slot.as_ref())
    }

    fn reader_slot<'a>(&self, core: &'a mut Core, side: Side) -> Option<&'a mut Option<Reader>> {
        let conferences = &mut core.conferences;
        match side {
            Side::Standard => conferences.attendances.get_mut(&self.id).map(|one| &mut one.reader),
            Side::Lync => conferences.bridges.get_mut(&self.id).map(|one| &mut one.reader),
        }
    }
}

/// An address without its parameters: how a conference of ours is called.
fn bare(uri: &sip::Uri) -> String {
    uri.as_str().split(';').next().unwrap_or_default().to_owned()
}
