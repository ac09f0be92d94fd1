//! The server: bindings, Digest, and calls that join two of ours.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use linkspan_examples::{Report, SipInput, SipNet, Tap, fresh_seed};
use linkspan_sip::{
    AuthValue, Body, Credentials, DigestError, DigestServer, Headers, Method, NameAddr,
    OutgoingInvite, Path, Received, Request, RequestId, Response, SessionId, StatusCode, UaConfig,
    UaEvent, Uri, UserAgent,
};
use serde_json::json;
use tokio::time::sleep_until;

use crate::{Serve, description};

/// Runs until it is killed.
pub(crate) async fn run(serve: &Serve, report: &Report) -> Result<(), Box<dyn Error>> {
    let (net, mut input) = SipNet::new("sip-ua", serve.tls.load()?, Tap::closed());
    for hop in &serve.listen {
        let local = net.listen(hop.transport, hop.address).await?;
        report.text(format!("ready: {} {local}", hop.transport.via_token()));
        report.json(&json!({ "event": "ready", "address": local.to_string() }));
    }
    let now = Instant::now();
    let mut digest = DigestServer::new(&serve.realm, fresh_seed()?, now);
    digest.algorithms.clone_from(&serve.algorithm);
    let mut config = UaConfig::default();
    config.allow.push(Method::Register);
    let mut server = Server {
        agent: UserAgent::new(config, fresh_seed()?, now),
        digest,
        users: serve.user.iter().map(|user| (user.0.username.clone(), user.0.clone())).collect(),
        bindings: HashMap::new(),
        other: HashMap::new(),
        answers: serve.answer,
        report: report.clone(),
    };
    loop {
        while let Some(event) = server.agent.poll_event() {
            server.handle(event, Instant::now());
        }
        while let Some(transmit) = server.agent.poll_transmit() {
            net.send(transmit);
        }
        let idle = Instant::now() + Duration::from_secs(60);
        let wake = server.agent.poll_timeout().unwrap_or(idle);
        tokio::select! {
            arrived = input.recv() => match arrived {
                Some(SipInput::Message { path, payload }) => {
                    let received = Received { path, payload: &payload };
                    let _ = server.agent.handle_input(received, Instant::now());
                }
                Some(SipInput::Failed { path }) => {
                    server.agent.handle_transport_error(path, Instant::now());
                }
                None => return Ok(()),
            },
            () = sleep_until(wake.into()) => {}
        }
        server.agent.handle_timeout(Instant::now());
    }
}

struct Server {
    agent: UserAgent,
    digest: DigestServer,
    users: HashMap<String, Credentials>,
    bindings: HashMap<String, Binding>,
    /// The other leg of a call.
    other: HashMap<SessionId, SessionId>,
    answers: bool,
    report: Report,
}

/// Where a user is.
struct Binding {
    contact: Uri,
    path: Path,
    until: Instant,
}

impl Server {
    fn handle(&mut self, event: UaEvent, now: Instant) {
        match event {
            UaEvent::Invite { session, request, path } => {
                self.invited(session, &request, path, now);
            }
            UaEvent::Progress { session, response } => self.progressed(session, response, now),
            UaEvent::Accepted { session, response } => self.accepted(session, &response, now),
            UaEvent::Rejected { session, response } => {
                if let Some(caller) = self.forget(session) {
                    let _ = self.agent.reject(caller, response.status, Headers::new(), None, now);
                }
            }
            UaEvent::Cancelled { session, .. } | UaEvent::Ended { session, .. } => {
                self.tell("ended", "", None);
                if let Some(other) = self.forget(session) {
                    let _ = self.agent.end(other, Headers::new(), now);
                }
            }
            UaEvent::Reinvite { id, .. } => {
                // Later offers are not carried over.
                self.answer(id, StatusCode::NOT_ACCEPTABLE_HERE, Headers::new(), now);
            }
            UaEvent::Request { id, request, path, .. } => {
                let (status, headers) = self.requested(&request, path, now);
                self.answer(id, status, headers, now);
            }
            _ => {}
        }
    }

    fn answer(&mut self, id: RequestId, status: StatusCode, headers: Headers, now: Instant) {
        let _ = self.agent.respond(id, status, headers, None, now);
    }

    fn requested(&mut self, request: &Request, path: Path, now: Instant) -> (StatusCode, Headers) {
        match request.method {
            Method::Register => self.registered(request, path, now),
            Method::Options => {
                self.tell("options", request.uri.as_str(), None);
                (StatusCode::OK, Headers::new())
            }
            Method::Message | Method::Info => (StatusCode::OK, Headers::new()),
            Method::Subscribe => (StatusCode::BAD_EVENT, Headers::new()),
            _ => (StatusCode::NOT_IMPLEMENTED, Headers::new()),
        }
    }

