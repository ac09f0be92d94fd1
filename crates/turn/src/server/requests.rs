//! What clients ask of an allocation (RFC 8656 §8, §10, §12).

use linkspan_stun::{AttributeType, Class, Message};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocate::INSUFFICIENT;
use super::allocation::{CHANNEL_LIFETIME, Channel};
use super::auth::Authenticated;
use super::mobility::Ticket;
use super::{FiveTuple, Refusal, TurnServer};
use crate::{ChannelNumber, Received, Transport};

impl TurnServer {
    pub(super) fn handle_refresh(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        now: Instant,
    ) -> Result<(), Refusal> {
        let is_release = message.lifetime_secs() == Some(0);
        let ticket = message.attribute(AttributeType::MOBILITY_TICKET);
        let found = match ticket {
            Some(ticket) => Some(self.by_ticket(received, ticket)?),
            None => self.live(received),
        };
        let Some(id) = found else {
            if is_release {
                // A repeated release: the answer to the first was lost.
                self.answer_lifetime(received, message, authenticated, Duration::ZERO, None);
                return Ok(());
            }
            return Err(MISMATCH);
        };
        if let Some([family, ..]) = message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY) {
            let relays = self.allocations.get(&id).map_or(&[][..], |one| &one.relays);
            // RFC 8656 §8.2
            if !relays.iter().any(|relay| (*family == 2) == relay.public.is_ipv6()) {
                return Err(WRONG_FAMILY);
            }
        }
        let lifetime = if is_release { Duration::ZERO } else { self.lifetime(message) };
        let mut next = None;
        if is_release {
            self.delete(id);
        } else {
            self.extend(id, lifetime, now);
            next = ticket.and_then(|ticket| self.follow(id, received, ticket));
        }
        self.answer_lifetime(received, message, authenticated, lifetime, next);
        Ok(())
    }

    pub(super) fn extend(&mut self, id: u64, lifetime: Duration, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(&id) else { return };
        self.deadlines.remove(&(allocation.expires_at, id));
        allocation.lifetime = lifetime;
        allocation.expires_at = now + lifetime;
        self.deadlines.insert((allocation.expires_at, id));
        allocation.purge(now);
    }

    pub(super) fn handle_create_permission(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        now: Instant,
    ) -> Result<(), Refusal> {
        let id = self.live(received).ok_or(MISMATCH)?;
        // RFC 8656 §10.1: one attribute or more, all of them or none
        let mut peers = Vec::new();
        for attribute in message.attributes() {
            if attribute.kind == AttributeType::MESSAGE_INTEGRITY {
                break;
            }
            if attribute.kind == AttributeType::XOR_PEER_ADDRESS {
                let peer = crate::address::read_xor(attribute.value, &message.transaction_id());
                peers.push(peer.ok_or(BAD_REQUEST)?);
            }
        }
        if peers.is_empty() {
            return Err(BAD_REQUEST);
        }
        for peer in &peers {
            self.check_peer(id, *peer)?;
        }
        let limit = self.config.limits.permissions;
        let Some(allocation) = self.allocations.get_mut(&id) else { return Err(MISMATCH) };
        allocation.purge(now);
        let new = peers.iter().filter(|peer| !allocation.permissions.contains_key(&peer.ip()));
        if allocation.permissions.len() + new.count() > limit {
            return Err(INSUFFICIENT);
        }
        for peer in peers {
            allocation.permit(peer.ip(), now);
        }
        self.answer(received, message, Class::Success, Some(&authenticated.signer), |_| {});
        Ok(())
    }

    pub(super) fn handle_channel_bind(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        now: Instant,
    ) -> Result<(), Refusal> {
        let id = self.live(received).ok_or(MISMATCH)?;
        let number = message.channel_number().and_then(ChannelNumber::new).ok_or(BAD_REQUEST)?;
        let peer = message.peer_address().ok_or(BAD_REQUEST)?;
        self.check_peer(id, peer)?;
        if self.allocations.get(&id).is_some_and(|one| one.protocol() == Transport::Tcp) {
            return Err(BAD_REQUEST); // RFC 6062 §4: there are no channels
        }
        let limits = &self.config.limits;
        let Some(allocation) = self.allocations.get_mut(&id) else { return Err(MISMATCH) };
        allocation.purge(now);
        let number = number.get();
        // RFC 8656 §12.2: neither a bound number for another peer nor another number for a peer
        let other_peer = allocation.channels.get(&number).is_some_and(|one| one.peer != peer);
        let other_number = allocation.numbers.get(&peer).is_some_and(|one| *one != number);
        if other_peer || other_number {
            return Err(BAD_REQUEST);
        }
        let is_new = !allocation.channels.contains_key(&number);
        let needs_permission = !allocation.permissions.contains_key(&peer.ip());
        if (is_new && allocation.channels.len() >= limits.channels)
            || (needs_permission && allocation.permissions.len() >= limits.permissions)
        {
            return Err(INSUFFICIENT);
        }
        allocation.channels.insert(number, Channel { peer, expires_at: now + CHANNEL_LIFETIME });
        allocation.numbers.insert(peer, number);
        allocation.permit(peer.ip(), now);
        self.answer(received, message, Class::Success, Some(&authenticated.signer), |_| {});
        Ok(())
    }

    /// Whether the policy lets an allocation's packets to that peer.
    pub(super) fn check_peer(&self, id: u64, peer: SocketAddr) -> Result<(), Refusal> {
        let allocation = self.allocations.get(&id).ok_or(MISMATCH)?;
        if allocation.relay_for(peer).is_none() {
            return Err(WRONG_FAMILY);
        }
        let is_permitted = if self.own.contains(&peer.ip()) {
            // Which of our ports it is, is asked for each packet.
            self.config.hairpin && self.config.relays.iter().any(|relay| relay.public == peer.ip())
        } else {
            self.config.policy.permits(peer.ip())
        };
        if is_permitted { Ok(()) } else { Err(FORBIDDEN) }
    }

    pub(super) fn live(&self, received: &Received<'_>) -> Option<u64> {
        let id = *self.clients.get(&FiveTuple::of(received))?;
        self.allocations.get(&id)?.is_live().then_some(id)
    }

    fn answer_lifetime(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        lifetime: Duration,
        ticket: Option<Ticket>,
    ) {
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        self.answer(received, message, Class::Success, Some(&authenticated.signer), |answer| {
            answer.lifetime_secs(seconds);
            if let Some(ticket) = &ticket {
                answer.attribute(AttributeType::MOBILITY_TICKET, ticket);
            }
        });
    }
}

pub(super) const MISMATCH: Refusal = Refusal::new(437, "Allocation Mismatch");
pub(super) const BAD_REQUEST: Refusal = Refusal::new(400, "Bad Request");
pub(super) const FORBIDDEN: Refusal = Refusal::new(403, "Forbidden");
/// RFC 8656 §19: 443.
const WRONG_FAMILY: Refusal = Refusal::new(443, "Peer Address Family Mismatch");
