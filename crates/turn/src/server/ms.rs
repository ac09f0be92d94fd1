//! The server's side of MS-TURN.

use bytes::Bytes;
use linkspan_stun::{AttributeType, Class, Message, MessageBuilder, Method};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocation::{Allocation, Extras};
use super::requests::MISMATCH;
use super::{FiveTuple, Refusal, Request, TurnServer};
use crate::{InputError, Received, Transport};

impl TurnServer {
    pub(super) fn handle_ms(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), InputError> {
        if message.class() != Class::Request {
            return Err(InputError::NotMine);
        }
        let outcome = match message.method() {
            Method::Allocate => self.ms_allocate(received, message, now),
            Method::Send => return self.ms_send(received, message, now),
            Method::SetActiveDestination => self.ms_set_active(received, message, now),
            _ => Err(Refusal::new(400, "Bad Request")),
        };
        if let Err(refusal) = outcome {
            // Errors are not signed: the client may not know the key that was used.
            self.refuse(received, message, refusal, None, now);
        }
        Ok(())
    }

    /// Makes, extends and ends allocations: MS-TURN has one method for the three.
    fn ms_allocate(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let authenticated = self.authenticate(received, message, now)?;
        let unknown: Vec<AttributeType> = message.unknown_required(is_known).take(16).collect();
        if !unknown.is_empty() {
            self.refuse_unknown(received, message, &unknown, None);
            return Ok(());
        }
        let is_release = message.lifetime_secs() == Some(0);
        let lifetime = if is_release { Duration::ZERO } else { self.lifetime(message) };
        if let Some(id) = self.live(received) {
            if !is_release {
                self.extend(id, lifetime, now);
            }
            let payload = self.write_ms_lifetime(id, Request::of(message), lifetime);
            if let Some(payload) = payload {
                self.transmit(received, payload);
            }
            if is_release {
                self.delete(id);
            }
            return Ok(());
        }
        if self.clients.contains_key(&FiveTuple::of(received)) {
            return Ok(()); // its socket is being bound: the answer will come
        }
        if is_release {
            self.answer(received, message, Class::Success, Some(&authenticated.signer), |answer| {
                answer.lifetime_secs(0).xor_mapped_address(received.remote);
            });
            return Ok(());
        }
        self.check_quotas(&authenticated.username)?;
        let is_v6 = message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY);
        let is_v6 = matches!(is_v6, Some([2, ..]));
        let relay = self.choose_port(Transport::Udp, is_v6, false, false)?;
        let extras = Extras::default();
        self.create(received, message, &authenticated, vec![relay], extras, lifetime, now);
        Ok(())
    }

    /// Opens the permission and passes the data on. Never answered.
    fn ms_send(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), InputError> {
        let id = self.live(received).ok_or(InputError::NotPermitted)?;
        self.verify_owner(id, message)?;
        let (Some(peer), Some(data)) =
            (message.address(AttributeType::MS_DESTINATION_ADDRESS), message.data())
        else {
            return Err(InputError::Unexpected);
        };
        let data = match (received.transport, data) {
            (Transport::Udp, data) => data,
            // RFC 4571 framing inside
            (Transport::Tcp, [l0, l1, data @ ..])
                if usize::from(u16::from_be_bytes([*l0, *l1])) == data.len() =>
            {
                data
            }
            (Transport::Tcp, _) => return Err(InputError::Unexpected),
        };
        self.check_sequence(id, message)?;
        self.check_peer(id, peer).map_err(|_| InputError::NotPermitted)?;
        self.ms_permit(id, peer, now).map_err(|_| InputError::NotPermitted)?;
        let forward = self.relay_out(*received, peer, data, now)?;
        let transmit = forward.to_transmit();
        self.transmits.push_back(transmit);
        Ok(())
    }

    fn ms_set_active(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let id = self.live(received).ok_or(MISMATCH)?;
        if self.verify_owner(id, message).is_err() {
            return Err(Refusal::challenge(431, "Integrity Check Failure"));
        }
        let peer = message.address(AttributeType::MS_DESTINATION_ADDRESS);
        let peer = peer.ok_or(Refusal::new(400, "Bad Request"))?;
        self.check_peer(id, peer)?;
        self.ms_permit(id, peer, now)?;
        let Some(allocation) = self.allocations.get_mut(&id) else { return Err(MISMATCH) };
        if let Some(state) = &mut allocation.ms {
            // A repeated request sets the same destination again: its number need not be new.
            state.active = Some(peer);
        }
        let signer = allocation.signer.clone();
        let sequence = sequence_value(allocation);
        self.answer(received, message, Class::Success, Some(&signer), |answer| {
            answer.u32(AttributeType::MS_VERSION, MS_VERSION);
            answer.attribute(AttributeType::MS_SEQUENCE_NUMBER, &sequence);
        });
        Ok(())
    }

    fn verify_owner(&self, id: u64, message: &Message<'_>) -> Result<(), InputError> {
        let allocation = self.allocations.get(&id).ok_or(InputError::NotPermitted)?;
        if allocation.ms.is_none() || message.username() != Some(&allocation.username) {
            return Err(InputError::NotPermitted);
        }
        Ok(allocation.signer.verify(message)?)
    }

    /// A number that was used before is a replay; clients may leave the number out.
    fn check_sequence(&mut self, id: u64, message: &Message<'_>) -> Result<(), InputError> {
        let value = message.attribute(AttributeType::MS_SEQUENCE_NUMBER);
        let Some((connection, number)) = value.and_then(<[u8]>::split_first_chunk::<20>) else {
            return Ok(());
        };
        let number = number.try_into().map_err(|_| InputError::Unexpected)?;
        let state = self.allocations.get_mut(&id).and_then(|allocation| allocation.ms.as_mut());
        let Some(state) = state else { return Err(InputError::NotPermitted) };
        if *connection != state.connection || !state.accept(u32::from_be_bytes(number)) {
            return Err(InputError::NotPermitted);
        }
        Ok(())
    }

    fn ms_permit(&mut self, id: u64, peer: SocketAddr, now: Instant) -> Result<(), Refusal> {
        let limit = self.config.limits.permissions;
        let Some(allocation) = self.allocations.get_mut(&id) else { return Err(MISMATCH) };
        if !allocation.permissions.contains_key(&peer.ip()) && allocation.permissions.len() >= limit
        {
            allocation.purge(now);
            if allocation.permissions.len() >= limit {
                return Err(super::allocate::INSUFFICIENT);
            }
        }
        allocation.permit(peer.ip(), now);
        Ok(())
    }

    /// The answer to the Allocate request that made an allocation.
    pub(super) fn write_ms_allocated(&self, id: u64, request: Request) -> Option<Bytes> {
        self.write_ms_lifetime(id, request, self.allocations.get(&id)?.lifetime)
    }

    fn write_ms_lifetime(&self, id: u64, request: Request, lifetime: Duration) -> Option<Bytes> {
        let allocation = self.allocations.get(&id)?;
        let tuple = allocation.tuple;
        let relayed = allocation.relays.first()?.public;
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        let sequence = sequence_value(allocation);
        let bandwidth = self.config.limits.octets_per_second;
        let fill = |answer: &mut MessageBuilder<'_>| {
            answer.address(AttributeType::MAPPED_ADDRESS, relayed);
            answer.xor_mapped_address(tuple.remote);
            answer.lifetime_secs(seconds);
            if let Some(octets) = bandwidth {
                let kilobits = u32::try_from(octets.saturating_mul(8) / 1000).unwrap_or(u32::MAX);
                answer.u32(AttributeType::MS_BANDWIDTH, kilobits);
            }
            answer.u32(AttributeType::MS_VERSION, MS_VERSION);
            answer.attribute(AttributeType::MS_SEQUENCE_NUMBER, &sequence);
        };
        let signer = Some(&allocation.signer);
        self.write_answer(tuple.transport, request, Class::Success, signer, fill)
    }
}

/// MS-SEQUENCE-NUMBER as it stands when an allocation begins: the client counts on from 0.
fn sequence_value(allocation: &Allocation) -> [u8; 24] {
    let mut value = [0; 24];
    if let (Some(state), Some(place)) = (&allocation.ms, value.first_chunk_mut::<20>()) {
        *place = state.connection;
    }
    value
}

/// Attributes below 0x8000 of [MS-TURN] 2.2.2.
fn is_known(kind: AttributeType) -> bool {
    matches!(kind.0, 0x0001 | 0x0006 | 0x0008 | 0x0009 | 0x000a | 0x000d..=0x0015 | 0x0017)
}

/// [MS-TURN] 2.2.2: version 1.
const MS_VERSION: u32 = 1;
