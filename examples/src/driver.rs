//! A gateway on real sockets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_gateway::{
    Config, Gateway, GatewayEvent, Listener, MediaCommand, MediaEngine, MediaEvent,
    SignallingTransport, StreamId,
};
use linkspan_sip as sip;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::{Datagram, MediaNet, SipInput, SipNet, Tap, Tls, fresh_seed};

/// Runs both halves of a gateway, signalling and media, on the sockets of its configuration.
#[derive(Debug)]
pub struct GatewayDriver {
    gateway: Gateway,
    engine: MediaEngine,
    sip: SipNet,
    sip_input: mpsc::Receiver<SipInput>,
    media: MediaNet,
    media_input: mpsc::Receiver<Datagram>,
    events: mpsc::UnboundedSender<GatewayEvent>,
    /// Sockets that are open, by the stream that they are for.
    bound: HashMap<StreamId, Vec<SocketAddr>>,
    config: Config,
}

impl GatewayDriver {
    /// Opens the listeners and starts a gateway on them. A listener's port may be 0; the
    /// configuration that [`config`](Self::config) returns then has the one it got.
    ///
    /// # Errors
    /// When the configuration is not sound, a next hop's name is unknown or a listener cannot be
    /// opened.
    pub async fn start(
        mut config: Config,
        tls: Option<Tls>,
        tap: Tap,
        party: &str,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<GatewayEvent>)> {
        resolve(&mut config).await?;
        let (sip, sip_input) = SipNet::new(party, tls, tap.clone());
        let (media, media_input) = MediaNet::new(party, tap);
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
        for hop in config.routes.iter().flat_map(|route| &route.next_hops) {
            if hop.host.parse::<std::net::IpAddr>().is_err() {
                for address in hop.socket_addresses() {
                    sip.expect_name(address, hop.tls_name());
                }
            }
        }
        let now = Instant::now();
        let gateway = Gateway::new(config.clone(), fresh_seed()?, now).map_err(io::Error::other)?;
        let engine = MediaEngine::new(fresh_seed()?, now);
        let (events, output) = mpsc::unbounded_channel();
        let bound = HashMap::new();
        let driver =
            Self { gateway, engine, sip, sip_input, media, media_input, events, bound, config };
        Ok((driver, output))
    }

    /// The configuration, with the addresses that the listeners have.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes routes, policy and limits for calls from now on.
    ///
    /// # Errors
    /// When the configuration is not sound.
    pub fn set_config(&mut self, config: Config) -> io::Result<()> {
        self.gateway.set_config(config.clone()).map_err(io::Error::other)?;
        self.config = config;
        Ok(())
    }

    /// Runs until `stop` is sent or dropped; then every call is ended, with a moment for the
    /// peers' answers.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut stopping: Option<Instant> = None;
        loop {
            self.drain(Instant::now());
            let idle = self.gateway.calls().len() == 0;
            if stopping.is_some_and(|until| idle || until <= Instant::now()) {
                return;
            }
            let due = [self.gateway.poll_timeout(), self.engine.poll_timeout(), stopping];
            let wake = due.into_iter().flatten().min();
            let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            tokio::select! {
                input = self.sip_input.recv() => {
                    if let Some(input) = input {
                        self.handle_sip(input, Instant::now());
                    }
                }
                datagram = self.media_input.recv() => {
                    if let Some(datagram) = datagram {
                        self.handle_datagrams(datagram, Instant::now());
                    }
                }
                _ = &mut stop, if stopping.is_none() => {
                    let now = Instant::now();
                    self.gateway.shut_down(now);
                    stopping = Some(now + FAREWELL);
                }
                () = sleep_until(wake.into()) => {}
            }
            let now = Instant::now();
            if self.gateway.poll_timeout().is_some_and(|at| at <= now) {
                self.gateway.handle_timeout(now);
            }
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
            }
        }
    }

    fn handle_sip(&mut self, input: SipInput, now: Instant) {
        match input {
            SipInput::Message { path, payload } => {
                let received = sip::Received { path, payload: &payload };
                if let Err(error) = self.gateway.handle_sip(received, now) {
                    tracing::warn!(%error, remote = %path.remote, "SIP message dropped");
                }
            }
            SipInput::Failed { path } => self.gateway.handle_sip_transport_error(path, now),
        }
    }

    /// What has arrived goes through the engine before anything else is looked at, so that a
    /// burst costs one wake-up.
    fn handle_datagrams(&mut self, first: Datagram, now: Instant) {
        let mut next = Some(first);
        let mut left = BURST;
        while let Some(Datagram { local, remote, payload }) = next {
            if let Err(error) = self.engine.handle_datagram(local, remote, payload, now) {
                tracing::trace!(%error, %local, %remote, "datagram dropped");
            }
            self.send_media();
            left -= 1;
            next = if left > 0 { self.media_input.try_recv().ok() } else { None };
        }
    }

    /// Moves everything that either half wants moved.
    fn drain(&mut self, now: Instant) {
        loop {
            let mut moved = false;
            while let Some(command) = self.gateway.poll_media_command() {
                moved = true;
                self.carry_out(command, now);
            }
            while let Some(event) = self.engine.poll_event() {
                moved = true;
                self.gateway.handle_media_event(event, now);
            }
            if !moved {
                break;
            }
        }
        self.send_media();
        while let Some(transmit) = self.gateway.poll_sip_transmit() {
            self.sip.send(transmit);
        }
        while let Some(event) = self.gateway.poll_event() {
            // Nobody may be listening; the gateway does not depend on it.
            let _ = self.events.send(event);
        }
    }

    fn send_media(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            self.media.send(transmit.local, transmit.remote, &transmit.payload);
            self.media.recycle(transmit.payload);
        }
    }

    fn carry_out(&mut self, command: MediaCommand, now: Instant) {
        match command {
            MediaCommand::Bind { stream, sockets } => {
                let event = match self.bind(&sockets) {
                    Ok(()) => {
                        self.bound.entry(stream).or_default().extend(sockets);
                        MediaEvent::Bound { stream }
                    }
                    Err(error) => MediaEvent::BindFailed { stream, reason: error.to_string() },
                };
                self.gateway.handle_media_event(event, now);
            }
            MediaCommand::Unbind { stream, sockets } => {
                for socket in &sockets {
                    self.media.unbind(*socket);
                }
                if let Some(bound) = self.bound.get_mut(&stream) {
                    bound.retain(|socket| !sockets.contains(socket));
                    if bound.is_empty() {
                        self.bound.remove(&stream);
                    }
                }
            }
            command => self.engine.handle_command(command, now),
        }
    }

    /// All or none.
    fn bind(&self, sockets: &[SocketAddr]) -> io::Result<()> {
        let mut done = Vec::new();
        for socket in sockets {
            match self.media.bind(*socket) {
                Ok(local) => done.push(local),
                Err(error) => {
                    for socket in done {
                        self.media.unbind(socket);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
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
async fn resolve(config: &mut Config) -> io::Result<()> {
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

/// Datagrams handled before anything else is looked at.
const BURST: usize = 256;
/// For the peers to answer BYE when the gateway is stopped.
const FAREWELL: Duration = Duration::from_secs(2);
