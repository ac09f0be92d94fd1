mod checks;
mod gathering;
mod network_change;
mod no_ice;
mod nomination;
mod older;
mod relays;
mod reminders;
mod requests;
mod responses;
mod transactions;
mod upkeep;

use crate::stream::Stream;
use crate::{
    AgentConfig, AgentError, Candidate, CandidateKind, CandidateTransport, Credentials, Dialect,
    IceEvent, InputError, Nomination, Received, RelayServer, Role, SelectedPair, Transmit,
    Transport, priority, random,
};
use gathering::Gathering;
use linkspan_stun::{Class, Message, Method, PacketKind, ParseError, demultiplex};
pub(crate) use older::PASSWORD_LEN;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use relays::Relay;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use transactions::Transaction;

/// A stream of an [`Agent`]: what one media line of SDP describes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub(crate) usize);

/// One ICE agent (RFC 8445): the streams of one call leg.
///
/// See the [crate's page](crate) for the run loop. Input that is not authentic changes nothing;
/// every queue is bounded by [`Limits`](crate::Limits).
///
/// ```
/// use linkspan_ice::{Agent, AgentConfig, Dialect, Role};
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let mut agent = Agent::new(AgentConfig::new(Dialect::MsIce2, Role::Controlling), [7; 32], now);
/// let audio = agent.add_stream(2)?;
/// agent.add_host_candidate(audio, 1, "192.0.2.1:5000".parse()?, now)?;
/// agent.add_host_candidate(audio, 2, "192.0.2.1:5001".parse()?, now)?;
/// agent.end_of_candidates(now);
/// assert_eq!(agent.local_candidates(audio).len(), 2);
/// assert_eq!(agent.local_credentials(audio).ufrag.len(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    random: ChaCha20Rng,
    role: Role,
    /// RFC 8445 §16.1: decides a role conflict.
    tie_breaker: u64,
    remote_is_lite: bool,
    streams: Vec<Stream>,
    /// What foundations stand for: kind, transport, base and server.
    foundations: Vec<FoundationKey>,
    transactions: Vec<Transaction>,
    gathering: Gathering,
    relay_servers: Vec<RelayServer>,
    relays: Vec<Relay>,
    /// Relays have to be told of peers.
    has_new_peers: bool,
    /// RFC 8445 §14.2: no new check before.
    next_check: Instant,
    /// Something waits for `next_check`.
    has_checks: bool,
    /// RFC 8445 §6.1.4.2: whose turn is next.
    turn: usize,
    is_completed: bool,
    no_credentials: Credentials,
    transmits: VecDeque<Transmit>,
    events: VecDeque<IceEvent>,
}

/// RFC 8445 §5.1.1.3: candidates share a foundation when all of these agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct FoundationKey {
    kind: CandidateKind,
    transport: CandidateTransport,
    base: std::net::IpAddr,
    server: Option<std::net::IpAddr>,
}

