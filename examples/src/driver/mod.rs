//! A gateway on real sockets.

mod handle;

pub use handle::{GatewayHandle, MediaTotals, Snapshot};

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use linkspan_gateway::{
    Config, Gateway, GatewayEvent, Listener, MediaEvent, Side, SignallingTransport, StreamKind,
    TurnTransport,
};
use linkspan_sip as sip;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use self::handle::Control;
use crate::events::{call_of_event, describe_event};
use crate::{MediaThreads, RelayPath, SipInput, SipNet, Tap, Tls, fresh_seed};

/// Runs both halves of a gateway, signalling and media, on the sockets of its configuration.
#[derive(Debug)]
pub struct GatewayDriver {
    gateway: Gateway,
    sip: SipNet,
    sip_input: mpsc::Receiver<SipInput>,
    media: MediaThreads,
    media_events: mpsc::UnboundedReceiver<MediaEvent>,
    events: mpsc::Sender<GatewayEvent>,
    control: mpsc::Receiver<Control>,
    /// Figures of streams that are over.
    totals: BTreeMap<(Side, StreamKind), MediaTotals>,
    tap: Tap,
    traces: bool,
    config: Config,
}

/// When the gateway is to be gone.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// When its calls are, or at this time.
    Draining(Instant),
    /// When its calls are, or at this time; they have been told.
    Stopping(Instant),
    /// At this time: the last messages are on their way.
    Lingering(Instant),
}

impl Ending {
    fn at(self) -> Instant {
        match self {
            Self::Draining(at) | Self::Stopping(at) | Self::Lingering(at) => at,
        }
    }
}

