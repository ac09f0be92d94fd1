use crate::{Link, Nat, NatConfig, Network, Packet};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Hosts with public addresses, hosts behind translators, and networks that let no datagram out,
/// joined by a [`Network`].
///
/// Hosts in different rooms behind one translator do not reach each other's inside addresses.
///
/// ```
/// use linkspan_testnet::{Filtering, Internet, Link, Mapping, NatConfig};
/// use std::time::Instant;
///
/// let mut internet = Internet::new(1, Link::default());
/// let config = NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
/// let nat = internet.add_nat(config, "203.0.113.1".parse().unwrap());
/// internet.place("10.0.0.2".parse().unwrap(), nat);
/// let (host, server) = ("10.0.0.2:5000".parse().unwrap(), "198.51.100.1:3478".parse().unwrap());
/// let now = Instant::now();
/// internet.send(now, host, server, b"who am I".to_vec());
/// let arrives = internet.next_arrival().unwrap();
/// assert_eq!(internet.receive(arrives).unwrap().from.ip().to_string(), "203.0.113.1");
/// ```
#[derive(Debug)]
pub struct Internet {
    network: Network,
    nats: Vec<Nat>,
    /// Which translator a host is behind.
    places: HashMap<IpAddr, usize>,
    /// Hosts whose networks drop datagrams.
    blocked: Vec<IpAddr>,
    /// Loss on the way to and from a host, besides that of the link.
    losses: HashMap<IpAddr, f64>,
    /// When the last piece of a stream arrives: what follows comes after it.
    streams: HashMap<(SocketAddr, SocketAddr), Instant>,
    delay: Duration,
}

impl Internet {
    /// An internet without hosts: addresses that are not placed are public.
    #[must_use]
    pub fn new(seed: u64, link: Link) -> Self {
        Self {
            network: Network::new(seed, link),
            nats: Vec::new(),
            places: HashMap::new(),
            blocked: Vec::new(),
            losses: HashMap::new(),
            streams: HashMap::new(),
            delay: link.delay,
        }
    }

    /// Adds a translator, and gives its number.
    pub fn add_nat(&mut self, config: NatConfig, outside: IpAddr) -> usize {
        self.nats.push(Nat::new(config, outside));
        self.nats.len() - 1
    }

    /// Puts a host behind a translator.
    pub fn place(&mut self, host: IpAddr, nat: usize) {
        self.places.insert(host, nat);
    }

    /// No datagram leaves or enters this host's network; streams do.
    pub fn block(&mut self, host: IpAddr) {
        self.blocked.push(host);
    }

    /// Share of packets that are lost to and from a host, 0.0 to 1.0.
    pub fn set_loss(&mut self, host: IpAddr, loss: f64) {
        self.losses.insert(host, loss);
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        if self.blocked.contains(&from.ip()) || self.is_lost(from.ip()) {
            return;
        }
        let place = self.places.get(&from.ip()).copied();
        let Some(nat) = place.and_then(|place| self.nats.get_mut(place)) else {
            self.network.send(now, from, to, payload);
            return;
        };
        let outside = nat.outbound(from, to, now);
        let turns_back = to.ip() == nat.outside();
        if !turns_back || nat.config().hairpin {
            self.network.send(now, outside, to, payload);
        }
    }

    /// Sends a piece of a stream: it arrives, in order, and later where packets are lost.
    pub fn send_stream(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        payload: Vec<u8>,
    ) {
        let mut wait = self.delay;
        while self.is_lost(from.ip()) || self.is_lost(to.ip()) {
            wait += FAST_RETRANSMISSION;
        }
        let last = self.streams.get(&(from, to)).copied();
        let at = (now + wait).max(last.unwrap_or(now));
        self.streams.insert((from, to), at);
        self.network.deliver(at, Packet { from, to, payload, is_stream: true });
    }

    /// When the next packet may arrive.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.network.next_arrival()
    }

    /// The next packet that has arrived at a host by `now`, at its inside address.
    pub fn receive(&mut self, now: Instant) -> Option<Packet> {
        while let Some(packet) = self.network.receive(now) {
            if packet.is_stream {
                return Some(packet);
            }
            let nat = self.nats.iter().find(|nat| nat.outside() == packet.to.ip());
            let to = match nat {
                Some(nat) => nat.inbound(packet.from, packet.to, now),
                // An inside address means nothing outside.
                None => (!self.places.contains_key(&packet.to.ip())).then_some(packet.to),
            };
            let Some(to) = to else { continue };
            if !self.blocked.contains(&to.ip()) && !self.is_lost(to.ip()) {
                return Some(Packet { to, ..packet });
            }
        }
        None
    }

    /// A number from 0.0 up to 1.0.
    pub fn chance(&mut self) -> f64 {
        self.network.chance()
    }

    fn is_lost(&mut self, host: IpAddr) -> bool {
        let loss = self.losses.get(&host).copied().unwrap_or(0.0);
        loss > 0.0 && self.network.chance() < loss
    }
}

/// How soon a stream repeats what was lost, with more under way behind it.
const FAST_RETRANSMISSION: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filtering, Mapping};

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn two_rooms_behind_one_translator_meet_by_hairpinning_only() {
        let now = Instant::now();
        for hairpin in [false, true] {
            let config = NatConfig {
                hairpin,
                ..NatConfig::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent)
            };
            let mut internet = Internet::new(1, Link::default());
            let nat = internet.add_nat(config, at("203.0.113.1:1").ip());
            let (one, two) = (at("10.0.1.2:5000"), at("10.0.2.2:5000"));
            internet.place(one.ip(), nat);
            internet.place(two.ip(), nat);
            // The way out of the second: the first mapping, port 40000.
            internet.send(now, two, at("198.51.100.1:1"), vec![0]);
            internet.send(now, one, two, vec![1]);
            internet.send(now, one, at("203.0.113.1:40000"), vec![2]);
            let mut seen = Vec::new();
            while let Some(next) = internet.next_arrival() {
                seen.extend(internet.receive(next).map(|packet| (packet.to, packet.payload)));
            }
            let expected = if hairpin { 2 } else { 1 };
            assert_eq!(seen.len(), expected, "{seen:?}");
            assert!(!hairpin || seen.contains(&(two, vec![2])));
        }
    }

    #[test]
    fn streams_keep_their_order_under_loss() {
        let now = Instant::now();
        let mut internet = Internet::new(1, Link::default());
        let (host, server) = (at("192.0.2.1:1"), at("192.0.2.2:2"));
        internet.set_loss(host.ip(), 0.5);
        internet.block(host.ip());
        for n in 0..50 {
            internet.send_stream(now, host, server, vec![n]);
        }
        internet.send(now, host, server, vec![99]);
        let mut seen = Vec::new();
        while let Some(next) = internet.next_arrival() {
            seen.extend(internet.receive(next).map(|packet| packet.payload[0]));
        }
        assert_eq!(seen, (0..50).collect::<Vec<u8>>());
    }
}
