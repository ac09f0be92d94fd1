//! One call, one registration, one ping.

use std::error::Error;
use std::time::{Duration, Instant};

use linkspan_examples::{Report, SipInput, SipNet, Tap, fresh_seed};
use linkspan_sip::{
    Body, Headers, Method, NameAddr, OutgoingInvite, Path, Received, Request, Response, UaConfig,
    UaEvent, Uri, UserAgent,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::{Peer, description};

type Outcome = Result<bool, Box<dyn Error>>;

/// Places a call and hangs up; `true` where it was answered.
pub(crate) async fn call(peer: &Peer, seconds: f64, report: &Report) -> Outcome {
    let mut client = Client::start(peer).await?;
    let mut invite = OutgoingInvite::new(
        client.path,
        peer.uri.parse()?,
        NameAddr::new(peer.from.parse()?),
        client.contact.clone(),
    );
    invite.body = Some(Body::sdp(description(peer.local)));
    let session = client.agent.invite(invite, Instant::now())?;
    let mut hang_up: Option<Instant> = None;
    let give_up = Instant::now() + PATIENCE;
    loop {
        let Some(event) = client.next(hang_up.unwrap_or(give_up)).await else {
            if hang_up.is_none() {
                report.text("nobody answered");
                return Ok(false);
            }
            client.agent.bye(session, Headers::new(), Instant::now())?;
            client.drain_for(FAREWELL).await;
            tell(report, "ended", None);
            return Ok(true);
        };
        match event {
            UaEvent::Progress { response, .. } => tell(report, "progress", Some(&response)),
            UaEvent::Accepted { response, .. } => {
                tell(report, "accepted", Some(&response));
                client.agent.ack(session, Headers::new(), None, Instant::now())?;
                hang_up =
                    Some(Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)));
            }
            UaEvent::Rejected { response, .. } => {
                tell(report, "rejected", Some(&response));
                return Ok(false);
            }
            UaEvent::Ended { .. } => {
                client.drain_for(FAREWELL).await;
                tell(report, "ended", None);
                return Ok(true);
            }
            _ => {}
        }
    }
}

/// Registers once; `true` where the registrar took it.
pub(crate) async fn register(peer: &Peer, report: &Report) -> Outcome {
    let client = Client::start(peer).await?;
    let aor: Uri = peer.uri.parse()?;
    let mut request = Request::new(Method::Register, Uri::sip(None, aor.host())?);
    request.headers.push("From", format!("<{aor}>"));
    request.headers.push("To", format!("<{aor}>"));
    request.headers.push("Contact", client.contact.to_string());
    request.headers.push("Expires", "60");
    client.ask(request, "register", report).await
}

/// Sends an OPTIONS; `true` where the answer is a success.
pub(crate) async fn options(peer: &Peer, report: &Report) -> Outcome {
    let client = Client::start(peer).await?;
    let mut request = Request::new(Method::Options, peer.uri.parse()?);
    request.headers.push("From", format!("<{}>", peer.from));
    request.headers.push("Accept", "application/sdp");
    client.ask(request, "options", report).await
}

fn tell(report: &Report, event: &str, response: Option<&Response>) {
    let status = response.map(|response| response.status.as_u16());
    let reason = response.map(|response| response.reason.as_str());
    report.text(match response {
        Some(response) => format!("{event}: {} {}", response.status, response.reason),
        None => event.to_owned(),
    });
    report.json(&json!({ "event": event, "status": status, "reason": reason }));
}

/// A user agent on its sockets.
struct Client {
    agent: UserAgent,
    net: SipNet,
    input: mpsc::Receiver<SipInput>,
    path: Path,
    contact: NameAddr,
}

impl Client {
    async fn start(peer: &Peer) -> Result<Self, Box<dyn Error>> {
        let transport = peer.proxy.transport;
        let tls = peer.tls.load()?;
        let listens = !matches!(transport, linkspan_sip::Transport::Tls)
            || tls.as_ref().is_some_and(|tls| tls.acceptor().is_some());
        let (net, input) = SipNet::new("sip-ua", tls, Tap::closed());
        // Without a certificate nobody can connect to us: the peer has to use our connection.
        let port = if listens {
            net.listen(transport, (peer.local, 0).into()).await?.port()
        } else {
            transport.default_port()
        };
        if let Some(name) = &peer.server_name {
            net.expect_name(peer.proxy.address, name);
        }
        let path = Path::new(transport, (peer.local, port).into(), peer.proxy.address);
        let from: Uri = peer.from.parse()?;
        let mut contact = Uri::sip(from.user(), &peer.local.to_string())?;
        contact.set_port(Some(port));
        contact.set_param("transport", Some(transport.uri_token()));
        let credentials = peer.user.iter().map(|user| user.0.clone()).collect();
        let config = UaConfig { credentials, ..UaConfig::default() };
        let agent = UserAgent::new(config, fresh_seed()?, Instant::now());
        Ok(Self { agent, net, input, path, contact: NameAddr::new(contact) })
    }

    /// Sends one request and reports its answer.
    async fn ask(mut self, request: Request, event: &str, report: &Report) -> Outcome {
        self.agent.send(request, self.path, Instant::now())?;
        let give_up = Instant::now() + PATIENCE;
        while let Some(heard) = self.next(give_up).await {
            if let UaEvent::Response { response, .. } = heard {
                tell(report, event, Some(&response));
                return Ok(response.status.is_success());
            }
        }
        Ok(false)
    }

    /// The next event, `None` at `until`.
    async fn next(&mut self, until: Instant) -> Option<UaEvent> {
        loop {
            while let Some(transmit) = self.agent.poll_transmit() {
                self.net.send(transmit);
            }
            if let Some(event) = self.agent.poll_event() {
                return Some(event);
            }
            if Instant::now() >= until {
                return None;
            }
            let wake = self.agent.poll_timeout().map_or(until, |due| due.min(until));
            tokio::select! {
                input = self.input.recv() => match input? {
                    SipInput::Message { path, payload } => {
                        let received = Received { path, payload: &payload };
                        let _ = self.agent.handle_input(received, Instant::now());
                    }
                    SipInput::Failed { path } => {
                        self.agent.handle_transport_error(path, Instant::now());
                    }
                },
                () = sleep_until(wake.into()) => {}
            }
            if self.agent.poll_timeout().is_some_and(|due| due <= Instant::now()) {
                self.agent.handle_timeout(Instant::now());
            }
        }
    }

    /// Lets the last transactions end.
    async fn drain_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while self.next(until).await.is_some() {}
    }
}

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(35);
/// For the answer to BYE, and its retransmissions.
const FAREWELL: Duration = Duration::from_millis(700);
