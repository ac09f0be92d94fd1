use crate::dialect::{MAGIC_COOKIE, MS_TURN_COOKIE_ATTRIBUTE};
use crate::integrity::{Rule, equal};
use crate::{
    AttributeType, Class, Dialect, Fingerprint, IntegrityError, IntegrityKey, Method, ParseError,
    RawAttribute, TransactionId, address, fingerprint, kind,
};
use std::net::SocketAddr;

/// A view of one STUN message: nothing is copied, nothing allocated.
///
/// Parsing checks the header and that the attributes fill the message; values are read when asked
/// for. What follows MESSAGE-INTEGRITY is not covered by it and is not seen by the getters.
///
/// ```
/// use linkspan_stun::{Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, TransactionId};
///
/// let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
/// let mut octets = Vec::new();
/// let id = TransactionId::new([7; 12]);
/// let mut request =
///     MessageBuilder::new(&mut octets, Dialect::Rfc8489, Class::Request, Method::Binding, id);
/// request.username(b"evtj:h6vY").priority(0x6e00_01ff).sign(&key);
/// request.finish()?;
///
/// let message = Message::parse(&octets, Dialect::Rfc8489)?;
/// assert_eq!(message.priority(), Some(0x6e00_01ff));
/// assert!(message.verify_integrity(&key).is_ok());
/// assert!(message.verify_fingerprint().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    octets: &'a [u8],
    dialect: Dialect,
    walk: Walk,
}

impl<'a> Message<'a> {
    /// Attributes a message may have.
    pub const MAX_ATTRIBUTES: usize = 64;
    /// Octets of the header.
    pub const HEADER_LEN: usize = 20;

    /// Reads a whole datagram, or one frame of a stream.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the octets are not exactly one message of the dialect.
    pub fn parse(octets: &'a [u8], dialect: Dialect) -> Result<Self, ParseError> {
        let Some((&[t0, _, l0, l1, cookie @ .., _, _, _, _, _, _, _, _, _, _, _, _], _)) =
            octets.split_first_chunk::<20>()
        else {
            return Err(ParseError::Truncated { need: 20, have: octets.len() });
        };
        if t0 & 0xc0 != 0 {
            return Err(ParseError::Type);
        }
        let len = u16::from_be_bytes([l0, l1]);
        let need = Self::HEADER_LEN + usize::from(len);
        if octets.len() < need {
            return Err(ParseError::Truncated { need, have: octets.len() });
        }
        if octets.len() > need {
            return Err(ParseError::Trailing { at: need });
        }
        if dialect.has_header_cookie() && cookie != MAGIC_COOKIE {
            return Err(ParseError::Cookie { at: 4 });
        }
        if dialect == Dialect::MsTurn && octets.get(20..28) != Some(&MS_TURN_COOKIE_ATTRIBUTE) {
            return Err(ParseError::Cookie { at: 20 });
        }
        if dialect == Dialect::Rfc8489 && len % 4 != 0 {
            return Err(ParseError::Alignment);
        }
        Ok(Self { octets, dialect, walk: Walk::choose(octets, dialect)? })
    }

