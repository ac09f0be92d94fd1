//! Relayed candidates: a TURN client for each local address and server (RFC 8445 §5.1.1.2).

use super::{Agent, transactions::Purpose};
use crate::pair::PairState;
use crate::{
    AgentError, CandidateKind, CandidateTransport, IceEvent, InputError, Received, RelayServer,
    SelectedPair, StreamId, Transmit, Transport,
};
use bytes::Bytes;
use linkspan_stun::{Class, MessageBuilder, Method, RetransmissionConfig, TransactionId};
use linkspan_turn::{
    Allocation, ClientConfig, ClientDialect, ClientEvent, Forward, RequestError, TurnClient,
    VerbError, Wrapped,
};
use rand_core::Rng;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// One allocation, or the attempt at one.
#[derive(Debug)]
pub(super) struct Relay {
    client: TurnClient,
    stream: usize,
    component: u16,
    /// The host candidate that it is reached from.
    base: SocketAddr,
    transport: Transport,
    dialect: ClientDialect,
    stage: Stage,
    relayed: Vec<SocketAddr>,
    /// Packets to peers whose permission is not there yet.
    waiting: VecDeque<(SocketAddr, Bytes)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Its turn to ask has not come (RFC 8445 §5.1.1).
    Queued,
    Asking,
    Done,
}

impl Relay {
    /// Its address of the family of a peer.
    fn relayed_for(&self, peer: SocketAddr) -> Option<SocketAddr> {
        self.relayed.iter().copied().find(|relayed| relayed.is_ipv4() == peer.is_ipv4())
    }

    pub(super) const fn base(&self) -> SocketAddr {
        self.base
    }

    pub(super) fn relayed(&self) -> &[SocketAddr] {
        &self.relayed
    }

    fn is_from_server(&self, input: &Received<'_>) -> bool {
        (input.transport, input.local, input.remote)
            == (self.transport, self.base, self.client.server())
    }
}

impl Agent {
    /// Allocates a relayed candidate for every host candidate over UDP of the server's address
    /// family, those included that are added later. The allocations are kept until
    /// [`close`](Self::close). An allocation over UDP gives a server-reflexive candidate too.
    ///
    /// Checks go through the allocations by themselves. For data see
    /// [`forward`](Self::forward) and [`unwrap`](Self::unwrap).
    ///
    /// # Errors
    ///
    /// [`AgentError::Limit`] when there would be more allocations than the limits allow.
    pub fn add_relay_server(
        &mut self,
        server: RelayServer,
        now: Instant,
    ) -> Result<(), AgentError> {
        let hosts: Vec<(usize, u16, SocketAddr)> = self
            .streams
            .iter()
            .enumerate()
            .flat_map(|(index, stream)| stream.locals.iter().map(move |local| (index, local)))
            .filter(|(_, l)| l.kind == CandidateKind::Host && l.transport.is_udp())
            .filter(|(_, local)| local.address.is_ipv4() == server.address.is_ipv4())
            .map(|(index, local)| (index, local.component, local.address))
            .collect();
        if self.relays.len() + hosts.len() > self.config.limits.relays {
            return Err(AgentError::Limit("relays"));
        }
        for (stream, component, base) in hosts {
            self.queue_relay(&server, stream, component, base, now);
        }
        self.relay_servers.push(server);
        self.gathering.reopen();
        self.pump(now);
        Ok(())
    }

