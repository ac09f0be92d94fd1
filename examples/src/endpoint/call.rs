//! One call of an endpoint, from its INVITE to its end.

use std::time::{Duration, Instant};

use linkspan_gateway::{Side, StreamKind, TransportEvent};
use linkspan_sdp as sdp;
use linkspan_sip as sip;
use serde_json::json;
use sip::{Body, EndCause, Headers, NameAddr, RequestId, SessionId, StatusCode, UaEvent};
use tokio::time::sleep_until;

use super::outcome::{CallError, CallReport, report_of};
use super::setup::{self, Making};
use super::stream::{Media, Stream};
use super::{CallPlan, Endpoint};
use crate::{Datagram, SipInput, random_octets};

pub(super) struct Call<'e> {
    endpoint: &'e mut Endpoint,
    plan: &'e CallPlan,
    caller: bool,
    session: Option<SessionId>,
    sdp: sdp::Session,
    offer: Option<sdp::LocalOffer>,
    /// One per m-line; `None` for a line of the peer's that we do not have.
    streams: Vec<Option<Stream>>,
    later_offer: Option<RequestId>,
    reoffered: bool,
    answered: Option<Instant>,
    deadline: Instant,
    leaving: bool,
    report: CallReport,
    ended: Option<Result<(), CallError>>,
}

impl<'e> Call<'e> {
    /// Sends the INVITE.
    pub(super) fn place(
        endpoint: &'e mut Endpoint,
        uri: &str,
        plan: &'e CallPlan,
    ) -> Result<Self, CallError> {
        let now = Instant::now();
        let target: sip::Uri = uri.parse().map_err(|_| CallError::Address(uri.to_owned()))?;
        let transport = endpoint.config.transport;
        let proxy = endpoint.config.proxy.or_else(|| setup::address_of(&target, transport));
        let remote = proxy.ok_or_else(|| CallError::Address(uri.to_owned()))?;
        let mut call = Self::new(endpoint, plan, true, now);
        call.deadline = now + RING_TIME;
        for kind in [Some(StreamKind::Audio), (!plan.without_video).then_some(StreamKind::Video)] {
            let Some(kind) = kind else { continue };
            let stream = setup::stream(&call.making(now), kind)?;
            call.streams.push(Some(stream));
        }
        let (offer, pending) = call.sdp.offer(&call.local_media());
        call.offer = Some(pending);
        let (headers, body) = call.invite_content(&offer, uri)?;
        let path = sip::Path::new(transport, call.endpoint.address, remote);
        let invite = sip::OutgoingInvite {
            headers,
            body: Some(body),
            ..sip::OutgoingInvite::new(path, target, call.own_address()?, call.contact()?)
        };
        call.session = Some(call.endpoint.agent.invite(invite, now)?);
        Ok(call)
    }

    /// Waits for an INVITE.
    pub(super) fn wait(
        endpoint: &'e mut Endpoint,
        plan: &'e CallPlan,
        patience: Duration,
    ) -> Result<Self, CallError> {
        let now = Instant::now();
        let mut call = Self::new(endpoint, plan, false, now);
        call.deadline = now + patience;
        Ok(call)
    }

    fn new(endpoint: &'e mut Endpoint, plan: &'e CallPlan, caller: bool, now: Instant) -> Self {
        let sdp = sdp::Session::new(setup::profile(&endpoint.config, plan));
        Self {
            endpoint,
            plan,
            caller,
            session: None,
            sdp,
            offer: None,
            streams: Vec::new(),
            later_offer: None,
            reoffered: false,
            answered: None,
            deadline: now,
            leaving: false,
            report: CallReport::default(),
            ended: None,
        }
    }

    /// Carries the call to its end.
    pub(super) async fn run(mut self) -> Result<CallReport, CallError> {
        loop {
            self.drain(Instant::now());
            if let Some(ended) = self.ended.take() {
                self.finish();
                let status = match &ended {
                    Err(CallError::Refused { status, .. }) => Some(*status),
                    _ => None,
                };
                self.tell("ended", status);
                return ended.map(|()| self.report);
            }
            let wake = self.poll_timeout();
            tokio::select! {
                input = self.endpoint.sip_input.recv() => {
                    if let Some(input) = input {
                        self.handle_sip(input, Instant::now());
                    }
                }
                datagram = self.endpoint.media_input.recv() => {
                    if let Some(datagram) = datagram {
                        self.handle_datagrams(datagram, Instant::now());
                    }
                }
                () = sleep_until(wake.into()) => {}
            }
            self.handle_timeout(Instant::now());
        }
    }

