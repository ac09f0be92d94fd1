//! Requests other than INVITE, within calls and outside of them.

use std::time::Instant;

use linkspan_sip as sip;
use sip::{Headers, Method, RequestId, StatusCode};

use super::call::{Call, Phase};
use super::core::Core;
use crate::id::{Side, StreamKind};
use crate::media::MediaCommand;

impl Call {
    /// A request within one of the dialogs.
    pub(crate) fn requested(
        &mut self,
        core: &mut Core,
        side: Side,
        id: RequestId,
        request: &sip::Request,
        now: Instant,
    ) {
        if self.conference_request(core, side, id, request, now) {
            return;
        }
        let status = match request.method {
            Method::Update if request.body.is_empty() => StatusCode::OK,
            Method::Update | Method::Prack => return self.reoffered(core, side, id, request, now),
            Method::Info => self.info(core, side, request),
            Method::Options | Method::Notify | Method::Benotify => StatusCode::OK,
            Method::Refer => StatusCode::DECLINE,
            _ => StatusCode::NOT_IMPLEMENTED,
        };
        let _ = core.agent(side).respond(id, status, Headers::new(), None, now);
    }

    /// RFC 5168: a receiver asks for a keyframe by INFO.
    fn info(&self, core: &mut Core, side: Side, request: &sip::Request) -> StatusCode {
        let Some(body) = request.to_body() else { return StatusCode::OK };
        let media_type = body.content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(MEDIA_CONTROL) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        let wants = body.bytes.windows(UPDATE.len()).any(|window| window == UPDATE);
        if wants {
            for stream in self.streams.iter().filter(|s| s.kind == StreamKind::Video) {
                let stream = stream.id(self.id, side.other());
                core.commands.push_back(MediaCommand::RequestKeyframe { stream });
            }
        }
        StatusCode::OK
    }

    /// The sender of a stream is asked for a keyframe by INFO: it knows no RTCP message for that.
    pub(super) fn picture_update(&self, core: &mut Core, side: Side, now: Instant) {
        let Some(session) = self.legs.of(side).session.filter(|_| self.phase == Phase::Active)
        else {
            return;
        };
        let body = sip::Body::new(MEDIA_CONTROL, PICTURE_FAST_UPDATE);
        let _ = core.agent(side).request(session, Method::Info, Headers::new(), Some(body), now);
    }
}

/// Answers a request outside of any dialog.
pub(crate) fn stray(
    core: &mut Core,
    side: Side,
    id: RequestId,
    request: &sip::Request,
    now: Instant,
) {
    let mut headers = Headers::new();
    let status = match request.method {
        // Always, also while calls are refused: this is how peers see that the gateway lives.
        Method::Options => {
            headers.push("Accept", "application/sdp");
            StatusCode::OK
        }
        Method::Notify | Method::Info | Method::Update => {
            StatusCode::new(481).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
        }
        _ => StatusCode::new(405).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR),
    };
    let _ = core.agent(side).respond(id, status, headers, None, now);
}

const MEDIA_CONTROL: &str = "application/media_control+xml";
const UPDATE: &[u8] = b"picture_fast_update";
const PICTURE_FAST_UPDATE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\r\n<media_control>\
<vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";
