//! What the client writes.

use bytes::Bytes;
use linkspan_stun::{
    AttributeType, Class, Dialect, MessageBuilder, Method, Retransmission, TransactionId, userhash,
};
use std::net::SocketAddr;
use std::time::Instant;

use super::{Family, Purpose, Transaction, TurnClient};
use crate::{Transport, ms};

impl TurnClient {
    /// Sends a request and waits for its answer.
    pub(super) fn request(&mut self, purpose: Purpose, attempts: u8, now: Instant) {
        let id = match self.stun_dialect() {
            Dialect::MsTurn => TransactionId::random_128(&mut self.random),
            _ => TransactionId::random(&mut self.random),
        };
        let mut octets = Vec::with_capacity(256);
        let finished = if self.is_ms() {
            self.ms_message(purpose, id, &mut octets)
        } else {
            self.message(purpose, id, &mut octets)
        };
        if finished.is_err() {
            return; // credentials or realm of more than 65 kB: nothing that could be sent
        }
        let Some(message) = self.framed(octets) else { return };
        self.transmit_from(self.local_of(purpose), message.clone());
        let transport = self.config.transport;
        self.transactions.push(Transaction {
            id,
            purpose,
            retransmission: Retransmission::new(self.config.retransmission, transport, now),
            message,
            attempts,
            is_signed: self.key.is_some(),
        });
    }

    /// A signed Send request of MS-TURN ([MS-TURN] 2.2, no answer, no retransmission).
    pub(super) fn ms_send(&mut self, peer: SocketAddr, data: &[u8]) -> Option<Bytes> {
        let id = TransactionId::random_128(&mut self.random);
        let mut octets = Vec::with_capacity(data.len() + 256);
        let sequence = self.next_sequence();
        let key = self.key.as_ref()?;
        let mut message =
            MessageBuilder::new(&mut octets, Dialect::MsTurn, Class::Request, Method::Send, id);
        message
            .username(self.config.credentials.username())
            .address(AttributeType::MS_DESTINATION_ADDRESS, peer)
            .u32(AttributeType::MS_VERSION, MS_VERSION);
        if let Some(sequence) = sequence {
            message.attribute(AttributeType::MS_SEQUENCE_NUMBER, &sequence);
        }
        message.realm(&self.realm);
        match self.config.transport {
            Transport::Udp => message.attribute(AttributeType::DATA, data),
            Transport::Tcp => {
                // RFC 4571 framing inside
                let mut framed = u16::try_from(data.len()).ok()?.to_be_bytes().to_vec();
                framed.extend_from_slice(data);
                message.attribute(AttributeType::DATA, &framed)
            }
        };
        message.sign(key);
        message.finish().ok()?;
        self.framed(octets)
    }

    /// A Send indication that is not to be fragmented (RFC 8656 §11.1).
    pub(super) fn unfragmented(&mut self, peer: SocketAddr, data: &[u8]) -> Option<Bytes> {
        let id = TransactionId::random(&mut self.random);
        let mut octets = Vec::with_capacity(data.len() + 64);
        let (dialect, class) = (Dialect::Rfc8489, Class::Indication);
        let mut message = MessageBuilder::new(&mut octets, dialect, class, Method::Send, id);
        message
            .xor_address(AttributeType::XOR_PEER_ADDRESS, peer)
            .attribute(AttributeType::DONT_FRAGMENT, &[])
            .attribute(AttributeType::DATA, data);
        message.finish().ok()?;
        Some(octets.into())
    }

