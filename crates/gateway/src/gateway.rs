use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use linkspan_sip as sip;
use sip::UaEvent;

use crate::config::{Config, ConfigError};
use crate::deadlines::Deadlines;
use crate::event::{CallSummary, GatewayCounters, GatewayEvent};
use crate::id::{CallId, Side};
use crate::media::{MediaCommand, MediaEvent};
use crate::signalling::conference;
use crate::signalling::{Call, Core, NewCall, call_of, show, stray};

/// The signalling half of a gateway: a back-to-back user agent between two sides.
///
/// After any `&mut self` call drain [`poll_sip_transmit`](Self::poll_sip_transmit),
/// [`poll_media_command`](Self::poll_media_command) and [`poll_event`](Self::poll_event) to `None`,
/// then wait until [`poll_timeout`](Self::poll_timeout) or input.
///
/// The media half is a [`MediaEngine`](crate::MediaEngine), on the same thread or on others: only
/// [`MediaCommand`]s and [`MediaEvent`]s go between them.
///
/// ```
/// use linkspan_gateway::{Config, Gateway};
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let mut gateway = Gateway::new(Config::default(), [7; 32], now)?;
/// assert!(gateway.poll_sip_transmit().is_none());
/// assert_eq!(gateway.poll_timeout(), None);
/// # Ok::<(), linkspan_gateway::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Gateway {
    core: Core,
    calls: BTreeMap<CallId, Call>,
    deadlines: Deadlines<CallId>,
    next_call: u64,
    draining: bool,
    /// Which side a connection belongs to, where its local address does not say.
    connections: HashMap<sip::ConnectionId, Side>,
    /// Where the gateway has opened, or asked to open, connections to.
    peers: HashMap<SocketAddr, Side>,
}

