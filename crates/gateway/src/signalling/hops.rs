//! Which next hops have failed of late: those are tried last.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::{NextHop, SignallingTransport};

/// Next hops that did not answer, or answered 503, until when they are held back.
#[derive(Debug, Default)]
pub(crate) struct FailedHops {
    until: HashMap<(SignallingTransport, SocketAddr), Instant>,
}

/// RFC 3263 §4.3 leaves it to the client; Lync's own servers look again after a minute.
const HOLD: Duration = Duration::from_secs(60);
/// Failures remembered; there are no more next hops than that in a configuration of sense.
const MOST: usize = 1_024;

impl FailedHops {
    /// The hop did not answer.
    pub(crate) fn failed(&mut self, hop: &NextHop, address: SocketAddr, now: Instant) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() < MOST {
            self.until.insert((hop.transport, address), now + HOLD);
        }
    }

    /// It has answered.
    pub(crate) fn lives(&mut self, hop: &NextHop, address: SocketAddr) {
        self.until.remove(&(hop.transport, address));
    }

    /// Puts those that have failed of late behind the others, without changing the order otherwise:
    /// when all have failed, all are tried again.
    pub(crate) fn sort(&self, hops: &mut [(NextHop, SocketAddr)], now: Instant) {
        let held = |(hop, address): &(NextHop, SocketAddr)| {
            self.until.get(&(hop.transport, *address)).is_some_and(|until| *until > now)
        };
        hops.sort_by_key(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_hops_are_tried_last_for_a_minute() {
        let now = Instant::now();
        let hops: Vec<(NextHop, SocketAddr)> = ["tls:192.0.2.1", "tls:192.0.2.2", "tls:192.0.2.3"]
            .iter()
            .map(|text| text.parse::<NextHop>().unwrap())
            .map(|hop| (hop.clone(), hop.socket_addresses().next().unwrap()))
            .collect();
        let order = |failed: &FailedHops, now| {
            let mut sorted = hops.clone();
            failed.sort(&mut sorted, now);
            sorted.iter().map(|(hop, _)| hop.host.clone()).collect::<Vec<_>>()
        };
        let mut failed = FailedHops::default();
        failed.failed(&hops[0].0, hops[0].1, now);
        assert_eq!(order(&failed, now), ["192.0.2.2", "192.0.2.3", "192.0.2.1"]);
        failed.failed(&hops[1].0, hops[1].1, now);
        failed.failed(&hops[2].0, hops[2].1, now);
        assert_eq!(order(&failed, now), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        failed.lives(&hops[1].0, hops[1].1);
        assert_eq!(order(&failed, now), ["192.0.2.2", "192.0.2.1", "192.0.2.3"]);
        assert_eq!(order(&failed, now + HOLD), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    }
}
