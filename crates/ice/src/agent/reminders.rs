//! Checks of what has succeeded already, for a peer whose own check did not.
//!
//! A check that arrives has the peer check anew where it had given up (RFC 8445 §7.3.1.4). The last
//! of ours that it needs is the one whose answer makes us stop. An agent that sends a check three
//! times, as libnice does in each of its modes, loses all three, or the answers to them, once in
//! eight times at 30 % loss: it would never nominate, or never select what it has nominated.

use super::Agent;
use crate::Role;
use crate::pair::PairState;
use crate::stream::Stream;
use std::time::{Duration, Instant};

impl Agent {
    /// How often a selected pair is checked once more: where RFC 7675 has it checked all the time
    /// there is no need.
    pub(super) fn reminders(&self) -> u8 {
        if self.config.lite || self.consent_of().is_some() { 0 } else { 4 }
    }

    /// Something has succeeded.
    pub(super) fn expect_reminder(&mut self, stream: usize, now: Instant) {
        let is_lite = self.config.lite;
        if let Some(this) = self.streams.get_mut(stream).filter(|_| !is_lite) {
            this.remind_at.get_or_insert(now + INTERVAL);
        }
    }

    /// Sends the checks that are due.
    pub(super) fn remind(&mut self, now: Instant) {
        for stream in 0..self.streams.len() {
            let Some(this) = self.streams.get_mut(stream) else { return };
            if this.remind_at.is_none_or(|at| at > now) {
                continue;
            }
            let pairs = due(this, self.role);
            this.remind_at = (!pairs.is_empty()).then_some(now + INTERVAL);
            let nominating = self.role == Role::Controlling;
            for pair in pairs {
                let mut own = self.transactions.iter().filter(|t| t.is_for_pair(stream, pair));
                if own.any(|check| !check.is_cancelled) {
                    continue;
                }
                self.send_check(stream, pair, nominating, now);
            }
        }
    }
}

/// The selected pairs that the peer may not know of; of components without one, the pair that it
/// should nominate.
fn due(stream: &mut Stream, role: Role) -> Vec<usize> {
    let mut pairs = Vec::new();
    for (number, component) in (1..).zip(&mut stream.components) {
        let selected = component.selected.as_mut().filter(|selected| selected.index.is_some());
        let Some(selected) = selected else {
            let valid =
                stream.pairs.iter().enumerate().filter(|(_, pair)| {
                    pair.component == number && pair.state == PairState::Succeeded
                });
            let best = valid.max_by_key(|(_, pair)| pair.priority);
            pairs.extend(best.filter(|_| role == Role::Controlled).map(|(index, _)| index));
            continue;
        };
        if selected.reminders > 0 {
            selected.reminders -= 1;
            pairs.extend(selected.index);
        }
    }
    pairs
}

/// Later than a peer that waits for better pairs, sooner than one that has failed gives up.
const INTERVAL: Duration = Duration::from_secs(2);
