use bytes::Bytes;
use linkspan_stun::{AttributeType, TransactionId};
use std::net::{IpAddr, SocketAddr};

use crate::{ChannelData, ChannelNumber, Transport};

/// Data with what its way through the relay puts before and behind it, as slices: the data
/// themselves are not copied.
///
/// ```
/// use linkspan_turn::{ChannelNumber, Transport, Wrapped};
///
/// let channel = ChannelNumber::new(0x4001).unwrap();
/// let wrapped = Wrapped::channel(channel, b"media", Transport::Tcp).unwrap();
/// assert_eq!(wrapped.slices().concat(), b"\x40\x01\x00\x05media\0\0\0");
/// ```
#[derive(Clone, Debug)]
pub struct Wrapped<'a> {
    head: [u8; MAX_HEAD],
    head_len: u8,
    data: &'a [u8],
    tail_len: u8,
    dont_fragment: bool,
}

impl<'a> Wrapped<'a> {
    /// The most octets that come before the data.
    pub const MAX_HEAD: usize = MAX_HEAD;

    /// Data as they are.
    #[must_use]
    pub const fn bare(data: &'a [u8]) -> Self {
        Self { head: [0; Self::MAX_HEAD], head_len: 0, data, tail_len: 0, dont_fragment: false }
    }

    /// A ChannelData message; `None` when the data are too long. Padded over TCP (RFC 8656 §12.5).
    #[must_use]
    pub fn channel(channel: ChannelNumber, data: &'a [u8], transport: Transport) -> Option<Self> {
        let header = ChannelData::header(channel, data.len())?;
        let tail = match transport {
            Transport::Tcp => padding(data.len()),
            Transport::Udp => 0,
        };
        Self::bare(data).with_head(&header)?.with_tail(tail)
    }

    /// A Send or Data indication (RFC 8656 §11.1, §11.3) of message type `kind`.
    pub(crate) fn indication(
        kind: u16,
        id: TransactionId,
        peer: SocketAddr,
        data: &'a [u8],
    ) -> Option<Self> {
        let address = if peer.is_ipv4() { 12 } else { 24 };
        let body = address + 4 + data.len().next_multiple_of(4);
        let [k0, k1] = kind.to_be_bytes();
        let [b0, b1] = u16::try_from(body).ok()?.to_be_bytes();
        let wrapped = Self::bare(data)
            .with_head(&[k0, k1, b0, b1])?
            .with_head(id.as_octets())?
            .with_address(AttributeType::XOR_PEER_ADDRESS, peer, Some(&id))?;
        wrapped.with_data_header(data.len())?.with_tail(padding(data.len()))
    }

    /// An MS-TURN Data indication ([MS-TURN] 2.2.1): its addresses are in clear, nothing is
    /// padded. Over TCP a frame header comes first, and a length before the data.
    pub(crate) fn ms_indication(
        id: TransactionId,
        peer: SocketAddr,
        data: &'a [u8],
        transport: Transport,
    ) -> Option<Self> {
        let address = if peer.is_ipv4() { 12 } else { 24 };
        let inner = if transport == Transport::Tcp { 2 } else { 0 };
        let body = 8 + address + 4 + inner + data.len();
        let [b0, b1] = u16::try_from(body).ok()?.to_be_bytes();
        let mut wrapped = Self::bare(data);
        if transport == Transport::Tcp {
            wrapped = wrapped.with_head(&crate::ms::frame_header(true, 20 + body)?)?;
        }
        let mut wrapped = wrapped
            .with_head(&[0x01, 0x15, b0, b1])?
            .with_head(id.as_octets())?
            .with_head(&crate::ms::COOKIE_ATTRIBUTE)?
            .with_address(AttributeType::XOR_PEER_ADDRESS, peer, None)?
            .with_data_header(inner + data.len())?;
        if transport == Transport::Tcp {
            wrapped = wrapped.with_head(&u16::try_from(data.len()).ok()?.to_be_bytes())?;
        }
        Some(wrapped)
    }

