/// What became of a packet to a peer, as the network told the server (ICMP, RFC 8656 §18.13).
///
/// ```
/// use linkspan_turn::IcmpError;
///
/// let error = IcmpError { kind: 3, code: 4, data: 1280 };
/// assert_eq!(IcmpError::read(&error.to_octets()), Some(error));
/// assert_eq!(error.mtu(false), Some(1280));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct IcmpError {
    /// Type of the ICMP or ICMPv6 message, at most 127.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// What the type defines beyond, or 0.
    pub data: u32,
}

impl IcmpError {
    /// Reads the value of the attribute.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let [_, _, t, c, d0, d1, d2, d3] = *value else { return None };
        // Seven bits of type, nine of code; codes have eight.
        (t & 1 == 0).then_some(())?;
        Some(Self { kind: t >> 1, code: c, data: u32::from_be_bytes([d0, d1, d2, d3]) })
    }

    /// The value of the attribute.
    #[must_use]
    pub const fn to_octets(self) -> [u8; 8] {
        let [d0, d1, d2, d3] = self.data.to_be_bytes();
        [0, 0, self.kind << 1, self.code, d0, d1, d2, d3]
    }

    /// The size of a packet that would have passed, where the network says it: fragmentation
    /// needed (3, 4) toward IPv4 peers, packet too big (2) toward IPv6 ones.
    #[must_use]
    pub const fn mtu(self, is_ipv6: bool) -> Option<u32> {
        match (is_ipv6, self.kind, self.code) {
            (false, 3, 4) | (true, 2, _) if self.data > 0 => Some(self.data),
            _ => None,
        }
    }

    /// RFC 8656 §11.5: the types that a client is told of, with the data that it may have.
    pub(crate) const fn passed_on(self, is_ipv6: bool) -> Option<Self> {
        let is_wanted = match is_ipv6 {
            false => matches!(self.kind, 3 | 11),
            true => matches!(self.kind, 1..=3),
        };
        let data = match self.mtu(is_ipv6) {
            Some(mtu) => mtu,
            None => 0,
        };
        if is_wanted { Some(Self { data, ..self }) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_about_the_way_are_passed_on() {
        let of = |kind, code| IcmpError { kind, code, data: 1400 };
        assert_eq!(of(3, 3).passed_on(false), Some(IcmpError { data: 0, ..of(3, 3) }));
        assert_eq!(of(3, 4).passed_on(false), Some(of(3, 4)));
        assert_eq!(of(2, 0).passed_on(true), Some(of(2, 0)));
        assert_eq!((of(8, 0).passed_on(false), of(128, 0).passed_on(true)), (None, None));
        assert_eq!(IcmpError::read(&[0; 7]), None);
    }
}
