//! How an endpoint answers what its user agent hears.

use std::time::{Duration, Instant};

use linkspan_gateway::{AgreedStream, StreamKind};
use linkspan_ice as ice;
use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sip::{Headers, StatusCode, UaEvent};

use super::Endpoint;

impl Endpoint {
    pub(super) fn pump(&mut self, now: Instant) {
        while let Some(event) = self.ua.poll_event() {
            let host = self.focus.as_mut();
            if !host.is_some_and(|host| host.handle(&mut self.ua, &event, now)) {
                self.react(event, now);
            }
        }
    }

    fn react(&mut self, event: UaEvent, now: Instant) {
        match event {
            UaEvent::Invite { session, request, .. } => {
                self.heard.push("INVITE".into());
                self.requests.push(request.clone());
                self.call = Some(session);
                self.incoming(session, &request, now);
            }
            UaEvent::Progress { response, .. } => {
                self.heard.push(response.status.as_u16().to_string());
                if response.headers.require().has("100rel") && !response.body.is_empty() {
                    self.accepted(&response, now);
                }
                self.responses.push(response);
            }
            UaEvent::Accepted { session, response } => {
                self.heard.push("200".into());
                if self.behaviour.delayed {
                    self.answer_in_ack(session, &response, now);
                } else {
                    self.ua.ack(session, Headers::new(), None, now).unwrap();
                    // An answer of before, or that of the INVITE.
                    if self.pending.is_some() && self.waiting.is_none() {
                        self.accepted(&response, now);
                    }
                }
                self.responses.push(response);
            }
            UaEvent::Rejected { response, .. } => {
                self.heard.push(response.status.as_u16().to_string());
                self.responses.push(response);
                self.ended = true;
            }
            UaEvent::Reinvite { id, request, .. } => {
                self.heard.push("re-INVITE".into());
                self.requests.push(request.clone());
                self.offered_later(id, &request, now);
            }
            UaEvent::Response { session, id, response } => {
                self.heard.push(format!("re {}", response.status.as_u16()));
                if self.waiting == Some(id) {
                    self.waiting = None;
                    if !response.status.is_success() {
                        self.pending = None;
                    } else if self.pending.is_none() {
                        self.answer_in_ack(session.unwrap(), &response, now);
                    } else {
                        if response.headers.cseq().unwrap().unwrap().method_str() == "INVITE" {
                            self.ua.ack(session.unwrap(), Headers::new(), None, now).unwrap();
                        }
                        self.accepted(&response, now);
                    }
                }
                self.responses.push(response);
            }
            UaEvent::Request { id, request, .. } if request.method == sip::Method::Subscribe => {
                self.heard.push("SUBSCRIBE".into());
                let (contact, hour) = (self.contact(), Duration::from_secs(3_600));
                let none = Headers::new();
                self.reader = self.ua.accept_subscription(id, &contact, hour, none, now).ok();
            }
            UaEvent::Notified { request, .. } => {
                self.heard.push(request.method.to_string());
                self.requests.push(request);
            }
            UaEvent::SubscriptionRefreshed { subscription, .. } => {
                let end = sip::SubscriptionState::terminated("timeout");
                self.ua.notify(subscription, &end, &Headers::new(), None, now).unwrap();
            }
            UaEvent::Request { id, request, .. } if request.method == sip::Method::Update => {
                self.heard.push("UPDATE".into());
                self.requests.push(request.clone());
                self.offered_later(id, &request, now);
            }
            UaEvent::Request { id, request, .. } => {
                self.heard.push(request.method.to_string());
                self.requests.push(request);
                let _ = self.ua.respond(id, StatusCode::OK, Headers::new(), None, now);
            }
            UaEvent::Cancelled { .. } => {
                self.heard.push("CANCEL".into());
                self.ended = true;
            }
            UaEvent::Ended { cause, .. } => {
                if let sip::EndCause::Bye(request) = cause {
                    self.heard.push("BYE".into());
                    self.requests.push(*request);
                }
                self.ended = true;
                self.streams.iter_mut().for_each(|s| s.next = None);
            }
            // BYEs of several dialogs may cross, and datagrams come twice.
            UaEvent::Refused { .. }
                if self.focus.is_some() || self.behaviour.udp || self.rewrite.is_some() => {}
            // Offers may meet.
            UaEvent::Refused { error: sip::RefusedError::Answered(pending), .. }
                if pending == StatusCode::REQUEST_PENDING => {}
            UaEvent::Refused { error, .. } => panic!("the gateway sent nonsense: {error}"),
            _ => {}
        }
    }

    pub(super) fn offered_later(
        &mut self,
        id: sip::RequestId,
        request: &sip::Request,
        now: Instant,
    ) {
        if self.pending.is_some() {
            let pending = StatusCode::REQUEST_PENDING;
            self.ua.respond(id, pending, Headers::new(), None, now).unwrap();
            return;
        }
        if !self.behaviour.refuses.is_empty() {
            let status = StatusCode::new(self.behaviour.refuses.remove(0)).unwrap();
            self.ua.respond(id, status, Headers::new(), None, now).unwrap();
            return;
        }
        if self.behaviour.slow {
            self.asked = Some((id, request.clone()));
            return;
        }
        let offer = sdp::SessionDescription::parse(&request.body).unwrap();
        self.offers.push(offer.clone());
        while self.streams.len() < offer.media.len() {
            self.open(StreamKind::Video, ice::Role::Controlled, now);
        }
        let local = self.local();
        let (answer, agreed) = self.session.answer(&offer, &local).unwrap();
        let body = Some(sip::Body::sdp(answer.to_string()));
        self.ua.respond(id, StatusCode::OK, Headers::new(), body, now).unwrap();
        self.connect(&agreed, now);
    }