impl GatewayDriver {
    /// Opens the listeners and starts a gateway on them, its media on so many threads (0: one for
    /// each processor). A listener's port may be 0; the configuration that
    /// [`config`](Self::config) returns then has the one it got.
    ///
    /// # Errors
    /// When the configuration is not sound, a next hop's name is unknown or a listener cannot be
    /// opened.
    pub async fn start(
        mut config: Config,
        tls: Option<Tls>,
        tap: Tap,
        party: &str,
        threads: usize,
    ) -> io::Result<(Self, GatewayHandle, mpsc::Receiver<GatewayEvent>)> {
        resolve(&mut config).await?;
        let relays = relay_paths(&config, tls.as_ref())?;
        let (sip, sip_input) = SipNet::new(party, tls, tap.clone());
        let threads = match threads {
            0 => available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let (media, media_events) = MediaThreads::start(threads, &tap, party, relays)?;
        for (side, visitors) in
            [(&mut config.lync, "Lync side"), (&mut config.standard, "standards side")]
        {
            for Listener { transport, address } in &mut side.listeners {
                let wanted = *address;
                *address = sip.listen(transport_of(*transport), wanted).await.map_err(|error| {
                    io::Error::new(error.kind(), format!("{transport} {wanted}: {error}"))
                })?;
                sip.name_visitors(*address, visitors);
            }
        }
        expect_names(&sip, &config);
        let gateway = Gateway::new(config.clone(), fresh_seed()?, Instant::now())
            .map_err(io::Error::other)?;
        let (events, output) = mpsc::channel(EVENTS);
        let (handle, control) = GatewayHandle::new();
        let driver = Self {
            gateway,
            sip,
            sip_input,
            media,
            media_events,
            events,
            control,
            totals: BTreeMap::new(),
            traces: tap.traces_calls(),
            tap,
            config,
        };
        Ok((driver, handle, output))
    }

    /// The configuration, with the addresses that the listeners have.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs until it is stopped or drained, or its last handle is dropped: then every call is
    /// ended, with a moment for the peers' answers.
    pub async fn run(mut self) {
        let mut ending: Option<Ending> = None;
        loop {
            let now = Instant::now();
            self.drain(now);
            ending = self.approach(ending, now);
            if matches!(ending, Some(Ending::Lingering(at)) if at <= now) {
                return;
            }
            let due = [self.gateway.poll_timeout(), ending.map(Ending::at)];
            let wake = due.into_iter().flatten().min().unwrap_or_else(|| now + IDLE);
            tokio::select! {
                input = self.sip_input.recv() => {
                    if let Some(input) = input {
                        self.handle_sip(input, Instant::now());
                    }
                }
                event = self.media_events.recv() => {
                    if let Some(event) = event {
                        self.handle_media(event, Instant::now());
                    }
                }
                control = self.control.recv(), if matches!(ending, None | Some(Ending::Draining(_))) => {
                    let now = Instant::now();
                    ending = self.controlled(control.unwrap_or(Control::Stop), ending, now);
                }
                () = sleep_until(wake.into()) => {}
            }
            let now = Instant::now();
            if self.gateway.poll_timeout().is_some_and(|at| at <= now) {
                self.gateway.handle_timeout(now);
            }
        }
    }

    fn controlled(
        &mut self,
        control: Control,
        ending: Option<Ending>,
        now: Instant,
    ) -> Option<Ending> {
        match control {
            Control::Drain(longest) => {
                self.gateway.drain();
                return ending.or(Some(Ending::Draining(now + longest)));
            }
            Control::Stop => {
                self.gateway.shut_down(now);
                return Some(Ending::Stopping(now + FAREWELL));
            }
            Control::Reload(config, answer) => {
                let _ = answer.send(self.reload(*config));
            }
            Control::Tell(answer) => self.tell(answer),
        }
        ending
    }

    /// The end comes nearer: calls that are over, time that has run out.
    fn approach(&mut self, ending: Option<Ending>, now: Instant) -> Option<Ending> {
        let idle = self.gateway.calls().len() == 0;
        match ending? {
            Ending::Draining(at) if at <= now && !idle => {
                self.gateway.shut_down(now);
                Some(Ending::Stopping(now + FAREWELL))
            }
            Ending::Draining(at) | Ending::Stopping(at) if idle || at <= now => {
                Some(Ending::Lingering(now + LINGER))
            }
            other => Some(other),
        }
    }

    fn reload(&mut self, config: Config) -> Result<(), String> {
        expect_names(&self.sip, &config);
        self.gateway.set_config(config.clone()).map_err(|error| error.to_string())?;
        self.config = config;
        Ok(())
    }

    /// Answers when the media threads have answered; nothing waits for that.
    fn tell(&self, answer: oneshot::Sender<Snapshot>) {
        let mut snapshot = Snapshot {
            counters: self.gateway.counters(),
            calls: self.gateway.summaries().collect(),
            streams: Vec::new(),
            media: self.totals.clone(),
            draining: self.gateway.is_draining(),
        };
        let asked = self.media.ask();
        tokio::spawn(async move {
            for answered in asked {
                snapshot.streams.extend(answered.await.unwrap_or_default());
            }
            for (stream, statistics) in &snapshot.streams {
                handle::count(&mut snapshot.media, *stream, statistics);
            }
            snapshot.streams.sort_by_key(|(stream, _)| *stream);
            let _ = answer.send(snapshot);
        });
    }

    fn handle_sip(&mut self, input: SipInput, now: Instant) {
        match input {
            SipInput::Message { path, payload } => {
                let received = sip::Received { path, payload: &payload };
                if let Err(error) = self.gateway.handle_sip(received, now) {
                    tracing::debug!(%error, remote = %path.remote, "SIP message dropped");
                }
                self.trace(path, true, &payload);
            }
            SipInput::Failed { path } => self.gateway.handle_sip_transport_error(path, now),
        }
    }

    fn handle_media(&mut self, event: MediaEvent, now: Instant) {
        if let MediaEvent::Closed { stream, statistics } = &event {
            handle::count(&mut self.totals, *stream, statistics);
        }
        self.gateway.handle_media_event(event, now);
    }

    /// Moves everything that either half wants moved.
    fn drain(&mut self, now: Instant) {
        while let Ok(event) = self.media_events.try_recv() {
            self.handle_media(event, now);
        }
        while let Some(command) = self.gateway.poll_media_command() {
            self.media.command(command);
        }
        self.media.wake();
        while let Some(transmit) = self.gateway.poll_sip_transmit() {
            self.trace(transmit.path, false, &transmit.payload);
            self.sip.send(transmit);
        }
        while let Some(event) = self.gateway.poll_event() {
            self.note(&event);
            // Whoever reads them too slowly misses some; the gateway does not wait for that.
            let _ = self.events.try_send(event);
        }
    }

    /// A message, into the record of its call.
    fn trace(&self, path: sip::Path, inbound: bool, octets: &[u8]) {
        if !self.traces {
            return;
        }
        let call = self.gateway.call_of(path, octets);
        let (from, to) = (path.local, path.remote);
        let ends = if inbound { (to, from) } else { (from, to) };
        self.tap.call_message(call, path.transport, ends, octets);
    }

    /// An event, into the record of its call.
    fn note(&self, event: &GatewayEvent) {
        if !self.traces {
            return;
        }
        let Some(call) = call_of_event(event) else { return };
        match event {
            GatewayEvent::Translated { from, what, explanation, .. } => {
                self.tap.call_note(call, &format!("the {what} of {from} is translated:"));
                for line in explanation {
                    self.tap.call_note(call, &format!("    {line}"));
                }
            }
            event => {
                if let Some((text, _)) = describe_event(event) {
                    self.tap.call_note(call, &text);
                }
            }
        }
        if matches!(event, GatewayEvent::Ended { .. }) {
            self.tap.call_ended(call);
        }
    }
}

/// The transport of a listener or a next hop, as SIP knows it.
pub fn transport_of(transport: SignallingTransport) -> sip::Transport {
    match transport {
        SignallingTransport::Udp => sip::Transport::Udp,
        SignallingTransport::Tcp => sip::Transport::Tcp,
        SignallingTransport::Tls => sip::Transport::Tls,
    }
}

/// Asks the system's resolver for the addresses of next hops.
///
/// # Errors
/// When one has none.
pub async fn resolve(config: &mut Config) -> io::Result<()> {
    let names: Vec<String> = config.unresolved().into_iter().map(ToOwned::to_owned).collect();
    for name in names {
        let found = tokio::net::lookup_host((name.as_str(), 0))
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("next hop {name}: {error}")))?;
        let addresses: Vec<_> = found.map(|address| address.ip()).collect();
        config.set_addresses(&name, &addresses);
    }
    Ok(())
}

