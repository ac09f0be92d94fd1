use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which peers a server relays to. Without it a TURN server is a way into the network it stands
/// in.
///
/// The default refuses what is not a host of the public internet: loopback, private, shared,
/// link-local, multicast and reserved addresses of both families, the same inside IPv6 addresses
/// that embed IPv4 ones, and the server's own addresses but for the relayed ones in use.
///
/// ```
/// use linkspan_turn::PeerPolicy;
///
/// let policy = PeerPolicy::default();
/// assert!(policy.permits("198.51.100.7".parse()?));
/// assert!(!policy.permits("10.0.0.1".parse()?));
/// assert!(!policy.permits("::ffff:127.0.0.1".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PeerPolicy {
    /// Networks that are relayed to although the default refuses them.
    pub allow: Vec<Network>,
    /// Networks that are not relayed to; wins over `allow`.
    pub deny: Vec<Network>,
}

impl PeerPolicy {
    /// Relays to every address but multicast and unspecified ones: for tests, and for networks
    /// without anything to protect.
    #[must_use]
    pub fn permissive() -> Self {
        let all = |base| Network { base, prefix: 0 };
        Self {
            allow: vec![all(Ipv4Addr::UNSPECIFIED.into()), all(Ipv6Addr::UNSPECIFIED.into())],
            deny: Vec::new(),
        }
    }

    /// True when `allow` names the address, and `deny` does not: what it takes for one of the
    /// server's own addresses.
    #[must_use]
    pub fn names(&self, peer: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(peer)) && self.permits(peer)
    }

    /// True when a peer at that address may be relayed to.
    #[must_use]
    pub fn permits(&self, peer: IpAddr) -> bool {
        let inner = embedded(peer);
        let is_in = |networks: &[Network]| {
            networks.iter().any(|network| {
                network.contains(peer) || inner.is_some_and(|inner| network.contains(inner.into()))
            })
        };
        if is_in(&self.deny) || peer.is_multicast() || peer.is_unspecified() {
            return false;
        }
        is_in(&self.allow) || (is_public(peer) && inner.is_none_or(|inner| is_public(inner.into())))
    }
}

/// Addresses with the same first bits.
///
/// ```
/// use linkspan_turn::Network;
///
/// let network = Network { base: "10.1.0.0".parse()?, prefix: 16 };
/// assert!(network.contains("10.1.2.3".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Any address of it.
    pub base: IpAddr,
    /// Number of bits that are the same; more than the address has means all.
    pub prefix: u8,
}

impl Network {
    /// True when the address is of this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differ = u32::from(base) ^ u32::from(address);
                differ.leading_zeros() >= u32::from(self.prefix.min(32))
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differ = u128::from(base) ^ u128::from(address);
                differ.leading_zeros() >= u32::from(self.prefix.min(128))
            }
            _ => false,
        }
    }
}

/// The IPv4 address inside an IPv6 address that leads to it.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let word = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // RFC 4291 §2.5.5: compatible and mapped; RFC 6052 §2.1: NAT64; RFC 3056 §2: 6to4
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b] if a != 0 || b > 1 => Some(word(a, b)),
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => Some(word(a, b)),
        _ => None,
    }
}

/// Not one of the special-purpose ranges that are no host of the public internet (RFC 6890).
/// Documentation ranges pass: nothing is reached there.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            !(a == 0
                || ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
                || (a == 100 && b & 0xc0 == 64) // RFC 6598: shared by carriers
                || (a == 192 && b == 0 && ip.octets().get(2) == Some(&0)) // RFC 6890: IETF protocols
                || (a == 198 && b & 0xfe == 18) // RFC 2544: benchmarks
                || a >= 240)
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            !(ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || first & 0xfe00 == 0xfc00 // RFC 4193: unique local
                || first & 0xffc0 == 0xfe80 // RFC 4291 §2.5.6: link-local
                || first & 0xffc0 == 0xfec0 // RFC 3879: site-local
                || (first == 0x2001 && second == 0) // RFC 4380: Teredo hides an IPv4 address
                || (first == 0x64 && second == 0xff9b && ip.segments().get(2) == Some(&1)) // RFC 8215
                || (first == 0x100 && second == 0)) // RFC 6666: discard
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_keeps_to_the_public_internet() {
        let policy = PeerPolicy::default();
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "100::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2001::1",
        ] {
            assert!(!policy.permits(refused.parse().unwrap()), "{refused}");
        }
        for permitted in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "2606:4700::1",
            "2001:db8::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(policy.permits(permitted.parse().unwrap()), "{permitted}");
        }
    }

    #[test]
    fn networks_are_allowed_and_denied() {
        let network = |base: &str, prefix| Network { base: base.parse().unwrap(), prefix };
        let policy = PeerPolicy {
            allow: vec![network("10.0.0.0", 8)],
            deny: vec![network("10.9.0.0", 16), network("8.8.8.8", 32)],
        };
        for (address, permitted) in [
            ("10.1.1.1", true),
            ("10.9.1.1", false),
            ("192.168.0.1", false),
            ("8.8.8.8", false),
            ("8.8.4.4", true),
            ("::ffff:10.9.1.1", false),
            ("::ffff:10.1.1.1", true),
        ] {
            assert_eq!(policy.permits(address.parse().unwrap()), permitted, "{address}");
        }
        let all = PeerPolicy::permissive();
        assert!(all.permits("127.0.0.1".parse().unwrap()) && all.permits("::1".parse().unwrap()));
        assert!(!all.permits("224.0.0.1".parse().unwrap()));
    }
}
