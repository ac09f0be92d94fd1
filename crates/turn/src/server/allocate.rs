//! Allocations: made, refused, ended (RFC 8656 §7, §8).

use linkspan_stun::{AttributeType, Class, Dialect, Message};
use rand_core::Rng;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocation::{
    Allocation, Bucket, Extras, MsState, RESERVATION_LIFETIME, Relay, Reservation, Stage,
};
use super::auth::Authenticated;
use super::{FiveTuple, Refusal, Request, ServerEvent, TurnServer, Usage};
use crate::{Received, Transport};

impl TurnServer {
    pub(super) fn handle_allocate(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.repeat_answer(received, message)? {
            return Ok(());
        }
        if let Some(server) = self.config.alternate_server
            && server.is_ipv4() == received.remote.is_ipv4()
        {
            let signer = Some(&authenticated.signer);
            self.answer(received, message, Class::Error, signer, |answer| {
                answer.error_code(300, "Try Alternate");
                answer.address(AttributeType::ALTERNATE_SERVER, server);
            });
            return Ok(());
        }
        let wanted = self.read_request(received, message)?;
        self.check_quotas(&authenticated.username)?;
        let wants_ticket = self.wants_ticket(message)?;
        let (relays, extras) = self.choose_relays(&wanted)?;
        let extras = Extras { wants_ticket, ..extras };
        self.create(received, message, authenticated, relays, extras, wanted.lifetime, now);
        Ok(())
    }

    /// RFC 8656 §7.2: a repeated request has the same answer, another one on the same five-tuple
    /// is refused.
    pub(super) fn repeat_answer(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
    ) -> Result<bool, Refusal> {
        let id = self.clients.get(&FiveTuple::of(received));
        let Some(allocation) = id.and_then(|id| self.allocations.get(id)) else {
            return Ok(false);
        };
        match &allocation.stage {
            Stage::Live { request, answer } if *request == message.transaction_id() => {
                let answer = answer.clone();
                self.transmit(received, answer);
                Ok(true)
            }
            Stage::Binding { request, .. } if request.id == message.transaction_id() => Ok(true),
            _ => Err(Refusal::new(437, "Allocation Mismatch")),
        }
    }

    pub(super) fn check_quotas(&self, username: &[u8]) -> Result<(), Refusal> {
        let name = self.config.users.quota_name(username);
        let used = self.users.get(name).copied().unwrap_or_default();
        if used >= self.config.limits.allocations_per_user {
            return Err(Refusal::new(486, "Allocation Quota Reached"));
        }
        if self.allocations.len() >= self.config.limits.allocations {
            return Err(INSUFFICIENT);
        }
        Ok(())
    }

    fn read_request(
        &self,
        received: &Received<'_>,
        message: &Message<'_>,
    ) -> Result<Wanted, Refusal> {
        let bad = Refusal::new(400, "Bad Request");
        let protocol = match message.attribute(AttributeType::REQUESTED_TRANSPORT) {
            // RFC 8656 §18.8: the numbers of the IP header
            Some([17, _, _, _]) => Transport::Udp,
            Some([6, _, _, _]) if self.config.tcp_relay => Transport::Tcp,
            Some([_, _, _, _]) => return Err(Refusal::new(442, "Unsupported Transport Protocol")),
            _ => return Err(bad),
        };
        let family = |kind| match message.attribute(kind) {
            None => Ok(None),
            Some([family @ (1 | 2), _, _, _]) => Ok(Some(*family)),
            Some(_) => Err(Refusal::new(440, "Address Family not Supported")),
        };
        let requested = family(AttributeType::REQUESTED_ADDRESS_FAMILY)?;
        let additional = family(AttributeType::ADDITIONAL_ADDRESS_FAMILY)?;
        let even = match message.attribute(AttributeType::EVEN_PORT) {
            None => None,
            Some([flags]) => Some(flags & 0x80 != 0),
            Some(_) => return Err(bad),
        };
        let token = match message.attribute(AttributeType::RESERVATION_TOKEN) {
            None => None,
            Some(token) => Some(token.try_into().map_err(|_| bad)?),
        };
        // RFC 8656 §7.2: what cannot go together
        let has_clash = (token.is_some() && (even.is_some() || requested.is_some()))
            || (additional.is_some()
                && (requested.is_some() || token.is_some() || even == Some(true)))
            || additional == Some(1)
            // RFC 6062 §5.1
            || (protocol == Transport::Tcp
                && (even.is_some() || token.is_some() || received.transport != Transport::Tcp));
        if has_clash {
            return Err(bad);
        }
        Ok(Wanted {
            protocol,
            is_v6: requested == Some(2),
            has_additional: additional.is_some(),
            even,
            token,
            lifetime: self.lifetime(message),
        })
    }