    /// The dialect it was read in.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The whole message.
    #[must_use]
    pub const fn as_octets(&self) -> &'a [u8] {
        self.octets
    }

    /// True when attribute values are padded to 32 bits in this message.
    #[must_use]
    pub const fn is_padded(&self) -> bool {
        self.walk.padded
    }

    /// Class of the message.
    #[must_use]
    pub fn class(&self) -> Class {
        kind::split(self.message_type(), self.dialect).0
    }

    /// Method of the message.
    #[must_use]
    pub fn method(&self) -> Method {
        kind::split(self.message_type(), self.dialect).1
    }

    /// The first 16 bits.
    #[must_use]
    pub fn message_type(&self) -> u16 {
        self.octets.first_chunk().map_or(0, |octets| u16::from_be_bytes(*octets))
    }

    /// Octets 4 to 19 of the header.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        TransactionId::from_octets(*self.mask())
    }

    /// All attributes in their order, those behind the integrity included.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { octets: self.octets, at: Self::HEADER_LEN, padded: self.walk.padded }
    }

    /// The value of the first attribute of a kind that the integrity, where there is one, covers.
    #[must_use]
    pub fn attribute(&self, kind: AttributeType) -> Option<&'a [u8]> {
        // RFC 8489 §14.5, §14.6: attributes behind the integrity are ignored, but for the other
        // integrity and the fingerprint.
        let end = usize::from(self.walk.covered);
        let is_trailer = matches!(
            kind,
            AttributeType::MESSAGE_INTEGRITY
                | AttributeType::MESSAGE_INTEGRITY_SHA256
                | AttributeType::FINGERPRINT
        );
        self.attributes()
            .take_while(|attribute| is_trailer || attribute.at < end)
            .find(|attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// Covered attributes that have to be understood and that `known` refuses: what a 420 lists
    /// (RFC 8489 §6.3.1).
    pub fn unknown_required(
        &self,
        known: impl Fn(AttributeType) -> bool,
    ) -> impl Iterator<Item = AttributeType> {
        let end = usize::from(self.walk.covered);
        self.attributes()
            .take_while(move |attribute| attribute.at < end)
            .map(|attribute| attribute.kind)
            .filter(move |kind| kind.is_comprehension_required() && !known(*kind))
    }

    /// True when MESSAGE-INTEGRITY is there; nothing is said about its value.
    #[must_use]
    pub const fn has_integrity(&self) -> bool {
        self.walk.integrity.is_some()
    }

    /// True when MESSAGE-INTEGRITY-SHA256 is there.
    #[must_use]
    pub const fn has_integrity_sha256(&self) -> bool {
        self.walk.integrity_sha256.is_some()
    }

    /// True when the last attribute is FINGERPRINT.
    #[must_use]
    pub const fn has_fingerprint(&self) -> bool {
        self.walk.fingerprint.is_some()
    }

    /// Checks MESSAGE-INTEGRITY by the rule of the dialect, in constant time.
    ///
    /// MS-ICE2 takes the RFC 5389 rule too: peers with an implementation version of 3 or more.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`] when it is missing or does not match.
    pub fn verify_integrity(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        let at = usize::from(self.walk.integrity.ok_or(IntegrityError::Missing)?);
        let value = self.octets.get(at + 4..).unwrap_or_default();
        if self.integrity_len(at) != 20 {
            return Err(IntegrityError::Unsupported);
        }
        let value = value.get(..20).unwrap_or_default();
        let own_end = u16::try_from(at + 4).unwrap_or(u16::MAX);
        let exact = || equal(&key.sha1(self.before(at), own_end, Rule::Exact), value);
        match self.dialect {
            Dialect::Rfc8489 => exact(),
            Dialect::Rfc3489 | Dialect::MsIce1 | Dialect::MsTurn => {
                equal(&key.sha1(self.before(at), own_end, Rule::Padded), value)
            }
            // [MS-ICE2]: the length as it stands in the header, FINGERPRINT counted.
            Dialect::MsIce2 => {
                equal(&key.sha1(self.before(at), self.message_len(), Rule::Padded), value)
                    .or_else(|_| exact())
            }
        }
    }

    /// Checks MESSAGE-INTEGRITY-SHA256, whole or truncated (RFC 8489 §14.6), in constant time.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`] when it is missing or does not match.
    pub fn verify_integrity_sha256(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        let at = usize::from(self.walk.integrity_sha256.ok_or(IntegrityError::Missing)?);
        let len = self.integrity_len(at);
        // RFC 8489 §14.6: at least 16, at most 32, a multiple of 4.
        if !(16..=32).contains(&len) || !len.is_multiple_of(4) {
            return Err(IntegrityError::Unsupported);
        }
        let value = self.octets.get(at + 4..at + 4 + len).unwrap_or_default();
        let own_end = u16::try_from(at + 4 + len - 20).unwrap_or(u16::MAX);
        let mac = key.sha256(self.before(at), own_end);
        equal(mac.get(..len).unwrap_or_default(), value)
    }

    /// Checks FINGERPRINT and says by which table it is right.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`] when it is missing or does not match. The altered table is right in
    /// MS-ICE2 only.
    pub fn verify_fingerprint(&self) -> Result<Fingerprint, IntegrityError> {
        let at = usize::from(self.walk.fingerprint.ok_or(IntegrityError::Missing)?);
        let value = self.octets.get(at + 4..).unwrap_or_default();
        let value = value.first_chunk().map_or(0, |octets| u32::from_be_bytes(*octets));
        let covered = self.before(at);
        if fingerprint::value(covered, Fingerprint::Standard) == value {
            return Ok(Fingerprint::Standard);
        }
        if self.dialect == Dialect::MsIce2
            && fingerprint::value(covered, Fingerprint::Altered) == value
        {
            return Ok(Fingerprint::Altered);
        }
        Err(IntegrityError::Mismatch)
    }

    /// An address in clear.
    #[must_use]
    pub fn address(&self, kind: AttributeType) -> Option<SocketAddr> {
        self.attribute(kind).and_then(address::read)
    }

    /// An obscured address in clear.
    #[must_use]
    pub fn xor_address(&self, kind: AttributeType) -> Option<SocketAddr> {
        self.address(kind).map(|obscured| address::xor(obscured, self.mask()))
    }

    /// A number of 32 bits.
    #[must_use]
    pub fn u32(&self, kind: AttributeType) -> Option<u32> {
        self.attribute(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// A number of 64 bits.
    #[must_use]
    pub fn u64(&self, kind: AttributeType) -> Option<u64> {
        self.attribute(kind)?.try_into().ok().map(u64::from_be_bytes)
    }

    pub(crate) fn mask(&self) -> &'a [u8; 16] {
        self.octets.get(4..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; 16])
    }

    fn message_len(&self) -> u16 {
        match *self.octets {
            [_, _, l0, l1, ..] => u16::from_be_bytes([l0, l1]),
            _ => 0,
        }
    }

    fn integrity_len(&self, at: usize) -> usize {
        match self.octets.get(at..).unwrap_or_default() {
            [_, _, l0, l1, ..] => usize::from(u16::from_be_bytes([*l0, *l1])),
            _ => 0,
        }
    }

    /// The message up to `at`.
    fn before(&self, at: usize) -> &'a [u8] {
        self.octets.get(..at).unwrap_or_default()
    }
}