    fn handle_sip(&mut self, input: SipInput, now: Instant) {
        match input {
            SipInput::Message { path, payload } => {
                let payload = match &mut self.endpoint.front_end {
                    Some(front_end) => front_end.deliver(&payload),
                    None => payload,
                };
                let received = sip::Received { path, payload: &payload };
                if let Err(error) = self.endpoint.agent.handle_input(received, now) {
                    tracing::warn!(%error, "SIP message dropped");
                }
            }
            SipInput::Failed { path } => self.endpoint.agent.handle_transport_error(path, now),
        }
    }

    fn handle_datagrams(&mut self, first: Datagram, now: Instant) {
        let mut next = Some(first);
        while let Some(mut datagram) = next {
            let mine = self.streams.iter_mut().flatten();
            let local = datagram.local;
            if let Some(stream) = mine.into_iter().find(|s| s.rtp == local || s.rtcp == local) {
                stream.handle_datagram(&mut datagram, now);
            }
            self.endpoint.media.recycle(datagram.payload);
            next = self.endpoint.media_input.try_recv().ok();
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.agent.handle_timeout(now);
        self.open_the_way(now);
        for stream in self.streams.iter_mut().flatten() {
            stream.handle_timeout(now);
        }
        if self.answered.is_none() && now >= self.deadline {
            let error = if self.caller { CallError::NoAnswer } else { CallError::NoCall };
            self.give_up(error, now);
        } else if let Some(answered) = self.answered
            && !self.leaving
        {
            let longest = self.plan.longest.is_some_and(|longest| now >= answered + longest);
            let done = self.plan.hangs_up
                && self.streams.iter().flatten().all(|stream| stream.is_done(now));
            if longest || done {
                self.hang_up(now);
            }
        }
    }

    /// Begins to send what counts, as soon as the far end is heard: what is sent from then on has
    /// a way through both legs.
    fn open_the_way(&mut self, now: Instant) {
        let Some(answered) = self.answered else { return };
        let used = || self.streams.iter().flatten().filter(|stream| stream.is_used());
        let connected = used().all(|stream| stream.transport.is_connected());
        let heard = used().all(|stream| match &stream.media {
            Media::Audio(_, sink) => sink.has_heard(),
            Media::Video(..) => true,
        });
        let waited = now.saturating_duration_since(answered);
        if connected && ((heard && waited >= SETTLE) || waited >= UNHEARD) {
            for stream in self.streams.iter_mut().flatten() {
                stream.begin(now);
            }
        }
    }

    fn poll_timeout(&self) -> Instant {
        let streams = self.streams.iter().flatten().filter_map(Stream::poll_timeout);
        let own = match self.answered {
            None => Some(self.deadline),
            // Conditions that no engine has a timer for are looked at this often.
            Some(_) => Some(Instant::now() + LOOK),
        };
        let agent = self.endpoint.agent.poll_timeout();
        streams.chain(own).chain(agent).min().unwrap_or_else(|| Instant::now() + LOOK)
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.agent.poll_event() {
            if let Err(error) = self.handle_event(event, now) {
                self.give_up(error, now);
            }
        }
        while let Some(mut transmit) = self.endpoint.agent.poll_transmit() {
            if let Some(front_end) = &self.endpoint.front_end {
                transmit.payload = front_end.forward(&transmit.payload);
            }
            self.endpoint.sip.send(transmit);
        }
        let mut lost = None;
        for stream in self.streams.iter_mut().flatten() {
            while let Some(event) = stream.drain(&self.endpoint.media) {
                if matches!(event, TransportEvent::Disconnected) {
                    lost = Some(stream.kind());
                }
            }
        }
        if let Some(kind) = lost {
            self.give_up(CallError::NoPath(kind), now);
        }
        self.offer_what_ice_chose(now);
    }

    fn handle_event(&mut self, event: UaEvent, now: Instant) -> Result<(), CallError> {
        match event {
            UaEvent::Invite { session, request, .. } => self.handle_invite(session, &request, now),
            UaEvent::Progress { response, .. } => {
                let status = response.status.as_u16();
                self.tell("ringing", Some(status));
                Ok(())
            }
            UaEvent::Accepted { session, response } => {
                if self.session != Some(session) {
                    return Ok(());
                }
                self.endpoint.agent.ack(session, Headers::new(), None, now)?;
                self.take_answer(response.to_body().as_ref(), now)?;
                self.answered.get_or_insert(now);
                self.tell("established", Some(response.status.as_u16()));
                Ok(())
            }
            UaEvent::Rejected { response, .. } => Err(refused(&response)),
            UaEvent::Acked { .. } => {
                if self.answered.is_none() {
                    self.answered = Some(now);
                    self.tell("established", Some(200));
                }
                Ok(())
            }
            UaEvent::Reinvite { id, request, .. } => self.handle_later_offer(id, &request, now),
            UaEvent::Request { id, request, .. } => {
                let taken = matches!(request.method, sip::Method::Info | sip::Method::Options);
                let status = if taken { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED };
                Ok(self.endpoint.agent.respond(id, status, Headers::new(), None, now)?)
            }
            UaEvent::Response { session: Some(session), id, response } => {
                self.handle_response(session, id, &response, now)
            }
            UaEvent::Cancelled { .. } => Err(CallError::Lost("the caller gave up".to_owned())),
            UaEvent::Ended { cause, .. } => {
                self.report.cause = describe(&cause);
                self.ended = Some(match cause {
                    EndCause::Bye(_) | EndCause::Local => Ok(()),
                    _ => Err(CallError::Lost(self.report.cause.clone())),
                });
                Ok(())
            }
            UaEvent::Refused { path, error } => {
                tracing::warn!(%error, remote = %path.remote, "message refused");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn handle_invite(
        &mut self,
        session: SessionId,
        request: &sip::Request,
        now: Instant,
    ) -> Result<(), CallError> {
        if self.session.is_some() || self.caller {
            let busy = StatusCode::BUSY_HERE;
            return Ok(self.endpoint.agent.reject(session, busy, Headers::new(), None, now)?);
        }
        self.session = Some(session);
        self.endpoint.agent.progress(session, StatusCode::RINGING, Headers::new(), None, now)?;
        self.tell("ringing", Some(180));
        let Some(offer) = description(request.to_body().as_ref()) else {
            return self.refuse(session, "the INVITE has no description that can be read", now);
        };
        for view in offer.media_views() {
            let kind = setup::kind_of(&view.kind()).filter(|_| view.port() != 0);
            let stream = kind.map(|kind| setup::stream(&self.making(now), kind)).transpose()?;
            self.streams.push(stream);
        }
        let (answer, agreed) = match self.sdp.answer(&offer, &self.local_media()) {
            Ok(agreed) => agreed,
            Err(refusal) => return self.refuse(session, &refusal.to_string(), now),
        };
        self.agree(agreed, now)?;
        let headers = match self.endpoint.config.side {
            Side::Lync => self.endpoint.identity.answer_headers(&request.headers),
            Side::Standard => Headers::new(),
        };
        let body = Some(Body::sdp(answer.to_string()));
        let contact = self.contact()?;
        Ok(self.endpoint.agent.accept(session, contact, headers, body, now)?)
    }

    fn refuse(&mut self, session: SessionId, why: &str, now: Instant) -> Result<(), CallError> {
        let status = StatusCode::NOT_ACCEPTABLE_HERE;
        self.endpoint.agent.reject(session, status, Headers::new(), None, now)?;
        Err(CallError::Disagreed(why.to_owned()))
    }

    /// The peer changes the session: hold, resume, what its ICE has chosen.
    fn handle_later_offer(
        &mut self,
        id: RequestId,
        request: &sip::Request,
        now: Instant,
    ) -> Result<(), CallError> {
        let Some(offer) = description(request.to_body().as_ref()) else {
            let status = StatusCode::NOT_ACCEPTABLE_HERE;
            return Ok(self.endpoint.agent.respond(id, status, Headers::new(), None, now)?);
        };
        match self.sdp.answer(&offer, &self.local_media()) {
            Ok((answer, agreed)) => {
                self.agree(agreed, now)?;
                let body = Some(Body::sdp(answer.to_string()));
                let mut headers = Headers::new();
                headers.push("Contact", self.contact()?.to_string());
                Ok(self.endpoint.agent.respond(id, StatusCode::OK, headers, body, now)?)
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "later offer");
                let status =
                    StatusCode::new(refusal.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
                Ok(self.endpoint.agent.respond(id, status, Headers::new(), None, now)?)
            }
        }
    }

    fn handle_response(
        &mut self,
        session: SessionId,
        id: RequestId,
        response: &sip::Response,
        now: Instant,
    ) -> Result<(), CallError> {
        if self.later_offer != Some(id) {
            return Ok(());
        }
        self.later_offer = None;
        if !response.status.is_success() {
            self.offer = None;
            tracing::warn!(status = %response.status, "re-INVITE refused");
            return Ok(());
        }
        self.endpoint.agent.ack(session, Headers::new(), None, now)?;
        self.take_answer(response.to_body().as_ref(), now)
    }

    /// A Lync caller tells what its ICE has chosen in a second offer.
    fn offer_what_ice_chose(&mut self, now: Instant) {
        let Some(session) = self.session else { return };
        let lync_caller = self.caller && self.endpoint.config.side == Side::Lync;
        let with_ice = |stream: &&Stream| {
            stream.agreed.as_ref().is_some_and(|a| a.accepted && a.remote.ice.is_some())
        };
        let chosen = || self.streams.iter().flatten().filter(with_ice);
        let all = chosen().count() > 0 && chosen().all(|stream| !stream.pairs.is_empty());
        if !lync_caller || self.reoffered || self.answered.is_none() || self.leaving || !all {
            return;
        }
        self.reoffered = true;
        let (offer, pending) = self.sdp.offer(&self.local_media());
        let body = Some(Body::sdp(offer.to_string()));
        match self.endpoint.agent.reinvite(session, Headers::new(), body, now) {
            Ok(id) => {
                self.offer = Some(pending);
                self.later_offer = Some(id);
            }
            Err(error) => tracing::warn!(%error, "second offer"),
        }
    }

    fn take_answer(&mut self, body: Option<&Body>, now: Instant) -> Result<(), CallError> {
        let Some(offer) = self.offer.take() else { return Ok(()) };
        let answer = description(body)
            .ok_or_else(|| CallError::Disagreed("the answer cannot be read".to_owned()))?;
        let agreed =
            offer.accept(&answer).map_err(|refusal| CallError::Disagreed(refusal.to_string()))?;
        self.agree(agreed, now)
    }

    fn agree(&mut self, agreed: sdp::Agreed, now: Instant) -> Result<(), CallError> {
        for (stream, media) in self.streams.iter_mut().zip(agreed.media) {
            if let Some(stream) = stream {
                stream.agree(media, now).map_err(CallError::Disagreed)?;
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, now: Instant) {
        self.leaving = true;
        self.report.hung_up = true;
        let Some(session) = self.session else { return };
        if let Err(error) = self.endpoint.agent.bye(session, Headers::new(), now) {
            self.ended = Some(Err(error.into()));
        }
    }

    /// Ends the call because of a fault of ours or on the way.
    fn give_up(&mut self, error: CallError, now: Instant) {
        if self.ended.is_some() || self.leaving {
            return;
        }
        tracing::debug!(%error, "giving up");
        self.report.cause = error.to_string();
        if let Some(session) = self.session {
            // Refused where the session is over already.
            let _ = self.endpoint.agent.end(session, Headers::new(), now);
            while let Some(mut transmit) = self.endpoint.agent.poll_transmit() {
                if let Some(front_end) = &self.endpoint.front_end {
                    transmit.payload = front_end.forward(&transmit.payload);
                }
                self.endpoint.sip.send(transmit);
            }
        }
        self.ended = Some(Err(error));
    }

    fn finish(&mut self) {
        let now = Instant::now();
        let since = self.answered.map(|at| now.saturating_duration_since(at));
        self.report.seconds = since.unwrap_or_default().as_secs_f64();
        for stream in self.streams.iter_mut().flatten() {
            if stream.is_used() {
                self.report.streams.push(report_of(stream, now));
            }
            self.endpoint.media.unbind(stream.rtp);
            self.endpoint.media.unbind(stream.rtcp);
        }
    }

    fn making(&self, now: Instant) -> Making<'_> {
        Making {
            config: &self.endpoint.config,
            plan: self.plan,
            net: &self.endpoint.media,
            caller: self.caller,
            now,
        }
    }

    fn local_media(&self) -> Vec<sdp::LocalMedia> {
        let config = &self.endpoint.config;
        let local = |stream: &Option<Stream>| match stream {
            Some(stream) => setup::local_media(config, stream),
            None => sdp::LocalMedia::default(),
        };
        self.streams.iter().map(local).collect()
    }

    fn own_address(&self) -> Result<NameAddr, CallError> {
        let uri = self.endpoint.uri();
        let uri: sip::Uri = uri.parse().map_err(|_| CallError::Address(uri.clone()))?;
        let address = NameAddr::new(uri).with_display(&self.endpoint.config.display);
        Ok(match self.endpoint.config.side {
            Side::Lync => address.with_param("epid", &self.endpoint.identity.epid),
            Side::Standard => address,
        })
    }

    fn contact(&self) -> Result<NameAddr, CallError> {
        let Endpoint { config, address, identity, .. } = &*self.endpoint;
        let text = match config.side {
            Side::Lync => identity.contact(),
            Side::Standard => {
                format!("sip:{}@{address};transport={}", config.user, config.transport.uri_token())
            }
        };
        let uri: sip::Uri = text.parse().map_err(|_| CallError::Address(text.clone()))?;
        Ok(NameAddr::new(uri))
    }

    fn invite_content(
        &self,
        offer: &sdp::SessionDescription,
        callee: &str,
    ) -> Result<(Headers, Body), CallError> {
        let offer = offer.to_string();
        Ok(match self.endpoint.config.side {
            Side::Lync => {
                let identity = &self.endpoint.identity;
                let headers = identity.invite_headers(callee, self.endpoint.address);
                (headers, identity.two_parts(&offer, random_octets()?))
            }
            Side::Standard => (Headers::new(), Body::sdp(offer)),
        })
    }

    fn tell(&self, state: &str, status: Option<u16>) {
        self.endpoint.report.json(&json!({
            "event": "call",
            "party": self.endpoint.config.party,
            "state": state,
            "status": status,
        }));
    }
}

/// The description in a body.
fn description(body: Option<&Body>) -> Option<sdp::SessionDescription> {
    let body = body?;
    let kind = body.content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/sdp") {
        return None;
    }
    sdp::SessionDescription::parse(&body.bytes).ok()
}

fn refused(response: &sip::Response) -> CallError {
    let mut reason = response.reason.clone();
    for name in ["ms-client-diagnostics", "ms-diagnostics", "Warning", "Reason"] {
        if let Some(value) = response.headers.first(name) {
            reason.push_str(&format!(" ({name}: {value})"));
        }
    }
    CallError::Refused { status: response.status.as_u16(), reason }
}

fn describe(cause: &EndCause) -> String {
    match cause {
        EndCause::Bye(_) => "the peer hung up".to_owned(),
        EndCause::Local => "hung up".to_owned(),
        EndCause::NoAck => "no ACK came".to_owned(),
        EndCause::NoPrack => "no PRACK came".to_owned(),
        EndCause::SessionExpired => "the session timer expired".to_owned(),
        EndCause::Lost(status) => format!("a request in the call was answered {status}"),
        EndCause::TransportFailure => "the connection was lost".to_owned(),
        _ => "unknown".to_owned(),
    }
}

const RING_TIME: Duration = Duration::from_secs(30);
/// From the answer on, for the legs to be set up.
const SETTLE: Duration = Duration::from_millis(300);
/// A far end that says nothing, or cannot, is spoken to after this time.
const UNHEARD: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(20);
