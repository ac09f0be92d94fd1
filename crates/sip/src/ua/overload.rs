//! Peers that ask for rest: 503 with Retry-After (RFC 3261 §21.5.4).

use core::time::Duration;
use std::time::Instant;

use crate::message::Message;
use crate::method::StatusCode;
use crate::path::Path;
use crate::ua::{UserAgent, VerbError};

impl UserAgent {
    /// Until when the peer of a path asked to be left in peace. Until then new calls,
    /// subscriptions and requests outside a dialog are refused with [`VerbError::Overloaded`],
    /// so that the caller tries another server; what runs goes on.
    pub fn resting_until(&self, path: &Path) -> Option<Instant> {
        self.resting.get(&(path.transport, path.remote)).copied()
    }

    pub(super) fn check_rest(&mut self, path: &Path, now: Instant) -> Result<(), VerbError> {
        match self.resting_until(path) {
            Some(until) if until > now => Err(VerbError::Overloaded),
            Some(_) => {
                self.resting.remove(&(path.transport, path.remote));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes what a response says, for the path that its request took.
    pub(super) fn note_rest(&mut self, response: &Message<'_>, now: Instant) {
        if response.status() != Some(StatusCode::SERVICE_UNAVAILABLE) {
            return;
        }
        let wait = response.retry_after().ok().flatten().and_then(|value| value.number());
        let Some(wait) = wait.filter(|&wait| wait > 0) else { return };
        let Some((_, path)) = self.transactions.sent_for(response) else { return };
        if self.resting.len() >= MAX_RESTING {
            self.resting.retain(|_, until| *until > now);
        }
        let wait = Duration::from_secs(wait.into()).min(MAX_REST);
        if self.resting.len() < MAX_RESTING
            && let Some(until) = now.checked_add(wait)
        {
            self.resting.insert((path.transport, path.remote), until);
        }
    }
}

/// Peers of whom it is remembered.
const MAX_RESTING: usize = 1024;
/// No peer is left alone for longer.
const MAX_REST: Duration = Duration::from_secs(3600);