    /// Data of the active destination of MS-TURN: bare over UDP, a data frame over TCP.
    pub(crate) fn ms_active(data: &'a [u8], transport: Transport) -> Option<Self> {
        match transport {
            Transport::Udp => Some(Self::bare(data)),
            Transport::Tcp => {
                Self::bare(data).with_head(&crate::ms::frame_header(false, data.len())?)
            }
        }
    }

    /// The parts in order, for a vectored write; the last is at most three zero octets.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 3] {
        let head = self.head.get(..usize::from(self.head_len)).unwrap_or_default();
        let tail = [0; 3].as_slice().get(..usize::from(self.tail_len)).unwrap_or_default();
        [head, self.data, tail]
    }

    /// True when it is to be sent as one packet, and dropped where it is too large (RFC 8656 §14).
    /// All others may be fragmented.
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        self.dont_fragment
    }

    /// Octets in all.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.head_len) + self.data.len() + usize::from(self.tail_len)
    }

    /// True when there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts in one buffer: one allocation and one copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.slices().concat().into()
    }

    pub(crate) fn with_dont_fragment(self, dont_fragment: bool) -> Self {
        Self { dont_fragment, ..self }
    }

    fn with_head(mut self, octets: &[u8]) -> Option<Self> {
        let from = usize::from(self.head_len);
        let to = from + octets.len();
        self.head.get_mut(from..to)?.copy_from_slice(octets);
        self.head_len = u8::try_from(to).ok()?;
        Some(self)
    }

    fn with_tail(mut self, len: u8) -> Option<Self> {
        self.tail_len = len;
        Some(self)
    }

    fn with_data_header(self, len: usize) -> Option<Self> {
        let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
        let [t0, t1] = AttributeType::DATA.0.to_be_bytes();
        self.with_head(&[t0, t1, l0, l1])
    }

    /// An address attribute, obscured with the header when there is an `id` (RFC 8489 §14.2).
    fn with_address(
        self,
        kind: AttributeType,
        address: SocketAddr,
        id: Option<&TransactionId>,
    ) -> Option<Self> {
        let [t0, t1] = kind.0.to_be_bytes();
        let mask = id.map_or([0; 16], |id| *id.as_octets());
        let [m0, m1, m2, m3, ..] = mask;
        let [p0, p1] = (address.port() ^ u16::from_be_bytes([m0, m1])).to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => {
                let ip = u32::from(ip) ^ u32::from_be_bytes([m0, m1, m2, m3]);
                self.with_head(&[t0, t1, 0, 8, 0, 1, p0, p1])?.with_head(&ip.to_be_bytes())
            }
            IpAddr::V6(ip) => {
                let ip = u128::from(ip) ^ u128::from_be_bytes(mask);
                self.with_head(&[t0, t1, 0, 20, 0, 2, p0, p1])?.with_head(&ip.to_be_bytes())
            }
        }
    }
}

fn padding(len: usize) -> u8 {
    match len % 4 {
        1 => 3,
        2 => 2,
        3 => 1,
        _ => 0,
    }
}

/// Enough for an MS-TURN Data indication over TCP with an IPv6 peer: 4, 20, 8, 24, 4 and 2.
const MAX_HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use linkspan_stun::{Class, Dialect, Message, Method};

    #[test]
    fn indications_read_back_in_both_dialects() {
        for peer in ["192.0.2.7:4000", "[2001:db8::7]:4000"] {
            let peer: SocketAddr = peer.parse().unwrap();
            for len in 0..9 {
                let data = &b"12345678"[..len];
                let id = TransactionId::new([9; 12]);
                let octets = Wrapped::indication(0x0017, id, peer, data).unwrap().to_bytes();
                let message = Message::parse(&octets, Dialect::Rfc8489).unwrap();
                assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
                assert_eq!((message.peer_address(), message.data()), (Some(peer), Some(data)));

                let octets =
                    Wrapped::ms_indication(id, peer, data, Transport::Udp).unwrap().to_bytes();
                let message = Message::parse(&octets, Dialect::MsTurn).unwrap();
                assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
                assert_eq!((message.peer_address(), message.data()), (Some(peer), Some(data)));
            }
        }
    }
}