impl Agent {
    /// An agent without streams. All its random choices come from `seed`.
    #[must_use]
    pub fn new(config: AgentConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed);
        let tie_breaker = random.next_u64();
        Self {
            role: config.role,
            config,
            random,
            tie_breaker,
            remote_is_lite: false,
            streams: Vec::new(),
            foundations: Vec::new(),
            transactions: Vec::new(),
            gathering: Gathering::default(),
            relay_servers: Vec::new(),
            relays: Vec::new(),
            has_new_peers: false,
            next_check: now,
            has_checks: false,
            turn: 0,
            is_completed: false,
            no_credentials: Credentials::new("", ""),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Adds a stream with components 1 to `components`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Limit`] when the agent has as many streams as its limits allow, and
    /// [`AgentError::UnknownComponent`] for no component or more than 256.
    pub fn add_stream(&mut self, components: u16) -> Result<StreamId, AgentError> {
        if self.streams.len() >= self.config.limits.streams {
            return Err(AgentError::Limit("streams"));
        }
        if !(1..=256).contains(&components) {
            return Err(AgentError::UnknownComponent);
        }
        let credentials = random::credentials(&mut self.random, self.config.dialect);
        self.streams.push(Stream::new(components, credentials));
        self.is_completed = false;
        Ok(StreamId(self.streams.len() - 1))
    }

    /// Adds a host candidate over UDP; `address` is the local address of a bound socket, and the
    /// one that [`Received::local`] will have.
    ///
    /// Addresses are preferred in the order in which they are added, the families interleaved
    /// (RFC 8421 §4): until [`end_of_candidates`](Self::end_of_candidates) or
    /// [`set_remote`](Self::set_remote) that may still change priorities.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; the same address again is no error.
    pub fn add_host_candidate(
        &mut self,
        stream: StreamId,
        component: u16,
        address: SocketAddr,
        now: Instant,
    ) -> Result<(), AgentError> {
        if self.relays.len() + self.relays_for(address) > self.config.limits.relays {
            return Err(AgentError::Limit("relays"));
        }
        let udp = CandidateTransport::Udp;
        let added =
            self.add_local(stream, component, CandidateKind::Host, udp, address, address, None)?;
        if let Some(local) = added {
            self.gather_for(stream.0, local, now);
        }
        self.pump(now);
        Ok(())
    }

    /// Adds a host candidate over TCP (RFC 6544). Of an active one the port is 9 in signalling, but
    /// `address` is what connections are opened from; of a passive one, where they are taken.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; the same address again is no error.
    pub fn add_tcp_candidate(
        &mut self,
        stream: StreamId,
        component: u16,
        transport: CandidateTransport,
        address: SocketAddr,
        now: Instant,
    ) -> Result<(), AgentError> {
        self.add_local(stream, component, CandidateKind::Host, transport, address, address, None)?;
        self.pump(now);
        Ok(())
    }

    /// Adds a relayed candidate: packets with `relayed` as their local address go through the TURN
    /// client that has allocated it. `mapped` is how the server sees the client.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; the same address again is no error.
    pub fn add_relayed_candidate(
        &mut self,
        stream: StreamId,
        component: u16,
        relayed: SocketAddr,
        mapped: SocketAddr,
        now: Instant,
    ) -> Result<(), AgentError> {
        let (kind, udp) = (CandidateKind::Relay, CandidateTransport::Udp);
        self.add_local(stream, component, kind, udp, relayed, relayed, Some(mapped))?;
        self.pump(now);
        Ok(())
    }

    /// No more local candidates will be added. With servers to ask, gathering ends when they have
    /// answered.
    pub fn end_of_candidates(&mut self, now: Instant) {
        self.gathering.is_ended = true;
        self.streams.iter_mut().for_each(|stream| stream.is_ranked = true);
        self.pump(now);
    }

    /// This side's credentials for the SDP; empty text for an unknown stream.
    #[must_use]
    pub fn local_credentials(&self, stream: StreamId) -> &Credentials {
        self.streams.get(stream.0).map_or(&self.no_credentials, |stream| &stream.local.credentials)
    }

    /// This side's candidates for the SDP, without peer-reflexive ones.
    #[must_use]
    pub fn local_candidates(&self, stream: StreamId) -> &[Candidate] {
        self.streams.get(stream.0).map_or(&[], |stream| &stream.locals)
    }

    /// The peer's credentials and candidates; checks start. Called again with the same credentials
    /// it adds candidates; with others the peer has restarted (RFC 8445 §9).
    ///
    /// Candidates of unknown components, of port 0 or of another form that no check can reach are
    /// ignored, as RFC 8839 §5.1 asks.
    ///
    /// # Errors
    ///
    /// [`AgentError::Credentials`] and [`AgentError::Limit`]; nothing has changed then.
    pub fn set_remote(
        &mut self,
        stream: StreamId,
        credentials: Credentials,
        candidates: Vec<Candidate>,
        now: Instant,
    ) -> Result<(), AgentError> {
        let limit = self.config.limits.candidates;
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        if !random::fits_grammar(&credentials) {
            return Err(AgentError::Credentials);
        }
        if candidates.len() > limit {
            return Err(AgentError::Limit("candidates"));
        }
        let is_known = this.remote.as_ref().is_some_and(|known| known.credentials == credentials);
        if !is_known {
            if this.remote.is_some() {
                this.forget_checks();
                self.transactions.retain(|transaction| !transaction.is_check_of(stream.0));
            }
            self.is_completed = false;
            this.set_remote(credentials, now, self.config.patience);
        }
        this.remotes_complete = !self.config.trickle;
        for candidate in candidates {
            this.add_remote(candidate, limit);
        }
        self.pair(stream.0);
        self.replay_early_checks(stream.0, now);
        self.pump(now);
        Ok(())
    }

    /// Adds a candidate of the peer (RFC 8838 §11).
    ///
    /// # Errors
    ///
    /// [`AgentError::Limit`], [`AgentError::UnknownStream`].
    pub fn add_remote_candidate(
        &mut self,
        stream: StreamId,
        candidate: Candidate,
        now: Instant,
    ) -> Result<(), AgentError> {
        let limit = self.config.limits.candidates;
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        if this.remotes.len() >= limit {
            return Err(AgentError::Limit("candidates"));
        }
        this.add_remote(candidate, limit);
        self.pair(stream.0);
        self.pump(now);
        Ok(())
    }

    /// The peer will add no more candidates (RFC 8838 §13).
    ///
    /// # Errors
    ///
    /// [`AgentError::UnknownStream`].
    pub fn end_of_remote_candidates(
        &mut self,
        stream: StreamId,
        now: Instant,
    ) -> Result<(), AgentError> {
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        this.remotes_complete = true;
        self.pump(now);
        Ok(())
    }

    /// The peer is lite (RFC 8445 §6.1.1): this side controls, with regular nomination. Before
    /// [`set_remote`](Self::set_remote).
    pub fn set_remote_lite(&mut self, lite: bool) {
        self.remote_is_lite = lite;
        if lite && !self.config.lite {
            self.set_role(Role::Controlling);
        }
    }

    /// Sets the role, before checks have begun.
    pub fn set_role(&mut self, role: Role) {
        if role != self.role {
            self.role = role;
            self.streams.iter_mut().for_each(|stream| stream.reprioritise(role));
        }
    }

    /// The role now.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// New credentials and new checks for a stream (RFC 8445 §9): signal them, then call
    /// [`set_remote`](Self::set_remote) with the peer's. The selected pairs stay until the new ones
    /// are there.
    ///
    /// # Errors
    ///
    /// [`AgentError::UnknownStream`].
    pub fn restart(&mut self, stream: StreamId, now: Instant) -> Result<(), AgentError> {
        let credentials = random::credentials(&mut self.random, self.config.dialect);
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        this.restart(credentials);
        self.is_completed = false;
        self.transactions.retain(|transaction| !transaction.is_check_of(stream.0));
        self.forget_vanished(stream.0);
        self.rename_older(stream.0);
        self.pump(now);
        Ok(())
    }

    /// The pair that carries a component.
    #[must_use]
    pub fn selected(&self, stream: StreamId, component: u16) -> Option<SelectedPair> {
        Some(self.streams.get(stream.0)?.component(component)?.selected.as_ref()?.pair.clone())
    }

    /// Takes a packet.
    ///
    /// A request with a username fragment of none of the streams is `NotMine`, because another
    /// agent on the same socket may know it; it is not answered.
    ///
    /// # Errors
    ///
    /// [`InputError`]: `NotMine` is data, or for another engine.
    pub fn handle_input(&mut self, input: Received<'_>, now: Instant) -> Result<(), InputError> {
        let inner = self.unwrap(input);
        if inner.remote == input.remote
            && let Some(result) = self.relay_input(input, now)
        {
            return result;
        }
        self.handle_direct(inner, now)
    }

    /// A packet without what a relay has put around it.
    fn handle_direct(&mut self, input: Received<'_>, now: Instant) -> Result<(), InputError> {
        if demultiplex(input.payload) != PacketKind::Stun {
            return Err(InputError::NotMine);
        }
        let message = match Message::parse(input.payload, self.stun_dialect()) {
            Ok(message) if message.method() == Method::Binding => message,
            // MS-TURN on the same socket.
            Ok(_) | Err(ParseError::Cookie { .. }) => return Err(InputError::NotMine),
            Err(error) => return Err(error.into()),
        };
        let result = match message.class() {
            Class::Request => self.handle_request(&input, &message, now),
            Class::Success | Class::Error => self.handle_response(&input, &message, now),
            // RFC 8445 §11, [MS-ICE2]: a keepalive, dropped in silence.
            Class::Indication => {
                let is_own = self.streams.iter().any(|s| s.local_at(&input).is_some());
                if is_own { Ok(()) } else { Err(InputError::NotMine) }
            }
        };
        if result.is_ok() {
            self.pump(now);
        }
        result
    }

    /// The network refused to carry a packet (ICMP, a connection refused or closed): its checks
    /// fail at once instead of after their last retransmission. Of the connection to a TURN server,
    /// from a host candidate's address: the allocation is gone.
    pub fn handle_transport_error(&mut self, local: SocketAddr, remote: SocketAddr, now: Instant) {
        self.fail_path(local, remote, now);
        self.lose_relay(local, remote);
        self.pump(now);
    }

    /// Time has passed. Early, late and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pump(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<IceEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when there is nothing to wait
    /// for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let requests = self.transactions.iter().map(Transaction::deadline);
        let upkeep = self.streams.iter().filter_map(|stream| self.stream_deadline(stream));
        let checks = self.has_checks.then_some(self.next_check);
        requests.chain(upkeep).chain(checks).chain(self.relay_deadline()).min()
    }

    /// Does everything that is due, so that nothing is due until [`poll_timeout`](Self::poll_timeout).
    fn pump(&mut self, now: Instant) {
        self.expire_transactions(now);
        self.tend_relays(now);
        self.conclude(now);
        self.remind(now);
        self.send_checks(now);
        self.keep_up(now);
        self.permit_waiting(now);
        self.report_gathering();
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one candidate")]
    fn add_local(
        &mut self,
        stream: StreamId,
        component: u16,
        kind: CandidateKind,
        transport: CandidateTransport,
        address: SocketAddr,
        base: SocketAddr,
        related: Option<SocketAddr>,
    ) -> Result<Option<usize>, AgentError> {
        // The older [MS-ICE] has IPv4 only.
        let is_foreign = self.config.dialect == Dialect::MsIce1 && address.is_ipv6();
        if address.ip().is_unspecified() || address.port() == 0 || is_foreign {
            return Err(AgentError::UnusableAddress);
        }
        let limit = self.config.limits.candidates;
        let this = self.streams.get(stream.0).ok_or(AgentError::UnknownStream)?;
        this.component(component).ok_or(AgentError::UnknownComponent)?;
        if this.has_local(component, transport, address) {
            return Ok(None);
        }
        if this.locals.len() >= limit {
            return Err(AgentError::Limit("candidates"));
        }
        let rank = this.rank_of(component, base.ip());
        let server = related.filter(|_| kind != CandidateKind::Host).map(|related| related.ip());
        let key = FoundationKey { kind, transport, base: base.ip(), server };
        let candidate = Candidate {
            foundation: self.foundation_of(stream.0, key),
            component,
            transport,
            priority: self.priority_of(kind, transport, rank, component),
            address,
            kind,
            related,
        };
        let Some(this) = self.streams.get_mut(stream.0) else { return Ok(None) };
        this.locals.push(candidate);
        this.bases.push(base);
        let index = this.locals.len() - 1;
        this.is_ranked |= kind != CandidateKind::Host;
        this.rank();
        self.pair(stream.0);
        Ok(Some(index))
    }

    /// RFC 8445 §5.1.1.3. Small numbers: [MS-ICE2] carries them in four octets.
    fn foundation(&mut self, key: FoundationKey) -> usize {
        let position = self.foundations.iter().position(|known| *known == key);
        position.unwrap_or_else(|| {
            self.foundations.push(key);
            self.foundations.len() - 1
        }) + 1
    }

    fn priority_of(
        &self,
        kind: CandidateKind,
        transport: CandidateTransport,
        rank: u16,
        component: u16,
    ) -> u32 {
        match self.config.dialect {
            Dialect::MsIce1 => priority::older(kind, transport, rank),
            _ => priority::candidate(kind, transport, rank, component),
        }
    }

    const fn stun_dialect(&self) -> linkspan_stun::Dialect {
        match self.config.dialect {
            Dialect::Rfc8445 => linkspan_stun::Dialect::Rfc8489,
            Dialect::MsIce2 => linkspan_stun::Dialect::MsIce2,
            Dialect::MsIce1 => linkspan_stun::Dialect::MsIce1,
        }
    }

    /// RFC 8445 §6.1.1: toward a lite peer aggressive nomination could select two pairs.
    fn is_aggressive(&self) -> bool {
        self.config.nomination == Nomination::Aggressive && !self.remote_is_lite
    }

    fn transmit(&mut self, transmit: Transmit) {
        if let Some(relay) = self.relay_at(transmit.local) {
            return self.transmit_relayed(relay, transmit);
        }
        // What does not fit is lost as on the network, and its timer repeats it.
        if self.transmits.len() < self.config.limits.transmits {
            self.transmits.push_back(transmit);
        }
    }
}

/// Which transport carries a candidate's packets.
const fn carrier(transport: CandidateTransport) -> Transport {
    if transport.is_udp() { Transport::Udp } else { Transport::Tcp }
}