    /// RFC 8656 §7.2: at least the default of ten minutes, at most the server's limit.
    pub(super) fn lifetime(&self, message: &Message<'_>) -> Duration {
        let asked = message.lifetime_secs().map_or(0, u64::from);
        Duration::from_secs(asked.max(600)).min(self.config.limits.max_lifetime)
    }

    fn choose_relays(&mut self, wanted: &Wanted) -> Result<(Vec<Relay>, Extras), Refusal> {
        let mut extras = Extras::default();
        if let Some(token) = wanted.token {
            let at = self.reservations.iter().position(|one| one.token == token);
            let reservation = at.map(|at| self.reservations.swap_remove(at)).ok_or(INSUFFICIENT)?;
            return Ok((vec![reservation.relay], extras));
        }
        let reserve = wanted.even == Some(true);
        extras.is_even = wanted.even.is_some();
        let relay = self.choose_port(wanted.protocol, wanted.is_v6, extras.is_even, reserve)?;
        let mut relays = vec![relay];
        if reserve {
            if self.reservations.len() >= self.config.limits.reservations {
                return Err(INSUFFICIENT);
            }
            let mut token = [0; 8];
            self.random.fill_bytes(&mut token);
            extras.token = Some(token);
        }
        if wanted.has_additional {
            match self.choose_port(wanted.protocol, true, extras.is_even, false) {
                Ok(relay) => relays.push(relay),
                Err(_) => extras.has_no_additional = true,
            }
        }
        Ok((relays, extras))
    }

    /// A port that is not in use, chosen at random (RFC 8656 §21.2.2).
    pub(super) fn choose_port(
        &mut self,
        protocol: Transport,
        is_v6: bool,
        is_even: bool,
        with_next: bool,
    ) -> Result<Relay, Refusal> {
        let address =
            self.config.relays.iter().copied().find(|relay| relay.bind.is_ipv6() == is_v6);
        let address = address.ok_or(Refusal::new(440, "Address Family not Supported"))?;
        let (first, last) = (*self.config.relay_ports.start(), *self.config.relay_ports.end());
        let span = u32::from(last).checked_sub(u32::from(first)).ok_or(INSUFFICIENT)? + 1;
        let is_free = |port: u16| {
            let bind = SocketAddr::new(address.bind, port);
            (first..=last).contains(&port)
                && !self.relays.contains_key(&bind)
                && !self.reservations.iter().any(|one| one.relay.bind == bind)
        };
        let start = self.random.next_u32() % span;
        // From a random place on: one look at each port at most.
        for step in 0..span.min(4096) {
            let port = u32::from(first) + (start + step) % span;
            let port = u16::try_from(port).map_err(|_| INSUFFICIENT)?;
            let fits = !is_even || port % 2 == 0;
            if fits && is_free(port) && (!with_next || port.checked_add(1).is_some_and(is_free)) {
                return Ok(Relay {
                    bind: SocketAddr::new(address.bind, port),
                    public: SocketAddr::new(address.public, port),
                    protocol,
                    is_bound: false,
                });
            }
        }
        Err(INSUFFICIENT)
    }

    #[allow(clippy::too_many_arguments, reason = "everything an allocation is made of")]
    pub(super) fn create(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        relays: Vec<Relay>,
        extras: Extras,
        lifetime: Duration,
        now: Instant,
    ) {
        let id = self.next_id;
        self.next_id += 1;
        let tuple = FiveTuple::of(received);
        let expires_at = now + BIND_TIME;
        let ms = (message.dialect() == Dialect::MsTurn).then(|| {
            let mut connection = [0; 20];
            self.random.fill_bytes(&mut connection);
            MsState::new(connection)
        });
        for relay in &relays {
            self.relays.insert(relay.bind, id);
            self.public.insert(relay.public, id);
            if !relay.is_bound {
                self.events.push_back(relay.wanted());
            }
        }
        let quota_name = self.config.users.quota_name(&authenticated.username).to_vec();
        *self.users.entry(quota_name).or_default() += 1;
        self.clients.insert(tuple, id);
        self.deadlines.insert((expires_at, id));
        let request = Request::of(message);
        let are_bound = relays.iter().all(|relay| relay.is_bound);
        self.allocations.insert(
            id,
            Allocation {
                tuple,
                dialect: message.dialect(),
                username: authenticated.username.clone(),
                signer: authenticated.signer.clone(),
                relays,
                expires_at,
                lifetime,
                stage: Stage::Binding { request, extras, tries_left: 8 },
                permissions: HashMap::new(),
                channels: HashMap::new(),
                numbers: HashMap::new(),
                usage: Usage::default(),
                bucket: self.config.limits.octets_per_second.map(|rate| Bucket::new(rate, now)),
                ms,
                tickets: None,
                connections: BTreeSet::new(),
            },
        );
        if are_bound {
            self.complete(id, now);
        }
    }

