//! The Lync side: a focus with its conferencing server on real sockets, and a presenter.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_c3p::{ConferenceUri, FocusConfig, MediaType, Participant};
use linkspan_examples::{FocusHost, Report, SipInput, SipNet, Tap, fresh_seed};
use linkspan_sip as sip;
use serde_json::json;
use sip::{Headers, StatusCode, UaEvent};
use tokio::sync::mpsc;

use crate::script::Presenter;
use crate::server::Leg;

/// The stand-in for a Lync front end.
#[derive(Debug)]
pub(crate) struct FrontEnd {
    address: SocketAddr,
    contact: sip::NameAddr,
    sip: SipNet,
    input: mpsc::Receiver<SipInput>,
    pub(crate) agent: sip::UserAgent,
    pub(crate) host: FocusHost,
    legs: HashMap<sip::SessionId, Leg>,
    shown: Vec<String>,
    report: Report,
}

impl FrontEnd {
    pub(crate) async fn start(
        uri: ConferenceUri,
        tap: Tap,
        report: Report,
    ) -> Result<Self, Box<dyn Error>> {
        let (sip, input) = SipNet::new("front end", None, tap);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = sip.listen(sip::Transport::Tcp, any).await?;
        let config = sip::UaConfig {
            product: "RTCC/5.0.0.0 stand-in".to_owned(),
            dialect: sip::Dialect::Lync,
            ..sip::UaConfig::default()
        };
        let contact = sip::NameAddr::parse(&format!("<sip:{address};transport=tcp>"))?;
        Ok(Self {
            address,
            agent: sip::UserAgent::new(config, fresh_seed()?, Instant::now()),
            host: FocusHost::new(FocusConfig::new(uri, "Weekly"), contact.clone()),
            contact,
            sip,
            input,
            legs: HashMap::new(),
            shown: Vec::new(),
            report,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hosts the conference until the presenter has done everything with the room.
    pub(crate) async fn play(mut self, room: &str) -> Result<(), Box<dyn Error>> {
        let mut presenter = Presenter::new(room, &mut self)?;
        loop {
            self.settle()?;
            if presenter.step(&mut self)? {
                break;
            }
            self.settle()?;
            let due = self.agent.poll_timeout().unwrap_or_else(|| Instant::now() + TICK);
            let due = due.min(Instant::now() + TICK);
            tokio::select! {
                input = self.input.recv() => match input {
                    Some(input) => self.take(input),
                    None => return Err("the sockets are gone".into()),
                },
                () = tokio::time::sleep_until(due.into()) => {
                    self.agent.handle_timeout(Instant::now());
                }
            }
        }
        // The last answers are on their way.
        let end = Instant::now() + LINGER;
        while let Ok(Some(input)) = tokio::time::timeout_at(end.into(), self.input.recv()).await {
            self.take(input);
            self.settle()?;
        }
        Ok(())
    }

    /// RTP packets that the conferencing server has had from everybody.
    pub(crate) fn heard(&self) -> u64 {
        self.legs.values().map(Leg::heard).sum()
    }

    pub(crate) fn say(&self, what: &str) {
        self.report.text(format!("Alice {what}"));
        self.report.json(&json!({"event": "presenter", "did": what}));
    }

    fn take(&mut self, input: SipInput) {
        let now = Instant::now();
        match input {
            SipInput::Message { path, payload } => {
                // Queues are drained after every message.
                let _ = self.agent.handle_input(sip::Received { path, payload: &payload }, now);
            }
            SipInput::Failed { path } => self.agent.handle_transport_error(path, now),
        }
    }

    fn settle(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.host.drive(&mut self.agent, now);
        while let Some(event) = self.agent.poll_event() {
            if !self.host.handle(&mut self.agent, &event, now) {
                self.media(&event, now)?;
            }
        }
        while let Some(transmit) = self.agent.poll_transmit() {
            self.sip.send(transmit);
        }
        self.show();
        Ok(())
    }

    /// Calls to the conferencing server.
    fn media(&mut self, event: &UaEvent, now: Instant) -> io::Result<()> {
        match event {
            UaEvent::Invite { session, request, .. } => {
                let offer = String::from_utf8_lossy(&request.body);
                let (leg, answer) = Leg::answer(&offer, self.address.ip())?;
                self.legs.insert(*session, leg);
                let (contact, body) = (self.contact.clone(), Some(sip::Body::sdp(answer)));
                let taken = self.agent.accept(*session, contact, Headers::new(), body, now);
                taken.map_err(io::Error::other)?;
            }
            UaEvent::Reinvite { id, .. } => {
                let status = StatusCode::NOT_ACCEPTABLE_HERE;
                let _ = self.agent.respond(*id, status, Headers::new(), None, now);
            }
            UaEvent::Ended { session, .. } => drop(self.legs.remove(session)),
            _ => {}
        }
        Ok(())
    }

    /// The roster, when it is another than before.
    fn show(&mut self) {
        let info = self.host.focus().info().clone();
        let users: Vec<Participant<'_>> = info.users().iter().map(Participant::new).collect();
        let lines: Vec<String> = users.iter().map(line).collect();
        if lines == self.shown {
            return;
        }
        self.report.text("Roster:");
        for line in &lines {
            self.report.text(format!("  {line}"));
        }
        let users: Vec<_> = users
            .iter()
            .map(|one| {
                json!({
                    "entity": one.entity().as_str(),
                    "display_name": one.display_name(),
                    "role": one.role().map(|role| role.as_str()),
                    "connected": one.is_connected(),
                    "muted": one.is_muted(&MediaType::Audio),
                    "sessions": sessions(one),
                })
            })
            .collect();
        self.report.json(&json!({"event": "roster", "users": users}));
        self.shown = lines;
    }
}

fn sessions(one: &Participant<'_>) -> Vec<String> {
    let kinds = one.user().endpoints.iter().filter_map(|one| one.session_type.as_ref());
    kinds.map(ToString::to_string).collect()
}

fn line(one: &Participant<'_>) -> String {
    let role = one.role().map_or("-", |role| role.as_str());
    let muted = if one.is_muted(&MediaType::Audio) { "  muted" } else { "" };
    let (name, sessions) = (one.display_name(), sessions(one).join(", "));
    format!("{}  {name}  {role}  {sessions}{muted}", one.entity())
}

const TICK: Duration = Duration::from_millis(50);
const LINGER: Duration = Duration::from_millis(300);
