use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How the virtual network treats what is sent through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// One-way delay of a packet that is not held back.
    pub delay: Duration,
    /// Extra delay, drawn uniformly from zero to this: what reorders packets.
    pub jitter: Duration,
    /// Share of packets lost, 0.0 to 1.0.
    pub loss: f64,
    /// Share of packets delivered twice, 0.0 to 1.0.
    pub duplication: f64,
    /// Largest payload in octets that passes.
    pub mtu: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            mtu: 65_535,
        }
    }
}

/// A packet that has arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Address it was sent from.
    pub from: SocketAddr,
    /// Address it was sent to.
    pub to: SocketAddr,
    /// Its octets.
    pub payload: Vec<u8>,
    /// A piece of a stream, no datagram.
    pub is_stream: bool,
}

/// A seeded network in virtual time: the same seed and calls give the same arrivals.
///
/// ```
/// use linkspan_testnet::{Link, Network};
/// use std::time::Instant;
///
/// let mut network = Network::new(7, Link::default());
/// let now = Instant::now();
/// let (a, b) = ("192.0.2.1:5000".parse().unwrap(), "192.0.2.2:5000".parse().unwrap());
/// network.send(now, a, b, b"hello".to_vec());
/// let arrives = network.next_arrival().unwrap();
/// assert_eq!(network.receive(arrives).unwrap().payload, b"hello");
/// ```
#[derive(Debug)]
pub struct Network {
    link: Link,
    state: u64,
    sent: u64,
    in_flight: BTreeMap<(Instant, u64), Packet>,
}

impl Network {
    /// A network whose every packet crosses `link`.
    #[must_use]
    pub fn new(seed: u64, link: Link) -> Self {
        Self { link, state: seed, sent: 0, in_flight: BTreeMap::new() }
    }

    /// Changes what happens to packets sent from now on.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Sends a packet: it will arrive never, once or twice.
    pub fn send(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        let lost = self.chance() < self.link.loss;
        let copies = if self.chance() < self.link.duplication { 2 } else { 1 };
        if lost || payload.len() > self.link.mtu {
            return;
        }
        for _ in 0..copies {
            let at = now + self.link.delay + self.link.jitter.mul_f64(self.chance());
            self.sent += 1;
            let packet = Packet { from, to, payload: payload.clone(), is_stream: false };
            self.in_flight.insert((at, self.sent), packet);
        }
    }

    /// A packet that arrives at that time, whatever the link does.
    pub fn deliver(&mut self, at: Instant, packet: Packet) {
        self.sent += 1;
        self.in_flight.insert((at, self.sent), packet);
    }

    /// When the next packet arrives; `None` when nothing is under way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.keys().next().map(|(at, _)| *at)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Packet> {
        let entry = self.in_flight.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// A number from 0.0 up to 1.0 (splitmix64).
    pub fn chance(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> (SocketAddr, SocketAddr) {
        ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap())
    }

    fn arrivals(seed: u64, link: Link) -> Vec<u8> {
        let (a, b) = addresses();
        let now = Instant::now();
        let mut network = Network::new(seed, link);
        for n in 0..200 {
            network.send(now + Duration::from_millis(u64::from(n)), a, b, vec![n]);
        }
        let mut seen = Vec::new();
        while let Some(at) = network.next_arrival() {
            seen.push(network.receive(at).unwrap().payload[0]);
        }
        seen
    }

    #[test]
    fn same_seed_gives_the_same_arrivals() {
        let link = Link {
            loss: 0.3,
            duplication: 0.2,
            jitter: Duration::from_millis(50),
            ..Link::default()
        };
        assert_eq!(arrivals(1, link), arrivals(1, link));
        assert_ne!(arrivals(1, link), arrivals(2, link));
    }

    #[test]
    fn a_perfect_link_keeps_everything_in_order() {
        assert_eq!(arrivals(3, Link::default()), (0..200).collect::<Vec<u8>>());
    }

    #[test]
    fn loss_and_duplication_come_near_their_shares() {
        let lossy = arrivals(4, Link { loss: 0.5, ..Link::default() });
        assert!((70..130).contains(&lossy.len()), "{} of 200 arrived", lossy.len());
        let doubled = arrivals(5, Link { duplication: 1.0, ..Link::default() });
        assert_eq!(doubled.len(), 400);
    }
}
