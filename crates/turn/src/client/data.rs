//! Data on their way through the relay, as the client writes and reads them.

use linkspan_stun::{AttributeType, Class, Dialect, Message, Method, TransactionId};
use std::net::SocketAddr;

use super::{ClientDialect, State, TurnClient};
use crate::{ChannelData, Received, Transport, VerbError, Wrapped, ms};

impl TurnClient {
    /// Sends data to a peer by the shortest way there is. One copy and one allocation; see
    /// [`wrap`](Self::wrap) for none.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without an allocation or permission, or when the data are too long.
    pub fn send(&mut self, peer: SocketAddr, data: &[u8]) -> Result<(), VerbError> {
        if self.transmits.len() >= self.config.max_queue {
            return Err(VerbError::Limit);
        }
        let payload = match self.wrap(peer, data) {
            Ok(wrapped) => wrapped.to_bytes(),
            Err(VerbError::NoPermission) if self.is_ms() => {
                self.check_peer(peer)?;
                self.ms_send(peer, data).ok_or(VerbError::TooLong)?
            }
            Err(error) => return Err(error),
        };
        self.transmit(payload);
        Ok(())
    }

    /// Sends data to a peer in one packet that nobody on the way may fragment, to find out what
    /// fits (RFC 8656 §14). [`ClientEvent::Icmp`](crate::ClientEvent::Icmp) may follow when it does not.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without an allocation or permission, or when the data are too long;
    /// [`VerbError::Transport`] when the server was not asked whether it can
    /// ([`ClientConfig::dont_fragment`](crate::ClientConfig::dont_fragment)).
    pub fn send_unfragmented(&mut self, peer: SocketAddr, data: &[u8]) -> Result<(), VerbError> {
        self.check_relayed(Transport::Udp)?;
        self.check_peer(peer)?;
        if !self.config.dont_fragment || self.is_ms() {
            return Err(VerbError::Transport);
        }
        if !self.has_permission(peer.ip()) {
            return Err(VerbError::NoPermission);
        }
        if self.transmits.len() >= self.config.max_queue {
            return Err(VerbError::Limit);
        }
        let payload = self.unfragmented(peer, data).ok_or(VerbError::TooLong)?;
        self.transmit(payload);
        Ok(())
    }

    /// What to send to the server so that data reach a peer, without copying them: a ChannelData
    /// message where there is a channel, a Send indication otherwise.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without an allocation or permission, or when the data are too long. In
    /// MS-TURN, whose Send requests are signed, only the active destination can be served here.
    pub fn wrap<'d>(&self, peer: SocketAddr, data: &'d [u8]) -> Result<Wrapped<'d>, VerbError> {
        self.check_relayed(Transport::Udp)?;
        self.check_peer(peer)?;
        let transport = self.config.transport;
        let channel = self.channels.iter().find(|channel| channel.peer == peer);
        if let Some(channel) = channel.filter(|channel| channel.is_bound) {
            let wrapped = match self.config.dialect {
                ClientDialect::MsTurn => Wrapped::ms_active(data, transport),
                ClientDialect::Rfc8656 => Wrapped::channel(channel.number, data, transport),
            };
            return wrapped.ok_or(VerbError::TooLong);
        }
        if self.is_ms() || !self.has_permission(peer.ip()) {
            return Err(VerbError::NoPermission);
        }
        // RFC 8656 §11.1: nothing answers an indication, so that its id need not be random.
        let id = TransactionId::new(*b"send-indicat");
        Wrapped::indication(SEND_INDICATION, id, peer, data).ok_or(VerbError::TooLong)
    }

    /// The data in a packet from the server, and whose they are, without copying; `None` when it
    /// is something else, for [`handle_input`](Self::handle_input).
    #[must_use]
    pub fn unwrap<'d>(&self, received: Received<'d>) -> Option<(SocketAddr, &'d [u8])> {
        if !self.is_from_server(&received) || !matches!(self.state, State::Allocated { .. }) {
            return None;
        }
        match self.config.dialect {
            ClientDialect::Rfc8656 => self.unwrap_standard(received),
            ClientDialect::MsTurn => self.unwrap_ms(received),
        }
    }

    fn unwrap_standard<'d>(&self, received: Received<'d>) -> Option<(SocketAddr, &'d [u8])> {
        let first = *received.payload.first()?;
        if first >> 6 == 1 {
            let data = ChannelData::parse(received.payload, received.transport).ok()?;
            // Data may overtake the answer that confirms the channel.
            let channel = self.channels.iter().find(|one| one.number == data.channel)?;
            return Some((channel.peer, data.data));
        }
        if received.payload.first_chunk() != Some(&DATA_INDICATION.to_be_bytes()) {
            return None;
        }
        let message = Message::parse(received.payload, Dialect::Rfc8489).ok()?;
        let peer = message.peer_address()?;
        // RFC 8656 §11.4: data of a peer without permission are dropped
        let has_error = message.attribute(AttributeType::ICMP).is_some();
        (self.is_known(peer.ip()) && !has_error).then_some(())?;
        Some((peer, message.data()?))
    }

    fn unwrap_ms<'d>(&self, received: Received<'d>) -> Option<(SocketAddr, &'d [u8])> {
        let active = || self.channels.first().map(|channel| channel.peer);
        let payload = match received.transport {
            Transport::Udp => received.payload,
            Transport::Tcp => match ms::split_frame(received.payload)? {
                (true, message) => message,
                (false, data) => return Some((active()?, data)),
            },
        };
        // [MS-TURN] 3.1.10: what does not carry the cookie is not a message.
        if payload.get(20..28) != Some(&ms::COOKIE_ATTRIBUTE) {
            let is_raw = received.transport == Transport::Udp;
            return is_raw.then(active).flatten().map(|peer| (peer, payload));
        }
        let message = Message::parse(payload, Dialect::MsTurn).ok()?;
        if (message.class(), message.method()) != (Class::Indication, Method::Data) {
            return None;
        }
        let (peer, data) = (message.peer_address()?, message.data()?);
        match (received.transport, data) {
            (Transport::Udp, data) => Some((peer, data)),
            // RFC 4571 framing inside
            (Transport::Tcp, [l0, l1, data @ ..]) => {
                let len = usize::from(u16::from_be_bytes([*l0, *l1]));
                (len == data.len()).then_some((peer, data))
            }
            (Transport::Tcp, _) => None,
        }
    }
}

/// RFC 8656 §17.
const SEND_INDICATION: u16 = 0x0016;
/// RFC 8656 §17.
const DATA_INDICATION: u16 = 0x0017;