    pub(super) fn relay_bound(&mut self, relay: SocketAddr, is_bound: bool, now: Instant) {
        let Some(id) = self.relays.get(&relay).copied() else {
            // Bound too late, or the port kept for later.
            self.reservation_bound(relay, is_bound);
            return;
        };
        let Some(allocation) = self.allocations.get_mut(&id) else { return };
        let Stage::Binding { extras, tries_left, .. } = &mut allocation.stage else { return };
        let Some(found) = allocation.relays.iter_mut().find(|one| one.bind == relay) else {
            return;
        };
        if is_bound {
            found.is_bound = true;
            if allocation.relays.iter().all(|relay| relay.is_bound) {
                self.complete(id, now);
            }
            return;
        }
        let protocol = found.protocol;
        *tries_left = tries_left.saturating_sub(1);
        let (tries_left, is_even, reserve) = (*tries_left, extras.is_even, extras.token.is_some());
        // While it is looked for, the port that is taken counts as in use.
        let new = self.choose_port(protocol, relay.is_ipv6(), is_even, reserve);
        self.relays.remove(&relay);
        self.public.retain(|_, owner_of| *owner_of != id);
        let Some(allocation) = self.allocations.get_mut(&id) else { return };
        match new {
            Ok(new) if tries_left > 0 => {
                for found in &mut allocation.relays {
                    if found.bind == relay {
                        *found = new;
                    }
                    self.public.insert(found.public, id);
                }
                self.relays.insert(new.bind, id);
                self.events.push_back(new.wanted());
            }
            _ => {
                allocation.relays.retain(|found| found.bind != relay);
                self.refuse_bound(id);
            }
        }
    }

    /// No port could be had: the request is refused after all.
    fn refuse_bound(&mut self, id: u64) {
        let Some(allocation) = self.allocations.get(&id) else { return };
        if let Stage::Binding { request, .. } = &allocation.stage {
            let (request, tuple, signer) = (*request, allocation.tuple, allocation.signer.clone());
            let answer = self.write_answer(
                tuple.transport,
                request,
                Class::Error,
                Some(&signer),
                |answer| {
                    answer.error_code(INSUFFICIENT.code, INSUFFICIENT.reason);
                },
            );
            self.transmit_to(tuple, answer);
        }
        self.delete(id);
    }