    /// How data leave on a pair: as they are, or on a relayed pair to the server with a header
    /// before them. Neither copies nor allocates.
    ///
    /// # Errors
    ///
    /// [`VerbError`] while a relay does not let the peer's packets pass, and in MS-TURN until the
    /// peer is the active destination, soon after the pair was selected:
    /// [`send`](Self::send) works there.
    pub fn forward<'d>(
        &self,
        pair: &SelectedPair,
        data: &'d [u8],
    ) -> Result<Forward<'d>, VerbError> {
        if let Some(relay) = self.relay_at(pair.local).and_then(|index| self.relays.get(index)) {
            let packet = relay.client.wrap(pair.remote, data)?;
            let (transport, remote) = (relay.transport, relay.client.server());
            return Ok(Forward { transport, local: relay.base, remote, packet });
        }
        let transport = super::carrier(pair.local_candidate.transport);
        let packet = Wrapped::bare(data);
        Ok(Forward { transport, local: pair.local, remote: pair.remote, packet })
    }

    /// Sends data on the selected pair of a component, by
    /// [`poll_transmit`](Self::poll_transmit): one copy. See [`forward`](Self::forward) for none.
    ///
    /// # Errors
    ///
    /// [`AgentError::UnknownComponent`] without a selected pair.
    pub fn send(
        &mut self,
        stream: StreamId,
        component: u16,
        data: &[u8],
    ) -> Result<(), AgentError> {
        let pair = self.selected(stream, component).ok_or(AgentError::UnknownComponent)?;
        self.transmit(Transmit {
            transport: super::carrier(pair.local_candidate.transport),
            local: pair.local,
            remote: pair.remote,
            payload: Bytes::copy_from_slice(data),
        });
        Ok(())
    }

    /// What a packet carries: of relayed data the data, with the relayed address as `local` and
    /// the peer as `remote`; everything else as it came. Neither copies nor allocates.
    #[must_use]
    pub fn unwrap<'d>(&self, received: Received<'d>) -> Received<'d> {
        let inner = self.relays.iter().filter(|relay| relay.is_from_server(&received));
        let inner = inner.filter_map(|relay| {
            let (remote, payload) = relay.client.unwrap(received)?;
            let local = relay.relayed_for(remote)?;
            Some(Received { transport: Transport::Udp, local, remote, payload })
        });
        { inner }.next().unwrap_or(received)
    }

    /// The relayed addresses that there are.
    #[must_use]
    pub fn relayed(&self) -> Vec<SocketAddr> {
        self.relays.iter().flat_map(|relay| relay.relayed.iter().copied()).collect()
    }

    /// Ends the session: nothing is checked or kept alive any more, and allocations are given
    /// back. Go on until [`poll_timeout`](Self::poll_timeout) is `None`, so that the servers know.
    pub fn close(&mut self, now: Instant) {
        self.streams.iter_mut().for_each(crate::stream::Stream::end);
        self.transactions.clear();
        self.gathering.close();
        self.relay_servers.clear();
        self.relays.retain_mut(|relay| relay.client.release(now).is_ok());
        self.pump(now);
    }

    /// A client for a host candidate; it asks when its turn has come.
    pub(super) fn queue_relay(
        &mut self,
        server: &RelayServer,
        stream: usize,
        component: u16,
        base: SocketAddr,
        now: Instant,
    ) {
        let transport = server.transport;
        let config = ClientConfig {
            transport,
            dialect: server.dialect,
            family: server.family,
            // As the questions to a STUN server: gathering is not held up for 40 s.
            retransmission: RetransmissionConfig {
                rto: self.config.rto,
                rc: 5,
                rm: 4,
                ..RetransmissionConfig::default()
            },
            ..ClientConfig::new(base, server.address, server.credentials.clone())
        };
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        self.relays.push(Relay {
            client: TurnClient::new(config, seed, now),
            stream,
            component,
            base,
            transport,
            dialect: server.dialect,
            stage: Stage::Queued,
            relayed: Vec::new(),
            waiting: VecDeque::new(),
        });
    }

    /// How many more allocations a host candidate would ask for.
    pub(super) fn relays_for(&self, base: SocketAddr) -> usize {
        self.relay_servers.iter().filter(|s| s.address.is_ipv4() == base.is_ipv4()).count()
    }

    pub(super) fn has_queued_relay(&self) -> bool {
        self.relays.iter().any(|relay| relay.stage == Stage::Queued)
    }

    /// True while a relayed candidate may still come.
    pub(super) fn is_allocating(&self) -> bool {
        self.relays.iter().any(|relay| relay.stage != Stage::Done)
    }

    /// Lets the next client ask. True when there was one.
    pub(super) fn start_relay(&mut self, now: Instant) -> bool {
        let queued = self.relays.iter().position(|relay| relay.stage == Stage::Queued);
        let Some((index, relay)) = queued.and_then(|at| Some((at, self.relays.get_mut(at)?)))
        else {
            return false;
        };
        relay.stage = Stage::Asking;
        let is_asking = relay.client.allocate(now).is_ok();
        debug_assert!(is_asking, "a new client");
        self.drain_relay(index);
        true
    }

    /// A packet of a relay's server that is no relayed data; `None` when it is for others.
    pub(super) fn relay_input(
        &mut self,
        input: Received<'_>,
        now: Instant,
    ) -> Option<Result<(), InputError>> {
        let index = self.relays.iter().position(|relay| relay.is_from_server(&input))?;
        match self.relays.get_mut(index)?.client.handle_input(input, now) {
            Ok(()) => {
                self.pump(now);
                Some(Ok(()))
            }
            Err(linkspan_turn::InputError::NotMine) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// The relay with a relayed address.
    pub(super) fn relay_at(&self, local: SocketAddr) -> Option<usize> {
        self.relays.iter().position(|relay| relay.relayed.contains(&local))
    }

    /// Sends through a relay; without a permission the packet waits for it.
    pub(super) fn transmit_relayed(&mut self, index: usize, transmit: Transmit) {
        let Some(relay) = self.relays.get_mut(index) else { return };
        let (peer, payload) = (transmit.remote, transmit.payload);
        if relay.client.send(peer, &payload) == Err(VerbError::NoPermission)
            && relay.waiting.len() < MAX_WAITING
        {
            relay.waiting.push_back((peer, payload));
        }
        self.drain_relay(index);
    }

    /// Data of a selected pair go by the shortest header (RFC 8656 §12, [MS-TURN] active
    /// destination).
    pub(super) fn bind_relay(&mut self, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let Some(index) = self.relay_at(local) else { return };
        if let Some(relay) = self.relays.get_mut(index) {
            // Without a channel the indications go on.
            let _ = relay.client.bind_channel(remote, now);
        }
        self.drain_relay(index);
    }

    /// Time, permissions, and what the clients have to tell.
    pub(super) fn tend_relays(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            self.permit_peers(index, now);
            if let Some(relay) = self.relays.get_mut(index) {
                relay.client.handle_timeout(now);
            }
            while let Some(event) =
                self.relays.get_mut(index).and_then(|relay| relay.client.poll_event())
            {
                self.relay_event(index, event, now);
            }
            self.drain_relay(index);
        }
        self.has_new_peers = false;
        self.relays.retain(|relay| relay.stage != Stage::Done || !relay.client.has_ended());
    }

    /// Asks for the permissions that packets have come to wait for.
    pub(super) fn permit_waiting(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            if self.relays.get(index).is_some_and(|relay| !relay.waiting.is_empty()) {
                self.permit_peers(index, now);
                self.drain_relay(index);
            }
        }
    }

    pub(super) fn relay_deadline(&self) -> Option<Instant> {
        self.relays.iter().filter_map(|relay| relay.client.poll_timeout()).min()
    }

    /// RFC 8445 §5.1.1.2, RFC 8656 §9: the peer's packets pass only where its address was named.
    fn permit_peers(&mut self, index: usize, now: Instant) {
        let Some(relay) = self.relays.get_mut(index).filter(|relay| !relay.relayed.is_empty())
        else {
            return;
        };
        let mut peers: Vec<SocketAddr> = relay.waiting.iter().map(|(peer, _)| *peer).collect();
        if let Some(stream) = self.streams.get(relay.stream).filter(|_| self.has_new_peers) {
            let remotes = stream
                .remotes
                .iter()
                .filter(|remote| remote.component == relay.component && remote.transport.is_udp());
            peers.extend(remotes.map(|remote| remote.address));
        }
        for peer in peers {
            // Of the wrong family, or one too many: its checks fail by their time.
            let _ = relay.client.create_permission(peer, now);
        }
    }

    fn relay_event(&mut self, index: usize, event: ClientEvent, now: Instant) {
        let Some(relay) = self.relays.get_mut(index) else { return };
        let stream = relay.stream;
        match event {
            ClientEvent::Allocated(allocation) => self.allocated(index, &allocation, now),
            ClientEvent::AllocateFailed { error } => {
                relay.stage = Stage::Done;
                let (server, component) = (relay.client.server(), relay.component);
                let stream = StreamId(stream);
                self.events.push_back(IceEvent::RelayFailed { stream, component, server, error });
            }
            ClientEvent::PermissionCreated { peer } => {
                for (to, payload) in std::mem::take(&mut relay.waiting) {
                    if to.ip() == peer {
                        let _ = relay.client.send(to, &payload);
                    } else {
                        relay.waiting.push_back((to, payload));
                    }
                }
                if relay.dialect == ClientDialect::MsTurn {
                    self.open_relay(index, peer);
                }
            }
            ClientEvent::PermissionFailed { peer, .. } => {
                relay.waiting.retain(|(to, _)| to.ip() != peer);
                let relayed = relay.relayed.clone();
                self.fail_relayed(stream, &relayed, Some(peer));
            }
            ClientEvent::Lost { .. } => {
                let relayed = std::mem::take(&mut relay.relayed);
                self.fail_relayed(stream, &relayed, None);
                self.lose_relayed(stream, &relayed);
            }
            ClientEvent::ChannelFailed { peer, error: RequestError::TimedOut } => {
                // As long as data go there it is worth another try; until then they take the longer
                // header.
                let relayed = relay.relayed.clone();
                if self.selects(stream, &relayed, peer) {
                    relayed.into_iter().for_each(|relayed| self.bind_relay(relayed, peer, now));
                }
            }
            ClientEvent::Released => relay.relayed.clear(),
            // Data are taken by `unwrap` before; a channel only shortens the header.
            _ => {}
        }
    }

    /// [MS-TURN] has no request for a permission: the first packet to an address makes it. A check
    /// may come late, frozen behind that of another component, so an indication goes before.
    fn open_relay(&mut self, index: usize, peer: IpAddr) {
        let id = TransactionId::random(&mut self.random);
        let dialect = self.stun_dialect();
        let Some(relay) = self.relays.get_mut(index) else { return };
        let Some(stream) = self.streams.get(relay.stream) else { return };
        let mut remotes = stream.remotes.iter().map(|remote| remote.address);
        let mut octets = Vec::with_capacity(28);
        let indication =
            MessageBuilder::new(&mut octets, dialect, Class::Indication, Method::Binding, id);
        if let Some(remote) = remotes.find(|remote| remote.ip() == peer)
            && indication.finish().is_ok()
        {
            let _ = relay.client.send(remote, &octets);
        }
    }

    fn allocated(&mut self, index: usize, allocation: &Allocation, now: Instant) {
        let Some(relay) = self.relays.get_mut(index) else { return };
        relay.stage = Stage::Done;
        relay.relayed = relay.client.relayed().to_vec();
        let (stream, component, base) = (relay.stream, relay.component, relay.base);
        let (relayed, server) = (relay.relayed.clone(), relay.client.server());
        let mapped = allocation.mapped.unwrap_or(base);
        self.has_new_peers = true;
        for address in relayed {
            let (kind, udp) = (CandidateKind::Relay, CandidateTransport::Udp);
            let related = Some(mapped);
            let added =
                self.add_local(StreamId(stream), component, kind, udp, address, address, related);
            let added = added.ok().flatten();
            let candidate =
                added.and_then(|local| self.streams.get(stream)?.locals.get(local).cloned());
            if let Some(candidate) = candidate {
                let stream = StreamId(stream);
                self.events.push_back(IceEvent::NewLocalCandidate { stream, candidate });
            }
        }
        let is_udp = self.relays.get(index).is_some_and(|relay| relay.transport == Transport::Udp);
        let host = self.streams.get(stream).and_then(|this| {
            this.locals.iter().position(|l| l.kind == CandidateKind::Host && l.address == base)
        });
        if let Some(host) = host.filter(|_| is_udp && mapped != base) {
            self.add_reflexive(stream, host, mapped, server);
        }
        self.permit_peers(index, now);
    }

    /// The server does not let these packets pass.
    fn fail_relayed(&mut self, stream: usize, relayed: &[SocketAddr], peer: Option<IpAddr>) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        let mut failed = Vec::new();
        for (index, pair) in this.pairs.iter_mut().enumerate() {
            let base = this.bases.get(pair.local);
            let remote = this.remotes.get(pair.remote).map(|remote| remote.address.ip());
            if base.is_some_and(|base| relayed.contains(base))
                && (peer.is_none() || peer == remote)
                && pair.state != PairState::Succeeded
            {
                pair.state = PairState::Failed;
                pair.is_triggered = false;
                failed.push(index);
            }
        }
        this.triggered.retain(|index| !failed.contains(index));
        self.transactions.retain(|transaction| match transaction.purpose {
            Purpose::Check { stream: of, pair, .. } => of != stream || !failed.contains(&pair),
            _ => true,
        });
    }

    /// The connection to a server has ended: what was allocated over it ends too (RFC 8656 §3.1).
    pub(super) fn lose_relay(&mut self, base: SocketAddr, server: SocketAddr) {
        let index = self.relays.iter().position(|relay| {
            let path = (relay.transport, relay.base, relay.client.server());
            path == (Transport::Tcp, base, server)
        });
        let Some(relay) = index.map(|index| self.relays.remove(index)) else { return };
        if relay.stage != Stage::Done {
            let (stream, component) = (StreamId(relay.stream), relay.component);
            let error = RequestError::TimedOut.into();
            self.events.push_back(IceEvent::RelayFailed { stream, component, server, error });
        }
        self.fail_relayed(relay.stream, &relay.relayed, None);
        self.lose_relayed(relay.stream, &relay.relayed);
    }

    /// An allocation is gone, and the selected pairs on it with it.
    fn lose_relayed(&mut self, stream: usize, relayed: &[SocketAddr]) {
        let Some(this) = self.streams.get(stream) else { return };
        let lost: Vec<u16> = (1..)
            .zip(&this.components)
            .filter(|(_, component)| {
                component.selected.as_ref().is_some_and(|s| relayed.contains(&s.pair.local))
            })
            .map(|(number, _)| number)
            .collect();
        lost.into_iter().for_each(|component| self.lose_consent(stream, component));
    }

    /// True when a component's selected pair goes from there to a peer.
    fn selects(&self, stream: usize, relayed: &[SocketAddr], peer: SocketAddr) -> bool {
        let components = self.streams.get(stream).map_or(&[][..], |this| &this.components);
        let mut selected = components.iter().filter_map(|component| component.selected.as_ref());
        selected.any(|s| relayed.contains(&s.pair.local) && s.pair.remote == peer)
    }

    fn drain_relay(&mut self, index: usize) {
        let limit = self.config.limits.transmits;
        let Some(relay) = self.relays.get_mut(index) else { return };
        while let Some(transmit) = relay.client.poll_transmit() {
            if self.transmits.len() < limit {
                self.transmits.push_back(transmit);
            }
        }
    }
}

/// Packets that wait for a permission.
const MAX_WAITING: usize = 32;
