use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// What a mapping of a [`Nat`] is for (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mapping {
    /// One for an inside address, whomever it writes to.
    EndpointIndependent,
    /// Another one for each address and port written to.
    AddressAndPortDependent,
}

/// Whose packets a mapping lets in (RFC 4787 §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filtering {
    /// Everybody's.
    EndpointIndependent,
    /// Those of addresses that were written to.
    AddressDependent,
    /// Those of addresses and ports that were written to.
    AddressAndPortDependent,
}

/// How a [`Nat`] behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NatConfig {
    /// RFC 4787 §4.1.
    pub mapping: Mapping,
    /// RFC 4787 §5.
    pub filtering: Filtering,
    /// RFC 4787 §6: two hosts inside reach each other by their outside addresses.
    pub hairpin: bool,
    /// RFC 4787 §4.2.1: the outside port is the inside one where that is free.
    pub port_preservation: bool,
    /// Without a packet from inside for so long a mapping ends (RFC 4787 §4.3).
    pub lifetime: Duration,
}

impl NatConfig {
    /// The mapping and the filtering, without hairpinning and port preservation.
    #[must_use]
    pub const fn new(mapping: Mapping, filtering: Filtering) -> Self {
        Self {
            mapping,
            filtering,
            hairpin: false,
            port_preservation: false,
            lifetime: Duration::from_secs(120),
        }
    }
}

/// An address translator for UDP with one outside address.
///
/// ```
/// use linkspan_testnet::{Filtering, Mapping, Nat, NatConfig};
/// use std::time::Instant;
///
/// let config = NatConfig::new(Mapping::EndpointIndependent, Filtering::AddressDependent);
/// let mut nat = Nat::new(config, "203.0.113.1".parse().unwrap());
/// let now = Instant::now();
/// let (inside, server) = ("10.0.0.2:5000".parse().unwrap(), "198.51.100.1:3478".parse().unwrap());
/// let outside = nat.outbound(inside, server, now);
/// assert_eq!(nat.inbound(server, outside, now), Some(inside));
/// assert_eq!(nat.inbound("192.0.2.9:1".parse().unwrap(), outside, now), None);
/// ```
#[derive(Clone, Debug)]
pub struct Nat {
    config: NatConfig,
    outside: IpAddr,
    entries: Vec<Entry>,
    next_port: u16,
}

#[derive(Clone, Debug)]
struct Entry {
    inside: SocketAddr,
    /// Whom it is for, where mappings depend on that.
    only: Option<SocketAddr>,
    outside: SocketAddr,
    written_to: Vec<SocketAddr>,
    used_at: Instant,
}

impl Nat {
    /// A translator with that outside address.
    #[must_use]
    pub const fn new(config: NatConfig, outside: IpAddr) -> Self {
        Self { config, outside, entries: Vec::new(), next_port: 40_000 }
    }

    /// The outside address.
    #[must_use]
    pub const fn outside(&self) -> IpAddr {
        self.outside
    }

    /// How it behaves.
    #[must_use]
    pub const fn config(&self) -> NatConfig {
        self.config
    }

    /// The source that a packet of an inside host has outside.
    pub fn outbound(&mut self, from: SocketAddr, to: SocketAddr, now: Instant) -> SocketAddr {
        let lifetime = self.config.lifetime;
        self.entries.retain(|entry| now.duration_since(entry.used_at) < lifetime);
        let only = match self.config.mapping {
            Mapping::EndpointIndependent => None,
            Mapping::AddressAndPortDependent => Some(to),
        };
        let known = self.entries.iter().position(|e| (e.inside, e.only) == (from, only));
        let index = known.unwrap_or_else(|| {
            let outside = SocketAddr::new(self.outside, self.free_port(from.port()));
            let (written_to, used_at) = (Vec::new(), now);
            self.entries.push(Entry { inside: from, only, outside, written_to, used_at });
            self.entries.len() - 1
        });
        let Some(entry) = self.entries.get_mut(index) else { return from };
        entry.used_at = now;
        if !entry.written_to.contains(&to) {
            entry.written_to.push(to);
        }
        entry.outside
    }

    /// The inside host that a packet to an outside address is let through to.
    #[must_use]
    pub fn inbound(&self, from: SocketAddr, to: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let entry = self.entries.iter().find(|entry| {
            entry.outside == to && now.duration_since(entry.used_at) < self.config.lifetime
        })?;
        let mut written = entry.written_to.iter();
        let is_let_in = match self.config.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => written.any(|known| known.ip() == from.ip()),
            Filtering::AddressAndPortDependent => written.any(|known| *known == from),
        };
        is_let_in.then_some(entry.inside)
    }

    fn free_port(&mut self, wanted: u16) -> u16 {
        let is_taken = |port, entries: &[Entry]| entries.iter().any(|e| e.outside.port() == port);
        if self.config.port_preservation && !is_taken(wanted, &self.entries) {
            return wanted;
        }
        while is_taken(self.next_port, &self.entries) {
            self.next_port += 1;
        }
        self.next_port += 1;
        self.next_port - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn mapping_and_filtering_are_as_configured() {
        use Filtering as F;
        let now = Instant::now();
        let (host, one, two) = (at("10.0.0.2:5000"), at("192.0.2.1:1"), at("192.0.2.1:2"));
        let far = at("192.0.2.2:1");
        for (mapping, filtering, lets_in) in [
            (Mapping::EndpointIndependent, F::EndpointIndependent, [true, true, true]),
            (Mapping::EndpointIndependent, F::AddressDependent, [true, true, false]),
            (Mapping::EndpointIndependent, F::AddressAndPortDependent, [true, false, false]),
            (Mapping::AddressAndPortDependent, F::AddressAndPortDependent, [true, false, false]),
        ] {
            let mut nat = Nat::new(NatConfig::new(mapping, filtering), at("203.0.113.1:1").ip());
            let outside = nat.outbound(host, one, now);
            let found = [one, two, far].map(|from| nat.inbound(from, outside, now).is_some());
            assert_eq!(found, lets_in, "{mapping:?} {filtering:?}");
            let is_same = nat.outbound(host, far, now) == outside;
            assert_eq!(is_same, mapping == Mapping::EndpointIndependent);
        }
    }

    #[test]
    fn mappings_end_and_ports_are_kept_where_free() {
        let now = Instant::now();
        let mut config = NatConfig::new(Mapping::EndpointIndependent, Filtering::AddressDependent);
        config.port_preservation = true;
        let mut nat = Nat::new(config, at("203.0.113.1:1").ip());
        let server = at("192.0.2.1:1");
        assert_eq!(nat.outbound(at("10.0.0.2:5000"), server, now).port(), 5000);
        assert_ne!(nat.outbound(at("10.0.0.3:5000"), server, now).port(), 5000);
        let later = now + config.lifetime;
        assert_eq!(nat.inbound(server, at("203.0.113.1:5000"), later), None);
    }
}