    /// RFC 3261 §10.3, for one contact a user.
    fn registered(&mut self, request: &Request, path: Path, now: Instant) -> (StatusCode, Headers) {
        let mut headers = Headers::new();
        let Ok(user) = self.authenticated(request, now) else {
            let stale = self.authenticated(request, now) == Err(DigestError::Stale);
            for challenge in self.digest.challenges(now, stale) {
                headers.push("WWW-Authenticate", challenge);
            }
            return (StatusCode::UNAUTHORIZED, headers);
        };
        let aor = request.headers.to().ok().flatten().and_then(|to| to.uri().user());
        if aor != Some(user.as_str()) {
            return (StatusCode::FORBIDDEN, headers);
        }
        let contact = request.headers.contact().ok().flatten();
        let own = contact.as_ref().and_then(|contact| contact.params().value("expires"));
        let seconds = own
            .and_then(|own| own.parse().ok())
            .or_else(|| request.headers.expires().ok().flatten())
            .unwrap_or(3600)
            .min(3600);
        match contact.map(|contact| contact.uri().to_uri()).filter(|_| seconds > 0) {
            Some(contact) => {
                headers.push("Contact", format!("<{contact}>;expires={seconds}"));
                let until = now + Duration::from_secs(seconds.into());
                self.bindings.insert(user.clone(), Binding { contact, path, until });
            }
            None => {
                self.bindings.remove(&user);
            }
        }
        self.tell("registered", &user, Some(StatusCode::OK));
        (StatusCode::OK, headers)
    }

    /// Who sent the request, by its credentials.
    fn authenticated(&self, request: &Request, now: Instant) -> Result<String, DigestError> {
        let mut last = DigestError::NotOurs;
        for line in request.headers.all("Authorization") {
            let Ok(value) = AuthValue::parse(line) else { continue };
            let Some(name) = self.digest.username(&value) else { continue };
            let Some(user) = self.users.get(&name) else { continue };
            let method = request.method.as_str();
            match self.digest.verify(&value, method, &request.body, &user.password, now) {
                Ok(()) => return Ok(name),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn invited(&mut self, session: SessionId, request: &Request, path: Path, now: Instant) {
        let name = request.uri.user().unwrap_or_default().to_owned();
        self.tell("invite", &name, None);
        if let Some(binding) = self.bindings.get(&name).filter(|binding| binding.until > now) {
            let contact = NameAddr::from(Uri::from(binding.path));
            let from = request.headers.from().ok().flatten().map(|from| from.to_name_addr());
            let from = from.unwrap_or_else(|| contact.clone());
            let mut invite =
                OutgoingInvite::new(binding.path, binding.contact.clone(), from, contact);
            invite.body = request.to_body();
            match self.agent.invite(invite, now) {
                Ok(callee) => {
                    self.other.insert(session, callee);
                    self.other.insert(callee, session);
                }
                Err(_) => self.refuse(session, StatusCode::SERVICE_UNAVAILABLE, now),
            }
        } else if self.users.contains_key(&name) {
            self.refuse(session, StatusCode::TEMPORARILY_UNAVAILABLE, now);
        } else if self.answers {
            let body = Some(Body::sdp(description(path.local.ip())));
            let _ = self.agent.progress(session, StatusCode::RINGING, Headers::new(), None, now);
            let _ = self.agent.accept(session, Uri::from(path).into(), Headers::new(), body, now);
        } else {
            self.refuse(session, StatusCode::NOT_FOUND, now);
        }
    }

    fn refuse(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        let _ = self.agent.reject(session, status, Headers::new(), None, now);
    }

    fn progressed(&mut self, session: SessionId, response: Response, now: Instant) {
        if let Some(&caller) = self.other.get(&session) {
            let body = response.to_body();
            let _ = self.agent.progress(caller, response.status, Headers::new(), body, now);
        }
    }

    fn accepted(&mut self, session: SessionId, response: &Response, now: Instant) {
        let _ = self.agent.ack(session, Headers::new(), None, now);
        let caller = self.other.get(&session).copied();
        let path = caller.and_then(|caller| Some(self.agent.dialog(caller)?.path()));
        let (Some(caller), Some(path)) = (caller, path) else {
            let _ = self.agent.bye(session, Headers::new(), now);
            return;
        };
        self.tell("connected", "", Some(response.status));
        let body = response.to_body();
        let _ = self.agent.accept(caller, Uri::from(path).into(), Headers::new(), body, now);
    }

    fn forget(&mut self, session: SessionId) -> Option<SessionId> {
        let other = self.other.remove(&session)?;
        self.other.remove(&other);
        Some(other)
    }

    fn tell(&self, event: &str, user: &str, status: Option<StatusCode>) {
        self.report.text(format!("{event} {user}"));
        let status = status.map(|status| status.as_u16());
        self.report.json(&json!({ "event": event, "user": user, "status": status }));
    }
}
