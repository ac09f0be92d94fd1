use crate::AttributeType;

/// Which wire form a message has.
///
/// The forms differ in the place of the cookie, in attribute padding, in the input of the message
/// integrity, in the fingerprint's table, in two attribute numbers and in how a message type is
/// read; a message says none of that itself. [`Dialect::detect`] guesses, a leg of a call knows.
///
/// ```
/// use linkspan_stun::Dialect;
///
/// assert!(Dialect::Rfc8489.is_padded());
/// assert!(!Dialect::MsIce2.is_padded());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// RFC 8489 and RFC 5389.
    #[default]
    Rfc8489,
    /// RFC 3489: no cookie, no padding, no fingerprint.
    Rfc3489,
    /// [MS-ICE2] connectivity checks: the RFC 5389 header, no padding when written (either when
    /// read), its own integrity rule and a second fingerprint table.
    MsIce2,
    /// [MS-ICE] connectivity checks (Office Communicator 2007): the RFC 3489 form.
    MsIce1,
    /// [MS-TURN]: the cookie 0x72C64BC6 in the first attribute, whole 16-bit message types.
    MsTurn,
}

impl Dialect {
    /// Guesses the dialect of a message; `None` for octets that are none.
    ///
    /// MS-TURN shows by its first attribute, MS-ICE2 by an implementation version, RFC 8489 by its
    /// cookie. What is left and has a plausible header is RFC 3489, which MS-ICE cannot be told
    /// from.
    #[must_use]
    pub fn detect(octets: &[u8]) -> Option<Self> {
        let (&[first, _, l0, l1], rest) = octets.split_first_chunk::<4>()?;
        if first & 0xc0 != 0 || octets.len() != 20 + usize::from(u16::from_be_bytes([l0, l1])) {
            return None;
        }
        if octets.get(20..28) == Some(&MS_TURN_COOKIE_ATTRIBUTE) {
            return Some(Self::MsTurn);
        }
        if !rest.starts_with(&MAGIC_COOKIE) {
            return Some(Self::Rfc3489);
        }
        let version = AttributeType::IMPLEMENTATION_VERSION;
        let is_ms = crate::Message::parse(octets, Self::MsIce2)
            .is_ok_and(|message| message.attribute(version).is_some());
        Some(if is_ms { Self::MsIce2 } else { Self::Rfc8489 })
    }

    /// True where attribute values are written with padding to 32 bits.
    #[must_use]
    pub const fn is_padded(self) -> bool {
        matches!(self, Self::Rfc8489)
    }

    /// True where the header carries the magic cookie 0x2112A442.
    #[must_use]
    pub const fn has_header_cookie(self) -> bool {
        matches!(self, Self::Rfc8489 | Self::MsIce2)
    }

    /// The number of REALM: MS-TURN swaps it with NONCE ([MS-TURN] 2.2.2).
    #[must_use]
    pub const fn realm(self) -> AttributeType {
        match self {
            Self::MsTurn => AttributeType::NONCE,
            _ => AttributeType::REALM,
        }
    }

    /// The number of NONCE: MS-TURN swaps it with REALM ([MS-TURN] 2.2.2).
    #[must_use]
    pub const fn nonce(self) -> AttributeType {
        match self {
            Self::MsTurn => AttributeType::REALM,
            _ => AttributeType::NONCE,
        }
    }

    /// The number of XOR-MAPPED-ADDRESS: 0x8020 in MS-TURN, 0x0020 elsewhere.
    #[must_use]
    pub const fn xor_mapped_address(self) -> AttributeType {
        match self {
            Self::MsTurn => AttributeType::MS_XOR_MAPPED_ADDRESS,
            _ => AttributeType::XOR_MAPPED_ADDRESS,
        }
    }

    /// True where a message ends with a fingerprint unless the writer says otherwise.
    #[must_use]
    pub const fn has_fingerprint(self) -> bool {
        matches!(self, Self::Rfc8489 | Self::MsIce2)
    }
}

/// RFC 8489 §5.
pub(crate) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// [MS-TURN] 2.2.2.8: the first attribute of every message, type and length included.
pub(crate) const MS_TURN_COOKIE_ATTRIBUTE: [u8; 8] =
    [0x00, 0x0f, 0x00, 0x04, 0x72, 0xc6, 0x4b, 0xc6];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_by_cookie_and_version() {
        let row = |text: &str| crate::hex::decode(text);
        let ms_turn = "0003001031c28fdf2c8b6643144f4b82367a4dcc000f000472c64bc68008000400000001";
        assert_eq!(Dialect::detect(&row(ms_turn)), Some(Dialect::MsTurn));
        let keepalive = "001100082112a4423d094c7535310630424fa3048028000400000000";
        assert_eq!(Dialect::detect(&row(keepalive)), Some(Dialect::Rfc8489));
        let classic = "00010000ccbea1a27a7a2f925a5252006e638338";
        assert_eq!(Dialect::detect(&row(classic)), Some(Dialect::Rfc3489));
        assert_eq!(Dialect::detect(&row("8060000100000000000000aa")), None);
    }
}
