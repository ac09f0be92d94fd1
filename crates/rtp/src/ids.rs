use core::fmt;

/// Synchronisation source: names one RTP stream (RFC 3550 §3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ssrc(pub u32);

/// Payload type of an RTP packet, 7 bits (RFC 3550 §5.1). Writers use the low 7 bits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PayloadType(pub u8);

/// Sequence number of an RTP packet (RFC 3550 §5.1).
///
/// It wraps, so it has no order of its own: compare with [`SequenceNumber::distance_from`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// How far `self` lies ahead of `earlier`, -32768 to 32767.
    ///
    /// ```
    /// use linkspan_rtp::SequenceNumber;
    /// assert_eq!(SequenceNumber(2).distance_from(SequenceNumber(65_534)), 4);
    /// assert_eq!(SequenceNumber(65_534).distance_from(SequenceNumber(2)), -4);
    /// ```
    #[must_use]
    pub fn distance_from(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Whether `self` comes after `other`, allowing for wrap-around.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }

    /// `self` moved forward by `count`, wrapping.
    #[must_use]
    pub fn wrapping_add(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The number that follows.
    #[must_use]
    pub fn next(self) -> Self {
        self.wrapping_add(1)
    }
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<u32> for Ssrc {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

impl From<u16> for SequenceNumber {
    fn from(value: u16) -> Self {
        Self(value)
    }
}