impl Gateway {
    /// A gateway without calls. All its random choices come from `seed`.
    ///
    /// # Errors
    ///
    /// What [`Config::check`] finds.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            core: Core::new(config, seed, now),
            calls: BTreeMap::new(),
            deadlines: Deadlines::default(),
            next_call: 1,
            draining: false,
            connections: HashMap::new(),
            peers: HashMap::new(),
        })
    }

    /// Takes one framed message.
    ///
    /// `path.local` is the address of the listener that it came by. For a connection that the
    /// driver opened it is the `local` of the transmit that it was opened for.
    ///
    /// # Errors
    ///
    /// [`sip::InputError`] when the queues are full: drain them first. Malformed messages are no
    /// error: they are answered where the protocol says so, counted and reported.
    pub fn handle_sip(
        &mut self,
        input: sip::Received<'_>,
        now: Instant,
    ) -> Result<(), sip::InputError> {
        self.core.counters.messages_received += 1;
        let path = input.path;
        let Some(side) = self.side_of(path) else {
            self.core.refused(None, path.remote, "no listener has the local address", now);
            return Ok(());
        };
        if let Some(connection) = path.connection {
            self.connections.insert(connection, side);
        }
        self.hear_trying(side, input.payload, now);
        let taken = self.core.agent(side).handle_input(input, now);
        self.pump(now);
        // Shown after it was understood: a first INVITE has its call by now.
        show(&mut self.core, side, true, path, input.payload);
        taken
    }

    /// A connection could not be opened, or has failed or closed.
    pub fn handle_sip_transport_error(&mut self, path: sip::Path, now: Instant) {
        let side = self.side_of(path);
        if let Some(connection) = path.connection {
            self.connections.remove(&connection);
        }
        if let Some(side) = side {
            self.core.agent(side).handle_transport_error(path, now);
            self.pump(now);
        }
    }

    /// Takes what the media half, or the driver for `Bound` and `BindFailed`, reports.
    pub fn handle_media_event(&mut self, event: MediaEvent, now: Instant) {
        let id = event.stream().call;
        self.with_call(id, now, |call, core| call.handle_media(core, event, now));
        self.pump(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for side in [Side::Lync, Side::Standard] {
            let agent = self.core.agent(side);
            if agent.poll_timeout().is_some_and(|at| at <= now) {
                agent.handle_timeout(now);
            }
        }
        self.core.tell_refusals(now);
        conference::handle_timeout(&mut self.core, now);
        while let Some(id) = self.deadlines.take_due(now) {
            self.with_call(id, now, |call, core| call.handle_timeout(core, now));
        }
        self.pump(now);
    }

    /// The next SIP message to send.
    pub fn poll_sip_transmit(&mut self) -> Option<sip::Transmit> {
        for side in [Side::Lync, Side::Standard] {
            if let Some(transmit) = self.core.agent(side).poll_transmit() {
                let path = transmit.path;
                if path.connection.is_none() && path.transport.is_reliable() {
                    self.peers.insert(path.remote, side);
                }
                self.core.counters.messages_sent += 1;
                show(&mut self.core, side, false, path, &transmit.payload);
                return Some(transmit);
            }
        }
        None
    }

    /// The next command for the media half.
    pub fn poll_media_command(&mut self) -> Option<MediaCommand> {
        self.core.commands.pop_front()
    }

    /// The next thing to tell people.
    pub fn poll_event(&mut self) -> Option<GatewayEvent> {
        self.core.poll_event()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let agents = &self.core.agents;
        let times = [
            agents.lync.poll_timeout(),
            agents.standard.poll_timeout(),
            self.deadlines.next(),
            self.core.refusals.poll_timeout(),
            self.core.conferences.poll_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// Ends a call on both legs; nothing happens when there is none.
    pub fn end_call(&mut self, call: CallId, now: Instant) {
        self.with_call(call, now, |call, core| call.end(core, None, "ended by the operator", now));
        self.pump(now);
    }

    /// Takes no new calls; running ones go on, and OPTIONS are still answered.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Ends every call and takes no new ones.
    pub fn shut_down(&mut self, now: Instant) {
        self.draining = true;
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            self.with_call(id, now, |call, core| call.end(core, None, "shut down", now));
        }
        self.pump(now);
    }

    /// The calls that there are, those that are ending included.
    pub fn calls(&self) -> impl ExactSizeIterator<Item = CallId> + '_ {
        self.calls.keys().copied()
    }

    /// What each call is doing, in the order in which they came.
    pub fn summaries(&self) -> impl Iterator<Item = CallSummary> + '_ {
        self.calls.values().map(Call::summary)
    }

    /// The conference that a call is in, as its roster has it so far.
    #[must_use]
    pub fn conference(&self, call: CallId) -> Option<&linkspan_c3p::Conference> {
        self.core.conferences.roster(call)
    }

    /// The call that a message which has come or goes by `path` belongs to, while there is one: for
    /// whoever keeps a record of each call.
    #[must_use]
    pub fn call_of(&self, path: sip::Path, octets: &[u8]) -> Option<CallId> {
        let side = self.side_of(path)?;
        call_of(&self.core, side, &sip::Message::parse(octets).ok()?)
    }

    /// No new calls are taken: [`drain`](Self::drain) or [`shut_down`](Self::shut_down) was called.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// What has been counted so far.
    #[must_use]
    pub const fn counters(&self) -> GatewayCounters {
        self.core.counters
    }

    /// Routes, policy, timers and limits for what comes from now on. Listeners, names and port
    /// ranges stay as they were.
    ///
    /// # Errors
    ///
    /// What [`Config::check`] finds; the configuration stays as it was.
    pub fn set_config(&mut self, mut config: Config) -> Result<(), ConfigError> {
        config.check()?;
        for side in [Side::Lync, Side::Standard] {
            let old = self.core.config.side(side).clone();
            let new = match side {
                Side::Lync => &mut config.lync,
                Side::Standard => &mut config.standard,
            };
            new.listeners = old.listeners;
            new.contact = old.contact;
            new.media_address = old.media_address;
            new.first_port = old.first_port;
            new.last_port = old.last_port;
        }
        self.core.config = Arc::new(config);
        Ok(())
    }

    /// The side that a path belongs to: by connection, by listener, by peer.
    fn side_of(&self, path: sip::Path) -> Option<Side> {
        if let Some(side) = path.connection.and_then(|c| self.connections.get(&c)) {
            return Some(*side);
        }
        let sides = [Side::Lync, Side::Standard];
        let exact = |side: &Side| self.listens(*side, path, false);
        let any = |side: &Side| self.listens(*side, path, true);
        let peer = self.peers.get(&path.remote).copied();
        sides.into_iter().find(exact).or_else(|| sides.into_iter().find(any)).or(peer)
    }

    fn listens(&self, side: Side, path: sip::Path, unspecified: bool) -> bool {
        self.core.config.side(side).listeners.iter().any(|listener| {
            let transport = listener.transport.name() == path.transport.uri_token();
            let address = listener.address;
            let same = if unspecified {
                address.ip().is_unspecified() && address.port() == path.local.port()
            } else {
                address == path.local
            };
            transport && same
        })
    }

    /// 100 Trying shows that a next hop lives; the user agent keeps it to itself.
    fn hear_trying(&mut self, side: Side, octets: &[u8], now: Instant) {
        if !octets.starts_with(b"SIP/2.0 100") {
            return;
        }
        let Ok(message) = sip::Message::parse(octets) else { return };
        let call_id = message.header("Call-ID").unwrap_or_default();
        let call = self.core.call_ids.get(&(side, call_id.into())).copied();
        if let Some(id) = call {
            self.with_call(id, now, |call, core| call.next_hop_lives(core, side, now));
        }
    }

    /// Hands the user agents' events to the calls until there are none left.
    fn pump(&mut self, now: Instant) {
        loop {
            let mut quiet = true;
            for side in [Side::Lync, Side::Standard] {
                while let Some(event) = self.core.agent(side).poll_event() {
                    quiet = false;
                    if !conference::heard(&mut self.core, side, &event, now) {
                        self.handle_ua(side, event, now);
                    }
                }
            }
            while let Some((id, effect)) = self.core.conferences.next_effect() {
                quiet = false;
                self.with_call(id, now, |call, core| call.conference_says(core, effect, now));
            }
            if quiet {
                return;
            }
        }
    }

    fn handle_ua(&mut self, side: Side, event: UaEvent, now: Instant) {
        match event {
            UaEvent::Invite { session, request, path } => {
                self.begin(side, session, &request, path, now);
            }
            UaEvent::Progress { session, response } => {
                self.with_session(side, session, now, |call, core| {
                    call.progressed(core, &response, now);
                });
            }
            UaEvent::Accepted { session, response } => {
                let known = self.with_session(side, session, now, |call, core| {
                    call.answered(core, &response, now);
                });
                if !known {
                    // The call has gone while its answer was on its way.
                    let agent = self.core.agent(side);
                    let _ = agent.ack(session, sip::Headers::new(), None, now);
                    let _ = agent.bye(session, sip::Headers::new(), now);
                }
            }
            UaEvent::Rejected { session, response } => {
                self.with_session(side, session, now, |call, core| {
                    call.rejected(core, &response, now);
                });
            }
            UaEvent::Cancelled { session, request } => {
                self.with_session(side, session, now, |call, core| {
                    call.cancelled(core, &request, now);
                });
            }
            UaEvent::Reinvite { session, id, request } => {
                let known = self.with_session(side, session, now, |call, core| {
                    call.reoffered(core, side, id, &request, now);
                });
                if !known {
                    stray(&mut self.core, side, id, &request, now);
                }
            }
            UaEvent::Request { session, id, request, .. } => {
                let known = session.is_some_and(|session| {
                    self.with_session(side, session, now, |call, core| {
                        call.requested(core, side, id, &request, now);
                    })
                });
                if !known {
                    stray(&mut self.core, side, id, &request, now);
                }
            }
            UaEvent::Response { id, response, .. } => {
                if let Some(call) = self.core.requests.remove(&(side, id)) {
                    self.with_call(call, now, |call, core| {
                        call.reoffer_answered(core, side, id, &response, now);
                    });
                }
            }
            UaEvent::Ended { session, cause } => {
                self.with_session(side, session, now, |call, core| {
                    call.leg_ended(core, side, &cause, now);
                });
            }
            UaEvent::Refused { path, error } => {
                self.core.refused(Some(side), path.remote, &error.to_string(), now);
            }
            UaEvent::Acked { session, body } => {
                self.with_session(side, session, now, |call, core| {
                    call.acknowledged(core, side, body.as_ref(), now);
                });
            }
            UaEvent::ProgressAcked { session, .. } => {
                self.with_session(side, session, now, |call, core| {
                    call.progress_acked(core, side, now);
                });
            }
            _ => {}
        }
    }

    fn begin(
        &mut self,
        side: Side,
        session: sip::SessionId,
        request: &sip::Request,
        path: sip::Path,
        now: Instant,
    ) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let (calls, draining) = (self.calls.len(), self.draining);
        let calls_of = self.calls_of_routes();
        let calls_of = &calls_of;
        let new = NewCall { id, side, session, request, path, calls, calls_of, draining };
        if let Some(call) = Call::begin(&mut self.core, &new, now) {
            if let Some(call_id) = request.headers.first("Call-ID") {
                self.core.call_ids.insert((side, call_id.into()), id);
            }
            self.keep(id, call);
        }
    }

    /// How many calls go by each route that has a bound on them.
    fn calls_of_routes(&self) -> Vec<(String, usize)> {
        let routes = self.core.config.routes.iter().filter(|route| route.max_calls.is_some());
        let count = |name: &String| {
            let by = |call: &&Call| call.route.as_deref() == Some(name.as_str());
            (name.clone(), self.calls.values().filter(by).count())
        };
        routes.filter_map(|route| route.name.as_ref().map(count)).collect()
    }

    fn with_session(
        &mut self,
        side: Side,
        session: sip::SessionId,
        now: Instant,
        act: impl FnOnce(&mut Call, &mut Core),
    ) -> bool {
        let Some(id) = self.core.sessions.get(&(side, session)).copied() else { return false };
        self.with_call(id, now, act)
    }

    /// Does something to a call; false when there is no such call.
    fn with_call(
        &mut self,
        id: CallId,
        _now: Instant,
        act: impl FnOnce(&mut Call, &mut Core),
    ) -> bool {
        let Some(mut call) = self.calls.remove(&id) else { return false };
        act(&mut call, &mut self.core);
        self.keep(id, call);
        true
    }

    /// Puts a call back, or buries it.
    fn keep(&mut self, id: CallId, call: Call) {
        if call.is_over() {
            self.deadlines.set(id, None);
            call.bury(&mut self.core);
        } else {
            self.deadlines.set(id, call.poll_timeout());
            self.calls.insert(id, call);
        }
    }
}