/// How the TURN servers that are reached over connections are spoken to.
fn relay_paths(config: &Config, tls: Option<&Tls>) -> io::Result<HashMap<SocketAddr, RelayPath>> {
    let standard = config.standard.turn.iter().map(|server| (server, RelayPath::Tcp));
    let lync = config.lync.turn.iter().map(|server| (server, RelayPath::Microsoft));
    let mut paths = HashMap::new();
    for (server, mut path) in standard.chain(lync) {
        match server.transport {
            TurnTransport::Tcp => {}
            TurnTransport::Tls => {
                let tls =
                    tls.ok_or_else(|| io::Error::other("a TURN server over TLS needs [tls]"))?;
                let name = Some(server.server_name.as_str()).filter(|name| !name.is_empty());
                path = RelayPath::tls(tls, server.address, name)?;
            }
            _ => continue,
        }
        paths.insert(server.address, path);
    }
    Ok(paths)
}

/// The names that certificates of next hops must carry.
fn expect_names(sip: &SipNet, config: &Config) {
    for hop in config.routes.iter().flat_map(|route| &route.next_hops) {
        if hop.host.parse::<std::net::IpAddr>().is_err() {
            for address in hop.socket_addresses() {
                sip.expect_name(address, hop.tls_name());
            }
        }
    }
}

/// Events that may wait for whoever reads them.
const EVENTS: usize = 4_096;
/// Without anything to do, the gateway looks again this often.
const IDLE: Duration = Duration::from_secs(60);
/// For the peers to answer BYE when the gateway is stopped.
const FAREWELL: Duration = Duration::from_secs(2);
/// For the last messages to leave.
const LINGER: Duration = Duration::from_millis(200);