/// Where the attributes that protect a message are.
#[derive(Clone, Copy, Debug)]
struct Walk {
    padded: bool,
    integrity: Option<u16>,
    integrity_sha256: Option<u16>,
    /// Only where it ends the message.
    fingerprint: Option<u16>,
    /// Where the covered attributes end.
    covered: u16,
}

impl Walk {
    /// Picks padded or unpadded: RFC 8489 pads. The others do not, but Skype and Teams clients do
    /// in MS-ICE2, outside the attribute length.
    fn choose(octets: &[u8], dialect: Dialect) -> Result<Self, ParseError> {
        if dialect.is_padded() {
            return Self::new(octets, true);
        }
        let unpadded = Self::new(octets, false);
        if dialect == Dialect::MsTurn {
            return unpadded;
        }
        match (unpadded, Self::new(octets, true)) {
            (Ok(unpadded), Ok(padded))
                if unpadded.fingerprint.is_none() && padded.fingerprint.is_some() =>
            {
                Ok(padded)
            }
            (Ok(unpadded), _) => Ok(unpadded),
            (Err(_), Ok(padded)) => Ok(padded),
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn new(octets: &[u8], padded: bool) -> Result<Self, ParseError> {
        let mut walk = Self {
            padded,
            integrity: None,
            integrity_sha256: None,
            fingerprint: None,
            covered: u16::MAX,
        };
        let mut attributes = Attributes { octets, at: Message::HEADER_LEN, padded };
        let mut count = 0;
        while let Some(attribute) = attributes.next() {
            count += 1;
            if count > Message::MAX_ATTRIBUTES {
                return Err(ParseError::TooMany { at: attribute.at });
            }
            walk.note(&attribute, attributes.at == octets.len());
        }
        if attributes.at == octets.len() {
            Ok(walk)
        } else {
            Err(ParseError::Attribute { at: attributes.at.min(octets.len()) })
        }
    }

    fn note(&mut self, attribute: &RawAttribute<'_>, is_last: bool) {
        let at = u16::try_from(attribute.at).unwrap_or(u16::MAX);
        match attribute.kind {
            AttributeType::MESSAGE_INTEGRITY if self.integrity.is_none() => {
                self.integrity = Some(at);
            }
            AttributeType::MESSAGE_INTEGRITY_SHA256 if self.integrity_sha256.is_none() => {
                self.integrity_sha256 = Some(at);
            }
            AttributeType::FINGERPRINT if is_last && attribute.value.len() == 4 => {
                self.fingerprint = Some(at);
            }
            _ => return,
        }
        self.covered = self.covered.min(at);
    }
}

/// The attributes of a message, see [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    octets: &'a [u8],
    at: usize,
    padded: bool,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let (&[t0, t1, l0, l1], rest) = self.octets.get(at..)?.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(..len)?;
        self.at = at + 4 + if self.padded { len.next_multiple_of(4) } else { len };
        Some(RawAttribute { kind: AttributeType(u16::from_be_bytes([t0, t1])), value, at })
    }
}
