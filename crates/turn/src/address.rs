use linkspan_stun::TransactionId;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An obscured address (RFC 8489 §14.2): for attributes that a message has more than once.
pub(crate) fn read_xor(value: &[u8], id: &TransactionId) -> Option<SocketAddr> {
    let mask = id.as_octets();
    let [m0, m1, m2, m3, ..] = *mask;
    let (&[_, family, p0, p1], address) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([p0, p1]) ^ u16::from_be_bytes([m0, m1]);
    let ip = match family {
        1 => {
            let ip = u32::from_be_bytes(address.try_into().ok()?);
            IpAddr::V4((ip ^ u32::from_be_bytes([m0, m1, m2, m3])).into())
        }
        2 => {
            let ip = u128::from_be_bytes(address.try_into().ok()?);
            IpAddr::V6(Ipv6Addr::from(ip ^ u128::from_be_bytes(*mask)))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
