//! Allocations whose client comes from another address than before (RFC 8016).

use linkspan_stun::{AttributeType, Message, Method};
use rand_core::Rng;
use std::collections::HashMap;

use super::requests::{BAD_REQUEST, MISMATCH};
use super::{FiveTuple, Refusal, ServerEvent, TurnServer};
use crate::{Received, Transport};

/// The allocations that tickets name. A ticket is a number that nobody guesses: what it stands for
/// stays here.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    allocations: HashMap<Ticket, u64>,
}

pub(super) type Ticket = [u8; 16];

/// The tickets of an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) current: Ticket,
    /// Still good, for the answer that brought the current one may have been lost.
    pub(super) previous: Option<Ticket>,
}

impl Tickets {
    /// The allocation that a Refresh request names, wherever it comes from.
    pub(super) fn owner(&self, message: &Message<'_>) -> Option<u64> {
        let ticket = message.attribute(AttributeType::MOBILITY_TICKET)?;
        let id = self.allocations.get(ticket).copied();
        id.filter(|_| message.method() == Method::Refresh)
    }

    pub(super) fn remove(&mut self, held: Held) {
        self.allocations.remove(&held.current);
        if let Some(previous) = held.previous {
            self.allocations.remove(&previous);
        }
    }
}

impl TurnServer {
    /// Whether an Allocate request wants a ticket (RFC 8016 §3.1).
    pub(super) fn wants_ticket(&self, message: &Message<'_>) -> Result<bool, Refusal> {
        let is_wanted = message.attribute(AttributeType::MOBILITY_TICKET).is_some();
        if is_wanted && !self.config.mobility { Err(MOBILITY_FORBIDDEN) } else { Ok(is_wanted) }
    }

    /// A new ticket for an allocation; the one before stays good until the next.
    pub(super) fn issue_ticket(&mut self, id: u64) -> Option<Ticket> {
        let mut current = [0; 16];
        self.random.fill_bytes(&mut current);
        let allocation = self.allocations.get_mut(&id)?;
        let previous = allocation.tickets.map(|held| held.current);
        let oldest = allocation.tickets.and_then(|held| held.previous);
        allocation.tickets = Some(Held { current, previous });
        if let Some(oldest) = oldest {
            self.tickets.allocations.remove(&oldest);
        }
        self.tickets.allocations.insert(current, id);
        Some(current)
    }

    /// The allocation of a ticket (RFC 8016 §3.2). That its owner asks was seen when the request
    /// was authenticated.
    pub(super) fn by_ticket(&self, received: &Received<'_>, ticket: &[u8]) -> Result<u64, Refusal> {
        if !self.config.mobility {
            return Err(MOBILITY_FORBIDDEN);
        }
        let id = *self.tickets.allocations.get(ticket).ok_or(BAD_REQUEST)?;
        let other = self.clients.get(&FiveTuple::of(received)).is_some_and(|one| *one != id);
        let found = self.allocations.get(&id).ok_or(MISMATCH)?;
        // RFC 6062 §4.1: a TCP allocation needs TCP to the server
        if found.protocol() == Transport::Tcp && received.transport != Transport::Tcp {
            return Err(BAD_REQUEST);
        }
        let is_live = found.is_live();
        if other || !is_live { Err(MISMATCH) } else { Ok(id) }
    }

    /// The allocation is where its client is from now on; gives the ticket for the next time.
    pub(super) fn follow(
        &mut self,
        id: u64,
        received: &Received<'_>,
        ticket: &[u8],
    ) -> Option<Ticket> {
        let tuple = FiveTuple::of(received);
        let allocation = self.allocations.get_mut(&id)?;
        let old = std::mem::replace(&mut allocation.tuple, tuple);
        let held = allocation.tickets?;
        if old != tuple {
            self.forget_client(old, id);
            self.clients.insert(tuple, id);
            let (from, to) = (old.remote, tuple.remote);
            self.events.push_back(ServerEvent::Moved { from, to });
        }
        // A repeated request has the ticket that was current before it.
        if held.current == *ticket { self.issue_ticket(id) } else { Some(held.current) }
    }

    /// The five-tuple is free for others.
    pub(super) fn forget_client(&mut self, tuple: FiveTuple, id: u64) {
        if self.clients.get(&tuple) == Some(&id) {
            self.clients.remove(&tuple);
        }
    }
}

/// RFC 8016 §3.4.
const MOBILITY_FORBIDDEN: Refusal = Refusal::new(405, "Mobility Forbidden");
