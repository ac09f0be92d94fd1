//! Input that was refused, told at most once a second and side: a flood fills no log.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::core::Core;
use crate::event::GatewayEvent;
use crate::id::Side;

/// What was refused on one side, or without one, and has not been told yet.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    kinds: [Kind; 3],
}

#[derive(Debug, Default)]
struct Kind {
    /// Told last.
    told: Option<Instant>,
    /// How many since then, and the last one of them.
    pending: Option<(u64, SocketAddr, String)>,
}

/// Refusals of a side are told this often.
const INTERVAL: Duration = Duration::from_secs(1);

impl Kind {
    fn due(&self) -> Option<Instant> {
        self.pending.as_ref().and(self.told).map(|told| told + INTERVAL)
    }
}

impl Refusals {
    /// When something is to be told.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.kinds.iter().filter_map(Kind::due).min()
    }
}

impl Core {
    /// Counts a refusal; the first one is told at once, those that follow within a second together.
    pub(crate) fn refused(
        &mut self,
        side: Option<Side>,
        remote: SocketAddr,
        reason: &str,
        now: Instant,
    ) {
        self.counters.messages_refused += 1;
        let Some(kind) = self.refusals.kinds.get_mut(index(side)) else { return };
        match &mut kind.pending {
            Some((count, ..)) => *count += 1,
            none => *none = Some((1, remote, reason.to_owned())),
        }
        self.tell_refusals(now);
    }

    /// Tells what is due.
    pub(crate) fn tell_refusals(&mut self, now: Instant) {
        for side in [Some(Side::Lync), Some(Side::Standard), None] {
            let Some(kind) = self.refusals.kinds.get_mut(index(side)) else { continue };
            if kind.told.is_some_and(|told| now < told + INTERVAL) {
                continue;
            }
            let Some((count, remote, reason)) = kind.pending.take() else { continue };
            kind.told = Some(now);
            self.tell(GatewayEvent::Refused { side, remote, reason, count });
        }
    }
}

const fn index(side: Option<Side>) -> usize {
    match side {
        Some(Side::Lync) => 0,
        Some(Side::Standard) => 1,
        None => 2,
    }
}
