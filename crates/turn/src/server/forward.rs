//! The way of relayed data: found, counted, given back as slices.

use linkspan_stun::{
    AttributeType, Class, Dialect, Message, MessageBuilder, Method, TransactionId,
};
use std::net::SocketAddr;
use std::time::Instant;

use super::allocation::Allocation;
use super::{FiveTuple, TurnServer};
use crate::{ChannelData, IcmpError, InputError, Received, Transmit, Transport, Wrapped, ms};

/// A packet to pass on.
#[derive(Clone, Debug)]
pub struct Forward<'a> {
    /// What carries it on.
    pub transport: Transport,
    /// Address to send from: a relay socket toward peers, a listener toward clients.
    pub local: SocketAddr,
    /// Address to send to.
    pub remote: SocketAddr,
    /// The data, which lie where they came, and what goes before and behind them.
    pub packet: Wrapped<'a>,
}

impl Forward<'_> {
    /// The same with its own copy of the data, and without
    /// [`Wrapped::dont_fragment`].
    #[must_use]
    pub fn to_transmit(&self) -> Transmit {
        Transmit {
            transport: self.transport,
            local: self.local,
            remote: self.remote,
            payload: self.packet.to_bytes(),
        }
    }
}

impl TurnServer {
    /// Where relayed data go: ChannelData and Send indications of clients, packets of peers.
    /// Nothing is copied and nothing allocated.
    ///
    /// ```
    /// # use linkspan_turn::{Received, ServerConfig, Transport, TurnServer};
    /// # let mut server = TurnServer::new(ServerConfig::new("x"), [0; 32], std::time::Instant::now());
    /// # let (local, remote) = ("192.0.2.1:3478".parse()?, "192.0.2.2:5000".parse()?);
    /// # let (now, payload) = (std::time::Instant::now(), &[0x40, 0, 0, 0]);
    /// let received = Received { transport: Transport::Udp, local, remote, payload };
    /// match server.forward(received, now) {
    ///     Ok(forward) => { /* sendmsg(forward.local, forward.remote, forward.packet.slices()) */ }
    ///     Err(_) => drop(server.handle_input(received, now)), // a request, or nothing of ours
    /// }
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InputError::NotMine`] for what is not relayed data, [`InputError::NotPermitted`] for what
    /// is dropped.
    pub fn forward<'a>(
        &mut self,
        received: Received<'a>,
        now: Instant,
    ) -> Result<Forward<'a>, InputError> {
        if received.transport == Transport::Udp
            && let Some(id) = self.relays.get(&received.local).copied()
        {
            return self.relay_in(id, received, now);
        }
        // What a client of MS-TURN sends is raw unless it says otherwise, whatever it looks like.
        if self.config.ms_turn && self.client(&received).is_ok_and(|client| client.ms.is_some()) {
            return self.ms_raw(received, now);
        }
        let Some(&first) = received.payload.first() else { return Err(InputError::NotMine) };
        match first >> 6 {
            1 => {
                let data = ChannelData::parse(received.payload, received.transport)?;
                let allocation = self.client(&received)?;
                let channel = allocation.channels.get(&data.channel.get());
                let peer = channel.filter(|one| now < one.expires_at).map(|one| one.peer);
                let peer = peer.ok_or(InputError::NotPermitted)?;
                self.relay_out(received, peer, data.data, now)
            }
            _ if received.payload.first_chunk() == Some(&SEND_INDICATION.to_be_bytes()) => {
                let message = Message::parse(received.payload, Dialect::Rfc8489)?;
                self.send_indication(received, &message, now)
            }
            _ => Err(InputError::NotMine),
        }
    }

    fn send_indication<'a>(
        &mut self,
        received: Received<'a>,
        message: &Message<'a>,
        now: Instant,
    ) -> Result<Forward<'a>, InputError> {
        if (message.class(), message.method()) != (Class::Indication, Method::Send) {
            return Err(InputError::NotMine);
        }
        // RFC 8656 §11.2; an indication that is not understood is dropped
        let has_unknown = message.unknown_required(|kind| self.is_known(kind)).next().is_some();
        let (Some(peer), Some(data), false) = (message.peer_address(), message.data(), has_unknown)
        else {
            return Err(InputError::Unexpected);
        };
        if !self.client(&received)?.permits(peer.ip(), now) {
            return Err(InputError::NotPermitted);
        }
        let dont_fragment = message.attribute(AttributeType::DONT_FRAGMENT).is_some();
        let forward = self.relay_out(received, peer, data, now)?;
        Ok(Forward { packet: forward.packet.with_dont_fragment(dont_fragment), ..forward })
    }

    /// The network says that a packet from a relay socket did not reach a peer: its client is told
    /// by a Data indication (RFC 8656 §11.5).
    ///
    /// # Errors
    ///
    /// [`InputError`] when there is nobody to tell, or nothing that clients are told of.
    pub fn handle_icmp(
        &mut self,
        relay: SocketAddr,
        peer: SocketAddr,
        error: IcmpError,
        now: Instant,
    ) -> Result<(), InputError> {
        let error = error.passed_on(peer.is_ipv6()).ok_or(InputError::Unexpected)?;
        let id = self.relays.get(&relay).ok_or(InputError::NotMine)?;
        let allocation = self.allocations.get(id).ok_or(InputError::NotMine)?;
        let is_open = allocation.is_live() && allocation.ms.is_none();
        if !is_open || !allocation.permits(peer.ip(), now) {
            return Err(InputError::NotPermitted);
        }
        if self.transmits.len() >= self.config.limits.queue {
            return Err(InputError::QueueFull);
        }
        let tuple = allocation.tuple;
        let (dialect, id) = (Dialect::Rfc8489, TransactionId::new(*b"data-indicat"));
        let mut octets = Vec::with_capacity(64);
        let mut indication =
            MessageBuilder::new(&mut octets, dialect, Class::Indication, Method::Data, id);
        indication.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        indication.attribute(AttributeType::ICMP, &error.to_octets());
        let payload = indication.finish().ok().map(|_| octets.into());
        self.transmit_to(tuple, payload);
        Ok(())
    }

    /// Raw data of MS-TURN: for the active destination.
    fn ms_raw<'a>(
        &mut self,
        received: Received<'a>,
        now: Instant,
    ) -> Result<Forward<'a>, InputError> {
        let data = match received.transport {
            Transport::Udp => received.payload,
            Transport::Tcp => match ms::split_frame(received.payload) {
                Some((false, data)) => data,
                _ => return Err(InputError::NotMine),
            },
        };
        let is_message =
            received.transport == Transport::Udp && data.get(20..28) == Some(&ms::COOKIE_ATTRIBUTE);
        if is_message {
            return Err(InputError::NotMine);
        }
        let Ok(allocation) = self.client(&received) else { return Err(InputError::NotMine) };
        let Some(state) = &allocation.ms else { return Err(InputError::NotMine) };
        let peer = state.active.ok_or(InputError::NotPermitted)?;
        self.relay_out(received, peer, data, now)
    }

    /// The caller has checked that the client may send to that peer.
    pub(super) fn relay_out<'a>(
        &mut self,
        received: Received<'a>,
        peer: SocketAddr,
        data: &'a [u8],
        now: Instant,
    ) -> Result<Forward<'a>, InputError> {
        // Of our own addresses only relayed ones in use are peers.
        if self.own.contains(&peer.ip()) && !self.is_relayed(peer, Transport::Udp) {
            return Err(InputError::NotPermitted);
        }
        let id = *self.clients.get(&FiveTuple::of(&received)).ok_or(InputError::NotPermitted)?;
        let allocation = self.allocations.get_mut(&id).ok_or(InputError::NotPermitted)?;
        let relay = allocation.relay_for(peer).filter(|relay| relay.protocol == Transport::Udp);
        let local = relay.ok_or(InputError::NotPermitted)?.bind;
        if !allocation.count(data.len(), true, now) {
            return Err(InputError::NotPermitted);
        }
        let packet = Wrapped::bare(data);
        Ok(Forward { transport: Transport::Udp, local, remote: peer, packet })
    }

    fn relay_in<'a>(
        &mut self,
        id: u64,
        received: Received<'a>,
        now: Instant,
    ) -> Result<Forward<'a>, InputError> {
        let peer = received.remote;
        let allocation = self.allocations.get_mut(&id).ok_or(InputError::NotPermitted)?;
        // RFC 8656 §11.3: by address, whatever the port
        let is_open = allocation.is_live() && allocation.protocol() == Transport::Udp;
        if !is_open || !allocation.permits(peer.ip(), now) {
            return Err(InputError::NotPermitted);
        }
        if !allocation.count(received.payload.len(), false, now) {
            return Err(InputError::NotPermitted);
        }
        let FiveTuple { transport, local, remote } = allocation.tuple;
        let packet = wrap(allocation, peer, received.payload, now).ok_or(InputError::Unexpected)?;
        Ok(Forward { transport, local, remote, packet })
    }

    fn client(&self, received: &Received<'_>) -> Result<&Allocation, InputError> {
        let id = self.clients.get(&FiveTuple::of(received));
        let allocation = id.and_then(|id| self.allocations.get(id));
        allocation.filter(|allocation| allocation.is_live()).ok_or(InputError::NotPermitted)
    }
}

fn wrap<'a>(
    allocation: &Allocation,
    peer: SocketAddr,
    data: &'a [u8],
    now: Instant,
) -> Option<Wrapped<'a>> {
    let transport = allocation.tuple.transport;
    let id = TransactionId::new(*b"data-indicat");
    if let Some(state) = &allocation.ms {
        return if state.active == Some(peer) {
            Wrapped::ms_active(data, transport)
        } else {
            Wrapped::ms_indication(id, peer, data, transport)
        };
    }
    let number = allocation.numbers.get(&peer).filter(|number| {
        allocation.channels.get(number).is_some_and(|channel| now < channel.expires_at)
    });
    match number.copied().and_then(crate::ChannelNumber::new) {
        Some(number) => Wrapped::channel(number, data, transport),
        None => Wrapped::indication(DATA_INDICATION, id, peer, data),
    }
}

/// RFC 8656 §17.
const SEND_INDICATION: u16 = 0x0016;
/// RFC 8656 §17.
const DATA_INDICATION: u16 = 0x0017;
