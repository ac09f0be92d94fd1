use crate::dialect::MAGIC_COOKIE;
use rand_core::Rng;
use std::fmt;

/// Octets 4 to 19 of a header: what a response has in common with its request.
///
/// In RFC 8489 the first four are the magic cookie and 96 bits are free; in the older forms all 128
/// are.
///
/// ```
/// use linkspan_stun::TransactionId;
///
/// let id = TransactionId::new([1; 12]);
/// assert_eq!(id.as_octets()[..4], [0x21, 0x12, 0xa4, 0x42]);
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransactionId([u8; 16]);

impl TransactionId {
    /// 96 bits behind the magic cookie (RFC 8489 §5).
    #[must_use]
    pub const fn new(id: [u8; 12]) -> Self {
        let [c0, c1, c2, c3] = MAGIC_COOKIE;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = id;
        Self([c0, c1, c2, c3, a, b, c, d, e, f, g, h, i, j, k, l])
    }

    /// All 128 bits (RFC 3489 §11.1, MS-TURN, MS-ICE).
    #[must_use]
    pub const fn from_octets(id: [u8; 16]) -> Self {
        Self(id)
    }

    /// Draws the 96 bits of an RFC 8489 or MS-ICE2 id.
    pub fn random(random: &mut impl Rng) -> Self {
        let mut id = [0; 12];
        random.fill_bytes(&mut id);
        Self::new(id)
    }

    /// Draws the 128 bits of an MS-TURN, MS-ICE or RFC 3489 id.
    pub fn random_128(random: &mut impl Rng) -> Self {
        let mut id = [0; 16];
        random.fill_bytes(&mut id);
        Self(id)
    }

    /// The octets as they stand in the header.
    #[must_use]
    pub const fn as_octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionId({self})")
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
