use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Reads an address value (RFC 8489 §14.1).
pub(crate) fn read(value: &[u8]) -> Option<SocketAddr> {
    match *value {
        [_, 1, p0, p1, a, b, c, d] => {
            let port = u16::from_be_bytes([p0, p1]);
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
        }
        [_, 2, p0, p1, ref rest @ ..] => {
            let octets: [u8; 16] = rest.try_into().ok()?;
            let port = u16::from_be_bytes([p0, p1]);
            Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(octets)), port))
        }
        _ => None,
    }
}

/// The obscured form (RFC 8489 §14.2), its own inverse. `mask` is octets 4 to 19 of the header:
/// with the magic cookie in it that is the rule of RFC 8489, without it that of the older drafts.
pub(crate) fn xor(address: SocketAddr, mask: &[u8; 16]) -> SocketAddr {
    let [m0, m1, m2, m3, ..] = *mask;
    let port = address.port() ^ u16::from_be_bytes([m0, m1]);
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) ^ u32::from_be_bytes([m0, m1, m2, m3])).into()),
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) ^ u128::from_be_bytes(*mask)).into()),
    };
    SocketAddr::new(ip, port)
}

/// An address value, at most 20 octets.
pub(crate) fn octets(address: SocketAddr) -> ([u8; 20], usize) {
    let mut value = [0; 20];
    let [p0, p1] = address.port().to_be_bytes();
    let (head, tail) = value.split_at_mut(4);
    match address.ip() {
        IpAddr::V4(ip) => {
            head.copy_from_slice(&[0, 1, p0, p1]);
            tail.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
            (value, 8)
        }
        IpAddr::V6(ip) => {
            head.copy_from_slice(&[0, 2, p0, p1]);
            tail.copy_from_slice(&ip.octets());
            (value, 20)
        }
    }
}