    fn message(
        &mut self,
        purpose: Purpose,
        id: TransactionId,
        octets: &mut Vec<u8>,
    ) -> Result<usize, linkspan_stun::BuildError> {
        let method = match purpose {
            Purpose::Allocate => Method::Allocate,
            Purpose::Refresh | Purpose::Move | Purpose::Release => Method::Refresh,
            Purpose::Permission(_) => Method::CreatePermission,
            Purpose::Channel(..) => Method::ChannelBind,
            Purpose::Connect(_) => Method::Connect,
            Purpose::Bind(..) => Method::ConnectionBind,
        };
        let mut message = MessageBuilder::new(octets, Dialect::Rfc8489, Class::Request, method, id);
        if let Some(software) = &self.config.software {
            message.software(software);
        }
        let lifetime = u32::try_from(self.config.lifetime.as_secs()).unwrap_or(u32::MAX);
        match purpose {
            Purpose::Allocate => {
                // RFC 8656 §18.8, RFC 6062 §4.1
                let protocol = match self.config.relayed_transport {
                    Transport::Udp => 17,
                    Transport::Tcp => 6,
                };
                message.attribute(AttributeType::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0]);
                message.lifetime_secs(lifetime);
                self.allocate_options(&mut message);
            }
            Purpose::Refresh => {
                message.lifetime_secs(lifetime);
            }
            Purpose::Move => {
                message.lifetime_secs(lifetime);
                let ticket = self.ticket.as_deref().unwrap_or_default();
                message.attribute(AttributeType::MOBILITY_TICKET, ticket);
            }
            Purpose::Release => {
                message.lifetime_secs(0);
            }
            Purpose::Permission(peer) | Purpose::Connect(peer) => {
                message.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
            }
            Purpose::Channel(number, peer) => {
                let [n0, n1] = number.get().to_be_bytes();
                message.attribute(AttributeType::CHANNEL_NUMBER, &[n0, n1, 0, 0]);
                message.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
            }
            Purpose::Bind(connection, _) => {
                message.u32(AttributeType::CONNECTION_ID, connection.get());
            }
        }
        self.sign(&mut message);
        message.finish()
    }

    /// RFC 8489 §9.2.5: as the challenge asked for, or not at all before there was one.
    fn sign(&self, message: &mut MessageBuilder<'_>) {
        let Some(key) = &self.key else { return };
        let username = self.config.credentials.username();
        if self.offer.hides_username {
            message.attribute(AttributeType::USERHASH, &userhash(username, &self.realm));
        } else {
            message.username(username);
        }
        message.realm(&self.realm).nonce(&self.nonce);
        if let Some((offered, chosen)) = &self.offer.algorithm {
            message
                .attribute(AttributeType::PASSWORD_ALGORITHMS, offered)
                .attribute(AttributeType::PASSWORD_ALGORITHM, &chosen.to_octets())
                .sign_sha256(key);
        } else {
            message.sign(key);
        }
    }

    /// RFC 8656 §7.1: what cannot go together is left out.
    fn allocate_options(&self, message: &mut MessageBuilder<'_>) {
        let is_udp = self.config.relayed_transport == Transport::Udp;
        if self.config.mobility {
            message.attribute(AttributeType::MOBILITY_TICKET, &[]);
        }
        if self.config.dont_fragment && is_udp {
            message.attribute(AttributeType::DONT_FRAGMENT, &[]);
        }
        if let Some(token) = self.config.reservation_token.as_ref().filter(|_| is_udp) {
            message.attribute(AttributeType::RESERVATION_TOKEN, token);
            return;
        }
        match self.config.family {
            Family::Default => {}
            Family::V4 => {
                message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0]);
            }
            Family::V6 => {
                message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
            }
            Family::Both => {
                message.attribute(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
            }
        }
        if let Some(reserve) = self.config.even_port.filter(|_| is_udp) {
            let reserve = reserve && self.config.family != Family::Both;
            let value = [if reserve { 0x80 } else { 0 }];
            message.attribute(AttributeType::EVEN_PORT, &value);
        }
    }

    fn ms_message(
        &mut self,
        purpose: Purpose,
        id: TransactionId,
        octets: &mut Vec<u8>,
    ) -> Result<usize, linkspan_stun::BuildError> {
        let sequence = match purpose {
            Purpose::Channel(..) => self.next_sequence(),
            _ => None,
        };
        let method = match purpose {
            Purpose::Channel(..) => Method::SetActiveDestination,
            _ => Method::Allocate,
        };
        let mut message = MessageBuilder::new(octets, Dialect::MsTurn, Class::Request, method, id);
        let lifetime = u32::try_from(self.config.lifetime.as_secs()).unwrap_or(u32::MAX);
        let username = self.config.credentials.username();
        match purpose {
            Purpose::Channel(_, peer) => {
                message.username(username);
                if let Some(sequence) = sequence {
                    message.attribute(AttributeType::MS_SEQUENCE_NUMBER, &sequence);
                }
                message.realm(&self.realm);
                message.address(AttributeType::MS_DESTINATION_ADDRESS, peer);
            }
            purpose => {
                message.u32(AttributeType::MS_VERSION, MS_VERSION);
                if self.key.is_some() {
                    let is_release = purpose == Purpose::Release;
                    message.lifetime_secs(if is_release { 0 } else { lifetime });
                    message.realm(&self.realm).nonce(&self.nonce).username(username);
                }
            }
        }
        if let Some(key) = &self.key {
            message.sign(key);
        }
        message.finish()
    }

    /// MS-SEQUENCE-NUMBER: the connection id, and one more than the last number.
    fn next_sequence(&mut self) -> Option<[u8; 24]> {
        let (connection, number) = self.sequence.as_mut()?;
        *number = number.wrapping_add(1);
        let mut value = [0; 24];
        let (head, tail) = value.split_at_mut(20);
        head.copy_from_slice(connection);
        tail.copy_from_slice(&number.to_be_bytes());
        Some(value)
    }

    fn framed(&self, octets: Vec<u8>) -> Option<Bytes> {
        if !(self.is_ms() && self.config.transport == Transport::Tcp) {
            return Some(octets.into());
        }
        let mut frame = ms::frame_header(true, octets.len())?.to_vec();
        frame.extend_from_slice(&octets);
        Some(frame.into())
    }
}

/// [MS-TURN] 2.2.2: version 1, which keeps the integrity at HMAC-SHA1.
const MS_VERSION: u32 = 1;
