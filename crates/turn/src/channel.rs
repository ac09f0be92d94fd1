use crate::{ParseError, Transport};

/// A channel: 0x4000 to 0x4FFF (RFC 8656 §12). Numbers up to 0x7FFF are taken too: RFC 5766 §11
/// had them, and clients of that time draw from the whole range (coturn's does).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest.
    pub const MIN: Self = Self(0x4000);
    /// The highest that this crate's client uses.
    pub const MAX: Self = Self(0x4fff);

    /// A channel of that number; `None` outside the range.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= Self::MIN.0 && number <= 0x7fff { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A ChannelData message (RFC 8656 §12.4).
///
/// ```
/// use linkspan_turn::{ChannelData, ChannelNumber, Transport};
///
/// let data = ChannelData::parse(&[0x40, 0x01, 0, 2, b'h', b'i'], Transport::Udp)?;
/// assert_eq!((data.channel, data.data), (ChannelNumber::new(0x4001).unwrap(), &b"hi"[..]));
/// # Ok::<(), linkspan_turn::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelData<'a> {
    /// The channel.
    pub channel: ChannelNumber,
    /// What it carries.
    pub data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Reads a whole datagram, or one frame of a stream with its padding.
    ///
    /// # Errors
    ///
    /// When the octets are not one ChannelData message. Over UDP padding is not required but
    /// allowed (RFC 8656 §12.5).
    pub fn parse(octets: &'a [u8], transport: Transport) -> Result<Self, ParseError> {
        let Some((&[n0, n1, l0, l1], rest)) = octets.split_first_chunk() else {
            return Err(ParseError::Truncated { need: 4, have: octets.len() });
        };
        let number = u16::from_be_bytes([n0, n1]);
        let channel = ChannelNumber::new(number).ok_or(ParseError::Channel { number })?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((data, padding)) = rest.split_at_checked(len) else {
            return Err(ParseError::Truncated { need: 4 + len, have: octets.len() });
        };
        if transport == Transport::Udp || padding.len() < 4 {
            return Ok(Self { channel, data });
        }
        Err(ParseError::Trailing { at: 4 + len.next_multiple_of(4) })
    }

    /// The four octets before the data; `None` when it is too long for one message.
    #[must_use]
    pub fn header(channel: ChannelNumber, len: usize) -> Option<[u8; 4]> {
        let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
        let [n0, n1] = channel.0.to_be_bytes();
        Some([n0, n1, l0, l1])
    }
}
