//! RFC 4579 §5.5 and §5.11: a participant has somebody added or removed, by REFER.

use std::time::{Duration, Instant};

use c3p::RequestEvent;
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{Headers, StatusCode, SubscriptionState};

use super::super::call::Call;
use super::super::core::Core;
use super::super::setup::status;
use super::attendance::guid;
use super::with;
use crate::id::Side;

/// REFERs whose outcome is awaited.
#[derive(Debug, Default)]
pub(super) struct Referrals(Vec<(c3p::RequestId, sip::SubscriptionId)>);

impl Referrals {
    /// What became of a command: whoever asked for it is told (RFC 3515 §2.4.5).
    pub(super) fn settle(&mut self, core: &mut Core, outcome: &RequestEvent, now: Instant) {
        let (id, code) = match outcome {
            RequestEvent::Succeeded { request, .. } => (request.request_id, 200),
            RequestEvent::Failed { request, failure } => (request.request_id, failure.sip_status()),
            _ => return,
        };
        let Some(at) = self.0.iter().position(|(own, _)| *own == id) else { return };
        let (_, referral) = self.0.swap_remove(at);
        let state = SubscriptionState::terminated("noresource");
        notify(core, referral, status(code), &state, now);
    }
}

/// A REFER within a call that is in a conference.
pub(super) fn referred(
    core: &mut Core,
    call: &Call,
    id: sip::RequestId,
    request: &sip::Request,
    now: Instant,
) {
    let refused = |core: &mut Core, code: StatusCode| {
        let _ = core.agent(Side::Standard).respond(id, code, Headers::new(), None, now);
    };
    let contact = call.legs.of(Side::Standard).contact.clone();
    let (Some(contact), true) = (contact, core.conferences.attendances.contains_key(&call.id))
    else {
        return refused(core, StatusCode::DECLINE);
    };
    let target = request.headers.first("Refer-To").and_then(|v| sip::NameAddr::parse(v).ok());
    let Some(target) = target.filter(|target| target.uri.as_ref().is_sip()) else {
        return refused(core, StatusCode::BAD_REQUEST);
    };
    let removes = target.uri.param("method").is_some_and(|m| m.eq_ignore_ascii_case("BYE"))
        || target.uri.as_str().to_ascii_uppercase().contains(";METHOD=BYE");
    let user = target.uri.as_str().split([';', '?']).next().unwrap_or_default().to_owned();
    let endpoint = guid(core);
    with(core, call.id, now, |attendance, core| {
        let client = attendance.client();
        let sent = if removes {
            client.remove(&user, now)
        } else {
            client.dial_out(&user, &endpoint, now)
        };
        match sent {
            Ok(command) => {
                let agent = core.agent(Side::Standard);
                let headers = Headers::new();
                let Ok(referral) = agent.accept_subscription(id, &contact, LONGEST, headers, now)
                else {
                    return;
                };
                attendance.referrals.0.push((command, referral));
                notify(core, referral, status(100), &SubscriptionState::Active, now);
            }
            Err(_) => refused(core, StatusCode::SERVICE_UNAVAILABLE),
        }
    });
}

fn notify(
    core: &mut Core,
    referral: sip::SubscriptionId,
    code: StatusCode,
    state: &SubscriptionState,
    now: Instant,
) {
    let line = format!("SIP/2.0 {} {}\r\n", code.as_u16(), code.reason());
    let body = Some(sip::Body::new("message/sipfrag;version=2.0", line));
    // An error means that the leg has ended.
    let _ = core.agent(Side::Standard).notify(referral, state, &Headers::new(), body, now);
}

/// A command has its outcome before that.
const LONGEST: Duration = Duration::from_secs(60);