    /// All sockets are there: the client gets its answer.
    fn complete(&mut self, id: u64, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(&id) else { return };
        let Stage::Binding { request, extras, .. } = &allocation.stage else { return };
        let (request, extras, tuple) = (*request, *extras, allocation.tuple);
        self.deadlines.remove(&(allocation.expires_at, id));
        allocation.expires_at = now + allocation.lifetime;
        self.deadlines.insert((allocation.expires_at, id));
        let signer = allocation.signer.clone();
        let relayed: Vec<SocketAddr> = allocation.relays.iter().map(|one| one.public).collect();
        let event = ServerEvent::Allocated {
            client: tuple.remote,
            username: allocation.username.clone(),
            relayed: relayed.clone(),
        };
        if let Some(token) = extras.token {
            self.reserve_next(id, token, now);
        }
        let ticket = if extras.wants_ticket { self.issue_ticket(id) } else { None };
        let payload = if request.dialect == Dialect::MsTurn {
            self.write_ms_allocated(id, request)
        } else {
            let seconds = self.allocations.get(&id).map_or(0, |one| one.lifetime.as_secs());
            self.write_answer(tuple.transport, request, Class::Success, Some(&signer), |answer| {
                for address in relayed {
                    answer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, address);
                }
                answer.xor_mapped_address(tuple.remote);
                answer.lifetime_secs(u32::try_from(seconds).unwrap_or(u32::MAX));
                if let Some(token) = &extras.token {
                    answer.attribute(AttributeType::RESERVATION_TOKEN, token);
                }
                if let Some(ticket) = &ticket {
                    answer.attribute(AttributeType::MOBILITY_TICKET, ticket);
                }
                if extras.has_no_additional {
                    // RFC 8656 §18.12: family 2, then class and number of 440
                    answer.attribute(AttributeType::ADDRESS_ERROR_CODE, &[2, 0, 4, 40]);
                }
            })
        };
        if let (Some(payload), Some(allocation)) = (&payload, self.allocations.get_mut(&id)) {
            allocation.stage = Stage::Live { request: request.id, answer: payload.clone() };
        }
        self.transmit_to(tuple, payload);
        self.events.push_back(event);
    }

    /// Keeps the port above (RFC 8656 §7.2).
    fn reserve_next(&mut self, id: u64, token: [u8; 8], now: Instant) {
        let relay = self.allocations.get(&id).and_then(|allocation| allocation.relays.first());
        let Some(relay) = relay.copied() else { return };
        let next =
            |address: SocketAddr| SocketAddr::new(address.ip(), address.port().saturating_add(1));
        let (bind, public) = (next(relay.bind), next(relay.public));
        let relay = Relay { bind, public, is_bound: false, ..relay };
        let expires_at = now + RESERVATION_LIFETIME;
        self.reservations.push(Reservation { token, relay, expires_at });
        self.events.push_back(ServerEvent::Bind { relay: relay.bind });
    }

    fn reservation_bound(&mut self, relay: SocketAddr, is_bound: bool) {
        let at = self.reservations.iter().position(|one| one.relay.bind == relay);
        match at.and_then(|at| self.reservations.get_mut(at)) {
            Some(reservation) if is_bound => reservation.relay.is_bound = true,
            Some(_) => self.reservations.retain(|one| one.relay.bind != relay),
            None if is_bound => self.events.push_back(ServerEvent::Unbind { relay }),
            None => {}
        }
    }

    pub(super) fn expire_reservations(&mut self, now: Instant) {
        let events = &mut self.events;
        self.reservations.retain(|reservation| {
            let is_kept = now < reservation.expires_at;
            if !is_kept {
                events.push_back(ServerEvent::Unbind { relay: reservation.relay.bind });
            }
            is_kept
        });
    }

    pub(super) fn delete(&mut self, id: u64) {
        let Some(allocation) = self.allocations.remove(&id) else { return };
        self.deadlines.remove(&(allocation.expires_at, id));
        self.forget_client(allocation.tuple, id);
        if let Some(held) = allocation.tickets {
            self.tickets.remove(held);
        }
        for connection in &allocation.connections {
            self.closed(*connection);
        }
        for relay in &allocation.relays {
            self.relays.remove(&relay.bind);
            self.public.remove(&relay.public);
            self.events.push_back(ServerEvent::Unbind { relay: relay.bind });
        }
        let name = self.config.users.quota_name(&allocation.username).to_vec();
        if let Some(used) = self.users.get_mut(&name) {
            *used = used.saturating_sub(1);
            if *used == 0 {
                self.users.remove(&name);
            }
        }
        if allocation.is_live() {
            self.events.push_back(ServerEvent::Ended {
                client: allocation.tuple.remote,
                username: allocation.username,
                usage: allocation.usage,
            });
        }
    }

    pub(super) fn transmit_to(&mut self, tuple: FiveTuple, payload: Option<bytes::Bytes>) {
        let Some(payload) = payload else { return };
        self.transmits.push_back(crate::Transmit {
            transport: tuple.transport,
            local: tuple.local,
            remote: tuple.remote,
            payload,
        });
    }
}

/// What an Allocate request asks for.
#[derive(Debug)]
struct Wanted {
    protocol: Transport,
    is_v6: bool,
    has_additional: bool,
    even: Option<bool>,
    token: Option<[u8; 8]>,
    lifetime: Duration,
}

pub(super) const INSUFFICIENT: Refusal = Refusal::new(508, "Insufficient Capacity");
/// How long the driver has to bind a socket.
const BIND_TIME: Duration = Duration::from_secs(10);
