use std::fmt;

/// Names a connection to a peer between client and server (CONNECTION-ID, RFC 6062 §6.2.1).
///
/// ```
/// use linkspan_turn::ConnectionId;
///
/// assert_eq!(ConnectionId::new(7).get(), 7);
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(u32);

impl ConnectionId {
    /// The connection of that number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({:#010x})", self.0)
    }
}
