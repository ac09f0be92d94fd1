//! One ICE agent on real UDP sockets. Two of them, or one and another implementation, exchange
//! their descriptions through files.
//!
//! ```text
//! cargo run --example ice-connect -- --role controlling --write left.txt --read right.txt --send hello
//! cargo run --example ice-connect -- --role controlled --write right.txt --read left.txt --send hello
//! ```
//!
//! A description is `a=ice-ufrag`, `a=ice-pwd` and `a=candidate` lines, as in SDP.

use clap::Parser;
use linkspan_examples::{
    RelayFrame, RelayPath, RelayStreams, Report, Style, Tls, fresh_seed, read_roots,
};
use linkspan_ice::{
    Agent, AgentConfig, Candidate, CandidateKind, CandidateTransport, Consent, Credentials,
    Dialect, IceEvent, InputError, Nomination, Received, RelayCredentials, RelayDialect,
    RelayServer, Role, SelectedPair, StreamId, Transmit, Transport,
};
use linkspan_stun::{PacketKind, demultiplex};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Connects one ICE agent, sends data on each component, and reports the pairs.
///
/// Exit code: 0 when all components connected and data came where it was expected, 1 otherwise,
/// 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per event.
    #[arg(long)]
    json: bool,
    /// rfc8445 or ms-ice2.
    #[arg(long, default_value = "rfc8445", value_parser = dialect_named)]
    dialect: Dialect,
    /// controlling or controlled.
    #[arg(long, value_parser = role_named)]
    role: Role,
    /// Where to write this side's description.
    #[arg(long, value_name = "FILE")]
    write: PathBuf,
    /// Where the peer's description will appear.
    #[arg(long, value_name = "FILE")]
    read: PathBuf,
    /// Local addresses, one or more.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    local: Vec<IpAddr>,
    /// Components: 2 for RTP and RTCP.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    components: u16,
    /// Aggressive nomination.
    #[arg(long)]
    aggressive: bool,
    /// A lite agent.
    #[arg(long)]
    lite: bool,
    /// The peer is lite.
    #[arg(long)]
    peer_lite: bool,
    /// A STUN server to ask for server-reflexive candidates.
    #[arg(long, value_name = "IP:PORT")]
    stun: Option<SocketAddr>,
    /// A TURN server to allocate relayed candidates on.
    #[arg(long, value_name = "IP:PORT", requires = "turn_user")]
    turn: Option<SocketAddr>,
    /// User and password there.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = turn_user)]
    turn_user: Option<RelayCredentials>,
    /// That server speaks MS-TURN.
    #[arg(long)]
    ms_turn: bool,
    /// How that server is reached: udp, tcp, or tls with --turn-ca.
    #[arg(long, default_value = "udp", value_parser = ["udp", "tcp", "tls"])]
    turn_transport: String,
    /// Authorities whose certificates it may have, in PEM.
    #[arg(long, value_name = "FILE", required_if_eq("turn_transport", "tls"))]
    turn_ca: Option<PathBuf>,
    /// The name in its certificate, instead of its address.
    #[arg(long, value_name = "NAME")]
    turn_name: Option<String>,
    /// Send no datagrams but over the relay, as in a network that blocks UDP.
    #[arg(long)]
    no_udp: bool,
    /// Seconds without an answer after which the peer's consent is lost; 30 by RFC 7675.
    #[arg(long, value_name = "SECONDS")]
    consent: Option<u64>,
    /// Text to send on each selected pair, five times a second.
    #[arg(long)]
    send: Option<String>,
    /// Fail unless data came on every component.
    #[arg(long)]
    expect_data: bool,
    /// Seconds to run after all components have connected.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Seconds until it has to be connected.
    #[arg(long, default_value_t = 45)]
    timeout: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    match run(&arguments, &report).await {
        Ok(is_good) => {
            report.json(&json!({ "event": "end", "ok": is_good }));
            report.text(if is_good { "done" } else { "failed" });
            if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("ice-connect: {error}");
            report.json(&json!({ "event": "end", "ok": false, "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, report: &Report) -> io::Result<bool> {
    let mut session = Session::open(arguments, report.clone()).await?;
    session.gather(arguments).await?;
    session.describe(&arguments.write)?;
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    while session.peer.is_none() {
        if Instant::now() > deadline {
            return Err(io::Error::other("the peer's description did not appear"));
        }
        session.turn(Instant::now() + Duration::from_millis(20)).await?;
        session.learn(&arguments.read)?;
    }
    while !session.is_connected && !session.is_failed && Instant::now() < deadline {
        session.turn(deadline).await?;
    }
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while session.is_connected && !session.is_failed && Instant::now() < end {
        if let Some(text) = &arguments.send {
            session.send(text.as_bytes()).await;
        }
        let pause = Instant::now() + Duration::from_millis(200);
        while Instant::now() < pause {
            session.turn(pause).await?;
        }
    }
    session.close().await?;
    let has_data = session.received.iter().all(|count| *count > 0);
    Ok(session.is_connected && !session.is_failed && (has_data || !arguments.expect_data))
}

/// A datagram: local address, remote address, octets.
type Datagram = (SocketAddr, SocketAddr, Vec<u8>);

struct Session {
    report: Report,
    agent: Agent,
    stream: StreamId,
    sockets: Vec<(SocketAddr, Arc<UdpSocket>)>,
    datagrams: mpsc::Receiver<Datagram>,
    streams: RelayStreams,
    frames: mpsc::UnboundedReceiver<RelayFrame>,
    no_udp: bool,
    start: Instant,
    /// What was read of the peer.
    peer: Option<String>,
    is_gathered: bool,
    is_connected: bool,
    is_failed: bool,
    /// Packets that came, by component.
    received: Vec<u64>,
}

impl Session {
    async fn open(arguments: &Arguments, report: Report) -> io::Result<Self> {
        let start = Instant::now();
        let nomination =
            if arguments.aggressive { Nomination::Aggressive } else { Nomination::Regular };
        let mut config = AgentConfig {
            nomination,
            lite: arguments.lite,
            ..AgentConfig::new(arguments.dialect, arguments.role)
        };
        if let Some(expiry) = arguments.consent.map(Duration::from_secs) {
            config.consent = Some(Consent { interval: expiry / 6, expiry });
        }
        let mut agent = Agent::new(config, fresh_seed()?, start);
        agent.set_remote_lite(arguments.peer_lite);
        let stream = agent.add_stream(arguments.components).map_err(io::Error::other)?;
        let (sender, datagrams) = mpsc::channel(256);
        let mut sockets = Vec::new();
        for ip in &arguments.local {
            for component in 1..=arguments.components {
                let socket = Arc::new(UdpSocket::bind(SocketAddr::new(*ip, 0)).await?);
                let local = socket.local_addr()?;
                agent
                    .add_host_candidate(stream, component, local, start)
                    .map_err(io::Error::other)?;
                tokio::spawn(receive(socket.clone(), local, sender.clone()));
                sockets.push((local, socket));
            }
        }
        let (sender, frames) = mpsc::unbounded_channel();
        let streams = RelayStreams::new(
            Some(tokio::runtime::Handle::current()),
            Arc::new(relay_path(arguments)?),
            move |frame| drop(sender.send(frame)),
        );
        Ok(Self {
            report,
            agent,
            stream,
            sockets,
            datagrams,
            streams,
            frames,
            no_udp: arguments.no_udp,
            start,
            peer: None,
            is_gathered: false,
            is_connected: false,
            is_failed: false,
            received: vec![0; usize::from(arguments.components)],
        })
    }

    async fn gather(&mut self, arguments: &Arguments) -> io::Result<()> {
        if let Some(server) = arguments.stun {
            self.agent.add_stun_server(server, Instant::now());
        }
        if let (Some(address), Some(credentials)) = (arguments.turn, &arguments.turn_user) {
            let dialect =
                if arguments.ms_turn { RelayDialect::MsTurn } else { RelayDialect::Rfc8656 };
            let transport =
                if arguments.turn_transport == "udp" { Transport::Udp } else { Transport::Tcp };
            let server = RelayServer::new(address, credentials.clone());
            let server = RelayServer { dialect, transport, ..server };
            self.agent.add_relay_server(server, Instant::now()).map_err(io::Error::other)?;
        }
        self.agent.end_of_candidates(Instant::now());
        let limit = Instant::now() + Duration::from_secs(10);
        while !self.is_gathered && Instant::now() < limit {
            self.turn(limit).await?;
        }
        for candidate in self.agent.local_candidates(self.stream) {
            self.report.json(&json!({ "event": "candidate", "candidate": line_of(candidate) }));
            self.report.text(format!("candidate {}", line_of(candidate)));
        }
        Ok(())
    }

    /// Writes this side's description: whole or not at all, because somebody waits for it.
    fn describe(&self, file: &Path) -> io::Result<()> {
        let credentials = self.agent.local_credentials(self.stream);
        let mut text =
            format!("a=ice-ufrag:{}\na=ice-pwd:{}\n", credentials.ufrag, credentials.pwd);
        for candidate in self.agent.local_candidates(self.stream) {
            text.push_str(&format!("a=candidate:{}\n", line_of(candidate)));
        }
        text.push_str("a=end-of-candidates\n");
        let draft = file.with_extension("part");
        std::fs::write(&draft, text)?;
        std::fs::rename(draft, file)
    }

    /// Reads the peer's description, once it is there.
    fn learn(&mut self, file: &Path) -> io::Result<()> {
        let Ok(text) = std::fs::read_to_string(file) else { return Ok(()) };
        let (mut ufrag, mut pwd, mut candidates) = ("", "", Vec::new());
        for line in text.lines() {
            let line = line.trim_end();
            if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                ufrag = value;
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                pwd = value;
            } else if let Some(value) = line.strip_prefix("a=candidate:") {
                candidates.extend(candidate_of(value));
            }
        }
        if ufrag.is_empty() || pwd.is_empty() || candidates.is_empty() {
            return Ok(());
        }
        self.agent
            .set_remote(self.stream, Credentials::new(ufrag, pwd), candidates, Instant::now())
            .map_err(io::Error::other)?;
        self.peer = Some(text);
        self.state("checking");
        Ok(())
    }

    /// Sends what waits, reports what happened, and waits for the next thing until `limit`.
    async fn turn(&mut self, limit: Instant) -> io::Result<()> {
        while let Some(transmit) = self.agent.poll_transmit() {
            self.transmit(transmit).await;
        }
        let mut has_news = false;
        while let Some(event) = self.agent.poll_event() {
            has_news = true;
            self.note(event);
        }
        if has_news {
            return Ok(());
        }
        let until = self.agent.poll_timeout().map_or(limit, |next| next.min(limit));
        tokio::select! {
            datagram = self.datagrams.recv() => {
                let (local, remote, octets) = datagram.ok_or(io::ErrorKind::BrokenPipe)?;
                self.take(Transport::Udp, local, remote, &octets);
            }
            Some((local, remote, frame)) = self.frames.recv() => match frame {
                Some(octets) => self.take(Transport::Tcp, local, remote, &octets),
                None => self.agent.handle_transport_error(local, remote, Instant::now()),
            },
            () = tokio::time::sleep_until(until.into()) => {
                self.agent.handle_timeout(Instant::now());
            }
        }
        Ok(())
    }

    fn take(&mut self, transport: Transport, local: SocketAddr, remote: SocketAddr, octets: &[u8]) {
        let input = Received { transport, local, remote, payload: octets };
        let inner = self.agent.unwrap(input);
        match self.agent.handle_input(input, Instant::now()) {
            Err(InputError::NotMine) if demultiplex(inner.payload) != PacketKind::Stun => {
                let candidates = self.agent.local_candidates(self.stream);
                let component = candidates.iter().find(|c| c.address == inner.local);
                let component = component.map_or(1, |candidate| candidate.component);
                self.note_data(component, inner.remote, inner.payload);
            }
            _ => {}
        }
    }

    fn note_data(&mut self, component: u16, remote: SocketAddr, octets: &[u8]) {
        let count = self.received.get_mut(usize::from(component).saturating_sub(1));
        let Some(count) = count else { return };
        *count += 1;
        if *count == 1 {
            let text = String::from_utf8_lossy(octets).into_owned();
            self.report.text(format!("data on component {component} from {remote}: {text}"));
            self.report.json(&json!({
                "event": "data", "component": component, "from": remote.to_string(),
                "octets": octets.len(), "text": text,
            }));
        }
    }

    fn note(&mut self, event: IceEvent) {
        match event {
            IceEvent::ComponentConnected { component, pair, .. } => {
                self.report.json(&pair_of("pair", component, &pair));
                self.selected(component, &pair);
            }
            IceEvent::PairChanged { component, pair, .. } => self.selected(component, &pair),
            IceEvent::Completed => {
                self.is_connected = true;
                self.state("completed");
            }
            IceEvent::Failed { .. } => {
                self.is_failed = true;
                self.state("failed");
            }
            IceEvent::ConsentLost { .. } => {
                self.is_failed = true;
                self.state("consent lost");
            }
            IceEvent::RoleChanged { role } => self.state(&format!("now {role:?}").to_lowercase()),
            IceEvent::RelayFailed { server, error, .. } => {
                self.state(&format!("no relay on {server}: {error}"));
            }
            IceEvent::GatheringComplete => self.is_gathered = true,
            _ => {}
        }
    }

    fn selected(&self, component: u16, pair: &SelectedPair) {
        self.report.json(&pair_of("selected", component, pair));
        self.report.text(format!(
            "component {component}: {} ({:?}) to {} ({:?}) after {} ms",
            pair.local_candidate.address,
            pair.local_candidate.kind,
            pair.remote,
            pair.remote_candidate.kind,
            self.start.elapsed().as_millis(),
        ));
    }

    fn state(&self, state: &str) {
        let after_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.report.json(&json!({ "event": "state", "state": state, "ms": after_ms }));
        self.report.text(format!("{state} after {after_ms} ms"));
    }

    async fn send(&mut self, data: &[u8]) {
        for component in 1..=u16::try_from(self.received.len()).unwrap_or(u16::MAX) {
            let Some(pair) = self.agent.selected(self.stream, component) else { continue };
            match self.agent.forward(&pair, data) {
                Ok(way) => {
                    let payload = way.packet.to_bytes();
                    let (transport, local, remote) = (way.transport, way.local, way.remote);
                    self.transmit(Transmit { transport, local, remote, payload }).await;
                }
                // The relay does not let it pass without a header of its own yet.
                Err(_) => drop(self.agent.send(self.stream, component, data)),
            }
        }
    }

    /// Gives the allocations back.
    async fn close(&mut self) -> io::Result<()> {
        self.agent.close(Instant::now());
        let limit = Instant::now() + Duration::from_secs(2);
        loop {
            while let Some(transmit) = self.agent.poll_transmit() {
                self.transmit(transmit).await;
            }
            if self.agent.poll_timeout().is_none() || Instant::now() > limit {
                return Ok(());
            }
            self.turn(limit).await?;
        }
    }

    async fn transmit(&mut self, transmit: Transmit) {
        let Transmit { transport, local, remote, payload } = transmit;
        if transport == Transport::Tcp {
            return self.streams.send(local, remote, payload);
        }
        let socket = self.sockets.iter().find(|(address, _)| *address == local);
        if let Some((_, socket)) = socket.filter(|_| !self.no_udp) {
            // What the network refuses is lost, as any datagram may be.
            let _ = socket.send_to(&payload, remote).await;
        }
    }
}

/// How the TURN server is spoken to over a connection.
fn relay_path(arguments: &Arguments) -> io::Result<HashMap<SocketAddr, RelayPath>> {
    let Some(address) = arguments.turn else { return Ok(HashMap::new()) };
    let path = match (arguments.turn_transport.as_str(), &arguments.turn_ca) {
        ("tls", Some(ca)) => {
            let tls = Tls::new(None, read_roots(ca)?, false)?;
            RelayPath::tls(&tls, address, arguments.turn_name.as_deref())?
        }
        _ if arguments.ms_turn => RelayPath::Microsoft,
        _ => RelayPath::Tcp,
    };
    Ok(HashMap::from([(address, path)]))
}

async fn receive(socket: Arc<UdpSocket>, local: SocketAddr, to: mpsc::Sender<Datagram>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An ICMP error of an earlier datagram ends nothing.
        let Ok((len, remote)) = socket.recv_from(&mut buffer).await else { continue };
        let octets = buffer.get(..len).unwrap_or_default().to_vec();
        if to.send((local, remote, octets)).await.is_err() {
            return;
        }
    }
}

fn pair_of(event: &str, component: u16, pair: &SelectedPair) -> Value {
    json!({
        "event": event,
        "component": component,
        "local": pair.local_candidate.address.to_string(),
        "base": pair.local.to_string(),
        "local_type": kind_name(pair.local_candidate.kind),
        "remote": pair.remote.to_string(),
        "remote_type": kind_name(pair.remote_candidate.kind),
    })
}

const fn kind_name(kind: CandidateKind) -> &'static str {
    match kind {
        CandidateKind::Host => "host",
        CandidateKind::Srflx => "srflx",
        CandidateKind::Prflx => "prflx",
        CandidateKind::Relay => "relay",
    }
}

/// The value of `a=candidate`.
fn line_of(candidate: &Candidate) -> String {
    let kind = match candidate.kind {
        CandidateKind::Host => linkspan_sdp::CandidateKind::Host,
        CandidateKind::Srflx => linkspan_sdp::CandidateKind::Srflx,
        CandidateKind::Prflx => linkspan_sdp::CandidateKind::Prflx,
        CandidateKind::Relay => linkspan_sdp::CandidateKind::Relay,
    };
    let mut line = linkspan_sdp::Candidate::new(
        &candidate.foundation,
        candidate.component,
        linkspan_sdp::CandidateTransport::Udp,
        candidate.priority,
        candidate.address,
        kind,
    );
    line.related = candidate.related;
    line.to_text(linkspan_sdp::Dialect::Standard)
}

/// UDP candidates with an address; others are left out.
fn candidate_of(value: &str) -> Option<Candidate> {
    let line = linkspan_sdp::Candidate::parse(value).ok()?;
    if line.name.is_some() || line.transport != linkspan_sdp::CandidateTransport::Udp {
        return None;
    }
    let kind = match line.kind {
        linkspan_sdp::CandidateKind::Host => CandidateKind::Host,
        linkspan_sdp::CandidateKind::Srflx => CandidateKind::Srflx,
        linkspan_sdp::CandidateKind::Prflx => CandidateKind::Prflx,
        linkspan_sdp::CandidateKind::Relay => CandidateKind::Relay,
        _ => return None,
    };
    Some(Candidate {
        foundation: line.foundation,
        component: line.component,
        transport: CandidateTransport::Udp,
        priority: line.priority,
        address: line.address,
        kind,
        related: line.related,
    })
}

fn dialect_named(name: &str) -> Result<Dialect, String> {
    match name {
        "rfc8445" => Ok(Dialect::Rfc8445),
        "ms-ice2" => Ok(Dialect::MsIce2),
        _ => Err("rfc8445 or ms-ice2".to_owned()),
    }
}

fn turn_user(text: &str) -> Result<RelayCredentials, String> {
    let (name, password) = text.split_once(':').ok_or("NAME:PASSWORD is needed")?;
    Ok(RelayCredentials::new(name, password))
}

fn role_named(name: &str) -> Result<Role, String> {
    match name {
        "controlling" => Ok(Role::Controlling),
        "controlled" => Ok(Role::Controlled),
        _ => Err("controlling or controlled".to_owned()),
    }
}