    fn incoming(&mut self, session: sip::SessionId, request: &sip::Request, now: Instant) {
        let offer = sdp::SessionDescription::parse(&request.body).unwrap();
        self.offers.push(offer.clone());
        if let Some((status, diagnostic)) = self.behaviour.reject {
            let mut headers = Headers::new();
            if let Some(diagnostic) = diagnostic {
                headers.push("ms-diagnostics", diagnostic);
            }
            let status = StatusCode::new(status).unwrap();
            self.ua.reject(session, status, headers, None, now).unwrap();
            return;
        }
        for view in offer.media_views() {
            let kind = match view.kind() {
                sdp::MediaKind::Audio => StreamKind::Audio,
                _ => StreamKind::Video,
            };
            self.open(kind, ice::Role::Controlled, now);
        }
        let ringing = StatusCode::new(180).unwrap();
        self.ua.progress(session, ringing, Headers::new(), None, now).unwrap();
        if self.behaviour.silent {
            return;
        }
        let mut local = self.local();
        if !self.behaviour.video {
            for (entry, stream) in local.iter_mut().zip(&self.streams) {
                if stream.kind == StreamKind::Video {
                    entry.rtp_port = 0;
                }
            }
        }
        match self.session.answer(&offer, &local) {
            Ok((answer, agreed)) => {
                self.answered = Some(answer.to_bytes());
                let mut body = Some(sip::Body::sdp(answer.to_string()));
                if self.behaviour.early {
                    let (early, mut headers) = (StatusCode::new(183).unwrap(), Headers::new());
                    if self.behaviour.reliable {
                        headers.push("Require", "100rel");
                    }
                    self.ua.progress(session, early, headers, body.clone(), now).unwrap();
                    body = body.filter(|_| !self.behaviour.reliable);
                }
                self.held = Some(body);
                self.connect(&agreed, now);
                if !self.behaviour.waits {
                    self.pick_up(now);
                }
            }
            Err(refusal) => {
                let mut headers = Headers::new();
                if refusal.is_encryption_mismatch() {
                    let told = "52017;reason=\"Encryption levels dont match\"";
                    headers.push("ms-client-diagnostics", told);
                }
                let status = StatusCode::new(refusal.status()).unwrap();
                self.ua.reject(session, status, headers, None, now).unwrap();
            }
        }
    }

    /// The 2xx has the offer; the ACK has the answer, where there is one.
    pub(crate) fn answer_in_ack(
        &mut self,
        session: sip::SessionId,
        response: &sip::Response,
        now: Instant,
    ) {
        let offer = sdp::SessionDescription::parse(&response.body).unwrap();
        self.offers.push(offer.clone());
        for view in offer.media_views().skip(self.streams.len()) {
            let video = view.kind() == sdp::MediaKind::Video;
            let kind = if video { StreamKind::Video } else { StreamKind::Audio };
            self.open(kind, ice::Role::Controlled, now);
        }
        let mut local = self.local();
        if !self.behaviour.video {
            local.truncate(1);
        }
        let answer = self.session.answer(&offer, &local).ok();
        let answer = answer.filter(|_| !self.behaviour.owes_answer);
        let body = answer.as_ref().map(|(answer, _)| {
            let text = answer.to_string();
            let clear = |text: &str| {
                let lines = text.lines().filter(|line| !line.starts_with("a=crypto"));
                lines.map(|line| line.replace("RTP/SAVP", "RTP/AVP") + "\r\n").collect()
            };
            sip::Body::sdp(if self.behaviour.answers_in_clear { clear(&text) } else { text })
        });
        self.ua.ack(session, Headers::new(), body, now).unwrap();
        if let Some((_, agreed)) = answer {
            self.connect(&agreed, now);
        }
    }

    pub(super) fn accepted(&mut self, response: &sip::Response, now: Instant) {
        let answer = sdp::SessionDescription::parse(&response.body).unwrap();
        self.answers.push(answer.clone());
        let agreed = self.pending.take().unwrap().accept(&answer).expect("a usable answer");
        self.connect(&agreed, now);
    }

    fn connect(&mut self, agreed: &sdp::Agreed, now: Instant) {
        self.agreed = Some(agreed.clone());
        for (stream, media) in self.streams.iter_mut().zip(&agreed.media) {
            if !media.accepted {
                stream.next = None;
                continue;
            }
            let agreed = AgreedStream::try_from(media).unwrap();
            stream
                .transport
                .connect(
                    agreed.remote.clone(),
                    agreed.send_key.clone(),
                    agreed.receive_key.clone(),
                    now,
                )
                .unwrap();
            stream.set_codecs(&agreed, &self.behaviour);
            stream.next = agreed.sends.then_some(stream.next.unwrap_or(now));
            stream.agreed = Some(agreed);
        }
    }
}
