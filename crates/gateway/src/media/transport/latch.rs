use core::time::Duration;
use std::net::SocketAddr;
use std::time::Instant;

/// Where packets go to without ICE: the description's address, corrected by where the peer's
/// packets come from ("symmetric RTP", RFC 4961, RFC 7362 §4).
///
/// In clear the first source wins and is kept as long as it sends; another one is taken only after
/// a silence, so that a third party cannot steal a running stream. With SRTP every packet has
/// proved that it comes from the peer, and the last source wins.
#[derive(Debug)]
pub(super) struct Latch {
    signalled: SocketAddr,
    latched: Option<(SocketAddr, Instant)>,
}

impl Latch {
    const SILENCE: Duration = Duration::from_secs(5);

    pub(super) const fn new(signalled: SocketAddr) -> Self {
        Self { signalled, latched: None }
    }

    /// The description names another address: the latch opens.
    pub(super) fn signal(&mut self, address: SocketAddr) {
        if self.signalled != address {
            *self = Self::new(address);
        }
    }

    /// Where to send, if that is a place that can be sent to.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let target = self.latched.map_or(self.signalled, |(address, _)| address);
        (!target.ip().is_unspecified() && target.port() != 0).then_some(target)
    }

    /// Whether a packet from `source` may be the peer's. Changes nothing.
    pub(super) fn admits(&self, source: SocketAddr, encrypted: bool, now: Instant) -> bool {
        encrypted
            || self.latched.is_none_or(|(address, at)| {
                address == source || now.saturating_duration_since(at) >= Self::SILENCE
            })
    }

    /// A good packet has come from `source`.
    pub(super) fn confirm(&mut self, source: SocketAddr, now: Instant) {
        self.latched = Some((source, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_in_clear_is_kept_while_it_sends() {
        let now = Instant::now();
        let [signalled, nat, thief]: [SocketAddr; 3] =
            ["192.0.2.1:4000", "198.51.100.1:9", "203.0.113.1:7"].map(|a| a.parse().unwrap());
        let mut latch = Latch::new(signalled);
        assert_eq!(latch.target(), Some(signalled));
        assert!(latch.admits(nat, false, now));
        latch.confirm(nat, now);
        assert_eq!(latch.target(), Some(nat));
        let soon = now + Duration::from_secs(4);
        assert!(latch.admits(nat, false, soon));
        assert!(!latch.admits(thief, false, soon));
        assert!(latch.admits(thief, true, soon));
        assert!(latch.admits(thief, false, now + Duration::from_secs(5)));
        latch.signal(signalled);
        assert_eq!(latch.target(), Some(nat));
        latch.signal(thief);
        assert_eq!(latch.target(), Some(thief));
    }

    #[test]
    fn nothing_is_sent_to_nowhere() {
        for address in ["0.0.0.0:4000", "192.0.2.1:0", "[::]:5"] {
            assert_eq!(Latch::new(address.parse().unwrap()).target(), None, "{address}");
        }
    }
}
